"""Asking platforms for messages whose webhook never arrived."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol, cast

import structlog

from channels.abilities import Polls
from channels.base import Channel
from channels.errors import SendError
from gateway.clock import Clock
from gateway.inbox import Inbox
from gateway.roster import Roster
from gateway.storage import ClaimPoll, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

LOOK_S = 5.0


class PollingChannel(Channel, Polls, Protocol):
    """A channel that can be polled."""


class Poller:
    """Polls each channel that can be polled, in one process at a time."""

    def __init__(self, storage: Storage, roster: Roster, inbox: Inbox, clock: Clock) -> None:
        self._storage = storage
        self._inbox = inbox
        self._clock = clock
        self._channels = [cast("PollingChannel", channel) for channel in roster if isinstance(channel, Polls)]

    async def run(self) -> None:
        """Poll at the start, and then whenever a channel's poll is due."""
        if self._channels:
            await asyncio.gather(*(self._poll_forever(channel) for channel in self._channels))

    async def _poll_forever(self, channel: PollingChannel) -> None:
        at_start = True
        while True:
            try:
                await self._poll(channel, at_start=at_start)
                at_start = False
            except StorageUnavailable:
                pass  # asked again at the next look
            except SendError as error:
                at_start = False
                log.warning("poll_failed", channel=channel.name, error=type(error).__name__, code=error.code)
            except Exception:  # the top of a loop: the other channels are polled on, and this one when it is due
                at_start = False
                log.exception("poll_broke", channel=channel.name)
            await asyncio.sleep(LOOK_S)

    async def _poll(self, channel: PollingChannel, *, at_start: bool) -> None:
        now = self._clock()
        due_at = now + timedelta(seconds=channel.poll_every_s)
        turn = await self._storage.run(ClaimPoll(channel.name, now, due_at, at_start))
        if turn is None:
            return
        polled = await channel.poll(turn.checkpoint, now)
        accepted = await self._inbox.accept_polled(channel, polled.events, polled.checkpoint)
        if accepted.messages:
            log.info("poll_found_messages", channel=channel.name, count=accepted.messages)
