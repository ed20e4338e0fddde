"""IMAP's words (RFC 3501): names and dates as they are sent, and answers as they are read; pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Line = bytes | bytearray
"""A line of an answer, or, as a bytearray, a literal: bytes whose number was told before them."""

_SHIFTED = re.compile(r"&|[^\x20-\x7e]+")
_FETCH = re.compile(rb"(?:\* )?\d+ FETCH \(", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)", re.IGNORECASE)
_RECEIVED = re.compile(rb'\bINTERNALDATE "([^"]*)"', re.IGNORECASE)
_SHORT = re.compile(rb'\bBODY\[[^\]]*\](?:<\d+>)? "((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_DATE = re.compile(r" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_CODE = re.compile(rb"\s*\[([A-Z0-9-]+)[^\]]*\]", re.IGNORECASE)
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]", re.IGNORECASE)
_UIDNEXT = re.compile(rb"\[UIDNEXT (\d+)\]", re.IGNORECASE)
_EXISTS = re.compile(rb"(?:\* )?(\d+) EXISTS", re.IGNORECASE)
_MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Examined:
    """A mailbox as it was opened."""

    uidvalidity: int | None
    """None where the server gives its messages no lasting numbers."""
    uidnext: int | None
    """Below which every UID so far is; None where the server does not tell."""
    exists: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was told of one message."""

    uid: int
    size: int | None = None
    received_at: datetime | None = None
    """When it came into the mailbox."""
    content: bytes | None = None


# --- what is sent ---


def mailbox_name(name: str) -> str:
    """Return a mailbox's name in the modified UTF-7 of RFC 3501, section 5.1.3, and quoted."""
    return quoted(_SHIFTED.sub(lambda found: _shifted(found.group()), name))


def _shifted(run: str) -> str:
    if run == "&":
        return "&-"
    shifted = base64.b64encode(run.encode("utf-16-be", "surrogatepass")).decode().rstrip("=").replace("/", ",")
    return f"&{shifted}-"


def quoted(text: str) -> str:
    """Return a quoted string (RFC 3501, section 9)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def search_date(moment: datetime) -> str:
    """Return a day as a search names it, whatever the locale."""
    return f"{moment.day}-{MONTHS[moment.month - 1]}-{moment.year:04}"


# --- what is read ---


def read_examine(lines: Sequence[Line]) -> Examined:
    """Read the answer to EXAMINE."""
    whole = b"\n".join(lines)
    exists = _number(_EXISTS, whole)
    return Examined(_number(_UIDVALIDITY, whole), _number(_UIDNEXT, whole) or None, exists or 0)


def read_search(lines: Iterable[Line]) -> tuple[int, ...]:
    """Read the numbers of an answer to SEARCH, in rising order, each once."""
    return tuple(sorted({int(word) for line in lines for word in line.split() if word.isdigit()}))


def read_fetch(lines: Sequence[Line]) -> dict[int, Fetched]:
    """Read the answer to a UID FETCH, by UID; what tells no UID is another session's news."""
    found: dict[int, Fetched] = {}
    for response in _responses(lines):
        told = _read_response(response)
        if told is not None:
            found[told.uid] = _joined(found.get(told.uid), told)
    return found


def _responses(lines: Sequence[Line]) -> Iterator[list[Line]]:
    response: list[Line] = []
    for line in lines:
        if isinstance(line, bytes) and _FETCH.match(line):
            if response:
                yield response
            response = [line]
        elif response:
            response.append(line)
    if response:
        yield response


def _read_response(response: list[Line]) -> Fetched | None:
    told = b" ".join(line for line in response if isinstance(line, bytes))
    uid = _number(_UID, told)
    if uid is None:
        return None
    literal = next((bytes(line) for line in response if isinstance(line, bytearray)), None)
    received = _RECEIVED.search(told)
    return Fetched(
        uid,
        _number(_SIZE, told),
        None if received is None else read_date(received.group(1).decode("ascii", "replace")),
        _short(told) if literal is None else literal,
    )


def _joined(before: Fetched | None, told: Fetched) -> Fetched:
    if before is None:
        return told
    return replace(
        before,
        size=before.size if told.size is None else told.size,
        received_at=told.received_at or before.received_at,
        content=before.content if told.content is None else told.content,
    )


def _short(told: bytes) -> bytes | None:
    """Return a content that came as a quoted string, which an empty one may."""
    found = _SHORT.search(told)
    return None if found is None else re.sub(rb"\\(.)", rb"\1", found.group(1))


def _number(pattern: re.Pattern[bytes], text: bytes) -> int | None:
    found = pattern.search(text)
    return None if found is None else int(found.group(1))


def read_date(text: str) -> datetime | None:
    """Read an INTERNALDATE; None where it is none."""
    found = _DATE.fullmatch(text)
    if found is None or found.group(2).title() not in MONTHS:
        return None
    day, month, year, hour, minute, second, sign, zone_h, zone_min = found.groups()
    offset = timedelta(hours=int(zone_h), minutes=int(zone_min)) * (-1 if sign == "-" else 1)
    try:
        local = (int(year), MONTHS.index(month.title()) + 1, int(day), int(hour), int(minute), int(second))
        return datetime(*local, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def response_code(words: Line) -> str | None:
    """Return the code in a status response, such as AUTHENTICATIONFAILED (RFC 5530), or None."""
    found = _CODE.match(words)
    return None if found is None else found.group(1).decode("ascii").upper()


def shown(words: Line) -> str:
    """Return what a server says in a form that may be shown: short, and on one line."""
    text = bytes(words).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else " " for character in text)[:_MAX_WORDS].strip()
