"""Whether anything may have been written while something was done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Watch:
    """What is known so far."""

    may_have_written: bool = False
    """False where every operation, if there was one, failed before the database had been asked to commit it."""


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch what this task, and the tasks that it starts, write."""
    watch = Watch()
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def note_writing() -> None:
    """Note that an operation may have been committed."""
    watch = _watch.get()
    if watch is not None:
        watch.may_have_written = True
