"""The writer on SQLite: one thread, one connection, one transaction for everything that is waiting."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from gateway.storage.engine import make_private
from gateway.storage.errors import StorageUnavailable
from gateway.storage.sql import Steps, decode_row, encode
from gateway.storage.writer import MAX_BATCH, Operation, by_kind

R = TypeVar("R")
Waiting = tuple[Operation[Any], "asyncio.Future[Any]"]

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a 2xx means that the message survives a power cut
    "busy_timeout=5000",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "secure_delete=ON",  # what is erased is gone from the file, too
)


class SqliteWriter:
    """Owns the one connection that writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: sqlite3.Connection | None = None
        self.writable = True

    async def open(self) -> None:
        """Start the thread; the database itself is opened by the first batch, and again after a failure."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what was submitted, then stop the thread."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def run(self, operation: Operation[R]) -> R:
        """Commit the operation together with whatever else waits."""
        if self._loop is None or self._thread is None:
            raise StorageUnavailable("the writer is closed")
        future: asyncio.Future[R] = self._loop.create_future()
        self._queue.put((operation, future))
        return await future

    # --- everything below runs in the thread ---

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._collect()
            if batch:
                outcomes = self._transact([operation for operation, _ in batch])
                self._report(batch, outcomes)
        self._disconnect()

    def _collect(self) -> tuple[list[Waiting], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _transact(self, operations: Sequence[Operation[Any]]) -> list[Any]:
        """Return a result or an exception for each operation; nothing escapes, or its callers would wait for ever."""
        outcomes: list[Any] = [None] * len(operations)
        is_undone = True
        try:
            connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            for kind, places in by_kind(operations):
                self._apply(connection, kind, places, operations, outcomes)
            is_undone = False
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  all who wait learn of it, and the thread goes on with the next batch
            self._disconnect()
            self.writable = False
            said = str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
            unavailable = StorageUnavailable(f"SQLite: {said}")
            unavailable.__cause__ = error
            unavailable.is_undone = is_undone
            return [unavailable] * len(operations)
        self.writable = True
        return outcomes

    def _apply(
        self,
        connection: sqlite3.Connection,
        kind: type[Operation[Any]],
        places: Sequence[int],
        operations: Sequence[Operation[Any]],
        outcomes: list[Any],
    ) -> None:
        group = [operations[place] for place in places]
        results = self._attempt(connection, kind, group)
        if isinstance(results, Exception) and len(group) > 1:
            results = []
            for operation in group:
                alone = self._attempt(connection, kind, [operation])
                results.append(alone if isinstance(alone, Exception) else alone[0])
        elif isinstance(results, Exception):
            results = [results]
        for place, result in zip(places, results, strict=True):
            outcomes[place] = result

    def _attempt(
        self, connection: sqlite3.Connection, kind: type[Operation[Any]], group: list[Operation[Any]]
    ) -> list[Any] | Exception:
        connection.execute("SAVEPOINT attempt")
        try:
            results = _drive(connection, kind.apply(group))
            if len(results) != len(group):
                raise RuntimeError(f"{kind.__name__}: {len(results)} results of {len(group)} operations")
        except sqlite3.OperationalError:
            raise  # the file, the disk or the lock: not this operation's fault
        except Exception as error:  # noqa: BLE001  the caller of the operation decides what its failure means
            connection.execute("ROLLBACK TO attempt")
            connection.execute("RELEASE attempt")
            return error
        connection.execute("RELEASE attempt")
        return results

    def _report(self, batch: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in batch], outcomes)
        except RuntimeError:
            return  # the loop is gone, and with it everyone who waited

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            make_private(self._path)
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.create_function("frontdesk_unbase64", 1, base64.b64decode, deterministic=True)
            connection.create_function("frontdesk_digits", 1, _digits, deterministic=True)
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(Exception):
                connection.close()  # rolls back what was open


def _digits(text: str | None) -> str | None:
    return None if text is None else "".join(filter("0123456789".__contains__, text))


def _drive(connection: sqlite3.Connection, steps: Steps[list[R]]) -> list[R]:
    rows: list[dict[str, Any]] | None = None
    while True:
        try:
            step, records = steps.send(rows) if rows is not None else next(steps)
        except StopIteration as stop:
            results: list[R] = stop.value
            return results
        if step.sqlite is None:
            rows = []
            continue
        cursor = connection.execute(step.sqlite, (encode(records),))
        names = [column[0] for column in cursor.description or ()]
        rows = [decode_row(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _resolve(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
