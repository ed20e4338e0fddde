"""Summaries are compared when they are set: none goes back behind another, and none outlives what it told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from channels.base import Edit, Reaction
from gateway.storage import Incoming, KeepSummary, Storage
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_effects import rows


@pytest.fixture
async def doors(storage: Storage, database_url: str) -> AsyncIterator[tuple[Storage, Storage]]:
    """Give the same database, in which one customer has written, to two processes."""
    await accept(storage, sms("+1", "SM1", "the old words"))
    async with Storage(database_url) as other:
        yield storage, other


def summary(after: int, up_to: int, content: str = "", *, amendments: int = 0) -> KeepSummary:
    """Continue a summary of the one conversation."""
    return KeepSummary(1, after, up_to, amendments, content or f"up to {up_to}", "model-x", 20, NOW)


async def kept(storage: Storage) -> list[tuple[int, str]]:
    """Return what is kept: (up_to, content)."""
    query = "SELECT up_to_sequence, content FROM summaries ORDER BY up_to_sequence"
    return [(row[0], row[1]) for row in await rows(storage, query)]


async def amend(storage: Storage) -> None:
    """Let the customer change what they wrote."""
    await accept(storage, Incoming("sms", "sms", Edit(US, "+1", "SM1", "the new words")))


async def test_a_summary_continues_the_newest(doors: tuple[Storage, Storage]) -> None:
    """One that continues anything else is refused: somebody was faster."""
    storage = doors[0]
    wishes = [summary(0, 40), summary(0, 50), summary(30, 60), summary(40, 80), summary(40, 90)]
    results = [await storage.run(wish) for wish in wishes]

    assert results == [True, False, False, True, False]
    assert await kept(storage) == [(40, "up to 40"), (80, "up to 80")]


@pytest.mark.parametrize("reaches", ["the same message", "another message each"])
@pytest.mark.parametrize("processes", [1, 2])
async def test_of_many_at_once_one_is_kept(doors: tuple[Storage, Storage], processes: int, reaches: str) -> None:
    """Whoever was slower is told so, and nothing of theirs is left."""
    step = 0 if reaches == "the same message" else 1
    wishes = [summary(0, 40 + n * step, f"by {n}") for n in range(12)]
    results = await asyncio.gather(*(doors[n % processes].run(wish) for n, wish in enumerate(wishes)))
    [(_, content)] = await kept(doors[0])

    assert results.count(True) == 1
    assert content == f"by {results.index(True)}"


async def test_conversations_do_not_wait_for_each_other(doors: tuple[Storage, Storage]) -> None:
    """Each has its own newest."""
    storage = doors[0]
    await accept(storage, sms("+2", "SM2"))
    wishes = [KeepSummary(id_, 0, 40, 0, f"of {id_}", "model-x", 20, NOW) for id_ in (2, 1)]
    results = await asyncio.gather(*(storage.run(wish) for wish in wishes))

    assert results == [True, True]


async def test_only_the_newest_two_stay(doors: tuple[Storage, Storage]) -> None:
    """The last but one tells a window that has not moved yet; what is older is told by both."""
    storage = doors[0]
    for n in range(5):
        await storage.run(summary(n * 40, n * 40 + 40))
    newest = await storage.summary(1, up_to=500)
    behind = await storage.summary(1, up_to=199)
    too_early = await storage.summary(1, up_to=159)

    assert [up_to for up_to, _ in await kept(storage)] == [160, 200]
    assert newest is not None
    assert behind is not None
    assert (newest.up_to_sequence, behind.up_to_sequence, too_early) == (200, 160, None)
    assert (newest.content, newest.model, newest.tokens_used) == ("up to 200", "model-x", 20)


async def test_an_amended_transcript_refuses_what_was_written_before(doors: tuple[Storage, Storage]) -> None:
    """Words that the customer has changed or taken back do not live on in a summary of them."""
    storage = doors[0]
    await storage.run(summary(0, 40, "the old words"))
    await amend(storage)
    late = await storage.run(summary(40, 80, "the old words, continued"))
    found = await storage.summary(1, up_to=500)

    assert not late
    assert found is None


async def test_what_was_changed_behind_a_summary_leaves_it(doors: tuple[Storage, Storage]) -> None:
    """It tells nothing of the changed words; and a reaction changes no words at all."""
    storage = doors[0]
    await accept(storage, sms("+1", "SM2", "later words"))
    await storage.run(summary(0, 1))
    await accept(storage, Incoming("sms", "sms", Edit(US, "+1", "SM2", "other words")))
    await storage.run(summary(1, 2, amendments=1))
    await accept(storage, Incoming("sms", "sms", Reaction(US, "+1", "SM2", "x")))

    assert await kept(storage) == [(1, "up to 1"), (2, "up to 2")]


async def test_after_an_amendment_it_is_told_anew(doors: tuple[Storage, Storage]) -> None:
    """The first of the new ones replaces the old ones, also the one that reached as far."""
    storage = doors[0]
    for n in range(2):
        await storage.run(summary(n * 40, n * 40 + 40, "the old words"))
    await amend(storage)
    continued = await storage.run(summary(80, 120, amendments=1))
    anew = await storage.run(summary(0, 40, "the new words", amendments=1))

    assert (continued, anew) == (False, True)
    assert await kept(storage) == [(40, "the new words")]
