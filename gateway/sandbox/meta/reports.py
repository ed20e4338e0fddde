"""What becomes of accepted messages, and the webhooks that tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

from gateway.sandbox.faults import FINE
from gateway.sandbox.meta.wire import Sent
from gateway.tasks import end

DELAY_S = 0.02
EARLY_S = 1.0
"""How long the API's answer waits for an early report: less than a caller waits, even where the door is closed."""
FAILED = "failed"

# What is reported of a message, by the word of the script. Messenger's first report is the echo, which it calls sent.
WORDS: Mapping[str, tuple[str, ...]] = {
    FINE: ("sent", "delivered"),
    "early": ("sent", "delivered"),
    "twice": ("sent", "sent", "delivered", "delivered"),
    "reordered": ("delivered", "sent"),
    "sent_only": ("sent",),
    "lost": (),
    "read": ("sent", "delivered", "read"),
    FAILED: (FAILED,),
}

Tell = Callable[[Sent, str, int | None], Awaitable[object]]


class Reports:
    """Reports on messages in the background.

    The words are the keys of ``WORDS``. ``early`` makes the first report before the API's own answer, ``lost`` makes
    none although the message arrives, ``failed:131026`` names a code.
    """

    def __init__(self, tell: Tell) -> None:
        self.delay_s = DELAY_S
        """Before each report."""
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, sent: Sent, word: str, code: int | None) -> None:
        """Report on a message from now on."""
        steps = list(WORDS[word])
        if word == "early":
            await asyncio.wait({self._begin(self._report(sent, [steps.pop(0)], code, delay_s=0))}, timeout=EARLY_S)
        self._begin(self._report(sent, steps, code, delay_s=self.delay_s))

    async def settle(self) -> None:
        """Wait until everything has been reported."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Report nothing more."""
        await end(self._tasks)

    def _begin(self, report: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(report)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _report(self, sent: Sent, steps: Sequence[str], code: int | None, *, delay_s: float) -> None:
        for step in steps:
            await asyncio.sleep(delay_s)
            await self._tell(sent, step, code if step == FAILED else None)
