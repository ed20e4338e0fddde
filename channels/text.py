"""Measuring text as phones count it, and cutting it where a reader would."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, takewhile

import regex

# 3GPP TS 23.038 6.2.1 and 6.2.1.1: the default alphabet, and the extension table whose characters cost an escape.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM_SINGLE, GSM_SEGMENT = 160, 153  # 140 bytes of 7 bits; 153 = 160 - 7 for the UDH, 3GPP TS 23.040 9.2.3.24
UCS2_SINGLE, UCS2_SEGMENT = 70, 67  # the same 140 bytes in UTF-16 code units, 134 behind the UDH
MAX_SMS_UNITS = 1600  # characters of one Body: www.twilio.com/docs/api/errors/21617

_GRAPHEME = regex.compile(r"\X")
_WHITESPACE = re.compile(r"\s*")  # exactly what str.strip takes; the regex module's \s is narrower
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}]")  # each is a word of its own, or near enough
_NEWLINES = frozenset({"\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"})
_ENDS = frozenset(".!?…")  # of a sentence, where white space follows
_WIDE_ENDS = frozenset("。！？｡")  # of a sentence, whatever follows
_CLOSING = frozenset(".!?…。！？｡,;:、，；：)]}»”’\"'」』）】〉》")  # no part begins with these

Size = Callable[[str], int]
"""What a piece of text costs: at least 1 a code point, and as much together as apart."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a text costs as SMS."""

    encoding: str
    """``GSM-7`` or ``UCS-2``; one character outside GSM-7 moves the whole text."""
    units: int
    """Septets (extension characters count 2), or UTF-16 code units."""
    segments: int


def measure(text: str) -> Measure:
    """Count units and segments; a pair (escape and character, or two surrogates) is never cut by a segment's end."""
    if all(character in GSM_BASIC or character in GSM_EXTENSION for character in text):
        costs = [2 if character in GSM_EXTENSION else 1 for character in text]
        return Measure("GSM-7", sum(costs), _segments(costs, GSM_SINGLE, GSM_SEGMENT))
    costs = [utf16_units(character) for character in text]
    return Measure("UCS-2", sum(costs), _segments(costs, UCS2_SINGLE, UCS2_SEGMENT))


def _segments(costs: list[int], single: int, segment: int) -> int:
    if sum(costs) <= single:
        return 1
    count, room = 1, segment
    for cost in costs:
        if cost > room:
            count, room = count + 1, segment
        room -= cost
    return count


def utf16_units(text: str) -> int:
    """Count UTF-16 code units: what platforms call characters (an emoji beyond the BMP is two)."""
    return len(text) + sum(character > "\uffff" for character in text)


def sms_units(text: str) -> int:
    """Count the most that a piece of text can cost in any SMS, whatever stands beside it.

    That is its UTF-16 units, or its septets where these are more: extension characters count 2.
    """
    return utf16_units(text) + sum(character in GSM_EXTENSION for character in text)


def split_sms(text: str, max_units: int = MAX_SMS_UNITS) -> tuple[str, ...]:
    """Cut a text into parts that one message at Twilio carries; Twilio makes segments of each by itself.

    Twilio does not say whether its 1600 characters are code points, UTF-16 units or septets. Counted as
    ``sms_units``, a part is within the limit under all three.
    """
    return split(text, max_units, sms_units)


def split(text: str, max_size: int, size: Size = utf16_units) -> tuple[str, ...]:
    """Cut a text into parts of at most ``max_size``, where a reader would, never inside a grapheme.

    Paragraphs, lines and sentences are kept whole where that fills at least half a part, words wherever there are
    any. Nothing is lost but white space at the cuts; no part is empty. Only a grapheme that is itself larger than a
    part is cut, between code points. Time grows with the length of the text alone.

    Raises:
        ValueError: ``max_size`` has no room for every code point.
    """
    if max_size < 2:
        raise ValueError("a part has to hold 2 units at least, as many as one code point can be")
    return tuple(_parts(text.strip(), max_size, size))


def _parts(text: str, max_size: int, size: Size) -> Iterator[str]:
    start = 0
    while start < len(text):
        # No more than this fits, and a grapheme that the window's end cuts does not. Looking at no more also bounds
        # the work: finding graphemes takes quadratic time in a run of flags (regex 2026.11).
        window = text[start : start + max_size + 1]
        cut = _cut(window, max_size, size)
        yield window[:cut].rstrip()
        following = _WHITESPACE.match(text, start + cut)
        assert following is not None
        start = following.end()


def _cut(window: str, max_size: int, size: Size) -> int:
    """Return where the part that begins with this window ends."""
    breaks = _Breaks()
    used = end = 0
    before = ""
    for match in _GRAPHEME.finditer(window):
        grapheme = match.group()
        breaks.look(match.start(), before, grapheme)
        used += size(grapheme)
        if used > max_size:
            return breaks.best(end) or _cut_grapheme(window, max_size, size)
        end, before = match.end(), grapheme
    return end


def _cut_grapheme(window: str, max_size: int, size: Size) -> int:
    """Return how many code points fit of a grapheme that is larger than a part."""
    sizes = accumulate(map(size, window))
    return sum(1 for _ in takewhile(lambda used: used <= max_size, sizes))


class _Breaks:
    """The last place of each kind where a part may end, before what stands at that place."""

    def __init__(self) -> None:
        self._paragraph = self._line = self._sentence = self._word = self._edge = 0
        self._after_newline = self._after_end = self._after_wide_end = False

    def look(self, place: int, before: str, grapheme: str) -> None:
        """Judge the place between two graphemes."""
        if grapheme.isspace():
            self._look_at_space(place, grapheme)
        else:
            self._look_at_text(place, before, grapheme)

    def _look_at_space(self, place: int, grapheme: str) -> None:
        self._word = place
        if self._after_end or self._after_wide_end:
            self._sentence = place
            self._after_end = self._after_wide_end = False
        if grapheme in _NEWLINES:
            self._line = place
            if self._after_newline:
                self._paragraph = place
            self._after_newline = True

    def _look_at_text(self, place: int, before: str, grapheme: str) -> None:
        self._after_newline = False
        first = grapheme[0]
        if first in _CLOSING:
            self._after_end = self._after_end or first in _ENDS
            self._after_wide_end = self._after_wide_end or first in _WIDE_ENDS
            return
        if self._after_wide_end:
            self._sentence = self._word = place
        elif _UNSPACED.match(grapheme) or _UNSPACED.match(before):
            self._word = place
        elif not before[-1:].isalnum():
            self._edge = place  # as behind the strokes and hyphens of a long address
        self._after_end = self._after_wide_end = False

    def best(self, end: int) -> int:
        """Return the best place at or before ``end``, where what fits ends; 0 where nothing fits."""
        for place in (self._paragraph, self._line, self._sentence):
            if place > end // 2:
                return place
        return self._word or (self._edge if self._edge > end // 2 else end)
