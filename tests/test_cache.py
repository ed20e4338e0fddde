"""The conversation memory, in the process and in Redis."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest
from redis.asyncio import Redis

from gateway import cache
from gateway.cache import EXPIRE_S, NEWEST, Breaker, LocalMemory, RedisMemory, Remembered, open_memory

pytest_plugins = ["tests.fixtures_redis"]


def said(*numbers):
    return tuple(Remembered(number, "user", f"message {number}") for number in numbers)


def numbers(messages):
    return None if messages is None else [message.sequence_number for message in messages]


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=["local", "redis"])
async def memory(request, namespace):
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    opened = open_memory(url, namespace=namespace)
    yield opened
    await opened.close()


class TestBothKinds:
    """What holds wherever the memory is."""

    async def test_an_unknown_conversation_is_a_miss(self, memory):
        """Nothing is known before it is remembered."""
        assert await memory.recall(1, 3) is None

    async def test_what_is_remembered_comes_back_whole(self, memory):
        """Every field survives, in every script."""
        messages = (
            Remembered(1, "user", "Wie spät? 🕘 \ud83d", attachments=(("https://a.example/1", "image/png"),)),
            Remembered(2, "assistant", "Neun.\n", answers_sequence=1),
        )
        await memory.remember(1, messages, replace=True)

        assert await memory.recall(1, 2) == messages

    async def test_conversations_are_kept_apart(self, memory):
        """One conversation's messages are never another's."""
        await memory.remember(1, said(1), replace=True)
        await memory.remember(11, said(1, 2), replace=True)

        assert numbers(await memory.recall(1, 1)) == [1]
        assert numbers(await memory.recall(11, 2)) == [1, 2]

    async def test_new_messages_are_added_to_a_remembered_conversation(self, memory):
        """Appending continues the list."""
        await memory.remember(1, said(1, 2), replace=True)
        await memory.remember(1, said(3, 4), replace=False)

        assert numbers(await memory.recall(1, 4)) == [1, 2, 3, 4]

    async def test_nothing_is_added_to_an_unknown_conversation(self, memory):
        """A list that would lack its beginning is not started."""
        await memory.remember(1, said(3, 4), replace=False)

        assert await memory.recall(1, 4) is None

    async def test_a_memory_that_ends_too_early_is_a_miss(self, memory):
        """Another process may have answered meanwhile."""
        await memory.remember(1, said(1, 2), replace=True)

        assert await memory.recall(1, 3) is None

    async def test_later_messages_than_asked_for_are_left_out(self, memory):
        """A hit says what the database would say."""
        await memory.remember(1, said(1, 2, 3), replace=True)

        assert numbers(await memory.recall(1, 2)) == [1, 2]

    async def test_a_gap_is_a_miss_until_it_is_replaced(self, memory):
        """A transcript with a hole is worse than a look into the database."""
        await memory.remember(1, said(1, 2), replace=True)
        await memory.remember(1, said(4), replace=False)
        missed = await memory.recall(1, 4)
        await memory.remember(1, said(1, 2, 3, 4), replace=True)

        assert missed is None
        assert numbers(await memory.recall(1, 4)) == [1, 2, 3, 4]

    async def test_a_message_told_twice_stands_once(self, memory):
        """Overlapping appends make no gap and no repetition; the newer wording holds."""
        await memory.remember(1, said(1, 2), replace=True)
        await memory.remember(1, (Remembered(2, "user", "edited"), Remembered(3, "assistant", "ok", 2)), replace=False)
        recalled = await memory.recall(1, 3)

        assert numbers(recalled) == [1, 2, 3]
        assert recalled[1].content == "edited"

    @pytest.mark.parametrize("replace", [True, False])
    async def test_only_the_newest_are_kept(self, memory, replace):
        """A long conversation takes no more room than a middling one."""
        await memory.remember(1, said(1), replace=True)
        await memory.remember(1, said(*range(1 if replace else 2, 101)), replace=replace)

        assert numbers(await memory.recall(1, 100)) == list(range(101 - NEWEST, 101))

    async def test_a_forgotten_conversation_is_a_miss(self, memory):
        """Forgetting drops all of it, and may be repeated."""
        await memory.remember(1, said(1), replace=True)
        await memory.forget(1)
        await memory.forget(1)

        assert await memory.recall(1, 1) is None

    async def test_replacing_with_nothing_forgets(self, memory):
        """An empty transcript leaves nothing behind."""
        await memory.remember(1, said(1), replace=True)
        await memory.remember(1, (), replace=True)
        await memory.remember(1, (), replace=False)

        assert await memory.recall(1, 1) is None

    async def test_many_conversations_at_once(self, memory, monkeypatch):
        """More callers than connections all get their answer, given time: this machine may be busy."""
        monkeypatch.setattr(cache, "CALL_TIMEOUT_S", 20.0)
        await asyncio.gather(*(memory.remember(number, said(1, 2), replace=True) for number in range(200)))
        found = await asyncio.gather(*(memory.recall(number, 2) for number in range(200)))

        assert all(numbers(messages) == [1, 2] for messages in found)


class TestLocal:
    """What bounds the memory of a process."""

    async def test_the_conversations_that_rested_longest_go(self):
        """Recalling counts as use."""
        memory = LocalMemory(max_conversations=2)
        for conversation_id in (1, 2):
            await memory.remember(conversation_id, said(1), replace=True)
        await memory.recall(1, 1)
        await memory.remember(3, said(1), replace=True)

        assert [await memory.recall(number, 1) is not None for number in (1, 2, 3)] == [True, False, True]

    async def test_long_messages_crowd_out_others(self):
        """What is held in all is bounded by its length, too."""
        memory = LocalMemory(max_characters=1000)
        for conversation_id in (1, 2, 3):
            await memory.remember(conversation_id, (Remembered(1, "user", "x" * 400),), replace=True)

        assert [await memory.recall(number, 1) is not None for number in (1, 2, 3)] == [False, True, True]

    async def test_what_rests_for_a_day_expires(self):
        """Adding to a conversation starts its day anew."""
        clock = Hands()
        memory = LocalMemory(clock=clock)
        await memory.remember(1, said(1), replace=True)
        clock.now += EXPIRE_S - 1
        await memory.remember(1, said(2), replace=False)
        clock.now += EXPIRE_S - 1
        before = await memory.recall(1, 2)
        clock.now += 1

        assert numbers(before) == [1, 2]
        assert await memory.recall(1, 2) is None


class TestRedis:
    """What is particular to Redis: it expires, it is shared, it fails."""

    async def test_another_process_reads_what_one_wrote(self, redis_url, namespace):
        """The list is shared by all who use the same namespace, and by nobody else."""
        one, other, foreign = (RedisMemory(redis_url, namespace=name) for name in (namespace, namespace, "foreign"))
        await one.remember(1, said(1, 2), replace=True)
        found = [numbers(await memory.recall(1, 2)) for memory in (other, foreign)]
        for memory in (one, other, foreign):
            await memory.close()

        assert found == [[1, 2], None]

    async def test_everything_is_a_miss_until_the_namespace_is_known(self, redis_url, namespace):
        """Without knowing whose memory it is, nothing is read and nothing kept; then it is asked for no more."""
        answers = [None, None, None, namespace]

        async def tell():
            return answers.pop(0)

        memory, other = RedisMemory(redis_url, namespace=tell), RedisMemory(redis_url, namespace=namespace)
        await other.remember(1, said(1), replace=True)
        before = await memory.recall(1, 1)
        await memory.remember(1, said(1, 2), replace=True)
        await memory.forget(1)
        found = [numbers(await memory.recall(1, 1)) for _ in range(2)]
        for opened in (memory, other):
            await opened.close()

        assert before is None
        assert found == [[1], [1]]
        assert answers == []

    async def test_the_key_says_whose_it_is_and_expires(self, redis_url, namespace):
        """An operator recognises the keys; they go after a day."""
        memory = RedisMemory(redis_url, namespace=namespace)
        await memory.remember(7, said(1), replace=True)
        async with Redis.from_url(redis_url) as client:
            left_s = await client.ttl(f"frontdesk:memory:v2:{namespace}:7")
        await memory.close()

        assert EXPIRE_S - 60 < left_s <= EXPIRE_S

    @pytest.mark.parametrize("entry", ["{", "[1]", "7", '["x","user","text",null,[]]', '[1,"user","text",null,[7]]'])
    async def test_a_foreign_entry_is_a_miss(self, redis_url, namespace, entry):
        """What we cannot read is counted and rebuilt, never raised."""
        memory = RedisMemory(redis_url, namespace=namespace)
        async with Redis.from_url(redis_url) as client:
            await client.rpush(f"frontdesk:memory:v2:{namespace}:1", entry)
        recalled = await memory.recall(1, 1)
        await memory.close()

        assert recalled is None
        assert memory.errors == 1

    async def test_a_foreign_key_is_a_miss(self, redis_url, namespace):
        """A key of another type is an error of Redis like any other."""
        memory = RedisMemory(redis_url, namespace=namespace)
        async with Redis.from_url(redis_url) as client:
            await client.set(f"frontdesk:memory:v2:{namespace}:1", "text")
        recalled = await memory.recall(1, 1)
        await memory.remember(1, said(1), replace=True)
        rebuilt = await memory.recall(1, 1)
        await memory.close()

        assert recalled is None
        assert numbers(rebuilt) == [1]

    @pytest.mark.parametrize("kind", ["dead", "black_hole"])
    async def test_a_dead_redis_costs_milliseconds(self, kind, request):
        """Three failures, and then a hundred calls in no time; all are misses, none raises, the failures are told."""
        told = []
        memory = RedisMemory(request.getfixturevalue(f"{kind}_url"), on_error=lambda: told.append(1))
        took_s = []
        for number in range(100):
            started = time.perf_counter()
            assert await memory.recall(number, 1) is None
            took_s.append(time.perf_counter() - started)
        await memory.remember(1, said(1), replace=True)
        await memory.forget(1)
        await memory.close()

        assert statistics.median(took_s) < 0.001
        assert max(took_s) < 1.0
        assert (len(told), memory.errors, memory.skipped) == (3, 3, 99)

    async def test_a_redis_that_dies_and_returns_is_used_again(self, redis_server):
        """While it is away there are misses; when the pause is over it is asked again."""
        clock = Hands()
        memory = RedisMemory(redis_server.url, breaker=Breaker(clock=clock))
        await memory.remember(1, said(1), replace=True)
        redis_server.kill()
        away = [await memory.recall(1, 1) for _ in range(5)]
        redis_server.start()
        paused = await memory.recall(1, 1)
        clock.now += 5.0
        await memory.remember(1, said(1), replace=True)
        back = await memory.recall(1, 1)
        await memory.close()

        assert [*away, paused] == [None] * 6
        assert numbers(back) == [1]
        assert (memory.errors, memory.skipped) == (3, 3)

    async def test_a_redis_that_freezes_is_used_again(self, redis_server):
        """A connection that was given up in the middle of a call is not used for the next one."""
        clock = Hands()
        memory = RedisMemory(redis_server.url, breaker=Breaker(failures=1, clock=clock))
        await memory.remember(1, said(1), replace=True)
        await memory.remember(2, said(1, 2), replace=True)
        redis_server.freeze()
        frozen = await memory.recall(1, 1)
        redis_server.thaw()
        clock.now += 5.0
        found = numbers(await memory.recall(2, 2))
        await memory.close()

        assert frozen is None
        assert found == [1, 2]


class TestBreaker:
    """When Redis is skipped."""

    def test_it_opens_after_failures_in_a_row(self):
        """A success between failures starts the count anew."""
        breaker = Breaker(failures=3, skip_s=5.0, clock=Hands())
        for ok in (False, False, True, False, False):
            breaker.note(ok=ok)
        before = breaker.allows()
        breaker.note(ok=False)

        assert before
        assert not breaker.allows()

    def test_one_caller_tries_after_the_pause(self):
        """While that one tries, the others go on skipping; its success closes the breaker."""
        clock = Hands()
        breaker = Breaker(failures=1, skip_s=5.0, clock=clock)
        breaker.note(ok=False)
        clock.now += 5.0
        tries = [breaker.allows() for _ in range(3)]
        breaker.note(ok=True)

        assert tries == [True, False, False]
        assert breaker.allows()

    def test_a_failed_try_starts_another_pause(self):
        """The pause is counted from the last failure."""
        clock = Hands()
        breaker = Breaker(failures=1, skip_s=5.0, clock=clock)
        breaker.note(ok=False)
        clock.now += 5.0
        breaker.allows()
        clock.now += 1.0
        breaker.note(ok=False)
        clock.now += 4.9
        early = breaker.allows()
        clock.now += 0.1

        assert not early
        assert breaker.allows()
