"""What the writers promise beside speed: locks, deadlocks, a database that goes away, and the schema."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from gateway.storage import (
    Accept,
    BeginRequest,
    SchemaMismatch,
    Storage,
    StorageUnavailable,
    Takeover,
    TryWriting,
    postgres_writer,
)
from gateway.storage.columns import metadata
from gateway.storage.engine import make_engine
from gateway.storage.schema import HEAD, alembic_config
from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne, Operation
from tests.conftest import make_database
from tests.test_storage_accept import NOW, accept, numbers, sms


@pytest.fixture
async def postgres(postgres_url: str) -> str:
    """Give an empty PostgreSQL database."""
    return await make_database(postgres_url)


async def test_locked_conversation_does_not_hold_up_the_others(postgres: str) -> None:
    """A row that somebody keeps locked leaves the batch; the others commit, and its own messages keep their order."""
    async with Storage(postgres) as storage:
        await storage.migrate()
        await accept(storage, sms("+1locked", "L0"))
        await accept(storage, sms("+1free", "F0"))
        other: Any = await asyncpg.connect(postgres)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT 1 FROM chat_conversations WHERE address = '+1locked' FOR UPDATE")
        started = time.monotonic()
        locked = [asyncio.create_task(accept(storage, sms("+1locked", f"L{n}"))) for n in range(1, 4)]
        await asyncio.gather(*(accept(storage, sms("+1free", f"F{n}")) for n in range(1, 4)))
        free_after_s = time.monotonic() - started
        locked.append(asyncio.create_task(accept(storage, sms("+1locked", "L4"))))
        again = time.monotonic()
        await accept(storage, sms("+1free", "F4"))
        second_s = time.monotonic() - again
        assert not any(task.done() for task in locked)
        await transaction.rollback()
        await other.close()
        await asyncio.gather(*locked)
        [conversation] = [c for c in await storage.conversations() if c.address == "+1locked"]
        order = [m.external_id for m in await storage.messages(conversation.id or 0)]

        assert free_after_s < 3
        assert second_s < 1
        assert order == ["L0", "L1", "L2", "L3", "L4"]


async def test_a_lock_that_lasts_is_unavailable(postgres: str) -> None:
    """Where the lock outlasts all patience, the operation says that the database is away, and can be repeated."""
    async with Storage(postgres) as storage:
        await storage.migrate()
        await accept(storage, sms("+1locked", "L0"))
        other: Any = await asyncpg.connect(postgres)
        async with other.transaction():
            await other.execute("SELECT 1 FROM chat_conversations FOR UPDATE")
            tried = await asyncio.gather(
                *(accept(storage, sms("+1locked", f"L{n}")) for n in (1, 2, 3)), return_exceptions=True
            )
            # Nothing that waits behind the first overtakes it: all of them are submitted again, in their order.
            assert [type(result) for result in tried] == [StorageUnavailable] * 3
        await other.close()
        for n in (1, 2, 3):
            await accept(storage, sms("+1locked", f"L{n}"))
        [conversation] = await storage.conversations()
        stored = await storage.messages(conversation.id or 0)

        assert [message.external_id for message in stored] == ["L0", "L1", "L2", "L3"]


async def test_a_database_that_is_not_fit_is_unavailable(postgres: str) -> None:
    """A missing table, or a missing database, is the database's fault: nothing that arrives is taken for unreadable."""
    async with Storage(postgres) as storage:
        with pytest.raises(StorageUnavailable):
            await accept(storage, sms("+1555", "SM1"))
    async with Storage(postgres.replace("/frontdesk_", "/missing_")) as storage:
        with pytest.raises(StorageUnavailable):
            await accept(storage, sms("+1555", "SM1"))


async def test_deadlock_is_run_again(postgres: str) -> None:
    """Of two transactions that lock each other out, the one that PostgreSQL ends is ours and runs again."""
    async with Storage(postgres) as storage:
        await storage.migrate()
        await accept(storage, sms("+1a", "A0"))
        await accept(storage, sms("+1b", "B0"))
        other: Any = await asyncpg.connect(postgres, server_settings={"deadlock_timeout": "30s"})
        async with other.transaction():
            await other.execute("SELECT 1 FROM chat_conversations WHERE address = '+1b' FOR UPDATE")
            both = asyncio.create_task(accept(storage, sms("+1a", "A1"), sms("+1b", "B1")))
            await _until_waiting(postgres)
            await other.execute("SELECT 1 FROM chat_conversations WHERE address = '+1a' FOR UPDATE")
        await other.close()
        result = await both

        assert result.messages == 2
        assert await numbers(storage) == {"+1a": [1, 2], "+1b": [1, 2]}


async def _until_waiting(postgres: str) -> None:
    """Return once some transaction waits for a lock."""
    watcher: Any = await asyncpg.connect(postgres)
    async with asyncio.timeout(5):
        while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    await watcher.close()


async def test_database_that_is_away_says_so_and_comes_back(tmp_path: Path) -> None:
    """An operation on a database that cannot be opened fails as unavailable; the next one after its return works."""
    away = tmp_path / "folder"
    async with Storage(f"sqlite:///{away}/x.db") as storage:
        with pytest.raises(StorageUnavailable):
            await accept(storage, sms("+1a", "A1"))
        away.mkdir()
        await storage.migrate()
        result = await accept(storage, sms("+1a", "A1"))

        assert result.messages == 1


async def test_unreachable_postgresql_is_unavailable() -> None:
    """Nobody listening at the address is `unavailable`, for writes and for reads."""
    async with Storage("postgresql://nobody@127.0.0.1:1/none") as storage:
        with pytest.raises(StorageUnavailable):
            await accept(storage, sms("+1a", "A1"))
        with pytest.raises(StorageUnavailable):
            await storage.ping()
        with pytest.raises(StorageUnavailable):
            await storage.check_schema()


async def test_closing_does_not_wait_for_a_server_that_hangs(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server has not committed in time when the storage closes was not committed, as far as anybody knows."""
    monkeypatch.setattr(postgres_writer, "CLOSE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(postgres_writer, "BATCH_LOCK_TIMEOUT_S", 60)
    storage = Storage(postgres)
    await storage.open()
    await storage.migrate()
    other: Any = await asyncpg.connect(postgres)
    async with other.transaction():
        await other.execute("LOCK TABLE chat_conversations")
        waiting = [asyncio.create_task(accept(storage, sms("+1a", "A0")))]
        await _until_waiting(postgres)
        waiting.append(asyncio.create_task(accept(storage, sms("+1b", "B0"))))
        await asyncio.sleep(0)
        started = time.monotonic()
        await storage.close()
        took_s = time.monotonic() - started
        results = await asyncio.gather(*waiting, return_exceptions=True)
    await other.close()

    assert took_s < 4
    assert [type(error) for error in results] == [StorageUnavailable] * 2


async def test_broken_connection_is_replaced(postgres: str) -> None:
    """When the server ends our connections, the next operations run on new ones."""
    async with Storage(postgres) as storage:
        await storage.migrate()
        await accept(storage, sms("+1a", "A1"))
        other: Any = await asyncpg.connect(postgres)
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await other.close()
        results = []
        for _ in range(3):
            results += await asyncio.gather(accept(storage, sms("+1a", "A2")), return_exceptions=True)

        assert any(not isinstance(result, Exception) for result in results)
        assert await numbers(storage) == {"+1a": [1, 2]}


async def test_migrations_lead_to_the_tables(database_url: str) -> None:
    """The migrations make exactly the schema that the tables declare, and running them twice changes nothing."""
    async with Storage(database_url) as storage:
        with pytest.raises(SchemaMismatch, match="frontdesk migrate"):
            await storage.check_schema()
        before = await storage.migrate()
        again = await storage.migrate()
        await storage.check_schema()
    engine = make_engine(database_url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda c: compare_metadata(MigrationContext.configure(c, opts={"compare_type": True}), metadata)
        )
    await engine.dispose()

    assert (before, again) == (None, HEAD)
    assert differences == []


BEFORE_0007 = """
INSERT INTO repeated_requests (owner, idempotency_key, request_hash, created_at)
VALUES ('o', '+15550100101', 'h', '2026-11-24 12:00:00');
INSERT INTO api_keys (name, prefix, key_hash, scope, created_at)
VALUES ('crm', 'fdk_a', 'a', 'read', '2026-11-24 12:00:00'), ('crm', 'fdk_b', 'b', 'read', '2026-11-24 12:00:00')
"""


async def test_what_was_kept_before_0007_is_found_after_it(database_url: str) -> None:
    """A request that was begun under its bare key is known by its hash; of two API keys of one name each is kept."""
    async with Storage(database_url) as storage:
        async with storage._engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), "0006"))
            for made in BEFORE_0007.split(";"):
                await connection.execute(text(made))
        await storage.migrate()
        began = await storage.run(BeginRequest("o", "+15550100101", "h", NOW))
        names = [key.name for key in await storage.api_keys.all()]

    assert not began.is_new
    assert names == ["crm", "crm fdk_b"]


async def test_two_people_take_over_at_once(storage: Storage) -> None:
    """Of two people in one moment one has the conversation, and both learn who."""
    await accept(storage, sms("+1a", "A1"))
    [conversation] = await storage.conversations()
    ann, bob = await asyncio.gather(
        *(storage.run(Takeover(conversation.conversation_id, name, NOW)) for name in ("ann", "bob"))
    )
    nobody = await storage.run(Takeover("no such id", "ann", NOW))

    assert ann is not None
    assert bob is not None
    assert [ann.changed, bob.changed] in ([True, False], [False, True])
    assert ann.assigned_to == bob.assigned_to
    assert nobody is None


async def test_a_large_request_is_one_commit(storage: Storage) -> None:
    """A thousand events of one request are accepted together, in order."""
    events = tuple(sms(f"+1{n % 10}", f"M{n}") for n in range(1000))
    result = await storage.run(Accept(events, NOW + timedelta(seconds=1)))

    assert result.messages == 1000
    assert await numbers(storage) == {f"+1{n}": list(range(1, 101)) for n in range(10)}


class Stubborn(sqlite3.Connection):
    """A connection whose end is a fault of its own."""

    def close(self) -> None:
        """Close, and fail all the same."""
        super().close()
        raise RuntimeError("close failed")


class Miscounting(Operation[int]):
    """Gives two results, however many it is asked for."""

    @classmethod
    def apply(cls, operations: Sequence[Miscounting]) -> Steps[list[int]]:
        """Do not count."""
        yield PRAGMAS, [{"n": 1}]
        return [1, 1]


async def test_sqlite_s_thread_outlives_what_nobody_foresaw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a connection cannot even be closed, all who wait learn that the database is away, and others work later."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *how, **more: connect(*how, **more, factory=Stubborn))
    async with asyncio.timeout(10), Storage(f"sqlite:///{tmp_path}/x.db") as storage:
        tried = await asyncio.gather(*(accept(storage, sms("+1a", f"A{n}")) for n in range(3)), return_exceptions=True)
        monkeypatch.setattr(sqlite3, "connect", connect)
        await storage.migrate()
        result = await accept(storage, sms("+1a", "A1"))

    assert [type(error) for error in tried] == [StorageUnavailable] * 3
    assert result.messages == 1


async def test_sqlite_s_thread_outlives_a_wrong_count(tmp_path: Path) -> None:
    """An operation that gives too many results fails alone, and nothing of it is kept; the others are committed."""
    async with asyncio.timeout(10), Storage(f"sqlite:///{tmp_path}/x.db") as storage:
        await storage.migrate()
        results = await asyncio.gather(
            storage.run(Miscounting()), accept(storage, sms("+1a", "A1")), return_exceptions=True
        )
        again = await accept(storage, sms("+1a", "A2"))

    assert isinstance(results[0], RuntimeError)
    assert (results[1].messages, again.messages) == (1, 1)


async def test_storage_knows_whether_it_is_writable(database_url: str) -> None:
    """It is until a commit fails for the database's own reasons, and again with the next one that succeeds."""
    async with Storage(database_url) as storage:
        at_first = storage.writable
        with pytest.raises(StorageUnavailable):
            await storage.run(TryWriting())
        without_tables = storage.writable
        await storage.migrate()
        await storage.run(TryWriting())

        assert (at_first, without_tables, storage.writable) == (True, False, True)


class ReadPragmas(OneByOne[dict[str, Any]]):
    """Asks SQLite how the connection that commits is set."""

    def steps(self) -> Steps[dict[str, Any]]:
        """Read them."""
        [row] = yield (PRAGMAS, [{"n": 1}])
        return row


PRAGMAS = statement(
    """
    SELECT s.synchronous, j.journal_mode, f.foreign_keys
    FROM pragma_synchronous AS s, pragma_journal_mode AS j, pragma_foreign_keys AS f, {r}
    """,
    n="int",
)


async def test_sqlite_commits_survive_a_power_cut(tmp_path: Path) -> None:
    """The connection that commits writes ahead and syncs each commit, on a new file and on one that was there."""
    full = {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}  # sqlite.org/pragma.html: 2 is FULL
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        first = await storage.run(ReadPragmas())
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        await storage.migrate()
        again = await storage.run(ReadPragmas())

    assert (first, again) == (full, full)
