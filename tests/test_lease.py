"""The lease of a turn: kept while the work goes on, ended with the turn, on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.assistant import lease
from gateway.assistant.lease import keep_lease
from gateway.clock import utc_now
from gateway.storage import Claim, ClaimTurns, ExtendLease, Fenced, FinishTurn, Storage, StorageUnavailable
from tests.test_storage_accept import accept, sms
from tests.test_turns import House, house

SECOND = timedelta(seconds=1)
HEARTBEAT_S = 0.02


@pytest.fixture(autouse=True)
def _fast_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_S", HEARTBEAT_S)


class Wire:
    """A storage behind a connection that the test can disturb."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.lost_heartbeats = 0
        """How many of the next heartbeats do not reach the database."""
        self.slow_answers = False
        """Whether it takes several heartbeats until a committed answer is known here."""

    async def run(self, operation: Any) -> Any:
        """Commit, as far as the test lets it."""
        if isinstance(operation, ExtendLease) and self.lost_heartbeats > 0:
            self.lost_heartbeats -= 1
            raise StorageUnavailable("away")
        result = await self._storage.run(operation)
        if isinstance(operation, FinishTurn) and self.slow_answers:
            await asyncio.sleep(10 * HEARTBEAT_S)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


def disturbed(wire: Wire) -> Storage:
    """Return it as what it stands for."""
    return cast("Storage", wire)


async def claimed(storage: Storage, lease_s: float = 30.0) -> Claim:
    """Claim the turn of a new message."""
    await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
    now = utc_now()
    [claim] = await storage.run(ClaimTurns("serve:we", now, now + lease_s * SECOND, 1, ("sms",)))
    return claim


async def others_claim(storage: Storage, at: datetime) -> list[Claim]:
    """Claim as another process at that time; a lease that stands then is respected."""
    return await storage.run(ClaimTurns("serve:other", at, at + 600 * SECOND, 1, ("sms",)))


async def take_away(storage: Storage) -> list[Claim]:
    """Claim as another process for which every lease is over."""
    return await others_claim(storage, utc_now() + 600 * SECOND)


async def until_past(claim: Claim) -> None:
    """Wait until the lease that came with the claim would be over."""
    async with asyncio.timeout(10):
        while utc_now() <= claim.lease_expires_at:
            await asyncio.sleep(HEARTBEAT_S)


async def until_extended(storage: Storage) -> datetime:
    """Wait for a heartbeat of the one conversation's turn; returns when the lease before it would have been over."""
    [before] = await storage.conversations()
    assert before.lease_expires_at is not None
    async with asyncio.timeout(10):
        while (await storage.conversations())[0].lease_expires_at == before.lease_expires_at:
            await asyncio.sleep(HEARTBEAT_S)
    return before.lease_expires_at


async def test_body_outlives_its_first_lease(storage: Storage) -> None:
    """Work that takes longer than the lease keeps its turn: nobody else can claim it."""
    claim = await claimed(storage, lease_s=1)
    async with keep_lease(storage, claim, utc_now):
        await until_past(claim)
        others = await others_claim(storage, at=utc_now())

    assert others == []


async def test_lost_lease_ends_the_body(storage: Storage) -> None:
    """Work on a turn that another process has claimed ends at the next heartbeat; its task is not cancelled by that."""
    claim = await claimed(storage)
    task = asyncio.current_task()
    await take_away(storage)

    with pytest.raises(Fenced):
        async with asyncio.timeout(10), keep_lease(storage, claim, utc_now):
            await asyncio.Event().wait()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_heartbeat_may_fail(storage: Storage) -> None:
    """While the database is away for a moment the turn stays ours, and the next heartbeat extends the lease."""
    claim = await claimed(storage, lease_s=1)
    wire = Wire(storage)
    wire.lost_heartbeats = 3
    async with keep_lease(disturbed(wire), claim, utc_now):
        await until_past(claim)
        others = await others_claim(storage, at=utc_now())

    assert (wire.lost_heartbeats, others) == (0, [])


async def test_lease_that_runs_out_ends_the_body(storage: Storage) -> None:
    """Where no heartbeat gets through, the work ends with the lease."""
    claim = await claimed(storage, lease_s=0.2)
    wire = Wire(storage)
    wire.lost_heartbeats = 1_000_000

    with pytest.raises(Fenced):
        async with asyncio.timeout(10), keep_lease(disturbed(wire), claim, utc_now):
            await asyncio.Event().wait()
    assert utc_now() >= claim.lease_expires_at


async def test_cancellation_from_outside_stays_one(storage: Storage) -> None:
    """A shutdown is not mistaken for a lost turn, not even when both come at once."""
    claim = await claimed(storage)
    begun = asyncio.Event()

    async def work() -> None:
        async with keep_lease(storage, claim, utc_now):
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # by the lost lease; the shutdown comes while the body cleans up
                working.cancel()
                raise

    working = asyncio.create_task(work())
    await begun.wait()
    await take_away(storage)
    async with asyncio.timeout(10):
        await asyncio.wait([working])

    assert working.cancelled()


# --- in the workers ---


def ended(h: House, outcome: str) -> float:
    """Return how many turns have ended so."""
    return float(h.turns._metrics.turns.labels(outcome)._value.get())


async def test_turn_keeps_its_lease_while_the_model_thinks(storage: Storage, tmp_path: Path) -> None:
    """A worker's heartbeat keeps other processes from the turn, and its answer is the one that is sent."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        _, answer = await h.asked()
        first = await until_extended(storage)
        others = await others_claim(storage, at=first)
        answer.set_result("to m1")
        transcript = await h.transcript(2)

        assert others == []
        assert transcript == ["user: m1", "assistant: to m1"]


async def test_turn_ends_where_its_lease_is_taken(storage: Storage, tmp_path: Path) -> None:
    """A worker that has lost its turn stops thinking, writes nothing, and leaves the turn to whoever has it."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        _, answer = await h.asked()
        await take_away(storage)
        async with asyncio.timeout(10):
            while not ended(h, "fenced"):
                await asyncio.sleep(HEARTBEAT_S)
        [conversation] = await storage.conversations()

        assert answer.cancelled()
        assert (conversation.lease_owner, conversation.total_messages) == ("serve:other", 1)


async def test_committed_answer_is_no_lost_turn(storage: Storage, tmp_path: Path) -> None:
    """The commit ends the lease; the worker does not take that for a loss while it waits to hear of the commit."""
    wire = Wire(storage)
    wire.slow_answers = True
    async with house(disturbed(wire), tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        _, answer = await h.asked()
        answer.set_result("to m1")
        async with asyncio.timeout(10):
            while not ended(h, "answered") + ended(h, "fenced"):
                await asyncio.sleep(HEARTBEAT_S)

        assert (ended(h, "answered"), ended(h, "fenced")) == (1, 0)
