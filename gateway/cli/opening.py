"""What most commands begin with: the configuration, and a database whose schema fits."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.given import a_path

if TYPE_CHECKING:  # a command that only prints its help loads none of this
    from channels.http import Http
    from gateway.config import Config
    from gateway.inbox import Inbox
    from gateway.roster import Roster
    from gateway.storage import Storage

R = TypeVar("R")

DEFAULT_CONFIG = Path("config.yaml")
ConfigPath = Annotated[
    Path,
    typer.Option("--config", envvar="FRONTDESK_CONFIG", metavar="FILE", parser=a_path, help="The configuration file."),
]


def load_config(path: Path) -> Config:
    """Read the configuration.

    Raises:
        Misused: it does not hold; one line for each of its faults.
    """
    from gateway.config import ConfigError, load

    try:
        return load(path, os.environ)
    except ConfigError as error:
        raise Misused(str(error)) from error


def complete(work: Coroutine[Any, Any, R]) -> R:
    """Run the asynchronous part of a command to its end.

    Raises:
        Misused: the configuration or the database's schema does not fit.
        Failed: the database is away.
    """
    from gateway import logs
    from gateway.config import ConfigError
    from gateway.storage import SchemaMismatch, StorageUnavailable

    logs.configure("CRITICAL")  # a person reads the command's own lines
    try:
        return asyncio.run(_unless_unread(work))
    except (ConfigError, SchemaMismatch) as error:
        raise Misused(str(error)) from error
    except StorageUnavailable as error:
        raise Failed(f"{error}; check database.url and that the database runs, or run: frontdesk doctor") from error


async def _unless_unread(work: Coroutine[Any, Any, R]) -> R:
    """Await the work; where whoever reads our lines, such as ``head``, has seen enough, it ends like any other.

    rich exits the process then, in the middle of the event loop, which would complain about all that is still open.

    Raises:
        BrokenPipeError: typer ends quietly at that.
    """
    try:
        return await work
    except SystemExit as error:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error


@asynccontextmanager
async def open_storage(config: Config) -> AsyncIterator[Storage]:
    """Open the database of the configuration; its schema fits.

    Raises:
        Misused: the SQLite file does not exist; connecting would make an empty one.
        SchemaMismatch: the schema does not fit.
        StorageUnavailable: the database is away.
    """
    from gateway.storage import Storage

    storage = Storage(config.database.url)
    if storage.path is not None and not storage.path.exists():
        raise Misused(f"there is no database {storage.path} yet; run: frontdesk migrate")
    async with storage:
        await storage.check_schema()
        yield storage


@asynccontextmanager
async def open_roster(config: Config) -> AsyncIterator[Roster]:
    """Build the configured channels.

    Raises:
        ConfigError: a channel's settings do not hold.
    """
    async with open_http() as http:
        from gateway.roster import build_roster

        roster = build_roster(config, http)
        try:
            yield roster
        finally:
            await roster.close()


@asynccontextmanager
async def open_http() -> AsyncIterator[Http]:
    """Open the HTTP client that channels call out through."""
    from channels.http import Http

    async with Http() as http:
        yield http


@asynccontextmanager
async def open_inbox(config: Config) -> AsyncIterator[tuple[Inbox, Roster, Storage]]:
    """Open what accepts events, without a door in front of it and without a spool: the database must be there.

    Raises:
        ConfigError: a channel's settings do not hold.
        Misused: the SQLite file does not exist.
        SchemaMismatch: the schema does not fit.
        StorageUnavailable: the database is away.
    """
    from gateway.bus import LocalBus
    from gateway.clock import utc_now
    from gateway.contents import Contents
    from gateway.inbox import Inbox
    from gateway.media import MediaStore
    from gateway.metrics import Metrics
    from gateway.reader import Readers
    from gateway.spool import Spool

    answers = config.handoff.while_waiting == "answer"
    async with open_roster(config) as roster, open_storage(config) as storage:
        no_spool = Spool(config.data.dir / "spool", max_bytes=0)
        bus = LocalBus()  # the workers of other processes look for themselves every second
        readers = Readers()
        contents = Contents(readers, MediaStore(config.data.dir / "media"))
        try:
            yield (
                Inbox(storage, no_spool, roster, bus, Metrics(), utc_now, contents, answer_while_waiting=answers),
                roster,
                storage,
            )
        finally:
            await readers.close()
