"""The worker that tells receivers what happened; every process may run one, and each attempt happens in one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from channels.http import Http
from gateway.clock import Clock
from gateway.config import WebhookConfig
from gateway.hooks.attempt import TIMEOUT_S
from gateway.hooks.lane import Lane
from gateway.hooks.receivers import receivers_of
from gateway.storage import ForgetEvents, OpenReceivers, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

KEPT = timedelta(days=7)
"""How long an event is kept that everybody has been told."""
FAILED_KEPT = timedelta(days=30)
"""How long one is kept that could not be told: by then nobody will retry it."""
FORGET_S = 3600.0
FORGOTTEN_AT_ONCE = 500


class Hooks:
    """A lane for each receiver, so that none holds up another."""

    def __init__(
        self,
        storage: Storage,
        http: Http,
        clock: Clock,
        webhooks: Sequence[WebhookConfig],
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Build the lanes.

        Raises:
            ConfigError: an address is named twice.
        """
        self._storage = storage
        self._clock = clock
        self._receivers = receivers_of(webhooks)
        self.lanes = [Lane(storage, http, clock, receiver, timeout_s=timeout_s) for receiver in self._receivers]

    async def open(self) -> None:
        """Make the configuration's receivers known, in every process, before anything happens that they want to know.

        Raises:
            StorageUnavailable: the database is away.
        """
        wanted = tuple((receiver.id, receiver.events) for receiver in self._receivers)
        dropped = await self._storage.run(OpenReceivers(wanted))
        if dropped:
            log.warning("hooks_dropped", events_count=dropped, reason="their receiver has left the configuration")

    async def run(self) -> None:
        """Tell what is due, and forget what is old."""
        await asyncio.gather(self._forget_forever(), *(lane.run() for lane in self.lanes))

    async def stop(self, grace_s: float) -> None:
        """Begin no more and let calls in flight end."""
        await asyncio.gather(*(lane.stop(grace_s) for lane in self.lanes))

    async def forget(self) -> int:
        """Delete events that nobody needs any more, and return how many.

        Raises:
            StorageUnavailable: the database is away.
        """
        now, forgotten = self._clock(), 0
        while True:
            count = await self._storage.run(ForgetEvents(now - KEPT, now - FAILED_KEPT, FORGOTTEN_AT_ONCE))
            forgotten += count
            if count < FORGOTTEN_AT_ONCE:
                return forgotten

    async def _forget_forever(self) -> None:
        while True:
            try:
                await self.forget()
            except StorageUnavailable:
                pass  # there is time
            except Exception:  # the top of a loop: the next hour tries again
                log.exception("hooks_not_forgotten")
            await asyncio.sleep(FORGET_S)
