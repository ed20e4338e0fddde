"""The demo's back door: be a customer of any of its channels, over HTTP on this machine.

``POST /sandbox/text`` says something as a customer; ``GET /sandbox/outbox`` tells what a customer's telephone has
received, waiting a while where there is nothing new yet.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from aiohttp import web

from gateway.storage import Storage

LOOK_EVERY_S = 0.02
MAX_WAIT_S = 20.0
# Any page in this machine's browser can post a form here, or come by a name of its own that leads to this machine.
HERE = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)
OPEN_STATUSES = frozenset({"queued", "sending", "unconfirmed", "sent"})  # the stand-ins report the end of all


class Line(Protocol):
    """One channel of the demo, seen from the customers' side."""

    async def text(self, sender: str, text: str) -> int:
        """Let a customer write; returns the status with which the gateway answered the webhook, 0 for no answer."""

    def received(self, address: str) -> Sequence[str]:
        """Return what a customer reads on the telephone, oldest first."""


def _from_here(page: Callable[[web.Request], Awaitable[web.Response]]) -> Callable[..., Awaitable[web.Response]]:
    """Return a page that answers only who asks this machine by its own name."""

    async def guarded(request: web.Request) -> web.Response:
        if HERE.fullmatch(request.host) is None:
            return web.json_response({"error": "ask 127.0.0.1"}, status=403)
        return await page(request)

    return guarded


@runtime_checkable
class KnowsAddresses(Protocol):
    """A line that can tell a customer's address from a typing error."""

    def why_no_address(self, address: str) -> str | None:
        """Say why nobody writes from there, or None where somebody may."""


class Control:
    """Answers ``/sandbox/…``."""

    def __init__(self, lines: Mapping[str, Line], business_name: str, unreported: Collection[str] = ()) -> None:
        self._lines = lines
        self._business_name = business_name
        self._unreported = unreported
        """Those where nobody hears of a message after it was taken."""
        self.storage: Storage | None = None
        """The gateway's database, as soon as that is open."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sandbox", _from_here(self._about)),
            web.post("/sandbox/text", _from_here(self._text)),
            web.get("/sandbox/outbox", _from_here(self._outbox)),
        ]

    async def _about(self, _: web.Request) -> web.Response:
        return web.json_response({"business": self._business_name, "channels": list(self._lines)})

    async def _text(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return web.json_response({"error": "say it as application/json"}, status=415)
        body = await request.json()
        line = self._lines.get(str(body.get("channel")))
        sender, text = str(body.get("from", "")), str(body.get("text", ""))
        if line is None:
            return self._unknown_channel()
        if not sender or not text:
            return _invalid("from and text must not be empty")
        if (wrong := _wrong_address(line, sender)) is not None:
            return _invalid(wrong)
        return web.json_response({"webhook_status": await line.text(sender, text)}, status=202)

    async def _outbox(self, request: web.Request) -> web.Response:
        name, address = request.query.get("channel", ""), request.query.get("to", "")
        line = self._lines.get(name)
        if line is None:
            return self._unknown_channel()
        try:
            after, wait_s = int(request.query.get("after", "0")), float(request.query.get("wait_s", "0"))
        except ValueError:
            return _invalid("after and wait_s are numbers")
        if (wrong := _wrong_address(line, address)) is not None:
            return _invalid(wrong)
        until = time.monotonic() + min(wait_s, MAX_WAIT_S)
        # The stand-ins tell nobody what they received, so there is no event to wait for.
        while len(line.received(address)) <= after and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
        waits = await self._waits(name, address)
        items = line.received(address)[after:]  # read after the look: what is settled has arrived
        return web.json_response({"items": list(items), "next": after + len(items), "waits": waits})

    def _unknown_channel(self) -> web.Response:
        return web.json_response({"error": f"the demo has these channels: {', '.join(self._lines)}"}, status=404)

    async def _waits(self, channel_name: str, address: str) -> bool:
        """Tell whether an answer to this customer is still on its way."""
        assert self.storage is not None
        open_ = OPEN_STATUSES - {"sent"} if channel_name in self._unreported else OPEN_STATUSES
        for row in await self.storage.conversations(channel=channel_name, limit=1000):
            if (row.address or "").lower() != address.lower():
                continue
            if row.due_at is not None or row.input_sequence is not None:  # a turn is due, or has begun
                return True
            deliveries = await self.storage.deliveries(conversation_id=row.id)
            if any(delivery.status in open_ for delivery in deliveries):
                return True
        return False


def _wrong_address(line: Line, address: str) -> str | None:
    return line.why_no_address(address) if isinstance(line, KnowsAddresses) else None


def _invalid(error: str) -> web.Response:
    return web.json_response({"error": error}, status=422)
