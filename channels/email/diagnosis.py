"""What ``frontdesk doctor`` says about an address: do its servers let us in, and what is pasted at the provider?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from channels.abilities import Finding
from channels.email.settings import EmailSettings
from channels.errors import CredentialsRejected, SendError

if TYPE_CHECKING:
    from channels.email.imap.mailbox import ImapMailbox
    from channels.email.smtp_out.client import Smtp

_CONSOLES = {
    "sendgrid": "in SendGrid, Settings, Inbound Parse, as the destination URL",
    "mailgun": "in Mailgun, Receiving, as a route's action forward",
    "postmark": "in Postmark, the inbound stream's settings, as the webhook",
    "ses": "in Amazon SNS, as the HTTPS subscription of the topic",
    "raw": "in whatever posts the mail",
}


async def diagnose(
    settings: EmailSettings, smtp: Smtp, mailbox: ImapMailbox | None, name: str, webhook_address: str
) -> Sequence[Finding]:
    """Log in at each server, and say what cannot be looked up."""
    path = f"channels.{name}"
    findings = [await _server(f"{path}.smtp", settings.smtp.host, smtp.check)]
    if mailbox is not None and settings.imap is not None:
        findings.append(await _server(f"{path}.imap", settings.imap.host, mailbox.check))
    if settings.inbound is not None:
        where = _CONSOLES[settings.inbound.provider]
        findings.append(Finding(f"{path}.inbound", True, f"paste {webhook_address} {where}"))
    if settings.imap is not None and settings.trust.authserv_id is None and not settings.trust.dkim:
        told = "nobody vouches for senders: their mail is unverified, and changes to appointments wait for a person"
        fix = f"set {path}.trust.authserv_id to the name in your mailbox's Authentication-Results, or trust.dkim: true"
        findings.append(Finding(f"{path}.trust", False, told, fix))
    return findings


async def _server(subject: str, host: str, check: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await check()
    except CredentialsRejected as error:
        return Finding(subject, False, f"{host} rejects the login: {error}", f"check {subject}.username and password")
    except SendError as error:
        return Finding(subject, False, f"{host} cannot be used: {error}", f"check {subject}.host, port and security")
    return Finding(subject, True, f"{host} lets us in")
