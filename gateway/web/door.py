"""Webhooks in: size-capped raw bytes become a Request, and what the channel says becomes the response."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import ClientError, web

from channels.base import Channel, Reply, Request
from channels.errors import SignatureError
from gateway.inbox import Inbox
from gateway.metrics import Metrics
from gateway.roster import Roster
from gateway.spool import SpoolUnavailable
from gateway.web.seldom import Seldom

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
FORBIDDEN = 403
READ_TIMEOUT_S = 20.0  # a stranger who dribbles a body in does not hold a connection for longer


class Door:
    """Answers ``/webhooks/{channel}``."""

    def __init__(self, inbox: Inbox, roster: Roster, metrics: Metrics, *, max_body_bytes: int) -> None:
        self._inbox = inbox
        self._roster = roster
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._refused = Seldom()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount the door."""
        router.add_route("POST", "/webhooks/{channel}", self.handle)
        router.add_route("GET", "/webhooks/{channel}", self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Let one webhook in, or say no; a stranger's bad request learns nothing and never sees a stack trace."""
        channel = self._roster.get(request.match_info["channel"])
        if channel is None:
            return web.Response(status=404)
        response = await self._answer(channel, request)
        self._metrics.webhooks.labels(channel.name, str(response.status)).inc()
        return response

    async def _answer(self, channel: Channel, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                body = await _read(request, min(self._max_body_bytes, channel.max_body_bytes))
        except TimeoutError:
            return _close(408)
        except (ConnectionError, ClientError):  # it hung up, or its chunks are none
            return _close(400)
        if body is None:
            return _close(413)
        try:
            reply = await self._inbox.receive(channel, _ours(request, body))
        except SignatureError as error:
            self._note_refused(channel, error)
            return web.Response(status=FORBIDDEN)
        except SpoolUnavailable as error:
            log.error("webhook_turned_away", channel=channel.name, reason=str(error))
            return web.Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
        except Exception:  # a fault of ours: the platform tries again, the stranger learns nothing
            log.exception("webhook_failed", channel=channel.name)
            return web.Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
        return _theirs(reply)

    def _note_refused(self, channel: Channel, error: SignatureError) -> None:
        """Tell the owner why, each reason by itself: one that strangers cause does not hide a platform's."""
        reason = error.doubt or str(error)
        count = self._refused.count(f"{channel.name} {reason}", asyncio.get_running_loop().time())
        if count is not None:
            log.warning("webhook_refused", channel=channel.name, count=count, status=FORBIDDEN, reason=str(reason))


async def _read(request: web.Request, max_bytes: int) -> bytes | None:
    """Read the body, or return None where it is longer than allowed."""
    if (request.content_length or 0) > max_bytes:
        return None
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _ours(request: web.Request, body: bytes) -> Request:
    headers = tuple((name, value) for name, value in request.headers.items())
    return Request(request.method, request.raw_path, headers, body)


def _theirs(reply: Reply) -> web.Response:
    if not reply.body:
        return web.Response(status=reply.status)
    return web.Response(status=reply.status, text=reply.body, content_type=reply.content_type)


def _close(status: int) -> web.Response:
    response = web.Response(status=status)
    response.force_close()  # the rest of the body is not read
    return response
