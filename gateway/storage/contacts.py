"""Contacts: the person behind addresses and conversations, made with the first of them.

Nobody is joined by an equal address: it passes to other people. Where a platform has a lasting id of somebody, only
that id leads to what was theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.storage.sql import Steps, statement

MAKE_ADDRESSES = statement(
    """
    INSERT INTO addresses (channel_name, address)
    SELECT r.channel_name, r.address FROM {r} WHERE TRUE ORDER BY r.channel_name, r.address
    ON CONFLICT DO NOTHING RETURNING id, channel_name, address
    """,
    channel_name="text",
    address="text",
)

MAKE_CONTACTS = statement(
    """
    INSERT INTO contacts (contact_id, name, created_at) SELECT r.contact_id, r.name, r.created_at FROM {r}
    RETURNING id, contact_id
    """,
    contact_id="text",
    name="text",
    created_at="time",
)

LINK_ADDRESSES = statement(
    "UPDATE addresses AS a SET contact_id = r.contact_id FROM {r} WHERE a.id = r.address_id",
    address_id="int",
    contact_id="int",
)

LINK_CONVERSATIONS = statement(
    "UPDATE chat_conversations AS c SET contact_id = r.contact_id FROM {r} WHERE c.id = r.id",
    id="int",
    contact_id="int",
)

# Consent stays with the address, whoever has it now.
PASS_ADDRESSES_ON = statement(
    """
    INSERT INTO addresses (channel_name, address, contact_id) SELECT r.channel_name, r.address, r.contact_id FROM {r}
    WHERE TRUE ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address) DO UPDATE SET contact_id = excluded.contact_id
    """,
    channel_name="text",
    address="text",
    contact_id="int",
)


def has_lasting_id(record: Mapping[str, Any]) -> bool:
    """Tell whether the person is known by something better than the address, which may be somebody else's tomorrow."""
    return record["identity"] not in (None, record["address"])


def make_contacts(records: Sequence[Mapping[str, Any]]) -> Steps[None]:
    """Make addresses that nobody has written from yet, each with a contact of its own.

    The address comes first: of two processes that meet a stranger at once, only the one whose row it is goes on to
    make the contact. Records have channel_name, address, user_name and created_at.
    """
    addresses = yield MAKE_ADDRESSES, [{"channel_name": r["channel_name"], "address": r["address"]} for r in records]
    if not addresses:
        return
    by_address = {(r["channel_name"], r["address"]): r for r in records}
    people = [{**by_address[row["channel_name"], row["address"]], "id": row["id"]} for row in addresses]
    with_contact = yield from _add_contacts(people)
    yield LINK_ADDRESSES, [{"address_id": person["id"], "contact_id": id_} for person, id_ in with_contact]


def introduce(made: Sequence[Mapping[str, Any]]) -> Steps[None]:
    """Give new conversations a contact each, who has the address from now on: it may have been another person's.

    Of two processes that meet a person at once, only the one whose conversation it is comes here with it.
    """
    if not made:
        return
    with_contact = yield from _add_contacts(made)
    yield LINK_CONVERSATIONS, [{"id": row["id"], "contact_id": id_} for row, id_ in with_contact]
    last = {(row["channel_name"], row["address"]): id_ for row, id_ in with_contact}
    yield (
        PASS_ADDRESSES_ON,
        [{"channel_name": name, "address": address, "contact_id": id_} for (name, address), id_ in last.items()],
    )


def _add_contacts(people: Sequence[Mapping[str, Any]]) -> Steps[list[tuple[Mapping[str, Any], int]]]:
    """Add a contact for each; returns each with the row of their contact. They have user_name and created_at."""
    named = {str(uuid.uuid4()): person for person in people}
    rows = yield (
        MAKE_CONTACTS,
        [
            {"contact_id": contact_id, "name": person["user_name"], "created_at": person["created_at"]}
            for contact_id, person in named.items()
        ],
    )
    return [(named[row["contact_id"]], row["id"]) for row in rows]
