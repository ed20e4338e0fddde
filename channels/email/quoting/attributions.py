"""The line above a quote: "On such a day, somebody wrote:", wrapped or not, in any language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from channels.email.quoting.lines import Line, ends_open, has_date, has_time, is_dashed, next_filled, wraps
from channels.email.quoting.own import Own, names_an_address
from channels.email.quoting.words import ON, WROTE

MOST_LINES = 4
"""Over which one attribution is wrapped."""
LONGEST = 500
"""Characters of an attribution."""
FEW_WORDS = 3
"""The end of one that may stand alone on its line whatever the width: ``wrote:``."""
COUNTED = 3
_ON = tuple(f"{word} " for word in ON)
_BRACKETED = re.compile(r"[<(\[] ?(?:mailto:)?[^\s<>()\[\]@]{1,64}@")
_DAY_FIRST = re.compile(r"\d|\S{1,12}[.,]{0,2} \d{1,2}[. ]")


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of a message, from ``start`` up to ``end``, which is not one of them."""

    start: int
    end: int
    is_ours: bool
    """Whether what follows is known to be ours."""


def attributions(lines: Sequence[Line], own: Own) -> Iterator[Span]:
    """Yield the attributions, first to last; each is sure enough to cut at. Some bear marks themselves."""
    unmarked = _next_unmarked(lines)
    for n, line in enumerate(lines):
        if _is_open(line.text) or line.text.endswith(">") or own.is_named_in(line.text):
            span = _ending_at(lines, n, unmarked, own)
            if span is not None:
                yield span


def _next_unmarked(lines: Sequence[Line]) -> Sequence[int]:
    """Return for each line, and for the end, the first line from there on that has words without a mark."""
    found = [len(lines)] * (len(lines) + 1)
    for n in range(len(lines) - 1, -1, -1):
        found[n] = found[n + 1] if lines[n].is_marked or lines[n].is_blank else n
    return found


def _is_open(text: str) -> bool:
    """Tell whether a line introduces what follows: with a colon, or as in ``---- somebody wrote ----``."""
    return ends_open(text) or (is_dashed(text) and text.rstrip("-_ ").lower().endswith(WROTE))


def _ending_at(lines: Sequence[Line], last: int, unmarked: Sequence[int], own: Own) -> Span | None:
    follows = _Follows.at(lines, last + 1, unmarked)
    found: Span | None = None
    for first in range(last, max(-1, last - MOST_LINES), -1):
        text = " ".join(line.text for line in lines[first : last + 1])
        if (first < last and not _goes_on(lines, first)) or len(text) > LONGEST:
            break
        clues = _Clues.of(text, own)
        if _is_one(clues, follows, is_marked=lines[last].is_marked, knows_us=bool(own.addresses)):
            found = found or Span(_beginning(lines, first, last), last + 1, clues.names_us)
            if clues.is_dated:
                return Span(_beginning(lines, first, last), last + 1, clues.names_us)
    return found


def _goes_on(lines: Sequence[Line], upper: int) -> bool:
    """Tell whether a line and the one below it may be one line that was wrapped."""
    above, below = lines[upper], lines[upper + 1]
    if above.is_marked != below.is_marked or above.is_blank or _is_open(above.text) or _begins(below.text):
        return False
    return wraps(above.text, below.text) or _begins(above.text) or len(below.text.split()) <= FEW_WORDS


def _beginning(lines: Sequence[Line], first: int, last: int) -> int:
    """Return where an attribution begins whose date and author, or some of them, stand from ``first`` on."""
    while first > max(0, last - MOST_LINES) and _lacks_beginning(lines, first, last):
        first -= 1
    return first


def _lacks_beginning(lines: Sequence[Line], first: int, last: int) -> bool:
    """Tell whether the line above is a part of an attribution too."""
    above, text = lines[first - 1], lines[first].text
    if above.is_marked != lines[first].is_marked or above.is_blank or _is_open(above.text):
        return False
    # A date may be broken in two: "On Wed, 25 Nov" and "2026 at 10:00 ... wrote:".
    if _begins(text) and not text[0].isdigit():
        return False
    if text.startswith(("<", "(<")):
        return True
    has_author = any(_BRACKETED.search(one.text) for one in lines[first : last + 1])
    if not has_author and _BRACKETED.search(above.text) is not None:
        return True
    return _begins(above.text) and wraps(above.text, text)


def _begins(text: str) -> bool:
    words = text.lower()
    return _DAY_FIRST.match(words) is not None or words.startswith(_ON)


@dataclass(frozen=True, slots=True)
class _Follows:
    """What stands below a line."""

    marked: int
    """How many lines with marks come next; no more than a few are counted."""
    is_last: bool
    """Whether nothing stands below those."""

    @classmethod
    def at(cls, lines: Sequence[Line], start: int, unmarked: Sequence[int]) -> _Follows:
        begin = next_filled(lines, start)
        end = begin
        while end < len(lines) and end - begin < COUNTED and (lines[end].is_marked or lines[end].is_blank):
            end += 1
        return cls(end - begin, is_last=unmarked[end] == len(lines))


@dataclass(frozen=True, slots=True)
class _Clues:
    """What a line says."""

    is_open: bool
    is_dated: bool
    is_timed: bool
    names_us: bool
    says_wrote: bool
    """Whether a word for writing stands in it."""
    ends_wrote: bool
    """Whether it ends with one."""
    is_addressed: bool
    """Whether an address stands in brackets, as mail programs write it, and people don't."""
    names_any: bool
    ends_addressed: bool

    @classmethod
    def of(cls, text: str, own: Own) -> _Clues:
        words = text.lower()
        return cls(
            is_open=_is_open(text),
            is_dated=has_date(text),
            is_timed=has_time(text),
            names_us=own.is_named_in(text),
            says_wrote=any(word in words for word in WROTE),
            ends_wrote=words.rstrip("*_- :：").endswith(WROTE),
            is_addressed=_BRACKETED.search(text) is not None,
            names_any=names_an_address(text),
            ends_addressed=text.endswith(">") and _BRACKETED.search(text) is not None,
        )


def _is_one(clues: _Clues, follows: _Follows, *, is_marked: bool, knows_us: bool) -> bool:
    dated_or_timed = clues.is_dated or clues.is_timed
    if is_marked:
        signed = clues.names_us or clues.says_wrote or clues.is_addressed
        return clues.is_open and clues.is_dated and signed and (clues.is_timed or clues.says_wrote)
    if follows.marked:
        if clues.is_open:
            return _introduces_marks(clues, follows)
        return clues.ends_addressed and dated_or_timed and (clues.names_us or follows.is_last)
    if not (clues.is_open and clues.is_dated and (clues.is_timed or clues.ends_wrote)):
        return False
    if follows.is_last:
        return clues.names_us or clues.says_wrote or clues.names_any
    # Nothing marks what follows: only we know that it is ours, and a customer may tell what somebody wrote to them.
    if knows_us and not clues.names_us:
        return False
    return clues.is_addressed or (clues.names_any and clues.ends_wrote)


def _introduces_marks(clues: _Clues, follows: _Follows) -> bool:
    if clues.is_dated or clues.is_timed:
        signed = clues.names_us or clues.says_wrote or clues.is_addressed
        return signed or (clues.is_dated and clues.is_timed and follows.is_last and follows.marked > 1)
    return clues.ends_wrote and follows.is_last and follows.marked >= COUNTED
