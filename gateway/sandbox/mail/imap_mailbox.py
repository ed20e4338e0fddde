"""A mailbox of the stand-in, and how it is searched and fetched (RFC 3501, sections 6.4.4 and 6.4.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BODY = re.compile(r"BODY(?:\.PEEK)?\[(HEADER)?\](?:<(\d+)\.(\d+)>)?")
_DATE = re.compile(rb"^date:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stored:
    """A mail in a mailbox."""

    uid: int
    raw: bytes
    received_at: datetime
    """Aware; told as INTERNALDATE."""

    @property
    def header(self) -> bytes:
        """Its header block with the empty line that ends it."""
        end = self.raw.find(b"\r\n\r\n")
        return self.raw if end < 0 else self.raw[: end + 4]

    @property
    def sent_on(self) -> date | None:
        """The day of its Date header; None where there is none that can be read."""
        written = _DATE.search(self.header)
        try:
            return None if written is None else parsedate_to_datetime(written.group(1).decode("ascii")).date()
        except ValueError:
            return None


@dataclass(slots=True)
class Mailbox:
    """A folder of mails in the order of their UIDs."""

    uidvalidity: int | None = 1
    mails: list[Stored] = field(default_factory=list)
    next_uid: int = 1
    tells_next: bool = True
    """Whether UIDNEXT is told, which old servers do not."""

    def add(self, raw: bytes, received_at: datetime) -> int:
        """Put a mail in and return its UID."""
        self.mails.append(Stored(self.next_uid, raw, received_at))
        self.next_uid += 1
        return self.next_uid - 1

    def expunge(self, uid: int) -> None:
        """Take a mail out; clients that have the mailbox open hear only of the lower number."""
        self.mails = [mail for mail in self.mails if mail.uid != uid]

    def renumber(self, uidvalidity: int | None, first_uid: int = 1) -> None:
        """Number everything anew, as a restored mailbox is; the mails stay as they are."""
        kept, self.mails = self.mails, []
        self.uidvalidity, self.next_uid = uidvalidity, first_uid
        for mail in kept:
            self.add(mail.raw, mail.received_at)

    def numbered(self, uids: str) -> Iterator[tuple[int, Stored]]:
        """Yield the mails of a set such as ``4,7:9,12:*`` with their places in the mailbox, from 1."""
        wanted = self.uid_set(uids)
        return ((number, mail) for number, mail in enumerate(tuple(self.mails), 1) if wanted(mail))

    def uid_set(self, text: str) -> Callable[[Stored], bool]:
        """Return what tells whether a mail is in a set of UIDs; ``*`` is the last, and either end may be the higher."""
        last = self.mails[-1].uid if self.mails else 0
        ranges = []
        for part in text.split(","):
            ends = [last if end == "*" else int(end) for end in part.split(":")]
            ranges.append((min(ends), max(ends)))
        return lambda mail: any(low <= mail.uid <= high for low, high in ranges)


def found(mailbox: Mailbox, criteria: str) -> list[int]:
    """Return the UIDs that a search finds: all of ``ALL``, ``UID``, ``SINCE``, ``SENTBEFORE`` and ``NOT``."""
    words = criteria.split()
    tests = []
    while words:
        tests.append(_test(mailbox, words))
    return [mail.uid for mail in mailbox.mails if all(test(mail) for test in tests)]


def _test(mailbox: Mailbox, words: list[str]) -> Callable[[Stored], bool]:
    key = words.pop(0).upper()
    if key == "NOT":
        inner = _test(mailbox, words)
        return lambda mail: not inner(mail)
    if key == "ALL":
        return lambda _: True
    if key == "UID":
        return mailbox.uid_set(words.pop(0))
    if key == "SINCE":
        since = _day(words.pop(0))
        return lambda mail: mail.received_at.date() >= since
    if key == "SENTBEFORE":
        before = _day(words.pop(0))
        return lambda mail: mail.sent_on is not None and mail.sent_on < before
    raise ValueError(f"this stand-in cannot search by {key}")


def _day(text: str) -> date:
    day, month, year = text.split("-")
    return datetime(int(year), _MONTHS.index(month) + 1, int(day), tzinfo=UTC).date()


def fetched(number: int, mail: Stored, items: str) -> bytes:
    """Return the answer to a FETCH of one mail, without the end of its last line."""
    told = [f"UID {mail.uid}"]
    if "RFC822.SIZE" in items:
        told.append(f"RFC822.SIZE {len(mail.raw)}")
    if "INTERNALDATE" in items:
        told.append(f'INTERNALDATE "{_internal(mail.received_at)}"')
    answer = f"* {number} FETCH ({' '.join(told)}".encode()
    wanted = _BODY.search(items)
    if wanted is None:
        return answer + b")"
    content = mail.header if wanted.group(1) else mail.raw
    place = ""
    if wanted.group(2) is not None:
        first = int(wanted.group(2))
        content, place = content[first : first + int(wanted.group(3))], f"<{first}>"
    name = f" BODY[{wanted.group(1) or ''}]{place} {{{len(content)}}}\r\n"
    return answer + name.encode() + content + b")"


def _internal(moment: datetime) -> str:
    return f"{moment.day:2d}-{_MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S %z}"
