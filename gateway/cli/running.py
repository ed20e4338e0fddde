"""``frontdesk serve`` and ``frontdesk migrate``."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config

if TYPE_CHECKING:
    from gateway.config import Config

Role = Literal["all", "web", "worker"]
RoleOption = Annotated[Role, typer.Option(help="What this process does: the doors, the work behind them, or both.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(migrate)


def serve(config: ConfigPath = DEFAULT_CONFIG, role: RoleOption = "all") -> None:
    """Answer customers on the configured channels until SIGTERM."""
    loaded = load_config(config)
    from gateway import logs

    logs.configure()
    from gateway.app import serve as serve_until_stopped

    run_serving(serve_until_stopped(loaded, role), f"{loaded.server.host}:{loaded.server.port}")


def run_serving(work: Coroutine[Any, Any, None], address: str) -> None:
    """Run a process that listens, on the faster event loop where there is one.

    Raises:
        Misused: the database is served already, its schema or a channel's settings do not fit, the address is taken.
        Failed: the network or the disk does not let it start.
    """
    from gateway.config import ConfigError
    from gateway.lock import AlreadyServed
    from gateway.storage import SchemaMismatch

    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(work)
    except (AlreadyServed, ConfigError, SchemaMismatch) as error:
        raise Misused(str(error)) from error
    except BrokenPipeError:  # whoever read our lines, such as `head`, has seen enough: typer ends quietly then
        raise
    except OSError as error:
        raise _cannot_start(error, address) from error


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _cannot_start(error: OSError, address: str) -> Failed | Misused:
    if error.errno == errno.EADDRINUSE:
        return Misused(f"the address {address} is in use; stop what listens there, or set server.port")
    if error.errno in (errno.EADDRNOTAVAIL, errno.EACCES) and error.filename is None:
        return Misused(f"cannot listen on {address}: {error.strerror}; set server.host and server.port")
    if error.filename is not None:
        return Misused(f"cannot use {error.filename}: {error.strerror}; check data.dir and database.url")
    return Failed(f"cannot start: {error}")


def migrate(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Bring the database's schema to what this program needs."""
    complete(_migrate(load_config(config)))


async def _migrate(config: Config) -> None:
    from gateway.storage import Storage
    from gateway.storage.schema import HEAD

    async with Storage(config.database.url) as storage:
        before = await storage.migrate()
    if before == HEAD:
        print(f"the schema is at revision {HEAD} already; nothing to do")
    else:
        print(f"schema before: {before or 'none'}, now: {HEAD}")
