"""HTML as text: the customer's words, and beside them what their mail program marked as quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from channels.email.html.pieces import Kind, Piece, read_pieces, tidy
from channels.email.html.tags import strip_tags
from channels.email.quoting import Cut, Own, cut
from channels.email.quoting.headers import is_block
from channels.email.quoting.lines import has_date, is_dashed, is_forward_rule, is_original_rule, next_filled, read_line
from channels.email.quoting.own import names_an_address
from channels.email.quoting.signatures import is_note

LARGEST = 1024 * 1024
"""Characters that are looked at closely; a larger message is only stripped of its tags."""
_DATA = re.compile(r"""=\s{0,8}"data:[^"]*+"|=\s{0,8}'data:[^']*+'""", re.IGNORECASE)
"""Pictures that stand in the HTML itself, which are most of many a large one."""


@dataclass(frozen=True, slots=True)
class HtmlText:
    """A message's HTML as text."""

    text: str
    """The customer's words; all of it, quotes marked with ``>``, where their words stand among quoted ones."""
    quoted_text: str
    """What was taken out: quotes and signatures."""


def read_html(html: str, own: Own | None = None) -> HtmlText:
    """Return the text of a message's HTML, apart from what it quotes.

    With ``own``, what stands below Outlook's heading counts as quoted only where the heading names us, or nobody: a
    message between others is one that the customer shows us.
    """
    html = _DATA.sub('=""', html)
    if len(html) > LARGEST:
        return HtmlText(tidy(strip_tags(html)), "")
    return _chosen(_settled(read_pieces(html), own))


def cut_html(html: str, own: Own) -> Cut:
    """Return the customer's new words of a message's HTML, and the rest."""
    read = read_html(html, own)
    words = cut(read.text, own)
    return Cut(words.new, "\n\n".join(filter(None, (words.quoted, read.quoted_text))))


def _settled(pieces: Sequence[Piece], own: Own | None) -> list[Piece]:
    """Decide what each piece is: behind a heading of Outlook's all is quoted, if it is one."""
    settled: list[Piece] = []
    is_quoted = False
    for piece in pieces:
        if not piece.text:
            continue
        is_quoted = is_quoted or (piece.kind is Kind.HEADED and _is_headed(piece.text, own))
        kind = Kind.OWN if piece.kind is Kind.HEADED else piece.kind
        kind = Kind.QUOTE if is_quoted or kind is Kind.FRAME else kind
        if settled and settled[-1].kind is kind:
            settled[-1] = Piece(kind, f"{settled[-1].text}\n\n{piece.text}")
        else:
            settled.append(Piece(kind, piece.text))
    return settled


_SHOWN = 8
"""Lines of a heading."""


def _is_headed(text: str, own: Own | None) -> bool:
    lines = [read_line(raw) for raw in text.split("\n", _SHOWN * 2)[: _SHOWN * 2]]
    start = next_filled(lines, 0)
    if not is_block(lines, start):
        return False
    shown = [line.text for line in lines[start : start + _SHOWN]]
    return own is None or any(map(own.is_named_in, shown)) or not any(map(names_an_address, shown))


def _chosen(pieces: Sequence[Piece]) -> HtmlText:
    """Tell the customer's words from the rest by where they stand."""
    quotes = [n for n, piece in enumerate(pieces) if piece.kind is Kind.QUOTE]
    words = [n for n, piece in enumerate(pieces) if piece.kind is Kind.OWN and not _is_only_note(piece.text)]
    if not words or any(_passes_on(pieces[n].text) for n in quotes):
        return HtmlText(_joined(pieces), "")
    if quotes and words[0] < quotes[-1] and words[-1] > quotes[0]:
        return HtmlText("\n\n".join(map(_shown, pieces)), "")
    mine = [piece for piece in pieces if piece.kind is Kind.OWN]
    return HtmlText(_joined(mine), _joined([piece for piece in pieces if piece.kind is not Kind.OWN]))


def _joined(pieces: Sequence[Piece]) -> str:
    return "\n\n".join(piece.text for piece in pieces)


def _is_only_note(text: str) -> bool:
    return all(is_note(line) for line in text.split("\n") if line.strip())


def _shown(piece: Piece) -> str:
    if piece.kind is not Kind.QUOTE:
        return piece.text
    return "\n".join(f"> {line}".rstrip() for line in piece.text.split("\n"))


def _passes_on(quote: str) -> bool:
    """Tell whether a quote is a message that is passed on: it begins with words between dashes."""
    first = next((line.text for raw in quote.split("\n") if (line := read_line(raw)).text), "")
    is_named = is_dashed(first) and not (is_original_rule(first) or has_date(first))  # a date: "---- On ... wrote ----"
    return is_forward_rule(first) or is_named
