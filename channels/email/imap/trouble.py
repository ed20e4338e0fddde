"""One mail that a mail server does not give, and when the others stop waiting for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

TRIES = 3
"""How often a mail fails, while the server gives another, before less of it is asked for."""
GIVE_UP_S = 3600.0
"""... and for how long at least: what is broken for minutes is an outage of whatever keeps that mail."""
GIVE_UP_ALONE_S = 24 * 3600.0
"""The same where there is no other mail that could tell a bad server from a bad mail."""


class Wanted(IntEnum):
    """How much of a mail is asked for."""

    WHOLE = 0
    HEADERS = 1
    NOTHING = 2
    """It is handed on empty, which nobody can read, so that a person hears of it."""


@dataclass(slots=True)
class Trouble:
    """What is known of a mail that could not be fetched; a process that begins anew knows nothing of it."""

    uidvalidity: int
    uid: int
    since_s: float
    failures: int = 0
    """How often it failed while the server gave another mail."""
    wanted: Wanted = Wanted.WHOLE

    def note(self, now_s: float, *, is_proven: bool) -> None:
        """Take note of one more failure; ``is_proven`` where the server gave another mail at the same time."""
        self.failures += is_proven
        lasted_s = now_s - self.since_s
        if (self.failures >= TRIES and lasted_s >= GIVE_UP_S) or (not self.failures and lasted_s >= GIVE_UP_ALONE_S):
            self.wanted = Wanted(min(self.wanted + 1, Wanted.NOTHING))
            self.failures, self.since_s = 0, now_s
