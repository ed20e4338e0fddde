"""What a listener answers to each step of the dialogue before a message."""

from __future__ import annotations

from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.email.owned import is_ours
from channels.email.smtp_in.door import Door

TOO_LARGE = "552 5.3.4 message too large"
CLOSING = "421 4.3.2 closing, try again later"


class Answers:
    """What the library asks us at each step."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Say what we can do, in place of what the library can."""
        session.host_name = hostname
        can = ["PIPELINING", f"SIZE {self._door.max_mail_bytes}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if server.tls_context is not None and session.ssl is None:
            can.append("STARTTLS")
        lines = [self._door.hostname, *can]
        return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a transaction."""
        if self._door.is_closing:
            return CLOSING
        if self._door.require_tls and session.ssl is None:
            return "530 5.7.0 Must issue a STARTTLS command first"
        if not _is_writable(address):
            return "553 5.1.7 malformed address"
        if any(_size(option) > self._door.max_mail_bytes for option in options):
            return TOO_LARGE
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient of ours."""
        if not _is_writable(address) or not is_ours(address, self._door.own_addresses):
            return "550 5.1.1 no such mailbox here"
        if len(envelope.rcpt_tos) >= self._door.limits.recipients:
            return "452 4.5.3 too many recipients of one message, send it again to this one"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Answer what the library cannot read; what went wrong is nobody's business out there."""
        return "451 4.3.0 cannot be read"


def _size(option: str) -> int:
    """Return the size that a parameter of MAIL tells (RFC 1870), 0 where it tells none."""
    name, _, value = option.partition("=")
    return int(value) if name == "SIZE" and value.isascii() and value.isdigit() else 0


def _is_writable(address: str) -> bool:
    """Tell whether an address is text that a header can carry; the library lets any bytes through."""
    return address.isprintable() and not any("\ud800" <= character <= "\udfff" for character in address)
