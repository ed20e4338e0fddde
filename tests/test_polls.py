"""Polling: a channel whose poll breaks is left until its next turn, and the others are polled on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from channels.abilities import Polled
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
from gateway.storage import OpenChannels, Storage
from gateway.tasks import end
from tests.loopback import LoopbackChannel, roster_of


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
