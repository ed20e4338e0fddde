"""A mail server that fails at every step: no mail is lost, none comes twice, and nobody hangs."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from channels.email.envelope import UNREADABLE, WHOLE_SIZE
from channels.email.imap.checkpoint import key_of
from channels.email.imap.trouble import GIVE_UP_S, TRIES
from channels.errors import CredentialsRejected, Refused, RetryLater
from gateway.sandbox.mail.imap import ImapServer
from gateway.sandbox.mail.imap_connection import Connection
from tests.imap_world import NOON, Hands, certificate, mail, mailbox, read_all, settings

WAYS = ("drop", "hang", "bye", "bye_hang", "garble")
MAILS = [mail("one"), mail("two") + b"x" * 100_000, mail("three")]


@pytest.fixture
async def server():
    """Give a mail server with one empty mailbox."""
    stand_in = ImapServer()
    async with stand_in.serving():
        yield stand_in


@pytest.fixture
def clock():
    """Give a clock that the test moves."""
    return Hands()


@pytest.fixture
async def reader(server, clock):
    """Give a reader of the mailbox."""
    opened = mailbox(server, clock)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def complaints(event_loop_complaints):
    """Look afterwards whether asyncio had to complain."""
    yield
    gc.collect()
    assert event_loop_complaints == []


@pytest.fixture
async def event_loop_complaints():
    """Give what asyncio complains of: an exception that nobody fetched, a task that nobody ended."""
    seen = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    return seen


@pytest.mark.parametrize("step", ["greeting", "capability", "login", "examine", "search", "fetch", "body"])
@pytest.mark.parametrize("way", [*WAYS, "NO not now", "BAD what is that"])
async def test_a_server_that_fails_at_a_step_is_read_later(server, reader, clock, step, way):
    """Whatever happens on a new connection, the next polls get every mail once."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for raw in MAILS:
        server.deliver(raw)
    server.hang_up()
    server.faults[step].plan(way)
    found, checkpoint = await read_all(reader, checkpoint, clock)
    again, _ = await read_all(reader, checkpoint, clock)

    assert found == MAILS
    assert again == []


@pytest.mark.parametrize("step", ["examine", "search", "fetch", "body"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_kept_connection_that_is_dead_costs_nothing(server, reader, step, way):
    """It may have been dead for long, so one poll tries a new one at once."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("one"))
    server.faults[step].plan(way)
    polled = await reader.poll(checkpoint, NOON)

    assert [request.body for request in polled.requests] == [mail("one")]
    assert server.connections == 2


async def test_a_connection_that_ended_between_two_polls_costs_nothing(server, reader):
    """It is known to be gone, and nothing is sent into it."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("one"))
    server.hang_up()
    while not reader._session.gone:
        await asyncio.sleep(0)
    polled = await reader.poll(checkpoint, NOON)

    assert [request.body for request in polled.requests] == [mail("one")]


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_fails_at_starttls_is_tried_later(tmp_path, clock, way):
    """Nothing goes on in the clear."""
    tls, file = certificate(tmp_path)
    stand_in = ImapServer()
    async with stand_in.serving(starttls=tls):
        stand_in.faults["starttls"].plan(way)
        reader = mailbox(stand_in, clock, security="starttls", ca_file=file)
        with pytest.raises(RetryLater):
            await reader.poll(None, NOON)
        clock.now += 301
        await reader.poll(None, NOON)
        await reader.close()

    assert stand_in.connections == 2
    assert stand_in.commands[:2] == ["STARTTLS", "STARTTLS"]


@pytest.mark.parametrize("step", ["idle", "listening", "done"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_fails_while_we_listen_is_left_soon(server, reader, clock, step, way):
    """A BYE, a reset, a server that says nothing more: listening ends with an error, and reading goes on later."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.faults[step].plan(way)
    async with asyncio.timeout(5):
        with pytest.raises(RetryLater):
            await reader.wait_for_news(0.05)
    server.deliver(mail("one"))
    with pytest.raises(RetryLater):
        await reader.poll(checkpoint, NOON)
    found, _ = await read_all(reader, checkpoint, clock)

    assert found == [mail("one")]


@pytest.mark.parametrize("way", ["drop", "bye", "bye_hang", "garble"])
async def test_the_end_of_listening_is_noticed_at_once(server, reader, way):
    """Nobody waits for minutes on a connection that the server has given up."""
    await reader.poll(None, NOON)
    server.faults["listening"].plan(way)
    async with asyncio.timeout(5):
        with pytest.raises(RetryLater):
            await reader.wait_for_news(60)


async def test_a_connection_that_ends_without_idle_is_noticed(server, reader):
    """Where the server tells no news, at least that is heard."""
    server.capabilities = ()
    await reader.poll(None, NOON)
    waiting = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.open_connections == 1)
    server.hang_up()
    async with asyncio.timeout(5):
        with pytest.raises(RetryLater):
            await waiting


@pytest.mark.parametrize(
    ("step", "answer", "error"),
    [
        ("login", "NO [UNAVAILABLE] the directory is away", RetryLater),
        ("login", "NO [ALERT] Too many simultaneous connections. (Failure)", RetryLater),
        ("login", "NO [AUTHENTICATIONFAILED] wrong", CredentialsRejected),
        ("login", "NO LOGIN failed.", CredentialsRejected),
        ("login", "BAD what is that", CredentialsRejected),
        ("examine", "NO [UNAVAILABLE] the disk is away", RetryLater),
        ("examine", "NO [NONEXISTENT] no such mailbox", Refused),
        ("examine", "NO [NOPERM] not yours", Refused),
        ("search", "NO [SERVERBUG] broken", RetryLater),
        ("capability", "NO", RetryLater),
    ],
)
async def test_a_refusal_says_whether_to_try_again(server, reader, step, answer, error):
    """What passes is told from what a person has to put right, also while nothing is tried."""
    await reader.poll(None, NOON)
    server.hang_up()
    server.faults[step].plan(answer)
    key = key_of(settings(server))
    checkpoint = {"mailbox": key, "uidvalidity": 1, "uid": 0, "seen_at": NOON.isoformat(), "reread_below": None}
    for _ in range(2):
        with pytest.raises(error):
            await reader.poll(checkpoint, NOON)

    assert server.connections == 2, "the second failure came from the pause"


async def test_the_next_try_comes_later_and_later(server, reader, clock):
    """Seconds first, then minutes; whoever asks in between is told for how long."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.hang_up()
    server.faults["greeting"].plan(*["drop"] * 4)
    waits = []
    for _ in range(4):
        with pytest.raises(RetryLater):
            await reader.poll(checkpoint, NOON)
        with pytest.raises(RetryLater) as raised:
            await reader.poll(checkpoint, NOON)
        waits.append(raised.value.retry_after_s)
        clock.now += raised.value.retry_after_s
    await reader.poll(checkpoint, NOON)

    assert waits == [5, 10, 20, 40]
    assert server.connections == 6


# --- one mail that cannot be fetched ---


@pytest.mark.parametrize("way", [*WAYS, "NO [SERVERBUG] the file is broken"])
async def test_a_mail_that_cannot_be_fetched_whole_is_told_by_its_headers(server, reader, clock, way):
    """The mails before it come at once, those after it when it has been tried for an hour."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two", "three"):
        server.deliver(mail(subject))
    server.bad_uids[2] = way
    first = await reader.poll(checkpoint, NOON)
    began_s = clock.now
    second, _ = await read_all(reader, first.checkpoint, clock)

    assert [request.body for request in first.requests] == [mail("one")]
    assert second == [mail("two").removesuffix(b"Hello\r\n"), mail("three")]
    assert clock.now - began_s >= GIVE_UP_S
    assert server.commands.count("FETCH 2 (UID BODY.PEEK[])") >= TRIES


@pytest.mark.parametrize("way", ["drop", "NO [SERVERBUG] the file is broken"])
async def test_a_mail_of_which_nothing_can_be_fetched_is_told_at_least(server, reader, clock, way):
    """An empty mail, which nobody can read, makes a person look; and it holds up nothing for ever."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two"):
        server.deliver(mail(subject))
    server.bad_uids[1] = server.bad_headers[1] = way
    requests = await _requests(reader, checkpoint, clock)

    assert [request.body for request in requests] == [b"", mail("two")]
    assert requests[0].header(WHOLE_SIZE) == "0"
    assert requests[0].header(UNREADABLE) == "all"
    assert requests[0].header("X-Frontdesk-Uid") == "1/1"
    assert requests[1].header(UNREADABLE) is None


async def test_a_mail_that_the_server_does_not_give_is_marked(server, reader, clock):
    """It is not too large: a person finds it in the mailbox."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two"):
        server.deliver(mail(subject))
    server.bad_uids[1] = "NO [SERVERBUG] the file is broken"
    requests = await _requests(reader, checkpoint, clock)

    assert [request.header(UNREADABLE) for request in requests] == ["body", None]
    assert requests[0].header(WHOLE_SIZE) == str(len(mail("one")))


@pytest.mark.parametrize("way", ["drop", "NO [UNAVAILABLE] the disk is away"])
async def test_a_server_that_gives_no_mail_costs_none(server, reader, clock, way):
    """However long and however often all of them fail, they come whole afterwards."""
    server.deliver(mail("before"))
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two", "three"):
        server.deliver(mail(subject))
    for uid in range(1, 5):
        server.bad_uids[uid] = way
    for _ in range(40):
        with pytest.raises(RetryLater):
            await reader.poll(checkpoint, NOON)
        clock.now += 3601
    server.bad_uids.clear()
    found, _ = await read_all(reader, checkpoint, clock)

    assert found == [mail("one"), mail("two"), mail("three")]


async def test_a_short_outage_costs_the_only_mail_nothing(server, reader, clock):
    """There is no other mail that would tell: then only time does, and much of it."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("one"))
    server.bad_uids[1] = "NO [UNAVAILABLE] the disk is away"
    for _ in range(20):
        with pytest.raises(RetryLater):
            await reader.poll(checkpoint, NOON)
        clock.now += 3601
    server.bad_uids.clear()

    assert (await read_all(reader, checkpoint, clock))[0] == [mail("one")]


async def test_two_bad_mails_side_by_side_hold_up_nothing_for_ever(server, reader, clock):
    """One does not speak for the other, but a third one does."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two", "three"):
        server.deliver(mail(subject))
    server.bad_uids[1] = server.bad_uids[2] = "drop"
    found, _ = await read_all(reader, checkpoint, clock, polls=120)

    assert found == [mail(name).removesuffix(b"Hello\r\n") for name in ("one", "two")] + [mail("three")]


async def _requests(reader, checkpoint, clock):
    """Poll as a gateway does, and return the requests themselves."""
    requests = []
    for _ in range(80):
        try:
            polled = await reader.poll(checkpoint, NOON)
        except RetryLater:
            clock.now += 301
            continue
        requests += polled.requests
        checkpoint = polled.checkpoint
        if not polled.more:
            return requests
    raise AssertionError("there is always more")


async def test_a_server_that_dies_of_a_mails_size_holds_up_nothing_for_ever(server, reader, clock):
    """Also what is asked before the mail itself may be what fails."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for subject in ("one", "two"):
        server.deliver(mail(subject))
    server.faults["fetch"].plan(*["drop"] * (TRIES + 1))  # the first on the connection that was kept
    found, _ = await read_all(reader, checkpoint, clock)

    assert found[0] in (mail("one"), mail("one").removesuffix(b"Hello\r\n"))
    assert found[1] == mail("two")


async def test_a_mail_that_is_longer_than_it_says_is_not_read_without_a_limit(server, clock):
    """A server's word on a size is not what protects the memory."""
    reader = mailbox(server, clock)
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    server.deliver(mail("huge") + b"x" * 60_000_000)
    reader._reader._is_too_large = lambda head: False
    found, _ = await read_all(reader, checkpoint, clock)
    await reader.close()

    assert found == [mail("huge").removesuffix(b"Hello\r\n")]


async def test_no_connection_stays_open(server, reader, clock):
    """After many failures there is the one connection that works."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    for way in WAYS:
        for step in ("examine", "search", "idle"):
            server.faults[step].plan(way)
            try:
                await reader.poll(checkpoint, NOON)
                await reader.wait_for_news(0.01)
            except RetryLater:
                clock.now += 301
    await reader.poll(checkpoint, NOON)
    await server.until(lambda here: here.open_connections == 1)

    assert server.connections > len(WAYS)


async def test_a_flood_of_other_peoples_news_is_read(server, reader):
    """Somebody marks a whole mailbox as read while we listen."""
    checkpoint = (await reader.poll(None, NOON)).checkpoint
    listening = asyncio.create_task(reader.wait_for_news(60))
    await server.until(lambda here: here.listeners == 1)
    server.say("\r\n".join(f"* {number} EXPUNGE" for number in range(20_000)))
    server.deliver(mail("one"))
    async with asyncio.timeout(5):
        await listening
    polled = await reader.poll(checkpoint, NOON)

    assert [request.body for request in polled.requests] == [mail("one")]
    assert server.connections == 1


async def test_a_server_that_does_not_say_goodbye_is_left(server, reader):
    """Closing takes no longer than a moment."""
    await reader.poll(None, NOON)
    server.faults["logout"].plan("hang")
    async with asyncio.timeout(2):
        await reader.close()
    await server.until(lambda here: not here.open_connections)


# --- servers that say what the stand-in would not ---


@pytest.fixture
async def scripted():
    """Give what starts a server that greets, and answers each command with the next of its lines."""
    servers, tasks = [], []

    async def start(greeting, *answers):
        async def serve(reader, writer):
            tasks.append(asyncio.current_task())
            with suppress(OSError):
                writer.write(greeting)
                for answer in answers:
                    tag = (await reader.readline()).split(b" ")[0]
                    writer.write(answer.replace(b"TAG", tag))
                await reader.read()
            writer.transport.abort()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        return ImapServer(port=servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
    await asyncio.gather(*tasks)


OK = b"TAG OK done\r\n"
CAPABILITY = b"* CAPABILITY IMAP4rev1\r\n" + OK


@pytest.mark.parametrize(
    ("security", "lines", "error"),
    [
        ("none", [b"HTTP/1.1 400 Bad Request\r\n"], RetryLater),
        ("none", [b"* OK hello\r\n", b"* CAPABILITY POP3\r\n" + OK], RetryLater),
        ("none", [b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n" + OK], Refused),
        ("none", [b"* OK hello\r\n", b"* CAPABILITY \xff\r\n" + OK], RetryLater),
        ("none", [b"* OK hello\r\n", b"X OK another tag\r\n"], RetryLater),
        ("none", [b"* OK hello\r\n", b"* OK " + b"x" * 20_000_000], RetryLater),
        ("none", [b"* OK hello\r\n", CAPABILITY, OK, CAPABILITY, b"* OK [UIDVALIDITY x]\r\n" + OK], Refused),
        ("starttls", [b"* PREAUTH hello\r\n"], Refused),
        ("starttls", [b"* OK hello\r\n", OK + b"* CAPABILITY IN THE"], RetryLater),
        ("starttls", [b"* OK hello\r\n", OK + b"* CAPABILITY IN THE CLEAR\r\n"], RetryLater),
        ("starttls", [b"* OK hello\r\n", OK, b"no TLS at all\r\n"], RetryLater),
    ],
)
async def test_a_server_that_makes_no_sense_is_left(scripted, clock, security, lines, error):
    """Whatever it says, and above all nothing that was said before TLS counts."""
    server = await scripted(*lines)
    reader = mailbox(server, clock, security=security)
    async with asyncio.timeout(5):
        with pytest.raises(error):
            await reader.poll(None, NOON)
        await reader.close()


async def test_what_was_said_before_tls_is_no_part_of_what_is_said_in_it(tmp_path, clock, monkeypatch):
    """Half a line in the clear would become the beginning of the server's own."""
    say = Connection.say

    def say_more(connection, line):
        say(connection, line)
        if line.endswith("OK begin"):
            connection._writer.write(b"* CAPABILITY IMAP4rev1 IDLE ")

    monkeypatch.setattr(Connection, "say", say_more)
    tls, file = certificate(tmp_path)
    server = ImapServer()
    async with server.serving(starttls=tls):
        with pytest.raises(RetryLater, match="in the clear"):
            await mailbox(server, clock, security="starttls", ca_file=file).poll(None, NOON)


async def test_who_is_logged_in_by_the_connection_gives_no_password(scripted, clock):
    """A server on the same machine may know us already."""
    told = b"* 0 EXISTS\r\n* OK [UIDVALIDITY 5] so\r\n* OK [UIDNEXT 9] so\r\n"
    server = await scripted(b"* PREAUTH hello\r\n", CAPABILITY, told + OK, b"* BYE\r\n" + OK)
    reader = mailbox(server, clock)
    polled = await reader.poll(None, NOON)
    await reader.close()

    assert polled.checkpoint["uid"] == 8
