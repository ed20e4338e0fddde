"""What could not be read and is too long for a row: kept in a file, read again from there, and gone with its row."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from channels.base import Inbound, Parsed, Reply, Request
from channels.errors import PayloadError
from gateway.cache import LocalMemory
from gateway.cli.replay import _replay_one
from gateway.contents import IN_ROW_BYTES
from gateway.media import MediaStore
from gateway.privacy import Retention, forget_person, read_person
from gateway.privacy.retention import REJECTED_KEPT
from gateway.segment import Arrival
from gateway.spool import Spool
from gateway.storage import Storage
from gateway.storage.privacy import FindPeople
from tests.loopback import LoopbackChannel, roster_of
from tests.test_inbox import inbox_of, texts
from tests.test_storage_accept import NOW, accept, sms

HE = "+15550100"
LONG = f"from {HE}\n".encode() + b"x" * IN_ROW_BYTES
HASH = hashlib.sha256(LONG).hexdigest()
DAY = timedelta(days=1)


class Reader(LoopbackChannel):
    """Reads nothing until it is mended."""

    mended = False

    def parse(self, request: Request) -> Parsed:
        """Tell the length of the body, or refuse it."""
        if not self.mended:
            raise PayloadError("not mended")
        return Parsed((Inbound(self.name, HE, "m", text=str(len(request.content()))),), Reply())


def posted(body: bytes = LONG) -> Request:
    """Build a webhook."""
    return Request("POST", "/webhooks/sms", (("X-Signed", "yes"),), body)


async def keep(storage: Storage, folder: Path, *requests: Request) -> MediaStore:
    """Let requests come that nobody can read."""
    channel = Reader("sms")
    async with inbox_of(storage, Spool(folder / "spool", 10_000_000), channel) as inbox:
        for request in requests:
            await inbox.receive(channel, request)
    return MediaStore(folder / "media")


async def test_a_long_body_is_in_a_file_and_a_short_one_in_its_row(storage: Storage, tmp_path: Path) -> None:
    """Also where the door has put it into a file of its own; that one is gone."""
    at_door = tmp_path / "at the door"
    at_door.write_bytes(b"short")
    media = await keep(storage, tmp_path, posted(), posted(b"brief"), replace(posted(b""), file=at_door))
    rows = await storage.rejected_webhooks()

    assert [(row.body, row.body_sha256) for row in rows] == [(b"", HASH), (b"brief", None), (b"short", None)]
    assert await media.read(HASH) == LONG
    assert not at_door.exists()


async def test_a_long_one_that_is_drained_again_adds_nothing(storage: Storage, tmp_path: Path) -> None:
    """The same bytes that come once more are another row with the same file."""
    spool = Spool(tmp_path / "spool", 10_000_000)
    first, second = Arrival("sms", posted(), NOW), Arrival("sms", posted(), NOW + DAY)
    for arrival in (first, first, second):
        await spool.append(arrival)
    async with inbox_of(storage, spool, Reader("sms")):
        async with asyncio.timeout(10):
            while spool.active:
                await asyncio.sleep(0.01)
    rows = await storage.rejected_webhooks()

    assert [(row.body_sha256, row.received_at) for row in rows] == [(HASH, NOW), (HASH, NOW + DAY)]
    assert [path.name for path in (tmp_path / "media").glob("??/*")] == [HASH]


async def test_a_long_one_is_replayed_from_its_file(storage: Storage, tmp_path: Path) -> None:
    """Where that is on another machine it is said, and the webhook stays."""
    media = await keep(storage, tmp_path, posted())
    [row] = await storage.rejected_webhooks()
    channel = Reader("sms")
    channel.mended = True
    elsewhere = MediaStore(tmp_path / "elsewhere")
    async with inbox_of(storage, Spool(tmp_path / "spool", 0), channel) as inbox:
        reasons = [
            await _replay_one(inbox, roster_of(channel), storage, files, row) for files in (elsewhere, media, media)
        ]
        found = await texts(storage, until=str(len(LONG)))

    assert reasons == ["its body is not in data.dir; look on the other machines", None, None]
    assert found == [str(len(LONG))]
    assert await storage.rejected_webhooks() == []


async def test_a_long_one_is_kept_as_long_as_its_row(storage: Storage, tmp_path: Path) -> None:
    """The sweep leaves the file for the 30 days in which it can be replayed, and not longer."""
    media = await keep(storage, tmp_path, posted())
    os.utime(media.path(HASH), (0, 0))
    [row] = await storage.rejected_webhooks()
    times = row.received_at + REJECTED_KEPT - DAY, row.received_at + REJECTED_KEPT + DAY
    swept, there = [], []
    for now in times:
        swept.append(await Retention(storage, tmp_path, lambda now=now: now, None, settle_s=0).sweep())
        there.append(media.path(HASH).exists())

    assert [(one.webhooks, one.files) for one in swept] == [(0, 0), (1, 1)]
    assert there == [True, False]


async def test_a_long_one_is_told_and_erased_with_its_person(storage: Storage, tmp_path: Path) -> None:
    """What is in the file is theirs; nothing of it is left."""
    media = await keep(storage, tmp_path, posted())
    await accept(storage, sms(HE, "SM1"))
    [person] = await storage.run(FindPeople((HE,)))
    told = await read_person(storage, roster_of(), tmp_path, person)
    forgotten = await forget_person(storage, LocalMemory(), roster_of(), tmp_path, person, actor="t", now=NOW)

    assert [HE in one["text"] for one in told["webhooks"]] == [True]
    assert (forgotten.webhooks, forgotten.files) == (1, 1)
    assert not media.path(HASH).exists()
    assert await storage.rejected_webhooks() == []
