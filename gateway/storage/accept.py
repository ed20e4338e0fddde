"""Accepting events: what a webhook told becomes durable, once, in one transaction with whatever arrives beside it.

The batch's conversations are found or made and locked in id order. Messages are inserted against the unique
constraints, which alone decide what is a duplicate; what is left is numbered from ``total_messages`` without gaps.
What the events say about earlier messages, deliveries and people is applied behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from channels.base import Control, Edit, Event, Moved, Preference, Reaction, Revoke, Status, Watermark
from gateway.storage import amendments, arrivals, consent, hooks, identities, people, statuses
from gateway.storage.entries import Entry
from gateway.storage.hook_facts import Happening
from gateway.storage.incoming import Incoming
from gateway.storage.rejected import Rejected, keep_rejected
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import Operation


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request's events."""

    messages: int = 0
    duplicates: int = 0
    statuses: int = 0
    """Reports on deliveries of ours."""
    unknown_statuses: int = 0
    changes: int = 0
    """Edits, reactions and the like that meant something known."""
    unknown_changes: int = 0
    due_at: datetime | None = None
    """When the earliest turn that these events ask for is due; None where they ask for none."""
    deliveries_released: bool = False
    """True where a status settled something that later deliveries were waiting behind."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a channel's next poll starts."""

    channel_name: str
    before: Mapping[str, Any] | None
    """Where this one started: if another has moved it on since, it stays there."""
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Accept(Operation[Accepted]):
    """All events of one request."""

    lane: ClassVar[str] = "door"

    events: tuple[Incoming, ...]
    received_at: datetime
    answer_while_waiting: bool = True
    rejected: tuple[Rejected, ...] = ()
    said_at: datetime | None = None
    """When these events first came, where that is not now: consent goes by the time at which it was given."""
    poll: Checkpoint | None = None
    """Where the poll that found these events has come to; it is committed together with them."""

    @property
    def keys(self) -> frozenset[str]:
        """The threads: a conversation's messages keep their order whatever they have to wait for.

        Which thread a message with clues belongs to is only known there: all of its sender's keep theirs.
        """
        messages = [incoming for incoming in self.events if incoming.is_message]
        threads = [(i.thread.channel_name, i.thread.key) for i in messages]
        senders = [(i.channel_name, i.person[0]) for i in messages if i.has_clues]
        return frozenset("\n".join(pair) for pair in (*threads, *senders))

    @classmethod
    def apply(cls, operations: Sequence[Accept]) -> Steps[list[Accepted]]:
        """Apply a batch of requests; payload order within a request, submission order between requests."""
        batch = _Batch(operations)
        yield from batch.accept_messages()
        yield from batch.apply_reports()
        for kinds, apply_changes in CHANGES:
            yield from batch.apply_changes(kinds, apply_changes)
        yield from batch.apply_controls()
        rejected = [row for operation in operations for row in operation.rejected]
        if rejected:
            yield from keep_rejected(rejected)
        polls = [operation.poll for operation in operations if operation.poll is not None]
        if polls:
            yield (
                SAVE_CHECKPOINT,
                [{"channel_name": p.channel_name, "before": p.before, "after": p.after} for p in polls],
            )
        yield from hooks.emit(batch.happened)
        return [tally.result() for tally in batch.tallies]


_SAVE = """
    UPDATE channel_states AS s SET poll_checkpoint = r.after FROM {{r}}
    WHERE s.channel_name = r.channel_name AND {unmoved}
"""
_MOVE = {"channel_name": "text", "before": "json", "after": "json"}
# A poll may take so long that another process begins one from the same place: the first of them that comes back moves
# it on, of the other nothing is kept but the messages. SQLite has the text of what it was given, always written alike.
SAVE_CHECKPOINT = Statement(
    sqlite=statement(_SAVE.format(unmoved="s.poll_checkpoint IS r.before"), **_MOVE).sqlite,
    postgres=statement(
        _SAVE.format(unmoved="CAST(s.poll_checkpoint AS jsonb) IS NOT DISTINCT FROM r.before"), **_MOVE
    ).postgres,
)

Changes = Callable[[Sequence[tuple[str, Any]]], Steps[list[bool]]]
"""Applies (channel_name, event) in order; tells of each whether it meant something known."""

CHANGES: tuple[tuple[tuple[type[Event], ...], Changes], ...] = (
    ((Edit, Revoke, Reaction), amendments.apply_amendments),
    ((Moved,), identities.apply_moves),
)


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    duplicates: int = 0
    statuses: int = 0
    unknown_statuses: int = 0
    changes: int = 0
    unknown_changes: int = 0
    due: list[datetime] = field(default_factory=list)
    released: bool = False

    def count_message(self, entry: Entry) -> None:
        if not entry.is_stored:
            self.duplicates += 1
            return
        self.messages += 1
        if entry.due_at is not None:
            self.due.append(entry.due_at)

    def count_status(self, settled: bool | None) -> None:
        if settled is None:
            self.unknown_statuses += 1
        else:
            self.statuses += 1
            self.released = self.released or settled

    def count_change(self, known: bool) -> None:
        if known:
            self.changes += 1
        else:
            self.unknown_changes += 1

    def result(self) -> Accepted:
        return Accepted(
            self.messages,
            self.duplicates,
            self.statuses,
            self.unknown_statuses,
            self.changes,
            self.unknown_changes,
            min(self.due, default=None),
            self.released,
        )


class _Batch:
    """The requests that share a transaction."""

    def __init__(self, operations: Sequence[Accept]) -> None:
        self._operations = operations
        self.tallies = [_Tally() for _ in operations]
        self.happened: list[Happening] = []
        """What receivers are to be told, in order."""

    def accept_messages(self) -> Steps[None]:
        """Store the messages, and count what became of each."""
        entries = [
            (place, _entry(operation, incoming))
            for place, operation in enumerate(self._operations)
            for incoming in operation.events
            if incoming.is_message
        ]
        if not entries:
            return
        yield from arrivals.accept_messages([entry for _, entry in entries])
        self.happened += arrivals.happenings_of([entry for _, entry in entries])
        for place, entry in entries:
            self.tallies[place].count_message(entry)

    def apply_reports(self) -> Steps[None]:
        """Raise the deliveries that the statuses and watermarks mean."""
        reports = self._events(Status)
        if reports:
            told = [(name, event, at) for _, name, event, at in reports]
            known = yield from statuses.apply_statuses(told, self.happened)
            for (place, *_), settled in zip(reports, known, strict=True):
                self.tallies[place].count_status(settled)
        watermarks = self._events(Watermark)
        if watermarks:
            yield from statuses.apply_watermarks([(name, event) for _, name, event, _ in watermarks])
            for place, *_ in watermarks:
                self.tallies[place].count_status(False)

    def apply_changes(self, kinds: tuple[type[Event], ...], apply_changes: Changes) -> Steps[None]:
        """Apply events of some kinds."""
        events = self._events(*kinds)
        if events:
            known = yield from apply_changes([(name, event) for _, name, event, _ in events])
            for (place, *_), is_known in zip(events, known, strict=True):
                self.tallies[place].count_change(is_known)

    def apply_controls(self) -> Steps[None]:
        """Hand conversations over as the platform says, and keep what customers told it about messages."""
        controls = self._events(Control)
        if controls:
            told = [(name, event, at) for _, name, event, at in controls]
            due = yield from people.apply_controls(told, self.happened)
            for (place, *_), due_at in zip(controls, due, strict=True):
                self.tallies[place].count_change(True)
                self.tallies[place].due += [due_at] if due_at is not None else []
        preferences = self._events(Preference)
        if preferences:
            yield from consent.record_preferences(
                [(name, event, self._said_at(place, event)) for place, name, event, _ in preferences]
            )
            for place, *_ in preferences:
                self.tallies[place].count_change(True)

    def _events(self, *kinds: type[Event]) -> list[tuple[int, str, Any, datetime]]:
        """Return (place of the request, channel_name, event, when it came) of these kinds."""
        return [
            (place, incoming.channel_name, incoming.event, operation.received_at)
            for place, operation in enumerate(self._operations)
            for incoming in operation.events
            if isinstance(incoming.event, kinds)
        ]

    def _said_at(self, place: int, event: Preference) -> datetime:
        came_at = self._operations[place].said_at or self._operations[place].received_at
        return min(event.sent_at or came_at, came_at)


def _entry(operation: Accept, incoming: Incoming) -> Entry:
    return Entry(
        incoming,
        received_at=operation.received_at,
        came_at=operation.said_at,
        answer_while_waiting=operation.answer_while_waiting,
    )
