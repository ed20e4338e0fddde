"""Asking platforms for messages whose webhook never arrived."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol, cast

import structlog

from channels.abilities import HearsOfNews, Polls
from channels.base import Channel
from channels.errors import CredentialsRejected, RetryLater, SendError
from gateway.clock import Clock
from gateway.inbox import Inbox
from gateway.roster import Roster
from gateway.spool import SpoolUnavailable
from gateway.storage import ClaimPoll, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

LOOK_S = 5.0


class PollingChannel(Channel, Polls, Protocol):
    """A channel that can be polled."""


class Poller:
    """Polls each channel that can be polled, in one process at a time."""

    def __init__(self, storage: Storage, roster: Roster, inbox: Inbox, clock: Clock, *, owner: str) -> None:
        self._storage = storage
        self._inbox = inbox
        self._clock = clock
        self._owner = owner
        self._channels = [cast("PollingChannel", channel) for channel in roster if isinstance(channel, Polls)]

    async def run(self) -> None:
        """Poll at the start, and then whenever a channel's poll is due."""
        if self._channels:
            await asyncio.gather(*(self._poll_forever(channel) for channel in self._channels))

    async def _poll_forever(self, channel: PollingChannel) -> None:
        at_start, early = True, False
        while True:
            try:
                early = await self._poll(channel, at_start=at_start, early=early)
                at_start = False
            except (StorageUnavailable, SpoolUnavailable):
                early = False  # asked again at the next look
            except SendError as error:
                log.warning("poll_failed", channel=channel.name, error=type(error).__name__, code=error.code)
                # Who listens has nothing to listen to, and connects again soon; anybody else asks when it is due.
                at_start = False
                early = isinstance(channel, HearsOfNews) and not isinstance(error, CredentialsRejected)
                wish_s = error.retry_after_s if isinstance(error, RetryLater) else None
                await asyncio.sleep(min(max(wish_s or 0.0, LOOK_S), channel.poll_every_s))
            except Exception:  # the top of a loop: the other channels are polled on, and this one when it is due
                at_start = early = False
                log.exception("poll_broke", channel=channel.name)
            if not early:
                await asyncio.sleep(LOOK_S)

    async def _poll(self, channel: PollingChannel, *, at_start: bool, early: bool = False) -> bool:
        """Poll if it is our turn; returns whether to poll again at once, because something new is there or heard of."""
        now = self._clock()
        due_at = now + timedelta(seconds=channel.poll_every_s)
        turn = await self._storage.run(ClaimPoll(channel.name, now, due_at, self._owner, at_start, early))
        if turn is None:
            return False
        polled = await channel.poll(turn.checkpoint, now)
        count = await self._inbox.accept_polled(channel, polled, turn.checkpoint)
        if count:
            log.info("poll_found_messages", channel=channel.name, count=count)
        if not polled.more and isinstance(channel, HearsOfNews):  # until shortly before somebody else may find it due
            await channel.wait_for_news(max(1.0, channel.poll_every_s - 2 * LOOK_S))
        return polled.more or isinstance(channel, HearsOfNews)
