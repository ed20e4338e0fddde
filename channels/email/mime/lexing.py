"""The pieces of a header that lists addresses (RFC 5322, 3.2), found in linear time whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto


class Kind(Enum):
    """What a piece is."""

    TEXT = auto()
    WORD = auto()
    """An encoded word (RFC 2047), whole."""
    QUOTED = auto()
    """A quoted string, without its quotes and backslashes."""
    COMMENT = auto()
    """What stands between outer parentheses, with inner ones."""
    ANGLE = auto()
    """What stands between angle brackets."""
    SPECIAL = auto()
    """A comma, colon or semicolon."""


# Nothing here steps back over what it has read (``++``, ``*+``), so that a header of one sort of character is linear.
_PIECE = re.compile(
    r"""
      (?P<WORD>=\?[^?\s<>"]{1,80}\?[bqBQ]\?[^?<>"]*+\?=)
    | "(?P<QUOTED>(?:[^"\\]++|\\.)*+)\\?"?
    | <(?P<ANGLE>(?:"(?:[^"\\]++|\\.)*+"|[^<>"]++)*+)>?
    | (?P<COMMENT>\()
    | (?P<SPECIAL>[,;:])
    | (?P<TEXT>[^"<(,;:=]++|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def pieces(value: str) -> Iterator[tuple[Kind, str]]:
    """Yield what a header's value consists of; text may come in several pieces in a row.

    What is opened and never closed ends with the value.
    """
    position = 0
    while match := _PIECE.match(value, position):
        position = match.end()
        kind = Kind[match.lastgroup or "TEXT"]
        if kind is Kind.COMMENT:
            end, position = _comment(value, position)
            yield kind, unescaped(value[match.end() : end])
        elif kind is Kind.QUOTED:
            yield kind, unescaped(match[kind.name])
        else:
            yield kind, match[kind.name]


def _comment(value: str, start: int) -> tuple[int, int]:
    """Return where a comment's content ends, and where what follows it begins."""
    depth = 1
    for match in _PARENTHESIS.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if not depth:
            return match.start(), match.end()
    return len(value), len(value)


def unescaped(text: str) -> str:
    """Return the content of a quoted string or comment."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
