"""A block of headers: where it ends, and what stands in it, still as bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from channels.email.mime.charsets import clean_line, decode
from channels.email.mime.defects import Defect, Defects
from channels.email.mime.limits import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_HEADERS_SCAN_BYTES,
)
from channels.email.mime.words import decode_addresses, decode_words

_NAME = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")  # RFC 5322, 3.6.8; the space is of its obsolete syntax, 4.5
_ENVELOPE_LINE = re.compile(rb">?From ")  # the first line of a message in an mbox file (RFC 4155)
_EMPTY_LINE = re.compile(rb"\n\r*\n")
# What a text hardly begins its second line with: behind it, a line that is no header is a broken header.
_GOES_ON = re.compile(
    rb"(?:content-[a-z-]{1,40}|mime-version|message-id|received|return-path|x-[a-z-]{1,40}|dkim-signature"
    rb"|from|to|subject|date|in-reply-to|references)[ \t]*:",
    re.IGNORECASE,
)
# Kept however many others there are.
_NEEDED = frozenset(
    b"content-type content-transfer-encoding content-disposition content-id from to subject date message-id"
    b" in-reply-to references auto-submitted".split()
)
_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}\"?([^\s;\"]{1,60})", re.IGNORECASE)
_ADDRESSES = re.compile(
    r"(?:resent-)?(?:from|to|cc|bcc|sender|reply-to)|return-path|(?:delivered|envelope|errors|apparently)-to"
    r"|x-original-to|disposition-notification-to"
)


@dataclass(slots=True)
class Block:
    """The headers of a message or part."""

    defects: Defects
    fields: list[tuple[bytes, bytearray]] = field(default_factory=list)
    """Names in lower case, and unfolded values."""
    end: int = 0
    """Where the content begins."""
    _size: int = 0
    _is_kept: bool = False
    """Whether what continues the last header has one to continue."""

    def first(self, name: bytes) -> str | None:
        """Return the first value of that name without reading its encoded words, or None."""
        found = next((value for key, value in self.fields if key == name), None)
        return None if found is None else decode(bytes(found))[0]

    def add(self, name: bytes, value: bytes) -> None:
        """Begin a header, if there is still room."""
        room = min(len(value), MAX_HEADER_BYTES)
        is_full = len(self.fields) >= MAX_HEADERS or self._size + room > MAX_HEADERS_BYTES
        self._is_kept = not is_full or (name in _NEEDED and all(key != name for key, _ in self.fields))
        if self._is_kept:
            self.fields.append((name, bytearray()))
            self.extend(value)
        else:
            self.defects.add(Defect.HEADERS_LEFT_OUT)

    def extend(self, value: bytes) -> None:
        """Go on with the last header (RFC 5322, 2.2.3)."""
        if not self._is_kept or not value:
            return
        last = self.fields[-1][1]
        piece = (b" " + value if last else value)[: MAX_HEADER_BYTES - len(last)]
        last += piece
        self._size += len(piece)
        if len(piece) < len(value):
            self.defects.add(Defect.HEADER_CUT)


def read_block(data: bytes, start: int, end: int, defects: Defects) -> Block:
    """Read headers from ``start`` to the first empty line, or to a content that has none before it."""
    block = Block(defects)
    limit = min(end, start + MAX_HEADERS_SCAN_BYTES)
    position = start
    while position < limit:
        found = data.find(b"\n", position, end)
        following = end if found < 0 else found + 1
        line = data[position : min(following, limit)].rstrip(b"\r\n")
        if not line:
            block.end = following
            return block
        if not _take(block, line, data, following):
            block.end = position
            return block
        position = following
    block.end = _after_empty_line(data, min(position, end), end, defects)
    return block


def _take(block: Block, line: bytes, data: bytes, following: int) -> bool:
    """Take a line that is or may be a header's; False where the content has begun."""
    if line[:1] in b" \t" and block.fields:
        block.extend(line.strip())
    elif match := _NAME.match(line.lstrip()):
        block.add(match[1].lower(), line.lstrip()[match.end() :].strip())
    elif not block.fields and _ENVELOPE_LINE.match(line):
        pass
    elif block.fields and _GOES_ON.match(data, following):
        block.defects.add(Defect.BROKEN_HEADER)
    else:
        block.defects.add(Defect.NO_SEPARATOR)
        return False
    return True


def _after_empty_line(data: bytes, position: int, end: int, defects: Defects) -> int:
    """Find the content behind headers that are too long to be read, or that end with the message."""
    if position >= end:
        return end
    defects.add(Defect.HEADERS_LEFT_OUT)
    match = _EMPTY_LINE.search(data, position, end)
    return match.end() if match else end


def read_headers(block: Block) -> tuple[tuple[str, str], ...]:
    """Return the headers in their order, decoded.

    Bytes beyond ASCII are UTF-8 (RFC 6532) or, where they are not, in the character set that the text names.
    """
    charset = _CHARSET.search(block.first(b"content-type") or "")
    hint = charset[1] if charset else None
    return tuple(
        (name.decode("ascii"), _read(name.decode("ascii"), bytes(value), hint)) for name, value in block.fields
    )


def _read(name: str, value: bytes, charset: str | None) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = decode(value, charset)[0]
    text = clean_line(text)
    return clean_line(decode_addresses(text) if _ADDRESSES.fullmatch(name) else decode_words(text))
