"""A process that starts again: what a dead one had in its hands is taken up at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

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
