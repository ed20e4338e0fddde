"""Which network addresses a stranger's link may lead us to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 2.1: carries an IPv4 address in its last 32 bits


def is_public(address: str) -> bool:
    """Tell whether an IP address, with or without an IPv6 zone, belongs to the open internet.

    Raises:
        ValueError: it is not an IP address, but perhaps a name.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        return _is_public_v4(inner) if (inner := _embedded(parsed)) else _is_public_v6(parsed)
    return _is_public_v4(parsed)


# ``is_global`` alone is true of multicast and, for IPv6, of old site-local addresses and of ranges nobody was given.


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _is_public_v6(address: IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_site_local)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a packet to this IPv6 address ends at, or None."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
