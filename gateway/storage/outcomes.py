"""What came back from the platform, for the delivery and for its channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from channels.base import Scope
from gateway.storage import consent, hooks, identities
from gateway.storage.sql import Steps, statement
from gateway.storage.statuses import CANCEL_REST, happening_of
from gateway.storage.writer import Operation

BEFORE = statement(
    "SELECT d.id, d.status FROM deliveries AS d JOIN {r} ON d.id = r.id ORDER BY d.id {lock d}", id="text"
)


class Outcome(StrEnum):
    """What came back from one call."""

    SENT = "sent"
    RETRY = "retry"
    """Not processed: queued again."""
    UNCONFIRMED = "unconfirmed"
    """Nobody knows: a callback or a look-up decides."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Pause:
    """What a call says about its whole channel."""

    until_at: datetime | None
    """When it is probed again; None ends the pause."""
    reason: str | None = None


@dataclass(frozen=True)
class SettleDelivery(Operation[bool]):
    """Record what came back; False where the delivery was not ours any more (then the callback decides)."""

    id: str
    lease_owner: str
    outcome: Outcome
    now: datetime
    external_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    next_attempt_at: datetime | None = None
    counts: bool = True
    """Whether this attempt uses up one of the delivery's own."""
    resend: bool = False
    """True for the one resend after an unproven outcome."""
    opted_out: Scope | None = None
    """What the recipient wants no more, where the platform refused for that."""
    undeliverable: bool = False
    """True where the recipient's address takes no messages."""
    recipient: str | None = None
    """The platform's own address of the recipient, where it is another."""
    remark: str | None = None
    channel_name: str | None = None
    pause: Pause | None = None

    @classmethod
    def apply(cls, operations: Sequence[SettleDelivery]) -> Steps[list[bool]]:
        """Settle deliveries that are still leased to the claim that names them."""
        records = [operation.record() for operation in operations]
        before = {row["id"]: row["status"] for row in (yield BEFORE, records)}
        rows = yield SETTLE, records
        settled = {row["id"]: row for row in rows}
        failed = [row for row in rows if row["status"] == "failed"]
        if failed:
            yield CANCEL_REST, [{"message_id": row["message_id"], "part": row["part"]} for row in failed]
        yield from consent.refused(
            [
                (settled[o.id]["channel_name"], settled[o.id]["recipient"], o.now, o.opted_out)
                for o in operations
                if o.id in settled and o.opted_out is not None
            ]
        )
        unreachable = [o for o in operations if o.id in settled and o.undeliverable]
        happened = yield from consent.unreachable(
            [(settled[o.id]["channel_name"], settled[o.id]["recipient"], o.now) for o in unreachable]
        )
        yield from identities.add_recipients(
            [
                (settled[o.id]["conversation_id"], o.recipient)
                for o in operations
                if o.id in settled and o.recipient is not None
            ]
        )
        pauses = {o.channel_name: o.pause for o in operations if o.pause is not None and o.channel_name is not None}
        if pauses:
            yield (
                PAUSE,
                [
                    {
                        "channel_name": name,
                        "until_at": pause.until_at,
                        "reason": pause.reason,
                        "steps": 0 if pause.until_at is None else 1,
                    }
                    for name, pause in pauses.items()
                ],
            )
        if any(row["is_followed"] for row in rows):
            now = {o.id: o.now for o in operations}
            told = [happening_of(row, before[row["id"]], row["status"], now[row["id"]]) for row in rows]
            yield from hooks.emit([*(happening for happening in told if happening is not None), *happened])
        return [operation.id in settled for operation in operations]

    def record(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "lease_owner": self.lease_owner,
            "status": _STATUS[self.outcome],
            "external_id": self.external_id,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "next_attempt_at": self.next_attempt_at if self.outcome is Outcome.RETRY else None,
            "sent_at": self.now if self.outcome is Outcome.SENT else None,
            "unconfirmed_at": self.now if self.outcome is Outcome.UNCONFIRMED else None,
            "counted": 1 if self.counts else 0,
            "resent": 1 if self.resend else 0,
            "remark": self.remark,
        }


_STATUS = {
    Outcome.SENT: "sent",
    Outcome.RETRY: "queued",
    Outcome.UNCONFIRMED: "unconfirmed",
    Outcome.FAILED: "failed",
}

# A callback may have been faster: then the delivery is not `sending` any more, its status stands, and only the id
# that the response brought is added. `unconfirmed` is settled through here as well, by whoever looked it up. What a
# person has silenced meanwhile is not sent again.
SETTLE = statement(
    f"""
    UPDATE deliveries AS d SET
        status = CASE WHEN d.status NOT IN ('sending', 'unconfirmed') THEN d.status
            WHEN r.status = 'queued' AND d.silenced IS NOT NULL
            THEN CASE WHEN r.resent = 1 THEN 'failed' ELSE 'cancelled' END
            ELSE r.status END,
        external_id = COALESCE(d.external_id, r.external_id),
        error_code = CASE WHEN d.status NOT IN ('sending', 'unconfirmed') THEN d.error_code
            WHEN r.status = 'queued' AND d.silenced IS NOT NULL
            THEN CASE WHEN r.resent = 1 THEN 'outcome_unknown' ELSE d.silenced END
            ELSE r.error_code END,
        error_message = CASE WHEN d.status IN ('sending', 'unconfirmed') THEN r.error_message ELSE d.error_message END,
        next_attempt_at = CASE WHEN d.status IN ('sending', 'unconfirmed') AND d.silenced IS NULL
            THEN r.next_attempt_at ELSE NULL END,
        sent_at = COALESCE(d.sent_at, r.sent_at),
        unconfirmed_at = CASE WHEN d.status IN ('sending', 'unconfirmed') THEN r.unconfirmed_at ELSE NULL END,
        attempts = d.attempts + r.counted, resends = d.resends + r.resent,
        prepared = CASE WHEN d.status IN ('sending', 'unconfirmed')
            AND (r.status = 'unconfirmed' OR (r.status = 'queued' AND d.silenced IS NULL)) THEN d.prepared END,
        remark = COALESCE(r.remark, d.remark), lease_owner = NULL, lease_expires_at = NULL
    FROM {{r}} WHERE d.id = r.id AND d.lease_owner = r.lease_owner
    RETURNING {{d.}}id, {{d.}}status, {{d.}}message_id, {{d.}}part, {{d.}}channel_name, {{d.}}recipient,
        {{d.}}conversation_id, {hooks.IS_FOLLOWED}
    """,
    id="text",
    lease_owner="text",
    status="text",
    external_id="text",
    error_code="text",
    error_message="text",
    next_attempt_at="time",
    sent_at="time",
    unconfirmed_at="time",
    counted="int",
    resent="int",
    remark="text",
)

PAUSE = statement(
    """
    UPDATE channel_states AS s SET paused_until_at = r.until_at, pause_reason = r.reason,
        pause_attempts = CASE WHEN r.steps = 0 THEN 0 ELSE s.pause_attempts + 1 END
    FROM {r} WHERE s.channel_name = r.channel_name
    """,
    channel_name="text",
    until_at="time",
    reason="text",
    steps="int",
)
