"""A port on which other mail servers hand mail over: LMTP behind a mail server of one's own, or SMTP.

What is answered with 250 is on disk. What is not for us is refused at once, while the sender's server can still tell
its user; what cannot be kept now is answered with 451, and comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from channels.base import Request
from channels.email.settings import ListenSettings
from channels.email.smtp_in.door import Door, Limits
from channels.email.smtp_in.session import LmtpSession, SmtpSession


@contextlib.asynccontextmanager
async def listen(
    settings: ListenSettings,
    own_addresses: frozenset[str],
    max_mail_bytes: int,
    hostname: str,
    receive: Callable[[Request], Awaitable[None]],
    *,
    limits: Limits | None = None,
) -> AsyncIterator[int]:
    """Listen for as long as the context is open; gives the port.

    ``receive`` returns when a message is on disk, or raises. ``hostname`` is the name that the server gives itself.

    Raises:
        OSError: the address is taken or not ours, or the certificate cannot be read.
    """
    # The library writes addresses into its log, and each line of a message.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
    session = LmtpSession if settings.protocol == "lmtp" else SmtpSession
    limits = limits or Limits.of(max_mail_bytes, settings.protocol)
    door = Door(own_addresses, max_mail_bytes, hostname, settings.require_tls, limits, receive)
    loop, tls = asyncio.get_running_loop(), _tls(settings)
    server = await loop.create_server(lambda: session(door, tls, loop), settings.host, settings.port, backlog=128)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await door.close()


def _tls(settings: ListenSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate, settings.key)
    return context
