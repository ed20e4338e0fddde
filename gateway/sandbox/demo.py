"""The whole house on one machine: stand-ins for Twilio and OpenAI, the gateway between them, and a customer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.app import open_gateway
from gateway.config import BusinessConfig, Config
from gateway.sandbox.control import Control
from gateway.sandbox.customer import open_customer
from gateway.sandbox.meta import MetaStandIn
from gateway.sandbox.openai import API_KEY, OpenAIStandIn
from gateway.sandbox.terminal import Lines, converse
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.walk import Walk
from gateway.sandbox.whereabouts import announced, place

HOST = "127.0.0.1"
CHANNEL = "sms"
CUSTOMER = "+15550100123"
AT_KEYBOARD = "+15550100124"
"""A customer of their own: what they say, STOP above all, does not change the walk of the next start."""
NUMBER = "+15550100001"
ACCOUNT_SID = f"AC{0:032}"
AUTH_TOKEN = "sandbox-auth-token"  # noqa: S105  # of an account that exists nowhere
PAGE, PHONE_NUMBER_ID = "100000000000001", "100000000000002"
APP_SECRET, VERIFY_TOKEN, META_TOKEN = "sandbox-app-secret", "sandbox-verify", "sandbox-token"  # the same
BUSINESS = {
    "name": "Lakeside Plumbing",
    "phone": NUMBER,
    "timezone": "America/Detroit",
    "hours": {**dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "08:00-17:00"), "sat": "09:00-12:00"},
    "services": [{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    "faq": [{"question": "Do you work on gas boilers?", "answer": "Yes, on all gas boilers up to 50 kW."}],
}
DATABASE = "frontdesk.db"
LOG = "demo.log"
STAND_IN_GRACE_S = 1.0

BEFORE = """\
Frontdesk runs at {url} with three channels, sms, messenger and whatsapp, and a database of its own.
Twilio, Meta and OpenAI are stand-ins at {sandbox_url}; nothing leaves this machine.
A customer writes to {business}. Milliseconds count from the moment the webhook leaves Twilio;
an answer waits one second for further words (coalesce_s), and the first one loads the model's SDK.
"""
AFTER = """
That was all of it: the webhook was stored before it was answered, the answer was stored before it was sent.

Look at
  {url}/healthz  {url}/readyz  {url}/metrics
  the transcript  sqlite3 {database} "select sequence_number, role, content from conversation_messages"
  the deliveries  sqlite3 {database} "select part, status, attempts, external_id from deliveries"
  the log         {log}
  more customers  {command} chat --channel whatsapp   (in another terminal; messenger, sms)
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


def demo_config(folder: Path, port: int, sandbox_url: str) -> Config:
    """Build the demo's configuration: what an owner would write, with the stand-ins' address for the platforms'."""
    return Config.model_validate(
        {
            "server": {"host": HOST, "port": port, "public_url": f"http://{HOST}:{port}"},
            "database": {"url": f"sqlite:///{folder / DATABASE}"},
            "data": {"dir": str(folder)},
            "assistant": {"api_key": API_KEY, "base_url": f"{sandbox_url}/v1", "api": "responses"},
            "business": BUSINESS,
            "channels": {
                "sms": {
                    "type": "twilio",
                    "account_sid": ACCOUNT_SID,
                    "auth_token": AUTH_TOKEN,
                    "from": NUMBER,
                    "api_base": sandbox_url,
                },
                "messenger": {
                    "type": "messenger",
                    "page_id": PAGE,
                    "page_access_token": META_TOKEN,
                    **_meta_app(sandbox_url),
                },
                "whatsapp": {
                    "type": "whatsapp",
                    "phone_number_id": PHONE_NUMBER_ID,
                    "access_token": META_TOKEN,
                    **_meta_app(sandbox_url),
                },
            },
        }
    )


def _meta_app(sandbox_url: str) -> dict[str, str]:
    return {"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "api_base": sandbox_url}


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo."""

    folder: Path
    url: str
    """The gateway's."""
    sandbox_url: str
    """The stand-ins' and the back door's."""
    walk: Walk

    def what_next(self) -> str:
        """Say what there is to look at."""
        return AFTER.format(
            url=self.url,
            database=self.folder / DATABASE,
            log=self.folder / LOG,
            command=_command(),
        )


async def run_demo(folder: Path, port: int, write: Write, *, terminal: bool) -> None:
    """Show one conversation, then stay up: with a customer at the terminal, or until SIGTERM without one.

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
        await _until(stop, demo.walk.play())
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
    async with open_customer(sandbox_url, CHANNEL, AT_KEYBOARD) as customer:
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
    async with AsyncExitStack() as stack:
        twilio = TwilioStandIn(
            ACCOUNT_SID, AUTH_TOKEN, number=NUMBER, webhook_url=f"{url}/webhooks/{CHANNEL}#rc=5&rp=all"
        )
        stack.push_async_callback(twilio.close)
        meta = MetaStandIn(
            APP_SECRET,
            verify_token=VERIFY_TOKEN,
            pages={PAGE: META_TOKEN},
            numbers={PHONE_NUMBER_ID: META_TOKEN},
            messenger_url=f"{url}/webhooks/messenger",
            whatsapp_url=f"{url}/webhooks/whatsapp",
        )
        stack.push_async_callback(meta.close)
        name = str(BUSINESS["name"])
        control = Control({CHANNEL: twilio, "messenger": meta.messenger, "whatsapp": meta.whatsapp}, name)
        openai = OpenAIStandIn(BusinessConfig.model_validate(BUSINESS))
        routes = [*twilio.routes(), *openai.routes(), *control.routes(), *meta.routes()]
        sandbox_url = await stack.enter_async_context(_serving(routes))
        twilio.url = meta.url = sandbox_url
        gateway = await stack.enter_async_context(open_gateway(demo_config(folder, port, sandbox_url)))
        control.storage = gateway.parts.storage
        stack.enter_context(announced(sandbox_url, place()))
        yield Demo(folder, url, sandbox_url, Walk(gateway.parts.storage, twilio, CHANNEL, CUSTOMER, name, say))


@asynccontextmanager
async def _serving(routes: Sequence[web.RouteDef]) -> AsyncIterator[str]:
    """Serve on a free port of this machine's own address, which is given."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STAND_IN_GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
