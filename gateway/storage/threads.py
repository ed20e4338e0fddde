"""The conversation rows that an accepting transaction finds or makes, locks, changes and saves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from channels.base import Echo, Inbound, Note
from gateway.storage import consent, contacts, identities
from gateway.storage.consent import UNSAID, Consent
from gateway.storage.incoming import Incoming, ThreadKey, phone_in
from gateway.storage.sql import Steps, statement


@dataclass(slots=True)
class Thread:
    """A locked conversation row."""

    id: int
    channel_name: str
    thread_key: str
    mode: str
    assigned_to: str | None
    is_active: bool
    user_name: str | None
    address: str
    account: str | None
    total_messages: int
    user_messages: int
    answered_sequence: int
    last_user_sequence: int
    input_sequence: int | None
    coalesce_ms: int
    due_at: datetime | None
    due_cap_at: datetime | None
    fence: int
    last_activity_at: datetime
    customer_wrote_at: datetime | None
    control_at: datetime | None
    handled_at: datetime | None
    consent: Consent = UNSAID
    taken_over: bool = False

    @property
    def opted_out(self) -> bool:
        """Whether the customer wants no message at all."""
        return self.consent.opted_out

    @property
    def is_answered(self) -> bool:
        """Whether the customer is to have answers: they want them, and nobody here has blocked them."""
        return not (self.consent.opted_out or self.consent.blocked)

    @property
    def has_waiting(self) -> bool:
        """Whether a message waits that the present turn, if there is one, does not answer."""
        return self.last_user_sequence > max(self.answered_sequence, self.input_sequence or 0)

    def bot_answers(self, answer_while_waiting: bool) -> bool:
        """Whether the bot speaks in this conversation's mode."""
        return self.mode == "bot" or (self.mode == "waiting" and answer_while_waiting)

    def drop_waiting(self, *, answered: int) -> None:
        """Ask for no turn any more, and let a running one fail at its fence."""
        self.answered_sequence = answered
        self.input_sequence = None
        self.due_at = self.due_cap_at = None
        self.fence += 1

    def take_over(self, *, answered: int, at: datetime) -> None:
        """Hand the conversation to the person who wrote at that time."""
        self.control_at = max(self.control_at or at, at)
        self.handled_at = max(self.handled_at or at, at)
        self.taken_over = self.taken_over or self.mode != "human"
        self.mode = "human"
        self.drop_waiting(answered=answered)


_LOCKED = """
    c.id, c.channel_name, c.thread_key, c.mode, c.assigned_to, c.is_active, c.user_name, c.address, c.account,
    c.total_messages, c.user_messages, c.answered_sequence, c.last_user_sequence, c.input_sequence, c.coalesce_ms,
    c.due_at, c.due_cap_at, c.fence, c.last_activity_at, c.customer_wrote_at, c.control_at,
    c.handled_at
"""

LOCK = statement(
    f"""
    SELECT {_LOCKED}, r.thread_key AS asked_key FROM chat_conversations AS c
    JOIN {{r}} ON c.channel_name = r.channel_name AND c.thread_key = {identities.ALIAS_OF.format(address="thread_key")}
    ORDER BY c.id {{lock c}}
    """,
    channel_name="text",
    thread_key="text",
)

# Whoever has a lasting id beside the address is known by that: the address alone joins them with nobody's contact.
MAKE_CONVERSATIONS = statement(
    """
    INSERT INTO chat_conversations (conversation_id, channel, channel_name, thread_key, address, account, contact_id,
        user_name, user_phone, user_email, identity, created_at, last_activity_at, is_active, mode, total_messages,
        user_messages, bot_messages, escalated, converted_to_lead, converted_to_appointment, answered_sequence,
        last_user_sequence, coalesce_ms, fence, turn_attempts, amendments)
    SELECT r.conversation_id, r.channel, r.channel_name, r.thread_key, r.address, r.account,
        (SELECT a.contact_id FROM addresses AS a WHERE a.channel_name = r.channel_name AND a.address = r.address
            AND (r.identity IS NULL OR r.identity = r.address)),
        r.user_name, r.user_phone, r.user_email, r.identity, r.created_at, r.created_at, TRUE, 'bot', 0, 0, 0,
        FALSE, FALSE, FALSE, 0, 0, 0, 0, 0, 0
    FROM {r} WHERE TRUE ORDER BY r.channel_name, r.thread_key ON CONFLICT DO NOTHING
    RETURNING id, channel_name, address, identity, user_name, created_at
    """,
    conversation_id="text",
    channel="text",
    channel_name="text",
    thread_key="text",
    address="text",
    account="text",
    user_name="text",
    user_phone="text",
    user_email="text",
    identity="text",
    created_at="time",
)

SAVE = statement(
    """
    UPDATE chat_conversations AS c SET mode = r.mode, assigned_to = r.assigned_to, is_active = r.is_active,
        user_name = r.user_name, account = r.account, total_messages = r.total_messages,
        user_messages = r.user_messages, answered_sequence = r.answered_sequence,
        last_user_sequence = r.last_user_sequence, input_sequence = r.input_sequence, coalesce_ms = r.coalesce_ms,
        due_at = r.due_at, due_cap_at = r.due_cap_at, last_activity_at = r.last_activity_at,
        customer_wrote_at = r.customer_wrote_at, control_at = r.control_at, handled_at = r.handled_at,
        lease_owner = CASE WHEN r.fence > c.fence THEN NULL ELSE c.lease_owner END,
        lease_expires_at = CASE WHEN r.fence > c.fence THEN NULL ELSE c.lease_expires_at END,
        turn_attempts = CASE WHEN r.fence > c.fence THEN 0 ELSE c.turn_attempts END,
        fence = r.fence
    FROM {r} WHERE c.id = r.id
    """,
    id="int",
    mode="text",
    assigned_to="text",
    is_active="bool",
    user_name="text",
    account="text",
    total_messages="int",
    user_messages="int",
    answered_sequence="int",
    last_user_sequence="int",
    input_sequence="int",
    coalesce_ms="int",
    due_at="time",
    due_cap_at="time",
    last_activity_at="time",
    customer_wrote_at="time",
    control_at="time",
    handled_at="time",
    fence="int",
)

SILENCE_BOT = statement(
    """
    UPDATE deliveries AS d SET silenced = r.reason,
        status = CASE WHEN d.status = 'queued' THEN 'cancelled' ELSE d.status END,
        error_code = CASE WHEN d.status = 'queued' THEN r.reason ELSE d.error_code END,
        next_attempt_at = CASE WHEN d.status = 'queued' THEN NULL ELSE d.next_attempt_at END,
        prepared = CASE WHEN d.status = 'queued' THEN NULL ELSE d.prepared END
    FROM {r} WHERE d.conversation_id = r.conversation_id AND d.role = 'assistant'
    AND d.status IN ('queued', 'sending', 'unconfirmed')
    """,
    conversation_id="int",
    reason="text",
)

_FIELDS = tuple(field.name for field in fields(Thread) if field.name not in ("consent", "taken_over"))


def find_or_make(arriving: Sequence[tuple[Incoming, datetime]]) -> Steps[dict[ThreadKey, Thread]]:
    """Lock the conversations of these messages in id order, making the ones that do not exist.

    Keys of one person give the same thread.
    """
    first: dict[ThreadKey, tuple[Incoming, datetime]] = {}
    for incoming, received_at in arriving:
        first.setdefault(incoming.thread, (incoming, received_at))
    found = yield from _lock(first)
    missing = {key: first[key] for key in first if key not in found}
    if missing:
        adopted = yield from identities.adopt(missing)
        named = identities.named_by([incoming for incoming, _ in arriving])
        yield from _make({k: arrived for k, arrived in missing.items() if k not in adopted and k not in named})
        if named & missing.keys():  # they came without the lasting id that came beside them
            made = yield from _lock(first)
            keys = {key: thread.thread_key for key, thread in made.items()}
            yield from identities.note_senders([incoming for incoming, _ in arriving], keys)
        # Whether we made them or another process was faster, they are there now. All are locked again, in id order.
        found = yield from _lock(first)
    # Only now: a row that was waited for may have been locked by somebody who said STOP.
    said = yield from consent.of([(thread.channel_name, thread.address) for thread in found.values()])
    for thread in found.values():
        thread.consent = said.get((thread.channel_name, thread.address), UNSAID)
    keys = {key: thread.thread_key for key, thread in found.items()}
    yield from identities.note_senders([incoming for incoming, _ in arriving], keys)
    return found


def _lock(keys: Iterable[ThreadKey]) -> Steps[dict[ThreadKey, Thread]]:
    rows = yield LOCK, [{"channel_name": key.channel_name, "thread_key": key.key} for key in keys]
    threads: dict[int, Thread] = {}
    found = {}
    for row in rows:
        thread = threads.get(row["id"]) or threads.setdefault(row["id"], _thread(row))
        found[ThreadKey(row["channel_name"], row["asked_key"])] = thread
    return found


def _thread(row: Mapping[str, Any]) -> Thread:
    values = {name: row[name] for name in _FIELDS}
    values["is_active"] = bool(row["is_active"])
    return Thread(**values)


def _make(missing: Mapping[ThreadKey, tuple[Incoming, datetime]]) -> Steps[None]:
    if not missing:
        return
    records = [_new_conversation(incoming, created_at) for incoming, created_at in missing.values()]
    unique = {(r["channel_name"], r["address"]): r for r in records if not contacts.has_lasting_id(r)}
    if unique:
        yield from contacts.make_contacts(list(unique.values()))
    made = yield MAKE_CONVERSATIONS, records
    yield from contacts.introduce([row for row in made if contacts.has_lasting_id(row)])


def _new_conversation(incoming: Incoming, created_at: datetime) -> dict[str, Any]:
    event = incoming.event
    assert isinstance(event, Inbound | Echo | Note)
    return new_conversation(
        incoming.channel_name,
        incoming.kind,
        incoming.person[0],
        created_at,
        thread_key=incoming.thread.key,
        account=event.account,
        user_name=event.sender_name if isinstance(event, Inbound) else None,
        identity=event.identity,
    )


def new_conversation(
    channel_name: str,
    kind: str,
    address: str,
    created_at: datetime,
    *,
    thread_key: str | None = None,
    account: str | None = None,
    user_name: str | None = None,
    identity: str | None = None,
) -> dict[str, Any]:
    """Describe a conversation that does not exist yet; its public id is random, never an address."""
    return {
        "conversation_id": str(uuid.uuid4()),
        "channel": kind,
        "channel_name": channel_name,
        "thread_key": thread_key or address,
        "address": address,
        "account": account,
        "user_name": user_name,
        "user_phone": phone_in(kind, address),
        "user_email": address if kind == "email" else None,
        "identity": identity,
        "created_at": created_at,
    }


def save(threads: Sequence[Thread]) -> Steps[None]:
    """Write changed conversations back, one update each."""
    yield SAVE, [{name: getattr(thread, name) for name in _SAVED} for thread in threads]


_SAVED = tuple(name for name in _FIELDS if name not in ("channel_name", "thread_key", "address"))


def silence_bot(conversation_ids: Sequence[int], reason: str) -> Steps[None]:
    """Cancel what the bot has not sent yet; what is on its way, or may be, is not sent again."""
    if conversation_ids:
        yield SILENCE_BOT, [{"conversation_id": id_, "reason": reason} for id_ in conversation_ids]
