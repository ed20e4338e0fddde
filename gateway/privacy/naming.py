"""Whether some bytes name somebody, in whatever way a webhook writes addresses and ids. Pure."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_plus

MIN_CHARACTERS = 4
"""A shorter id, such as a row's number, stands for too many other things."""

MAX_FIELD = 1000
"""Characters of a field that holds an address: RFC 5321, section 4.5.3.1, allows one of 254."""

_MAILBOX = re.compile(r"<([^<>]*)>\s*$")
_WORD = re.compile(r"[^\W_]+")
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]+)*")  # with the line breaks of MIME
SHIFTED_BYTES = 65536
"""Longer runs are only read from their beginning: what has lost its own is a damaged record, and those are short."""
_ALPHABETS = bytes.maketrans(b"-_", b"+/")


class Names:
    """Somebody's addresses and ids, ready to be looked for.

    Each is compared by its words, the letters and digits without what stands between them: ``+15550100123`` is found
    as ``%2B15550100123``, as ``whatsapp:+15550100123`` and as ``15550100123``, and never within a longer number.
    """

    def __init__(self, names: Iterable[str], *, ours: Iterable[str] = ()) -> None:
        self._whole: set[str] = set()
        self._by_longest: dict[str, set[str]] = {}
        not_theirs = {" ".join(_words_of(account)) for account in ours}
        for name in names:
            words = _words_of(name)
            if not words or " ".join(words) in not_theirs:
                continue
            self._whole.add(" ".join(words))
            if sum(map(len, words)) >= MIN_CHARACTERS:
                self._by_longest.setdefault(max(words, key=len), set()).add(f" {' '.join(words)} ")

    def __bool__(self) -> bool:
        return bool(self._whole)

    def has(self, text: str) -> bool:
        """Tell whether a text is one of the names and nothing else; a mailbox may have somebody's name before it."""
        if len(text) > MAX_FIELD:
            return False
        mailbox = _MAILBOX.search(text)
        return any(" ".join(_words_of(one)) in self._whole for one in (text, *(mailbox.groups() if mailbox else ())))

    def in_bytes(self, data: bytes) -> bool:
        """Tell whether one of the names is in there."""
        return any(self._in_text(text) for text in _readings(data))

    def _in_text(self, text: str) -> bool:
        folded = text.casefold()
        if not any(word in folded for word in self._by_longest):  # so it is with most, and much quicker to see
            return False
        words = _WORD.findall(folded)
        known = self._by_longest.keys() & set(words)
        if not known:
            return False
        line = f" {' '.join(words)} "
        return any(name in line for word in known for name in self._by_longest[word])


def _words_of(name: str) -> list[str]:
    return _WORD.findall(name.strip().removeprefix("whatsapp:").casefold())


def _readings(data: bytes, depth: int = 2) -> Iterator[str]:
    """Return the ways in which bytes can be read: as they are, as a form, as JSON, as mail, packed in base64."""
    text = data.decode("utf-8", "replace")
    yield text
    if "%" in text or "+" in text:
        yield unquote_plus(text)
    if "\\" in text:
        unescaped = text.replace("\\/", "/").replace("\\n", " ").replace("\\r", " ").replace("\\t", " ")
        yield _JSON_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), unescaped)
    if b"=" in data:
        yield quopri.decodestring(data).decode("utf-8", "replace")
    if depth:
        for packed in _BASE64.finditer(data):
            yield from _unpacked(packed[0], depth)


def _unpacked(packed: bytes, depth: int) -> Iterator[str]:
    """Read what may be base64, also where its beginning is missing."""
    joined = packed.replace(b"\r", b"").replace(b"\n", b"").translate(_ALPHABETS)
    for start in range(4 if len(joined) <= SHIFTED_BYTES else 1):
        part = joined[start : start + (len(joined) - start) // 4 * 4]
        try:
            yield from _readings(base64.b64decode(part), depth - 1)
        except binascii.Error:
            continue
