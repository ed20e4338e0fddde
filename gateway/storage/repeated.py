"""Requests that may be repeated: the first with its Idempotency-Key runs, the others are given its answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne

KEPT = timedelta(hours=24)
DELETED_AT_ONCE = 200
"""Each request takes so many old rows with it at most: more go than come, and nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Began:
    """What is known about a request with its key."""

    id: int
    is_new: bool
    """True for the one who is to run it."""
    request_hash: str
    created_at: datetime
    status: int | None = None
    """None while it is being answered."""
    content_type: str | None = None
    body: bytes | None = None
    """None too where it was erased with a person who is named in it."""


@dataclass(frozen=True)
class BeginRequest(OneByOne[Began]):
    """Write down that a request is being answered, or tell who came first; the unique constraint decides."""

    owner: str
    idempotency_key: str
    request_hash: str
    now: datetime

    def steps(self) -> Steps[Began]:
        """Begin it."""
        asked = {"owner": self.owner, "idempotency_key": self.idempotency_key}
        before = self.now - KEPT
        yield FORGET, [{**asked, "before": before}]
        yield DELETE_OLD, [{"before": before}]
        rows = yield INSERT, [{**asked, "request_hash": self.request_hash, "now": self.now}]
        if rows:
            return Began(rows[0]["id"], True, self.request_hash, self.now)
        [row] = yield READ, [asked]
        return Began(
            row["id"],
            False,
            row["request_hash"],
            row["created_at"],
            row["status"],
            row["content_type"],
            None if row["body"] is None else bytes(row["body"]),
        )


# An answer that is older than a day is not given again: the key is as good as new.
FORGET = statement(
    """
    DELETE FROM repeated_requests WHERE id IN (SELECT q.id FROM repeated_requests AS q JOIN {r}
        ON q.owner = r.owner AND q.idempotency_key = r.idempotency_key WHERE q.created_at <= r.before)
    """,
    owner="text",
    idempotency_key="text",
    before="time",
)

# Whoever deletes at the same time skips what the other has, so neither waits.
DELETE_OLD = statement(
    f"""
    DELETE FROM repeated_requests WHERE id IN (SELECT q.id FROM repeated_requests AS q JOIN {{r}}
        ON q.created_at <= r.before ORDER BY q.created_at LIMIT {DELETED_AT_ONCE} {{skip q}})
    """,
    before="time",
)

INSERT = statement(
    """
    INSERT INTO repeated_requests (owner, idempotency_key, request_hash, created_at)
    SELECT r.owner, r.idempotency_key, r.request_hash, r.now FROM {r} WHERE TRUE
    ON CONFLICT (owner, idempotency_key) DO NOTHING RETURNING id
    """,
    owner="text",
    idempotency_key="text",
    request_hash="text",
    now="time",
)

READ = statement(
    """
    SELECT q.id, q.request_hash, q.created_at, q.status, q.content_type, q.body FROM repeated_requests AS q
    JOIN {r} ON q.owner = r.owner AND q.idempotency_key = r.idempotency_key
    """,
    owner="text",
    idempotency_key="text",
)


@dataclass(frozen=True)
class SettleRequest(OneByOne[None]):
    """Keep what a request was answered."""

    id: int
    status: int
    content_type: str
    body: bytes

    def steps(self) -> Steps[None]:
        """Keep it."""
        yield (
            SETTLE,
            [
                {
                    "id": self.id,
                    "status": self.status,
                    "content_type": self.content_type,
                    "body": base64.b64encode(self.body).decode("ascii"),
                }
            ],
        )


_SETTLE = """
    UPDATE repeated_requests AS q SET status = r.status, content_type = r.content_type, body = {body}
    FROM {{r}} WHERE q.id = r.id
"""
_SETTLED = {"id": "int", "status": "int", "content_type": "text", "body": "text"}
# The body travels in the JSON as base64. PostgreSQL decodes that itself, SQLite by a function of the writer's.
SETTLE = Statement(
    sqlite=statement(_SETTLE.format(body="frontdesk_unbase64(r.body)"), **_SETTLED).sqlite,
    postgres=statement(_SETTLE.format(body="decode(r.body, 'base64')"), **_SETTLED).postgres,
)
