"""The stand-in for a mail server, and our own client before it: it dies at every step of the dialogue."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from channels.email.settings import SmtpSettings
from channels.email.smtp_out.client import Smtp
from channels.errors import CredentialsRejected, OutcomeUnknown, RetryLater, SendError
from gateway.sandbox.mail.smtp import STEPS, MailServer
from tests.test_mail import CERTIFICATE, KEY

US = "help@example.com"
CUSTOMER = "customer@example.org"
RAW = b"Subject: hello\r\nMessage-ID: <d.1@example.com>\r\n\r\nGood morning.\r\n.\r\n..and a dot\r\n"
LOGIN = {"username": "help", "password": "pass-word-1"}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give the file of a certificate of "localhost", with its key."""
    path = tmp_path / "server.pem"
    path.write_text(KEY + CERTIFICATE)
    return path


@asynccontextmanager
async def connected(
    server: MailServer,
    certificate: Path | None = None,
    security: str = "none",
    *,
    timeout_s: float = 0.5,
    **settings: Any,
) -> AsyncIterator[Smtp]:
    """Serve, and give a client of the server that has little patience."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    how = {"tls": {"tls": context}, "starttls": {"starttls": context}, "none": {}}[security]
    async with server.serving(**how):
        given = {"host": "localhost", "port": server.port, "security": security, "ca_file": certificate} | settings
        smtp = Smtp(SmtpSettings(**given), "example.com", timeout_s=timeout_s, answer_timeout_s=timeout_s)
        try:
            yield smtp
        finally:
            await smtp.close()


async def test_what_is_sent_is_kept_as_it_was() -> None:
    """Envelope and bytes: the dots at the beginning of lines too."""
    server = MailServer()
    async with connected(server) as smtp:
        answer = await smtp.send(US, CUSTOMER, RAW)

    assert answer == "2.0.0 kept as 1"
    (mail,) = server.mails_to(CUSTOMER.upper())
    assert (mail.mail_from, mail.recipients, mail.raw) == (US, (CUSTOMER,), RAW)
    assert (mail.subject, mail.message_id, mail.text) == ("hello", "d.1@example.com", "Good morning.\n.\n..and a dot\n")
    assert mail.options == (f"SIZE={len(RAW)}",)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_login_is_made_behind_encryption(certificate: Path, security: str) -> None:
    """From the start, and asked for."""
    server = MailServer(users={"help": "pass-word-1"})
    async with connected(server, certificate, security, **LOGIN) as smtp:
        await smtp.send(US, CUSTOMER, RAW)

    assert [(mail.login, mail.encrypted) for mail in server.mails] == [("help", True)]


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_mails_of_any_size_go_over_one_connection(certificate: Path, security: str) -> None:
    """Encrypted or not: the dot waits until the rest has been written, and no longer."""
    server = MailServer()
    raws = [b"Subject: hello\r\n\r\n" + b"Good morning.\r\n" * lines for lines in (1, 100_000, 2, 3)]
    async with connected(server, certificate, security, timeout_s=10.0) as smtp:
        for raw in raws:
            await smtp.send(US, CUSTOMER, raw)

    assert [mail.raw for mail in server.mails] == raws
    assert server.connections == 1


async def test_a_server_whose_certificate_nobody_vouches_for_gets_no_mail(certificate: Path) -> None:
    """It is asked again later: the certificate may be renewed by then."""
    server = MailServer()
    async with connected(server, certificate, "tls", ca_file=None) as smtp:
        with pytest.raises(RetryLater, match="certificate verify failed") as raised:
            await smtp.send(US, CUSTOMER, RAW)

    assert raised.value.channel_wide
    assert server.mails == []


# A server that says 421 is going away, at whatever step.
BEFORE = [
    *((step, fault) for step in ("connect", "ehlo", "starttls", "auth", "mail") for fault in ("drop", "close", "hang")),
    *((step, "status:421 4.3.2 closing") for step in STEPS[:8]),
]


@pytest.mark.parametrize(("step", "fault"), BEFORE)
async def test_a_server_that_dies_before_it_has_heard_of_the_mail_is_away(
    certificate: Path, step: str, fault: str
) -> None:
    """Nothing was taken, and no other mail would fare better; the next try, with the server well again, is taken."""
    server = MailServer(users={"help": "pass-word-1"})
    server.faults[step].plan(fault)
    async with connected(server, certificate, "starttls", **LOGIN) as smtp:
        with pytest.raises(RetryLater) as raised:
            await smtp.send(US, CUSTOMER, RAW)
        assert raised.value.channel_wide
        assert server.mails == []
        await smtp.send(US, CUSTOMER, RAW)

    assert [mail.raw for mail in server.mails] == [RAW]


@pytest.mark.parametrize("fault", ["drop", "close", "hang"])
@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_a_server_that_dies_over_one_mail_delays_only_that(step: str, fault: str) -> None:
    """If it is gone for good, the next connection tells."""
    server = MailServer()
    server.faults[step].plan(fault)
    async with connected(server) as smtp:
        with pytest.raises(RetryLater) as raised:
            await smtp.send(US, CUSTOMER, RAW)

        assert not raised.value.channel_wide
        await smtp.send(US, CUSTOMER, RAW)

    assert len(server.mails) == 1


@pytest.mark.parametrize("fault", ["drop", "close", "hang"])
@pytest.mark.parametrize(("when", "kept"), [("", 0), ("_after", 1)])
async def test_nobody_knows_what_became_of_a_mail_whose_dot_was_not_answered(fault: str, when: str, kept: int) -> None:
    """Whether the server has kept it or not looks the same from here."""
    server = MailServer()
    server.faults["content"].plan(fault + when)
    async with connected(server) as smtp:
        with pytest.raises(OutcomeUnknown):
            await smtp.send(US, CUSTOMER, RAW)

        assert len(server.mails) == kept
        await smtp.send(US, CUSTOMER, RAW)

    assert [mail.raw for mail in server.mails] == [RAW] * (kept + 1)


@pytest.mark.parametrize("fault", ["close", "drop", "status:421 4.3.2 closing"])
async def test_a_connection_that_died_after_an_answer_costs_the_next_mail_nothing(fault: str) -> None:
    """It gets a new one."""
    server = MailServer()
    async with connected(server) as smtp:
        server.faults["answered"].plan(fault)
        await smtp.send(US, CUSTOMER, RAW)
        await server.until(lambda here: here.open_connections == 0)
        await smtp.send(US, CUSTOMER, RAW)

    assert (len(server.mails), server.connections) == (2, 2)


@pytest.mark.parametrize("fault", ["hang", "drop", "close", "status:421 4.3.2 closing", "status:500 no"])
async def test_a_goodbye_that_fails_hurts_nobody(fault: str) -> None:
    """The mail is theirs."""
    server = MailServer()
    server.faults["quit"].plan(fault)
    async with connected(server) as smtp:
        await smtp.send(US, CUSTOMER, RAW)

    assert len(server.mails) == 1


async def test_a_password_that_is_refused_stops_the_channel() -> None:
    """Its messages are kept."""
    server = MailServer(users={"help": "another"})
    async with connected(server, **LOGIN) as smtp:
        with pytest.raises(CredentialsRejected) as raised:
            await smtp.check()

    assert raised.value.code == "5.7.8"


async def test_a_stand_in_that_is_told_nonsense_says_so() -> None:
    """A test with a typing error in a fault fails."""
    server = MailServer()
    server.faults["mail"].plan("explode")
    async with connected(server) as smtp:
        with pytest.raises(SendError, match="there is no fault named explode"):
            await smtp.send(US, CUSTOMER, RAW)


async def test_a_slow_server_is_waited_for() -> None:
    """As long as it answers in time."""
    server = MailServer(latency_s=0.01)
    async with connected(server) as smtp:
        await smtp.send(US, CUSTOMER, RAW)

    assert server.steps == ["connect", "ehlo", "mail", "rcpt", "data", "content", "answered", "quit"]
