"""Everything that the database holds about a person, read for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean

from gateway.storage.columns import metadata
from gateway.storage.erasure import BELONGINGS, THEIR_APPOINTMENTS, THEIR_LEADS
from gateway.storage.privacy import Person, Seed, gather, records_of
from gateway.storage.sql import Statement, Steps, load_json, statement
from gateway.storage.writer import OneByOne

Row = dict[str, Any]
"""Column -> its value, as JSON has it."""

PARTS: Mapping[str, str] = {
    "contacts": "contacts",
    "addresses": "addresses",
    "aliases": "aliases",
    "conversations": "chat_conversations",
    "messages": "conversation_messages",
    "attachments": "attachments",
    "deliveries": "deliveries",
    "rounds": "turn_rounds",
    "tool_runs": "tool_runs",
    "summaries": "summaries",
    "escalations": "escalations",
    "notices": "notices",
    "leads": "leads",
    "appointments": "appointments",
    "events": "events",
    "event_deliveries": "hook_deliveries",
}
"""The parts of an export -> their tables."""

INTERNAL = frozenset({"lease_owner", "lease_expires_at", "leased_until_at", "fence"})
"""Columns that say nothing about a person, only how the work on them is shared out."""


@dataclass(frozen=True)
class ReadPerson(OneByOne["dict[str, list[Row]]"]):
    """Return all rows of a person by the parts of an export, each in the order of its keys."""

    seeds: tuple[Seed, ...]

    def steps(self) -> Steps[dict[str, list[Row]]]:
        person = yield from gather(self.seeds)
        found: dict[str, list[Row]] = {}
        for part, table in PARTS.items():
            rows = yield _READ[table], (yield from _records(table, person))
            found[part] = [_as_json(table, row) for row in rows]
        return found


def _records(table: str, person: Person) -> Steps[Sequence[Mapping[str, Any]]]:
    if table == "contacts":
        return records_of(person.contacts)
    if table == "addresses":
        return records_of(person.addresses)
    if table in ("leads", "appointments"):
        seeds = [{"kind": seed.kind, "id": seed.id} for seed in person.seeds]
        rows = yield (THEIR_LEADS if table == "leads" else THEIR_APPOINTMENTS), seeds
        return [{"id": row["id"]} for row in rows]
    return records_of(person.row_ids)


_ALIASES = """
    id IN (SELECT i.id FROM aliases AS i JOIN chat_conversations AS c
        ON c.channel_name = i.channel_name AND c.thread_key = i.thread_key WHERE c.id IN (SELECT r.id FROM {r}))
"""


def _reading(table: str) -> Statement:
    where = _ALIASES if table == "aliases" else BELONGINGS.get(table, "id IN (SELECT r.id FROM {r})")
    keys = ", ".join(column.name for column in metadata.tables[table].primary_key)
    return statement(f"SELECT * FROM {table} WHERE {where} ORDER BY {keys}", id="int")


_READ = {table: _reading(table) for table in PARTS.values()}


def _as_json(table: str, row: Mapping[str, Any]) -> Row:
    columns = metadata.tables[table].columns
    return {name: _plain(columns.get(name), value) for name, value in row.items() if name not in INTERNAL}


def _plain(column: Any, value: Any) -> Any:
    """Return a value as both databases would give it, were they one."""
    kind = getattr(column, "type", None)
    if isinstance(kind, JSON):
        return load_json(value)
    if isinstance(kind, Boolean):
        return None if value is None else bool(value)
    return value.isoformat() if isinstance(value, datetime | date) else value
