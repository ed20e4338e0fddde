"""What WhatsApp takes at ``/{phone_number_id}/messages``.

The limits are those of developers.facebook.com/docs/whatsapp/cloud-api/reference/messages and of its guides to each
type of message, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.meta.errors import Refusal, invalid
from gateway.sandbox.meta.whatsapp_fields import CAPTIONED, FILES, MAX_TEXT, check_media, need_text
from gateway.sandbox.meta.whatsapp_interactive import check_interactive

MAX_CAPTION = 1024
MAX_OPAQUE = 512
MAX_NAME = 512

PHONE = re.compile(r"\+?[1-9]\d{6,14}")
# developers.facebook.com/docs/whatsapp/business-scoped-user-ids, read 2026-11
USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


def check(body: Mapping[str, Any]) -> None:
    """Return if a message could be taken, whoever is to read it.

    Raises:
        Refusal: it could not.
    """
    given = [name for name in ("to", "recipient") if body.get(name)]
    if len(given) != 1:
        raise Refusal(131008, details="Exactly one of to and recipient is required.")
    pattern = PHONE if given == ["to"] else USER_ID
    if not isinstance(body[given[0]], str) or not pattern.fullmatch(body[given[0]]):
        raise Refusal(131009, details=f"{given[0]} is not valid")
    if body.get("recipient_type", "individual") != "individual":
        raise Refusal(131009, details="recipient_type is not valid")
    if "biz_opaque_callback_data" in body:
        need_text(body, "biz_opaque_callback_data", "", MAX_OPAQUE)
    if "context" in body:
        need_text(body["context"], "message_id", "context")
    kind = body.get("type", "text")
    rule = RULES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        raise Refusal(131009, details="type is not valid")
    content = body.get(kind)
    if not isinstance(content, list if kind == "contacts" else dict):
        raise Refusal(131008, details=f"{kind} is required")
    rule(content)


def check_mark(body: Mapping[str, Any]) -> None:
    """Return if a mark, that a message was read or is being answered, could be taken.

    Raises:
        Refusal: it could not.
    """
    need_text(body, "message_id", "")
    if body["status"] != "read":
        raise Refusal(131009, details="status is not valid")
    if "typing_indicator" in body and body["typing_indicator"] != {"type": "text"}:
        raise Refusal(131009, details="typing_indicator is not valid")


class PairRate:
    """One message in six seconds to one customer, of which 45 may be borrowed from the future.

    developers.facebook.com/docs/whatsapp/cloud-api/overview, Throughput, read 2026-11.
    """

    EVERY = timedelta(seconds=6)
    BURST = 45

    def __init__(self) -> None:
        self._free_at: dict[tuple[str, str], datetime] = {}

    def check(self, pair: tuple[str, str], now: datetime) -> None:
        """Count a message.

        Raises:
            Refusal: it is one too many.
        """
        free_at = max(now, self._free_at.get(pair, now))
        if free_at - now > (self.BURST - 1) * self.EVERY:
            raise Refusal(131056, details="Too many messages to this customer in a short time.")
        self._free_at[pair] = free_at + self.EVERY


def _check_text(content: Any) -> None:
    need_text(content, "body", "text", MAX_TEXT)


def _check_file(kind: str) -> Callable[[Any], None]:
    def check_one(content: Any) -> None:
        check_media(kind, content)
        if "caption" in content:
            if kind not in CAPTIONED:
                raise invalid(f"Unexpected key \"caption\" on param '{kind}'.")
            need_text(content, "caption", kind, MAX_CAPTION)
        if "filename" in content and kind != "document":
            raise invalid(f"Unexpected key \"filename\" on param '{kind}'.")

    return check_one


def _check_location(content: Any) -> None:
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = content.get(name)
        try:
            degrees = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
        except ValueError:
            degrees = None
        if degrees is None or not -most <= degrees <= most:
            raise Refusal(131009, details=f"location {name} is not valid")
    for name in ("name", "address"):
        if name in content:
            need_text(content, name, "location")


def _check_contacts(content: Any) -> None:
    if not content:
        raise Refusal(131008, details="contacts is required")
    for contact in content:
        need_text(contact.get("name") if isinstance(contact, dict) else None, "formatted_name", "contacts[name]")


def _check_reaction(content: Any) -> None:
    need_text(content, "message_id", "reaction")
    if not isinstance(content.get("emoji"), str):
        raise Refusal(131008, details="reaction emoji is required")


def _check_template(content: Any) -> None:
    need_text(content, "name", "template", MAX_NAME)
    need_text(content.get("language"), "code", "template[language]")
    components = content.get("components", [])
    if not isinstance(components, list) or not all(
        isinstance(component, dict) and component.get("type") in ("header", "body", "button")
        for component in components
    ):
        raise Refusal(132000, details="components is not valid")
    for component in components:
        parameters = component.get("parameters", [])
        if not isinstance(parameters, list) or not all(isinstance(parameter, dict) for parameter in parameters):
            raise Refusal(132000, details="parameters is not valid")
        if component["type"] == "button" and not {"sub_type", "index"} <= component.keys():
            raise Refusal(131008, details="a button's component needs a sub_type and an index")


RULES: Mapping[str, Callable[[Any], None]] = {
    "text": _check_text,
    **{kind: _check_file(kind) for kind in FILES},
    "location": _check_location,
    "contacts": _check_contacts,
    "reaction": _check_reaction,
    "template": _check_template,
    "interactive": check_interactive,
}
