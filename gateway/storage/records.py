"""The tables of what comes of conversations: leads, appointments; and of the people who work here."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Date, Integer
from sqlmodel import Field, SQLModel

from gateway.storage.columns import json_column, reference, row_id, text_column


class Lead(SQLModel, table=True):
    """Somebody who may become a customer."""

    __tablename__: ClassVar[str] = "leads"

    id: int | None = row_id()
    name: str | None = text_column()
    phone: str | None = text_column()
    email: str | None = text_column()
    address: str | None = text_column()
    source: str | None = None
    notes: str | None = text_column()
    status: str = "new"
    conversation_id: int | None = reference("chat_conversations.id", nullable=True, index=True)
    contact_id: int | None = reference("contacts.id", nullable=True, index=True)
    created_at: datetime


class Appointment(SQLModel, table=True):
    """A booked visit."""

    __tablename__: ClassVar[str] = "appointments"

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


class AppointmentSeat(SQLModel, table=True):
    """What an appointment occupies: the primary key decides every race for a slot."""

    __tablename__: ClassVar[str] = "appointment_seats"

    day: date = Field(sa_column=Column("date", Date, primary_key=True))
    cell: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    seat: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    appointment_id: int = reference("appointments.id", index=True)


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
