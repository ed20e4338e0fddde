"""Several processes on one PostgreSQL: killed in every role, or ended while the database hangs."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.storage import Storage
from tests.conftest import make_database
from tests.counting import NO_FAULTS, count_faults, until_settled, until_stored
from tests.gateways import caller, sms_form, write_config
from tests.mail_lines import MailWays, mail_ways
from tests.test_crash import MAILS, WRITERS, Served, count_all_mail_faults, free_port, message_id
from tests.test_database_away import Server, server
from tests.world import World, world

__all__ = ["server"]

CUSTOMERS = 6
MESSAGES = 6


class InRole(Served):
    """A process of one role; all have the same data folder."""

    def __init__(self, folder: Path, role: str, name: str, database: str, **settings: Any) -> None:
        own = folder / name
        own.mkdir()
        (folder / "data").mkdir(exist_ok=True)
        (own / "data").symlink_to(folder / "data")
        port = free_port()
        super().__init__(write_config(own, database, port=port, **settings), port)
        self._role = role

    async def start(self) -> None:
        """Start it and wait until it listens."""
        command = (sys.executable, "-m", "gateway", "serve", "--config", str(self.config), "--role", self._role)
        self.process = await asyncio.create_subprocess_exec(*command, stdout=self.log, stderr=self.log)
        async with asyncio.timeout(20):
            while not await _listens(self.port):
                assert self.process.returncode is None, self.config.with_suffix(".log").read_text()[-3000:]
                await asyncio.sleep(0.02)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def write_all(around: World, customer: str) -> None:
    """Write one message after the other, each until it is acknowledged, as a platform that retries does."""
    chance = random.Random(customer)
    for n in range(MESSAGES):
        while await around.twilio.text(customer, f"{n}", sid=f"SM{customer[-4:]}{n:028d}") != 200:
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.uniform(0.0, 0.6))


async def write_mails(ways: MailWays, customer: str) -> None:
    """Write one mail after the other, too."""
    chance = random.Random(customer)
    for n in range(MAILS):
        while await ways.line.text(customer, f"{n}", message_id(customer, n)) != 200:
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.uniform(0.0, 0.6))


async def test_killed_in_every_role(postgres_url: str, tmp_path: Path) -> None:
    """One door and two workers, each killed in its turn: 0 lost, unanswered, answered twice, out of order.

    The door is posted mail and has the port for it; whichever worker lives reads the mailbox.
    """
    database = await make_database(postgres_url)
    async with world() as around, mail_ways(free_port(), 7) as ways, Storage(database) as storage:
        await storage.migrate()
        around.openai.faults.latency_s = 0.3
        around.twilio.inbound.rates = {"twice": 0.15}
        around.more_lines["support"] = ways.line
        settings = {"confirm_wait_s": 2, **around.addresses, "more_channels": ways.section()}
        roles = {"door": "web", "one": "worker", "other": "worker"}
        processes = [InRole(tmp_path, role, name, database, **settings) for name, role in roles.items()]
        around.open_door(processes[0].port)
        ways.open_door(processes[0].port)
        for process in processes:
            await process.start()
        async with asyncio.timeout(20):  # what lies in a mailbox before it is read first is nobody's new mail
            await ways.imap.until(lambda server: server.listeners > 0)
        customers = [f"+1555015{n:04d}" for n in range(CUSTOMERS)]
        counts = [MESSAGES] * CUSTOMERS + [MAILS] * len(WRITERS)
        writers = [asyncio.create_task(write_all(around, customer)) for customer in customers]
        writers += [asyncio.create_task(write_mails(ways, customer)) for customer in WRITERS]
        for process in processes:
            await asyncio.sleep(0.5)
            assert await process.end(signal.SIGKILL) == -signal.SIGKILL
            await process.start()
        await asyncio.gather(*writers)
        await until_stored(storage, sum(counts), 200)  # who read the mailbox may be dead: another does after a minute
        await until_settled(
            storage, len(counts), 200
        )  # a dead worker's leases run out: turns after 30 s, calls after 60
        await around.twilio.settle()
        faults = await count_faults(around, storage, counts)
        mail_faults = count_all_mail_faults(ways)
        statuses = await asyncio.gather(*(process.end(signal.SIGTERM) for process in processes))
        for process in processes:
            process.log.close()

    assert faults == NO_FAULTS
    assert not +mail_faults
    assert statuses == [0, 0, 0]


@contextmanager
def frozen(postgres: Server) -> Iterator[None]:
    """Let a server take connections and answer nothing: its processes are stopped, not ended."""
    postmaster = postgres._server.get_pid()
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    pids = [postmaster, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


async def test_terminated_while_the_database_hangs(server: Server, tmp_path: Path) -> None:
    """SIGTERM ends a process within 30 s with status 0, though nothing it asks of PostgreSQL is ever answered."""
    database = await make_database(server.url)
    async with world() as around:
        async with Storage(database) as storage:
            await storage.migrate()
        around.openai.faults.latency_s = 0.3
        process = InRole(tmp_path, "all", "all", database, **around.addresses)
        around.open_door(process.port)
        await process.start()
        for n in range(3):
            assert await around.twilio.text(f"+155501600{n:02d}", "0", sid=f"SM{n:032d}") == 200
        async with caller(process.port) as calls:
            with frozen(server):
                posted = asyncio.create_task(calls.post(sms_form("SM" + "9" * 32, "0", "+15550160099")))
                await asyncio.sleep(0.5)  # it is in the middle of turns, and of this webhook
                status = await process.end(signal.SIGTERM)
                [(acked, _)] = await asyncio.gather(posted)
        await process.start()
        async with Storage(database) as storage:
            await until_settled(storage, 4, 100)
        await process.end(signal.SIGTERM)
        process.log.close()

    assert (status, acked) == (0, 200)
