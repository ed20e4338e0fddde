"""What arrives while the database is away: an fsynced file of this process, drained oldest first.

A record is the request as it came and when; parsing is pure, so draining reads it again and gets the same events.
What was committed and not yet deleted when the process died is read twice and falls to the unique constraints. A
file in which the disk has damaged a record is drained around it and then kept beside the spool, and so is a record
that the database refuses in every form.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gateway import segment as segments
from gateway.segment import DAMAGED, PROBE_BYTES, Arrival, Segment
from gateway.tasks import end

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024  # a file is deleted as a whole: small enough to free space while a long drain runs
REJECTED = "rejected"
"""The file of the records that the database refuses in every form; renamed to ``*.spool`` they are drained again."""
PROBE_EVERY_S = 1.0
LONG_BYTES = 256 * 1024
ABANDONED_S = 24 * 3600.0
"""After this, a body that no record names is what a dead process was being sent."""


class SpoolUnavailable(Exception):
    """The spool is full, off, or its disk does not take it; nothing was accepted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the oldest records."""

    arrivals: tuple[Arrival, ...]
    segment: Segment
    end: int


class Spool:
    """This process's spool in ``data.dir``; ``max_bytes`` 0 turns it off."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.bodies = folder.with_name(segments.BODIES)
        """Where large bodies are put as they come in: a record names its own, and takes it along when it is drained."""
        self._bodies_bytes = 0
        self._probing: asyncio.Task[None] | None = None
        """Runs from a failed write until the disk takes something again."""
        self.changed = asyncio.Event()
        """Set when there is something to drain."""

    async def open(self) -> None:
        """Make the folder and take over what dead processes left behind."""
        await asyncio.to_thread(self.bodies.mkdir, 0o700, parents=True, exist_ok=True)
        if self._max_bytes:
            await self.adopt()
            if not await asyncio.to_thread(segments.takes_writes, self._folder):
                self._note_failure()

    async def adopt(self) -> None:
        """Take over the files of processes that have died."""
        mine = {segment.path for segment in self._segments}
        async with self._lock:
            found = await asyncio.to_thread(segments.adopt, self._folder, mine)
        self._segments[:0] = found
        self._bodies_bytes = await asyncio.to_thread(self._tidy_bodies)
        self._note()

    def _tidy_bodies(self) -> int:
        """Return how much the bodies take; those that no record of any process can name any more go."""
        size = 0
        has_records = any(self._folder.glob(f"*{segments.SUFFIX}"))
        for path in self.bodies.iterdir() if self.bodies.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # another process has just finished with it
                found = path.stat()
                if not has_records and time.time() - found.st_mtime > ABANDONED_S:
                    path.unlink()
                else:
                    size += found.st_size
        return size

    async def close(self) -> None:
        """Finish what is being written; the files stay for the next start."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        if self._probing is not None:
            await end((self._probing,))
        for segment in self._segments:
            os.close(segment.fd)
        self._segments = []

    @property
    def active(self) -> bool:
        """Whether anything is in the spool or on its way there: then everything has to go there, to keep its order."""
        return bool(self._segments or self._waiting or self._flushing)

    @property
    def size_bytes(self) -> int:
        """How much the spool holds."""
        waiting = sum(len(record) for record, _ in self._waiting)
        return sum(segment.size for segment in self._segments) + waiting + self._bodies_bytes

    @property
    def broken(self) -> bool:
        """Whether the disk took nothing when it was last tried."""
        return self._probing is not None

    @property
    def accepts(self) -> bool:
        """Whether one more message would find room on a disk that takes it."""
        return not self.broken and 0 < self.size_bytes + PROBE_BYTES <= self._max_bytes

    async def append(self, arrival: Arrival) -> None:
        """Write a record; it is on disk when this returns. Concurrent records share one fsync.

        Raises:
            SpoolUnavailable: it could not be kept.
        """
        record = await _encoded(arrival)
        body_bytes = await self._sync_body(arrival)
        if self.size_bytes + len(record) + body_bytes > self._max_bytes:
            raise SpoolUnavailable("the spool is full or off")
        self._bodies_bytes += body_bytes
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, written))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        try:
            await written
        except SpoolUnavailable:
            self._bodies_bytes -= body_bytes
            raise

    async def _sync_body(self, arrival: Arrival) -> int:
        """Let a body that lies in a file survive too, and return its size; 0 where it is in the record."""
        if arrival.request.file is None:
            return 0
        try:
            return await asyncio.to_thread(segments.sync, arrival.request.file)
        except OSError as error:
            raise SpoolUnavailable(f"the spool's disk: {error.strerror}") from error

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                async with self._lock:
                    await self._write(batch)
        finally:
            self._flushing = None

    async def _write(self, batch: Iterable[tuple[bytes, asyncio.Future[None]]]) -> None:
        data = b"".join(record for record, _ in batch)
        try:
            if self._current is None or self._current.size > SEGMENT_BYTES:
                self._current = await asyncio.to_thread(segments.create, self._folder)
                self._segments.append(self._current)
            await asyncio.to_thread(segments.append, self._current, data)
        except OSError as error:
            for _, written in batch:
                if not written.done():
                    written.set_exception(SpoolUnavailable(f"the spool's disk: {error.strerror}"))
            self._note()  # a file in which nothing could be written is removed by the next read
            self._note_failure()
            return
        for _, written in batch:
            if not written.done():
                written.set_result(None)
        self._note()

    async def set_aside(self, arrival: Arrival) -> Path:
        """Keep a record beside the spool, from where nothing drains it; returns the file that has it.

        Raises:
            SpoolUnavailable: it could not be kept.
        """
        if not self._max_bytes:
            raise SpoolUnavailable("the spool is off")
        path = self._folder / REJECTED
        try:
            request = await asyncio.to_thread(arrival.request.in_memory)  # the file of its body goes when it is drained
            arrival = replace(arrival, request=request)
            async with self._lock:
                await asyncio.to_thread(segments.append_shared, path, await _encoded(arrival))
        except OSError as error:
            self._note_failure()
            raise SpoolUnavailable(f"the spool's disk: {error.strerror}") from error
        return path

    async def read(self, limit: int) -> Batch | None:
        """Return the oldest records that have not been drained, or None where there are none."""
        async with self._lock:
            for segment in list(self._segments):
                if segment.drained:
                    await self._remove(segment)
                    continue
                arrivals, end = await asyncio.to_thread(segments.read, segment, limit)
                if not arrivals:  # the rest is torn, and was never acknowledged, or is damaged
                    segment.read_offset = segment.size
                    await self._remove(segment)
                    continue
                return Batch(tuple(arrivals), segment, end)
            self._note()
            return None

    async def drained(self, batch: Batch) -> None:
        """Note that these records are committed; a file whose records all are is deleted, and so are their bodies."""
        for arrival in batch.arrivals:
            if arrival.request.file is not None:
                self._bodies_bytes -= await asyncio.to_thread(segments.remove_body, arrival.request.file)
        async with self._lock:
            batch.segment.read_offset = batch.end
            if batch.segment.drained:
                await self._remove(batch.segment)
            self._note()

    async def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        if segment is self._current:
            self._current = None
        await asyncio.to_thread(segment.remove)
        if segment.damaged:
            log.error("spool_file_damaged", path=f"{segment.path}{DAMAGED}")

    def _note(self) -> None:
        if self._segments:
            self.changed.set()
        else:
            self.changed.clear()

    def _note_failure(self) -> None:
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Try the disk until it takes something: whoever is told that nothing is accepted may send nothing more."""
        while True:
            if await asyncio.to_thread(segments.takes_writes, self._folder):
                self._probing = None
                return
            await asyncio.sleep(PROBE_EVERY_S)


async def _encoded(arrival: Arrival) -> bytes:
    """Write a record; the loop does not wait for a long one."""
    if len(arrival.request.body) <= LONG_BYTES:
        return segments.encode(arrival)
    return await asyncio.to_thread(segments.encode, arrival)
