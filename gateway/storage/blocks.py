"""Senders who are not answered: blocked by somebody here, where consent is the customer's own word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.storage import threads
from gateway.storage.consent import STOP_TURNS
from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne


@dataclass(frozen=True)
class Block(OneByOne[bool]):
    """Block the address that a conversation is with; False where there is no such conversation, or it has no address.

    What they have written and what the bot has not sent yet is dropped; a person's words still leave.
    """

    conversation_id: str
    now: datetime

    def steps(self) -> Steps[bool]:
        """Block it; one that is blocked keeps its time."""
        rows = yield FIND, [{"conversation_id": self.conversation_id}]
        if not rows:
            return False
        place = {"channel_name": rows[0]["channel_name"], "address": rows[0]["address"]}
        theirs = yield OF_PLACE, [place]
        yield BLOCK, [{**place, "now": self.now}]
        yield STOP_TURNS, [place]
        yield from threads.silence_bot([row["id"] for row in theirs], "blocked")
        return True


@dataclass(frozen=True)
class Unblock(OneByOne[bool]):
    """Let the address be answered again, from its next message on; False as for :class:`Block`."""

    conversation_id: str

    def steps(self) -> Steps[bool]:
        """Unblock it."""
        rows = yield FIND, [{"conversation_id": self.conversation_id}]
        if rows:
            yield UNBLOCK, [{"channel_name": rows[0]["channel_name"], "address": rows[0]["address"]}]
        return bool(rows)


FIND = statement(
    """
    SELECT c.channel_name, c.address FROM chat_conversations AS c
    JOIN {r} ON c.conversation_id = r.conversation_id
    WHERE c.channel_name IS NOT NULL AND c.address IS NOT NULL
    """,
    conversation_id="text",
)

OF_PLACE = statement(
    """
    SELECT c.id FROM chat_conversations AS c
    JOIN {r} ON c.channel_name = r.channel_name AND c.address = r.address ORDER BY c.id {lock c}
    """,
    channel_name="text",
    address="text",
)

BLOCK = statement(
    """
    INSERT INTO addresses (channel_name, address, blocked_at) SELECT r.channel_name, r.address, r.now FROM {r}
    WHERE TRUE ON CONFLICT (channel_name, address)
    DO UPDATE SET blocked_at = COALESCE(addresses.blocked_at, excluded.blocked_at)
    """,
    channel_name="text",
    address="text",
    now="time",
)

UNBLOCK = statement(
    """
    UPDATE addresses AS a SET blocked_at = NULL FROM {r}
    WHERE a.channel_name = r.channel_name AND a.address = r.address
    """,
    channel_name="text",
    address="text",
)
