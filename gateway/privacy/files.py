"""Customers' files that nobody's message has any more."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.media import MediaStore
from gateway.storage import Storage
from gateway.storage.retention import FilesInUse

AT_ONCE = 500
SETTLE_S = 1.0
"""From the moment at which the same bytes are found to be there already to the commit of whoever sent them."""
REST_S = 24 * 3600.0
"""How long a file may lie there before the message that it belongs to says so."""
LEAVING = ".leaving"
"""What is appended to a file's name before it is deleted."""

_HASH = re.compile(r"[0-9a-f]{64}")


async def drop_files(storage: Storage, media: MediaStore, hashes: Iterable[str], *, settle_s: float = SETTLE_S) -> int:
    """Delete the files of these hashes that no message has; returns how many.

    Each is moved aside first: somebody who is sent the same bytes at that moment either finds the file gone, and
    stores it anew, or has found it there, and is seen by the second look.
    """
    gone = 0
    wanted = sorted(hashes)
    for some in (tuple(wanted[start : start + AT_ONCE]) for start in range(0, len(wanted), AT_ONCE)):
        used = await storage.run(FilesInUse(some))
        aside = [sha256 for sha256 in some if sha256 not in used and _move(media.path(sha256), aside=True)]
        if aside:
            await asyncio.sleep(settle_s)
            used = await storage.run(FilesInUse(tuple(aside)))
            gone += await asyncio.to_thread(_settle, media, aside, used)
    return gone


async def sweep_files(storage: Storage, media: MediaStore, folder: Path, *, settle_s: float = SETTLE_S) -> int:
    """Delete the files that nobody's message has and that have lain there for a day; returns how many."""
    before = time.time() - REST_S
    await asyncio.to_thread(_clear_leftovers, folder, before)
    hashes = await asyncio.to_thread(lambda: list(_resting(folder, before)))
    return await drop_files(storage, media, hashes, settle_s=settle_s)


def _move(path: Path, *, aside: bool) -> bool:
    """Move a file aside or back; False where there is none."""
    there, here = path, path.with_name(path.name + LEAVING)
    try:
        (there if aside else here).rename(here if aside else there)
    except FileNotFoundError:
        return False
    return True


def _settle(media: MediaStore, hashes: Iterable[str], used: frozenset[str]) -> int:
    gone = 0
    for sha256 in hashes:
        path = media.path(sha256)
        if sha256 in used and not path.exists():
            _move(path, aside=False)
        else:
            path.with_name(path.name + LEAVING).unlink(missing_ok=True)
            gone += 1
    return gone


def _resting(folder: Path, before: float) -> Iterator[str]:
    for path in folder.glob("??/*"):
        if _HASH.fullmatch(path.name) and _is_older(path, before):
            yield path.name


def _clear_leftovers(folder: Path, before: float) -> None:
    """Finish what a process that was killed has begun: a download, or a deletion, which begins again."""
    for path in folder.glob("??/*.tmp"):
        if _is_older(path, before):
            path.unlink(missing_ok=True)
    for path in folder.glob(f"??/*{LEAVING}"):
        if _is_older(path, before):
            path.replace(path.with_name(path.name.removesuffix(LEAVING)))


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
