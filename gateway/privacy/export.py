"""Everything about a person as one ZIP: ``data.json``, whose shape docs/privacy.md describes, and their files."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.media import MediaStore
from gateway.privacy.meant import names_of
from gateway.privacy.shares import Shares, request_of
from gateway.reader import Readers
from gateway.roster import Roster
from gateway.storage import Storage
from gateway.storage.portraits import ReadPerson, Row
from gateway.storage.privacy import Person

FORMAT = 1
"""Raised when a name in ``data.json`` changes its meaning."""
CONSENT = ("channel_name", "address", "opted_out_at", "consent_at", "marketing_opted_out_at", "marketing_said_at")


@dataclass(frozen=True, slots=True)
class Exported:
    """What is in the ZIP."""

    counts: Mapping[str, int]
    """By part of ``data.json``; parts without entries are left out."""
    files: int
    missing: int
    """Files whose bytes are not in ``data.dir``, on another machine's disk for one."""


async def export_person(
    storage: Storage, roster: Roster, data_dir: Path, person: Person, target: Path, *, now: datetime
) -> Exported:
    """Write everything about a person to a ZIP, which is there whole or not at all, for its owner's eyes only.

    Raises:
        StorageUnavailable: the database is away.
        OSError: the file cannot be written.
    """
    parts = await read_person(storage, roster, data_dir, person)
    media = MediaStore(data_dir / "media")
    files = _name_files(parts["attachments"])
    missing = await asyncio.to_thread(
        _write, target, {"format": FORMAT, "exported_at": now.isoformat(), **parts}, files, media
    )
    counts = {part: len(rows) for part, rows in parts.items() if rows}
    return Exported(counts, len(files) - missing, missing)


async def read_person(storage: Storage, roster: Roster, data_dir: Path, person: Person) -> dict[str, list[Row]]:
    """Return everything about a person, by the parts of ``data.json``.

    Raises:
        StorageUnavailable: the database is away.
    """
    parts: dict[str, list[Row]] = await storage.run(ReadPerson(person.seeds))
    parts["consent"] = [{name: row[name] for name in CONSENT} for row in parts["addresses"]]
    readers = Readers()
    try:
        shares = Shares(roster, readers, names_of(roster, person.names))
        parts["webhooks"] = await _webhooks_of(storage, shares, MediaStore(data_dir / "media"))
    finally:
        await readers.close()
    return parts


async def _webhooks_of(storage: Storage, shares: Shares, media: MediaStore) -> list[Row]:
    """Return the person's part of the webhooks that could not be read and were kept."""
    found: list[Row] = []
    last_id = 0
    while rows := await storage.quotes.webhooks(last_id):
        for row in rows:
            last_id = row.id or 0
            share = await shares.of(row.channel_name, request_of(row, media))
            if share.theirs:
                found.append({"id": last_id, "text": share.theirs.decode("utf-8", "replace")})
    return found


def _name_files(attachments: Sequence[Row]) -> dict[str, str]:
    """Give each stored attachment its place in the ZIP; returns hash by place."""
    files: dict[str, str] = {}
    for row in attachments:
        if row["sha256"]:
            row["file"] = f"media/{row['sha256']}{_suffix(row['content_type'])}"
            files[row["file"]] = row["sha256"]
    return files


def _suffix(content_type: str) -> str:
    """Return an ending for people's programs; the type is the sender's word."""
    kind = content_type.partition("/")[2]
    return f".{kind}" if kind.isascii() and kind.isalnum() else ""


def _write(target: Path, data: Mapping[str, Any], files: Mapping[str, str], media: MediaStore) -> int:
    missing = 0
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("data.json", json.dumps(data, indent=2, ensure_ascii=False))
                for name, sha256 in files.items():
                    try:
                        archive.write(media.path(sha256), name)
                    except FileNotFoundError:
                        missing += 1
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return missing
