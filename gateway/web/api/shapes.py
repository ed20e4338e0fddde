"""What requests and answers have in common: names, times, numbers and lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

T = TypeVar("T")

MAX_LIMIT = 200
MAX_ROW_ID = 2**63 - 1  # PostgreSQL's bigint
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL's text holds neither NUL nor halves of surrogate pairs
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")  # RFC 3339, section 5.6

Moment = Annotated[
    datetime,
    PlainSerializer(lambda at: at.astimezone(UTC).isoformat(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time, written with its offset."""
RowId = Annotated[int, Field(ge=1, le=MAX_ROW_ID)]


def is_storable(text: str) -> bool:
    """Tell whether both databases can keep a text, and look it up."""
    return _UNSTORABLE.search(text) is None


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must not contain U+0000 or halves of surrogate pairs")
    return text


Words = Annotated[str, AfterValidator(_storable)]
"""A text that both databases can keep and look up."""


class Given(BaseModel):
    """What a request says: a name that is not declared is a typing error, and refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Told(BaseModel):
    """What an answer says; it is read from a row's columns by their names."""

    model_config = ConfigDict(from_attributes=True, frozen=True, populate_by_name=True)


class Items(Told, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: Annotated[
        str | None, Field(description="Give it as `cursor` to read on; null at the end of the list.")
    ] = None


class ListQuery(Given):
    """How much of a list is wanted, and from where."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="At most so many items.")] = 50
    cursor: Annotated[
        Words | None, Field(description="The `next_cursor` of the page before; without it, the first.")
    ] = None


def _written_out(given: object) -> object:
    """Refuse a number: pydantic would take it for seconds since 1970."""
    if not (isinstance(given, str) and _DAY.match(given)):
        raise ValueError("must be written like 2026-11-24T09:00:00Z")
    return given


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""A time that is asked for, with its offset: 2026-11-24T09:00:00Z."""
