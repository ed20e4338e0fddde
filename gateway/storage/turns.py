"""The turns' claims, leases, fences and results.

A conversation is its own work item: it is due while a message waits. A claim raises its fence; every later write of
the turn names that fence, and fails where somebody has raised it again: another worker after the lease ran out, a
takeover, an opt-out, a close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.sql import Steps, load_json, lock_in_order, statement
from gateway.storage.writer import OneByOne, Operation

LOCK_CONVERSATIONS = lock_in_order("chat_conversations", "id", "int")


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One entry of a transcript."""

    id: int
    sequence_number: int
    role: str
    content: str
    timestamp: datetime
    answers_sequence: int | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    metadata: Mapping[str, Any] | None = None
    external_id: str | None = None
    asks: bool = True
    """Whether a turn answers it; True of what others than the customer say, too."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """On an answer: what its turn had called, and what that gave."""


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """A file of a message; ``sha256`` names its bytes in ``data.dir`` once they are there."""

    id: int
    url: str
    content_type: str
    name: str | None
    status: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that this process may work on while its lease lives."""

    id: int
    """The conversation."""
    conversation_id: str
    channel: str
    channel_name: str | None
    user_name: str | None
    address: str | None
    account: str | None
    """Our address that the customer wrote to."""
    total_messages: int
    answered_sequence: int
    input_sequence: int
    fence: int
    attempts: int
    has_rounds: bool
    """Whether an earlier try, of this turn or of one for some of its messages, has journalled rounds."""
    fallback_at: datetime | None
    lease_expires_at: datetime
    contact_id: int | None
    lead_id: int | None
    user_email: str | None
    user_phone: str | None
    mode: str
    converted_to_appointment: bool
    window_start: int
    """The message behind which the last prompt's window began."""
    handoff_sequence: int
    """What lies up to here is no reason to hand the conversation over: it was handed over, or given back, since."""
    amendments: int
    """How often messages of the transcript were changed after they were stored."""
    messages: tuple[StoredMessage, ...]
    """What the turn answers: the customer's messages in (answered_sequence, input_sequence]."""


@dataclass(frozen=True)
class ClaimTurns(OneByOne[list[Claim]]):
    """Take due conversations, oldest first."""

    owner: str
    now: datetime
    lease_expires_at: datetime
    limit: int
    channel_names: tuple[str, ...]
    """The channels that run here; other conversations wait."""

    def steps(self) -> Steps[list[Claim]]:
        if not self.channel_names:
            return []
        due = yield DUE, [{"channel_name": name, "now": self.now, "at_most": self.limit} for name in self.channel_names]
        if not due:
            return []
        records = [
            {"id": row["id"], "owner": self.owner, "lease_expires_at": self.lease_expires_at, "now": self.now}
            for row in due[: self.limit]
        ]
        rows = yield CLAIM, records
        return (yield from load_claims(rows))


DUE = statement(
    """
    SELECT c.id FROM chat_conversations AS c
    WHERE c.due_at IS NOT NULL AND c.due_at <= (SELECT MIN(r.now) FROM {r})
    AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= (SELECT MIN(r.now) FROM {r}))
    AND {+}c.channel_name IN (SELECT r.channel_name FROM {r})
    ORDER BY c.due_at LIMIT (SELECT MIN(r.at_most) FROM {r}) {skip c}
    """,
    channel_name="text",
    now="time",
    at_most="int",
)

_INPUT = """
    COALESCE(c.input_sequence, CASE WHEN c.coalesce_ms > 0 THEN c.last_user_sequence ELSE (
        SELECT MIN(m.sequence_number) FROM conversation_messages AS m
        WHERE m.conversation_id = c.id AND m.asks
        AND m.sequence_number > c.answered_sequence) END, c.last_user_sequence)
"""

CLAIMED = """
    {c.}id, {c.}conversation_id, {c.}channel, {c.}channel_name, {c.}user_name, {c.}address, {c.}account,
    {c.}total_messages, {c.}answered_sequence, {c.}input_sequence, {c.}fence, {c.}turn_attempts, {c.}fallback_at,
    {c.}lease_expires_at, {c.}amendments, {c.}contact_id, {c.}lead_id, {c.}user_email, {c.}user_phone, {c.}mode,
    {c.}converted_to_appointment, {c.}handoff_sequence, {c.}window_start
"""

CLAIM = statement(
    f"""
    UPDATE chat_conversations AS c SET lease_owner = r.owner, lease_expires_at = r.lease_expires_at,
        fence = c.fence + 1, turn_attempts = c.turn_attempts + 1, input_sequence = {_INPUT}
    FROM {{r}} WHERE c.id = r.id AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= r.now)
    RETURNING {CLAIMED}
    """,
    id="int",
    owner="text",
    lease_expires_at="time",
    now="time",
)

INPUT_MESSAGES = statement(
    """
    SELECT m.id, m.conversation_id, m.sequence_number, m.role, m.content, m.timestamp, m.answers_sequence,
        m.metadata, m.has_attachments, m.external_id
    FROM conversation_messages AS m JOIN {r} ON m.conversation_id = r.id
    WHERE m.sequence_number > r.after AND m.sequence_number <= r.up_to AND m.asks
    ORDER BY m.conversation_id, m.sequence_number
    """,
    id="int",
    after="int",
    up_to="int",
)

ATTACHMENTS = statement(
    """
    SELECT a.id, a.message_id, a.url, a.content_type, a.name, a.status, a.sha256 FROM attachments AS a
    JOIN {r} ON a.message_id = r.message_id WHERE a.position >= 0 ORDER BY a.message_id, a.position
    """,
    message_id="int",
)


ROUNDS = statement(
    """
    SELECT DISTINCT t.conversation_id AS id FROM turn_rounds AS t
    JOIN {r} ON t.conversation_id = r.id AND t.input_sequence > r.after AND t.input_sequence <= r.up_to
    """,
    id="int",
    after="int",
    up_to="int",
)


def load_claims(rows: Sequence[Mapping[str, Any]]) -> Steps[list[Claim]]:
    """Read what claimed conversations have to answer."""
    if not rows:
        return []
    inputs = [{"id": r["id"], "after": r["answered_sequence"], "up_to": r["input_sequence"]} for r in rows]
    messages = yield INPUT_MESSAGES, inputs
    with_files = [{"message_id": message["id"]} for message in messages if message["has_attachments"]]
    files = (yield ATTACHMENTS, with_files) if with_files else []
    begun = yield ROUNDS, inputs
    with_rounds = {row["id"] for row in begun}
    by_conversation: dict[int, list[StoredMessage]] = {}
    for message in messages:
        own = [file for file in files if file["message_id"] == message["id"]]
        by_conversation.setdefault(message["conversation_id"], []).append(stored_message(message, own))
    return [_claim(row, by_conversation.get(row["id"], []), has_rounds=row["id"] in with_rounds) for row in rows]


def stored_message(row: Mapping[str, Any], files: Sequence[Mapping[str, Any]] = ()) -> StoredMessage:
    """Build a transcript entry from its row and its attachments' rows."""
    return StoredMessage(
        id=row["id"],
        sequence_number=row["sequence_number"],
        role=row["role"],
        content=row["content"],
        timestamp=row["timestamp"],
        answers_sequence=row["answers_sequence"],
        attachments=tuple(
            StoredAttachment(f["id"], f["url"], f["content_type"], f["name"], f["status"], f["sha256"]) for f in files
        ),
        metadata=load_json(row["metadata"]),
        external_id=row["external_id"],
    )


def _claim(row: Mapping[str, Any], messages: Sequence[StoredMessage], *, has_rounds: bool) -> Claim:
    return Claim(
        id=row["id"],
        conversation_id=row["conversation_id"],
        channel=row["channel"],
        channel_name=row["channel_name"],
        user_name=row["user_name"],
        address=row["address"],
        account=row["account"],
        total_messages=row["total_messages"],
        answered_sequence=row["answered_sequence"],
        input_sequence=row["input_sequence"],
        fence=row["fence"],
        attempts=row["turn_attempts"],
        has_rounds=has_rounds,
        fallback_at=row["fallback_at"],
        lease_expires_at=row["lease_expires_at"],
        contact_id=row["contact_id"],
        lead_id=row["lead_id"],
        user_email=row["user_email"],
        user_phone=row["user_phone"],
        mode=row["mode"],
        converted_to_appointment=bool(row["converted_to_appointment"]),
        handoff_sequence=row["handoff_sequence"],
        window_start=row["window_start"],
        amendments=row["amendments"],
        messages=tuple(messages),
    )


@dataclass(frozen=True)
class ExtendLease(Operation[bool]):
    """The heartbeat of a turn; False where the turn is not ours any more."""

    id: int
    fence: int
    lease_expires_at: datetime

    @classmethod
    def apply(cls, operations: Sequence[ExtendLease]) -> Steps[list[bool]]:
        """Extend all leases whose fence still stands."""
        records = [{"id": o.id, "fence": o.fence, "lease_expires_at": o.lease_expires_at} for o in operations]
        yield LOCK_CONVERSATIONS, records
        alive = {(row["id"], row["fence"]) for row in (yield EXTEND, records)}
        return [(operation.id, operation.fence) in alive for operation in operations]


EXTEND = statement(
    """
    UPDATE chat_conversations AS c SET lease_expires_at = r.lease_expires_at
    FROM {r} WHERE c.id = r.id AND c.fence = r.fence AND c.lease_owner IS NOT NULL RETURNING {c.}id, {c.}fence
    """,
    id="int",
    fence="int",
    lease_expires_at="time",
)


@dataclass(frozen=True)
class ReleaseTurn(Operation[bool]):
    """Give a turn back unfinished; it is claimed again at ``due_at`` and answers the same messages."""

    id: int
    fence: int
    due_at: datetime | None
    """None for the turn of a caller, who asks again by himself."""
    count_attempt: bool = True
    """False where the turn was not at fault (shutdown)."""

    @classmethod
    def apply(cls, operations: Sequence[ReleaseTurn]) -> Steps[list[bool]]:
        """Release all turns whose fence still stands."""
        records = [
            {"id": o.id, "fence": o.fence, "due_at": o.due_at, "uncount": 0 if o.count_attempt else 1}
            for o in operations
        ]
        yield LOCK_CONVERSATIONS, records
        released = {(row["id"], row["fence"] - 1) for row in (yield RELEASE, records)}
        return [(operation.id, operation.fence) in released for operation in operations]


RELEASE = statement(
    """
    UPDATE chat_conversations AS c SET lease_owner = NULL, lease_expires_at = NULL, fence = c.fence + 1,
        due_at = r.due_at, turn_attempts = c.turn_attempts - r.uncount
    FROM {r} WHERE c.id = r.id AND c.fence = r.fence AND c.lease_owner IS NOT NULL RETURNING {c.}id, {c.}fence
    """,
    id="int",
    fence="int",
    due_at="time",
    uncount="int",
)


@dataclass(frozen=True)
class JournalRound(Operation[bool]):
    """Keep one answer of the model before its tools run; False where the turn was fenced off."""

    id: int
    fence: int
    input_sequence: int
    round: int
    response: Mapping[str, Any]
    request_id: str | None
    tokens_used: int
    duration_ms: int
    now: datetime

    @classmethod
    def apply(cls, operations: Sequence[JournalRound]) -> Steps[list[bool]]:
        """Journal the rounds whose turn still holds its fence; the row stays locked until the commit."""
        held = yield HOLD, [{"id": o.id, "fence": o.fence} for o in operations]
        alive = {(row["id"], row["fence"]) for row in held}
        records = [
            {
                "id": o.id,
                "input_sequence": o.input_sequence,
                "round": o.round,
                "response": dict(o.response),
                "request_id": o.request_id,
                "tokens_used": o.tokens_used,
                "duration_ms": o.duration_ms,
                "created_at": o.now,
            }
            for o in operations
            if (o.id, o.fence) in alive
        ]
        if records:
            yield JOURNAL, records
        return [(operation.id, operation.fence) in alive for operation in operations]


HOLD = statement(
    """
    SELECT c.id, c.fence FROM chat_conversations AS c JOIN {r} ON c.id = r.id AND c.fence = r.fence
    WHERE c.input_sequence IS NOT NULL ORDER BY c.id {lock c}
    """,
    id="int",
    fence="int",
)

JOURNAL = statement(
    """
    INSERT INTO turn_rounds (conversation_id, input_sequence, round, response, request_id, tokens_used, duration_ms,
        created_at)
    SELECT r.id, r.input_sequence, r.round, r.response, r.request_id, r.tokens_used, r.duration_ms, r.created_at
    FROM {r} WHERE TRUE ON CONFLICT DO NOTHING
    """,
    id="int",
    input_sequence="int",
    round="int",
    response="json",
    request_id="text",
    tokens_used="int",
    duration_ms="int",
    created_at="time",
)
