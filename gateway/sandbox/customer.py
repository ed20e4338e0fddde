"""A customer's telephone on one channel of a running demo, reached through the demo's back door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

LISTEN_S = 5.0
"""How long one look for new messages waits."""
TIMEOUT = ClientTimeout(total=30.0, connect=3.0)


class NoDemo(Exception):
    """No demo answers."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}; start a demo in another terminal: frontdesk demo")


class DemoRefused(Exception):
    """The demo does not take this; the message says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came since the last look."""

    texts: Sequence[str]
    waits: bool
    """True while an answer is still on its way."""


class Customer:
    """Says and hears."""

    def __init__(self, session: ClientSession, url: str, channel: str, address: str) -> None:
        self._session = session
        self._url = url
        self._channel = channel
        self._address = address
        self._next = 0

    async def arrive(self) -> str:
        """Return who answers here; what was said before is not heard again.

        Raises:
            NoDemo: nothing answers.
            DemoRefused: there is no such channel.
        """
        about = await self._call("GET", "/sandbox")
        await self.listen(0)
        return str(about["business"])

    async def say(self, text: str) -> None:
        """Write a message.

        Raises:
            NoDemo: the demo has ended.
            DemoRefused: the gateway did not take the message.
        """
        said = {"channel": self._channel, "from": self._address, "text": text}
        answer = await self._call("POST", "/sandbox/text", json=said)
        if not 200 <= answer["webhook_status"] < 300:
            raise DemoRefused(f"the gateway answered the webhook with {answer['webhook_status']}; see the demo's log")

    async def listen(self, wait_s: float = LISTEN_S) -> Heard:
        """Return what is new, or nothing after ``wait_s`` seconds.

        Raises:
            NoDemo: the demo has ended.
            DemoRefused: there is no such channel.
        """
        query = {"channel": self._channel, "to": self._address, "after": str(self._next), "wait_s": str(wait_s)}
        found = await self._call("GET", "/sandbox/outbox", params=query)
        self._next = int(found["next"])
        return Heard(found["items"], bool(found["waits"]))

    async def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._url + path, **content) as response:
                answer: dict[str, Any] = await response.json()
        except (ClientError, TimeoutError, ValueError) as error:
            raise NoDemo(f"no demo answers at {self._url}") from error
        if response.status >= 400:
            raise DemoRefused(str(answer.get("error", f"status {response.status}")))
        return answer


@asynccontextmanager
async def open_customer(url: str, channel: str, address: str) -> AsyncIterator[Customer]:
    """Pick up a telephone; its line is closed afterwards."""
    async with ClientSession(timeout=TIMEOUT) as session:
        yield Customer(session, url.rstrip("/"), channel, address)
