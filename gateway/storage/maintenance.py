"""What start-up, polling, media, the dead letters and replays write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.storage import consent
from gateway.storage.sql import Steps, load_json, statement
from gateway.storage.tables import OPEN_OR_DEAD
from gateway.storage.writer import OneByOne, Operation


@dataclass(frozen=True)
class OpenChannels(Operation[None]):
    """Make sure that the channels have a state, and forget what was wrong: the configuration may have been mended."""

    channel_names: tuple[str, ...]

    @classmethod
    def apply(cls, operations: Sequence[OpenChannels]) -> Steps[list[None]]:
        """Open all channels of all askers."""
        names = sorted({name for operation in operations for name in operation.channel_names})
        if names:
            yield OPEN, [{"channel_name": name} for name in names]
        return [None] * len(operations)


OPEN = statement(
    """
    INSERT INTO channel_states (channel_name, pause_attempts) SELECT r.channel_name, 0 FROM {r}
    WHERE TRUE ORDER BY r.channel_name
    ON CONFLICT (channel_name) DO UPDATE SET paused_until_at = NULL, pause_reason = NULL, pause_attempts = 0,
        look_due_at = NULL, findings = NULL
    """,
    channel_name="text",
)


@dataclass(frozen=True)
class TakeLeases(Operation[int]):
    """End the leases of serve processes: only for the one that owns the database; counts the calls cut off."""

    now: datetime
    owner: str = ""
    """Who asks: what has come to them already, through a door that opens first, they keep."""

    @classmethod
    def apply(cls, operations: Sequence[TakeLeases]) -> Steps[list[int]]:
        """End them once for all askers."""
        records = [{"now": max(operation.now for operation in operations), "owner": operations[0].owner}]
        yield FREE_TURNS, records
        rows = yield UNCONFIRM, records
        return [len(rows)] * len(operations)


FREE_TURNS = statement(
    """
    UPDATE chat_conversations AS c SET lease_owner = NULL, lease_expires_at = NULL, fence = c.fence + 1
    FROM {r} WHERE c.lease_owner LIKE 'serve:%' AND c.lease_owner <> r.owner
    """,
    now="time",
    owner="text",
)

UNCONFIRM = statement(
    f"""
    UPDATE deliveries AS d SET status = 'unconfirmed', unconfirmed_at = r.now, lease_owner = NULL,
        lease_expires_at = NULL, attempts = d.attempts + 1
    FROM {{r}} WHERE d.status = 'sending' AND d.{OPEN_OR_DEAD} RETURNING {{d.}}id
    """,
    now="time",
)


@dataclass(frozen=True, slots=True)
class PollTurn:
    """This process polls the channel now."""

    checkpoint: Mapping[str, Any] | None


@dataclass(frozen=True)
class ClaimPoll(OneByOne["PollTurn | None"]):
    """Take a channel's poll if it is due, or ours already; the next is due at ``next_due_at`` in any case."""

    channel_name: str
    now: datetime
    next_due_at: datetime
    owner: str
    """Which process asks: whoever polls goes on polling before anybody else finds it due."""
    at_start: bool = False
    early: bool = False
    """Whether it has heard of something new: then it need not be due, where we polled last."""

    def steps(self) -> Steps[PollTurn | None]:
        """Claim it."""
        names = ("channel_name", "now", "next_due_at", "owner", "at_start", "early")
        rows = yield CLAIM_POLL, [{name: getattr(self, name) for name in names}]
        return PollTurn(load_json(rows[0]["poll_checkpoint"])) if rows else None


CLAIM_POLL = statement(
    """
    UPDATE channel_states AS s SET poll_due_at = r.next_due_at, poll_owner = r.owner FROM {r}
    WHERE s.channel_name = r.channel_name AND (r.at_start OR s.poll_due_at IS NULL OR s.poll_due_at <= r.now
        OR (r.early AND s.poll_owner = r.owner))
    RETURNING {s.}poll_checkpoint
    """,
    channel_name="text",
    now="time",
    next_due_at="time",
    owner="text",
    at_start="bool",
    early="bool",
)


@dataclass(frozen=True)
class ClaimLook(OneByOne[bool]):
    """Take the look at a channel's platform if it is due; False where it is not, or another process has taken it."""

    channel_name: str
    now: datetime
    next_due_at: datetime

    def steps(self) -> Steps[bool]:
        """Claim it."""
        rows = yield CLAIM_LOOK, [{name: getattr(self, name) for name in ("channel_name", "now", "next_due_at")}]
        return bool(rows)


CLAIM_LOOK = statement(
    """
    UPDATE channel_states AS s SET look_due_at = r.next_due_at FROM {r} WHERE s.channel_name = r.channel_name
    AND (s.look_due_at IS NULL OR s.look_due_at <= r.now) RETURNING {s.}channel_name
    """,
    channel_name="text",
    now="time",
    next_due_at="time",
)


@dataclass(frozen=True)
class SaveFindings(Operation[None]):
    """Keep what a look found wrong, and when the next one is due."""

    channel_name: str
    findings: tuple[Mapping[str, Any], ...]
    next_due_at: datetime

    @classmethod
    def apply(cls, operations: Sequence[SaveFindings]) -> Steps[list[None]]:
        """Keep the last of each channel."""
        last = {o.channel_name: o for o in operations}
        yield (
            SAVE_FINDINGS,
            [
                {"channel_name": o.channel_name, "findings": list(o.findings), "next_due_at": o.next_due_at}
                for o in last.values()
            ],
        )
        return [None] * len(operations)


SAVE_FINDINGS = statement(
    """
    UPDATE channel_states AS s SET findings = r.findings, look_due_at = r.next_due_at FROM {r}
    WHERE s.channel_name = r.channel_name
    """,
    channel_name="text",
    findings="json",
    next_due_at="time",
)


@dataclass(frozen=True)
class SettleAttachment(Operation[None]):
    """What became of fetching a file: stored, refused for good, or pending until ``next_attempt_at``."""

    id: int
    status: str
    content_type: str | None = None
    sha256: str | None = None
    size: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None

    @classmethod
    def apply(cls, operations: Sequence[SettleAttachment]) -> Steps[list[None]]:
        """Settle all; an attachment that is stored stays stored."""
        yield (
            SETTLE_ATTACHMENT,
            [
                {
                    name: getattr(o, name)
                    for name in ("id", "status", "content_type", "sha256", "size", "error", "next_attempt_at")
                }
                for o in operations
            ],
        )
        return [None] * len(operations)


SETTLE_ATTACHMENT = statement(
    """
    UPDATE attachments AS a SET status = r.status, content_type = COALESCE(r.content_type, a.content_type),
        sha256 = r.sha256, size = r.size, error = r.error, next_attempt_at = r.next_attempt_at,
        attempts = a.attempts + 1
    FROM {r} WHERE a.id = r.id AND a.status <> 'stored'
    """,
    id="int",
    status="text",
    content_type="text",
    sha256="text",
    size="int",
    error="text",
    next_attempt_at="time",
)


@dataclass(frozen=True)
class Requeue(OneByOne[list[str]]):
    """Send failed deliveries again, from the beginning of their attempts; returns the ids of those that were.

    An address that was found to take no messages is tried again: nobody else would ever find out that it does.
    """

    ids: tuple[str, ...]
    now: datetime

    def steps(self) -> Steps[list[str]]:
        """Change those that are failed."""
        rows = yield REQUEUE, [{"id": id_, "now": self.now} for id_ in self.ids]
        yield from consent.try_again((row["channel_name"], row["recipient"]) for row in rows)
        return [row["id"] for row in rows]


# What was cancelled only because an earlier part failed belongs to the same reply and comes back with it.
REQUEUE = statement(
    """
    UPDATE deliveries AS d SET status = 'queued', attempts = 0, resends = 0, next_attempt_at = w.now,
        queued_at = w.now, error_code = NULL, error_message = NULL, dropped_at = NULL, unconfirmed_at = NULL,
        earlier_ids = CASE WHEN d.external_id IS NULL THEN d.earlier_ids
            ELSE COALESCE(d.earlier_ids || ' ', '') || d.external_id END,
        external_id = NULL, sent_at = NULL, silenced = NULL
    FROM (SELECT f.id, f.message_id, f.part, r.now FROM deliveries AS f JOIN {r} ON f.id = r.id
        WHERE f.status = 'failed') AS w
    WHERE d.id = w.id OR (d.message_id = w.message_id AND d.part > w.part AND d.status = 'cancelled'
        AND d.error_code = 'earlier_part_failed')
    RETURNING {d.}id, {d.}channel_name, {d.}recipient
    """,
    id="text",
    now="time",
)


@dataclass(frozen=True)
class Drop(OneByOne[list[str]]):
    """Take failed deliveries off the dead letters; they stay failed. Returns the ids of those that were."""

    ids: tuple[str, ...]
    now: datetime

    def steps(self) -> Steps[list[str]]:
        """Change those that are failed."""
        rows = yield DROP, [{"id": id_, "now": self.now} for id_ in self.ids]
        return [row["id"] for row in rows]


DROP = statement(
    """
    UPDATE deliveries AS d SET dropped_at = r.now FROM {r} WHERE d.id = r.id AND d.status = 'failed'
    AND d.dropped_at IS NULL RETURNING {d.}id
    """,
    id="text",
    now="time",
)


@dataclass(frozen=True)
class MarkReplayed(Operation[None]):
    """A rejected webhook has been read after all."""

    ids: tuple[int, ...]
    now: datetime

    @classmethod
    def apply(cls, operations: Sequence[MarkReplayed]) -> Steps[list[None]]:
        """Mark all."""
        records = [{"id": id_, "now": o.now} for o in operations for id_ in o.ids]
        if records:
            yield REPLAYED, records
        return [None] * len(operations)


REPLAYED = statement(
    "UPDATE rejected_webhooks AS w SET replayed_at = r.now FROM {r} WHERE w.id = r.id", id="int", now="time"
)
