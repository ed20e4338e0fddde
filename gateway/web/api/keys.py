"""Who asks: keys of the configuration, and keys that were made here."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
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
"""So many wrong keys may come from one address at once, then ``FAILURES_PER_S``."""
FAILURES_PER_S = 1.0
MAX_KNOWN = 10_000
CHALLENGE = {str(hdrs.WWW_AUTHENTICATE): 'Bearer realm="frontdesk"'}
_BEARER = re.compile(
    r"bearer +(\S.*?) *", re.IGNORECASE
)  # RFC 9110, section 11.1; an owner may choose a key with spaces
_MADE_HERE = re.compile(r"fdk_[A-Za-z0-9_-]{43}")


class Keys:
    """Tells who a key belongs to."""

    def __init__(
        self, storage: Storage, configured: Iterable[SecretStr], clock: Clock, monotonic: MonotonicClock
    ) -> None:
        self._storage = storage
        self._configured = [
            (digest, Holder(f"config:{digest.hex()[:16]}", "api", Scope.ADMIN))
            for digest in (_digest(key.get_secret_value()) for key in configured)
        ]
        self._clock = clock
        self._failures = Buckets(rate_per_s=FAILURES_PER_S, burst=FAILURES, monotonic=monotonic)
        self._known: OrderedDict[bytes, None] = OrderedDict()
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
        holder = await self._holder(match[1], peer)
        if holder is None:
            self._refuse_many(self._failures.take(peer))
            raise Problem("unauthorized", "this key opens nothing here", headers=CHALLENGE)
        return holder

    async def _holder(self, key: str, peer: str) -> Holder | None:
        digest = _digest(key)
        # All of them, and each in constant time: how long it takes tells nothing about how near a guess was.
        ours = [holder for known, holder in self._configured if hmac.compare_digest(known, digest)]
        if ours:
            return ours[0]
        if not _MADE_HERE.fullmatch(key):
            return None
        if digest not in self._known:  # a holder whose neighbour shows wrong keys is let in all the same
            self._refuse_many(self._failures.wait_s(peer))
        row = await self._storage.api_keys.by_hash(digest.hex())
        if row is None or row.id is None:
            return None
        self._remember(digest)
        self._uses[row.id] = self._clock()
        return Holder(f"key:{row.id}", row.name, Scope(row.scope))

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _refuse_many(self, retry_after_s: int | None) -> None:
        if retry_after_s is not None:
            raise Problem("rate-limited", "too many wrong keys came from this address", retry_after_s=retry_after_s)

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


def _digest(key: str) -> bytes:
    # A stranger's bytes that are no UTF-8 arrive as halves of characters.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
