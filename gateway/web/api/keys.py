"""Who asks: keys of the configuration, and keys that were made here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

from aiohttp import hdrs
from pydantic import SecretStr

from gateway.clock import Clock
from gateway.storage import NoteKeyUses, Storage, StorageUnavailable
from gateway.web.api.limits import Buckets, MonotonicClock
from gateway.web.api.problems import Problem
from gateway.web.api.route import Holder, Scope

FAILURES = 100
"""So many wrong keys may come from one address at once, then ``FAILURES_PER_S``; right ones are let in all the same."""
FAILURES_PER_S = 1.0
LOOK_EVERY_S = 0.2
"""How long whoever shows a key that is not known yet may have to wait while others do the same."""
CHALLENGE = {str(hdrs.WWW_AUTHENTICATE): 'Bearer realm="frontdesk"'}
_BEARER = re.compile(
    r"bearer +(\S.*?) *", re.IGNORECASE
)  # RFC 9110, section 11.1; an owner may choose a key with spaces
_MADE_HERE = re.compile(r"fdk_[A-Za-z0-9_-]{43}")


class Keys:
    """Tells who a key belongs to."""

    def __init__(
        self,
        storage: Storage,
        configured: Iterable[SecretStr],
        clock: Clock,
        monotonic: MonotonicClock,
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._storage = storage
        self._configured = [
            (digest, Holder(f"config:{digest.hex()[:16]}", "api", Scope.ADMIN))
            for digest in (_digest(key.get_secret_value()) for key in configured)
        ]
        self._clock = clock
        self._failures = Buckets(rate_per_s=FAILURES_PER_S, burst=FAILURES, monotonic=monotonic)
        self._made = _Made(storage, look_every_s)
        self._uses: dict[int, datetime] = {}

    async def identify(self, authorization: str | None, peer: str) -> Holder:
        """Return whose key this is; ``peer`` is whoever shows it.

        Raises:
            Problem: it is nobody's, or too many that are nobody's have come from there.
            StorageUnavailable: whether it was made here cannot be told now.
        """
        match = _BEARER.fullmatch(authorization or "")
        if match is None:  # whoever shows none guesses none
            raise Problem("unauthorized", "send the header Authorization: Bearer KEY", headers=CHALLENGE)
        holder = await self._holder(match[1])
        if holder is None:
            retry_after_s = self._failures.take(peer)
            if retry_after_s is not None:
                detail = "too many wrong keys came from this address"
                raise Problem("rate-limited", detail, retry_after_s=retry_after_s)
            raise Problem("unauthorized", "this key opens nothing here", headers=CHALLENGE)
        return holder

    async def _holder(self, key: str) -> Holder | None:
        """Return whose key it is, whoever shows it: behind a proxy, everybody has one address."""
        digest = _digest(key)
        # All of them, and each in constant time: how long it takes tells nothing about how near a guess was.
        ours = [holder for known, holder in self._configured if hmac.compare_digest(known, digest)]
        if ours:
            return ours[0]
        if not _MADE_HERE.fullmatch(key) or not await self._made.has(digest.hex()):
            return None
        row = await self._storage.api_keys.by_hash(digest.hex())
        if row is None or row.id is None:
            return None
        self._uses[row.id] = self._clock()
        return Holder(f"key:{row.id}", row.name, Scope(row.scope))

    async def note_uses(self) -> None:
        """Write down which keys were used since the last time.

        Raises:
            StorageUnavailable: the database is away; they are kept for the next time.
        """
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._storage.run(NoteKeyUses(tuple(uses.items())))
        except StorageUnavailable:
            self._uses = {**uses, **self._uses}
            raise


class _Made:
    """The hashes of the keys that were made here.

    A key that is none of them may have been made since: all who show such a key wait for one look, and looks have
    pauses between them. So whoever guesses keys asks the database no more often, and keeps nobody out.
    """

    def __init__(self, storage: Storage, look_every_s: float) -> None:
        self._storage = storage
        self._look_every_s = look_every_s
        self._hashes: frozenset[str] = frozenset()
        self._next_at_s = 0.0
        self._next: asyncio.Future[frozenset[str]] | None = None
        """The look that has not begun: whoever joins it sees all that was made before he came."""

    async def has(self, key_hash: str) -> bool:
        """Tell whether a key with this hash was made here, and was in use when it was looked for.

        Raises:
            StorageUnavailable: that cannot be told now.
        """
        if key_hash in self._hashes:
            return True
        if self._next is None:
            self._next = asyncio.ensure_future(self._look())
        return key_hash in await asyncio.shield(self._next)

    async def _look(self) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._next_at_s - loop.time())
        self._next, self._next_at_s = None, loop.time() + self._look_every_s
        self._hashes = await self._storage.api_keys.hashes()
        return self._hashes


def _digest(key: str) -> bytes:
    # A stranger's bytes that are no UTF-8 arrive as halves of characters.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
