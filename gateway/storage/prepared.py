"""What a channel builds once for a delivery, and what it builds it from."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.base import Answered
from gateway.storage.sql import Statement, Steps, load_json, statement
from gateway.storage.writer import Operation


@dataclass(frozen=True)
class ReadAnswered(Operation["Answered | None"]):
    """Read the customer's last message before a delivery's own; None where they have written none."""

    delivery_id: str

    @classmethod
    def apply(cls, operations: Sequence[ReadAnswered]) -> Steps[list[Answered | None]]:
        """Read them all."""
        rows = yield ANSWERED, [{"id": operation.delivery_id} for operation in operations]
        found = {row["id"]: row for row in rows}
        return [_answered(found.get(operation.delivery_id)) for operation in operations]


@dataclass(frozen=True)
class KeepPrepared(Operation[bool]):
    """Keep what every attempt will send; False where the delivery is not ours any more."""

    delivery_id: str
    lease_owner: str
    prepared: bytes

    @classmethod
    def apply(cls, operations: Sequence[KeepPrepared]) -> Steps[list[bool]]:
        """Keep them all."""
        rows = yield KEEP, [operation.record() for operation in operations]
        kept = {row["id"] for row in rows}
        return [operation.delivery_id in kept for operation in operations]

    def record(self) -> dict[str, str]:
        prepared = base64.b64encode(self.prepared).decode("ascii")
        return {"id": self.delivery_id, "lease_owner": self.lease_owner, "prepared": prepared}


def _answered(row: Mapping[str, Any] | None) -> Answered | None:
    if row is None:
        return None
    metadata = load_json(row["metadata"]) or {}
    sent_at = metadata.get("sent_at")
    return Answered(
        external_id=row["external_id"],
        text=row["content"],
        sent_at=datetime.fromisoformat(sent_at) if sent_at else row["timestamp"],
        sender_name=row["user_name"],
        metadata=metadata,
    )


ANSWERED = statement(
    """
    SELECT d.id, m.external_id, m.content, m.timestamp, m.metadata, c.user_name
    FROM {r} JOIN deliveries AS d ON d.id = r.id
    JOIN conversation_messages AS own ON own.id = d.message_id
    JOIN chat_conversations AS c ON c.id = d.conversation_id
    JOIN conversation_messages AS m ON m.conversation_id = d.conversation_id
        AND m.sequence_number = (SELECT MAX(x.sequence_number) FROM conversation_messages AS x
            WHERE x.conversation_id = d.conversation_id AND x.asks AND x.external_id IS NOT NULL
            AND x.sequence_number <= COALESCE(own.answers_sequence, own.sequence_number))
    """,
    id="text",
)

_KEEP = """
    UPDATE deliveries AS d SET prepared = {prepared} FROM {{r}}
    WHERE d.id = r.id AND d.lease_owner = r.lease_owner AND d.status = 'sending' RETURNING {{d.}}id
"""
_COLUMNS = {"id": "text", "lease_owner": "text", "prepared": "text"}
# The bytes travel in the JSON as base64, as those of rejected webhooks do.
KEEP = Statement(
    sqlite=statement(_KEEP.format(prepared="frontdesk_unbase64(r.prepared)"), **_COLUMNS).sqlite,
    postgres=statement(_KEEP.format(prepared="decode(r.prepared, 'base64')"), **_COLUMNS).postgres,
)
