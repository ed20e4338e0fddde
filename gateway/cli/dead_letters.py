"""``frontdesk dead-letters``: what could not be delivered, sent again or let go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_storage

if TYPE_CHECKING:
    from gateway.storage import Storage

LISTED = 200
ALL_AT_ONCE = 100_000
SHORTEST_PREFIX = 8  # the first group of a UUID

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DELIVERY_ID",
        help=f"Which, or its first {SHORTEST_PREFIX} characters or more; see: dead-letters list.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]

letters = typer.Typer(rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(letters, name="dead-letters", help="List, retry or drop what could not be delivered.")


@letters.command("list")
def list_letters(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the deliveries that failed, oldest first."""
    complete(_list(config))


@letters.command()
def retry(ids: Ids = None, every: All = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Send failed deliveries again, from the beginning of their attempts."""
    complete(_change(config, "retry", ids or [], every=every))


@letters.command()
def drop(ids: Ids = None, every: All = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Take failed deliveries off the list without sending them."""
    complete(_change(config, "drop", ids or [], every=every))


async def _list(path: Path) -> None:
    from gateway.cli.tables import age, show_table

    async with open_storage(load_config(path)) as storage:
        rows = await storage.dead_letters(limit=LISTED + 1)
    if not rows:
        print("no dead letters")
        return
    from gateway.clock import utc_now

    now = utc_now()
    show_table(
        ("delivery_id", "channel", "recipient", "error", "attempts", "age"),
        [
            (row.id, row.channel_name, row.recipient, _error(row), str(row.attempts), age(row.created_at, now))
            for row in rows[:LISTED]
        ],
    )
    if len(rows) > LISTED:
        print(f"... and more; these are the oldest {LISTED}")


def _error(row: Any) -> str:
    return ": ".join(part for part in (row.error_code, row.error_message) if part) or "failed"


async def _change(path: Path, verb: str, ids: Sequence[str], *, every: bool) -> None:
    if bool(ids) == every:
        raise Misused(f"name deliveries, or say --all: frontdesk dead-letters {verb} DELIVERY_ID... | --all")
    async with open_storage(load_config(path)) as storage:
        ids = await _meant(storage, None if every else ids)
        changed = await _apply(storage, verb, ids)
    print(f"{'queued again' if verb == 'retry' else 'dropped'}: {len(changed)}")
    missing = [id_ for id_ in ids if id_ not in changed]
    if missing and not every:
        raise Failed(f"not a dead letter: {', '.join(missing)}; see: frontdesk dead-letters list")


async def _meant(storage: Storage, written: Sequence[str] | None) -> list[str]:
    """Return the ids of the dead letters that are meant, or of all; what is no dead letter's stays as it is written.

    Raises:
        Misused: several begin like that.
    """
    known = [row.id for row in await storage.dead_letters(limit=ALL_AT_ONCE)]
    return known if written is None else list(dict.fromkeys(_completed(one, known) for one in written))


def _completed(written: str, known: Sequence[str]) -> str:
    if len(written) < SHORTEST_PREFIX:
        return written
    found = [id_ for id_ in known if id_.startswith(written.lower())]
    if len(found) > 1:
        raise Misused(f"{len(found)} dead letters begin with {written}; write more of the id")
    return found[0] if found else written


async def _apply(storage: Storage, verb: str, ids: Sequence[str]) -> list[str]:
    from gateway.clock import utc_now
    from gateway.storage import Drop, Requeue

    operation = Requeue if verb == "retry" else Drop
    return await storage.run(operation(tuple(ids), utc_now()))
