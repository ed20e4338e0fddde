"""``/appointments``: what is booked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.storage import Appointment, Shown
from gateway.web.api.cursors import TIMED, decode, items_of
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Instant, Items, ListQuery, Moment, Told, Words

NAME = "appointments"
Status = Literal["booked", "cancelled", "done", "missed"]


class AppointmentTold(Told):
    """A booked visit."""

    id: int
    customer_name: str | None
    phone: str | None
    email: str | None
    address: str | None
    scheduled_date: Annotated[str, Field(description="The business's own date, as is `scheduled_time`.")]
    scheduled_time: str
    starts_at: Moment
    minutes: int
    service: str | None
    type: str | None
    status: Status
    notes: str | None
    conversation_id: Annotated[int | None, Field(description="The conversation's number, its `id`.")]
    conversation: Annotated[str | None, Field(description="The conversation's public id, as paths name it.")] = None
    contact_id: Annotated[int | None, Field(description="The contact's number.")]
    contact: Annotated[str | None, Field(description="The contact's public id, as paths name it.")] = None
    created_at: Moment
    updated_at: Moment | None
    revision: Annotated[int, Field(description="How often it was moved or cancelled.")]


class AppointmentsQuery(ListQuery):
    """Which appointments."""

    status: Annotated[Status | None, Field(description="Only those with this status.")] = None
    since: Annotated[Instant | None, Field(description="Those that start then or later.")] = None
    until: Annotated[Instant | None, Field(description="Those that start before.")] = None
    conversation_id: Annotated[Words | None, Field(description="A conversation's public id.")] = None


def told_of(shown: Shown[Appointment]) -> AppointmentTold:
    """Return an appointment as it is told."""
    return AppointmentTold.model_validate(shown.row).model_copy(
        update={"conversation": shown.conversation, "contact": shown.contact}
    )


async def list_appointments(desk: Desk, asked: Asked) -> Items[AppointmentTold]:
    """Answer a page of them."""
    query: AppointmentsQuery = asked.query
    page = await desk.storage.pages.appointments(
        limit=query.limit,
        after=decode(NAME, query.cursor, TIMED),
        status=query.status,
        conversation=query.conversation_id,
        since=query.since,
        until=query.until,
    )
    return items_of(AppointmentTold, NAME, page, [told_of(shown) for shown in page.rows])


ROUTES = (
    Route(
        method="GET",
        path="/appointments",
        answer=list_appointments,
        scope=Scope.READ,
        query=AppointmentsQuery,
        told=Items[AppointmentTold],
        summary="List appointments",
        description="By time, the first comes first.",
        examples={"booked from a day on": {"status": "booked", "since": "2026-12-01T00:00:00-05:00"}},
    ),
)
