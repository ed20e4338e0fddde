"""``frontdesk demo`` and ``frontdesk chat``: the whole house on this machine, and a customer to try it with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.given import a_path
from gateway.printable import printable

CHAT_CUSTOMERS = {"messenger": "7000000000000125", "email": "customer@example.org"}
"""Whom a terminal is on a channel of the demo; on the others, somebody with a telephone."""
CHAT_CUSTOMER = "+15550100125"
CHAT_NOTES = {"email": "An address gets five answers of the bot in ten minutes: two robots could answer each other."}
"""What is different on a channel."""

DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", parser=a_path, help="Keep the demo's database here; otherwise it is deleted."
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The gateway's port; another where it is taken.")]
Address = Annotated[str | None, typer.Option("--url", help="Where the demo runs; found by itself on this machine.")]
ChannelName = Annotated[str, typer.Option("--channel", help="The demo's channel to write on.")]
Sender = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="The customer's address on that channel.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(chat)


def demo(data: DataFolder = None, port: Port = 8080) -> None:
    """Try it here, without any account or key.

    Shows two conversations on their way, by SMS and by e-mail, then lets you be the customer.
    """
    from gateway.cli.running import run_serving
    from gateway.sandbox.demo import LOG, free_port, run_demo
    from gateway.sandbox.platforms import HOST
    from gateway.sandbox.walk import Stuck

    with _folder(data) as folder, _logs_in(folder / LOG):
        found = free_port(port)
        if found != port != 0:
            _write(f"Port {port} is taken: the demo uses {found} instead.\n\n")
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        try:
            run_serving(run_demo(folder, found, _write, terminal=terminal), f"{HOST}:{found}")
        except Stuck as error:
            raise Failed(f"{error}; start it again with --data DIR and read DIR/demo.log") from error


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        from gateway.sandbox.leftovers import temporary_folder
        from gateway.sandbox.platforms import DATABASE

        with temporary_folder(DATABASE) as folder:
            yield folder
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misused(f"cannot make the folder {kept}: {error.strerror}; name another with --data") from error
    yield kept


@contextmanager
def _logs_in(path: Path) -> Iterator[None]:
    """Log into a file: the terminal belongs to the narration."""
    from gateway import logs

    try:
        opened = path.open("a", encoding="utf-8")
    except OSError as error:
        raise Misused(f"cannot write {path}: {error.strerror}; name another folder with --data") from error
    with opened as stream:
        logs.configure(json=False, stream=stream)
        yield


def chat(channel: ChannelName = "sms", sender: Sender = None, url: Address = None) -> None:
    """Be a customer of a demo in another terminal."""
    from gateway.sandbox.customer import DemoRefused, NoDemo
    from gateway.sandbox.whereabouts import find, place

    found = url or find(place())
    if found is None:
        raise Failed("no demo runs on this machine; start one in another terminal: frontdesk demo")
    try:
        asyncio.run(_chat(found, channel, sender or CHAT_CUSTOMERS.get(channel, CHAT_CUSTOMER)))
    except (DemoRefused, NoDemo) as error:
        raise Failed(str(error)) from error


async def _chat(url: str, channel: str, sender: str) -> None:
    from gateway.sandbox.customer import open_customer
    from gateway.sandbox.terminal import Lines, converse, recite

    async with open_customer(url, channel, sender) as customer:
        name = await customer.arrive()
        lines = Lines(sys.stdin.fileno())
        if sys.stdin.isatty():
            _write(printable(f"You are {sender}, writing to {name} by {channel}. /quit ends.\n"))
            _write(f"{CHAT_NOTES[channel]}\n" if channel in CHAT_NOTES else "")
            await converse(customer, name, lines, _write)
        elif not await recite(customer, name, lines, _write):
            raise Failed("no answer came; see the demo's log")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
