"""Calls whose outcome nobody knows: a callback decides, a look-up where the platform has one, or one resend."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from itertools import count

import structlog

from channels.abilities import LooksUp
from channels.base import DeliveryStatus, Receipt, Status
from channels.errors import SendError
from gateway.clock import Clock
from gateway.config import OutboxConfig
from gateway.inbox import Inbox
from gateway.reports import Reports, outbound_of
from gateway.roster import Roster
from gateway.storage import (
    OUTCOME_UNKNOWN,
    ClaimedDelivery,
    ClaimUnconfirmed,
    Outcome,
    PostponeConfirmation,
    SettleDelivery,
    Storage,
    StorageUnavailable,
    SweepDeliveries,
    Unconfirmed,
)

log = structlog.get_logger(__name__)

LEASE_S = 60.0
POLL_S = 1.0
CONCURRENCY = 64
LOOK_UP_SLACK = timedelta(seconds=60)  # the platform's clock is not ours; what is known of others is not taken for this


class Confirmations:
    """Finds out what became of calls that nobody heard of again."""

    def __init__(
        self,
        storage: Storage,
        roster: Roster,
        inbox: Inbox,
        reports: Reports,
        clock: Clock,
        config: OutboxConfig,
        *,
        owner: str,
        settled: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._roster = roster
        self._inbox = inbox
        self._reports = reports
        self._clock = clock
        self._config = config
        self._owner = owner
        self._settled = settled
        self._claims = count(1)
        self.up_since = clock()
        """Since when the store has been answering this process."""

    def note_away(self) -> None:
        """Take in that the store did not answer: callbacks may have been turned away meanwhile."""
        self.up_since = self._clock()

    async def run(self) -> None:
        """Look for them for ever."""
        while True:
            try:
                await self._confirm()
            except StorageUnavailable:
                self.note_away()
            except Exception:  # the top of a loop: the next round tries again
                log.exception("confirming_failed")
            await asyncio.sleep(POLL_S)

    async def _confirm(self) -> None:
        now = self._clock()
        await self._storage.run(SweepDeliveries(now))
        wait = timedelta(seconds=self._config.confirm_wait_s)
        if max(self._inbox.calm_since, self.up_since) > now - wait:
            return  # a callback may be on its way through the spool, or have been turned away while we were down
        lease_owner = f"{self._owner}:confirm:{next(self._claims)}"
        found = await self._storage.run(
            ClaimUnconfirmed(
                lease_owner, now, now - wait, now + timedelta(seconds=LEASE_S), CONCURRENCY, self._roster.names
            )
        )
        await asyncio.gather(*(self._decide(unconfirmed) for unconfirmed in found))

    async def _decide(self, unconfirmed: Unconfirmed) -> None:
        delivery = unconfirmed.delivery
        channel = self._roster[delivery.channel_name]
        if isinstance(channel, LooksUp):
            since = (delivery.called_at or delivery.queued_at) - LOOK_UP_SLACK
            try:
                receipt = await channel.find(outbound_of(delivery, self._clock()), since, unconfirmed.known_ids)
            except SendError as error:
                await self._postpone(delivery, error)
                return
            if receipt is not None:
                if receipt.status is not DeliveryStatus.SENT:  # as its callback would have told, had it come
                    await self._inbox.accept_told(channel, _found(delivery, receipt))
                await self._record(
                    self._reports.settlement(delivery, Outcome.SENT, external_id=receipt.external_id, counts=False)
                )
                return
        await self._record(self._resend_or_fail(unconfirmed))

    def _resend_or_fail(self, unconfirmed: Unconfirmed) -> SettleDelivery:
        delivery = unconfirmed.delivery
        if delivery.resends or unconfirmed.silenced or unconfirmed.opted_out:
            return self._reports.settlement(delivery, Outcome.FAILED, code=OUTCOME_UNKNOWN, counts=False)
        log.info("resending_once", delivery_id=delivery.id)
        return SettleDelivery(
            delivery.id,
            delivery.lease_owner,
            Outcome.RETRY,
            self._clock(),
            next_attempt_at=self._clock(),
            counts=False,
            resend=True,
        )

    async def _postpone(self, delivery: ClaimedDelivery, error: SendError) -> None:
        if self._clock() - delivery.queued_at > timedelta(hours=self._config.max_age_h):
            failed = self._reports.settlement(delivery, Outcome.FAILED, error=error, code=OUTCOME_UNKNOWN, counts=False)
            await self._record(failed)
            return
        next_at = self._clock() + timedelta(seconds=random.uniform(5, 15))
        await self._storage.run(PostponeConfirmation(delivery.id, delivery.lease_owner, next_at))

    async def _record(self, settled: SettleDelivery) -> None:
        await self._reports.record(settled)
        self._settled()


def _found(delivery: ClaimedDelivery, receipt: Receipt) -> Status:
    return Status(
        account=delivery.account or "",
        status=receipt.status,
        external_id=receipt.external_id,
        delivery_id=delivery.id,
    )
