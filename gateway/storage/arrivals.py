"""Messages on their way in: stored once, numbered without gaps, and what they change about their conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from channels.base import Consent, Echo, Inbound, Note
from gateway.storage import choices, clues, consent, numbering, threads
from gateway.storage.consent import Consent as Said
from gateway.storage.entries import Entry
from gateway.storage.hook_facts import Happening
from gateway.storage.sql import Steps, statement

COALESCE_CAP = 5
"""A conversation waits at most this many coalescing times after its first unanswered message."""

FETCH_AFTER = timedelta(seconds=15)
"""A turn fetches its own files; those that no turn has asked for by then are fetched in the background."""

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


def accept_messages(entries: Sequence[Entry]) -> Steps[None]:
    """Store what is new of these messages and save what they change about their conversations."""
    yield from clues.follow(entries)
    found = yield from threads.find_or_make([(entry.incoming, entry.received_at) for entry in entries])
    for entry in entries:
        entry.thread = found[entry.incoming.thread]
    _weigh_consent(entries)
    yield from _understand_numbers(entries)
    yield from numbering.insert(entries)
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
