"""Copying a whole database, and making a copy one that works again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import inspect, make_url, text

from gateway.storage.columns import metadata
from gateway.storage.engine import make_engine
from gateway.storage.maintenance import TakeLeases
from gateway.storage.postgres_writer import PROGRAM_NAME
from gateway.storage.schema import MIGRATIONS
from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne


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


async def has_tables(url: str) -> bool:
    """Tell whether tables of ours are in a PostgreSQL database."""
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            names = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    finally:
        await engine.dispose()
    return bool(names & {*metadata.tables, "alembic_version"})


async def drop_tables(url: str) -> None:
    """Drop our tables, and nothing else, from a PostgreSQL database."""
    engine = make_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    finally:
        await engine.dispose()


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
