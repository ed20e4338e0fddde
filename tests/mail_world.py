"""A gateway on e-mail, the mail world around it, and a customer with a mail program."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.sandbox.mail.clients import Original, reply_text
from gateway.sandbox.mail.imap import ImapServer
from gateway.sandbox.mail.providers import Arrived, Poster, Raw
from gateway.sandbox.mail.smtp import MailServer, TakenMail
from gateway.storage import Storage
from tests.gateways import gateway
from tests.world import World, world

US = "help@example.com"
CUSTOMER = "customer@example.org"
SECRET = "the secret of the raw webhook"
CHANNEL = """
  support:
    type: email
    address: {us}
    name: Corner Garage
    inbound: {inbound}
    smtp: {{host: 127.0.0.1, port: {port}, security: none}}
    coalesce_s: {coalesce_s}
    rate_per_s: 1000
{more}
"""


@dataclass
class MailTown:
    """A world with a gateway on e-mail in it."""

    around: World
    gateway: Gateway
    smtp: MailServer
    poster: Poster
    raw: Raw
    imap: ImapServer
    written: list[bytes] = field(default_factory=list)
    """What customers have written, oldest first."""

    @property
    def storage(self) -> Storage:
        """The gateway's."""
        return self.gateway.parts.storage

    def read_by(self, address: str = CUSTOMER) -> list[TakenMail]:
        """Return the mails that somebody has got."""
        return self.smtp.mails_to(address)

    async def until_read(self, count: int, address: str = CUSTOMER, timeout_s: float = 20) -> list[TakenMail]:
        """Wait until somebody has got so many mails."""
        async with asyncio.timeout(timeout_s):
            await self.smtp.until(lambda server: len(server.mails_to(address)) >= count)
        return self.read_by(address)

    async def until_status(self, *expected: str, timeout_s: float = 20) -> None:
        """Wait until the deliveries have these statuses, in order."""
        found: list[tuple[str, str | None]] = []
        try:
            async with asyncio.timeout(timeout_s):
                while [status for status, _ in found] != list(expected):
                    await asyncio.sleep(0.02)
                    found = [(d.status, d.error_code) for d in await self.storage.deliveries()]
        except TimeoutError:
            assert [status for status, _ in found] == list(expected), found

    async def send(self, raw: bytes, *recipients: str, mail_from: str = CUSTOMER) -> int:
        """Let a mail come in by the webhook; returns the last status."""
        self.written.append(raw)
        return await self.poster.deliver(self.raw, Arrived(raw, mail_from, recipients or (US,)))

    async def write(self, text: str, *, sender: str = CUSTOMER, **headers: str) -> bytes:
        """Let a customer write a mail; headers' underscores are dashes."""
        raw = letter(text, sender=sender, **headers)
        assert await self.send(raw, mail_from=sender) == 200
        return raw

    async def reply(self, to: TakenMail, text: str, *, style: str = "gmail", language: str = "en", **how: str) -> bytes:
        """Let a customer answer a mail as their program does."""
        raw = answer_to(to, text, style, language, **how)
        assert await self.send(raw, str(to.message["Reply-To"] or US)) == 200
        return raw


def letter(text: str, *, sender: str = CUSTOMER, to: str = US, subject: str = "Roof", **headers: str) -> bytes:
    """Build a mail that begins something."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"A Customer <{sender}>", to, subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{uuid.uuid4()}@{sender.rpartition('@')[2]}>"
    for name, value in headers.items():
        del message[name.replace("_", "-")]
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def answer_to(
    mail: TakenMail, text: str, style: str = "gmail", language: str = "en", *, sender: str = CUSTOMER, **headers: str
) -> bytes:
    """Build the answer to a mail, quoted as a mail program does."""
    ours = mail.message
    html = ours.get_body(("html",))
    original = Original(
        from_name="Corner Garage",
        from_address=US,
        to_name="A Customer",
        to_address=sender,
        sent_at=datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
        subject=mail.subject,
        text=mail.text,
        html=None if html is None else str(html.get_content()),
    )
    plain, marked_up = reply_text(style, language, text, original)
    message = EmailMessage()
    message["From"], message["To"] = f"A Customer <{sender}>", ours["Reply-To"] or ours["From"]
    message["Subject"] = mail.subject if mail.subject.startswith("Re:") else f"Re: {mail.subject}"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{uuid.uuid4()}@{sender.rpartition('@')[2]}>"
    message["In-Reply-To"] = ours["Message-ID"]
    message["References"] = f"{ours['References'] or ''} {ours['Message-ID']}".strip()
    for name, value in headers.items():
        del message[name.replace("_", "-")]
        if value:
            message[name.replace("_", "-")] = value
    message.set_content(plain)
    message.add_alternative(marked_up, subtype="html")
    return message.as_bytes()


@asynccontextmanager
async def mail_town(
    database_url: str,
    folder: Path,
    *,
    coalesce_s: float = 0,
    inbound: str = f'{{provider: raw, secret: "{SECRET}"}}',
    more: str = "",
    echo: bool = True,
    **settings: Any,
) -> AsyncIterator[MailTown]:
    """Build a town; ``more`` are lines of the channel's section, in which ``{imap_port}`` is the mailbox's."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    smtp, imap = MailServer(), ImapServer()
    async with world(echo=echo) as around, smtp.serving(), imap.serving():
        section = CHANNEL.format(
            us=US, inbound=inbound, port=smtp.port, coalesce_s=coalesce_s, more=more.format(imap_port=imap.port)
        )
        more_channels = section.strip("\n").replace("{", "{{").replace("}", "}}") if False else section.strip("\n")
        async with gateway(folder, database_url, **around.addresses, more_channels=more_channels, **settings) as inside:
            around.open_door(inside.port)
            poster = Poster(f"http://127.0.0.1:{inside.port}/webhooks/support")
            try:
                yield MailTown(around, inside, smtp, poster, Raw(SECRET), imap)
            finally:
                await poster.close()
