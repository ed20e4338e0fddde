"""What a message says, in the words of Twilio's SDK."""

from __future__ import annotations

import json
from typing import Any

from channels.content import Content, Location, Template


def content_fields(content: Content) -> dict[str, Any]:
    """Return the fields of a message's content (www.twilio.com/docs/messaging/api/message-resource, read 2026-11)."""
    if content.template is not None:
        return _template(content.template)
    if content.location is not None:
        return _location(content.location)
    return {"body": content.text, "media_url": list(content.attachment_urls)}


def _template(template: Template) -> dict[str, Any]:
    """Name an approved content and fill in what it leaves open, numbered from 1 as its text has it."""
    fields: dict[str, Any] = {"content_sid": template.name}
    if template.parameters:
        numbered = {str(number): value for number, value in enumerate(template.parameters, start=1)}
        fields["content_variables"] = json.dumps(numbered, ensure_ascii=False)
    return fields


def _location(location: Location) -> dict[str, Any]:
    """Share a place (www.twilio.com/docs/whatsapp/message-features, "Location messages", read 2026-11)."""
    label = location.name or location.address
    place = f"geo:{location.latitude:.9g},{location.longitude:.9g}" + (f"|{label}" if label else "")
    return {"body": location.words, "persistent_action": [place]}
