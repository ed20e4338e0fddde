"""A server that speaks as Meta's Graph API does to a WhatsApp number, and answers what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.base import ChannelContext
from channels.http import Http, Upload
from channels.whatsapp.channel import WhatsAppChannel

NUMBER = "106540000000001"
ACCOUNT = "102290129340398"
CUSTOMER = "+15550109999"
USER_ID = "US.13490000000000000001"
APP = "151000"
SECRET = "the-apps-secret"
TOKEN = "the-numbers-token"
VERIFY_TOKEN = "our-own-word"
WEBHOOK = "https://chat.example.com/webhooks/whatsapp"
MESSAGES = f"/v26.0/{NUMBER}/messages"
UPLOADS = f"/v26.0/{NUMBER}/media"
SENT = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": CUSTOMER, "wa_id": CUSTOMER[1:]}],
    "messages": [{"id": "wamid.OUT1", "message_status": "accepted"}],
}


def build(http: Http, **changes: Any) -> WhatsAppChannel:
    """Build a channel; a setting of None is left out."""
    settings = {
        "phone_number_id": NUMBER,
        "access_token": TOKEN,
        "app_secret": SECRET,
        "verify_token": VERIFY_TOKEN,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    return WhatsAppChannel.build(given, ChannelContext("whatsapp", WEBHOOK, http))


def error(code: int | None, message: str = "no", details: str | None = None, **more: Any) -> dict[str, Any]:
    """Make an envelope (developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes)."""
    known = {"code": code, "error_data": {"messaging_product": "whatsapp", "details": details} if details else None}
    told = {name: value for name, value in known.items() if value is not None}
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
    answers: dict[tuple[str, str], list[web.Response | str]] = field(default_factory=dict)

    def on(
        self, method: str, path: str, answer: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON (or bytes as they are) from now on."""
        self.answers[method, path] = []
        self.then_on(method, path, answer, status=status, headers=headers)

    def then_on(
        self, method: str, path: str, answer: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer like this once the answers before have been given."""
        content = {"body": answer} if isinstance(answer, bytes) else {"text": json.dumps(answer)}
        self.answers[method, path].append(web.Response(status=status, headers=headers, **content))

    def hang_up_on(self, method: str, path: str) -> None:
        """Close the connection instead of answering."""
        self.answers[method, path] = ["hang up"]

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
        unknown = web.json_response(error(100, "Unsupported request", error_subcode=33), status=400)
        answers = self.answers.get((request.method, request.path), [unknown])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
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
