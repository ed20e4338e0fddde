"""What customers change afterwards: edits, messages taken back, reactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.base import Edit, Reaction, Revoke
from gateway.storage.sql import Steps, load_json, statement

Amendment = Edit | Revoke | Reaction

# A message of theirs is found by its own id, one of ours by its delivery's.
TARGETS = statement(
    """
    SELECT m.id, m.conversation_id, m.role, m.content, m.metadata FROM {r}
    JOIN conversation_messages AS m ON m.id = COALESCE(
        (SELECT own.id FROM conversation_messages AS own
            WHERE own.channel_name = r.channel_name AND own.external_id = r.target_id),
        (SELECT d.message_id FROM deliveries AS d
            WHERE d.channel_name = r.channel_name AND d.external_id = r.target_id ORDER BY d.id LIMIT 1))
    {lock m}
    """,
    channel_name="text",
    target_id="text",
)

AMEND = statement(
    """
    UPDATE conversation_messages AS m SET content = r.content, metadata = r.metadata,
        asks = CASE WHEN r.revoked THEN FALSE ELSE m.asks END
    FROM {r} WHERE m.id = r.id
    """,
    id="int",
    content="text",
    metadata="json",
    revoked="bool",
)

COUNT = statement(
    "UPDATE chat_conversations AS c SET amendments = c.amendments + 1 FROM {r} WHERE c.id = r.id", id="int"
)


def apply_amendments(amendments: Sequence[tuple[str, Amendment]]) -> Steps[list[bool]]:
    """Apply (channel_name, amendment) in order; returns for each whether its message is known."""
    known = []
    for channel_name, amendment in amendments:  # rare, and one may amend what the one before did
        known.append((yield from _amend(channel_name, amendment)))
    return known


def _amend(channel_name: str, amendment: Amendment) -> Steps[bool]:
    rows = yield TARGETS, [{"channel_name": channel_name, "target_id": amendment.target_id}]
    if not rows:
        return False
    [row] = rows
    changed = _changed(row, load_json(row["metadata"]) or {}, amendment)
    if changed is not None:
        yield AMEND, [{"id": row["id"], "revoked": isinstance(amendment, Revoke), **changed}]
        yield COUNT, [{"id": row["conversation_id"]}]
    return True


def _changed(row: dict[str, Any], metadata: dict[str, Any], amendment: Amendment) -> dict[str, Any] | None:
    """Return the message's new content and metadata, or None where nobody but its author may change it."""
    if isinstance(amendment, Reaction):
        return {"content": row["content"], "metadata": {**metadata, "reaction": amendment.emoji}}
    if row["role"] != "user":
        return None
    if isinstance(amendment, Revoke):
        return {"content": "", "metadata": {**metadata, "revoked": True}}
    before = [*metadata.get("before_edits", ()), row["content"]]
    return {"content": amendment.text, "metadata": {**metadata, "before_edits": before}}
