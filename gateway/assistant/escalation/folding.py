"""A message as the word tables see it: lower case, no accents, single spaces, ``.`` where a part of a sentence ends."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

KEPT_AT_START, KEPT_AT_END = 2400, 800
"""Characters: who writes more says what they want first or last."""

_SOUNDLESS = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff]")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ´`′＇", "'"))
_BREAKS = re.compile(r"[.!?;:,()\[\]{}\n\r\"“”„«»¿¡…|•]+|(?<=\s)[-–—]+(?=\s)|[–—]")
_NOISE = re.compile(r"[^\w'. -]|_|(?<!\w)['-]+|['-]+(?!\w)")
_ENDINGS = re.compile(r"'(?=(?:s|t|re|m|ve|ll|d)\b)")
_BEGINNINGS = re.compile(r"(?<=\w)'(?=\w)")
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")
_BREAKS_IN_A_ROW = re.compile(r"\.(?: \.)+")
_LONGEST_WORD = 40


def shorten(text: str) -> str:
    """Return the beginning and the end of a long text."""
    if len(text) <= KEPT_AT_START + KEPT_AT_END:
        return text
    return f"{text[:KEPT_AT_START]}\n{text[-KEPT_AT_END:]}"


def unaccented(text: str) -> str:
    """Return the text in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def fold(text: str, misspelt: Mapping[str, str] | None = None) -> str:
    """Return the text's words between single spaces, with ``.`` as a word of its own at every break.

    It begins and ends with a break: `` . can i talk to a human . ``. What an apostrophe joins is parted: ``don 't``,
    ``l' agent``. Words that ``misspelt`` knows are put right.
    """
    # Apostrophes first: normalising makes a space and an accent of some. Shortened again: it makes 18 letters of one.
    plain = shorten(unaccented(_SOUNDLESS.sub("", shorten(text).translate(_APOSTROPHES))))
    plain = _NOISE.sub(" ", _BREAKS.sub(" . ", plain))
    plain = _BEGINNINGS.sub("' ", _ENDINGS.sub(" '", plain))
    words = [word[:_LONGEST_WORD] for word in _DRAWN_OUT.sub(r"\1", plain).split()]
    corrected = [misspelt.get(word, word) for word in words] if misspelt else words
    between_breaks = " ".join([".", *corrected, "."])
    return f" {_BREAKS_IN_A_ROW.sub('.', between_breaks)} "


def misspellings(words: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the slips of a finger for each word: one letter left out, doubled, swapped with the next, a wrong vowel.

    The first letter is always right, and a slip that makes a word in ``known`` is none.
    """
    found: dict[str, str] = {}
    for word in words:
        for n in range(1, len(word)):
            head, letter, tail = word[:n], word[n], word[n + 1 :]
            slips = [head + tail, head + letter + letter + tail, head + tail[:1] + letter + tail[1:]]
            if letter in "aeiou":
                slips += [head + vowel + tail for vowel in "aeiou"]
            found.update((slip, word) for slip in slips)
    for word in (*words, *known):
        found.pop(word, None)
    return found
