"""What WhatsApp takes with something to pick: buttons, lists, links and the like.

The limits are those of developers.facebook.com/docs/whatsapp/cloud-api/messages, its pages on interactive messages,
read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.sandbox.meta.errors import Refusal, invalid
from gateway.sandbox.meta.messenger_rules import is_url
from gateway.sandbox.meta.whatsapp_fields import CAPTIONED, MAX_TEXT, check_media, need_several, need_text

MAX_BODY = 1024
MAX_SMALL = 60
"""A header's or a footer's text."""
MAX_BUTTONS = 3
MAX_TITLE = 20
MAX_BUTTON_ID = 256
MAX_ROWS = 10
MAX_ROW_TITLE = 24
MAX_ROW_ID = 200
MAX_ROW_DESCRIPTION = 72
CARDS = range(2, 11)


def check_interactive(content: Any) -> None:
    """Return if a message with something to pick could be taken.

    Raises:
        Refusal: it could not.
    """
    kind = str(content.get("type"))
    rule = INTERACTIVE.get(kind)
    if rule is None:
        raise Refusal(131009, details="interactive type is not valid")
    if "header" in content:
        _check_header(content["header"], frozenset() if kind == "list" else CAPTIONED)
    if "footer" in content:
        need_text(content["footer"], "text", "interactive[footer]", MAX_SMALL)
    if kind != "product" or "body" in content:  # the only one that may do without
        need_text(content.get("body"), "text", "interactive[body]", MAX_TEXT if kind == "list" else MAX_BODY)
    action = content.get("action")
    if not isinstance(action, dict):
        raise Refusal(131008, details="interactive action is required")
    rule(action)


def _check_header(header: Any, files: Collection[str]) -> None:
    kind = header.get("type") if isinstance(header, dict) else None
    if kind == "text":
        need_text(header, "text", "interactive[header]", MAX_SMALL)
    elif isinstance(kind, str) and kind in files:
        check_media(f"interactive[header][{kind}]", header.get(kind))
    else:
        raise Refusal(131009, details="interactive header is not valid")


def _check_buttons(action: Any) -> None:
    buttons = need_several(action, "buttons", range(1, MAX_BUTTONS + 1))
    for button in buttons:
        reply = button.get("reply") if isinstance(button, dict) and button.get("type") == "reply" else None
        need_text(reply, "title", "buttons[reply]", MAX_TITLE)
        need_text(reply, "id", "buttons[reply]", MAX_BUTTON_ID)
    for name in ("title", "id"):
        if len({button["reply"][name] for button in buttons}) < len(buttons):
            raise Refusal(131009, details=f"Duplicated {name} of a button")


def _check_list(action: Any) -> None:
    need_text(action, "button", "action", MAX_TITLE)
    sections = need_several(action, "sections", range(1, MAX_ROWS + 1))
    rows = [row for section in sections for row in need_several(section, "rows", range(1, MAX_ROWS + 1))]
    if len(rows) > MAX_ROWS:
        raise Refusal(131009, details=f"Total row count exceed max allowed count: {MAX_ROWS}")
    for section in sections:
        if len(sections) > 1 or "title" in section:
            need_text(section, "title", "sections", MAX_ROW_TITLE)
    for row in rows:
        need_text(row, "id", "rows", MAX_ROW_ID)
        need_text(row, "title", "rows", MAX_ROW_TITLE)
        if "description" in row:
            need_text(row, "description", "rows", MAX_ROW_DESCRIPTION)
    if len({row["id"] for row in rows}) < len(rows):
        raise Refusal(131009, details="Duplicated row id")


def _check_link(action: Any) -> None:
    parameters = _named(action, "cta_url")
    need_text(parameters, "display_text", "parameters", MAX_TITLE)
    if not is_url(parameters.get("url")):
        raise invalid("Param parameters['url'] is not a valid URI.")


def _check_location_request(action: Any) -> None:
    if action.get("name") != "send_location":
        raise Refusal(131009, details="action name is not valid")


def _check_flow(action: Any) -> None:
    _named(action, "flow")


def _check_product(action: Any) -> None:
    need_text(action, "catalog_id", "action")


def _check_carousel(action: Any) -> None:
    need_several(action, "cards", CARDS)


INTERACTIVE: Mapping[str, Callable[[Any], None]] = {
    "button": _check_buttons,
    "list": _check_list,
    "cta_url": _check_link,
    "location_request_message": _check_location_request,
    "flow": _check_flow,
    "product": _check_product,
    "product_list": _check_product,
    "carousel": _check_carousel,
}


def _named(action: Any, name: str) -> Any:
    parameters = action.get("parameters")
    if action.get("name") != name or not isinstance(parameters, dict):
        raise Refusal(131009, details="action is not valid")
    return parameters
