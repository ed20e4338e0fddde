"""What may leave: every answer of the model passes here before anything of it is committed. Pure.

Nothing here makes a model obey; it bounds what a fooled one can say. The instructions are recognised word for word, and
through what undoes itself without thinking: case, spacing, lists, look-alike letters, digits for letters, base64, hex,
rot13, backwards. A translation, a retelling, and a text that is spread over several answers are not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.assistant.model import COLLEAGUE_MARK
from gateway.assistant.safety.leaks import Secret
from gateway.assistant.safety.links import LINK, MARKUP, Links, cut_out
from gateway.printable import without_controls

PROMPT, MARK = "prompt", "mark"
MAX_PASSES = 3
"""Taking something out can join the halves of something else; what is still not clean then was made to be so."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of an answer."""

    text: str | None
    """What may be said; None: nothing of it may."""
    removed: tuple[str, ...]
    """What was taken out: ``prompt``, ``link``, ``mark``, ``markup``."""


class Safety:
    """Checks answers against one configuration: what its prompt says, and where its owner sends customers."""

    def __init__(
        self, instructions: str, owner_texts: Iterable[str], allowed_links: Iterable[str] = (), own_words: str = ""
    ) -> None:
        """Take the whole system prompt, what of it customers may read word for word, and further links.

        ``own_words`` are the owner's to the model: facts in them may be quoted, the whole of them may not be recited.

        A link is a host (``example.com``), all that is under one (``*.example.com``), or the beginning of an address
        (``https://example.com/booking``). Hosts that the owner names in the texts are allowed as well.

        Raises:
            ValueError: an allowed link is none of these.
        """
        texts = tuple(owner_texts)
        self._secret = Secret(instructions, texts, own_words)
        self._links = Links((instructions, *texts), allowed_links)

    def check(self, answer: str) -> Checked:
        """Return what of an answer may be said; checking that once more changes nothing."""
        text = _visible(answer)
        found: set[str] = set()
        for _ in range(MAX_PASSES):
            cleaned = _without_marks(self._links.cleaned(text, found), found)
            if cleaned == text:
                break
            text = cleaned.strip()
        else:
            return _checked(None, found)
        if self._secret.is_in(text):  # last, for what was taken out may have stood between its words
            return Checked(None, (PROMPT,))
        says_something = _WORD.search(text) if found else text.strip()
        return _checked(text if says_something else None, found)

    def is_prompt_in(self, text: str) -> bool:
        """Tell whether a text that is no answer, such as a call's arguments, repeats the prompt."""
        return self._secret.is_in(_visible(text))


def _checked(text: str | None, found: set[str]) -> Checked:
    return Checked(text, tuple(what for what in (LINK, MARK, MARKUP) if what in found))


_WORD = re.compile(r"\w")


# --- what cannot be seen ---

# Joiners and marks of direction stay: Persian, Hebrew and emoji need them. Scotland's flag is spelled with tags
# (www.unicode.org/reports/tr51, annex C); anywhere else they are letters that nobody sees.
_UNSEEN = re.compile(
    "[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
    "|(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+"
)


def _visible(text: str) -> str:
    return _UNSEEN.sub("", without_controls(text))


# --- marks that belong to prompts ---

_COLLEAGUE = r"\s+".join(COLLEAGUE_MARK.strip("[]").split())
_ROLES = "system|assistant|developer|user|customer|tool|function"
_MARKS = re.compile(
    rf"""
    \[\s*{_COLLEAGUE}\s*\][ \t]*
    | \[(?:tool\b|attachment:|chose:|message\ taken\ back\]|(?:{_ROLES})(?:\s+(?:message|note|prompt|output))?[\]:=_])
      (?:(?<=\])|[^\[\]\n]*+\])[ \t]*                   # how transcripts name what is no text
    | </?(?:{_ROLES}|instructions)(?:[\s_:=][^<>\n]*+)?/?>[ \t]*
    | <\|[^|<>\n]*+\|>[ \t]* | <</?SYS>> | \[/?INST\][ \t]*  # templates of chat models
    | ^[ \t]*+(?:[#>*_-]++[ \t]*+)*+(?:system|assistant|developer|user)(?:[ \t]+(?:message|note|prompt))?+[ \t]*+
      [*_]*+[ \t]*+[:：][*_]*+[ \t]*
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def _without_marks(text: str, found: set[str]) -> str:
    cleaned = cut_out(_MARKS, text)
    if cleaned != text:
        found.add(MARK)
    return cleaned
