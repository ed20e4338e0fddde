"""Appointments: booked, moved and cancelled by their own customer only, and never two in one seat.

What an appointment occupies is rows (date, cell, seat) under one primary key: that key decides every race. An insert
that meets a row of a transaction still under way waits for it, and then finds the seat taken or free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gateway.storage.effects import Effected
from gateway.storage.hook_facts import Happening
from gateway.storage.raster import Raster, is_kept
from gateway.storage.sql import Steps, statement
from gateway.storage.turns import LOCK_CONVERSATIONS

Place = tuple[str, int]
"""A cell: the business-local date (ISO) and the cell's number on it."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A time that somebody wants, as the schedule works it out."""

    starts_at: datetime
    minutes: int
    date: str
    """Business-local, ISO."""
    time: str
    """Business-local, HH:MM."""
    cells: tuple[Place, ...]
    capacity: int
    raster: Raster | None = None
    """What the cells are counted by; with None, whatever the seats are in."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What is to be done, for whom and where."""

    service: str | None
    name: str | None
    phone: str | None
    email: str | None
    address: str | None
    notes: str | None


@dataclass(frozen=True)
class Book:
    """Book a time for the conversation's customer: ``booked``, ``already_booked`` or ``taken``."""

    booking: Booking
    visit: Visit
    now: datetime

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        """Book it, all seats or none."""
        owner = conversation["id"]
        rows = yield BOOKED_AT, [{"id": owner, "starts_at": self.booking.starts_at}]
        if rows:
            return Effected(self._known(rows[0]), happened=False)
        [made] = yield INSERT, [self._record(conversation)]
        if not (yield from _take_seats(made["id"], self.booking)):
            yield DELETE, [{"id": made["id"]}]
            return Effected({"status": "taken", **told(self.booking)}, False)
        yield MARK, [{"id": owner}]
        said = {"status": "booked", "appointment_id": made["id"], "service": self.visit.service}
        happened = Happening("appointment.booked", owner, self.now, made["id"])
        return Effected({**said, **told(self.booking)}, told=[happened])

    def _known(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Say what the customer has booked at that time, which may be something else than is asked for now."""
        same = found["service"] == self.visit.service
        said = {"appointment_id": found["id"], "service": found["service"], **told(self.booking)}
        return {**said, "minutes": found["minutes"], "status": "already_booked" if same else "other_service_booked"}

    def _record(self, conversation: Mapping[str, Any]) -> dict[str, Any]:
        visit = self.visit
        return {
            "conversation_id": conversation["id"],
            "contact_id": conversation["contact_id"],
            "customer_name": visit.name,
            "phone": visit.phone,
            "email": visit.email,
            "address": visit.address,
            "notes": visit.notes,
            "service": visit.service,
            "scheduled_date": self.booking.date,
            "scheduled_time": self.booking.time,
            "starts_at": self.booking.starts_at,
            "minutes": self.booking.minutes,
            "now": self.now,
        }


@dataclass(frozen=True)
class Move:
    """Give an appointment of the conversation's customer another time.

    ``moved``, ``unchanged``, ``taken`` or ``unknown``; what is not free leaves the appointment where it was.
    """

    appointment_id: int
    booking: Booking
    now: datetime

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        """Move it, all seats or none."""
        found = yield from _owned(self.appointment_id, conversation)
        if found is None:
            return Effected({"status": "unknown", "appointment_id": self.appointment_id}, False)
        if found["starts_at"] == self.booking.starts_at:
            return Effected({"status": "unchanged", **self._said()}, False)
        # It may have been booked in another conversation of the contact, which has one appointment at a time of day.
        yield LOCK_CONVERSATIONS, [{"id": found["conversation_id"]}]
        rows = yield BOOKED_AT, [{"id": found["conversation_id"], "starts_at": self.booking.starts_at}]
        if rows or not (yield from _take_seats(self.appointment_id, self.booking)):
            return Effected({"status": "taken", **self._said()}, False)
        yield GIVE_BACK, [_seat_record(self.appointment_id, cell) for cell in self.booking.cells]
        record = {
            "id": self.appointment_id,
            "scheduled_date": self.booking.date,
            "scheduled_time": self.booking.time,
            "starts_at": self.booking.starts_at,
            "minutes": self.booking.minutes,
            "now": self.now,
        }
        yield MOVE, [record]
        previous = {name: found[name] for name in ("scheduled_date", "scheduled_time", "starts_at")}
        happened = Happening(
            "appointment.moved", conversation["id"], self.now, self.appointment_id, {"previous": previous}
        )
        before = f"{found['scheduled_date']} {found['scheduled_time']}"
        return Effected({"status": "moved", "before": before, **self._said()}, told=[happened])

    def _said(self) -> dict[str, Any]:
        return {"appointment_id": self.appointment_id, **told(self.booking)}


@dataclass(frozen=True)
class Cancel:
    """Cancel an appointment of the conversation's customer and free its seats: ``cancelled`` or ``unknown``."""

    appointment_id: int
    now: datetime

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        """Cancel it."""
        found = yield from _owned(self.appointment_id, conversation)
        if found is None:
            return Effected({"status": "unknown", "appointment_id": self.appointment_id}, False)
        yield CANCEL, [{"id": self.appointment_id, "now": self.now}]
        yield FREE, [{"id": self.appointment_id}]
        happened = Happening("appointment.cancelled", conversation["id"], self.now, self.appointment_id)
        said = {"status": "cancelled", "appointment_id": self.appointment_id}
        return Effected({**said, "date": found["scheduled_date"], "time": found["scheduled_time"]}, told=[happened])


def told(booking: Booking) -> dict[str, Any]:
    """Say a time as a tool's output does."""
    weekday = f"{date.fromisoformat(booking.date):%A}"
    return {"date": booking.date, "weekday": weekday, "time": booking.time, "minutes": booking.minutes}


def _owned(appointment_id: int, conversation: Mapping[str, Any]) -> Steps[Mapping[str, Any] | None]:
    """Find a booked appointment that is the customer's own: their contact's, or made in this conversation."""
    record = {"id": appointment_id, "owner": conversation["id"], "contact_id": conversation["contact_id"]}
    rows = yield OWNED, [record]
    return rows[0] if rows else None


def _take_seats(appointment_id: int, booking: Booking) -> Steps[bool]:
    """Take a seat in each cell that the appointment does not sit in yet; False where one has none left.

    False as well where the seats are in another raster by now: these cells tell nothing of what is free.

    Another transaction may take a seat between the look and the insert: then it is looked again, each time with one
    seat fewer to find.
    """
    if booking.raster and not (yield from is_kept(booking.raster)):
        return False
    wanted = [{"date": day, "cell": cell} for day, cell in booking.cells]
    added: list[dict[str, Any]] = []
    for _ in range(booking.capacity + 1):
        rows = yield SEATS, wanted
        free = _free_seats(appointment_id, booking, rows)
        if free is None:
            break
        taken = (yield TAKE, list(free.values())) if free else []
        added += [_seat_record(appointment_id, (str(row["date"]), row["cell"])) for row in taken]
        if len(taken) == len(free):
            return True
    if added:
        yield RETURN_SEATS, added
    return False


def _free_seats(
    appointment_id: int, booking: Booking, rows: Sequence[Mapping[str, Any]]
) -> dict[Place, dict[str, Any]] | None:
    """Choose the lowest free seat of each cell that the appointment needs; None where a cell is full."""
    taken: dict[Place, set[int]] = {}
    own: set[Place] = set()
    for row in rows:
        place = (str(row["date"]), row["cell"])
        taken.setdefault(place, set()).add(row["seat"])
        if row["appointment_id"] == appointment_id:
            own.add(place)
    chosen: dict[Place, dict[str, Any]] = {}
    for place in sorted(set(booking.cells) - own):
        others = taken.get(place, ())
        if len(others) >= booking.capacity:  # a seat beyond a capacity that was larger counts like any other
            return None
        seat = next(n for n in range(1, booking.capacity + 1) if n not in others)
        chosen[place] = {**_seat_record(appointment_id, place), "seat": seat}
    return chosen


def _seat_record(appointment_id: int, place: Place) -> dict[str, Any]:
    return {"id": appointment_id, "date": place[0], "cell": place[1]}


BOOKED_AT = statement(
    """
    SELECT a.id, a.service, a.minutes FROM appointments AS a
    JOIN {r} ON a.conversation_id = r.id AND a.starts_at = r.starts_at
    WHERE a.status = 'booked'
    """,
    id="int",
    starts_at="time",
)

INSERT = statement(
    """
    INSERT INTO appointments (conversation_id, contact_id, customer_name, phone, email, address, notes, service, type,
        scheduled_date, scheduled_time, starts_at, minutes, status, revision, created_at, updated_at)
    SELECT r.conversation_id, r.contact_id, r.customer_name, r.phone, r.email, r.address, r.notes, r.service, NULL,
        r.scheduled_date, r.scheduled_time, r.starts_at, r.minutes, 'booked', 0, r.now, r.now
    FROM {r} RETURNING id
    """,
    conversation_id="int",
    contact_id="int",
    customer_name="text",
    phone="text",
    email="text",
    address="text",
    notes="text",
    service="text",
    scheduled_date="text",
    scheduled_time="text",
    starts_at="time",
    minutes="int",
    now="time",
)

DELETE = statement("DELETE FROM appointments WHERE id IN (SELECT r.id FROM {r})", id="int")

MARK = statement(
    "UPDATE chat_conversations AS c SET converted_to_appointment = TRUE FROM {r} WHERE c.id = r.id", id="int"
)

OWNED = statement(
    """
    SELECT a.id, a.conversation_id, a.starts_at, a.scheduled_date, a.scheduled_time
    FROM appointments AS a JOIN {r} ON a.id = r.id
    WHERE a.status = 'booked' AND (a.conversation_id = r.owner OR a.contact_id = r.contact_id) {lock a}
    """,
    id="int",
    owner="int",
    contact_id="int",
)

MOVE = statement(
    """
    UPDATE appointments AS a SET scheduled_date = r.scheduled_date, scheduled_time = r.scheduled_time,
        starts_at = r.starts_at, minutes = r.minutes, updated_at = r.now, revision = a.revision + 1
    FROM {r} WHERE a.id = r.id
    """,
    id="int",
    scheduled_date="text",
    scheduled_time="text",
    starts_at="time",
    minutes="int",
    now="time",
)

CANCEL = statement(
    """
    UPDATE appointments AS a SET status = 'cancelled', updated_at = r.now, revision = a.revision + 1
    FROM {r} WHERE a.id = r.id
    """,
    id="int",
    now="time",
)

_SEAT = {"id": "int", "date": "date", "cell": "int"}

SEATS = statement(
    """
    SELECT s.date, s.cell, s.seat, s.appointment_id FROM appointment_seats AS s
    JOIN {r} ON s.date = r.date AND s.cell = r.cell
    """,
    date="date",
    cell="int",
)

TAKE = statement(
    """
    INSERT INTO appointment_seats (date, cell, seat, appointment_id) SELECT r.date, r.cell, r.seat, r.id FROM {r}
    WHERE TRUE ORDER BY r.date, r.cell, r.seat ON CONFLICT DO NOTHING RETURNING date, cell
    """,
    **_SEAT,
    seat="int",
)

RETURN_SEATS = statement(
    """
    DELETE FROM appointment_seats WHERE EXISTS (SELECT 1 FROM {r} WHERE appointment_seats.appointment_id = r.id
        AND appointment_seats.date = r.date AND appointment_seats.cell = r.cell)
    """,
    **_SEAT,
)

# The seats of where it was, and not those of where it is now.
GIVE_BACK = statement(
    """
    DELETE FROM appointment_seats WHERE appointment_id IN (SELECT r.id FROM {r})
    AND NOT EXISTS (SELECT 1 FROM {r} WHERE appointment_seats.date = r.date AND appointment_seats.cell = r.cell)
    """,
    **_SEAT,
)

FREE = statement("DELETE FROM appointment_seats WHERE appointment_id IN (SELECT r.id FROM {r})", id="int")
