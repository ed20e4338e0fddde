"""The API's door: who asks, how often, for which path; then the path's own answer, or a problem."""

from __future__ import annotations

import asyncio
import time

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel

from gateway.config import ApiConfig
from gateway.storage import Began, StorageUnavailable
from gateway.storage.watching import watching
from gateway.web.api import repeats
from gateway.web.api.cors import Cors
from gateway.web.api.docs import Docs
from gateway.web.api.keys import Keys
from gateway.web.api.limits import Buckets, MonotonicClock, network_of
from gateway.web.api.problems import Problem, method_not_allowed, outcome_unknown, unavailable
from gateway.web.api.reading import JSON, expect, parse_body, read_body, read_path, read_query
from gateway.web.api.repeats import Repeats
from gateway.web.api.route import Asked, Desk, Holder, Route
from gateway.web.api.streams import Stream, wants_events
from gateway.web.api.table import TABLE

log = structlog.get_logger(__name__)

KEY_TIMEOUT_S = 5.0
NOTE_EVERY_S = 60.0
BURST_S = 2.0
"""Whoever has been silent may ask at once what he may ask in this time."""


class Api:
    """Answers ``/api/``: the paths of the table, their document, and the pages that explain it."""

    def __init__(
        self, desk: Desk, config: ApiConfig, *, max_body_bytes: int, monotonic: MonotonicClock = time.monotonic
    ) -> None:
        self._desk = desk
        self._max_body_bytes = max_body_bytes
        self.keys = Keys(desk.storage, config.keys, desk.clock, monotonic)
        self._rates = Buckets(rate_per_s=config.rate_per_s, burst=config.rate_per_s * BURST_S, monotonic=monotonic)
        self._repeats = Repeats(desk.storage, desk.clock)
        self._cors = Cors(config.cors_origins)
        self._docs = Docs()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount every path for every method: whoever has no key learns nothing from how he is refused."""
        self._docs.add_routes(router)
        for path in dict.fromkeys(route.full_path for route in TABLE):
            routes = {route.method: route for route in TABLE if route.full_path == path}
            self._mount(router, path.replace("}", ":[^/]+}"), routes)
        for nothing in ("/api", "/api{rest:/.*}"):
            self._mount(router, nothing, {})

    def _mount(self, router: web.UrlDispatcher, path: str, routes: dict[str, Route]) -> None:
        router.add_route(hdrs.METH_ANY, path, _Path(self, routes).handle, expect_handler=expect)

    async def handle(self, request: web.Request, routes: dict[str, Route]) -> web.StreamResponse:
        """Answer one request."""
        allowed = self._cors.preflight(request, routes)
        try:
            response: web.StreamResponse = allowed or await self._answer(request, routes)
        except Problem as problem:
            response = _refused(request, problem)
        except (StorageUnavailable, TimeoutError):
            response = _refused(request, unavailable())
        if not response.prepared:
            self._cors.mark(request, response)
        return response

    async def _answer(self, request: web.Request, routes: dict[str, Route]) -> web.StreamResponse:
        holder = await self._let_in(request)
        route = _meant(request, routes, holder)
        path, query = read_path(request), read_query(route, request)
        raw = b"" if route.body is None else await read_body(request, self._max_body_bytes)
        asked = Asked(holder, path, query, parse_body(route, request, raw))
        key = repeats.key_of(request) if route.method == hdrs.METH_POST else None
        if wants_events(route, request):
            response = web.StreamResponse()
            self._cors.mark(request, response)
            return await Stream(request, response).follow(self._told(route, asked, request, key, raw))
        return await self._told(route, asked, request, key, raw)

    async def _let_in(self, request: web.Request) -> Holder:
        async with asyncio.timeout(KEY_TIMEOUT_S):
            authorizations = request.headers.getall(hdrs.AUTHORIZATION, [])
            shown = authorizations[0] if len(authorizations) == 1 else None
            holder = await self.keys.identify(shown, network_of(request.remote or ""))
        retry_after_s = self._rates.take(holder.id)
        if retry_after_s is not None:
            raise Problem("rate-limited", "this key asks too often; slow down", retry_after_s=retry_after_s)
        return holder

    async def _told(
        self, route: Route, asked: Asked, request: web.Request, key: str | None, raw: bytes
    ) -> web.Response:
        """Answer, once for all requests with this key; what is refused is an answer, too."""
        try:
            if key is None:
                return (await self._run(route, asked, request))[0]
            began = await self._repeats.begin(asked.holder, key, request, raw)
            if not began.is_new:
                return repeats.replay(began)
            async with self._repeats.at_work(began):
                return await self._once(route, asked, request, began)
        except Problem as problem:
            return _refused(request, problem)
        except (StorageUnavailable, TimeoutError):
            return _refused(request, unavailable())

    async def _once(self, route: Route, asked: Asked, request: web.Request, began: Began) -> web.Response:
        """Answer the first request with its key, and keep the answer.

        Raises:
            StorageUnavailable, TimeoutError: the database is away; a repetition runs it, or is told to look first.
        """
        with watching() as watch:
            try:
                response, told = await self._run(route, asked, request)
            except (StorageUnavailable, TimeoutError):
                if watch.may_have_written:
                    await self._repeats.settle(began, _refused(request, outcome_unknown()), _conversation(asked, None))
                else:
                    await self._repeats.release(began)
                raise
        await self._repeats.settle(began, response, _conversation(asked, told))
        return response

    async def _run(self, route: Route, asked: Asked, request: web.Request) -> tuple[web.Response, BaseModel | None]:
        """Have the path answer; what it tells is None where it refuses.

        Raises:
            StorageUnavailable: the database is away.
            TimeoutError: it does not answer.
        """
        try:
            async with asyncio.timeout(route.timeout_s):
                told = await route.answer(self._desk, asked)
        except Problem as problem:
            return _refused(request, problem), None
        except (StorageUnavailable, TimeoutError):
            raise
        except Exception:  # a fault of ours: it is in the log, whoever asked learns nothing of it
            log.exception("api_failed", method=route.method, path=route.path)
            return _refused(request, Problem("failed", "something went wrong; look before you repeat it")), None
        return web.Response(status=route.status, body=told.model_dump_json().encode(), content_type=JSON), told

    async def note_forever(self) -> None:
        """Write down once a minute, off every request's way, which keys were used, and what could not be kept."""
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self.note()

    async def note(self) -> None:
        """Write that down now.

        Raises:
            StorageUnavailable: the database is away; it is kept for the next time.
        """
        await self.keys.note_uses()
        await self._repeats.write_late()


class _Path:
    """One path's handler."""

    def __init__(self, api: Api, routes: dict[str, Route]) -> None:
        self._api = api
        self._routes = routes

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self._api.handle(request, self._routes)


def _conversation(asked: Asked, told: BaseModel | None) -> str | None:
    """Return the public id of the conversation that a request is about: its path, its body or its answer names it."""
    named = (
        asked.path.get("conversation_id"),
        *(getattr(part, "conversation_id", None) for part in (asked.body, told)),
    )
    return next((one for one in named if isinstance(one, str)), None)


def _refused(request: web.Request, problem: Problem) -> web.Response:
    return problem.response(request.rel_url.raw_path)


def _meant(request: web.Request, routes: dict[str, Route], holder: Holder) -> Route:
    """Return the route of this request.

    Raises:
        Problem: there is none, or the key does not reach it.
    """
    if not routes:
        raise Problem("not-found", "there is no such path; /api/docs lists them")
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    route = routes.get(method)
    if route is None:
        raise method_not_allowed(routes)
    if not holder.scope.covers(route.scope):
        detail = f"this key is for {holder.scope}; this needs one for {route.scope}"
        raise Problem("forbidden", detail)
    return route
