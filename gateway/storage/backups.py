"""Copying a whole database, and making a copy one that works again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from sqlalchemy import bindparam, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.columns import metadata
from gateway.storage.engine import make_engine
from gateway.storage.errors import StorageError, StorageUnavailable
from gateway.storage.maintenance import TakeLeases
from gateway.storage.postgres_writer import PROGRAM_NAME
from gateway.storage.schema import MIGRATIONS
from gateway.storage.sql import Steps, statement
from gateway.storage.store import Storage
from gateway.storage.writer import OneByOne


class NotOurs(Exception):
    """A copy is no database that this program can go on with; why is the message."""


def copy_sqlite(source: Path, target: Path) -> None:
    """Write a compact copy of a SQLite database as it is at this moment; whoever writes to it is not held up.

    What was deleted is not in it.

    Raises:
        sqlite3.Error: it cannot be read, or the disk is full.
    """
    with contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("VACUUM INTO ?", (str(target),))
    target.chmod(0o600)


def empty_log(path: Path) -> None:
    """Bring what is in the write-ahead log of a SQLite database that nobody has open into its file.

    A file that is no database any more, as after a disk's fault, is left as it is: nothing can be saved of it.
    """
    with (
        contextlib.suppress(sqlite3.DatabaseError),
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def is_known(revision: str) -> bool:
    """Tell whether this program can bring a schema of that revision to its own."""
    return revision.isalnum() and any((MIGRATIONS / "versions").glob(f"{revision}_*.py"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What goes on where the copy was made, as soon as it is served."""

    deliveries: int
    turns: int
    events: int
    """What receivers of webhooks are told."""
    api_keys: int
    """Those that open the API, also where they have been revoked since."""


@dataclass(frozen=True)
class StartAfresh(OneByOne[Waiting]):
    """Give a copied database a name of its own, and end the leases of the processes that served its original.

    By its name Redis keeps memories apart: what it remembers from after the copy was made is never asked for again.
    """

    now: datetime

    def steps(self) -> Steps[Waiting]:
        yield NAME, [{"id": uuid.uuid4().hex}]
        yield from TakeLeases.apply([TakeLeases(self.now)])
        yield FREE_ALL, [{"n": 1}]
        [row] = yield COUNT_WAITING, [{"n": 1}]
        return Waiting(**row)


async def make_ready(url: str, now: datetime) -> Waiting:
    """Bring a copied database to our schema, and make it one that may be served.

    Raises:
        NotOurs: that cannot be done with it.
    """
    from alembic.util import CommandError  # heavy, and only needed here

    try:
        async with Storage(url) as storage:
            await storage.migrate()
            return await storage.run(StartAfresh(now))
    except (CommandError, StorageError, sqlite3.Error, asyncpg.PostgresError, TypeError, ValueError) as error:
        raise NotOurs(f"its database cannot be brought to this program's schema: {type(error).__name__}") from error


NAME = statement("UPDATE installation AS i SET id = r.id FROM {r}", id="text")

FREE_ALL = statement(
    """
    UPDATE chat_conversations AS c SET lease_owner = NULL, lease_expires_at = NULL, fence = c.fence + 1
    FROM {r} WHERE c.lease_owner IS NOT NULL
    """,
    n="int",
)

COUNT_WAITING = statement(
    """
    SELECT (SELECT COUNT(*) FROM deliveries WHERE status IN ('queued', 'unconfirmed')) AS deliveries,
        (SELECT COUNT(*) FROM chat_conversations WHERE due_at IS NOT NULL) AS turns,
        (SELECT COUNT(*) FROM hook_deliveries WHERE status = 'queued') AS events,
        (SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL) AS api_keys FROM {r}
    """,
    n="int",
)


# --- PostgreSQL ------------------------------------------------------------------------------------------------


def for_programs(url: str) -> tuple[str, Mapping[str, str]]:
    """Return a PostgreSQL address without its password, which others would see, and the environment that has it."""
    address = make_url(url).set(drivername="postgresql")
    secret = {"PGPASSWORD": str(address.password)} if address.password is not None else {}
    return address.set(password=None).render_as_string(), {**os.environ, **secret}


ASIDE = "frontdesk_before_"
"""How the schemas are named in which tables wait that are being replaced."""
OURS = (*(table.name for table in metadata.sorted_tables), "alembic_version")


async def has_tables(url: str) -> bool:
    """Tell whether tables of ours are in a PostgreSQL database, also where a restore was cut off."""
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            return bool(await _tables(connection) or await _asides(connection))
    finally:
        await engine.dispose()


@asynccontextmanager
async def replaced(url: str) -> AsyncIterator[None]:
    """Replace our tables of a PostgreSQL database, and nothing else, by those that are made meanwhile.

    The old ones wait in a schema of their own, and are dropped at the end; where anything fails they come back. Where
    the process is killed in between they are still there, and come back with the next attempt.

    Raises:
        StorageUnavailable: the database is away.
    """
    engine = make_engine(url)
    aside = f"{ASIDE}{uuid.uuid4().hex[:12]}"
    try:
        try:
            async with engine.begin() as connection:
                await _bring_back_cut_off(connection)
                await connection.execute(text(f'CREATE SCHEMA "{aside}"'))
                await _move(connection, await _tables(connection), aside)
        except SQLAlchemyError as error:
            said = "the tables cannot be set aside: the database's user has to be its owner"
            raise StorageUnavailable(f"{said} ({type(error).__name__})") from error
        try:
            yield
            await _drop_asides(engine)
        except BaseException:
            async with engine.begin() as connection:
                await _bring_back(connection, aside)
            raise
    finally:
        await engine.dispose()


async def _bring_back_cut_off(connection: AsyncConnection) -> None:
    """Bring back what a process that was killed has moved aside, where nothing has taken its place."""
    asides = await _asides(connection)
    if len(asides) == 1 and not await _tables(connection):
        await _bring_back(connection, asides[0])


async def _bring_back(connection: AsyncConnection, aside: str) -> None:
    await _drop(connection, await _tables(connection))
    [here] = (await connection.execute(text("SELECT current_schema()"))).scalars()
    await _move(connection, [f'"{aside}".{name}' for name in await _tables(connection, aside)], here)
    await connection.execute(text(f'DROP SCHEMA "{aside}"'))


async def _drop_asides(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for aside in await _asides(connection):
            await _drop(connection, [f'"{aside}".{name}' for name in await _tables(connection, aside)])
            await connection.execute(text(f'DROP SCHEMA "{aside}"'))


async def _asides(connection: AsyncConnection) -> Sequence[str]:
    asked = text("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :start) ORDER BY oid")
    return (await connection.execute(asked, {"start": ASIDE})).scalars().all()


async def _tables(connection: AsyncConnection, schema: str | None = None) -> Sequence[str]:
    """Return which of our tables are in a schema; None is the one that is used."""
    asked = text(
        "SELECT tablename FROM pg_tables WHERE tablename IN :names "
        "AND schemaname = COALESCE(CAST(:schema AS text), current_schema())"
    ).bindparams(bindparam("names", expanding=True))
    return (await connection.execute(asked, {"names": OURS, "schema": schema})).scalars().all()


async def _move(connection: AsyncConnection, names: Sequence[str], schema: str) -> None:
    """Move tables, with their indexes and sequences, into a schema."""
    for name in names:
        await connection.execute(text(f'ALTER TABLE {name} SET SCHEMA "{schema}"'))


async def _drop(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Drop tables at once: they refer to each other."""
    if names:
        await connection.execute(text(f"DROP TABLE {', '.join(names)}"))


async def count_writers(url: str) -> int:
    """Count the connections that processes of ours hold to write to a PostgreSQL database."""
    engine = make_engine(url)
    asked = text(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name"
    )
    try:
        async with engine.connect() as connection:
            return int((await connection.execute(asked, {"name": PROGRAM_NAME})).scalar_one())
    finally:
        await engine.dispose()
