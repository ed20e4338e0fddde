"""Facebook Messenger: a page's conversations, by webhook in and by the Send API out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from channels.abilities import Finding, Media
from channels.base import Channel, ChannelContext, Event, Outbound, Parsed, Receipt, Request
from channels.messenger.codes import send_error
from channels.messenger.diagnosis import diagnose
from channels.messenger.media import fetch_media
from channels.messenger.parsing import parse
from channels.messenger.recipients import check_recipient
from channels.messenger.settings import MessengerSettings
from channels.messenger.window import HUMAN_AGENT, message_type
from channels.meta.graph import TIMEOUT_S, UPLOAD_TIMEOUT_S, Graph
from channels.meta.webhooks import MAX_BODY_BYTES, verify
from channels.rendering import Shows

if TYPE_CHECKING:
    from channels.messenger.client import PageApi


class MessengerChannel:
    """One page."""

    kind = "facebook_messenger"
    max_body_bytes = MAX_BODY_BYTES
    send_timeout_s = UPLOAD_TIMEOUT_S + TIMEOUT_S + 1.0  # a file first, then the message that shows it
    default_coalesce_s = 1.0
    typing_every_s = 15.0  # Meta hides it after 20: github.com/nyaruka/courier, handlers/meta, read 2026-11
    # A page may send 300 texts and links a second but 10 films and sounds, and no number is told for a thread: with 40
    # every fourth may be a film, and nobody waits for a text. Over it Meta says so, and the channel waits:
    # developers.facebook.com/docs/messenger-platform/overview/rate-limiting, as of 2026-03.
    default_rate_per_s = 40.0
    # developers.facebook.com/docs/messenger-platform/reference/send-api, .../send-messages/quick-replies,
    # .../reference/templates/button and .../templates/generic, read 2026-11.
    shows = Shows(
        max_text=2000,
        max_attachments=1,
        max_choices=13,
        max_choice_title=20,
        max_links=3,
        max_link_title=20,
        max_text_with_choices=640,
        max_cards=10,
        max_card_text=80,
        uploads=True,
        reactions=True,
    )

    def __init__(self, settings: MessengerSettings, context: ChannelContext) -> None:
        self.settings = settings
        self._context = context
        self._opened: PageApi | None = None
        self.name = context.name
        self.account = settings.page_id
        context.http.allow_origin(settings.api_base)

    @classmethod
    def build(cls, raw: Mapping[str, Any], context: ChannelContext) -> MessengerChannel:
        """Build a channel from its section of the configuration.

        Raises:
            pydantic.ValidationError: the section does not hold.
        """
        return cls(MessengerSettings.model_validate(raw), context)

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
        """Tell whether it is our page's."""
        return event.account == self.account

    def shares_app_with(self, other: Channel) -> bool:
        """Tell whether the other page is of the same app, which posts all its pages to one address."""
        return isinstance(other, MessengerChannel) and self.settings.shares_app_with(other.settings)

    async def fetch_media(self, url: str, max_bytes: int) -> Media:
        """Download a file that a customer sent.

        Raises:
            MediaLater: it is not there yet.
            MediaRefused: it is too large, of a type that we do not take, or elsewhere.
        """
        return await fetch_media(self._context.http, self.settings.api_base, url, max_bytes)

    # --- out ---

    def check_recipient(self, text: str) -> str:
        """Return a customer's address as Meta writes it.

        Raises:
            ValueError: it is none on this page; the message says how to write one.
        """
        return check_recipient(text, self.account)

    async def send(self, outbound: Outbound) -> Receipt:
        """Send one message; its echo will carry our delivery id.

        Raises:
            SendError: Meta would not take it now, or what its refusal, or its silence, means.
        """
        envelope = message_type(outbound, human_agent=self.settings.human_agent)
        graph = self._graph(as_human_agent=envelope is HUMAN_AGENT, attempts=outbound.attempts)
        return await (await self._api()).send(graph, outbound, envelope)

    async def show_typing(self, recipient: str, external_id: str) -> None:
        """Mark the conversation as seen, and show that an answer is being written.

        Raises:
            SendError: it could not be shown, which does not matter.
        """
        await (await self._api()).show_typing(self._graph(), recipient)

    async def diagnose(self) -> Sequence[Finding]:
        """Check the page's token, and whether its webhook is ours."""
        return await diagnose(self._graph(), self.settings, f"channels.{self.name}", self._context.webhook_url)

    def _graph(self, *, as_human_agent: bool = False, attempts: int = 0) -> Graph:
        """Return the Graph API with what an error means to this one message."""
        to_error = partial(send_error, as_human_agent=as_human_agent, attempts=attempts)
        token = self.settings.page_access_token.get_secret_value()
        return Graph(self._context.http, self.settings, token, to_error)

    async def _api(self) -> PageApi:
        if self._opened is None:
            self._opened = await asyncio.to_thread(self._open)
        return self._opened

    def _open(self) -> PageApi:
        from channels.messenger.client import PageApi  # the SDK, which no door that only receives needs

        return PageApi(self.account)
