"""Summaries of what lies before a prompt's window, written beside the turns and compared when they are set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.sql import Steps, statement
from gateway.storage.turns import LOCK_CONVERSATIONS
from gateway.storage.writer import OneByOne


@dataclass(frozen=True)
class KeepSummary(OneByOne[bool]):
    """Keep a summary that continues the newest one; False where somebody was faster or the transcript was changed."""

    id: int
    """The conversation."""
    after_sequence: int
    """Where the summary that it continues ends; 0 for the first."""
    up_to_sequence: int
    amendments: int
    """How often the transcript had been changed when it was read for this."""
    content: str
    model: str
    tokens_used: int
    now: datetime

    @classmethod
    def apply(cls, operations: Sequence[KeepSummary]) -> Steps[list[bool]]:
        """Keep each that still continues the newest, also of those in one batch."""
        yield LOCK_CONVERSATIONS, [{"id": operation.id} for operation in operations]
        return (yield from super().apply(operations))

    def steps(self) -> Steps[bool]:
        """Keep it, and forget what it makes superfluous."""
        record = self.record()
        kept = yield KEEP, [record]
        yield FORGET, [record]
        return bool(kept)

    def record(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "after_sequence": self.after_sequence,
            "up_to_sequence": self.up_to_sequence,
            "amendments": self.amendments,
            "content": self.content,
            "model": self.model,
            "tokens_used": self.tokens_used,
            "now": self.now,
        }


KEEP = statement(
    """
    INSERT INTO summaries (conversation_id, up_to_sequence, content, model, tokens_used, created_at)
    SELECT r.id, r.up_to_sequence, r.content, r.model, r.tokens_used, r.now
    FROM {r} JOIN chat_conversations AS c ON c.id = r.id AND c.amendments = r.amendments
    WHERE r.after_sequence = COALESCE((SELECT MAX(s.up_to_sequence) FROM summaries AS s
        WHERE s.conversation_id = r.id), 0)
    ON CONFLICT DO NOTHING RETURNING conversation_id, up_to_sequence
    """,
    id="int",
    after_sequence="int",
    up_to_sequence="int",
    amendments="int",
    content="text",
    model="text",
    tokens_used="int",
    now="time",
)

# The one before the newest stays: a prompt whose window has not moved yet is told by it.
FORGET = statement(
    """
    DELETE FROM summaries WHERE conversation_id IN (SELECT r.id FROM {r})
    AND (SELECT COUNT(*) FROM summaries AS s WHERE s.conversation_id = summaries.conversation_id
        AND s.up_to_sequence > summaries.up_to_sequence) >= 2
    """,
    id="int",
)
