"""What a message says, as WhatsApp wants it posted. Pure.

developers.facebook.com/documentation/business-messaging/whatsapp/messages/<kind>-messages, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from channels.base import Outbound
from channels.content import Choice, Content, Link, Location, Template
from channels.errors import Refused
from channels.rendering import content_type_of
from channels.whatsapp.people import address_of, is_user_id

MAX_TEXT = 4096
MAX_BODY = 1024  # of a message with buttons, and of a caption
MAX_BUTTONS, MAX_BUTTON_TITLE = 3, 20
MAX_ROWS, MAX_ROW_TITLE, MAX_ROW_DESCRIPTION = 10, 24, 72
MAX_LINK_TITLE = 20
MAX_CHOICE_ID = 200  # of a row; a button's may have 256
OPEN_LIST = "Choose"

FileType = Literal["image", "video", "audio", "sticker", "document"]

# .../whatsapp/business-phone-numbers/media, "Supported media types", read 2026-11. What is not here is a document.
FILE_TYPES: dict[str, FileType] = {
    "image/jpeg": "image",
    "image/png": "image",
    "image/webp": "sticker",
    "video/mp4": "video",
    "video/3gpp": "video",
    "audio/aac": "audio",
    "audio/amr": "audio",
    "audio/mp4": "audio",
    "audio/mp4a-latm": "audio",  # what Python calls .m4a
    "audio/mpeg": "audio",
    "audio/ogg": "audio",
}
UNCAPTIONED = frozenset({"audio", "sticker"})


def body_of(outbound: Outbound, file: dict[str, str] | None) -> dict[str, Any]:
    """Return the whole body of a message; ``file`` says by what Meta finds the attachment: ``link`` or ``id``.

    Raises:
        Refused: WhatsApp would not take it as it is.
    """
    content = outbound.content
    kind, said = _said(content, file)
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **to(outbound.recipient),
        "type": kind,
        kind: said,
        "biz_opaque_callback_data": outbound.delivery_id,  # its statuses carry it back
    }
    if content.reply_to is not None and content.reaction is None:
        body["context"] = {"message_id": content.reply_to}
    return body


def to(recipient: str) -> dict[str, str]:
    """Name the recipient: a phone number, or WhatsApp's own id of somebody who hides it.

    A number without its plus, as an operator may type it, could be read as one of the business's own country.
    """
    return {"recipient": recipient} if is_user_id(recipient) else {"to": address_of(recipient)}


def file_type(url: str, text: str) -> FileType:
    """Return as what a file is shown; a text beside it must not get lost, so a sticker with one is a document."""
    kind = FILE_TYPES.get(content_type_of(url).lower(), "document")
    return "document" if text and kind in UNCAPTIONED else kind


def filename_of(url: str) -> str:
    """Return the name that an address gives its file; empty where it gives none.

    Raises:
        Refused: it is no address.
    """
    try:
        path = urlsplit(url).path
    except ValueError as error:  # half an IPv6 address
        raise Refused("not an address of a file", code="unreadable_file") from error
    return PurePosixPath(unquote(path)).name


def _said(content: Content, file: dict[str, str] | None) -> tuple[str, dict[str, Any]]:
    """Return the message's type and what belongs to it; ``content`` is one part, and so says one thing."""
    if content.template is not None:
        return "template", _template(content.template)
    if content.reaction is not None:
        return "reaction", {"message_id": content.reply_to or "", "emoji": content.reaction}
    if content.location is not None:
        return "location", _location(content.location)
    if file is not None:
        return _file(content, file)
    if content.choices:
        return "interactive", _choices(content.text, content.choices)
    if content.links:
        return "interactive", _link(content.text, content.links[0])
    return "text", {"body": content.text, "preview_url": False}


def _file(content: Content, file: dict[str, str]) -> tuple[str, dict[str, Any]]:
    kind = file_type(content.attachment_urls[0], content.text)
    said = dict(file)
    if kind != "document":
        said.pop("filename", None)
    if content.text:
        said["caption"] = content.text
    return kind, said


def _template(template: Template) -> dict[str, Any]:
    components = [dict(component) for component in template.components]
    if template.parameters:
        parameters = [{"type": "text", "text": parameter} for parameter in template.parameters]
        components.append({"type": "body", "parameters": parameters})
    said: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    return said | ({"components": components} if components else {})


def _location(location: Location) -> dict[str, Any]:
    place = {"latitude": location.latitude, "longitude": location.longitude}
    named = {"name": location.name, "address": location.address}
    return place | {what: text for what, text in named.items() if text}


def _choices(text: str, choices: Sequence[Choice]) -> dict[str, Any]:
    """Show few and short choices as buttons, and all others as a list that has to be opened."""
    if any(len(choice.id) > MAX_CHOICE_ID for choice in choices):
        raise Refused(f"a choice's id has at most {MAX_CHOICE_ID} characters", code="choice_too_long")
    short = all(len(choice.title) <= MAX_BUTTON_TITLE and not choice.description for choice in choices)
    if short and len(choices) <= MAX_BUTTONS:
        buttons = [{"type": "reply", "reply": {"id": choice.id, "title": choice.title}} for choice in choices]
        return {"type": "button", "body": {"text": text}, "action": {"buttons": buttons}}
    rows = [_row(choice) for choice in choices]
    return {"type": "list", "body": {"text": text}, "action": {"button": OPEN_LIST, "sections": [{"rows": rows}]}}


def _row(choice: Choice) -> dict[str, str]:
    row = {"id": choice.id, "title": choice.title}
    description = choice.description or ""
    if len(description) > MAX_ROW_DESCRIPTION:
        description = description[: MAX_ROW_DESCRIPTION - 1].rstrip() + "…"
    return row | ({"description": description} if description else {})


def _link(text: str, link: Link) -> dict[str, Any]:
    parameters = {"display_text": link.title, "url": link.url}
    return {"type": "cta_url", "body": {"text": text}, "action": {"name": "cta_url", "parameters": parameters}}
