"""A server that speaks as Meta's Graph API does, and answers what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.http import Upload

UNKNOWN = {
    "error": {"message": "Unsupported request", "type": "OAuthException", "code": 100, "error_subcode": 33},
}
"""That a node is not there for us (developers.facebook.com/docs/graph-api/guides/error-handling)."""


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
        unknown = web.json_response(UNKNOWN, status=400)
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
