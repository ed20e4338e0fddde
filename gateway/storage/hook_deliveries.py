"""Events on their way to receivers: claimed in order, settled, given up, tried again, and forgotten.

Of each conversation a receiver is given one event at a time; whoever dies with one leaves it due again when its lease
ends, under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage.sql import Statement, Steps, load_json, statement
from gateway.storage.writer import OneByOne

OUTAGES = frozenset({429, 502, 503, 504})
"""What says nothing about the event itself: Standard Webhooks 1.0.0, "Delivery success and failure"."""
PROBE_AFTER = 5
"""After so many failures in a row a receiver is given one event at a time, until it takes one."""


@dataclass(frozen=True, slots=True)
class ClaimedHook:
    """An event that this process hands to a receiver now."""

    id: str
    """The ``webhook-id``."""
    type: str
    payload: Mapping[str, Any]
    happened_at: datetime
    queued_at: datetime
    attempts: int
    """With this one."""
    outages: int
    """How many of them failed for the receiver's sake."""
    failures: int
    """How many attempts at this receiver had failed in a row."""


@dataclass(frozen=True)
class ClaimHooks(OneByOne[list[ClaimedHook]]):
    """Take what is due for a receiver, of each conversation the first; nothing while it is paused or disabled."""

    receiver_id: str
    now: datetime
    leased_until: datetime
    at_most: int

    def steps(self) -> Steps[list[ClaimedHook]]:
        """Take them."""
        states = yield STATE, [{"id": self.receiver_id, "now": self.now}]
        if not states:
            return []
        failures = states[0]["failures"]
        probes = failures >= PROBE_AFTER
        wanted = {"receiver_id": self.receiver_id, "now": self.now, "at_most": 1 if probes else self.at_most}
        due = yield HEADS, [wanted]
        if not due:
            return []
        if probes:
            yield HOLD, [{"id": self.receiver_id, "until_at": self.leased_until}]
        yield TAKE, [{"id": row["id"], "leased_until": self.leased_until} for row in due]
        rows = yield EVENTS, [{"id": row["id"]} for row in due]
        return [ClaimedHook(**{**row, "payload": load_json(row["payload"]), "failures": failures}) for row in rows]


# Whoever works on what waits for a receiver has its row first: so what one has taken, or put back, all others see.
STATE = statement(
    """
    SELECT s.failures FROM receivers AS s JOIN {r} ON s.id = r.id
    WHERE s.disabled_at IS NULL AND (s.paused_until_at IS NULL OR s.paused_until_at <= r.now) {hold s}
    """,
    id="text",
    now="time",
)

# Nobody gives it another one while this one finds out whether it takes any.
HOLD = statement(
    "UPDATE receivers AS s SET paused_until_at = r.until_at FROM {r} WHERE s.id = r.id", id="text", until_at="time"
)

# The first of its conversation that waits, unless another is being told: somebody may have retried an earlier one. A
# few look-ups for each that is due, in the order of the index, until there are enough: said with NOT EXISTS, PostgreSQL
# makes a join of it, and reads all that waits.
HEADS = statement(
    """
    SELECT h.id FROM hook_deliveries AS h
    WHERE h.receiver_id = (SELECT r.receiver_id FROM {r}) AND h.status = 'queued'
    AND h.next_attempt_at <= (SELECT r.now FROM {r})
    AND h.event_id = (
        SELECT e.event_id FROM hook_deliveries AS e WHERE e.receiver_id = h.receiver_id
        AND e.conversation_id = h.conversation_id AND e.status = 'queued' ORDER BY e.event_id LIMIT 1)
    AND (
        SELECT o.id FROM hook_deliveries AS o WHERE o.receiver_id = h.receiver_id
        AND o.conversation_id = h.conversation_id AND o.leased_until_at > (SELECT r.now FROM {r}) LIMIT 1) IS NULL
    ORDER BY h.next_attempt_at LIMIT (SELECT r.at_most FROM {r}) {skip h}
    """,
    receiver_id="text",
    now="time",
    at_most="int",
)

TAKE = statement(
    """
    UPDATE hook_deliveries AS h SET attempts = h.attempts + 1, next_attempt_at = r.leased_until,
        leased_until_at = r.leased_until
    FROM {r} WHERE h.id = r.id
    """,
    id="text",
    leased_until="time",
)

EVENTS = statement(
    """
    SELECT h.id, e.type, e.payload, e.created_at AS happened_at, h.created_at AS queued_at, h.attempts,
        h.outages
    FROM hook_deliveries AS h JOIN {r} ON h.id = r.id JOIN events AS e ON e.id = h.event_id ORDER BY e.id
    """,
    id="text",
)


@dataclass(frozen=True)
class SettleHook(OneByOne[bool]):
    """Record what became of an attempt; False where somebody else has it meanwhile.

    That it was delivered is true whoever has it.
    """

    id: str
    receiver_id: str
    attempts: int
    status: str
    """``delivered``, ``failed`` for good, or ``queued``: due again at ``next_attempt_at``."""
    now: datetime
    next_attempt_at: datetime | None = None
    response_status: int | None = None
    error: str | None = None
    is_outage: bool = False
    """Whether the attempt failed for the receiver's sake, and not for the event's."""
    pause_until_at: datetime | None = None
    """Until when the receiver is given nothing."""
    failures: int = 0
    """How many attempts had failed in a row before: what an outage has put off comes now that the receiver is back."""
    leased_until: datetime | None = None
    """No lease that runs now ends later."""

    @classmethod
    def apply(cls, operations: Sequence[SettleHook]) -> Steps[list[bool]]:
        """Settle each after the other, behind the locks of their receivers, which are taken in one order."""
        yield LOCK_RECEIVERS, [{"id": operation.receiver_id} for operation in operations]
        return (yield from super().apply(operations))

    def steps(self) -> Steps[bool]:
        """Settle it, and keep what it says about its receiver."""
        rows = yield SETTLE, [self._record()]
        if self.is_outage:
            yield NOTE_FAILURE, [{"id": self.receiver_id, "until_at": self.pause_until_at}]
        else:
            yield NOTE_RECOVERY, [{"id": self.receiver_id}]
        if self.failures >= PROBE_AFTER and not self.is_outage:
            yield BRING_FORWARD, [{"receiver_id": self.receiver_id, "leased_until": self.leased_until}]
        return bool(rows)

    def _record(self) -> dict[str, Any]:
        names = ("id", "attempts", "status", "next_attempt_at", "response_status", "error", "is_outage")
        delivered_at = self.now if self.status == "delivered" else None
        return {**{name: getattr(self, name) for name in names}, "delivered_at": delivered_at}


LOCK_RECEIVERS = Statement(
    sqlite=None,
    postgres=statement(
        "SELECT s.id FROM receivers AS s JOIN {r} ON s.id = r.id ORDER BY s.id {hold s}", id="text"
    ).postgres,
)

# What was taken is delivered, also where the receiver has said meanwhile, to another call, that it wants no more.
SETTLE = statement(
    """
    UPDATE hook_deliveries AS h SET status = r.status, next_attempt_at = r.next_attempt_at, leased_until_at = NULL,
        response_status = r.response_status, error = r.error, delivered_at = r.delivered_at,
        outages = h.outages + CASE WHEN r.is_outage THEN 1 ELSE 0 END
    FROM {r} WHERE h.id = r.id AND ((r.status = 'delivered' AND h.status <> 'delivered')
        OR (h.status = 'queued' AND h.attempts = r.attempts))
    RETURNING {h.}id
    """,
    id="text",
    attempts="int",
    status="text",
    next_attempt_at="time",
    response_status="int",
    error="text",
    delivered_at="time",
    is_outage="bool",
)

NOTE_FAILURE = statement(
    """
    UPDATE receivers AS s SET failures = s.failures + 1, paused_until_at = COALESCE(r.until_at, s.paused_until_at)
    FROM {r} WHERE s.id = r.id
    """,
    id="text",
    until_at="time",
)

NOTE_RECOVERY = statement(
    "UPDATE receivers AS s SET failures = 0, paused_until_at = NULL FROM {r} WHERE s.id = r.id AND s.failures > 0",
    id="text",
)

# What the receiver has read and refused keeps its own time. The rest takes its old place in the index again, before
# what waits behind it: a claim reads from there, and would have to read all of that first.
BRING_FORWARD = statement(
    f"""
    UPDATE hook_deliveries AS h SET next_attempt_at = h.created_at FROM {{r}}
    WHERE h.receiver_id = r.receiver_id AND h.status = 'queued' AND h.next_attempt_at > r.leased_until
    AND (h.response_status IS NULL OR h.response_status IN ({", ".join(map(str, sorted(OUTAGES)))}))
    """,
    receiver_id="text",
    leased_until="time",
)


@dataclass(frozen=True)
class DisableReceiver(OneByOne[int]):
    """A receiver wants no more (410): it is given nothing, and what waits for it fails. Returns how much that was."""

    receiver_id: str
    now: datetime
    error: str

    def steps(self) -> Steps[int]:
        """Disable it until somebody retries what has failed, or its test succeeds."""
        yield SHUT_OUT, [{"id": self.receiver_id}]
        yield DISABLE, [{"id": self.receiver_id, "now": self.now}]
        rows = yield FAIL_QUEUED, [{"id": self.receiver_id, "error": self.error}]
        return len(rows)


# Whoever is just writing something down for it ends first, and it fails with the rest; whoever comes later writes none.
SHUT_OUT = Statement(
    sqlite=None,
    postgres=statement("SELECT s.id FROM receivers AS s JOIN {r} ON s.id = r.id {lock s}", id="text").postgres,
)

DISABLE = statement(
    "UPDATE receivers AS s SET disabled_at = r.now FROM {r} WHERE s.id = r.id AND s.disabled_at IS NULL",
    id="text",
    now="time",
)

FAIL_QUEUED = statement(
    """
    UPDATE hook_deliveries AS h SET status = 'failed', next_attempt_at = NULL, leased_until_at = NULL, error = r.error
    FROM {r} WHERE h.receiver_id = r.id AND h.status = 'queued' RETURNING {h.}id
    """,
    id="text",
    error="text",
)


@dataclass(frozen=True)
class ForgetEvents(OneByOne[int]):
    """Delete old events, ``at_most`` at once: what is delivered after a while, what has failed after a longer one.

    Returns how many were deleted. What is still on its way stays, however old it is.
    """

    before: datetime
    failed_before: datetime
    at_most: int

    def steps(self) -> Steps[int]:
        """Delete the oldest of them."""
        names = ("before", "failed_before", "at_most")
        rows = yield OLD, [{name: getattr(self, name) for name in names}]
        if rows:
            old = [{"id": row["id"]} for row in rows]
            yield DELETE_DELIVERIES, old
            yield DELETE_EVENTS, old
        return len(rows)


OLD = statement(
    """
    SELECT e.id FROM events AS e WHERE e.created_at < (SELECT r.before FROM {r})
    AND NOT EXISTS (SELECT 1 FROM hook_deliveries AS h WHERE h.event_id = e.id AND (h.status = 'queued'
        OR (h.status = 'failed' AND e.created_at >= (SELECT r.failed_before FROM {r}))))
    ORDER BY e.created_at LIMIT (SELECT r.at_most FROM {r}) {skip e}
    """,
    before="time",
    failed_before="time",
    at_most="int",
)

# What somebody retries at this very moment stays, and its event with it.
DELETE_DELIVERIES = statement(
    "DELETE FROM hook_deliveries WHERE event_id IN (SELECT r.id FROM {r}) AND status <> 'queued'", id="int"
)

DELETE_EVENTS = statement(
    """
    DELETE FROM events WHERE id IN (SELECT r.id FROM {r})
    AND NOT EXISTS (SELECT 1 FROM hook_deliveries AS h WHERE h.event_id = events.id)
    """,
    id="int",
)
