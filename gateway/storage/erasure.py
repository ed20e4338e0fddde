"""What hangs on a conversation, and how all of it goes: asked for by a person, or after a long silence.

``BELONGINGS`` names every table that hangs on conversations, children first. A table that is missing there is found by
a test that walks the schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.storage.columns import metadata
from gateway.storage.privacy import Person, Seed, gather, records_of
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.tables import Conversation
from gateway.storage.writer import OneByOne

_IDS = "(SELECT r.id FROM {r})"
_MESSAGES = f"(SELECT m.id FROM conversation_messages AS m WHERE m.conversation_id IN {_IDS})"
_EVENTS = f"(SELECT v.id FROM events AS v WHERE v.conversation_id IN {_IDS})"

BELONGINGS: Mapping[str, str] = {
    "hook_deliveries": f"event_id IN {_EVENTS}",
    "events": f"conversation_id IN {_IDS}",
    "notices": f"conversation_id IN {_IDS}",
    "escalations": f"conversation_id IN {_IDS}",
    "turn_rounds": f"conversation_id IN {_IDS}",
    "tool_runs": f"conversation_id IN {_IDS}",
    "summaries": f"conversation_id IN {_IDS}",
    "deliveries": f"conversation_id IN {_IDS}",
    "attachments": f"message_id IN {_MESSAGES}",
    "conversation_messages": f"conversation_id IN {_IDS}",
}
"""Table -> its rows, where the statement's records are the ids of conversations; in the order in which they go."""

_DELETE = {
    table: statement(f"DELETE FROM {table} WHERE {where} RETURNING 1 AS gone", id="int")
    for table, where in BELONGINGS.items()
    if table != "attachments"
}

DELETE_ATTACHMENTS = statement(
    f"DELETE FROM attachments WHERE {BELONGINGS['attachments']} RETURNING sha256 AS sha256", id="int"
)


@dataclass(slots=True)
class Erased:
    """What went, by table, and what has to go beside the database; it is filled while it goes."""

    counts: dict[str, int] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    """Files that may have been only theirs."""
    remembered: list[tuple[str, int]] = field(default_factory=list)
    """(conversation_id, amendments): what the conversation memory may still hold."""
    opt_outs_kept: int = 0

    @property
    def total(self) -> int:
        """How many rows went."""
        return sum(self.counts.values())

    def count(self, table: str, rows: Sequence[Any]) -> None:
        """Add the rows of a table."""
        if rows:
            self.counts[table] = self.counts.get(table, 0) + len(rows)


def erase_conversations(row_ids: Iterable[int], erased: Erased) -> Steps[None]:
    """Delete conversations with everything that hangs on them but leads and appointments, whose link has to be gone.

    SQLite gives the number of a deleted newest row again, and a turn that still runs would then hold the fence of
    somebody else's conversation. So the newest row is emptied, and goes when it is not the newest any more.
    """
    records = records_of(row_ids)
    if not records:
        return
    for table in BELONGINGS:
        if table == "attachments":
            rows = yield DELETE_ATTACHMENTS, records
            erased.hashes.update(row["sha256"] for row in rows if row["sha256"])
        else:
            rows = yield _DELETE[table], records
        erased.count(table, rows)
    for table, forgetting in FORGET.items():
        erased.count(table, (yield forgetting, records))
    yield DELETE_ALIASES, records
    emptied = yield EMPTY_NEWEST, [{**record, "new_id": f"{EMPTY}{uuid.uuid4()}"} for record in records]
    erased.count("chat_conversations", (*emptied, *(yield DELETE_CONVERSATIONS, records)))


FORGET: Mapping[str, Statement] = {
    # A request that was answered stays known by its key: its repetition does nothing a second time.
    "repeated_requests": statement(
        f"""
        UPDATE repeated_requests SET body = NULL, conversation = NULL
        WHERE conversation IN (SELECT c.conversation_id FROM chat_conversations AS c WHERE c.id IN {_IDS})
        RETURNING 1 AS gone
        """,
        id="int",
    ),
    # Who did what stays, and to whom goes.
    "audit": statement(
        f"""
        UPDATE audit SET subject = 'erased', detail = NULL, conversation_id = NULL
        WHERE conversation_id IN {_IDS} RETURNING 1 AS gone
        """,
        id="int",
    ),
}
"""Table -> what is done to its rows that are about conversations, and stay without them."""

EMPTY = "erased-"
"""What the public id of a row begins with that only keeps its number."""

DELETE_ALIASES = statement(
    f"""
    DELETE FROM aliases WHERE id IN (SELECT i.id FROM aliases AS i JOIN chat_conversations AS c
        ON c.channel_name = i.channel_name AND c.thread_key = i.thread_key WHERE c.id IN {_IDS})
    """,
    id="int",
)

_KEPT = frozenset({"id", "conversation_id", "channel", "created_at", "last_activity_at", "fence"})
_ZERO: Mapping[type, str] = {bool: "FALSE", int: "0"}
_BOT = "'bot'"  # the mode is the only text that has to be there


def _emptied() -> str:
    """Return what every column becomes of a row that only keeps its number; also of columns that are still to come."""
    table = metadata.tables[Conversation.__tablename__]
    columns = [column for column in table.columns if column.name not in _KEPT]
    return ", ".join(f"{c.name} = {'NULL' if c.nullable else _ZERO.get(c.type.python_type, _BOT)}" for c in columns)


EMPTY_NEWEST = statement(
    f"""
    UPDATE chat_conversations AS c SET conversation_id = r.new_id, fence = c.fence + 1, {_emptied()}
    FROM {{r}} WHERE c.id = r.id AND c.id = (SELECT MAX(x.id) FROM chat_conversations AS x) RETURNING 1 AS gone
    """,
    id="int",
    new_id="text",
)

DELETE_CONVERSATIONS = statement(
    f"""
    DELETE FROM chat_conversations WHERE id IN {_IDS}
    AND id < (SELECT MAX(x.id) FROM chat_conversations AS x) RETURNING 1 AS gone
    """,
    id="int",
)


# --- a person's ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quiet(OneByOne[Person]):
    """Stop what is being done for a person: turns are fenced off, queued deliveries cancelled, no file is fetched."""

    seeds: tuple[Seed, ...]

    def steps(self) -> Steps[Person]:
        person = yield from gather(self.seeds)
        records = records_of(person.row_ids)
        if records:
            yield FENCE, records
            yield CANCEL, records
            yield FETCH_NOTHING, records
        return person


FENCE = statement(
    """
    UPDATE chat_conversations AS c SET fence = c.fence + 1, answered_sequence = c.last_user_sequence,
        input_sequence = NULL, due_at = NULL, due_cap_at = NULL, lease_owner = NULL, lease_expires_at = NULL
    FROM {r} WHERE c.id = r.id
    """,
    id="int",
)

CANCEL = statement(
    f"""
    UPDATE deliveries SET status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status END, silenced = 'erased',
        next_attempt_at = NULL
    WHERE {BELONGINGS["deliveries"]} AND status IN ('queued', 'sending', 'unconfirmed')
    """,
    id="int",
)

FETCH_NOTHING = statement(
    f"UPDATE attachments SET next_attempt_at = NULL WHERE {BELONGINGS['attachments']} AND status = 'pending'", id="int"
)


@dataclass(frozen=True)
class StillRunning(OneByOne[int]):
    """Count the calls to platforms and the fetches of files that may still be under way for these conversations."""

    row_ids: tuple[int, ...]

    def steps(self) -> Steps[int]:
        records = records_of(self.row_ids)
        if not records:
            return 0
        [calls] = yield COUNT_CALLS, records
        [files] = yield COUNT_FETCHES, records
        return int(calls["n"]) + int(files["n"])


COUNT_CALLS = statement(
    f"SELECT COUNT(*) AS n FROM deliveries WHERE {BELONGINGS['deliveries']} AND status = 'sending'", id="int"
)

COUNT_FETCHES = statement(
    f"SELECT COUNT(*) AS n FROM attachments WHERE {BELONGINGS['attachments']} AND status = 'pending'", id="int"
)


@dataclass(frozen=True)
class Erase(OneByOne[Erased]):
    """Delete everything about a person in one transaction, and note that it was done; the note has no name in it.

    Where they have opted out, that row of ``addresses`` stays, with nothing but the address and the times of it: the
    law wants them left alone, and consent is looked up by the address.
    """

    seeds: tuple[Seed, ...]
    actor: str
    now: datetime

    @property
    def keys(self) -> frozenset[str]:
        """The conversation rows."""
        return frozenset(f"conversation {seed.id}" for seed in self.seeds if seed.kind == "conversation")

    def steps(self) -> Steps[Erased]:
        person = yield from gather(self.seeds)
        erased = Erased(remembered=[(known.conversation_id, known.amendments) for known in person.conversations])
        yield from self._erase_outcomes(person, erased)
        yield from erase_conversations(person.row_ids, erased)
        addresses = records_of(person.addresses)
        erased.count("addresses", (yield DELETE_ADDRESSES, addresses))
        kept = yield KEEP_OPT_OUTS, addresses
        erased.count("contacts", (yield DELETE_CONTACTS, records_of(person.contacts)))
        erased.opt_outs_kept = len(kept)
        if erased.total:
            yield from note(erased.counts, self.actor, self.now)
        return erased

    def _erase_outcomes(self, person: Person, erased: Erased) -> Steps[None]:
        """Delete the leads and the appointments, which hang on the contact as well."""
        seeds = [{"kind": seed.kind, "id": seed.id} for seed in person.seeds]
        appointments = [{"id": row["id"]} for row in (yield THEIR_APPOINTMENTS, seeds)]
        leads = [{"id": row["id"]} for row in (yield THEIR_LEADS, seeds)]
        yield from erase_outcomes(appointments, leads, erased)


def erase_outcomes(
    appointments: Sequence[dict[str, Any]], leads: Sequence[dict[str, Any]], erased: Erased
) -> Steps[None]:
    """Delete appointments with their seats, and leads; records have ids."""
    erased.count("appointment_seats", (yield DELETE_SEATS, appointments))
    erased.count("appointments", (yield DELETE_APPOINTMENTS, appointments))
    yield UNLINK_LEADS, leads
    erased.count("leads", (yield DELETE_LEADS, leads))


def note(counts: Mapping[str, int], actor: str, now: datetime) -> Steps[None]:
    """Write down that somebody was erased: when, by whom and how much, and not who."""
    yield NOTE, [{"at": now, "actor": actor, "detail": dict(counts)}]


NOTE = statement(
    """
    INSERT INTO audit (at, actor, action, subject, detail)
    SELECT r.at, r.actor, 'person.erased', 'person', r.detail FROM {r}
    """,
    at="time",
    actor="text",
    detail="json",
)

_THEIRS = """
    SELECT t.id FROM {table} AS t JOIN {{r}} ON r.kind = 'contact' AND t.contact_id = r.id
    UNION SELECT t.id FROM {table} AS t JOIN {{r}} ON r.kind = 'conversation' AND t.conversation_id = r.id
    ORDER BY 1
"""


def theirs(table: str) -> Statement:
    """Ask for the ids of the leads or the appointments of contacts and conversations; records have kind and id."""
    return statement(_THEIRS.format(table=table), kind="text", id="int")


THEIR_APPOINTMENTS = theirs("appointments")
THEIR_LEADS = theirs("leads")

DELETE_SEATS = statement(f"DELETE FROM appointment_seats WHERE appointment_id IN {_IDS} RETURNING 1 AS gone", id="int")
DELETE_APPOINTMENTS = statement(f"DELETE FROM appointments WHERE id IN {_IDS} RETURNING 1 AS gone", id="int")
UNLINK_LEADS = statement(f"UPDATE chat_conversations SET lead_id = NULL WHERE lead_id IN {_IDS}", id="int")
DELETE_LEADS = statement(f"DELETE FROM leads WHERE id IN {_IDS} RETURNING 1 AS gone", id="int")

DELETE_ADDRESSES = statement(
    f"""
    DELETE FROM addresses WHERE id IN {_IDS} AND opted_out_at IS NULL AND marketing_opted_out_at IS NULL
    RETURNING 1 AS gone
    """,
    id="int",
)

KEEP_OPT_OUTS = statement(
    "UPDATE addresses AS a SET contact_id = NULL, blocked_at = NULL FROM {r} WHERE a.id = r.id RETURNING {a.}id",
    id="int",
)

DELETE_CONTACTS = statement(f"DELETE FROM contacts WHERE id IN {_IDS} RETURNING 1 AS gone", id="int")
