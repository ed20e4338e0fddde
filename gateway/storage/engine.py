"""Connections for everything that is not hot: reads, lists, commands, migrations."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SQLITE_BEGIN = "sqlite_begin"
"""Execution option: ``BEGIN`` for readers, who then never wait for the writer."""


def is_sqlite(url: str) -> bool:
    """Tell which of the two databases an address of the configuration means."""
    return make_url(url).get_backend_name() == "sqlite"


def sqlite_path(url: str) -> Path:
    """Return the file of a ``sqlite:///`` address."""
    return Path(make_url(url).database or "frontdesk.db")


def postgres_dsn(url: str) -> str:
    """Return the address as asyncpg reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def make_engine(url: str) -> AsyncEngine:
    """Build the engine for an address of the configuration; nothing connects yet."""
    if is_sqlite(url):
        return _sqlite_engine(sqlite_path(url))
    target = make_url(url).set(drivername="postgresql+asyncpg")
    return create_async_engine(
        target,
        pool_size=5,
        max_overflow=5,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={"timeout": 3, "command_timeout": 30, "server_settings": {"timezone": "UTC"}},
    )


def make_private(path: Path) -> None:
    """Make a SQLite file for its owner's eyes only, where there is none yet: whoever embeds us has another umask.

    The files that SQLite puts beside it get the same mode.
    """
    with contextlib.suppress(OSError):  # it is there already; or SQLite says itself what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _sqlite_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 5})

    @event.listens_for(engine.sync_engine, "do_connect")
    def hide(*_: Any) -> None:
        make_private(path)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver would begin a transaction at the first write only, and so lose updates that were computed from
        # an earlier read; we say BEGIN ourselves.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(SQLITE_BEGIN, "BEGIN IMMEDIATE"))

    return engine
