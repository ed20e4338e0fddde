"""A server that speaks as Twilio's REST API does, and answers what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import ChannelContext
from channels.http import Http
from channels.twilio.channel import TwilioChannel

ACCOUNT = "AC" + "0" * 31 + "1"
SERVICE = "MG" + "0" * 31 + "1"
TOKEN = "the-primary-token"
NUMBER = "+15550100001"
CUSTOMER = "+15550109999"
WEBHOOK = "https://chat.example.com/webhooks/sms"
ACCOUNT_PATH = f"/2010-04-01/Accounts/{ACCOUNT}"
MESSAGES = f"{ACCOUNT_PATH}/Messages.json"


def build(http: Http, *, webhook_url: str = WEBHOOK, **changes: Any) -> TwilioChannel:
    """Build a channel; a setting of None is left out."""
    settings = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": NUMBER} | changes
    given = {name: value for name, value in settings.items() if value is not None}
    return TwilioChannel.build(given, ChannelContext("sms", webhook_url, http))


def message(sid: str, **changes: Any) -> dict[str, Any]:
    """Make a message as the API shows it (www.twilio.com/docs/messaging/api/message-resource)."""
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "messaging_service_sid": None,
        "direction": "outbound-api",
        "from": NUMBER,
        "to": CUSTOMER,
        "body": "Hello",
        "status": "queued",
        "num_segments": "1",
        "num_media": "0",
        "error_code": None,
        "error_message": None,
        "price": None,
        "date_created": "Tue, 24 Nov 2026 10:00:00 +0000",
        "date_updated": "Tue, 24 Nov 2026 10:00:00 +0000",
        "date_sent": None,
        "api_version": "2010-04-01",
        "uri": f"{ACCOUNT_PATH}/Messages/{sid}.json",
        "subresource_uris": {"media": f"{ACCOUNT_PATH}/Messages/{sid}/Media.json"},
    } | changes


def inbound(sid: str, sent: str, **changes: Any) -> dict[str, Any]:
    """Make a message to us, sent at ``sent`` (HH:MM on 24 November 2026)."""
    date = f"Tue, 24 Nov 2026 {sent}:00 +0000"
    ours = {"direction": "inbound", "status": "received", "from": CUSTOMER, "to": NUMBER, "date_sent": date}
    return message(sid, **(ours | {"date_created": date} | changes))


def page(key: str, rows: list[dict[str, Any]], next_page_uri: str | None = None) -> dict[str, Any]:
    """Make one page of a list."""
    return {key: rows, "page": 0, "page_size": 200, "start": 0, "end": len(rows), "next_page_uri": next_page_uri}


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    headers: Mapping[str, str]


@dataclass
class TwilioServer:
    """Answers by method and path; what nobody told it is 404 with Twilio's own code."""

    calls: list[Call] = field(default_factory=list)
    answers: dict[tuple[str, str], web.Response | str | None] = field(default_factory=dict)

    def on(
        self, method: str, path: str, answer: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON (or bytes as they are) from now on."""
        content = {"body": answer} if isinstance(answer, bytes) else {"text": web.json_response(answer).text}
        self.answers[method, path] = web.Response(status=status, headers=headers, **content)

    def hang_up_on(self, method: str, path: str) -> None:
        """Close the connection instead of answering."""
        self.answers[method, path] = "hang up"

    def never_answer(self, method: str, path: str) -> None:
        """Keep the connection open and say nothing."""
        self.answers[method, path] = "silence"

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._closing = asyncio.Event()
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.Response:
        query = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        form = parse_qsl(await request.text(), keep_blank_values=True)
        self.calls.append(Call(request.method, request.path, query, form, request.headers.copy()))
        missing = web.json_response({"code": 20404, "message": "not found", "status": 404}, status=404)
        answer = self.answers.get((request.method, request.path_qs), missing)
        if (request.method, request.path_qs) not in self.answers:
            answer = self.answers.get((request.method, request.path), missing)
        if answer == "silence":
            await self._closing.wait()
        if not isinstance(answer, web.Response):
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=answer.status, body=answer.body, headers=_bare(answer.headers))


def _bare(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-length"}
