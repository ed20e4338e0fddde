"""What a mail of ours says: its subject, its text, and the customer's own words beneath it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from channels.base import Answered
from channels.email.wire import clean, on_one_line

MAX_QUOTED_LINES = 60
MAX_QUOTED_CHARACTERS = 4000
"""As much of what is answered is shown beneath: the whole of it is in the customer's own folder."""

# What mail programs put before the subject of an answer, in the languages that have a word of their own for it.
_ANSWERED = re.compile(
    r"\s*(?:re|r|aw|antw|antwort|sv|vs|odp|rif|ref|res|ynt|atb|vá|отв|отн|ответ|απ|הב|רד|رد|回复|回覆|答复|答覆|返信|회신)"
    r"\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*[:：]",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s<>\"'`\x00-\x1f\\]{1,2000}", re.IGNORECASE)
_AFTER_URL = ".,;:!?…*_~)]}»”’"
_OPENERS = {")": "(", "]": "[", "}": "{"}

# Gmail, and whoever learned from it, fold away what has this class.
_QUOTE = (
    '<div class="gmail_quote"><div class="gmail_attr" dir="auto">{attribution}<br></div>'
    '<blockquote type="cite" class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
    "{quoted}</blockquote></div>\n"
)
_PAGE = (
    '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{said}{quote}'
    '<div style="display:none">{mark}</div></body></html>\n'
)


@dataclass(frozen=True, slots=True)
class Words:
    """The same message twice."""

    text: str
    html: str


def subject_of(answered: Answered | None, ours: str) -> str:
    """Return the subject: the customer's own, as an answer to it; ``ours`` is what we call it where there is none."""
    if answered is None:
        return on_one_line(ours)
    theirs = on_one_line(str(answered.metadata.get("subject") or ""))
    return theirs if _ANSWERED.match(theirs) else f"Re: {theirs or ours}"


def words_of(text: str, answered: Answered | None, recipient: str, mark: str) -> Words:
    """Return what is said, with what it answers beneath.

    ``mark`` is not shown, and comes back in the quote of an answer whose other references a relay has replaced.
    """
    said = clean(text).strip("\n")
    quoted = _quoted(answered)
    if answered is None or not quoted:
        return Words(f"{said}\n", _PAGE.format(said=_paragraphs(said), quote="", mark=escape(mark)))
    attribution = _attribution(answered, recipient)
    quote = _QUOTE.format(attribution=escape(attribution), quoted=_paragraphs("\n".join(quoted), _escaped))
    beneath = "\n".join(f"> {line}".rstrip() for line in quoted)
    return Words(
        f"{said}\n\n{attribution}\n{beneath}\n", _PAGE.format(said=_paragraphs(said), quote=quote, mark=escape(mark))
    )


def _quoted(answered: Answered | None) -> list[str]:
    """Return the lines of the customer's own words; none where they are somebody else's, who only used the address."""
    if answered is None or answered.metadata.get("trust") == "failed":
        return []
    return list(_capped(clean(answered.text[: 2 * MAX_QUOTED_CHARACTERS]).strip()))


def _attribution(answered: Answered, recipient: str) -> str:
    who = on_one_line(answered.sender_name or "", 80) or recipient
    return f"On {answered.sent_at:%Y-%m-%d at %H:%M %Z}, {who} wrote:"


def _capped(text: str) -> Iterator[str]:
    lines = text[:MAX_QUOTED_CHARACTERS].splitlines()
    yield from lines[:MAX_QUOTED_LINES]
    if len(text) > MAX_QUOTED_CHARACTERS or len(lines) > MAX_QUOTED_LINES:
        yield "[…]"


# --- as HTML ---


def _paragraphs(text: str, write: Callable[[str], str] | None = None) -> str:
    """Write text as paragraphs; each finds its own direction, for customers who write from right to left.

    ``write`` makes HTML of a line: nothing that others have said is made a link of ours.
    """
    blocks = (block.strip("\n") for block in re.split(r"\n[ \t]*\n", text))
    return "".join(f'<p dir="auto">{_lines(block, write or _linked)}</p>\n' for block in blocks if block)


def _lines(block: str, write: Callable[[str], str]) -> str:
    return "<br>\n".join(write(line) for line in block.split("\n"))


def _linked(line: str) -> str:
    """Escape a line, and make what leads to the web a link; nothing else can be followed."""
    written: list[str] = []
    at = 0
    for found in _URL.finditer(line):
        url = _without_what_follows(found[0])
        written.append(_escaped(line[at : found.start()]))
        written.append(f'<a href="{escape(url)}">{escape(url)}</a>')
        at = found.start() + len(url)
    return "".join(written) + _escaped(line[at:])


def _escaped(text: str) -> str:
    return escape(text).replace("  ", "&nbsp; ")


def _without_what_follows(url: str) -> str:
    """Leave out the sentence's own punctuation; a bracket that was opened in the address belongs to it."""
    while url[-1] in _AFTER_URL:
        opener = _OPENERS.get(url[-1])
        if opener is not None and url.count(opener) >= url.count(url[-1]):
            break
        url = url[:-1]
    return url
