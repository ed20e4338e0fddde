"""The bodies of webhooks, version 1: what each event tells, under the names that the API has for it.

A body is written from what was stored when it happened, perhaps by an earlier release: a field that is added has a
default, and one that is taken away is a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

API_VERSION: Final = "1"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Conversation(_Told):
    """Where it happened."""

    conversation_id: str
    """The id that the API's paths take."""
    channel: str
    channel_name: str | None
    contact_id: int | None
    user_id: str | None
    user_name: str | None
    user_email: str | None
    user_phone: str | None
    mode: Literal["bot", "waiting", "human"]
    assigned_to: str | None
    is_active: bool


class Escalation(_Told):
    """Why a person is wanted, and who found it so."""

    reason: str
    source: str
    summary: str | None
    created_at: datetime


class Attachment(_Told):
    """A file; its address may need the platform's credentials."""

    url: str | None
    """Null where a caller has sent the file itself."""
    content_type: str | None = None
    name: str | None = None
    size_bytes: int | None = None
    """Told where there is no address."""


class Message(_Told):
    """One entry of a transcript."""

    id: int
    role: Literal["user", "assistant", "agent"]
    content: str
    """At most 10,000 characters of it."""
    is_cut: bool
    """Whether there is more of it; the API has all."""
    sequence_number: int
    timestamp: datetime
    attachments: tuple[Attachment, ...]


class Delivery(_Told):
    """One part of a message on its way to the platform."""

    id: str
    message_id: int
    part: int
    channel_name: str
    recipient: str
    content: str
    status: str
    attempts: int
    error_code: str | None
    error_message: str | None
    created_at: datetime
    sent_at: datetime | None


class Lead(_Told):
    """Somebody who may become a customer, as far as is known by now."""

    id: int
    name: str | None
    phone: str | None
    email: str | None
    address: str | None
    source: str | None
    notes: str | None
    status: str
    contact_id: int | None
    created_at: datetime
    updated_at: datetime | None


class AppointmentTime(_Told):
    """When a visit is: the date and the time on the business's clock, and the same as an instant."""

    scheduled_date: str
    scheduled_time: str
    starts_at: datetime


class Appointment(AppointmentTime):
    """A booked visit."""

    id: int
    customer_name: str | None
    phone: str | None
    email: str | None
    address: str | None
    minutes: int
    service: str | None
    type: str | None
    status: str
    notes: str | None
    contact_id: int | None
    created_at: datetime
    updated_at: datetime | None


class ConversationData(_Told):
    """What is told of a conversation as a whole."""

    conversation: Conversation


class EscalationData(ConversationData):
    """What is told of a conversation that waits for a person."""

    escalation: Escalation


class ReceivedData(ConversationData):
    """What is told of a customer's message."""

    message: Message
    sender: str | None
    """Their address on the platform, or a caller's own id of them."""


class SentData(ConversationData):
    """What is told of a message to the customer."""

    message: Message


class DeliveryData(ConversationData):
    """What is told of a delivery."""

    delivery: Delivery


class LeadData(ConversationData):
    """What is told of a lead."""

    lead: Lead


class AppointmentData(ConversationData):
    """What is told of an appointment."""

    appointment: Appointment


class MovedData(AppointmentData):
    """What is told of an appointment that has another time now."""

    previous: AppointmentTime


class Payload(_Told):
    """A whole body."""

    type: str
    timestamp: datetime
    """When it happened, however late it is told."""
    api_version: Literal["1"] = API_VERSION


class ConversationEscalated(Payload):
    """A customer waits for a person."""

    type: Literal["conversation.escalated"] = "conversation.escalated"
    data: EscalationData


class ConversationTakenOver(Payload):
    """A person has the conversation now: one of ours, or somebody in the platform's own app."""

    type: Literal["conversation.taken_over"] = "conversation.taken_over"
    data: ConversationData


class ConversationClosed(Payload):
    """Somebody has ended the conversation; a new message opens it again."""

    type: Literal["conversation.closed"] = "conversation.closed"
    data: ConversationData


class MessageReceived(Payload):
    """A customer's message is stored."""

    type: Literal["message.received"] = "message.received"
    data: ReceivedData


class MessageSent(Payload):
    """A message has left: the platform has all of its parts, or whoever asked through the API has it."""

    type: Literal["message.sent"] = "message.sent"
    data: SentData


class DeliveryFailed(Payload):
    """A part of a message could not be delivered; it is among the dead letters."""

    type: Literal["delivery.failed"] = "delivery.failed"
    data: DeliveryData


class LeadCreated(Payload):
    """Somebody who may become a customer is known."""

    type: Literal["lead.created"] = "lead.created"
    data: LeadData


class LeadUpdated(Payload):
    """More is known about a lead."""

    type: Literal["lead.updated"] = "lead.updated"
    data: LeadData


class AppointmentBooked(Payload):
    """A visit is booked."""

    type: Literal["appointment.booked"] = "appointment.booked"
    data: AppointmentData


class AppointmentMoved(Payload):
    """A visit has another time."""

    type: Literal["appointment.moved"] = "appointment.moved"
    data: MovedData


class AppointmentCancelled(Payload):
    """A visit is cancelled, and its time is free."""

    type: Literal["appointment.cancelled"] = "appointment.cancelled"
    data: AppointmentData


class WebhookTest(Payload):
    """Nothing has happened: ``frontdesk webhooks test`` looks whether this reaches you."""

    type: Literal["webhook.test"] = "webhook.test"
    data: Mapping[str, str] = {}


WEBHOOKS: Mapping[str, type[Payload]] = {
    str(model.model_fields["type"].default): model
    for model in (
        ConversationEscalated,
        ConversationTakenOver,
        ConversationClosed,
        MessageReceived,
        MessageSent,
        DeliveryFailed,
        LeadCreated,
        LeadUpdated,
        AppointmentBooked,
        AppointmentMoved,
        AppointmentCancelled,
    )
}
"""The body of each event, by its name."""


def write(type_: str, happened_at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body: the same for every attempt.

    Raises:
        ValueError: there is no such event, or it tells something else.
    """
    model = WEBHOOKS.get(type_)
    if model is None:
        raise ValueError("there is no such event")
    return model.model_validate({"timestamp": happened_at, "data": data}).model_dump_json().encode()


def write_test(now: datetime) -> bytes:
    """Return the body of a test."""
    return WebhookTest(timestamp=now).model_dump_json().encode()
