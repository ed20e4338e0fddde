"""One file of the spool: records, each with its length and checksum, behind a lock of the process that owns it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import struct
import tempfile
import time
import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from channels.base import Request

HEADER = struct.Struct(">II")  # length and CRC-32 of the record that follows
SUFFIX = ".spool"
DAMAGED = ".damaged"
"""What is appended to the name of a file that has been drained as far as it can be read."""
NEW = ".new"
"""What a file's name ends in until it is locked; a crash in between leaves an empty one, which nobody reads."""
BODIES = "bodies"
"""The folder beside the spool for bodies that are too large to be records; a record names its own."""
PROBE_BYTES = 65536  # of room, as for one more message
START, END = b'{"channel": ', b'"}'
"""How each record begins and ends; within one, JSON puts a backslash before the quotes."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One verified request, and when it came."""

    channel_name: str
    request: Request
    received_at: datetime


class Segment:
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


def create(folder: Path) -> Segment:
    """Make a file that is younger than all others in the folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    fd = os.open(f"{path}{NEW}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(f"{path}{NEW}").rename(path)  # under its own name it has never been unlocked: nobody else adopts it
        sync_folder(folder)
    except OSError:
        os.close(fd)
        raise
    return Segment(path, fd, 0)


def sync_folder(folder: Path) -> None:
    """Let the names of new files survive as well."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def takes_writes(folder: Path) -> bool:
    """Tell whether a file could be written and synced now, by one that leaves nothing behind."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            whole = file.write(bytes(PROBE_BYTES)) == PROBE_BYTES
            os.fsync(file.fileno())
    except OSError:
        return False
    return whole


def sync(path: Path) -> int:
    """Let a file and its name survive a power cut; returns its size in bytes."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        size = os.fstat(fd).st_size
    finally:
        os.close(fd)
    sync_folder(path.parent)
    return size


def remove_body(path: Path) -> int:
    """Delete a body's file, and return how large it was; 0 where it is gone already."""
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def append(segment: Segment, data: bytes) -> None:
    """Write records whole, or not at all; they are on disk when this returns."""
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


def append_shared(path: Path, record: bytes) -> None:
    """Append to a file that no process owns; what it holds is on disk when this returns."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # for the moment of another process's write
        append(Segment(path, fd, os.fstat(fd).st_size), record)
        sync_folder(path.parent)
    finally:
        os.close(fd)


def adopt(folder: Path, mine: set[Path]) -> list[Segment]:
    """Take over the files whose processes have died, oldest first."""
    paths = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if path not in mine]
    return [segment for path in paths if (segment := _take_over(path)) is not None]


def _take_over(path: Path) -> Segment | None:
    """Lock a file, or return None where its process lives or has finished with it meanwhile."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), path.stat()):
            return Segment(path, fd, os.fstat(fd).st_size)
    except OSError:
        pass
    os.close(fd)
    return None


def read(segment: Segment, limit: int) -> tuple[list[Arrival], int]:
    """Return the oldest records that have not been drained, and where the next one begins."""
    arrivals: list[Arrival] = []
    offset = segment.read_offset
    while len(arrivals) < limit and offset < segment.size:
        payload = _record(segment, offset)
        if payload is None:
            offset = _next_readable(segment, offset)
        else:
            try:
                arrivals.append(decode(payload, segment.path.parent))
            except (KeyError, TypeError, ValueError):  # whole, and not of our making: as good as damaged
                segment.damaged = True
            offset += HEADER.size + len(payload)
    return arrivals, offset


def _record(segment: Segment, offset: int) -> bytes | None:
    """Return the record that begins here, or None where none does that is whole."""
    room = segment.size - offset - HEADER.size
    if room <= 0:
        return None
    length, checksum = HEADER.unpack(os.pread(segment.fd, HEADER.size, offset))
    if not 0 < length <= room:
        return None
    payload = os.pread(segment.fd, length, offset + HEADER.size)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _next_readable(segment: Segment, offset: int) -> int:
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


def encode(arrival: Arrival) -> bytes:
    """Return a record as it stands in a file."""
    request = arrival.request
    payload = json.dumps(
        {
            "channel": arrival.channel_name,
            "received_at": arrival.received_at.isoformat(),
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "body": base64.b64encode(request.body).decode("ascii"),
            **({} if request.file is None else {"file": request.file.name}),
        }
    ).encode("ascii")
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def decode(payload: bytes, folder: Path) -> Arrival:
    """Read a record, whose checksum has been proved.

    Raises:
        KeyError, TypeError, ValueError: it is not of our making.
    """
    fields = json.loads(payload)
    headers = tuple((name, value) for name, value in fields["headers"])
    file = folder.with_name(BODIES) / Path(fields["file"]).name if "file" in fields else None
    request = Request(fields["method"], fields["target"], headers, base64.b64decode(fields["body"]), file)
    return Arrival(fields["channel"], request, datetime.fromisoformat(fields["received_at"]))
