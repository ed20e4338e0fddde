"""Deleting so that the bytes are gone from SQLite's file too; PostgreSQL's own VACUUM sees to that by itself."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.storage.sqlite_writer import SqliteWriter
from gateway.storage.store import Storage
from gateway.storage.writer import Operation

R = TypeVar("R")

CHECKPOINT_TRIES = 10
CHECKPOINT_WAIT_S = 0.2


class Runs(Protocol):
    """Commits operations."""

    async def run(self, operation: Operation[R]) -> R:
        """Commit an operation, as ``Storage.run`` does."""


class _ScrubbingWriter(SqliteWriter):
    """A writer that overwrites with zeros what it deletes; whether SQLite does is else up to how it was built."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA secure_delete=ON")  # www.sqlite.org/pragma.html#pragma_secure_delete
        return connection


@asynccontextmanager
async def scrubbing(storage: Storage) -> AsyncIterator[Runs]:
    """Give a writer for operations that erase; afterwards the write-ahead log does not hold the erased either.

    The log is emptied at the first moment at which nobody reads what is in it; a server that never rests for two
    seconds empties it with its next own checkpoint.
    """
    if storage.path is None:
        yield storage
        return
    writer = _ScrubbingWriter(storage.path)
    await writer.open()
    try:
        yield writer
    finally:
        await writer.close()
        await _empty_log(storage.path)


async def _empty_log(path: Path) -> None:
    for _ in range(CHECKPOINT_TRIES):
        if await asyncio.to_thread(_checkpoint, path):
            return
        await asyncio.sleep(CHECKPOINT_WAIT_S)


def _checkpoint(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            [(busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError:  # locked
            return False
        return not busy
