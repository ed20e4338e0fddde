"""Which of a person's conversations a message continues, where its platform lets them have several.

A message brings clues, surest first. One that names a delivery of ours was made by us; all others are scoped to their
sender by the channel, so nobody is led into the conversation of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from channels.base import Clue, ClueKind, Inbound
from gateway.storage.entries import Entry
from gateway.storage.sql import Steps, statement

SUBJECT_IS_FRESH = timedelta(days=7)
"""How long after its last message a conversation is recognised by its subject alone."""

BY_DELIVERY = statement(
    """
    SELECT r.place, r.rank, c.thread_key, c.address FROM {r}
    JOIN deliveries AS d ON d.id = r.value AND d.channel_name = r.channel_name
    JOIN chat_conversations AS c ON c.id = d.conversation_id
    """,
    place="int",
    rank="int",
    channel_name="text",
    value="text",
)

BY_NAME = statement(
    """
    SELECT r.place, r.rank, c.thread_key, c.address FROM {r}
    JOIN aliases AS i ON i.channel_name = r.channel_name AND i.address = r.value
    JOIN chat_conversations AS c ON c.channel_name = i.channel_name AND c.thread_key = i.thread_key
    WHERE r.active_after IS NULL OR c.last_activity_at >= r.active_after
    """,
    place="int",
    rank="int",
    channel_name="text",
    value="text",
    active_after="time",
)


_NAMED = {"channel_name": "text", "name": "text", "thread_key": "text", "fresh_after": "time"}

LET_GO = statement(
    """
    DELETE FROM aliases WHERE id IN (SELECT i.id FROM {r}
        JOIN aliases AS i ON i.channel_name = r.channel_name AND i.address = r.name AND i.thread_key <> r.thread_key
        LEFT JOIN chat_conversations AS c ON c.channel_name = i.channel_name AND c.thread_key = i.thread_key
        WHERE c.id IS NULL OR c.last_activity_at < r.fresh_after)
    """,
    **_NAMED,
)

ADD_NAMES = statement(
    """
    INSERT INTO aliases (channel_name, address, thread_key) SELECT r.channel_name, r.name, r.thread_key FROM {r}
    WHERE TRUE ORDER BY r.channel_name, r.name ON CONFLICT (channel_name, address) DO NOTHING
    """,
    **_NAMED,
)


def follow(entries: Sequence[Entry]) -> Steps[None]:
    """Put messages into the conversations that they continue; one that continues none keeps its own key."""
    asking = {place: event for place, entry in enumerate(entries) if (event := _with_clues(entry)) is not None}
    if not asking:
        return
    found = yield from _look_up(entries, asking)
    begun: dict[tuple[str, str], str] = {}
    """What this very batch has begun: (channel_name, what it may be called) -> its key."""
    for place, event in asking.items():
        entry = entries[place]
        key, is_out_of_place = _choose(event, entry.incoming.channel_name, found.get(place, {}), begun)
        if key is not None and key != event.thread_key:
            entry.incoming = replace(entry.incoming, event=replace(event, thread_key=key))
        entry.is_out_of_place = is_out_of_place
        for name in event.known_as:
            begun[entry.incoming.channel_name, name] = key or event.thread_key or event.sender


def remember(entries: Sequence[Entry]) -> Steps[None]:
    """Keep what later messages may call these, or the conversations that they are in.

    A name that leads to a recent conversation stays with it: nobody can take another's over.
    """
    named = {
        (e.incoming.channel_name, name): (e.thread.thread_key, e.received_at) for e in entries for name in e.known_as
    }
    if named:
        records = [
            {"channel_name": channel, "name": name, "thread_key": key, "fresh_after": at - SUBJECT_IS_FRESH}
            for (channel, name), (key, at) in named.items()
        ]
        yield LET_GO, records
        yield ADD_NAMES, records


def _with_clues(entry: Entry) -> Inbound | None:
    event = entry.incoming.event
    return event if isinstance(event, Inbound) and (event.clues or event.known_as) else None


def _look_up(entries: Sequence[Entry], asking: Mapping[int, Inbound]) -> Steps[dict[int, dict[int, Mapping[str, Any]]]]:
    """Return by place and rank of the clue the conversation that it leads to."""
    by_delivery, by_name = [], []
    for place, event in asking.items():
        entry = entries[place]
        for rank, clue in enumerate(event.clues):
            record = {"place": place, "rank": rank, "channel_name": entry.incoming.channel_name, "value": clue.value}
            if clue.kind is ClueKind.DELIVERY:
                by_delivery.append(record)
            else:
                fresh = entry.received_at - SUBJECT_IS_FRESH if clue.kind is ClueKind.SUBJECT else None
                by_name.append({**record, "active_after": fresh})
    rows = list((yield BY_DELIVERY, by_delivery) if by_delivery else [])
    rows += (yield BY_NAME, by_name) if by_name else []
    found: dict[int, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["place"], {})[row["rank"]] = row
    return found


def _choose(
    event: Inbound, channel_name: str, found: Mapping[int, Mapping[str, Any]], begun: Mapping[tuple[str, str], str]
) -> tuple[str | None, bool]:
    """Return the key of the conversation that it continues, and whether it named one of somebody else's."""
    is_out_of_place = False
    for rank, clue in enumerate(event.clues):
        row = found.get(rank)
        if row is not None and row["address"] == event.sender:
            return row["thread_key"], is_out_of_place
        is_out_of_place = is_out_of_place or row is not None
        key = _begun(clue, channel_name, begun)
        if key is not None:
            return key, is_out_of_place
    return None, is_out_of_place


def _begun(clue: Clue, channel_name: str, begun: Mapping[tuple[str, str], str]) -> str | None:
    return None if clue.kind is ClueKind.DELIVERY else begun.get((channel_name, clue.value))
