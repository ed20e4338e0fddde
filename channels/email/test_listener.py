"""The listener, spoken to over real sockets."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Request
from channels.email.envelope import MAIL_FROM, RCPT_TO
from channels.email.settings import ListenSettings
from channels.email.smtp_in.data_lines import DataLines
from channels.email.smtp_in.door import Door, Limits, Room, Share
from channels.email.smtp_in.listener import listen

OWN = frozenset({"help@example.com", "sales@example.com"})
MAIL = b"From: Customer <customer@example.org>\r\nSubject: Hello\r\n\r\nGood day\r\n"
LARGEST = 200_000


@dataclass
class Store:
    """What was kept; ``gate`` holds it up, ``broken`` refuses it."""

    kept: list[Request] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    broken: Exception | None = None

    async def receive(self, request: Request) -> None:
        self.begun.set()
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.kept.append(request)


@pytest.fixture
def store() -> Store:
    kept = Store()
    kept.gate.set()
    return kept


@dataclass
class Line:
    """A client that says and hears single lines."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> str:
        """Return the last line of an answer, or nothing where the server has hung up."""
        async with asyncio.timeout(10):
            while True:
                try:
                    line = (await self.reader.readline()).decode().rstrip("\r\n")
                except ConnectionError:
                    return ""
                if line[3:4] != "-":
                    return line

    async def ask(self, command: str) -> str:
        self.writer.write(f"{command}\r\n".encode("utf-8", "surrogateescape"))
        return await self.hear()

    async def begin(self, hello: str, recipient: str = "help@example.com") -> None:
        for command in (f"{hello} there.example.org", "MAIL FROM:<customer@example.org>", f"RCPT TO:<{recipient}>"):
            assert (await self.ask(command)).startswith("250")

    async def hand_over(self, mail: bytes = MAIL) -> str:
        assert (await self.ask("DATA")).startswith("354")
        self.writer.write(mail + b".\r\n")
        return await self.hear()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Leave without a word, however far the dialogue is; the loop closes the socket in its next round."""
    writer.transport.abort()
    await asyncio.sleep(0)


class Server:
    """A listener and its clients."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self.port = port
        self._stack = stack

    async def call(self, greeting: str = "220", receive_bytes: int | None = None) -> Line:
        link = socket.socket()
        link.setblocking(False)
        if receive_bytes is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", self.port))
        except OSError:
            link.close()
            raise
        reader, writer = await asyncio.open_connection(sock=link)
        self._stack.push_async_callback(hang_up, writer)
        line = Line(reader, writer)
        assert (await line.hear()).startswith(greeting)
        return line


@asynccontextmanager
async def serving(store: Store, *, limits: Limits | None = None, **settings: Any):
    asked = ListenSettings.model_validate({"port": 0, "protocol": "smtp"} | settings)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            listen(asked, OWN, LARGEST, "mx.example.com", store.receive, limits=limits)
        )
        yield Server(port, stack)


def client_of(port: int, **options: Any) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=10, **options)


def few(**changes: Any) -> Limits:
    return replace(Limits(memory_bytes=10_000_000), **changes)


# --- the way of a message ---


@pytest.mark.parametrize(("protocol", "hello"), [("smtp", "EHLO"), ("lmtp", "LHLO")])
async def test_a_message_is_handed_over_with_its_envelope(store: Store, protocol: str, hello: str) -> None:
    """What a server hands over arrives byte by byte, with who sent it and to whom."""
    async with serving(store, protocol=protocol) as server:
        line = await server.call("220 mx.example.com")
        await line.begin(hello)
        answer = await line.hand_over()
        bye = await line.ask("QUIT")

    kept = store.kept[0]
    assert answer.startswith("250 2.0.0")
    assert bye.startswith("221")
    assert (kept.method, kept.target, kept.body) == ("POST", f"{protocol}:", MAIL)
    assert kept.headers == (
        ("Content-Type", "message/rfc822"),
        (MAIL_FROM, "customer@example.org"),
        (RCPT_TO, "help@example.com"),
    )


async def test_the_usual_clients_are_understood(store: Store) -> None:
    """Python's own LMTP client and aiosmtplib get through."""
    async with serving(store, protocol="lmtp") as server:
        with smtplib.LMTP() as client:
            await asyncio.to_thread(client.connect, "127.0.0.1", server.port)
            await asyncio.to_thread(client.sendmail, "customer@example.org", "help@example.com", MAIL)
            await asyncio.to_thread(client.quit)
    async with serving(store) as server, client_of(server.port, start_tls=False) as other:
        errors, answer = await other.sendmail("", ["help+tag@example.com", "sales@example.com"], MAIL)

    assert (errors, answer) == ({}, "2.0.0 stored")
    assert [request.body for request in store.kept] == [MAIL, MAIL]
    assert store.kept[1].headers[1:] == (
        (MAIL_FROM, ""),
        (RCPT_TO, "help+tag@example.com"),
        (RCPT_TO, "sales@example.com"),
    )


async def test_commands_may_be_sent_ahead(store: Store) -> None:
    """A client that waits for nothing but DATA's answer gets two messages through, and a QUIT after the last dot."""
    ahead = b"MAIL FROM:<>\r\nRCPT TO:<help@example.com>\r\nDATA\r\n"
    async with serving(store) as server:
        line = await server.call()
        line.writer.write(b"EHLO there\r\n" + ahead)
        first = [await line.hear() for _ in range(4)]
        line.writer.write(MAIL + b".\r\n" + ahead)
        second = [await line.hear() for _ in range(4)]
        line.writer.write(b".\r\nQUIT\r\n")
        third = [await line.hear() for _ in range(2)]

    assert [answer[:3] for answer in first + second + third] == [
        *("250", "250", "250", "354"),
        *("250", "250", "250", "354"),
        *("250", "221"),
    ]
    assert [request.body for request in store.kept] == [MAIL, b""]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"..\r\n...x\r\na.\r\n", b".\r\n..x\r\na.\r\n"),
        (b"a\n.\nb\r\n", b"a\n.\nb\r\n"),
        (b"a\n.\r\nQUIT\r\n", b"a\n.\r\nQUIT\r\n"),
        (b"a\r\n.\rMAIL\r\n", b"a\r\n\rMAIL\r\n"),
        (b"x" * 100_000 + b"\r\n", b"x" * 100_000 + b"\r\n"),
        (b"\r\n" * 50_000, b"\r\n" * 50_000),
    ],
    ids=["dots", "bare line feeds", "half a line end before the dot", "half a line end after it", "long", "short"],
)
async def test_only_a_dot_on_a_line_of_its_own_ends_a_message(store: Store, sent: bytes, meant: bytes) -> None:
    """Doubled dots become single ones, nothing else changes, and no other line end smuggles in a second message."""
    async with serving(store) as server:
        line = await server.call()
        await line.begin("EHLO")
        answer = await line.hand_over(sent)

    assert answer.startswith("250")
    assert [request.body for request in store.kept] == [meant]


@given(st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"x", b".\r\n"]), max_size=40).map(b"".join), st.data())
def test_pieces_are_put_together_as_they_were(content: bytes, data: st.DataObject) -> None:
    """Wherever the network cuts, the message and what follows it come out the same as uncut."""
    stream = content.removesuffix(b"\r") + b"\r\n.\r\nNOOP\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, lines, pieces = DataLines().feed(stream), DataLines(), []
    rest = None
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if rest is not None:
            rest += stream[start:end]
            continue
        piece, rest = lines.feed(stream[start:end])
        pieces.append(piece)

    assert (b"".join(pieces), rest) == whole


# --- what is refused ---


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("help@example.com", "250"),
        ("HELP@Example.COM", "250"),
        ("help+anything.at.all@example.com", "250"),
        ("sales@example.com", "250"),
        ("nobody@example.com", "550 5.1.1"),
        ("help@example.org", "550 5.1.1"),
        ("+help@example.com", "550 5.1.1"),
        ("help", "550 5.1.1"),
        ('"help"@example.com', "250"),
        ('"help "@example.com', "550 5.1.1"),
        ("h\udcffelp@example.com", "550 5.1.1"),
    ],
)
async def test_only_our_own_addresses_are_taken(store: Store, recipient: str, code: str) -> None:
    """Mail to others is refused before it is sent, so that no bounce of ours reaches somebody who never wrote."""
    async with serving(store) as server:
        line = await server.call()
        await line.ask("EHLO there")
        await line.ask("MAIL FROM:<customer@example.org>")
        answer = await line.ask(f"RCPT TO:<{recipient}>")

    assert answer.startswith(code)


async def test_lmtp_takes_one_recipient_at_a_time(store: Store) -> None:
    """DATA has one answer, so that a second recipient comes in a transaction of its own."""
    async with serving(store, protocol="lmtp") as server:
        line = await server.call()
        await line.begin("LHLO")
        second = await line.ask("RCPT TO:<sales@example.com>")
        stored = await line.hand_over()
        wrong = [await line.ask(f"{hello} there") for hello in ("EHLO", "HELO")]

    assert second.startswith("452 4.5.3")
    assert stored.startswith("250")
    assert [answer[:3] for answer in wrong] == ["502", "502"]
    assert store.kept[0].headers[2:] == ((RCPT_TO, "help@example.com"),)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"MAIL FROM:<customer@example.org> SIZE={LARGEST + 1}", "552 5.3.4"),
        (f"MAIL FROM:<customer@example.org> SIZE={LARGEST} BODY=8BITMIME SMTPUTF8", "250"),
        ("MAIL FROM:<customer@example.org> SIZE=x", "501"),
        ("MAIL FROM:<c\udcff@example.org>", "553 5.1.7"),
        ("MAIL FROM:<c\x01@example.org>", "553 5.1.7"),
        ("MAIL FROM:<kundë@example.org> SMTPUTF8", "250"),
        ("VRFY help@example.com", "252"),
        ("EXPN help@example.com", "502"),
        ("AUTH PLAIN AGEAYg==", "502"),
        ("HELP", "214"),
        ("STARTTLS", "454"),
        ("NOOP " + "x" * 600, "500"),
        ("NOOP " + "x" * 10_000, "500"),
        ("DATA", "503"),
        ("RCPT TO:<help@example.com>", "503"),
        ("NONSENSE", "500"),
    ],
)
async def test_commands_are_answered_by_the_book(store: Store, command: str, code: str) -> None:
    """Sizes are checked before a message is sent, nobody is told who is here, and long commands do no harm."""
    async with serving(store) as server:
        line = await server.call()
        await line.ask("EHLO there")
        answer = await line.ask(command)
        still = await line.ask("NOOP")

    assert answer.startswith(code)
    assert still.startswith("250")


async def test_it_says_only_what_it_can(store: Store) -> None:
    """The greeting lists our extensions, and no login or version of a library."""
    async with serving(store) as server:
        line = await server.call("220 mx.example.com ESMTP")
        line.writer.write(b"EHLO there\r\n")
        told = [(await line.reader.readline()).decode().strip() for _ in range(6)]

    assert told == [
        "250-mx.example.com",
        "250-PIPELINING",
        f"250-SIZE {LARGEST}",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250 ENHANCEDSTATUSCODES",
    ]


async def test_what_is_too_large_is_refused_after_its_end(store: Store) -> None:
    """A message over the limit is read to its end and refused for good; the next one gets through."""
    async with serving(store) as server:
        line = await server.call()
        await line.begin("EHLO")
        large = await line.hand_over(b"x" * (LARGEST + 1) + b"\r\n")
        await line.begin("EHLO")
        small = await line.hand_over()

    assert large.startswith("552 5.3.4")
    assert small.startswith("250")
    assert [request.body for request in store.kept] == [MAIL]


# --- what cannot be kept ---


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("no"), TimeoutError()])
async def test_what_cannot_be_stored_comes_again(store: Store, error: Exception) -> None:
    """Whatever goes wrong, the sender is asked to try later and told nothing else; later it gets through."""
    store.broken = error
    async with serving(store) as server:
        line = await server.call()
        await line.begin("EHLO")
        refused = await line.hand_over()
        store.broken = None
        await line.begin("EHLO")
        taken = await line.hand_over()

    assert refused == "451 4.3.0 cannot be kept now, try again later"
    assert taken.startswith("250")
    assert len(store.kept) == 1


async def test_a_store_that_hangs_is_not_waited_for_for_ever(store: Store) -> None:
    """After its time a store that has not answered counts as away."""
    store.gate.clear()
    async with serving(store, limits=few(receive_s=0.05)) as server:
        line = await server.call()
        await line.begin("EHLO")
        answer = await line.hand_over()

    assert answer.startswith("451 4.3.0")
    assert store.kept == []


async def test_memory_for_messages_is_bounded(store: Store) -> None:
    """While others fill the room for messages, one more is put off; when they are stored, there is room again."""
    store.gate.clear()
    async with serving(store, limits=few(memory_bytes=150_000)) as server:
        first, second, third = [await server.call() for _ in range(3)]
        for line in (first, second, third):
            await line.begin("EHLO")
        waiting = asyncio.create_task(first.hand_over(b"x" * 80_000 + b"\r\n"))
        await store.begun.wait()
        put_off = await second.hand_over(b"x" * 80_000 + b"\r\n")
        waiting_too = asyncio.create_task(third.hand_over(b"x" * 10_000 + b"\r\n"))
        store.gate.set()
        stored = [await waiting, await waiting_too]
        await second.begin("EHLO")
        again = await second.hand_over(b"x" * 80_000 + b"\r\n")

    assert put_off.startswith("451 4.3.1")
    assert [answer[:3] for answer in (*stored, again)] == ["250", "250", "250"]


async def test_without_any_room_no_message_is_begun(store: Store) -> None:
    """A client is told before it sends a byte."""
    store.gate.clear()
    async with serving(store, limits=few(memory_bytes=100_000)) as server:
        first, second = await server.call(), await server.call()
        await first.begin("EHLO")
        await second.begin("EHLO")
        waiting = asyncio.create_task(first.hand_over(b"x" * 80_000 + b"\r\n"))
        await store.begun.wait()
        answer = await second.ask("DATA")
        store.gate.set()
        stored = await waiting

    assert answer.startswith("451 4.3.1")
    assert stored.startswith("250")


def test_one_network_cannot_fill_the_room() -> None:
    """Others still find theirs, and what it gives back it may have again."""
    room = Room(few(memory_bytes=100, network_bytes=50, small_bytes=1000))
    first, second, other = Share(room, "192.0.2.1"), Share(room, "192.0.2.1"), Share(room, "192.0.2.2")

    assert [first.grow(30), second.grow(30), second.grow(20), other.grow(50), other.grow(1)] == [
        *(True, False, True, True, False)
    ]
    first.free()
    assert [second.grow(30), second.grow(1)] == [True, False]
    second.free()
    other.free()
    assert [first.grow(50), other.grow(50)] == [True, True]


def test_large_messages_leave_room_for_small_ones() -> None:
    """A part of it is only theirs."""
    room = Room(few(memory_bytes=100, small_only_bytes=30, small_bytes=10))
    large, small = Share(room, "192.0.2.1"), Share(room, "192.0.2.1")

    assert [large.grow(10), large.grow(60), large.grow(1)] == [True, True, False]
    assert [small.grow(10), small.grow(1)] == [True, False]


def test_strangers_share_the_room_and_a_mail_server_of_ours_has_all_of_it() -> None:
    """By LMTP everything comes from one place."""
    smtp, lmtp = (Limits.of(50_000_000, protocol) for protocol in ("smtp", "lmtp"))

    assert (smtp.network_bytes, lmtp.network_bytes) == (100_000_000, None)
    assert smtp.small_only_bytes == lmtp.small_only_bytes == 8 * 1024 * 1024


async def test_a_client_that_fills_its_networks_part_is_put_off(store: Store) -> None:
    """It has sent its message to the end, and comes again."""
    async with serving(store, limits=few(network_bytes=100_000)) as server:
        line = await server.call()
        await line.begin("EHLO")
        put_off = await line.hand_over(b"x" * 150_000 + b"\r\n")
        await line.begin("EHLO")
        stored = await line.hand_over(b"x" * 80_000 + b"\r\n")

    assert (put_off[:9], stored[:3]) == ("451 4.3.1", "250")


async def test_room_of_those_who_hang_up_is_free_again(store: Store) -> None:
    """Messages that never end take nothing away from those that do."""
    async with serving(store, limits=few(memory_bytes=100_000)) as server:
        for _ in range(5):
            cut = await server.call()
            await cut.begin("EHLO")
            await cut.ask("DATA")
            cut.writer.write(b"x" * 60_000)
            cut.writer.write_eof()
            assert await cut.hear() == ""
        line = await server.call()
        await line.begin("EHLO")
        answer = await line.hand_over(b"x" * 90_000 + b"\r\n")

    assert answer.startswith("250")


# --- clients that hang up, wait or flood ---

DIALOGUE = (
    b"EHLO there\r\n",
    b"MAIL FROM:<customer@example.org>\r\n",
    b"RCPT TO:<help@example.com>\r\n",
    b"DATA\r\n",
    MAIL[:40],
    MAIL[40:],
    b".",
)


@pytest.mark.parametrize("steps", range(len(DIALOGUE) + 1))
@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_cut_before_the_end_stores_nothing(store: Store, steps: int, *, reset: bool) -> None:
    """Wherever a client is cut off before the last dot, nothing of it is kept, and the server goes on."""
    async with serving(store) as server:
        cut = await server.call()
        for said in DIALOGUE[:steps]:
            cut.writer.write(said)
            if said.isupper() or b":<" in said or said.startswith(b"EHLO"):
                await cut.hear()
        await cut.writer.drain()
        if reset:
            cut.writer.transport.abort()
        else:
            cut.writer.write_eof()
            assert await cut.hear() == ""
        line = await server.call()
        await line.begin("EHLO")
        answer = await line.hand_over()

    assert answer.startswith("250")
    assert [request.body for request in store.kept] == [MAIL]


async def test_a_connection_cut_after_the_end_stores_the_message_once(store: Store) -> None:
    """A client that hangs up before the answer has not interrupted the store: its message is kept, once."""
    store.gate.clear()
    async with serving(store) as server:
        cut = await server.call()
        await cut.begin("EHLO")
        await cut.ask("DATA")
        cut.writer.write(MAIL + b".\r\n")
        await store.begun.wait()
        cut.writer.transport.abort()
        other = await server.call()
        store.gate.set()
        await other.ask("NOOP")

    assert [request.body for request in store.kept] == [MAIL]


async def test_a_silent_client_is_sent_away(store: Store) -> None:
    """Whoever says nothing for too long makes room, between commands and within a message."""
    async with serving(store, limits=few(idle_s=0.1)) as server:
        idle = await server.call()
        first = [await idle.hear(), await idle.hear()]
        stuck = await server.call()
        await stuck.begin("EHLO")
        await stuck.ask("DATA")
        stuck.writer.write(b"x")
        second = [await stuck.hear(), await stuck.hear()]

    assert first == second == ["421 4.4.2 nothing came for too long", ""]
    assert store.kept == []


async def test_a_trickle_has_an_end(store: Store) -> None:
    """A client that sends a byte now and then is cut off, and what it sends is not read as commands."""
    async with serving(store, limits=few(data_s=0.1)) as server:
        slow = await server.call()
        await slow.begin("EHLO")
        await slow.ask("DATA")
        slow.writer.write(b"NOOP\r\n" * 1000)
        heard = [await slow.hear(), await slow.hear()]

    assert heard == ["421 4.4.2 nothing came for too long", ""]


async def test_a_slow_client_gets_through(store: Store) -> None:
    """A message in single bytes arrives whole."""
    async with serving(store) as server:
        line = await server.call()
        await line.begin("EHLO")
        await line.ask("DATA")
        for byte in MAIL + b".\r\n":
            line.writer.write(bytes([byte]))
            await line.writer.drain()
            await asyncio.sleep(0)
        answer = await line.hear()

    assert answer.startswith("250")
    assert store.kept[0].body == MAIL


async def test_two_hundred_connections_are_served_and_no_more(store: Store) -> None:
    """Two hundred clients at once all get through; the next is asked to come later, and then gets through."""
    async with serving(store, protocol="lmtp") as server:
        lines = [await server.call() for _ in range(200)]
        turned_away = await server.call("421 4.3.2")
        gone = await turned_away.hear()
        await asyncio.gather(*(line.begin("LHLO") for line in lines))
        answers = await asyncio.gather(*(line.hand_over() for line in lines))
        await lines[0].ask("QUIT")
        assert await lines[0].hear() == ""
        later = await server.call()
        await later.begin("LHLO")

    assert gone == ""
    assert {answer[:3] for answer in answers} == {"250"}
    assert len(store.kept) == 200


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_an_address_of_ipv6_is_its_network(first: str, second: str, *, shared: bool) -> None:
    """Whoever has one IPv6 address has 64 bits of them."""

    async def receive(_: Request) -> None:
        raise AssertionError

    door = Door(OWN, LARGEST, "mx.example.com", False, few(per_address=1), receive)
    ends = [Ends(), Ends()]

    assert door.enter(ends[0], first)
    assert door.enter(ends[1], second) is not shared
    door.leave(ends[0])
    assert door.enter(ends[0], first)


class Ends:
    """A connection that does nothing."""

    async def ended(self) -> None: ...
    def ask_to_leave(self) -> None: ...
    def cut(self) -> None: ...


async def test_one_address_cannot_take_all_connections(store: Store) -> None:
    """By SMTP, which strangers speak, each has a share of the connections."""
    async with serving(store, limits=few(per_address=2)) as server:
        held = [await server.call() for _ in range(2)]
        await server.call("421 4.3.2")
        await held[0].ask("QUIT")
        assert await held[0].hear() == ""

        assert await (await server.call()).ask("NOOP") == "250 OK"


async def test_a_flood_of_commands_does_not_hold_up_others(store: Store) -> None:
    """Between two commands of one client another gets its answer; too many of one kind end the dialogue."""
    async with serving(store, limits=few(commands=5000)) as server:
        flood, other = await server.call(), await server.call()
        flood.writer.write(b"NOOP\r\n" * 5001)
        answered = 0
        asked = asyncio.create_task(other.ask("NOOP"))
        while not asked.done():
            assert (await flood.hear()).startswith("250")
            answered += 1
        while (answer := await flood.hear()).startswith("250"):
            answered += 1

    assert (await asked).startswith("250")
    assert answered == 5000
    assert answer.startswith("421 4.7.0")


async def talk_for_ever(line: Line) -> None:
    while True:
        async with asyncio.timeout(10):
            line.writer.write(b"VRFY x\r\n" * 10_000)
            await line.writer.drain()


async def test_a_client_that_does_not_listen_is_cut(store: Store) -> None:
    """Answers that nobody reads do not keep a connection for ever."""
    async with serving(store, limits=few(idle_s=0.2, commands=10**9, connections=1)) as server:
        deaf = await server.call(receive_bytes=2048)
        await deaf.ask("EHLO there")
        deaf.writer.transport.pause_reading()
        with pytest.raises(ConnectionError):
            await talk_for_ever(deaf)
        line = await server.call()

        assert (await line.ask("NOOP")).startswith("250")


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = builder.add_extension(host, critical=True).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"certificate": folder / "mx.pem", "key": folder / "mx.key"}
    files["certificate"].write_bytes(signed.public_bytes(pem))
    files["key"].write_bytes(private)
    return files


async def send_by_tls(port: int, certificate: Path) -> str:
    trusted = ssl.create_default_context(cafile=certificate)
    async with client_of(port, start_tls=True, tls_context=trusted) as client:
        return (await client.sendmail("customer@example.org", ["help@example.com"], MAIL))[1]


async def test_mail_comes_over_tls(store: Store, certificate: dict[str, Path]) -> None:
    """With a certificate STARTTLS is offered once, and mail comes through it."""
    async with serving(store, **certificate) as server:
        answer = await send_by_tls(server.port, certificate["certificate"])

    assert answer == "2.0.0 stored"
    assert store.kept[0].body == MAIL


def test_mail_comes_over_tls_on_uvloop(certificate: dict[str, Path]) -> None:
    """The loop that serves in production has transports of its own: with them everything is the same."""

    async def send() -> tuple[str, list[Request]]:
        store = Store()
        store.gate.set()
        async with serving(store, **certificate) as server:
            line = await server.call()
            await line.begin("EHLO")
            await line.hand_over()
            return await send_by_tls(server.port, certificate["certificate"]), store.kept

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer, kept = runner.run(send())

    assert answer == "2.0.0 stored"
    assert [request.body for request in kept] == [MAIL, MAIL]


async def test_a_client_that_never_takes_its_leave_is_cut(store: Store, certificate: dict[str, Path]) -> None:
    """TLS ends with a word from both sides (RFC 8446, section 6.1); whoever does not say it makes room all the same."""
    trusted = ssl.create_default_context(cafile=certificate["certificate"])
    async with serving(store, limits=few(idle_s=0.2, linger_s=0.1, connections=1), **certificate) as server:
        stuck = await server.call()
        await stuck.ask("EHLO there")
        await stuck.ask("STARTTLS")
        await stuck.writer.start_tls(trusted, server_hostname="127.0.0.1")
        stuck.writer.transport.pause_reading()
        async with asyncio.timeout(5):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                greeting = await reader.readline()
                writer.close()
                if greeting.startswith(b"220"):
                    break

    assert store.kept == []


@pytest.mark.parametrize(("protocol", "hello"), [("smtp", "EHLO"), ("lmtp", "LHLO")])
async def test_tls_can_be_required(store: Store, certificate: dict[str, Path], protocol: str, hello: str) -> None:
    """Where it is, nothing is taken in the clear."""
    async with serving(store, **certificate, require_tls=True, protocol=protocol) as server:
        line = await server.call()
        greeted = await line.ask(f"{hello} there")
        refused = await line.ask("MAIL FROM:<customer@example.org>")

    assert greeted.startswith("250")
    assert refused.startswith("530 5.7.0")


async def test_what_was_said_before_tls_is_forgotten(store: Store, certificate: dict[str, Path]) -> None:
    """Commands that somebody has slipped in before the encryption began are not carried out (CVE-2011-0411)."""
    trusted = ssl.create_default_context(cafile=certificate["certificate"])
    async with serving(store, **certificate) as server:
        line = await server.call()
        await line.begin("EHLO")
        line.writer.write(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        assert (await line.hear()).startswith("220")
        await line.writer.start_tls(trusted, server_hostname="127.0.0.1")
        answers = [await line.ask("MAIL FROM:<customer@example.org>"), await line.ask("EHLO there")]

    assert [answer[:3] for answer in answers] == ["503", "250"]


async def test_a_handshake_that_fails_does_no_harm(store: Store, certificate: dict[str, Path]) -> None:
    """Whoever speaks no TLS after STARTTLS is cut off; others go on."""
    async with serving(store, **certificate) as server:
        line = await server.call()
        await line.ask("EHLO there")
        await line.ask("STARTTLS")
        line.writer.write(b"no handshake\r\n" * 10)
        async with asyncio.timeout(10):
            await line.reader.read()
        answer = await send_by_tls(server.port, certificate["certificate"])

    assert answer == "2.0.0 stored"


# --- the end ---


async def hand_over_while_closing(
    store: Store, limits: Limits, before: Callable[[Line], Awaitable[Any]]
) -> tuple[str, str]:
    """Close while one client is within a message and one is idle; return what both hear."""
    async with AsyncExitStack() as stack:
        settings = ListenSettings(port=0, protocol="smtp")
        listening = listen(settings, OWN, LARGEST, "mx.example.com", store.receive, limits=limits)
        server = Server(await listening.__aenter__(), stack)
        busy, idle = await server.call(), await server.call()
        await busy.begin("EHLO")
        await busy.ask("DATA")
        async with asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(listening.__aexit__(None, None, None))
            heard = await idle.hear()
            await before(busy)
            answer = await busy.hear()
            await closing
        with pytest.raises(OSError, match="onnect"):
            await server.call()
    return heard, answer


async def test_closing_lets_a_message_end(store: Store) -> None:
    """An idle client is sent away, one within a message is listened to until it is stored, and nobody else gets in."""

    async def finish(line: Line) -> None:
        line.writer.write(MAIL + b".\r\n")

    idle, busy = await hand_over_while_closing(store, few(), finish)

    assert idle.startswith("421 4.3.2")
    assert busy.startswith("250")
    assert [request.body for request in store.kept] == [MAIL]


async def test_closing_takes_no_further_message(store: Store, certificate: dict[str, Path]) -> None:
    """What a client has sent ahead of the answer stays with it: nobody could tell it any more that we have it."""
    trusted = ssl.create_default_context(cafile=certificate["certificate"])
    settings = ListenSettings(port=0, protocol="smtp", **certificate)
    limits = few(closing_s=0.3)
    async with AsyncExitStack() as stack:
        listening = listen(settings, OWN, LARGEST, "mx.example.com", store.receive, limits=limits)
        busy = await Server(await listening.__aenter__(), stack).call()
        await busy.ask("EHLO there")
        await busy.ask("STARTTLS")
        await busy.writer.start_tls(trusted, server_hostname="127.0.0.1")
        await busy.begin("EHLO")
        await busy.ask("DATA")
        busy.writer.transport.pause_reading()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listening.__aexit__(None, None, None))
            await asyncio.sleep(0)
            ahead = b"MAIL FROM:<>\r\nRCPT TO:<help@example.com>\r\nDATA\r\n"
            busy.writer.write(MAIL + b".\r\n" + ahead + MAIL + b".\r\n")

    assert [request.body for request in store.kept] == [MAIL]


async def test_closing_does_not_wait_for_ever(store: Store) -> None:
    """A message that does not end in time is cut off and not kept."""

    async def dawdle(line: Line) -> None:
        line.writer.write(MAIL)

    idle, busy = await hand_over_while_closing(store, few(closing_s=0.1), dawdle)

    assert idle.startswith("421 4.3.2")
    assert busy == ""
    assert store.kept == []


async def test_nobody_can_listen_where_somebody_listens(store: Store) -> None:
    """An address that is taken is an error at the start."""
    async with serving(store) as server:
        with pytest.raises(OSError, match="in use"):
            async with serving(store, port=server.port):
                pytest.fail("two servers listen on one port")


async def test_addresses_are_not_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the library nor we write down who wrote to whom."""
    caplog.set_level("DEBUG")
    store.broken = OSError("customer@example.org")
    async with serving(store) as server:
        line = await server.call()
        await line.begin("EHLO")
        await line.hand_over()

    assert "example.org" not in caplog.text
