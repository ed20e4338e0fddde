"""The worker between the bot and people: it tells them, reminds them once, and takes back what they have left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from gateway.clock import Clock
from gateway.config import Config
from gateway.handoffs.incidents import Incidents
from gateway.handoffs.notices import Notices
from gateway.handoffs.wording import tell_together, tell_waiting, to_each
from gateway.mail import Mail
from gateway.metrics import Metrics
from gateway.roster import Roster
from gateway.storage import (
    ReturnToBot,
    Storage,
    StorageUnavailable,
    Tell,
    TellLater,
    TellTogether,
    ToldLately,
    Waiting,
)

log = structlog.get_logger(__name__)

TELL_S = 5.0
SEND_S = 2.0
WATCH_S = 15.0
RETURN_S = 60.0
RETURNED_AT_ONCE = 50
HOUR = timedelta(hours=1)
MOST_AN_HOUR = 20
"""Notices of waiting customers that one of the people gets in an hour, reminders too: strangers who write hundreds of
messages ring nobody's telephone hundreds of times, and wear out no number that SMS come from."""
MORE_FOR_EMERGENCIES = 10
"""Beyond those, so that a gas leak is told while strangers flood the rest; a flood of those ends as well."""


class Handoffs:
    """Looks after what waits for a person; every process may run one, and each thing happens in one of them."""

    def __init__(self, storage: Storage, roster: Roster, metrics: Metrics, clock: Clock, config: Config) -> None:
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self._targets = config.handoff.notify
        self._remind_after = timedelta(minutes=config.handoff.remind_after_min)
        self._is_silent = config.handoff.while_waiting == "silent"
        self._return_after = timedelta(hours=config.handoff.return_to_bot_after_h)
        self._business = config.business.name
        smtp = config.notice_smtp
        mail = None if smtp is None else Mail(smtp)
        self._notices = Notices(storage, roster, metrics, clock, mail, name=self._business)
        self._incidents = Incidents(storage, roster, clock, self._targets, business=self._business)
        self._said_nobody = False

    async def run(self) -> None:
        """Do all of it, each in its own time."""
        await asyncio.gather(
            _forever(self.tell, TELL_S),
            _forever(self._notices.send_due, SEND_S),
            _forever(self._incidents.look, WATCH_S),
            _forever(self.take_back, RETURN_S),
        )

    async def tell(self) -> None:
        """Queue notices of every customer who waits and of whom people have to be told now.

        Raises:
            StorageUnavailable: the database is away.
        """
        now = self._clock()
        for waiting in await self._storage.waiting_for_people(now):
            if not self._targets and not self._said_nobody:
                log.warning("nobody_is_told", reason="handoff.notify is empty")
                self._said_nobody = True
            lately = await self._storage.told_lately(now - HOUR)
            if lately.notices >= MOST_AN_HOUR + (MORE_FOR_EMERGENCIES if waiting.reason == "emergency" else 0):
                await self._tell_together(lately, now)
                return
            if await self._storage.run(self._telling(waiting, now)):
                log.info("people_told", conversation_id=waiting.conversation_id, attempts=waiting.notices + 1)

    def _telling(self, waiting: Waiting, now: datetime) -> Tell:
        notices = to_each(self._targets, tell_waiting(waiting, self._business, now))
        next_at = None if waiting.notices else now + self._remind_after
        return Tell(waiting.escalation_id, waiting.row_id, waiting.notices, notices, now, next_at)

    async def _tell_together(self, lately: ToldLately, now: datetime) -> None:
        """Tell of all who wait now in one notice an hour; whoever comes after it is told of when that hour is over."""
        emergencies = lately.notices >= MOST_AN_HOUR + MORE_FOR_EMERGENCIES
        if lately.together_at is not None:
            await self._storage.run(TellLater(now, lately.together_at + HOUR, emergencies))
            return
        count = await self._storage.waiting_together(now, emergencies=emergencies)
        notices = to_each(self._targets, tell_together(count, lately.notices, self._business)) if count else ()
        if await self._storage.run(TellTogether(notices, now, now + self._remind_after, emergencies)):
            log.warning("people_told_together", count=count)

    async def take_back(self) -> None:
        """Return to the bot what people have left, and what nobody has come to where the bot is silent meanwhile.

        Raises:
            StorageUnavailable: the database is away.
        """
        now = self._clock()
        returned = RETURNED_AT_ONCE
        while returned == RETURNED_AT_ONCE:
            before = now - self._return_after
            ids = await self._storage.run(ReturnToBot(now, before, RETURNED_AT_ONCE, waiting_too=self._is_silent))
            returned = len(ids)
            self._metrics.returns.inc(returned)
            for conversation_id in ids:
                log.info("returned_to_bot", conversation_id=conversation_id)


async def _forever(work: Callable[[], Awaitable[object]], every_s: float) -> None:
    while True:
        try:
            await work()
        except StorageUnavailable:
            pass  # looked at again soon
        except Exception:  # the top of a loop: the others go on, and this one the next time
            log.exception("handoffs_broke", worker=getattr(work, "__qualname__", "worker"))
        await asyncio.sleep(every_s)
