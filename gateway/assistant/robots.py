"""Who may be a robot that answers our robot: limits that do not depend on what a mail says of itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.storage import Claim, Handover, ReadExchange, Storage

GUARDED = frozenset({"email"})
"""The kinds of channels on which programs answer by themselves."""
LATELY = timedelta(minutes=10)
MAX_LATELY = 5
MAX_A_DAY = 20
"""Answers of the bot to one address; a person who writes more than that is better off with a person."""
SAID_BEFORE = 2
"""How often the same words may come back within a day before they are a machine's; short ones are a person's."""
LEAST_WORDS = 20
"""Characters of what counts as the same words: people say yes twice."""
HOUR = timedelta(hours=1)
MAX_AN_HOUR = 300
"""Answers of the bot on one channel, as far as this process knows: beyond that something is out of hand."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a person looks at a turn, and the bot says no more of its own."""

    handover: Handover
    is_new: bool
    """Whether the limit has only just been reached: a person who writes there is told once that somebody will come."""


class Robots:
    """Looks whether a turn should say nothing, and let a person look instead."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._answered: dict[str, deque[datetime]] = {}

    async def suspect(self, claim: Claim, now: datetime) -> Suspicion | None:
        """Return why the bot does not answer, or None where it may.

        Raises:
            StorageUnavailable: nobody can tell.
        """
        if claim.channel not in GUARDED or claim.channel_name is None or not claim.messages:
            return None
        newest = claim.messages[-1]
        exchange = await self._storage.run(
            ReadExchange(claim.id, newest.sequence_number, now - LATELY, now - timedelta(days=1))
        )
        lately, today = exchange.answers_lately, exchange.answers_today
        if lately >= MAX_LATELY or today >= MAX_A_DAY:
            what = "The bot has answered this address so often that it may be a machine's."
            return _suspicion("many_answers", what, is_new=lately <= MAX_LATELY and today <= MAX_A_DAY)
        if exchange.repeats >= SAID_BEFORE and len(newest.content) >= LEAST_WORDS:
            what = "The same words came from this address again and again today."
            return _suspicion("same_words", what, is_new=exchange.repeats == SAID_BEFORE)
        if self._is_out_of_hand(claim.channel_name, now):
            what = f"The bot has given {MAX_AN_HOUR} answers here within an hour."
            return _suspicion("busy_channel", what, is_new=False)
        return None

    def _is_out_of_hand(self, channel_name: str, now: datetime) -> bool:
        answered = self._answered.setdefault(channel_name, deque())
        while answered and answered[0] <= now - HOUR:
            answered.popleft()
        if len(answered) >= MAX_AN_HOUR:
            return True
        answered.append(now)
        return False


def _suspicion(rule: str, summary: str, *, is_new: bool) -> Suspicion:
    return Suspicion(Handover("ai_confidence_low", f"rule:{rule}", summary), is_new)
