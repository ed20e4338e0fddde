"""A real `frontdesk serve` is killed at random moments under load, and restarted: nothing lost, repeated or mixed up.

Twilio and the model fail in every way they know meanwhile: duplicates, dropped connections before and after accepting,
429, 500, 503, lost and reordered reports.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from gateway.storage import Storage
from tests.conftest import make_database
from tests.gateways import write_config
from tests.world import World, world

CUSTOMERS = 24
MESSAGES = 12
KILLS = 6


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
        self.log = config.with_suffix(".log").open("ab")

    async def start(self) -> None:
        """Start it and wait until its door is open."""
        command = (sys.executable, "-m", "gateway", "serve", "--config", str(self.config))
        self.process = await asyncio.create_subprocess_exec(*command, stdout=self.log, stderr=self.log)
        async with asyncio.timeout(20):
            while True:
                assert self.process.returncode is None, self.config.with_suffix(".log").read_text()[-3000:]
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 35)


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
    around.openai.faults.random = random.Random(seed + 3)
    around.openai.faults.rates = {"status:500": 0.03, "drop": 0.02}
    around.openai.faults.latency_s = 0.02


async def write_all(around: World, customer: str, chance: random.Random) -> None:
    """Write one message after the other, each until it is acknowledged, as a platform that retries does."""
    for n in range(MESSAGES):
        sid = f"SM{customer[-4:]}{n:028d}"
        while await around.twilio.text(customer, f"{n}", sid=sid) != 200:
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.uniform(0.0, 0.6))


async def until_settled(storage: Storage, timeout_s: float) -> None:
    """Wait until every message is answered and every delivery has left, or failed visibly."""
    async with asyncio.timeout(timeout_s):
        while True:
            conversations = await storage.conversations(limit=1000)
            waiting = [c for c in conversations if c.due_at is not None or c.last_user_sequence > c.answered_sequence]
            unsettled = [
                d
                for status in ("queued", "sending", "unconfirmed")
                for d in await storage.deliveries(status=status, limit=10_000)
            ]
            if len(conversations) == CUSTOMERS and not waiting and not unsettled:
                return
            await asyncio.sleep(0.2)


async def count_faults(around: World, storage: Storage) -> dict[str, int]:
    """Count what was lost, answered twice, and out of order, from the transcripts and from the telephones."""
    lost = twice = disorder = gaps = 0
    for conversation in await storage.conversations(limit=1000):
        messages = await storage.messages(conversation.id or 0, limit=10_000)
        gaps += [m.sequence_number for m in messages] != list(range(1, len(messages) + 1))
        asked = [m.content for m in messages if m.role == "user"]
        lost += len({str(n) for n in range(MESSAGES)} - set(asked))
        twice += len(asked) - len(set(asked))
        answered = [m.answers_sequence for m in messages if m.role == "assistant"]
        twice += len(answered) - len(set(answered))
        disorder += answered != sorted(answered)
        read = [text for text in around.twilio.received(conversation.address or "") if text.startswith("re: ")]
        words = [word for text in read for word in text.removeprefix("re: ").split(" + ")]
        twice += len(words) - len(set(words))
        disorder += [int(word) for word in words] != sorted(int(word) for word in words)
        failed = [d for d in await storage.deliveries(conversation_id=conversation.id) if d.status == "failed"]
        spoken = [m for m in messages if m.role == "assistant" and m.content.startswith("re: ")]
        lost += max(0, len(spoken) - len(read) - len(failed))
    return {"lost": lost, "answered twice": twice, "out of order": disorder, "gaps": gaps}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_killed_under_load(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """0 lost, 0 answered twice, 0 out of order."""
    seed = int(os.environ.get("FRONTDESK_CRASH_SEED", "7"))
    chance = random.Random(seed)
    database = (
        f"sqlite:///{tmp_path}/frontdesk.db"
        if kind == "sqlite"
        else await make_database(request.getfixturevalue("postgres_url"))
    )
    port = free_port()
    async with world() as around, Storage(database) as storage:
        await storage.migrate()
        fail_in_every_way(around, seed)
        around.open_door(port)
        config = write_config(tmp_path, database, port=port, confirm_wait_s=2, **around.addresses)
        served = Served(config, port)
        await served.start()
        customers = [f"+1555013{n:04d}" for n in range(CUSTOMERS)]
        writers = [asyncio.create_task(write_all(around, c, random.Random(c))) for c in customers]
        for _ in range(KILLS if kind == "sqlite" else 3):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            assert await served.end(signal.SIGKILL) == -signal.SIGKILL
            await served.start()
        await asyncio.gather(*writers)
        for script in (around.twilio.faults, around.twilio.callbacks, around.openai.faults):
            script.rates = {}
        # On PostgreSQL nobody takes a dead process's leases away: they run out after 30 s, calls after 60 s.
        await until_settled(storage, 60 if kind == "sqlite" else 200)
        await around.twilio.settle()
        faults = await count_faults(around, storage)
        status = await served.end(signal.SIGTERM)
        served.log.close()

        assert faults == {"lost": 0, "answered twice": 0, "out of order": 0, "gaps": 0}
        assert status == 0


async def test_terminated_under_load(tmp_path: Path) -> None:
    """SIGTERM under load: the process ends within 30 s with status 0, and the next one answers what is left."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    port = free_port()
    async with world() as around, Storage(database) as storage:
        around.openai.faults.latency_s = 0.3
        around.open_door(port)
        served = Served(write_config(tmp_path, database, port=port, **around.addresses), port)
        await served.start()
        customers = [f"+1555014{n:04d}" for n in range(CUSTOMERS)]
        writers = [asyncio.create_task(write_all(around, c, random.Random(c))) for c in customers]
        for _ in range(2):
            await asyncio.sleep(1.5)
            assert await served.end(signal.SIGTERM) == 0
            await served.start()
        await asyncio.gather(*writers)
        await until_settled(storage, 60)
        await around.twilio.settle()
        faults = await count_faults(around, storage)
        await served.end(signal.SIGTERM)
        served.log.close()

        assert faults == {"lost": 0, "answered twice": 0, "out of order": 0, "gaps": 0}
