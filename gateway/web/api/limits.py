"""How often somebody may ask: buckets that fill again with time."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

MonotonicClock = Callable[[], float]

MAX_BUCKETS = 10_000
V6_NETWORK_BITS = 64  # RFC 6177: the least that one customer of a provider is given


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Buckets:
    """A bucket for everybody who asks; whoever has not asked for long has a full one, and is forgotten."""

    def __init__(self, *, rate_per_s: float, burst: float, monotonic: MonotonicClock) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, burst)
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, who: str) -> int | None:
        """Take a token: returns None, or the whole seconds after which there is one again."""
        bucket = self._filled(who)
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        return self._wait_s(bucket)

    def wait_s(self, who: str) -> int | None:
        """Return None while there is a token, or the whole seconds after which there is one; nothing is taken."""
        bucket = self._filled(who)
        return None if bucket.tokens >= 1 else self._wait_s(bucket)

    def _wait_s(self, bucket: _Bucket) -> int:
        return max(1, math.ceil((1 - bucket.tokens) / self._rate_per_s))

    def _filled(self, who: str) -> _Bucket:
        now_s = self._monotonic()
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(self._burst, now_s)
            if len(self._buckets) > MAX_BUCKETS:  # whoever has been silent for longest starts anew
                self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.at_s) * self._rate_per_s)
        bucket.at_s = now_s
        self._buckets.move_to_end(who)
        return bucket


def network_of(address: str) -> str:
    """Name whoever has an address: of IPv6, a whole network is one customer's."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # no address: it has hung up already
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> (128 - V6_NETWORK_BITS):x}"
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
