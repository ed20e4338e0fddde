"""Deliveries whose outcome nobody knows: found after a crash, claimed for a look-up, decided or put off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.storage.deliveries import DELIVERY_COLUMNS, ClaimedDelivery, claimed_delivery
from gateway.storage.sql import Steps, statement
from gateway.storage.tables import OPEN_OR_DEAD
from gateway.storage.writer import OneByOne, Operation


@dataclass(frozen=True)
class SweepDeliveries(Operation[int]):
    """Calls whose worker is gone may have happened: they become unconfirmed. Returns how many."""

    now: datetime

    @classmethod
    def apply(cls, operations: Sequence[SweepDeliveries]) -> Steps[list[int]]:
        """Sweep once for all askers."""
        rows = yield SWEEP, [{"now": max(operation.now for operation in operations)}]
        return [len(rows)] * len(operations)


# The lease's name stays: if its worker was only slow, what it brings back still counts.
SWEEP = statement(
    f"""
    UPDATE deliveries AS d SET status = 'unconfirmed', unconfirmed_at = r.now, lease_expires_at = NULL,
        attempts = d.attempts + 1
    FROM {{r}} WHERE d.status = 'sending' AND d.{OPEN_OR_DEAD} AND d.lease_expires_at <= r.now RETURNING {{d.}}id
    """,
    now="time",
)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A delivery whose time for a callback is over, and what else is known about its conversation."""

    delivery: ClaimedDelivery
    silenced: bool
    """True where a person has taken or closed the conversation since: then the bot's words are never sent again."""
    opted_out: bool
    known_ids: frozenset[str]
    """The external ids of the recipient's other recent deliveries: a look-up must not take them for this one."""


@dataclass(frozen=True)
class ClaimUnconfirmed(OneByOne[list[Unconfirmed]]):
    """Take deliveries that have been unconfirmed since ``since`` or longer."""

    lease_owner: str
    now: datetime
    since: datetime
    lease_expires_at: datetime
    limit: int
    channel_names: tuple[str, ...]

    def steps(self) -> Steps[list[Unconfirmed]]:
        if not self.channel_names:
            return []
        rows = yield (
            WAITED,
            [
                {"channel_name": name, "since": self.since, "now": self.now, "at_most": self.limit}
                for name in self.channel_names
            ],
        )
        if not rows:
            return []
        claimed = yield (
            LEASE,
            [
                {"id": row["id"], "lease_owner": self.lease_owner, "lease_expires_at": self.lease_expires_at}
                for row in rows
            ],
        )
        mine = {row["id"]: row["prepared"] for row in claimed}
        known = yield KNOWN_IDS, [{"channel_name": row["channel_name"], "recipient": row["recipient"]} for row in rows]
        return [
            Unconfirmed(
                delivery=claimed_delivery(
                    {**row, "prepared": mine[row["id"]]}, self.lease_owner, self.now, probes=False
                ),
                silenced=row["silenced"] is not None,
                opted_out=row["opted_out_at"] is not None,
                known_ids=frozenset(k["external_id"] for k in known if k["recipient"] == row["recipient"]),
            )
            for row in rows
            if row["id"] in mine
        ]


WAITED = statement(
    f"""
    SELECT {DELIVERY_COLUMNS}, d.silenced, a.opted_out_at FROM deliveries AS d
    JOIN chat_conversations AS c ON c.id = d.conversation_id
    LEFT JOIN addresses AS a ON a.channel_name = d.channel_name AND a.address = d.recipient
    LEFT JOIN channel_states AS s ON s.channel_name = d.channel_name
    WHERE (s.draining_at IS NULL OR s.draining_at <= (SELECT MIN(r.since) FROM {{r}}))
    AND d.status = 'unconfirmed' AND d.{OPEN_OR_DEAD} AND d.unconfirmed_at <= (SELECT MIN(r.since) FROM {{r}})
    AND (d.lease_expires_at IS NULL OR d.lease_expires_at <= (SELECT MIN(r.now) FROM {{r}}))
    AND (d.next_attempt_at IS NULL OR d.next_attempt_at <= (SELECT MIN(r.now) FROM {{r}}))
    AND d.channel_name IN (SELECT r.channel_name FROM {{r}})
    ORDER BY d.unconfirmed_at LIMIT (SELECT MIN(r.at_most) FROM {{r}}) {{skip d}}
    """,
    channel_name="text",
    since="time",
    now="time",
    at_most="int",
)

LEASE = statement(
    """
    UPDATE deliveries AS d SET lease_owner = r.lease_owner, lease_expires_at = r.lease_expires_at
    FROM {r} WHERE d.id = r.id AND d.status = 'unconfirmed' RETURNING {d.}id, {d.}prepared
    """,
    id="text",
    lease_owner="text",
    lease_expires_at="time",
)

KNOWN_IDS = statement(
    """
    SELECT d.external_id, d.recipient FROM deliveries AS d
    JOIN {r} ON d.channel_name = r.channel_name AND d.recipient = r.recipient WHERE d.external_id IS NOT NULL
    """,
    channel_name="text",
    recipient="text",
)


@dataclass(frozen=True)
class PostponeConfirmation(Operation[bool]):
    """The platform could not be asked: the delivery stays unconfirmed and is looked up again at ``next_attempt_at``."""

    id: str
    lease_owner: str
    next_attempt_at: datetime

    @classmethod
    def apply(cls, operations: Sequence[PostponeConfirmation]) -> Steps[list[bool]]:
        """Postpone those still leased to the claim that names them."""
        rows = yield (
            POSTPONE,
            [{"id": o.id, "lease_owner": o.lease_owner, "next_attempt_at": o.next_attempt_at} for o in operations],
        )
        postponed = {row["id"] for row in rows}
        return [operation.id in postponed for operation in operations]


POSTPONE = statement(
    """
    UPDATE deliveries AS d SET next_attempt_at = r.next_attempt_at, lease_owner = NULL, lease_expires_at = NULL
    FROM {r} WHERE d.id = r.id AND d.lease_owner = r.lease_owner AND d.status = 'unconfirmed' RETURNING {d.}id
    """,
    id="text",
    lease_owner="text",
    next_attempt_at="time",
)


@dataclass(frozen=True)
class NoteDraining(Operation[None]):
    """Some process drains its spool: a callback that decides may be in it, whichever process asks."""

    channel_names: tuple[str, ...]
    now: datetime

    @classmethod
    def apply(cls, operations: Sequence[NoteDraining]) -> Steps[list[None]]:
        """Note the latest time for each channel."""
        latest = {name: o.now for o in sorted(operations, key=lambda o: o.now) for name in o.channel_names}
        if latest:
            yield DRAINING, [{"channel_name": name, "draining_at": at} for name, at in sorted(latest.items())]
        return [None] * len(operations)


DRAINING = statement(
    "UPDATE channel_states AS s SET draining_at = r.draining_at FROM {r} WHERE s.channel_name = r.channel_name",
    channel_name="text",
    draining_at="time",
)
