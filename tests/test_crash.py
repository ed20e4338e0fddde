"""A real `frontdesk serve` is killed at random moments under load, and restarted: nothing lost, repeated or mixed up.

Twilio, the mail server and the model fail in every way they know meanwhile: duplicates, dropped connections before and
after accepting, 421, 429, 500, 503, lost and reordered reports.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path
from typing import Any, Self

import pytest

from gateway.storage import Storage
from tests.conftest import make_database
from tests.counting import NO_FAULTS, count_faults, failed_turns, until_settled, until_stored
from tests.gateways import write_config
from tests.mail_lines import MailWays, count_mail_faults, fail_by_mail, mail_ways, mend_mail
from tests.world import World, world

CUSTOMERS = 24
MESSAGES = 12
MAIL_CUSTOMERS = 9
MAILS = 5  # as many as an address gets answers of the bot for in ten minutes
KILLS = 6
PROMISED_END_S = 30.0
PREFIXES = ("+1555013", "700000000000", "+1555016")
"""How the addresses of customers begin: by SMS, on Messenger, on WhatsApp."""
# Each at home elsewhere: of one domain, they would be taken for one machine after thirty answers in an hour.
WRITERS = [f"customer{n:04d}@home{n}.example.org" for n in range(MAIL_CUSTOMERS)]
"""The addresses of those who write e-mail."""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A `frontdesk serve` process that can be killed and started again."""

    def __init__(self, config: Path, port: int) -> None:
        self.config = config
        self.port = port
        self.process: Process | None = None
        self.log_path = config.with_suffix(".log")
        self.log = self.log_path.open("ab")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing running, whatever the test found."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.log.close()

    async def start(self) -> None:
        """Start it and wait until its door is open."""
        command = (sys.executable, "-m", "gateway", "serve", "--config", str(self.config))
        self.process = await asyncio.create_subprocess_exec(*command, stdout=self.log, stderr=self.log)
        async with asyncio.timeout(20):
            while True:
                assert self.process.returncode is None, self.log_path.read_text()[-3000:]
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end, for as long as a process promises; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        async with asyncio.timeout(PROMISED_END_S):
            return await self.process.wait()


def fail_in_every_way(around: World, seed: int) -> None:
    """Let the platforms misbehave."""
    around.twilio.faults.random = random.Random(seed)
    around.twilio.faults.rates = {
        "drop_after": 0.04,
        "drop_before": 0.03,
        "status:503": 0.02,
        "status:429": 0.02,
        "status_after:500": 0.02,
    }
    around.twilio.callbacks.random = random.Random(seed + 1)
    around.twilio.callbacks.rates = {"lost": 0.1, "twice": 0.1, "reordered": 0.1, "early": 0.1}
    around.twilio.inbound.random = random.Random(seed + 2)
    around.twilio.inbound.rates = {"twice": 0.15}
    # Meta has no log to look into: a call whose answer and whose echo are both lost is made once more, by design.
    meta = around.meta
    meta.faults.random, meta.callbacks.random, meta.inbound.random = (random.Random(seed + n) for n in (4, 5, 6))
    meta.faults.rates = dict(around.twilio.faults.rates)
    meta.callbacks.rates = {"twice": 0.1, "reordered": 0.1, "early": 0.1}
    meta.inbound.rates = {"twice": 0.15}
    around.openai.faults.random = random.Random(seed + 3)
    around.openai.faults.rates = {"status:500": 0.03, "drop": 0.02}
    around.openai.faults.latency_s = 0.02


def channel_of(customer: str) -> str:
    """Return the channel that a customer writes on."""
    if "@" in customer:
        return "support"
    names = dict(zip(PREFIXES, ("sms", "messenger", "whatsapp"), strict=True))
    return next((name for prefix, name in names.items() if customer.startswith(prefix)), "sms")


async def post_once(around: World, line: Any, customer: str, n: int) -> int:
    """Post a customer's nth message; again it is the same one."""
    if line is around.twilio:
        return int(await line.text(customer, f"{n}", sid=f"SM{customer[-4:]}{n:028d}"))
    return int(await line.text(customer, f"{n}", message_id(customer, n) if "@" in customer else f"id.{customer}.{n}"))


def message_id(customer: str, n: int) -> str:
    """Return the Message-ID of somebody's nth mail."""
    return f"<{n}.{customer}>"


async def write_all(around: World, customer: str, chance: random.Random) -> None:
    """Write one message after the other, each until it is acknowledged, as a platform that retries does."""
    line = around.line(channel_of(customer))
    count = MAILS if "@" in customer else MESSAGES
    for n in range(count):
        while await post_once(around, line, customer, n) != 200:
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.uniform(0.0, 0.6 * MESSAGES / count))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_killed_under_load(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """0 lost, 0 unanswered, 0 answered twice, 0 out of order."""
    seed = int(os.environ.get("FRONTDESK_CRASH_SEED", "7"))
    chance = random.Random(seed)
    database = (
        f"sqlite:///{tmp_path}/frontdesk.db"
        if kind == "sqlite"
        else await make_database(request.getfixturevalue("postgres_url"))
    )
    port = free_port()
    async with world() as around, mail_ways(free_port(), seed) as ways, Storage(database) as storage:
        await storage.migrate()
        fail_in_every_way(around, seed)
        fail_by_mail(ways, seed + 7)
        around.open_door(port)
        ways.open_door(port)
        around.more_lines["support"] = ways.line
        settings = around.every_channel()
        settings["more_channels"] += f"\n{ways.section()}"
        config = write_config(tmp_path, database, port=port, confirm_wait_s=2, **settings)
        customers = [prefix + f"{n:04d}" for prefix in PREFIXES for n in range(CUSTOMERS // len(PREFIXES))] + WRITERS
        counts = [MESSAGES] * CUSTOMERS + [MAILS] * MAIL_CUSTOMERS
        async with Served(config, port) as served:
            async with asyncio.timeout(20):  # what lies in a mailbox before it is read first is nobody's new mail
                await ways.imap.until(lambda server: server.listeners > 0)
            writers = [asyncio.create_task(write_all(around, c, random.Random(c))) for c in customers]
            for _ in range(KILLS if kind == "sqlite" else 3):
                await asyncio.sleep(chance.uniform(0.3, 1.5))
                assert await served.end(signal.SIGKILL) == -signal.SIGKILL
                await served.start()
            await asyncio.gather(*writers)
            meta, twilio = around.meta, around.twilio
            for script in (twilio.faults, twilio.callbacks, around.openai.faults, meta.faults, meta.callbacks):
                script.rates = {}
            mend_mail(ways)
            await until_stored(storage, sum(counts), 60)
            # On PostgreSQL nobody takes a dead process's leases away: they run out after 30 s, calls after 60 s.
            await until_settled(storage, len(counts), 60 if kind == "sqlite" else 200)
            await twilio.settle()
            await meta.settle()
            faults = await count_faults(around, storage, counts, failed_turns(served.log_path))
            mail_faults = count_all_mail_faults(ways)
            status = await served.end(signal.SIGTERM)

    assert faults == NO_FAULTS
    assert not +mail_faults
    assert status == 0


def count_all_mail_faults(ways: MailWays) -> Counter[str]:
    """Count what is wrong with mails beside what is counted for every channel."""
    written = {customer: [message_id(customer, n) for n in range(MAILS)] for customer in WRITERS}
    return sum((count_mail_faults(ways, customer, ids) for customer, ids in written.items()), Counter())


async def test_terminated_under_load(tmp_path: Path) -> None:
    """SIGTERM under load, with a model that hangs: the process ends within 30 s with status 0, the next one goes on.

    Nothing fails here, so every message has to have an answer of its own.
    """
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    port = free_port()
    async with world() as around, Storage(database) as storage:
        around.openai.faults.latency_s = 0.3
        around.openai.faults.plan("hang")
        around.open_door(port)
        config = write_config(tmp_path, database, port=port, timeout_s=60, **around.addresses)
        customers = [f"+1555014{n:04d}" for n in range(CUSTOMERS)]
        async with Served(config, port) as served:
            writers = [asyncio.create_task(write_all(around, c, random.Random(c))) for c in customers]
            for _ in range(2):
                await asyncio.sleep(1.5)
                assert await served.end(signal.SIGTERM) == 0
                assert not around.openai.faults.next
                await served.start()
            await asyncio.gather(*writers)
            await until_settled(storage, CUSTOMERS, 60)
            await around.twilio.settle()
            faults = await count_faults(around, storage, [MESSAGES] * CUSTOMERS)
            await served.end(signal.SIGTERM)

    assert faults == NO_FAULTS
