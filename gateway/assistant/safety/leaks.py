"""Recognising the system prompt in an answer: word for word, and through what undoes itself without thinking. Pure."""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator

import regex

GRAM = 20
"""Letters that are compared at once."""
STRIDE = 4
"""Of the answer's letters only every so many begin a comparison; none longer than both together is missed."""
MIN_OWNER_LETTERS = 12
"""A shorter text of the owner's cannot, with the words around it in the prompt, be taken for a leak."""
MAX_QUOTED_LETTERS = 240
"""Of the owner's own words to the model: an answer may quote a fact or two of them, and not recite them."""
MIN_DUMP_LETTERS = 120
_PART = "\n\n"
# Parts of the prompt that are there to be told.
_FACTS = ("Facts about the business:", "Frequent questions:")
# What the rules want to be said, and what a refusal says in their words: "I never ask for passwords".
_SPOKEN = re.compile(r"\bNever [^.]*|(?<!never )(?<!not )\b(?:[Ss]ay|tell the customer) (?:that|to) [^.;:]*")

_NO_LETTER = re.compile(r"[\W\d_]+")
# Diacritics, of which a run costs a normalisation the square of its length; and characters that are whole words.
_COSTLY = regex.compile(r"[\p{M}\u3300-\u33ff\ufdf0-\ufdff]+")
_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅԌԚԜавекмнорстухіјѕӏԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχıɡᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "abekmhopctyxijsgqwabekmhopctyxijsldqwhabezhikmnoptyxaeikvoptuxigabcdefghijklmnoprstuvwyz",
)
_DIGITS = str.maketrans("0134578@$", "oieastbas")
_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
_WHITE = re.compile(r"\s+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_BETWEEN_HEX = re.compile(r"0x|\\x|[\s:,;%-]")
_HEX = re.compile(r"[0-9A-Fa-f]{40,}")
_READABLE = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xf4]{16,}")


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", _COSTLY.sub("", text))
    return plain.translate(_LOOKALIKES).casefold()


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", _folded(text))


class _Overlap:
    """Texts that an answer must not repeat; letters only, forwards and backwards, plain and in rot13."""

    def __init__(self, pieces: Iterable[str], *, run: int, total: int) -> None:
        """Take the texts' letters, and how many of them may not come in one run or in all."""
        self._run, self._total = run, total
        turned = (way for piece in pieces for way in (piece, piece[::-1]))
        written = (form for way in turned for form in (way, way.translate(_ROT13)))
        self._grams = {form[at : at + GRAM] for form in written for at in range(len(form) - GRAM + 1)}

    def is_in(self, letters: str) -> bool:
        """Tell whether letters repeat too much."""
        total = covered = 0
        seen = -1
        for at in range(0, len(letters) - GRAM + 1, STRIDE):
            if at <= seen or letters[at : at + GRAM] not in self._grams:
                continue
            first, seen = self._extent(letters, at, seen)
            end = seen + GRAM
            total += end - max(first, covered)
            covered = end
            if end - first >= self._run or total >= self._total:
                return True
        return False

    def _extent(self, letters: str, at: int, seen: int) -> tuple[int, int]:
        """Return where the first and the last comparison succeed of those around one that does; none is made twice."""
        first = last = at
        while first > seen + 1 and letters[first - 1 : first - 1 + GRAM] in self._grams:
            first -= 1
        while letters[last + 1 : last + 1 + GRAM] in self._grams:
            last += 1
        return first, last


class Secret:
    """What of the system prompt is for the model alone."""

    def __init__(self, instructions: str, owner_texts: Iterable[str], own_words: str = "") -> None:
        """Take the prompt, what of it may be repeated, and the owner's words to the model, which may be quoted from."""
        rules = " ".join(part for part in instructions.split(_PART) if not part.startswith(_FACTS))
        public = _long_ones(part for text in (*owner_texts, own_words) for part in text.split(_PART))
        said = _long_ones(_SPOKEN.findall(" ".join(rules.split())))
        self._whole = _Overlap(_without(_letters(rules), public), run=60, total=120)
        self._strict = _Overlap(_without(_letters(rules), public | said), run=40, total=80)
        quotable = _letters(own_words)
        most = max(MIN_DUMP_LETTERS, min(MAX_QUOTED_LETTERS, round(0.8 * len(quotable))))
        self._own_words = _Overlap([quotable], run=most, total=most)

    def is_in(self, text: str) -> bool:
        """Tell whether a text repeats the prompt, however it is written."""
        parts = (self._strict, self._whole, self._own_words)
        return any(part.is_in(letters) for letters in _readings(text) for part in parts)


def _long_ones(texts: Iterable[str]) -> set[str]:
    return {letters for text in texts if len(letters := _letters(text)) >= MIN_OWNER_LETTERS}


def _without(letters: str, pieces: set[str]) -> list[str]:
    """Cut pieces out; what stood around them does not become one."""
    for piece in sorted(pieces, key=len, reverse=True):
        letters = letters.replace(piece, "\n")
    return letters.split("\n")


def _readings(text: str) -> Iterator[str]:
    """Return the letters of a text as it is, with digits read as the letters that they look like, and decoded."""
    folded = _folded(text)
    yield _NO_LETTER.sub("", folded)
    likely = folded.translate(_DIGITS)
    if likely != folded:
        yield _NO_LETTER.sub("", likely)
    yield from (_letters(decoded) for decoded in _decoded(text) if decoded)


def _decoded(text: str) -> Iterator[str]:
    """Return what base64 and hex in a text say; where they begin is not known, so each place in a group is tried."""
    urlsafe = _WHITE.sub("", text)
    runs = [run.replace("-", "+").replace("_", "/") for run in _BASE64.findall(urlsafe)]
    for skip in range(4):
        yield _readable(binascii.a2b_base64(run[skip : len(run) - (len(run) - skip) % 4]) for run in runs)
    pairs = _HEX.findall(_BETWEEN_HEX.sub("", text))
    for skip in range(2):
        yield _readable(bytes.fromhex(run[skip : len(run) - (len(run) - skip) % 2]) for run in pairs)


def _readable(contents: Iterable[bytes]) -> str:
    return b"".join(run for content in contents for run in _READABLE.findall(content)).decode(errors="ignore")
