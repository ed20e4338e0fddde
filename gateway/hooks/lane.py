"""One receiver's way out: of each conversation one event at a time, whatever the other receivers are doing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from channels.http import Http
from gateway.clock import Clock
from gateway.hooks.attempt import TIMEOUT_S, Answer, attempt
from gateway.hooks.payloads import write
from gateway.hooks.receivers import Receiver
from gateway.storage import (
    PROBE_AFTER,
    ClaimedHook,
    ClaimHooks,
    DisableReceiver,
    SettleHook,
    Storage,
    StorageUnavailable,
)
from gateway.storage.writer import Operation
from gateway.tasks import end

R = TypeVar("R")

log = structlog.get_logger(__name__)

AT_ONCE = 8
LEASE = timedelta(seconds=60)
"""Longer than an attempt: who dies with an event leaves it to others after this."""
POLL_S = 1.0
RETRY_S = 1.0
SCHEDULE_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 22_000.0)
"""The waits between attempts. Standard Webhooks 1.0.0, "Deliverability and reliability", up to 10 hours; the last one
ends the day."""
JITTER = 0.2
MAX_AGE = timedelta(hours=24)
PAUSE_S = 5.0
PAUSE_CAP_S = 300.0
WISH_CAP_S = 3600.0
"""The longest that a receiver is left alone because it says so: an attempt costs one call."""


class Lane:
    """Claims what is due for a receiver, tells it, and settles what came back."""

    def __init__(
        self, storage: Storage, http: Http, clock: Clock, receiver: Receiver, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._timeout_s = timeout_s
        self._storage = storage
        self._http = http
        self._clock = clock
        self._receiver = receiver
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Tell it for ever, until ``stop``."""
        while not self._stopping:
            self._wake.clear()
            try:
                begun = await self.tell_due()
            except Exception:  # the top of a loop: it looks again soon
                log.exception("hooks_broke", receiver_id=self._receiver.id)
                begun = 0
            if not begun:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def stop(self, grace_s: float) -> None:
        """Begin no more, and let calls in flight end; what is cut off is told again under the same id."""
        self._stopping = True
        self._wake.set()
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        await end(self._running)

    async def tell_due(self) -> int:
        """Begin to tell what is due, and return how many events that is; nothing while the database is away."""
        free = AT_ONCE - len(self._running)
        if free <= 0:
            return 0
        now, asked_s = self._clock(), time.monotonic()
        try:
            claimed = await self._storage.run(ClaimHooks(self._receiver.id, now, now + LEASE, free))
        except StorageUnavailable:
            return 0
        for hook in claimed:
            task = asyncio.create_task(self._work(hook, asked_s + LEASE.total_seconds()))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(claimed)

    async def idle(self) -> None:
        """Return when nothing is in flight."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    # --- one event ---

    async def _work(self, hook: ClaimedHook, lease_ends_s: float) -> None:
        bound = {
            "receiver": self._receiver.id,
            "host": self._receiver.host,
            "webhook_id": hook.id,
            "event_type": hook.type,
        }
        with structlog.contextvars.bound_contextvars(**bound):
            try:
                if time.monotonic() + self._timeout_s < lease_ends_s:  # else somebody else may be telling it
                    await self._tell(hook)
            except Exception:  # the top of a worker: the lease runs out, and it is tried again
                log.exception("hook_broke")

    async def _tell(self, hook: ClaimedHook) -> None:
        try:
            body = write(hook.type, hook.happened_at, hook.payload)
        except ValueError:  # another release has stored it
            log.error("hook_unreadable")
            ids = (hook.id, self._receiver.id, hook.attempts)
            await self._record(SettleHook(*ids, "failed", self._clock(), error="this release cannot read it"))
            return
        answer = await attempt(self._http, self._receiver, hook.id, body, self._clock(), timeout_s=self._timeout_s)
        if answer.is_gone:
            failed = await self._record(DisableReceiver(self._receiver.id, self._clock(), "the receiver is gone (410)"))
            log.error("receiver_gone", failed_count=failed, command="frontdesk webhooks test")
            return
        await self._record(self.settlement(hook, answer))

    async def _record(self, settled: Operation[R]) -> R:
        """Commit an outcome; while the database is away it is kept here."""
        while True:
            try:
                return await self._storage.run(settled)
            except StorageUnavailable:
                await asyncio.sleep(RETRY_S)

    # --- what came of it ---

    def settlement(self, hook: ClaimedHook, answer: Answer) -> SettleHook:
        """Return the operation that records an answer."""
        now = self._clock()
        if answer.is_taken:
            return SettleHook(
                hook.id,
                self._receiver.id,
                hook.attempts,
                "delivered",
                now,
                response_status=answer.status,
                failures=hook.failures,
                leased_until=now + LEASE,
            )
        ends_at = hook.queued_at + MAX_AGE
        refusals = hook.attempts - hook.outages - (1 if answer.is_outage else 0)
        if refusals > len(SCHEDULE_S) or now >= ends_at:
            log.error("hook_failed", attempts=hook.attempts, status=answer.status, error=answer.error)
            return self._unsettled(hook, answer, "failed", now, None)
        wait_s = _outage_wait_s(hook) if answer.is_outage else SCHEDULE_S[refusals - 1]
        wait_s = max(_jittered(wait_s), answer.retry_after_s or 0.0)
        next_at = min(now + timedelta(seconds=min(wait_s, MAX_AGE.total_seconds())), ends_at)
        log.warning("hook_delayed", attempts=hook.attempts, status=answer.status, error=answer.error)
        return self._unsettled(hook, answer, "queued", now, next_at)

    def _unsettled(
        self, hook: ClaimedHook, answer: Answer, status: str, now: datetime, next_at: datetime | None
    ) -> SettleHook:
        return SettleHook(
            hook.id,
            self._receiver.id,
            hook.attempts,
            status,
            now,
            next_attempt_at=next_at,
            response_status=answer.status,
            error=answer.error,
            is_outage=answer.is_outage,
            pause_until_at=_pause_until(hook, answer, now),
            failures=hook.failures,
            leased_until=now + LEASE,
        )


def _outage_wait_s(hook: ClaimedHook) -> float:
    """Return how long an event waits that its receiver has not looked at: an outage uses up none of its chances."""
    return min(SCHEDULE_S[min(hook.outages, len(SCHEDULE_S) - 1)], PAUSE_CAP_S)


def _pause_until(hook: ClaimedHook, answer: Answer, now: datetime) -> datetime | None:
    """Return until when the receiver is left alone; None where it is not."""
    if not answer.is_outage:
        return None
    beyond = hook.failures + 1 - PROBE_AFTER
    wait_s = 0.0 if beyond < 0 else _jittered(min(PAUSE_CAP_S, PAUSE_S * 2.0 ** min(beyond, 10)))
    wait_s = max(wait_s, min(answer.retry_after_s or 0.0, WISH_CAP_S))
    if not wait_s:
        return None
    log.warning("receiver_paused", failures_count=hook.failures + 1, wait_s=round(wait_s))
    return now + timedelta(seconds=wait_s)


def _jittered(wait_s: float) -> float:
    return wait_s * random.uniform(1 - JITTER, 1 + JITTER)
