"""Requests that may be repeated: the first with its Idempotency-Key runs, the others are given its answer."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne

KEPT = timedelta(hours=24)


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
        hashed = hashlib.sha256(self.idempotency_key.encode()).hexdigest()
        asked = {"owner": self.owner, "idempotency_key": hashed}
        yield FORGET, [{**asked, "before": self.now - KEPT}]
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
    """Keep what a request was answered; not the words of one whose conversation was erased while it ran."""

    id: int
    status: int
    content_type: str
    body: bytes
    conversation: str | None = None
    """The public id of the conversation that it was about."""

    @property
    def keys(self) -> frozenset[str]:
        """The conversation's row, which whoever erases it has locked."""
        return frozenset() if self.conversation is None else frozenset((f"conversation {self.conversation}",))

    def steps(self) -> Steps[None]:
        """Keep it."""
        is_there = self.conversation is not None and bool((yield HOLD, [{"conversation": self.conversation}]))
        is_erased = self.conversation is not None and not is_there and self.status < REFUSED
        yield (
            SETTLE,
            [
                {
                    "id": self.id,
                    "status": self.status,
                    "content_type": self.content_type,
                    "body": None if is_erased else base64.b64encode(self.body).decode("ascii"),
                    "conversation": None if is_erased else self.conversation,
                }
            ],
        )


REFUSED = 400
"""From this status on an answer says of a conversation nothing but its id."""

HOLD = statement(
    "SELECT c.id FROM chat_conversations AS c JOIN {r} ON c.conversation_id = r.conversation {keep c}",
    conversation="text",
)

_SETTLE = """
    UPDATE repeated_requests AS q SET status = r.status, content_type = r.content_type, conversation = r.conversation,
        body = CASE WHEN r.body IS NOT NULL THEN {body} END
    FROM {{r}} WHERE q.id = r.id
"""
_SETTLED = {"id": "int", "status": "int", "content_type": "text", "body": "text", "conversation": "text"}
# The body travels in the JSON as base64. PostgreSQL decodes that itself, SQLite by a function of the writer's.
SETTLE = Statement(
    sqlite=statement(_SETTLE.format(body="frontdesk_unbase64(r.body)"), **_SETTLED).sqlite,
    postgres=statement(_SETTLE.format(body="decode(r.body, 'base64')"), **_SETTLED).postgres,
)


@dataclass(frozen=True)
class ReleaseRequest(OneByOne[None]):
    """Forget that a request was begun, of which nothing was done: its key is as good as new."""

    id: int

    def steps(self) -> Steps[None]:
        """Forget it."""
        yield RELEASE, [{"id": self.id}]


RELEASE = statement("DELETE FROM repeated_requests WHERE id IN (SELECT r.id FROM {r}) AND status IS NULL", id="int")


@dataclass(frozen=True)
class KeepWorking(OneByOne[None]):
    """Say that a request is still being answered, however long that takes."""

    id: int
    now: datetime

    def steps(self) -> Steps[None]:
        """Say it."""
        yield WORKING, [{"id": self.id, "now": self.now}]


WORKING = statement(
    "UPDATE repeated_requests AS q SET created_at = r.now FROM {r} WHERE q.id = r.id AND q.status IS NULL",
    id="int",
    now="time",
)


@dataclass(frozen=True)
class ForgetRequests(OneByOne[int]):
    """Delete requests that nobody can repeat any more, the oldest first, at most ``limit``; returns how many."""

    now: datetime
    limit: int

    def steps(self) -> Steps[int]:
        """Delete them; whoever deletes at the same time skips what the other has."""
        return len((yield DELETE_OLD, [{"before": self.now - KEPT, "at_most": self.limit}]))


DELETE_OLD = statement(
    """
    DELETE FROM repeated_requests WHERE id IN (SELECT q.id FROM repeated_requests AS q
        WHERE q.created_at <= (SELECT r.before FROM {r})
        ORDER BY q.created_at LIMIT (SELECT r.at_most FROM {r}) {skip q}) RETURNING id
    """,
    before="time",
    at_most="int",
)
