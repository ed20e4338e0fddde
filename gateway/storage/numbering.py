"""Messages are inserted against the unique constraints and numbered without gaps: what is left of a batch counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.base import Echo, Inbound, Note
from gateway.storage import hooks
from gateway.storage.entries import Entry
from gateway.storage.sql import Steps, load_json, statement

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

FINGERPRINTS = statement(
    """
    SELECT m.channel_name, m.external_id, m.metadata FROM conversation_messages AS m
    JOIN {r} ON m.channel_name = r.channel_name AND m.external_id = r.external_id
    """,
    channel_name="text",
    external_id="text",
)


def insert(entries: Sequence[Entry]) -> Steps[None]:
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
