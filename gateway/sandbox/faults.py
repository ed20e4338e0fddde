"""How a stand-in is told to fail, whatever platform it stands for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

FINE = "ok"
_AFTER = "_after"
_LOOK_EVERY_S = 0.02


@dataclass(slots=True, kw_only=True)
class Script:
    """What happens next: what is planned, one word a time, and beyond that what the dice say."""

    next: deque[str] = field(default_factory=deque)
    rates: Mapping[str, float] = field(default_factory=dict)
    """The share of the rest, 0 to 1, that each word falls to; together at most 1."""
    random: Random = field(default_factory=lambda: Random(1))

    def plan(self, *words: str) -> None:
        """Add to what is planned."""
        self.next.extend(words)

    def draw(self) -> str:
        """Use up one word; ``ok`` where nothing is to go wrong."""
        if self.next:
            return self.next.popleft()
        rolled = self.random.random() if self.rates else 1.0
        for word, rate in self.rates.items():
            if rolled < rate:
                return word
            rolled -= rate
        return FINE


def _bare(status: int) -> web.Response:
    return web.json_response({"message": "scripted failure"}, status=status)


@dataclass(slots=True, kw_only=True)
class Faults(Script):
    """What goes wrong with requests, and how slowly everything goes.

    The words: ``ok``; ``status:429`` or any other status; ``drop`` (or ``drop_before``: the connection is closed
    without an answer); ``hang`` (no answer until the caller gives up). Each of them with ``_after`` behind its name
    (``drop_after``, ``hang_after``, ``status_after:500``) processes the request first: what the caller cannot know.
    """

    latency_s: float = 0.0
    retry_after_s: float | None = None
    """The Retry-After of a scripted status, in seconds."""
    body: Callable[[int], web.Response] = _bare
    """Makes the answer of a scripted status, in the platform's own words."""

    async def around(
        self, request: web.Request, process: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Process a request, or not, and answer it, or not."""
        fault = await self._begin()
        if _AFTER in fault:
            await process()
        failed = await self._fail(request, fault)
        return await process() if failed is None else failed

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Wait, and return what to answer instead of the real answer, or None; nothing is processed then."""
        return await self._fail(request, await self._begin())

    async def _begin(self) -> str:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        return self.draw()

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse | None:
        kind, _, detail = fault.replace(_AFTER, "").partition(":")
        if kind == "hang":
            await self._until_gone(request)
        if kind in {"hang", "drop", "drop_before"}:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if kind == "status":
            answer = self.body(int(detail))
            if self.retry_after_s is not None:
                answer.headers["Retry-After"] = f"{self.retry_after_s:g}"
            return answer
        if kind != FINE:
            raise ValueError(f"there is no fault named {fault}")
        return None

    async def _until_gone(self, request: web.Request) -> None:
        """Hold the request; the server cancels no handler, so a stopped test would wait for it."""
        # aiohttp tells a handler nothing when its client goes, so there is no event to wait for.
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)
