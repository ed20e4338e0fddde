"""Rows that may name anybody in their text: webhooks that were kept whole, answers of the API, the audit."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from gateway.storage.api_tables import RepeatedRequest
from gateway.storage.pages import Reading
from gateway.storage.records import AuditEntry
from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.tables import RejectedWebhook
from gateway.storage.writer import OneByOne

WEBHOOKS = "rejected_webhooks"
WEBHOOKS_AT_ONCE = 20
"""Rows; a webhook's body may have megabytes."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Place:
    """Columns of a table in which people may be named, and what is done where somebody is."""

    model: Any
    columns: tuple[str, ...]
    unquote: Statement


def _emptying(table: str, values: str) -> Statement:
    return statement(f"UPDATE {table} AS t SET {values} FROM {{r}} WHERE t.id = r.id RETURNING {{t.}}id", id="int")


PLACES: Mapping[str, _Place] = {
    # A request that was answered stays known by its key: its repetition does nothing a second time.
    "answers": _Place(RepeatedRequest, ("body",), _emptying("repeated_requests", "body = NULL")),
    # Who did what stays, and to whom goes.
    "audit": _Place(AuditEntry, ("subject", "detail"), _emptying("audit", "subject = 'erased', detail = NULL")),
}
"""Where people may be named in words of ours, in the order in which it is looked through."""


@dataclass(frozen=True, slots=True)
class Quoting:
    """One row that may name somebody."""

    id: int
    values: tuple[bytes, ...]


class Quotes:
    """Reads such rows, in the order of their ids."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def read(self, place: str, after_id: int) -> list[Quoting]:
        """Return the next rows of one of the ``PLACES`` behind one of them."""
        model, columns = PLACES[place].model, [getattr(PLACES[place].model, name) for name in PLACES[place].columns]
        query = select(model.id, *columns).where(col(model.id) > after_id).order_by(col(model.id)).limit(AT_ONCE)
        async with self._reading() as session:
            rows = (await session.exec(query)).all()
        return [Quoting(id_, tuple(_bytes(value) for value in values if value is not None)) for id_, *values in rows]

    async def webhooks(self, after_id: int) -> Sequence[RejectedWebhook]:
        """Return the next webhooks that were kept, also those that have been replayed since."""
        query = select(RejectedWebhook).where(col(RejectedWebhook.id) > after_id)
        async with self._reading() as session:
            return (await session.exec(query.order_by(col(RejectedWebhook.id)).limit(WEBHOOKS_AT_ONCE))).all()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


@dataclass(frozen=True)
class Unquote(OneByOne[int]):
    """Take somebody out of these rows of one of the ``PLACES``; returns how many rows that were."""

    place: str
    ids: tuple[int, ...]

    def steps(self) -> Steps[int]:
        rows = yield PLACES[self.place].unquote, [{"id": id_} for id_ in sorted(self.ids)]
        return len(rows)


@dataclass(frozen=True)
class KeepRest(OneByOne[None]):
    """Leave of a webhook that was kept only this body; None deletes the row."""

    id: int
    body: bytes | None

    def steps(self) -> Steps[None]:
        if self.body is None:
            yield DELETE, [{"id": self.id}]
        else:
            yield REPLACE, [{"id": self.id, "body": base64.b64encode(self.body).decode("ascii")}]


DELETE = statement(f"DELETE FROM {WEBHOOKS} WHERE id IN (SELECT r.id FROM {{r}})", id="int")

_REPLACE = f"UPDATE {WEBHOOKS} AS w SET body = {{body}} FROM {{{{r}}}} WHERE w.id = r.id"
_COLUMNS = {"id": "int", "body": "text"}
# The body travels in the JSON as base64. PostgreSQL decodes that itself, SQLite by a function of the writer's.
REPLACE = Statement(
    sqlite=statement(_REPLACE.format(body="frontdesk_unbase64(r.body)"), **_COLUMNS).sqlite,
    postgres=statement(_REPLACE.format(body="decode(r.body, 'base64')"), **_COLUMNS).postgres,
)
