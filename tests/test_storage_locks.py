"""Which rows statements lock, in which order, and which they read at all; each on the database that it is about."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import gateway.storage as rooms
from channels.base import Consent
from gateway.storage import (
    Accept,
    Claim,
    Compose,
    ExtendLease,
    FinishTurn,
    OpenChannels,
    Outcome,
    SettleDelivery,
    Storage,
)
from gateway.storage.sql import Statement
from gateway.storage.sqlite_writer import SqliteWriter
from gateway.storage.writer import Operation
from tests.conftest import make_database
from tests.saying import said
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_deliveries import take
from tests.test_storage_turns import claim, finish


async def test_consent_is_read_behind_the_lock(postgres_url: str) -> None:
    """A message that waits for the transaction of a STOP gets no turn, and a START that waits for it lifts it."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        await accept(storage, sms("+1", "A"), sms("+2", "B"))
        for turn in await claim(storage):
            await finish(storage, turn)
        other = await asyncpg.connect(postgres_writer_dsn(storage))
        async with other.transaction():
            await other.execute("SELECT id FROM chat_conversations ORDER BY id FOR UPDATE")
            await other.execute("UPDATE addresses SET opted_out_at = now(), consent_at = now()")
            waiting = asyncio.create_task(
                storage.run(Accept((sms("+1", "A2"), sms("+2", "B2", "START", consent=Consent.OPT_IN)), NOW))
            )
            await until_blocked(other)
        accepted = await waiting
        await other.close()
        rows = {row.address: row for row in await storage.conversations()}
        welcome = await storage.run(Compose("sms", "sms", "+2", said("x"), NOW))

        assert accepted.due_at is None
        assert rows["+1"].due_at is None
        assert welcome.refused is None


def postgres_writer_dsn(storage: Storage) -> str:
    """Return where a storage's writer connects to."""
    return str(storage._writer._dsn)  # type: ignore[attr-defined]


async def until_blocked(connection: Any) -> None:
    """Wait until somebody waits for a lock."""
    async with asyncio.timeout(5):
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def make_large_database(postgres_url: str) -> str:
    """Create a database that plans as it does with many rows: by index, in the order of the records."""
    url = await make_database(postgres_url)
    connection: Any = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan"):
        await connection.execute(f'ALTER DATABASE "{name}" SET {setting} = off')
    await connection.close()
    return url


async def claims(storage: Storage) -> list[Claim]:
    """Claim the turns of two customers, in the order of their rows."""
    await accept(storage, sms("+1", "A"), sms("+2", "B"))
    return sorted(await claim(storage), key=lambda turn: turn.id)


async def others_may_take(dsn: str, row_id: int) -> bool:
    """Tell whether a conversation's row is free."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT 1 FROM chat_conversations WHERE id = $1 FOR UPDATE NOWAIT", row_id)
    except asyncpg.LockNotAvailableError:
        return False
    finally:
        await connection.close()
    return True


@pytest.mark.parametrize("what", ["two of a kind", "two kinds"])
async def test_who_waits_for_a_row_holds_none_that_comes_later(postgres_url: str, what: str) -> None:
    """The door locks conversations in the order of their ids, and so do the workers, whatever waits in one batch.

    Otherwise each would hold what the other waits for.
    """
    async with Storage(await make_large_database(postgres_url)) as storage:
        await storage.migrate()
        first, second = await claims(storage)
        dsn = postgres_writer_dsn(storage)
        door = await asyncpg.connect(dsn)
        async with door.transaction():
            await door.execute("SELECT 1 FROM chat_conversations WHERE id = $1 FOR UPDATE", first.id)
            later: Operation[Any] = FinishTurn(second.id, second.fence, NOW, said("b"))
            if what == "two kinds":
                later = ExtendLease(second.id, second.fence, NOW)
            waiting = [
                asyncio.create_task(storage.run(operation))
                for operation in (later, FinishTurn(first.id, first.fence, NOW, said("a")))
            ]
            await until_blocked(door)
            free = await others_may_take(dsn, second.id)
        await door.close()
        await asyncio.gather(*waiting)

        assert free


async def test_a_settlement_waits_holding_nothing_that_comes_later(postgres_url: str) -> None:
    """Callbacks lock deliveries in the order of their ids, and so does what the calls themselves bring back."""
    async with Storage(await make_large_database(postgres_url)) as storage:
        await storage.migrate()
        await storage.run(OpenChannels(("sms",)))
        for customer in ("+1", "+2"):
            await storage.run(Compose("sms", "sms", customer, said("x"), NOW))
        first, second = sorted(await take(storage), key=lambda delivery: delivery.id)
        door = await asyncpg.connect(postgres_writer_dsn(storage))
        other = await asyncpg.connect(postgres_writer_dsn(storage))
        async with door.transaction():
            await door.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE", first.id)
            waiting = [
                asyncio.create_task(storage.run(SettleDelivery(d.id, d.lease_owner, Outcome.SENT, NOW)))
                for d in (second, first)
            ]
            await until_blocked(door)
            await other.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE NOWAIT", second.id)
        await door.close()
        await other.close()

        assert await asyncio.gather(*waiting) == [True, True]


async def test_an_operation_of_its_own_fault_does_not_stop_the_others(postgres_url: str) -> None:
    """An id that no index can hold is refused alone; the database is not taken to be away."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        long = "".join(chr(33 + n * 7919 % 90) + str(n) for n in range(3000))
        results = await asyncio.gather(
            accept(storage, sms("+1", "M1")),
            accept(storage, sms(long, "M2")),
            accept(storage, sms("+2", "M3")),
            return_exceptions=True,
        )

    assert [type(result).__name__ for result in results] == ["Accepted", "ProgramLimitExceededError", "Accepted"]


def all_statements() -> dict[str, Statement]:
    """Return every statement of the storage room by its name."""
    found = {}
    for name, module in inspect.getmembers(rooms, inspect.ismodule):
        found |= {f"{name}.{key}": value for key, value in vars(module).items() if isinstance(value, Statement)}
    return found


BIG = {"chat_conversations", "conversation_messages", "deliveries"}
AT_START = {"maintenance.FREE_TURNS"}


BY_HAND = {"privacy.BY_ADDRESS", "backups.FREE_ALL"}
"""Somebody at the command line looks for a person by whatever they know of them, or has restored a backup."""


async def test_no_statement_reads_a_whole_table(tmp_path: Path) -> None:
    """However many messages there are: SQLite finds rows by an index that names them, not only their channel."""
    url = f"sqlite:///{tmp_path}/frontdesk.db"
    async with Storage(url) as storage:
        await storage.migrate()
        connection = SqliteWriter(tmp_path / "frontdesk.db")._connect()
        slow = {
            name: line
            for name, statement in all_statements().items()
            if statement.sqlite is not None and name not in AT_START | BY_HAND
            for line in plan(connection, statement.sqlite)
        }
        connection.close()

    assert len(all_statements()) > 40
    assert slow == {}


def plan(connection: sqlite3.Connection, text: str) -> list[str]:
    """Return the steps of a statement's plan that would read all of a big table, or all of a channel."""
    aliases = {alias for table in BIG for alias in _aliases(text, table)}  # bare names are foreign keys' own checks
    lines = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", ("[]",))]
    return [
        line
        for line in lines
        if set(line.split()[1:2]) & aliases
        and (line.startswith("SCAN") or line.endswith("(channel_name=?)"))
        and "ix_deliveries_open" not in line
        and "ix_chat_conversations_due_at" not in line
    ]


def _aliases(text: str, table: str) -> list[str]:
    words = text.split()
    return [words[at + 2] for at, word in enumerate(words[:-2]) if word == table and words[at + 1] == "AS"]
