"""Reads a message's HTML into pieces: the customer's words, and what their mail program marked as something else.

How mail programs mark what they quote was read from mail of each of them, 2026-11.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from channels.email.html.tags import Tag, read_tags

MOST_OPEN = 3000
"""Elements that may be open at once; behind that, tags only divide lines."""


def read_pieces(html: str) -> list[Piece]:
    """Return a message's text in pieces of one kind each, in their order; some are empty."""
    reader = _Reader()
    for token in read_tags(html):
        if isinstance(token, str):
            reader.write(token)
        elif token.is_end:
            reader.end(token.name)
        else:
            reader.start(token)
    return reader.pieces()


class Kind(Enum):
    OWN = auto()
    QUOTE = auto()
    FRAME = auto()
    """A quote up to the end of its first ``<blockquote>``; what follows in it are answers."""
    HEADED = auto()
    """Outlook's heading and all that follows it, which proves to be a quote or not by what it says."""
    SIGNATURE = auto()


# Gmail, Proton and Zoho; the last two of the quotes are Thunderbird's and Roundcube's line above one.
_CLASSES: Mapping[str, Kind] = {
    **dict.fromkeys(("gmail_quote", "protonmail_quote", "zmail_extra"), Kind.FRAME),
    **dict.fromkeys(("yahoo_quoted", "tutanota_quote", "moz-cite-prefix"), Kind.QUOTE),
    **dict.fromkeys(
        ("gmail_signature", "gmail_signature_prefix", "moz-signature", "protonmail_signature_block"), Kind.SIGNATURE
    ),
}
_IDS: Mapping[str, Kind] = {
    "reply-intro": Kind.QUOTE,
    "divrplyfwdmsg": Kind.HEADED,
    "appendonsend": Kind.HEADED,
    "mail-editor-reference-message-container": Kind.HEADED,
    "ms-outlook-mobile-signature": Kind.SIGNATURE,
    "applemailsignature": Kind.SIGNATURE,
}
_HEADING_STYLES = (  # of Outlook's for Windows and Mac, as they are and as its web page rewrites them
    *(f"border-top:solid{color}" for color in ("#e1e1e1", "#b5c4df")),
    *(f"border-top:1ptsolid{color}" for color in ("rgb(225,225,225)", "rgb(181,196,223)", "#e1e1e1", "#b5c4df")),
)
_UNSEEN_STYLES = ("display:none", "visibility:hidden", "mso-hide:all", "font-size:0;", "font-size:0px;", "opacity:0;")
_UNSEEN_TAGS = frozenset({"template", "select", "object", "svg"})


def _kind_of(name: str, attributes: Mapping[str, str], style: str) -> Kind | None:
    if name == "blockquote" and attributes.get("type", "").lower() == "cite":
        return Kind.QUOTE
    if name == "div" and any(one in style for one in _HEADING_STYLES):
        return Kind.HEADED
    kinds = [_CLASSES[one] for one in attributes.get("class", "").split() if one in _CLASSES]
    kind = kinds[0] if kinds else _IDS.get(attributes.get("id", "").lower())
    return Kind.QUOTE if kind is Kind.FRAME and name != "div" else kind


_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table", "pre", "dl"})
_BLOCKS = _PARAGRAPHS | frozenset(
    {"div", "tr", "li", "hr", "section", "article", "header", "footer", "main", "center", "address", "dt", "dd", "form"}
    | {"figure", "figcaption", "nav", "aside", "body", "html", "caption", "tbody", "thead"}
)
_NESTING = frozenset({"div", "blockquote", "table", "tr", "td", "th", "ul", "ol", "section", "article", "pre"})
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "area", "base", "wbr", "embed", "source"})
_SPACE = re.compile(r"[ \t\r\n\f]+")


@dataclass(frozen=True, slots=True)
class _Open:
    """An element that is open, and how it was read before it."""

    name: str
    kind: Kind
    is_unseen: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the message's text, in its order."""

    kind: Kind
    text: str


class _Reader:
    """Puts a message's texts into lines, and those into pieces of one kind each."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._names: Counter[str] = Counter()
        self._kind = Kind.OWN
        self._is_unseen = False
        self._pieces: list[tuple[Kind, list[str]]] = [(Kind.OWN, [])]
        self._line: list[str] = []
        self._has_words = False
        self._counts: list[int] = []

    def pieces(self) -> list[Piece]:
        """Return what was read."""
        self._end_line()
        return [Piece(kind, tidy("\n".join(lines))) for kind, lines in self._pieces]

    def write(self, text: str) -> None:
        """Take a text that stands between two tags."""
        if self._is_unseen:
            return
        self._has_words = self._has_words or not text.isspace()
        if self._names["pre"]:
            first, *others = text.split("\n")
            self._line.append(first)
            for line in others:
                self._end_line(always=True)
                self._line.append(line)
        else:
            self._line.append(_SPACE.sub(" ", text))

    def start(self, tag: Tag) -> None:
        """Take a start tag."""
        self._divide(tag.name)
        if tag.name in ("td", "th") and self._has_words:
            self._line.append("  ")
        if tag.name == "br":
            self._end_line(always=True)
        if tag.name in _VOID:
            return
        attributes = tag.attributes if "=" in tag.source or "hidden" in tag.source else {}
        style = "".join(attributes.get("style", "").lower().split()) + ";"
        kind = _kind_of(tag.name, attributes, style)
        unseen = tag.name in _UNSEEN_TAGS or "hidden" in attributes or any(one in style for one in _UNSEEN_STYLES)
        if (kind or unseen or tag.name in _NESTING or self._names[tag.name]) and len(self._open) < MOST_OPEN:
            self._open.append(_Open(tag.name, self._kind, self._is_unseen))
            self._names[tag.name] += 1
        elif kind is not Kind.HEADED:
            kind = None
        self._is_unseen = self._is_unseen or (unseen and bool(self._open))
        self._turn_into(kind)
        self._begin_item(tag.name)

    def end(self, name: str) -> None:
        """Take an end tag, and close what was left open inside."""
        self._divide(name)
        if name in ("ul", "ol") and self._counts:
            self._counts.pop()
        if not self._names[name]:
            return
        while True:
            closed = self._open.pop()
            self._names[closed.name] -= 1
            if closed.name == name:
                break
        self._is_unseen = closed.is_unseen
        self._resume(closed)

    def _turn_into(self, kind: Kind | None) -> None:
        if kind is Kind.HEADED:
            self._begin(kind, is_new=True)
        elif kind is not None and self._kind is Kind.OWN:
            self._begin(kind)
        elif self._kind is Kind.FRAME and kind is Kind.QUOTE:
            self._begin(Kind.QUOTE)

    def _resume(self, closed: _Open) -> None:
        """Go on as before an element; but a heading is for all that follows, and a frame ends with its quote."""
        if self._kind is Kind.HEADED:
            return
        in_frame = closed.kind is Kind.FRAME and closed.name == "blockquote"
        self._begin(Kind.OWN if in_frame else closed.kind)

    def _begin(self, kind: Kind, *, is_new: bool = False) -> None:
        if kind is not self._kind or is_new:
            self._end_line()
            self._kind = kind
            self._pieces.append((kind, []))

    def _divide(self, name: str) -> None:
        if name in _BLOCKS:
            self._end_line()
            lines = self._pieces[-1][1]
            if name in _PARAGRAPHS and lines and lines[-1]:
                lines.append("")

    def _begin_item(self, name: str) -> None:
        if name in ("ul", "ol"):
            self._counts.append(0 if name == "ol" else -1)
        elif name == "li" and not self._is_unseen:
            if self._counts and self._counts[-1] >= 0:
                self._counts[-1] += 1
                self._line.append(f"{self._counts[-1]}. ")
            else:
                self._line.append("* ")

    def _end_line(self, *, always: bool = False) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._names["pre"] else line.strip(" ")
        if not self._is_unseen and (always or line):
            self._pieces[-1][1].append(line)
        self._line, self._has_words = [], False


def tidy(text: str) -> str:
    """Return a text with at most one blank line in a row, and none around it."""
    kept: list[str] = []
    for raw in text.replace("\xa0", " ").split("\n"):
        line = raw.rstrip()
        if line or (kept and kept[-1]):
            kept.append("-- " if line == "--" and raw.startswith("-- ") else line)
    return "\n".join(kept).strip("\n")
