"""How far a mailbox has been read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from channels.email.imap.wire import Examined, Fetched, search_date
from channels.email.settings import ImapSettings

OVERLAP = timedelta(days=1)
"""How much of what may have been read is read again when a mailbox is numbered anew: clocks differ."""
ON_ITS_WAY = timedelta(days=7)
"""How old a mail may be by its own Date when it arrives: mail servers try for 5 days (RFC 5321, section 4.5.4.1)."""


def key_of(settings: ImapSettings) -> str:
    """Return what tells a mailbox from every other, without a name in it: its server, its user and its folder.

    The numbers of one account mean nothing in another, however alike the two count.
    """
    names = (settings.host.lower(), settings.username, settings.mailbox)
    return hashlib.blake2b("\0".join(names).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The place in a mailbox up to which its messages have been handed on.

    A mailbox that was restored or moved has a new UIDVALIDITY (RFC 3501, section 2.3.1.1), and its old numbers mean
    nothing. Everything in it is then looked at again, but only what came since the last time that all of it had been
    read is handed on: the inbox knows what it has already, and nobody gets an answer to a mail of years ago.
    """

    mailbox: str
    """Its key, as :func:`key_of` makes it."""
    uidvalidity: int
    uid: int
    """The highest that has been handed on or passed over."""
    seen_at: datetime
    """When everything in the mailbox had been read."""
    reread_below: int | None = None
    """While a mailbox that was numbered anew is gone through: the UID at which what is certainly new begins."""

    @classmethod
    def load(cls, stored: Mapping[str, Any] | None, mailbox: str) -> Self | None:
        """Read a stored checkpoint; None where there is none, or where its key is another mailbox's."""
        if not stored or stored["mailbox"] != mailbox:
            return None
        seen_at = datetime.fromisoformat(stored["seen_at"])
        return cls(mailbox, stored["uidvalidity"], stored["uid"], seen_at, stored["reread_below"])

    def dump(self) -> dict[str, Any]:
        """Return it as something that can be stored as JSON."""
        return {
            "mailbox": self.mailbox,
            "uidvalidity": self.uidvalidity,
            "uid": self.uid,
            "seen_at": self.seen_at.isoformat(),
            "reread_below": self.reread_below,
        }

    def still_fits(self, examined: Examined) -> bool:
        """Tell whether its numbers mean the same as before.

        Some servers number anew without saying so: then the next UID is one that has been used.
        """
        if examined.uidvalidity != self.uidvalidity:
            return False
        return examined.uidnext is None or examined.uidnext > self.uid

    def renumbered(self, uidvalidity: int, highest: int) -> Self:
        """Return where to begin in the mailbox after it was numbered anew; ``highest`` is the highest UID in it."""
        return replace(self, uidvalidity=uidvalidity, uid=0, reread_below=highest + 1 if highest else None)

    def past(self, uid: int) -> Self:
        """Return it moved on to a UID."""
        done = self.reread_below is not None and uid >= self.reread_below - 1
        return replace(self, uid=uid, reread_below=None if done else self.reread_below)

    def criteria(self) -> tuple[str, ...]:
        """Return the search for what comes next."""
        if self.reread_below is None:
            return ("UID", f"{self.uid + 1}:*")
        # A search knows days without a zone, so one day more; a Date that cannot be read is before nothing.
        arrived, sent = self._since - timedelta(days=1), self.seen_at - ON_ITS_WAY
        uids = f"{self.uid + 1}:{self.reread_below - 1}"
        return ("UID", uids, "SINCE", search_date(arrived), "NOT", "SENTBEFORE", search_date(sent))

    def wants(self, message: Fetched) -> bool:
        """Tell whether a message is new enough to be handed on."""
        if self.reread_below is None or message.received_at is None:
            return True
        return message.received_at >= self._since

    @property
    def _since(self) -> datetime:
        return self.seen_at - OVERLAP
