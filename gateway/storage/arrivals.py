"""Messages on their way in: stored once, numbered without gaps, and what they change about their conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels.base import Attachment, Consent, Echo, Inbound, Note
from channels.content import Choice
from gateway.storage import choices, clues, consent, hooks, threads
from gateway.storage.consent import Consent as Said
from gateway.storage.hook_facts import Happening
from gateway.storage.incoming import Incoming
from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.threads import Thread

COALESCE_CAP = 5
"""A conversation waits at most this many coalescing times after its first unanswered message."""

FETCH_AFTER = timedelta(seconds=15)
"""A turn fetches its own files; those that no turn has asked for by then are fetched in the background."""

INSERT_MESSAGES = statement(
    f"""
    INSERT INTO conversation_messages (conversation_id, role, content, sequence_number, timestamp, has_attachments,
        attachment_urls, metadata, channel_name, external_id, consent, asks)
    SELECT r.conversation_id, r.role, r.content, r.sequence_number, r.stored_at, r.has_attachments,
        r.attachment_urls, r.metadata, r.channel_name, r.external_id, r.consent, r.asks
    FROM {{r}} WHERE TRUE ON CONFLICT (channel_name, external_id) DO NOTHING
    RETURNING id, conversation_id, sequence_number, {hooks.IS_FOLLOWED}
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
    asks="bool",
)

DELETE_MESSAGES = statement(
    "DELETE FROM conversation_messages WHERE id IN (SELECT r.message_id FROM {r})", message_id="int"
)

LET_BE = statement(
    "UPDATE conversation_messages AS m SET asks = FALSE FROM {r} WHERE m.id = r.message_id", message_id="int"
)

INSERT_ATTACHMENTS = statement(
    """
    INSERT INTO attachments (message_id, position, url, content_type, name, status, sha256, size, attempts,
        next_attempt_at)
    SELECT r.message_id, r.position, r.url, r.content_type, r.name, r.status, r.sha256, r.size, 0, r.next_attempt_at
    FROM {r}
    """,
    message_id="int",
    position="int",
    url="text",
    content_type="text",
    name="text",
    status="text",
    sha256="text",
    size="int",
    next_attempt_at="time",
)

FINGERPRINTS = statement(
    """
    SELECT m.channel_name, m.external_id, m.metadata FROM conversation_messages AS m
    JOIN {r} ON m.channel_name = r.channel_name AND m.external_id = r.external_id
    """,
    channel_name="text",
    external_id="text",
)


@dataclass(slots=True, eq=False)
class Entry:
    """One message on its way in; the second half is what becomes of it."""

    incoming: Incoming
    received_at: datetime
    came_at: datetime | None
    """When it first came, where it waited to be taken in; None where it comes now."""
    answer_while_waiting: bool

    thread: Thread = field(init=False)
    sequence_number: int = 0
    message_id: int = 0
    is_stored: bool = False
    is_followed: bool = False
    """Whether somebody wants to be told of anything at all."""
    due_at: datetime | None = None
    """When the turn that it asks for is due."""
    is_plain_yes: bool = False
    """An opt-in word from somebody who never opted out: "yes" is then an answer to a question of ours."""
    is_in_vain: bool = False
    """Whether its sender is to have no answer, by their own wish or because somebody here has blocked them."""
    changes_consent: bool = False
    """Whether it says something about consent that nothing said later has overtaken."""
    choice: Choice | None = None
    external_id: str = field(init=False)
    is_out_of_place: bool = False
    """Whether it claims to continue a conversation that is somebody else's."""

    def __post_init__(self) -> None:
        self.choice = self.event.choice if isinstance(self.event, Inbound) else None
        self.external_id = self.event.external_id

    @property
    def event(self) -> Inbound | Echo | Note:
        """What the platform told."""
        assert isinstance(self.incoming.event, Inbound | Echo | Note)
        return self.incoming.event

    @property
    def said_at(self) -> datetime:
        """When it was written, as far as we know."""
        came_at = self.came_at or self.received_at
        return min(self.event.sent_at or came_at, came_at)

    @property
    def may_be_late(self) -> bool:
        """Whether somebody may have said something since, although it arrives only now."""
        return self.came_at is not None or self.event.sent_at is not None

    @property
    def consent(self) -> Consent | None:
        """Which consent keyword it is, if it is one."""
        if self.is_plain_yes or not isinstance(self.event, Inbound) or self.event.automatic is not None:
            return None
        return self.event.consent

    @property
    def asks(self) -> bool:
        """Whether a turn answers it."""
        if not isinstance(self.event, Inbound) or self.event.overheard or self.event.automatic is not None:
            return False
        return self.consent is None

    @property
    def fingerprint(self) -> str | None:
        """A hash of what it says, where its id alone does not tell it from others."""
        return self.event.fingerprint if isinstance(self.event, Inbound) else None

    @property
    def known_as(self) -> tuple[str, ...]:
        """What later messages may call it or its thread."""
        return self.event.known_as if isinstance(self.event, Inbound) else ()

    @property
    def text(self) -> str:
        """Its words; a note has its name."""
        return self.event.name if isinstance(self.event, Note) else self.event.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that came with it."""
        return () if isinstance(self.event, Note) else self.event.attachments

    @property
    def proves_reach(self) -> bool:
        """Whether somebody writes from an address that was found to take no messages."""
        is_written = isinstance(self.event, Inbound) and self.event.automatic is None
        return is_written and self.thread.consent.undeliverable

    @property
    def consent_address(self) -> str:
        """Whose consent it is: the address that answers go to; in a thread of several senders, the sender's own."""
        if isinstance(self.event, Inbound) and self.event.thread_key is not None:
            return self.event.sender
        return self.thread.address


def accept_messages(entries: Sequence[Entry]) -> Steps[None]:
    """Store what is new of these messages and save what they change about their conversations."""
    yield from clues.follow(entries)
    found = yield from threads.find_or_make([(entry.incoming, entry.received_at) for entry in entries])
    for entry in entries:
        entry.thread = found[entry.incoming.thread]
    _weigh_consent(entries)
    yield from _understand_numbers(entries)
    yield from _insert(entries)
    stored = [entry for entry in entries if entry.is_stored]
    yield from clues.remember(stored)
    for entry in stored:
        _advance(entry)
    in_vain = [{"message_id": entry.message_id} for entry in stored if entry.is_in_vain]
    if in_vain:
        yield LET_BE, in_vain
    yield from consent.reached([(e.incoming.channel_name, e.consent_address) for e in stored if e.proves_reach])
    attachments = [record for entry in stored for record in _attachments(entry)]
    if attachments:
        yield INSERT_ATTACHMENTS, attachments
    touched = {entry.thread.id: entry.thread for entry in stored}
    if touched:
        yield from threads.save(list(touched.values()))
    yield from consent.record(
        [(e.incoming.channel_name, e.consent_address, e.consent, e.said_at) for e in stored if e.changes_consent]
    )
    yield from threads.silence_bot([t.id for t in touched.values() if t.taken_over], "taken_over")


def happenings_of(entries: Sequence[Entry]) -> list[Happening]:
    """Return what receivers are to be told of stored messages: a note is nobody's words."""
    told = {Inbound: "message.received", Echo: "message.sent"}
    happened = [
        Happening(told[type(e.event)], e.thread.id, e.received_at, e.message_id, _sender(e))
        for e in entries
        if e.is_followed and type(e.event) in told
    ]
    taken = {e.thread.id: e for e in entries if e.is_followed and e.thread.taken_over}
    return happened + [Happening("conversation.taken_over", id_, e.received_at) for id_, e in taken.items()]


def _sender(entry: Entry) -> dict[str, str]:
    return {"sender": entry.event.sender} if isinstance(entry.event, Inbound) else {}


# --- what it says ----------------------------------------------------------------------------------------------


def _weigh_consent(entries: Sequence[Entry]) -> None:
    """Follow each thread's consent through the batch, to know which words still change it.

    A START that a poll or a replay finds late does not lift a STOP that was written after it.
    """
    state: dict[int, tuple[bool, datetime | None]] = {}
    for entry in entries:
        thread = entry.thread
        stored = (thread.consent.stops_what_we_begin, thread.consent.said_at)
        opted_out, said_at = state.get(thread.id, stored)
        if entry.consent is Consent.OPT_IN and not opted_out:
            entry.is_plain_yes = True
        elif entry.consent in (Consent.OPT_OUT, Consent.OPT_IN):
            # What comes live counts in the order in which it comes, whatever the clocks of two processes say.
            entry.changes_consent = not entry.may_be_late or said_at is None or entry.said_at >= said_at
            if entry.changes_consent:
                state[thread.id] = entry.consent is Consent.OPT_OUT, entry.said_at


def _understand_numbers(entries: Sequence[Entry]) -> Steps[None]:
    """Take a number for the choice that it stands for, where the last thing that we said offered choices."""
    numbers = {id(e): n for e in entries if e.asks and e.choice is None and (n := choices.number_in(e.text))}
    asking = [entry for entry in entries if id(entry) in numbers]
    offered = yield from choices.offered_to(entry.thread.id for entry in asking)
    for entry in asking:
        known = offered.get(entry.thread.id, ())
        if 0 < numbers[id(entry)] <= len(known):
            entry.choice = known[numbers[id(entry)] - 1]


def _record(entry: Entry) -> dict[str, Any]:
    event = entry.event
    metadata = dict(event.metadata)
    if event.sent_at is not None:
        metadata["sent_at"] = event.sent_at.isoformat()
    if entry.choice is not None:
        metadata["choice"] = {"id": entry.choice.id, "title": entry.choice.title}
    if isinstance(event, Inbound) and event.overheard:
        metadata["overheard"] = True
    if isinstance(event, Inbound) and event.automatic is not None:
        metadata["automatic"] = event.automatic
    if entry.fingerprint is not None:
        metadata["fingerprint"] = entry.fingerprint
    if entry.is_out_of_place:
        metadata["out_of_place"] = True
    return {
        "conversation_id": entry.thread.id,
        "role": _role(event),
        "content": entry.text,
        "sequence_number": entry.sequence_number,
        "stored_at": entry.received_at,
        "has_attachments": bool(entry.attachments),
        "attachment_urls": [attachment.url for attachment in entry.attachments],
        "metadata": metadata,
        "channel_name": entry.incoming.channel_name,
        "external_id": entry.external_id,
        "consent": entry.consent,
        "asks": entry.asks,
    }


def _role(event: Inbound | Echo | Note) -> str:
    if isinstance(event, Inbound):
        return "user"
    return "agent" if isinstance(event, Echo) else "system"


def _attachments(entry: Entry) -> list[dict[str, Any]]:
    kept = {file.position for file in entry.incoming.files}
    pending = [
        {
            "message_id": entry.message_id,
            "position": position,
            "url": attachment.url,
            "content_type": attachment.content_type,
            "name": attachment.name,
            "status": "pending",
            "sha256": None,
            "size": None,
            "next_attempt_at": entry.received_at + FETCH_AFTER,
        }
        for position, attachment in enumerate(entry.attachments)
        if position not in kept
    ]
    stored = [
        {"message_id": entry.message_id, "status": "stored", "next_attempt_at": None, **asdict(file)}
        for file in entry.incoming.files
    ]
    return pending + stored


# --- its number ------------------------------------------------------------------------------------------------


def _insert(entries: Sequence[Entry]) -> Steps[None]:
    """Insert what is new and number it; a gap that a duplicate leaves is closed by inserting the survivors again."""
    fresh: dict[tuple[str, str, str | None], Entry] = {}
    for entry in entries:
        fresh.setdefault((entry.incoming.channel_name, entry.external_id, entry.fingerprint), entry)
    yield from _try_insert(list(fresh.values()))
    survivors = [entry for entry in fresh.values() if entry.is_stored]
    if len(survivors) == len(fresh):
        return
    others = yield from _tell_apart([entry for entry in fresh.values() if not entry.is_stored])
    kept = [entry for entry in fresh.values() if entry.is_stored or entry in others]
    gaps = {e.thread.id for e, number in _numbered(kept) if e.sequence_number != number or not e.is_stored}
    again = [entry for entry in kept if entry.thread.id in gaps]
    if again:
        stored = [{"message_id": entry.message_id} for entry in again if entry.is_stored]
        if stored:
            yield DELETE_MESSAGES, stored
        yield from _try_insert(again)
        late = [entry for entry in again if not entry.is_stored]  # another message under a known id came twice
        if late:
            yield from _close_gaps([entry for entry in again if entry.is_stored])


def _close_gaps(entries: Sequence[Entry]) -> Steps[None]:
    gaps = {entry.thread.id for entry, number in _numbered(entries) if entry.sequence_number != number}
    again = [entry for entry in entries if entry.thread.id in gaps]
    if again:
        yield DELETE_MESSAGES, [{"message_id": entry.message_id} for entry in again]
        yield from _try_insert(again)


def _tell_apart(known: Sequence[Entry]) -> Steps[list[Entry]]:
    """Give an id of its own to what says something else than the message that has its id; returns those."""
    doubtful = [entry for entry in known if entry.fingerprint is not None]
    if not doubtful:
        return []
    rows = yield (
        FINGERPRINTS,
        [{"channel_name": e.incoming.channel_name, "external_id": e.external_id} for e in doubtful],
    )
    said = {(r["channel_name"], r["external_id"]): (load_json(r["metadata"]) or {}).get("fingerprint") for r in rows}
    others = [e for e in doubtful if said[e.incoming.channel_name, e.external_id] not in (None, e.fingerprint)]
    for entry in others:
        entry.external_id = f"{entry.external_id}#{entry.fingerprint}"
    return others


def _try_insert(entries: Sequence[Entry]) -> Steps[None]:
    for entry, number in _numbered(entries):
        entry.sequence_number = number
    rows = yield INSERT_MESSAGES, [_record(entry) for entry in entries]
    stored = {(row["conversation_id"], row["sequence_number"]): row for row in rows}
    for entry in entries:
        row = stored.get((entry.thread.id, entry.sequence_number), {})
        entry.is_stored, entry.message_id = bool(row), row.get("id", 0)
        entry.is_followed = bool(row.get("is_followed"))


def _numbered(entries: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Give each entry its number, as if all of them were stored."""
    last: dict[int, int] = {}
    numbered = []
    for entry in entries:
        last[entry.thread.id] = last.get(entry.thread.id, entry.thread.total_messages) + 1
        numbered.append((entry, last[entry.thread.id]))
    return numbered


# --- what it changes -------------------------------------------------------------------------------------------


def _advance(entry: Entry) -> None:
    """Say what a stored message changes about its conversation, in memory; it is saved once for all of them."""
    thread, event = entry.thread, entry.event
    thread.total_messages = entry.sequence_number
    thread.last_activity_at = entry.received_at
    thread.account = event.account
    if isinstance(event, Note):
        return
    if isinstance(event, Inbound) and event.automatic is not None:
        thread.user_messages += 1
        return
    thread.coalesce_ms = round(entry.incoming.coalesce_s * 1000)
    if not thread.is_active:
        thread.is_active, thread.mode, thread.assigned_to = True, "bot", None
    if isinstance(event, Echo):
        thread.take_over(answered=entry.sequence_number, at=entry.said_at)
        return
    thread.user_messages += 1
    thread.user_name = thread.user_name or event.sender_name
    thread.customer_wrote_at = max(thread.customer_wrote_at or entry.said_at, entry.said_at)
    if entry.asks:
        _make_due(entry)
    elif entry.changes_consent:
        said = entry.consent is Consent.OPT_OUT
        thread.consent = Said(said, said_at=entry.said_at, blocked=thread.consent.blocked)
        if thread.opted_out:
            thread.drop_waiting(answered=entry.sequence_number)


def _make_due(entry: Entry) -> None:
    thread = entry.thread
    waiting_before = thread.has_waiting
    thread.last_user_sequence = entry.sequence_number
    if not thread.is_answered:
        entry.is_in_vain, thread.answered_sequence = True, entry.sequence_number
        return
    if not thread.bot_answers(entry.answer_while_waiting):
        return
    wait = timedelta(seconds=entry.incoming.coalesce_s)
    if not waiting_before or thread.due_cap_at is None:
        thread.due_cap_at = entry.received_at + COALESCE_CAP * wait
    thread.due_at = min(entry.received_at + wait, thread.due_cap_at)
    entry.due_at = thread.due_at
