"""What one poll takes out of a mailbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from channels.abilities import Polled
from channels.base import Request
from channels.email.envelope import RAW, UNREADABLE, WHOLE_SIZE
from channels.email.imap.checkpoint import Checkpoint
from channels.email.imap.client import Session
from channels.email.imap.protocol import TooLong
from channels.email.imap.trouble import Trouble, Wanted
from channels.email.imap.wire import Examined, Fetched
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
NEAR = 500
PROBE_BYTES = 4096
"""How far before a mail that cannot be fetched another is looked for, and how much of that is fetched."""


class Reader:
    """Reads a mailbox from a checkpoint on, and remembers which mail could not be fetched.

    Such a mail holds up the others for a while, but not for ever: see :class:`channels.email.imap.trouble.Trouble`. A
    server that gives no other mail either is only waited for.
    """

    def __init__(self, mailbox: str, key: str, max_mail_bytes: int, clock: Callable[[], float]) -> None:
        """``key`` is the mailbox's own, for the checkpoint."""
        self._mailbox = mailbox
        self._key = key
        self._max_mail_bytes = max_mail_bytes
        self._clock = clock
        self._trouble: Trouble | None = None
        self._probes = 0

    async def read(self, session: Session, stored: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Return what came since the stored checkpoint.

        Raises:
            RetryLater: nothing could be fetched.
            Refused: the mailbox cannot be read so.
        """
        examined = await session.examine(self._mailbox)
        uidvalidity = lasting(examined)
        start = Checkpoint.load(stored, self._key)
        if start is None:
            return Polled((), Checkpoint(self._key, uidvalidity, await _highest(session, examined), now).dump())
        if not start.still_fits(examined):
            start = start.renumbered(uidvalidity, await _highest(session, examined))
        start, uids = await _unread(session, start)
        if not uids:
            return Polled((), replace(start, seen_at=now).dump())
        return await self._fetch(session, start, uids, now)

    async def _fetch(self, session: Session, start: Checkpoint, uids: tuple[int, ...], now: datetime) -> Polled:
        """Fetch the first mails; what could be fetched before a failure is handed on all the same."""
        trouble = self._trouble_with(start.uidvalidity, uids[0])
        gives_another = trouble is not None and await self._gives_another(session, uids)
        wanted = trouble.wanted if trouble is not None else Wanted.WHOLE
        chosen = uids[:BATCH] if trouble is None else uids[:1]
        at = start
        requests: list[Request] = []
        uid, until, total_bytes = uids[0], self._clock() + BATCH_S, 0
        try:
            heads = await _heads(session, chosen) if wanted is Wanted.WHOLE else {uid: Fetched(uid)}
            for uid in chosen:
                head = heads.get(uid)
                total_bytes += 0 if head is None or self._is_too_large(head) else head.size or 0
                if requests and (total_bytes > BATCH_BYTES or self._clock() > until):
                    break
                if head is not None and start.wants(head):
                    requests += await self._mail(session, start, head, wanted)
                at = at.past(uid)
        except RetryLater as error:
            is_proven = gives_another or bool(requests) or isinstance(error, TooLong)  # a server that is away is silent
            self._note(start.uidvalidity, uid, is_proven=is_proven)
            if at == start:
                raise
        caught_up = at.uid == uids[-1] and start.reread_below is None
        return Polled((), (replace(at, seen_at=now) if caught_up else at).dump(), tuple(requests), more=not caught_up)

    def _trouble_with(self, uidvalidity: int, uid: int) -> Trouble | None:
        trouble = self._trouble
        return trouble if trouble is not None and (trouble.uidvalidity, trouble.uid) == (uidvalidity, uid) else None

    def _note(self, uidvalidity: int, uid: int, *, is_proven: bool) -> None:
        now_s = self._clock()
        self._trouble = self._trouble_with(uidvalidity, uid) or Trouble(uidvalidity, uid, now_s)
        self._trouble.note(now_s, is_proven=is_proven)

    async def _gives_another(self, session: Session, uids: tuple[int, ...]) -> bool:
        """Tell whether the server gives another mail than the first; False where there is no other.

        Another one each time is tried first: it may be a bad one, too.

        Raises:
            RetryLater: it gives nothing now.
        """
        first = uids[0]
        before = await session.search("UID", f"{max(1, first - NEAR)}:{first - 1}") if first > 1 else ()
        others = [*uids[1:3], *before[-2:]]
        turn = self._probes % max(1, len(others))
        self._probes += 1
        for other in others[turn:] + others[:turn]:
            if await _content(session, other, f"BODY.PEEK[]<0.{PROBE_BYTES}>", SLACK_BYTES) is not None:
                return True
        return False

    async def _mail(self, session: Session, at: Checkpoint, head: Fetched, wanted: Wanted) -> list[Request]:
        """Fetch one mail, whole or its headers; none where it is gone."""
        number = (UID, f"{at.uidvalidity}/{head.uid}")
        if wanted is Wanted.NOTHING:
            return [self._request(b"", number, (WHOLE_SIZE, "0"), (UNREADABLE, "all"))]
        whole = wanted is Wanted.WHOLE and not self._is_too_large(head)
        items = "BODY.PEEK[]" if whole else f"RFC822.SIZE BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
        mail = await _content(session, head.uid, items, SLACK_BYTES + (self._max_mail_bytes if whole else 0))
        if mail is None:
            return []
        size = [] if whole else [(WHOLE_SIZE, str(mail.size or head.size or 0))]
        unreadable = [(UNREADABLE, "body")] if wanted is Wanted.HEADERS else []
        return [self._request(mail.content or b"", number, *size, *unreadable)]

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
