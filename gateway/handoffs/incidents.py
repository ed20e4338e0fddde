"""Channels that have stopped for a reason that only a person can mend: somebody is told, once an incident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from channels.abilities import Diagnoses
from channels.base import Channel
from gateway.clock import Clock
from gateway.config import NoticeConfig
from gateway.handoffs.wording import tell_stopped, to_each
from gateway.roster import Roster
from gateway.storage import ChannelState, EndIncident, Storage, TellStopped

log = structlog.get_logger(__name__)

CREDENTIALS = "credentials"
"""The reason for which the outbox pauses a channel whose platform rejects what we show it."""
UNWELL = timedelta(minutes=70)
"""A finding of the daily look may be a bad moment of the network; what the look an hour later finds again is none."""
SAME = timedelta(minutes=10)
"""A channel that has been well for so long has been mended. What comes back sooner is the same incident: a restart
forgets what is wrong, and finds it again with the first call or, a minute later, with the first look."""


class Incidents:
    """Compares what is wrong with what was told."""

    def __init__(
        self, storage: Storage, roster: Roster, clock: Clock, targets: Sequence[NoticeConfig], *, business: str
    ) -> None:
        self._storage = storage
        self._roster = roster
        self._clock = clock
        self._targets = targets
        self._business = business
        self._unwell_since: dict[str, datetime] = {}
        self._well_since: dict[str, datetime] = {}
        self._logged: set[str] = set()
        """Channels that have stopped and of which nobody can be told."""

    async def look(self) -> None:
        """Tell what is new, and close what is over.

        Raises:
            StorageUnavailable: the database is away.
        """
        now = self._clock()
        told = await self._storage.incidents_told(self._roster.names)
        for state in await self._storage.channel_states():
            channel = self._roster.get(state.channel_name)
            if channel is None:
                continue
            cause = self._cause(state, now)
            if cause is not None and state.channel_name not in told:
                await self._tell(channel, cause, now)
            if _is_well(channel, state):
                await self._note_well(channel.name, told.get(channel.name), now)
            else:
                self._well_since.pop(channel.name, None)

    def _cause(self, state: ChannelState, now: datetime) -> str | None:
        """Return what is wrong in words, where a person has to mend it."""
        if state.pause_attempts and state.pause_reason == CREDENTIALS:
            return "its platform rejects the credentials"
        if not state.findings:
            return None
        since = self._unwell_since.setdefault(state.channel_name, now)
        return str(state.findings[0]["detail"]) if now - since >= UNWELL else None

    async def _tell(self, channel: Channel, cause: str, now: datetime) -> None:
        reachable = [target for target in self._targets if target.channel != channel.name]
        if not reachable:
            if channel.name not in self._logged:
                log.error("channel_stopped_untold", channel=channel.name, targets_count=len(self._targets))
                self._logged.add(channel.name)
            return
        told = tell_stopped(channel.name, channel.kind, cause, self._business, now)
        if await self._storage.run(TellStopped(channel.name, to_each(reachable, told), now)):
            log.error("channel_stopped", channel=channel.name, notices_count=len(reachable))

    async def _note_well(self, name: str, told_at: datetime | None, now: datetime) -> None:
        self._unwell_since.pop(name, None)
        if now - self._well_since.setdefault(name, now) < SAME:
            return
        self._logged.discard(name)
        if told_at is not None:
            await self._storage.run(EndIncident(name, told_at))


def _is_well(channel: Channel, state: ChannelState) -> bool:
    """Whether nothing is known to be wrong; a channel that can be looked at has to have been, since the last start."""
    looked_at = state.findings is not None or not isinstance(channel, Diagnoses)
    return looked_at and not state.findings and not state.pause_attempts
