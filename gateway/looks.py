"""The daily look at the platforms' side: are the credentials still good, does the webhook still lead here?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, cast

import structlog

from channels.abilities import Diagnoses, Finding
from channels.base import Channel
from gateway.clock import Clock
from gateway.roster import Roster
from gateway.storage import ClaimLook, SaveFindings, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

EVERY = timedelta(hours=24)
AGAIN = timedelta(hours=1)
"""Where something is wrong: it may have been mended, or was a bad moment of the network."""
FIRST_S = 60.0  # after the start, when everything else has been seen to work
LOOK_S = 60.0
TIMEOUT_S = 120.0
UNANSWERED = "the platform did not answer the daily look"
UNANSWERED_FIX = "run frontdesk doctor; it is looked at again in an hour"


class DiagnosingChannel(Channel, Diagnoses, Protocol):
    """A channel that can look at itself from the platform's side."""


class Looker:
    """Looks at each channel once a day, in one process at a time, and keeps what it finds wrong for all of them."""

    def __init__(self, storage: Storage, roster: Roster, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._channels = [cast("DiagnosingChannel", channel) for channel in roster if isinstance(channel, Diagnoses)]

    async def run(self) -> None:
        """Look whenever a channel's look is due."""
        await asyncio.sleep(FIRST_S)
        while True:
            for channel in self._channels:
                try:
                    await self._look(channel)
                except StorageUnavailable:
                    pass  # looked at again soon
                except Exception:  # the top of a loop: the other channels are looked at
                    log.exception("look_broke", channel=channel.name)
            await asyncio.sleep(LOOK_S)

    async def _look(self, channel: DiagnosingChannel) -> None:
        now = self._clock()
        if not await self._storage.run(ClaimLook(channel.name, now, now + AGAIN)):
            return
        wrong = [finding for finding in await _found(channel) if not finding.ok]
        if wrong:
            log.warning("channel_unwell", channel=channel.name, count=len(wrong))
        next_at = now + (AGAIN if wrong else EVERY)
        await self._storage.run(SaveFindings(channel.name, _told(wrong), next_at))


async def _found(channel: DiagnosingChannel) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await channel.diagnose()
    except Exception:  # whatever it was: that nobody knows how the channel is has to be seen where findings are
        log.exception("look_broke", channel=channel.name)
        return [Finding(f"channels.{channel.name}", False, UNANSWERED, UNANSWERED_FIX)]


def _told(findings: Sequence[Finding]) -> tuple[dict[str, str | None], ...]:
    return tuple({"detail": finding.detail, "fix": finding.fix} for finding in findings)
