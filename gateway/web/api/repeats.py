"""The header Idempotency-Key: a POST that is repeated is answered as the first one was, and done once."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from aiohttp import hdrs, web

from gateway.clock import Clock
from gateway.storage import Began, BeginRequest, SettleRequest, Storage
from gateway.web.api.problems import Problem, invalid
from gateway.web.api.route import Holder

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
RUNNING_AT_MOST = timedelta(minutes=5)
"""A request that has no answer by then was cut off: what became of it, nobody knows."""
RETRY_AFTER_S = 1
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

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def begin(self, holder: Holder, key: str, request: web.Request, body: bytes) -> Began:
        """Tell whether this request is the first with its key, or what the first was answered.

        Raises:
            Problem: the key is another request's, or its first one has no answer (yet).
            StorageUnavailable: the database is away; nothing was done.
        """
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
            raise Problem("outcome-unknown", "the first request was cut off; look whether it was done, use a new key")
        detail = "the first request with this Idempotency-Key is being answered"
        raise Problem("still-running", detail, retry_after_s=RETRY_AFTER_S)

    async def settle(self, began: Began, response: web.Response) -> None:
        """Keep an answer for those that repeat the request.

        Raises:
            StorageUnavailable: the database is away; the request then counts as cut off.
        """
        body = response.body if isinstance(response.body, bytes) else b""
        await self._storage.run(SettleRequest(began.id, response.status, response.content_type, body))


def replay(began: Began) -> web.Response:
    """Give the first request's answer again."""
    return web.Response(
        status=began.status or 200,
        body=began.body,
        headers={hdrs.CONTENT_TYPE: began.content_type or "application/json", REPLAYED: "true"},
    )
