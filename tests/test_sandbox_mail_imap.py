"""The stand-in for a mail server that is read: Python's own IMAP client talks to it."""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from datetime import timedelta

import pytest

from gateway.sandbox.mail.imap import ImapServer
from tests.imap_world import NOON, certificate, mail


@pytest.fixture
async def server():
    """Give a mail server with three mails, of which the second was deleted."""
    stand_in = ImapServer()
    async with stand_in.serving():
        for day, subject in enumerate(("one", "two", "three")):
            stand_in.deliver(mail(subject, NOON + timedelta(days=day)), NOON + timedelta(days=day))
        stand_in.mailboxes["INBOX"].expunge(2)
        yield stand_in


def talk(server, dialogue):
    """Let Python's client, logged in and with the mailbox open, talk to the server in a thread."""

    def run():
        with imaplib.IMAP4("127.0.0.1", server.port, timeout=5) as client:
            client.login(server.username, server.password)
            client.select("INBOX", readonly=True)
            return dialogue(client)

    return asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("criteria", "uids"),
    [
        ("ALL", b"1 3"),
        ("UID 2:*", b"3"),
        ("UID 9:*", b"3"),
        ("UID 1,2", b"1"),
        ("SINCE 25-Nov-2026", b"3"),
        ("NOT SENTBEFORE 25-Nov-2026", b"3"),
        ("UID 1:2 NOT SENTBEFORE 24-Nov-2026", b"1"),
    ],
)
async def test_it_searches(server, criteria, uids):
    """As RFC 3501 says, with the last mail for whatever is above it."""

    assert await talk(server, lambda client: client.uid("SEARCH", criteria)) == ("OK", [uids])


async def test_it_gives_a_mail_byte_for_byte(server):
    """With its size, when it came, its headers, or a piece of it."""
    items = "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[])"
    _, (whole, _) = await talk(server, lambda client: client.uid("FETCH", "3", items))
    _, (piece, _) = await talk(server, lambda client: client.uid("FETCH", "3", "(BODY.PEEK[HEADER]<6.8>)"))
    written = mail("three", NOON + timedelta(days=2))

    assert whole[1] == written
    assert f"RFC822.SIZE {len(written)}".encode() in whole[0]
    assert imaplib.Internaldate2tuple(whole[0]) is not None
    assert piece[1] == written[6:14]


async def test_it_tells_how_the_mails_are_numbered(server):
    """What a reader needs to know whether numbers still mean the same."""
    told = await talk(
        server, lambda client: [client.response(name)[1] for name in ("UIDVALIDITY", "UIDNEXT", "EXISTS")]
    )

    assert told == [[b"1"], [b"4"], [b"2"]]


@pytest.mark.parametrize("way_in", ["tls", "starttls"])
async def test_it_encrypts(tmp_path, way_in):
    """From the start, or when the client asks; nobody logs in before."""
    tls, file = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=file)

    def run():
        if way_in == "tls":
            client = imaplib.IMAP4_SSL("127.0.0.1", stand_in.port, ssl_context=trusting, timeout=5)
        else:
            client = imaplib.IMAP4("127.0.0.1", stand_in.port, timeout=5)
            with pytest.raises(imaplib.IMAP4.error):
                client.login(stand_in.username, stand_in.password)
            client.starttls(trusting)
        with client:
            return client.login(stand_in.username, stand_in.password)[0]

    stand_in = ImapServer()
    async with stand_in.serving(**{way_in: tls}):
        answer = await asyncio.to_thread(run)

    assert answer == "OK"


async def test_it_refuses_who_does_not_know_the_password(server):
    """And a mailbox that is not there, and a command that it has not."""
    server.password = "another"

    def run():
        with imaplib.IMAP4("127.0.0.1", server.port, timeout=5) as client:
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                client.login(server.username, "the password")
            client.login(server.username, "another")
            with pytest.raises(imaplib.IMAP4.error):
                client.create("Archive")
            return client.select("Archive", readonly=True)[0]

    assert await asyncio.to_thread(run) == "NO"


async def test_it_does_not_take_what_it_does_not_know_for_a_fault(server):
    """A fault that is misspelt fails the test that plans it."""
    server.faults["search"].plan("explode")
    [connection] = await _open(server)
    with pytest.raises(ValueError, match="no fault named explode"):
        await connection._meet("search")


async def _open(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await reader.readline()
    connections = list(server._open.values())
    writer.close()
    await writer.wait_closed()
    return connections
