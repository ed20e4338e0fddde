"""Bringing a backup back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.backups import programs
from gateway.backups.archive import Damaged, Manifest, NotABackup, read_manifest, unpack
from gateway.config import Config
from gateway.lock import AlreadyServed, OwnerLock
from gateway.storage.backups import (
    NotOurs,
    Waiting,
    count_writers,
    empty_log,
    has_tables,
    is_known,
    make_ready,
    replaced,
)
from gateway.storage.engine import is_sqlite, sqlite_path


class DataInTheWay(Exception):
    """There is data already, and nobody has said that it may go."""


class Served(Exception):
    """A process serves the database."""


class WrongKind(Exception):
    """The backup is of the other kind of database."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back."""

    manifest: Manifest
    files: int
    waiting: Waiting
    """What the next ``serve`` goes on with."""


async def restore(config: Config, source: Path, *, force: bool, now: datetime) -> Restored:
    """Bring a backup back: nothing is touched before all of it is unpacked and checked, and all of it or nothing.

    Raises:
        NotABackup, Damaged, WrongKind: it cannot be used.
        Served, DataInTheWay: it may not be.
        ProgramMissing, ProgramFailed: PostgreSQL could not take it.
        StorageUnavailable, OSError: the database is away, or the disk does not take it.
    """
    manifest = await asyncio.to_thread(read_manifest, source)
    _check(manifest, config.database.url)
    config.data.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        await _own(config.database.url, stack)
        media = config.data.dir / "media"
        if not force:
            await _refuse_data(config.database.url, media)
        beside = sqlite_path(config.database.url).parent if is_sqlite(config.database.url) else config.data.dir
        beside.mkdir(parents=True, exist_ok=True)
        database = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=beside, prefix=".restore-"))) / "database"
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=media.parent, prefix=".restore-"))
        new_media = Path(folder) / "media"
        new_media.mkdir(mode=0o700)
        await asyncio.to_thread(unpack, source, manifest, database, new_media)
        if not is_sqlite(config.database.url):
            await _check_readable(database)
        with _swapped(media, new_media):
            waiting = await _bring_back(config.database.url, database, now)
    return Restored(manifest, len(manifest.files) - 1, waiting)


def _check(manifest: Manifest, url: str) -> None:
    kind = "sqlite" if is_sqlite(url) else "postgresql"
    if manifest.database != kind:
        raise WrongKind(f"it is of a {manifest.database} database, and database.url names a {kind} one")
    if not is_known(manifest.schema_revision):
        raise NotABackup(f"its schema {manifest.schema_revision} is a later program's; update frontdesk first")


async def _own(url: str, stack: ExitStack) -> None:
    """Make sure that nobody serves the database; a SQLite file is locked against whoever starts meanwhile."""
    if not is_sqlite(url):
        if await count_writers(url):
            raise Served("a frontdesk process is connected to the database; stop all of them first")
        return
    lock = OwnerLock(sqlite_path(url))
    try:
        lock.acquire()
    except AlreadyServed as error:
        raise Served("a frontdesk process serves this database; stop it first") from error
    stack.callback(lock.release)


async def _refuse_data(url: str, media: Path) -> None:
    there = sqlite_path(url).exists() if is_sqlite(url) else await has_tables(url)
    if there or await asyncio.to_thread(lambda: any(media.glob("??/*"))):
        what = "a database" if there else f"customers' files in {media}"
        raise DataInTheWay(f"there is {what} already; --force replaces all of it")


@contextmanager
def _swapped(media: Path, new: Path) -> Iterator[None]:
    """Put a folder in the place of ``media``; where anything fails the old one comes back, else it is deleted."""
    old = media.with_name(f".{media.name}-before-{uuid.uuid4().hex}")
    if media.exists():
        media.rename(old)
    try:
        new.rename(media)
        yield
    except BaseException:
        if media.exists():
            media.rename(new)
        if old.exists():
            old.rename(media)
        raise
    shutil.rmtree(old, ignore_errors=True)


async def _check_readable(copy: Path) -> None:
    """Return if PostgreSQL's programs are there, and read the copy."""
    try:
        await programs.check(copy)
    except programs.ProgramFailed as error:
        raise Damaged(str(error)) from error


async def _bring_back(url: str, copy: Path, now: datetime) -> Waiting:
    try:
        if is_sqlite(url):
            waiting = await make_ready(f"sqlite:///{copy}", now)
            await asyncio.to_thread(_replace_sqlite, copy, sqlite_path(url))
            return waiting
        async with replaced(url):
            await programs.load(url, copy)
            return await make_ready(url, now)
    except NotOurs as error:
        raise Damaged(str(error)) from error


def _replace_sqlite(copy: Path, path: Path) -> None:
    """Put a database file in another's place; the log of the old one would be read into the new one.

    So what is in the log goes into the old file first: whoever is cut off in between has that one whole.
    """
    if path.exists():
        empty_log(path)
    for log in (f"{path}-wal", f"{path}-shm"):
        Path(log).unlink(missing_ok=True)
    copy.replace(path)
