"""What the platforms say to deliveries: how one is put to them, and how what came back is recorded."""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog

from channels.base import Outbound
from channels.errors import SendError
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.storage import ClaimedDelivery, Outcome, Pause, SettleDelivery, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

RETRY_S = 1.0


def outbound_of(delivery: ClaimedDelivery, now: datetime) -> Outbound:
    """Return a delivery as its channel is given it."""
    wrote_at = delivery.customer_wrote_at
    return Outbound(
        delivery_id=delivery.id,
        recipient=delivery.recipient,
        content=delivery.content,
        account=delivery.account,
        part=delivery.part,
        by_person=delivery.by_person,
        silent_s=None if wrote_at is None else max(0.0, (now - wrote_at).total_seconds()),
        attempts=delivery.attempts,
        prepared=delivery.prepared,
    )


class Reports:
    """Records what came back."""

    def __init__(self, storage: Storage, metrics: Metrics, clock: Clock) -> None:
        self._storage = storage
        self._metrics = metrics
        self._clock = clock

    def settlement(
        self,
        delivery: ClaimedDelivery,
        outcome: Outcome,
        *,
        error: SendError | None = None,
        code: str | None = None,
        external_id: str | None = None,
        next_attempt_at: datetime | None = None,
        counts: bool = True,
        pause: Pause | None = None,
    ) -> SettleDelivery:
        """Return the operation that records an outcome, and count it."""
        self._metrics.sends.labels(delivery.channel_name, outcome.value).inc()
        code = code or (error.code if error is not None else None)
        if error is not None:
            tell = log.warning if outcome is Outcome.FAILED else log.info
            tell("send_failed", outcome=outcome.value, code=code, error=type(error).__name__)
        return SettleDelivery(
            delivery.id,
            delivery.lease_owner,
            outcome,
            self._clock(),
            external_id=external_id,
            error_code=code if error is None else code or type(error).__name__,
            error_message=None if error is None else str(error),
            next_attempt_at=next_attempt_at,
            counts=counts,
            channel_name=delivery.channel_name,
            pause=pause,
        )

    async def record(self, settled: SettleDelivery) -> None:
        """Commit an outcome; while the database is away it is kept here, and the lease decides if we die."""
        while True:
            try:
                await self._storage.run(settled)
            except StorageUnavailable:
                await asyncio.sleep(RETRY_S)
            else:
                return
