"""A mailbox at the stand-in's mail server, and a clock that a test moves."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from channels.email.imap.mailbox import ImapMailbox
from channels.email.imap.protocol import Limits
from channels.email.settings import MEGABYTE, ImapSettings
from channels.errors import SendError
from gateway.sandbox.mail.imap import ImapServer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
QUICK = Limits(connect_s=2.0, silence_s=0.3, answer_s=5.0, goodbye_s=0.3)
MAX_MAIL_BYTES = 50 * MEGABYTE


class Hands:
    """A clock that a test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def settings(server: ImapServer, **changes: object) -> ImapSettings:
    """Return what it takes to read the stand-in's mailbox; without TLS where nothing else is said."""
    given = {"host": "127.0.0.1", "port": server.port, "username": server.username, "password": server.password}
    return ImapSettings.model_validate(given | {"security": "none"} | changes)


def mailbox(server: ImapServer, clock: Hands | None = None, **changes: object) -> ImapMailbox:
    """Return a reader of the stand-in's mailbox, which gives up quickly."""
    return ImapMailbox(
        settings(server, **changes), MAX_MAIL_BYTES, limits=QUICK, clock=clock or Hands(), roll=lambda: 1.0
    )


def mail(subject: str, date: datetime = NOON) -> bytes:
    """Write a mail."""
    written = (
        f"From: customer@example.org\r\nSubject: {subject}\r\nDate: {date:%d %b %Y %H:%M:%S +0000}\r\n\r\nHello\r\n"
    )
    return written.encode()


async def read_all(reader: ImapMailbox, checkpoint: object, clock: Hands, polls: int = 80) -> tuple[list[bytes], dict]:
    """Poll as a gateway does, until there is nothing more; after a failure when its pause is over."""
    found: list[bytes] = []
    for _ in range(polls):
        try:
            polled = await reader.poll(checkpoint, NOON)
        except SendError:
            clock.now += 301
            continue
        checkpoint = polled.checkpoint
        found += [request.body for request in polled.requests]
        if not polled.more:
            return found, checkpoint
    raise AssertionError(f"there is always more after {polls} polls")


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate of this machine's: what a server uses, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file, secret)
    return server, file
