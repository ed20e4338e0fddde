"""``frontdesk keys``: who may use the REST API, beside the keys in the configuration."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_storage

if TYPE_CHECKING:
    from gateway.storage import ApiKey

KEY_PREFIX = "fdk_"
SECRET_BYTES = 32
"""43 characters of base64: what nobody can guess, so that a plain hash of it may be kept."""
SHOWN = len(KEY_PREFIX) + 8
"""So many of its first characters tell people which key it is."""
MAX_NAME = 100

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: crm, website, reports.")]
Which = Annotated[str, typer.Argument(metavar="NAME|PREFIX", help="A key's name or first characters; see: keys list.")]
Scope = Annotated[
    Literal["read", "write", "admin"],
    typer.Option(help="read looks up; write also sends, takes over and closes; admin may do everything."),
]

keys = typer.Typer(rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys", help="Make, list or revoke keys of the REST API.")


@keys.command()
def add(name: Name, scope: Scope = "read", config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a key; it is shown once and cannot be shown again."""
    complete(_add(config, name.strip(), scope, secrets.token_urlsafe))


@keys.command("list")
def list_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the keys that were made here; those in the configuration have no names."""
    complete(_list(config))


@keys.command()
def revoke(which: Which, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Let a key open nothing any more, from now on and for good."""
    complete(_revoke(config, which.strip()))


async def _add(path: Path, name: str, scope: str, new_secret: Callable[[int], str]) -> None:
    from gateway.clock import utc_now
    from gateway.storage import AddKey

    if not name or len(name) > MAX_NAME:
        raise Misused(f"NAME must have 1 to {MAX_NAME} characters")
    key = KEY_PREFIX + new_secret(SECRET_BYTES)
    digest = hashlib.sha256(key.encode()).hexdigest()
    async with open_storage(load_config(path)) as storage:
        if not await storage.run(AddKey(name, key[:SHOWN], digest, scope, utc_now())):
            raise Failed(f"a key named {name} is in use; take another name, or first: frontdesk keys revoke {name}")
    print(key)  # alone on its stream, so that a shell can keep it: KEY=$(frontdesk keys add …)
    print("Keep it now: it is not shown again. Send it as  Authorization: Bearer KEY", file=sys.stderr)


async def _list(path: Path) -> None:
    from gateway.cli.tables import age, show_table
    from gateway.clock import utc_now

    async with open_storage(load_config(path)) as storage:
        rows = await storage.api_keys.all()
    if not rows:
        print("no keys; make one: frontdesk keys add NAME --scope read")
        return
    now = utc_now()
    show_table(
        ("name", "key", "scope", "made", "last used", "state"),
        [
            (
                row.name,
                f"{row.prefix}…",
                row.scope,
                f"{age(row.created_at, now)} ago",
                "never" if row.last_used_at is None else f"{age(row.last_used_at, now)} ago",
                "in use" if row.revoked_at is None else "revoked",
            )
            for row in rows
        ],
    )


async def _revoke(path: Path, which: str) -> None:
    from gateway.clock import utc_now
    from gateway.storage import RevokeKey

    async with open_storage(load_config(path)) as storage:
        row = _meant(await storage.api_keys.all(), which)
        await storage.run(RevokeKey(row.id or 0, utc_now()))
    print(f"revoked: {row.name} ({row.prefix}…)")


def _meant(rows: Sequence[ApiKey], which: str) -> ApiKey:
    """Return the key in use that is meant by its name, or by at least as many first characters as are shown.

    Raises:
        Failed: none is meant, or several are.
    """
    in_use = [row for row in rows if row.revoked_at is None]
    found = [row for row in in_use if row.name == which] or [
        row for row in in_use if which.rstrip("…").startswith(row.prefix)
    ]
    if len(found) > 1:
        prefixes = ", ".join(row.prefix for row in found)
        raise Failed(f"{len(found)} keys are named {which}; name one by its first characters: {prefixes}")
    if not found:
        raise Failed("no key in use has this name or begins like this; see: frontdesk keys list")
    return found[0]
