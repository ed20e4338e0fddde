"""The ``business`` section: what the assistant tells customers, and when they can come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, DirectoryPath, Field, field_validator

from gateway.config.hours import WEEKDAYS, Interval, parse_hours
from gateway.config.section import PositiveInt, Section, Text

DAY_MIN = 24 * 60
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # the shape of RFC 5646, section 2.1


def _day(value: str) -> str:
    if value not in WEEKDAYS:
        raise ValueError(f"unknown day; use {', '.join(WEEKDAYS)}")
    return value


def _hours(value: str) -> str:
    return ", ".join(str(interval) for interval in parse_hours(value))


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):  # not there, the name of a folder, no name at all
        raise ValueError("unknown time zone; write one such as America/Detroit or Europe/Berlin") from None
    return value


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError('must be a date such as "2026-12-25"') from None


def _slot(value: int) -> int:
    if DAY_MIN % value:  # the raster would begin elsewhere every day
        raise ValueError("must divide a day evenly, such as 15, 20, 30, 45, 60 or 90")
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError("must be a language tag such as en, es or pt-BR")
    return value


class ServiceConfig(Section):
    """Something that the business does by appointment."""

    name: Text
    minutes: Annotated[int, Field(ge=1, le=DAY_MIN)]


class FaqConfig(Section):
    """A frequent question and the business's own answer."""

    question: Text
    answer: Text


class BusinessConfig(Section):
    """Facts about the business."""

    name: Text = "our business"
    phone: Text | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    hours: Mapping[Annotated[str, AfterValidator(_day)], Annotated[str, AfterValidator(_hours)]] = Field(
        default_factory=dict
    )
    """By ``mon`` … ``sun``; a missing day is closed."""
    holidays: tuple[Annotated[date, BeforeValidator(_date)], ...] = ()
    slot_minutes: Annotated[int, Field(ge=5, le=DAY_MIN), AfterValidator(_slot)] = 60
    capacity: PositiveInt = 1
    services: tuple[ServiceConfig, ...] = ()
    faq: tuple[FaqConfig, ...] = ()
    languages: Annotated[tuple[Annotated[str, AfterValidator(_language)], ...], Field(min_length=1)] = ("en",)
    knowledge: DirectoryPath | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that the hours are in."""
        return ZoneInfo(self.timezone)

    def open_on(self, day: date) -> tuple[Interval, ...]:
        """Return when the business is open on a local date, earliest first; empty on a closed day or a holiday."""
        text = self.hours.get(WEEKDAYS[day.weekday()])
        return parse_hours(text) if text and day not in self.holidays else ()

    @field_validator("hours", mode="before")
    @classmethod
    def _leave_out_closed_days(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {day: text for day, text in value.items() if text not in (None, "closed")}

    @field_validator("services")
    @classmethod
    def _name_each_service_once(cls, services: tuple[ServiceConfig, ...]) -> tuple[ServiceConfig, ...]:
        names = [service.name.casefold() for service in services]
        if len(set(names)) < len(names):
            raise ValueError("two services have the same name; rename one")
        return services
