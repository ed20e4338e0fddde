"""What customers change afterwards: edits, messages taken back, reactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.base import Edit, Reaction, Revoke
from gateway.storage.identities import ALIAS_OF
from gateway.storage.sql import Steps, load_json, lock_in_order, statement

Amendment = Edit | Revoke | Reaction

TEXTS_KEPT = 6
"""How many former texts of a message are kept: the first and the last ones."""
TEXT_KEPT = 2_000
"""Characters of a former text that are kept."""
EMOJI_KEPT = 64
"""Characters of a reaction; the longest emoji of Unicode 16 have 10 (https://unicode.org/Public/emoji/16.0/)."""

# A message of theirs is found by its own id, one of ours by its delivery's; nobody reaches into another's thread.
_TARGET = f"""
    FROM {{r}} JOIN conversation_messages AS m ON m.id = COALESCE(
        (SELECT own.id FROM conversation_messages AS own
            WHERE own.channel_name = r.channel_name AND own.external_id = r.target_id),
        (SELECT d.message_id FROM deliveries AS d
            WHERE d.channel_name = r.channel_name AND d.external_id = r.target_id ORDER BY d.id LIMIT 1))
    JOIN chat_conversations AS c ON c.id = m.conversation_id
        AND c.thread_key = {ALIAS_OF.format(address="sender")}
"""

FIND = statement(
    f"SELECT DISTINCT c.id {_TARGET}",
    channel_name="text",
    target_id="text",
    sender="text",
)

LOCK = lock_in_order("chat_conversations", "id", "int")

TARGET = statement(
    f"SELECT m.id, m.conversation_id, m.sequence_number, m.role, m.content, m.metadata {_TARGET} {{lock m}}",
    channel_name="text",
    target_id="text",
    sender="text",
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

# What was changed or taken back may not live on in a summary.
FORGET_SUMMARIES = statement(
    """
    DELETE FROM summaries WHERE EXISTS (SELECT 1 FROM {r} WHERE summaries.conversation_id = r.id
        AND summaries.up_to_sequence >= r.sequence_number)
    """,
    id="int",
    sequence_number="int",
)

# A turn that is answering the old words begins again, unless it may have done something already; what it has only read
# was read for the old words.
RESTART = statement(
    """
    UPDATE chat_conversations AS c SET fence = c.fence + 1, input_sequence = NULL, lease_owner = NULL,
        lease_expires_at = NULL, turn_attempts = 0
    FROM {r} WHERE c.id = r.id AND c.answered_sequence < r.sequence_number AND c.input_sequence >= r.sequence_number
    AND NOT EXISTS (SELECT 1 FROM tool_runs AS t
        WHERE t.conversation_id = c.id AND t.input_sequence > c.answered_sequence AND t.acts)
    RETURNING {c.}id
    """,
    id="int",
    sequence_number="int",
)

_UNANSWERED = """
    WHERE EXISTS (SELECT 1 FROM chat_conversations AS c JOIN {{r}} ON c.id = r.id
        WHERE c.id = {table}.conversation_id AND {table}.input_sequence > c.answered_sequence)
"""
FORGET_RUNS = statement("DELETE FROM tool_runs" + _UNANSWERED.format(table="tool_runs"), id="int")
FORGET_ROUNDS = statement("DELETE FROM turn_rounds" + _UNANSWERED.format(table="turn_rounds"), id="int")


def apply_amendments(amendments: Sequence[tuple[str, Amendment]]) -> Steps[list[bool]]:
    """Apply (channel_name, amendment) in order; returns for each whether its author's message is known."""
    records = [
        {"channel_name": channel_name, "target_id": amendment.target_id, "sender": amendment.sender}
        for channel_name, amendment in amendments
    ]
    found = yield FIND, records
    if not found:
        return [False] * len(records)
    yield LOCK, [{"id": row["id"]} for row in found]
    known = []
    # They are rare, and one may amend what the one before did.
    for record, (_, amendment) in zip(records, amendments, strict=True):
        known.append((yield from _amend(record, amendment)))
    return known


def _amend(record: dict[str, Any], amendment: Amendment) -> Steps[bool]:
    rows = yield TARGET, [record]
    if not rows:
        return False
    [row] = rows
    before = row["content"], load_json(row["metadata"]) or {}
    after = _amended(*before, row["role"], amendment)
    if after != before:
        content, metadata = after
        yield (
            AMEND,
            [{"id": row["id"], "content": content, "metadata": metadata, "revoked": isinstance(amendment, Revoke)}],
        )
        if isinstance(amendment, Reaction):
            return True  # no prompt shows it: nothing that is remembered of the conversation has become wrong
        place = {"id": row["conversation_id"], "sequence_number": row["sequence_number"]}
        yield COUNT, [{"id": row["conversation_id"]}]
        yield FORGET_SUMMARIES, [place]
        if after[0] != before[0] and (yield RESTART, [place]):
            yield FORGET_RUNS, [{"id": row["conversation_id"]}]
            yield FORGET_ROUNDS, [{"id": row["conversation_id"]}]
    return True


def _amended(content: str, metadata: dict[str, Any], role: str, amendment: Amendment) -> tuple[str, dict[str, Any]]:
    """Return the message's content and metadata afterwards: the same where nobody may change it, or nothing is new."""
    if isinstance(amendment, Reaction):
        emoji = amendment.emoji
        if emoji is None and "reaction" not in metadata:
            return content, metadata
        return content, {**metadata, "reaction": emoji and emoji[:EMOJI_KEPT]}
    if role != "user" or metadata.get("revoked"):
        return content, metadata
    if isinstance(amendment, Revoke):  # nothing of what they took back is kept
        kept = {name: value for name, value in metadata.items() if name not in ("before_edits", "edited_at")}
        return "", {**kept, "revoked": True}
    edited_at = amendment.sent_at.isoformat() if amendment.sent_at else None
    if amendment.text == content or (edited_at and edited_at < metadata.get("edited_at", "")):
        return content, metadata
    texts: list[str] = [*metadata.get("before_edits", ()), content[:TEXT_KEPT]]
    edited = {**metadata, "before_edits": texts[:1] + texts[1:][1 - TEXTS_KEPT :]}
    return amendment.text, edited | ({"edited_at": edited_at} if edited_at else {})
