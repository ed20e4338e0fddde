"""Webhooks that were kept whole: one may tell of many people."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select

from gateway.storage.pages import Reading
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.tables import RejectedWebhook
from gateway.storage.writer import OneByOne

WEBHOOKS = "rejected_webhooks"
WEBHOOKS_AT_ONCE = 20
"""Rows; a webhook's body may have megabytes."""


class Quotes:
    """Reads them, in the order of their ids."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def webhooks(self, after_id: int) -> Sequence[RejectedWebhook]:
        """Return the next webhooks that were kept, also those that have been replayed since."""
        query = select(RejectedWebhook).where(col(RejectedWebhook.id) > after_id)
        async with self._reading() as session:
            return (await session.exec(query.order_by(col(RejectedWebhook.id)).limit(WEBHOOKS_AT_ONCE))).all()


@dataclass(frozen=True)
class KeepRest(OneByOne[None]):
    """Leave of a webhook that was kept only this body, in its row; None deletes the row."""

    id: int
    body: bytes | None

    def steps(self) -> Steps[None]:
        if self.body is None:
            yield DELETE, [{"id": self.id}]
        else:
            yield REPLACE, [{"id": self.id, "body": base64.b64encode(self.body).decode("ascii")}]


DELETE = statement(f"DELETE FROM {WEBHOOKS} WHERE id IN (SELECT r.id FROM {{r}})", id="int")

_REPLACE = f"UPDATE {WEBHOOKS} AS w SET body = {{body}}, body_sha256 = NULL FROM {{{{r}}}} WHERE w.id = r.id"
_COLUMNS = {"id": "int", "body": "text"}
# The body travels in the JSON as base64. PostgreSQL decodes that itself, SQLite by a function of the writer's.
REPLACE = Statement(
    sqlite=statement(_REPLACE.format(body="frontdesk_unbase64(r.body)"), **_COLUMNS).sqlite,
    postgres=statement(_REPLACE.format(body="decode(r.body, 'base64')"), **_COLUMNS).postgres,
)
