"""Between the bot and people: who has to be told of what, and when the bot takes back what a person has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlmodel import col, select

from gateway.storage.notices import NewNotice, queue_notices
from gateway.storage.people import Resume
from gateway.storage.records import Escalation, Notice
from gateway.storage.sql import Steps, statement
from gateway.storage.tables import Conversation, Message
from gateway.storage.writer import OneByOne

NOW_STOPPED = "channel:{}:now"
"""What a notice is about while the channel's incident lasts; afterwards the moment in which it was told stands there,
so that the next incident is told again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A hand-over of which people have to be told now, and what they want to know about it."""

    escalation_id: int
    row_id: int
    conversation_id: str
    channel: str
    reason: str
    words: str | None
    """The summary, or else the last thing that the customer had said by then."""
    created_at: datetime
    notices: int
    """How often people were told already."""
    user_name: str | None = None
    user_email: str | None = None
    user_phone: str | None = None


def waiting_query(now: datetime, limit: int) -> Any:
    """Ask for the hand-overs of which people have to be told now, the longest due first."""
    said = (
        select(Message.content)
        .where(
            col(Message.conversation_id) == col(Escalation.conversation_id),
            col(Message.role) == "user",
            col(Message.sequence_number) <= col(Escalation.sequence_number),
        )
        .order_by(col(Message.sequence_number).desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Escalation, Conversation, func.coalesce(col(Escalation.summary), said))
        .join(Conversation, col(Conversation.id) == col(Escalation.conversation_id))
        .where(text("escalations.notify_at IS NOT NULL"), col(Escalation.notify_at) <= now)
        .order_by(col(Escalation.notify_at), col(Escalation.id))
        .limit(limit)
    )


def waiting_of(escalation: Escalation, conversation: Conversation, words: str | None) -> Waiting:
    """Put together what ``waiting_query`` gives."""
    return Waiting(
        escalation_id=escalation.id or 0,
        row_id=escalation.conversation_id,
        conversation_id=conversation.conversation_id,
        channel=conversation.channel,
        reason=escalation.reason,
        words=words,
        created_at=escalation.created_at,
        notices=escalation.notices,
        user_name=conversation.user_name,
        user_email=conversation.user_email,
        user_phone=conversation.user_phone,
    )


@dataclass(frozen=True)
class Tell(OneByOne[bool]):
    """Queue the notices of a hand-over; False where another process has, or nobody has to be told any more.

    A reminder is for the latest hand-over of a conversation that still waits. Without notices the matter ends: nobody
    is there to be told.
    """

    escalation_id: int
    row_id: int
    told: int
    """How often people had been told when the caller looked: whoever comes second finds another number."""
    notices: tuple[NewNotice, ...]
    now: datetime
    next_at: datetime | None
    """When to remind them; None after the reminder."""

    def steps(self) -> Steps[bool]:
        told = {"id": self.escalation_id, "told": self.told, "next_at": self.next_at}
        rows = yield TELL, [{**told, "has_targets": bool(self.notices)}]
        if not rows or rows[0]["notices"] == self.told:
            return False
        about = f"escalation:{self.escalation_id}:{self.told + 1}"
        yield from queue_notices(self.notices, about, self.now, self.row_id)
        return True


# The first notice goes out also where somebody came at once, unless it was put off.
IS_WANTED = """
    (r.has_targets AND ((e.notices = 0 AND e.notify_at = e.created_at) OR EXISTS (
        SELECT 1 FROM chat_conversations AS c
        WHERE c.id = e.conversation_id AND c.mode = 'waiting' AND c.is_active
        AND NOT EXISTS (SELECT 1 FROM escalations AS l WHERE l.conversation_id = e.conversation_id AND l.id > e.id))))
"""

TELL = statement(
    f"""
    UPDATE escalations AS e SET notices = CASE WHEN {IS_WANTED} THEN e.notices + 1 ELSE e.notices END,
        notify_at = CASE WHEN {IS_WANTED} THEN r.next_at ELSE NULL END
    FROM {{r}} WHERE e.id = r.id AND e.notices = r.told AND e.notify_at IS NOT NULL RETURNING {{e.}}notices
    """,
    id="int",
    told="int",
    next_at="time",
    has_targets="bool",
)


def incidents_query(names: Sequence[str]) -> Any:
    """Ask what people were told of these channels' present incidents, and when."""
    return (
        select(Notice.about, func.min(col(Notice.created_at)))
        .where(col(Notice.about).in_([NOW_STOPPED.format(name) for name in names]))
        .group_by(col(Notice.about))
    )


@dataclass(frozen=True)
class TellStopped(OneByOne[bool]):
    """Queue the notices of a channel that has stopped; False where that was told already, and the incident lasts."""

    channel_name: str
    notices: tuple[NewNotice, ...]
    now: datetime

    def steps(self) -> Steps[bool]:
        return bool((yield from queue_notices(self.notices, NOW_STOPPED.format(self.channel_name), self.now, None)))


@dataclass(frozen=True)
class EndIncident(OneByOne[None]):
    """The channel works again: should it stop once more, that is news."""

    channel_name: str
    told_at: datetime

    def steps(self) -> Steps[None]:
        since = self.told_at.isoformat(timespec="milliseconds")
        ended = f"channel:{self.channel_name}:{since}"
        yield END_INCIDENT, [{"about": NOW_STOPPED.format(self.channel_name), "ended": ended}]


END_INCIDENT = statement(
    "UPDATE notices AS n SET about = r.ended FROM {r} WHERE n.about = r.about", about="text", ended="text"
)


@dataclass(frozen=True)
class ReturnToBot(OneByOne[list[str]]):
    """Give back to the bot what a person has left: nobody has taken it or written in it since ``before``.

    Only what the customer says from now on is answered. Returns the conversations' public ids. One that somebody is
    changing at this moment is left alone, and looked at again the next time.
    """

    now: datetime
    before: datetime
    limit: int
    waiting_too: bool = False
    """Whether to give back as well what nobody has come to, where the customer has heard nothing since ``before``:
    where the bot is silent while they wait, nobody at all would answer them any more."""

    def steps(self) -> Steps[list[str]]:
        rows = yield LEFT_ALONE, [{"before": self.before, "at_most": self.limit}]
        if self.waiting_too and len(rows) < self.limit:
            rows = [*rows, *(yield LEFT_WAITING, [{"before": self.before, "at_most": self.limit - len(rows)}])]
        if not rows:
            return []
        yield from Resume.apply([Resume(row["conversation_id"], self.now, answer_waiting=False) for row in rows])
        closed = [{"id": row["id"]} for row in rows if not row["is_active"]]
        if closed:
            yield CLOSE_AGAIN, closed
        return [row["conversation_id"] for row in rows]


LEFT_ALONE = statement(
    """
    SELECT c.id, c.conversation_id, c.is_active FROM chat_conversations AS c
    WHERE c.mode = 'human' AND c.handled_at <= (SELECT r.before FROM {r})
    ORDER BY c.handled_at LIMIT (SELECT r.at_most FROM {r}) {skip c}
    """,
    before="time",
    at_most="int",
)

# When something was last said to the customer; NULL where nothing ever was.
_HEARD_AT = """
    (SELECT m.timestamp FROM conversation_messages AS m
    WHERE m.conversation_id = c.id AND m.role IN ('assistant', 'agent') ORDER BY m.sequence_number DESC LIMIT 1)
"""

LEFT_WAITING = statement(
    f"""
    SELECT c.id, c.conversation_id, c.is_active FROM chat_conversations AS c
    WHERE c.mode = 'waiting' AND c.is_active AND c.escalated_at <= (SELECT r.before FROM {{r}})
    AND COALESCE({_HEARD_AT}, c.escalated_at) <= (SELECT r.before FROM {{r}})
    ORDER BY c.escalated_at LIMIT (SELECT r.at_most FROM {{r}}) {{skip c}}
    """,
    before="time",
    at_most="int",
)

# What a person has closed stays closed: the bot has it, and nothing is open in it.
CLOSE_AGAIN = statement("UPDATE chat_conversations AS c SET is_active = FALSE FROM {r} WHERE c.id = r.id", id="int")
