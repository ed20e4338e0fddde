"""A message made again of the fields into which a provider has taken it apart, so that one reader reads every mail."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from channels.email.envelope import Envelope
from channels.email.transports.wild import a_text

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")  # RFC 6838, section 4.2
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322, section 3.6.8
_REPORT = re.compile(r"""multipart/report\b.*?;\s*report-type\s*=\s*"?([a-z-]{1,40})\b""", re.I | re.S)
_BREAKS = re.compile(rb"[\r\n]+[ \t]*")
_SLICE_BYTES = 57 * 1024  # 57 bytes make a line
_OCTETS = "application/octet-stream"
_REPLACED = (b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version")
"""Headers that speak of the body as it was."""


@dataclass(frozen=True, slots=True)
class Text:
    """A body in the charset in which the provider gave it."""

    content: bytes
    charset: str = "utf-8"


@dataclass(frozen=True, slots=True)
class File:
    """An attachment."""

    content: bytes
    content_type: str | None = None
    name: str | None = None
    content_id: str | None = None
    """With or without its angle brackets."""


Headers = Sequence[tuple[bytes, bytes]]


def as_header(name: object, value: object) -> tuple[bytes, bytes]:
    """Return a header that a provider gave as text; what is beyond ASCII stays UTF-8 (RFC 6532)."""
    return a_text(name).encode("utf-8", "replace"), a_text(value).encode("utf-8", "replace")


def rebuild(headers: Headers, text: Text | None, html: Text | None, files: Iterable[File] = ()) -> bytes:
    """Return a message (RFC 5322); the same fields always make the same bytes."""
    bodies = [_text(part, kind) for part, kind in ((text, "plain"), (html, "html")) if part is not None]
    body = bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies or [_text(Text(b""), "plain")])
    attached = [_file(file) for file in files]
    report = _report_type(headers)
    if report:
        body = _multipart(f'report; report-type="{report}"', [body, *attached])
    elif attached:
        body = _multipart("mixed", [body, *attached])
    return head_lines(headers) + b"MIME-Version: 1.0\r\n" + body


def head_lines(headers: Headers) -> bytes:
    """Return a message's headers without those that speak of its body."""
    kept = [
        name + b": " + _BREAKS.sub(b" ", value).replace(b"\0", b"") + b"\r\n"
        for name, value in headers
        if _NAME.fullmatch(name) and name.lower() not in _REPLACED
    ]
    return b"".join(kept)


def rebuilt_size(headers: Headers, sizes: Iterable[int]) -> int:
    """Return about how large a message of these headers and bodies is: the larger ones travel as base64."""
    return sum(len(name) + len(value) + 4 for name, value in headers) + sum(sizes) * 78 // 57


def header_only(envelope: Envelope, headers: Headers, size: int) -> Envelope:
    """Return the envelope of a message that is too large to be kept, with its headers and its size."""
    return replace(envelope, raw=head_lines(headers) + b"\r\n", whole_size=size)


def _report_type(headers: Headers) -> str | None:
    """Return what a report reports, which only the header says that is not kept."""
    given = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    found = _REPORT.match(given[:1000].decode("ascii", "replace").strip())
    return found[1].lower() if found else None


def _text(text: Text, kind: str) -> bytes:
    charset = text.charset.strip()
    charset = charset if _CHARSET.fullmatch(charset) else "utf-8"
    head = f'Content-Type: text/{kind}; charset="{charset}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head.encode() + _lines(text.content)


def _file(file: File) -> bytes:
    kind = (file.content_type or "").partition(";")[0].strip().lower()
    kind = _OCTETS if not _TYPE.fullmatch(kind) or kind.startswith("multipart/") else kind
    head = [f"Content-Type: {kind}", "Content-Disposition: " + ("inline" if file.content_id else "attachment")]
    if file.name:
        head[1] += "; filename*=utf-8''" + quote(file.name.encode("utf-8", "replace"), safe="")  # RFC 2231, section 4
    if file.content_id and (bare := re.sub(r"[^!-;=?-~]", "", file.content_id)):
        head.append(f"Content-ID: <{bare}>")
    if kind.startswith("message/"):  # RFC 2046, section 5.2.1: readers do not look for an encoding there
        head.append("Content-Transfer-Encoding: 8bit")
        return "\r\n".join(head).encode() + b"\r\n\r\n" + file.content
    head.append("Content-Transfer-Encoding: base64")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + _lines(file.content)


def _lines(content: bytes) -> bytes:
    """Encode in lines of 76 characters; in slices, since the standard library makes an object of each line."""
    slices = (content[at : at + _SLICE_BYTES] for at in range(0, len(content), _SLICE_BYTES))
    return b"".join(base64.encodebytes(piece).replace(b"\n", b"\r\n") for piece in slices)


def _multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    """Join parts; nobody who wrote one of them can know the boundary."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    boundary = f"=_{digest.hexdigest()[:40]}"
    opening = f"\r\n--{boundary}\r\n".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return b"".join((head, *(piece for part in parts for piece in (opening, part)), f"\r\n--{boundary}--\r\n".encode()))
