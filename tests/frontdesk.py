"""The `frontdesk` command as a real process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60.0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """Return an environment without settings of whoever runs the tests."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")}
    return {**ours, "COLUMNS": "200", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **more}


def frontdesk(*arguments: str, cwd: Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=cwd,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


class Running:
    """A command that goes on; what it prints is collected as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until what was printed matches, or fail with all of it."""
        with self._more:
            self._more.wait_for(
                lambda: re.search(pattern, self.printed) or self.process.poll() is not None, timeout=DEADLINE_S
            )
            found = re.search(pattern, self.printed)
            assert found, f"no {pattern!r} in:\n{self.printed}"
            return found

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=DEADLINE_S)
        self._reader.join(timeout=DEADLINE_S)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.printed += line
                self._more.notify_all()
        with self._more:
            self._more.notify_all()


@contextmanager
def running(*arguments: str, cwd: Path, **more: str) -> Iterator[Running]:
    """Run a command that goes on, with stdout and stderr together; it has ended afterwards, whatever happens."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    ) as process:
        command = Running(process)
        try:
            yield command
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=DEADLINE_S)
            command._reader.join(timeout=DEADLINE_S)
