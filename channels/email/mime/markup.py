"""What can be told of HTML in linear time, without a parser."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote

from channels.email.mime.limits import MAX_OPEN_TAGS

_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]{0,30})[^<>]*+>?|<[!?][^<>]*+>?")
_UNSHOWN = frozenset({"head", "script", "style", "title", "template", "noscript"})
_BREAKS = re.compile(
    r"address|article|aside|blockquote|br|center|d[dlt]|div|fieldset|figure|footer|form|h[1-6r]|header|li|main|nav|ol|p"
    r"|pre|section|table|tr|ul"
)
# html.spec.whatwg.org, 13.1.2: elements that have no end.
_VOID = re.compile(r"area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
# The standard library reads a number of any length and then refuses it, so none but possible ones are given to it.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_REFERENCE = re.compile(r"cid:([^\"'\s<>()\[\]]{1,250})", re.IGNORECASE)  # RFC 2392
_WHITE = re.compile(r"[ \t\r\n\xa0]+")
_START = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)


def looks_like_html(text: str) -> bool:
    """Whether a text says by its first tag that it is a page."""
    return _START.match(text) is not None


def has_tags(text: str) -> bool:
    """Whether there is anything in a text that HTML would not show as it is written."""
    return _TAG.search(text) is not None


def is_nested_too_deep(markup: str) -> bool:
    """Whether more tags are open at once than any parser should be given; what is closed unopened closes nothing."""
    opened: Counter[str] = Counter()
    depth = 0
    for match in _TAG.finditer(markup):
        name = (match[2] or "").lower()
        if not name or _VOID.fullmatch(name):
            continue
        if not match[1]:
            opened[name] += 1
            depth += 1
            if depth > MAX_OPEN_TAGS:
                return True
        elif opened[name]:
            opened[name] -= 1
            depth -= 1
    return False


def references(text: str) -> frozenset[str]:
    """Return the Content-IDs that a text shows (RFC 2392), as they are written and percent-decoded."""
    found = [html.unescape(match) for match in _REFERENCE.findall(text)]
    return frozenset(found) | frozenset(map(unquote, found))


def to_text(markup: str) -> str:
    """Return what markup says, tags taken out: for a page that no parser should be given."""
    lines = "".join(_texts(markup)).split("\n")
    return "\n".join(line for line in (_WHITE.sub(" ", line).strip() for line in lines) if line)


def _texts(markup: str) -> Iterator[str]:
    """Yield texts, and a newline for each tag that begins or ends a line."""
    endless: set[str] = set()
    position = 0
    while match := _TAG.search(markup, position):
        yield unescape(_WHITE.sub(" ", markup[position : match.start()]))
        position = match.end()
        name = "!--" if match[0] == "<!--" else (match[2] or "").lower()
        if _BREAKS.fullmatch(name):
            yield "\n"
        if (name == "!--" or (name in _UNSHOWN and not match[1])) and name not in endless:
            end = _end_of(name, markup, position)
            if end is None:
                endless.add(name)  # what has no end hides nothing, and is not looked for again
            else:
                position = end
    yield unescape(_WHITE.sub(" ", markup[position:]))


def _end_of(name: str, markup: str, position: int) -> int | None:
    if name == "!--":
        found = markup.find("-->", position)
        return None if found < 0 else found + 3
    match = re.compile(rf"</{name}\b", re.IGNORECASE).search(markup, position)
    return match.start() if match else None


def unescape(text: str) -> str:
    """Return a text with its character references read."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text
