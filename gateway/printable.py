"""Text of strangers, before it reaches a terminal or a customer."""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Controls, invisible formats (which also turn the direction of writing), halves of characters, separators of lines.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # the category Cc without tab and newline


def printable(text: str, *, keep: str = "\n") -> str:
    """Return a text that only shows itself: a terminal obeys what stands in it, such as to erase what was shown before.

    Whatever else is not printable becomes U+FFFD; ``keep`` is left as it is.
    """
    if text.isprintable():
        return text
    return "".join(
        REPLACEMENT if unicodedata.category(character) in _UNPRINTABLE and character not in keep else character
        for character in text
    )


def without_controls(text: str) -> str:
    """Return a text without control characters but tab and newline: no customer's screen has a use for them."""
    return _CONTROLS.sub("", text)
