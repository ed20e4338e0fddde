"""Single fields of what is posted to WhatsApp: texts, lists and files."""

from __future__ import annotations

from typing import Any

from gateway.sandbox.meta.errors import Refusal, invalid
from gateway.sandbox.meta.messenger_rules import is_url

MAX_TEXT = 4096
CAPTIONED = frozenset({"image", "video", "document"})
"""The files beside which a text may stand."""
FILES = CAPTIONED | {"audio", "sticker"}


def need_text(fields: Any, name: str, place: str, at_most: int = MAX_TEXT) -> None:
    """Return if there is a text that is not too long.

    Raises:
        Refusal: there is none.
    """
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str) or not value:
        raise Refusal(131008, details=f"{place} {name} is required".strip())
    if len(value) > at_most:
        raise invalid(f"Param {place}['{name}'] must be at most {at_most} characters long.")


def need_several(fields: Any, name: str, counts: range) -> list[Any]:
    """Return a list of as many things as there may be.

    Raises:
        Refusal: it is none.
    """
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, list) or len(value) not in counts:
        raise Refusal(131009, details=f"{name} must be {counts.start} to {counts.stop - 1}")
    return value


def check_media(place: str, content: Any) -> None:
    """Return if this names one file.

    Raises:
        Refusal: it does not.
    """
    if not isinstance(content, dict) or len({"id", "link"} & content.keys()) != 1:
        raise Refusal(131008, details=f"{place} needs exactly one of id and link.")
    if "link" in content and not is_url(content["link"]):
        raise invalid(f"Param {place}['link'] is not a valid URI.")
