"""WhatsApp Cloud API: a business number's conversations, by webhook in and by the Graph API out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from channels.abilities import Finding, Media
from channels.base import Channel, ChannelContext, Event, Outbound, Parsed, Receipt, Request
from channels.meta.graph import TIMEOUT_S, UPLOAD_TIMEOUT_S, Graph
from channels.meta.webhooks import MAX_BODY_BYTES, verify
from channels.rendering import Shows
from channels.whatsapp import sending, wire
from channels.whatsapp.codes import send_error
from channels.whatsapp.diagnosis import diagnose
from channels.whatsapp.media import fetch_media
from channels.whatsapp.parsing import parse
from channels.whatsapp.people import check_recipient
from channels.whatsapp.settings import WhatsAppSettings
from channels.window import allowed


class WhatsAppChannel:
    """One business phone number."""

    kind = "whatsapp"
    max_body_bytes = MAX_BODY_BYTES
    send_timeout_s = UPLOAD_TIMEOUT_S + TIMEOUT_S + 1.0  # a file first, then the message that shows it
    default_coalesce_s = 1.0
    typing_every_s = 20.0  # WhatsApp hides it after 25: .../whatsapp/typing-indicators, read 2026-11
    # A number's own limit as long as Meta has not raised it, in and out together; over it Meta says 130429, and the
    # channel waits: developers.facebook.com/documentation/business-messaging/whatsapp/throughput, read 2026-11.
    default_rate_per_s = 80.0
    shows = Shows(
        max_text=wire.MAX_TEXT,
        max_attachments=1,
        captioned=frozenset({"image", "video", "file"}),
        max_caption=wire.MAX_BODY,
        max_choices=wire.MAX_ROWS,
        max_choice_title=wire.MAX_ROW_TITLE,
        max_links=1,
        max_link_title=wire.MAX_LINK_TITLE,
        max_text_with_choices=wire.MAX_BODY,
        uploads=True,
        location=True,
        reactions=True,
        templates=True,
    )

    def __init__(self, settings: WhatsAppSettings, context: ChannelContext) -> None:
        self.settings = settings
        self._context = context
        self.name = context.name
        self.account = settings.phone_number_id
        context.http.allow_origin(settings.api_base)

    @classmethod
    def build(cls, raw: Mapping[str, Any], context: ChannelContext) -> WhatsAppChannel:
        """Build a channel from its section of the configuration.

        Raises:
            pydantic.ValidationError: the section does not hold.
        """
        return cls(WhatsAppSettings.model_validate(raw), context)

    # --- in ---

    async def verify(self, request: Request) -> None:
        """Check X-Hub-Signature-256 over the raw body, or a handshake's token.

        Raises:
            SignatureError: it is not Meta's, or another app's.
        """
        verify(request, self.settings)

    def parse(self, request: Request) -> Parsed:
        """Turn a webhook into events, and a handshake into its answer; pure.

        Raises:
            PayloadError: it cannot be read.
        """
        return parse(request)

    def owns(self, event: Event) -> bool:
        """Tell whether it is our number's."""
        return event.account == self.account

    def shares_app_with(self, other: Channel) -> bool:
        """Tell whether the other number is of the same app, which posts all its numbers to one address."""
        return isinstance(other, WhatsAppChannel) and self.settings.shares_app_with(other.settings)

    async def fetch_media(self, url: str, max_bytes: int) -> Media:
        """Download a file that a customer sent.

        Raises:
            MediaLater: it is not there yet.
            MediaRefused: it is too large, of a type that we do not take, or gone.
        """
        return await fetch_media(self._context.http, self._graph(), self.settings, url, max_bytes)

    # --- out ---

    def check_recipient(self, text: str) -> str:
        """Return a customer's address as webhooks tell it.

        Raises:
            ValueError: it is none; the message says how to write one.
        """
        return check_recipient(text)

    async def send(self, outbound: Outbound) -> Receipt:
        """Send one message; its statuses will carry our delivery id.

        Raises:
            SendError: it would come too late, or what Meta's refusal, or its silence, means.
        """
        ready, remark = allowed(outbound, self.settings.fallback_template)
        receipt = await sending.send(self._graph(outbound.attempts), self.account, ready)
        return replace(receipt, remark=remark)

    async def show_typing(self, recipient: str, external_id: str) -> None:
        """Mark a message as read, and show that it is being answered.

        Raises:
            SendError: it could not be shown, which does not matter.
        """
        await sending.show_typing(self._graph(), self.account, external_id)

    async def diagnose(self) -> Sequence[Finding]:
        """Check the number's token, and whether its webhook is ours."""
        return await diagnose(self._graph(), self.settings, f"channels.{self.name}", self._context.webhook_url)

    def _graph(self, attempts: int = 0) -> Graph:
        """Return the Graph API with what an error means to a message that has been put off so often."""
        token = self.settings.access_token.get_secret_value()
        return Graph(self._context.http, self.settings, token, partial(send_error, attempts=attempts))
