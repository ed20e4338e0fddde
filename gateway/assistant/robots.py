"""Who may be a robot that answers our robot: limits that do not depend on what a mail says of itself."""

from __future__ import annotations

from collections import deque
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


class Robots:
    """Looks whether a turn should say nothing, and let a person look instead."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._answered: dict[str, deque[datetime]] = {}

    async def suspect(self, claim: Claim, now: datetime) -> Handover | None:
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
        if exchange.answers_lately >= MAX_LATELY or exchange.answers_today >= MAX_A_DAY:
            return _handover("many_answers", "The bot has answered this address so often that it may be a machine's.")
        if exchange.repeats >= SAID_BEFORE and len(newest.content) >= LEAST_WORDS:
            return _handover("same_words", "The same words came from this address again and again today.")
        if self._is_out_of_hand(claim.channel_name, now):
            return _handover("busy_channel", f"The bot has given {MAX_AN_HOUR} answers here within an hour.")
        return None

    def _is_out_of_hand(self, channel_name: str, now: datetime) -> bool:
        answered = self._answered.setdefault(channel_name, deque())
        while answered and answered[0] <= now - HOUR:
            answered.popleft()
        if len(answered) >= MAX_AN_HOUR:
            return True
        answered.append(now)
        return False


def _handover(rule: str, summary: str) -> Handover:
    return Handover("ai_confidence_low", f"rule:{rule}", summary)
