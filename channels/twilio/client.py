"""The official SDK over our own HTTP client, and the few calls that a channel makes.

The SDK's asyncio client (9.13) waits for ever, because it never passes its timeout on, and with retries enabled it
posts a message again after a 5xx. This one has a timeout on every call and leaves retries to the outbox.

Importing this module imports the SDK.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.base import Attachment
from channels.errors import OutcomeUnknown, SendError
from channels.http import Http, HttpResponse
from channels.twilio.codes import send_error
from channels.twilio.parsing import MAX_MEDIA
from channels.twilio.settings import API, TwilioSettings

TIMEOUT_S = 9.0  # within the channel's send_timeout_s, so that it is Http that says what a timeout means
PAGE_SIZE = 200  # messages of 1600 characters, each six bytes as JSON, are 2 MB a page


class _OverHttp(AsyncHttpClient):  # type: ignore[misc]  # the SDK carries no types
    """What the SDK calls instead of its own client.

    Unsuccessful answers become our errors here, where the Retry-After is still to be seen: the SDK's exceptions do
    not carry it, and those of its lists carry no status either.
    """

    def __init__(self, http: Http, authorization: str, timeout_s: float) -> None:
        super().__init__(logging.getLogger("twilio"), True, timeout_s)
        self._http = http
        self._authorization = authorization
        self._timeout_s = timeout_s

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Make one call; the arguments are the SDK's."""
        query = urlencode(_pairs(params))
        answer = await self._http.request(
            method,
            f"{uri}?{query}" if query else uri,
            headers={**(headers or {}), "Authorization": self._authorization},
            data=_pairs(data) if data else None,
            timeout_s=self._timeout_s,
        )
        if not 200 <= answer.status < 300:
            raise _error(answer)
        return Response(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A message in either direction, as Twilio's log has it."""

    sid: str
    direction: str
    status: str
    sender: str
    recipient: str
    text: str
    num_media: int
    num_segments: str
    messaging_service_sid: str | None
    created_at: datetime | None
    sent_at: datetime | None
    """None while it waits in Twilio's queue."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where Twilio posts what customers write."""

    url: str | None
    method: str | None
    fallback_url: str | None
    overridden_by: str | None = None
    """What makes Twilio ignore this address: an application, or the numbers of a service."""


class TwilioApi:
    """Twilio's REST API, with errors that say what to do next.

    Every method raises SendError: one of its subclasses, each of which says what to do next.
    """

    def __init__(self, settings: TwilioSettings, http: Http, timeout_s: float = TIMEOUT_S) -> None:
        self._client = Client(
            settings.account_sid,
            settings.auth_token.get_secret_value(),
            http_client=_OverHttp(http, settings.authorization, timeout_s),
            environment={"TWILIO_EDGE": ""},  # without this, the process's TWILIO_REGION would change every address
        )
        self._settings = settings
        self._account = self._client.api.v2010.accounts(settings.account_sid)
        self._client.api.base_url = settings.api_base

    async def send(self, fields: Mapping[str, Any]) -> str:
        """Send a message and return its sid."""
        with _readable():
            message = await self._account.messages.create_async(**fields)
        if not isinstance(message.sid, str) or not message.sid:
            raise OutcomeUnknown("the answer names no message")
        return message.sid

    async def show_typing(self, message_sid: str) -> None:
        """Mark a WhatsApp message as read, and show for a while that it is being answered."""
        with _readable():
            await self._messaging.v2.typing_indicator.create_async(channel="whatsapp", message_id=message_sid)

    async def messages(
        self, *, limit: int, to: str | None = None, sent_since: datetime | None = None
    ) -> list[LoggedMessage]:
        """List the newest messages."""
        asked: dict[str, Any] = {}
        if to is not None:
            asked["to"] = to
        if sent_since is not None:
            asked["date_sent_after"] = sent_since.astimezone(UTC)
        with _readable():
            rows = await self._account.messages.list_async(limit=limit, page_size=PAGE_SIZE, **asked)
            return [_logged(row) for row in rows]

    async def media(self, message_sid: str) -> list[Attachment]:
        """List a message's files."""
        with _readable():
            rows = await self._account.messages(message_sid).media.list_async(limit=MAX_MEDIA)
            return [
                Attachment(self._settings.api_base + str(row.uri).removesuffix(".json"), str(row.content_type))
                for row in rows
            ]

    async def account_status(self) -> str:
        """Return ``active``, ``suspended`` or ``closed``."""
        with _readable():
            return str((await self._account.fetch_async()).status)

    async def number_webhook(self, number: str) -> Webhook | None:
        """Return where a number's messages are posted, or None where the account has no such number."""
        with _readable():
            rows = await self._account.incoming_phone_numbers.list_async(phone_number=number, limit=1)
            webhooks = [
                Webhook(row.sms_url, row.sms_method, row.sms_fallback_url, row.sms_application_sid or None)
                for row in rows
            ]
        return webhooks[0] if webhooks else None

    async def short_code_webhook(self, short_code: str) -> Webhook | None:
        """Return where a short code's messages are posted, or None where the account has no such code."""
        with _readable():
            # What is asked for is a pattern: 12345 finds 123456 as well.
            rows = await self._account.short_codes.list_async(short_code=short_code, limit=PAGE_SIZE)
            webhooks = [
                Webhook(row.sms_url, row.sms_method, row.sms_fallback_url)
                for row in rows
                if row.short_code == short_code
            ]
        return webhooks[0] if webhooks else None

    async def service_webhook(self, sid: str) -> Webhook:
        """Return where a Messaging Service's messages are posted."""
        with _readable():
            row = await self._messaging.v1.services(sid).fetch_async()
            by_number = "the numbers' own webhooks" if row.use_inbound_webhook_on_number else None
            return Webhook(row.inbound_request_url, row.inbound_method, row.fallback_url, by_number)

    @property
    def _messaging(self) -> Any:
        """The services and indicators, at the host that ``api_base`` redirects, too."""
        messaging = self._client.messaging
        if self._settings.api_base != API:
            messaging.base_url = self._settings.api_base
        return messaging


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what the SDK stumbles over in a successful answer into an outcome that nobody knows."""
    try:
        yield
    except (TwilioException, ValueError, TypeError, AttributeError, KeyError) as error:
        raise OutcomeUnknown(f"unreadable answer: {type(error).__name__}") from error


def _pairs(fields: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in (fields or {}).items():
        pairs += [(name, str(item)) for item in (value if isinstance(value, list) else [value])]
    return pairs


def _error(answer: HttpResponse) -> SendError:
    """Read both of Twilio's error bodies: its own, and RFC 9457's."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    fields = body if isinstance(body, dict) else {}
    code = fields.get("code")
    said = fields.get("message") or fields.get("detail") or fields.get("title") or f"HTTP {answer.status}"
    return send_error(answer.status, code if isinstance(code, int) else None, str(said), answer.retry_after_s)


def _logged(row: Any) -> LoggedMessage:
    return LoggedMessage(
        sid=str(row.sid),
        direction=row.direction or "",
        status=row.status or "",
        sender=row.from_ or "",
        recipient=row.to or "",
        text=row.body or "",
        num_media=int(row.num_media or 0),
        num_segments=str(row.num_segments or ""),
        messaging_service_sid=row.messaging_service_sid,
        created_at=row.date_created,
        sent_at=row.date_sent,
    )
