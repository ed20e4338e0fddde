"""Events on their way: in order by conversation, whatever a receiver does, and no receiver holds up another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from channels.http import Http
from gateway.config import WebhookConfig
from gateway.hooks import Hooks, receivers_of
from gateway.hooks.attempt import attempt
from gateway.hooks.lane import AT_ONCE, LEASE, MAX_AGE, SCHEDULE_S
from gateway.hooks.payloads import write
from gateway.hooks.worker import FAILED_KEPT, KEPT
from gateway.storage import PROBE_AFTER, ClaimHooks, EnableReceiver, OpenChannels, RetryHooks, SettleHook, Storage
from gateway.storage.api_tables import Event, HookDelivery, Receiver
from tests.frontdesk import free_port
from tests.test_hooks_events import rows
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_effects import change

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALICE, BOB = "+15550100011", "+15550100012"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
Meets = Callable[[str], Any]


def verify(headers: Any, body: bytes, secret: str = SECRET) -> None:
    """Check a signature as the specification says it, in our own words."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


class Crm:
    """A receiver: it hears what is told, and ``meets`` decides what it answers to each text."""

    def __init__(self) -> None:
        self.heard: list[tuple[str | None, str]] = []
        """(sender, text) of each message, as often as it was told; what we say has no sender."""
        self.ids: list[str] = []
        self.timestamps: list[int] = []
        self.meets: Meets | None = None
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def hear(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        verify(request.headers, body)
        data = json.loads(body)["data"]
        text = data["message"]["content"]
        self.heard.append((data.get("sender"), text))
        self.ids.append(request.headers["webhook-id"])
        self.timestamps.append(int(request.headers["webhook-timestamp"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.meets(text) if self.meets else None
            answer = await answer(request) if callable(answer) else answer
            return answer or web.Response(status=204)
        finally:
            self.at_once -= 1

    def texts(self, sender: str = ALICE) -> list[str]:
        """Return what it heard of a customer."""
        return [text for who, text in self.heard if who == sender]


@asynccontextmanager
async def crm() -> AsyncIterator[Crm]:
    """Serve a receiver on loopback."""
    receiver = Crm()
    app = web.Application()
    app.router.add_post("/hook", receiver.hear)
    async with TestServer(app) as server:
        receiver.url = f"http://127.0.0.1:{server.port}/hook"
        yield receiver


def status(number: int, **headers: str) -> Meets:
    """Answer everything so."""
    return lambda _: web.Response(status=number, headers=headers)


async def hang(request: web.Request) -> web.StreamResponse:
    """Take the request, and never answer."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Desk:
    """One process's hooks, in a time that the test lets pass."""

    def __init__(self, storage: Storage, http: Http, *urls: str, private: bool = True, timeout_s: float = 0.4) -> None:
        self.storage = storage
        self.now = NOW
        self.http = http
        self.webhooks = [WebhookConfig(url=url, secret=SECRET, allow_private=private) for url in urls]
        self.hooks = Hooks(storage, http, lambda: self.now, self.webhooks, timeout_s=timeout_s)
        self.receiver_ids = [receiver.id for receiver in receivers_of(self.webhooks)]

    async def tell(self, after: timedelta = timedelta(0)) -> int:
        """Tell everything that is due after a while; returns how many attempts were made."""
        self.now += after
        attempts = 0
        while begun := [await lane.tell_due() for lane in self.hooks.lanes]:
            await asyncio.gather(*(lane.idle() for lane in self.hooks.lanes))
            attempts += sum(begun)
            if not sum(begun):
                return attempts
        return attempts

    async def attempt_first(self) -> HookDelivery:
        """Make one round of attempts and return the first delivery."""
        for lane in self.hooks.lanes:
            await lane.tell_due()
            await lane.idle()
        return (await self.deliveries())[0]

    async def deliveries(self) -> list[HookDelivery]:
        """Return all deliveries in the order of their events."""
        return sorted(await rows(self.storage, HookDelivery), key=lambda delivery: delivery.event_id)

    async def row(self) -> HookDelivery:
        """Return the only delivery."""
        [delivery] = await self.deliveries()
        return delivery

    async def statuses(self) -> Counter[str]:
        """Count the deliveries by status."""
        return Counter([delivery.status for delivery in await rows(self.storage, HookDelivery)])


@asynccontextmanager
async def desk(storage: Storage, *urls: str, **more: Any) -> AsyncIterator[Desk]:
    """Open the hooks of one process."""
    async with Http() as http:
        opened = Desk(storage, http, *urls, **more)
        await storage.run(OpenChannels(("sms",)))
        await opened.hooks.open()
        yield opened
        await opened.hooks.stop(0)


async def wrote(storage: Storage, *texts: str, sender: str = ALICE, at: datetime = NOW) -> None:
    """Let a customer write."""
    for text in texts:
        await accept(storage, sms(sender, f"SM{sender}{text}", text), at=at)


# --- in order, and again ---


async def test_the_next_event_of_a_conversation_waits_for_the_one_before(storage: Storage) -> None:
    """While one fails nothing of its conversation overtakes it, and other conversations go on."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2", "a3")
        await wrote(storage, "b1", "b2", sender=BOB)
        receiver.meets = lambda text: web.Response(status=500 if text == "a1" else 200)
        await here.tell()
        at_first = list(receiver.texts()), receiver.texts(BOB)
        receiver.meets = None
        early = await here.tell(3 * SECOND)
        await here.tell(4 * SECOND)

        assert at_first == (["a1"], ["b1", "b2"])
        assert early == 0
        assert receiver.texts() == ["a1", "a1", "a2", "a3"]
        assert await here.statuses() == {"delivered": 5}


async def test_an_attempt_again_has_the_same_id_and_its_own_time(storage: Storage) -> None:
    """So a receiver knows what it has heard already, and that it is no replay."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = status(503)
        await here.tell()
        receiver.meets = None
        await here.tell(MINUTE)

        assert len(set(receiver.ids)) == 1
        assert receiver.timestamps == [int(NOW.timestamp()), int((NOW + MINUTE).timestamp())]
        assert ((await here.row()).attempts, (await here.row()).response_status) == (2, 204)


@pytest.mark.parametrize("number", [400, 404, 500, 302, 308])
async def test_what_is_no_2xx_is_told_again_for_a_day_and_then_failed(storage: Storage, number: int) -> None:
    """By the specification's schedule; the last failure is an error in the log, which does not name the address."""
    async with crm() as receiver, desk(storage, f"{receiver.url}?token=hidden") as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = lambda text: web.Response(status=number, headers={"Location": receiver.url})
        waits = []
        with capture_logs() as logs:
            while (row := await here.attempt_first()).next_attempt_at is not None:
                waits.append((row.next_attempt_at - here.now).total_seconds())
                here.now = row.next_attempt_at

        assert receiver.texts() == ["a1"] * (1 + len(SCHEDULE_S))
        assert all(0.8 * s <= w <= 1.2 * s for s, w in zip(SCHEDULE_S[:-1], waits[:-1], strict=True))
        assert 18 * HOUR < here.now - NOW <= MAX_AGE
        assert (row.status, row.response_status) == ("failed", number)
        assert [entry["log_level"] for entry in logs if entry["event"] == "hook_failed"] == ["error"]
        assert "hidden" not in str(logs)


@pytest.mark.parametrize("number", [429, 502, 503, None])
async def test_an_outage_uses_up_no_chance_and_ends_after_a_day(storage: Storage, number: int | None) -> None:
    """Every five minutes at most it is tried again, however often that fails; only its age ends it."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = (lambda _: hang) if number is None else status(number)
        here = Desk(storage, here.http, receiver.url, timeout_s=0.02)
        for _ in range(3 * len(SCHEDULE_S)):
            await here.tell(10 * MINUTE)
        tried = await here.row()
        receiver.meets = status(500)
        await here.tell(10 * MINUTE)
        refused = await here.row()
        receiver.meets = status(number or 504)
        await here.tell(NOW + MAX_AGE - here.now - SECOND)
        await here.tell(SECOND)

        assert (tried.status, tried.attempts, tried.outages) == ("queued", 3 * len(SCHEDULE_S), 3 * len(SCHEDULE_S))
        assert (refused.status, refused.attempts - refused.outages) == ("queued", 1)
        assert (await here.row()).status == "failed"
        assert here.now - NOW == MAX_AGE


async def test_a_success_ends_a_row_of_failures(storage: Storage) -> None:
    """Also of a call that had begun before the first of them."""
    async with desk(storage, "http://127.0.0.1:9/") as here:
        await wrote(storage, "a1")
        receiver_id = here.receiver_ids[0]
        [begun] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await change(storage, f"UPDATE receivers SET failures = {PROBE_AFTER - 1}")
        await storage.run(SettleHook(begun.id, receiver_id, 1, "delivered", NOW, failures=begun.failures))

        assert [receiver.failures for receiver in await rows(storage, Receiver)] == [0]


async def test_an_event_that_is_retried_waits_for_the_one_in_flight(storage: Storage) -> None:
    """A receiver is told of one conversation one thing at a time, in whatever order somebody asks for it."""
    async with desk(storage, "http://127.0.0.1:9/") as here:
        await wrote(storage, "a1", "a2")
        receiver_id = here.receiver_ids[0]
        [first] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await storage.run(SettleHook(first.id, receiver_id, 1, "failed", NOW))
        [second] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await storage.run(RetryHooks((first.id,), NOW))
        meanwhile = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await storage.run(SettleHook(second.id, receiver_id, 1, "delivered", NOW))
        after = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))

        assert meanwhile == []
        assert [hook.id for hook in after] == [first.id]


async def test_who_dies_with_one_does_not_hold_up_what_is_retried_for_ever(storage: Storage) -> None:
    """Its lease ends."""
    async with desk(storage, "http://127.0.0.1:9/") as here:
        await wrote(storage, "a1", "a2")
        receiver_id = here.receiver_ids[0]
        [first] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await storage.run(SettleHook(first.id, receiver_id, 1, "failed", NOW))
        await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        await storage.run(RetryHooks((first.id,), NOW))
        [head] = await storage.run(ClaimHooks(receiver_id, NOW + LEASE, NOW + 2 * LEASE, 5))

        assert head.id == first.id


async def test_a_2xx_that_comes_after_a_410_counts(storage: Storage) -> None:
    """Two calls at once: one is told that nobody wants more, the other one has been taken all the same."""
    release = asyncio.Event()

    async def take_late(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with crm() as receiver, desk(storage, receiver.url, timeout_s=10) as here:
        await wrote(storage, "a1")
        await wrote(storage, "b1", sender=BOB)
        receiver.meets = lambda text: take_late if text == "a1" else web.Response(status=410)
        [lane] = here.hooks.lanes
        await lane.tell_due()
        async with asyncio.timeout(10):
            while (await here.statuses())["failed"] < 2:
                await asyncio.sleep(0.01)
        release.set()
        await lane.idle()
        taken, gone = await here.deliveries()

        assert (taken.status, taken.error, taken.response_status) == ("delivered", None, 200)
        assert gone.status == "failed"


async def test_what_failed_is_told_when_somebody_asks_for_it(storage: Storage) -> None:
    """From the beginning of its attempts, under the same id."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = status(500)
        while (row := await here.row()).status == "queued":
            here.now = max(here.now, row.next_attempt_at or here.now)
            await here.tell()
        again = await storage.run(RetryHooks((row.id, "unknown"), here.now))
        queued = await here.row()
        receiver.meets = None
        await here.tell()

        assert again == [row.id]
        assert (queued.status, queued.attempts, queued.error) == ("queued", 0, None)
        assert (await here.row()).status == "delivered"
        assert len(set(receiver.ids)) == 1


async def test_an_event_after_one_that_was_given_up_is_tried_at_least_once(storage: Storage) -> None:
    """However old it has become behind it."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = lambda text: web.Response(status=500 if text == "a1" else 200)
        await here.tell()
        await here.tell(25 * HOUR)

        assert receiver.texts() == ["a1", "a1", "a2"]
        assert await here.statuses() == {"failed": 1, "delivered": 1}


@pytest.mark.parametrize("number", [429, 503])
async def test_a_receivers_wish_is_followed(storage: Storage, number: int) -> None:
    """The event waits as long as it says, and the receiver is left alone for as long, but for an hour at most."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = status(number, **{"Retry-After": "600"})
        await here.tell()
        receiver.meets = None
        await wrote(storage, "b1", sender=BOB)
        alone = await here.tell(599 * SECOND)
        after = await here.tell(SECOND)
        [paused] = await rows(storage, Receiver)

        assert (alone, after, len(receiver.heard)) == (0, 2, 3)
        assert paused.failures == 0


# --- whatever a receiver does ---


async def test_a_receiver_that_hangs_holds_up_no_other(storage: Storage) -> None:
    """One is told everything while the other has not answered once."""
    async with crm() as slow, crm() as quick, desk(storage, slow.url, quick.url, timeout_s=30) as here:
        slow.meets = lambda _: hang
        await wrote(storage, *(f"a{n}" for n in range(5)))
        worker = asyncio.create_task(here.hooks.run())
        async with asyncio.timeout(20):
            while len(quick.heard) < 5:
                await asyncio.sleep(0.01)
        worker.cancel()

        assert (slow.texts(), quick.texts()) == (["a0"], [f"a{n}" for n in range(5)])


async def test_a_receiver_that_does_not_answer_in_time_is_told_again(storage: Storage) -> None:
    """Nobody knows whether it has taken it."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = lambda _: hang
        await here.tell()
        row = (await here.deliveries())[0]
        receiver.meets = None
        await here.tell(MINUTE)

        assert (row.status, row.response_status, row.error) == ("queued", None, "no answer: TimeoutError")
        assert receiver.texts() == ["a1", "a1", "a2"]


async def test_a_2xx_counts_when_it_comes_however_long_its_body_takes(storage: Storage) -> None:
    """The body is not read: a receiver that trickles it holds up nothing."""

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"." * 100_000)
            await asyncio.sleep(0.1)
        return response

    async with crm() as receiver, desk(storage, receiver.url, timeout_s=5) as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = lambda _: trickle
        async with asyncio.timeout(3):
            await here.tell()

        assert receiver.texts() == ["a1", "a2"]
        assert await here.statuses() == {"delivered": 2}


async def test_headers_that_trickle_are_given_up(storage: Storage) -> None:
    """Each byte is in time, and all of them are not."""

    ended = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Endless: " + b"." * 1000:
            if writer.is_closing():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with desk(storage, f"http://127.0.0.1:{port}/") as here:
        await wrote(storage, "a1")
        async with asyncio.timeout(5):
            await here.tell()
        row = await here.row()
    await ended.wait()
    server.close()

    assert (row.status, row.error) == ("queued", "no answer: TimeoutError")


async def test_a_redirect_is_not_followed(storage: Storage) -> None:
    """What is told is for the address of the configuration alone."""
    async with crm() as receiver, crm() as other, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = status(307, Location=other.url)
        await here.tell()

        assert (await here.row()).error == "redirects, which is not followed"
        assert other.heard == []


async def test_a_receiver_that_is_gone_is_told_nothing_more(storage: Storage) -> None:
    """410 disables it, loudly, and over a restart; what waits for it is kept; nobody else is touched."""
    async with crm() as gone, crm() as well, desk(storage, gone.url, well.url) as here:
        await wrote(storage, "a1", "a2")
        gone.meets = status(410)
        with capture_logs() as logs:
            await here.tell()
        await wrote(storage, "a3")
        await here.hooks.open()
        await here.tell(HOUR)

        assert (gone.texts(), well.texts()) == (["a1"], ["a1", "a2", "a3"])
        assert await here.statuses() == {"failed": 2, "delivered": 3}
        assert [(e["log_level"], e["failed_count"]) for e in logs if e["event"] == "receiver_gone"] == [("error", 2)]

        gone.meets = None
        enabled = [await storage.run(EnableReceiver(here.receiver_ids[0])) for _ in range(2)]
        await wrote(storage, "a4")
        await here.tell()

        assert (enabled, gone.texts()) == ([True, False], ["a1", "a4"])


async def test_a_retry_enables_a_receiver_that_was_gone(storage: Storage) -> None:
    """Whoever asks for it knows that it is back."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = status(410)
        await here.tell()
        receiver.meets = None
        failed = [delivery.id for delivery in await rows(storage, HookDelivery)]
        await storage.run(RetryHooks(tuple(failed), here.now))
        await here.tell()

        assert receiver.texts() == ["a1", "a1", "a2"]


async def test_a_dead_receiver_is_probed_and_told_everything_when_it_is_back(storage: Storage) -> None:
    """After some failures in a row one event at a time finds out; then what the outage has put off comes at once."""
    port = free_port()
    async with desk(storage, f"http://127.0.0.1:{port}/hook") as here:
        for n in range(20):
            await wrote(storage, "1", "2", sender=f"+1555010{n:04}")
        with capture_logs() as logs:
            burst = await here.tell()
            probes = [await here.tell(10 * MINUTE) for _ in range(6)]
        receiver = Crm()
        app = web.Application()
        app.router.add_post("/hook", receiver.hear)
        async with TestServer(app, port=port):
            await here.tell(10 * MINUTE)

        assert (burst, AT_ONCE >= PROBE_AFTER) == (AT_ONCE + 1, True)
        assert probes == [1] * 6
        assert "receiver_paused" in [entry["event"] for entry in logs]
        assert await here.statuses() == {"delivered": 40}
        assert all(receiver.texts(f"+1555010{n:04}") == ["1", "2"] for n in range(20))


async def test_what_an_outage_has_put_off_comes_when_it_is_over(storage: Storage) -> None:
    """Not hours later, when its own next attempt is due; the first event that is taken tells that it is over."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1")
        receiver.meets = status(503)
        while (row := await here.attempt_first()).attempts < PROBE_AFTER:
            here.now = row.next_attempt_at or here.now
        waited = (row.next_attempt_at or here.now) - here.now
        receiver.meets = None
        here.now += MINUTE
        await wrote(storage, "b1", sender=BOB, at=here.now)
        await here.tell()

        assert waited > 3 * MINUTE
        assert receiver.heard[PROBE_AFTER:] == [(BOB, "b1"), (ALICE, "a1")]


async def test_one_event_at_a_time_finds_out_whether_a_receiver_is_back(storage: Storage) -> None:
    """Of all processes; what somebody has in flight is not told a second time because of that."""
    async with desk(storage, "http://127.0.0.1:9/") as here:
        receiver_id = here.receiver_ids[0]
        for sender in (ALICE, BOB, "+15550100013"):
            await wrote(storage, "1", sender=sender)
        [slow] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 1))
        await change(storage, f"UPDATE receivers SET failures = {PROBE_AFTER}")
        [probe] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        meanwhile = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        taken = SettleHook(
            probe.id, receiver_id, 1, "delivered", NOW, failures=probe.failures, leased_until=NOW + LEASE
        )
        await storage.run(taken)
        after = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))

        assert meanwhile == []
        assert len(after) == 1
        assert slow.id not in {hook.id for hook in after}


async def test_an_event_that_a_receiver_refuses_is_no_outage(storage: Storage) -> None:
    """What it cannot read keeps its own time, and holds up its own conversation only."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        for n in range(2 * PROBE_AFTER):
            await wrote(storage, "poison", sender=f"+1555010{n:04}")
        receiver.meets = lambda text: web.Response(status=422 if text == "poison" else 200)
        await here.tell()
        await wrote(storage, "b1", "b2", sender=BOB)
        again = await here.tell(SECOND)

        assert (again, receiver.texts(BOB)) == (2, ["b1", "b2"])


async def test_no_more_than_some_are_in_flight(storage: Storage) -> None:
    """However much waits for a receiver that is slow."""

    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return web.Response()

    async with crm() as receiver, desk(storage, receiver.url, timeout_s=10) as here:
        for n in range(30):
            await wrote(storage, "1", sender=f"+1555010{n:04}")
        receiver.meets = lambda _: slowly
        worker = asyncio.create_task(here.hooks.run())
        async with asyncio.timeout(20):
            while (await here.statuses())["delivered"] < 30:
                await asyncio.sleep(0.02)
        worker.cancel()

        assert receiver.most_at_once == AT_ONCE


# --- several processes, and none ---


async def test_who_dies_between_telling_and_settling_leaves_it_to_another(storage: Storage) -> None:
    """When the lease ends, it is told again under the same id, and nothing has overtaken it."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2")
        [lost] = await storage.run(ClaimHooks(here.receiver_ids[0], NOW, NOW + LEASE, 5))
        await attempt(
            here.http, receivers_of(here.webhooks)[0], lost.id, write(lost.type, lost.happened_at, lost.payload), NOW
        )
        early = await here.tell(LEASE - SECOND)
        late = await here.tell(SECOND)

        assert (early, late) == (0, 2)
        assert receiver.texts() == ["a1", "a1", "a2"]
        assert receiver.ids[0] == receiver.ids[1] == lost.id


async def test_that_it_was_told_is_true_whoever_has_it(storage: Storage) -> None:
    """A slow worker's success counts; its failure does not, once somebody else has the event."""
    async with desk(storage, "http://127.0.0.1:9/") as here:
        await wrote(storage, "a1")
        receiver_id = here.receiver_ids[0]
        [slow] = await storage.run(ClaimHooks(receiver_id, NOW, NOW, 5))
        [fresh] = await storage.run(ClaimHooks(receiver_id, NOW, NOW + LEASE, 5))
        failed = await storage.run(SettleHook(slow.id, receiver_id, slow.attempts, "failed", NOW))
        told = await storage.run(SettleHook(slow.id, receiver_id, slow.attempts, "delivered", NOW))
        again = await storage.run(SettleHook(fresh.id, receiver_id, fresh.attempts, "queued", NOW, NOW))

        assert (failed, told, again) == (False, True, False)


async def test_two_processes_tell_everything_once_and_in_order(storage: Storage, database_url: str) -> None:
    """While customers go on writing."""
    senders = [f"+1555010{n:04}" for n in range(6)]
    async with crm() as receiver, Storage(database_url) as other:
        async with desk(storage, receiver.url, timeout_s=10) as here, desk(other, receiver.url, timeout_s=10) as there:
            workers = [asyncio.create_task(d.hooks.run()) for d in (here, there)]
            for n in range(10):
                await asyncio.gather(*(wrote(storage, f"{n}", sender=sender) for sender in senders))
            async with asyncio.timeout(30):
                while (await here.statuses())["delivered"] < 60:
                    await asyncio.sleep(0.05)
            for worker in workers:
                worker.cancel()

        assert len(receiver.heard) == 60
        assert all(receiver.texts(sender) == [str(n) for n in range(10)] for sender in senders)


async def test_a_stop_lets_calls_in_flight_end(storage: Storage) -> None:
    """What was told is settled, and nothing new begins."""
    release = asyncio.Event()

    async def until_released(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with crm() as receiver, desk(storage, receiver.url, timeout_s=10) as here:
        await wrote(storage, "a1", "a2")
        receiver.meets = lambda _: until_released
        worker = asyncio.create_task(here.hooks.run())
        while not receiver.heard:
            await asyncio.sleep(0.01)
        stopping = asyncio.create_task(here.hooks.stop(10))
        await asyncio.sleep(0)
        release.set()
        await stopping
        worker.cancel()

        assert receiver.texts() == ["a1"]
        assert await here.statuses() == {"delivered": 1, "queued": 1}


# --- where it may go ---


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_a_private_address_is_told_nothing(storage: Storage, host: str) -> None:
    """In whatever way it is written, and whatever its name leads to; the owner may allow it."""
    async with crm() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        async with desk(storage, f"http://{host}:{port}/hook", private=False) as here:
            await wrote(storage, "a1")
            await here.tell()
            row = await here.row()

    assert receiver.heard == []
    assert (row.status, row.response_status) == ("queued", None)
    assert row.error in ("the address is not public", "not an HTTP address")


# --- what is kept ---


async def test_what_everybody_was_told_is_forgotten_after_a_week(storage: Storage) -> None:
    """What has failed is kept for a month, and what waits for as long as it waits."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "told")
        await wrote(storage, "failed", sender=BOB)
        await wrote(storage, "waits", sender="+15550100013")
        receiver.meets = lambda text: web.Response(status=200 if text == "told" else 500)
        await here.tell()
        failed = next(d.id for d in await rows(storage, HookDelivery) if d.event_id == 2)
        await change(storage, "UPDATE hook_deliveries SET status = 'failed' WHERE id = :id", id=failed)
        left = []
        for age in (KEPT - SECOND, KEPT + SECOND, FAILED_KEPT - SECOND, FAILED_KEPT + SECOND):
            here.now = NOW + age
            await here.hooks.forget()
            left.append(sorted(event.payload["message"]["content"] for event in await rows(storage, Event)))

    assert left == [["failed", "told", "waits"], ["failed", "waits"], ["failed", "waits"], ["waits"]]


async def test_what_this_release_cannot_read_fails_at_once(storage: Storage) -> None:
    """Another one has stored it; what comes after it goes on."""
    async with crm() as receiver, desk(storage, receiver.url) as here:
        await wrote(storage, "a1", "a2")
        await change(storage, "UPDATE events SET type = 'message.sung' WHERE id = 1")
        await here.tell()

        assert receiver.texts() == ["a2"]
        assert await here.statuses() == {"failed": 1, "delivered": 1}
