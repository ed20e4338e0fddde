"""How the word tables are written, and how a table becomes one expression.

A table is a text with one pattern a line; a line that stands deeper goes on with the one before. A pattern is the
folded text that it matches, whole words only, with a little notation on top of regular expressions:

- ``(a|b)`` is one of several, ``[a|b] `` before a word may be there or not, ``{name}`` is a list of the language's own;
- ``dueñ[oa]`` ends in one of the letters, ``letters*`` is any word that begins so;
- `` … `` stands for up to three words of the same part of a sentence, none of which denies anything;
- ``.`` is where a part of a sentence begins or ends;
- an apostrophe may be missing or a space; a hyphen too. ``ä`` may be typed as ``a`` or ``ae``, any accent left out.

Every repetition is bounded and gives nothing back, so the time to match grows with the length of the text alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.assistant.escalation.folding import unaccented

GAP_WORDS = 3
DENIAL_WORDS = 4
"""How far before a phrase a denial is looked for."""
_NEAR = 200
"""Characters of the same part of a sentence that are looked at for each phrase, so that many phrases cost no more."""
_NESTED_LISTS, _NESTED_OPTIONS = 3, 2
_GAP = "\0"


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language; all but the plain words are tables."""

    code: str
    lists: str
    """``name = one|another``: what patterns name in braces."""
    filler: str
    """Plain words that say nothing in a message of one phrase: greetings, politeness."""
    whole: str
    """Asks for a person where it is, without filler, the whole message."""
    customer_request: str
    complaint: str
    emergency: str
    complex_question: str
    ai_confidence_low: str
    unwanted: str
    """Before a phrase: it is not asked for."""
    asks_what_we_are: str
    """Before a person: the question is whether they talk to one."""
    denied: str
    """Before a phrase: it is not so."""
    turns: str
    """Words between a denial and a phrase that the denial does not reach across."""
    unneeded: str
    """Directly behind a phrase: it is not asked for."""
    past: str
    """Beside an emergency: it is over, or none yet."""
    angry: str
    pleased: str
    """Shouted, but not in anger."""
    not_knowing: str
    """What a bot says that does not know."""
    often_mistyped: str
    """Plain words."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """What one table matches, unless a denial stands before it."""

    said: re.Pattern[str]
    denied: re.Pattern[str] | None = None
    """Matches the words before a phrase where they deny it."""
    undone: re.Pattern[str] | None = None
    """Matches the words behind a phrase where they take it back."""
    beside: re.Pattern[str] | None = None
    """Found in the same part of a sentence where the phrase is about something else."""

    def are_in(self, folded: str) -> bool:
        """Tell whether a phrase is said and meant."""
        return any(self._is_meant(match) for match in self._matches(folded))

    def _matches(self, folded: str) -> Iterator[re.Match[str]]:
        match = self.said.search(folded)
        while match is not None:
            yield match
            # Not behind its end: what is denied may hold the beginning of what is not.
            match = self.said.search(folded, match.start() + 1)

    def _is_meant(self, match: re.Match[str]) -> bool:
        text, start, end = match.string, match.start(), match.end()
        if self.undone is not None and self.undone.match(text, end):
            return False
        clause = max(text.rfind(" . ", 0, start + 1) + 2, start - _NEAR)
        if self.beside is not None and self.beside.search(text, clause, _end_of_clause(text, end)):
            return False
        before = " ".join(text[clause:start].split()[-DENIAL_WORDS:])
        return self.denied is None or self.denied.search(f" {before} ") is None


def _end_of_clause(text: str, start: int) -> int:
    found = text.find(" .", start - 1, start + _NEAR)
    return start + _NEAR if found < 0 else found + 1


def patterns(table: str) -> list[str]:
    """Return the patterns of a table as they are written, each in one line."""
    found: list[str] = []
    for line in textwrap.dedent(table).strip("\n").split("\n"):
        if line.startswith(" "):
            found[-1] += line.strip() if line.strip().startswith("|") else f" {line.strip()}"
        elif line:
            found.append(line)
    return found


def expressions(table: str, language: Language) -> list[str]:
    """Return the patterns of a table as regular expressions."""
    lists = dict(row.split(" = ", 1) for row in patterns(language.lists))
    denying = "|".join(_plain(pattern) for pattern in patterns(language.unwanted) + patterns(language.denied))
    gap = rf"(?:(?!(?:{denying}) )[^ .]++ ){{0,{GAP_WORDS}}}"
    return [_plain(_filled(pattern, lists)).replace(_GAP, gap) for pattern in patterns(table)]


def union(table: str, language: Language) -> re.Pattern[str]:
    """Return an expression that finds any pattern of a table in folded text."""
    return re.compile(f"(?<= )(?:{'|'.join(expressions(table, language))})(?= )")


def phrases(table: str, language: Language, *, denials: Iterable[str] = (), beside: str = "") -> Phrases:
    """Return the patterns of a table together with what denies them: tables too."""
    before = "|".join(expression for one in denials for expression in expressions(one, language))
    turns = "|".join(expressions(language.turns, language))
    behind = "|".join(expressions(language.unneeded, language))
    return Phrases(
        union(table, language),
        re.compile(rf" (?:{before})(?=(?: (?!(?:{turns}) )[^ ]+)* $)") if before else None,
        re.compile(f" (?:{behind}) ") if before else None,
        union(beside, language) if beside else None,
    )


def _filled(pattern: str, lists: Mapping[str, str]) -> str:
    for _ in range(_NESTED_LISTS):
        pattern = re.sub(r"\{([a-z_]+)\}", lambda found: f"(?:{lists[found[1]]})", pattern)
    return pattern


def _plain(pattern: str) -> str:
    """Return a pattern without our notation; gaps stay, as one character each."""
    pattern = re.sub(r"(?<=\w)\[([\w -]+)\]", lambda found: f"(?:{'|'.join(found[1])})", pattern)
    for _ in range(_NESTED_OPTIONS):
        pattern = re.sub(r"\[([^][]*)\] ", r"(?:(?:\1) )?", pattern)
    pattern = re.sub(r"\((?!\?)", "(?:", pattern)
    pattern = pattern.replace("… ", _GAP).replace(".", r"\.").replace("*", "[^ .]*+")
    pattern = re.sub(r"(?<=\w)'(?=\w)", "(?: '|' | )?", pattern)
    pattern = re.sub(r"(?<=\w)-(?=\w)", "[- ]?", pattern)
    pattern = re.sub("[äöü]", lambda found: {"ä": "ae?", "ö": "oe?", "ü": "ue?"}[found[0]], pattern)
    return unaccented(pattern)
