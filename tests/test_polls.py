"""Polling: a channel whose poll breaks is left until its next turn, and the others are polled on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from channels.abilities import Polled
from channels.base import Inbound
from channels.errors import PayloadError, RetryLater
from gateway import polls
from gateway.bus import open_bus
from gateway.clock import utc_now
from gateway.contents import Contents
from gateway.inbox import Inbox
from gateway.media import MediaStore
from gateway.metrics import Metrics
from gateway.polls import Poller
from gateway.reader import Readers
from gateway.spool import Spool
from gateway.storage import ClaimPoll, OpenChannels, Storage
from gateway.tasks import end
from tests.loopback import LoopbackChannel, roster_of
from tests.test_inbox import BreakingChannel, asked, inbox_of, refuse, texts


class PolledChannel(LoopbackChannel):
    """Counts its polls; ``breaks`` is what each of them raises."""

    poll_every_s = 3600.0

    def __init__(self, name: str, breaks: Exception | None = None) -> None:
        super().__init__(name)
        self.breaks = breaks
        self.polls = 0

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Find nothing."""
        self.polls += 1
        if self.breaks:
            raise self.breaks
        return Polled((), {"polls": self.polls})


@pytest.mark.parametrize(
    "breaks", [PayloadError(), KeyError("sid"), RetryLater()], ids=lambda error: type(error).__name__
)
async def test_a_poll_that_breaks_waits_for_its_next_turn(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Exception
) -> None:
    """Neither is the platform asked again and again, nor do the other channels go unasked."""
    monkeypatch.setattr(polls, "LOOK_S", 0.01)
    broken, sound = PolledChannel("broken", breaks), PolledChannel("sound")
    roster = roster_of(broken, sound)
    await storage.run(OpenChannels(roster.names))
    spool = Spool(tmp_path / "spool", 1_000_000)
    contents = Contents(Readers(), MediaStore(tmp_path / "media"))
    inbox = Inbox(storage, spool, roster, open_bus(None), Metrics(), utc_now, contents, answer_while_waiting=True)
    polling = asyncio.create_task(Poller(storage, roster, inbox, utc_now, owner="serve:test").run())
    await asyncio.sleep(0.3)
    running = not polling.done()
    await end([polling])

    assert running
    assert (broken.polls, sound.polls) == (1, 1)


class SlowChannel(PolledChannel):
    """Takes longer to ask than it may take until somebody else asks; counts what it has found in its checkpoint."""

    poll_every_s = 0.05

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.far = asyncio.Event()

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Find the next thing."""
        uid = checkpoint["uid"] if checkpoint else 0
        if uid >= 3:
            self.far.set()
        await asyncio.sleep(0.15)
        return Polled((), {"uid": uid + 1, "folder": "Köln", "seen": []})


async def test_polls_that_overtake_each_other_go_on(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each process finds the poll due before the other has done with it, the first to come back counts."""
    monkeypatch.setattr(polls, "LOOK_S", 0.01)
    channel = SlowChannel("slow")
    await storage.run(OpenChannels(("slow",)))
    async with inbox_of(storage, Spool(tmp_path / "spool", 1_000_000), channel) as inbox:
        roster = roster_of(channel)
        pollers = [Poller(storage, roster, inbox, utc_now, owner=f"serve:{name}") for name in "ab"]
        polling = [asyncio.create_task(poller.run()) for poller in pollers]
        try:
            async with asyncio.timeout(10):
                await channel.far.wait()
        finally:
            await end(polling)


class Mailbox(BreakingChannel):
    """Is polled for requests, and for events as they are."""

    poll_every_s = 600.0

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Find five, of which two are poison."""
        poison = Inbound(self.name, "+1555", "poisoned event", text="poison")
        event = Inbound(self.name, "+1555", "event", text="event")
        return Polled((poison, event), {"uid": 3}, requests=tuple(map(asked, ("before", "poison", "behind"))))


@pytest.mark.parametrize("refused", ["events", "everything"])
async def test_what_the_database_refuses_of_a_poll_blocks_nothing(
    storage: Storage, database_url: str, tmp_path: Path, refused: str
) -> None:
    """The rest is stored, what can be kept is kept whole, and the next poll starts behind it."""
    await storage.run(OpenChannels(("sms",)))
    await refuse(database_url, "conversation_messages", "NEW.content = 'poison'")
    if refused == "everything":
        await refuse(database_url, "rejected_webhooks", "NEW.channel_name = 'sms'")
    channel, now = Mailbox("sms"), utc_now()
    polled = await channel.poll(None, now)
    spool = Spool(tmp_path / "spool", 1_000_000)
    await spool.open()
    async with inbox_of(storage, spool, channel) as inbox:
        count = await inbox.accept_polled(channel, polled, None)
        found = await texts(storage, until="behind")
        kept = [row.body for row in await storage.rejected_webhooks()]
    turn = await storage.run(ClaimPoll("sms", now, now, "serve:a"))
    aside = tmp_path / "spool" / "rejected"

    assert (count, sorted(found)) == (3, ["before", "behind", "event"])
    assert kept == ([b"poison"] if refused == "events" else [])
    assert aside.exists() == (refused == "everything")
    assert turn is not None
    assert turn.checkpoint == {"uid": 3}
