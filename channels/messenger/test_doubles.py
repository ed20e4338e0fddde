"""A page as Meta and its webhooks know it, for the tests of this channel."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.base import ChannelContext, Inbound, Outbound, Request
from channels.content import Content
from channels.http import Http
from channels.messenger.channel import MessengerChannel

PAGE = "PAGE1"
CUSTOMER = "PSID1"
APP = "151000"
SECRET = "the-apps-secret"
TOKEN = "the-pages-token"
VERIFY_TOKEN = "our-own-word"
WEBHOOK = "https://chat.example.com/webhooks/messenger"
MESSAGES = f"/v26.0/{PAGE}/messages"
UPLOADS = f"/v26.0/{PAGE}/message_attachments"
FIXTURES = Path(__file__).parent / "fixtures"
AT = datetime.fromtimestamp(1763800000, UTC)
"""When everything in the fixtures happens."""
DELIVERY_ID = "0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11"
HELLO = Outbound(DELIVERY_ID, CUSTOMER, Content("Grüße & so [1] 👋"), silent_s=5.0)
SENT = {"recipient_id": CUSTOMER, "message_id": "m_out1"}


def build(http: Http, **changes: Any) -> MessengerChannel:
    """Build a channel; a setting of None is left out."""
    settings = {
        "page_id": PAGE,
        "page_access_token": TOKEN,
        "app_secret": SECRET,
        "verify_token": VERIFY_TOKEN,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    return MessengerChannel.build(given, ChannelContext("messenger", WEBHOOK, http))


def body(fixture: str) -> bytes:
    """Read a payload."""
    return (FIXTURES / f"{fixture}.json").read_bytes()


def post(content: bytes, *headers: tuple[str, str]) -> Request:
    """Make a webhook."""
    return Request("POST", "/webhooks/messenger", headers, content)


def said(mid: str, text: str = "", **changes: Any) -> Inbound:
    """Make what a customer's message tells."""
    known = {"account": PAGE, "sender": CUSTOMER, "external_id": mid, "text": text, "sent_at": AT}
    return Inbound(**(known | changes))


def error(code: int | None, subcode: int | None = None, message: str = "no", **more: Any) -> dict[str, Any]:
    """Make an envelope (developers.facebook.com/docs/graph-api/guides/error-handling)."""
    numbers = {"code": code, "error_subcode": subcode}
    told = {name: number for name, number in numbers.items() if number is not None}
    return {"error": {"message": message, "type": "OAuthException"} | told | more}
