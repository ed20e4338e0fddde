"""The demo's back door: be a customer of any of its channels, over HTTP on this machine.

``POST /sandbox/text`` says something as a customer; ``GET /sandbox/outbox`` tells what a customer's telephone has
received, waiting a while where there is nothing new yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web

from gateway.storage import Storage

LOOK_EVERY_S = 0.02
MAX_WAIT_S = 20.0
OPEN_STATUSES = ("queued", "sending", "unconfirmed", "sent")  # the stand-ins report the end of all


class Line(Protocol):
    """One channel of the demo, seen from the customers' side."""

    async def text(self, sender: str, text: str) -> int:
        """Let a customer write; returns the status with which the gateway answered the webhook, 0 for no answer."""

    def received(self, address: str) -> Sequence[str]:
        """Return what a customer reads on the telephone, oldest first."""


class Control:
    """Answers ``/sandbox/…``."""

    def __init__(self, lines: Mapping[str, Line], business_name: str) -> None:
        self._lines = lines
        self._business_name = business_name
        self.storage: Storage | None = None
        """The gateway's database, as soon as that is open."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sandbox", self._about),
            web.post("/sandbox/text", self._text),
            web.get("/sandbox/outbox", self._outbox),
        ]

    async def _about(self, _: web.Request) -> web.Response:
        return web.json_response({"business": self._business_name, "channels": list(self._lines)})

    async def _text(self, request: web.Request) -> web.Response:
        body = await request.json()
        line = self._lines.get(str(body.get("channel")))
        sender, text = str(body.get("from", "")), str(body.get("text", ""))
        if line is None:
            return self._unknown_channel()
        if not sender or not text:
            return web.json_response({"error": "from and text must not be empty"}, status=422)
        return web.json_response({"webhook_status": await line.text(sender, text)}, status=202)

    async def _outbox(self, request: web.Request) -> web.Response:
        name, address = request.query.get("channel", ""), request.query.get("to", "")
        line = self._lines.get(name)
        if line is None:
            return self._unknown_channel()
        try:
            after, wait_s = int(request.query.get("after", "0")), float(request.query.get("wait_s", "0"))
        except ValueError:
            return web.json_response({"error": "after and wait_s are numbers"}, status=422)
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
        rows = await self.storage.conversations(channel=channel_name, limit=1000)
        row = next((row for row in rows if row.address == address), None)
        if row is None:
            return False
        if row.due_at is not None or row.input_sequence is not None:  # a turn is due, or has begun
            return True
        deliveries = await self.storage.deliveries(conversation_id=row.id)
        return any(delivery.status in OPEN_STATUSES for delivery in deliveries)
