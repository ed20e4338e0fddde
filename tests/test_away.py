"""What is away is told once, and once when it is back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import app
from gateway.away import Away
from gateway.bus import RedisBus
from gateway.storage import Storage
from tests.gateways import gateway
from tests.test_database_away import Server

pytest_plugins = ["tests.fixtures_redis"]

Logs = Sequence[MutableMapping[str, Any]]


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a PostgreSQL server to stop."""
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-pg-"))
    opened = Server(folder)
    yield opened
    opened.remove()
    shutil.rmtree(folder, ignore_errors=True)


def told(logs: Logs, what: str) -> list[tuple[str, str]]:
    """Return the lines about something that was away."""
    return [(line["event"], line["log_level"]) for line in logs if line["event"] in (f"{what}_away", f"{what}_back")]


async def until_told(logs: Logs, what: str, count: int) -> None:
    """Wait for so many lines, and a little for one too many."""
    async with asyncio.timeout(30):
        while len(told(logs, what)) < count:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)


def test_only_changes_are_told() -> None:
    """Looking a hundred times makes two lines, and none where nothing ever goes."""
    with capture_logs() as logs:
        one = Away("redis", "it is slower")
        for away in [False] * 10 + [True] * 50 + [False] * 50:
            one.note(away=away, error=TimeoutError())

    assert logs == [
        {"event": "redis_away", "log_level": "warning", "error": "TimeoutError", "reason": "it is slower"},
        {"event": "redis_back", "log_level": "warning"},
    ]


@pytest.mark.parametrize("role", ["web", "worker"])
async def test_a_database_that_is_away_at_the_start_is_told_in_every_role(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Any
) -> None:
    """The process starts and waits, says so once, and says once that it goes on."""
    monkeypatch.setattr(app, "LOOK_S", 0.05)
    async with Storage(server.url) as storage:
        await storage.migrate()
    server.stop()
    with capture_logs() as logs:
        async with gateway(tmp_path, server.url, role=role):
            await until_told(logs, "database", 1)
            server.start()
            await until_told(logs, "database", 2)

    assert told(logs, "database") == [("database_away", "warning"), ("database_back", "warning")]


async def test_a_redis_that_goes_and_comes_is_told(redis_server: Any) -> None:
    """The bus listens all the time, and so it knows."""
    bus = RedisBus(redis_server.url)
    with capture_logs() as logs:
        await bus.open()
        async with asyncio.timeout(10):
            await bus.connected.wait()
        redis_server.kill()
        await until_told(logs, "redis", 1)
        redis_server.start()
        await until_told(logs, "redis", 2)
        await bus.close()

    assert told(logs, "redis") == [("redis_away", "warning"), ("redis_back", "warning")]
