"""`/api/v1/calendar.ics`: the appointments, for a calendar program that asks again and again."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta

from aiohttp import ETag, hdrs, web
from pydantic import SecretStr

from gateway.calendar import calendar_of
from gateway.clock import Clock
from gateway.storage import Appointment, Storage, StorageUnavailable

PATH = "/api/v1/calendar.ics"
SHOWN_BEFORE = timedelta(days=30)
MAX_EVENTS = 5000
"""The nearest ones are served: they come by time."""
READ_TIMEOUT_S = 5.0
RETRY_AFTER_S = 60
CACHING = "private, max-age=300"  # what it says is a customer's: no proxy keeps it


class CalendarFeed:
    """Serves the feed to whoever knows the token; to anybody else there is no such page.

    A calendar program sends no header of ours, so the token is part of the address.
    """

    def __init__(self, storage: Storage, clock: Clock, token: SecretStr | None, *, name: str) -> None:
        self._storage = storage
        self._clock = clock
        self._digest = None if token is None else _digest(token.get_secret_value())
        self._name = name
        self._building = asyncio.Lock()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount the page for every method, so that no answer tells that it is there."""
        router.add_route(hdrs.METH_ANY, PATH, self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer with the calendar, or that it has not changed.

        Raises:
            HTTPNotFound: the token is not ours; the answer is that of any unknown path.
            HTTPMethodNotAllowed: the token is, and the program wants to write.
        """
        if self._digest is None or not hmac.compare_digest(_digest(request.query.get("token", "")), self._digest):
            raise web.HTTPNotFound
        if request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}:
            raise web.HTTPMethodNotAllowed(request.method, (hdrs.METH_GET, hdrs.METH_HEAD))
        found = await self._find()
        if found is None:
            return web.Response(status=503, headers={hdrs.RETRY_AFTER: str(RETRY_AFTER_S)})
        async with self._building:  # 0.2 ms for each event, measured: programs that ask at the same time take turns
            body, tag = await asyncio.to_thread(self._build, *found)
        return _response(request, body, tag)

    def _build(self, installation: str, appointments: Sequence[Appointment]) -> tuple[bytes, str]:
        body = calendar_of(appointments, installation=installation, name=self._name)
        return body, hashlib.sha256(body).hexdigest()

    async def _find(self) -> tuple[str, Sequence[Appointment]] | None:
        """Return the installation and its appointments, or None while the database is away."""
        since = self._clock() - SHOWN_BEFORE
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                installation = await self._storage.installation_id()
                appointments = await self._storage.appointments(since=since, limit=MAX_EVENTS)
        except (StorageUnavailable, TimeoutError):
            return None
        return None if installation is None else (installation, appointments)


def _response(request: web.Request, body: bytes, tag: str) -> web.Response:
    if _knows(request.if_none_match or (), tag):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, content_type="text/calendar", charset="utf-8")
    response.etag = tag
    response.headers[hdrs.CACHE_CONTROL] = CACHING
    return response


def _knows(known: Sequence[ETag], tag: str) -> bool:
    """Compare weakly, as RFC 9110, section 13.1.2 has it: a proxy that compresses makes our tag a weak one."""
    return any(one.value in {tag, "*"} for one in known)


def _digest(token: str) -> bytes:
    # A stranger's bytes that are no UTF-8 arrive as halves of characters.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
