"""Bodies of webhooks: small ones in memory, large ones in files, and both within limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

READ_TIMEOUT_S = 20.0  # a stranger who dribbles a body in does not hold a connection for longer
LARGE_TIMEOUT_S = 180.0  # 50 MB over 3 Mbit/s
IN_MEMORY = 256 * 1024
"""What is longer goes to a file, where its channel takes large bodies."""
PIECE = 1024 * 1024
LARGE_AT_ONCE = 16


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

    async def read(self, request: web.Request, max_bytes: int) -> bytes | Path:
        """Read a body; returns it, or the file that it is in, which belongs to the caller.

        Raises:
            TooBusy: too many are being read at once.
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
        if self._count >= LARGE_AT_ONCE:
            raise TooBusy
        self._count += 1
        try:
            async with asyncio.timeout(LARGE_TIMEOUT_S):
                return await self._to_file(chunks, body)
        finally:
            self._count -= 1

    async def _to_file(self, chunks: AsyncIterator[bytes], body: bytearray) -> Path:
        path = self._folder / uuid.uuid4().hex
        file = await asyncio.to_thread(_create, path)
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) >= PIECE:
                    await asyncio.to_thread(file.write, body)
                    body = bytearray()
            await asyncio.to_thread(file.write, body)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            raise
        finally:
            file.close()
        return path


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path.open("wb", buffering=0)


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
