"""`/healthz`, `/readyz` and `/metrics`: they read state and never change it, but try whether it could be changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web
from prometheus_client import generate_latest

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.spool import Spool
from gateway.storage import ChannelState, Storage, StorageUnavailable, TryWriting

T = TypeVar("T")

LOOK_TIMEOUT_S = 2.0
FRESH_S = 1.0
"""Whoever asks within this time after somebody else is told the same: asking often costs the database nothing."""


@dataclass(slots=True)
class _Look:
    """What the database said last; a part that did not come is None."""

    at_s: float
    backlog: Mapping[str, int] | None
    channel_states: Sequence[ChannelState] | None


class Health:
    """What an orchestrator and a dashboard ask."""

    def __init__(self, storage: Storage, spool: Spool, metrics: Metrics, clock: Clock) -> None:
        self._storage = storage
        self._spool = spool
        self._metrics = metrics
        self._clock = clock
        self._looking = asyncio.Lock()
        self._last: _Look | None = None
        self.stopping = False

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount the three."""
        router.add_get("/healthz", self.live)
        router.add_get("/readyz", self.ready)
        router.add_get("/metrics", self.numbers)

    async def live(self, _: web.Request) -> web.Response:
        """Answer: the process lives."""
        return web.json_response({"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """Answer 200 while inbound can be stored or spooled, with the reasons for whatever is not well."""
        look = await self._look()
        database = look.channel_states is not None and self._storage.writable
        problems = {}
        if not database:
            fault = "does not answer" if look.channel_states is None else "takes no writes"
            problems["database"] = f"{fault}; inbound goes to the spool" if self._spool.accepts else fault
        if not self._spool.accepts:
            problems["spool"] = "its disk takes no writes" if self._spool.broken else "off or full"
        if self.stopping:
            problems["process"] = "is stopping"
        problems.update(_channel_problems(look.channel_states or ()))
        can_keep = (database or self._spool.accepts) and not self.stopping
        return web.json_response(
            {"status": "ok" if can_keep else "unavailable", "problems": problems}, status=200 if can_keep else 503
        )

    async def numbers(self, _: web.Request) -> web.Response:
        """Answer with the numbers; what waits is counted, where the database answers."""
        self._metrics.spool_bytes.set(self._spool.size_bytes)
        look = await self._look()
        for what, count in (look.backlog or {}).items():
            self._metrics.backlog.labels(what).set(count)
        if look.channel_states is not None:
            self._show_pauses(look.channel_states)
            self._show_findings(look.channel_states)
        text = generate_latest(self._metrics.registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _show_pauses(self, states: Sequence[ChannelState]) -> None:
        """Show a series for each channel that is paused, whichever process paused it, and none for the others."""
        self._metrics.paused.clear()
        for state in states:
            if state.pause_attempts:
                self._metrics.paused.labels(state.channel_name, state.pause_reason or "unknown").set(1)

    def _show_findings(self, states: Sequence[ChannelState]) -> None:
        """Show how much is wrong with each channel that was looked at, whichever process looked."""
        self._metrics.findings.clear()
        for state in states:
            if state.findings is not None:
                self._metrics.findings.labels(state.channel_name).set(len(state.findings))

    async def _look(self) -> _Look:
        """Ask the database, once for all who ask at the same time or shortly after."""
        async with self._looking:
            if self._last is None or time.monotonic() - self._last.at_s > FRESH_S:
                states = await _in_time(self._storage.channel_states())
                backlog = None if states is None else await _in_time(self._storage.backlog(self._clock()))
                if states is not None and not self._storage.writable:  # nothing may come that would ask it again
                    await _in_time(self._storage.run(TryWriting()))
                self._last = _Look(time.monotonic(), backlog, states)
            return self._last


async def _in_time(answer: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await answer
    except (StorageUnavailable, TimeoutError):
        return None


def _channel_problems(states: Sequence[ChannelState]) -> dict[str, str]:
    """Name channels that are paused or unwell at their platform; they never make the process unready."""
    told = {f"channels.{state.channel_name}": list(_told(state)) for state in states}
    return {name: "; ".join(problems) for name, problems in told.items() if problems}


def _told(state: ChannelState) -> Iterator[str]:
    if state.pause_attempts:
        yield f"paused: {state.pause_reason}"
    if state.findings:  # anybody may ask here: what they say is for the owner
        yield f"{len(state.findings)} found wrong at its platform, frontdesk doctor says what"
