"""The tables of what comes of conversations: leads, appointments, escalations; and of the people who work here."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Date, Index, Integer, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import BigId, json_column, reference, row_id, text_column


class Lead(SQLModel, table=True):
    """Somebody who may become a customer; a contact has one at most, and what is learned later goes into it."""

    __tablename__: ClassVar[str] = "leads"
    __table_args__ = (Index("ix_leads_contact_id", "contact_id", unique=True),)

    id: int | None = row_id()
    name: str | None = text_column()
    phone: str | None = text_column()
    email: str | None = text_column()
    address: str | None = text_column()
    source: str | None = None
    notes: str | None = text_column()
    status: str = "new"
    conversation_id: int | None = reference("chat_conversations.id", nullable=True, index=True)
    contact_id: int | None = reference("contacts.id", nullable=True)
    created_at: datetime
    updated_at: datetime | None = None


BOOKED = "status = 'booked'"


class Appointment(SQLModel, table=True):
    """A booked visit; a conversation has one at a time of day, however often it is asked for."""

    __tablename__: ClassVar[str] = "appointments"
    __table_args__ = (
        CheckConstraint("status IN ('booked', 'cancelled', 'done', 'missed')", name="status"),
        Index(
            "uq_appointments_conversation_id_starts_at",
            "conversation_id",
            "starts_at",
            unique=True,
            sqlite_where=text(BOOKED),
            postgresql_where=text(BOOKED),
        ),
        Index("ix_appointments_starts_at", "starts_at"),
    )

    id: int | None = row_id()
    customer_name: str | None = text_column()
    phone: str | None = text_column()
    address: str | None = text_column()
    scheduled_date: str
    scheduled_time: str
    starts_at: datetime
    service: str | None = None
    type: str | None = None
    status: str = "booked"
    conversation_id: int | None = reference("chat_conversations.id", nullable=True, index=True)
    contact_id: int | None = reference("contacts.id", nullable=True, index=True)
    created_at: datetime

    minutes: int = 60
    email: str | None = text_column()
    notes: str | None = text_column()
    updated_at: datetime | None = None
    revision: int = 0
    """How often it was moved or cancelled: a calendar program takes a change only with a higher number."""


class AppointmentSeat(SQLModel, table=True):
    """What an appointment occupies: the primary key decides every race for a slot."""

    __tablename__: ClassVar[str] = "appointment_seats"

    day: date = Field(sa_column=Column("date", Date, primary_key=True))
    cell: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    seat: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    appointment_id: int = reference("appointments.id", index=True)


class Escalation(SQLModel, table=True):
    """One time that a conversation was handed to people: why, who found it so, and whether they were told."""

    __tablename__: ClassVar[str] = "escalations"
    __table_args__ = (
        Index(
            "ix_escalations_notify_at",
            "notify_at",
            sqlite_where=text("notify_at IS NOT NULL"),
            postgresql_where=text("notify_at IS NOT NULL"),
        ),
    )

    id: int | None = row_id()
    conversation_id: int = reference("chat_conversations.id", index=True)
    sequence_number: int
    """The conversation's last message then."""
    reason: str
    source: str
    """``words``, ``model``, or ``rule:`` and its name."""
    summary: str | None = text_column()
    created_at: datetime
    notify_at: datetime | None = None
    """When people are told next; None where nobody has to be told any more."""
    notices: int = 0
    """How often they were told."""


class Notice(SQLModel, table=True):
    """A message to somebody who works here: that a customer waits, that a channel has stopped."""

    __tablename__: ClassVar[str] = "notices"
    __table_args__ = (
        UniqueConstraint("about", "kind", "target"),
        CheckConstraint("status IN ('queued', 'sent', 'failed')", name="status"),
        Index("ix_notices_created_at", "created_at"),
        Index(
            "ix_notices_next_attempt_at",
            "next_attempt_at",
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
    )

    id: str = Field(primary_key=True)
    about: str
    """What it tells, once to each target: ``escalation:7:1``, ``together:…``, ``channel:sms:…``."""
    conversation_id: int | None = reference("chat_conversations.id", nullable=True, index=True)
    kind: str
    """``email`` or ``sms``."""
    target: str = text_column(nullable=False)
    channel_name: str | None = None
    subject: str = text_column(nullable=False)
    content: str = text_column(nullable=False)
    status: str = "queued"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str | None = text_column()
    created_at: datetime
    sent_at: datetime | None = None


class Operator(SQLModel, table=True):
    """A person who answers what the bot hands over."""

    __tablename__: ClassVar[str] = "operators"

    id: int | None = row_id()
    username: str = Field(unique=True)
    display_name: str | None = text_column()
    password_hash: str = text_column(nullable=False)
    role: str = "agent"
    is_active: bool = True
    created_at: datetime


class AuditEntry(SQLModel, table=True):
    """Who did what to which record; append-only."""

    __tablename__: ClassVar[str] = "audit"

    id: int | None = row_id()
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any] | None = json_column("detail")
    conversation_id: int | None = Field(default=None, sa_column=Column(BigId, index=True))
    """The row of the conversation that it was done to: with that, subject and detail are erased."""
