"""The block above a quote: From, Sent, To and Subject, as Outlook and others write it in their language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from channels.email.quoting.attributions import Span
from channels.email.quoting.lines import Line, has_date, has_time, is_original_rule, is_rule, next_filled, wraps
from channels.email.quoting.own import Own, names_an_address
from channels.email.quoting.words import COPY, DATE, FIELDS, FROM, SENT, SUBJECT, TO

LONGEST_NAME = 24
MOST_LINES = 16
"""Lines of one block, wrapped ones too."""
ENOUGH = 3
"""Kinds of fields that make a block."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a block."""

    name: str
    kind: str | None
    value: str


def read_field(text: str) -> Field | None:
    """Return what a line such as ``*Von:* the sender`` tells, or None."""
    name, colon, value = text.lstrip("*_ ").replace("：", ":").partition(":")
    name = name.strip("*_ ").lower()
    if not colon or not name or len(name) > LONGEST_NAME or any(char in name for char in '@<>()"/.,;?!'):
        return None
    return Field(name, FIELDS.get(name), value.strip("* "))


def header_blocks(lines: Sequence[Line], own: Own) -> Iterator[Span]:
    """Yield the blocks, first to last, that stand above a quoted message; each is sure enough to cut at."""
    end = 0
    for n, line in enumerate(lines):
        if n < end or line.is_blank:
            continue
        if is_original_rule(line.text) and (span := _below_rule(lines, n, own)) is not None:
            end = span.end
            yield span
            continue
        block = _block_at(lines, n)
        if block is None:
            continue
        end = block.end
        if _is_quoted(block, _has_rule_above(lines, n), own):
            yield Span(n, end, block.names(own))


def _below_rule(lines: Sequence[Line], rule: int, own: Own) -> Span | None:
    """Return ``-----Original Message-----`` with the lines below it, where those tell a day and that it is ours."""
    start = next_filled(lines, rule + 1)
    end = start
    while end < min(len(lines), start + MOST_LINES) and not lines[end].is_blank:
        end += 1
    texts = [line.text for line in lines[start:end]]
    if any(map(own.is_named_in, texts)) and any(has_date(text) and has_time(text) for text in texts):
        return Span(rule, end, is_ours=True)
    return None


def is_block(lines: Sequence[Line], start: int) -> bool:
    """Tell whether a block of any language begins at a line."""
    block = _block_at(lines, start)
    return block is not None and len(block.fields) >= ENOUGH and block.is_dated


@dataclass(frozen=True, slots=True)
class _Block:
    fields: tuple[Field, ...]
    texts: tuple[str, ...]
    end: int

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(field.kind for field in self.fields if field.kind is not None)

    @property
    def is_dated(self) -> bool:
        return any(has_date(text) and has_time(text) for text in self.texts)

    def names(self, own: Own) -> bool:
        return any(map(own.is_named_in, self.texts))


def _block_at(lines: Sequence[Line], start: int) -> _Block | None:
    """Read fields from a line on; a long one may be wrapped."""
    fields: list[Field] = []
    texts: list[str] = []
    n = start
    is_marked = lines[start].is_marked
    while n < min(len(lines), start + MOST_LINES) and not lines[n].is_blank and lines[n].is_marked == is_marked:
        field = read_field(lines[n].text)
        if field is None and not (fields and _is_wrapped(lines, n)):
            break
        if field is not None and fields and field.kind is None and _is_told(fields):
            break
        texts.append(lines[n].text)
        fields.extend([field] if field is not None else [])
        n += 1
    return _Block(tuple(fields), tuple(texts), n) if len(fields) > 1 else None


def _is_wrapped(lines: Sequence[Line], n: int) -> bool:
    """Tell whether a line is the end of the field above it."""
    below = read_field(lines[n + 1].text) if n + 1 < len(lines) else None
    return wraps(lines[n - 1].text, lines[n].text) or (below is not None and below.kind is not None)


def _is_told(fields: Sequence[Field]) -> bool:
    """Whether all that a block tells has been told, so that another line with a colon is the message's own."""
    return {FROM, TO, SUBJECT} <= {field.kind for field in fields}


def _is_quoted(block: _Block, below_a_rule: bool, own: Own) -> bool:
    kinds = block.kinds - {COPY}
    if not block.is_dated:
        return False
    if block.names(own):
        enough = (FROM in kinds and len(kinds) >= ENOUGH) or (below_a_rule and len(kinds) > 1)
        return enough or (len(block.fields) >= ENOUGH and names_an_address(block.texts[0]))
    addressed = any(map(names_an_address, block.texts))
    if addressed and own.addresses:
        return False  # a message between others, which the customer shows us
    tells = FROM in kinds and bool(kinds & {SENT, DATE}) and bool(kinds & {TO, SUBJECT})
    return tells and (addressed or below_a_rule or (SENT in kinds and len(kinds) > ENOUGH))


def _has_rule_above(lines: Sequence[Line], start: int) -> bool:
    n = start - 1
    while n >= 0 and lines[n].is_blank:
        n -= 1
    return n >= 0 and (is_rule(lines[n].text) or is_original_rule(lines[n].text))
