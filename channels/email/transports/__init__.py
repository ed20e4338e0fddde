"""How mail comes in by webhook: one module for each provider, and one door to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from channels.email.settings import (
    Inbound,
    MailgunInbound,
    PostmarkInbound,
    SendGridInbound,
    SesInbound,
)
from channels.email.transports.base import Transport

if TYPE_CHECKING:
    from channels.http import Http  # a process that only reads mail needs no HTTP client

__all__ = ["Transport", "open_transport"]


def open_transport(
    settings: Inbound, http: Http, max_mail_bytes: int, now: Callable[[], float] = time.time
) -> Transport:
    """Return the transport that a channel's section asks for; ``now`` tells the Unix time."""
    # Each provider's module is loaded where it is used only.
    if isinstance(settings, SendGridInbound):
        from channels.email.transports.sendgrid import SendGridTransport

        return SendGridTransport(settings, max_mail_bytes, now)
    if isinstance(settings, MailgunInbound):
        from channels.email.transports.mailgun import MailgunTransport

        return MailgunTransport(settings, max_mail_bytes, now)
    if isinstance(settings, PostmarkInbound):
        from channels.email.transports.postmark import PostmarkTransport

        return PostmarkTransport(settings, max_mail_bytes)
    if isinstance(settings, SesInbound):
        from channels.email.transports.ses import SesTransport

        return SesTransport(settings, http, max_mail_bytes, now)
    from channels.email.transports.raw import RawTransport

    return RawTransport(settings, max_mail_bytes, now)
