"""`/readyz` says whether inbound can be kept, whatever it is that takes no writes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from gateway import spool
from gateway.storage import Storage, sqlite_writer
from gateway.web import health
from tests.gateways import Caller, caller, gateway, sms_form


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    pragmas = [p for p in sqlite_writer.PRAGMAS if not p.startswith("busy_timeout")]
    monkeypatch.setattr(sqlite_writer, "PRAGMAS", (*pragmas, "busy_timeout=100"))
    monkeypatch.setattr(spool, "PROBE_EVERY_S", 0.05)
    monkeypatch.setattr(health, "FRESH_S", 0.05)


@asynccontextmanager
async def unwritable(database_url: str) -> AsyncIterator[None]:
    """Let a database answer and take no writes."""
    if database_url.startswith("sqlite"):
        other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.close()
        return
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    for read_only in ("on", "off"):
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {read_only}')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if read_only == "on":
            yield
            await connection.execute("SET default_transaction_read_only = off")
    await connection.close()


@asynccontextmanager
async def broken(folder: Path) -> AsyncIterator[None]:
    """Let a folder take no files."""
    away = folder.with_name("away")
    folder.rename(away)
    folder.write_text("a file in the way")
    yield
    folder.unlink()
    away.rename(folder)


async def ready(calls: Caller, *, until: int) -> dict[str, str]:
    """Ask until the status is this one and return the problems; nothing else is sent meanwhile."""
    async with asyncio.timeout(10):
        while True:
            status, body = await calls.get("/readyz")
            if status == until:
                problems: dict[str, str] = json.loads(body)["problems"]
                return problems
            await asyncio.sleep(0.02)


async def test_ready_only_where_inbound_can_be_kept(database_url: str, tmp_path: Path) -> None:
    """A database that answers but takes no writes is no place for inbound; where the spool is none either, it is 503.

    Either one's return is found out without any traffic, which a balancer would not send.
    """
    async with Storage(database_url) as storage:
        await storage.migrate()
    folder = tmp_path / "data" / "spool"
    async with gateway(tmp_path, database_url, role="web") as opened, caller(opened.port) as calls:
        async with unwritable(database_url):
            async with broken(folder):
                turned_away, _ = await calls.post(sms_form("SM1"))
                neither = await ready(calls, until=503)
            spool_is_back = await ready(calls, until=200)
            spooled, _ = await calls.post(sms_form("SM2"))
        async with asyncio.timeout(10):
            while opened.inbox._spool.active or not opened.parts.storage.writable:
                await asyncio.sleep(0.02)
        async with unwritable(database_url), broken(folder):
            await calls.post(sms_form("SM3"))
            await ready(calls, until=503)
        both_are_back = await ready(calls, until=200)
        async with asyncio.timeout(10):
            while await ready(calls, until=200):
                await asyncio.sleep(0.02)
        [conversation] = await opened.parts.storage.conversations()

    assert (turned_away, spooled) == (503, 200)
    assert neither == {"database": "takes no writes", "spool": "its disk takes no writes"}
    assert spool_is_back == {"database": "takes no writes; inbound goes to the spool"}
    assert "spool" not in both_are_back or "database" not in both_are_back
    assert conversation.total_messages == 1
