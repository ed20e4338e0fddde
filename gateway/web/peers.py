"""How many connections one address of the internet holds."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address

from channels.addresses import is_public

V6_NETWORK_BITS = 64  # RFC 6177: the least that one customer of a provider is given


class Peers:
    """Counts connections by address, so that one stranger cannot take the place of all others.

    Loopback and private addresses are not counted: a proxy is there, and everybody comes through it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a new connection, or return False where its address has as many as it may."""
        peer = _counted(address)
        if peer is None:
            return True
        if self._held[peer] >= self._most:
            return False
        self._held[peer] += 1
        return True

    def leave(self, address: str) -> None:
        """Forget a connection that :meth:`enter` counted."""
        peer = _counted(address)
        if peer is None:
            return
        self._held[peer] -= 1
        if self._held[peer] <= 0:
            del self._held[peer]


def _counted(address: str) -> str | None:
    """Name the one who has an address, or return None for one that is not counted."""
    try:
        if not is_public(address):
            return None
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # no address: it has hung up already
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> (128 - V6_NETWORK_BITS):x}"
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
