"""Whose turn it is to poll a channel, on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from gateway.storage import ClaimPoll, OpenChannels, Storage
from gateway.storage.maintenance import PollTurn
from tests.test_storage_accept import NOW

EVERY = timedelta(seconds=600)


async def claim(
    storage: Storage, at: datetime, *, owner: str = "serve:a", at_start: bool = False, early: bool = False
) -> PollTurn | None:
    """Take the channel's poll, if it is due."""
    return await storage.run(ClaimPoll("sms", at, at + EVERY, owner, at_start, early))


async def test_a_poll_is_due_at_the_start_and_again_after_its_time(storage: Storage) -> None:
    """A process that starts polls whatever was due before; then ten minutes pass, to the second."""
    await storage.run(OpenChannels(("sms", "other")))
    first = await claim(storage, NOW)
    restarted = await claim(storage, NOW + timedelta(seconds=5), at_start=True)
    early = await claim(storage, NOW + timedelta(seconds=604, milliseconds=999))
    again = await claim(storage, NOW + timedelta(seconds=605))
    early_again = await claim(storage, NOW + timedelta(seconds=606))

    assert (first, restarted, again) == (PollTurn(None), PollTurn(None), PollTurn(None))
    assert (early, early_again) == (None, None)


async def test_a_channel_that_nobody_opened_is_not_polled(storage: Storage) -> None:
    """The poll's place is the channel's own row."""
    await storage.run(OpenChannels(("other",)))

    assert await claim(storage, NOW, at_start=True) is None


async def test_one_of_many_processes_polls(storage: Storage, database_url: str) -> None:
    """Whoever asks at the same moment, through the same writer or another process's: one of them has the turn."""
    await storage.run(OpenChannels(("sms",)))
    async with Storage(database_url) as other:
        # One process owns a SQLite file.
        askers = [storage] * 5 + ([] if storage.is_sqlite else [other] * 5)
        for round_ in range(5):
            at = NOW + round_ * EVERY
            turns = await asyncio.gather(*(claim(asker, at) for asker in askers))
            assert [turn is not None for turn in turns].count(True) == 1
