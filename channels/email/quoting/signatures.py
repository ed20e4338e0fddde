"""Signatures, only where they are certain: below ``-- ``, or a line that the mail program adds on its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from channels.email.quoting.lines import LOOKED_AT, Line
from channels.email.quoting.words import PROGRAMS, SENT_FROM, SENT_FROM_ENDS

MOST_LINES = 8
LONGEST_BARE = 80
"""Characters of a line below a bare ``--``, which may be the customer's own divider."""
LONGEST_NOTE = 90
_LINK = re.compile(r"[<(\[]?https?://[^\s<>()\[\]]{1,300}[>)\]]?$")
_NOTES = 3
"""Lines at the end that may be a program's: some write an address below."""


def signature_start(raw: Sequence[str], lines: Sequence[Line]) -> int:
    """Return the line where the signature begins; the number of lines where there is none."""
    end = _filled(lines, len(lines))
    start = _below_dashes(raw, lines, end)
    noted = _notes_start(lines, _filled(lines, start))
    return noted if noted < _filled(lines, start) else start if start < end else len(lines)


def _filled(lines: Sequence[Line], end: int) -> int:
    """Return the end of what stands before ``end``, without the blank lines at its end."""
    while end > 0 and lines[end - 1].is_blank:
        end -= 1
    return end


def _below_dashes(raw: Sequence[str], lines: Sequence[Line], end: int) -> int:
    marks = [n for n in range(max(0, end - MOST_LINES - 1), end) if lines[n].text == "--" and not lines[n].is_marked]
    if not marks:
        return end
    start = marks[0]
    if raw[start].rstrip("\r\n").replace("\xa0", " ") == "-- ":  # RFC 3676, section 4.3
        return start
    below = lines[start + 1 : end]
    alone = len(marks) == 1 and not any(line.text == "--" for line in lines[:start])
    certain = alone and below and all(len(line.text) <= LONGEST_BARE and "?" not in line.text for line in below)
    return start if certain else end


def _notes_start(lines: Sequence[Line], end: int) -> int:
    start = end
    for n in range(end - 1, max(-1, end - 1 - _NOTES), -1):
        text = lines[n].text
        if is_note(text):
            start = n
        elif not (lines[n].is_blank or text.startswith(("<http", "http", "("))):
            break
    return start


def is_note(text: str) -> bool:
    """Tell whether a mail program wrote a line: ``Sent from my iPhone``."""
    words = _LINK.sub("", text).strip("*_<>[] -").lower()
    if not words or len(words) > min(LONGEST_NOTE, LOOKED_AT) or "?" in words or "!" in words:
        return False
    is_said = words.startswith(SENT_FROM) or words.rstrip(".").endswith(SENT_FROM_ENDS)
    return is_said and any(name in words for name in PROGRAMS)
