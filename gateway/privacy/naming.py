"""Whether some bytes name somebody, in whatever way a webhook or an answer writes addresses and ids. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import quopri
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, unquote_plus

MIN_CHARACTERS = 4
"""A shorter id, such as a row's number, stands for too many other things."""

MAX_FIELD = 1000
"""Characters of a field that holds an address: RFC 5321, section 4.5.3.1, allows one of 254."""

ID_FIELDS = frozenset({"conversation_id", "conversation", "user_id"})
"""Where answers of ours hold ids that a caller has chosen."""
PATH_FIELD = "instance"

_IN_PATH = re.compile(r"/conversations/([^/?]+)")
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

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self._by_longest: dict[str, set[str]] = {}
        for name in names:
            words = _words_of(name)
            if words:
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
        words = _WORD.findall(text.casefold())
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


class Mentions:
    """Somebody as rows of ours may name them: by their names anywhere, by ids that others have chosen as ids only."""

    def __init__(self, names: Iterable[str], chosen_ids: Iterable[str]) -> None:
        self._names = Names(names)
        self._chosen_ids = frozenset(chosen_ids)

    def __bool__(self) -> bool:
        return bool(self._names or self._chosen_ids)

    def in_any(self, values: Iterable[bytes]) -> bool:
        """Tell whether one of a row's values names them."""
        return any(self._names.in_bytes(value) or self._has_id(value) for value in values)

    def _has_id(self, value: bytes) -> bool:
        text = value.decode("utf-8", "replace")
        if text in self._chosen_ids:
            return True
        try:
            return bool(self._chosen_ids) and any(id_ in self._chosen_ids for id_ in _ids_in(json.loads(text)))
        except (ValueError, RecursionError):
            return False


def _ids_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and name in ID_FIELDS:
                yield item
            elif isinstance(item, str) and name == PATH_FIELD:
                yield from map(unquote, _IN_PATH.findall(item))
            else:
                yield from _ids_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ids_in(item)
