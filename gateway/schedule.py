"""The schedule: which times can be booked, and which cells of the raster each of them occupies. Pure.

Opening hours, the raster and wishes are wall times of the business; how long something lasts is real minutes. The two
part on the days on which clocks change: a wall time that is skipped is not offered, one that comes twice is offered at
its first pass, and an opening or closing time is its first pass too, or the change itself where it is skipped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import gcd

from gateway.config import BusinessConfig, Interval, ServiceConfig

HORIZON_DAYS = 366
"""How far ahead something can be booked."""
SLOTS_PER_DAY = 2
"""Of the alternatives; more of one day would leave no room for another."""

_DAY_MIN = 24 * 60
_OFFSET_MIN = 15  # every zone's distance from UTC is a multiple of it: Chatham Islands +12:45; IANA tz database, 2026
_CHANGE_MIN = 180  # a day is shorter by at most this: Casey in Antarctica in October 2020; likewise

_TIME = re.compile(
    r"([0-9]{1,2})(?:\s*(?:[:.h]|uhr)\s*([0-9]{2}))?(?::00)?\s*(?:uhr|h|([ap])\.?\s*m\.?)?", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One cell of the raster, ``slot_minutes`` of wall time, on a business-local day."""

    day: date
    number: int
    """From 0 at midnight; in the second pass of a repeated hour as many more as a day has cells."""


Occupied = Mapping[Cell, int]
"""How many seats of a cell are taken; none of a cell that is absent."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A time at which something of a known length can begin."""

    starts_at: datetime
    minutes: int
    """Real ones, as a stopwatch counts them."""
    day: date
    """Business-local, as is ``time``."""
    time: str
    """``HH:MM``."""

    @property
    def ends_at(self) -> datetime:
        """The first moment that no longer belongs to it."""
        return self.starts_at + timedelta(minutes=self.minutes)


class Unbookable(StrEnum):
    """Why a wish cannot be booked."""

    PAST = "past"
    CLOSED_DAY = "closed_day"
    HOLIDAY = "holiday"
    OUTSIDE_HOURS = "outside_hours"
    OFF_RASTER = "off_raster"
    NO_SUCH_TIME = "no_such_time"
    """The clocks skip it on that day, or no clock shows it."""
    TOO_LONG = "too_long"
    """It would not end before the business closes."""
    TOO_FAR = "too_far"
    TAKEN = "taken"


class Schedule:
    """What a business's hours, raster and capacity say about a time; who has booked what comes in as ``Occupied``.

    ``minutes`` is positive, ``now`` and ``starts_at`` are aware, and ``starts_at`` is a whole minute. Hours that touch,
    at midnight too, are one: ``fri: 18:00-24:00`` goes on with ``sat: 00:00-02:00``.
    """

    def __init__(self, business: BusinessConfig) -> None:
        self._business = business
        self._zone = business.zone
        self._slot_min = business.slot_minutes
        self._cells_per_day = _DAY_MIN // business.slot_minutes
        self._reaches_midnight = any(text.endswith("24:00") for text in business.hours.values())
        self._spans = lru_cache(maxsize=64)(self._work_out_spans)  # every slot of a day asks for them

    def service(self, name: str) -> ServiceConfig | None:
        """Return the service that is meant: by its name in any case, or by the only name that stands among the words.

        A name within a longer one that is there too does not count: ``tap repair today`` is Tap repair, not Repair.
        """
        asked = _words(name)
        named = [(_words(service.name), service) for service in self._business.services]
        for _, service in named:
            if service.name.casefold() == name.strip().casefold():
                return service
        found = [(words, service) for words, service in named if words.strip() and words in asked]
        longest = [
            service
            for words, service in found
            if not any(words in others for others, other in found if other is not service)
        ]
        return longest[0] if len(longest) == 1 else None

    def minutes_for(self, service: ServiceConfig | None) -> int:
        """Return how long a service takes; with None, the shortest of them, or one slot where there are none."""
        if service is not None:
            return service.minutes
        return min((offered.minutes for offered in self._business.services), default=self._slot_min)

    def today(self, now: datetime) -> date:
        """Return the business-local date."""
        return now.astimezone(self._zone).date()

    def cells(self, starts_at: datetime, minutes: int) -> tuple[Cell, ...]:
        """Return every cell that the time from ``starts_at`` overlaps, ascending."""
        begins = starts_at.astimezone(self._zone)
        ends = (starts_at + timedelta(minutes=minutes)).astimezone(self._zone)
        steady = begins.utcoffset() == ends.utcoffset() and not begins.fold and not ends.fold
        # Where clocks change, steps as small as a change can be, so that each lies within one cell.
        step = self._slot_min if steady else gcd(self._slot_min, _OFFSET_MIN)
        passed = (0, *range(step - _minute_of(begins) % step, minutes, step))
        if steady:
            return tuple(self._cell(begins + timedelta(minutes=after)) for after in passed)
        walk = ((starts_at + timedelta(minutes=after)).astimezone(self._zone) for after in passed)
        return tuple(sorted({self._cell(local) for local in walk}))

    def _cell(self, local: datetime) -> Cell:
        return Cell(local.date(), _minute_of(local) // self._slot_min + local.fold * self._cells_per_day)

    def slot(self, day: date, time: str, minutes: int) -> Slot | None:
        """Return the slot at a wall time, open or not; None where clocks skip it or ``parse_time`` reads no time."""
        minute = _minute_in(time)
        return None if minute is None else self._slot(day, minute, minutes)

    def _slot(self, day: date, minute: int, minutes: int) -> Slot | None:
        starts_at = self._first_pass(day, minute) if _has_neighbours(day) else None
        return None if starts_at is None else Slot(starts_at, minutes, day, _clock(minute))

    def day_slots(self, day: date, minutes: int) -> tuple[Slot, ...]:
        """Return every slot of the raster on a date that begins and ends while the business is open, earliest first."""
        intervals = self._intervals(day)
        raster = (minute for minute in range(0, _DAY_MIN, self._slot_min) if _hold(intervals, minute))
        slots = (self._slot(day, minute, minutes) for minute in raster)
        return tuple(slot for slot in slots if slot and self._is_open_throughout(slot))

    def unbookable(self, day: date, time: str, minutes: int, occupied: Occupied, now: datetime) -> Unbookable | None:
        """Return why a wish cannot be booked, the plainest reason first; None where it can.

        ``occupied`` has to cover ``days_touched(day, 1, minutes)``.
        """
        minute = _minute_in(time)
        if refusal := self.refuses_day(day, now):
            return refusal
        if minute is None:
            return Unbookable.NO_SUCH_TIME
        if not _hold(self._intervals(day), minute):
            return Unbookable.OUTSIDE_HOURS
        slot = self._slot(day, minute, minutes)
        if slot is None:
            return Unbookable.NO_SUCH_TIME
        if slot.starts_at < now:
            return Unbookable.PAST
        if minute % self._slot_min:
            return Unbookable.OFF_RASTER
        if not self._is_open_throughout(slot):
            return Unbookable.TOO_LONG
        return None if self._has_room(slot, self._full(occupied)) else Unbookable.TAKEN

    def refuses_day(self, day: date, now: datetime) -> Unbookable | None:
        """Return why nothing at all can be booked on a date."""
        if not self._business.hours:
            return Unbookable.CLOSED_DAY
        today = self.today(now)
        if day < today:
            return Unbookable.PAST
        if (day - today).days > HORIZON_DAYS:
            return Unbookable.TOO_FAR
        if not self._business.open_on(day):
            return Unbookable.HOLIDAY if day in self._business.holidays else Unbookable.CLOSED_DAY
        return None

    def free(self, day: date, minutes: int, occupied: Occupied, now: datetime) -> tuple[Slot, ...]:
        """Return what can still be booked on a date, earliest first; ``occupied`` as for ``unbookable``."""
        if self.refuses_day(day, now):
            return ()
        full = self._full(occupied)
        slots = self.day_slots(day, minutes)
        return tuple(slot for slot in slots if slot.starts_at >= now and self._has_room(slot, full))

    def nearest(
        self,
        day: date,
        time: str | None,
        minutes: int,
        occupied: Occupied,
        now: datetime,
        *,
        limit: int = 3,
        days: int = 14,
    ) -> tuple[Slot, ...]:
        """Return at most ``limit`` free slots near a wish, two of a day: on that date, then on those that follow.

        Within a date the nearest to ``time`` comes first; without a time it is the first of the day and one in its
        middle. A date that has passed counts as today, so ``occupied`` has to cover
        ``days_touched(max(day, today(now)), days, minutes)``.
        """
        today = self.today(now)
        first = max(day, today)
        last = min(days - 1, (today - first).days + HORIZON_DAYS)
        wished = None if time is None else _minute_in(time)
        found: list[Slot] = []
        for after in range(last + 1):
            found += _choice(self.free(first + timedelta(days=after), minutes, occupied, now), wished)
            if len(found) >= limit:
                break
        return tuple(found[:limit])

    def days_touched(self, day: date, days: int, minutes: int) -> tuple[date, ...]:
        """Return the dates whose cells tell what is free on ``days`` dates from ``day`` on, past midnight included."""
        beyond = 1 + (minutes + _CHANGE_MIN) // _DAY_MIN if self._reaches_midnight else 0
        first = day.toordinal()
        last = min(first + days + beyond, date.max.toordinal() + 1)
        return tuple(map(date.fromordinal, range(first, last)))

    def is_open(self, now: datetime) -> bool:
        """Tell whether the business is open."""
        return self._closes_at(now) is not None

    def next_opening(self, now: datetime) -> datetime | None:
        """Return when the business opens next, business-local; ``now`` while it is open, None if not within a year."""
        if self.is_open(now):
            return now.astimezone(self._zone)
        today = self.today(now)
        days = (today + timedelta(days=after) for after in range(HORIZON_DAYS + 1))
        later = (opens_at for day in days for opens_at, closes_at in self._spans(day) if now < opens_at < closes_at)
        opens_at = next(later, None)
        return opens_at and opens_at.astimezone(self._zone)

    def _full(self, occupied: Occupied) -> Collection[Cell]:
        return {cell for cell, seats in occupied.items() if seats >= self._business.capacity}

    def _has_room(self, slot: Slot, full: Collection[Cell]) -> bool:
        return not full or not any(cell in full for cell in self.cells(slot.starts_at, slot.minutes))

    def _is_open_throughout(self, slot: Slot) -> bool:
        at: datetime | None = slot.starts_at
        ends_at = slot.ends_at
        while at is not None and at < ends_at:
            at = self._closes_at(at)
        return at is not None

    def _closes_at(self, at: datetime) -> datetime | None:
        """Return the end of the hours that a moment lies in; None while the business is closed."""
        spans = self._spans(self.today(at))
        return next((closes_at for opens_at, closes_at in spans if opens_at <= at < closes_at), None)

    def _intervals(self, day: date) -> tuple[Interval, ...]:
        return self._business.open_on(day) if _has_neighbours(day) else ()

    def _work_out_spans(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """Return the hours of a date as (opens_at, closes_at) in UTC, earliest first; empty where clocks skip them."""
        return tuple(
            (self._boundary(day, interval.start_minute), self._boundary(day, interval.end_minute))
            for interval in self._intervals(day)
        )

    def _boundary(self, day: date, minute: int) -> datetime:
        """Return a wall time in UTC; of one that the clocks skip, the moment of the change."""
        while (at := self._first_pass(day, minute)) is None:
            minute += 1
        return at

    def _first_pass(self, day: date, minute: int) -> datetime | None:
        """Return a wall time in UTC, the first time that the clocks show it; None where they skip it."""
        wall = datetime(day.year, day.month, day.day, tzinfo=self._zone) + timedelta(minutes=minute)
        before, after = wall.utcoffset(), wall.replace(fold=1).utcoffset()
        # PEP 495: in a gap the offset before the change, with which fold=0 reckons, is the smaller one.
        if before is None or after is None or before < after:
            return None
        return wall.replace(tzinfo=UTC) - before


def parse_time(text: str) -> str | None:
    """Return a time of day as ``HH:MM``; None for anything else.

    Read are ``9``, ``9:00``, ``09:00:00``, ``9.30``, ``9am``, ``2:30 p.m.``, ``14h``, ``14h30``, ``14:30 h``,
    ``14 Uhr``, ``14 Uhr 30`` and ``14.30 Uhr``. 24:00 begins no appointment: it is none.
    """
    minute = _minute_in(text)
    return None if minute is None else _clock(minute)


def parse_day(text: str) -> date | None:
    """Return the date of ``YYYY-MM-DD``; None for anything else."""
    if not _DATE.fullmatch(text.strip()):
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _minute_in(text: str) -> int | None:
    """Return a time of day in minutes since midnight."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "pP" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _minute_of(local: datetime) -> int:
    return local.hour * 60 + local.minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _hold(intervals: tuple[Interval, ...], minute: int) -> bool:
    return any(interval.start_minute <= minute < interval.end_minute for interval in intervals)


def _has_neighbours(day: date) -> bool:
    """Tell whether the calendar goes on around a date: at its ends there may be no UTC time, and no next day."""
    return MINYEAR < day.year < MAXYEAR


def _choice(slots: tuple[Slot, ...], wished: int | None) -> tuple[Slot, ...]:
    """Choose from the free slots of a date."""
    if wished is None:
        return tuple(dict.fromkeys((slots[0], slots[len(slots) // 2]))) if slots else ()
    near = sorted(slots, key=lambda slot: abs(int(slot.time[:2]) * 60 + int(slot.time[3:]) - wished))
    return tuple(near[:SLOTS_PER_DAY])


def _words(text: str) -> str:
    """Return the words of a text in one case, a space around each."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(words)} "
