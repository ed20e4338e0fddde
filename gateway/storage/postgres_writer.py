"""The writer on PostgreSQL: one connection a lane, each transaction carries all of one kind that its lane has waiting.

One kind, because a transaction that goes on to another kind would hold the first one's rows while it waits for those
of the second, and the door, which locks its own in order, would wait for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any, TypeVar

import asyncpg

from gateway.storage.errors import StorageUnavailable
from gateway.storage.sql import Steps, encode
from gateway.storage.writer import MAX_BATCH, Operation, by_kind
from gateway.tasks import end

R = TypeVar("R")
Waiting = tuple[Operation[Any], "asyncio.Future[Any]"]

PROGRAM_NAME = "frontdesk"
"""How the connections that write name themselves to PostgreSQL."""
LANES = ("door", "work")
CONNECT_TIMEOUT_S = 3.0
COMMAND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0  # a server that hangs must not keep a process beyond its promised 30 s
# A row locked for over a second leaves the batch, so that it does not hold up the others; what PostgreSQL itself finds
# to be a deadlock, after its deadlock_timeout of 1 s, is rerun before that.
BATCH_LOCK_TIMEOUT_S = 1.5
ALONE_LOCK_TIMEOUT_S = 5.0
ALONE_CONNECTIONS = 6
MAX_RERUNS = 5

RERUN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
BUSY = (*RERUN, asyncpg.LockNotAvailableError)
DISCONNECTED = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# What the server says about itself: the connection, a standby, a right, a missing database or table, its resources,
# its operator, its disk, a fault of its own. Everything else is about an operation's own data. Classes of
# https://www.postgresql.org/docs/16/errcodes-appendix.html
ABOUT_ITSELF = frozenset({"08", "25", "28", "3D", "42", "53", "57", "58", "F0", "XX"})


class PostgresWriter:
    """Owns the connections that write."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._queues: dict[str, asyncio.Queue[Waiting]] = {lane: asyncio.Queue() for lane in LANES}
        self._lanes: list[asyncio.Task[None]] = []
        self._alone_slots = asyncio.Semaphore(ALONE_CONNECTIONS)
        self._alone: set[asyncio.Task[bool]] = set()
        self._behind: dict[str, asyncio.Task[bool]] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self.writable = True

    async def open(self) -> None:
        """Start the lanes; each connects with its first batch, and again after a failure."""
        self._lanes = [
            asyncio.create_task(self._work(queue), name=f"postgres-{lane}") for lane, queue in self._queues.items()
        ]

    async def close(self) -> None:
        """Commit what was submitted, as far as the server answers in time, then disconnect."""
        if not self._lanes:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for queue in self._queues.values():
                    await queue.join()
                if self._alone:
                    await asyncio.gather(*self._alone)
        await end((*self._lanes, *self._alone))
        self._lanes = []
        for future in [future for future in self._pending if not future.done()]:
            future.set_exception(StorageUnavailable("the writer is closed"))

    async def run(self, operation: Operation[R]) -> R:
        """Commit the operation together with whatever else waits in its lane."""
        if not self._lanes:
            raise StorageUnavailable("the writer is closed")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        self._queues[operation.lane].put_nowait((operation, future))
        return await future

    async def _work(self, queue: asyncio.Queue[Waiting]) -> None:
        connection: Any = None
        try:
            while True:
                batch = await _collect(queue)
                connection = await self._serve(connection, [waiting for waiting in batch if not self._follows(waiting)])
                for _ in batch:
                    queue.task_done()
        finally:
            await _disconnect(connection)

    async def _serve(self, connection: Any, batch: Sequence[Waiting]) -> Any:
        """Commit a batch kind by kind; returns the connection to use next, or None to connect again."""
        for _, places in by_kind([operation for operation, _ in batch]):
            connection = await self._serve_kind(connection, [batch[place] for place in places])
        return connection

    async def _serve_kind(self, connection: Any, batch: Sequence[Waiting]) -> Any:
        was_connected = connection is not None
        try:
            connection = connection or await self._connect(BATCH_LOCK_TIMEOUT_S)
            was_connected = True
            outcomes = await _transact(connection, [operation for operation, _ in batch])
        except asyncio.CancelledError:  # the storage closes, and the server has not answered in time
            if connection is not None:
                connection.terminate()
            raise
        except Exception as error:  # noqa: BLE001  the caller of the operation decides what its failure means
            if _is_away(error):
                self.writable = False
                _fail(batch, _unavailable(error, is_undone=not was_connected))
                await _disconnect(connection)
                return None
            self._take_apart(batch, error)
            return connection
        self.writable = True
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
        return connection

    def _take_apart(self, batch: Sequence[Waiting], error: Exception) -> None:
        """Run each operation alone and let the lane go on: one is guilty, or waits for a lock."""
        if len(batch) == 1 and not isinstance(error, BUSY):
            _fail(batch, error)
            return
        for waiting in batch:
            self._start_alone(waiting)

    def _follows(self, waiting: Waiting) -> bool:
        """Queue an operation behind the ones with its keys that run alone; tells whether there were any."""
        if any(key in self._behind for key in waiting[0].keys):
            self._start_alone(waiting)
            return True
        return False

    def _start_alone(self, waiting: Waiting) -> None:
        keys = waiting[0].keys
        before = {self._behind[key] for key in keys if key in self._behind}
        task = asyncio.create_task(self._run_alone(waiting, before))
        self._alone.add(task)
        self._behind.update(dict.fromkeys(keys, task))
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[bool]) -> None:
        self._alone.discard(task)
        self._behind = {key: last for key, last in self._behind.items() if last is not task}

    async def _run_alone(self, waiting: Waiting, before: set[asyncio.Task[bool]]) -> bool:
        """Commit one operation after those with its keys; returns False where it will be submitted again.

        What follows an operation that will be submitted again has to be so too, or it would overtake.
        """
        if before and not all(await asyncio.gather(*before)):
            _fail([waiting], StorageUnavailable("PostgreSQL: an earlier operation with the same key was not committed"))
            return False
        operation, future = waiting
        connection: Any = None
        async with self._alone_slots:
            try:
                connection = await self._connect(ALONE_LOCK_TIMEOUT_S)
                [outcome] = await _transact(connection, [operation])
            except Exception as error:  # noqa: BLE001  as above: it is the caller's to judge
                lost = isinstance(error, BUSY) or _is_away(error)
                _fail([waiting], _unavailable(error) if lost else error)
                return not lost
            else:
                if not future.done():
                    future.set_result(outcome)
                return True
            finally:
                await _disconnect(connection)

    async def _connect(self, lock_timeout_s: float) -> Any:
        return await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={
                "application_name": PROGRAM_NAME,
                "timezone": "UTC",
                "lock_timeout": str(int(lock_timeout_s * 1000)),
            },
        )


async def _collect(queue: asyncio.Queue[Waiting]) -> list[Waiting]:
    batch = [await queue.get()]
    while len(batch) < MAX_BATCH and not queue.empty():
        batch.append(queue.get_nowait())
    return batch


async def _transact(connection: Any, operations: Sequence[Operation[Any]]) -> list[Any]:
    for attempt in range(MAX_RERUNS):
        try:
            async with connection.transaction():
                return await _apply(connection, operations)
        except RERUN:
            if attempt == MAX_RERUNS - 1:
                raise
            await asyncio.sleep(random.uniform(0.005, 0.05) * (attempt + 1))
    raise AssertionError("unreachable")


async def _apply(connection: Any, operations: Sequence[Operation[Any]]) -> list[Any]:
    return await _drive(connection, type(operations[0]).apply(operations))


async def _drive(connection: Any, steps: Steps[list[R]]) -> list[R]:
    rows: list[dict[str, Any]] | None = None
    while True:
        try:
            step, records = steps.send(rows) if rows is not None else next(steps)
        except StopIteration as stop:
            results: list[R] = stop.value
            return results
        rows = [dict(row) for row in await connection.fetch(step.postgres, encode(records))]


async def _disconnect(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(*DISCONNECTED, asyncpg.PostgresError):
            await connection.close(timeout=1)


def _is_away(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, BUSY) and (error.sqlstate or "XX")[:2] in ABOUT_ITSELF
    return isinstance(error, DISCONNECTED)


def _unavailable(error: BaseException, *, is_undone: bool = False) -> StorageUnavailable:
    unavailable = StorageUnavailable(f"PostgreSQL: {type(error).__name__}")
    unavailable.__cause__ = error
    unavailable.is_undone = is_undone
    return unavailable


def _fail(batch: Sequence[Waiting], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
