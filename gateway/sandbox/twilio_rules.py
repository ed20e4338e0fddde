"""What Twilio refuses, and with which words (www.twilio.com/docs/api/errors/<code>, read 2026-11)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from multidict import MultiMapping

MAX_BODY_CHARACTERS = 1600
MAX_MEDIA = 10
_ADDRESS = re.compile(r"(whatsapp:)?\+[1-9]\d{1,14}|whatsapp:[A-Z]{2}\.[A-Za-z0-9.]{1,140}")
_BAD_REQUEST = 400

STATUSES: Mapping[int, int] = {20003: 401, 20404: 404, 20429: 429, 20503: 503}
"""The HTTP status of a code, where it is not 400."""

TEXTS: Mapping[int, str] = {
    20001: "Invalid parameter",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20503: "Service is unavailable. Please try again",
    21211: "Invalid 'To' Phone Number",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable using the 'From' phone number via SMS",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit.",
    21701: "The Messaging Service does not exist",
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
}

# The first five are Twilio's own magic numbers (www.twilio.com/docs/iam/test-credentials, read 2026-11), the others
# are ours, in the same unassigned range.
REFUSED: Mapping[str, int] = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
    "+15005550021": 20429,
    "+15005550022": 20003,
    "+15005550023": 20503,
    "+15005550024": 21611,
}
UNDELIVERED: Mapping[str, int] = {
    "+15005550030": 21610,
    **{f"+150055500{code - 29970}": code for code in range(30001, 30009) if code in TEXTS},
}
"""Recipients whose messages are accepted and then not delivered, by the code in the report: +15005550033 is 30003."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as Twilio words it."""

    code: int
    detail: str = ""

    @property
    def status(self) -> int:
        """The HTTP status that comes with it."""
        return STATUSES.get(self.code, _BAD_REQUEST)

    def body(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        text = TEXTS.get(self.code, "Unknown error")
        return {
            "code": self.code,
            "message": f"{text}: {self.detail}" if self.detail else text,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Sending:
    """A message as we are asked to send it; absent parameters are empty."""

    to: str = ""
    sender: str = ""
    service: str = ""
    body: str = ""
    media_urls: tuple[str, ...] = ()
    status_callback: str = ""

    @classmethod
    def read(cls, form: MultiMapping[Any]) -> Sending:
        """Read the parameters of a POST to Messages.json."""
        names = ("To", "From", "MessagingServiceSid", "Body")
        to, sender, service, body = (str(form.get(name, "")) for name in names)
        media_urls = tuple(str(url) for url in form.getall("MediaUrl", []))
        return cls(to, sender, service, body, media_urls, str(form.get("StatusCallback", "")))


@dataclass(slots=True)
class Rules:
    """What one account may send, and to whom."""

    numbers: set[str]
    """The numbers that the account owns."""
    services: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The numbers in the pool of each Messaging Service."""
    refused: dict[str, int] = field(default_factory=lambda: dict(REFUSED))
    """Recipients that are always refused, and with which code."""
    opted_out: set[str] = field(default_factory=set)

    def refusal(self, sending: Sending) -> Refusal | None:
        """Return why a message is not accepted, or None."""
        return self._incomplete(sending) or self._impossible(sending) or self._unwelcome(sending)

    def _incomplete(self, sending: Sending) -> Refusal | None:
        if not sending.to:
            return Refusal(21604)
        if not sending.sender and not sending.service:
            return Refusal(21603)
        if not sending.body and not sending.media_urls:
            return Refusal(21602)
        return None

    def _impossible(self, sending: Sending) -> Refusal | None:
        if not _ADDRESS.fullmatch(sending.to):
            return Refusal(21211, sending.to)
        if sending.sender and sending.sender not in self.numbers:
            return Refusal(21606, sending.sender)
        if sending.service and sending.service not in self.services:
            return Refusal(21701)
        if len(sending.body) > MAX_BODY_CHARACTERS:
            return Refusal(21617)
        if len(sending.media_urls) > MAX_MEDIA:
            return Refusal(21623)
        if not all(_is_url(url) for url in sending.media_urls):
            return Refusal(21620)
        if sending.status_callback and not _is_url(sending.status_callback):
            return Refusal(21609, sending.status_callback)
        return None

    def _unwelcome(self, sending: Sending) -> Refusal | None:
        if sending.to in self.opted_out:
            return Refusal(21610)
        code = self.refused.get(sending.to)
        return None if code is None else Refusal(code)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    host = parts.hostname or ""
    # The SDK's documentation of status_callback: the host must be valid and without underscores.
    return parts.scheme in {"http", "https"} and bool(host) and "_" not in host
