"""What receivers of webhooks are told, written down in the transaction in which it happens.

An operation that does something of interest ends with ``yield from emit([Happening(...)])``, once for its whole batch;
one that is rare is a ``Telling``. Where nobody listens, that is one look at an empty table; else what is told is read
back as it stands then, and each receiver that wants it gets a delivery of its own. ``hook_deliveries`` takes it from
there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from gateway.storage.hook_facts import Facts, Happened, Happening, payloads
from gateway.storage.sql import Record, Statement, Steps, load_json, statement
from gateway.storage.writer import Operation

R = TypeVar("R")

EVERYTHING = "*"
IS_FOLLOWED = "EXISTS (SELECT 1 FROM receivers) AS is_followed"
"""For the RETURNING of a statement that is run often: whether ``emit`` is worth its own look."""


@dataclass(frozen=True)
class Telling(Operation[R]):
    """An operation that is rare, and does something of interest; of a whole batch that is written down at its end."""

    def told(self) -> Steps[tuple[R, Happened]]:
        """Apply this operation; returns its result and what receivers are to be told."""
        raise NotImplementedError

    @classmethod
    def apply(cls, operations: Sequence[Self]) -> Steps[list[R]]:
        """Apply each after the other, and tell of all."""
        results: list[R] = []
        happened: list[Happening] = []
        for operation in operations:
            result, more = yield from operation.told()
            results.append(result)
            happened += more
        yield from emit(happened)
        return results


def emit(happened: Happened) -> Steps[None]:
    """Write down what happened for every receiver that wants to know it; the last thing that a transaction does.

    Last, because it locks the order of conversations' events, all that it needs at once and sorted: whoever waits for
    it holds nothing that another needs who has it.
    """
    if not happened:
        return
    types = {happening.type for happening in happened}
    wanted = _receivers((yield LISTENING, [{"type": type_} for type_ in sorted(types)]))
    told = [happening for happening in happened if wanted.get(happening.type)]
    if told:
        yield KEEP_ORDER, [{"id": happening.conversation_id} for happening in told]
        read = yield from payloads(told)
        yield from _write([(h, payload) for h, payload in zip(told, read, strict=True) if payload], wanted)


def _receivers(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the ids of those who want each type."""
    wanted: dict[str, list[str]] = {}
    for row in rows:
        if {EVERYTHING, row["type"]} & set(load_json(row["events"]) or ()):
            wanted.setdefault(row["type"], []).append(row["id"])
    return wanted


LISTENING = statement(
    "SELECT r.type, s.id, s.events FROM {r} JOIN receivers AS s ON s.disabled_at IS NULL ORDER BY s.id", type="text"
)

# Ids follow commits then, conversation by conversation: a later event is never seen before an earlier one. 256 locks
# are enough for that, and never fill PostgreSQL's table of locks. The first number is ours alone.
KEEP_ORDER = Statement(
    sqlite=None,
    postgres=statement(
        """
        SELECT pg_advisory_xact_lock(17476, k.key)
        FROM (SELECT DISTINCT (r.id % 256)::int AS key FROM {r} ORDER BY key) AS k
        """,
        id="int",
    ).postgres,
)


def _write(told: Sequence[tuple[Happening, Facts]], wanted: Mapping[str, Sequence[str]]) -> Steps[None]:
    if not told:
        return
    events = yield INSERT_EVENTS, [_event_record(place, *pair) for place, pair in enumerate(told)]
    ids = sorted(row["id"] for row in events)  # they are given in the order of the records
    yield (
        INSERT_DELIVERIES,
        [
            {
                "id": f"msg_{uuid.uuid4().hex}",
                "event_id": event_id,
                "receiver_id": receiver_id,
                "conversation_id": happening.conversation_id,
                "at": happening.at,
            }
            for event_id, (happening, _) in zip(ids, told, strict=True)
            for receiver_id in wanted[happening.type]
        ],
    )


def _event_record(place: int, happening: Happening, payload: Facts) -> Record:
    return {
        "place": place,
        "type": happening.type,
        "conversation_id": happening.conversation_id,
        "subject_id": None if happening.subject_id is None else str(happening.subject_id),
        "payload": payload,
        "at": happening.at,
    }


INSERT_EVENTS = statement(
    """
    INSERT INTO events (type, conversation_id, subject_id, payload, created_at)
    SELECT r.type, r.conversation_id, r.subject_id, r.payload, r.at FROM {r} WHERE TRUE ORDER BY r.place RETURNING id
    """,
    place="int",
    type="text",
    conversation_id="int",
    subject_id="text",
    payload="json",
    at="time",
)

# Who has been disabled, or has left, since it was looked gets nothing; who is disabled now has to wait, and finds this.
INSERT_DELIVERIES = statement(
    """
    INSERT INTO hook_deliveries (id, event_id, receiver_id, conversation_id, status, attempts, outages,
        next_attempt_at, created_at)
    SELECT r.id, r.event_id, r.receiver_id, r.conversation_id, 'queued', 0, 0, r.at, r.at
    FROM {r} JOIN receivers AS s ON s.id = r.receiver_id AND s.disabled_at IS NULL ORDER BY s.id {keep s}
    """,
    id="text",
    event_id="int",
    receiver_id="text",
    conversation_id="int",
    at="time",
)
