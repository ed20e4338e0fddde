"""Webhooks in: size-capped raw bytes become a Request, and what the channel says becomes the response."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import structlog
from aiohttp import ClientError, web

from channels.abilities import AnswersRefused, TakesLargeBodies
from channels.base import Channel, Reply, Request
from channels.errors import SendError, SignatureError
from gateway.inbox import Inbox
from gateway.metrics import Metrics
from gateway.roster import Roster
from gateway.spool import SpoolUnavailable
from gateway.web import bodies
from gateway.web.bodies import LargeBodies, TooBusy, TooLong
from gateway.web.seldom import Seldom

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
FORBIDDEN = 403


class Door:
    """Answers ``/webhooks/{channel}``."""

    def __init__(self, inbox: Inbox, roster: Roster, metrics: Metrics, *, max_body_bytes: int, folder: Path) -> None:
        self._inbox = inbox
        self._large_bodies = LargeBodies(folder)
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
        ours = _ours(request)
        try:
            if isinstance(channel, TakesLargeBodies):
                channel.admit(ours)
            ours = await self._with_body(channel, request, ours)
        except SignatureError as error:
            return self._refuse(channel, error)
        except TooBusy:
            return _later()
        except TooLong:
            return _close(413)
        except TimeoutError:
            return _close(408)
        except (ConnectionError, ClientError):  # it hung up, or its chunks are none
            return _close(400)
        except OSError as error:  # the disk is full: the platform tries again
            log.error("webhook_turned_away", channel=channel.name, reason=f"the spool's disk: {error.strerror}")
            return _later()
        return await self._receive(channel, ours)

    async def _with_body(self, channel: Channel, request: web.Request, ours: Request) -> Request:
        if not isinstance(channel, TakesLargeBodies):
            return replace(ours, body=await bodies.read(request, min(self._max_body_bytes, channel.max_body_bytes)))
        body = await self._large_bodies.read(request, channel.max_body_bytes)
        return replace(ours, file=body) if isinstance(body, Path) else replace(ours, body=body)

    async def _receive(self, channel: Channel, request: Request) -> web.Response:
        try:
            return _theirs(await self._inbox.receive(channel, request))
        except SignatureError as error:
            return self._refuse(channel, error)
        except SendError as error:  # whoever has to be asked about its proof does not answer
            log.warning("webhook_cannot_be_verified", channel=channel.name, error=type(error).__name__)
            return _later()
        except SpoolUnavailable as error:
            log.error("webhook_turned_away", channel=channel.name, reason=str(error))
            return _later()
        except Exception:  # a fault of ours: the platform tries again, the stranger learns nothing
            log.exception("webhook_failed", channel=channel.name)
            return _later()

    def _refuse(self, channel: Channel, error: SignatureError) -> web.Response:
        """Say no, and tell the owner why; each reason by itself: one that strangers cause hides no platform's."""
        response = _theirs(channel.refusal if isinstance(channel, AnswersRefused) else Reply(FORBIDDEN))
        reason = error.doubt or str(error)
        count = self._refused.count(f"{channel.name} {reason}", asyncio.get_running_loop().time())
        if count is not None:
            log.warning(
                "webhook_refused", channel=channel.name, count=count, status=response.status, reason=str(reason)
            )
        return response


def _ours(request: web.Request) -> Request:
    headers = tuple((name, value) for name, value in request.headers.items())
    return Request(request.method, request.raw_path, headers)


def _later() -> web.Response:
    return web.Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def _theirs(reply: Reply) -> web.Response:
    if not reply.body:
        return web.Response(status=reply.status)
    return web.Response(status=reply.status, text=reply.body, content_type=reply.content_type)


def _close(status: int) -> web.Response:
    response = web.Response(status=status)
    response.force_close()  # the rest of the body is not read
    return response
