"""E-mail: in by a provider's webhook, IMAP or a port of our own, out by SMTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from channels.abilities import Finding, Media, Polled
from channels.base import (
    Answered,
    Channel,
    ChannelContext,
    Event,
    Inbound,
    Outbound,
    Parsed,
    Receipt,
    Reply,
    Request,
)
from channels.email.one_click import is_one_click
from channels.email.reading import UNSUBSCRIBE, Reading, Vouching, is_verified, unsubscribe_token_in, vouched
from channels.email.references import References
from channels.email.settings import EmailSettings, PostmarkInbound, SendGridInbound
from channels.email.transports import Transport, open_transport
from channels.email.trust import Trust
from channels.errors import Doubt, MediaError, Refused, SignatureError
from channels.rendering import Shows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from channels.email.imap.mailbox import ImapMailbox
    from channels.email.smtp_out.client import Smtp

SHOWS = Shows(
    max_text=100_000,
    size=len,
    max_attachments=20,
    captioned=frozenset({"image", "video", "audio", "file"}),
    max_caption=100_000,
    uploads=True,
    subject=True,
    calendar=True,
)
FETCH_TIMEOUT_S = 8.0
MAX_FILE_BYTES = 20 * 1024 * 1024  # what is larger becomes a link
_NO_WEBHOOK = Reply(404)


class EmailChannel:
    """One address."""

    kind = "email"
    shows = SHOWS
    send_timeout_s = 28.0
    default_coalesce_s = 30.0
    default_rate_per_s = 5.0
    """Mail servers that are rented by the month take a few a second (SES: 14, Gmail: 2,000 a day)."""

    def __init__(self, settings: EmailSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._context = context
        self._transport: Transport | None = None
        if settings.inbound is not None:
            self._transport = open_transport(settings.inbound, context.http, settings.max_mail_bytes)
        self._references = References(settings.signing_key, settings.address)
        self._opened_smtp: Smtp | None = None
        self.name = context.name
        self.account = settings.address
        self.listens = settings.listen is not None
        self.max_body_bytes = self._transport.max_body_bytes if self._transport else 1024
        self.refusal = self._transport.refusal if self._transport else _NO_WEBHOOK
        self.parse_in_worker = Reading(
            settings.address,
            settings.own_addresses,
            settings.signing_key,
            settings.trust,
            self._transport.unwrap if self._transport else None,
            self._transport.accepted if self._transport else Reply(200),
        )
        self.vouch_in_worker = Vouching(self.parse_in_worker) if settings.trust.dkim else None
        self.webhook_address = _webhook_address(settings, context.webhook_url)

    @classmethod
    def build(cls, raw: Mapping[str, Any], context: ChannelContext) -> EmailChannel:
        """Build a channel from its section of the configuration.

        Raises:
            pydantic.ValidationError: the section does not hold.
        """
        settings = EmailSettings.model_validate(raw).with_secret(context.secret)
        return cls(settings, context) if settings.imap is None else MailboxChannel(settings, context)

    # --- in ---

    def admit(self, request: Request) -> None:
        """Refuse by its headers alone what no provider of ours has posted.

        Raises:
            SignatureError: it is refused.
        """
        if unsubscribe_token_in(request.target) is not None:
            self._check_unsubscription(request)
        elif self._transport is None:
            raise SignatureError(Doubt.UNSIGNED)
        else:
            self._transport.admit(request)

    async def verify(self, request: Request) -> None:
        """Check what its provider signs, or a one-click unsubscription's own token.

        Raises:
            SignatureError: it is not the provider's.
            SendError: what proves it could not be fetched now.
        """
        if unsubscribe_token_in(request.target) is not None:
            self._check_unsubscription(request)
            if not is_one_click(request):
                raise SignatureError(Doubt.MISMATCH)
        elif self._transport is None:
            raise SignatureError(Doubt.UNSIGNED)
        else:
            await self._transport.verify(request)

    def _check_unsubscription(self, request: Request) -> None:
        token = unsubscribe_token_in(request.target) or ""
        if request.method != "POST" or self._references.read_unsubscribe_token(token) is None:
            raise SignatureError(Doubt.MISMATCH)

    def parse(self, request: Request) -> Parsed:
        """Turn a mail into events; pure. The gateway calls ``parse_in_worker``, which is the same.

        Raises:
            PayloadError: it cannot be read.
        """
        return self.parse_in_worker(request)

    def needs_vouching(self, parsed: Parsed) -> bool:
        """Tell whether there is a message whose sender nobody has vouched for yet."""
        return any(isinstance(event, Inbound) and not is_verified(event) for event in parsed.events)

    def vouched(self, parsed: Parsed, found: Trust | None) -> Parsed:
        """Return what was parsed, with what its signatures say of the sender."""
        return vouched(parsed, found)

    def owns(self, event: Event) -> bool:
        """Tell whether an event is about our address."""
        return event.account == self.account

    def shares_app_with(self, other: Channel) -> bool:
        """Tell whether the other is the same address: nobody posts the mail of one to the webhook of another."""
        return isinstance(other, EmailChannel) and other.account == self.account

    @asynccontextmanager
    async def listen(self, receive: Callable[[Request], Awaitable[None]]) -> AsyncIterator[None]:
        """Take mail from another server on a port of our own.

        Raises:
            OSError: the address is taken or not ours.
        """
        from channels.email.smtp_in.listener import listen  # the server, which few need

        settings = self._settings
        assert settings.listen is not None
        async with listen(
            settings.listen, settings.own_addresses, settings.max_mail_bytes, self._references.domain, receive
        ) as port:
            self.listening_port = port
            yield

    # --- out ---

    def check_recipient(self, text: str) -> str:
        """Return a customer's address in lower case.

        Raises:
            ValueError: it is none, or our own.
        """
        from email_validator import EmailNotValidError, validate_email

        try:
            address = validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized.lower()
        except EmailNotValidError:
            raise ValueError("must be one bare e-mail address, such as customer@example.org") from None
        if address in self._settings.own_addresses:
            raise ValueError("is the channel's own address; name a customer's")
        return address

    async def prepare(self, outbound: Outbound, answered: Answered | None, now: datetime) -> bytes:
        """Build a mail, with its files in it as far as they are small.

        Raises:
            Refused: it cannot be built.
        """
        from channels.email.compose import compose

        urls = outbound.content.attachment_urls
        found = await asyncio.gather(*map(self._file, urls))  # all at once: a host that hangs costs its time once
        files = {url: file for url, file in zip(urls, found, strict=True) if file is not None}
        token = urlencode({UNSUBSCRIBE: self._references.unsubscribe_token(outbound.recipient)})
        url = f"{self._context.webhook_url}?{token}"
        build = partial(compose, outbound, answered, self._settings, now=now, files=files, unsubscribe_url=url)
        raw = await asyncio.to_thread(build) if files else build()
        if self._settings.dkim is None:
            return raw
        from channels.email.dkim_sign import sign

        return await asyncio.to_thread(sign, raw, self._settings.dkim)

    async def _file(self, url: str) -> Media | None:
        """Return a file's content; None where it is better a link."""
        if url.startswith("data:"):
            return _inline(url)
        try:
            response = await self._context.http.fetch(
                url, headers={}, credentials_origins=(), max_bytes=MAX_FILE_BYTES, timeout_s=FETCH_TIMEOUT_S
            )
        except MediaError:
            return None
        content_type = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()
        return Media(response.body, content_type.lower())

    async def send(self, outbound: Outbound) -> Receipt:
        """Hand over what ``prepare`` has built; the receipt's id is the Message-ID, which is the same in every try.

        Raises:
            SendError: what the server's answer, or its silence, means.
        """
        if outbound.prepared is None:
            raise Refused("the mail was not built")
        await self._smtp().send(self._settings.address, outbound.recipient, outbound.prepared)
        return Receipt(f"<{self._references.message_id(outbound.delivery_id)}>")

    def _smtp(self) -> Smtp:
        if self._opened_smtp is None:
            from channels.email.smtp_out.client import Smtp

            self._opened_smtp = Smtp(self._settings.smtp, self._references.domain)
        return self._opened_smtp

    async def diagnose(self) -> Sequence[Finding]:
        """Log in wherever mail comes or goes, and tell what to paste at the provider."""
        from channels.email.diagnosis import diagnose

        return await diagnose(self._settings, self._smtp(), self._mailbox(), self.name, self.webhook_address)

    def _mailbox(self) -> ImapMailbox | None:
        return None

    async def close(self) -> None:
        """Close the connections to the mail servers."""
        if self._opened_smtp is not None:
            await self._opened_smtp.close()
            self._opened_smtp = None


class MailboxChannel(EmailChannel):
    """An address whose mail is fetched from a mailbox, too."""

    poll_every_s = 60.0

    def __init__(self, settings: EmailSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._opened_mailbox: ImapMailbox | None = None

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Fetch what is new.

        Raises:
            SendError: the mailbox cannot be read.
        """
        return await self._mailbox().poll(checkpoint, now)

    async def wait_for_news(self, at_most_s: float) -> None:
        """Return when there may be something new.

        Raises:
            SendError: the mailbox cannot be listened to.
        """
        await self._mailbox().wait_for_news(at_most_s)

    def _mailbox(self) -> ImapMailbox:
        if self._opened_mailbox is None:
            from channels.email.imap.mailbox import ImapMailbox

            assert self._settings.imap is not None
            self._opened_mailbox = ImapMailbox(self._settings.imap, self._settings.max_mail_bytes)
        return self._opened_mailbox

    async def close(self) -> None:
        """Close the connections to the mail servers and to the mailbox."""
        if self._opened_mailbox is not None:
            await self._opened_mailbox.close()
            self._opened_mailbox = None
        await super().close()


def _webhook_address(settings: EmailSettings, url: str) -> str:
    """Return what is pasted at the provider: some prove themselves by a user name and password in it."""
    has_login = isinstance(settings.inbound, PostmarkInbound) or (
        isinstance(settings.inbound, SendGridInbound) and settings.inbound.username is not None
    )
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}USERNAME:PASSWORD@{rest}" if has_login else url


def _inline(url: str) -> Media:
    """Read a ``data:`` URL (RFC 2397).

    Raises:
        Refused: it is none in base64.
    """
    head, comma, data = url.removeprefix("data:").partition(",")
    content_type, _, encoding = head.partition(";")
    if not comma or not encoding.endswith("base64"):
        raise Refused("a data: URL has to be in base64", code="unreadable_file")
    try:
        return Media(base64.b64decode(data, validate=True), content_type.lower() or "application/octet-stream")
    except ValueError:
        raise Refused("a data: URL is not valid base64", code="unreadable_file") from None
