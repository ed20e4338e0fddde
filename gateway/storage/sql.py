"""Statements that run on both databases, and the rows that they take and give.

A statement takes exactly one parameter: a JSON array of records, which it reads as a table ``r``. So one statement
carries one operation or a hundred, and a batch costs as many round trips as a single message.

The templates are plain SQL with a few marks where the databases differ::

    {r}             the records, as a table named r
    {lock c}        FOR UPDATE OF c on PostgreSQL; SQLite has one writer, so there is nothing to lock
    {skip c}        FOR UPDATE OF c SKIP LOCKED
    {hold c}        FOR NO KEY UPDATE OF c: nobody else may hold it, and whoever keeps it may go on
    {keep c}        FOR KEY SHARE OF c: nobody may delete it, or lock it to switch it off
    {c.}            the qualifier c. in RETURNING, which SQLite does not take (RETURNING there names columns only)
    {+}             a plus sign on SQLite, which keeps its planner from an index that fits worse than another
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

Record = Mapping[str, Any]
T = TypeVar("T")
Steps = Generator[tuple["Statement", Sequence[Record]], list[dict[str, Any]], T]
"""A piece of a transaction: it yields statements with their records, is sent the rows, and returns a result.

It neither knows a driver nor waits for one, so the same logic runs in SQLite's thread and on asyncpg."""

POSTGRES_TYPES = {
    "int": "bigint",
    "real": "double precision",
    "text": "text",
    "bool": "boolean",
    "date": "date",
    "time": "timestamptz",
    "json": "jsonb",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement in both dialects."""

    sqlite: str | None
    """None where it only locks: SQLite has one writer."""
    postgres: str


def statement(template: str, **columns: str) -> Statement:
    """Build a statement from a template and the types of its records' columns (a key of ``POSTGRES_TYPES``)."""
    fields = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    sqlite_rows = f"(SELECT {fields} FROM json_each(?1)) AS r"
    typed = ", ".join(f"{name} {POSTGRES_TYPES[kind]}" for name, kind in columns.items())
    postgres_rows = f"json_to_recordset($1::json) AS r({typed})"
    return Statement(
        sqlite=_expand(template, sqlite_rows, lock="", skip="", qualifier=""),
        postgres=_expand(
            template, postgres_rows, lock=r"FOR UPDATE OF \1", skip=r"FOR UPDATE OF \1 SKIP LOCKED", qualifier=r"\1."
        ),
    )


def lock_in_order(table: str, column: str, kind: str) -> Statement:
    """Lock the rows of a table by one of their columns, in the order of their ids; records have that column.

    Every transaction that locks several rows takes them in this order, or two would wait for each other.
    """
    locked = statement(
        f"SELECT t.id FROM {table} AS t JOIN {{r}} ON t.{column} = r.{column} ORDER BY t.id {{lock t}}",
        **{column: kind},
    )
    return Statement(sqlite=None, postgres=locked.postgres)


def _expand(template: str, rows: str, *, lock: str, skip: str, qualifier: str) -> str:
    text = template.replace("{r}", rows).replace("{+}", "" if lock else "+")
    text = re.sub(r"\{lock (\w+)\}", lock, text)
    text = re.sub(r"\{skip (\w+)\}", skip, text)
    text = re.sub(r"\{hold (\w+)\}", lock.replace("UPDATE", "NO KEY UPDATE"), text)
    text = re.sub(r"\{keep (\w+)\}", lock.replace("UPDATE", "KEY SHARE"), text)
    return re.sub(r"\{(\w+)\.\}", qualifier, text).strip()


def encode(records: Sequence[Record]) -> str:
    """Write records as the JSON array that statements read.

    Raises:
        ValueError: a record holds a number that JSON cannot write.

    What PostgreSQL's text cannot hold is taken out here, once for everything: U+0000 and halves of surrogate pairs.
    """
    text = json.dumps(list(records), default=_encode_value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if "\\u0000" in text:
        text = _NUL.sub(r"\1", text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # an escaped NUL, not an escaped backslash before "u0000"


def _encode_value(value: object) -> str:
    if isinstance(value, datetime):
        return encode_time(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def encode_time(moment: datetime) -> str:
    """Write a time as SQLAlchemy stores it on SQLite; PostgreSQL reads it in the session's zone, which is UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def decode_row(row: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Turn a SQLite row into what asyncpg would give: columns that are named as times become aware times."""
    return {
        name: datetime.fromisoformat(value).replace(tzinfo=UTC)
        if isinstance(value, str) and (name.endswith("_at") or name == "timestamp")
        else value
        for name, value in row
    }


def load_json(value: Any) -> Any:
    """Read a JSON column: both drivers hand it over as text."""
    return json.loads(value) if isinstance(value, str) else value
