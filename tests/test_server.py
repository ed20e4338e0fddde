"""The server under strangers: what they hold open, leave unfinished and hang up on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.web.door import _read
from gateway.web.server import Server

HEALTH = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


class Page:
    """Answers with how many bytes it was given."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/x", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        body = await _read(request, 1000)
        return web.Response(text="too long" if body is None else f"{len(body)} bytes")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve a page to at most three connections, which have a moment to say something."""
    opened = Server([Page()], host="127.0.0.1", port=0, max_connections=3, first_request_s=0.2)
    await opened.start()
    yield opened
    await opened.stop()


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
