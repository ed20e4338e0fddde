"""A stand-in for OpenAI's API, spoken over HTTP: the real SDK talks to it."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from gateway.assistant.families import family_of
from gateway.config import BusinessConfig
from gateway.sandbox.faults import Faults
from gateway.sandbox.openai_cache import PromptCache, Tally
from gateway.sandbox.openai_rules import Refused, refusal
from gateway.sandbox.openai_wire import Asked, Counted, count, read_chat, read_responses, write_chat, write_response
from gateway.sandbox.receptionist import Receptionist
from gateway.sandbox.receptionist_talk import Heard, Said

API_KEY = "sk-sandbox"
MAX_BODY_BYTES = 64 * 1024 * 1024
REMEMBERED_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it arrived, for tests to look at."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


Writer = Callable[[Mapping[str, Any], Said, Counted, int, Callable[[str], str]], dict[str, Any]]


class Mind(Protocol):
    """What thinks behind the API."""

    def respond(self, heard: Heard) -> Said:
        """Answer the customer's messages behind the last answer."""


class OpenAIStandIn:
    """Answers ``/v1/responses`` and ``/v1/chat/completions`` with a receptionist, and refuses what OpenAI refuses."""

    def __init__(
        self,
        business: BusinessConfig,
        *,
        api_key: str = API_KEY,
        faults: Faults | None = None,
        mind: Mind | None = None,
        clock: Callable[[], float] = time.time,
        new_hex: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.faults = faults or Faults()
        self.requests: deque[Recorded] = deque(maxlen=REMEMBERED_REQUESTS)
        self.script: deque[Said | Refused] = deque()
        """What to answer next instead of the receptionist's words."""
        self.models: dict[str, str | None] = {"gpt-5": "2026-12-11", "gpt-5-mini": "2026-12-11"}
        """Models beside the known families, and the shutdown dates (ISO) of any."""
        self.unknown_parameters: frozenset[str] = frozenset()
        """Parameters that this server refuses, as a compatible server may."""
        self._mind: Mind = mind or Receptionist(business)
        self._api_key = api_key
        self._clock = clock
        self._new_hex = new_hex
        self._cache = PromptCache()

    @property
    def tally(self) -> Tally:
        """The prompt tokens of every answered request so far, and what of them a cache saves."""
        return self._cache.tally

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self.routes())
        return app

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for an application that serves more than this."""
        return [
            web.post("/v1/responses", self._responses),
            web.post("/v1/chat/completions", self._chat),
            web.get("/v1/models/{model:.+}", self._model),
        ]

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "responses", read_responses, write_response)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "chat", read_chat, write_chat)

    async def _model(self, request: web.Request) -> web.StreamResponse:
        failed = await self.faults.before(request)
        if failed is not None:
            return failed
        name = request.match_info["model"]
        refused = self._unauthorized(request) or self._unknown_model(name)
        if refused is not None:
            return self._error(refused)
        found = {"id": name, "object": "model", "created": 0, "owned_by": "openai"}
        return self._json({**found, "shutdown_date": self.models.get(name)})

    async def _answer(
        self, request: web.Request, api: str, read: Callable[[Mapping[str, Any]], Asked], write: Writer
    ) -> web.StreamResponse:
        try:
            body = await request.json()
        except json.JSONDecodeError:
            return self._error(Refused("We could not parse the JSON body of your request."))
        self.requests.append(Recorded(request.path, body, dict(request.headers)))
        failed = await self.faults.before(request)
        if failed is not None:
            return failed
        refused = (
            self._unauthorized(request)
            or self._unknown_model(str(body.get("model")))
            or refusal(api, body, self.unknown_parameters)
        )
        if refused is not None:
            return self._error(refused)
        asked = read(body)
        said = self._say(asked)
        if isinstance(said, Refused):
            return self._error(said)
        counted = count(self._cache.count(body, asked.pieces, asked.breakpoint), body, said)
        return self._json(write(body, said, counted, int(self._clock()), self._new_id))

    def _say(self, asked: Asked) -> Said | Refused:
        if self.script:
            return self.script.popleft()
        return self._mind.respond(asked.heard)

    def _unauthorized(self, request: web.Request) -> Refused | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), self._api_key.encode()):
            return None
        help_url = "https://platform.openai.com/account/api-keys"
        return Refused(
            f"Incorrect API key provided: {given[:3]}***. You can find your API key at {help_url}.",
            "invalid_api_key",
            status=401,
        )

    def _unknown_model(self, name: str) -> Refused | None:
        if name in self.models or family_of(name):
            return None
        return Refused(
            f"The model `{name}` does not exist or you do not have access to it.", "model_not_found", status=404
        )

    def _error(self, refused: Refused) -> web.Response:
        return self._json(refused.body(), status=refused.status)

    def _json(self, body: Mapping[str, Any], status: int = 200) -> web.Response:
        return web.json_response(body, status=status, headers={"x-request-id": self._new_id("req")})

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._new_hex()}"
