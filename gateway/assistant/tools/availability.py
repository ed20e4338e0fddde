"""``check_availability``: real free times, and why a time is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import Field

from gateway.assistant.tools.base import Arguments, Call, Tool, ToolRefused
from gateway.config import BusinessConfig
from gateway.config.business import ServiceConfig
from gateway.config.hours import Interval
from gateway.schedule import Cell, Occupied, Schedule, Slot, Unbookable, parse_day, parse_time
from gateway.storage import Storage

ALTERNATIVES = 3
LOOK_DAYS = 14

REASONS = {
    Unbookable.PAST: "that time has passed",
    Unbookable.CLOSED_DAY: "the business is closed on that day of the week",
    Unbookable.HOLIDAY: "the business is closed on that date",
    Unbookable.OUTSIDE_HOURS: "outside the opening hours",
    Unbookable.OFF_RASTER: "appointments do not begin at that minute",
    Unbookable.NO_SUCH_TIME: "the clocks change then: there is no such time on that day",
    Unbookable.TOO_LONG: "it would not be finished before the business closes",
    Unbookable.TOO_FAR: "too far ahead",
    Unbookable.TAKEN: "taken",
}


class Diary:
    """The schedule together with what is booked."""

    def __init__(self, storage: Storage, business: BusinessConfig) -> None:
        self._storage = storage
        self._business = business
        self.schedule = Schedule(business)

    @property
    def capacity(self) -> int:
        """How many appointments may run at the same time."""
        return self._business.capacity

    def open_on(self, day: date) -> tuple[Interval, ...]:
        """Return when the business is open on a day."""
        return self._business.open_on(day)

    def service(self, name: str | None) -> ServiceConfig | None:
        """Return the service that a word means, or None where none is named.

        Raises:
            ToolRefused: the business does not offer it.
        """
        if name is None or not self._business.services:
            return None
        found = self.schedule.service(name)
        if found is None:
            offered = [service.name for service in self._business.services]
            raise ToolRefused(
                "unknown_service", "The business does not offer this. Ask which is meant.", services=offered
            )
        return found

    async def occupied(self, day: date, days: int, minutes: int) -> Occupied:
        """Read how many seats are taken in what appointments of these days could touch."""
        touched = self.schedule.days_touched(day, days, minutes)
        counts = await self._storage.seats_taken(touched)
        return {Cell(day, number): count for (day, number), count in counts.items()}

    async def alternatives(self, day: date, time: str | None, minutes: int, now: datetime) -> list[dict[str, str]]:
        """Return the free times nearest to a wish."""
        start = max(day, now.astimezone(self._business.zone).date())
        occupied = await self.occupied(start, LOOK_DAYS + 1, minutes)
        slots = self.schedule.nearest(day, time, minutes, occupied, now, limit=ALTERNATIVES, days=LOOK_DAYS)
        return told(slots)

    async def look_up(
        self, day: date, time: str | None, service: ServiceConfig | None, now: datetime
    ) -> Mapping[str, Any]:
        """Return what is free on a day, whether a time is and if not why, and the nearest alternatives."""
        minutes = self.schedule.minutes_for(service)
        occupied = await self.occupied(day, 1, minutes)
        free = self.schedule.free(day, minutes, occupied, now)
        reason = time and self.schedule.unbookable(day, time, minutes, occupied, now)
        closed = self.schedule.refuses_day(day, now)
        wanted = not free or bool(reason)
        return {
            "date": str(day),
            "weekday": f"{day:%A}",
            "service": service and service.name,
            "minutes": minutes,
            "closed": closed and REASONS[closed],
            "open": ", ".join(map(str, self.open_on(day))) or None,
            "free": [slot.time for slot in free],
            "asked": time and {"time": time, "free": reason is None, "reason": reason and REASONS[reason]},
            "alternatives": await self.alternatives(day, time, minutes, now) if wanted else [],
        }


def told(slots: Sequence[Slot]) -> list[dict[str, str]]:
    """Say times as an output does."""
    return [{"date": str(slot.day), "weekday": f"{slot.day:%A}", "time": slot.time} for slot in slots]


def read_day(text: str) -> date:
    """Read a date that the model wrote.

    Raises:
        ToolRefused: it is none.
    """
    day = parse_day(text)
    if day is None:
        raise ToolRefused("invalid_date", "Write the date as YYYY-MM-DD.")
    return day


def read_time(text: str) -> str:
    """Read a time of day that the model wrote.

    Raises:
        ToolRefused: it is none.
    """
    time = parse_time(text)
    if time is None:
        raise ToolRefused("invalid_time", "Write the time as HH:MM, from 00:00 to 23:59.")
    return time


class AvailabilityArguments(Arguments):
    """What is asked for."""

    date: str = Field(description="The day, as YYYY-MM-DD. Work it out from today's date in your notes.")
    time: str | None = Field(default=None, description="The time that the customer wants, as HH:MM; null for any.")
    service: str | None = Field(default=None, description="The service's name, if the customer has said it.")


class CheckAvailability(Tool):
    """Look up which times are free on a day, before you offer or promise any time.

    Gives the free times of that day, whether the asked time is free and if not why, and the nearest alternatives.
    """

    name = "check_availability"
    arguments = AvailabilityArguments

    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    async def run(self, arguments: AvailabilityArguments, call: Call) -> Mapping[str, Any]:
        """Look it up."""
        day = read_day(arguments.date)
        time = read_time(arguments.time) if arguments.time else None
        return await self._diary.look_up(day, time, self._diary.service(arguments.service), call.now)
