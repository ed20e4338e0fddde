"""Showing a customer that the message has been read and an answer is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from channels.abilities import ShowsTyping
from channels.base import Channel
from channels.errors import SendError
from gateway.tasks import end

log = structlog.get_logger(__name__)


@asynccontextmanager
async def typing_shown(channel: Channel | None, recipient: str | None, external_id: str | None) -> AsyncIterator[None]:
    """Show it while the body runs, on a channel that can; the body is neither delayed nor failed by it."""
    if not isinstance(channel, ShowsTyping) or recipient is None or external_id is None:
        yield
        return
    showing = asyncio.create_task(_show(channel, recipient, external_id))
    try:
        yield
    finally:
        await end((showing,))


async def _show(channel: ShowsTyping, recipient: str, external_id: str) -> None:
    """Show it again and again, until the platform does not want to."""
    try:
        while True:
            await channel.show_typing(recipient, external_id)
            await asyncio.sleep(channel.typing_every_s)
    except SendError as error:
        log.info("typing_not_shown", error=type(error).__name__, code=error.code)
    except Exception:  # the top of a loop: nothing hangs on it
        log.exception("typing_broke")
