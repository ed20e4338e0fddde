"""The file of a backup: a tar of the database, customers' files, and at its end a manifest with everything's hash."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST = "manifest.json"
FORMAT = 1
DATABASES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
"""Which database -> what its copy is named."""
BLOCK_BYTES = 1024 * 1024
LEAST_MANIFEST_BYTES = 64 * 1024
BYTES_A_FILE = 200
"""A manifest needs 150 for a file: one that is larger than its archive's files account for is none of ours."""
TOLD = 80
"""Characters of a stranger's name that are repeated."""

_MEDIA = re.compile(r"media/([0-9a-f]{2})/(\1[0-9a-f]{62})")


class NotABackup(Exception):
    """The file is no backup that this program can read."""


class Damaged(Exception):
    """The backup is not what was written."""


Word = Annotated[str, Field(max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What a backup is of."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    made_at: datetime
    database: Literal["sqlite", "postgresql"]
    schema_revision: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,32}$")]
    installation_id: Word | None
    versions: Annotated[Mapping[Word, Word], Field(max_length=20)]
    files: Mapping[str, Sha256]
    """Name in the tar -> SHA-256, hex."""
    format: Literal[1] = 1


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
        content = manifest.model_dump_json(indent=2).encode()
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
        Damaged: something is in it that no backup has.
        OSError: it cannot be opened.
    """
    try:
        with _opened(path) as archive:
            manifest = _manifest(archive, list(_members(archive, path)))
    except _UNREADABLE as error:
        raise NotABackup("it is no backup of Frontdesk, or its end is missing") from error
    if DATABASES[manifest.database] not in manifest.files:
        raise NotABackup("there is no database in it")
    return manifest


def _manifest(archive: tarfile.TarFile, members: list[tarfile.TarInfo]) -> Manifest:
    [member] = [member for member in members if member.name == MANIFEST]
    if member.size > LEAST_MANIFEST_BYTES + BYTES_A_FILE * len(members):
        raise NotABackup("its manifest is none")
    fields: Any = json.loads(_content(archive, member).read())
    if fields["format"] != FORMAT:
        raise NotABackup(f"it has another format than {FORMAT}, which is what this program reads")
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"][:1]))
        raise NotABackup(f"its manifest is none: {where} does not hold") from error


def unpack(path: Path, manifest: Manifest, database: Path, media: Path) -> None:
    """Write a backup's database to one place and its files into another, and check each against its hash.

    Raises:
        Damaged: something is missing, changed, or was never in there.
        OSError: it cannot be read, or the disk does not take it.
    """
    left = dict(manifest.files)
    try:
        with _opened(path) as archive:
            for member in _members(archive, path):
                if member.name == MANIFEST:
                    continue
                wanted = left.pop(member.name, None)
                if wanted is None:
                    raise Damaged(f"{member.name[:TOLD]} is in it, and not in its manifest")
                if _copy(_content(archive, member), _place(member.name, manifest, database, media)) != wanted:
                    raise Damaged(f"{member.name[:TOLD]} is not what was written")
    except _UNREADABLE as error:
        raise Damaged("it cannot be read to its end") from error
    if left:
        raise Damaged(f"{next(iter(left))[:TOLD]} is missing")


_UNREADABLE = (tarfile.TarError, ArithmeticError, EOFError, LookupError, RecursionError, TypeError, ValueError)
"""What ``tarfile`` and ``json`` raise over what somebody has made up."""


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive, uncompressed as ours are: nothing that is read from it is larger than it is itself."""
    with path.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                yield archive
        except OSError as error:
            # A place that no file has; what the disk says about its own faults is told as it is.
            raise (tarfile.ReadError(str(error)) if error.errno in _NO_PLACE else error) from error


_NO_PLACE = frozenset({errno.EINVAL, errno.EOVERFLOW})


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Go through an archive, and stop at what no backup has: it could be small, and tell of endless contents.

    A sparse file says itself how large it becomes, and a global header is copied to each member.
    """
    end = path.stat().st_size
    for member in archive:
        is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not is_plain or not member.pax_headers.keys() <= {"size"}:
            raise Damaged(f"{member.name[:TOLD]} is no plain file")
        if not 0 <= member.size <= end - member.offset_data:
            raise Damaged(f"{member.name[:TOLD]} is not whole")
        yield member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None  # a plain file has a content
    return file


def _place(name: str, manifest: Manifest, database: Path, media: Path) -> Path:
    """Return where a file goes; a name that is not of our making could lead anywhere."""
    if name == DATABASES[manifest.database]:
        return database
    found = _MEDIA.fullmatch(name)
    if found is None:
        raise Damaged(f"{name[:TOLD]} is no name that a backup has")
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
