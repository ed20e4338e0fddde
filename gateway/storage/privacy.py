"""Who is meant by an id or an address, and what belongs to that person.

A person is what the house knows as one: contacts, their addresses and their conversations. Nobody is joined here by an
equal phone, e-mail or name; where an address leads to several, all are named, and whoever asks has to choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.identities import MOVED
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne


@dataclass(frozen=True, slots=True)
class Seed:
    """The row from which a person is found: its table (``contact``, ``conversation`` or ``address``) and its id."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True)
class Known:
    """One conversation of a person."""

    id: int
    conversation_id: str
    channel: str
    channel_name: str | None
    thread_key: str | None
    amendments: int
    last_activity_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """The rows that are somebody's; whatever else is theirs hangs on these."""

    contacts: tuple[int, ...]
    contact_ids: tuple[str, ...]
    """The public ids of the contacts."""
    conversations: tuple[Known, ...]
    addresses: tuple[int, ...]
    places: tuple[tuple[str, str], ...]
    """(channel_name, address) of each address row."""
    names: frozenset[str]
    """Addresses and ids that channels have told, by which requests that were kept may name them.

    Nothing that they, or callers of the API, have said about themselves: it may be anybody's.
    """

    @property
    def seeds(self) -> tuple[Seed, ...]:
        """Enough to find the same person again."""
        return (
            *(Seed("contact", id_) for id_ in self.contacts),
            *(Seed("conversation", known.id) for known in self.conversations),
            *(Seed("address", id_) for id_ in self.addresses),
        )

    @property
    def row_ids(self) -> list[int]:
        """The conversations' row ids, in their order."""
        return [known.id for known in self.conversations]


NOBODY = Person((), (), (), (), (), frozenset())


@dataclass(frozen=True)
class FindPeople(OneByOne[list[Person]]):
    """Return whoever is known by one of these spellings; an id of a contact or a conversation goes before all else."""

    spellings: tuple[str, ...]
    channel: str | None = None
    """Only what was found on the channel of this name or kind; the person it leads to is whole all the same."""
    by_kind: bool = True
    """False where it is a name that may be a kind's as well."""

    def steps(self) -> Steps[list[Person]]:
        asked = [
            {"text": text, "digits": _digits_of(text), "channel": self.channel, "by_kind": self.by_kind}
            for text in self.spellings
        ]
        rows = (yield BY_ID, asked) or (yield BY_ADDRESS, asked)
        people: list[Person] = []
        for seed in dict.fromkeys(Seed(row["kind"], row["id"]) for row in rows):
            if not any(seed in person.seeds for person in people):
                people.append((yield from gather([seed])))
        return people


@dataclass(frozen=True)
class FindPerson(OneByOne["Person | None"]):
    """Return the one whom a public id of one kind means: ``contact`` or ``conversation``."""

    kind: str
    public_id: str

    def steps(self) -> Steps[Person | None]:
        rows = yield BY_ID, [{"text": self.public_id, "digits": None, "channel": None, "by_kind": True}]
        seeds = [Seed(row["kind"], row["id"]) for row in rows if row["kind"] == self.kind]
        return (yield from gather(seeds)) if seeds else None


_PHONE = re.compile(r"\+?[\d\s().\-/]{7,40}", re.ASCII)
_NO_DIGIT = re.compile(r"[^0-9]")


def _digits_of(text: str) -> str | None:
    """Return the digits of what may be a phone number: callers of the API write them in any way they like."""
    return _NO_DIGIT.sub("", text) if _PHONE.fullmatch(text) else None


_ASKED = {"text": "text", "digits": "text", "channel": "text", "by_kind": "bool"}
_THERE = "(r.channel IS NULL OR c.channel_name = r.channel OR (r.by_kind AND c.channel = r.channel))"

BY_ID = statement(
    """
    SELECT 'contact' AS kind, p.id FROM contacts AS p JOIN {r} ON p.contact_id = r.text
    UNION SELECT 'conversation', c.id FROM chat_conversations AS c JOIN {r} ON c.conversation_id = r.text
    """,
    **_ASKED,
)

# What somebody has told about themselves leads to them, too: a number for a call back, an e-mail address.
_BY_ADDRESS = f"""
    SELECT 'conversation' AS kind, c.id FROM chat_conversations AS c JOIN {{{{r}}}} ON {_THERE}
        AND (c.address = r.text OR c.identity = r.text OR c.user_id = r.text OR c.user_phone = r.text
        OR {{c_phone}} = r.digits OR LOWER(c.user_email) = LOWER(r.text))
    UNION SELECT 'conversation', c.id FROM aliases AS i JOIN {{{{r}}}} ON i.address = r.text
        JOIN chat_conversations AS c ON c.channel_name = i.channel_name AND c.thread_key = i.thread_key AND {_THERE}
    UNION SELECT 'address', a.id FROM addresses AS a JOIN {{{{r}}}} ON a.address = r.text
        AND (r.channel IS NULL OR a.channel_name = r.channel OR EXISTS (SELECT 1 FROM chat_conversations AS c
            WHERE r.by_kind AND c.channel_name = a.channel_name AND c.channel = r.channel))
    UNION SELECT 'contact', l.contact_id FROM leads AS l JOIN {{{{r}}}} ON r.channel IS NULL
        AND l.contact_id IS NOT NULL
        AND (l.phone = r.text OR {{l_phone}} = r.digits OR LOWER(l.email) = LOWER(r.text))
    UNION SELECT 'contact', v.contact_id FROM appointments AS v JOIN {{{{r}}}} ON r.channel IS NULL
        AND v.contact_id IS NOT NULL
        AND (v.phone = r.text OR {{v_phone}} = r.digits OR LOWER(v.email) = LOWER(r.text))
    ORDER BY 1 DESC, 2
"""


def _by_address(digits: str) -> Statement:
    """Build it; ``digits`` is how the database takes the digits out of a column."""
    columns = {"c_phone": "c.user_phone", "l_phone": "l.phone", "v_phone": "v.phone"}
    return statement(_BY_ADDRESS.format(**{name: digits.format(column) for name, column in columns.items()}), **_ASKED)


BY_ADDRESS = Statement(
    sqlite=_by_address("frontdesk_digits({})").sqlite,
    postgres=_by_address("regexp_replace({}, '[^0-9]', '', 'g')").postgres,
)


def gather(seeds: Iterable[Seed]) -> Steps[Person]:
    """Return the whole person whom these rows belong to; the conversations are locked, in the order of their ids."""
    found: dict[str, set[int]] = {"contact": set(), "conversation": set(), "address": set()}
    fresh = set(seeds)
    while fresh:
        for seed in fresh:
            found[seed.kind].add(seed.id)
        rows = yield BESIDE, [{"kind": seed.kind, "id": seed.id} for seed in sorted(fresh, key=lambda s: s.id)]
        fresh = {Seed(row["kind"], row["id"]) for row in rows if row["id"] not in found[row["kind"]]}
    return (yield from _read(found))


_SEEDS = {"kind": "text", "id": "int"}

# An address may have been several people's, one after the other: it leads to whom it belongs, and to whoever converses
# there and is nobody else's.
_SAME_PLACE = "c.channel_name = a.channel_name AND c.address = a.address"

BESIDE = statement(
    f"""
    SELECT 'contact' AS kind, c.contact_id AS id FROM chat_conversations AS c
        JOIN {{r}} ON r.kind = 'conversation' AND c.id = r.id WHERE c.contact_id IS NOT NULL
    UNION SELECT 'contact', a.contact_id FROM addresses AS a
        JOIN {{r}} ON r.kind = 'address' AND a.id = r.id WHERE a.contact_id IS NOT NULL
    UNION SELECT 'conversation', c.id FROM chat_conversations AS c
        JOIN {{r}} ON r.kind = 'contact' AND c.contact_id = r.id
    UNION SELECT 'address', a.id FROM addresses AS a JOIN {{r}} ON r.kind = 'contact' AND a.contact_id = r.id
    UNION SELECT 'address', a.id FROM chat_conversations AS c JOIN {{r}} ON r.kind = 'conversation' AND c.id = r.id
        JOIN addresses AS a ON {_SAME_PLACE}
        AND (c.contact_id IS NULL OR a.contact_id IS NULL OR c.contact_id = a.contact_id)
    UNION SELECT 'conversation', c.id FROM addresses AS a JOIN {{r}} ON r.kind = 'address' AND a.id = r.id
        JOIN chat_conversations AS c ON {_SAME_PLACE} AND c.contact_id IS NULL
    """,
    **_SEEDS,
)

_IDS = {"id": "int"}

READ_CONVERSATIONS = statement(
    """
    SELECT c.id, c.conversation_id, c.channel, c.channel_name, c.thread_key, c.amendments, c.last_activity_at,
        c.address, c.identity
    FROM chat_conversations AS c JOIN {r} ON c.id = r.id ORDER BY c.id {lock c}
    """,
    **_IDS,
)

READ_CONTACTS = statement("SELECT p.id, p.contact_id FROM contacts AS p JOIN {r} ON p.id = r.id", **_IDS)

READ_ADDRESSES = statement(
    "SELECT a.id, a.channel_name, a.address FROM addresses AS a JOIN {r} ON a.id = r.id ORDER BY a.id", **_IDS
)

READ_ALIASES = statement(
    """
    SELECT i.address FROM chat_conversations AS c JOIN {r} ON c.id = r.id
    JOIN aliases AS i ON i.channel_name = c.channel_name AND i.thread_key = c.thread_key
    """,
    **_IDS,
)

READ_EXTERNAL_IDS = statement(
    """
    SELECT m.external_id AS name FROM conversation_messages AS m JOIN {r} ON m.conversation_id = r.id
        WHERE m.external_id IS NOT NULL
    UNION SELECT d.external_id FROM conversation_messages AS m JOIN {r} ON m.conversation_id = r.id
        JOIN deliveries AS d ON d.message_id = m.id WHERE d.external_id IS NOT NULL
    UNION SELECT d.id FROM conversation_messages AS m JOIN {r} ON m.conversation_id = r.id
        JOIN deliveries AS d ON d.message_id = m.id
    UNION SELECT d.earlier_ids FROM conversation_messages AS m JOIN {r} ON m.conversation_id = r.id
        JOIN deliveries AS d ON d.message_id = m.id WHERE d.earlier_ids IS NOT NULL
    """,
    **_IDS,
)


def _read(found: Mapping[str, set[int]]) -> Steps[Person]:
    """Read what the found rows say; what somebody has deleted meanwhile is left out."""
    conversations = yield READ_CONVERSATIONS, records_of(found["conversation"])
    contacts = yield READ_CONTACTS, records_of(found["contact"])
    addresses = yield READ_ADDRESSES, records_of(found["address"])
    row_ids = records_of(row["id"] for row in conversations)
    aliases = yield READ_ALIASES, row_ids
    external_ids = yield READ_EXTERNAL_IDS, row_ids
    names = {name for row in (*conversations, *addresses, *aliases) for name in _said(row, "address", "identity")}
    for row in conversations:
        names.update(key for key in _said(row, "thread_key") if not key.startswith(MOVED))
    for row in external_ids:
        names.update(row["name"].split())
    return Person(
        contacts=tuple(row["id"] for row in contacts),
        contact_ids=tuple(row["contact_id"] for row in contacts),
        conversations=tuple(Known(**{name: row[name] for name in _KNOWN}) for row in conversations),
        addresses=tuple(row["id"] for row in addresses),
        places=tuple((row["channel_name"], row["address"]) for row in addresses),
        names=frozenset(names),
    )


_KNOWN = ("id", "conversation_id", "channel", "channel_name", "thread_key", "amendments", "last_activity_at")


def _said(row: Mapping[str, Any], *columns: str) -> Sequence[str]:
    return [row[name] for name in columns if row.get(name)]


def records_of(ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return the records of a statement that takes ids, in the order in which rows are locked."""
    return [{"id": id_} for id_ in sorted(ids)]
