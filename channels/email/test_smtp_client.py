"""What a mail server's replies mean, and how its connections are used."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from aiosmtplib import SMTP

from channels.email.smtp_out.client import (
    ANSWER_TIMEOUT_S,
    BUSY_S,
    PLACE_TIMEOUT_S,
    SEND_TIMEOUT_S,
    TIMEOUT_S,
    Smtp,
    _Connection,
)
from channels.email.smtp_out.codes import GREYLISTED_S, MAX_MESSAGE, said
from channels.email.test_smtp_doubles import END, GREETING, SmtpServer
from channels.errors import CredentialsRejected, OutcomeUnknown, Refused, RetryLater, SendError, Undeliverable

US = "help@example.com"
CUSTOMER = "customer@example.org"
RAW = b".Subject: hello\r\n\r\n.\r\nGood morning."

# The step, the reply, what it means, its code, and how far it reaches: None where that says nothing.
REPLIES: list[tuple[str, str, type[SendError], str, bool | None]] = [
    (GREETING, "421 4.3.2 too busy", RetryLater, "4.3.2", True),
    (GREETING, "554 5.7.1 no service for you", RetryLater, "5.7.1", True),
    (GREETING, "nonsense", RetryLater, "", True),
    ("EHLO", "451 4.3.0 later", RetryLater, "4.3.0", True),
    ("EHLO", "550 who are you", RetryLater, "550", True),
    ("AUTH", "535 5.7.8 wrong", CredentialsRejected, "5.7.8", None),
    ("AUTH", "454 4.7.0 cannot check now", RetryLater, "4.7.0", True),
    ("AUTH", "534 5.7.9 use an application's password", CredentialsRejected, "5.7.9", None),
    ("AUTH", "500 what", CredentialsRejected, "500", None),
    ("MAIL", "421 4.7.0 too many mails", RetryLater, "4.7.0", True),
    ("MAIL", "451 4.3.0 later", RetryLater, "4.3.0", False),
    ("MAIL", "530 5.7.0 log in", CredentialsRejected, "5.7.0", None),
    ("MAIL", "553 5.7.1 not your address", CredentialsRejected, "5.7.1", None),
    ("MAIL", "550 not from here", CredentialsRejected, "550", None),
    ("MAIL", "552 5.3.4 too large", Refused, "5.3.4", None),
    ("MAIL", "552 too large", Refused, "552", None),
    ("RCPT", "450 4.2.1 mailbox busy", RetryLater, "4.2.1", False),
    ("RCPT", "451 4.7.1 greylisted", RetryLater, "4.7.1", False),
    ("RCPT", "452 4.2.2 mailbox full", RetryLater, "4.2.2", False),
    ("RCPT", "421 4.3.2 closing", RetryLater, "4.3.2", True),
    ("RCPT", "550 5.1.1 no such user", Undeliverable, "5.1.1", None),
    ("RCPT", "550-5.1.1 no such\r\n550 5.1.1 user", Undeliverable, "5.1.1", None),
    ("RCPT", "550 5.1.10 null mx", Undeliverable, "5.1.10", None),
    ("RCPT", "550 5.2.1 disabled", Undeliverable, "5.2.1", None),
    ("RCPT", "550 5.4.1 recipient address rejected: access denied", Undeliverable, "5.4.1", None),
    ("RCPT", "550 no such user", Undeliverable, "550", None),
    ("RCPT", "551 gone", Undeliverable, "551", None),
    ("RCPT", "550 5.7.1 not from you", Refused, "5.7.1", None),
    ("RCPT", "550 5.1.8 your domain does not exist", Refused, "5.1.8", None),
    ("RCPT", "552 5.2.2 mailbox full", Refused, "5.2.2", None),
    ("RCPT", "554 5.7.1 relay access denied", Refused, "5.7.1", None),
    ("RCPT", "530 5.7.0 log in", CredentialsRejected, "5.7.0", None),
    ("RCPT", "354 what", RetryLater, "", False),
    ("DATA", "451 4.3.0 later", RetryLater, "4.3.0", False),
    ("DATA", "554 no valid recipients", Refused, "554", None),
    ("DATA", "250 what", RetryLater, "", False),
    (END, "451 4.7.1 greylisted", RetryLater, "4.7.1", False),
    (END, "421 4.3.2 closing", RetryLater, "4.3.2", True),
    (END, "550 5.1.1 no such user", Undeliverable, "5.1.1", None),
    (END, "550 no", Refused, "550", None),
    (END, "552 5.3.4 too large", Refused, "5.3.4", None),
    (END, "554 5.7.1 looks like spam", Refused, "5.7.1", None),
    (END, "nonsense", OutcomeUnknown, "", None),
    (END, "354 what", OutcomeUnknown, "", None),
]


@pytest.mark.parametrize(("step", "reply", "kind", "code", "channel_wide"), REPLIES)
async def test_each_reply_says_what_to_do_next(
    step: str, reply: str, kind: type[SendError], code: str, channel_wide: bool | None
) -> None:
    """At the step at which it comes; afterwards the next mail is taken."""
    server = SmtpServer()
    server.plan(step, reply)
    async with server.serving() as bare:
        smtp = Smtp(server.settings(username="help", password="word"), "example.com") if step == "AUTH" else bare
        with pytest.raises(SendError) as raised:
            await smtp.send(US, CUSTOMER, RAW)
        assert await smtp.send(US, CUSTOMER, RAW) == "2.0.0 kept"
        await smtp.close()

    error = raised.value
    assert (type(error), error.code or "") == (kind, code)
    if isinstance(error, RetryLater):
        assert error.channel_wide == channel_wide
        assert error.retry_after_s == (None if channel_wide or not code else GREYLISTED_S)


async def test_every_attempt_sends_the_same_bytes() -> None:
    """Dots at the beginning of lines are doubled, and the last line gets its end."""
    server = SmtpServer()
    server.plan(END, None, "451 4.3.0 later")
    async with server.serving() as smtp:
        with pytest.raises(OutcomeUnknown):
            await smtp.send(US, CUSTOMER, RAW)
        with pytest.raises(RetryLater):
            await smtp.send(US, CUSTOMER, RAW)
        await smtp.send(US, CUSTOMER, RAW)

    assert server.mails == [b"..Subject: hello\r\n\r\n..\r\nGood morning.\r\n"] * 3


async def test_a_connection_is_used_again_also_after_a_refusal() -> None:
    """RSET makes sure that nothing is left of the mail before."""
    server = SmtpServer()
    server.plan("RCPT", "250 ok", "550 5.1.1 no such user")
    async with server.serving() as smtp:
        await smtp.send(US, CUSTOMER, RAW)
        with pytest.raises(Undeliverable):
            await smtp.send(US, CUSTOMER, RAW)
        await smtp.send(US, CUSTOMER, RAW)

    assert server.connections == 1
    envelope = [f"MAIL FROM:<{US}> SIZE={len(RAW)}", f"RCPT TO:<{CUSTOMER}>"]
    sent = [*envelope, "DATA"]
    assert server.lines == ["EHLO example.com", *sent, "RSET", *envelope, "RSET", *sent, "QUIT"]


LEFT = [
    ("RSET", None),
    ("RSET", "421 4.4.2 you were idle for too long"),
    ("RSET", "500 what"),
    ("MAIL", None),
    ("MAIL", "421 4.7.0 a hundred mails are enough for one connection"),
]


@pytest.mark.parametrize(("step", "reply"), LEFT)
async def test_a_kept_connection_that_the_server_has_left_is_replaced(step: str, reply: str | None) -> None:
    """Once, and before anything was said that could be done twice."""
    server = SmtpServer()
    async with server.serving() as smtp:
        await smtp.send(US, CUSTOMER, RAW)
        server.plan(step, reply)
        await smtp.send(US, CUSTOMER, RAW)

    assert (server.connections, len(server.mails)) == (2, 2)


async def test_a_refusal_on_a_kept_connection_is_no_reason_for_a_new_one() -> None:
    """The server has spoken."""
    server = SmtpServer()
    async with server.serving() as smtp:
        await smtp.send(US, CUSTOMER, RAW)
        server.plan("MAIL", "451 4.3.0 later")
        with pytest.raises(RetryLater):
            await smtp.send(US, CUSTOMER, RAW)

    assert server.connections == 1


async def test_an_idle_connection_is_given_up() -> None:
    """With a goodbye."""
    server = SmtpServer()
    async with server.serving(idle_s=0.01) as smtp:
        await smtp.send(US, CUSTOMER, RAW)
        await server.gone.get()
        server.connections -= 1

    assert server.lines[-1] == "QUIT"


async def test_a_connection_that_is_used_again_is_not_idle() -> None:
    """The time is over while the second mail is under way."""
    server = SmtpServer()
    loop = asyncio.get_running_loop()
    broken: list[object] = []
    loop.set_exception_handler(lambda _, context: broken.append(context))
    async with server.serving(idle_s=0.02) as smtp:
        await smtp.send(US, CUSTOMER, RAW)
        server.pause.clear()
        loop.call_later(0.05, server.pause.set)
        await smtp.send(US, CUSTOMER, RAW)

    assert (server.connections, broken) == (1, [])


async def test_only_so_many_connections_are_made_and_each_carries_many_mails() -> None:
    """Whoever comes later waits for a place."""
    server = SmtpServer()
    async with server.serving(connections=2) as smtp:
        await asyncio.gather(*(smtp.send(US, CUSTOMER, RAW) for _ in range(10)))

    assert (server.connections, len(server.mails)) == (2, 10)


async def test_who_waits_too_long_for_a_place_comes_again() -> None:
    """No mail could be sent now, so the channel rests for a moment, and this one has not been tried."""
    server = SmtpServer()
    async with server.serving(connections=1, place_timeout_s=0.1) as smtp:
        server.pause.clear()
        first = asyncio.create_task(smtp.send(US, CUSTOMER, RAW))
        await server.received.get()
        with pytest.raises(RetryLater, match="busy") as raised:
            await smtp.send(US, CUSTOMER, RAW)
        server.pause.set()

        assert await first == "2.0.0 kept"
        assert (raised.value.channel_wide, raised.value.code, raised.value.retry_after_s) == (True, "busy", BUSY_S)


async def test_the_wait_for_a_place_is_no_part_of_the_time_for_a_mail() -> None:
    """Whoever had to wait for long has as much time as the others, and no server is blamed for it."""
    server = SmtpServer()
    async with server.serving(connections=1, place_timeout_s=5.0, timeout_s=0.4) as smtp:
        server.pause.clear()
        first = asyncio.create_task(smtp.send(US, CUSTOMER, RAW))
        await server.received.get()
        second = asyncio.create_task(smtp.send(US, CUSTOMER, RAW))
        asyncio.get_running_loop().call_later(0.6, server.pause.set)

        assert [await first, await second] == ["2.0.0 kept"] * 2


async def test_a_list_of_certificates_that_is_none_is_said(tmp_path: Path) -> None:
    """The doctor tells it, and mail waits until it is put right."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    server = SmtpServer()
    async with server.serving():
        smtp = Smtp(server.settings(security="starttls", ca_file=file), "example.com")
        with pytest.raises(RetryLater, match=r"smtp\.ca_file .* PEM") as raised:
            await smtp.check()

    assert raised.value.code == "ca_file"


async def test_a_mail_that_is_under_way_when_the_client_closes_arrives() -> None:
    """Its connection is closed behind it."""
    server = SmtpServer()
    async with server.serving() as smtp:
        server.pause.clear()
        sending = asyncio.create_task(smtp.send(US, CUSTOMER, RAW))
        await server.received.get()
        await smtp.close()
        server.pause.set()
        assert await sending == "2.0.0 kept"
        await server.gone.get()
        server.connections -= 1

    assert server.lines[-1] == "QUIT"


async def test_a_sender_that_is_cut_off_leaves_no_connection_behind() -> None:
    """Half a dialogue is no use to the next mail."""
    server = SmtpServer()
    async with server.serving() as smtp:
        server.pause.clear()
        sending = asyncio.create_task(smtp.send(US, CUSTOMER, RAW))
        await server.received.get()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.pause.set()
        await smtp.send(US, CUSTOMER, RAW)

    assert server.connections == 2


async def test_a_connection_that_breaks_within_a_large_mail_has_sent_nothing() -> None:
    """The dot is written when everything else is on its way: the server never saw it."""
    server = SmtpServer()

    async def read_a_little(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in ("220 hello", "250 hello", "250 ok", "250 ok", "354 go on"):
            writer.write(f"{reply}\r\n".encode())
            await reader.readline()
        writer.transport.abort()

    listening = await asyncio.start_server(read_a_little, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        smtp = Smtp(server.settings(), "example.com", timeout_s=5.0)
        with pytest.raises(RetryLater) as raised:
            await smtp.send(US, CUSTOMER, b"Subject: large\r\n\r\n" + b"x" * 30_000_000)

    assert not raised.value.channel_wide


async def test_where_nobody_listens_the_whole_channel_waits() -> None:
    """The server is away."""
    server = SmtpServer()
    async with server.serving():
        pass
    with pytest.raises(RetryLater) as raised:
        await Smtp(server.settings(), "example.com").send(US, CUSTOMER, RAW)

    assert raised.value.channel_wide


def test_a_server_that_hangs_up_right_behind_its_greeting_has_sent_nothing() -> None:
    """The library has forgotten the connection by then."""
    with pytest.raises(ConnectionResetError):
        _Connection(SMTP())


MISSING = [
    ({"security": "starttls"}, "250 mail.example.com"),
    ({"username": "help", "password": "word"}, "250 mail.example.com"),
    ({"username": "help", "password": "word"}, "250-mail.example.com\r\n250 AUTH GSSAPI"),
]


@pytest.mark.parametrize(("settings", "ehlo"), MISSING)
async def test_what_the_server_does_not_offer_is_the_owners_to_mend(settings: dict[str, str], ehlo: str) -> None:
    """Encryption, or a login: without it nothing is sent."""
    server = SmtpServer()
    server.plan("EHLO", ehlo)
    async with server.serving():
        with pytest.raises(CredentialsRejected) as raised:
            await Smtp(server.settings(**settings), "example.com").check()

    assert raised.value.code == "unsupported"
    assert not any(line.startswith("MAIL") for line in server.lines)


async def test_a_check_sends_nothing_and_its_connection_is_used() -> None:
    """It greets and logs in as for a mail."""
    server = SmtpServer()
    async with server.serving():
        smtp = Smtp(server.settings(username="help", password="word"), "example.com")
        await smtp.check()
        await smtp.send(US, CUSTOMER, RAW)
        await smtp.close()

    assert [line.split(" ")[0] for line in server.lines] == ["EHLO", "AUTH", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_an_address_outside_ascii_goes_only_to_a_server_that_takes_it() -> None:
    """Its domain can be written in ASCII, its local part cannot (RFC 6531)."""
    server = SmtpServer()
    async with server.serving() as smtp:
        await smtp.send(US, "kundé@bücher.example", RAW)
        await smtp.send("", "customer@bücher.example", RAW)

    with_utf8, without = [line for line in server.lines if line.startswith("MAIL")]
    assert with_utf8 == f"MAIL FROM:<{US}> SIZE={len(RAW)} SMTPUTF8 BODY=8BITMIME"
    assert without == f"MAIL FROM:<> SIZE={len(RAW)}"
    recipients = [line for line in server.lines if line.startswith("RCPT")]
    assert recipients == ["RCPT TO:<kundé@xn--bcher-kva.example>", "RCPT TO:<customer@xn--bcher-kva.example>"]

    server = SmtpServer()
    server.plan("EHLO", "250 mail.example.com")
    async with server.serving() as smtp:
        with pytest.raises(Refused) as raised:
            await smtp.send(US, "kundé@example.org", RAW)
        await smtp.send(US, CUSTOMER, RAW)

    assert (raised.value.code, server.connections) == ("5.6.7", 1)
    assert f"MAIL FROM:<{US}>" in server.lines


async def test_what_could_end_a_command_never_reaches_the_server() -> None:
    """A recipient is a stranger's text."""
    server = SmtpServer()
    async with server.serving() as smtp:
        with pytest.raises(Refused):
            await smtp.send(US, "a@example.org>\r\nDATA", RAW)

    assert server.lines == []


async def test_no_address_and_no_password_gets_into_an_error_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Servers repeat addresses."""
    caplog.set_level(logging.DEBUG)
    server = SmtpServer()
    server.plan("RCPT", f"550 5.1.1 <{CUSTOMER}>: unknown in table; see https://mail.example.net/?to={CUSTOMER}")
    async with server.serving():
        smtp = Smtp(server.settings(username="help", password="pass-word-1"), "example.com")
        with pytest.raises(Undeliverable) as raised:
            await smtp.send(US, CUSTOMER, RAW)
        await smtp.close()

    assert str(raised.value) == "550 5.1.1 <…>: unknown in table; see …"
    assert CUSTOMER not in caplog.text
    assert "pass-word" not in caplog.text


def test_what_a_server_says_is_shown_short() -> None:
    """On one line, whatever it sends."""
    assert said("one\n two\x07 \udcff three") == "one two three"
    assert len(said("@" * 10_000)) == len(said("x" * 10_000)) == MAX_MESSAGE


def test_a_send_ends_before_the_outbox_gives_it_up() -> None:
    """So that it is this client that says what a timeout means; a claimed delivery is somebody's for 60 s."""
    assert PLACE_TIMEOUT_S + TIMEOUT_S + ANSWER_TIMEOUT_S < SEND_TIMEOUT_S < 60
