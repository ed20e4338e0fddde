"""Customers' files: kept once, whoever sends them at the same time, and never a turn's undoing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.abilities import Media as Fetched
from channels.http import Http
from gateway.clock import utc_now
from gateway.media import MAX_BYTES, Media, MediaStore
from gateway.roster import Roster
from gateway.storage import Storage, StoredAttachment
from gateway.tasks import end
from tests.loopback import LoopbackChannel, roster_of
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_direct import begin


async def test_one_picture_from_many_at_once_is_kept_once(tmp_path: Path) -> None:
    """Ten customers forward the same picture in the same moment: each gets its hash, one file remains."""
    store = MediaStore(tmp_path)
    picture = b"\x89PNG" * 500_000
    hashes = await asyncio.gather(*(store.put(picture) for _ in range(10)))

    assert set(hashes) == {hashlib.sha256(picture).hexdigest()}
    assert [path.read_bytes() == picture for path in tmp_path.rglob("*") if path.is_file()] == [True]


async def test_what_is_kept_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are synced, then its name, and the names of the folders that were made for it."""
    fsync, synced = os.fsync, []

    def record(fd: int) -> None:
        fsync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        synced.append((path.relative_to(tmp_path).as_posix(), sorted(entry.name for entry in path.glob("*"))))

    monkeypatch.setattr(os, "fsync", record)
    store = MediaStore(tmp_path / "data" / "media")
    sha256 = await store.put(b"picture")
    first = [(name, held) for name, held in synced if not name.endswith(".tmp")]
    await store.put(b"picture")
    folder = f"data/media/{sha256[:2]}"

    assert first == [(".", ["data"]), ("data", ["media"]), ("data/media", [sha256[:2]]), (folder, [sha256])]
    assert synced[3][0].endswith(".tmp")
    assert synced[5:] == [(folder, [sha256])]


class Gallery(LoopbackChannel):
    """A channel with files, of which one breaks it."""

    async def fetch_media(self, url: str, max_bytes: int) -> Fetched:
        """Break on what is broken."""
        if url.endswith("broken"):
            raise RuntimeError(url)
        return Fetched(b"picture", "image/png")


@pytest.mark.parametrize("url", ["https://x.example/broken", "https://x.example/fine"])
async def test_a_file_that_breaks_the_channel_is_asked_for_later(storage: Storage, tmp_path: Path, url: str) -> None:
    """Whatever a file does, its turn goes on without it, and so do the files behind it."""
    from channels.base import Attachment

    await accept(storage, sms("+1555", "SM1", attachments=(Attachment(url, "image/png"),)))
    [conversation] = await storage.conversations()
    [message] = await storage.newest_messages(conversation.id or 0, up_to=1, limit=1)
    async with Http() as http:
        media = Media(storage, roster_of(Gallery("sms")), MediaStore(tmp_path), http, utc_now)
        fetched = await media.fetch("sms", message.attachments)

    assert [settled.status for settled in fetched.values()] == ["pending" if url.endswith("broken") else "stored"]
    assert all(isinstance(settled, StoredAttachment) for settled in fetched.values())


async def file_statuses(storage: Storage) -> list[str]:
    """Return what became of every file, the oldest conversation's first."""
    ids = sorted(conversation.id or 0 for conversation in await storage.conversations())
    messages = [await storage.newest_messages(id_, up_to=9, limit=9) for id_ in ids]
    return [file.status for transcript in messages for message in transcript for file in message.attachments]


async def fetch_until(storage: Storage, roster: Roster, folder: Path, *expected: str) -> None:
    """Fetch in the background, long after the messages came, until the files stand like this."""
    async with Http() as http:
        media = Media(storage, roster, MediaStore(folder), http, lambda: NOW + timedelta(hours=1))
        fetching = asyncio.create_task(media.fetch_pending_forever(0.01))
        try:
            async with asyncio.timeout(5):
                while await file_statuses(storage) != list(expected):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            assert await file_statuses(storage) == list(expected)
        finally:
            await end((fetching,))


async def test_file_of_a_disabled_channel_waits_for_its_return(storage: Storage, tmp_path: Path) -> None:
    """While a channel is not configured its files stay pending; those of a conversation without one are fetched."""
    from channels.base import Attachment

    await accept(storage, sms("+1555", "SM1", attachments=(Attachment("https://x.example/fine", "image/png"),)))
    await begin(storage, at=NOW + timedelta(minutes=1), image="data:image/png;base64,iVBORw0KGgo=")
    await fetch_until(storage, roster_of(LoopbackChannel("other")), tmp_path, "pending", "stored")
    disabled = await file_statuses(storage)
    await fetch_until(storage, roster_of(Gallery("sms")), tmp_path, "stored", "stored")

    assert disabled == ["pending", "stored"]


class Measured(Gallery):
    """A channel that says how large a file it was allowed to bring."""

    allowed: int | None = None

    async def fetch_media(self, url: str, max_bytes: int) -> Fetched:
        """Bring a picture."""
        self.allowed = max_bytes
        return Fetched(b"picture", "image/png")


async def test_a_channel_is_told_how_large_a_file_may_be(storage: Storage, tmp_path: Path) -> None:
    """The size is the house's to decide and the channel's to keep, before the bytes are in memory."""
    from channels.base import Attachment

    channel = Measured("sms")
    await accept(storage, sms("+1555", "SM1", attachments=(Attachment("https://x.example/1", "image/png"),)))
    await fetch_until(storage, roster_of(channel), tmp_path, "stored")

    assert channel.allowed == MAX_BYTES == 20 * 1024 * 1024


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES, "stored"), (MAX_BYTES + 1, "refused")])
async def test_a_picture_beyond_the_largest_size_is_refused(
    storage: Storage, tmp_path: Path, aiohttp_server: Any, size: int, status: str
) -> None:
    """Up to 20 MB a picture from anywhere is kept; one byte more is refused for good, and its turn goes on."""

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=bytes(size), content_type="image/png")

    app = web.Application()
    app.router.add_get("/picture", picture)
    url = str((await aiohttp_server(app)).make_url("/picture"))
    begun = await begin(storage, image=url)
    [message] = begun.claim.messages
    async with Http() as http:
        http.allow_origin(url.removesuffix("/picture"))
        media = Media(storage, roster_of(), MediaStore(tmp_path), http, utc_now)
        [settled] = (await media.fetch(None, message.attachments)).values()

    assert settled.status == status
    assert [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ""] == [
        size for _ in range(status == "stored")
    ]


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES - 2, "stored"), (MAX_BYTES + 1, "refused")])
async def test_a_picture_inside_a_call_has_the_same_largest_size(
    storage: Storage, tmp_path: Path, size: int, status: str
) -> None:
    """``data:`` addresses are measured before they are decoded."""
    begun = await begin(storage, image=f"data:image/png;base64,{base64.b64encode(bytes(size)).decode()}")
    async with Http() as http:
        media = Media(storage, roster_of(), MediaStore(tmp_path), http, utc_now)
        [settled] = (await media.fetch(None, begun.claim.messages[0].attachments)).values()

    assert settled.status == status


async def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Also where a program embeds us, with whatever umask: every folder that is made keeps other users out."""
    before = os.umask(0o022)
    try:
        await MediaStore(tmp_path / "data" / "media").put(b"picture")
    finally:
        os.umask(before)

    assert [path for path in (tmp_path / "data").rglob("*") if path.stat().st_mode & 0o077] == []
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    """SQLite's file and those beside it keep other users out; one that is there keeps the mode that it was given."""
    before = os.umask(0o022)
    (tmp_path / "old.db").touch(0o640)
    try:
        async with Storage(f"sqlite:///{tmp_path}/new.db") as new, Storage(f"sqlite:///{tmp_path}/old.db") as old:
            await new.migrate()
            await old.migrate()
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert modes.pop("old.db") == 0o640
    assert {name: mode for name, mode in modes.items() if name.startswith("new")} == {
        "new.db": 0o600,
        "new.db-wal": 0o600,
        "new.db-shm": 0o600,
    }
