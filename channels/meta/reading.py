"""Reading a webhook of many events, one by one: what one of them lacks costs the others nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from channels.base import Event, Parsed
from channels.errors import PayloadError
from channels.meta.webhooks import ACK

T = TypeVar("T")

IGNORED_NAMED = 50
"""How many kinds of things that mean nothing one request names."""


class Unreadable(Exception):
    """Something lacks what it would need to mean anything, and no customer's words are lost with it.

    The message names it.
    """


class Reading:
    """What has been read so far.

    What is :class:`Unreadable` is named among what is ignored. A PayloadError says that a customer's words, or the sign
    that a person has answered, may be lost: then the request is kept whole, beside the events that could be read.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._ignored: dict[str, None] = {}
        self._unreadable: str | None = None

    def add(self, read: Callable[[], Iterable[Event]]) -> None:
        """Read something, as far as it can be."""
        self._events += self.attempt(read, ())

    def attempt(self, read: Callable[[], Iterable[T]], otherwise: Iterable[T]) -> Iterable[T]:
        """Return what is read, or the other thing where that cannot be."""
        try:
            return tuple(read())
        except Unreadable as error:
            self.ignore(str(error))
        except PayloadError as error:
            self._unreadable = self._unreadable or str(error)
        return otherwise

    def ignore(self, name: str) -> None:
        """Name something that means nothing to us; a body of many kinds of it is no use to anybody."""
        if len(self._ignored) < IGNORED_NAMED:
            self._ignored[name] = None

    def parsed(self) -> Parsed:
        """Return all of it.

        Raises:
            PayloadError: something could not be read, and nothing else was.
        """
        if self._unreadable is not None and not self._events:
            raise PayloadError(self._unreadable)
        return Parsed(tuple(self._events), ACK, tuple(self._ignored), self._unreadable)
