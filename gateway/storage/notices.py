"""Notices: what the people who work here are told, queued, claimed for sending, and settled."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne


@dataclass(frozen=True, slots=True)
class NewNotice:
    """What one of the people who work here is told, and how."""

    kind: str
    """``email`` or ``sms``."""
    target: str
    subject: str
    content: str
    channel_name: str | None = None


def queue_notices(notices: Sequence[NewNotice], about: str, now: datetime, row_id: int | None) -> Steps[int]:
    """Queue notices; each target is told once of what they are ``about``. Returns how many are new."""
    own = {"about": about, "conversation_id": row_id, "now": now}
    rows = yield INSERT_NOTICES, [{**asdict(notice), **own, "id": str(uuid.uuid4())} for notice in notices]
    return len(rows)


INSERT_NOTICES = statement(
    """
    INSERT INTO notices (id, about, conversation_id, kind, target, channel_name, subject, content, status, attempts,
        next_attempt_at, created_at)
    SELECT r.id, r.about, r.conversation_id, r.kind, r.target, r.channel_name, r.subject, r.content, 'queued', 0,
        r.now, r.now
    FROM {r} WHERE TRUE ON CONFLICT (about, kind, target) DO NOTHING RETURNING id
    """,
    id="text",
    about="text",
    conversation_id="int",
    kind="text",
    target="text",
    channel_name="text",
    subject="text",
    content="text",
    now="time",
)


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice that this process sends now."""

    id: str
    kind: str
    target: str
    channel_name: str | None
    subject: str
    content: str
    attempts: int
    """With this one."""
    created_at: datetime


@dataclass(frozen=True)
class ClaimNotices(OneByOne[list[ClaimedNotice]]):
    """Take notices that are due; who dies with one leaves it due again at ``leased_until``."""

    now: datetime
    leased_until: datetime
    limit: int

    def steps(self) -> Steps[list[ClaimedNotice]]:
        due = yield DUE, [{"now": self.now, "at_most": self.limit}]
        if not due:
            return []
        rows = yield LEASE, [{"id": row["id"], "leased_until": self.leased_until} for row in due]
        return [ClaimedNotice(**row) for row in rows]


DUE = statement(
    """
    SELECT n.id FROM notices AS n WHERE n.status = 'queued' AND n.next_attempt_at <= (SELECT r.now FROM {r})
    ORDER BY n.next_attempt_at LIMIT (SELECT r.at_most FROM {r}) {skip n}
    """,
    now="time",
    at_most="int",
)

LEASE = statement(
    """
    UPDATE notices AS n SET attempts = n.attempts + 1, next_attempt_at = r.leased_until FROM {r} WHERE n.id = r.id
    RETURNING {n.}id, {n.}kind, {n.}target, {n.}channel_name, {n.}subject, {n.}content, {n.}attempts, {n.}created_at
    """,
    id="text",
    leased_until="time",
)


@dataclass(frozen=True)
class SettleNotice(OneByOne[bool]):
    """Record what became of a notice: sent, failed for good, or due again at ``next_attempt_at``.

    False where somebody else has it meanwhile. That it was sent is true whoever has it.
    """

    id: str
    attempts: int
    status: str
    """``sent``, ``failed`` or ``queued``."""
    now: datetime
    next_attempt_at: datetime | None = None
    error: str | None = None

    def steps(self) -> Steps[bool]:
        record: dict[str, Any] = {name: getattr(self, name) for name in ("id", "attempts", "status", "error")}
        sent_at = self.now if self.status == "sent" else None
        rows = yield SETTLE, [{**record, "sent_at": sent_at, "next_attempt_at": self.next_attempt_at}]
        return bool(rows)


SETTLE = statement(
    """
    UPDATE notices AS n SET status = r.status, sent_at = r.sent_at, next_attempt_at = r.next_attempt_at,
        error = r.error
    FROM {r} WHERE n.id = r.id AND n.status = 'queued' AND (r.status = 'sent' OR n.attempts = r.attempts)
    RETURNING {n.}id
    """,
    id="text",
    attempts="int",
    status="text",
    sent_at="time",
    next_attempt_at="time",
    error="text",
)
