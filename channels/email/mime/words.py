"""Encoded words in headers (RFC 2047), as they are written rather than as they should be."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from channels.email.mime.charsets import codec_of, decode
from channels.email.mime.lexing import Kind, pieces

_START = re.compile(r"=\?([^?\s]{1,80})\?([bqBQ])\?")
_SPECIALS = frozenset('()<>[]:;@\\,."')  # RFC 5322, 3.2.3
_BACKSLASHED = re.compile(r'(["\\])')
_NOT_IN_COMMENTS = re.compile(r"[()\\]")

Word = tuple[str, bytes]
"""A character set and bytes in it."""


def decode_words(value: str) -> str:
    """Return a header's value with its encoded words read; what is none, or broken, stays as it is.

    Words side by side are read together, because many senders cut a character in two.
    """
    if "=?" not in value:
        return value
    result: list[str] = []
    words: list[Word] = []
    for item in _split(value):
        if isinstance(item, tuple):
            words.append(item)
        elif not words or not item.isspace():  # RFC 2047, 6.2: white space between two words is not shown
            result += (*_texts(words), item)
            words = []
    return "".join((*result, *_texts(words)))


def _split(value: str) -> Iterator[str | Word]:
    """Yield words, and what stands between them."""
    position = searched = 0
    while match := _START.search(value, searched):
        end = value.find("?=", match.end())
        if end < 0:
            break
        word = _word(match[1], match[2], value[match.end() : end])
        searched = match.end()
        if word is not None:
            if match.start() > position:
                yield value[position : match.start()]
            yield word
            position = searched = end + 2
    if position < len(value):
        yield value[position:]


def _word(charset: str, encoding: str, text: str) -> Word | None:
    name = charset.partition("*")[0]
    if not _is_readable(name) or not text.isascii() or "=?" in text:
        return None
    data = _base64(text) if encoding in "bB" else binascii.a2b_qp(text, header=True)
    return None if data is None else (name.lower(), data)


def _is_readable(charset: str) -> bool:
    return charset.lower() in ("us-ascii", "ascii", "unknown-8bit", "utf-7") or codec_of(charset) is not None


def _base64(text: str) -> bytes | None:
    bare = text.strip().rstrip("=")
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except binascii.Error:
        return None


def _texts(words: list[Word]) -> list[str]:
    """Return the texts of words side by side; those in one character set are one text."""
    joined: list[tuple[str, bytearray]] = []
    for charset, data in words:
        if joined and joined[-1][0] == charset:
            joined[-1][1].extend(data)
        else:
            joined.append((charset, bytearray(data)))
    return [decode(bytes(data), charset)[0] for charset, data in joined]


def decode_addresses(value: str) -> str:
    """Return a header that lists addresses with its words read, and quoted where they would say something else.

    The name ``=?utf-8?q?victim=40example=2Ecom=2C?=`` must not become one more address.
    """
    if "=?" not in value:
        return value
    result: list[str] = []
    run: list[str] = []
    for kind, text in pieces(value):
        if kind is Kind.WORD or (run and kind is Kind.TEXT and text.isspace()):
            run.append(text)
            continue
        result += (_phrase("".join(run)), _as_it_was(kind, text))
        run = []
    return "".join((*result, _phrase("".join(run))))


def _phrase(run: str) -> str:
    bare = run.rstrip()
    text = decode_words(bare)
    if text != bare and _SPECIALS & set(text):
        text = _quoted(text)
    return text + run[len(bare) :]


def _as_it_was(kind: Kind, text: str) -> str:
    match kind:
        case Kind.QUOTED:
            return _quoted(decode_words(text))
        case Kind.COMMENT:
            return f"({_NOT_IN_COMMENTS.sub('', decode_words(text))})"
        case Kind.ANGLE:
            return f"<{text}>"
        case _:
            return text


def _quoted(text: str) -> str:
    return '"' + _BACKSLASHED.sub(r"\\\1", text) + '"'
