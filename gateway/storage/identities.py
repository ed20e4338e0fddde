"""Who is who on one channel: a person's other addresses, and the platform's own lasting id of them.

A conversation is found by any of them. The lasting id goes first: a number may pass to somebody else, and then the new
person must not read on in the old one's conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.base import Inbound, Moved
from gateway.storage.incoming import Incoming, ThreadKey
from gateway.storage.sql import Steps, statement

ALIAS_OF = """
    COALESCE((SELECT i.thread_key FROM aliases AS i
        WHERE i.channel_name = r.channel_name AND i.address = r.{address}), r.{address})
"""
"""The key of the thread that an address belongs to, in a statement whose records have channel_name."""

# Only a thread whose person has no lasting id yet is taken over by one that comes with its address.
ADOPT = statement(
    f"""
    UPDATE chat_conversations AS c SET identity = r.identity FROM {{r}}
    WHERE c.channel_name = r.channel_name AND c.identity IS NULL AND c.thread_key = {ALIAS_OF.format(address="sender")}
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

MOVE = statement(
    f"""
    UPDATE chat_conversations AS c SET address = r.new_sender, identity = COALESCE(r.identity, c.identity),
        user_phone = CASE WHEN c.user_phone IS NULL THEN NULL ELSE r.new_sender END
    FROM {{r}} WHERE c.channel_name = r.channel_name AND c.thread_key = {ALIAS_OF.format(address="sender")}
    RETURNING {{c.}}id, {{c.}}channel_name, {{c.}}thread_key
    """,
    channel_name="text",
    sender="text",
    new_sender="text",
    identity="text",
)

# Consent moves with the person, and the new address belongs to the same contact.
MOVE_CONSENT = statement(
    """
    INSERT INTO addresses (channel_name, address, contact_id, opted_out_at, consent_at, marketing_opted_out_at)
    SELECT r.channel_name, r.new_sender, a.contact_id, a.opted_out_at, a.consent_at, a.marketing_opted_out_at
    FROM {r} JOIN addresses AS a ON a.channel_name = r.channel_name AND a.address = r.sender
    WHERE TRUE ON CONFLICT (channel_name, address) DO UPDATE SET contact_id = excluded.contact_id,
        opted_out_at = excluded.opted_out_at, consent_at = excluded.consent_at,
        marketing_opted_out_at = excluded.marketing_opted_out_at
    """,
    channel_name="text",
    sender="text",
    new_sender="text",
)

READDRESS = statement(
    """
    UPDATE deliveries AS d SET recipient = r.new_sender FROM {r} WHERE d.conversation_id = r.id AND d.status = 'queued'
    AND d.status IN ('queued', 'sending', 'unconfirmed')
    """,
    id="int",
    new_sender="text",
)


def adopt(missing: Mapping[ThreadKey, tuple[Incoming, datetime]]) -> Steps[set[ThreadKey]]:
    """Give threads that are known by an address to the lasting id that has come with it for the first time.

    Returns the keys that lead to such a thread now.
    """
    records = [
        {"channel_name": key.channel_name, "identity": key.key, "sender": incoming.event.sender}
        for key, (incoming, _) in missing.items()
        if isinstance(incoming.event, Inbound) and incoming.event.identity == key.key != incoming.event.sender
    ]
    adopted = (yield ADOPT, records) if records else []
    yield from add_aliases([(row["channel_name"], row["identity"], row["thread_key"]) for row in adopted])
    return {ThreadKey(row["channel_name"], row["identity"]) for row in adopted}


def note_senders(arriving: Sequence[Incoming], keys: Mapping[ThreadKey, str]) -> Steps[None]:
    """Remember the addresses that came with a lasting id; ``keys`` are the threads' own."""
    yield from add_aliases(
        [
            (incoming.channel_name, incoming.event.sender, keys[incoming.thread])
            for incoming in arriving
            if isinstance(incoming.event, Inbound) and incoming.event.identity and incoming.event.thread_key is None
        ]
    )


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
    rows = yield MOVE, [record]
    yield MOVE_CONSENT, [record]
    for row in rows:
        yield READDRESS, [{"id": row["id"], "new_sender": moved.new_sender}]
        addresses = filter(None, (moved.new_sender, moved.identity))
        yield from add_aliases([(channel_name, address, row["thread_key"]) for address in addresses])
    return bool(rows)
