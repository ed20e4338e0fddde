"""Ports on which channels are given messages by other protocols than HTTP."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import structlog

from channels.abilities import Listens
from channels.base import Channel, Request
from gateway.inbox import Inbox
from gateway.metrics import Metrics
from gateway.roster import Roster

log = structlog.get_logger(__name__)


class Listeners:
    """Opens them with the door, and closes them before it."""

    def __init__(self, roster: Roster, inbox: Inbox, metrics: Metrics) -> None:
        self._channels = [channel for channel in roster if isinstance(channel, Listens) and channel.listens]
        self._inbox = inbox
        self._metrics = metrics
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Listen on all of them.

        Raises:
            OSError: an address is taken or not ours.
        """
        for channel in self._channels:
            await self._stack.enter_async_context(channel.listen(partial(self._receive, channel)))
            log.info("listening", channel=channel.name)

    async def stop(self) -> None:
        """Accept no more, finish what has begun."""
        await self._stack.aclose()

    async def _receive(self, channel: Channel, request: Request) -> None:
        """Keep one message; when this returns it is on disk, and when it raises nothing was taken."""
        try:
            await self._inbox.take(channel, request)
        except Exception as error:
            log.error("message_turned_away", channel=channel.name, error=type(error).__name__)
            self._metrics.webhooks.labels(channel.name, "451").inc()
            raise
        self._metrics.webhooks.labels(channel.name, "250").inc()
