"""Twilio's lists: paging and filters (www.twilio.com/docs/usage/twilios-response#pagination, read 2026-11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from gateway.sandbox.twilio_wire import Message

MAX_PAGE = 1000
DEFAULT_PAGE = 50


class BadQuery(Exception):
    """A list was asked for with a parameter that cannot be read."""


def page_json(path: str, query: Mapping[str, str], key: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one page of a list, and where the next one begins.

    The next page's address names the last item of this one, so that nothing moves while new messages arrive.

    Raises:
        BadQuery: a parameter of the paging is no number.
    """
    try:
        size, page = int(query.get("PageSize", DEFAULT_PAGE)), int(query.get("Page", 0))
    except ValueError as error:
        raise BadQuery from error
    size = max(1, min(size, MAX_PAGE))
    after = query.get("PageToken", "").removeprefix("PA")
    start = next((place + 1 for place, item in enumerate(items) if item["sid"] == after), page * size)
    shown = items[start : start + size]
    asked = {name: value for name, value in query.items() if name not in {"PageSize", "Page", "PageToken"}}

    def address(number: int, token: str | None = None) -> str:
        place = {"PageSize": str(size), "Page": str(number)} | ({"PageToken": token} if token else {})
        return f"{path}?{urlencode(asked | place)}"

    more = start + size < len(items)
    return {
        key: list(shown),
        "end": start + len(shown) - 1,
        "first_page_uri": address(0),
        "next_page_uri": address(page + 1, f"PA{shown[-1]['sid']}") if more else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": address(page - 1) if page else None,
        "start": start,
        "uri": address(page, query.get("PageToken")),
    }


def select(messages: Iterable[Message], query: Mapping[str, str]) -> list[Message]:
    """Return the messages that pass a list's filters; ``DateSent>`` and ``DateSent<`` include the moment they name.

    Raises:
        BadQuery: a date cannot be read.
    """
    to, sender = query.get("To"), query.get("From")
    tests = [(passes, *_read_date(query[name])) for name, passes in _DATES.items() if query.get(name)]
    return [
        message
        for message in messages
        if (not to or message.recipient == to)
        and (not sender or message.sender == sender)
        and all(passes(message.shown_at, first, last) for passes, first, last in tests)
    ]


def _read_date(text: str) -> tuple[datetime, datetime]:
    """Return the first and the last moment that a date, or a date and time, means."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment, moment + timedelta(days=1, seconds=-1) if len(text) == len("2026-11-24") else moment


_DATES: Mapping[str, Any] = {
    "DateSent>": lambda at, first, _: at >= first,
    "DateSent<": lambda at, _, last: at <= last,
    "DateSent": lambda at, first, _: at.date() == first.date(),
}
