"""A server that speaks as Meta's Graph API does to a page, and answers what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import ChannelContext, Inbound, Outbound, Request
from channels.content import Content
from channels.http import Http, Upload
from channels.messenger.channel import MessengerChannel

PAGE = "PAGE1"
CUSTOMER = "PSID1"
APP = "151000"
SECRET = "the-apps-secret"
TOKEN = "the-pages-token"
VERIFY_TOKEN = "our-own-word"
WEBHOOK = "https://chat.example.com/webhooks/messenger"
MESSAGES = f"/v26.0/{PAGE}/messages"
UPLOADS = f"/v26.0/{PAGE}/message_attachments"
FIXTURES = Path(__file__).parent / "fixtures"
AT = datetime.fromtimestamp(1763800000, UTC)
"""When everything in the fixtures happens."""
DELIVERY_ID = "0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11"
HELLO = Outbound(DELIVERY_ID, CUSTOMER, Content("Grüße & so [1] 👋"), silent_s=5.0)
SENT = {"recipient_id": CUSTOMER, "message_id": "m_out1"}


def build(http: Http, **changes: Any) -> MessengerChannel:
    """Build a channel; a setting of None is left out."""
    settings = {
        "page_id": PAGE,
        "page_access_token": TOKEN,
        "app_secret": SECRET,
        "verify_token": VERIFY_TOKEN,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    return MessengerChannel.build(given, ChannelContext("messenger", WEBHOOK, http))


def body(fixture: str) -> bytes:
    """Read a payload."""
    return (FIXTURES / f"{fixture}.json").read_bytes()


def post(content: bytes, *headers: tuple[str, str]) -> Request:
    """Make a webhook."""
    return Request("POST", "/webhooks/messenger", headers, content)


def said(mid: str, text: str = "", **changes: Any) -> Inbound:
    """Make what a customer's message tells."""
    known = {"account": PAGE, "sender": CUSTOMER, "external_id": mid, "text": text, "sent_at": AT}
    return Inbound(**(known | changes))


def error(code: int | None, subcode: int | None = None, message: str = "no", **more: Any) -> dict[str, Any]:
    """Make an envelope (developers.facebook.com/docs/graph-api/guides/error-handling)."""
    numbers = {"code": code, "error_subcode": subcode}
    told = {name: number for name, number in numbers.items() if number is not None}
    return {"error": {"message": message, "type": "OAuthException"} | told | more}


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Any
    """None where the body is none."""
    form: Mapping[str, str | Upload]
    headers: Mapping[str, str]


@dataclass
class GraphServer:
    """Answers by method and path; what nobody told it is 400 with Meta's own code."""

    calls: list[Call] = field(default_factory=list)
    answers: dict[tuple[str, str], web.Response | str] = field(default_factory=dict)

    def on(
        self, method: str, path: str, answer: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON (or bytes as they are) from now on."""
        content = {"body": answer} if isinstance(answer, bytes) else {"text": json.dumps(answer)}
        self.answers[method, path] = web.Response(status=status, headers=headers, **content)

    def hang_up_on(self, method: str, path: str) -> None:
        """Close the connection instead of answering."""
        self.answers[method, path] = "hang up"

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.Response:
        self.calls.append(await _call(request))
        unknown = web.json_response(error(100, 33, "Unsupported request"), status=400)
        answer = self.answers.get((request.method, request.path), unknown)
        if not isinstance(answer, web.Response):
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
        return web.Response(status=answer.status, body=answer.body, headers=headers)


async def _call(request: web.Request) -> Call:
    form: dict[str, str | Upload] = {}
    if request.content_type.startswith("multipart/"):
        form = {name: _field(name, value) for name, value in (await request.post()).items()}
    body = "" if form else await request.text()
    sent = json.loads(body) if body else None
    return Call(request.method, request.path, dict(request.query), sent, form, request.headers.copy())


def _field(name: str, value: str | bytearray | web.FileField) -> str | Upload:
    if isinstance(value, web.FileField):
        return Upload(name, value.filename, value.content_type, value.file.read())
    assert isinstance(value, str)
    return value
