"""Many customers who wait for a person at once: people are told of them together, not of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlmodel import col, select

from gateway.storage.handoffs import IS_WANTED
from gateway.storage.notices import NewNotice, queue_notices
from gateway.storage.records import Escalation, Notice
from gateway.storage.sql import Steps, statement
from gateway.storage.tables import Conversation
from gateway.storage.writer import OneByOne

TOGETHER = "together:"
"""What a notice of many is about, with the moment; of one it is ``escalation:``."""


@dataclass(frozen=True, slots=True)
class ToldLately:
    """How much people were told of waiting customers within a time."""

    notices: int
    """Of one customer each, reminders too, and as many to each of the people."""
    together_at: datetime | None
    """When they were last told of many together; None where they were not."""


def told_lately_query(since: datetime) -> Any:
    """Ask of what people were told after ``since``, and when."""
    return (
        select(Notice.about, func.min(col(Notice.created_at)))
        .where(
            col(Notice.created_at) > since,
            col(Notice.about).startswith("escalation:") | col(Notice.about).startswith(TOGETHER),
        )
        .group_by(col(Notice.about))
    )


def told_lately_of(rows: Sequence[tuple[str, datetime]]) -> ToldLately:
    """Count what ``told_lately_query`` gives."""
    together = [told_at for about, told_at in rows if about.startswith(TOGETHER)]
    return ToldLately(len(rows) - len(together), max(together, default=None))


def waiting_together_query(now: datetime, *, emergencies: bool) -> Any:
    """Ask how many customers wait of whom people have to be told now."""
    query = (
        select(func.count(func.distinct(col(Escalation.conversation_id))))
        .join(Conversation, col(Conversation.id) == col(Escalation.conversation_id))
        .where(text("escalations.notify_at IS NOT NULL"), col(Escalation.notify_at) <= now)
        .where(col(Conversation.mode) == "waiting", col(Conversation.is_active))
    )
    return query if emergencies else query.where(col(Escalation.reason) != "emergency")


@dataclass(frozen=True)
class TellTogether(OneByOne[bool]):
    """Queue one notice of all hand-overs that people have to be told of now; False where another process has.

    Each of them is told by it as it would have been by its own: a first notice is followed by a reminder.
    """

    notices: tuple[NewNotice, ...]
    """Empty where none of the customers waits any more."""
    now: datetime
    remind_at: datetime
    emergencies: bool
    """Whether emergencies are among them."""

    def steps(self) -> Steps[bool]:
        rows = yield DUE_NOW, [{"now": self.now, "emergencies": self.emergencies}]
        if not rows:
            return False
        record = {"next_at": self.remind_at, "has_targets": True}
        yield TELL_ALL, [{"id": row["id"], **record} for row in rows]
        if not self.notices:
            return False
        about = f"{TOGETHER}{self.now.isoformat(timespec='milliseconds')}"
        yield from queue_notices(self.notices, about, self.now, None)
        return True


@dataclass(frozen=True)
class TellLater(OneByOne[None]):
    """Put off until later what people would have to be told now; whoever waits no more by then is not told of."""

    now: datetime
    until_at: datetime
    emergencies: bool
    """Whether emergencies are put off as well."""

    def steps(self) -> Steps[None]:
        rows = yield DUE_NOW, [{"now": self.now, "emergencies": self.emergencies}]
        if rows:
            yield PUT_OFF, [{"id": row["id"], "until_at": self.until_at} for row in rows]


# What another process is telling at this moment is looked at again the next time.
DUE_NOW = statement(
    """
    SELECT e.id FROM escalations AS e
    WHERE e.notify_at IS NOT NULL AND e.notify_at <= (SELECT r.now FROM {r})
    AND (e.reason <> 'emergency' OR (SELECT r.emergencies FROM {r}))
    ORDER BY e.id {skip e}
    """,
    now="time",
    emergencies="bool",
)

TELL_ALL = statement(
    f"""
    UPDATE escalations AS e SET notices = CASE WHEN {IS_WANTED} THEN e.notices + 1 ELSE e.notices END,
        notify_at = CASE WHEN {IS_WANTED} AND e.notices = 0 THEN r.next_at ELSE NULL END
    FROM {{r}} WHERE e.id = r.id
    """,
    id="int",
    next_at="time",
    has_targets="bool",
)

PUT_OFF = statement(
    "UPDATE escalations AS e SET notify_at = r.until_at FROM {r} WHERE e.id = r.id", id="int", until_at="time"
)
