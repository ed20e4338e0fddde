"""The workers that answer: claim a due conversation, run the assistant, commit the answer."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels.rendering import parts_of
from gateway.assistant.lease import LEASE_S, keep_lease
from gateway.assistant.turn import Assistant, Reply
from gateway.bus import Bus
from gateway.clock import Clock
from gateway.config import TurnsConfig
from gateway.metrics import Metrics
from gateway.presence import typing_shown
from gateway.roster import Roster
from gateway.storage import (
    Answer,
    Claim,
    ClaimTurns,
    Fenced,
    Finished,
    FinishTurn,
    ReleaseTurn,
    Storage,
    StorageUnavailable,
)
from gateway.tasks import end

log = structlog.get_logger(__name__)

POLL_S = 1.0  # other processes' messages, and what a lost wake-up would have told
RETRY_S = 2.0
MAX_CLAIM = 64


class Turns:
    """Runs up to ``concurrency`` turns at once in this process."""

    def __init__(
        self,
        storage: Storage,
        roster: Roster,
        assistant: Assistant,
        bus: Bus,
        metrics: Metrics,
        clock: Clock,
        config: TurnsConfig,
        *,
        owner: str,
        answer_while_waiting: bool,
    ) -> None:
        self._storage = storage
        self._roster = roster
        self._assistant = assistant
        self._bus = bus
        self._metrics = metrics
        self._clock = clock
        self._config = config
        self._owner = owner
        self._answer_while_waiting = answer_while_waiting
        self._running: set[asyncio.Task[None]] = set()
        self._due: list[float] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._idle = asyncio.Event()
        """Set while nothing is being claimed."""
        self._idle.set()

    async def run(self) -> None:
        """Claim and answer until ``stop``."""
        self._idle.clear()
        listener = asyncio.create_task(self._listen())
        try:
            while not self._stopping:
                self._wake.clear()
                free = self._config.concurrency - len(self._running)
                claimed = await self._claim(min(free, MAX_CLAIM)) if free > 0 else 0
                if claimed < min(free, MAX_CLAIM) or free <= 0:
                    await self._sleep()
        finally:
            self._idle.set()
            await end((listener,))

    async def stop(self, grace_s: float) -> None:
        """Claim no more; let running turns finish for ``grace_s``, then give the rest back."""
        self._stopping = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()  # a claim that is under way still begins its turns
                while self._running:
                    await asyncio.wait(self._running)
        await end(self._running)

    # --- when to claim ---

    async def _listen(self) -> None:
        async with self._bus.subscribe("turns") as subscription:
            async for payload in subscription:
                self._note_due(payload)

    def _note_due(self, payload: Mapping[str, Any]) -> None:
        heapq.heappush(self._due, float(payload.get("due_at", 0)))
        self._wake.set()

    async def _sleep(self) -> None:
        """Wait until something is due, a turn ends, or the time for a look has come."""
        now = self._clock().timestamp()
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
            self._wake.set()  # something became due while we were claiming
        full = len(self._running) >= self._config.concurrency
        wait_s = POLL_S if full or not self._due else min(POLL_S, self._due[0] - now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(wait_s, 0.001)):
                await self._wake.wait()

    async def _claim(self, limit: int) -> int:
        now = self._clock()
        operation = ClaimTurns(self._owner, now, now + timedelta(seconds=LEASE_S), limit, self._roster.names)
        try:
            claims = await self._storage.run(operation)
        except StorageUnavailable:
            await asyncio.sleep(POLL_S)
            return 0
        for claim in claims:
            task = asyncio.create_task(self._work(claim))
            self._running.add(task)
            self._metrics.running_turns.inc()
            task.add_done_callback(self._ended)
        return len(claims)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._metrics.running_turns.dec()
        self._wake.set()

    # --- one turn ---

    async def _work(self, claim: Claim) -> None:
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(conversation_id=claim.conversation_id, fence=claim.fence):
            try:
                async with keep_lease(self._storage, claim, self._clock), self._typing(claim):
                    reply = await self._reply(claim)
                finished = await self._finish(claim, reply)
            except Fenced:
                self._count("fenced")
                log.info("turn_fenced_off")
            except asyncio.CancelledError:
                await self._release(claim, self._clock(), count_attempt=False)
                raise
            except StorageUnavailable:  # reading history, a file or a round's record: not this turn's fault
                self._count("put_off")
                log.warning("turn_put_off", reason="the database is away")
                await self._put_off(claim)
            except Exception:  # the top of a worker: this conversation comes back, the others go on
                self._count("error")
                log.exception("turn_failed", attempt=claim.attempts)
                wait_s = RETRY_S * 2**claim.attempts * random.uniform(0.8, 1.2)
                await self._release(claim, self._clock() + timedelta(seconds=wait_s))
            else:
                self._count("fallback" if reply.fallback else "answered")
                self._metrics.turn_seconds.observe(time.monotonic() - started)
                await self._after(claim, reply, finished)

    def _typing(self, claim: Claim) -> AbstractAsyncContextManager[None]:
        channel = self._roster.get(claim.channel_name or "")
        newest = next((message.external_id for message in reversed(claim.messages)), None)
        return typing_shown(channel, claim.address, newest)

    def _count(self, outcome: str) -> None:
        self._metrics.turns.labels(outcome).inc()

    async def _reply(self, claim: Claim) -> Reply:
        if not claim.messages:
            return Reply(None)
        age = self._clock() - claim.messages[0].timestamp
        if claim.attempts > self._config.max_attempts or age > timedelta(hours=self._config.max_age_h):
            log.warning("turn_given_up", attempt=claim.attempts)
            return await self._assistant.give_up(claim)
        return await self._assistant.answer(claim)

    async def _finish(self, claim: Claim, reply: Reply) -> Finished:
        answer = self._in_parts(claim, reply)
        operation = FinishTurn(
            claim.id,
            claim.fence,
            self._clock(),
            answer,
            reply.handover,
            reply.fallback,
            self._answer_while_waiting,
            reply.window_start,
        )
        while True:
            try:
                finished = await self._storage.run(operation)
            except StorageUnavailable:  # however long it lasts, the fence decides whether the answer still counts
                await asyncio.sleep(POLL_S)
                continue
            if finished is None:
                raise Fenced
            return finished

    def _in_parts(self, claim: Claim, reply: Reply) -> Answer | None:
        channel = self._roster.get(claim.channel_name or "")
        if reply.answer is None or channel is None:
            return reply.answer
        return reply.answer.in_parts(parts_of(reply.answer.content, channel.shows))

    async def _after(self, claim: Claim, reply: Reply, finished: Finished) -> None:
        self._bus.publish("outbox", {})
        if finished.due_at is not None:
            self._note_due({"due_at": finished.due_at.timestamp()})
        await self._assistant.remember(claim, reply, finished)

    async def _put_off(self, claim: Claim) -> None:
        """Give a turn back as soon as the database is there; the fence decides whether it is still ours then."""
        while True:
            due_at = self._clock() + timedelta(seconds=RETRY_S)
            try:
                await self._storage.run(ReleaseTurn(claim.id, claim.fence, due_at, count_attempt=False))
            except StorageUnavailable:
                await asyncio.sleep(POLL_S)
            else:
                self._note_due({"due_at": due_at.timestamp()})
                return

    async def _release(self, claim: Claim, due_at: datetime, *, count_attempt: bool = True) -> None:
        self._note_due({"due_at": due_at.timestamp()})
        with contextlib.suppress(StorageUnavailable):  # then the lease runs out by itself
            await self._storage.run(ReleaseTurn(claim.id, claim.fence, due_at, count_attempt))
