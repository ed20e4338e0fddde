"""Wake-ups and live events: best effort, in this process at once, to other processes through Redis.

A lost message is allowed: whoever listens also looks into the database from time to time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog

from gateway.away import Away
from gateway.tasks import end

if TYPE_CHECKING:
    from redis.asyncio import Redis  # imported where an address is configured, which most installations do without
    from redis.asyncio.client import PubSub

log = structlog.get_logger(__name__)

CAPACITY = 1000
"""Messages that wait for a slow listener, or for Redis; of more, the newest stay."""
BATCH = 200
SOCKET_TIMEOUT_S = 0.25
SILENCE_S = 5.0
"""After so long without a word from Redis it is asked whether it is there, and then given as long again to answer."""
RECONNECT_S = (0.1, 5.0)
FLUSH_S = 0.25


class SubscriptionClosed(Exception):
    """The subscription was closed; nothing more will come."""


class Subscription:
    """What one listener has yet to read, oldest first."""

    def __init__(self, leave: Callable[[Subscription], None], capacity: int = CAPACITY) -> None:
        self._leave = leave
        self._waiting: deque[Mapping[str, Any]] = deque(maxlen=capacity)
        self._news = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Messages that the listener was too slow for."""

    def put(self, payload: Mapping[str, Any]) -> None:
        """Let the listener have a message; the oldest one goes where too many wait."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(payload)
        self._news.set()

    async def get(self) -> Mapping[str, Any]:
        """Return the next message, as soon as there is one.

        Raises:
            SubscriptionClosed: it was closed, before or meanwhile.
        """
        while not self._closed:
            if self._waiting:
                return self._waiting.popleft()
            self._news.clear()
            await self._news.wait()
        raise SubscriptionClosed

    def close(self) -> None:
        """Receive nothing more; whoever waits is let go."""
        self._closed = True
        self._news.set()
        self._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        try:
            return await self.get()
        except SubscriptionClosed:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Bus(Protocol):
    """Tells everyone who listens to a topic what has just happened."""

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Tell it and go on: never waits, never raises. The payload is JSON-able and not changed afterwards."""

    def subscribe(self, topic: str) -> Subscription:
        """Listen from now on, until the subscription is closed."""

    async def open(self) -> None:
        """Start; returns at once, whether or not Redis is there."""

    async def close(self) -> None:
        """Stop; subscriptions end."""


def open_bus(url: str | None, *, on_error: Callable[[], object] = lambda: None, namespace: str = "") -> Bus:
    """Return the bus over Redis, or, without an address, one within this process; its ``open`` is still to be called.

    ``on_error`` is called for each failed call of Redis. ``namespace`` keeps apart databases that share one Redis:
    pub/sub crosses Redis's numbered databases (redis.io/docs/latest/develop/pubsub, "Database & Scoping").
    """
    return RedisBus(url, on_error=on_error, namespace=namespace) if url else LocalBus()


class LocalBus:
    """The bus within one process: a publication is with its listeners before ``publish`` returns."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Subscription]] = {}

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Tell this process's listeners."""
        for subscription in self._listeners.get(topic, ()):
            subscription.put(payload)

    def subscribe(self, topic: str) -> Subscription:
        """Listen, as ``Bus`` says."""
        subscription = Subscription(lambda leaving: self._forget(topic, leaving))
        self._listeners.setdefault(topic, []).append(subscription)
        return subscription

    async def open(self) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """End the subscriptions."""
        for subscription in [one for listeners in self._listeners.values() for one in listeners]:
            subscription.close()

    def _forget(self, topic: str, leaving: Subscription) -> None:
        listeners = [one for one in self._listeners.get(topic, ()) if one is not leaving]
        if listeners:
            self._listeners[topic] = listeners
        else:
            self._listeners.pop(topic, None)


class RedisBus:
    """The bus between processes: a local one, plus one Redis channel that carries everything to the others.

    A message is three lines: the publishing process (so that its own echo is not delivered twice), the topic, the JSON.
    """

    def __init__(
        self,
        url: str,
        *,
        on_error: Callable[[], object] = lambda: None,
        namespace: str = "",
        silence_s: float = SILENCE_S,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        from redis.exceptions import RedisError

        self._redis = _connect(url)
        self._failures = (RedisError, OSError)  # asyncio's TimeoutError is an OSError
        self._channel = f"frontdesk:bus:v1:{namespace}"
        self._process = new_id()
        self._on_error = on_error
        self._silence_s = silence_s
        self._local = LocalBus()
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(CAPACITY)
        self._loops: list[asyncio.Task[None]] = []
        self._away = Away("redis", "other processes' wake-ups are not heard: they look for work every second")
        self.connected = asyncio.Event()
        """Set while other processes' messages are heard."""
        self.errors = 0
        """Calls of Redis that failed."""
        self.lost = 0
        """Messages that did not get out to other processes."""

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Tell this process's listeners at once, the other processes' a moment later."""
        self._local.publish(topic, payload)
        try:
            content = json.dumps(payload, separators=(",", ":"))
        except (TypeError, ValueError):
            self.lost += 1
            log.error("bus_payload_not_json", topic=topic)
            return
        if self._outgoing.full():
            self._outgoing.get_nowait()
            self._outgoing.task_done()
            self.lost += 1
        self._outgoing.put_nowait(f"{self._process}\n{topic}\n{content}")

    def subscribe(self, topic: str) -> Subscription:
        """Listen, as ``Bus`` says."""
        return self._local.subscribe(topic)

    async def open(self) -> None:
        """Start to connect."""
        self._loops = [asyncio.create_task(self._keep(work)) for work in (self._send, self._receive)]

    async def close(self) -> None:
        """Let out what waits if Redis takes it at once, then stop."""
        if self._loops:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._outgoing.join()
        await end(self._loops)
        self._loops = []
        await self._local.close()
        await self._redis.aclose()

    # --- the two loops ---

    async def _keep(self, work: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Run a loop again and again, with longer and longer pauses while it fails."""
        pause_s, most_s = RECONNECT_S

        def succeed() -> None:
            nonlocal pause_s
            pause_s = RECONNECT_S[0]

        while True:
            try:
                await work(succeed)
            except Exception as error:  # the top of a loop
                self.errors += 1
                self._on_error()
                if not isinstance(error, self._failures):
                    log.exception("bus_failed")
                elif work == self._receive:  # it always listens; what is sent may be nothing for hours
                    self._away.note(away=True, error=error)
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(pause_s * 2, most_s)

    async def _send(self, succeed: Callable[[], None]) -> None:
        while True:
            messages = [await self._outgoing.get()]
            while len(messages) < BATCH and not self._outgoing.empty():
                messages.append(self._outgoing.get_nowait())
            try:
                await self._send_all(messages)
            except self._failures:
                self.lost += len(messages)
                raise
            finally:
                for _ in messages:
                    self._outgoing.task_done()
            succeed()

    async def _send_all(self, messages: list[str]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for message in messages:
            pipe.publish(self._channel, message)
        await pipe.execute()

    async def _receive(self, succeed: Callable[[], None]) -> None:
        try:
            async with self._redis.pubsub() as pubsub:
                await pubsub.subscribe(self._channel)
                await self._listen(pubsub, succeed)
        finally:
            self.connected.clear()

    async def _listen(self, pubsub: PubSub, succeed: Callable[[], None]) -> None:
        """Hand on what comes.

        Raises:
            TimeoutError: the connection is silent, though it was asked.
            RedisError: it broke.
        """
        asked = False
        while True:
            message = await pubsub.get_message(timeout=self._silence_s)
            if message is None and asked:
                raise TimeoutError
            asked = message is None
            if message is None:
                await pubsub.ping()
            elif message["type"] == "subscribe":
                succeed()
                self._away.note(away=False)
                self.connected.set()
            elif message["type"] == "message":
                self._hear(message["data"])

    def _hear(self, message: str) -> None:
        process, _, rest = message.partition("\n")
        topic, _, content = rest.partition("\n")
        if process == self._process:
            return
        try:
            payload = json.loads(content)
        except ValueError:  # not of our making
            return
        self._local.publish(topic, payload)


def _connect(url: str) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # the bus's loops come back by themselves
    )
