"""The tools that book, move and cancel: for the customer of the conversation, and only what is really free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import Field

from gateway.assistant.tools.availability import REASONS, Diary, read_day, read_time
from gateway.assistant.tools.base import Acts, Arguments, Call, Tool, ToolRefused
from gateway.assistant.tools.contacts import own_phone, region_of, told_email, told_phone
from gateway.config import BusinessConfig
from gateway.schedule import Slot
from gateway.storage import Appointment, Book, Booking, Cancel, Move, Storage, Visit

_DATE = "The day, as YYYY-MM-DD. Work it out from today's date in your notes."
_TIME = "The time, as HH:MM on the 24-hour clock."
_WHICH = "Which of the customer's own appointments, by its number in your notes; null where they have only one."


MAX_OPEN = 5
"""Appointments that one customer may hold through the bot; what a person books is not counted against them here."""


class BookArguments(Arguments):
    """What is booked."""

    date: str = Field(description=_DATE)
    time: str = Field(description=_TIME)
    service: str | None = Field(default=None, description="The service's name.")
    name: str | None = Field(default=None, max_length=200, description="The customer's name, if they have said it.")
    phone: str | None = Field(default=None, max_length=50, description="A phone number that they want to be called at.")
    email: str | None = Field(default=None, max_length=254, description="Their e-mail address, if they have said it.")
    address: str | None = Field(default=None, max_length=500, description="Where to come, if it is a visit.")
    notes: str | None = Field(default=None, max_length=1000, description="What it is about, in a few words.")


class Desk:
    """What booking and moving share: a wish becomes a bookable time, or a refusal with other times."""

    def __init__(self, diary: Diary, storage: Storage, business: BusinessConfig) -> None:
        self.diary = diary
        self.business = business
        self._storage = storage

    async def booking(self, day: date, time: str, minutes: int, call: Call) -> Booking:
        """Return the time as it can be booked.

        Whether a seat is left is for the commit alone to say: it knows which ones are the customer's own.

        Raises:
            ToolRefused: it cannot.
        """
        schedule = self.diary.schedule
        reason = schedule.unbookable(day, time, minutes, {}, call.now)
        slot = schedule.slot(day, time, minutes)
        if reason is not None or slot is None:
            raise await self.refusal(REASONS[reason] if reason else "no such time", day, time, minutes, call)
        return self._booked(slot)

    async def refusal(self, reason: str, day: date, time: str, minutes: int, call: Call) -> ToolRefused:
        """Say why a time cannot be had, and which others can."""
        others = await self.diary.alternatives(day, time, minutes, call.now)
        message = "Nothing was changed. Offer the alternatives, and call this again with what the customer chooses."
        return ToolRefused("not_available", message, status="unbookable", reason=reason, alternatives=others)

    async def refuse_another(self, call: Call) -> None:
        """Return where the customer may book one more.

        Raises:
            ToolRefused: they hold enough: somebody who plays with the bot must not fill the diary.
        """
        held = await self.upcoming(call)
        if len(held) >= MAX_OPEN:
            message = "This customer holds as many appointments as the bot may book. Offer that a person books more."
            raise ToolRefused("too_many_appointments", message, appointments=[shown(each) for each in held])

    async def upcoming(self, call: Call) -> Sequence[Appointment]:
        """Return what the customer has booked."""
        customer = call.customer
        return await self._storage.appointments(
            since=call.now, conversation=(customer.id, customer.contact_id), status="booked", limit=20
        )

    def _booked(self, slot: Slot) -> Booking:
        cells = tuple((str(cell.day), cell.number) for cell in self.diary.schedule.cells(slot.starts_at, slot.minutes))
        raster = (self.business.slot_minutes, self.business.timezone)
        return Booking(slot.starts_at, slot.minutes, str(slot.day), slot.time, cells, self.diary.capacity, raster)

    async def own(self, call: Call, appointment_id: int | None) -> Appointment:
        """Return the customer's appointment that is meant.

        Raises:
            ToolRefused: they have none, or several and none is named, or the named one is not theirs.
        """
        booked = await self.upcoming(call)
        listed = [shown(appointment) for appointment in booked]
        if not booked:
            raise ToolRefused("no_appointment", "This customer has no appointment booked here. Tell them so.")
        if appointment_id is None and len(booked) > 1:
            raise ToolRefused("which_one", "Ask which of their appointments is meant.", appointments=listed)
        found = next((a for a in booked if appointment_id in (None, a.id)), None)
        if found is None:
            raise ToolRefused("not_theirs", "This customer has no appointment of that number.", appointments=listed)
        return found


def shown(appointment: Appointment) -> dict[str, Any]:
    """Say an appointment as an output does."""
    day = date.fromisoformat(appointment.scheduled_date)
    return {
        "appointment_id": appointment.id,
        "date": appointment.scheduled_date,
        "weekday": f"{day:%A}",
        "time": appointment.scheduled_time,
        "service": appointment.service,
    }


class ScheduleAppointment(Tool):
    """Book an appointment for this customer. Call it only when the customer has agreed to the day and the time.

    It is booked only where the answer's status is "booked" or "already_booked"; anything else means that nothing was
    booked. "other_service_booked" means that the customer has another service booked at that time: ask what they want.
    """

    name = "schedule_appointment"
    arguments = BookArguments
    acts = Acts.HERE

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, arguments: BookArguments, call: Call) -> Mapping[str, Any]:
        """Book it."""
        desk, day, time = self._desk, read_day(arguments.date), read_time(arguments.time)
        service = desk.diary.service(arguments.service)
        if service is None and len(desk.business.services) > 1:
            names = [offered.name for offered in desk.business.services]
            raise ToolRefused(
                "service_needed", "Ask which service it is for: they take different times.", services=names
            )
        await desk.refuse_another(call)
        service = service or next(iter(desk.business.services), None)
        minutes = desk.diary.schedule.minutes_for(service)
        booking = await self._desk.booking(day, time, minutes, call)
        visit = self._visit(arguments, call, service.name if service else None)
        output = await call.commit(Book(booking, visit, call.now))
        if output["status"] == "taken":
            others = await desk.diary.alternatives(day, time, minutes, call.now)
            return {**output, "reason": "taken", "alternatives": others}
        return output

    def _visit(self, arguments: BookArguments, call: Call, service: str | None) -> Visit:
        region = region_of(self._desk.business.phone)
        return Visit(
            service=service,
            name=arguments.name or call.customer.name,
            phone=told_phone(arguments.phone, region) or own_phone(call.customer),
            email=told_email(arguments.email) or call.customer.email,
            address=arguments.address,
            notes=arguments.notes,
        )


class MoveArguments(Arguments):
    """Where it is moved."""

    date: str = Field(description=_DATE)
    time: str = Field(description=_TIME)
    appointment_id: int | None = Field(default=None, description=_WHICH)


class RescheduleAppointment(Tool):
    """Move an appointment of this customer to another time that they have agreed to.

    It is moved only where the answer's status is "moved"; otherwise it stays where it was.
    """

    name = "reschedule_appointment"
    arguments = MoveArguments
    acts = Acts.HERE
    changes_what_is = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, arguments: MoveArguments, call: Call) -> Mapping[str, Any]:
        """Move it."""
        day, time = read_day(arguments.date), read_time(arguments.time)
        found = await self._desk.own(call, arguments.appointment_id)
        booking = await self._desk.booking(day, time, found.minutes, call)
        output = await call.commit(Move(found.id or 0, booking, call.now))
        if output["status"] == "taken":
            others = await self._desk.diary.alternatives(day, time, found.minutes, call.now)
            return {**output, "reason": "taken", "alternatives": others, "still": shown(found)}
        return output


class CancelArguments(Arguments):
    """What is cancelled."""

    appointment_id: int | None = Field(default=None, description=_WHICH)


class CancelAppointment(Tool):
    """Cancel an appointment of this customer, when they have clearly asked for that.

    It is cancelled only where the answer's status is "cancelled".
    """

    name = "cancel_appointment"
    arguments = CancelArguments
    acts = Acts.HERE
    changes_what_is = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, arguments: CancelArguments, call: Call) -> Mapping[str, Any]:
        """Cancel it."""
        found = await self._desk.own(call, arguments.appointment_id)
        return await call.commit(Cancel(found.id or 0, call.now))
