"""Taking somebody out of the spool.

What a living process has spooled is its own: the file is not touched, but waited for. Nothing is spooled unless the
database was away, and whoever erases has the database; so the process is bringing its spool in at that moment, and
what it brings is erased with the rest. Files of processes that have died are rewritten here, under their lock, and so
are those that nothing drains any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway import segment
from gateway.privacy.naming import Names
from gateway.segment import DAMAGED, HEADER, SUFFIX
from gateway.spool import REJECTED

LOOK_AGAIN_S = 0.2
REWRITTEN = ".rewritten"
"""What is appended to a file's name while its new content is written."""


class SpoolBusy(Exception):
    """A running process holds webhooks that name the person, and does not bring them into the database."""


async def unspool(folder: Path, names: Names, *, patience_s: float) -> int:
    """Take whatever names the person out of the spool's folder; returns how many records that were.

    Raises:
        SpoolBusy: a living process still has some after ``patience_s`` seconds.
    """
    if not names or not await asyncio.to_thread(folder.is_dir):
        return 0
    until = time.monotonic() + patience_s
    removed = await asyncio.to_thread(_unspool_unowned, folder, names)
    while True:
        more, busy = await asyncio.to_thread(_unspool_segments, folder, names)
        removed += more
        if not busy:
            return removed
        if time.monotonic() > until:
            raise SpoolBusy
        await asyncio.sleep(LOOK_AGAIN_S)


def _unspool_segments(folder: Path, names: Names) -> tuple[int, bool]:
    """Rewrite the files of dead processes; also tells whether a living one's names the person."""
    removed, busy = 0, False
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                busy = busy or _names_somebody(file.read(), names)
                continue
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                removed += _rewrite(path, file.read(), names, _replace)
    for left in folder.glob(f"*{REWRITTEN}"):  # of a command that was cut off, and whose file is gone since
        if not left.with_name(left.name.removesuffix(REWRITTEN)).exists():
            left.unlink(missing_ok=True)
    return removed, busy


def _unspool_unowned(folder: Path, names: Names) -> int:
    """Rewrite what was set aside, and what was kept of damaged files."""
    removed = 0
    for path in sorted(folder.glob(f"*{SUFFIX}{DAMAGED}")):
        removed += _rewrite(path, path.read_bytes(), names, _replace)
    with contextlib.suppress(FileNotFoundError), (folder / REJECTED).open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # for the moment of another process's write
        removed += _rewrite(folder / REJECTED, file.read(), names, _overwrite)
    return removed


def _rewrite(path: Path, content: bytes, names: Names, write: Callable[[Path, bytes], None]) -> int:
    """Write what names nobody of the person; returns how many records do."""
    pieces = list(_pieces(content))
    kept = [piece for piece in pieces if not names.in_bytes(piece)]
    if len(kept) == len(pieces):
        return 0
    if kept or write is _overwrite:
        write(path, b"".join(kept))
    else:
        path.unlink()
    return len(pieces) - len(kept)


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in a file's place; whoever waits for the old one's lock sees that it is another one."""
    new = path.with_name(path.name + REWRITTEN)
    new.touch(0o600)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _overwrite(path: Path, content: bytes) -> None:
    """Change a file in its place: whoever waits for its lock to append has it open already."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
        os.fsync(file.fileno())


def _names_somebody(content: bytes, names: Names) -> bool:
    return any(names.in_bytes(piece) for piece in _pieces(content))


def _pieces(content: bytes) -> Iterator[bytes]:
    """Cut a file into its whole records and what lies damaged between them; together they are the file."""
    offset = 0
    while offset < len(content):
        end = _end_of_record(content, offset)
        if end is None:
            end = _next_record(content, offset)
        yield content[offset:end]
        offset = end


def _next_record(content: bytes, offset: int) -> int:
    """Return where the next whole record begins behind an unreadable stretch, or the file's end."""
    start = content.find(segment.START, offset + HEADER.size + 1)
    while start >= 0 and _end_of_record(content, start - HEADER.size) is None:
        start = content.find(segment.START, start + 1)
    return len(content) if start < 0 else start - HEADER.size


def _end_of_record(content: bytes, offset: int) -> int | None:
    """Return where the record that begins here ends, or None where none does that is whole."""
    begin = offset + HEADER.size
    if begin >= len(content):
        return None
    length, checksum = HEADER.unpack(content[offset:begin])
    payload = content[begin : begin + length]
    return begin + length if 0 < length == len(payload) and zlib.crc32(payload) == checksum else None
