"""The cut between the customer's new words and what they quote. Pure, and linear in the length of the text.

What names us is looked for first: our address, our delimiter or our Message-ID mark a quote in any language. Then come
the ways of mail programs. In doubt everything is kept: words that are shown twice annoy, words that are lost cost a
customer. So nothing is cut from a forwarded message, from answers that stand between the lines of a quote, or where
nothing would be left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channels.email.quoting.attributions import Span, attributions
from channels.email.quoting.headers import header_blocks, read_field
from channels.email.quoting.lines import (
    Line,
    are_blank,
    ends_open,
    is_dashed,
    is_forward_rule,
    is_original_rule,
    is_rule,
    next_filled,
    read_line,
)
from channels.email.quoting.own import Own
from channels.email.quoting.signatures import signature_start
from channels.email.quoting.words import BETWEEN

LONGEST = 256 * 1024
"""Characters; a longer text is kept whole."""
_IDS = frozenset({"message-id", "in-reply-to", "references"})


@dataclass(frozen=True, slots=True)
class Cut:
    """A text in two; every line of it is in one of them."""

    new: str
    """The customer's words, without blank lines around them."""
    quoted: str
    """What was taken off, in its order: a signature, what is quoted. Empty where nothing was."""


def cut(text: str, own: Own) -> Cut:
    """Return the customer's new words of a text, and the rest."""
    if len(text) > LONGEST:
        return Cut(text, "")
    raw = text.split("\n")
    lines = [read_line(one) for one in raw]
    spans = sorted([*attributions(lines, own), *header_blocks(lines, own)], key=lambda span: span.start)
    begin = _beginning(lines, spans, own)
    new, quoted = _divide(raw, lines, spans, begin)
    if _is_forward(lines, begin) or are_blank(lines[n] for n in new):
        new, quoted = range(len(raw)), ()
    return Cut(_joined(raw, new), _joined(raw, quoted))


def _joined(raw: Sequence[str], numbers: Sequence[int]) -> str:
    """Put lines together again, without the blank ones around them."""
    filled = [place for place, n in enumerate(numbers) if raw[n].strip()]
    return "\n".join(raw[n] for n in numbers[filled[0] : filled[-1] + 1]) if filled else ""


# --- where the quote begins ------------------------------------------------------------------------------------


def _beginning(lines: Sequence[Line], spans: Sequence[Span], own: Own) -> int:
    """Return the line where the quote begins; the number of lines where there is none."""
    tops = _tops(lines)
    found = [(tops[span.start], span.is_ours) for span in spans if _counts(lines, span)]
    ours = [start for start, is_ours in found if is_ours]
    ours += [n for n in (_named_in_marks(lines, tops, own), _delimited(lines, spans, own)) if n is not None]
    begin = min(ours, default=len(lines))
    earlier = min((start for start, _ in found), default=len(lines))
    # What somebody else wrote above a quote of ours counts only where it is one quote with ours.
    if earlier < begin and (not ours or _is_one_quote(lines, spans, earlier, begin)):
        begin = earlier
    return _with_rules(lines, begin)


def _counts(lines: Sequence[Line], span: Span) -> bool:
    """Tell whether a quote may begin at a span: among marks, at one of ours or at their top."""
    if not lines[span.start].is_marked or span.is_ours:
        return True
    above = _above(lines, span.start)
    return above < 0 or not lines[above].is_marked


def _tops(lines: Sequence[Line]) -> Sequence[int]:
    """Return for each line where the marked lines begin that it is one of; itself where it bears no mark."""
    found: list[int] = []
    top: int | None = None
    for n, line in enumerate(lines):
        if line.is_marked:
            top = _with_opening(lines, n) if top is None and not line.is_blank else top
        elif not line.is_blank:
            top = None
        found.append(n if top is None else top)
    return found


def _is_one_quote(lines: Sequence[Line], spans: Sequence[Span], start: int, end: int) -> bool:
    inside = {n for span in spans for n in range(span.start, span.end)}
    return all(lines[n].is_marked or lines[n].is_blank or n in inside for n in range(start, end))


def _named_in_marks(lines: Sequence[Line], tops: Sequence[int], own: Own) -> int | None:
    """Return where the marked lines begin that hold our delimiter, or a field that names us; None where none do."""
    for n, line in enumerate(lines):
        if line.is_marked and (own.delimits(line.text) or _is_our_field(line, own)):
            return tops[n]
    return None


def _is_our_field(line: Line, own: Own) -> bool:
    field = read_field(line.text)
    return field is not None and (field.kind is not None or field.name in _IDS) and own.is_named_in(field.value)


def _with_opening(lines: Sequence[Line], begin: int) -> int:
    """Take the line above a quote with it where it introduces the quote and bears a date or an author."""
    above = _above(lines, begin)
    if above >= 0 and ends_open(lines[above].text) and any(char.isdigit() for char in lines[above].text):
        return above
    return begin


def _delimited(lines: Sequence[Line], spans: Sequence[Span], own: Own) -> int | None:
    """Return where the quote begins that our delimiter, unmarked, stands at the top of, or None."""
    for n, line in enumerate(lines):
        if not line.is_marked and own.delimits(line.text):
            above = _above(lines, n)
            return next((span.start for span in spans if span.end == above + 1), _with_opening(lines, n))
    return None


def _above(lines: Sequence[Line], n: int) -> int:
    """Return the last line before one that is not blank; -1 where there is none."""
    n -= 1
    while n >= 0 and lines[n].is_blank:
        n -= 1
    return n


def _with_rules(lines: Sequence[Line], begin: int) -> int:
    """Take the rules above a quote with it."""
    above = _above(lines, begin) if begin < len(lines) else -1
    while above >= 0 and (is_rule(lines[above].text) or is_original_rule(lines[above].text)):
        begin = above
        above = _above(lines, begin)
    return begin


# --- what is kept ----------------------------------------------------------------------------------------------


def _is_forward(lines: Sequence[Line], begin: int) -> bool:
    """Tell whether the customer passes something on: its heading stands before, or directly above, what is quoted."""
    for n in range(min(begin + 1, len(lines))):
        text = lines[n].text
        if is_forward_rule(text) and (n == begin or not lines[n].is_marked):
            return True
    above = _above(lines, begin) if begin < len(lines) else -1
    return above >= 0 and is_dashed(lines[above].text) and not is_original_rule(lines[above].text)


def _divide(
    raw: Sequence[str], lines: Sequence[Line], spans: Sequence[Span], begin: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the numbers of the lines that are the customer's, and of the others."""
    heading = _past_rules(lines, begin)
    quote = max((span.end for span in spans if span.start <= heading < span.end), default=begin)
    first = next_filled(lines, quote)
    if first < len(lines) and lines[first].is_marked:
        return _divide_marked(raw, lines, spans, begin, quote)
    has_quote, head = begin < len(lines), lines[:begin]
    if has_quote and (are_blank(head) or _answers_between(head)):
        return range(len(lines)), ()
    return _signed(raw, lines, range(begin), range(begin, len(lines)))


def _divide_marked(
    raw: Sequence[str], lines: Sequence[Line], spans: Sequence[Span], begin: int, quote: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Divide a mail whose quote bears marks, so that it can be told what stands between and below them."""
    end = 1 + max(n for n in range(len(lines)) if lines[n].is_marked)
    inside = {n for span in spans for n in range(span.start, span.end)}
    between = (n for n in range(quote, end) if not (lines[n].is_marked or n in inside or is_rule(lines[n].text)))
    below, has_head = range(end, len(lines)), not are_blank(lines[:begin])
    has_below = not are_blank(lines[end:]) and not _is_signature(raw, lines, end)
    if not are_blank(lines[n] for n in between) or (has_below and has_head):
        return range(len(lines)), ()
    if has_below:
        kept, signature = _signed(raw, lines, below, ())
        return kept, [*range(end), *signature]
    return _signed(raw, lines, range(begin), range(begin, len(lines)))


def _past_rules(lines: Sequence[Line], begin: int) -> int:
    n = begin
    while n < len(lines) and (lines[n].is_blank or is_rule(lines[n].text) or is_original_rule(lines[n].text)):
        n += 1
    return n


def _answers_between(head: Sequence[Line]) -> bool:
    """Tell whether the customer says that their answers stand in the quote, which bears no marks."""
    words = " ".join(line.text for line in head).lower()
    return any(phrase in words for phrase in BETWEEN)


def _is_signature(raw: Sequence[str], lines: Sequence[Line], start: int) -> bool:
    """Tell whether nothing but a signature stands from a line on."""
    start = next_filled(lines, start)
    return signature_start(raw[start:], lines[start:]) == 0


def _signed(
    raw: Sequence[str], lines: Sequence[Line], kept: range, rest: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Take a signature off what is kept, unless nothing would be left."""
    start = kept.start + signature_start(raw[kept.start : kept.stop], lines[kept.start : kept.stop])
    if are_blank(lines[kept.start : start]):
        return kept, rest
    return range(kept.start, start), [*range(start, kept.stop), *rest]
