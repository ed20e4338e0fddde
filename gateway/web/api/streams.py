"""An answer that comes as events (html.spec.whatwg.org, "Server-sent events")."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable
from typing import Any

from aiohttp import hdrs, web

from gateway.web.api.problems import CONTENT_TYPE as PROBLEM
from gateway.web.api.route import Route

REFUSED = 400
EVENTS = "text/event-stream"
BEGINS_S = 0.2
"""What is refused within this time is refused as ever, with its status; only then the events begin."""
SILENCE_S = 10.0  # proxies drop a connection on which nothing is said for a minute, some for half of it


def wants_events(route: Route, request: web.Request) -> bool:
    """Tell whether the answer is to come as events."""
    accepted = request.headers.get(hdrs.ACCEPT, "")
    return route.streams and any(one.partition(";")[0].strip().lower() == EVENTS for one in accepted.split(","))


class Stream:
    """Says what happens as it happens; whoever has hung up misses it, and nothing else changes."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self.response = response

    async def follow(self, answering: Awaitable[web.Response]) -> web.StreamResponse:
        """Say that an answer is being made, wait for it, and give it."""
        working = asyncio.ensure_future(answering)
        try:
            if (await asyncio.wait({working}, timeout=BEGINS_S))[0] and working.result().status >= REFUSED:
                return working.result()
            await self._say("started", {})
            while not (await asyncio.wait({working}, timeout=SILENCE_S))[0]:
                await self._write(b": still at it\n\n")
        finally:
            if not working.done():  # the server stops
                working.cancel()
        await self._tell(working.result())
        return self.response

    async def _tell(self, answer: web.Response) -> None:
        told = json.loads(answer.text or "{}")
        if answer.content_type == PROBLEM:
            await self._say("problem", told)
        else:
            await self._say("message", {"message": told["message"]})
            await self._say("done", told)
        with contextlib.suppress(ConnectionError):
            await self.response.write_eof()

    async def _say(self, name: str, data: Any) -> None:
        await self._write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    async def _write(self, chunk: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            if not self.response.prepared:
                self.response.content_type = EVENTS
                self.response.headers[hdrs.CACHE_CONTROL] = "no-store"
                self.response.headers["X-Accel-Buffering"] = "no"  # nginx.org, ngx_http_proxy_module: proxy_buffering
                await self.response.prepare(self._request)
            await self.response.write(chunk)
