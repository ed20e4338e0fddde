"""Deciding from a customer's words alone whether a person is needed: no model, no clock, no storage.

Four languages are looked for in every message, because a guess at the language of three words is worth little. Words
miss what is said in other words; the model's own wish for a person and the rules are there for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gateway.assistant.escalation.english import ENGLISH
from gateway.assistant.escalation.folding import fold, misspellings, shorten, unaccented
from gateway.assistant.escalation.french import FRENCH
from gateway.assistant.escalation.frequent import FREQUENT, FUNCTION_WORDS, LETTERS, REAL_WORDS
from gateway.assistant.escalation.german import GERMAN
from gateway.assistant.escalation.notation import Language, Phrases, expressions, phrases, union
from gateway.assistant.escalation.spanish import SPANISH


class Reason(StrEnum):
    """Why a person is needed, the strongest first."""

    EMERGENCY = "emergency"
    CUSTOMER_REQUEST = "customer_request"
    COMPLAINT = "complaint"
    COMPLEX_QUESTION = "complex_question"
    AI_CONFIDENCE_LOW = "ai_confidence_low"


@dataclass(frozen=True, slots=True)
class Found:
    """What a message gives as the reason."""

    reason: Reason
    language: str
    """Whose words they are: ``en``, ``es``, ``fr`` or ``de``."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A language, ready to be looked for."""

    code: str
    tables: dict[Reason, Phrases]
    whole: re.Pattern[str]
    filler: frozenset[str]
    angry: Phrases
    pleased: re.Pattern[str]
    not_knowing: re.Pattern[str]
    vocabulary: frozenset[str]
    """The words that its tables are made of."""


def _compiled(language: Language) -> _Compiled:
    return _Compiled(
        language.code,
        _tables(language),
        re.compile("|".join(expressions(language.whole, language))),
        frozenset(fold(language.filler).split()),
        phrases(language.angry, language, denials=(language.unwanted, language.denied)),
        union(language.pleased, language),
        union(language.not_knowing, language),
        _vocabulary(language),
    )


def _tables(language: Language) -> dict[Reason, Phrases]:
    said_not = (language.unwanted, language.denied)
    asked_not = (language.unwanted, language.asks_what_we_are)
    return {
        Reason.EMERGENCY: phrases(language.emergency, language, denials=said_not, beside=language.past),
        Reason.CUSTOMER_REQUEST: phrases(language.customer_request, language, denials=asked_not),
        Reason.COMPLAINT: phrases(language.complaint, language, denials=said_not),
        Reason.COMPLEX_QUESTION: phrases(language.complex_question, language, denials=(language.unwanted,)),
        Reason.AI_CONFIDENCE_LOW: phrases(language.ai_confidence_low, language),
    }


def _vocabulary(language: Language) -> frozenset[str]:
    tables = (language.lists, language.whole, language.pleased, language.angry, *(getattr(language, r) for r in Reason))
    return frozenset(word for table in tables for word in re.findall(r"[^\W\d_]+", unaccented(table)))


_LANGUAGES = (ENGLISH, SPANISH, FRENCH, GERMAN)
_COMPILED = tuple(map(_compiled, _LANGUAGES))
_MISSPELT = misspellings(
    (word for language in _LANGUAGES for word in language.often_mistyped.split()),
    frozenset(REAL_WORDS.split()).union(*(compiled.vocabulary for compiled in _COMPILED)),
)

_NO_FIRST = re.compile(r"^ \. (?:no|non|nein) \. ")
_WHOLE_WORDS = 4
"""Of a message that only names whom it wants, filler apart."""


def reason_in(text: str) -> Found | None:
    """Return the strongest reason that the words give, or None."""
    folded = fold(text, _MISSPELT)
    for reason in Reason:
        for language in _COMPILED:
            if language.tables[reason].are_in(folded) or (
                reason is Reason.CUSTOMER_REQUEST and _only_names_someone(folded, language)
            ):
                return Found(reason, language.code)
    return None


def _only_names_someone(folded: str, language: _Compiled) -> bool:
    """Tell whether the whole message is "agent please" or the like."""
    words = [word for word in _NO_FIRST.sub(" ", folded).split() if word not in language.filler]
    named = [word for word in words if not word.isdecimal()]
    return len(named) <= _WHOLE_WORDS and language.whole.fullmatch(" ".join(named)) is not None


_SHOUTS = re.compile(r"!{2}|\?!|!\?")
_IMPATIENT = re.compile(r"\?{3}")
_LETTERS_SHOUTED, _SHARE_SHOUTED = 10, 0.8


def is_angry(text: str) -> bool:
    """Tell whether the words, or the way they are shouted, show an anger that is no reason by itself yet."""
    folded = fold(text)
    if any(language.angry.are_in(folded) for language in _COMPILED):
        return True
    if any(language.pleased.search(folded) for language in _COMPILED):
        return False
    short = shorten(text)
    return _IMPATIENT.search(short) is not None or (_SHOUTS.search(short) is not None and _is_in_capitals(short))


def _is_in_capitals(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    capitals = sum(map(str.isupper, letters))
    return len(letters) >= _LETTERS_SHOUTED and capitals >= _SHARE_SHOUTED * len(letters)


def admits_not_knowing(answer: str) -> bool:
    """Tell whether an answer of the bot says that it does not know or cannot help."""
    folded = fold(answer)
    return any(language.not_knowing.search(folded) for language in _COMPILED)


_SAYS_NOTHING = frozenset(FUNCTION_WORDS.split())
_ALIKE = 0.8
_STEM = 5
"""Letters of a word that count: "opening" is "opens", nearly."""


def repeats(text: str, earlier: str) -> bool:
    """Tell whether a customer asks (nearly) the same as before: the same words in any order, with the same numbers.

    What only greets, thanks, agrees or declines repeats nothing.
    """
    said, before = _stems(text), _stems(earlier)
    if not said or not before or _numbers(said) != _numbers(before):
        return False
    return 2 * len(said & before) >= _ALIKE * (len(said) + len(before))


def _stems(text: str) -> set[str]:
    words = [word for word in fold(text).replace("'", "").split() if word not in _SAYS_NOTHING and word != "."]
    return {word if _numbers({word}) else word.rstrip("s")[:_STEM] for word in words}


def _numbers(words: set[str]) -> set[str]:
    return {word for word in words if any(map(str.isdigit, word))}


_WORDS = re.compile(r"[^\W\d_]+")
_OWNERS = {
    word: tuple(code for code, theirs in FREQUENT.items() if word in theirs.split())
    for words in FREQUENT.values()
    for word in words.split()
}
_SURE, _LEAD = 1.0, 1.3
"""The least score, in words that no other language shares, and how far ahead of the next."""


def language_of(text: str) -> str | None:
    """Return a cheap guess among ``en es fr de pt it nl`` by frequent words and letters; None when unsure."""
    lowered = shorten(text).casefold()
    scores = dict.fromkeys(FREQUENT, 0.0)
    for word in _WORDS.findall(lowered):
        owners = _OWNERS.get(word, ())
        for code in owners:
            scores[code] += 1 / len(owners)
    for letter in LETTERS.keys() & set(lowered):
        scores[LETTERS[letter]] += 1
    first, second = sorted(scores, key=scores.__getitem__, reverse=True)[:2]
    return first if scores[first] >= max(_SURE, _LEAD * scores[second]) else None
