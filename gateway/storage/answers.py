"""Answers: how a turn ends, and how a message becomes deliveries, all in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from channels.content import Content
from gateway.storage.hook_facts import Happening
from gateway.storage.hooks import emit
from gateway.storage.sql import Steps, statement
from gateway.storage.turns import LOCK_CONVERSATIONS
from gateway.storage.writer import Operation


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said at the end of a turn, and what it cost."""

    content: Content
    parts: tuple[Content, ...] = ()
    """The content as the channel sends it; empty for a conversation without a channel."""
    model: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    tokens_used: int | None = None
    processing_time_ms: int | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """The words of it."""
        return self.content.text

    def in_parts(self, parts: tuple[Content, ...]) -> Answer:
        """Return the same answer as the channel will send it."""
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn's answer is committed."""

    sequence_number: int
    """The answer's own number, or the transcript's last where the turn ended without one."""
    total_messages: int
    due_at: datetime | None
    """When the next turn is due; None where nothing else waits."""
    mode: str

    @property
    def needs_person(self) -> bool:
        """Whether a person has the conversation, or is waited for."""
        return self.mode != "bot"


@dataclass(frozen=True, slots=True)
class Handover:
    """Why a turn hands its conversation to people."""

    reason: str
    """One of the contract's words for ``escalation_reason``."""
    source: str
    """Who found it so: ``words``, ``model``, or ``rule:`` and its name."""
    summary: str | None = None


ASKED_AGAIN_AFTER = timedelta(hours=1)
"""Who waits for a person and asks again is told of again after this time: somebody should have come by then, and
whoever repeats it every minute calls nobody every minute."""
ASKED_AGAIN = ("customer_request", "complaint", "emergency")
"""Reasons that a customer who waits gives themselves; that the bot knows no answer is no news of one who waits."""


@dataclass(frozen=True)
class FinishTurn(Operation["Finished | None"]):
    """Commit a turn: answer, deliveries, counters and flags, all or nothing; None where it was fenced off."""

    id: int
    fence: int
    now: datetime
    answer: Answer | None
    handover: Handover | None = None
    fallback: bool = False
    answer_while_waiting: bool = True
    window_start: int | None = None
    """The message behind which the prompt's window began; None where the model was not asked."""

    @property
    def keys(self) -> frozenset[str]:
        """The conversation row."""
        return frozenset((f"conversation {self.id}",))

    @classmethod
    def apply(cls, operations: Sequence[FinishTurn]) -> Steps[list[Finished | None]]:
        """Finish all turns whose fence still stands."""
        records = [operation.record() for operation in operations]
        yield LOCK_CONVERSATIONS, records
        rows = yield FINISH, records
        done = {row["id"]: row for row in rows}
        answered = [o for o in operations if o.id in done and o.answer is not None]
        message_ids = (yield from _write_answers(answered, done)) if answered else {}
        # One that waits already is handed over again where it has become an emergency, or they ask again much later.
        handed = [o for o in operations if o.handover and o.id in done and done[o.id]["escalated_at"] == o.now]
        if handed:
            yield ESCALATE, [o.escalation_record(done[o.id]) for o in handed]
        # What a caller is given has no delivery that would tell that it was sent.
        given = [o for o in answered if done[o.id]["channel_name"] is None]
        happened = [Happening("message.sent", o.id, o.now, message_ids[o.id]) for o in given]
        yield from emit([*happened, *(Happening("conversation.escalated", o.id, o.now) for o in handed)])
        return [_finished(done.get(operation.id)) for operation in operations]

    def record(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "fence": self.fence,
            "now": self.now,
            "answers": 0 if self.answer is None else 1,
            "escalation_reason": self.handover and self.handover.reason,
            "asked_before": self.now - ASKED_AGAIN_AFTER,
            "fallback_at": self.now if self.fallback and self.answer is not None else None,
            "window_start": self.window_start,
            "silent": self.handover is not None and not self.answer_while_waiting,
        }

    def escalation_record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        assert self.handover is not None
        return {
            "id": self.id,
            "sequence_number": row["total_messages"],
            "reason": self.handover.reason,
            "source": self.handover.source,
            "summary": self.handover.summary,
            "now": self.now,
        }


_IS_NEWS = f"""
    r.escalation_reason IS NOT NULL AND (c.mode = 'bot'
        OR (r.escalation_reason = 'emergency' AND c.escalation_reason <> 'emergency')
        OR (r.escalation_reason IN {ASKED_AGAIN} AND c.escalated_at <= r.asked_before))
"""

FINISH = statement(
    f"""
    UPDATE chat_conversations AS c SET answered_sequence = c.input_sequence, input_sequence = NULL,
        total_messages = c.total_messages + r.answers, bot_messages = c.bot_messages + r.answers,
        last_activity_at = r.now, lease_owner = NULL, lease_expires_at = NULL, turn_attempts = 0,
        fallback_at = COALESCE(r.fallback_at, c.fallback_at),
        window_start = COALESCE(r.window_start, c.window_start),
        due_at = CASE WHEN c.last_user_sequence > c.input_sequence AND NOT r.silent THEN COALESCE(c.due_at, r.now)
            ELSE NULL END,
        due_cap_at = CASE WHEN c.last_user_sequence > c.input_sequence THEN c.due_cap_at ELSE NULL END,
        mode = CASE WHEN r.escalation_reason IS NOT NULL AND c.mode = 'bot' THEN 'waiting' ELSE c.mode END,
        escalated = CASE WHEN r.escalation_reason IS NOT NULL THEN TRUE ELSE c.escalated END,
        escalated_at = CASE WHEN {_IS_NEWS} THEN r.now ELSE c.escalated_at END,
        escalation_reason = CASE WHEN {_IS_NEWS} THEN r.escalation_reason ELSE c.escalation_reason END,
        handoff_sequence = CASE WHEN {_IS_NEWS} THEN c.total_messages + r.answers ELSE c.handoff_sequence END
    FROM {{r}} WHERE c.id = r.id AND c.fence = r.fence AND c.input_sequence IS NOT NULL
    RETURNING {{c.}}id, {{c.}}total_messages, {{c.}}answered_sequence, {{c.}}due_at, {{c.}}mode, {{c.}}escalated,
        {{c.}}escalated_at, {{c.}}channel_name, {{c.}}address, {{c.}}account
    """,
    id="int",
    fence="int",
    now="time",
    answers="int",
    escalation_reason="text",
    asked_before="time",
    fallback_at="time",
    window_start="int",
    silent="bool",
)

ESCALATE = statement(
    """
    INSERT INTO escalations (conversation_id, sequence_number, reason, source, summary, created_at, notify_at, notices)
    SELECT r.id, r.sequence_number, r.reason, r.source, r.summary, r.now, r.now, 0 FROM {r}
    """,
    id="int",
    sequence_number="int",
    reason="text",
    source="text",
    summary="text",
    now="time",
)

INSERT_ANSWERS = statement(
    """
    INSERT INTO conversation_messages (conversation_id, role, content, sequence_number, timestamp, has_attachments,
        attachment_urls, channel_name, model_used, reasoning_effort, verbosity, tokens_used, processing_time_ms,
        tool_calls, answers_sequence, metadata, asks)
    SELECT r.id, r.role, r.content, r.sequence_number, r.now, r.has_attachments, r.attachment_urls, r.channel_name,
        r.model, r.reasoning_effort, r.verbosity, r.tokens_used, r.processing_time_ms, r.tool_calls,
        r.answers_sequence, r.metadata, FALSE
    FROM {r} RETURNING id, conversation_id
    """,
    id="int",
    role="text",
    content="text",
    sequence_number="int",
    now="time",
    has_attachments="bool",
    attachment_urls="json",
    channel_name="text",
    model="text",
    reasoning_effort="text",
    verbosity="text",
    tokens_used="int",
    processing_time_ms="int",
    tool_calls="json",
    answers_sequence="int",
    metadata="json",
)

INSERT_DELIVERIES = statement(
    """
    INSERT INTO deliveries (id, message_id, conversation_id, part, channel_name, recipient, content, status, attempts,
        next_attempt_at, created_at, queued_at, sequence_number, role, account, attachment_urls, extras, resends)
    SELECT r.id, r.message_id, r.conversation_id, r.part, r.channel_name, r.recipient, r.content, 'queued', 0, r.now,
        r.now, r.now, r.sequence_number, r.role, r.account, r.attachment_urls, r.extras,
        0
    FROM {r}
    """,
    id="text",
    message_id="int",
    conversation_id="int",
    part="int",
    channel_name="text",
    recipient="text",
    content="text",
    now="time",
    sequence_number="int",
    role="text",
    account="text",
    attachment_urls="json",
    extras="json",
)


def _write_answers(operations: Sequence[FinishTurn], done: Mapping[int, Mapping[str, Any]]) -> Steps[dict[int, int]]:
    """Write the answers and their deliveries; returns each conversation's new message."""
    entries = [(o.answer, done[o.id], o.now) for o in operations if o.answer is not None]
    rows = yield INSERT_ANSWERS, [answer_record(answer, row, now) for answer, row, now in entries]
    ids = {row["conversation_id"]: row["id"] for row in rows}
    deliveries = [
        record
        for answer, row, now in entries
        for record in delivery_records(answer, row, now, message_id=ids[row["id"]], role="assistant")
    ]
    if deliveries:
        yield INSERT_DELIVERIES, deliveries
    return ids


def answer_record(answer: Answer, row: Mapping[str, Any], now: datetime, *, role: str = "assistant") -> dict[str, Any]:
    """Describe the message that ends a transcript whose conversation row has already counted it."""
    return {
        "id": row["id"],
        "role": role,
        "content": answer.text,
        "sequence_number": row["total_messages"],
        "now": now,
        "has_attachments": bool(answer.content.attachment_urls),
        "attachment_urls": list(answer.content.attachment_urls),
        "channel_name": row["channel_name"],
        "model": answer.model,
        "reasoning_effort": answer.reasoning_effort,
        "verbosity": answer.verbosity,
        "tokens_used": answer.tokens_used,
        "processing_time_ms": answer.processing_time_ms,
        "tool_calls": list(answer.tool_calls) or None,
        "answers_sequence": row["answered_sequence"] if role == "assistant" else None,
        "metadata": answer.content.extras(),
    }


def delivery_records(
    answer: Answer, row: Mapping[str, Any], now: datetime, *, message_id: int, role: str
) -> list[dict[str, Any]]:
    """Describe one delivery for each part of an answer."""
    return [
        {
            "id": str(uuid.uuid4()),
            "message_id": message_id,
            "conversation_id": row["id"],
            "part": number,
            "channel_name": row["channel_name"],
            "recipient": row["address"],
            "content": part.text,
            "now": now,
            "sequence_number": row["total_messages"],
            "role": role,
            "account": row["account"],
            "attachment_urls": list(part.attachment_urls),
            "extras": part.extras() or None,
        }
        for number, part in enumerate(answer.parts, start=1)
    ]


def _finished(row: Mapping[str, Any] | None) -> Finished | None:
    if row is None:
        return None
    return Finished(
        sequence_number=row["total_messages"],
        total_messages=row["total_messages"],
        due_at=row["due_at"],
        mode=row["mode"],
    )
