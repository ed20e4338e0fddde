"""What the benchmarks measure with."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks import stubs
from benchmarks.load import post_all, webhook


async def test_an_answer_counts_from_its_status_line() -> None:
    """What the rest of an answer takes is no part of the way from the acknowledgement to the model."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"Content-Length: 2\r\n\r\nok")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        load = await post_all(server.sockets[0].getsockname()[1], [webhook(1, "+15550000001")], 1)
        read_at_s = time.perf_counter()

    assert load.statuses == [200]
    assert load.latencies_s[0] >= 0.3
    assert read_at_s - load.acked_at_s[0] >= 0.3


@pytest.mark.parametrize("word", re.findall(r"stubs (\S+)``", stubs.__doc__ or "")[0].split("|"))
async def test_what_is_documented_to_be_served_is(word: str) -> None:
    """Each word that the module's first lines name is a server."""
    app = stubs.APPS[word]()
    assert isinstance(app, web.Application)
    async with TestServer(app) as server:
        assert server.port
