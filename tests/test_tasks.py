"""Tasks end, whatever they are waiting for."""

from __future__ import annotations

import asyncio

from gateway import tasks
from gateway.tasks import end


async def test_what_is_cancelled_has_ended():
    """Nobody goes on behind the back of who ended it, and what it was doing last is done."""
    done = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append(1)

    working = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    await end(working)

    assert len(done) == 3


async def test_a_swallowed_cancellation_is_repeated(monkeypatch):
    """A library that takes a cancellation for itself does not keep a process from ending."""
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
    cancelled = []

    async def deaf():
        while len(cancelled) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(1)

    working = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await end([working])

    assert working.done()
    assert len(cancelled) == 3


async def test_there_may_be_nothing_to_end():
    """Ending nothing, or what has ended or failed before, is no error."""

    async def break_down():
        raise RuntimeError

    failed = asyncio.create_task(break_down())
    await asyncio.wait([failed])
    await end([])
    await end([failed])

    assert isinstance(failed.exception(), RuntimeError)
