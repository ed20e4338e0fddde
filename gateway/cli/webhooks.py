"""``frontdesk webhooks``: whether your addresses take what they are told, and what they could not be told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_http, open_storage

if TYPE_CHECKING:
    from channels.http import Http
    from gateway.config import Config
    from gateway.hooks import Receiver
    from gateway.hooks.attempt import Answer

LISTED = 200
ALL_AT_ONCE = 100_000
FIXES = {
    401: "let it take calls without a login, and check their signature instead: docs/webhooks.md",
    403: "check that both sides have the same secret, and that nothing in front of it turns us away: docs/webhooks.md",
    404: "check the path of its address",
    405: "let it take POST at this address",
    410: "it wants nothing more: let it answer 2xx again, or take it out of webhooks",
}
REDIRECTS_FIX = "write the address that it redirects to into webhooks"
UNREACHED_FIX = "start it, and check the host, the port and the certificate of its address"
SLOW_FIX = "let it answer 2xx within 15 s: take the event first, and work on it afterwards"
PRIVATE_FIX = "write its public address, or set allow_private: true beside it where it is yours"
OTHER_FIX = "look into its log; it has to answer 2xx"

Address = Annotated[str | None, typer.Argument(metavar="[URL]", help="Only this one of the configured addresses.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="WEBHOOK_ID", help="Which; see: webhooks failed.")]
All = Annotated[bool, typer.Option("--all", help="Everything that failed.")]

hooks = typer.Typer(rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(hooks, name="webhooks", help="Try your own webhooks, and see what they could not be told.")


@hooks.command("test")
def try_out(url: Address = None, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Tell each configured address that this is a test, signed as everything else, and show what came back."""
    if not complete(_try_out(load_config(config), url)):
        raise typer.Exit(1)


@hooks.command()
def failed(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Show the events that could not be told, oldest first."""
    complete(_list(config))


@hooks.command()
def retry(ids: Ids = None, every: All = False, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Tell failed events again, from the beginning of their attempts."""
    complete(_retry(config, ids or [], every=every))


# --- whether it works ---


async def _try_out(config: Config, url: str | None) -> bool:
    """Call the receivers that are meant; returns whether all have taken it."""
    from gateway.hooks import receivers_of

    receivers = receivers_of(config.webhooks)
    if not receivers:
        raise Misused("no address is configured; add one to webhooks, as config.yaml shows")
    meant = [receiver for receiver in receivers if url in (None, receiver.url)]
    if not meant:
        raise Misused(f"{url} is none of the addresses in webhooks; write it as it stands there")
    async with open_http() as http:
        taken = [await _call(http, receiver) for receiver in meant]
    await _enable(config, [receiver for receiver, well in zip(meant, taken, strict=True) if well])
    return all(taken)


async def _call(http: Http, receiver: Receiver) -> bool:
    import uuid

    from gateway.clock import utc_now
    from gateway.hooks.attempt import attempt
    from gateway.hooks.payloads import write_test

    now, started = utc_now(), time.monotonic()
    answer = await attempt(http, receiver, f"msg_{uuid.uuid4().hex}", write_test(now), now)
    took_ms = round((time.monotonic() - started) * 1000)
    if answer.is_taken:
        print(f"{shown(receiver)}: took it ({answer.status}) in {took_ms} ms")
    else:
        print(f"{shown(receiver)}: {answer.error}\n        fix: {fix_of(answer)}")
    return answer.is_taken


def shown(receiver: Receiver) -> str:
    """Return an address without its query, which may hold a secret."""
    return receiver.url.partition("?")[0]


def fix_of(answer: Answer) -> str:
    """Say what to do about an answer that is no 2xx."""
    from channels.http import NOT_PUBLIC

    if answer.status is None:
        if answer.code == NOT_PUBLIC:
            return PRIVATE_FIX
        return SLOW_FIX if answer.error == "no answer: TimeoutError" else UNREACHED_FIX
    return REDIRECTS_FIX if 300 <= answer.status < 400 else FIXES.get(answer.status, OTHER_FIX)


async def _enable(config: Config, receivers: Sequence[Receiver]) -> None:
    """Give those that take events, and had been disabled, events again; without a database nothing was disabled."""
    from gateway.storage import EnableReceiver, SchemaMismatch, StorageUnavailable

    with suppress(Misused, SchemaMismatch, StorageUnavailable):
        async with open_storage(config) as storage:
            for receiver in receivers:
                if await storage.run(EnableReceiver(receiver.id)):
                    print(f"{shown(receiver)}: is told things again; what failed meanwhile: frontdesk webhooks failed")


# --- what did not ---


async def _list(path: Path) -> None:
    from gateway.cli.tables import age, show_table
    from gateway.clock import utc_now
    from gateway.hooks import receivers_of
    from gateway.storage import ReadFailedHooks

    config = load_config(path)
    hosts = {receiver.id: receiver.host for receiver in receivers_of(config.webhooks)}
    async with open_storage(config) as storage:
        rows = await storage.run(ReadFailedHooks(LISTED + 1))
    if not rows:
        print("nothing has failed")
        return
    now = utc_now()
    show_table(
        ("webhook_id", "receiver", "event", "error", "attempts", "age"),
        [
            (
                row.id,
                hosts.get(row.receiver_id, "(not configured)"),
                row.type,
                row.error or "failed",
                str(row.attempts),
                age(row.happened_at, now),
            )
            for row in rows[:LISTED]
        ],
    )
    if len(rows) > LISTED:
        print(f"... and more; these are the oldest {LISTED}")


async def _retry(path: Path, ids: Sequence[str], *, every: bool) -> None:
    from gateway.clock import utc_now
    from gateway.hooks import receivers_of
    from gateway.storage import ReadFailedHooks, RetryHooks

    if bool(ids) == every:
        raise Misused("name events, or say --all: frontdesk webhooks retry WEBHOOK_ID... | --all")
    config = load_config(path)
    configured = {receiver.id for receiver in receivers_of(config.webhooks)}
    async with open_storage(config) as storage:
        whose = {row.id: row.receiver_id for row in await storage.run(ReadFailedHooks(ALL_AT_ONCE))}
        wanted = dict.fromkeys(whose if every else ids)
        # What waits for an address that is not configured is dropped by the next serve; what has failed is kept.
        nobodys = {id_ for id_ in wanted if id_ in whose and whose[id_] not in configured}
        asked = tuple(id_ for id_ in wanted if id_ not in nobodys)
        queued = await storage.run(RetryHooks(asked, utc_now()))
    print(f"queued again: {len(queued)}")
    if nobodys:
        raise Failed(f"not queued: {len(nobodys)}, whose address is not in webhooks any more; add it there first")
    changed = set(queued)
    missing = [id_ for id_ in asked if id_ not in changed]
    if missing and not every:
        raise Failed(f"has not failed: {', '.join(missing)}; see: frontdesk webhooks failed")
