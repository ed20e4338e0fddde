"""Accepting events: what a webhook told becomes durable, once, in one transaction with whatever arrives beside it.

The batch's conversations are found or made and locked in id order. Messages are inserted against the unique
constraints, which alone decide what is a duplicate; what is left is numbered from ``total_messages`` without gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from channels.base import Consent, Echo, Inbound, Status
from gateway.storage import consent, threads
from gateway.storage.rejected import Rejected, keep_rejected
from gateway.storage.sql import Steps, statement
from gateway.storage.statuses import apply_statuses
from gateway.storage.threads import Thread, ThreadKey
from gateway.storage.writer import Operation

COALESCE_CAP = 5
"""A conversation waits at most this many coalescing times after its first unanswered message."""


FETCH_AFTER = timedelta(seconds=15)
"""A turn fetches its own files; those that no turn has asked for by then are fetched in the background."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event with what the core knows about the channel that it belongs to."""

    channel_name: str
    kind: str
    event: Inbound | Echo | Status
    coalesce_s: float = 0.0

    @property
    def thread(self) -> ThreadKey:
        """What makes its conversation one."""
        if isinstance(self.event, Inbound):
            return ThreadKey(self.channel_name, self.event.thread_key or self.event.sender)
        assert isinstance(self.event, Echo)
        return ThreadKey(self.channel_name, self.event.recipient)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request's events."""

    messages: int = 0
    duplicates: int = 0
    statuses: int = 0
    unknown_statuses: int = 0
    due_at: datetime | None = None
    """When the earliest turn that these events ask for is due; None where they ask for none."""
    deliveries_released: bool = False
    """True where a status settled something that later deliveries were waiting behind."""


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
    poll: tuple[str, Mapping[str, Any]] | None = None
    """The channel and the checkpoint of the poll that found these events: they are committed together."""

    @property
    def keys(self) -> frozenset[str]:
        """The threads: a conversation's messages keep their order whatever they have to wait for."""
        return frozenset(f"{i.thread.channel_name}\n{i.thread.key}" for i in self.events if _is_message(i))

    @classmethod
    def apply(cls, operations: Sequence[Accept]) -> Steps[list[Accepted]]:
        """Apply a batch of requests; payload order within a request, submission order between requests."""
        tallies = [_Tally() for _ in operations]
        entries = [
            _Entry(index, operation, incoming)
            for index, operation in enumerate(operations)
            for incoming in operation.events
            if _is_message(incoming)
        ]
        if entries:
            yield from _accept_messages(entries, tallies)
        statuses = [
            (index, incoming.channel_name, incoming.event, operation.received_at)
            for index, operation in enumerate(operations)
            for incoming in operation.events
            if isinstance(incoming.event, Status)
        ]
        if statuses:
            known = yield from apply_statuses([row[1:] for row in statuses])
            for (index, *_), settled in zip(statuses, known, strict=True):
                tallies[index].count_status(settled)
        rejected = [row for operation in operations for row in operation.rejected]
        if rejected:
            yield from keep_rejected(rejected)
        polls = [operation.poll for operation in operations if operation.poll is not None]
        if polls:
            yield SAVE_CHECKPOINT, [{"channel_name": name, "checkpoint": checkpoint} for name, checkpoint in polls]
        return [tally.result() for tally in tallies]


SAVE_CHECKPOINT = statement(
    "UPDATE channel_states AS s SET poll_checkpoint = r.checkpoint FROM {r} WHERE s.channel_name = r.channel_name",
    channel_name="text",
    checkpoint="json",
)

INSERT_MESSAGES = statement(
    """
    INSERT INTO conversation_messages (conversation_id, role, content, sequence_number, timestamp, has_attachments,
        attachment_urls, metadata, channel_name, external_id, consent)
    SELECT r.conversation_id, r.role, r.content, r.sequence_number, r.stored_at, r.has_attachments,
        r.attachment_urls, r.metadata, r.channel_name, r.external_id, r.consent
    FROM {r} WHERE TRUE ON CONFLICT DO NOTHING RETURNING id, conversation_id, sequence_number
    """,
    conversation_id="int",
    role="text",
    content="text",
    sequence_number="int",
    stored_at="time",
    has_attachments="bool",
    attachment_urls="json",
    metadata="json",
    channel_name="text",
    external_id="text",
    consent="text",
)

DELETE_MESSAGES = statement(
    "DELETE FROM conversation_messages WHERE id IN (SELECT r.message_id FROM {r})", message_id="int"
)

INSERT_ATTACHMENTS = statement(
    """
    INSERT INTO attachments (message_id, position, url, content_type, name, status, attempts, next_attempt_at)
    SELECT r.message_id, r.position, r.url, r.content_type, r.name, 'pending', 0, r.next_attempt_at FROM {r}
    """,
    message_id="int",
    position="int",
    url="text",
    content_type="text",
    name="text",
    next_attempt_at="time",
)


class _Entry:
    """One message on its way in."""

    def __init__(self, operation: int, request: Accept, incoming: Incoming) -> None:
        self.operation = operation
        self.request = request
        self.incoming = incoming
        assert not isinstance(incoming.event, Status)
        self.event: Inbound | Echo = incoming.event
        self.sequence_number = 0
        self.message_id = 0
        self.is_plain_yes = False
        """An opt-in word from somebody who never opted out: "yes" is then an answer to a question of ours."""
        self.changes_consent = False
        """Whether it says something about consent that nothing said later has overtaken."""

    @property
    def said_at(self) -> datetime:
        """When the customer wrote it, as far as we know."""
        came_at = self.request.said_at or self.request.received_at
        return min(self.event.sent_at or came_at, came_at)

    @property
    def consent(self) -> Consent | None:
        return self.event.consent if isinstance(self.event, Inbound) and not self.is_plain_yes else None

    def record(self, thread: Thread) -> dict[str, Any]:
        metadata = dict(self.event.metadata)
        if self.event.sent_at is not None:
            metadata["sent_at"] = self.event.sent_at.isoformat()
        return {
            "conversation_id": thread.id,
            "role": "user" if isinstance(self.event, Inbound) else "agent",
            "content": self.event.text,
            "sequence_number": self.sequence_number,
            "stored_at": self.request.received_at,
            "has_attachments": bool(self.event.attachments),
            "attachment_urls": [attachment.url for attachment in self.event.attachments],
            "metadata": metadata,
            "channel_name": self.incoming.channel_name,
            "external_id": self.event.external_id,
            "consent": self.consent,
        }


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    duplicates: int = 0
    statuses: int = 0
    unknown_statuses: int = 0
    due: list[datetime] = field(default_factory=list)
    released: bool = False

    def count_status(self, settled: bool | None) -> None:
        if settled is None:
            self.unknown_statuses += 1
        else:
            self.statuses += 1
            self.released = self.released or settled

    def result(self) -> Accepted:
        return Accepted(
            self.messages,
            self.duplicates,
            self.statuses,
            self.unknown_statuses,
            min(self.due, default=None),
            self.released,
        )


def _is_message(incoming: Incoming) -> bool:
    return not isinstance(incoming.event, Status)


def _accept_messages(entries: list[_Entry], tallies: list[_Tally]) -> Steps[None]:
    found = yield from threads.find_or_make([(e.incoming, e.request.received_at) for e in entries])
    _weigh_consent(entries, found)
    accepted = yield from _insert(entries, found, tallies)
    for entry in accepted:
        _advance(entry, found[entry.incoming.thread], tallies[entry.operation])
    attachments = [record for entry in accepted for record in _attachments(entry)]
    if attachments:
        yield INSERT_ATTACHMENTS, attachments
    touched = {entry.incoming.thread: found[entry.incoming.thread] for entry in accepted}
    if touched:
        yield from threads.save(list(touched.values()))
    yield from consent.record(
        [(e.incoming.channel_name, _address(e), e.consent, e.said_at) for e in accepted if e.changes_consent]
    )
    yield from threads.silence_bot([t.id for t in touched.values() if t.taken_over], "taken_over")


def _weigh_consent(entries: list[_Entry], found: Mapping[ThreadKey, Thread]) -> None:
    """Follow each thread's consent through the batch, to know which words still change it.

    A START that a poll or a replay finds late does not lift a STOP that was written after it.
    """
    state = {key: (thread.opted_out, thread.consent_at) for key, thread in found.items()}
    for entry in entries:
        key = entry.incoming.thread
        opted_out, consent_at = state[key]
        if entry.consent is Consent.OPT_IN and not opted_out:
            entry.is_plain_yes = True
        elif entry.consent in (Consent.OPT_OUT, Consent.OPT_IN):
            entry.changes_consent = consent_at is None or entry.said_at >= consent_at
            if entry.changes_consent:
                state[key] = entry.consent is Consent.OPT_OUT, entry.said_at


def _address(entry: _Entry) -> str:
    return entry.event.sender if isinstance(entry.event, Inbound) else entry.event.recipient


def _attachments(entry: _Entry) -> list[dict[str, Any]]:
    return [
        {
            "message_id": entry.message_id,
            "position": position,
            "url": attachment.url,
            "content_type": attachment.content_type,
            "name": attachment.name,
            "next_attempt_at": entry.request.received_at + FETCH_AFTER,
        }
        for position, attachment in enumerate(entry.event.attachments)
    ]


def _insert(entries: list[_Entry], found: Mapping[ThreadKey, Thread], tallies: list[_Tally]) -> Steps[list[_Entry]]:
    """Insert what is new and number it; a gap that a duplicate leaves is closed by inserting the survivors again."""
    fresh: list[_Entry] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        identity = (entry.incoming.channel_name, entry.event.external_id)
        if identity in seen:
            tallies[entry.operation].duplicates += 1
        else:
            seen.add(identity)
            fresh.append(entry)
    survivors = yield from _try_insert(fresh, found)
    if len(survivors) < len(fresh):
        alive = set(map(id, survivors))
        for entry in fresh:
            if id(entry) not in alive:
                tallies[entry.operation].duplicates += 1
        gapped = [entry for entry in survivors if entry.sequence_number != _number(entry, survivors, found)]
        if gapped:
            threads_with_gaps = {entry.incoming.thread for entry in gapped}
            again = [entry for entry in survivors if entry.incoming.thread in threads_with_gaps]
            yield DELETE_MESSAGES, [{"message_id": entry.message_id} for entry in again]
            yield from _try_insert(again, found)
    return survivors


def _number(entry: _Entry, survivors: Sequence[_Entry], found: Mapping[ThreadKey, Thread]) -> int:
    thread = found[entry.incoming.thread]
    before = sum(
        1
        for other in survivors
        if other.incoming.thread == entry.incoming.thread and other.sequence_number < entry.sequence_number
    )
    return thread.total_messages + before + 1


def _try_insert(entries: Sequence[_Entry], found: Mapping[ThreadKey, Thread]) -> Steps[list[_Entry]]:
    if not entries:
        return []
    last: dict[ThreadKey, int] = {}
    for entry in entries:
        key = entry.incoming.thread
        last[key] = last.get(key, found[key].total_messages) + 1
        entry.sequence_number = last[key]
    rows = yield INSERT_MESSAGES, [entry.record(found[entry.incoming.thread]) for entry in entries]
    ids = {(row["conversation_id"], row["sequence_number"]): row["id"] for row in rows}
    survivors = []
    for entry in entries:
        message_id = ids.get((found[entry.incoming.thread].id, entry.sequence_number))
        if message_id is not None:
            entry.message_id = message_id
            survivors.append(entry)
    return survivors


def _advance(entry: _Entry, thread: Thread, tally: _Tally) -> None:
    """Say what an accepted message changes about its conversation, in memory; it is saved once for all of them."""
    tally.messages += 1
    thread.total_messages = entry.sequence_number
    thread.last_activity_at = entry.request.received_at
    if not thread.is_active:
        thread.is_active, thread.mode, thread.assigned_to = True, "bot", None
    thread.account = entry.event.account
    thread.coalesce_ms = round(entry.incoming.coalesce_s * 1000)
    if isinstance(entry.event, Echo):
        thread.take_over(answered=entry.sequence_number)
        return
    thread.user_messages += 1
    thread.user_name = thread.user_name or entry.event.sender_name
    if entry.consent is None:
        _make_due(entry, thread, tally)
    elif entry.changes_consent:
        thread.opted_out = entry.consent is Consent.OPT_OUT
        if thread.opted_out:
            thread.drop_waiting(answered=entry.sequence_number)


def _make_due(entry: _Entry, thread: Thread, tally: _Tally) -> None:
    waiting_before = thread.has_waiting
    thread.last_user_sequence = entry.sequence_number
    if thread.opted_out:  # an answer could not be delivered: it is on record, and waits for nothing
        thread.answered_sequence = entry.sequence_number
        return
    if not thread.bot_answers(entry.request.answer_while_waiting):
        return
    wait = timedelta(seconds=entry.incoming.coalesce_s)
    due_at = entry.request.received_at + wait
    if not waiting_before or thread.due_cap_at is None:
        thread.due_cap_at = entry.request.received_at + COALESCE_CAP * wait
    thread.due_at = min(due_at, thread.due_cap_at)
    tally.due.append(thread.due_at)
