"""The outbox: claiming deliveries in order and at each channel's pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from channels.content import Content
from gateway.storage.hook_facts import Happening
from gateway.storage.hooks import emit
from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.statuses import CANCEL_REST
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
    sequence_number: int
    """Its message's place in the conversation."""
    prepared: bytes | None = None
    """What an earlier attempt has sent, where its channel builds it once."""


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

    expired_before: datetime
    """What was queued before this is not sent any more."""

    def steps(self) -> Steps[Claimed]:
        states = yield CHANNELS, [{"channel_name": pace.channel_name} for pace in self.channels]
        by_name = {state["channel_name"]: state for state in states}
        slots = [
            _Slots(pace, by_name[pace.channel_name], self.now)
            for pace in self.channels
            if pace.channel_name in by_name and not _is_paused(by_name[pace.channel_name], self.now)
        ]
        heads: list[list[Mapping[str, Any]]] = []
        for slot in slots:
            wanted = min(slot.count, self.at_most)
            heads.append((yield from self._heads(slot, wanted)) if wanted else [])
        # The first of each channel, then the second of each: a busy channel does not hold up others.
        rows = [row for rank in zip_longest(*heads) for row in rank if row is not None]
        stopped = [row for row in rows if self._stop(row) is not None]
        failed = yield from self._end(stopped)
        going = [row for row in rows if self._stop(row) is None][: self.at_most]
        claimed = yield from self._take(going, {slot.channel_name: slot for slot in slots})
        waiting = [slot.next_at for slot, found in zip(slots, heads, strict=True) if found or not slot.count]
        more_at = self.now if stopped else min((at for at in waiting if at > self.now), default=None)
        yield from emit([Happening("delivery.failed", row["conversation_id"], self.now, row["id"]) for row in failed])
        return Claimed(claimed, more_at)

    def _heads(self, slot: _Slots, at_most: int) -> Steps[list[Mapping[str, Any]]]:
        """Read the deliveries of one channel that are due and first in their conversation."""
        rows = yield HEADS, [{"channel_name": slot.channel_name, "now": self.now, "at_most": at_most}]
        return list(rows)

    def _stop(self, row: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return how a delivery ends that must not be sent, and why; None where it may be."""
        if row["opted_out_at"] is not None:
            return "cancelled", "opted_out"
        if row["mode"] == "human" and row["role"] == "assistant":
            return "cancelled", "taken_over"
        if row["undeliverable_at"] is not None:
            return "failed", "undeliverable"
        if row["queued_at"] < self.expired_before:
            return "failed", "expired"
        return None

    def _end(self, rows: Sequence[Mapping[str, Any]]) -> Steps[list[Mapping[str, Any]]]:
        """End what must not be sent; returns what has failed now."""
        endings = [(row, ending) for row in rows if (ending := self._stop(row)) is not None]
        if not endings:
            return []
        ended = yield END, [{"id": row["id"], "status": status, "reason": reason} for row, (status, reason) in endings]
        ids = {row["id"] for row in ended}
        failed = [row for row, (status, _) in endings if status == "failed" and row["id"] in ids]
        if failed:
            yield CANCEL_REST, [{"message_id": row["message_id"], "part": row["part"]} for row in failed]
        return failed

    def _take(
        self, rows: Sequence[Mapping[str, Any]], slots: Mapping[str, _Slots]
    ) -> Steps[tuple[ClaimedDelivery, ...]]:
        if not rows:
            return ()
        taken = yield (
            TAKE,
            [
                {
                    "id": row["id"],
                    "lease_owner": self.lease_owner,
                    "lease_expires_at": self.lease_expires_at,
                    "now": self.now,
                }
                for row in rows
            ],
        )
        mine = {row["id"]: row["prepared"] for row in taken}
        going = [
            ({**row, "prepared": mine[row["id"]]}, slots[row["channel_name"]]) for row in rows if row["id"] in mine
        ]
        deliveries = tuple(
            claimed_delivery(row, self.lease_owner, slot.take(), probes=slot.probes) for row, slot in going
        )
        used = {slot.channel_name: slot for _, slot in going}
        if used:
            yield SET_PACE, [slot.record(self.now) for slot in used.values()]
        return deliveries


class _Slots:
    """When one channel's next deliveries may leave."""

    def __init__(self, pace: Pace, state: Mapping[str, Any], now: datetime) -> None:
        self.channel_name = pace.channel_name
        self.probes = bool(state["pause_attempts"])
        """Whether the channel was paused: then one delivery finds out whether it works again."""
        self._step = timedelta(seconds=1 / pace.rate_per_s)
        self._until = now + PACE_HORIZON
        planned = state["next_send_at"] or now
        # What lies further ahead than a pace can have put it comes from a clock that has been set back since.
        self.next_at = planned if now < planned <= self._until + self._step else now

    @property
    def count(self) -> int:
        """How many may be claimed now."""
        if self.next_at > self._until:
            return 0
        return 1 if self.probes else 1 + (self._until - self.next_at) // self._step

    def take(self) -> datetime:
        """Return when the next one leaves."""
        at, self.next_at = self.next_at, self.next_at + self._step
        return at

    def record(self, now: datetime) -> dict[str, Any]:
        """Describe what all processes have to know now."""
        paused_until = now + PROBE if self.probes else None
        return {"channel_name": self.channel_name, "next_send_at": self.next_at, "paused_until_at": paused_until}


def _is_paused(state: Mapping[str, Any], now: datetime) -> bool:
    return state["paused_until_at"] is not None and state["paused_until_at"] > now


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
        sequence_number=row["sequence_number"],
        prepared=row["prepared"],
    )


CHANNELS = statement(
    """
    SELECT s.channel_name, s.next_send_at, s.paused_until_at, s.pause_attempts FROM channel_states AS s
    JOIN {r} ON s.channel_name = r.channel_name ORDER BY s.channel_name {lock s}
    """,
    channel_name="text",
)

# What was built for one has megabytes: it is read of those that are taken.
DELIVERY_COLUMNS = """
    d.id, d.conversation_id, d.channel_name, d.recipient, d.content, d.account, d.attachment_urls, d.extras, d.attempts,
    d.resends, d.queued_at, d.called_at, d.role, d.message_id, d.part, d.sequence_number,
    c.customer_wrote_at
"""

# A head is the first of its conversation that is not settled. The look-ups in the record, of which there is one, let
# the index give the heads in their order: it is read no further than the limit, however much is queued.
HEADS = statement(
    f"""
    SELECT {DELIVERY_COLUMNS}, c.mode, a.opted_out_at, a.undeliverable_at FROM deliveries AS d
    JOIN chat_conversations AS c ON c.id = d.conversation_id
    LEFT JOIN addresses AS a ON a.channel_name = d.channel_name AND a.address = d.recipient
    WHERE d.channel_name = (SELECT r.channel_name FROM {{r}}) AND d.status = 'queued'
    AND d.next_attempt_at <= (SELECT r.now FROM {{r}})
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS e WHERE e.conversation_id = d.conversation_id
        AND e.status IN ('queued', 'sending', 'unconfirmed')
        AND (e.sequence_number, e.part) < (d.sequence_number, d.part))
    ORDER BY d.next_attempt_at, d.id LIMIT (SELECT r.at_most FROM {{r}})
    """,
    channel_name="text",
    now="time",
    at_most="int",
)

END = statement(
    """
    UPDATE deliveries AS d SET status = r.status, error_code = r.reason, next_attempt_at = NULL, prepared = NULL
    FROM {r} WHERE d.id = r.id AND d.status = 'queued' RETURNING {d.}id
    """,
    id="text",
    status="text",
    reason="text",
)

TAKE = statement(
    """
    UPDATE deliveries AS d SET status = 'sending', lease_owner = r.lease_owner, lease_expires_at = r.lease_expires_at,
        called_at = r.now
    FROM {r} WHERE d.id = r.id AND d.status = 'queued' RETURNING {d.}id, {d.}prepared
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
