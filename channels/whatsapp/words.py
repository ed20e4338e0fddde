"""What a message on WhatsApp says, in our words, for a customer's message and for an echo alike. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.base import Attachment
from channels.content import Choice, Location
from channels.meta.webhooks import a_list, a_map, a_text

# developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/<type>, read 2026-11.
MEDIA = "whatsapp-media:"
"""Begins the address of a file, which Meta names by an id; before ``fetch_media`` it is nowhere."""
NOT_PASSED_ON = "[a message that WhatsApp does not pass on]"
NOT_SHOWN = "[interactive message that cannot be shown]"
MAX_NAME = 40
MAX_DEPTH = 8
NO_ANSWERS = frozenset({"flow_token"})  # for the form's own server

# Where somebody came from who tapped an advertisement: .../reference/messages/text, "referral", read 2026-11.
REFERRAL = (
    "source_url",
    "source_id",
    "source_type",
    "headline",
    "body",
    "media_type",
    "image_url",
    "video_url",
    "thumbnail_url",
    "ctwa_clid",
)


@dataclass(slots=True)
class Said:
    """What a message says."""

    text: str = ""
    typed: bool = False
    """Whether the text is what somebody typed, and nothing that we say of it."""
    attachments: list[Attachment] = field(default_factory=list)
    choice: Choice | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def read_words(message: Mapping[str, Any]) -> Said:
    """Read a message's content; of what cannot be read it is said that it was there."""
    said = Said()
    kind = name_of(message.get("type"))
    reader = READERS.get(kind)
    if reader is not None:
        reader(message.get(kind), said)
    if not said.text and not said.attachments:
        said.text = NOT_PASSED_ON if kind in ("unsupported", "unnamed") else f"[{kind.replace('_', ' ')} message]"
    said.metadata |= _beside(message)
    return said


def name_of(value: Any) -> str:
    """Return a type's name as Meta has it, short enough to be told."""
    return a_text(value)[:MAX_NAME] or "unnamed"


def told(fields: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Return the texts and numbers among these fields."""
    return {name: text for name in names if (text := a_text(fields.get(name)))}


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value that every database takes; what lies too deep, or is no number, is None."""
    if isinstance(value, (dict, list)) and depth == 0:
        return None
    if isinstance(value, dict):
        return {a_text(name): plain(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, depth - 1) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return a_text(value) if isinstance(value, str) else value


def read_errors(value: Any) -> list[dict[str, str]]:
    """Return the codes, titles and details of Meta's errors."""
    return [
        told(error, "code", "title") | told(a_map(error.get("error_data")), "details")
        for error in a_list(value)
        if a_text(error.get("code"))
    ]


# --- one reader for each type ---


def _text(body: Any, said: Said) -> None:
    said.text, said.typed = a_text(a_map(body).get("body")), True


def _media(body: Any, said: Said) -> None:
    media = a_map(body)
    said.text = a_text(media.get("caption"))
    media_id = a_text(media.get("id"))
    if media_id:
        content_type = a_text(media.get("mime_type")).partition(";")[0].strip().lower()
        name = a_text(media.get("filename")) or None
        said.attachments.append(Attachment(MEDIA + media_id, content_type or "application/octet-stream", name))
    said.metadata |= told(media, "sha256")
    said.metadata |= {name: media[name] for name in ("voice", "animated") if isinstance(media.get(name), bool)}


def _location(body: Any, said: Said) -> None:
    place = a_map(body)
    facts = told(place, "name", "address", "url")
    latitude, longitude = _degrees(place.get("latitude")), _degrees(place.get("longitude"))
    words = ", ".join(filter(None, (facts.get("name"), facts.get("address"))))
    if latitude is not None and longitude is not None:
        words = Location(latitude, longitude, facts.get("name"), facts.get("address")).words
        said.metadata |= {"latitude": latitude, "longitude": longitude}
    said.metadata |= facts
    said.text = f"[location] {words}".strip()


def _degrees(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 180
    return float(value) if known else None


def _contacts(body: Any, said: Said) -> None:
    cards = [_card(contact) for contact in a_list(body)]
    said.text = "\n".join(f"[contact] {_of_card(card)}".strip() for card in cards)
    said.metadata["contacts"] = cards


def _card(contact: Mapping[str, Any]) -> dict[str, Any]:
    name = a_map(contact.get("name"))
    called = a_text(name.get("formatted_name")) or " ".join(told(name, "first_name", "last_name").values())
    card: dict[str, Any] = {"name": called, "company": a_text(a_map(contact.get("org")).get("company"))}
    card["phones"] = [found for phone in a_list(contact.get("phones")) if (found := _number(phone))]
    card["emails"] = [found for email in a_list(contact.get("emails")) if (found := a_text(email.get("email")))]
    return {what: value for what, value in card.items() if value}


def _number(phone: Mapping[str, Any]) -> str:
    wa_id = a_text(phone.get("wa_id"))
    return a_text(phone.get("phone")) or (f"+{wa_id}" if wa_id else "")


def _of_card(card: Mapping[str, Any]) -> str:
    details = (card.get("name"), card.get("company"), *card.get("phones", ()), *card.get("emails", ()))
    return ", ".join(filter(None, details))


def _button(body: Any, said: Said) -> None:
    """Read the quick reply of a template."""
    button = a_map(body)
    _pick(button.get("payload"), button.get("text"), None, said)


def _pick(picked: Any, shown: Any, described: Any, said: Said) -> None:
    choice_id, title, description = a_text(picked), a_text(shown), a_text(described)
    if choice_id or title:
        said.text = title or choice_id
        said.choice = Choice(choice_id or title, said.text, description or None)


def _interactive(body: Any, said: Said) -> None:
    interactive = a_map(body)
    kind = name_of(interactive.get("type"))
    reply = a_map(interactive.get(kind))
    if kind in ("button_reply", "list_reply"):
        _pick(reply.get("id"), reply.get("title"), reply.get("description"), said)
    elif kind == "nfm_reply" and reply:
        _flow(reply, said)
    elif reply:
        answer = next(iter(told(reply, "body", "title", "text", "response").values()), "")
        said.text = f"[{kind.replace('_', ' ')}] {answer}".strip()
        said.metadata["interactive"] = {"type": kind, **plain(reply)}
    # An echo has what we would have sent: a body above buttons.
    said.text = said.text or a_text(a_map(interactive.get("body")).get("text")) or NOT_SHOWN


def _flow(reply: Mapping[str, Any], said: Said) -> None:
    """Read a form that was filled in: what it says of itself, and each of its answers."""
    response = _unpacked(a_text(reply.get("response_json")))
    answers = a_map(response)
    facts = told(answers, *(name for name in answers if name not in NO_ANSWERS))
    said.text = "\n".join(
        [a_text(reply.get("body")) or "[form]", *(f"{name}: {value}" for name, value in facts.items())]
    )
    said.metadata["flow"] = name_of(reply.get("name"))
    said.metadata["response"] = response


def _unpacked(text: str) -> Any:
    try:
        return plain(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _order(body: Any, said: Said) -> None:
    order = a_map(body)
    items = a_list(order.get("product_items"))
    lines = [f"[order] {_item(item)}" for item in items]
    said.text = "\n".join([*lines, *filter(None, [a_text(order.get("text"))])])
    said.metadata["order"] = told(order, "catalog_id") | {"product_items": plain(items)}


def _item(item: Mapping[str, Any]) -> str:
    price = plain(item.get("item_price"))
    cost = f" at {price}" if isinstance(price, (int, float, str)) and price != "" else ""
    quantity = a_text(item.get("quantity")) or "1"
    currency = a_text(item.get("currency"))
    return f"{quantity} x {a_text(item.get('product_retailer_id'))}{cost}{f' {currency}' if currency and cost else ''}"


def _unsupported(body: Any, said: Said) -> None:
    kind = a_text(a_map(body).get("type"))
    if kind:
        said.metadata["unsupported"] = kind


READERS: Mapping[str, Callable[[Any, Said], None]] = {
    "text": _text,
    **dict.fromkeys(("image", "video", "audio", "document", "sticker"), _media),
    "location": _location,
    "contacts": _contacts,
    "button": _button,
    "interactive": _interactive,
    "order": _order,
    "unsupported": _unsupported,
}


# --- what stands beside any of them ---


def _beside(message: Mapping[str, Any]) -> dict[str, Any]:
    context = a_map(message.get("context"))
    referral = a_map(message.get("referral"))
    welcome = told(a_map(referral.get("welcome_message")), "text")
    found: dict[str, Any] = {
        "reply_to": a_text(context.get("id")),
        "forwarded": context.get("forwarded") is True,
        "frequently_forwarded": context.get("frequently_forwarded") is True,
        "referred_product": told(a_map(context.get("referred_product")), "catalog_id", "product_retailer_id"),
        "referral": told(referral, *REFERRAL) | ({"welcome_message": welcome["text"]} if welcome else {}),
        "origin": a_text(message.get("origin")),
        "errors": read_errors(message.get("errors")),
    }
    return {name: value for name, value in found.items() if value}
