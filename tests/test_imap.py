"""A mailbox that is read by IMAP, over real sockets, at the stand-in for a mail server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from channels.base import Request
from channels.email.envelope import RAW, WHOLE_SIZE
from channels.email.imap.fetching import BATCH
from channels.errors import CredentialsRejected, Refused, RetryLater
from gateway.sandbox.mail.imap import ImapServer
from gateway.sandbox.mail.imap_mailbox import Mailbox, Stored
from tests.imap_world import NOON, Hands, certificate, mail, mailbox, read_all, settings


@pytest.fixture
async def server():
    """Give a mail server with one empty mailbox."""
    stand_in = ImapServer()
    async with stand_in.serving():
        yield stand_in


@pytest.fixture
async def reader(server):
    """Give a reader of its mailbox."""
    opened = mailbox(server)
    yield opened
    await opened.close()


async def test_a_mail_is_read_as_it_came(server, reader):
    """The first poll says where to begin; what comes afterwards is handed on byte for byte, once."""
    server.deliver(mail("of yesterday"))
    first = await reader.poll(None, NOON)
    server.deliver(mail("one"))
    second = await reader.poll(first.checkpoint, NOON)
    third = await reader.poll(second.checkpoint, NOON)

    assert first.requests == ()
    assert second.requests == (
        Request("POST", "imap:INBOX", (("Content-Type", RAW), ("X-Frontdesk-Uid", "1/2")), mail("one")),
    )
    assert third.requests == ()
    assert [polled.more for polled in (first, second, third)] == [False] * 3


async def test_nothing_in_the_mailbox_is_changed(server, reader):
    """The mailbox is opened for reading only, and looked into without marking anything as read."""
    first = await reader.poll(None, NOON)
    server.deliver(mail("one"))
    await reader.poll(first.checkpoint, NOON)
    asked = [command.partition(" ")[0] for command in server.commands]

    assert set(asked) <= {"CAPABILITY", "LOGIN", "EXAMINE", "SEARCH", "FETCH"}
    assert not [command for command in server.commands if "BODY[" in command]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"Subject: \xff\xfe 8 bits\r\n\r\n\x00\x01\x80",
        b"Subject: one (bracket\r\n\r\n:-) ))) (\r\n",
        b"Subject: odd\r\n\r\nA0 OK done\r\n* 5 EXISTS\r\n* BYE\r\n+ go on\r\n{7}\r\n)\r\n",
        b"Subject: no line end\n\nlines of \n only {3}",
        b"Subject: long\r\n\r\n" + b"x" * 300_000,
    ],
)
async def test_no_content_confuses_the_reading(server, reader, raw):
    """Whatever a stranger writes, even the server's own words, is content."""
    start = await reader.poll(None, NOON)
    for content in (raw, mail("next")):
        server.deliver(content)
    polled = await reader.poll(start.checkpoint, NOON)

    assert [request.body for request in polled.requests] == [raw, mail("next")]


async def test_a_thousand_mails_come_in_their_order(server, reader):
    """A backlog is read in small steps, each of which can be stored."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for number in range(1000):
        server.deliver(mail(str(number)))
    step = await reader.poll(checkpoint, NOON)
    found, _ = await read_all(reader, step.checkpoint, Hands(), polls=60)

    assert len(step.requests) == BATCH
    assert step.more
    assert [request.body for request in step.requests] + found == [mail(str(number)) for number in range(1000)]
    assert server.connections == 1


async def test_a_step_holds_few_megabytes(server, reader):
    """Large mails are handed on one or two at a time."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for _ in range(4):
        server.deliver(mail("large") + b"x" * 11_000_000)
    step = await reader.poll(checkpoint, NOON)
    found, _ = await read_all(reader, step.checkpoint, Hands())

    assert len(step.requests) == 2
    assert len(found) == 2


async def test_of_too_large_a_mail_the_headers_are_read(server, reader):
    """A mail of 60 MB is told by its headers and its size, and does not cross the wire."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("huge") + b"x" * 60_000_000)
    server.deliver(mail("next"))
    huge, after = (await reader.poll(checkpoint, NOON)).requests

    assert huge.body == mail("huge").removesuffix(b"Hello\r\n")
    assert huge.header(WHOLE_SIZE) == str(60_000_000 + len(mail("huge")))
    assert after.body == mail("next")
    assert after.header(WHOLE_SIZE) is None
    assert "FETCH 1 (UID BODY.PEEK[])" not in server.commands


async def test_a_huge_header_block_is_cut(server, reader):
    """Not even headers are read without a limit."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(b"Subject: huge\r\nX: " + b"x" * 60_000_000)
    polled = await reader.poll(checkpoint, NOON)

    assert len(polled.requests[0].body) == 256 * 1024


async def test_gaps_between_the_numbers_are_nothing(server, reader):
    """Mails that somebody deleted or moved away are passed over."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for number in range(1, 31):
        server.deliver(mail(str(number)))
    for number in (1, 2, 7, 29, 30):
        server.mailboxes["INBOX"].expunge(number)
    found, _ = await read_all(reader, checkpoint, Hands())

    assert found == [mail(str(number)) for number in range(3, 29) if number != 7]


async def test_a_mail_that_vanishes_meanwhile_is_passed_over(server, reader):
    """Between the search and the fetching somebody may delete it."""

    class Vanishing(Mailbox):
        def numbered(self, uids: str) -> Iterator[tuple[int, Stored]]:
            self.expunge(2 if uids == "2" else 1)
            return super().numbered(uids)

    server.mailboxes["INBOX"] = Vanishing()
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for number in (1, 2, 3):
        server.deliver(mail(str(number)))
    found, _ = await read_all(reader, checkpoint, Hands())

    assert found == [mail("3")]


# --- numbers that change ---


async def caught_up(reader, server, *sent):
    """Read mails that came at these times, and return the checkpoint after them."""
    checkpoint = (await reader.poll(None, NOON - timedelta(days=900))).checkpoint
    for at in sent:
        server.deliver(mail(at.isoformat(), at), received_at=at)
    while True:
        polled = await reader.poll(checkpoint, NOON)
        checkpoint = polled.checkpoint
        if not polled.more:
            return checkpoint


OLD, RECENT, NEW = NOON - timedelta(days=800), NOON - timedelta(hours=20), NOON + timedelta(minutes=1)


@pytest.mark.parametrize(("uidvalidity", "first_uid"), [(2, 1), (2, 5000), (1, 1)])
async def test_after_new_numbers_nothing_is_lost_and_nothing_old_comes_again(server, reader, uidvalidity, first_uid):
    """A restored mailbox is read again from a day before on; that also where it does not say that it is another."""
    checkpoint = await caught_up(reader, server, *[OLD] * 30, RECENT)
    server.mailboxes["INBOX"].mails.pop(4)  # so that a number is used again where UIDVALIDITY stays
    server.mailboxes["INBOX"].mails.pop(4)
    server.deliver(mail("new", NEW), received_at=NEW)
    server.mailboxes["INBOX"].renumber(uidvalidity, first_uid)
    found, checkpoint = await read_all(reader, checkpoint, Hands())
    server.deliver(mail("newer", NEW), received_at=NEW)
    later, _ = await read_all(reader, checkpoint, Hands())

    assert found == [mail(RECENT.isoformat(), RECENT), mail("new", NEW)]
    assert later == [mail("newer", NEW)]


async def test_after_a_move_old_mails_stay_unanswered_though_they_came_today(server, reader):
    """Where moving a mailbox made every mail's arrival today, its own date tells that it is old."""
    checkpoint = await caught_up(reader, server, RECENT)
    moved = Mailbox(uidvalidity=2)
    for subject, date in (("old", OLD), ("new", NEW)):
        moved.add(mail(subject, date), NEW)
    moved.add(b"Date: when I wrote it\r\nSubject: undated\r\n\r\n", NEW)
    server.mailboxes["INBOX"] = moved
    found, _ = await read_all(reader, checkpoint, Hands())

    assert found == [mail("new", NEW), b"Date: when I wrote it\r\nSubject: undated\r\n\r\n"]


async def test_a_restored_mailbox_without_anything_recent_is_read_on(server, reader):
    """What comes after the change is found behind all that is too old."""
    checkpoint = await caught_up(reader, server, *[OLD] * 3)
    server.mailboxes["INBOX"].renumber(2)
    found, checkpoint = await read_all(reader, checkpoint, Hands())
    server.deliver(mail("new", OLD), received_at=OLD)
    later, _ = await read_all(reader, checkpoint, Hands())

    assert found == []
    assert later == [mail("new", OLD)]


async def test_after_new_numbers_the_day_before_stays_the_same_until_all_is_read(server, reader):
    """What is behind the mails that are read again comes in the next step, and only then has everything been seen."""
    checkpoint = await caught_up(reader, server, RECENT)
    server.mailboxes["INBOX"].renumber(2)
    step = await reader.poll(checkpoint, NEW)
    last = await reader.poll(step.checkpoint, NEW)

    assert (len(step.requests), step.more, step.checkpoint["seen_at"]) == (1, True, checkpoint["seen_at"])
    assert (len(last.requests), last.more, last.checkpoint["seen_at"]) == (0, False, NEW.isoformat())


async def test_new_numbers_in_the_middle_of_a_backlog_lose_nothing(server, reader):
    """What had waited for days before the numbers changed is still read."""
    checkpoint = (await reader.poll(None, NOON - timedelta(days=4))).checkpoint
    three_days_ago = NOON - timedelta(days=3)
    for number in range(50):
        server.deliver(mail(str(number), three_days_ago), received_at=three_days_ago)
    step = await reader.poll(checkpoint, NOON)
    server.mailboxes["INBOX"].renumber(2)
    again = await reader.poll(step.checkpoint, NOON)
    server.mailboxes["INBOX"].renumber(3)
    found, _ = await read_all(reader, again.checkpoint, Hands())

    assert set(found) == {mail(str(number), three_days_ago) for number in range(50)}


@pytest.mark.parametrize("mails", [0, 3])
async def test_a_server_that_tells_no_next_number_is_read_all_the_same(server, reader, mails):
    """Old servers leave it out."""
    server.mailboxes["INBOX"].tells_next = False
    for number in range(mails):
        server.deliver(mail(str(number)))
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("new"))
    found, _ = await read_all(reader, checkpoint, Hands())

    assert found == [mail("new")]


async def test_another_mailbox_begins_anew(server, reader):
    """Nobody gets an answer to what lies in a mailbox that is read for the first time."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.mailboxes["Entw&APw-rfe &- mehr"] = Mailbox(uidvalidity=1)
    server.deliver(mail("old"), mailbox="Entw&APw-rfe &- mehr")
    other = mailbox(server, mailbox="Entwürfe & mehr")
    first = await other.poll(checkpoint, NOON)
    server.deliver(mail("new"), mailbox="Entw&APw-rfe &- mehr")
    second = await other.poll(first.checkpoint, NOON)
    await other.close()

    assert first.requests == ()
    assert [(request.target, request.body) for request in second.requests] == [("imap:Entwürfe & mehr", mail("new"))]


# --- news ---


async def test_news_is_heard_at_once(server, reader):
    """Who listens hears of a mail when it comes, and can read on over the same connection."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    server.deliver(mail("news"))
    async with asyncio.timeout(5):
        await listening
    polled = await reader.poll(checkpoint, NOON)

    assert [request.body for request in polled.requests] == [mail("news")]
    assert server.connections == 1


async def test_news_between_reading_and_listening_is_heard(server, reader):
    """A mail that comes just before IDLE begins is announced when it does."""
    await reader.poll(None, NOON)
    server.deliver(mail("news"))
    async with asyncio.timeout(5):
        await reader.wait_for_news(60)

    assert server.listeners == 0


async def test_news_during_reading_is_heard(server, reader):
    """What a server announces with another answer is not announced again, and not forgotten."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("one"))

    class Busy(Mailbox):
        def numbered(self, uids: str) -> Iterator[tuple[int, Stored]]:
            if len(self.mails) == 1:
                server.deliver(mail("two"))
            return super().numbered(uids)

    first = server.mailboxes["INBOX"]
    server.mailboxes["INBOX"] = Busy(first.uidvalidity, first.mails, first.next_uid)
    polled = await reader.poll(checkpoint, NOON)
    async with asyncio.timeout(5):
        await reader.wait_for_news(60)

    assert len(polled.requests) == 1
    assert "IDLE" not in server.commands


async def test_listening_ends_in_time(server, reader):
    """Nothing came, and the connection is as good as before."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for _ in range(2):
        await reader.wait_for_news(0.01)
        await reader.poll(checkpoint, NOON)

    assert server.connections == 1
    assert server.commands.count("IDLE") == 2


@pytest.mark.parametrize("refuses", ["never offered", "NO not now", "BAD unknown"])
async def test_without_idle_the_time_is_waited_for(server, reader, refuses):
    """A server that tells nothing is asked again in the usual rhythm; one that refuses is not asked to tell again."""
    if refuses == "never offered":
        server.capabilities = ()
    else:
        server.faults["idle"].plan(refuses)
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for _ in range(3):
        await reader.wait_for_news(0.01)
        await reader.poll(checkpoint, NOON)

    assert server.connections == 1
    assert server.commands.count("IDLE") == 0 if refuses == "never offered" else 1


async def test_a_poll_does_not_wait_for_who_listens(server, reader):
    """Listening gives way, without losing the connection."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    async with asyncio.timeout(5):
        await reader.poll(checkpoint, NOON)
        await listening

    assert server.connections == 1


async def test_who_stops_listening_leaves_nothing_behind(server, reader):
    """A process that ends in the middle hangs up; the next poll connects again."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await server.until(lambda here: not here.open_connections)
    await reader.poll(checkpoint, NOON)

    assert server.connections == 2


async def test_nobody_listens_before_the_first_poll(reader):
    """Only a poll connects, so that there is one rhythm of trying."""
    with pytest.raises(RetryLater):
        await reader.wait_for_news(60)


async def test_closing_logs_out(server, reader):
    """Also from the middle of listening."""
    await reader.poll(None, NOON)
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    async with asyncio.timeout(5):
        await reader.close()
        await listening
    await server.until(lambda here: not here.open_connections)

    assert server.commands[-1] == "LOGOUT"


# --- the settings ---


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_mail_is_read_over_tls(tmp_path, security):
    """From the start, or after STARTTLS; the certificate is checked."""
    tls, file = certificate(tmp_path)
    stand_in = ImapServer()
    async with stand_in.serving(**{security: tls}):
        reader = mailbox(stand_in, security=security, ca_file=file)
        checkpoint = (await reader.poll(None, NOON)).checkpoint
        stand_in.deliver(mail("secret") + b"x" * 500_000)
        found, _ = await read_all(reader, checkpoint, Hands())
        listening = asyncio.create_task(reader.wait_for_news(60))
        await stand_in.until(lambda here: here.listeners == 1)
        stand_in.deliver(mail("more"))
        await listening
        await reader.close()
        unbelieving = mailbox(stand_in, security=security)
        with pytest.raises(Refused, match=r"certificate .* not trusted .* imap\.ca_file"):
            await unbelieving.check()

    assert found == [mail("secret") + b"x" * 500_000]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"password": "another"}, CredentialsRejected, "rejects imap.username and imap.password"),
        ({"password": "two\nlines"}, CredentialsRejected, "line break"),
        ({"mailbox": "Supprot"}, Refused, "does not open the mailbox Supprot: .* Correct imap.mailbox"),
        ({"security": "tls"}, Refused, "does not begin with TLS: set imap.security"),
        ({"security": "starttls"}, Refused, "no STARTTLS on this port"),
        ({"port": 1}, RetryLater, "cannot be reached .* check imap.host and imap.port"),
    ],
)
async def test_what_is_wrong_is_said(server, changes, error, says):
    """The owner reads what to change; the mailbox cannot be checked nor polled."""
    reader = mailbox(server, **changes)
    with pytest.raises(error, match=says):
        await reader.check()
    with pytest.raises(error, match=says):
        await reader.poll(None, NOON)


async def test_a_list_of_certificates_that_is_none_is_said(tmp_path, server):
    """The file is read when a connection begins, and not before: the doctor tells what is wrong with it."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    reader = mailbox(server, security="tls", ca_file=file)
    for ask in (reader.check(), reader.poll(None, NOON)):
        with pytest.raises(Refused, match=r"imap\.ca_file cannot be used .* PEM"):
            await ask


async def test_another_account_begins_from_now_on(server, reader):
    """What was read of one mailbox says nothing of another that counts alike."""
    server.deliver(mail("of the first account"))
    stored = (await reader.poll(None, NOON)).checkpoint
    async with ImapServer(username="sales@example.com").serving() as other:
        for number in range(5):
            other.deliver(mail(str(number)))
        of_other = mailbox(other)
        began = await of_other.poll(stored, NOON)
        other.deliver(mail("new"))
        then = await of_other.poll(began.checkpoint, NOON)
        await of_other.close()

    assert began.requests == ()
    assert [request.body for request in then.requests] == [mail("new")]


async def test_no_password_goes_out_in_the_clear_where_the_server_forbids_it(tmp_path):
    """A server that wants TLS first is believed."""
    stand_in = ImapServer()
    async with stand_in.serving(starttls=certificate(tmp_path)[0]):
        with pytest.raises(Refused, match=r"set imap\.security to tls or starttls"):
            await mailbox(stand_in).check()

    assert "LOGIN" not in stand_in.commands


async def test_a_mailbox_without_lasting_numbers_is_refused(server, reader):
    """Nothing would say what has been read."""
    server.mailboxes["INBOX"].uidvalidity = None

    with pytest.raises(Refused, match="no lasting numbers"):
        await reader.poll(None, NOON)


async def test_any_password_is_written_right(server):
    """Quotes, backslashes and letters of any script."""
    server.username, server.password = 'a "user" \\ here', 'pä"ss\\wörd {5} %'
    reader = mailbox(server)
    await reader.check()
    await reader.close()

    assert server.commands.count("LOGIN") == 1


async def test_a_check_disturbs_nobody(server, reader):
    """It has a connection of its own, and closes it."""
    await reader.poll(None, NOON)
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    await reader.check()
    await server.until(lambda here: here.open_connections == 1)

    assert server.listeners == 1
    server.deliver(mail("news"))
    await listening


def test_the_password_is_not_shown():
    """Settings can be printed."""
    assert "the password" not in repr(settings(ImapServer(port=993)))
