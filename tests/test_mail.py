"""Mail to the people who work here, against a real SMTP server: greeted, encrypted, logged in, taken or refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway import mail
from gateway.config import SmtpConfig
from gateway.mail import Mail, MailError, MailLater, MailRefused

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PASSWORD = "pass-word-1"

# A throw-away key and certificate of "localhost", valid from 2020 to 2120; they open nothing.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAcQiNLGRBLWcuvQJ
du9omCJp/eFNSvnacAu+548uDOihRANCAASqFiTmWYPhP3lmBj6x3A12wAl2okYQ
9APrXw4ya4jQfEAx/K8s7J3KQvxIYOWNgp8ibjPB7O6AwDGMkX3f7Smx
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBcDCCARegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKoWJOZZg+E/eWYG
PrHcDXbACXaiRhD0A+tfDjJriNB8QDH8ryzsncpC/Ehg5Y2CnyJuM8Hs7oDAMYyR
fd/tKbGjWDBWMB0GA1UdDgQWBBT5KrcRdB1Cu9eiyVBwgSVWI6LHojAPBgNVHRMB
Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIChDAUBgNVHREEDTALgglsb2NhbGhvc3Qw
CgYIKoZIzj0EAwIDRwAwRAIgfrfpUWTaAPKWe2g4gafHOPu7ddAbsDGYhES7yTKg
YVgCIHbSCuo/Y/6vHAAkXV43pQAN2lcWvG/zBJ2Eo6xLB4Cp
-----END CERTIFICATE-----
"""


class Mailbox:
    """What the server has taken, and what it says to the next mail."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.says = "250 taken"
        self.says_to_recipient = "250 known"
        self.silent_at = ""
        """The command that gets no answer."""
        self.port = 0

    @property
    def mails(self) -> list[EmailMessage]:
        """The mails as a mail program reads them."""
        return [message_from_bytes(e.content or b"", policy=policy.default) for e in self.envelopes]  # type: ignore[misc,arg-type]

    def authenticate(self, *given: Any) -> AuthResult:
        """Let in who knows the password."""
        data = given[-1]
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.says_to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.says_to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._answer("DATA")
        if self.says.startswith("250"):
            self.envelopes.append(envelope)
        return self.says

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._answer("QUIT")
        return "221 bye"

    async def _answer(self, command: str) -> None:
        if self.silent_at == command:
            await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> AsyncIterator[Mailbox]:
    """Serve a mailbox on loopback."""
    box = Mailbox()
    connections: list[SMTP] = []

    def connect() -> SMTP:
        connections.append(
            SMTP(
                box,
                hostname="mail.example.com",
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=box.authenticate,
                auth_require_tls=False,
            )
        )
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, ssl=tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()
            if connection._handler_coroutine is not None:
                connection._handler_coroutine.cancel()
        await asyncio.sleep(0)  # the aborted transports close in the loop's next round


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """Give the server's side of the certificate."""
    path = tmp_path / "server.pem"
    path.write_text(KEY + CERTIFICATE)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


def trusting() -> ssl.SSLContext:
    """Return the client's side: who trusts that certificate."""
    return ssl.create_default_context(cadata=CERTIFICATE)


def mail_to(box: Mailbox, *, trusted: ssl.SSLContext | None = None, timeout_s: float = 5.0, **settings: Any) -> Mail:
    """Return the client of a mailbox."""
    given = {"host": "127.0.0.1", "port": box.port, "security": "none", "from": "frontdesk@example.com", **settings}
    return Mail(SmtpConfig.model_validate(given), timeout_s=timeout_s, trusted=trusted)


def message(client: Mail, to: str = "owner@example.com", text: str = "Ann waits.\n") -> EmailMessage:
    """Return a mail."""
    return client.message("n-1", to, "A customer waits", text, name="Käse & Co", at=AT)


async def test_a_mail_says_who_it_is_from_and_that_a_program_wrote_it() -> None:
    """The same notice has the same Message-ID however often it is sent; letters of any script arrive."""
    async with serving() as box:
        client = mail_to(box)
        await client.send(message(client, text="Grüße, 你好 🙂\n.\nan end\n"))
        await client.send(message(client))
    first, again = box.mails

    assert first["From"] == "Käse & Co <frontdesk@example.com>"
    assert (first["To"], first["Subject"], first["Auto-Submitted"]) == (
        "owner@example.com",
        "A customer waits",
        "auto-generated",
    )
    assert first["Date"].datetime == AT
    assert (first["Message-ID"], again["Message-ID"]) == ("<n-1@example.com>", "<n-1@example.com>")
    assert first.get_content_type() == "text/plain"
    assert first.get_content().splitlines() == ["Grüße, 你好 🙂", ".", "an end"]
    assert box.envelopes[0].mail_from == "frontdesk@example.com"
    assert box.envelopes[0].rcpt_tos == ["owner@example.com"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_goes_encrypted_to_a_server_that_is_trusted(certificate: ssl.SSLContext, security: str) -> None:
    """By STARTTLS or from the first byte on; whoever has another certificate gets neither mail nor password."""
    served: dict[str, Any] = {"starttls" if security == "starttls" else "tls": certificate}
    login = {"username": "desk", "password": PASSWORD, "security": security}
    async with serving(**served) as box:
        client = mail_to(box, trusted=trusting(), host="localhost", **login)
        await client.send(message(client))
        mails, logins = len(box.mails), len(box.logins)
        with pytest.raises(MailLater):
            await mail_to(box, host="localhost", **login).send(message(client))  # the system does not trust it
        with pytest.raises(MailLater):
            await mail_to(box, trusted=trusting(), **login).send(message(client))  # it is not 127.0.0.1's

    assert (mails, logins) == (1, 1)
    assert (len(box.mails), len(box.logins)) == (1, 1)


async def test_a_server_without_encryption_gets_nothing() -> None:
    """Where STARTTLS is asked for and not offered, somebody may have taken it out on the way."""
    async with serving() as box:
        client = mail_to(box, security="starttls", username="desk", password=PASSWORD)
        with pytest.raises(MailLater):
            await client.send(message(client))

    assert (box.mails, box.logins) == ([], [])


async def test_a_wrong_password_may_be_mended() -> None:
    """It says nothing about the mail, which is sent again; the password is not told."""
    async with serving() as box:
        wrong = mail_to(box, username="desk", password="wrong-word-2")
        with pytest.raises(MailLater) as caught:
            await wrong.send(message(wrong))
        right = mail_to(box, username="desk", password=PASSWORD)
        await right.send(message(right))

    assert caught.value.code == 535
    assert "wrong-word-2" not in f"{caught.value!r}"
    assert len(box.mails) == 1


@pytest.mark.parametrize("where", ["says", "says_to_recipient"])
@pytest.mark.parametrize(
    ("reply", "raised"), [("451 later", MailLater), ("552 too large", MailRefused), ("550 no such box", MailRefused)]
)
async def test_a_refusal_says_whether_it_is_final(where: str, reply: str, raised: type[MailError]) -> None:
    """4xx passes and 5xx does not, whether the server means the recipient or the mail."""
    async with serving() as box:
        client = mail_to(box)
        setattr(box, where, reply)
        with pytest.raises(raised) as caught:
            await client.send(message(client))
        setattr(box, where, "250 ok")
        await client.send(message(client))

    assert caught.value.code == int(reply[:3])
    assert len(box.mails) == 1


async def test_a_server_that_hangs_is_left() -> None:
    """Before its greeting, or with the mail in its hands: it is not known whether it took it."""
    greeting = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    silent = Mailbox()
    silent.port = greeting.sockets[0].getsockname()[1]
    never = mail_to(silent, timeout_s=0.2)
    with pytest.raises(MailLater):
        await never.send(message(never))
    greeting.close()
    async with serving() as box:
        box.silent_at = "DATA"
        client = mail_to(box, timeout_s=0.2)
        with pytest.raises(MailLater):
            await client.send(message(client))


async def test_a_server_that_is_away_may_come_back() -> None:
    """Nobody listens, or the name leads nowhere."""
    async with serving() as box:
        pass
    for host in ("127.0.0.1", "mail.invalid"):
        client = mail_to(box, host=host)
        with pytest.raises(MailLater):
            await client.send(message(client))


async def test_a_goodbye_that_nobody_answers_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail was taken before; a second one would be one too many."""
    monkeypatch.setattr(mail, "GOODBYE_S", 0.05)
    async with serving() as box:
        box.silent_at = "QUIT"
        client = mail_to(box)
        await client.send(message(client))

    assert len(box.mails) == 1


async def test_a_check_sends_nothing() -> None:
    """It greets and logs in; who is not let in, is told."""
    async with serving() as box:
        await mail_to(box, username="desk", password=PASSWORD).check()
        with pytest.raises(MailLater):
            await mail_to(box, username="desk", password="wrong").check()

    assert (box.mails, box.logins[0]) == ([], (b"desk", PASSWORD.encode()))
