"""The tables of programs that talk with this one: their keys, their repeated requests, and what they are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import BigId, json_column, reference, row_id, text_column

WAITING = "status = 'queued'"
LEASED = "leased_until_at IS NOT NULL"
IN_USE = "revoked_at IS NULL"


class ApiKey(SQLModel, table=True):
    """A key that was made here; only its hash is kept, so it is shown once."""

    __tablename__: ClassVar[str] = "api_keys"
    __table_args__ = (
        CheckConstraint("scope IN ('read', 'write', 'admin')", name="scope"),
        Index("uq_api_keys_name", "name", unique=True, sqlite_where=text(IN_USE), postgresql_where=text(IN_USE)),
    )

    id: int | None = row_id()
    name: str
    prefix: str
    """Its first characters, by which people tell keys apart."""
    key_hash: str = Field(unique=True)
    """SHA-256, hex: a key is 256 random bits, so nothing slower is needed."""
    scope: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class RepeatedRequest(SQLModel, table=True):
    """A POST with an Idempotency-Key, and what it was answered."""

    __tablename__: ClassVar[str] = "repeated_requests"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_repeated_requests_created_at", "created_at"),
        Index("ix_repeated_requests_conversation", "conversation"),
    )

    id: int | None = row_id()
    owner: str
    """Whose: ``key:`` and the row of an API key, or ``config:`` and the beginning of its hash."""
    idempotency_key: str
    """SHA-256, hex, of what the caller has chosen: it may name somebody."""
    request_hash: str
    """SHA-256 over method, path and body: the same key with another request is an error."""
    created_at: datetime
    """Since when somebody works on it, as far as is known; the day for which it is kept begins then."""
    status: int | None = None
    """None while the first one is being answered."""
    content_type: str | None = None
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    conversation: str | None = text_column()
    """The public id of the conversation that it is about: with that, the answer is erased."""


class Receiver(SQLModel, table=True):
    """An address of the configuration that is told what happens; without a row nothing is written down for it."""

    __tablename__: ClassVar[str] = "receivers"

    id: str = Field(primary_key=True)
    """A hash of its address: the address itself is configuration and may hold a secret."""
    events: list[Any] | None = json_column("events")
    paused_until_at: datetime | None = None
    failures: int = 0
    """In a row; a receiver that is gone (410) is disabled."""
    disabled_at: datetime | None = None


class Event(SQLModel, table=True):
    """Something that happened, as receivers are told it; written in the transaction in which it happened."""

    __tablename__: ClassVar[str] = "events"
    __table_args__ = (Index("ix_events_created_at", "created_at"),)

    id: int | None = row_id()
    type: str
    conversation_id: int | None = reference("chat_conversations.id", nullable=True, index=True)
    subject_id: str | None = None
    """The id of what it is about: a message's, a delivery's, a lead's, an appointment's."""
    payload: dict[str, Any] | None = json_column("payload")
    created_at: datetime


class HookDelivery(SQLModel, table=True):
    """One event on its way to one receiver."""

    __tablename__: ClassVar[str] = "hook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "receiver_id"),
        CheckConstraint("status IN ('queued', 'delivered', 'failed')", name="status"),
        Index(
            "ix_hook_deliveries_next_attempt_at",
            "receiver_id",
            "next_attempt_at",
            sqlite_where=text(WAITING),
            postgresql_where=text(WAITING),
        ),
        Index(
            "ix_hook_deliveries_order",
            "receiver_id",
            "conversation_id",
            "event_id",
            sqlite_where=text(WAITING),
            postgresql_where=text(WAITING),
        ),
        Index(
            "ix_hook_deliveries_leased",
            "receiver_id",
            "conversation_id",
            "leased_until_at",
            sqlite_where=text(LEASED),
            postgresql_where=text(LEASED),
        ),
    )

    id: str = Field(primary_key=True)
    """The ``webhook-id`` header (Standard Webhooks 1.0.0): the same in every attempt."""
    event_id: int = Field(sa_column=Column(BigId, ForeignKey("events.id"), nullable=False))
    receiver_id: str
    conversation_id: int | None = Field(default=None, sa_column=Column(BigId))
    status: str = "queued"
    attempts: int = 0
    outages: int = 0
    """How many of them failed for the receiver's sake: they use up none of its chances."""
    next_attempt_at: datetime | None = None
    leased_until_at: datetime | None = None
    """Set while somebody tells it."""
    response_status: int | None = None
    error: str | None = text_column()
    created_at: datetime
    delivered_at: datetime | None = None
