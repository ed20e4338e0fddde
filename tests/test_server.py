"""The server under strangers: what they hold open, leave unfinished and hang up on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from channels.base import Channel, Reply, Request
from gateway.metrics import Metrics
from gateway.web.bodies import TooLong, read
from gateway.web.connection import Connection
from gateway.web.door import Door
from gateway.web.peers import Peers
from gateway.web.seldom import Seldom
from gateway.web.server import Server
from tests.loopback import LoopbackChannel, roster_of

HEALTH = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"\r\nConnection: close\r\n\r\n"
LARGE_BYTES = 16 * 1024 * 1024  # more than the kernel keeps for both ends of a connection
STRANGER = "8.8.8.8"


class Page:
    """Answers with how many bytes it was given."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/x", self.answer)
        router.add_get("/large", self.large)
        router.add_get("/stream", self.stream)
        router.add_get("/broken", self.broken)

    async def answer(self, request: web.Request) -> web.Response:
        try:
            return web.Response(text=f"{len(await read(request, 1000))} bytes")
        except TooLong:
            return web.Response(text="too long")

    async def large(self, _: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE_BYTES))

    async def broken(self, _: web.Request) -> web.Response:
        raise RuntimeError("a secret")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1024))
            await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve a page to at most three connections, which have a moment to say something."""
    opened = Server([Page()], host="127.0.0.1", port=0, max_connections=3, first_request_s=0.2)
    await opened.start()
    yield opened
    await opened.stop()


@asynccontextmanager
async def impatient(write_timeout_s: float) -> AsyncIterator[Server]:
    """Serve a page to peers that must take its answers soon."""
    opened = Server([Page()], host="127.0.0.1", port=0, max_connections=3, write_timeout_s=write_timeout_s)
    await opened.start()
    yield opened
    await opened.stop()


async def deaf(server: Server, sent: bytes) -> socket.socket:
    """Ask and read nothing."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", server.port))
    await loop.sock_sendall(peer, sent)
    return peer


async def dropped(server: Server) -> bool:
    """Tell whether the server, once it has a connection, soon has none any more."""
    assert server._runner is not None
    assert server._runner.server is not None
    try:
        async with asyncio.timeout(5):
            while not server._runner.server.connections:
                await asyncio.sleep(0.01)
            while server._runner.server.connections:
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def ask(server: Server, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    return reader, writer


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read until the server hangs up."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b"reset"


@pytest.mark.parametrize("sent", [b"", b"POST /x HTTP/1.1\r\nHost: x\r\nX-Half: "], ids=["nothing", "half a head"])
async def test_a_connection_that_says_nothing_is_dropped(server: Server, sent: bytes) -> None:
    """Who connects and does not ask holds a connection for a moment only."""
    reader, writer = await ask(server, sent)
    heard = await rest(reader)
    writer.close()

    assert heard in (b"", b"reset")


async def test_a_connection_that_asked_is_kept_for_the_next_request(server: Server) -> None:
    """Platforms reuse their connections: after the first request the moment to say something is over."""
    reader, writer = await ask(server, HEALTH)
    first = await reader.readuntil(b"0 bytes")
    await asyncio.sleep(0.3)
    writer.write(HEALTH)
    second = await reader.readuntil(b"0 bytes")
    writer.close()

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


async def test_connections_beyond_the_limit_are_turned_away(server: Server) -> None:
    """The process keeps file descriptors for its own work; who had a connection goes on, and room is reused."""
    kept = [await ask(server, HEALTH) for _ in range(3)]
    for reader, _ in kept:
        await reader.readuntil(b"0 bytes")
    away, away_writer = await ask(server, b"")
    refused = await rest(away)
    kept[0][1].write(HEALTH)
    still = await kept[0][0].readuntil(b"0 bytes")
    kept[1][1].close()
    async with asyncio.timeout(5):
        while True:
            reader, writer = await ask(server, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            again = await rest(reader)
            writer.close()
            if again.startswith(b"HTTP/1.1 200"):
                break
    for _, writer in (*kept, (away, away_writer)):
        writer.close()

    assert refused in (b"", b"reset")
    assert still.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [HEALTH * 200 + LARGE + HEALTH, LARGE.replace(b"\r\n\r\n", LAST), STREAM],
    ids=["pipelined", "closing", "a stream"],
)
async def test_a_peer_that_reads_no_answer_is_dropped(sent: bytes) -> None:
    """Who asks and never reads holds a connection for a while only, also where the server has closed its end."""
    async with impatient(write_timeout_s=0.3) as server:
        with capture_logs() as logs:
            peer = await deaf(server, sent)
            ended = await dropped(server)
        peer.close()

    assert ended
    assert {"event": "connections_dropped", "reason": "answer not read", "count": 1, "log_level": "warning"} in logs


async def test_a_slow_peer_gets_its_whole_answer() -> None:
    """A telephone far from its mast takes longer than the time in which something has to be taken."""
    async with impatient(write_timeout_s=0.2) as server:
        reader, writer = await ask(server, LARGE.replace(b"\r\n\r\n", LAST))
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while piece := await reader.read(512 * 1024):
            size += len(piece)
            await asyncio.sleep(0.01)
        writer.close()

    assert size == LARGE_BYTES


@pytest.mark.parametrize(
    ("address", "others", "counted"),
    [
        ("8.8.8.8", "8.8.8.8", True),
        ("8.8.8.8", "8.8.4.4", False),
        ("8.8.8.8", "::ffff:8.8.8.8", True),
        ("2606:4700::1", "2606:4700::2", True),
        ("2606:4700::1", "2606:4700:0:1::1", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("10.1.2.3", "10.1.2.3", False),
        ("fd00::1", "fd00::1", False),
        ("", "", False),
    ],
)
def test_an_address_of_the_internet_has_so_many_connections(address: str, others: str, counted: bool) -> None:
    """A stranger's addresses count together; behind a private one is a proxy, through which everybody comes."""
    peers = Peers(most=2)
    peers.enter(others)
    peers.enter(others)
    full = not peers.enter(address)
    peers.leave(others)
    again = peers.enter(address)

    assert full is counted
    assert again


class Line(asyncio.Transport):
    """A connection from a stranger's address."""

    aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (STRANGER, 4711) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        pass


async def test_a_stranger_does_not_take_everybodys_connections(server: Server) -> None:
    """A connection too many from one address is dropped at once; one that ends makes room."""
    assert server._runner is not None
    assert server._runner.server is not None
    peers, lines = Peers(most=1), [Line(), Line(), Line()]
    first, second, third = (Connection(server._runner.server, peers, Seldom(), 1.0) for _ in lines)
    first.connection_made(lines[0])
    second.connection_made(lines[1])
    second.connection_lost(None)
    first.connection_lost(None)
    third.connection_made(lines[2])
    third.connection_lost(None)

    assert [line.aborted for line in lines] == [False, True, False]


def test_the_limit_of_file_descriptors_is_raised_as_far_as_connections_need() -> None:
    """A shell's usual 1024 descriptors would leave room for half as many connections, whatever the system allows."""
    script = """
import resource
from gateway.web.server import MAX_CONNECTIONS, affordable_connections
hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 3000)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
assert affordable_connections() == hard // 2, affordable_connections()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /x<script> HTTP/9.9\r\n\r\n", b"400"),
        (b"\x16\x03\x01 secret\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nHost: x\r\nBad Header\x00: <script>\r\n\r\n", b"400"),
        (b"GET /x HTTP/1.1\r\nHost: x\r\nExpect: <script>" + LAST, b"417"),
    ],
    ids=["version", "tls", "header", "expect"],
)
async def test_what_is_no_request_is_answered_without_a_word(server: Server, sent: bytes, status: bytes) -> None:
    """The answer repeats nothing of what a stranger sent and names no version of any program."""
    reader, writer = await ask(server, sent)
    head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
    writer.close()

    assert head.split()[1] == status
    assert b"Server: Frontdesk\r\n" in head + b"\r\n"
    assert body == b""


@pytest.mark.parametrize("path", [b"/x", b"/nowhere"])
async def test_an_answer_names_no_version(server: Server, path: bytes) -> None:
    """Which holes to try is for the stranger to find out."""
    reader, writer = await ask(server, b"GET " + path + b" HTTP/1.1\r\nHost: x" + LAST)
    head = (await rest(reader)).partition(b"\r\n\r\n")[0]
    writer.close()

    assert b"Server: Frontdesk\r\n" in head + b"\r\n"
    assert b"aiohttp" not in head


async def test_malformed_requests_are_logged_now_and_then(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A stranger who sends nothing but rubbish gets one line, not one for each; aiohttp writes none of its own."""
    with capture_logs() as logs:
        for _ in range(5):
            reader, writer = await ask(server, b"RUBBISH\r\n\r\n")
            await rest(reader)
            writer.close()

    assert logs == [{"event": "connections_dropped", "reason": "malformed request", "count": 1, "log_level": "warning"}]
    assert caplog.records == []


async def test_a_page_that_fails_is_logged_and_answered_without_a_word(server: Server) -> None:
    """A fault of ours is the operator's to read, not the stranger's."""
    with capture_logs() as logs:
        reader, writer = await ask(server, b"GET /broken HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n")
        head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 500")
    assert body == b""
    assert [line["event"] for line in logs] == ["page_failed"]


class Verifying:
    """Stands for the inbox, which lets in what its channel does."""

    async def receive(self, channel: Channel, request: Request) -> Reply:
        await channel.verify(request)
        return Reply()


async def test_refused_webhooks_are_logged_now_and_then() -> None:
    """Forging costs a stranger nothing: the log gets one line for many refusals, the metrics count them all."""
    metrics = Metrics()
    door = Door(Verifying(), roster_of(LoopbackChannel("sms")), metrics, max_body_bytes=1000, folder=Path("unused"))
    opened = Server([door], host="127.0.0.1", port=0, max_connections=30)
    await opened.start()
    with capture_logs() as logs:
        for _ in range(5):
            reader, writer = await ask(opened, b"POST /webhooks/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 0" + LAST)
            answer = await rest(reader)
            writer.close()
    await opened.stop()

    assert answer.startswith(b"HTTP/1.1 403")
    assert [(line["event"], line["channel"], line["count"], line["status"]) for line in logs] == [
        ("webhook_refused", "sms", 1, 403)
    ]
    assert metrics.webhooks.labels("sms", "403")._value.get() == 5


def test_a_repeated_line_says_how_often_it_was_not_said() -> None:
    """The first is told at once, the others together after a minute; each word has a count of its own."""
    seldom = Seldom(every_s=60)
    told = [seldom.count("sms", now_s) for now_s in (0.0, 1.0, 59.0, 60.0, 61.0)]
    other = seldom.count("whatsapp", 61.0)

    assert told == [1, None, None, 3, None]
    assert other == 1
