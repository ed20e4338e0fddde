"""Many customers who wait at once, on both databases: people are told of them, and not hundreds of times."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from channels.text import measure
from gateway.handoffs.wording import MAX_SMS, tell_together
from gateway.handoffs.worker import MORE_FOR_EMERGENCIES, MOST_AN_HOUR
from gateway.storage import Resume, Storage, Takeover
from gateway.storage.records import Notice
from tests.test_handoffs import HOUR, MINUTE, OWNER, TARGETS, Time, desk, hand_over, rows
from tests.test_storage_accept import NOW


async def flood(storage: Storage, count: int, *, at: datetime = NOW, reason: str = "customer_request") -> None:
    """Let many customers ask for a person at once."""
    for n in range(count):
        await hand_over(storage, at=at, reason=reason, sender=f"+1555010{at:%H%M}{n:03}")


async def take_all(storage: Storage, now: datetime) -> None:
    """Let a person take whatever waits."""
    for row in await storage.conversations(mode="waiting", limit=200):
        await storage.run(Takeover(row.conversation_id, "the owner", now))


async def look(storage: Storage, clock: Time) -> list[str]:
    """Let the worker look often enough; returns what the owner was told so far, sorted."""
    at_work = desk(storage, clock)
    for _ in range(5):
        await at_work.tell()
    return sorted(kind(notice) for notice in await rows(storage, Notice) if notice.target == OWNER)


def kind(notice: Notice) -> str:
    """Return of a notice of one customer that it is one, and of a notice of many what it says."""
    return notice.content if notice.about.startswith("together:") else "one"


def flooded(more: str) -> list[str]:
    """Return what the owner is told in an hour with too many."""
    told = f"Corner Garage: 20 notices within an hour, and {more}: frontdesk conversations --mode waiting"
    return [told, *["one"] * MOST_AN_HOUR]


async def test_a_flood_is_told_in_twenty_notices_and_one(storage: Storage) -> None:
    """Each of the people gets them, the log says how many more wait, and so it goes for the reminders."""
    clock = Time()
    await flood(storage, 70)
    with capture_logs() as logs:
        at_once = await look(storage, clock)
    for minutes in (1, 15, 59):
        clock.now = NOW + minutes * MINUTE
        within = await look(storage, clock)
    clock.now = NOW + HOUR
    reminded = await look(storage, clock)
    clock.now = NOW + 5 * HOUR
    afterwards = await look(storage, clock)

    assert at_once == within == flooded("50 more customers wait")
    assert reminded == afterwards == sorted(2 * flooded("50 more customers wait"))
    assert [line["count"] for line in logs if line["event"] == "people_told_together"] == [50]
    assert len(await rows(storage, Notice)) == len(TARGETS) * len(afterwards)


async def test_two_processes_tell_of_a_flood_together(storage: Storage, database_url: str) -> None:
    """One of them tells of the many; of one customer each they tell at most one more for each further process."""
    await flood(storage, 50)
    async with Storage(database_url) as other:
        askers = [storage, storage] if storage.is_sqlite else [storage, other]
        workers = [desk(asker, lambda: NOW, notify=TARGETS[:1]) for asker in askers]
        for _ in range(4):
            await asyncio.gather(*(worker.tell() for worker in workers))
    kinds = [kind(notice) for notice in await rows(storage, Notice)]

    assert kinds.count("one") - MOST_AN_HOUR in (0, 1)
    assert len(kinds) == kinds.count("one") + 1


async def test_who_comes_after_that_one_is_told_of_when_its_hour_is_over(storage: Storage) -> None:
    """Nobody is forgotten; whoever waits no more is told of no more."""
    clock = Time()
    await flood(storage, MOST_AN_HOUR + 2)
    first = await look(storage, clock)
    clock.now = NOW + 10 * MINUTE
    await flood(storage, 5, at=clock.now)
    held = await look(storage, clock)
    await take_all(storage, clock.now)
    clock.now = NOW + 20 * MINUTE
    late = await hand_over(storage, at=clock.now, sender="+15550100001")
    still_held = await look(storage, clock)
    clock.now = NOW + HOUR
    told = await look(storage, clock)
    newest = {notice.conversation_id for notice in await rows(storage, Notice) if notice.created_at == clock.now}

    assert first == held == still_held == flooded("2 more customers wait")
    assert (len(told), newest) == (len(first) + 1, {late.id})


async def test_an_emergency_is_told_in_the_midst_of_a_flood(storage: Storage) -> None:
    """It has room of its own beyond the others', which ends as well."""
    clock = Time()
    await flood(storage, 40)
    counts = [len(await look(storage, clock))]
    for minutes, emergencies in ((1, 1), (50, 40)):
        clock.now = NOW + minutes * MINUTE
        await flood(storage, emergencies, at=clock.now, reason="emergency")
        counts.append(len(await look(storage, clock)))

    assert counts == [MOST_AN_HOUR + 1, MOST_AN_HOUR + 2, MOST_AN_HOUR + 1 + MORE_FOR_EMERGENCIES]


async def test_one_customer_who_begins_anew_is_a_flood_too(storage: Storage) -> None:
    """The limit is of the one who is told, whoever writes; a flood of which nobody waits any more is no news."""
    clock = Time()
    for n in range(30):
        clock.now = NOW + n * MINUTE
        conversation = await hand_over(storage, at=clock.now)
        notices = await look(storage, clock)
        await storage.run(Resume(conversation.conversation_id, clock.now))
    clock.now = NOW + 5 * HOUR

    assert notices == flooded("1 more customer waits")
    assert await look(storage, clock) == notices


@pytest.mark.parametrize(("count", "more"), [(1, "1 more customer waits"), (480, "480 more customers wait")])
def test_many_are_told_in_both_lengths(count: int, more: str) -> None:
    """How many they are, and how to see them."""
    told = tell_together(count, 20, "B" * 500)

    assert told.subject.endswith(f"...: {more} for a person")
    assert told.text.endswith("See them with: frontdesk conversations --mode waiting\n")
    assert told.short.endswith(f"20 notices within an hour, and {more}: frontdesk conversations --mode waiting")
    assert len(told.short) <= MAX_SMS
    assert measure(told.short).encoding == "GSM-7"
