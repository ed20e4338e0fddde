"""What arrives while the database is away: an fsynced file of this process, drained oldest first.

A record is the request as it came and when; parsing is pure, so draining reads it again and gets the same events.
What was committed and not yet deleted when the process died is read twice and falls to the unique constraints. A
file in which the disk has damaged a record is drained around it and then kept beside the spool.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import struct
import time
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from channels.base import Request

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024  # a file is deleted as a whole: small enough to free space while a long drain runs
HEADER = struct.Struct(">II")  # length and CRC-32 of the record that follows
SUFFIX = ".spool"
DAMAGED = ".damaged"
"""What is appended to the name of a file that has been drained as far as it can be read."""
START, END = b'{"channel": ', b'"}'
"""How each record begins and ends; within one, JSON puts a backslash before the quotes."""


class SpoolUnavailable(Exception):
    """The spool is full, off, or its disk does not take it; nothing was accepted."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One verified request, and when it came."""

    channel_name: str
    request: Request
    received_at: datetime


class _Segment:
    """One file, locked by the process that owns it."""

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.read_offset = 0
        self.damaged = False

    @property
    def drained(self) -> bool:
        return self.read_offset >= self.size

    def remove(self) -> None:
        """Delete the file, or move it aside where it holds what could not be read."""
        with contextlib.suppress(FileNotFoundError):
            if self.damaged:
                self.path.rename(f"{self.path}{DAMAGED}")
            else:
                self.path.unlink()
        os.close(self.fd)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of the oldest records."""

    arrivals: tuple[Arrival, ...]
    segment: _Segment
    end: int


class Spool:
    """This process's spool in ``data.dir``; ``max_bytes`` 0 turns it off."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._segments: list[_Segment] = []
        self._current: _Segment | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.changed = asyncio.Event()
        """Set when there is something to drain."""

    async def open(self) -> None:
        """Make the folder and take over what dead processes left behind."""
        if self._max_bytes:
            await asyncio.to_thread(self._folder.mkdir, 0o700, parents=True, exist_ok=True)
            await self.adopt()

    async def adopt(self) -> None:
        """Take over the files of processes that have died."""
        mine = {segment.path for segment in self._segments}
        async with self._lock:
            found = await asyncio.to_thread(_adopt, self._folder, mine)
        self._segments[:0] = found
        self._note()

    async def close(self) -> None:
        """Finish what is being written; the files stay for the next start."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
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
        return sum(segment.size for segment in self._segments) + sum(len(record) for record, _ in self._waiting)

    @property
    def accepts(self) -> bool:
        """Whether one more message would find room."""
        return 0 < self.size_bytes + 65536 <= self._max_bytes

    async def append(self, arrival: Arrival) -> None:
        """Write a record; it is on disk when this returns. Concurrent records share one fsync.

        Raises:
            SpoolUnavailable: it could not be kept.
        """
        record = _encode(arrival)
        if self.size_bytes + len(record) > self._max_bytes:
            raise SpoolUnavailable("the spool is full or off")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, written))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await written

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
                self._current = await asyncio.to_thread(_create, self._folder)
                self._segments.append(self._current)
            await asyncio.to_thread(_append, self._current, data)
        except OSError as error:
            for _, written in batch:
                if not written.done():
                    written.set_exception(SpoolUnavailable(f"the spool's disk: {error.strerror}"))
            self._note()  # a file in which nothing could be written is removed by the next read
            return
        for _, written in batch:
            if not written.done():
                written.set_result(None)
        self._note()

    async def read(self, limit: int) -> Batch | None:
        """Return the oldest records that have not been drained, or None where there are none."""
        async with self._lock:
            for segment in list(self._segments):
                if segment.drained:
                    await self._remove(segment)
                    continue
                arrivals, end = await asyncio.to_thread(_read, segment, limit)
                if not arrivals:  # the rest is torn, and was never acknowledged, or is damaged
                    segment.read_offset = segment.size
                    await self._remove(segment)
                    continue
                return Batch(tuple(arrivals), segment, end)
            self._note()
            return None

    async def drained(self, batch: Batch) -> None:
        """Note that these records are committed; a file whose records all are is deleted."""
        async with self._lock:
            batch.segment.read_offset = batch.end
            if batch.segment.drained:
                await self._remove(batch.segment)
            self._note()

    async def _remove(self, segment: _Segment) -> None:
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


def _create(folder: Path) -> _Segment:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder_fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(folder_fd)  # the file's name must survive as well
    finally:
        os.close(folder_fd)
    return _Segment(path, fd, 0)


def _append(segment: _Segment, data: bytes) -> None:
    try:
        view, offset = memoryview(data), segment.size  # over whatever a failed write has left there
        while view:
            written = os.pwrite(segment.fd, view, offset)
            view, offset = view[written:], offset + written
        os.fsync(segment.fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(segment.fd, segment.size)  # a half record must not hide the ones after it
        raise
    segment.size += len(data)


def _adopt(folder: Path, mine: set[Path]) -> list[_Segment]:
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path in mine:
            continue
        fd = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)  # its process lives
            continue
        found.append(_Segment(path, fd, os.fstat(fd).st_size))
    return found


def _read(segment: _Segment, limit: int) -> tuple[list[Arrival], int]:
    arrivals: list[Arrival] = []
    offset = segment.read_offset
    while len(arrivals) < limit and offset < segment.size:
        payload = _record(segment, offset)
        if payload is None:
            offset = _next_readable(segment, offset)
        else:
            arrivals.append(_decode(payload))
            offset += HEADER.size + len(payload)
    return arrivals, offset


def _record(segment: _Segment, offset: int) -> bytes | None:
    """Return the record that begins here, or None where none does that is whole."""
    room = segment.size - offset - HEADER.size
    if room <= 0:
        return None
    length, checksum = HEADER.unpack(os.pread(segment.fd, HEADER.size, offset))
    if not 0 < length <= room:
        return None
    payload = os.pread(segment.fd, length, offset + HEADER.size)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _next_readable(segment: _Segment, offset: int) -> int:
    """Return where the next whole record behind an unreadable one begins, or the file's end."""
    rest = os.pread(segment.fd, segment.size - offset, offset)
    start = rest.find(START, HEADER.size + 1)
    while start >= 0 and _record(segment, offset + start - HEADER.size) is None:
        start = rest.find(START, start + 1)
    if start >= 0 or not _is_torn(rest):
        segment.damaged = True
    return segment.size if start < 0 else offset + start - HEADER.size


def _is_torn(rest: bytes) -> bool:
    """Tell whether a file ends in the beginning of a record: a crash came before it was acknowledged."""
    written = rest.rstrip(b"\0")  # a power cut may leave room in which nothing was written
    if len(written) < HEADER.size:
        return True
    length, _ = HEADER.unpack(written[: HEADER.size])
    return len(written) < HEADER.size + length and not written.endswith(END)


def _encode(arrival: Arrival) -> bytes:
    request = arrival.request
    payload = json.dumps(
        {
            "channel": arrival.channel_name,
            "received_at": arrival.received_at.isoformat(),
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode("ascii"),
        }
    ).encode("ascii")
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _decode(payload: bytes) -> Arrival:
    fields = json.loads(payload)
    headers = tuple((name, value) for name, value in fields["headers"])
    request = Request(fields["method"], fields["target"], headers, base64.b64decode(fields["body"]))
    return Arrival(fields["channel"], request, datetime.fromisoformat(fields["received_at"]))
