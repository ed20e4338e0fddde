"""What a Messenger message says: its text, its files, and in words whatever is neither. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from channels.base import Attachment
from channels.content import Location
from channels.meta.webhooks import a_list, a_map, a_text, a_time
from channels.rendering import content_type_of

# developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messages,
# read 2026-11. Until 2026-08-30 a sticker came as an image too, and before that as an image with a sticker_id only.
FILES = frozenset({"image", "audio", "video", "file", "sticker"})
# What is shared is told in words, by our word for it; another type is told by Meta's own.
SHARED: Mapping[str, str] = {
    "fallback": "link",
    "share": "link",
    "ig_post": "post",
    "ig_reel": "reel",
    "appointment_booking": "appointment",
}
UNSUPPORTED = "[unsupported message]"
MAX_NAME = 40

# The same page, and .../webhook-events/messaging_referrals: how somebody came here, by our names for it.
REFERRAL: Mapping[str, str] = {
    "ref": "ref",
    "source": "source",
    "type": "type",
    "ad_id": "ad_id",
    "referer_uri": "referer_uri",
}
ADVERTISEMENT: Mapping[str, str] = {
    "ad_title": "ad_title",
    "photo_url": "photo_url",
    "video_url": "video_url",
    "post_id": "post_id",
    "product_id": "product_id",
}


@dataclass(slots=True)
class Said:
    """What a message says, for a customer's message and for an echo alike."""

    text: str
    attachments: list[Attachment] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


def read_message(message: Mapping[str, Any]) -> Said:
    """Read a message's content; one that has none is said to be of a kind that we cannot see."""
    said = Said(a_text(message.get("text")))
    words = [word for attachment in a_list(message.get("attachments")) if (word := _take(attachment, said))]
    replied_to = a_text(a_map(message.get("reply_to")).get("mid"))
    if replied_to:
        said.metadata["reply_to"] = replied_to
    referral = read_referral(message.get("referral"))
    if referral:
        said.metadata["referral"] = referral
    said.text = "\n".join(filter(None, [said.text, *words]))
    if not said.text and not said.attachments:
        said.text = UNSUPPORTED
    return said


def read_referral(value: Any) -> dict[str, str]:
    """Return how a customer came to us, by our names; empty where it is not told."""
    referral = a_map(value)
    found = told(referral, REFERRAL) | told(a_map(referral.get("ads_context_data")), ADVERTISEMENT)
    product_id = a_text(a_map(referral.get("product")).get("id"))
    return found | ({"product_id": product_id} if product_id else {})


def told(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the texts and numbers among these fields of theirs, by our names."""
    return {ours: text for theirs, ours in names.items() if (text := a_text(fields.get(theirs)))}


def name_of(value: Any) -> str:
    """Return a type's name as Meta has it, short enough to be told."""
    return a_text(value)[:MAX_NAME] or "unnamed"


def _take(attachment: Mapping[str, Any], said: Said) -> str:
    """Add an attachment to what is said; return the words that it needs in the text, if any."""
    kind, payload = name_of(attachment.get("type")), a_map(attachment.get("payload"))
    url = a_text(payload.get("url")) or a_text(attachment.get("url"))
    title = a_text(payload.get("title")) or a_text(attachment.get("title"))
    sticker_id = a_text(payload.get("sticker_id")) or a_text(attachment.get("sticker_id"))
    if sticker_id and said.metadata.get("sticker_id") == sticker_id:
        return ""  # it came in both of its shapes
    if sticker_id:
        said.metadata["sticker_id"] = sticker_id
    if kind in FILES and url:
        said.attachments.append(Attachment(url, _content_type(url), title or None))
        return ""
    if kind == "location":
        return _place(payload, title, said)
    details = [title or ", ".join(filter(None, _elements(payload, said))), "" if url in said.text else url]
    if kind == "appointment_booking":
        details = [_appointment(payload)]
    return " ".join([f"[{SHARED.get(kind, kind)}]", *filter(None, details)])


def _content_type(url: str) -> str:
    try:
        return content_type_of(url)
    except ValueError:  # half an IPv6 address
        return "application/octet-stream"


def _place(payload: Mapping[str, Any], title: str, said: Said) -> str:
    coordinates = a_map(payload.get("coordinates"))
    latitude, longitude = _degrees(coordinates.get("lat")), _degrees(coordinates.get("long"))
    if latitude is None or longitude is None:
        return " ".join(filter(None, ["[location]", title]))
    said.metadata |= {"latitude": latitude, "longitude": longitude}
    return f"[location] {Location(latitude, longitude, title or None).words}"


def _degrees(value: Any) -> float | None:
    # JSON as Python reads it has NaN and numbers beyond any float.
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 180
    return float(value) if known and math.isfinite(value) else None


def _elements(payload: Mapping[str, Any], said: Said) -> Iterator[str]:
    """Yield the titles of a template's cards, or of products; a template without cards has a text."""
    product = a_list(a_map(payload.get("product")).get("elements"))
    ids = [product_id for element in product if (product_id := a_text(element.get("id")))]
    if ids:
        said.metadata["products"] = ids
    for element in a_list(payload.get("elements")) or product:
        yield a_text(element.get("title"))
    yield a_text(payload.get("text"))


def _appointment(payload: Mapping[str, Any]) -> str:
    starts_at = a_time(payload.get("start_time"))
    when = f"{starts_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if starts_at else ""
    return ", ".join(filter(None, [a_text(payload.get("status")), when]))
