"""The tables of conversations, the same on SQLite and PostgreSQL; those of what comes of them are in ``records``.

Times are aware UTC. Columns that the contract names are kept to the letter; what the claims, leases and fences need
beside them is grouped at the end of each table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from gateway.storage.columns import BigId, json_column, reference, row_id, text_column


class Contact(SQLModel, table=True):
    """A person; has one or more addresses."""

    __tablename__: ClassVar[str] = "contacts"

    id: int | None = row_id()
    contact_id: str = Field(unique=True)
    name: str | None = text_column()
    created_at: datetime


class Address(SQLModel, table=True):
    """Where a contact can be reached on one channel, and whether they want to be."""

    __tablename__: ClassVar[str] = "addresses"
    __table_args__ = (UniqueConstraint("channel_name", "address"),)

    id: int | None = row_id()
    channel_name: str
    address: str = text_column(nullable=False)
    contact_id: int | None = reference("contacts.id", nullable=True, index=True)
    opted_out_at: datetime | None = None
    consent_at: datetime | None = None
    """When they last said whether they want messages: what they said before that changes nothing any more."""
    marketing_opted_out_at: datetime | None = None
    """When they told the platform that they want no message that we begin; answers stay welcome."""
    marketing_said_at: datetime | None = None
    """When they last told the platform either way."""
    blocked_at: datetime | None = None
    """When somebody here blocked them: what they write since is stored, and not answered."""
    undeliverable_at: datetime | None = None
    """When it was found to take no messages; whoever writes from it again is written to again."""


class Alias(SQLModel, table=True):
    """Another address, or the platform's lasting id, of the person behind a conversation."""

    __tablename__: ClassVar[str] = "aliases"
    __table_args__ = (UniqueConstraint("channel_name", "address"),)

    id: int | None = row_id()
    channel_name: str
    address: str = text_column(nullable=False)
    thread_key: str = text_column(nullable=False)


class Conversation(SQLModel, table=True):
    """A contact's thread on one channel, or a caller's thread through the API."""

    __tablename__: ClassVar[str] = "chat_conversations"
    __table_args__ = (
        UniqueConstraint("channel_name", "thread_key"),
        CheckConstraint("mode IN ('bot', 'waiting', 'human')", name="mode"),
        Index(
            "ix_chat_conversations_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_chat_conversations_last_activity_at", "last_activity_at"),
        Index(
            "ix_chat_conversations_handled_at",
            "handled_at",
            sqlite_where=text("mode = 'human'"),
            postgresql_where=text("mode = 'human'"),
        ),
        Index(
            "ix_chat_conversations_escalated_at",
            "escalated_at",
            sqlite_where=text("mode = 'waiting'"),
            postgresql_where=text("mode = 'waiting'"),
        ),
        Index("ix_chat_conversations_address", "channel_name", "address"),
    )

    id: int | None = row_id()
    conversation_id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    channel: str
    channel_name: str | None = None
    contact_id: int | None = reference("contacts.id", nullable=True, index=True)
    lead_id: int | None = Field(default=None, sa_column=Column(BigId))
    customer_id: int | None = Field(default=None, sa_column=Column(BigId))
    user_id: str | None = text_column()
    user_name: str | None = text_column()
    user_email: str | None = text_column()
    user_phone: str | None = text_column()
    is_active: bool = True
    mode: str = "bot"
    assigned_to: str | None = text_column()
    platform_metadata: dict[str, Any] | None = json_column("platform_metadata")
    created_at: datetime
    last_activity_at: datetime
    total_messages: int = 0
    user_messages: int = 0
    bot_messages: int = 0
    escalated: bool = False
    escalated_at: datetime | None = None
    escalation_reason: str | None = None
    converted_to_lead: bool = False
    converted_to_appointment: bool = False
    answered_sequence: int = 0

    # Who is written to, from which of our addresses.
    thread_key: str | None = text_column()
    address: str | None = text_column()
    account: str | None = text_column()
    identity: str | None = text_column()
    """The platform's own lasting id of the person, where it has one."""
    customer_wrote_at: datetime | None = None
    """When the customer last wrote: some platforms let us answer freely only for a time."""
    control_at: datetime | None = None
    """When somebody else was last seen to have the thread, or to have given it back: what is older is no news."""
    closed_at: datetime | None = None
    """When it was last closed; a new message opens it again."""
    rating: int | None = None
    """How content the customer was when it was closed, 1 to 5."""
    rating_comment: str | None = text_column()
    rated_at: datetime | None = None
    handled_at: datetime | None = None
    """When a person last took the conversation or wrote in it; the automatic return counts from here."""
    handoff_sequence: int = 0
    """The last message when it was last handed over or given back: what lies before is no reason to hand it over."""
    window_start: int = 0
    """The message behind which the window of the last prompt began: it never goes back."""
    amendments: int = 0
    """How often messages of the transcript were changed after they were stored; whoever remembers them looks here."""

    # When the next turn is due, and what it answers.
    last_user_sequence: int = 0
    """The highest message that a turn may answer; consent keywords do not count."""
    input_sequence: int | None = None
    """The last message of the turn that has begun and not finished; a resume answers exactly up to here."""
    coalesce_ms: int = 0
    due_at: datetime | None = None
    due_cap_at: datetime | None = None
    lease_owner: str | None = None
    lease_expires_at: datetime | None = None
    fence: int = 0
    turn_attempts: int = 0
    fallback_at: datetime | None = None


class Message(SQLModel, table=True):
    """One entry of a conversation's transcript."""

    __tablename__: ClassVar[str] = "conversation_messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "sequence_number"),
        UniqueConstraint("channel_name", "external_id"),
        CheckConstraint("role IN ('user', 'assistant', 'agent', 'system')", name="role"),
    )

    id: int | None = row_id()
    conversation_id: int = reference("chat_conversations.id")
    role: str
    content: str = text_column(nullable=False)
    sequence_number: int
    timestamp: datetime
    has_attachments: bool = False
    attachment_urls: list[str] | None = json_column("attachment_urls")
    meta: dict[str, Any] | None = json_column("metadata")
    channel_name: str | None = None
    external_id: str | None = text_column()
    model_used: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    tokens_used: int | None = None
    processing_time_ms: int | None = None
    tool_calls: list[Any] | None = json_column("tool_calls")

    consent: str | None = None
    """Which consent keyword the whole message is, if it is one."""
    asks: bool = False
    """Whether a turn answers it: a customer's, and no consent keyword, not overheard, not taken back."""
    answers_sequence: int | None = None
    """The last message that this answer answers; in a prompt it stands directly after that one."""


ORIGINAL = -1


class Attachment(SQLModel, table=True):
    """A file that came with a message; its bytes are in ``data.dir`` under their hash once it is stored."""

    __tablename__: ClassVar[str] = "attachments"
    __table_args__ = (
        UniqueConstraint("message_id", "position"),
        Index(
            "ix_attachments_next_attempt_at",
            "next_attempt_at",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
    )

    id: int | None = row_id()
    message_id: int = reference("conversation_messages.id")
    position: int
    """From 0; ``ORIGINAL`` is the whole message as it came, which is kept for people and never shown to the model."""
    url: str = text_column(nullable=False)
    content_type: str
    name: str | None = text_column()
    status: str = "pending"
    sha256: str | None = None
    size: int | None = Field(default=None, sa_column=Column(BigId))
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str | None = text_column()


# SQLite uses a partial index only where the query repeats its condition in the same words.
QUEUED = "status = 'queued'"
OPEN_OR_DEAD = "status IN ('sending', 'unconfirmed', 'failed')"


class Delivery(SQLModel, table=True):
    """One part of one reply on its way to the platform."""

    __tablename__: ClassVar[str] = "deliveries"
    __table_args__ = (
        UniqueConstraint("message_id", "part"),
        CheckConstraint(
            "status IN ('queued', 'sending', 'unconfirmed', 'sent', 'delivered', 'read', 'failed', 'cancelled')",
            name="status",
        ),
        Index("ix_deliveries_external_id", "channel_name", "external_id"),
        Index(
            "ix_deliveries_order",
            "conversation_id",
            "sequence_number",
            "part",
            sqlite_where=text("status IN ('queued', 'sending', 'unconfirmed')"),
            postgresql_where=text("status IN ('queued', 'sending', 'unconfirmed')"),
        ),
        Index(
            "ix_deliveries_queued",
            "channel_name",
            "next_attempt_at",
            "id",
            sqlite_where=text(QUEUED),
            postgresql_where=text(QUEUED),
        ),
        Index("ix_deliveries_recipient", "channel_name", "recipient"),
        Index("ix_deliveries_conversation_id", "conversation_id"),
        Index(
            "ix_deliveries_open",
            "status",
            sqlite_where=text(OPEN_OR_DEAD),
            postgresql_where=text(OPEN_OR_DEAD),
        ),
    )

    id: str = Field(primary_key=True)
    message_id: int = reference("conversation_messages.id")
    conversation_id: int = reference("chat_conversations.id")
    part: int
    channel_name: str
    recipient: str = text_column(nullable=False)
    content: str = text_column(nullable=False)
    status: str = "queued"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    external_id: str | None = text_column()
    error_code: str | None = None
    error_message: str | None = text_column()
    created_at: datetime
    sent_at: datetime | None = None

    sequence_number: int
    """Its message's place in the conversation: with ``part``, the order in which deliveries leave."""
    role: str
    """``assistant`` or ``agent``: a takeover stops only the first."""
    account: str | None = text_column()
    attachment_urls: list[str] | None = json_column("attachment_urls")
    extras: dict[str, Any] | None = json_column("extras")
    """What it shows beside text and files: choices, a place, a template (``channels.content``)."""
    silenced: str | None = None
    """Why it is not sent again where it was on its way: a person has taken or closed the conversation since."""
    earlier_ids: str | None = text_column()
    """The external ids of earlier attempts, with spaces between: what is reported of them is old."""
    remark: str | None = text_column()
    """What the channel says about how it was sent."""
    pricing: dict[str, Any] | None = json_column("pricing")
    """What the platform says that it costs."""
    queued_at: datetime
    """When it was made or last requeued: its age counts from here."""
    lease_owner: str | None = None
    lease_expires_at: datetime | None = None
    called_at: datetime | None = None
    """When the last call to the platform began; a look-up searches from here."""
    unconfirmed_at: datetime | None = None
    resends: int = 0
    prepared: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """The bytes that every attempt sends, where its channel builds them once; gone when it is sent or given up."""
    dropped_at: datetime | None = None
    """When an operator took it off the dead letters without sending it."""


class ChannelState(SQLModel, table=True):
    """What all processes share about one channel: its pace, whether it is paused, where its poll continues."""

    __tablename__: ClassVar[str] = "channel_states"

    channel_name: str = Field(primary_key=True)
    next_send_at: datetime | None = None
    paused_until_at: datetime | None = None
    pause_reason: str | None = None
    pause_attempts: int = 0
    poll_checkpoint: dict[str, Any] | None = json_column("poll_checkpoint")
    poll_due_at: datetime | None = None
    poll_owner: str | None = None
    """Which process polled last: it may poll again before that is due."""
    draining_at: datetime | None = None
    """When a process last brought webhooks from its spool: what they tell about deliveries is late."""
    look_due_at: datetime | None = None
    """When the platform's side of the channel is looked at again: its credentials, its webhook."""
    findings: list[Any] | None = json_column("findings")
    """What the last look found wrong: [{"detail", "fix"}]."""


class Installation(SQLModel, table=True):
    """One row that tells this database from every other, also from one that stood at its address before."""

    __tablename__: ClassVar[str] = "installation"

    id: str = Field(primary_key=True)
    raster_slot_minutes: int | None = None
    """The raster that the seats of appointments are in, as the configuration had it when they were last seated."""
    raster_timezone: str | None = None


class RejectedWebhook(SQLModel, table=True):
    """A well-signed request that could not be read or belonged to nobody, kept whole until it can be replayed."""

    __tablename__: ClassVar[str] = "rejected_webhooks"
    __table_args__ = (
        # A large one that is drained again adds nothing; and whether a file is still needed is asked by its hash.
        Index("uq_rejected_webhooks_body_sha256", "body_sha256", "channel_name", "received_at", unique=True),
    )

    id: int | None = row_id()
    channel_name: str
    method: str
    target: str = text_column(nullable=False)
    headers: list[Any] | None = json_column("headers")
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body_sha256: str | None = None
    """The hash of the file in ``data.dir`` that the body is in, where that is too long for a row; ``body`` is empty."""
    reason: str = text_column(nullable=False)
    received_at: datetime
    replayed_at: datetime | None = None
