"""A message's words: one text and one HTML of all the pieces that it is made of."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from channels.email.mime.charsets import clean, decode
from channels.email.mime.choosing import HTML, Chosen, Piece
from channels.email.mime.defects import Defect, Defects
from channels.email.mime.flowed import unflow
from channels.email.mime.limits import MAX_MARKUP_CHARACTERS, MAX_TEXT_CHARACTERS
from channels.email.mime.markup import (
    has_tags,
    is_nested_too_deep,
    looks_like_html,
    references,
    to_text,
    unescape,
)
from channels.email.mime.structure import Node

_META = re.compile(rb"<meta[^>]{1,200}charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_META_BYTES = 1024  # html.spec.whatwg.org, 13.2.3.2: where a page says its character set
# A picture in the page (RFC 2397).
_DATA_URL = re.compile(rb"data:image/[a-z+.-]{1,40};base64,[A-Za-z0-9+/=%\s]{1000,}+")
_STUB_SHARE = 20  # a plain text of under a twentieth of the HTML's is none
_STUB_CHARACTERS = 400
_STUB = re.compile(
    r"view (?:this|it)? ?(?:e-?mail|message|newsletter)? ?(?:online |in (?:your|a|the) )(?:web )?(?:browser|version)?"
    r"|(?:e-?mail|mail) (?:client|program|reader) (?:that )?(?:does not|doesn't|cannot|can't|supports?)"
    r"|(?:requires?|to view) (?:an? )?html"
    r"|im browser (?:ansehen|anzeigen|öffnen)|html[- ]e?-?mail|dans (?:votre|le|un) navigateur"
    r"|en (?:su|tu|el) navegador|nel (?:tuo )?browser|in (?:je|uw) browser",
    re.IGNORECASE,
)
_PGP = "-----BEGIN PGP MESSAGE-----"  # RFC 9580, 6.2.1


@dataclass(frozen=True, slots=True)
class Body:
    """What a message says."""

    text: str
    html: str
    used: frozenset[int]
    """The leaves that are wholly in it."""
    left_out: frozenset[int]
    """The leaves that are in part."""
    shown: frozenset[str]
    """The Content-IDs that it shows."""


@dataclass(frozen=True, slots=True)
class _Reading:
    plain: str
    html: str

    @property
    def as_html(self) -> str:
        if self.html:
            return self.html
        return "<div>" + "<br>\n".join(html.escape(line) for line in self.plain.split("\n")) + "</div>"

    @property
    def as_text(self) -> str:
        return self.plain or clean(to_text(self.html[:MAX_MARKUP_CHARACTERS]))


def read_body(root: Node, defects: Defects) -> Body:
    """Return the words of a message, and what of it they are."""
    chosen = Chosen(root)
    readings = [reading for piece in chosen.pieces if (reading := _reading(piece, defects)) is not None]
    text, markup = _together(readings)
    shown = references(markup) | references(text)
    wrong = _wrong_with(markup)
    if wrong is not None:
        defects.add(wrong)
        text, markup = "\n".join(reading.as_text for reading in readings), ""
    is_cut = len(text) > MAX_TEXT_CHARACTERS
    if is_cut:
        defects.add(Defect.TEXT_CUT)
    if _PGP in text[:MAX_TEXT_CHARACTERS]:
        defects.add(Defect.ENCRYPTED)
    left_out = _left_out(chosen, is_cut, wrong)
    return Body(text[:MAX_TEXT_CHARACTERS], markup, frozenset(chosen.used - left_out), left_out, shown)


def _left_out(chosen: Chosen, is_cut: bool, wrong: Defect | None) -> frozenset[int]:
    """Return the leaves of which something is not in the body."""
    if is_cut:
        return frozenset(chosen.used)
    return frozenset(leaf.number for piece in chosen.pieces for leaf in piece.html) if wrong else frozenset()


def _together(readings: list[_Reading]) -> tuple[str, str]:
    """Return the text and the HTML of all, or the HTML alone where one of them is nothing else."""
    markup = "\n".join(reading.as_html for reading in readings) if any(reading.html for reading in readings) else ""
    if all(reading.plain for reading in readings):
        return "\n".join(reading.plain for reading in readings), markup
    return "", markup


def _wrong_with(markup: str) -> Defect | None:
    """Return why no parser should be given this, or None."""
    if len(markup) > MAX_TEXT_CHARACTERS:
        return Defect.HTML_TOO_LONG
    return Defect.HTML_TOO_DEEP if is_nested_too_deep(markup) else None


def _reading(piece: Piece, defects: Defects) -> _Reading | None:
    """Read a piece; None where it says nothing."""
    plain = _joined(_text_of(leaf, defects) for leaf in piece.plain)
    markup = _joined(_text_of(leaf, defects) for leaf in piece.html)
    if not markup and looks_like_html(plain):
        plain, markup = "", plain
    elif not plain and markup and not has_tags(markup):
        plain, markup = clean(unescape(markup)), ""
    if plain and markup and _is_stub(plain, markup):
        defects.add(Defect.STUB)
        plain = ""
    return _Reading(plain, markup) if plain or markup else None


def _joined(texts: Iterable[str]) -> str:
    """Join what is not blank, once each."""
    return "\n".join(dict.fromkeys(text for text in texts if text.strip()))


def _text_of(leaf: Node, defects: Defects) -> str:
    data = leaf.content(defects)
    if leaf.content_type in HTML and len(data) > MAX_TEXT_CHARACTERS:
        data = _DATA_URL.sub(b"data:,", data)
    data = data[:MAX_MARKUP_CHARACTERS]
    charset = leaf.params.get("charset")
    if charset is None and leaf.content_type in HTML and (match := _META.search(data[:_META_BYTES])):
        charset = match[1].decode("ascii")
    text, is_sure = decode(data, charset)
    if not is_sure and len(data) < MAX_MARKUP_CHARACTERS:  # where it was cut, the last character may be half
        defects.add(Defect.BAD_CHARSET)
    text = clean(text)
    if leaf.content_type == "text/plain" and leaf.params.get("format", "").strip().lower() == "flowed":
        text = unflow(text, delete_space=leaf.params.get("delsp", "").strip().lower() == "yes")
    return text


def _is_stub(plain: str, markup: str) -> bool:
    """Whether a plain text only says that there is an HTML, or little of what that says."""
    said = sum(map(len, plain.split()))
    if said * _STUB_SHARE >= len(markup) and said > _STUB_CHARACTERS:
        return False
    shown = sum(map(len, to_text(markup[:MAX_TEXT_CHARACTERS]).split()))
    is_pointer = said <= _STUB_CHARACTERS and said < shown and _STUB.search(plain) is not None
    return is_pointer or said * _STUB_SHARE < shown
