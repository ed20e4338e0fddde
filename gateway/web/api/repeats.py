"""The header Idempotency-Key: a POST that is repeated is answered as the first one was, and done once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from aiohttp import hdrs, web

from gateway.clock import Clock
from gateway.storage import (
    Began,
    BeginRequest,
    KeepWorking,
    ReleaseRequest,
    SettleRequest,
    Storage,
    StorageUnavailable,
)
from gateway.tasks import end
from gateway.web.api.problems import Problem, invalid, outcome_unknown
from gateway.web.api.route import Holder

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
RUNNING_AT_MOST = timedelta(minutes=5)
"""Of whom nobody has said for so long that it is being answered was cut off: what became of it, nobody knows."""
RETRY_AFTER_S = 1
WORK_EVERY_S = 60.0
WRITE_TIMEOUT_S = 5.0
MAX_LATE = 1000
"""Answers that are held until the database is back; those of a moment, for without it hardly anything is begun."""
_KEY = re.compile(r"[!-~]{1,255}")


def key_of(request: web.Request) -> str | None:
    """Return the request's key, or None where it has none.

    Raises:
        Problem: it is none.
    """
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise invalid(f"header.{HEADER}", "must be one word of 1 to 255 visible ASCII characters")
    return str(keys[0])


class Repeats:
    """Remembers answers for a day."""

    def __init__(self, storage: Storage, clock: Clock, *, work_every_s: float = WORK_EVERY_S) -> None:
        self._storage = storage
        self._clock = clock
        self._work_every_s = work_every_s
        self._late: list[SettleRequest | ReleaseRequest] = []
        """What could not be written down while the database was away."""

    async def begin(self, holder: Holder, key: str, request: web.Request, body: bytes) -> Began:
        """Tell whether this request is the first with its key, or what the first was answered.

        Raises:
            Problem: the key is another request's, or its first one has no answer (yet).
            StorageUnavailable: the database is away; nothing was done.
        """
        await self.write_late()
        asked = hashlib.sha256(f"{request.method} {request.path_qs}\n".encode() + body).hexdigest()
        now = self._clock()
        began = await self._storage.run(BeginRequest(holder.id, key, asked, now))
        if began.is_new:
            return began
        if began.request_hash != asked:
            raise Problem("repeated-differently", "this Idempotency-Key came with another request; use a new one")
        if began.status is not None and began.body is None:
            raise Problem("answer-erased", "the first request was done; what it was answered is erased")
        if began.status is not None:
            return began
        if now - began.created_at > RUNNING_AT_MOST:
            raise outcome_unknown()
        detail = "the first request with this Idempotency-Key is being answered"
        raise Problem("still-running", detail, retry_after_s=RETRY_AFTER_S)

    @asynccontextmanager
    async def at_work(self, began: Began) -> AsyncIterator[None]:
        """Say every minute that the request is still being answered: however long that takes, it is not cut off."""
        saying = asyncio.create_task(self._say_at_work(began))
        try:
            yield
        finally:
            await end((saying,))

    async def _say_at_work(self, began: Began) -> None:
        while True:
            await asyncio.sleep(self._work_every_s)
            with contextlib.suppress(StorageUnavailable):
                await self._storage.run(KeepWorking(began.id, self._clock()))

    async def settle(self, began: Began, response: web.Response, conversation: str | None) -> None:
        """Keep an answer for those that repeat the request, as long as its conversation is there."""
        body = response.body if isinstance(response.body, bytes) else b""
        await self._write(SettleRequest(began.id, response.status, response.content_type, body, conversation))

    async def release(self, began: Began) -> None:
        """Let the request be repeated as if it had never come: nothing of it was done."""
        await self._write(ReleaseRequest(began.id))

    async def _write(self, last: SettleRequest | ReleaseRequest) -> None:
        """Write down how a request ended, at the latest when the database is back."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._storage.run(last)
        except (StorageUnavailable, TimeoutError):
            log.warning("api_answer_not_kept", is_late=len(self._late) < MAX_LATE)
            if len(self._late) < MAX_LATE:
                self._late.append(last)

    async def write_late(self) -> None:
        """Write down what could not be while the database was away.

        Raises:
            StorageUnavailable: it still is.
        """
        while self._late:
            last = self._late.pop(0)
            try:
                await self._storage.run(last)
            except StorageUnavailable:
                self._late.insert(0, last)
                raise


def replay(began: Began) -> web.Response:
    """Give the first request's answer again."""
    return web.Response(
        status=began.status or 200,
        body=began.body,
        headers={hdrs.CONTENT_TYPE: began.content_type or "application/json", REPLAYED: "true"},
    )
