"""Customers who write: each message reaches the account, and most reach the gateway's door."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from gateway.sandbox.faults import Script
from gateway.sandbox.twilio_account import Account
from gateway.sandbox.twilio_webhooks import NOBODY, Webhooks
from gateway.sandbox.twilio_wire import Form, inbound_form

CONCURRENCY = 32


class Customers:
    """Posts what customers write.

    The words of ``script``: ``ok``, ``lost`` (only the account's list shows the message), ``twice`` (at the same time)
    and ``late`` (behind the next webhook).
    """

    def __init__(self, account: Account, webhooks: Webhooks) -> None:
        self.script = Script()
        self._account = account
        self._webhooks = webhooks
        self._late: list[Form] = []

    async def text(
        self,
        sender: str,
        text: str = "",
        media: Sequence[tuple[bytes, str]] = (),
        sid: str | None = None,
        *,
        to: str | None = None,
        extra: Form | None = None,
    ) -> int:
        """Let a customer write; see ``TwilioStandIn.text``."""
        account = self._account
        message = account.messages.get(sid or "") or account.receive(sender, text, media, sid, to)
        form = inbound_form(message, account.account_sid, account.url) + account.opt_out_type(message) + (extra or [])
        word = self.script.draw()
        if word == "late":
            self._late.append(form)
        if word in {"lost", "late"}:
            return NOBODY
        statuses = await asyncio.gather(*(self._post(form) for _ in range(2 if word == "twice" else 1)))
        await self.settle()
        return statuses[0]

    async def text_many(self, texts: Iterable[tuple[str, str]], concurrency: int) -> list[int]:
        """Let many customers write, each in order; return the statuses in the order given."""
        statuses: dict[int, int] = {}
        queues: dict[str, list[tuple[int, str]]] = {}
        for place, (sender, text) in enumerate(texts):
            queues.setdefault(sender, []).append((place, text))
        waiting = iter(queues.items())

        async def write() -> None:
            for sender, queue in waiting:
                for place, text in queue:
                    statuses[place] = await self.text(sender, text)

        await asyncio.gather(*(write() for _ in range(concurrency)))
        await self.settle()
        return [statuses[place] for place in sorted(statuses)]

    async def settle(self) -> None:
        """Post what was kept back."""
        late, self._late = self._late, []
        for form in late:
            await self._post(form)

    async def _post(self, form: Form) -> int:
        url = self._account.configured_url()
        return NOBODY if url is None else await self._webhooks.post(url, form)
