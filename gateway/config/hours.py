"""Opening hours as an owner writes them: ``09:00-12:00, 13:00-17:00``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of ``date.weekday()``."""

_INTERVAL = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Interval:
    """A time of one day in which the business is open, in minutes since midnight, local time."""

    start_minute: int
    end_minute: int
    """The first minute that no longer belongs to it; 1440 is midnight."""

    def __str__(self) -> str:
        return f"{_clock(self.start_minute)}-{_clock(self.end_minute)}"


def parse_hours(text: str) -> tuple[Interval, ...]:
    """Return the intervals of one day, earliest first.

    Raises:
        ValueError: it is written otherwise, or intervals are out of order.
    """
    intervals = tuple(_interval(part.strip()) for part in text.split(","))
    for earlier, later in pairwise(intervals):
        if later.start_minute < earlier.end_minute:
            raise ValueError("two times of the day overlap or are out of order; write the earlier first")
    return intervals


def _interval(text: str) -> Interval:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError('must look like "09:00-17:00" or "09:00-12:00, 13:00-17:00"')
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    interval = Interval(start_hour * 60 + start_minute, end_hour * 60 + end_minute)
    if max(start_minute, end_minute) > 59 or interval.end_minute > _DAY_MINUTES:
        raise ValueError("holds a time that no clock shows; the latest end is 24:00")
    if interval.start_minute >= interval.end_minute:
        raise ValueError("ends before it begins; split a night at 24:00 and go on with 00:00 on the next day")
    return interval


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
