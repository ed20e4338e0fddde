"""The conversation memory: the newest messages of a conversation, close at hand; the database stays the truth."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from redis.asyncio import Redis  # imported where an address is configured, which most installations do without

NEWEST = 64
"""Messages kept of a conversation: history windows are cut from far fewer, and 64 stay small enough for one read."""
EXPIRE_S = 24 * 3600.0
MAX_CONVERSATIONS = 5000
MAX_CHARACTERS = 16_000_000
"""What the process itself remembers in all: a few long e-mail threads weigh as much as a thousand short ones."""

SOCKET_TIMEOUT_S = 0.25  # redis-py 8.1 waits 5 s and tries 11 times: minutes on the way of a reply
CALL_TIMEOUT_S = 0.25  # a call with its retry; the database would have answered long ago
MAX_CONNECTIONS = 16  # a call takes about a millisecond; more callers than this wait for one another
FAILURES = 3
SKIP_S = 5.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """A message as the memory holds it."""

    sequence_number: int
    role: str
    content: str
    answers_sequence: int | None = None
    attachments: tuple[tuple[str, str], ...] = ()
    """The address or content hash, and the content type, of each."""
    calls: tuple[tuple[str, str, str], ...] = ()
    """The tool calls of an answer's turn: name, arguments as JSON, and in short what came of each."""


class Memory(Protocol):
    """Holds the newest messages of conversations. Losing them costs a query, never a wrong answer."""

    async def recall(self, conversation: str, up_to: int) -> tuple[Remembered, ...] | None:
        """Return the newest messages up to that sequence number, oldest first, or None on a miss.

        It is a miss, too, when the memory ends before ``up_to`` or has gaps.
        """

    async def remember(self, conversation: str, messages: Sequence[Remembered], *, replace: bool) -> None:
        """Add the newest messages to a conversation that is remembered, or overwrite what is remembered of it."""

    async def forget(self, conversation: str) -> None:
        """Drop a conversation."""

    async def close(self) -> None:
        """Let go of connections."""


Namespace = str | Callable[[], Awaitable[str | None]]
"""What keeps apart databases that share one Redis, or who is asked for it until he tells: till then all is a miss."""


def open_memory(url: str | None, *, on_error: Callable[[], object] = lambda: None, namespace: Namespace = "") -> Memory:
    """Return the memory in Redis, or, without an address, in this process.

    ``on_error`` is called for each failed call of Redis.
    """
    return RedisMemory(url, on_error=on_error, namespace=namespace) if url else LocalMemory()


def _usable(messages: Sequence[Remembered], up_to: int) -> tuple[Remembered, ...] | None:
    """Return the messages up to that number in their order, or None where some are missing.

    Appending does not look at what is there, so entries may stand twice or leave a gap.
    """
    by_number = {message.sequence_number: message for message in messages if message.sequence_number <= up_to}
    numbers = sorted(by_number)
    if not numbers or numbers[-1] != up_to or numbers[-1] - numbers[0] != len(numbers) - 1:
        return None
    return tuple(by_number[number] for number in numbers)


def _weight(message: Remembered) -> int:
    """Return how many characters a message holds."""
    return len(message.content) + sum(len(text) for call in message.calls for text in call)


# --- in the process --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Held:
    messages: deque[Remembered]
    expires_at: float
    characters: int = 0


class LocalMemory:
    """The memory of one process; the conversations that rested longest go first."""

    def __init__(
        self,
        *,
        max_conversations: int = MAX_CONVERSATIONS,
        max_characters: int = MAX_CHARACTERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._characters = 0
        self._max_conversations = max_conversations
        self._max_characters = max_characters
        self._clock = clock

    async def recall(self, conversation: str, up_to: int) -> tuple[Remembered, ...] | None:
        """Return what is remembered, as ``Memory`` says."""
        held = self._living(conversation)
        return _usable(held.messages, up_to) if held else None

    async def remember(self, conversation: str, messages: Sequence[Remembered], *, replace: bool) -> None:
        """Add or overwrite, as ``Memory`` says."""
        held = self._living(conversation)
        if held is None and not replace:
            return
        kept = deque(() if replace or held is None else held.messages, maxlen=NEWEST)
        kept.extend(messages)
        await self.forget(conversation)
        if kept:
            self._hold(conversation, kept)

    async def forget(self, conversation: str) -> None:
        """Drop a conversation."""
        held = self._held.pop(conversation, None)
        if held is not None:
            self._characters -= held.characters

    async def close(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._characters = 0

    def _living(self, conversation: str) -> _Held | None:
        """Return what is held of a conversation and has not expired; it now counts as used."""
        held = self._held.get(conversation)
        if held is None or held.expires_at <= self._clock():
            return None
        self._held.move_to_end(conversation)
        return held

    def _hold(self, conversation: str, messages: deque[Remembered]) -> None:
        characters = sum(_weight(message) for message in messages)
        self._held[conversation] = _Held(messages, self._clock() + EXPIRE_S, characters)
        self._characters += characters
        while len(self._held) > self._max_conversations or self._characters > self._max_characters:
            _, oldest = self._held.popitem(last=False)
            self._characters -= oldest.characters


# --- in Redis --------------------------------------------------------------------------------------------------


class Breaker:
    """Skips Redis for a while after failures in a row; then one caller tries, the others go on skipping."""

    def __init__(
        self, failures: int = FAILURES, skip_s: float = SKIP_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._skip_s = skip_s
        self._clock = clock
        self._failures = 0
        self._skip_until = 0.0

    def allows(self) -> bool:
        """Tell whether a call may be made now."""
        if self._failures < self._limit:
            return True
        now = self._clock()
        if now < self._skip_until:
            return False
        self._skip_until = now + self._skip_s  # the caller who is told yes is the one who tries
        return True

    def note(self, *, ok: bool) -> None:
        """Take in how a call ended."""
        self._failures = 0 if ok else self._failures + 1
        if self._failures >= self._limit:
            self._skip_until = self._clock() + self._skip_s


class RedisMemory:
    """The memory that all processes share: one list a conversation. Whatever Redis does, a caller sees a miss."""

    def __init__(
        self,
        url: str,
        *,
        on_error: Callable[[], object] = lambda: None,
        namespace: Namespace = "",
        breaker: Breaker | None = None,
    ) -> None:
        from redis.exceptions import RedisError

        self._redis = _connect(url)
        self._failures = (RedisError, OSError)  # asyncio's TimeoutError is an OSError
        self._namespace = namespace
        self._on_error = on_error
        self._breaker = breaker or Breaker()
        self.errors = 0
        """Calls that failed."""
        self.skipped = 0
        """Calls that were not made, because Redis had failed shortly before."""

    async def recall(self, conversation: str, up_to: int) -> tuple[Remembered, ...] | None:
        """Return what is remembered, as ``Memory`` says."""
        key = await self._key(conversation)
        entries = None if key is None else await self._call(lambda: self._redis.lrange(key, 0, -1))
        if not entries:
            return None
        try:
            return _usable([_from_json(entry) for entry in entries], up_to)
        except (ValueError, TypeError):  # not of our making: the caller rebuilds it
            self._failed()
            return None

    async def remember(self, conversation: str, messages: Sequence[Remembered], *, replace: bool) -> None:
        """Add or overwrite, as ``Memory`` says."""
        if not messages:
            return await self.forget(conversation) if replace else None
        key = await self._key(conversation)
        if key is None:
            return None
        pipe = self._redis.pipeline(transaction=True)
        entries = [_to_json(message) for message in messages[-NEWEST:]]
        if replace:
            pipe.delete(key)
            pipe.rpush(key, *entries)
        else:
            pipe.rpushx(key, *entries)
        pipe.ltrim(key, -NEWEST, -1)
        pipe.expire(key, int(EXPIRE_S))
        await self._call(pipe.execute)
        return None

    async def forget(self, conversation: str) -> None:
        """Drop a conversation; what Redis cannot be told now, it forgets by itself after a day."""
        key = await self._key(conversation)
        if key is not None:
            await self._call(lambda: self._redis.delete(key))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _key(self, conversation: str) -> str | None:
        """Return where a conversation is remembered, or None while nobody can tell whose memory this is."""
        if not isinstance(self._namespace, str):
            told = await self._namespace()
            if told is None:
                return None
            self._namespace = told
        whose = f"{self._namespace}:" if self._namespace else ""
        return f"frontdesk:memory:v2:{whose}{conversation}"

    async def _call(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Return the command's answer, or None where Redis fails or has failed shortly before."""
        if not self._breaker.allows():
            self.skipped += 1
            return None
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await command()
        except self._failures:
            self._breaker.note(ok=False)
            self._failed()
            return None
        self._breaker.note(ok=True)
        return answer

    def _failed(self) -> None:
        self.errors += 1
        self._on_error()


def _connect(url: str) -> Redis:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialWithJitterBackoff

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_TIMEOUT_S,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(ExponentialWithJitterBackoff(cap=0.05, base=0.005), 1),
        health_check_interval=30,
    )
    return Redis.from_pool(pool)


def _to_json(message: Remembered) -> str:
    fields = (
        message.sequence_number,
        message.role,
        message.content,
        message.answers_sequence,
        message.attachments,
        message.calls,
    )
    return json.dumps(fields, separators=(",", ":"))


def _from_json(entry: str) -> Remembered:
    number, role, content, answers, attachments, calls = json.loads(entry)
    files = tuple((key, kind) for key, kind in attachments)
    return Remembered(number, role, content, answers, files, tuple((name, said, gave) for name, said, gave in calls))
