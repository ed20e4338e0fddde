"""Taking somebody out of the spool.

What a living process has spooled is its own: the file is not touched, but waited for. Nothing is spooled unless the
database was away, and whoever erases has the database; so the process is bringing its spool in at that moment, and
what it brings is erased with the rest. Files of processes that have died are rewritten here, under their lock, and so
are those that nothing drains any more. A record that tells of others, too, is left to them without the person.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import segment
from gateway.privacy.naming import Names
from gateway.privacy.shares import IN_A_PROCESS, Shares
from gateway.segment import DAMAGED, HEADER, SUFFIX
from gateway.spool import REJECTED

LOOK_AGAIN_S = 0.2
IN_A_FILE = b', "file": "'
"""What is in a record whose body lies beside it."""
REWRITTEN = ".rewritten"
"""What is appended to a file's name while its new content is written."""


class SpoolBusy(Exception):
    """A running process holds webhooks that are the person's, and does not bring them into the database."""


@dataclass(frozen=True, slots=True)
class _Divided:
    """A file's content, divided."""

    kept: bytes
    removed: int
    """Records of which something was the person's."""
    bodies: tuple[Path, ...] = ()
    """Files beside it that belong to removed records."""


class Unspooling:
    """Looks for one person in a spool's folder, and takes them out."""

    def __init__(self, folder: Path, names: Names, shares: Shares) -> None:
        self._folder = folder
        self._names = names
        self._shares = shares

    async def count(self) -> int:
        """Count the records that have something of the person; nothing is touched."""
        paths = [*await self._found(f"*{SUFFIX}{DAMAGED}"), *await self._found(f"*{SUFFIX}"), self._folder / REJECTED]
        return sum([(await self._divide(await _content(path))).removed for path in paths])

    async def wait_until_free(self, patience_s: float) -> None:
        """Return when no living process holds anything of the person; nothing is touched.

        Raises:
            SpoolBusy: one still does after ``patience_s`` seconds.
        """
        until = time.monotonic() + patience_s
        while await self._is_busy():
            if time.monotonic() > until:
                raise SpoolBusy
            await asyncio.sleep(LOOK_AGAIN_S)

    async def run(self) -> int:
        """Take the person out of all files; returns how many records had something of theirs.

        Raises:
            SpoolBusy: a living process has begun to hold some since ``wait_until_free``.
        """
        removed = 0
        for path in await self._found(f"*{SUFFIX}{DAMAGED}"):
            removed += await self._rewrite_owned(path)
        for path in await self._found(f"*{SUFFIX}"):
            async with _locked(path) as is_ours:
                if is_ours:
                    removed += await self._rewrite_owned(path)
                elif (await self._divide(await _content(path))).removed:
                    raise SpoolBusy
        removed += await self._rewrite_shared(self._folder / REJECTED)
        await asyncio.to_thread(self._clear_leftovers)
        return removed

    async def _found(self, pattern: str) -> list[Path]:
        return await asyncio.to_thread(lambda: sorted(self._folder.glob(pattern)))

    async def _is_busy(self) -> bool:
        for path in await self._found(f"*{SUFFIX}"):
            async with _locked(path) as is_ours:
                if not is_ours and (await self._divide(await _content(path))).removed:
                    return True
        return False

    async def _divide(self, content: bytes) -> _Divided:
        pieces = await asyncio.to_thread(lambda: list(_pieces(content)))
        if not await self._may_name(pieces):
            return _Divided(content, 0)
        kept: list[bytes] = []
        bodies: list[Path] = []
        removed = 0
        for piece in pieces:
            left, body = await self._without(piece)
            removed += left != piece
            kept.append(left)
            bodies += [body] if body is not None else []
        return _Divided(b"".join(kept), removed, tuple(bodies))

    async def _may_name(self, pieces: list[bytes]) -> bool:
        large = [piece for piece in pieces if len(piece) > IN_A_PROCESS]
        small = [piece for piece in pieces if len(piece) <= IN_A_PROCESS]
        if await asyncio.to_thread(lambda: any(IN_A_FILE in one or self._names.in_bytes(one) for one in small)):
            return True
        for piece in large:
            if await self._shares.may_name(piece):
                return True
        return False

    async def _without(self, piece: bytes) -> tuple[bytes, Path | None]:
        """Return a piece of a file without the person, and the file of its body where that is not needed any more."""
        arrival = _decode(piece, self._folder)
        if arrival is None:  # damaged: whoever it is from, nobody will read it
            return (b"" if await self._shares.may_name(piece) else piece), None
        share = await self._shares.of(arrival.channel_name, arrival.request)
        if not share.theirs:
            return piece, None
        rest = b"" if share.rest is None else segment.encode(replace(arrival, request=share.rest))
        return rest, arrival.request.file

    async def _rewrite_owned(self, path: Path) -> int:
        """Rewrite a file that is ours for now: nobody appends to it."""
        divided = await self._divide(await _content(path))
        if divided.removed:
            await asyncio.to_thread(_replace, path, divided)
        return divided.removed

    async def _rewrite_shared(self, path: Path) -> int:
        """Rewrite a file that others may append to; what they have added meanwhile is looked through, too."""
        while True:
            content = await _content(path)
            divided = await self._divide(content)
            if not divided.removed:
                return 0
            if await asyncio.to_thread(_overwrite, path, content, divided):
                return divided.removed

    def _clear_leftovers(self) -> None:
        for left in self._folder.glob(f"*{REWRITTEN}"):  # of a command that was cut off, and whose file is gone since
            if not left.with_name(left.name.removesuffix(REWRITTEN)).exists():
                left.unlink(missing_ok=True)


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[bool]:
    """Lock a file of the spool, or tell that a living process has it; one that is gone is nobody's any more."""
    with contextlib.ExitStack() as stack:
        yield await asyncio.to_thread(_lock, path, stack)


def _lock(path: Path, stack: contextlib.ExitStack) -> bool:
    try:
        file = stack.enter_context(path.open("r+b"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True
    except OSError:
        return False


async def _content(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return await asyncio.to_thread(path.read_bytes)
    return b""


def _replace(path: Path, divided: _Divided) -> None:
    """Put a new file in a file's place; whoever waits for the old one's lock sees that it is another one."""
    new = path.with_name(path.name + REWRITTEN)
    if divided.kept:
        new.touch(0o600)
        with new.open("wb") as file:
            file.write(divided.kept)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    else:
        path.unlink(missing_ok=True)
    _remove(divided.bodies)


def _overwrite(path: Path, content: bytes, divided: _Divided) -> bool:
    """Change a file in its place, for whoever appends has it open already; False where it is longer by now."""
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # for the moment of another process's write
        if file.read() != content:
            return False
        file.seek(0)
        file.write(divided.kept)
        file.truncate()
        os.fsync(file.fileno())
    _remove(divided.bodies)
    return True


def _remove(bodies: tuple[Path, ...]) -> None:
    for body in bodies:
        body.unlink(missing_ok=True)


def _decode(piece: bytes, folder: Path) -> segment.Arrival | None:
    """Read a piece of a file; None where it is no whole record."""
    if _end_of_record(piece, 0) != len(piece):
        return None
    try:
        return segment.decode(piece[HEADER.size :], folder)
    except (KeyError, TypeError, ValueError):
        return None


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
