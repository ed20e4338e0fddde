"""The turns of ``ChatbotService.send_message``: the caller waits for the answer, nothing is delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.errors import ConversationBelongsToChannel
from gateway.storage.hook_facts import Happened, Happening
from gateway.storage.hooks import Telling
from gateway.storage.sql import Steps, statement
from gateway.storage.turns import CLAIMED, Claim, load_claims


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of a caller's message."""

    claim: Claim | None = None
    """The turn, claimed in the same transaction; None where the bot is silent: the message waits for a person."""
    busy: bool = False
    """True where another call is being answered: nothing was stored, ask again."""
    id: int | None = None
    mode: str = "bot"
    total_messages: int = 0


@dataclass(frozen=True)
class BeginDirectTurn(Telling[Begun]):
    """Store a caller's message and claim its turn.

    Raises:
        ConversationBelongsToChannel: the conversation runs on a configured channel.
    """

    conversation_id: str
    kind: str
    content: str
    owner: str
    now: datetime
    lease_expires_at: datetime
    facts: Mapping[str, Any]
    """user_id, user_name, user_email, user_phone, lead_id, customer_id, platform_metadata: they fill empty columns."""
    image_url: str | None = None
    answer_while_waiting: bool = True

    @property
    def keys(self) -> frozenset[str]:
        """The conversation row."""
        return frozenset((f"conversation {self.conversation_id}",))

    def told(self) -> Steps[tuple[Begun, Happened]]:
        """Store it and claim its turn."""
        row = yield from self._find_or_make()
        if row["channel_name"] is not None:
            raise ConversationBelongsToChannel(
                "this conversation belongs to a configured channel; answer it there instead of through send_message"
            )
        if row["lease_expires_at"] is not None and row["lease_expires_at"] > self.now:
            return Begun(busy=True, id=row["id"]), ()
        silent = row["is_active"] and not self._bot_answers(row["mode"])
        [row] = yield APPEND_USER, [self._append_record(row, claim=not silent)]
        [message] = yield INSERT_USER, [self._message_record(row)]
        if self.image_url is not None:
            yield INSERT_IMAGE, [{"message_id": message["id"], "url": self.image_url, "now": self.now}]
        claims = [] if silent else (yield from load_claims([row]))
        begun = Begun(next(iter(claims), None), False, row["id"], row["mode"], row["total_messages"])
        return begun, [Happening("message.received", row["id"], self.now, message["id"])]

    def _bot_answers(self, mode: str) -> bool:
        return mode == "bot" or (mode == "waiting" and self.answer_while_waiting)

    def _find_or_make(self) -> Steps[Mapping[str, Any]]:
        rows = yield FIND, [{"conversation_id": self.conversation_id}]
        if not rows:
            yield MAKE, [{"conversation_id": self.conversation_id, "channel": self.kind, "now": self.now}]
            rows = yield FIND, [{"conversation_id": self.conversation_id}]
        return rows[0]

    def _append_record(self, row: Mapping[str, Any], *, claim: bool) -> dict[str, Any]:
        return {
            "id": row["id"],
            "now": self.now,
            "owner": self.owner if claim else None,
            "lease_expires_at": self.lease_expires_at if claim else None,
            "claims": 1 if claim else 0,
            **{name: self.facts.get(name) for name in FACTS},
        }

    def _message_record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": row["id"],
            "content": self.content,
            "sequence_number": row["total_messages"],
            "now": self.now,
            "has_attachments": self.image_url is not None,
            "attachment_urls": [self.image_url] if self.image_url is not None else [],
        }


FACTS = ("user_id", "user_name", "user_email", "user_phone", "lead_id", "customer_id", "platform_metadata")

FIND = statement(
    """
    SELECT c.id, c.channel_name, c.mode, c.is_active, c.lease_expires_at FROM chat_conversations AS c
    JOIN {r} ON c.conversation_id = r.conversation_id {lock c}
    """,
    conversation_id="text",
)

MAKE = statement(
    """
    INSERT INTO chat_conversations (conversation_id, channel, created_at, last_activity_at, is_active, mode,
        total_messages, user_messages, bot_messages, escalated, converted_to_lead, converted_to_appointment,
        answered_sequence, last_user_sequence, coalesce_ms, fence, turn_attempts, amendments)
    SELECT r.conversation_id, r.channel, r.now, r.now, TRUE, 'bot', 0, 0, 0, FALSE, FALSE, FALSE, 0, 0, 0, 0, 0, 0
    FROM {r} WHERE TRUE ON CONFLICT DO NOTHING
    """,
    conversation_id="text",
    channel="text",
    now="time",
)

APPEND_USER = statement(
    f"""
    UPDATE chat_conversations AS c SET total_messages = c.total_messages + 1, user_messages = c.user_messages + 1,
        last_user_sequence = c.total_messages + 1, last_activity_at = r.now, customer_wrote_at = r.now,
        mode = CASE WHEN c.is_active THEN c.mode ELSE 'bot' END,
        assigned_to = CASE WHEN c.is_active THEN c.assigned_to ELSE NULL END, is_active = TRUE,
        input_sequence = CASE WHEN r.claims = 1 THEN c.total_messages + 1 ELSE NULL END,
        lease_owner = r.owner, lease_expires_at = r.lease_expires_at, fence = c.fence + 1,
        turn_attempts = c.turn_attempts + r.claims,
        user_id = COALESCE(c.user_id, r.user_id), user_name = COALESCE(c.user_name, r.user_name),
        user_email = COALESCE(c.user_email, r.user_email), user_phone = COALESCE(c.user_phone, r.user_phone),
        lead_id = COALESCE(c.lead_id, r.lead_id), customer_id = COALESCE(c.customer_id, r.customer_id),
        platform_metadata = COALESCE(c.platform_metadata, r.platform_metadata)
    FROM {{r}} WHERE c.id = r.id RETURNING {CLAIMED}
    """,
    id="int",
    now="time",
    owner="text",
    lease_expires_at="time",
    claims="int",
    user_id="text",
    user_name="text",
    user_email="text",
    user_phone="text",
    lead_id="int",
    customer_id="int",
    platform_metadata="json",
)

INSERT_USER = statement(
    """
    INSERT INTO conversation_messages (conversation_id, role, content, sequence_number, timestamp, has_attachments,
        attachment_urls, asks)
    SELECT r.id, 'user', r.content, r.sequence_number, r.now, r.has_attachments, r.attachment_urls, TRUE FROM {r}
    RETURNING id
    """,
    id="int",
    content="text",
    sequence_number="int",
    now="time",
    has_attachments="bool",
    attachment_urls="json",
)

INSERT_IMAGE = statement(
    """
    INSERT INTO attachments (message_id, position, url, content_type, status, attempts, next_attempt_at)
    SELECT r.message_id, 0, r.url, 'image/*', 'pending', 0, r.now FROM {r}
    """,
    message_id="int",
    url="text",
    now="time",
)
