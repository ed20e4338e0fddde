"""Customers' files: kept once, whoever sends them at the same time, and never a turn's undoing."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from channels.base import Media as Fetched
from channels.http import Http
from gateway.clock import utc_now
from gateway.media import Media, MediaStore
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
