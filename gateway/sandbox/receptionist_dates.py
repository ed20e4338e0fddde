"""Days and times of day as English-speaking customers write them, and as the receptionist says and reads them back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Part = Literal["morning", "afternoon", "evening"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
PARTS: dict[Part, tuple[str, str]] = {
    "morning": ("00:00", "12:00"),
    "afternoon": ("12:00", "17:00"),
    "evening": ("17:00", "24:00"),
}
AFTERNOON_HOURS = range(1, 7)
"""A bare ``at 3`` is meant for the afternoon; nobody books a plumber for the night."""

_WEEKDAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thurs?|thu|fri|sat|sun"
_MONTH = "|".join(f"{name.lower()}|{name[:3].lower()}" for name in MONTHS)
_BEFORE = rf"(?:\b(?:{_WEEKDAY}),?\s+(?:the\s+)?)?"
_DAY = re.compile(
    r"(?P<iso>\b\d{4}-\d\d-\d\d\b)"
    rf"|{_BEFORE}\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})\b(?:,?\s+(?P<year>\d{{4}})\b)?"
    rf"|{_BEFORE}\b(?P<month2>{_MONTH})\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}})\b)?"
    r"|\b(?P<soon>day after tomorrow|tomorrow|today|tonight)\b"
    rf"|\b(?P<next>next\s+)?(?P<weekday>{_WEEKDAY})\b"
)
_SOON = {"today": 0, "tonight": 0, "tomorrow": 1, "day after tomorrow": 2}
_TIME = re.compile(
    r"\b(?P<noon>noon|midday)\b"
    r"|(?P<at>\b(?:at|around|about|by)\s+)?\b(?P<hour>\d{1,2})(?:[:h](?P<minute>\d\d))?(?:\s*(?P<half>[ap]\.?m\b|o'?clock)|\b)"
)
_PART = re.compile(r"(?<!good )\b(morning|afternoon|evening)\b")
_SAID = re.compile(rf"(?P<day>\d{{1,2}}) (?P<month>{'|'.join(MONTHS)}) (?P<year>\d{{4}})|\b(?P<time>\d\d:\d\d)\b")


@dataclass(frozen=True, slots=True)
class Slot:
    """A day and a time of day (``HH:MM``)."""

    day: date
    time: str

    def __str__(self) -> str:
        return f"{say_day(self.day)}, at {self.time}"


@dataclass(frozen=True, slots=True)
class When:
    """What a text says about a time, in the order in which it says it."""

    days: tuple[date, ...] = ()
    times: tuple[str, ...] = ()
    """``HH:MM``."""
    part: Part | None = None

    @property
    def time(self) -> str | None:
        """The last time named: what comes last corrects what came before."""
        return self.times[-1] if self.times else None

    def __bool__(self) -> bool:
        return bool(self.days or self.times or self.part)


def read_when(text: str, today: date | None) -> When:
    """Read what a customer's text says; without ``today`` only whole dates are understood."""
    lowered = text.lower()
    days = dict.fromkeys(day for day in (_day(found, today) for found in _DAY.finditer(lowered)) if day)
    left = _DAY.sub(" ; ", lowered)
    parts = _PART.findall(left)
    return When(tuple(days), tuple(_times(left)), parts[0] if parts else None)


def without_when(text: str) -> str:
    """Return a lowered text without its days, times and parts of a day."""
    return _PART.sub(" ", _TIME.sub(" ", _DAY.sub(" ", text.lower())))


def say_day(day: date) -> str:
    """Say a day: ``Friday, 27 November 2026``."""
    return f"{WEEKDAYS[day.weekday()]}, {day.day} {MONTHS[day.month - 1]} {day.year}"


def say_slots(slots: tuple[Slot, ...]) -> str:
    """Say times, each day once: ``Friday, 27 November 2026, at 09:00, 10:00 or 11:00``."""
    days = dict.fromkeys(slot.day for slot in slots)
    said = (f"{say_day(day)}, at {either([s.time for s in slots if s.day == day])}" for day in days)
    return "; ".join(said)


def either(words: list[str]) -> str:
    """Join words: ``a, b or c``."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


def read_slots(said: str) -> tuple[Slot, ...]:
    """Read back what ``say_slots`` said."""
    slots: list[Slot] = []
    day: date | None = None
    for found in _SAID.finditer(said):
        if found["time"] is None:
            day = _date(int(found["year"]), MONTHS.index(found["month"]) + 1, int(found["day"]))
        elif day is not None:
            slots.append(Slot(day, found["time"]))
    return tuple(slots)


def is_in(time: str, part: Part | None) -> bool:
    """Tell whether a time belongs to a part of the day; all of them do to None."""
    first, end = PARTS[part] if part else ("00:00", "24:00")
    return first <= time < end


def _day(found: re.Match[str], today: date | None) -> date | None:
    if found["iso"]:
        return _date(*map(int, found["iso"].split("-")))
    month = found["month"] or found["month2"]
    if month:
        number = next(n for n, name in enumerate(MONTHS, 1) if name.lower().startswith(month))
        return _next_date(today, number, int(found["day"] or found["day2"]), found["year"] or found["year2"])
    if today is None:
        return None
    if found["soon"]:
        return today + timedelta(days=_SOON[found["soon"]])
    wanted = next(n for n, name in enumerate(WEEKDAYS) if name.lower().startswith(found["weekday"][:3]))
    if found["next"]:  # the one in the week that begins next Monday
        return today + timedelta(days=7 - today.weekday() + wanted)
    return today + timedelta(days=(wanted - today.weekday() - 1) % 7 + 1)


def _next_date(today: date | None, month: int, day: int, year: str | None) -> date | None:
    """Return a date of a named year, or the first such date from today on."""
    if year:
        return _date(int(year), month, day)
    if today is None:
        return None
    this_year = _date(today.year, month, day)
    return this_year if this_year and this_year >= today else _date(today.year + 1, month, day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _times(lowered: str) -> Iterator[str]:
    for found in _TIME.finditer(lowered):
        if found["noon"]:
            yield "12:00"
            continue
        hour, minute = int(found["hour"]), int(found["minute"] or 0)
        half = (found["half"] or "").replace(".", "")
        if not (found["at"] or found["minute"] or half) or hour > 23 or minute > 59:
            continue
        if half in ("am", "pm"):
            hour = hour % 12 + (12 if half == "pm" else 0)
        elif hour in AFTERNOON_HOURS and not found["hour"].startswith("0"):
            hour += 12
        yield f"{hour:02}:{minute:02}"
