"""How words, addresses and files are written into a message, in ASCII and in short lines. Pure.

The standard library's own writer picks a new boundary each time, and of Python 3.11 it lets a line break in a header
through (CVE-2024-6923); this one is small and writes the same bytes for the same message.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from channels.errors import Refused

MAX_ADDRESS = 254  # characters: RFC 3696, erratum 1690
_WORD_BYTES = 39  # of one encoded word: "Subject: " and its base64 stay within 76 characters (RFC 2047, section 2)
_PLAIN_CHARACTERS = 66  # a header of so many stands on one line with its name
_NAME_BYTES = 120  # of a file's name: written as %XX it is 360, within one line
_MAX_HEADER = 300  # characters of a subject or a name; nobody reads on

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_CONTROLS_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ADDRESS = re.compile(r"[^@\s<>\"(),:;\\\x00-\x20\x7f\[\]]{1,64}@[^@\s<>\"(),:;\\\x00-\x20\x7f]{1,253}")
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_NOT_IN_NAMES = re.compile(r"[\\/:*?\"<>|%]")

Headers = Sequence[tuple[str, str]]


# --- words ---


def clean(text: str) -> str:
    """Return text that can be written: ``\\n`` ends its lines, and no half of a character is left."""
    text = _SURROGATES.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _CONTROLS_IN_TEXT.sub("", text)


def on_one_line(text: str, limit: int = _MAX_HEADER) -> str:
    """Return text for a header, where nothing can begin a header of its own."""
    words = _CONTROLS.sub(" ", _SURROGATES.sub("\ufffd", text)).split(" ")
    return " ".join(filter(None, words))[:limit].strip()


def unstructured(text: str) -> str:
    """Write a subject, as encoded words (RFC 2047) where ASCII on one line cannot say it."""
    text = on_one_line(text)
    return text if text.isascii() and len(text) <= _PLAIN_CHARACTERS and "=?" not in text else _encoded(text)


def mailbox(address: str, name: str | None = None) -> str:
    """Write an address, and who is to be seen beside it (RFC 5322, section 3.4)."""
    name = on_one_line(name or "")
    if not name:
        return address
    if name.isascii() and len(name) <= _PLAIN_CHARACTERS and "=?" not in name:
        written = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        written = _encoded(name)
    return f"{written}\r\n <{address}>"


def _encoded(text: str) -> str:
    words = (base64.b64encode(part).decode() for part in _slices(text, _WORD_BYTES))
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in words)


def _slices(text: str, limit: int) -> Iterator[bytes]:
    """Cut text into so many bytes of UTF-8 at most, between characters."""
    content = text.encode()
    while content:
        cut = content[:limit].decode(errors="ignore").encode()
        yield cut
        content = content[len(cut) :]


# --- addresses ---


def on_the_wire(address: str) -> str:
    """Return an address as SMTP carries it: its domain in ASCII (RFC 5890), its local part as it is.

    Raises:
        Refused: it is none; it could end the header or the command that it stands in.
    """
    address = address.strip()
    local, _, domain = address.rpartition("@")
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ""
    written = f"{local}@{ascii_domain}"
    if not _ADDRESS.fullmatch(written) or len(written) > MAX_ADDRESS or _SURROGATES.search(written):
        raise Refused("the recipient's address is no e-mail address", code="5.1.3")
    return written


# --- parts ---


def text_part(text: str, content_type: str, *, headers: Headers = ()) -> bytes:
    """Write text in UTF-8, in whichever of quoted-printable and base64 is shorter; neither has a long line."""
    content = text.encode()
    printable = quopri.encodestring(content)
    in_base64 = base64.encodebytes(content.replace(b"\n", b"\r\n"))
    encoding, body = ("quoted-printable", printable) if len(printable) <= len(in_base64) else ("base64", in_base64)
    return _part([("Content-Type", f"{content_type}; charset=utf-8"), *headers], encoding, body)


def file_part(content: bytes, content_type: str, name: str) -> bytes:
    """Write a file that is offered for download."""
    type_ = content_type.partition(";")[0].strip().lower()
    main = type_.partition("/")[0]
    if not _CONTENT_TYPE.fullmatch(type_) or main in ("message", "multipart"):  # these two must not be in base64
        type_ = "application/octet-stream"
    headers = [("Content-Type", type_), ("Content-Disposition", f"attachment;\r\n {_file_name(name)}")]
    return _part(headers, "base64", base64.encodebytes(content))


def multipart(kind: str, parts: Sequence[bytes], boundary: str) -> bytes:
    """Put parts into one; a boundary that begins with ``=_`` stands in nothing that is encoded (RFC 2045, 6.7)."""
    line = f"--{boundary}".encode()
    head = header("Content-Type", f'multipart/{kind};\r\n boundary="{boundary}"') + b"\r\n"
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def header(name: str, value: str) -> bytes:
    """Write one header; ``value`` is written already, and folded where it is long."""
    return f"{name}: {value}\r\n".encode()


def bare_name(name: str, fallback: str = "file") -> str:
    """Return a file's name without a path and short enough for one line; its end stays, because it says what it is."""
    name = _NOT_IN_NAMES.sub("_", on_one_line(name)).strip(" .") or fallback
    while len(name.encode()) > _NAME_BYTES:
        stem, dot, end = name.rpartition(".")
        name = f"{stem[:-1]}{dot}{end}" if len(stem) > 1 and len(end) < 10 else name[:-1]
    return name


def _part(headers: Headers, encoding: str, body: bytes) -> bytes:
    written = b"".join(header(name, value) for name, value in headers)
    lines = body.replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    return written + header("Content-Transfer-Encoding", encoding) + b"\r\n" + lines + b"\r\n"


def _file_name(name: str) -> str:
    """Write a file's name as a parameter (RFC 2183; RFC 2231 where it is not ASCII)."""
    name = bare_name(name)
    return f'filename="{name}"' if name.isascii() else f"filename*=utf-8''{quote(name, safe='')}"
