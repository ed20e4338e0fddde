"""A channel for the core's tests: its platform is the test, which says what each send meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from channels.base import Channel, Event, Outbound, Parsed, Receipt, Reply, Request
from channels.errors import SignatureError
from channels.rendering import Shows
from gateway.config import ChannelConfig
from gateway.roster import Roster

Meets = Callable[[Outbound], Any]


class LoopbackChannel:
    """Sends into a list; ``meets`` decides what comes back: a Receipt, an exception, or something to wait for."""

    kind = "sms"
    max_body_bytes = 1000
    send_timeout_s = 2.0
    default_coalesce_s = 0.0
    shows = Shows(max_text=40)

    def __init__(self, name: str) -> None:
        self.name = name
        self.account = name
        self.sent: list[Outbound] = []
        self.meets: Meets | None = None
        self.found: Receipt | Exception | None = None
        self.asked_for: list[Outbound] = []

    async def verify(self, request: Request) -> None:
        """Accept what says `yes`."""
        if request.header("X-Signed") != "yes":
            raise SignatureError

    def parse(self, request: Request) -> Parsed:
        """Tell nothing."""
        return Parsed((), Reply())

    def owns(self, event: Event) -> bool:
        """Own everything."""
        return True

    def shares_app_with(self, other: Channel) -> bool:
        """Share nothing."""
        return False

    async def send(self, outbound: Outbound) -> Receipt:
        """Send into the list, and meet what the test has decided."""
        self.sent.append(outbound)
        result = self.meets(outbound) if self.meets else None
        if isinstance(result, asyncio.Future):
            result = await result
        if isinstance(result, BaseException):
            raise result
        return result or Receipt(f"EX-{len(self.sent)}")

    @property
    def texts(self) -> list[str]:
        """What was sent, in order."""
        return [outbound.content.text for outbound in self.sent]


class LookingUpChannel(LoopbackChannel):
    """A platform that can be asked."""

    async def find(self, outbound: Outbound, since: datetime, known_ids: frozenset[str]) -> Receipt | None:
        """Return what the test has decided."""
        self.asked_for.append(outbound)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def roster_of(
    *channels: LoopbackChannel, rate_per_s: float = 1000.0, settings: Mapping[str, Any] | None = None
) -> Roster:
    """Build a roster of channels."""
    return Roster(
        (
            channel,
            ChannelConfig(
                name=channel.name, type="loopback", rate_per_s=rate_per_s, coalesce_s=None, settings=settings or {}
            ),
        )
        for channel in channels
    )
