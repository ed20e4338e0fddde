"""What becomes of accepted messages, and the status callbacks that tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.sandbox.faults import FINE, Script
from gateway.sandbox.twilio_account import Account
from gateway.sandbox.twilio_webhooks import Webhooks
from gateway.sandbox.twilio_wire import Message, status_form
from gateway.tasks import end

DELAY_S = 0.02

# What is reported of a message, by the word of the script.
REPORTS: Mapping[str, tuple[str, ...]] = {
    FINE: ("sent", "delivered"),
    "early": ("sent", "delivered"),
    "twice": ("sent", "sent", "delivered", "delivered"),
    "reordered": ("delivered", "sent"),
    "sent_only": ("sent",),
    "lost": ("sent", "delivered"),
    "read": ("sent", "delivered", "read"),
    "undelivered": ("sent", "undelivered"),
    "failed": ("failed",),
}
FAILURES = frozenset({"undelivered", "failed"})


class Reports:
    """Delivers what was accepted, and reports in the background.

    The words of ``script``: the keys of ``REPORTS``. ``early`` makes the first report before the API's own answer,
    ``lost`` makes none although the message arrives, ``undelivered:30003`` and ``failed:30008`` name a code.
    """

    def __init__(self, account: Account, webhooks: Webhooks) -> None:
        self.script = Script()
        self.delay_s = DELAY_S
        self._account = account
        self._webhooks = webhooks
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, message: Message) -> None:
        """Let a message go its way."""
        word, code = self._fate(message)
        steps = list(REPORTS[word])
        if not FAILURES & set(steps):
            self._account.customers[message.recipient].append(message.body)
        if word == "early":
            await self._step(message, steps.pop(0), None, silent=False)
        task = asyncio.create_task(self._report(message, steps, code, silent=word == "lost"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until everything has been reported."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Report nothing more."""
        await end(self._tasks)

    def _fate(self, message: Message) -> tuple[str, int | None]:
        """Return the word of the script for a message, and the code of its failure."""
        word, _, code = self.script.draw().partition(":")
        if word == FINE and message.recipient in self._account.undelivered:
            return "undelivered", self._account.undelivered[message.recipient]
        return word, int(code) if code else None

    async def _report(self, message: Message, steps: list[str], code: int | None, *, silent: bool) -> None:
        for step in steps:
            await asyncio.sleep(self.delay_s)
            await self._step(message, step, code if step in FAILURES else None, silent=silent)

    async def _step(self, message: Message, status: str, code: int | None, *, silent: bool) -> None:
        self._account.send(message)
        message.advance(status)
        message.error_code = code or message.error_code
        if message.status_callback is not None and not silent:
            form = status_form(message, self._account.account_sid, status, code)
            await self._webhooks.post(message.status_callback, form)
