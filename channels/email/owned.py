"""Which addresses are ours."""

from __future__ import annotations


def is_ours(address: str, own_addresses: frozenset[str]) -> bool:
    """Tell whether an address, in whatever case, is one of ours; ``help+anything@`` is ``help@`` (RFC 5233)."""
    local, at, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}" in own_addresses
