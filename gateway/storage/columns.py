"""What the columns of all tables have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata

# SQLite gives row ids only to a column declared INTEGER, PostgreSQL needs BIGINT to never run out.
BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


def row_id() -> Any:
    """Return a key that the database gives."""
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))


def json_column(name: str) -> Any:
    """Return a column of JSON."""
    return Field(default=None, sa_column=Column(name, Json))


def text_column(*, nullable: bool = True) -> Any:
    """Return a column of text without a limit."""
    return Field(default=None if nullable else "", sa_column=Column(Text, nullable=nullable))


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:
    """Return a column that names a row of another table."""
    return Field(default=None, sa_column=Column(BigId, ForeignKey(target), nullable=nullable, index=index))
