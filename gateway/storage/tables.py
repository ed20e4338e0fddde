"""The tables, the same on SQLite and PostgreSQL.

Times are aware UTC. Columns that the contract names are kept to the letter; what the claims, leases and fences need
beside them is grouped at the end of each table.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata

# SQLite gives row ids only to a column declared INTEGER, PostgreSQL needs BIGINT to never run out.
BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))


def _json(name: str) -> Any:
    return Field(default=None, sa_column=Column(name, Json))


def _text(*, nullable: bool = True) -> Any:
    return Field(default=None if nullable else "", sa_column=Column(Text, nullable=nullable))


def _reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(BigId, ForeignKey(target), nullable=nullable, index=index))


class Contact(SQLModel, table=True):
    """A person; has one or more addresses."""

    __tablename__: ClassVar[str] = "contacts"

    id: int | None = _id()
    contact_id: str = Field(unique=True)
    name: str | None = _text()
    created_at: datetime


class Address(SQLModel, table=True):
    """Where a contact can be reached on one channel, and whether they want to be."""

    __tablename__: ClassVar[str] = "addresses"
    __table_args__ = (UniqueConstraint("channel_name", "address"),)

    id: int | None = _id()
    channel_name: str
    address: str = _text(nullable=False)
    contact_id: int | None = _reference("contacts.id", nullable=True, index=True)
    opted_out_at: datetime | None = None
    consent_at: datetime | None = None
    """When they last said whether they want messages: what they said before that changes nothing any more."""
    marketing_opted_out_at: datetime | None = None
    """When they told the platform that they want no message that we begin; answers stay welcome."""


class Alias(SQLModel, table=True):
    """Another address, or the platform's lasting id, of the person behind a conversation."""

    __tablename__: ClassVar[str] = "aliases"
    __table_args__ = (UniqueConstraint("channel_name", "address"),)

    id: int | None = _id()
    channel_name: str
    address: str = _text(nullable=False)
    thread_key: str = _text(nullable=False)


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
    )

    id: int | None = _id()
    conversation_id: str = Field(sa_column=Column(Text, unique=True, nullable=False))
    channel: str
    channel_name: str | None = None
    contact_id: int | None = _reference("contacts.id", nullable=True, index=True)
    lead_id: int | None = Field(default=None, sa_column=Column(BigId))
    customer_id: int | None = Field(default=None, sa_column=Column(BigId))
    user_id: str | None = _text()
    user_name: str | None = _text()
    user_email: str | None = _text()
    user_phone: str | None = _text()
    is_active: bool = True
    mode: str = "bot"
    assigned_to: str | None = _text()
    platform_metadata: dict[str, Any] | None = _json("platform_metadata")
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
    thread_key: str | None = _text()
    address: str | None = _text()
    account: str | None = _text()
    identity: str | None = _text()
    """The platform's own lasting id of the person, where it has one."""
    customer_wrote_at: datetime | None = None
    """When the customer last wrote: some platforms let us answer freely only for a time."""
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

    id: int | None = _id()
    conversation_id: int = _reference("chat_conversations.id")
    role: str
    content: str = _text(nullable=False)
    sequence_number: int
    timestamp: datetime
    has_attachments: bool = False
    attachment_urls: list[str] | None = _json("attachment_urls")
    meta: dict[str, Any] | None = _json("metadata")
    channel_name: str | None = None
    external_id: str | None = _text()
    model_used: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    tokens_used: int | None = None
    processing_time_ms: int | None = None
    tool_calls: list[Any] | None = _json("tool_calls")

    consent: str | None = None
    """Which consent keyword the whole message is, if it is one."""
    asks: bool = False
    """Whether a turn answers it: a customer's, and no consent keyword, not overheard, not taken back."""
    answers_sequence: int | None = None
    """The last message that this answer answers; in a prompt it stands directly after that one."""


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

    id: int | None = _id()
    message_id: int = _reference("conversation_messages.id")
    position: int
    url: str = _text(nullable=False)
    content_type: str
    name: str | None = _text()
    status: str = "pending"
    sha256: str | None = None
    size: int | None = Field(default=None, sa_column=Column(BigId))
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str | None = _text()


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
            sqlite_where=text(QUEUED),
            postgresql_where=text(QUEUED),
        ),
        Index("ix_deliveries_recipient", "channel_name", "recipient"),
        Index(
            "ix_deliveries_open",
            "status",
            sqlite_where=text(OPEN_OR_DEAD),
            postgresql_where=text(OPEN_OR_DEAD),
        ),
    )

    id: str = Field(primary_key=True)
    message_id: int = _reference("conversation_messages.id")
    conversation_id: int = _reference("chat_conversations.id")
    part: int
    channel_name: str
    recipient: str = _text(nullable=False)
    content: str = _text(nullable=False)
    status: str = "queued"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    external_id: str | None = _text()
    error_code: str | None = None
    error_message: str | None = _text()
    created_at: datetime
    sent_at: datetime | None = None

    sequence_number: int
    """Its message's place in the conversation: with ``part``, the order in which deliveries leave."""
    role: str
    """``assistant`` or ``agent``: a takeover stops only the first."""
    account: str | None = _text()
    attachment_urls: list[str] | None = _json("attachment_urls")
    extras: dict[str, Any] | None = _json("extras")
    """What it shows beside text and files: choices, a place, a template (``channels.content``)."""
    remark: str | None = _text()
    """What the channel says about how it was sent."""
    pricing: dict[str, Any] | None = _json("pricing")
    """What the platform says that it costs."""
    queued_at: datetime
    """When it was made or last requeued: its age counts from here."""
    lease_owner: str | None = None
    lease_expires_at: datetime | None = None
    called_at: datetime | None = None
    """When the last call to the platform began; a look-up searches from here."""
    unconfirmed_at: datetime | None = None
    resends: int = 0
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
    poll_checkpoint: dict[str, Any] | None = _json("poll_checkpoint")
    poll_due_at: datetime | None = None
    draining_at: datetime | None = None
    """When a process last brought webhooks from its spool: what they tell about deliveries is late."""
    look_due_at: datetime | None = None
    """When the platform's side of the channel is looked at again: its credentials, its webhook."""
    findings: list[Any] | None = _json("findings")
    """What the last look found wrong: [{"detail", "fix"}]."""


class RejectedWebhook(SQLModel, table=True):
    """A well-signed request that could not be read or belonged to nobody, kept whole until it can be replayed."""

    __tablename__: ClassVar[str] = "rejected_webhooks"

    id: int | None = _id()
    channel_name: str
    method: str
    target: str = _text(nullable=False)
    headers: list[Any] | None = _json("headers")
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    reason: str = _text(nullable=False)
    received_at: datetime
    replayed_at: datetime | None = None


class TurnRound(SQLModel, table=True):
    """The turn journal: one answer of the model, committed before its tools run, so that a resume never asks again."""

    __tablename__: ClassVar[str] = "turn_rounds"

    conversation_id: int = Field(
        sa_column=Column(BigId, ForeignKey("chat_conversations.id"), primary_key=True, autoincrement=False)
    )
    input_sequence: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    round: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    response: dict[str, Any] | None = _json("response")
    request_id: str | None = _text()
    tokens_used: int | None = None
    duration_ms: int | None = None
    created_at: datetime


class Lead(SQLModel, table=True):
    """Somebody who may become a customer."""

    __tablename__: ClassVar[str] = "leads"

    id: int | None = _id()
    name: str | None = _text()
    phone: str | None = _text()
    email: str | None = _text()
    address: str | None = _text()
    source: str | None = None
    notes: str | None = _text()
    status: str = "new"
    conversation_id: int | None = _reference("chat_conversations.id", nullable=True, index=True)
    contact_id: int | None = _reference("contacts.id", nullable=True, index=True)
    created_at: datetime


class Appointment(SQLModel, table=True):
    """A booked visit."""

    __tablename__: ClassVar[str] = "appointments"

    id: int | None = _id()
    customer_name: str | None = _text()
    phone: str | None = _text()
    address: str | None = _text()
    scheduled_date: str
    scheduled_time: str
    starts_at: datetime
    service: str | None = None
    type: str | None = None
    status: str = "booked"
    conversation_id: int | None = _reference("chat_conversations.id", nullable=True, index=True)
    contact_id: int | None = _reference("contacts.id", nullable=True, index=True)
    created_at: datetime


class AppointmentSeat(SQLModel, table=True):
    """What an appointment occupies: the primary key decides every race for a slot."""

    __tablename__: ClassVar[str] = "appointment_seats"

    day: date = Field(sa_column=Column("date", Date, primary_key=True))
    cell: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    seat: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    appointment_id: int = _reference("appointments.id", index=True)


class Operator(SQLModel, table=True):
    """A person who answers what the bot hands over."""

    __tablename__: ClassVar[str] = "operators"

    id: int | None = _id()
    username: str = Field(unique=True)
    display_name: str | None = _text()
    password_hash: str = _text(nullable=False)
    role: str = "agent"
    is_active: bool = True
    created_at: datetime


class AuditEntry(SQLModel, table=True):
    """Who did what to which record; append-only."""

    __tablename__: ClassVar[str] = "audit"

    id: int | None = _id()
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None = _json("detail")
