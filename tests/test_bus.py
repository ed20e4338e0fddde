"""Wake-ups and live events, in the process and through Redis."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from gateway import tasks
from gateway.bus import CAPACITY, RedisBus, SubscriptionClosed, open_bus

pytest_plugins = ["tests.fixtures_redis"]

SOON_S = 5.0


async def soon(waiting):
    """Wait for something that is expected at once."""
    return await asyncio.wait_for(waiting, SOON_S)


async def until(condition):
    """Wait for something that nobody announces."""
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.005)


def without_waiting(coroutine):
    """Return what a coroutine returns; it fails where it has to wait for something."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


@pytest.fixture(params=["local", "redis"])
async def bus(request, namespace):
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    opened = open_bus(url, namespace=namespace)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def start():
    """Start busses that end with the test, as many processes would have them."""
    started = []

    async def make(url, **options):
        made = RedisBus(url, **options)
        started.append(made)
        await made.open()
        return made

    yield make
    for made in started:
        await made.close()


@pytest.fixture
async def pair(start, redis_url, namespace):
    """Give the busses of two processes that hear each other."""
    busses = [await start(redis_url, namespace=namespace) for _ in range(2)]
    for made in busses:
        await soon(made.connected.wait())
    return busses


class TestBothKinds:
    """What a listener in the same process can rely on."""

    async def test_a_publication_is_there_at_once(self, bus):
        """Who publishes and who listens in one process need no round trip."""
        async with bus.subscribe("turns") as subscription:
            bus.publish("turns", {"due_at": 1.5})
            received = without_waiting(subscription.get())

        assert received == {"due_at": 1.5}

    async def test_every_listener_of_a_topic_hears_it_once_and_in_order(self, bus):
        """Listeners don't take messages from each other; other topics' listeners hear nothing."""
        topics = ("turns", "turns", "outbox")
        subscriptions = [bus.subscribe(topic) for topic in topics]
        for number in range(3):
            bus.publish("turns", {"n": number})
        bus.publish("outbox", {"n": 7})
        heard = [[(await subscription.get())["n"] for _ in range(3)] for subscription in subscriptions[:2]]

        assert heard == [[0, 1, 2], [0, 1, 2]]
        assert await subscriptions[2].get() == {"n": 7}

    async def test_a_waiting_listener_is_woken(self, bus):
        """Somebody who waits gets the next message."""
        subscription = bus.subscribe("turns")
        waiting = asyncio.create_task(subscription.get())
        await asyncio.sleep(0)
        bus.publish("turns", {})

        assert await soon(waiting) == {}

    async def test_a_slow_listener_loses_the_oldest_and_knows_how_many(self, bus):
        """A queue that nobody reads does not grow."""
        subscription = bus.subscribe("turns")
        for number in range(CAPACITY + 3):
            bus.publish("turns", {"n": number})

        assert await subscription.get() == {"n": 3}
        assert subscription.dropped == 3

    async def test_nobody_has_to_listen(self, bus):
        """A publication without listeners is no error, nor is one that cannot leave the process."""
        bus.publish("turns", {"n": 1})
        bus.publish("turns", {"n": object()})

        async with bus.subscribe("turns") as subscription:
            bus.publish("turns", {"n": 2})
            assert await subscription.get() == {"n": 2}

    async def test_a_closed_subscription_ends(self, bus):
        """Loops over it stop, waiters are told, and it is no longer filled."""
        subscription = bus.subscribe("turns")
        other = bus.subscribe("turns")
        loop = asyncio.create_task(collect(subscription))
        await asyncio.sleep(0)
        subscription.close()
        subscription.close()
        bus.publish("turns", {"n": 1})

        assert await soon(loop) == []
        with pytest.raises(SubscriptionClosed):
            await subscription.get()
        assert await other.get() == {"n": 1}

    async def test_closing_the_bus_ends_its_subscriptions(self, bus):
        """No worker hangs in a loop over a bus that is gone."""
        loops = [asyncio.create_task(collect(bus.subscribe(topic))) for topic in ("turns", "outbox")]
        await asyncio.sleep(0)
        await bus.close()

        assert await soon(asyncio.gather(*loops)) == [[], []]

    async def test_a_listener_may_leave_while_others_are_told(self, bus):
        """A subscription that closes in the middle disturbs nobody."""
        for _ in range(3):
            async with bus.subscribe("turns"):
                bus.publish("turns", {})
        async with bus.subscribe("turns") as subscription:
            bus.publish("turns", {"n": 1})

            assert await subscription.get() == {"n": 1}


class TestRedis:
    """What passes between processes."""

    async def test_other_processes_hear_it(self, pair):
        """A message crosses whole and in order, in every script."""
        one, other = pair
        subscription = other.subscribe("live:7")
        payloads = [{"n": number, "text": "grüße\n🕘 \ud83d"} for number in range(250)]
        for payload in payloads:
            one.publish("live:7", payload)

        assert [await soon(subscription.get()) for _ in payloads] == payloads

    async def test_nobody_hears_his_own_echo(self, pair):
        """What was delivered here at once is not delivered again when it comes back from Redis."""
        one, other = pair
        here, there = one.subscribe("turns"), other.subscribe("turns")
        one.publish("turns", {"n": 1})
        await soon(there.get())
        other.publish("turns", {"n": 2})

        assert [await soon(here.get()) for _ in range(2)] == [{"n": 1}, {"n": 2}]

    async def test_namespaces_do_not_mix(self, pair, start, redis_url):
        """Two installations on one Redis hear only themselves."""
        stranger = await start(redis_url, namespace="another")
        await soon(stranger.connected.wait())
        foreign, near = stranger.subscribe("turns"), pair[1].subscribe("turns")
        pair[0].publish("turns", {"n": 1})
        await soon(near.get())
        stranger.publish("turns", {"n": 2})

        assert await foreign.get() == {"n": 2}

    async def test_foreign_words_on_the_channel_are_passed_over(self, pair, redis_url, namespace):
        """Whoever else publishes there does not stop the bus."""
        subscription = pair[1].subscribe("turns")
        async with Redis.from_url(redis_url) as client:
            for words in ("", "nonsense", "process\nturns\n{"):
                await client.publish(f"frontdesk:bus:v1:{namespace}", words)
        pair[0].publish("turns", {"n": 1})

        assert await soon(subscription.get()) == {"n": 1}

    async def test_what_was_published_last_gets_out_before_the_bus_closes(self, pair, start, redis_url, namespace):
        """A short command can wake the workers and end."""
        short = await start(redis_url, namespace=namespace)
        subscription = pair[0].subscribe("outbox")
        short.publish("outbox", {"n": 1})
        await short.close()

        assert await soon(subscription.get()) == {"n": 1}

    @pytest.mark.parametrize("kind", ["dead", "black_hole"])
    async def test_a_dead_redis_costs_nothing(self, kind, request, start):
        """Within the process everything goes on; publishing takes microseconds, and closing is quick."""
        told = []
        bus = await start(request.getfixturevalue(f"{kind}_url"), on_error=lambda: told.append(1))
        subscription = bus.subscribe("turns")
        await until(lambda: bus.errors)
        started = time.perf_counter()
        for number in range(3 * CAPACITY):
            bus.publish("turns", {"n": number})
        took_s = time.perf_counter() - started
        closing = time.perf_counter()
        await bus.close()

        assert took_s / (3 * CAPACITY) < 0.0005
        assert time.perf_counter() - closing < 2.0
        assert subscription.dropped == 2 * CAPACITY
        assert len(told) == bus.errors
        assert bus.lost >= 2 * CAPACITY
        assert not bus.connected.is_set()

    async def test_busses_find_each_other_again(self, start, redis_server):
        """When Redis dies and returns, messages pass again."""
        one, other = [await start(redis_server.url) for _ in range(2)]
        for bus in (one, other):
            await soon(bus.connected.wait())
        redis_server.kill()
        await until(lambda: not other.connected.is_set())
        redis_server.start()
        await soon(other.connected.wait())
        subscription = other.subscribe("turns")

        async def publish_again_and_again():
            while True:
                one.publish("turns", {"n": 1})
                await asyncio.sleep(0.02)

        publishing = asyncio.create_task(publish_again_and_again())
        received = await soon(subscription.get())
        publishing.cancel()

        assert received == {"n": 1}

    async def test_it_closes_in_the_middle_of_connecting(self, redis_url, namespace, monkeypatch):
        """At whatever step of a connect the end comes, it comes."""
        monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
        for steps in range(30):
            bus = RedisBus(redis_url, namespace=namespace)
            await bus.open()
            for _ in range(steps):
                await asyncio.sleep(0)
            await soon(bus.close())

        assert not bus.connected.is_set()

    async def test_a_silent_redis_is_noticed(self, start, redis_server):
        """A connection that only looks alive is given up, and made anew when Redis answers again."""
        bus = await start(redis_server.url, silence_s=0.05)
        await soon(bus.connected.wait())
        redis_server.freeze()
        await until(lambda: not bus.connected.is_set())
        redis_server.thaw()

        await soon(bus.connected.wait())

    async def test_a_quiet_redis_is_left_alone(self, start, redis_server):
        """Where nothing is said for long, but Redis answers, the connection stays."""
        bus = await start(redis_server.url, silence_s=0.01)
        await soon(bus.connected.wait())
        async with Redis.from_url(redis_server.url) as client:

            async def pings():
                return (await client.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"]

            async with asyncio.timeout(SOON_S):
                while await pings() < 5:
                    await asyncio.sleep(0.005)

        assert bus.connected.is_set()
        assert bus.errors == 0


async def collect(subscription):
    """Read to the end."""
    return [payload async for payload in subscription]
