"""What a quoted message of ours can be known by, in any language."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOCAL = re.compile(r"[a-z0-9.!#$%&'*/=?^_`{|}~+-]{1,64}\Z")  # RFC 5321, section 4.5.3.1.1
_LONGEST_LOCAL = 64
_ID_LOCAL = 20
"""The shortest left part of a Message-ID that no person has for an address (characters)."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is ours."""

    addresses: frozenset[str]
    """In lower case, without a plus-token: any token behind them is ours too."""
    message_id_domain: str
    """The right side of our Message-IDs; empty where there is none to look for."""
    delimiter: str | None
    """The line that we write above our own text, if any."""

    def is_named_in(self, text: str) -> bool:
        """Tell whether a line names one of our addresses, with or without a token, or a Message-ID of ours."""
        text = text.lower()
        if "@" not in text:
            return False
        return any(map(self._is_ours, _addresses(text)))

    def delimits(self, text: str) -> bool:
        """Tell whether a line holds our delimiter."""
        return bool(self.delimiter) and self.delimiter is not None and self.delimiter.strip() in text

    def _is_ours(self, address: tuple[str, str]) -> bool:
        local, domain = address
        if f"{local.partition('+')[0]}@{domain}" in self.addresses:
            return True
        return domain == self.message_id_domain.lower() and "+" not in local and len(local) >= _ID_LOCAL


def names_an_address(text: str) -> bool:
    """Tell whether a line names any address."""
    return any(True for _ in _addresses(text.lower()))


def _addresses(text: str) -> list[tuple[str, str]]:
    """Return the local part and domain of what looks like an address; linear, whatever the text is."""
    found = []
    at = text.find("@")
    while at != -1:
        local = _LOCAL.search(text[max(0, at - _LONGEST_LOCAL) : at])
        domain = _domain(text[at + 1 : at + 256])
        if local is not None and "." in domain:
            found.append((local.group().lstrip("'*_"), domain))
        at = text.find("@", at + 1)
    return found


def _domain(text: str) -> str:
    end = next((n for n, char in enumerate(text) if not (char.isalnum() or char in "-.")), len(text))
    return text[:end].strip(".-")
