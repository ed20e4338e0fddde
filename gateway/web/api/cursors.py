"""Cursors: where the next page of a list begins, as a word that only we read."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.storage import Page, Place
from gateway.web.api.problems import invalid
from gateway.web.api.shapes import Instant, Items, RowId

T = TypeVar("T", bound=BaseModel)

NUMBERED = (RowId,)
TIMED = (Instant, RowId)
IN_PARTS = (RowId, RowId)


def encode(name: str, place: Place | None) -> str | None:
    """Write a place of the list ``name``; None at the end of the list."""
    if place is None:
        return None
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in place]
    return base64.urlsafe_b64encode(json.dumps([name, *plain]).encode()).decode("ascii").rstrip("=")


def decode(name: str, cursor: str | None, columns: Sequence[Any]) -> Place | None:
    """Read a place of the list ``name``, which is sorted by columns of these types; None begins the list.

    Raises:
        Problem: it is no cursor of this list.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        named, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place = tuple(TypeAdapter(column).validate_python(value) for column, value in zip(columns, values, strict=True))
        if named != name:
            raise ValueError(cursor)
    except (ValueError, TypeError, RecursionError, binascii.Error, ValidationError):
        raise invalid("query.cursor", "is no cursor of this list; begin without one") from None
    return place


def items_of(shape: type[T], name: str, page: Page[Any], rows: Sequence[T]) -> Items[T]:
    """Return a page of a list as an answer; ``rows`` are what is shown of the page's."""
    return Items[shape](items=list(rows), next_cursor=encode(name, page.next))  # type: ignore[valid-type]  # generics of pydantic are values
