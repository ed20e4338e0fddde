"""The whole house on one machine: stand-ins for the platforms, the gateway between them, and a customer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app import open_gateway
from gateway.sandbox.customer import open_customer
from gateway.sandbox.platforms import BUSINESS, DATABASE, EMAIL, HOST, SMS, demo_config, open_platforms
from gateway.sandbox.terminal import Lines, converse
from gateway.sandbox.walk import BY_EMAIL, BY_SMS, Walk
from gateway.sandbox.whereabouts import announced, place
from gateway.storage import Storage

CUSTOMER = "+15550100123"
AT_KEYBOARD = "+15550100124"
"""A customer of their own: what they say, STOP above all, does not change the walk of the next start."""
LOG = "demo.log"

BEFORE = """\
Frontdesk runs at {url} with four channels, sms, messenger, whatsapp and email, and a database of its own.
Twilio, Meta and OpenAI are stand-ins at {sandbox_url}, and so is the mail server; nothing leaves this machine.
Customers write to {business}, by SMS and by e-mail. Milliseconds count from the moment the webhook leaves;
an answer waits one second for further words (coalesce_s), and the first one loads the model's SDK.
"""
AFTER = """
That was all of it: the webhook was stored before it was answered, the answer was stored before it was sent.

Look at
  {url}/healthz  {url}/readyz  {url}/metrics
  the transcript  sqlite3 {database} "select sequence_number, role, content from conversation_messages"
  the deliveries  sqlite3 {database} "select part, status, attempts, external_id from deliveries"
  the log         {log}
  more customers  {command} chat --channel email   (in another terminal; whatsapp, messenger, sms)
  what comes next README.md: from here to a real Twilio number; docs/
"""
AT_TERMINAL = """
You are the customer {customer} now: type a message; STOP opts out, /quit ends the demo.
"""
WITHOUT_TERMINAL = """
The demo goes on until SIGTERM or Ctrl-C.
"""

Write = Callable[[str], None]


def free_port(preferred: int) -> int:
    """Return the preferred port of this machine's own address if nobody listens there, and any free one otherwise."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    return preferred


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo."""

    folder: Path
    url: str
    """The gateway's."""
    sandbox_url: str
    """The stand-ins' and the back door's."""
    walks: tuple[Walk, ...]

    def what_next(self) -> str:
        """Say what there is to look at."""
        return AFTER.format(
            url=self.url,
            database=self.folder / DATABASE,
            log=self.folder / LOG,
            command=_command(),
        )


async def run_demo(folder: Path, port: int, write: Write, *, terminal: bool) -> None:
    """Show conversations by SMS and by e-mail, then stay up: with a customer at the terminal, or until SIGTERM.

    Raises:
        AlreadyServed: another demo uses the folder.
        OSError: the address is taken, or the folder cannot be used.
        Stuck: the conversation did not get through.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_demo(folder, port, lambda line: write(f"{line}\n")) as demo:
        write(BEFORE.format(url=demo.url, sandbox_url=demo.sandbox_url, business=BUSINESS["name"]))
        for walk in demo.walks:
            if not stop.is_set():
                await _until(stop, walk.play())
        if not stop.is_set():
            write(demo.what_next())
            write(AT_TERMINAL.format(customer=AT_KEYBOARD) if terminal else WITHOUT_TERMINAL)
            await _until(stop, _talk(demo.sandbox_url, write) if terminal else asyncio.Event().wait())
        write("\nThe demo ends.\n")


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> None:
    """Do something to its end, or until the process is to stop."""
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(work)
    try:
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, working):
            task.cancel()
        _, ended = await asyncio.gather(stopping, working, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


async def _talk(sandbox_url: str, write: Write) -> None:
    async with open_customer(sandbox_url, SMS, AT_KEYBOARD) as customer:
        name = await customer.arrive()
        await converse(customer, name, Lines(sys.stdin.fileno()), write)


def _command() -> str:
    """Return how to start this program from the present directory."""
    if shutil.which("frontdesk"):
        return "frontdesk"
    program = Path(sys.executable).with_name("frontdesk")
    return os.path.relpath(program) if program.exists() else f"{os.path.relpath(sys.executable)} -m gateway"


@asynccontextmanager
async def open_demo(folder: Path, port: int, say: Write) -> AsyncIterator[Demo]:
    """Start the stand-ins, then the gateway; stop them in reverse order.

    Raises:
        AlreadyServed: another demo uses the folder.
        OSError: the address is taken, or the folder cannot be used.
    """
    url = f"http://{HOST}:{port}"
    name = str(BUSINESS["name"])
    async with open_platforms(url) as platforms, open_gateway(demo_config(folder, port, platforms)) as gateway:
        storage = platforms.control.storage = gateway.parts.storage
        writer = await _mail_customer(storage)
        walks = (
            Walk(storage, platforms.lines[SMS], BY_SMS, SMS, CUSTOMER, name, say),
            Walk(storage, platforms.lines[EMAIL], BY_EMAIL, EMAIL, writer, name, say),
        )
        with announced(platforms.url, place()):
            yield Demo(folder, url, platforms.url, walks)


async def _mail_customer(storage: Storage) -> str:
    """Return an address that has not written yet: the bot answers one a few times in ten minutes, and starts add up."""
    threads = await storage.conversations(channel=EMAIL, limit=1000)
    return f"customer{len(threads) + 1}@example.org"
