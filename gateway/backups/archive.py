"""The file of a backup: a tar of the database, customers' files, and at its end a manifest with everything's hash."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

MANIFEST = "manifest.json"
FORMAT = 1
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
"""Which database -> what its copy is named."""
BLOCK_BYTES = 1024 * 1024
MAX_MANIFEST_BYTES = 1024 * 1024 * 1024

_MEDIA = re.compile(r"media/([0-9a-f]{2})/(\1[0-9a-f]{62})")


class NotABackup(Exception):
    """The file is no backup that this program can read."""


class Damaged(Exception):
    """The backup is not what was written."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of."""

    made_at: str
    database: str
    """``sqlite`` or ``postgresql``."""
    schema_revision: str
    installation_id: str | None
    versions: Mapping[str, str]
    files: Mapping[str, str]
    """Name in the tar -> SHA-256, hex."""
    format: int = FORMAT


class Writing:
    """A tar that is being written; each file is hashed on its way."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.files: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file.

        Raises:
            FileNotFoundError: it is gone.
        """
        with path.open("rb") as file:
            hashing = _Hashing(file)
            self._archive.addfile(_member(name, os.fstat(file.fileno()).st_size), hashing)  # type: ignore[arg-type]
        self.files[name] = hashing.sha256.hexdigest()

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest."""
        content = json.dumps(asdict(manifest), indent=2).encode()
        self._archive.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Read the next bytes."""
        data = self._file.read(size)
        self.sha256.update(data)
        return data


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says about itself.

    Raises:
        NotABackup: it is none, or a later program's.
        OSError: it cannot be opened.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            member = archive.getmember(MANIFEST)
            file = archive.extractfile(member)
            if file is None or member.size > MAX_MANIFEST_BYTES:
                raise NotABackup("its manifest is none")
            fields = json.loads(file.read())
        if fields["format"] != FORMAT:
            raise NotABackup(f"it has format {fields['format']}, and this program reads {FORMAT}")
        manifest = Manifest(**fields)
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise NotABackup("it is no backup of Frontdesk, or its end is missing") from error
    if DATABASES.get(manifest.database) not in manifest.files:
        raise NotABackup("there is no database in it")
    return manifest


def unpack(path: Path, manifest: Manifest, database: Path, media: Path) -> None:
    """Write a backup's database to one place and its files into another, and check each against its hash.

    Raises:
        Damaged: something is missing, changed, or was never in there.
        OSError: it cannot be read, or the disk does not take it.
    """
    left = dict(manifest.files)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.name == MANIFEST:
                    continue
                wanted = left.pop(member.name, None)
                file = archive.extractfile(member)
                if wanted is None or file is None:
                    raise Damaged(f"{member.name} is in it, and not in its manifest")
                if _copy(file, _place(member.name, manifest, database, media)) != wanted:
                    raise Damaged(f"{member.name} is not what was written")
    except tarfile.TarError as error:
        raise Damaged("it cannot be read to its end") from error
    if left:
        raise Damaged(f"{next(iter(left))} is missing")


def _place(name: str, manifest: Manifest, database: Path, media: Path) -> Path:
    """Return where a file goes; a name that is not of our making could lead anywhere."""
    if name == DATABASES[manifest.database]:
        return database
    found = _MEDIA.fullmatch(name)
    if found is None:
        raise Damaged(f"{name} is no name that a backup has")
    return media / found[1] / found[2]


def _copy(file: IO[bytes], target: Path) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    target.touch(0o600)
    with target.open("wb") as copy:
        for block in _blocks(file):
            sha256.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return sha256.hexdigest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def media_name(path: Path) -> str | None:
    """Return what a file of ``media/`` is named in a backup, or None for one that is not a customer's."""
    name = f"media/{path.parent.name}/{path.name}"
    return name if _MEDIA.fullmatch(name) else None
