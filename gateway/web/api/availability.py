"""``/availability``: which times can be booked; the numbers are the assistant's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.assistant.tools.base import ToolRefused
from gateway.config import ServiceConfig
from gateway.schedule import parse_day
from gateway.web.api.problems import invalid
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given, Told, Words

HOUR_AND_MINUTE = "^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _day(text: str) -> str:
    if parse_day(text) is None:
        raise ValueError("must be a date, written YYYY-MM-DD")
    return text.strip()


class AvailabilityQuery(Given):
    """Which day, and what is wished for."""

    date: Annotated[
        str,
        AfterValidator(_day),
        Field(description="The business's own date.", json_schema_extra={"format": "date"}),
    ]
    time: Annotated[
        Annotated[str, Field(pattern=HOUR_AND_MINUTE)] | None,
        Field(description="The business's own time, HH:MM."),
    ] = None
    service: Annotated[Words | None, Field(description="A service's name.")] = None


class TimeTold(Told):
    """A time that is free."""

    date: str
    weekday: str
    time: str


class WishTold(Told):
    """What was wished for."""

    time: str
    free: bool
    reason: Annotated[str | None, Field(description="Why it is not free.")]


class AvailabilityTold(Told):
    """What is free on a day."""

    date: str
    weekday: str
    service: str | None
    minutes: Annotated[int, Field(description="How long it takes.")]
    closed: Annotated[str | None, Field(description="Why nothing at all can be booked on that day.")]
    open: Annotated[str | None, Field(description="The day's opening hours; null where the business is closed.")]
    free: Annotated[list[str], Field(description="The times at which it can begin.")]
    asked: WishTold | None
    alternatives: Annotated[
        list[TimeTold], Field(description="The nearest free times, where the day or the time is not free.")
    ]


async def find_times(desk: Desk, asked: Asked) -> AvailabilityTold:
    """Answer what is free."""
    query: AvailabilityQuery = asked.query
    day = parse_day(query.date)
    assert day is not None
    found = await desk.diary.look_up(day, query.time, _service(desk, query.service), desk.clock())
    return AvailabilityTold.model_validate(found)


def _service(desk: Desk, name: str | None) -> ServiceConfig | None:
    try:
        return desk.diary.service(name)
    except ToolRefused as error:
        offered = ", ".join(error.facts["services"])
        raise invalid("query.service", f"the business does not offer this; it offers: {offered}") from None


ROUTES = (
    Route(
        method="GET",
        path="/availability",
        answer=find_times,
        scope=Scope.READ,
        query=AvailabilityQuery,
        told=AvailabilityTold,
        summary="Look up free times",
        description="What the assistant offers its customers, at this moment.",
        examples={"a day": {"date": "2026-12-01"}, "a time": {"date": "2026-12-01", "time": "14:00"}},
    ),
)
