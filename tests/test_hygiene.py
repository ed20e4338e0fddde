"""A run of the tests leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.frontdesk import DEADLINE_S, ROOT, environment

STUCK = """
import asyncio
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.conftest import postgres_url


def note(url):
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    part = Path(__file__).with_name("part")
    part.write_text((folder / "postmaster.pid").read_text().split()[0])
    part.rename(part.with_name("pid"))


def test_stuck(postgres_url):
    note(postgres_url)
    time.sleep(600)


async def test_stuck_in_a_loop(postgres_url):
    note(postgres_url)
    await asyncio.sleep(600)
"""


def is_there(pid: int) -> bool:
    """Tell whether a process lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, as soon as whoever has adopted it has noticed its end."""
    until = time.monotonic() + 10
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_there(pid)


@pytest.mark.parametrize("stuck", ["test_stuck", "test_stuck_in_a_loop"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_database_server(tmp_path: Path, number: signal.Signals, stuck: str) -> None:
    """Ctrl-C, and the SIGTERM of ``timeout``, of a run in the middle of a test."""
    (tmp_path / "test_it.py").write_text(STUCK, encoding="utf-8")
    there = environment()
    there.pop("FRONTDESK_TEST_DATABASE_URL", None)
    command = (sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"{tmp_path}/test_it.py::{stuck}")
    with subprocess.Popen(command, cwd=ROOT, env=there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        until = time.monotonic() + DEADLINE_S
        while not (tmp_path / "pid").exists() and run.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        server = int((tmp_path / "pid").read_text())
        assert is_there(server)
        run.send_signal(number)
        run.wait(DEADLINE_S)

    assert has_ended(server)
