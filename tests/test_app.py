"""A process that starts again: what a dead one had in its hands is taken up at once."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import app
from gateway.clock import utc_now
from gateway.storage import (
    BeginDirectTurn,
    ClaimDeliveries,
    ClaimTurns,
    Compose,
    OpenChannels,
    Pace,
    Storage,
    TakeLeases,
)
from tests.gateways import gateway
from tests.saying import said
from tests.test_storage_accept import accept, sms
from tests.world import world

ANN, BOB = "+15550109999", "+15550109998"
LEASE = timedelta(hours=1)
"""Longer than any test: whoever waits for it to run out is not at once."""


async def test_a_restarted_process_answers_what_a_dead_one_had_claimed(tmp_path: Path) -> None:
    """One process owns a SQLite file, so nobody's lease is left at its start: turns and calls are taken up again."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    now = utc_now()
    async with Storage(database) as storage:
        await storage.migrate()
        await storage.run(OpenChannels(("sms",)))
        await accept(storage, sms(ANN, "SM1", "Hello?"), at=now)
        [turn] = await storage.run(ClaimTurns("serve:dead", now, now + LEASE, 1, ("sms",)))
        await storage.run(Compose("sms", "sms", BOB, said("Your technician is late."), now))
        call = ClaimDeliveries(
            "serve:dead:1", now, now + LEASE, (Pace("sms", 1000.0),), at_most=1, expired_before=now - LEASE
        )
        [delivery] = (await storage.run(call)).deliveries
    async with world() as around, gateway(tmp_path, database, **around.addresses) as inside:
        around.open_door(inside.port)
        await around.twilio.wait_for(2, timeout_s=10)
        async with asyncio.timeout(5):
            while {d.status for d in await inside.parts.storage.deliveries()} != {"delivered"}:
                await asyncio.sleep(0.01)
        [resent] = await inside.parts.storage.deliveries(conversation_id=delivery.conversation_id)

    assert turn.messages[0].content == "Hello?"
    assert list(around.twilio.received(ANN)) == ["re: Hello?"]
    assert list(around.twilio.received(BOB)) == ["Your technician is late."]
    assert (resent.id, resent.resends) == (delivery.id, 1)


async def test_a_call_that_a_dead_process_was_answering_holds_up_nobody(tmp_path: Path) -> None:
    """What a caller waits for in a serve process has its lease, which the next process at the same file frees."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with world() as around, gateway(tmp_path, database, **around.addresses) as inside:
        around.openai.faults.latency_s = 60
        storage = inside.parts.storage
        asking = asyncio.create_task(inside.parts.service.send_message("visitor-17", "Hello?"))
        async with asyncio.timeout(5):
            while not (row := await storage.conversation("visitor-17")) or row.lease_owner is None:
                await asyncio.sleep(0.01)
        await storage.run(TakeLeases(utc_now(), "serve:the next"))
        now = utc_now()
        again = BeginDirectTurn("visitor-17", "website_chat", "Hello?", "serve:the next", now, now + LEASE, {})
        begun = await storage.run(again)
        asking.cancel()
        await asyncio.wait((asking,))

    assert not begun.busy


LISTENS = """
  support:
    type: email
    address: help@example.com
    name: Corner Garage
    listen: {{port: {port}, protocol: lmtp}}
    smtp: {{host: 127.0.0.1, port: 9, security: none}}
"""


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def is_open(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_doors_close_at_once_and_wait_for_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail that does not end keeps neither the other door open nor the process alive."""
    monkeypatch.setattr(app, "DOOR_GRACE_S", 0.5)
    lmtp, web = free_port(), free_port()
    more = LISTENS.format(port=lmtp)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gateway(tmp_path, f"sqlite:///{tmp_path}/f.db", port=web, more_channels=more))
        reader, writer = await asyncio.open_connection("127.0.0.1", lmtp)
        for line in (b"LHLO there", b"MAIL FROM:<a@example.org>", b"RCPT TO:<help@example.com>", b"DATA"):
            writer.write(line + b"\r\n")
        await reader.readuntil(b"354")
        before = await is_open(lmtp), await is_open(web)
        began = time.monotonic()
        stopping = asyncio.create_task(stack.aclose())
        await asyncio.sleep(0.2)
        meanwhile = stopping.done(), await is_open(lmtp), await is_open(web)
        await stopping
        took_s = time.monotonic() - began
        writer.close()

    assert before == (True, True)
    assert meanwhile == (False, False, False)
    assert took_s < 5


async def test_a_start_that_fails_leaves_no_door_open(tmp_path: Path) -> None:
    """The address of the second door is taken: the first one, which was open already, is closed again."""
    web = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = LISTENS.format(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with gateway(tmp_path, f"sqlite:///{tmp_path}/f.db", port=web, more_channels=more):
                pass

        assert not await is_open(web)


async def test_what_came_through_the_door_first_is_kept(tmp_path: Path) -> None:
    """The door opens before the leases of the dead are ended: whoever was let in meanwhile is answered."""
    now = utc_now()
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        await storage.migrate()
        for name in ("mine", "theirs"):
            await storage.run(BeginDirectTurn(name, "website_chat", "Hi", f"serve:{name}", now, now + LEASE, {}))
        await storage.run(TakeLeases(now, "serve:mine"))
        owners = {row.conversation_id: row.lease_owner for row in await storage.conversations()}

    assert owners == {"mine": "serve:mine", "theirs": None}
