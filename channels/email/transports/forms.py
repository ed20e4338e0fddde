"""Forms as providers post them, multipart (RFC 7578) or urlencoded: each field is read only where it is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote_to_bytes

from channels.base import Request
from channels.email.transports.base import MAX_HEAD_BYTES, head_of, media_type
from channels.email.transports.body import Body, opened
from channels.errors import PayloadError

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 2000  # Mailgun posts each header of the mail as a field of its own
MAX_FIELD_HEAD_BYTES = 16 * 1024
MAX_BOUNDARY = 200  # RFC 2046 allows 70

_PARAMETER = re.compile(r';\s*([A-Za-z*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))')
_ESCAPED = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Field:
    """One field, and where its value lies in the body."""

    name: str
    start: int
    end: int
    filename: str | None = None
    content_type: str | None = None


class Form:
    """A form whose body is open."""

    def __init__(self, body: Body, fields: Iterable[Field], *, is_urlencoded: bool) -> None:
        self.fields = tuple(fields)
        self._body = body
        self._is_urlencoded = is_urlencoded

    def named(self, name: str) -> tuple[Field, ...]:
        """Return every field of that name, in the form's order."""
        return tuple(field for field in self.fields if field.name == name)

    def first(self, name: str) -> Field | None:
        """Return the first field of that name, or None."""
        return next(iter(self.named(name)), None)

    def size(self, field: Field) -> int:
        """Return how many bytes the value has."""
        if not self._is_urlencoded:
            return field.end - field.start
        return sum(map(len, self.pieces(field)))

    def read(self, field: Field, at_most: int | None = None) -> bytes:
        """Return the value, or its first bytes: ``at_most``, or up to three times as many."""
        return b"".join(self.pieces(field, at_most))

    def pieces(self, field: Field, at_most: int | None = None) -> Iterator[bytes]:
        """Yield what ``read`` returns in pieces."""
        end = (
            field.end if at_most is None else min(field.end, field.start + at_most * (3 if self._is_urlencoded else 1))
        )
        pieces = self._body.pieces(field.start, end)
        return _decoded(pieces) if self._is_urlencoded else pieces

    def text(self, name: str) -> str:
        """Return the first value of that name as text; empty where there is none, or where it is no short text."""
        field = self.first(name)
        if field is None or field.end - field.start > MAX_HEAD_BYTES * 3:
            return ""
        return self.read(field).decode("utf-8", "replace")

    def message(self, field: Field, max_bytes: int) -> tuple[bytes, int | None]:
        """Return a message that a field holds; where it is larger than that, its headers and its size."""
        size = self.size(field)
        if size <= max_bytes:
            return self.read(field), None
        return head_of(self.read(field, MAX_HEAD_BYTES)), size


@contextmanager
def opened_form(request: Request) -> Iterator[Form]:
    """Give the form in a request, open for as long as the context.

    Raises:
        PayloadError: it is no form, or breaks off.
    """
    kind = media_type(request)
    if kind not in (MULTIPART, URLENCODED):
        raise PayloadError("not a form")
    with opened(request) as body:
        if kind == URLENCODED:
            yield Form(body, _urlencoded(body), is_urlencoded=True)
        else:
            yield Form(body, _multipart(body, _boundary(request)), is_urlencoded=False)


# --- urlencoded ---


def _urlencoded(body: Body) -> list[Field]:
    found: list[Field] = []
    start = 0
    while start < body.size:
        end = body.find(b"&", start, body.size)
        end = body.size if end < 0 else end
        name = body.read(start, min(end, start + MAX_FIELD_HEAD_BYTES)).partition(b"=")[0]
        text = unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8", "replace")
        found.append(Field(text, min(end, start + len(name) + 1), end))
        _check_count(found)
        start = end + 1
    return found


def _decoded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decode a value piece by piece: the standard library makes a list of all its escapes, which may be 25 million."""
    left = b""
    for piece in pieces:
        text = left + piece.replace(b"+", b" ")
        cut = text.rfind(b"%", max(0, len(text) - 2))  # an escape that the next piece completes
        left = b"" if cut < 0 else text[cut:]
        yield unquote_to_bytes(text[: len(text) - len(left)])
    yield unquote_to_bytes(left)


# --- multipart ---


def _boundary(request: Request) -> bytes:
    header = Message()
    header["Content-Type"] = (request.header("Content-Type") or "").encode("ascii", "replace").decode()
    boundary = header.get_boundary()
    if not boundary or len(boundary) > MAX_BOUNDARY:
        raise PayloadError("a form without a boundary")
    return boundary.encode("ascii", "replace")


def _multipart(body: Body, boundary: bytes) -> list[Field]:
    found: list[Field] = []
    delimiter = b"\r\n--" + boundary
    opening = body.read(0, len(delimiter) - 2)
    at = len(opening) if opening == delimiter[2:] else _behind(body, delimiter, 0)
    while body.read(at, at + 2) != b"--":
        start = body.find(b"\r\n\r\n", at, min(body.size, at + MAX_FIELD_HEAD_BYTES))
        if start < 0:
            raise PayloadError("the form breaks off")
        head = body.read(at, start)
        at = _behind(body, delimiter, start + 2)
        found.append(_field(head, start + 4, max(start + 4, at - len(delimiter))))
        _check_count(found)
    return found


def _behind(body: Body, delimiter: bytes, start: int) -> int:
    """Return where the next part's headers, or the closing ``--``, begin."""
    while (at := body.find(delimiter, start, body.size)) >= 0:
        start = at + len(delimiter)
        if body.read(start, start + 2) in (b"\r\n", b"--"):  # else it only begins like the boundary
            return start
    raise PayloadError("the form breaks off")


def _field(head: bytes, start: int, end: int) -> Field:
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    given = {
        name.lower(): _ESCAPED.sub(r"\1", quoted) if quoted else bare
        for name, quoted, bare in _PARAMETER.findall(headers.get("content-disposition", ""))
    }
    extended = given.get("filename*", "").rpartition("''")[2]  # RFC 5987; the charset is UTF-8 with every client
    filename = unquote_to_bytes(extended).decode("utf-8", "replace") or given.get("filename")
    return Field(given.get("name", ""), start, end, filename, headers.get("content-type"))


def _check_count(found: list[Field]) -> None:
    if len(found) > MAX_FIELDS:
        raise PayloadError(f"a form of more than {MAX_FIELDS} fields")
