"""What receivers of webhooks are told of something that happened: its rows, as they stand when it commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.turns import ATTACHMENTS

MAX_CONTENT = 10_000
"""Characters of a message that are told: Standard Webhooks 1.0.0, "Payload size", asks for less than 20 kB."""

Happened = Sequence["Happening"]
Facts = Mapping[str, Any]
_Rows = Mapping[Any, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened in a conversation."""

    type: str
    """One of ``gateway.hooks.WEBHOOKS``; its first word says what it is about."""
    conversation_id: int
    """The row's id."""
    at: datetime
    subject_id: int | str | None = None
    """The id of the message, the delivery, the lead or the appointment; None where it is the conversation itself."""
    more: Facts = field(default_factory=dict)
    """What no row says."""

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.type.partition(".")[0]


def payloads(told: Happened) -> Steps[list[Facts | None]]:
    """Read what is told of each; None where it is not to be told yet."""
    rows = yield CONVERSATIONS, [{"id": id_} for id_ in sorted({h.conversation_id for h in told})]
    conversations = {row.pop("row_id"): row for row in rows}
    subjects: dict[str, _Rows] = {}
    for subject in sorted({happening.subject for happening in told}):
        subjects[subject] = yield from _read(subject, [h for h in told if h.subject == subject])
    return [_payload(h, conversations[h.conversation_id], subjects[h.subject]) for h in told]


def _read(subject: str, told: Happened) -> Steps[_Rows]:
    """Read the rows that these happenings are about, by their ids."""
    if subject == "conversation":
        escalated = [{"id": h.conversation_id} for h in told if h.type == "conversation.escalated"]
        rows = (yield ESCALATIONS, escalated) if escalated else []
        return {row.pop("conversation_id"): row for row in rows}
    rows = yield SUBJECTS[subject], [{"id": h.subject_id} for h in told]
    if subject == "message":
        yield from _complete(rows)
    return {row["id"]: row for row in rows}


def _complete(messages: Sequence[dict[str, Any]]) -> Steps[None]:
    """Name each message's files, what the customer sent with their kind, and cut what is too long to be told."""
    with_files = [{"message_id": message["id"]} for message in messages if message.pop("has_attachments")]
    files = (yield ATTACHMENTS, with_files) if with_files else []
    for message in messages:
        urls = load_json(message.pop("attachment_urls")) or ()
        own = [_file(f["url"], f["content_type"], f["name"]) for f in files if f["message_id"] == message["id"]]
        message["attachments"] = own or [_file(url) for url in urls]
        message["is_cut"] = len(message["content"]) > MAX_CONTENT
        message["content"] = message["content"][:MAX_CONTENT]


def _file(url: str, content_type: str | None = None, name: str | None = None) -> Facts:
    """Name a file; one that is within its own address (RFC 2397) is told by its kind and size alone."""
    if not url.lower().startswith("data:"):
        return {"url": url, "content_type": content_type, "name": name}
    head, _, data = url[len("data:") :].partition(",")
    is_base64 = head.lower().endswith(";base64")
    size = len(data.rstrip("=")) * 3 // 4 if is_base64 else len(unquote_to_bytes(data))
    kind = head.partition(";")[0] or content_type
    return {"url": None, "content_type": kind, "name": name, "size_bytes": size}


def _payload(happening: Happening, conversation: Mapping[str, Any], rows: _Rows) -> Facts | None:
    told: dict[str, Any] = {"conversation": conversation, **happening.more}
    if happening.type == "conversation.escalated":
        told["escalation"] = rows[happening.conversation_id]
    elif happening.subject_id is not None:
        row = dict(rows[happening.subject_id])
        if row.pop("is_on_its_way", False) and happening.type == "message.sent":
            return None
        sender = row.pop("sender", None)
        if happening.type == "message.received":
            told.setdefault("sender", sender)
        told[happening.subject] = row
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:
    """Write times as the API does: a payload is JSON already when it is stored."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


CONVERSATIONS = statement(
    """
    SELECT c.id AS row_id, c.conversation_id, c.channel, c.channel_name, c.contact_id, c.user_id, c.user_name,
        c.user_email, c.user_phone, c.mode, c.assigned_to, c.is_active
    FROM chat_conversations AS c JOIN {r} ON c.id = r.id
    """,
    id="int",
)

ESCALATIONS = statement(
    """
    SELECT e.conversation_id, e.reason, e.source, e.summary, e.created_at FROM escalations AS e
    WHERE e.id IN (SELECT MAX(l.id) FROM escalations AS l JOIN {r} ON l.conversation_id = r.id
        GROUP BY l.conversation_id)
    """,
    id="int",
)

# A message has left when the platforms have all of its parts.
MESSAGES = statement(
    """
    SELECT m.id, m.role, m.content, m.sequence_number, m.timestamp, m.has_attachments, m.attachment_urls,
        COALESCE(c.address, c.user_id, c.user_email, c.user_phone) AS sender,
        EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message_id = m.id
            AND d.status NOT IN ('sent', 'delivered', 'read')) AS is_on_its_way
    FROM conversation_messages AS m JOIN {r} ON m.id = r.id
    JOIN chat_conversations AS c ON c.id = m.conversation_id
    """,
    id="int",
)

DELIVERIES = statement(
    """
    SELECT d.id, d.message_id, d.part, d.channel_name, d.recipient, d.content, d.status, d.attempts, d.error_code,
        d.error_message, d.created_at, d.sent_at
    FROM deliveries AS d JOIN {r} ON d.id = r.id
    """,
    id="text",
)

LEADS = statement(
    """
    SELECT l.id, l.name, l.phone, l.email, l.address, l.source, l.notes, l.status, l.contact_id, l.created_at,
        l.updated_at
    FROM leads AS l JOIN {r} ON l.id = r.id
    """,
    id="int",
)

APPOINTMENTS = statement(
    """
    SELECT a.id, a.customer_name, a.phone, a.email, a.address, a.scheduled_date, a.scheduled_time, a.starts_at,
        a.minutes, a.service, a.type, a.status, a.notes, a.contact_id, a.created_at, a.updated_at
    FROM appointments AS a JOIN {r} ON a.id = r.id
    """,
    id="int",
)

SUBJECTS = {"message": MESSAGES, "delivery": DELIVERIES, "lead": LEADS, "appointment": APPOINTMENTS}
