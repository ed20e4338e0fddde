"""The outbox: claiming deliveries in order and at each channel's pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from channels.content import Content
from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.writer import OneByOne

PACE_HORIZON = timedelta(milliseconds=50)
"""Deliveries are claimed at most this long before their turn in the channel's pace comes: what is claimed leaves,
whoever takes the conversation over meanwhile."""
PROBE = timedelta(seconds=15)
"""A paused channel is probed by one call at a time; where nothing is heard of that, by another one after this."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one channel may send."""

    channel_name: str
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process may hand to the platform while its lease lives."""

    id: str
    conversation_id: int
    channel_name: str
    recipient: str
    content: Content
    part: int
    by_person: bool
    customer_wrote_at: datetime | None
    account: str | None
    attempts: int
    resends: int
    queued_at: datetime
    called_at: datetime | None
    send_at: datetime
    lease_owner: str
    probes: bool
    """True where the channel was paused: this one finds out whether it works again."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim took, and when the next has something to take."""

    deliveries: tuple[ClaimedDelivery, ...] = ()
    more_at: datetime | None = None
    """When the pace of a channel with more to send lets it; None where no channel waits for its pace."""


@dataclass(frozen=True)
class ClaimDeliveries(OneByOne[Claimed]):
    """Take the next delivery of each conversation, in order, within each channel's pace."""

    lease_owner: str
    """Unique to this claim: what comes back later names it."""
    now: datetime
    lease_expires_at: datetime
    channels: tuple[Pace, ...]
    at_most: int
    """How many this process can take now, of all channels together."""

    def steps(self) -> Steps[Claimed]:
        states = yield CHANNELS, [{"channel_name": pace.channel_name} for pace in self.channels]
        open_states = {
            s["channel_name"]: s for s in states if s["paused_until_at"] is None or s["paused_until_at"] <= self.now
        }
        wanted = [p for p in self.channels if p.channel_name in open_states]
        if not wanted:
            return Claimed()
        heads = yield (
            HEADS,
            [
                {
                    "channel_name": p.channel_name,
                    "now": self.now,
                    "at_most": 1 if open_states[p.channel_name]["pause_attempts"] else self.at_most,
                }
                for p in wanted
            ],
        )
        stopped = [row for row in heads if _stop_reason(row)]
        if stopped:
            yield CANCEL, [{"id": row["id"], "reason": _stop_reason(row)} for row in stopped]
        going = [row for row in heads if not _stop_reason(row)]
        return (yield from self._take(going, open_states))

    def _take(self, rows: Sequence[Mapping[str, Any]], states: Mapping[str, Mapping[str, Any]]) -> Steps[Claimed]:
        paces = {pace.channel_name: pace for pace in self.channels}
        next_at = {name: max(state["next_send_at"] or self.now, self.now) for name, state in states.items()}
        taken: dict[str, datetime] = {}
        paced: set[str] = set()
        for row in rows:  # the first of each channel, then the second of each: a busy channel does not hold up others
            name = row["channel_name"]
            if next_at[name] > self.now + PACE_HORIZON:
                paced.add(name)
            elif len(taken) < self.at_most:
                taken[row["id"]] = next_at[name]
                next_at[name] += timedelta(seconds=1 / paces[name].rate_per_s)
        more_at = min((next_at[name] for name in paced), default=None)
        if not taken:
            return Claimed(more_at=more_at)
        claimed = yield (
            TAKE,
            [
                {"id": id_, "lease_owner": self.lease_owner, "lease_expires_at": self.lease_expires_at, "now": self.now}
                for id_ in taken
            ],
        )
        used = {row["channel_name"] for row in rows if row["id"] in taken}
        probed = {name for name in used if states[name]["pause_attempts"]}
        yield (
            SET_PACE,
            [
                {
                    "channel_name": name,
                    "next_send_at": next_at[name],
                    "paused_until_at": self.now + PROBE if name in probed else None,
                }
                for name in used
            ],
        )
        mine = {row["id"] for row in claimed}
        deliveries = tuple(
            claimed_delivery(row, self.lease_owner, taken[row["id"]], probes=row["channel_name"] in probed)
            for row in rows
            if row["id"] in mine
        )
        return Claimed(deliveries, more_at)


def _stop_reason(row: Mapping[str, Any]) -> str | None:
    if row["opted_out_at"] is not None:
        return "opted_out"
    if row["mode"] == "human" and row["role"] == "assistant":
        return "taken_over"
    return None


def claimed_delivery(row: Mapping[str, Any], lease_owner: str, send_at: datetime, *, probes: bool) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=row["id"],
        conversation_id=row["conversation_id"],
        channel_name=row["channel_name"],
        recipient=row["recipient"],
        content=Content.read(row["content"], tuple(load_json(row["attachment_urls"]) or ()), load_json(row["extras"])),
        part=row["part"],
        by_person=row["role"] == "agent",
        customer_wrote_at=row["customer_wrote_at"],
        account=row["account"],
        attempts=row["attempts"],
        resends=row["resends"],
        queued_at=row["queued_at"],
        called_at=row["called_at"],
        send_at=send_at,
        lease_owner=lease_owner,
        probes=probes,
    )


CHANNELS = statement(
    """
    SELECT s.channel_name, s.next_send_at, s.paused_until_at, s.pause_attempts FROM channel_states AS s
    JOIN {r} ON s.channel_name = r.channel_name ORDER BY s.channel_name {lock s}
    """,
    channel_name="text",
)

DELIVERY_COLUMNS = """
    d.id, d.conversation_id, d.channel_name, d.recipient, d.content, d.account, d.attachment_urls, d.extras, d.attempts,
    d.resends, d.queued_at, d.called_at, d.role, d.message_id, d.part, c.customer_wrote_at
"""

# A head is the first of its conversation that is not settled. The limit is the channel's own, so each channel's
# heads are cut off by a rank computed over the ones that are due.
HEADS = statement(
    f"""
    SELECT * FROM (
        SELECT {DELIVERY_COLUMNS}, c.mode, a.opted_out_at, r.at_most,
            ROW_NUMBER() OVER (PARTITION BY d.channel_name ORDER BY d.next_attempt_at, d.id) AS place
        FROM deliveries AS d
        JOIN {{r}} ON d.channel_name = r.channel_name AND d.status = 'queued' AND d.next_attempt_at <= r.now
        JOIN chat_conversations AS c ON c.id = d.conversation_id
        LEFT JOIN addresses AS a ON a.channel_name = d.channel_name AND a.address = d.recipient
        WHERE NOT EXISTS (
            SELECT 1 FROM deliveries AS e WHERE e.conversation_id = d.conversation_id
            AND e.status IN ('queued', 'sending', 'unconfirmed')
            AND (e.sequence_number, e.part) < (d.sequence_number, d.part))
    ) AS heads WHERE place <= at_most ORDER BY place, channel_name
    """,
    channel_name="text",
    now="time",
    at_most="int",
)

CANCEL = statement(
    """
    UPDATE deliveries AS d SET status = 'cancelled', error_code = r.reason, next_attempt_at = NULL
    FROM {r} WHERE d.id = r.id AND d.status = 'queued'
    """,
    id="text",
    reason="text",
)

TAKE = statement(
    """
    UPDATE deliveries AS d SET status = 'sending', lease_owner = r.lease_owner, lease_expires_at = r.lease_expires_at,
        called_at = r.now
    FROM {r} WHERE d.id = r.id AND d.status = 'queued' RETURNING {d.}id
    """,
    id="text",
    lease_owner="text",
    lease_expires_at="time",
    now="time",
)

SET_PACE = statement(
    """
    UPDATE channel_states AS s SET next_send_at = r.next_send_at, paused_until_at = r.paused_until_at
    FROM {r} WHERE s.channel_name = r.channel_name
    """,
    channel_name="text",
    next_send_at="time",
    paused_until_at="time",
)
