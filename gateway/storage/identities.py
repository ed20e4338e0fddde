"""Who is who on one channel: a person's other addresses, and the platform's own lasting id of them.

A conversation is found by any of them. The lasting id goes first: a number may pass to somebody else, and then the new
person must not read on in the old one's conversation. Somebody who moves takes the conversation along: their old
address leads nowhere any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.base import Moved
from gateway.storage.incoming import Incoming, ThreadKey, phone_in
from gateway.storage.sql import Steps, statement
from gateway.storage.tables import OPEN_OR_DEAD

ALIAS_OF = """
    COALESCE((SELECT i.thread_key FROM aliases AS i JOIN chat_conversations AS x
        ON x.channel_name = i.channel_name AND x.thread_key = i.thread_key
        WHERE i.channel_name = r.channel_name AND i.address = r.{address}), r.{address})
"""
"""The key of the thread that an address belongs to, in a statement whose records have channel_name."""

# Only a thread whose person has no lasting id yet is taken over by one that comes with its address.
ADOPT = statement(
    f"""
    UPDATE chat_conversations AS c SET identity = r.identity FROM {{r}}
    WHERE c.channel_name = r.channel_name AND c.identity IS NULL AND c.thread_key = {ALIAS_OF.format(address="sender")}
    AND (c.address = r.sender OR c.thread_key <> r.sender)
    RETURNING {{c.}}channel_name, {{c.}}thread_key, {{c.}}identity
    """,
    channel_name="text",
    identity="text",
    sender="text",
)

ADD_ALIASES = statement(
    """
    INSERT INTO aliases (channel_name, address, thread_key) SELECT r.channel_name, r.address, r.thread_key FROM {r}
    WHERE r.address <> r.thread_key ORDER BY r.channel_name, r.address
    ON CONFLICT (channel_name, address) DO UPDATE SET thread_key = excluded.thread_key
    WHERE aliases.thread_key <> excluded.thread_key
    """,
    channel_name="text",
    address="text",
    thread_key="text",
)

# The platform spells a recipient otherwise than we do: whoever answers from there is the one that we wrote to.
ADD_RECIPIENTS = statement(
    """
    INSERT INTO aliases (channel_name, address, thread_key) SELECT c.channel_name, r.address, c.thread_key
    FROM {r} JOIN chat_conversations AS c ON c.id = r.id WHERE r.address <> c.thread_key
    ON CONFLICT (channel_name, address) DO NOTHING
    """,
    id="int",
    address="text",
)

FIND_MOVING = statement(
    f"""
    SELECT c.id, c.conversation_id, c.thread_key, c.channel FROM chat_conversations AS c
    JOIN {{r}} ON c.channel_name = r.channel_name AND c.thread_key = {ALIAS_OF.format(address="sender")} {{lock c}}
    """,
    channel_name="text",
    sender="text",
)

MOVED = "moved:"
"""What the key of somebody who has moved begins with; no address does."""

# The key becomes one that is nobody's address: the old address may be somebody else's tomorrow.
MOVE = statement(
    """
    UPDATE chat_conversations AS c SET address = r.new_sender, identity = COALESCE(r.identity, c.identity),
        user_phone = r.user_phone, thread_key = r.new_key
    FROM {r} WHERE c.id = r.id
    """,
    id="int",
    new_sender="text",
    identity="text",
    user_phone="text",
    new_key="text",
)

MOVE_ALIASES = statement(
    """
    UPDATE aliases AS i SET thread_key = r.new_key FROM {r}
    WHERE i.channel_name = r.channel_name AND i.thread_key = r.old_key
    """,
    channel_name="text",
    old_key="text",
    new_key="text",
)

LEAVE_ALIAS = statement(
    """
    DELETE FROM aliases
    WHERE channel_name = (SELECT r.channel_name FROM {r}) AND address = (SELECT r.sender FROM {r})
    """,
    channel_name="text",
    sender="text",
)

# Consent moves with the person, and the new address belongs to the same contact; the old one says nothing any more.
MOVE_CONSENT = statement(
    """
    INSERT INTO addresses (channel_name, address, contact_id, opted_out_at, consent_at, marketing_opted_out_at,
        marketing_said_at)
    SELECT r.channel_name, r.new_sender, a.contact_id, a.opted_out_at, a.consent_at, a.marketing_opted_out_at,
        a.marketing_said_at
    FROM {r} JOIN addresses AS a ON a.channel_name = r.channel_name AND a.address = r.sender
    WHERE TRUE ON CONFLICT (channel_name, address) DO UPDATE SET contact_id = excluded.contact_id,
        opted_out_at = excluded.opted_out_at, consent_at = excluded.consent_at,
        marketing_opted_out_at = excluded.marketing_opted_out_at, marketing_said_at = excluded.marketing_said_at
    """,
    channel_name="text",
    sender="text",
    new_sender="text",
)

LEAVE_ADDRESS = statement(
    """
    DELETE FROM addresses
    WHERE channel_name = (SELECT r.channel_name FROM {r}) AND address = (SELECT r.sender FROM {r})
    """,
    channel_name="text",
    sender="text",
)

# A call in flight has the old address already; should it be made again, it goes to the new one.
READDRESS = statement(
    """
    UPDATE deliveries AS d SET recipient = r.new_sender FROM {r}
    WHERE d.conversation_id = r.id AND d.status IN ('queued', 'sending', 'unconfirmed')
    """,
    id="int",
    new_sender="text",
)

# Said in the words of its partial index, which is not used otherwise; a retry goes to the new address too.
READDRESS_FAILED = statement(
    f"""
    UPDATE deliveries AS d SET recipient = r.new_sender FROM {{r}} WHERE d.conversation_id = r.id
    AND d.status = 'failed' AND d.{OPEN_OR_DEAD}
    """,
    id="int",
    new_sender="text",
)


def adopt(missing: Mapping[ThreadKey, tuple[Incoming, datetime]]) -> Steps[set[ThreadKey]]:
    """Give threads that are known by an address to the lasting id that has come with it for the first time.

    Returns the keys that lead to such a thread now.
    """
    people = {key: incoming.person for key, (incoming, _) in missing.items()}
    records = [
        {"channel_name": key.channel_name, "identity": key.key, "sender": address}
        for key, (address, identity) in people.items()
        if identity == key.key != address
    ]
    adopted = (yield ADOPT, records) if records else []
    yield from add_aliases([(row["channel_name"], row["identity"], row["thread_key"]) for row in adopted])
    return {ThreadKey(row["channel_name"], row["identity"]) for row in adopted}


def note_senders(arriving: Sequence[Incoming], keys: Mapping[ThreadKey, str]) -> Steps[None]:
    """Remember the addresses that came with a lasting id; ``keys`` are the threads' own."""
    yield from add_aliases(
        [
            (incoming.channel_name, incoming.person[0], keys[incoming.thread])
            for incoming in arriving
            if incoming.person[1] == incoming.thread.key and incoming.thread in keys
        ]
    )


def named_by(arriving: Sequence[Incoming]) -> set[ThreadKey]:
    """Return the addresses that somebody in this batch has beside a lasting id: they are that one's."""
    return {
        ThreadKey(incoming.channel_name, incoming.person[0])
        for incoming in arriving
        if incoming.person[1] == incoming.thread.key != incoming.person[0]
    }


def add_recipients(known_as: Sequence[tuple[int, str]]) -> Steps[None]:
    """Remember (conversation, address) where the platform has another spelling of the recipient."""
    if known_as:
        last = {address: id_ for id_, address in known_as}
        yield ADD_RECIPIENTS, [{"id": id_, "address": address} for address, id_ in last.items()]


def add_aliases(aliases: Sequence[tuple[str, str, str]]) -> Steps[None]:
    """Remember (channel_name, address, thread_key)."""
    last = {(channel_name, address): key for channel_name, address, key in aliases}
    if last:
        yield (
            ADD_ALIASES,
            [{"channel_name": name, "address": address, "thread_key": key} for (name, address), key in last.items()],
        )


def apply_moves(moves: Sequence[tuple[str, Moved]]) -> Steps[list[bool]]:
    """Let people keep their conversation, their consent and what waits for them at their new address."""
    known = []
    for channel_name, moved in moves:  # rare, and one may build on the one before
        known.append((yield from _move(channel_name, moved)))
    return known


def _move(channel_name: str, moved: Moved) -> Steps[bool]:
    record: dict[str, Any] = {
        "channel_name": channel_name,
        "sender": moved.sender,
        "new_sender": moved.new_sender,
        "identity": moved.identity,
    }
    rows = yield FIND_MOVING, [record]
    if not rows or moved.sender == moved.new_sender:
        return bool(rows)
    [row] = rows
    old_key, new_key = row["thread_key"], MOVED + row["conversation_id"]
    record |= {"id": row["id"], "old_key": old_key, "new_key": new_key}
    record["user_phone"] = phone_in(row["channel"], moved.new_sender)
    yield MOVE_CONSENT, [record]
    yield LEAVE_ADDRESS, [record]
    yield MOVE, [record]
    yield MOVE_ALIASES, [record]
    yield LEAVE_ALIAS, [record]
    yield READDRESS, [record]
    yield READDRESS_FAILED, [record]
    # A lasting id is nobody else's ever; an address may be.
    lasting = (old_key,) if old_key != moved.sender and not old_key.startswith(MOVED) else ()
    known = filter(None, (moved.new_sender, moved.identity, *lasting))
    yield from add_aliases([(channel_name, address, new_key) for address in known])
    return True
