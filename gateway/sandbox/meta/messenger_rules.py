"""What Messenger takes at ``/{page}/messages``, and how it reads on a telephone.

The limits are those of developers.facebook.com/docs/messenger-platform/reference/send-api, of its pages on quick
replies and templates, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gateway.sandbox.meta.errors import Refusal, invalid

MAX_TEXT = 2000
MAX_METADATA = 1000
MAX_PAYLOAD = 1000
MAX_TITLE = 20
MAX_QUICK_REPLIES = 13
MAX_BUTTON_TEXT = 640
MAX_BUTTONS = 3
MAX_ELEMENTS = 10
MAX_ELEMENT_TEXT = 80

ADDRESSES = frozenset({"id", "user_ref", "notification_messages_token", "comment_id", "phone_number"})
ACTIONS = ("mark_seen", "react", "typing_off", "typing_on", "unreact")
TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG")
PERSONS_TAG = "HUMAN_AGENT"
"""The only tag that is left: the others fail with code 100 since 2026 (the Messenger changelog, read 2026-11)."""
FILES = ("image", "video", "audio", "file")
CONTENTS = ("text", "attachment", "attachments", "sticker_id")
BUTTONS: Mapping[str, str] = {"postback": "payload", "phone_number": "payload", "web_url": "url"}
"""What a button of each type needs beside its title."""
REPLIES = ("text", "user_email", "user_phone_number")


def check(body: Mapping[str, Any]) -> None:
    """Return if a body could be taken, whoever is to read it.

    Raises:
        Refusal: it could not.
    """
    recipient, message, action = (body.get(name) for name in ("recipient", "message", "sender_action"))
    # A JSON text inside the JSON, as some clients write it, is not what it says.
    if not isinstance(recipient, dict) or len(ADDRESSES & recipient.keys()) != 1:
        raise invalid("The parameter recipient is required")
    if not all(isinstance(recipient[name], str) and recipient[name] for name in ADDRESSES & recipient.keys()):
        raise invalid("Invalid parameter recipient")
    if action is not None and message is not None:
        raise invalid("Cannot send both message and state at the same time.")
    if action is not None:
        _check_action(body, action)
    elif not isinstance(message, dict):
        raise invalid("The parameter message is required")
    else:
        _check_type(body)
        _check_message(message)


def address_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return what kind of address a body names, and the address."""
    return next((name, value) for name, value in body["recipient"].items() if name in ADDRESSES)


def attachments_of(message: Mapping[str, Any]) -> Sequence[Any]:
    """Return the files or the template of a message, whichever way they are named."""
    alone = (message["attachment"],) if "attachment" in message else ()
    several: Sequence[Any] = message.get("attachments", alone)
    return several


def _check_action(body: Mapping[str, Any], action: Any) -> None:
    if action not in ACTIONS:
        raise invalid(f"Param sender_action must be one of {', '.join(ACTIONS)}")
    if "react" in action:
        _text(body.get("payload"), "message_id", "payload")


def _check_type(body: Mapping[str, Any]) -> None:
    kind = body.get("messaging_type")
    if kind not in TYPES:
        raise invalid("The parameter messaging_type is required")
    if (kind == "MESSAGE_TAG") != ("tag" in body) or body.get("tag", PERSONS_TAG) != PERSONS_TAG:
        raise invalid("Invalid parameter")


def _check_message(message: Mapping[str, Any]) -> None:
    told = [name for name in CONTENTS if name in message]
    if len(told) != 1:
        raise Refusal(100, 2018034, message="Message cannot be empty, must provide valid attachment or text")
    if "text" in message:
        _text(message, "text", "message", MAX_TEXT)
    if "attachments" in message and not (isinstance(message["attachments"], list) and message["attachments"]):
        raise invalid("Param message[attachments] must be an array")
    for attachment in attachments_of(message):
        check_attachment(attachment)
    if "metadata" in message:
        _text(message, "metadata", "message", MAX_METADATA)
    for reply in _several(message, "quick_replies", MAX_QUICK_REPLIES) if "quick_replies" in message else []:
        if not isinstance(reply, dict) or reply.get("content_type") not in REPLIES:
            raise invalid("Param message[quick_replies] has no content_type that is known")
        if reply["content_type"] == "text":
            _text(reply, "title", "message[quick_replies]", MAX_TITLE)
            _text(reply, "payload", "message[quick_replies]", MAX_PAYLOAD)


def check_attachment(attachment: Any) -> Mapping[str, Any]:
    """Return the payload of a file or a template that could be taken.

    Raises:
        Refusal: it could not.
    """
    payload = attachment.get("payload") if isinstance(attachment, dict) else None
    if not isinstance(payload, dict):
        raise invalid("Param message[attachment] must be an object with a payload")
    if attachment.get("type") == "template":
        template = TEMPLATES.get(str(payload.get("template_type")))
        if template is None:
            raise invalid("Param message[attachment][payload][template_type] is not known")
        template(payload)
        return payload
    if attachment.get("type") not in FILES:
        raise invalid("Param message[attachment][type] must be one of image, video, audio, file, template")
    if len({"url", "attachment_id"} & payload.keys()) != 1:
        raise invalid("Param message[attachment][payload] needs a url or an attachment_id")
    if "url" in payload and not is_url(payload["url"]):
        raise invalid("Param message[attachment][payload][url] should represent a valid URL")
    return payload


def is_url(value: Any) -> bool:
    """Tell whether Meta would fetch a file there."""
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        return parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _check_button_template(payload: Mapping[str, Any]) -> None:
    _text(payload, "text", "payload", MAX_BUTTON_TEXT)
    _check_buttons(_several(payload, "buttons", MAX_BUTTONS))


def _check_generic_template(payload: Mapping[str, Any]) -> None:
    for element in _several(payload, "elements", MAX_ELEMENTS):
        _text(element, "title", "elements", MAX_ELEMENT_TEXT)
        if "subtitle" in element:
            _text(element, "subtitle", "elements", MAX_ELEMENT_TEXT)
        if "image_url" in element and not is_url(element["image_url"]):
            raise invalid("Param elements[image_url] should represent a valid URL")
        if "buttons" in element:
            _check_buttons(_several(element, "buttons", MAX_BUTTONS))


def _check_media_template(payload: Mapping[str, Any]) -> None:
    for element in _several(payload, "elements", 1):
        if not isinstance(element, dict) or "title" in element or len({"url", "attachment_id"} & element.keys()) != 1:
            raise invalid("Param elements needs a url or an attachment_id")
        _text(element, "url" if "url" in element else "attachment_id", "elements")


TEMPLATES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "button": _check_button_template,
    "generic": _check_generic_template,
    "media": _check_media_template,
}


def _check_buttons(buttons: list[Any]) -> None:
    for button in buttons:
        needed = BUTTONS.get(str(button.get("type"))) if isinstance(button, dict) else None
        if needed is None:
            raise invalid("Param buttons has no type that is known")
        _text(button, "title", "buttons", MAX_TITLE)
        _text(button, needed, "buttons", MAX_PAYLOAD)
        if needed == "url" and not is_url(button["url"]):
            raise invalid("Param buttons[url] should represent a valid URL")


def _several(fields: Any, name: str, at_most: int) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or not 1 <= len(value) <= at_most:
        raise invalid(f"Param {name} must be an array of 1 to {at_most}")
    return value


def _text(fields: Any, name: str, place: str, at_most: int = MAX_PAYLOAD) -> None:
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str) or not value:
        raise invalid(f"Param {place}[{name}] must be a non-empty UTF-8 encoded string")
    if len(value) > at_most:
        raise invalid(f"Length of param {place}[{name}] must be less than or equal to {at_most}")


# --- on the telephone ------------------------------------------------------------------------------------------


def words_of(message: Mapping[str, Any]) -> str:
    """Return what a customer reads: a text, the addresses of files, and what there is to pick in square brackets."""
    lines = [
        message.get("text", ""),
        *(line for attachment in attachments_of(message) for line in _attachment_lines(attachment)),
    ]
    if "sticker_id" in message:
        lines.append(f"sticker {message['sticker_id']}")
    lines.append(_choices(reply.get("title", reply["content_type"]) for reply in message.get("quick_replies", ())))
    return "\n".join(filter(None, lines))


def _attachment_lines(attachment: Mapping[str, Any]) -> Iterator[str]:
    payload = attachment["payload"]
    if attachment["type"] != "template":
        yield payload.get("url") or f"{attachment['type']} {payload['attachment_id']}"
    elif payload["template_type"] == "button":
        yield payload["text"]
        yield _choices(button["title"] for button in payload["buttons"])
    else:
        for element in payload["elements"]:
            yield from _element_lines(element)


def _element_lines(element: Mapping[str, Any]) -> Iterator[str]:
    if "title" not in element:  # of the media template
        yield element.get("url") or f"file {element['attachment_id']}"
        return
    yield ": ".join(filter(None, (element["title"], element.get("subtitle"))))
    yield element.get("image_url", "")
    yield _choices(button["title"] for button in element.get("buttons", ()))


def _choices(titles: Iterator[str]) -> str:
    return " ".join(f"[{title}]" for title in titles)
