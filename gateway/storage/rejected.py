"""Well-signed webhooks that could not be read, or that belong to nobody: kept whole until they can be replayed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from channels.base import Request
from gateway.storage.sql import Statement, Steps, statement


@dataclass(frozen=True, slots=True)
class Rejected:
    """One request, and why it was not understood."""

    channel_name: str
    request: Request
    reason: str
    received_at: datetime
    body_sha256: str | None = None
    """The hash by which its body lies in ``data.dir``, where that is too long for a row; the request has none then."""


_KEEP = """
    INSERT INTO rejected_webhooks (channel_name, method, target, headers, body, body_sha256, reason, received_at)
    SELECT r.channel_name, r.method, r.target, r.headers, {body}, r.body_sha256, r.reason, r.received_at FROM {{r}}
    WHERE TRUE ON CONFLICT (channel_name, body_sha256, received_at) DO NOTHING
"""
_COLUMNS = {
    "channel_name": "text",
    "method": "text",
    "target": "text",
    "headers": "json",
    "body": "text",
    "body_sha256": "text",
    "reason": "text",
    "received_at": "time",
}
# The body travels in the JSON as base64. PostgreSQL decodes that itself, SQLite by a function of the writer's.
KEEP = Statement(
    sqlite=statement(_KEEP.format(body="frontdesk_unbase64(r.body)"), **_COLUMNS).sqlite,
    postgres=statement(_KEEP.format(body="decode(r.body, 'base64')"), **_COLUMNS).postgres,
)


def keep_rejected(rows: Sequence[Rejected]) -> Steps[None]:
    """Store the requests as they arrived."""
    yield (
        KEEP,
        [
            {
                "channel_name": row.channel_name,
                "method": row.request.method,
                "target": row.request.target,
                "headers": [list(pair) for pair in row.request.headers],
                "body": base64.b64encode(row.request.body).decode("ascii"),
                "body_sha256": row.body_sha256,
                "reason": row.reason,
                "received_at": row.received_at,
            }
            for row in rows
        ],
    )
