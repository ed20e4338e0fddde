"""A WhatsApp number as Meta and its webhooks know it, for the tests of this channel."""

from __future__ import annotations

from typing import Any

from channels.base import ChannelContext
from channels.http import Http
from channels.whatsapp.channel import WhatsAppChannel

NUMBER = "106540000000001"
ACCOUNT = "102290129340398"
CUSTOMER = "+15550109999"
USER_ID = "US.13490000000000000001"
APP = "151000"
SECRET = "the-apps-secret"
TOKEN = "the-numbers-token"
VERIFY_TOKEN = "our-own-word"
WEBHOOK = "https://chat.example.com/webhooks/whatsapp"
MESSAGES = f"/v26.0/{NUMBER}/messages"
UPLOADS = f"/v26.0/{NUMBER}/media"
SENT = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": CUSTOMER, "wa_id": CUSTOMER[1:]}],
    "messages": [{"id": "wamid.OUT1", "message_status": "accepted"}],
}


def build(http: Http, **changes: Any) -> WhatsAppChannel:
    """Build a channel; a setting of None is left out."""
    settings = {
        "phone_number_id": NUMBER,
        "access_token": TOKEN,
        "app_secret": SECRET,
        "verify_token": VERIFY_TOKEN,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    return WhatsAppChannel.build(given, ChannelContext("whatsapp", WEBHOOK, http))


def error(code: int | None, message: str = "no", details: str | None = None, **more: Any) -> dict[str, Any]:
    """Make an envelope (developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes)."""
    known = {"code": code, "error_data": {"messaging_product": "whatsapp", "details": details} if details else None}
    told = {name: value for name, value in known.items() if value is not None}
    return {"error": {"message": message, "type": "OAuthException"} | told | more}
