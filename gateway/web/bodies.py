"""Bodies of webhooks: small ones in memory, large ones in files, and both within limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from io import RawIOBase
from pathlib import Path

from aiohttp import web

from gateway.web.peers import Peers

READ_TIMEOUT_S = 20.0  # a stranger who dribbles a body in does not hold a connection for longer
LEAST_BYTES_PER_S = 50_000
"""How fast a large body has to come, on average, once the first 20 s are over."""
IN_MEMORY = 256 * 1024
"""What is longer goes to a file, where its channel takes large bodies."""
PIECE = 1024 * 1024
LARGE_AT_ONCE = 16
LARGE_OF_ONE_PEER = 4
"""Of those at once, how many one address of the internet may send: it does not take the place of all others."""


class TooLong(Exception):
    """The body is longer than allowed; the rest of it was not read."""


class TooBusy(Exception):
    """As many large bodies as we take at once are being read."""


async def read(request: web.Request, max_bytes: int) -> bytes:
    """Read a body into memory.

    Raises:
        TooLong: it is longer than ``max_bytes``.
        TimeoutError: it took too long.
        ConnectionError, aiohttp.ClientError: it ended early.
    """
    body = bytearray()
    async with asyncio.timeout(READ_TIMEOUT_S):
        async for chunk in _chunks(request, max_bytes):
            body += chunk
    return bytes(body)


class LargeBodies:
    """Reads bodies that may be too large for memory, into files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._peers = Peers(LARGE_OF_ONE_PEER)

    async def read(self, request: web.Request, max_bytes: int) -> bytes | Path:
        """Read a body; returns it, or the file that it is in, which belongs to the caller.

        Raises:
            TooBusy: too many are being read at once, or from this peer.
            OSError: the disk does not take it.
            TooLong, TimeoutError, ConnectionError, aiohttp.ClientError: as of ``read``; there is no file then.
        """
        chunks = _chunks(request, max_bytes)
        body = bytearray()
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in chunks:
                body += chunk
                if len(body) > IN_MEMORY:
                    break
            else:
                return bytes(body)
        with self._place(request.remote or ""):
            return await self._to_file(_in_time(chunks), body)

    @contextlib.contextmanager
    def _place(self, address: str) -> Iterator[None]:
        if self._count >= LARGE_AT_ONCE or not self._peers.enter(address):
            raise TooBusy
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._peers.leave(address)

    async def _to_file(self, chunks: AsyncIterator[bytes], body: bytearray) -> Path:
        path = self._folder / uuid.uuid4().hex
        file = await asyncio.to_thread(_create, path)
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) >= PIECE:
                    await asyncio.to_thread(_write, file, body)
                    body = bytearray()
            await asyncio.to_thread(_write, file, body)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            raise
        finally:
            file.close()
        return path


def _create(path: Path) -> RawIOBase:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path.open("wb", buffering=0)


def _write(file: RawIOBase, data: bytearray) -> None:
    """Write all of it: a disk that becomes full takes a part, and says so only the next time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces as long as they come fast enough.

    Raises:
        TimeoutError: they do not any more.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + READ_TIMEOUT_S
    while True:
        try:
            async with asyncio.timeout_at(until):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        until += len(chunk) / LEAST_BYTES_PER_S
        yield chunk


async def _chunks(request: web.Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield a body's pieces.

    Raises:
        TooLong: there are more than ``max_bytes``.
    """
    if (request.content_length or 0) > max_bytes:
        raise TooLong
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise TooLong
        yield chunk
