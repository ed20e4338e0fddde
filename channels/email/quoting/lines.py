"""Lines of a message, made alike whatever invisible characters a mail program has put among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from channels.email.quoting.words import FORWARDED, ORIGINAL

LOOKED_AT = 1000
"""Characters of a line that are looked at: what mail programs write around a quote is shorter (RFC 5322: 998)."""
_UNSEEN = (0xAD, 0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
_SPACES = dict.fromkeys([0xA0, 0x202F, 0x2007, 0x2009, 0x3000, 0x09], " ")
_ALIKE = {**dict.fromkeys(_UNSEEN), **_SPACES}
_RULE = re.compile(r"[_\-=*—–─━]{5,}")
_DASHED = re.compile(r"[-_—–=*]{2,} ?([^-_—–=*].*?[^-_—–=*\s]) ?[-_—–=*]{2,}")
_DATE = re.compile(
    r"(?<!\d)\d{4}(?!\d)|(?<!\d)\d{1,2} ?[./-] ?\d{1,2} ?[./-] ?\d{2}(?!\d)|[^\W\d_]{3,12}-\d{1,2}-\d{2}(?!\d)"
)
_TIME = re.compile(r"(?<![\d./])(?<!\d-)\d{1,2} ?[:.h：時时시點点] ?\d{2}(?![\d]|[./-]\d)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line."""

    text: str
    """Without marks, invisible characters, and space around it."""
    is_marked: bool
    """Whether ``>`` stands before it."""

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands in it, marks aside."""
        return not self.text


def read_line(raw: str) -> Line:
    """Return one line as it is looked at."""
    text = raw[:LOOKED_AT].translate(_ALIKE).strip()
    return Line(text.lstrip("> ") if text.startswith(">") else text, text.startswith(">"))


def ends_open(text: str) -> bool:
    """Tell whether a line ends as what introduces something does, with a colon."""
    return text.rstrip("*_ >").endswith((":", "：", "︰"))


def is_rule(text: str) -> bool:
    """Tell whether a line only divides: ``____``, ``-----``."""
    return _RULE.fullmatch(text) is not None


def is_original_rule(text: str) -> bool:
    """Tell whether a line is ``-----Original Message-----`` in some language."""
    return _between_dashes(text) in ORIGINAL


def is_forward_rule(text: str) -> bool:
    """Tell whether a line says, in some language, that what follows is passed on."""
    words = _between_dashes(text) or (text.rstrip("*_ ：:").strip("* ").lower() if text.endswith((":", "：")) else "")
    return words in FORWARDED


def is_dashed(text: str) -> bool:
    """Tell whether a line is some words between dashes."""
    return bool(_between_dashes(text))


def _between_dashes(text: str) -> str:
    """Return the words of ``-----Words-----`` in lower case; empty where a line is none."""
    if len(text) > 100 or text[:1] not in "-_—–=*":
        return ""
    found = _DASHED.fullmatch(text)
    return found.group(1).strip(" :：").lower() if found else ""


def has_date(text: str) -> bool:
    """Tell whether a year, or a date in figures, stands in a line."""
    return _DATE.search(text) is not None


def has_time(text: str) -> bool:
    """Tell whether a time of day stands in a line."""
    return _TIME.search(text) is not None


def wraps(upper: str, lower: str, columns: int = 58) -> bool:
    """Tell whether the lower line may have been wrapped off the upper one: its first word would not have fitted."""
    return width(upper) + 1 + width(lower.split(" ", 1)[0]) > columns


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def next_filled(lines: Sequence[Line], start: int) -> int:
    """Return the first line from ``start`` on that is not blank; the number of lines where there is none."""
    return next((n for n in range(start, len(lines)) if not lines[n].is_blank), len(lines))


def are_blank(lines: Iterable[Line]) -> bool:
    """Tell whether nothing stands in any of them."""
    return all(line.is_blank for line in lines)
