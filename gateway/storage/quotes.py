"""Rows that may name anybody in their text: webhooks that were kept whole, answers of the API, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.storage.sql import Statement, Steps, statement
from gateway.storage.writer import OneByOne

READ_AT_ONCE = 20
"""Rows; a webhook's body may have megabytes."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Columns of a table in which people may be named, and what is done where somebody is."""

    table: str
    columns: tuple[str, ...]
    unquote: Statement

    @property
    def read(self) -> Statement:
        listed = ", ".join(f"t.{column}" for column in self.columns)
        return statement(
            f"""
            SELECT t.id, {listed} FROM {self.table} AS t JOIN {{r}} ON t.id > r.after
            ORDER BY t.id LIMIT (SELECT r.at_most FROM {{r}})
            """,
            after="int",
            at_most="int",
        )


def _deleting(table: str) -> Statement:
    return statement(f"DELETE FROM {table} WHERE id IN (SELECT r.id FROM {{r}}) RETURNING id", id="int")


def _emptying(table: str, values: str) -> Statement:
    return statement(f"UPDATE {table} AS t SET {values} FROM {{r}} WHERE t.id = r.id RETURNING {{t.}}id", id="int")


PLACES: Mapping[str, _Place] = {
    "webhooks": _Place("rejected_webhooks", ("target", "headers", "body", "reason"), _deleting("rejected_webhooks")),
    # A request that was answered stays known by its key: its repetition does nothing a second time.
    "answers": _Place("repeated_requests", ("body",), _emptying("repeated_requests", "body = NULL")),
    "keys": _Place("repeated_requests", ("idempotency_key",), _deleting("repeated_requests")),
    # Who did what stays, and to whom goes.
    "audit": _Place("audit", ("subject", "detail"), _emptying("audit", "subject = 'erased', detail = NULL")),
}
"""Where people may be named, in the order in which it is looked through."""


@dataclass(frozen=True, slots=True)
class Quoting:
    """One row that may name somebody."""

    id: int
    text: bytes
    """All of its text."""


@dataclass(frozen=True)
class ReadQuoting(OneByOne[list[Quoting]]):
    """Return the next rows of one of the ``PLACES``, by their ids."""

    place: str
    after_id: int
    limit: int = READ_AT_ONCE

    def steps(self) -> Steps[list[Quoting]]:
        place = PLACES[self.place]
        rows = yield place.read, [{"after": self.after_id, "at_most": self.limit}]
        return [Quoting(row["id"], _text(row, place.columns)) for row in rows]


def _text(row: Mapping[str, Any], columns: tuple[str, ...]) -> bytes:
    values = [row[column] for column in columns if row[column] is not None]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


@dataclass(frozen=True)
class Unquote(OneByOne[int]):
    """Take somebody out of these rows of one of the ``PLACES``; returns how many rows that were."""

    place: str
    ids: tuple[int, ...]

    def steps(self) -> Steps[int]:
        rows = yield PLACES[self.place].unquote, [{"id": id_} for id_ in sorted(self.ids)]
        return len(rows)
