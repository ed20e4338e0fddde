"""What one poll takes out of a mailbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from channels.abilities import Polled
from channels.base import Request
from channels.email.envelope import RAW, WHOLE_SIZE
from channels.email.imap_checkpoint import Checkpoint
from channels.email.imap_client import Session
from channels.email.imap_wire import Examined, Fetched
from channels.email.settings import MEGABYTE
from channels.errors import Refused, RetryLater

UID = "X-Frontdesk-Uid"
"""Header of a request: the mailbox's UIDVALIDITY, a slash and the mail's UID, for whoever looks for it there."""
BATCH = 20
BATCH_BYTES = 25 * MEGABYTE
BATCH_S = 30.0
"""A poll fetches no further mail after so many mails, bytes or seconds."""
HEADER_BYTES = 256 * 1024
"""How much of a header block is fetched; more of it is not read anyway."""
SLACK_BYTES = 2 * MEGABYTE
"""What may come beside a message: an answer's own words, and what a server got wrong about a size."""
TRIES = 3
"""How often a mail is asked for whole, and then for its headers only."""


class Reader:
    """Reads a mailbox from a checkpoint on, and remembers which mail could not be fetched.

    Such a mail holds up the others for a while, but not for ever: after some failures only its headers are handed on,
    and after some more an empty message, which nobody can read, so that a person hears of it.
    """

    def __init__(self, mailbox: str, max_mail_bytes: int, clock: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._max_mail_bytes = max_mail_bytes
        self._clock = clock
        self._trouble = (0, 0)  # UIDVALIDITY and UID
        self._failures = 0

    async def read(self, session: Session, stored: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Return what came since the stored checkpoint.

        Raises:
            RetryLater: nothing could be fetched.
            Refused: the mailbox cannot be read so.
        """
        examined = await session.examine(self._mailbox)
        uidvalidity = lasting(examined)
        start = Checkpoint.load(stored, self._mailbox)
        if start is None:
            return Polled((), Checkpoint(self._mailbox, uidvalidity, await _highest(session, examined), now).dump())
        if not start.still_fits(examined):
            start = start.renumbered(uidvalidity, await _highest(session, examined))
        start, uids = await _unread(session, start)
        if not uids:
            return Polled((), replace(start, seen_at=now).dump())
        return await self._fetch(session, start, uids, now)

    async def _fetch(self, session: Session, start: Checkpoint, uids: tuple[int, ...], now: datetime) -> Polled:
        """Fetch the first mails; what could be fetched before a failure is handed on all the same."""
        failures = self._failures if self._trouble == (start.uidvalidity, uids[0]) else 0
        chosen = uids[: 1 if failures else BATCH]
        at = start
        requests: list[Request] = []
        uid, until, total_bytes = uids[0], self._clock() + BATCH_S, 0
        try:
            heads = await _heads(session, chosen) if failures < TRIES else {uid: Fetched(uid)}
            for uid in chosen:
                head = heads.get(uid)
                total_bytes += 0 if head is None or self._is_too_large(head) else head.size or 0
                if requests and (total_bytes > BATCH_BYTES or self._clock() > until):
                    break
                if head is not None and start.wants(head):
                    requests += await self._mail(session, start, head, failures)
                at = at.past(uid)
        except RetryLater:
            self._note(start.uidvalidity, uid)
            if at == start:
                raise
        caught_up = at.uid == uids[-1] and start.reread_below is None
        return Polled((), (replace(at, seen_at=now) if caught_up else at).dump(), tuple(requests), more=not caught_up)

    def _note(self, uidvalidity: int, uid: int) -> None:
        self._failures = self._failures + 1 if self._trouble == (uidvalidity, uid) else 1
        self._trouble = (uidvalidity, uid)

    async def _mail(self, session: Session, at: Checkpoint, head: Fetched, failures: int) -> list[Request]:
        """Fetch one mail, whole or its headers; none where it is gone."""
        number = (UID, f"{at.uidvalidity}/{head.uid}")
        if failures >= 2 * TRIES:
            return [self._request(b"", number, (WHOLE_SIZE, "0"))]
        whole = failures < TRIES and not self._is_too_large(head)
        items = "BODY.PEEK[]" if whole else f"RFC822.SIZE BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
        mail = await _content(session, head.uid, items, SLACK_BYTES + (self._max_mail_bytes if whole else 0))
        if mail is None:
            return []
        size = [] if whole else [(WHOLE_SIZE, str(mail.size or head.size or 0))]
        return [self._request(mail.content or b"", number, *size)]

    def _is_too_large(self, head: Fetched) -> bool:
        return (head.size or 0) > self._max_mail_bytes

    def _request(self, content: bytes, *headers: tuple[str, str]) -> Request:
        return Request("POST", f"imap:{self._mailbox}", (("Content-Type", RAW), *headers), content)


def lasting(examined: Examined) -> int:
    """Return a mailbox's UIDVALIDITY.

    Raises:
        Refused: it has none, so that nothing says what has been read.
    """
    if examined.uidvalidity is None:
        raise Refused("the mail server gives the mails in this mailbox no lasting numbers: set imap.mailbox to another")
    return examined.uidvalidity


async def _highest(session: Session, examined: Examined) -> int:
    """Return the highest UID in the mailbox, or one above it that is taken; 0 where it never had a mail."""
    if examined.uidnext is not None:
        return examined.uidnext - 1
    return max(await session.search("UID", "*"), default=0) if examined.exists else 0


async def _unread(session: Session, start: Checkpoint) -> tuple[Checkpoint, tuple[int, ...]]:
    """Return the UIDs that come next, and the checkpoint that they follow."""
    if start.reread_below is not None:
        again = [uid for uid in await session.search(*start.criteria()) if start.uid < uid < start.reread_below]
        if again:
            return start, tuple(again)
        start = start.past(start.reread_below - 1)
    # "9:*" means the last mail, too, where none has so high a UID (RFC 3501, section 6.4.8).
    return start, tuple(uid for uid in await session.search(*start.criteria()) if uid > start.uid)


async def _heads(session: Session, uids: tuple[int, ...]) -> dict[int, Fetched]:
    """Return what mails are like, without those that are gone.

    Raises:
        RetryLater: the server does not tell.
    """
    found, complete = await session.fetch(",".join(map(str, uids)), "(UID RFC822.SIZE INTERNALDATE)")
    if complete or uids[0] in found:
        return found
    raise RetryLater(f"the mail server tells nothing of the mail with UID {uids[0]}")


async def _content(session: Session, uid: int, items: str, max_bytes: int) -> Fetched | None:
    """Return a mail with its content; None where it is gone.

    Raises:
        RetryLater: the server does not give it.
    """
    found, complete = await session.fetch(str(uid), f"(UID {items})", max_bytes)
    mail = found.get(uid)
    if mail is not None and mail.content is not None:
        return mail
    if complete and mail is None:
        return None
    raise RetryLater(f"the mail server does not give the mail with UID {uid}")
