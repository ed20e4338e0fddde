"""The raster that appointments sit in: kept beside their seats, so that the two change together or not at all.

A seat names a cell of a business-local date. The same cell means another time as soon as ``business.slot_minutes`` or
``business.timezone`` is another; what stays true is when an appointment starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.config import BusinessConfig
from gateway.config.business import DAY_MIN
from gateway.schedule import Cell, Schedule
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne

Raster = tuple[int, str]
"""The minutes of a cell, and the zone whose dates and clocks they are counted by."""

LONGEST = timedelta(minutes=DAY_MIN)
"""No service takes longer."""


@dataclass(frozen=True)
class KeepRaster(OneByOne[int | None]):
    """Seat what is booked by the configuration's raster; returns how many, None where they sit by it already.

    Everybody keeps their time, also where more meet in a cell of the new raster than may run at the same time. What
    has ended sits nowhere any more.
    """

    business: BusinessConfig
    now: datetime

    def steps(self) -> Steps[int | None]:
        wanted = {"slot_minutes": self.business.slot_minutes, "timezone": self.business.timezone}
        [kept] = yield READ, [wanted]
        if kept == wanted:
            return None
        yield KEEP, [wanted]
        booked = yield from self._booked()
        yield EMPTY, [wanted]
        if booked:
            yield SEAT, _seats(booked, Schedule(self.business))
            yield RENAME, [self._named(row) for row in booked]
        return len(booked)

    def _booked(self) -> Steps[Sequence[Mapping[str, Any]]]:
        """Lock and return what has not ended, earliest first."""
        rows = yield BOOKED, [{"since": self.now - LONGEST}]
        going_on = [row for row in rows if row["starts_at"] + timedelta(minutes=row["minutes"]) > self.now]
        return sorted(going_on, key=lambda row: (row["starts_at"], row["id"]))

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        local = row["starts_at"].astimezone(self.business.zone)
        return {"id": row["id"], "scheduled_date": f"{local:%Y-%m-%d}", "scheduled_time": f"{local:%H:%M}"}


def is_kept(raster: Raster) -> Steps[bool]:
    """Tell whether cells of this raster mean what the seats do, and keep it so for the rest of the transaction.

    They do not in a process that still runs with the configuration before the present one.
    """
    slot_minutes, timezone = raster
    return bool((yield SHARE, [{"slot_minutes": slot_minutes, "timezone": timezone}]))


def _seats(booked: Sequence[Mapping[str, Any]], schedule: Schedule) -> list[dict[str, Any]]:
    """Give each the next seat of every cell that it overlaps, as many as it takes."""
    taken: Counter[Cell] = Counter()
    seats = []
    for row in booked:
        for cell in schedule.cells(row["starts_at"], row["minutes"]):
            taken[cell] += 1
            seats.append({"date": str(cell.day), "cell": cell.number, "seat": taken[cell], "id": row["id"]})
    return seats


_RASTER = {"slot_minutes": "int", "timezone": "text"}

# Of two processes that start at once, the second waits here, and then finds it done.
READ = statement(
    """
    SELECT i.raster_slot_minutes AS slot_minutes, i.raster_timezone AS timezone
    FROM installation AS i CROSS JOIN {r} {lock i}
    """,
    **_RASTER,
)

_KEPT = statement(
    """
    SELECT i.raster_timezone FROM installation AS i JOIN {r} ON i.raster_slot_minutes IS NULL
        OR (i.raster_slot_minutes = r.slot_minutes AND i.raster_timezone = r.timezone)
    """,
    **_RASTER,
)
# Bookings share it among themselves, and with whoever tries whether the row can be written.
SHARE = Statement(sqlite=_KEPT.sqlite, postgres=f"{_KEPT.postgres} FOR KEY SHARE OF i")

KEEP = statement(
    "UPDATE installation AS i SET raster_slot_minutes = r.slot_minutes, raster_timezone = r.timezone FROM {r}",
    **_RASTER,
)

BOOKED = statement(
    """
    SELECT a.id, a.starts_at, a.minutes FROM appointments AS a
    WHERE a.status = 'booked' AND a.starts_at > (SELECT r.since FROM {r}) ORDER BY a.id {lock a}
    """,
    since="time",
)

EMPTY = statement("DELETE FROM appointment_seats WHERE EXISTS (SELECT 1 FROM {r})", **_RASTER)

SEAT = statement(
    """
    INSERT INTO appointment_seats (date, cell, seat, appointment_id) SELECT r.date, r.cell, r.seat, r.id FROM {r}
    WHERE TRUE ORDER BY r.date, r.cell, r.seat
    """,
    date="date",
    cell="int",
    seat="int",
    id="int",
)

RENAME = statement(
    """
    UPDATE appointments AS a SET scheduled_date = r.scheduled_date, scheduled_time = r.scheduled_time
    FROM {r} WHERE a.id = r.id
    """,
    id="int",
    scheduled_date="text",
    scheduled_time="text",
)
