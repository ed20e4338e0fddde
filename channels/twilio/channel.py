"""Twilio's Programmable Messaging: SMS and MMS, by webhook in and by REST out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from channels.abilities import Finding, Media, Polled
from channels.base import Channel, ChannelContext, Event, Inbound, Outbound, Parsed, Receipt, Request, Status
from channels.errors import Doubt, OutsideWindow, PayloadError, SignatureError
from channels.rendering import Shows
from channels.text import MAX_SMS_UNITS, sms_units
from channels.twilio import history
from channels.twilio.content import content_fields
from channels.twilio.diagnosis import diagnose
from channels.twilio.media import fetch_media
from channels.twilio.parsing import DELIVERY, MAX_FORM_BYTES, MAX_MEDIA, parse, read_form
from channels.twilio.recipients import check_recipient
from channels.twilio.settings import TwilioSettings
from channels.twilio.signature import HEADER, SETTINGS_HEADER, hides_a_message, matches, origin_of, path_of, spellings
from channels.window import allowed

if TYPE_CHECKING:
    from channels.twilio.client import TwilioApi

RETRIES = "#rc=5&rp=all"
"""Twilio retries only a failed connect, and once; with this it tries five times, whatever went wrong
(www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides, read 2026-11)."""

# How fast messages leave Twilio it decides itself: 1 a second for a long code outside 10DLC, 3 for a toll-free number,
# 10 to 100 for a short code, the pool's sum for a service. Its queue holds ten hours of them, in order, and says 21611
# when it is full. To be slower here would save nothing, and hold up those who may send more.
SMS_RATE_PER_S = 10.0
# A WhatsApp sender's own limit, as long as Twilio has not been asked for more; its queue there holds four hours.
WHATSAPP_RATE_PER_S = 80.0
# github.com/twilio/ai and www.twilio.com/docs/messaging/guides/scaling-queueing-latency, read 2026-11.

SMS = Shows(
    max_text=MAX_SMS_UNITS,
    size=sms_units,
    max_attachments=MAX_MEDIA,
    captioned=frozenset({"image", "video", "audio", "file"}),
    max_caption=MAX_SMS_UNITS,
    templates=True,
)
# One file a message; Twilio has no upload, and buttons only in approved content.
WHATSAPP = replace(SMS, max_attachments=1, captioned=frozenset({"image", "video"}), location=True)


class TwilioChannel:
    """One account's number or Messaging Service."""

    max_body_bytes = MAX_FORM_BYTES
    send_timeout_s = 10.0
    default_coalesce_s = 1.0
    poll_every_s = 600.0
    typing_every_s = 20.0  # WhatsApp shows it for 25 s: www.twilio.com/docs/whatsapp/api/typing-indicators-resource

    def __init__(self, settings: TwilioSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._context = context
        self._opened: TwilioApi | None = None
        self.name = context.name
        self.account_sid = settings.account_sid
        self.account = settings.account
        self.kind = "whatsapp" if settings.is_whatsapp else "sms"
        self.shows = WHATSAPP if settings.is_whatsapp else SMS
        self.default_rate_per_s = WHATSAPP_RATE_PER_S if settings.is_whatsapp else SMS_RATE_PER_S
        self.webhook_address = context.webhook_url + RETRIES
        """What to paste at Twilio; the fragment stays there and is not signed."""
        self._addresses = tuple(spellings(context.webhook_url))
        """Our public address, and the same with its port or without."""
        context.http.allow_origin(settings.api_base)

    @classmethod
    def build(cls, raw: Mapping[str, Any], context: ChannelContext) -> TwilioChannel:
        """Build a channel from its section of the configuration.

        Raises:
            pydantic.ValidationError: the section does not hold.
        """
        return cls(TwilioSettings.model_validate(raw), context)

    # --- in ---

    async def verify(self, request: Request) -> None:
        """Check X-Twilio-Signature over the public URL and the form, and the AccountSid.

        Raises:
            SignatureError: it is not Twilio's, or another account's.
        """
        signature = request.header(HEADER)
        if not signature:
            raise SignatureError(Doubt.UNSIGNED)
        if request.method != "POST":
            raise SignatureError(Doubt.MISMATCH)
        try:
            form = read_form(request.body)
        except PayloadError:
            raise SignatureError(Doubt.MISMATCH) from None
        settings = request.header(SETTINGS_HEADER)
        if not matches(signature, self._urls(request.target), form, self._settings.tokens, settings):
            raise SignatureError(Doubt.MISMATCH)
        if hides_a_message(form):
            raise SignatureError
        # A subaccount's messages are signed with its own token: what is signed with ours and names another is forged.
        if {value for name, value in form if name == "AccountSid"} != {self._settings.account_sid}:
            raise SignatureError(Doubt.OTHER_ACCOUNT)

    def _urls(self, target: str) -> list[str]:
        """Return what Twilio may have signed: the public address as the request reached us, and as it is configured.

        They differ where a proxy takes a prefix of the path away.
        """
        path = path_of(target)
        mark, query = path.partition("?")[1:]
        reached = [f"{origin_of(address)}{path}" for address in self._addresses]
        configured = [f"{address}{mark}{query}" for address in self._addresses]
        return list(dict.fromkeys(reached + configured))

    def parse(self, request: Request) -> Parsed:
        """Turn a form into events; pure.

        Raises:
            PayloadError: it cannot be read.
        """
        return parse(request)

    def owns(self, event: Event) -> bool:
        """Tell whether a message was to our number or through our Messaging Service; a report finds its delivery."""
        if isinstance(event, Status) or event.account == self._settings.sender:
            return True
        service = self._settings.messaging_service_sid
        return (
            isinstance(event, Inbound)
            and service is not None
            and service == event.metadata.get("messaging_service_sid")
        )

    def shares_app_with(self, other: Channel) -> bool:
        """Tell whether the other is of the same account: its numbers may post here."""
        return isinstance(other, TwilioChannel) and other.account_sid == self.account_sid

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """List the messages to us since the checkpoint, whose webhooks may never have arrived.

        Raises:
            SendError: Twilio cannot be asked.
        """
        return await history.poll(await self._api(), self._settings, checkpoint, now)

    async def fetch_media(self, url: str, max_bytes: int) -> Media:
        """Download a file that a customer sent.

        Raises:
            MediaLater: it is not there yet.
            MediaRefused: it is too large, of a type that we do not take, or elsewhere.
        """
        return await fetch_media(self._context.http, self._settings, url, max_bytes)

    # --- out ---

    def check_recipient(self, text: str) -> str:
        """Return a customer's address as Twilio writes it.

        Raises:
            ValueError: it is none on this channel; the message says how to write one.
        """
        return check_recipient(text, self._settings)

    async def send(self, outbound: Outbound) -> Receipt:
        """Send one message; its status callbacks will carry our delivery id.

        Raises:
            SendError: what Twilio's refusal, or its silence, means.
        """
        remark = None
        if self._settings.is_whatsapp:
            outbound, remark = allowed(outbound, self._settings.fallback_template)
        api = await self._api()
        return Receipt(await api.send(self._fields(self._addressed(outbound))), remark=remark)

    async def show_typing(self, recipient: str, external_id: str) -> None:
        """Show that a message has been read and is being answered; SMS has nothing of the kind.

        Raises:
            SendError: Twilio does not show it.
        """
        if self._settings.is_whatsapp:
            await (await self._api()).show_typing(external_id)

    async def find(self, outbound: Outbound, since: datetime, known_ids: frozenset[str]) -> Receipt | None:
        """Look for a message like this one in what Twilio has taken for the recipient.

        Raises:
            SendError: Twilio cannot be asked.
        """
        if self._settings.is_whatsapp:
            with contextlib.suppress(OutsideWindow):  # the window may have closed since the call
                outbound, _ = allowed(outbound, self._settings.fallback_template)
        return await history.find(await self._api(), self._addressed(outbound), since, known_ids)

    async def diagnose(self) -> Sequence[Finding]:
        """Check the credentials, and whether the number's webhook is ours."""
        return await diagnose(await self._api(), self._settings, f"channels.{self.name}", self.webhook_address)

    def _fields(self, outbound: Outbound) -> dict[str, Any]:
        """Name the message's fields as the SDK does; sender and service together pick that number of the pool."""
        fields = {
            "to": outbound.recipient,
            "from_": outbound.account,
            "messaging_service_sid": self._settings.messaging_service_sid,
            **content_fields(outbound.content),
            "status_callback": f"{self._context.webhook_url}?{urlencode({DELIVERY: outbound.delivery_id})}",
        }
        return {name: value for name, value in fields.items() if value}

    def _addressed(self, outbound: Outbound) -> Outbound:
        """Complete the addresses: a recipient that an operator typed may lack WhatsApp's prefix."""
        bare = self._settings.is_whatsapp and ":" not in outbound.recipient
        recipient = f"whatsapp:{outbound.recipient}" if bare else outbound.recipient
        return replace(outbound, recipient=recipient, account=outbound.account or self._settings.sender)

    async def _api(self) -> TwilioApi:
        if self._opened is None:
            self._opened = await asyncio.to_thread(self._open)
        return self._opened

    def _open(self) -> TwilioApi:
        from channels.twilio.client import TwilioApi  # the SDK, which no door that only receives needs

        return TwilioApi(self._settings, self._context.http)
