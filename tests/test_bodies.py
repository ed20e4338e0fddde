"""Large bodies at the door: a disk that is full, peers that take all places, and peers that dribble."""

from __future__ import annotations

import asyncio
import io
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from channels.base import Channel, Reply, Request
from gateway.metrics import Metrics
from gateway.web import bodies
from gateway.web.door import Door
from gateway.web.server import Server
from tests.loopback import LoopbackChannel, roster_of

STRANGER = "8.8.8.8"
KILOBYTE = 1024
LARGE = bytes(range(256)) * 4 * 3 * KILOBYTE


class LargeChannel(LoopbackChannel):
    """Takes large bodies from anybody."""

    max_body_bytes = 50 * KILOBYTE * KILOBYTE

    def admit(self, request: Request) -> None:
        """Refuse nothing."""


class Taking:
    """An inbox that answers with how much it was given, and whether that was whole."""

    async def receive(self, channel: Channel, request: Request) -> Reply:
        """Use a request up."""
        content = request.content()
        if request.file is not None:
            request.file.unlink()
        return Reply(200, f"{len(content)} {content == LARGE[: len(content)]}")


class Street(Door):
    """A door that takes who names an address for who has it; ``url`` is where."""

    url = ""

    async def handle(self, request: web.Request) -> web.Response:
        return await super().handle(request.clone(remote=request.headers.get("X-Address", "127.0.0.1")))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Street]:
    """Open a door to which large bodies come."""
    folder = tmp_path / "bodies"
    opened = Street(Taking(), roster_of(LargeChannel("mail")), Metrics(), max_body_bytes=1000, folder=folder)
    server = Server([opened], host="127.0.0.1", port=0)
    await server.start()
    opened.url = f"http://127.0.0.1:{server.port}/webhooks/mail"
    yield opened
    await server.stop()


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let files grow up to a size: what goes beyond it is written in part, and refused the next time."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_a_reason_to_come_again(door: Street, tmp_path: Path) -> None:
    """Neither is half a body taken for a whole one, nor is anything of it left."""
    async with aiohttp.ClientSession() as session:
        with disk_of(2500 * KILOBYTE):
            async with session.post(door.url, data=io.BytesIO(LARGE)) as full:
                left = list((tmp_path / "bodies").iterdir())
        async with session.post(door.url, data=io.BytesIO(LARGE)) as room:
            text = await room.text()

    assert (full.status, full.headers.get("Retry-After")) == (503, "5")
    assert left == []
    assert (room.status, text) == (200, f"{len(LARGE)} True")


@asynccontextmanager
async def begun(session: aiohttp.ClientSession, door: Street, address: str, count: int) -> AsyncIterator[None]:
    """Let somebody begin large bodies and not end them, until the context ends."""
    over = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield LARGE[: 300 * KILOBYTE]
        await over.wait()

    async def post() -> int:
        async with session.post(door.url, data=body(), headers={"X-Address": address}) as response:
            return response.status

    posts = [asyncio.create_task(post()) for _ in range(count)]
    while door._large_bodies._count < count:
        await asyncio.sleep(0.01)
    yield
    over.set()
    assert await asyncio.gather(*posts) == [200] * count


@pytest.mark.parametrize(
    ("address", "count", "statuses"),
    [(STRANGER, 4, [503, 200, 200]), ("10.0.0.7", 15, [200, 200, 200]), ("10.0.0.7", 16, [503, 503, 503])],
)
async def test_one_stranger_does_not_take_every_place(
    door: Street, address: str, count: int, statuses: list[int]
) -> None:
    """Nobody else has to wait; a proxy, through which everybody comes, may send as many as there are places."""
    found = []
    async with aiohttp.ClientSession() as session, begun(session, door, address, count):
        for other in (address, "9.9.9.9", "127.0.0.1"):
            async with session.post(door.url, data=io.BytesIO(LARGE), headers={"X-Address": other}) as response:
                found.append(response.status)

    assert found == statuses


@pytest.mark.parametrize(("piece", "status"), [(100 * KILOBYTE, 200), (KILOBYTE, 408)], ids=["slow", "dribbling"])
async def test_a_large_body_has_as_long_as_it_comes_on(
    door: Street, monkeypatch: pytest.MonkeyPatch, piece: int, status: int
) -> None:
    """A slow line is waited for beyond the first moment; one that hardly sends anything is not."""
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.4)
    monkeypatch.setattr(bodies, "LEAST_BYTES_PER_S", 500 * KILOBYTE)

    async def body() -> AsyncIterator[bytes]:
        yield LARGE[: 300 * KILOBYTE]
        for start in range(10):
            await asyncio.sleep(0.1)
            yield LARGE[300 * KILOBYTE + start * piece :][:piece]

    async with aiohttp.ClientSession() as session, session.post(door.url, data=body()) as response:
        assert response.status == status
