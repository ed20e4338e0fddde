"""Ending tasks, whatever they are waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 1.0  # what a task does last, as giving back its lease, is rarely longer


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended; what they raise belongs to whoever watches them.

    One cancellation may not be enough: a task that is inside ``asyncio.wait_for`` at that moment can swallow it
    (github.com/python/cpython/issues/86296, mended in Python 3.12), and redis-py waits in that way.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
