"""Twilio's shapes: the JSON of its REST API and the forms of its webhooks, as the twilio SDK 9.13 reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from gateway.sandbox.twilio_rules import TEXTS

API = "/2010-04-01"
Form = list[tuple[str, str]]
_STEPS = ("accepted", "queued", "sending", "sent", "undelivered", "failed", "delivered", "read")


@dataclass(frozen=True, slots=True)
class File:
    """A media file of a message; without content where somebody else serves it."""

    sid: str
    content_type: str
    content: bytes | None = None


@dataclass(slots=True)
class Message:
    """A message of either direction, as the account's list shows it."""

    sid: str
    direction: str
    sender: str | None
    recipient: str
    body: str
    status: str
    created_at: datetime
    sent_at: datetime | None = None
    files: tuple[File, ...] = ()
    service: str | None = None
    status_callback: str | None = None
    error_code: int | None = None

    @property
    def shown_at(self) -> datetime:
        """What the list is sorted and filtered by; Twilio's times have whole seconds."""
        return (self.sent_at or self.created_at).replace(microsecond=0)

    def advance(self, status: str) -> None:
        """Raise the status; a step that comes late lowers nothing."""
        if _STEPS.index(status) > _STEPS.index(self.status):
            self.status = status

    def uri(self, account: str) -> str:
        """Return its address below the API's host, without ``.json``."""
        return f"{API}/Accounts/{account}/Messages/{self.sid}"


def segments(body: str) -> int:
    """Estimate the number of SMS; plain ASCII counts as GSM-7, everything else as UCS-2 (3GPP TS 23.038)."""
    single, each = (160, 153) if body.isascii() else (70, 67)
    length = len(body) if body.isascii() else len(body.encode("utf-16-le")) // 2
    return 1 if length <= single else -(-length // each)


# --- JSON ------------------------------------------------------------------------------------------------------


def message_json(message: Message, account: str) -> dict[str, Any]:
    """Return a Message resource."""
    uri = message.uri(account)
    return {
        "account_sid": account,
        "api_version": API.strip("/"),
        "body": message.body,
        "date_created": format_datetime(message.created_at),
        "date_sent": format_datetime(message.sent_at) if message.sent_at else None,
        "date_updated": format_datetime(message.sent_at or message.created_at),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": TEXTS.get(message.error_code or 0),
        "from": message.sender,
        "messaging_service_sid": message.service,
        "num_media": str(len(message.files)),
        "num_segments": str(segments(message.body) if message.sender else 0),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.recipient,
        "uri": f"{uri}.json",
    }


def media_json(file: File, message: Message, account: str) -> dict[str, Any]:
    """Return a Media resource."""
    return {
        "account_sid": account,
        "content_type": file.content_type,
        "date_created": format_datetime(message.created_at),
        "date_updated": format_datetime(message.created_at),
        "parent_sid": message.sid,
        "sid": file.sid,
        "uri": f"{message.uri(account)}/Media/{file.sid}.json",
    }


def account_json(account: str, at: datetime) -> dict[str, Any]:
    """Return an Account resource, without its token."""
    uri = f"{API}/Accounts/{account}"
    return {
        "date_created": format_datetime(at),
        "date_updated": format_datetime(at),
        "friendly_name": "Sandbox",
        "owner_account_sid": account,
        "sid": account,
        "status": "active",
        "subresource_uris": {"messages": f"{uri}/Messages.json"},
        "type": "Full",
        "uri": f"{uri}.json",
    }


def number_json(number: str, sid: str, account: str, sms_url: str | None, at: datetime) -> dict[str, Any]:
    """Return an IncomingPhoneNumber resource."""
    return {
        "account_sid": account,
        "api_version": API.strip("/"),
        "capabilities": {"mms": True, "sms": True, "voice": False, "fax": False},
        "date_created": format_datetime(at),
        "date_updated": format_datetime(at),
        "friendly_name": number,
        "phone_number": number,
        "sid": sid,
        "sms_application_sid": "",
        "sms_fallback_method": "POST",
        "sms_fallback_url": "",
        "sms_method": "POST",
        "sms_url": sms_url or "",
        "status": "in-use",
        "status_callback": "",
        "uri": f"{API}/Accounts/{account}/IncomingPhoneNumbers/{sid}.json",
    }


def service_json(sid: str, account: str, inbound_url: str | None, at: datetime, base_url: str) -> dict[str, Any]:
    """Return a Messaging Service; its numbers' own webhooks are not used."""
    return {
        "account_sid": account,
        "date_created": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "date_updated": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "fallback_url": None,
        "friendly_name": "Sandbox",
        "inbound_method": "POST",
        "inbound_request_url": inbound_url,
        "sid": sid,
        "status_callback": None,
        "url": f"{base_url}/v1/Services/{sid}",
        "use_inbound_webhook_on_number": False,
        "validity_period": 36000,
    }


# --- forms -----------------------------------------------------------------------------------------------------


def inbound_form(message: Message, account: str, base_url: str) -> Form:
    """Return the webhook of a customer's message, with what Twilio sends along, blanks too."""
    places = [(f"{side}{part}", "") for side in ("To", "From") for part in ("State", "City", "Zip")]
    form: Form = [
        ("ToCountry", "US"),
        ("FromCountry", "US"),
        *places,
        ("SmsMessageSid", message.sid),
        ("SmsSid", message.sid),
        ("MessageSid", message.sid),
        ("AccountSid", account),
        ("From", message.sender or ""),
        ("To", message.recipient),
        ("Body", message.body),
        ("SmsStatus", "received"),
        ("NumSegments", str(segments(message.body))),
        ("NumMedia", str(len(message.files))),
        ("ApiVersion", API.strip("/")),
    ]
    if message.service:
        form.append(("MessagingServiceSid", message.service))
    return [*form, *_media_fields(message, account, base_url)]


def _media_fields(message: Message, account: str, base_url: str) -> Iterator[tuple[str, str]]:
    for index, file in enumerate(message.files):
        yield f"MediaUrl{index}", f"{base_url}{message.uri(account)}/Media/{file.sid}"
        yield f"MediaContentType{index}", file.content_type


def status_form(message: Message, account: str, status: str, error_code: int | None) -> Form:
    """Return the status callback of a message that we were asked to send."""
    form: Form = [
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("MessageStatus", status),
        ("SmsStatus", status),
        ("To", message.recipient),
        ("From", message.sender or ""),
        ("AccountSid", account),
        ("ApiVersion", API.strip("/")),
    ]
    if message.service:
        form.append(("MessagingServiceSid", message.service))
    if error_code is not None:
        form += [("ErrorCode", str(error_code)), ("ErrorMessage", TEXTS.get(error_code, ""))]
    return form
