"""The receivers that the configuration names, as all processes share them, and what they could not be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne


@dataclass(frozen=True)
class OpenReceivers(OneByOne[int]):
    """Make the receivers those of the configuration, each (id, events), and forget that they were paused.

    What waits for others is dropped; returns how much that was. One that is disabled stays so.
    """

    receivers: tuple[tuple[str, tuple[str, ...]], ...]

    def steps(self) -> Steps[int]:
        """Compare and change them."""
        records = [{"id": id_, "events": list(events)} for id_, events in sorted(self.receivers)]
        if records:
            yield OPEN, records
        yield CLOSE, records
        return len((yield DROP, records))


OPEN = statement(
    """
    INSERT INTO receivers (id, events, failures) SELECT r.id, r.events, 0 FROM {r} WHERE TRUE ORDER BY r.id
    ON CONFLICT (id) DO UPDATE SET events = excluded.events, failures = 0, paused_until_at = NULL
    """,
    id="text",
    events="json",
)

CLOSE = statement("DELETE FROM receivers WHERE id NOT IN (SELECT r.id FROM {r})", id="text", events="json")

DROP = statement(
    """
    DELETE FROM hook_deliveries WHERE status = 'queued' AND receiver_id NOT IN (SELECT r.id FROM {r}) RETURNING id
    """,
    id="text",
    events="json",
)


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """How one receiver does."""

    id: str
    failures: int
    disabled_at: datetime | None
    queued: int
    failed: int


@dataclass(frozen=True)
class ReadReceivers(OneByOne[list[ReceiverState]]):
    """Tell how these receivers do, as far as a serve has opened them."""

    ids: tuple[str, ...]

    def steps(self) -> Steps[list[ReceiverState]]:
        """Read them."""
        rows = yield STATES, [{"id": id_} for id_ in self.ids]
        return [ReceiverState(**row) for row in rows]


STATES = statement(
    """
    SELECT s.id, s.failures, s.disabled_at,
        (SELECT COUNT(*) FROM hook_deliveries AS h WHERE h.receiver_id = s.id AND h.status = 'queued') AS queued,
        (SELECT COUNT(*) FROM hook_deliveries AS h WHERE h.receiver_id = s.id AND h.status = 'failed') AS failed
    FROM receivers AS s JOIN {r} ON s.id = r.id
    """,
    id="text",
)


@dataclass(frozen=True, slots=True)
class FailedHook:
    """An event that a receiver could not be told."""

    id: str
    receiver_id: str
    type: str
    attempts: int
    response_status: int | None
    error: str | None
    happened_at: datetime


@dataclass(frozen=True)
class ReadFailedHooks(OneByOne[list[FailedHook]]):
    """Return what has failed for good, oldest first."""

    limit: int

    def steps(self) -> Steps[list[FailedHook]]:
        """Read them."""
        rows = yield FAILED, [{"at_most": self.limit}]
        return [FailedHook(**row) for row in rows]


FAILED = statement(
    """
    SELECT h.id, h.receiver_id, e.type, h.attempts, h.response_status, h.error, e.created_at AS happened_at
    FROM hook_deliveries AS h JOIN events AS e ON e.id = h.event_id
    WHERE h.status = 'failed' ORDER BY h.event_id, h.receiver_id LIMIT (SELECT r.at_most FROM {r})
    """,
    at_most="int",
)


@dataclass(frozen=True)
class RetryHooks(OneByOne[list[str]]):
    """Send failed events again, from the beginning of their attempts; returns the ids of those that were.

    A receiver that had been disabled is given events again.
    """

    ids: tuple[str, ...]
    now: datetime

    def steps(self) -> Steps[list[str]]:
        """Change those that are failed."""
        asked = [{"id": id_, "now": self.now} for id_ in self.ids]
        yield LOCK_THEIRS, asked
        rows = yield RETRY, asked
        yield from _enable(sorted({row["receiver_id"] for row in rows}))
        return [row["id"] for row in rows]


LOCK_THEIRS = Statement(
    sqlite=None,
    postgres=statement(
        """
        SELECT s.id FROM receivers AS s WHERE s.id IN (SELECT h.receiver_id FROM hook_deliveries AS h
            JOIN {r} ON h.id = r.id) ORDER BY s.id {hold s}
        """,
        id="text",
        now="time",
    ).postgres,
)

RETRY = statement(
    """
    UPDATE hook_deliveries AS h SET status = 'queued', attempts = 0, outages = 0, next_attempt_at = r.now,
        created_at = r.now, response_status = NULL, error = NULL
    FROM {r} WHERE h.id = r.id AND h.status = 'failed' RETURNING {h.}id, {h.}receiver_id
    """,
    id="text",
    now="time",
)


@dataclass(frozen=True)
class EnableReceiver(OneByOne[bool]):
    """Give a receiver events again; False where it was not disabled."""

    receiver_id: str

    def steps(self) -> Steps[bool]:
        """Enable it."""
        return bool((yield from _enable([self.receiver_id])))


def _enable(ids: Sequence[str]) -> Steps[int]:
    rows = (yield ENABLE, [{"id": id_} for id_ in ids]) if ids else []
    return len(rows)


ENABLE = statement(
    """
    UPDATE receivers AS s SET disabled_at = NULL, failures = 0, paused_until_at = NULL FROM {r}
    WHERE s.id = r.id AND s.disabled_at IS NOT NULL RETURNING {s.}id
    """,
    id="text",
)
