"""Bringing a database to the schema that this program needs, and telling whether it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.errors import SchemaMismatch

HEAD = "0007"
"""The newest revision in ``migrations/versions``."""

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(engine: AsyncEngine) -> str | None:
    """Apply the migrations that are missing; returns the revision that the database had before."""
    async with engine.begin() as connection:
        return await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> str | None:
    from alembic import command  # heavy, and only needed here

    before = _revision(connection)
    if before != HEAD:
        command.upgrade(alembic_config(connection), "head")
    return before


def alembic_config(connection: Connection) -> Any:
    """Build Alembic's configuration around a connection of ours."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def check(engine: AsyncEngine) -> None:
    """Return if the schema fits.

    Raises:
        SchemaMismatch: it does not; the message names the command to run.
    """
    async with engine.connect() as connection:
        found = await connection.run_sync(_revision)
    if found != HEAD:
        state = "has no tables yet" if found is None else f"is at revision {found}, this program needs {HEAD}"
        raise SchemaMismatch(f"the database {state}; run: frontdesk migrate")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])
