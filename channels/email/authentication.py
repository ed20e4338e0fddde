"""Reading ``Authentication-Results`` (RFC 8601), one header of which is worth believing. Pure.

The header is read from the raw message: parts of it are the sender's own words, such as the local part of
``smtp.mailfrom``, and an encoded word (RFC 2047) in them that somebody decodes becomes a result of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MAX_HEAD = 256 * 1024  # bytes
_MAX_CHARACTERS = 16 * 1024  # of one header
_RESULT = re.compile(r"([a-z0-9-]+)(?:/[0-9]+)?=([a-z]+)")
_PROPERTY = re.compile(r"([a-z]+\.[a-z0-9._-]+)=(.+)", re.DOTALL)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+@")
_QUOTED = "\ue000"  # stands for a quoted character that would mean something unquoted; no header says it


@dataclass(frozen=True, slots=True)
class Result:
    """What one check gave."""

    method: str
    value: str
    """``pass``, ``fail``, ``none``, ``softfail`` …"""
    properties: tuple[tuple[str, str], ...] = ()
    """Such as ``("header.d", "example.org")``; in lower case."""

    def property(self, name: str) -> str | None:
        """Return the property of that name; None where there is none, or more than one."""
        found = [value for key, value in self.properties if key == name]
        return found[0] if len(found) == 1 else None


def raw_headers(raw: bytes, name: str) -> tuple[str, ...]:
    """Return the values of every header of that name, topmost first, unfolded and not decoded."""
    head = _END_OF_HEAD.split(raw[:_MAX_HEAD].lstrip(b"\r\n"), maxsplit=1)[0]
    wanted = name.lower().encode() + b":"
    lines = _FOLD.sub(b"", head).split(b"\n")
    found = (line[len(wanted) :] for line in lines if line[: len(wanted)].lower() == wanted)
    return tuple(value.decode("utf-8", "replace").strip() for value in found)


def read_results(header: str, authserv_id: str) -> tuple[Result, ...] | None:
    """Return what a header tells, or None where another host wrote it; one that cannot be read tells nothing."""
    plain = _plain(header) if len(header) <= _MAX_CHARACTERS else None
    if plain is None:
        return () if header.lower().startswith(authserv_id.lower()) else None
    writer, *rest = plain.split(";")
    if writer.split()[:1] != [authserv_id.lower()]:
        return None
    return tuple(result for words in rest if (result := _result(words)) is not None)


def _result(text: str) -> Result | None:
    words = text.split()
    found = _RESULT.fullmatch(words[0]) if words else None
    if found is None:
        return None
    properties = (match for word in words[1:] if (match := _PROPERTY.fullmatch(word)))
    return Result(found[1], found[2], tuple((match[1], match[2]) for match in properties))


def _plain(header: str) -> str | None:
    """Return a header in lower case without comments, in which what stood in quotes has lost its meaning.

    None where a comment or a quote never ends: who knows what it was to hide.
    """
    written: list[str] = []
    depth, quoted = 0, False
    for character, escaped in _characters(header.replace(_QUOTED, "")):
        if quoted:
            quoted = escaped or character != '"'
            written.append(_written(character) if quoted else "")
        elif character == "(" and not escaped:
            depth += 1
        elif depth:
            depth -= character == ")" and not escaped
            written.append(" " if not depth else "")
        elif character == '"' and not escaped:
            quoted = True
        else:
            written.append(character)
    return None if depth or quoted else "".join(written).lower()


def _written(quoted: str) -> str:
    return quoted if quoted in _HARMLESS else _QUOTED


def _characters(text: str) -> Iterator[tuple[str, bool]]:
    """Walk over a text; a backslash (RFC 5322, section 3.2.1) is told with what follows it."""
    escaped = False
    for character in text:
        if character == "\\" and not escaped:
            escaped = True
            continue
        yield character, escaped
        escaped = False
