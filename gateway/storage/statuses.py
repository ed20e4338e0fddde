"""What the platforms report about deliveries: a status is raised and never lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.base import DeliveryStatus, Event, Scope, Status, Watermark
from gateway.storage import consent
from gateway.storage.hook_facts import Happening
from gateway.storage.sql import Statement, Steps, statement

RANK = {"queued": 0, "sending": 0, "unconfirmed": 0, "sent": 1, "failed": 2, "delivered": 3, "read": 4}
"""A report counts where it ranks higher. A failure does so before ``delivered`` only: what arrived did not fail."""

FINAL = 9
"""The rank of what no report changes any more."""

OUTCOME_UNKNOWN = "outcome_unknown"
"""The error code of a delivery that failed only because nobody could say whether it was sent."""

_FIND = """
    SELECT d.id, d.status, d.error_code, d.external_id, d.earlier_ids, d.channel_name, d.recipient, d.message_id,
        d.conversation_id, d.part, r.place
    FROM {{r}} JOIN deliveries AS d ON d.channel_name = r.channel_name AND {which}
    ORDER BY d.id {{lock d}}
"""
_WANTED = {"place": "int", "channel_name": "text", "delivery_id": "text", "external_id": "text"}
# PostgreSQL combines two indexes for an OR; SQLite needs to be told which two look-ups to make.
FIND = Statement(
    sqlite=statement(
        _FIND.format(
            which="""d.id IN (r.delivery_id, (SELECT e.id FROM deliveries AS e
                WHERE e.channel_name = r.channel_name AND e.external_id = r.external_id ORDER BY e.id LIMIT 1))"""
        ),
        **_WANTED,
    ).sqlite,
    postgres=statement(
        _FIND.format(which="(d.id = r.delivery_id OR d.external_id = r.external_id)"), **_WANTED
    ).postgres,
)

RAISE = statement(
    """
    UPDATE deliveries AS d SET status = r.status, external_id = COALESCE(d.external_id, r.external_id),
        error_code = r.error_code, error_message = r.error_message, sent_at = COALESCE(d.sent_at, r.sent_at),
        next_attempt_at = NULL, unconfirmed_at = NULL, prepared = NULL, pricing = COALESCE(r.pricing, d.pricing)
    FROM {r} WHERE d.id = r.id
    """,
    id="text",
    status="text",
    external_id="text",
    error_code="text",
    error_message="text",
    sent_at="time",
    pricing="json",
)

# A call that had begun by then is among the messages that the platform means.
RAISE_UP_TO = statement(
    """
    UPDATE deliveries AS d SET status = r.status FROM {r}
    WHERE d.channel_name = r.channel_name AND d.recipient = r.recipient AND d.called_at <= r.up_to_at
    AND (d.status = 'sent' OR (d.status = 'delivered' AND r.status = 'read'))
    """,
    channel_name="text",
    recipient="text",
    status="text",
    up_to_at="time",
)

# What was cancelled because nobody could prove an earlier part goes on when the proof comes late.
RELEASE_REST = statement(
    """
    UPDATE deliveries AS d SET status = 'queued', error_code = NULL, next_attempt_at = r.now FROM {r}
    WHERE d.message_id = r.message_id AND d.part > r.part AND d.status = 'cancelled'
    AND d.error_code = 'earlier_part_failed'
    """,
    message_id="int",
    part="int",
    now="time",
)

CANCEL_REST = statement(
    """
    UPDATE deliveries AS d SET status = 'cancelled', error_code = 'earlier_part_failed', next_attempt_at = NULL,
        prepared = NULL
    FROM {r} WHERE d.message_id = r.message_id AND d.part > r.part AND d.status = 'queued'
    """,
    message_id="int",
    part="int",
)


@dataclass(slots=True)
class _Report:
    """What is known about one delivery after all the reports of a batch."""

    row: dict[str, Any]
    status: str
    rank: int
    external_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    at: datetime | None = None
    opted_out: Scope | None = None
    undeliverable: bool = False
    pricing: Mapping[str, Any] | None = None

    def is_of_an_earlier_attempt(self, external_id: str | None) -> bool:
        """Whether an id is of a message that was sent for this delivery before the present one."""
        earlier = (self.row["earlier_ids"] or "").split()
        return external_id is not None and (external_id in earlier or self.external_id not in (None, external_id))

    @property
    def proves_late(self) -> bool:
        """Whether it arrived after all, after it had been given up for want of a proof."""
        return bool(self.row["status"] == "failed") and self.status != "failed"

    @property
    def settles(self) -> bool:
        """Whether later deliveries of the conversation may go now and could not before."""
        return self.proves_late or RANK.get(self.row["status"]) == 0


def apply_statuses(
    reports: Sequence[tuple[str, Event, datetime]], happened: list[Happening]
) -> Steps[list[bool | None]]:
    """Apply (channel_name, status, time) reports.

    Returns for each None where no delivery of ours is meant, else whether it settled one that others wait behind. What
    receivers are to be told goes to ``happened``.
    """
    rows = yield FIND, [_wanted(place, name, event) for place, (name, event, _) in enumerate(reports)]
    known: dict[str, _Report] = {}
    meant: list[_Report | None] = [None] * len(reports)
    for row in sorted(rows, key=lambda row: row["place"]):
        report = known.setdefault(row["id"], _start(row))
        meant[row["place"]] = report
        _, event, at = reports[row["place"]]
        assert isinstance(event, Status)
        _merge(report, event, at)
    raised = [report for report in known.values() if report.at is not None]
    yield from _save(raised)
    happened += yield from consent.unreachable(
        [(r.row["channel_name"], r.row["recipient"], r.at) for r in raised if r.undeliverable and r.at is not None]
    )
    told = [happening_of(r.row, r.row["status"], r.status, r.at) for r in raised if r.at is not None]
    happened += [happening for happening in told if happening is not None]
    return [None if report is None else report.at is not None and report.settles for report in meant]


HAS_LEFT = ("sent", "delivered", "read")


def happening_of(delivery: Mapping[str, Any], before: str, after: str, at: datetime) -> Happening | None:
    """Return what a delivery's new status tells receivers, if it tells them anything."""
    if after == "failed" != before:
        return Happening("delivery.failed", delivery["conversation_id"], at, delivery["id"])
    if after in HAS_LEFT and before not in HAS_LEFT:
        return Happening("message.sent", delivery["conversation_id"], at, delivery["message_id"])
    return None


def _wanted(place: int, channel_name: str, event: Event) -> dict[str, Any]:
    assert isinstance(event, Status)
    return {
        "place": place,
        "channel_name": channel_name,
        "delivery_id": event.delivery_id,
        "external_id": event.external_id,
    }


def _start(row: dict[str, Any]) -> _Report:
    status = row["status"]
    unproven = status == "failed" and row["error_code"] == OUTCOME_UNKNOWN
    # Nothing revives what failed or was cancelled; proof of an unproven one is welcome at any time.
    rank = 0 if unproven else FINAL if status in ("failed", "cancelled") else RANK[status]
    return _Report(row=row, status=status, rank=rank, external_id=row["external_id"])


def _merge(report: _Report, event: Status, at: datetime) -> None:
    failed = event.status is DeliveryStatus.FAILED
    if failed and report.is_of_an_earlier_attempt(event.external_id):
        return
    report.external_id = report.external_id or event.external_id
    report.pricing = event.pricing or report.pricing
    rank = RANK[event.status]
    if rank <= report.rank:
        return
    report.status, report.rank, report.at = event.status.value, FINAL if failed else rank, at
    report.error_code = (event.error_code or "failed") if failed else None
    report.error_message = event.error_message if failed else None
    report.opted_out = event.opted_out if failed else None
    report.undeliverable = failed and event.undeliverable


def _save(raised: Sequence[_Report]) -> Steps[None]:
    if not raised:
        return
    yield (
        RAISE,
        [
            {
                "id": report.row["id"],
                "status": report.status,
                "external_id": report.external_id,
                "error_code": report.error_code,
                "error_message": report.error_message,
                "sent_at": None if report.status == "failed" else report.at,
                "pricing": report.pricing,
            }
            for report in raised
        ],
    )
    proved = [report for report in raised if report.proves_late]
    if proved:
        yield (
            RELEASE_REST,
            [{"message_id": r.row["message_id"], "part": r.row["part"], "now": r.at} for r in proved],
        )
    failed = [report.row for report in raised if report.status == "failed"]
    if failed:
        yield CANCEL_REST, [{"message_id": row["message_id"], "part": row["part"]} for row in failed]
    yield from consent.refused(
        [
            (report.row["channel_name"], report.row["recipient"], report.at, report.opted_out)
            for report in raised
            if report.opted_out is not None and report.at is not None
        ]
    )


def apply_watermarks(watermarks: Sequence[tuple[str, Watermark]]) -> Steps[None]:
    """Raise what was sent to a recipient up to a time; of two watermarks the further one counts."""
    for status in (DeliveryStatus.DELIVERED, DeliveryStatus.READ):  # a statement raises a delivery once
        furthest: dict[tuple[str, str], datetime] = {}
        for channel_name, mark in watermarks:
            if mark.status is status:
                key = (channel_name, mark.recipient)
                furthest[key] = max(furthest.get(key, mark.up_to_at), mark.up_to_at)
        if furthest:
            yield (
                RAISE_UP_TO,
                [
                    {"channel_name": name, "recipient": recipient, "status": status.value, "up_to_at": up_to_at}
                    for (name, recipient), up_to_at in furthest.items()
                ],
            )
