"""The workers that deliver: claim in order and at each channel's pace, send, and settle what came back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import structlog

from channels.abilities import Prepares
from channels.base import Channel, Control
from channels.errors import (
    CredentialsRejected,
    OptedOut,
    OutcomeUnknown,
    OutsideWindow,
    OwnedElsewhere,
    Refused,
    RetryLater,
    SendError,
    Undeliverable,
)
from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import OutboxConfig
from gateway.confirmations import Confirmations
from gateway.inbox import Inbox
from gateway.metrics import Metrics
from gateway.reports import Reports, outbound_of
from gateway.roster import Roster
from gateway.storage import (
    OUTCOME_UNKNOWN,
    ClaimDeliveries,
    ClaimedDelivery,
    KeepPrepared,
    Outcome,
    Pace,
    Pause,
    ReadAnswered,
    SettleDelivery,
    Storage,
    StorageUnavailable,
)
from gateway.tasks import end

log = structlog.get_logger(__name__)

LEASE_S = 60.0
POLL_S = 1.0
CONCURRENCY = 64
BACKOFF_S = 4.0
BACKOFF_FACTOR = 8.0
BACKOFF_CAP_S = 1800.0
"""A delivery of its own trouble is tried again after 4 s, 32 s, 4 min and then every half hour: the eight attempts that
are the default cover two hours, because a carrier that is congested or a limit of the hour does not pass in minutes."""
MAX_WAIT_S = 7 * 24 * 3600.0  # what a platform may wish; an answer is given up long before
PAUSE_CAP_S = 60.0
CREDENTIALS_PAUSE_S = 600.0
"""A channel whose credentials are rejected is tried again this often: they may be repaired on the other side."""
WAIT_CAP_S = 3600.0
"""The longest that a channel is paused for at a time, however long its platform says: a probe costs one call."""


@dataclass(slots=True)
class _Health:
    """What this process knows about a channel that fails as a whole."""

    failures: int = 0
    paused_until_s: float = 0.0


class Outbox:
    """Sends up to ``CONCURRENCY`` deliveries at once in this process."""

    def __init__(
        self,
        storage: Storage,
        roster: Roster,
        inbox: Inbox,
        bus: Bus,
        metrics: Metrics,
        clock: Clock,
        config: OutboxConfig,
        *,
        owner: str,
    ) -> None:
        self._storage = storage
        self._roster = roster
        self._inbox = inbox
        self._bus = bus
        self._metrics = metrics
        self._clock = clock
        self._config = config
        self._owner = owner
        self._claims = count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._health = {name: _Health() for name in roster.names}
        self._wake = asyncio.Event()
        self._stopping = False
        self._idle = asyncio.Event()
        """Set while nothing is being claimed."""
        self._idle.set()
        self._reports = Reports(storage, metrics, clock)
        self._confirmations = Confirmations(
            storage, roster, inbox, self._reports, clock, config, owner=owner, settled=self._wake.set
        )

    async def run(self) -> None:
        """Claim and send until ``stop``."""
        self._idle.clear()
        listener = asyncio.create_task(self._listen())
        confirmer = asyncio.create_task(self._confirmations.run())
        try:
            while not self._stopping:
                self._wake.clear()
                wait_s = await self._claim()
                if wait_s > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
        finally:
            self._idle.set()
            await end((listener, confirmer))

    async def stop(self, grace_s: float) -> None:
        """Claim no more and let calls in flight end; what is cut off becomes unconfirmed by its lease."""
        self._stopping = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()  # a claim that is under way still begins its calls
                while self._running:
                    await asyncio.wait(self._running)
        await end(self._running)

    async def _listen(self) -> None:
        async with self._bus.subscribe("outbox") as subscription:
            async for _ in subscription:
                self._wake.set()

    # --- claiming ---

    async def _claim(self) -> float:
        """Begin what is due; returns after how many seconds to look again, 0 where there may be more."""
        free = CONCURRENCY - len(self._running)
        if free <= 0 or not self._roster.names:
            return POLL_S
        now, asked_s = self._clock(), time.monotonic()
        lease_owner = f"{self._owner}:{next(self._claims)}"
        paces = tuple(Pace(name, self._roster.rate_per_s(name)) for name in self._roster.names)
        expired_before = now - timedelta(hours=self._config.max_age_h)
        operation = ClaimDeliveries(lease_owner, now, now + timedelta(seconds=LEASE_S), paces, free, expired_before)
        try:
            claimed = await self._storage.run(operation)
        except StorageUnavailable:
            self._confirmations.note_away()
            return POLL_S
        for delivery in claimed.deliveries:
            self._start(self._work(delivery, asked_s + LEASE_S, (delivery.send_at - now).total_seconds()))
        if claimed.deliveries:
            return 0.0
        return POLL_S if claimed.more_at is None else min(POLL_S, (claimed.more_at - now).total_seconds())

    def _start(self, coroutine: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)  # type: ignore[arg-type]
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    # --- one delivery ---

    async def _work(self, delivery: ClaimedDelivery, lease_ends_s: float, wait_s: float) -> None:
        channel = self._roster[delivery.channel_name]
        with structlog.contextvars.bound_contextvars(delivery_id=delivery.id, channel=channel.name):
            try:
                await asyncio.sleep(max(0.0, wait_s))
                settled = await self._prepare_and_send(channel, delivery, lease_ends_s)
                await self._reports.record(settled)
                self._wake.set()
            except Exception:  # the top of a worker: the lease runs out and the delivery becomes unconfirmed
                log.exception("delivery_failed_to_settle")

    async def _prepare_and_send(
        self, channel: Channel, delivery: ClaimedDelivery, lease_ends_s: float
    ) -> SettleDelivery:
        if isinstance(channel, Prepares) and delivery.prepared is None:
            try:
                async with asyncio.timeout(channel.send_timeout_s):
                    prepared = await self._prepare(channel, delivery)
            except SendError as error:
                return self._failed(delivery, error)
            except TimeoutError:
                return self._failed(delivery, RetryLater("building it took too long", channel_wide=False))
            except StorageUnavailable:  # nothing has left
                prepared = None
            if prepared is None:
                return self._reports.settlement(delivery, Outcome.RETRY, next_attempt_at=self._clock(), counts=False)
            delivery = replace(delivery, prepared=prepared)
        return await self._send(channel, delivery, lease_ends_s)

    async def _prepare(self, channel: Prepares, delivery: ClaimedDelivery) -> bytes | None:
        """Build what every attempt will send, and keep it before the first; None where somebody else has it now."""
        now = self._clock()
        answered = await self._storage.run(ReadAnswered(delivery.id))
        prepared = await channel.prepare(outbound_of(delivery, now), answered, now)
        is_ours = await self._storage.run(KeepPrepared(delivery.id, delivery.lease_owner, prepared))
        return prepared if is_ours else None

    async def _send(self, channel: Channel, delivery: ClaimedDelivery, lease_ends_s: float) -> SettleDelivery:
        now = self._clock()
        if time.monotonic() + channel.send_timeout_s >= lease_ends_s:
            # The lease would not outlive the call: somebody else could send it meanwhile.
            return self._reports.settlement(delivery, Outcome.RETRY, next_attempt_at=now, counts=False)
        started = time.monotonic()
        try:
            async with asyncio.timeout(channel.send_timeout_s):
                receipt = await channel.send(outbound_of(delivery, now))
        except asyncio.CancelledError:
            with contextlib.suppress(StorageUnavailable):  # then the lease says so, when it ends
                await self._storage.run(self._unknown(delivery, OutcomeUnknown("cut off by a shutdown")))
            raise
        except SendError as error:
            if isinstance(error, OwnedElsewhere):  # the bot is silent until the platform gives the thread back
                with contextlib.suppress(StorageUnavailable):  # then the next refusal says so again
                    await self._inbox.accept_told(channel, Control(delivery.account or "", delivery.recipient, False))
            return self._failed(delivery, error)
        except Exception as error:
            if not isinstance(error, TimeoutError):
                log.exception("send_broke")
            unknown = OutcomeUnknown(f"{type(error).__name__} during the call")
            return self._failed(delivery, unknown)
        finally:
            self._metrics.send_seconds.labels(channel.name).observe(time.monotonic() - started)
        pause = self._recovered(delivery)
        settled = self._reports.settlement(delivery, Outcome.SENT, external_id=receipt.external_id, pause=pause)
        return replace(settled, recipient=receipt.recipient, remark=receipt.remark)

    def _failed(self, delivery: ClaimedDelivery, error: SendError) -> SettleDelivery:
        match error:
            case RetryLater():
                return self._retry(delivery, error)
            case OutcomeUnknown():
                return self._unknown(delivery, error)
            case CredentialsRejected():
                log.error("credentials_rejected", code=error.code)
                until = self._clock() + timedelta(seconds=CREDENTIALS_PAUSE_S)
                pause = self._pause(delivery, until, "credentials")
                return self._reports.settlement(
                    delivery, Outcome.RETRY, error=error, next_attempt_at=self._clock(), counts=False, pause=pause
                )
            case Refused():
                return self._refused(delivery, error)
            case _:
                return self._unknown(delivery, error)

    def _refused(self, delivery: ClaimedDelivery, error: Refused) -> SettleDelivery:
        pause = self._recovered(delivery)  # the channel works: it has read this message
        code = error.code or ("outside_window" if isinstance(error, OutsideWindow) else None)
        settled = self._reports.settlement(delivery, Outcome.FAILED, error=error, code=code, pause=pause)
        if isinstance(error, OptedOut):
            return replace(settled, opted_out=error.scope)
        return replace(settled, undeliverable=isinstance(error, Undeliverable))

    def _retry(self, delivery: ClaimedDelivery, error: RetryLater) -> SettleDelivery:
        now = self._clock()
        if error.channel_wide:
            wait_s = min(WAIT_CAP_S, max(error.retry_after_s or 0.0, self._channel_backoff_s(delivery.channel_name)))
            until = now + timedelta(seconds=wait_s)
            pause = self._pause(delivery, until, error.code or "unreachable")
            return self._reports.settlement(
                delivery, Outcome.RETRY, error=error, next_attempt_at=now, counts=False, pause=pause
            )
        if delivery.attempts + 1 >= self._config.max_attempts:
            return self._reports.settlement(delivery, Outcome.FAILED, error=error)
        wait_s = error.retry_after_s or self._backoff_s(delivery)
        ends_at = delivery.queued_at + timedelta(hours=self._config.max_age_h)
        next_at = min(now + timedelta(seconds=min(wait_s, MAX_WAIT_S)), max(now, ends_at))
        return self._reports.settlement(
            delivery,
            Outcome.RETRY,
            error=error,
            next_attempt_at=next_at,
            pause=self._recovered(delivery),  # the platform has read this one, and speaks of it alone
        )

    def _backoff_s(self, delivery: ClaimedDelivery) -> float:
        return min(BACKOFF_CAP_S, BACKOFF_S * BACKOFF_FACTOR**delivery.attempts) * random.uniform(0.75, 1.25)

    def _unknown(self, delivery: ClaimedDelivery, error: SendError) -> SettleDelivery:
        if delivery.resends:
            return self._reports.settlement(delivery, Outcome.FAILED, error=error, code=OUTCOME_UNKNOWN)
        return self._reports.settlement(delivery, Outcome.UNCONFIRMED, error=error)

    # --- a channel that fails as a whole ---

    def _channel_backoff_s(self, name: str) -> float:
        health = self._health[name]
        if time.monotonic() >= health.paused_until_s:
            health.failures += 1  # calls that were in flight when the pause began say nothing new
        return min(PAUSE_CAP_S, 0.5 * 2.0**health.failures) * random.uniform(0.75, 1.25)

    def _pause(self, delivery: ClaimedDelivery, until: datetime, reason: str) -> Pause:
        health = self._health[delivery.channel_name]
        health.paused_until_s = time.monotonic() + (until - self._clock()).total_seconds()
        log.warning("channel_paused", reason=reason)
        return Pause(until, reason)

    def _recovered(self, delivery: ClaimedDelivery) -> Pause | None:
        health = self._health[delivery.channel_name]
        if not (delivery.probes or health.failures):
            return None
        health.failures, health.paused_until_s = 0, 0.0
        log.info("channel_recovered")
        return Pause(None)
