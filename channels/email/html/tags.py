"""HTML as a row of tags and texts, read in linear time whatever it is; nothing between two tags is lost.

Not a tree, on purpose: a mail's HTML may be nested 100,000 deep. libxml2 leaves out what lies deeper than 256 levels
(2,048 with ``huge_tree``) without a word, and what walks its tree by recursion ends at 1,000.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MOST_QUOTES = 64
"""Quoted values of one tag that are skipped to find its end."""
LOOKED_AT = 8192
"""Characters of one tag in which its attributes are looked for."""
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9:_-]{0,40})")
_END_OR_QUOTE = re.compile(r">|=[ \t\r\n]{0,8}[\"']")
# A name is tried only where one begins, and never twice: the possessive "++" keeps it linear.
_ATTRIBUTE = re.compile(r"""(?<![^\s"'/])([a-zA-Z-]++)(?:\s{0,8}=\s{0,8}("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_RAW = frozenset({"script", "style", "title"})
"""Their content is no text of the message."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A start or end tag."""

    name: str
    """In lower case."""
    is_end: bool
    source: str
    """What stands behind its name, cut."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes: names in lower case, the first of each name."""
        found: dict[str, str] = {}
        for name, value in _ATTRIBUTE.findall(self.source):
            found.setdefault(name.lower(), html.unescape(value.strip("\"'")))
        return found


def read_tags(source: str) -> Iterator[Tag | str]:
    """Yield what a message's HTML consists of: tags, and the texts between them with their entities resolved."""
    find = _Finder(source)
    at = 0
    while at < len(source):
        start = find("<", at)
        if start == -1:
            start = len(source)
        if start > at:
            yield html.unescape(source[at:start])
        if start == len(source):
            return
        tag, at = _read_one(source, start, find)
        if tag is not None:
            yield tag
            if isinstance(tag, Tag) and tag.name in _RAW and not tag.is_end:
                at = find.close(tag.name, at)


def strip_tags(source: str) -> str:
    """Return the text of what is too large to be looked at closely."""
    for opening, closing in (("<style", "</style"), ("<script", "</script"), ("<!--", "-->")):
        source = _without(source, opening, closing)
    for tag in _DIVIDING:
        source = source.replace(tag, f"\n{tag}").replace(tag.upper(), f"\n{tag}")
    return html.unescape(_TAG.sub("", source))


_DIVIDING = ("<br", "</p", "</div", "</tr", "</li", "</h1", "</h2", "</h3", "<blockquote")
_TAG = re.compile(r"<[^<>]*+>")


def _without(source: str, opening: str, closing: str) -> str:
    """Return a text without what stands between two words; what is never closed stays."""
    kept: list[str] = []
    at = 0
    while (start := source.find(opening, at)) != -1:
        end = source.find(closing, start)
        if end == -1:
            break
        kept.append(source[at:start])
        at = end + (len(closing) if closing == "-->" else 0)
    kept.append(source[at:])
    return "".join(kept)


def _read_one(source: str, start: int, find: _Finder) -> tuple[Tag | str | None, int]:
    """Return what begins at a ``<``, and where it ends."""
    if source.startswith("<!--", start):
        end = find("-->", start + 2)  # "<!-->" is a whole comment
        return None, end + 3 if end != -1 else start + 4
    if source.startswith(("<!", "<?"), start):
        end = find(">", start)
        return (None, end + 1) if end != -1 else ("<", start + 1)
    name = _NAME.match(source, start + 1)
    end = _end_of_tag(source, start, find) if name is not None else -1
    if name is None or end == -1:
        return "<", start + 1
    return Tag(
        name.group(1).lower(), source[start + 1] == "/", source[name.end() : min(end, name.end() + LOOKED_AT)]
    ), end + 1


def _end_of_tag(source: str, start: int, find: _Finder) -> int:
    """Return where a tag's ``>`` stands: not in one of its values, unless their quotes do not match."""
    first = find(">", start)
    at = start
    for _ in range(MOST_QUOTES if first != -1 else 0):
        found = _END_OR_QUOTE.search(source, at)
        if found is None or found.group() == ">":
            return first if found is None else found.start()
        at = find(found.group()[-1], found.end()) + 1
        if at == 0:
            return first
    return first if first == -1 else find(">", at)


class _Finder:
    """Finds what comes next, and remembers what does not come any more."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._known: dict[str, tuple[int, int]] = {}

    def __call__(self, needle: str, at: int) -> int:
        since, found = self._known.get(needle, (0, 0))
        if since <= at and (found == -1 or at <= found) and needle in self._known:
            return found
        found = self._source.find(needle, at)
        self._known[needle] = (at, found)
        return found

    def close(self, name: str, at: int) -> int:
        """Return where the end tag of an element without tags inside begins; ``at`` where it has none."""
        key = f"</{name}"
        since, found = self._known.get(key, (len(self._source) + 1, 0))
        if found == -1 and since <= at:
            return at
        match = re.compile(key, re.IGNORECASE).search(self._source, at)
        self._known[key] = (at, match.start() if match else -1)
        return match.start() if match else at
