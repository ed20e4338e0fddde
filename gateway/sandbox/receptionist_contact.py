"""What customers tell about themselves: name, telephone number, e-mail address, postal address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

_NAMED = r"[A-Z][\w'’-]*"
_NAME = re.compile(
    rf"\b[Mm]y name(?: is|'s)\s+(?P<told>{_NAMED}(?: {_NAMED}){{0,3}})"
    rf"|\b(?:[Tt]his is|I am|I'm)\s+(?P<full>{_NAMED}(?: {_NAMED}){{1,3}})"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d[\d ()./-]{5,}\d(?!-?\w)")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_STREET = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Way|Boulevard|Blvd|Square|Place"
_ADDRESS = re.compile(
    rf"(?:\b[Mm]y address is\s+)?\b(?P<street>\d{{1,5}} (?:{_NAMED} ){{1,3}}(?:{_STREET})\b(?:, {_NAMED})*)"
    r"|\b[Mm]y address is\s+(?P<told>[^.!?\n]+)"
)
_FEWEST_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of somebody; None where nothing is."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None

    def __bool__(self) -> bool:
        return any(asdict(self).values())


def read_contact(texts: Iterable[str]) -> Contact:
    """Read messages, oldest first; what was told last counts."""
    known: dict[str, str] = {}
    for text in texts:
        known |= {name: found for name, found in _facts(text).items() if found}
    return Contact(**known)


def without_contact(text: str) -> str:
    """Return a text without what it tells about its writer, so that no digit of it is taken for a time."""
    left = _EMAIL.sub(" ", _ADDRESS.sub(" ", _NAME.sub(" ", text)))
    return _PHONE.sub(lambda found: " " if _is_phone(found[0]) else found[0], left)


def _facts(text: str) -> dict[str, str | None]:
    name, address, email = _NAME.search(text), _ADDRESS.search(text), _EMAIL.search(text)
    left = _DATE.sub(" ", _EMAIL.sub(" ", text))
    phones = [found[0].strip() for found in _PHONE.finditer(left) if _is_phone(found[0])]
    return {
        "name": name and (name["told"] or name["full"]),
        "phone": phones[-1] if phones else None,
        "email": email and email[0],
        "address": address and (address["told"] or address["street"]).strip(),
    }


def _is_phone(text: str) -> bool:
    return not _DATE.search(text) and sum(mark.isdigit() for mark in text) >= _FEWEST_DIGITS
