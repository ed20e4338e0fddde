"""``frontdesk backup`` and ``frontdesk restore``: the database and customers' files in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.given import a_path
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_storage

if TYPE_CHECKING:
    from gateway.backups import Restored
    from gateway.config import Config

Target = Annotated[
    Path, typer.Argument(metavar="FILE", parser=a_path, help="The file to write, such as frontdesk.tar.")
]
Source = Annotated[
    Path, typer.Argument(metavar="FILE", parser=a_path, help="A file that frontdesk backup has written.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the database and the files that are there.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(target: Target, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Write the database and customers' files to one file, also while it is served."""
    complete(_backup(load_config(config), target))


def restore(source: Source, force: Force = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Bring back what frontdesk backup has written."""
    complete(_restore(load_config(config), source, force=force))


async def _backup(config: Config, target: Path) -> None:
    from gateway.backups import ProgramFailed, ProgramMissing, back_up
    from gateway.clock import utc_now

    if not target.parent.is_dir():
        raise Misused(f"there is no folder {target.parent}")
    async with open_storage(config) as storage:
        try:
            made = await back_up(config, storage, target, now=utc_now())
        except (ProgramFailed, ProgramMissing) as error:
            raise Failed(str(error)) from error
        except OSError as error:
            raise Failed(f"cannot write {target}: {error.strerror}") from error
    print(f"written to {target}: the database and {made.files} files, {made.size_bytes} bytes in all")
    print("keep it as safe as the database: everything that customers wrote is in it")


async def _restore(config: Config, source: Path, *, force: bool) -> None:
    from gateway.backups import (
        Damaged,
        DataInTheWay,
        NotABackup,
        ProgramFailed,
        ProgramMissing,
        Served,
        WrongKind,
        restore,
    )
    from gateway.clock import utc_now

    try:
        restored = await restore(config, source, force=force, now=utc_now())
    except (NotABackup, Damaged, WrongKind) as error:
        raise Misused(f"{source} cannot be restored: {error}") from error
    except (Served, DataInTheWay) as error:
        raise Misused(str(error)) from error
    except (ProgramFailed, ProgramMissing) as error:
        raise Failed(str(error)) from error
    except OSError as error:
        raise Failed(f"cannot restore {source}: {error.filename or source}: {error.strerror}") from error
    _tell(restored)


def _tell(restored: Restored) -> None:
    print(f"restored: the database of {restored.manifest.made_at.isoformat()} and {restored.files} files")
    waiting = restored.waiting
    if waiting.deliveries or waiting.turns or waiting.events:
        print(
            f"as it was then, {waiting.deliveries} deliveries, {waiting.turns} turns and {waiting.events} webhook "
            "events wait; the next frontdesk serve sends them, also where they were sent after the backup"
        )
    if waiting.api_keys:
        print(
            f"{waiting.api_keys} API keys open it, as they did then; revoke again those that were revoked since: "
            "frontdesk keys list"
        )
    print("erase again whom you have erased since: docs/privacy.md")
