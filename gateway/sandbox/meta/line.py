"""One of Meta's platforms, seen from the customers' side: what they write, and what they read."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from gateway.sandbox.faults import FINE
from gateway.sandbox.meta.app import MetaApp
from gateway.sandbox.meta.reports import FAILED, WORDS, Reports
from gateway.sandbox.meta.webhooks import NOBODY, Webhooks
from gateway.sandbox.meta.wire import Json, Sent, Update, body_of

Address = str | Callable[[], str] | None


class Line(ABC):
    """Messenger or WhatsApp.

    Every customer's action returns the status with which the door answered the webhook, 0 where nobody did or where
    the script keeps the webhook back. The id of an earlier message posts that one again.
    """

    default_failure: int | None = None
    """The code of a failure that names none; None where the platform reports no failures."""

    def __init__(self, app: MetaApp, webhooks: Webhooks, webhook_url: Address) -> None:
        self.app = app
        self.webhook_url = webhook_url
        """Where the app's webhooks of this kind go; a callable is asked at each post."""
        # The app's own scripts, which its platforms share.
        self.faults, self.read_faults = app.faults, app.read_faults
        self.callbacks, self.inbound = app.callbacks, app.inbound
        self.outbox: list[Sent] = []
        """What was accepted, in order."""
        self.actions: list[Json] = []
        """What was asked for beside messages: typing, read marks, and reactions on Messenger."""
        self.reports = Reports(self._tell_report)
        self._webhooks = webhooks
        self._shown: defaultdict[str, list[str]] = defaultdict(list)
        self._told: dict[str, Update] = {}
        self._together: list[Update] | None = None
        self._late: list[list[Update]] = []
        self._accepted = asyncio.Event()

    # --- what a customer reads ---

    def received(self, address: str) -> Sequence[str]:
        """Return what a customer reads on the telephone, oldest first."""
        return self._shown.get(self.telephone(address), [])

    def telephone(self, address: str) -> str:
        """Return what all addresses of one customer have in common."""
        return address

    def addresses(self, recipient: str) -> Iterable[str]:
        """Return everything that a customer may be called in the tables of refusals."""
        return (recipient,)

    async def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Sent]:
        """Return the outbox as soon as it holds that many.

        Raises:
            TimeoutError: it does not within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while len(self.outbox) < count:
                self._accepted.clear()
                await self._accepted.wait()
        return self.outbox

    # --- webhooks ---

    def configured_url(self) -> str | None:
        """Return the webhook's address as it is configured now."""
        return self.webhook_url() if callable(self.webhook_url) else self.webhook_url

    async def handshake(self) -> bool:
        """Save the webhook's address, as an owner does at Meta; tells whether Meta takes it."""
        url = self.configured_url()
        return url is not None and await self._webhooks.handshake(url, self.app.verify_token, self.app.new_number())

    async def batch(self, actions: Iterable[Awaitable[int]]) -> int:
        """Let everything happen at once that customers do, ``batch([line.text(…), line.text(…)])``: in one post.

        None of the actions suspends while it is put aside, so nobody else's gets among them.
        """
        self._together = []
        try:
            for action in actions:
                await action
            together = self._together
        finally:
            self._together = None
        return await self._deliver(together) if together else NOBODY

    async def post(self, update: Update) -> int:
        """Tell the gateway something, whatever it is."""
        if self._together is not None:
            self._together.append(update)
            return NOBODY
        return await self._deliver([update])

    async def settle(self) -> None:
        """Wait until all reports have been made and no webhook is kept back."""
        await self._post_late()
        await self.reports.settle()

    async def _once(self, external_id: str, make: Callable[[], Update]) -> int:
        """Post a message, the same as before where it is an earlier one."""
        if external_id not in self._told:
            self._told[external_id] = make()
        return await self.post(self._told[external_id])

    async def _deliver(self, updates: list[Update]) -> int:
        word = self.inbound.draw()
        if word not in {FINE, "lost", "twice", "late"}:
            raise ValueError(f"no webhook is {word}")
        if word == "late":
            self._late.append(updates)
        if word in {"lost", "late"}:
            return NOBODY
        statuses = await asyncio.gather(*(self._send(updates) for _ in range(2 if word == "twice" else 1)))
        await self._post_late()
        return statuses[0]

    async def _post_late(self) -> None:
        late, self._late = self._late, []
        for updates in late:
            await self._send(updates)

    async def _send(self, updates: Sequence[Update]) -> int:
        url = self.configured_url()
        return NOBODY if url is None else await self._webhooks.post(url, body_of(updates, self.app.clock()))

    # --- what we send ---

    @abstractmethod
    async def accept(self, account: str, body: Json) -> Json:
        """Take what the gateway posts to ``messages``, and return the answer.

        Raises:
            Refusal: it is not taken.
        """

    @abstractmethod
    def report(self, sent: Sent, step: str, code: int | None) -> Update:
        """Return the webhook that tells how far a message got."""

    async def _take(self, sent: Sent) -> None:
        """Let a message go its way."""
        word, code = self._fate(sent)
        self.outbox.append(sent)
        self._accepted.set()
        if FAILED not in WORDS[word]:
            self._shown[self.telephone(sent.recipient)].append(sent.words)
        await self.reports.begin(sent, word, code)

    def _fate(self, sent: Sent) -> tuple[str, int | None]:
        """Return the word of the script for a message, and the code of its failure."""
        word, _, code = self.callbacks.draw().partition(":")
        if word not in WORDS or (word == FAILED and self.default_failure is None):
            raise ValueError(f"nothing reports {word} here")
        undelivered = [
            self.app.undelivered[one] for one in self.addresses(sent.recipient) if one in self.app.undelivered
        ]
        if word == FINE and undelivered and self.default_failure is not None:
            return FAILED, undelivered[0]
        return word, int(code) if code else self.default_failure

    async def _tell_report(self, sent: Sent, step: str, code: int | None) -> int:
        return await self._send([self.report(sent, step, code)])
