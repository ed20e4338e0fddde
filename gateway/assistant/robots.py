"""Who may be a robot that answers our robot: limits that do not depend on what a mail says of itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.assistant.tools.turn_run import least_trust
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
MAX_A_DOMAIN = 30
"""... and to one domain, whose machine may each time have another address."""
MAX_A_DAY_TO_FORGERS = 1
"""Answers to a sender who is not who they say: they go to somebody else, and use up that one's own."""
MOST_NAMES = 10_000
PROVIDERS = frozenset(
    name
    for line in (
        "gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com icloud.com",
        "me.com mac.com aol.com gmx.de gmx.net gmx.com web.de t-online.de freenet.de mail.com proton.me",
        "protonmail.com orange.fr free.fr wanadoo.fr laposte.net libero.it tiscali.it virgilio.it wp.pl o2.pl",
        "onet.pl interia.pl seznam.cz mail.ru yandex.ru bk.ru qq.com 163.com 126.com naver.com daum.net",
        "comcast.net verizon.net att.net btinternet.com sky.com",
    )
    for name in line.split()
)
"""Domains on which everybody may have an address: many of them write, and are not one machine."""


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
        if claim.channel not in GUARDED or claim.channel_name is None or not claim.messages or claim.has_rounds:
            return None  # a turn that has begun is told to its end: its tools may have done something
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
        trust = least_trust(claim)
        if trust == "failed" and exchange.forged >= MAX_A_DAY_TO_FORGERS:
            what = "The mail is not from whom it says: whoever has that address may never have written."
            return _suspicion("forged_sender", what, is_new=False)
        domain = (claim.address or "").rpartition("@")[2]
        is_many = domain not in PROVIDERS and self._is_over(f"{claim.channel_name}@{domain}", MAX_A_DOMAIN, now)
        # Who is known not to be forged is no part of what may be out of hand.
        if (is_many or self._is_over(claim.channel_name, MAX_AN_HOUR, now)) and trust != "verified":
            return _suspicion("busy_channel", "The bot has given very many answers here within an hour.", is_new=False)
        return None

    def _is_over(self, name: str, limit: int, now: datetime) -> bool:
        """Count one more answer of the hour, and tell whether that is one too many."""
        if len(self._answered) > MOST_NAMES:
            self._answered = {name: times for name, times in self._answered.items() if times and times[-1] > now - HOUR}
        answered = self._answered.setdefault(name, deque())
        while answered and answered[0] <= now - HOUR:
            answered.popleft()
        is_over = len(answered) >= limit
        if not is_over:
            answered.append(now)
        return is_over


def _suspicion(rule: str, summary: str, *, is_new: bool) -> Suspicion:
    return Suspicion(Handover("ai_confidence_low", f"rule:{rule}", summary), is_new)
