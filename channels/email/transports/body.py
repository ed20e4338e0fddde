"""The body of a request, wherever it lies, a piece at a time: a large mail never stands in memory whole for a check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO, Protocol

from channels.base import Request

CHUNK_BYTES = 64 * 1024  # bytes.find is linear from 30 kB on, whatever is looked for: CPython, Objects/stringlib


class Digest(Protocol):
    """A hash that grows."""

    def update(self, data: bytes, /) -> None:
        """Add some bytes."""


class Body:
    """Bytes that can be searched and read in pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` up to ``end``, fewer where the body ends before."""
        self._file.seek(start)
        return self._file.read(max(0, end - start))

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``end`` in pieces."""
        last = self.size if end is None else end
        while start < last:
            yield self.read(start, min(last, start + CHUNK_BYTES))
            start += CHUNK_BYTES

    def find(self, wanted: bytes, start: int, end: int) -> int:
        """Return where ``wanted`` stands first between ``start`` and ``end``, or -1."""
        while start < end:
            at = self.read(start, min(end, start + CHUNK_BYTES + len(wanted) - 1)).find(wanted)
            if at >= 0:
                return start + at
            start += CHUNK_BYTES
        return -1


def size_of(request: Request) -> int:
    """Return how many bytes a request's body has."""
    return len(request.body) if request.file is None else request.file.stat().st_size


def add_to(digest: Digest, request: Request) -> None:
    """Hash a request's body behind what has been hashed already; reads a file, so a loop calls it in a thread."""
    with opened(request) as body:
        for piece in body.pieces():
            digest.update(piece)


@contextmanager
def opened(request: Request) -> Iterator[Body]:
    """Give the body of a request, open for as long as the context."""
    with BytesIO(request.body) if request.file is None else request.file.open("rb") as file:
        yield Body(file)
