"""Tool runs: what a tool did and the record of it are one commit, under the fence of its turn.

A round is journalled before its tools run, so a call is known by its place in the journal: (conversation, input, round,
position). Whatever runs it again finds the record and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from gateway.storage.hook_facts import Happened
from gateway.storage.hooks import Telling
from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.turns import HOLD, LOCK_CONVERSATIONS
from gateway.storage.writer import Operation

Output = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolPlace:
    """Which call of which turn it is."""

    id: int
    """The conversation."""
    fence: int
    input_sequence: int
    round: int
    position: int
    name: str
    arguments: str
    acts: bool = False

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Where the record stands."""
        return (self.id, self.input_sequence, self.round, self.position)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a call gave, as the record has it."""

    round: int
    position: int
    status: str
    """``started``, ``done`` or ``failed``."""
    output: Output
    name: str = ""
    input_sequence: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Effected:
    """What became of an effect."""

    output: Output
    happened: bool = True
    """False where it changed nothing: then there is nothing to record, and trying again does no harm."""
    told: Happened = ()
    """What receivers are to be told of it."""


class Effect(Protocol):
    """Something that a tool does in our own database."""

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        """Do it for the locked conversation (``OWNER``'s columns).

        Runs inside a shared transaction: what it cannot complete, it has to undo itself.
        """


@dataclass(frozen=True)
class RunEffect(Telling["StoredRun | None"]):
    """Do what a tool does and keep its record, or return the record where it is done; None where fenced off."""

    place: ToolPlace
    effect: Effect
    now: datetime

    @property
    def keys(self) -> frozenset[str]:
        """The conversation row."""
        return frozenset((f"conversation {self.place.id}",))

    @classmethod
    def apply(cls, operations: Sequence[RunEffect]) -> Steps[list[StoredRun | None]]:
        """Do each after the other; an effect would lock its conversation out of order, so all are locked before."""
        yield LOCK_CONVERSATIONS, [{"id": operation.place.id} for operation in operations]
        return (yield from super().apply(operations))

    def told(self) -> Steps[tuple[StoredRun | None, Happened]]:
        """Do it once."""
        owners = yield OWNER, [{"id": self.place.id, "fence": self.place.fence}]
        if not owners:
            return None, ()
        known = yield READ_RUN, [_place_record(self.place)]
        if known:
            return _stored(known[0]), ()
        effected = yield from self.effect.steps(owners[0])
        if effected.happened:
            done = ToolResult(replace(self.place, acts=True), "done", effected.output, 0)
            yield KEEP_RUN, [_run_record(done, self.now)]
        run = StoredRun(self.place.round, self.place.position, "done", effected.output, self.place.name)
        return run, effected.told


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave that did nothing in our own database."""

    place: ToolPlace
    status: str
    output: Output
    duration_ms: int


@dataclass(frozen=True)
class KeepToolResults(Operation["tuple[StoredRun, ...] | None"]):
    """Keep what the calls of one turn gave; returns what is kept, an earlier record first; None where fenced off."""

    results: tuple[ToolResult, ...]
    now: datetime

    @property
    def keys(self) -> frozenset[str]:
        """The conversation row: a record follows the effect that may have been committed after a time-out."""
        return frozenset(f"conversation {result.place.id}" for result in self.results[:1])

    @classmethod
    def apply(cls, operations: Sequence[KeepToolResults]) -> Steps[list[tuple[StoredRun, ...] | None]]:
        """Keep all whose turn still holds its fence."""
        turns = {(r.place.id, r.place.fence) for o in operations for r in o.results}
        held = yield HOLD, [{"id": id_, "fence": fence} for id_, fence in sorted(turns)]
        alive = {(row["id"], row["fence"]) for row in held}
        kept = [(r, o.now) for o in operations for r in o.results if (r.place.id, r.place.fence) in alive]
        if not kept:
            return [None] * len(operations)
        yield KEEP_RUN, [_run_record(result, now) for result, now in kept]
        rows = yield READ_RUN, [_place_record(result.place) for result, _ in kept]
        stored = {
            (row["conversation_id"], row["input_sequence"], row["round"], row["position"]): _stored(row) for row in rows
        }
        return [
            tuple(stored[r.place.key] for r in o.results) if all(r.place.key in stored for r in o.results) else None
            for o in operations
        ]


OWNER = statement(
    """
    SELECT c.id, c.conversation_id, c.channel, c.channel_name, c.contact_id, c.lead_id, c.user_name, c.user_email,
        c.user_phone, c.address
    FROM chat_conversations AS c JOIN {r} ON c.id = r.id AND c.fence = r.fence
    WHERE c.input_sequence IS NOT NULL {lock c}
    """,
    id="int",
    fence="int",
)

_PLACE = {"id": "int", "input_sequence": "int", "round": "int", "position": "int"}

READ_RUN = statement(
    """
    SELECT t.conversation_id, t.input_sequence, t.round, t.position, t.status, t.output, t.name FROM tool_runs AS t
    JOIN {r} ON t.conversation_id = r.id AND t.input_sequence = r.input_sequence AND t.round = r.round
        AND t.position = r.position
    """,
    **_PLACE,
)

# A call that acts elsewhere is noted as started before it runs, and settled afterwards.
KEEP_RUN = statement(
    """
    INSERT INTO tool_runs (conversation_id, input_sequence, round, position, name, arguments, acts, status, output,
        duration_ms, created_at)
    SELECT r.id, r.input_sequence, r.round, r.position, r.name, r.arguments, r.acts, r.status, r.output,
        r.duration_ms, r.now
    FROM {r} WHERE TRUE ON CONFLICT (conversation_id, input_sequence, round, position)
    DO UPDATE SET status = excluded.status, output = excluded.output, duration_ms = excluded.duration_ms
    WHERE tool_runs.status = 'started'
    """,
    **_PLACE,
    name="text",
    arguments="text",
    acts="bool",
    status="text",
    output="json",
    duration_ms="int",
    now="time",
)


def _place_record(place: ToolPlace) -> dict[str, Any]:
    return {name: getattr(place, name) for name in _PLACE}


def _run_record(result: ToolResult, now: datetime) -> dict[str, Any]:
    return {
        **_place_record(result.place),
        "name": result.place.name,
        "arguments": result.place.arguments,
        "acts": result.place.acts,
        "status": result.status,
        "output": dict(result.output),
        "duration_ms": result.duration_ms,
        "now": now,
    }


def _stored(row: Mapping[str, Any]) -> StoredRun:
    return StoredRun(row["round"], row["position"], row["status"], load_json(row["output"]) or {}, row["name"])
