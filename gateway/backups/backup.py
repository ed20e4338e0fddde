"""Making a backup, while customers are served."""

from __future__ import annotations

import asyncio
import os
import platform
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gateway.backups import programs
from gateway.backups.archive import DATABASES, Manifest, Writing, media_name
from gateway.config import Config
from gateway.storage import Storage
from gateway.storage.backups import copy_sqlite
from gateway.storage.schema import HEAD

DISTRIBUTION = "frontdesk-gateway"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What is in a new backup."""

    files: int
    """Customers' files."""
    size_bytes: int


async def back_up(config: Config, storage: Storage, target: Path, *, now: datetime) -> BackedUp:
    """Write the database and customers' files to one file, which is there whole or not at all.

    The database is copied first: a file that comes meanwhile is packed without harm, and none is missed that the copy
    names. The spool is left out; what is in it is not accepted until it is in a database.

    Raises:
        ProgramMissing, ProgramFailed: PostgreSQL could not be copied.
        StorageUnavailable: the database is away.
        OSError: the file cannot be written.
    """
    installation_id = await storage.installation_id()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        database = Path(folder) / "database"
        if storage.path is not None:
            await asyncio.to_thread(copy_sqlite, storage.path, database)
        else:
            await programs.dump(config.database.url, database)
        kind = "sqlite" if storage.is_sqlite else "postgresql"
        archive = Path(folder) / "archive"
        return await asyncio.to_thread(
            _pack, archive, target, database, config.data.dir / "media", kind, installation_id, now
        )


def _pack(
    archive: Path, target: Path, database: Path, media: Path, kind: str, installation_id: str | None, now: datetime
) -> BackedUp:
    archive.touch(0o600)
    with archive.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            writing = Writing(tar)
            writing.add(DATABASES[kind], database)
            files = sum(_add(writing, path) for path in sorted(media.glob("??/*")))
            writing.finish(
                Manifest(
                    made_at=now,
                    database="sqlite" if kind == "sqlite" else "postgresql",
                    schema_revision=HEAD,
                    installation_id=installation_id,
                    versions=_versions(),
                    files=writing.files,
                )
            )
        file.flush()
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    archive.replace(target)
    return BackedUp(files, size)


def _add(writing: Writing, path: Path) -> bool:
    name = media_name(path)
    if name is None:
        return False
    try:
        writing.add(name, path)
    except FileNotFoundError:  # erased since the folder was listed
        return False
    return True


def _versions() -> dict[str, str]:
    try:
        program = version(DISTRIBUTION)
    except PackageNotFoundError:  # started from its source, and installed nowhere
        program = "unknown"
    return {"frontdesk": program, "python": platform.python_version()}
