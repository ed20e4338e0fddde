"""Deliveries in a running process: what comes back from a call decides what happens next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import DeliveryStatus, Outbound, Receipt, Scope
from channels.errors import (
    CredentialsRejected,
    OptedOut,
    OutcomeUnknown,
    OutsideWindow,
    OwnedElsewhere,
    Refused,
    RetryLater,
    SendError,
)
from gateway import outbox as module
from gateway.bus import open_bus
from gateway.clock import Clock, utc_now
from gateway.config import OutboxConfig
from gateway.contents import Contents
from gateway.inbox import Inbox
from gateway.media import MediaStore
from gateway.metrics import Metrics
from gateway.outbox import Outbox
from gateway.reader import Readers
from gateway.spool import Spool
from gateway.storage import Compose, OpenChannels, Outcome, Pause, SettleDelivery, Storage, Takeover
from tests.loopback import LookingUpChannel, LoopbackChannel, roster_of
from tests.saying import said
from tests.test_storage_accept import accept, sms
from tests.test_storage_deliveries import report

Rows = list[tuple[str, str, str | None]]


class House:
    """The outbox of one process around one database and one channel."""

    def __init__(self, storage: Storage, channel: LoopbackChannel) -> None:
        self.storage = storage
        self.channel = channel

    async def say(self, *parts: str, to: str = "+1555", role: str = "agent") -> None:
        """Queue a message."""
        await self.storage.run(Compose("sms", "sms", to, said(*parts), utc_now(), role))

    async def rows(self) -> Rows:
        """Return content, status and code of every delivery."""
        return [(d.content, d.status, d.error_code) for d in await self.storage.deliveries()]

    async def until(self, *expected: tuple[str, str, str | None], timeout_s: float = 10) -> None:
        """Wait until the deliveries stand like this."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self.rows() != list(expected):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            assert await self.rows() == list(expected)


@asynccontextmanager
async def house(
    storage: Storage,
    channel: LoopbackChannel | None = None,
    *,
    calm_since: datetime | None = None,
    grace_s: float = 0.2,
    clock: Clock = utc_now,
    **settings: Any,
) -> AsyncIterator[House]:
    """Run the outbox."""
    channel = channel or LoopbackChannel("sms")
    roster = roster_of(channel)
    await storage.run(OpenChannels(("sms",)))
    bus, metrics = open_bus(None), Metrics()
    spool, contents = Spool(Path("unused"), 0), Contents(Readers(), MediaStore(Path("unused")))
    inbox = Inbox(storage, spool, roster, bus, metrics, clock, contents, answer_while_waiting=True)
    inbox.calm_since = calm_since or utc_now() - timedelta(hours=1)
    config = OutboxConfig(**{"confirm_wait_s": 0.2, **settings})
    outbox = Outbox(storage, roster, inbox, bus, metrics, clock, config, owner="serve:test")
    running = asyncio.create_task(outbox.run())
    try:
        yield House(storage, channel)
    finally:
        await outbox.stop(grace_s)
        await running


def in_turn(*results: Any) -> Any:
    """Meet each of these once, then succeed."""
    waiting = list(results)
    return lambda _: waiting.pop(0) if waiting else None


async def test_parts_leave_in_order_and_conversations_in_parallel(storage: Storage) -> None:
    """Parts and messages of a conversation go one after the other; another conversation does not wait."""
    held: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with house(storage) as h:
        h.channel.meets = lambda outbound: held if outbound.content.text == "a1" else None
        await h.say("a1", "a2")
        await h.say("a3")
        await h.say("b1", to="+1556")
        async with asyncio.timeout(5):
            while len(h.channel.texts) < 2:
                await asyncio.sleep(0.01)
        before = sorted(h.channel.texts)
        held.set_result(None)
        await h.until(("a1", "sent", None), ("a2", "sent", None), ("a3", "sent", None), ("b1", "sent", None))

        assert before == ["a1", "b1"]
        assert [text for text in h.channel.texts if text != "b1"] == ["a1", "a2", "a3"]


async def test_channel_that_is_away_is_paused_and_probed(storage: Storage) -> None:
    """While nothing is processed the channel is probed with one, nobody's attempts are used up, order holds."""
    away = [RetryLater("down", code="503")] * 3
    async with house(storage, max_attempts=1) as h:
        h.channel.meets = in_turn(*away)
        for n in range(5):
            await h.say(f"m{n}")
        await h.until(*((f"m{n}", "sent", None) for n in range(5)), timeout_s=20)

        assert h.channel.texts == ["m0", "m0", "m0", "m0", "m1", "m2", "m3", "m4"]


async def test_a_paused_channel_is_probed_by_one_call_at_a_time(storage: Storage) -> None:
    """A platform that is slow to say no is not asked again while it thinks."""
    held: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with house(storage) as h:
        pause = Pause(utc_now(), "503")
        await storage.run(SettleDelivery("none", "", Outcome.RETRY, utc_now(), channel_name="sms", pause=pause))
        h.channel.meets = lambda _: held
        for n in range(5):
            await h.say(f"m{n}", to=f"+1555{n}")
        async with asyncio.timeout(5):
            while not h.channel.texts:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        probes = len(h.channel.texts)
        h.channel.meets = None
        held.set_result(Receipt("SM1"))
        await h.until(*((f"m{n}", "sent", None) for n in range(5)))

    assert probes == 1


async def test_delivery_of_its_own_trouble_is_retried_and_given_up(storage: Storage) -> None:
    """What concerns one delivery only is retried with its own attempts, and then fails; the next message goes on."""
    async with house(storage, max_attempts=2) as h:
        congested = RetryLater("congested", code="30017", channel_wide=False)
        h.channel.meets = lambda outbound: congested if outbound.content.text == "a" else None
        await h.say("a")
        await h.say("b")
        await h.until(("a", "failed", "30017"), ("b", "sent", None), timeout_s=20)

        assert h.channel.texts == ["a", "a", "b"]


async def test_delivery_of_its_own_trouble_is_tried_for_hours(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carrier's congestion passes in hours and not in minutes: eight attempts last that long, and not a day."""
    monkeypatch.setattr(module, "POLL_S", 0.01)
    now = begun = utc_now()
    tried_at: list[datetime] = []

    def meets(_: Outbound) -> Any:
        tried_at.append(now)
        return RetryLater("congested", code="30017", channel_wide=False)

    async with house(storage, clock=lambda: now) as h:
        h.channel.meets = meets
        await storage.run(Compose("sms", "sms", "+1555", said("a"), begun))
        async with asyncio.timeout(20):
            while (delivery := (await storage.deliveries())[0]).status != "failed":
                if delivery.status == "queued" and delivery.next_attempt_at is not None:
                    now = max(now, delivery.next_attempt_at)
                await asyncio.sleep(0.01)

    assert len(tried_at) == 8
    assert tried_at[1] - begun < timedelta(seconds=6)
    assert timedelta(hours=1.5) < tried_at[-1] - begun < timedelta(hours=OutboxConfig().max_age_h)


async def test_retry_after_is_honoured(storage: Storage) -> None:
    """The platform's own wish for a pause is the shortest pause."""
    times: list[float] = []

    def meets(_: Outbound) -> Any:
        times.append(asyncio.get_running_loop().time())
        return RetryLater("slow down", retry_after_s=2.0) if len(times) == 1 else None

    async with house(storage) as h:
        h.channel.meets = meets
        await h.say("a")
        await h.until(("a", "sent", None), timeout_s=20)

        assert times[1] - times[0] >= 1.9


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("bad number", code="21211"), "21211"),
        (OutsideWindow("closed"), "outside_window"),
        (OptedOut("stop", code="21610"), "21610"),
    ],
)
async def test_refused_is_final(storage: Storage, error: SendError, code: str) -> None:
    """A refused part fails at once and takes its message's later parts with it."""
    async with house(storage) as h:
        h.channel.meets = in_turn(error)
        await h.say("a1", "a2")
        await h.until(("a1", "failed", code), ("a2", "cancelled", "earlier_part_failed"))

        assert h.channel.texts == ["a1"]


async def test_rejected_credentials_stop_the_channel(storage: Storage) -> None:
    """Nothing is sent until the credentials are mended; nothing is lost; a restart tries again at once."""
    async with house(storage) as h:
        h.channel.meets = in_turn(CredentialsRejected("who are you", code="20003"))
        await h.say("a")
        await _until_paused(storage)
        await h.say("b", to="+1556")
        await asyncio.sleep(0.2)

        assert [status for _, status, _ in await h.rows()] == ["queued", "queued"]
    async with house(storage, LoopbackChannel("sms")) as h:
        await h.until(("a", "sent", None), ("b", "sent", None))


async def _until_paused(storage: Storage) -> None:
    async with asyncio.timeout(5):
        while [state.pause_reason for state in await storage.channel_states()] != ["credentials"]:
            await asyncio.sleep(0.01)


async def test_ambiguous_outcome_is_looked_up(storage: Storage) -> None:
    """Where the platform can be asked and knows the message, it is sent, and not sent again."""
    channel = LookingUpChannel("sms")
    channel.found = Receipt("SM-found")
    async with house(storage, channel) as h:
        channel.meets = in_turn(OutcomeUnknown("reset"))
        await h.say("a")
        await h.until(("a", "sent", None))
        [delivery] = await storage.deliveries()

        assert (channel.texts, delivery.external_id) == (["a"], "SM-found")


async def test_a_look_up_may_tell_that_it_failed(storage: Storage) -> None:
    """Where the report of a failure was lost too, the look-up stands for it: nothing passes for sent that was not."""
    channel = LookingUpChannel("sms")
    channel.found = Receipt("SM1", DeliveryStatus.FAILED)
    async with house(storage, channel) as h:
        channel.meets = in_turn(OutcomeUnknown())
        await h.say("a", "b")
        await h.until(("a", "failed", "failed"), ("b", "cancelled", "earlier_part_failed"))

    assert channel.texts == ["a"]


async def test_ambiguous_outcome_is_resent_once(storage: Storage) -> None:
    """Unknown to the platform, it is sent once more; a second ambiguous outcome is a visible failure."""
    channel = LookingUpChannel("sms")
    async with house(storage, channel) as h:
        channel.meets = lambda _: OutcomeUnknown("reset")
        await h.say("a")
        await h.until(("a", "failed", "outcome_unknown"))

        assert channel.texts == ["a", "a"]


async def test_platform_that_cannot_be_asked_is_asked_later(storage: Storage) -> None:
    """A look-up that fails decides nothing."""
    channel = LookingUpChannel("sms")
    channel.found = RetryLater("down")
    async with house(storage, channel) as h:
        channel.meets = in_turn(OutcomeUnknown("reset"))
        await h.say("a")
        async with asyncio.timeout(5):
            while not channel.asked_for:
                await asyncio.sleep(0.01)
        await h.until(("a", "unconfirmed", "OutcomeUnknown"))

        assert channel.texts == ["a"]


async def test_callback_decides_an_ambiguous_outcome(storage: Storage) -> None:
    """A report that carries our delivery id proves the send; nothing is looked up or sent again."""
    async with house(storage, confirm_wait_s=60) as h:
        h.channel.meets = in_turn(TimeoutError())
        await h.say("a")
        await h.until(("a", "unconfirmed", "OutcomeUnknown"))
        [delivery] = await storage.deliveries()
        await report(storage, DeliveryStatus.DELIVERED, delivery_id=delivery.id, external_id="SM1")
        await h.until(("a", "delivered", None))

        assert h.channel.texts == ["a"]


async def test_time_while_the_store_was_away_does_not_count(storage: Storage) -> None:
    """A callback may be in the spool: only calm time counts towards a resend."""
    async with house(storage, calm_since=utc_now() + timedelta(hours=1)) as h:
        h.channel.meets = in_turn(OutcomeUnknown("reset"))
        await h.say("a")
        await h.until(("a", "unconfirmed", "OutcomeUnknown"))
        await asyncio.sleep(1.5)

        assert await h.rows() == [("a", "unconfirmed", "OutcomeUnknown")]
        assert h.channel.texts == ["a"]


async def test_bot_words_are_not_resent_after_a_takeover(storage: Storage) -> None:
    """An unconfirmed answer of the bot is never sent again once a person has the conversation."""
    async with house(storage) as h:
        await accept(storage, sms("+1555", "SM1"), at=utc_now())
        h.channel.meets = in_turn(OutcomeUnknown("reset"))
        await h.say("bot words", role="assistant")
        [conversation] = await storage.conversations()
        async with asyncio.timeout(5):
            while not h.channel.texts:
                await asyncio.sleep(0.001)
        await storage.run(Takeover(conversation.conversation_id, "ann", utc_now()))
        await h.until(("bot words", "failed", "outcome_unknown"))

        assert h.channel.texts == ["bot words"]


async def test_takeover_races_many_sends(storage: Storage) -> None:
    """Whatever the moment: after a takeover has answered and calls in flight have ended, no bot text leaves."""
    async with house(storage) as h:
        await accept(storage, sms("+1555", "SM1"), at=utc_now())
        [conversation] = await storage.conversations()
        for n in range(20):
            await h.say(f"b{n}", role="assistant")
        async with asyncio.timeout(5):
            while len(h.channel.texts) < 3:
                await asyncio.sleep(0.001)
        await storage.run(Takeover(conversation.conversation_id, "ann", utc_now()))
        async with asyncio.timeout(5):
            while await storage.calls_in_flight(conversation.id or 0):
                await asyncio.sleep(0.001)
        after = list(h.channel.texts)
        await asyncio.sleep(0.3)
        statuses = [status for _, status, _ in await h.rows()]

        assert h.channel.texts == after
        assert statuses == ["sent"] * len(after) + ["cancelled"] * (20 - len(after))


async def test_opt_out_races_many_sends(storage: Storage) -> None:
    """After STOP is accepted, only calls that had begun may still arrive; everything else is cancelled."""
    from channels.base import Consent

    async with house(storage) as h:
        for n in range(20):
            await h.say(f"m{n}")
        async with asyncio.timeout(5):
            while len(h.channel.texts) < 3:
                await asyncio.sleep(0.001)
        await accept(storage, sms("+1555", "STOP1", "STOP", consent=Consent.OPT_OUT), at=utc_now())
        sent = len(h.channel.texts)
        await asyncio.sleep(0.3)
        statuses = [status for _, status, _ in await h.rows()]

        assert len(h.channel.texts) <= sent + 1
        assert set(statuses[len(h.channel.texts) :]) == {"cancelled"}


async def test_old_delivery_fails_without_a_call(storage: Storage) -> None:
    """What is older than max_age_h is not sent as if it were new."""
    async with house(storage, max_age_h=0.0001) as h:
        at = utc_now() - timedelta(hours=1)
        await storage.run(Compose("sms", "sms", "+1555", said("old"), at))
        await h.until(("old", "failed", "expired"))

        assert h.channel.texts == []


async def test_lease_must_outlive_the_call(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was held up does not begin a call that its lease would not outlive; it gives the delivery back."""
    monkeypatch.setattr(module, "LEASE_S", 1.0)
    channel = LoopbackChannel("sms")
    channel.send_timeout_s = 5.0
    async with house(storage, channel) as h:
        await h.say("a")
        await asyncio.sleep(0.5)

        assert channel.texts == []
        [(_, status, _)] = await h.rows()
        assert status in ("queued", "sending")


async def test_stop_lets_calls_end(storage: Storage) -> None:
    """A call that does not end within the grace is cut off and becomes unconfirmed, never silently lost."""
    held: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with house(storage) as h:
        h.channel.meets = lambda _: held
        await h.say("a")
        async with asyncio.timeout(5):
            while not h.channel.texts:
                await asyncio.sleep(0.01)
    held.cancel()

    assert [(d.content, d.status) for d in await storage.deliveries()] == [("a", "unconfirmed")]


async def test_stop_waits_for_calls_that_end(storage: Storage) -> None:
    """A call that ends within the grace is settled with what it brought, and what waits behind it stays queued."""
    loop = asyncio.get_running_loop()
    held: asyncio.Future[Any] = loop.create_future()
    async with house(storage, grace_s=10) as h:
        h.channel.meets = lambda _: held
        await h.say("a")
        await h.say("b")
        async with asyncio.timeout(5):
            while not h.channel.texts:
                await asyncio.sleep(0.01)
        loop.call_later(0.3, held.set_result, Receipt("SM1"))
    rows = [(d.content, d.status, d.external_id) for d in await storage.deliveries()]

    assert rows == [("a", "sent", "SM1"), ("b", "queued", None)]


async def test_nothing_is_resent_after_an_opt_out(storage: Storage) -> None:
    """An unconfirmed delivery, a person's words too, is never sent again once its address has opted out."""
    from channels.base import Consent

    held: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with house(storage) as h:
        h.channel.meets = lambda _: held
        await h.say("a")
        async with asyncio.timeout(5):
            while not h.channel.texts:
                await asyncio.sleep(0.01)
        await accept(storage, sms("+1555", "STOP1", "STOP", consent=Consent.OPT_OUT), at=utc_now())
        held.set_exception(OutcomeUnknown("reset"))
        await h.until(("a", "failed", "outcome_unknown"))

        assert h.channel.texts == ["a"]


async def test_a_platforms_wish_has_an_end(storage: Storage) -> None:
    """However long it wants us to wait, the channel is probed again within the hour, and no answer outlives its age."""
    async with house(storage, max_age_h=2) as h:
        h.channel.meets = in_turn(
            RetryLater("wait", code="20429", retry_after_s=1e9),
            RetryLater("wait", code="131056", retry_after_s=1e9, channel_wide=False),
        )
        await h.say("a")
        await until_paused(storage)
        [state] = await storage.channel_states()
        await storage.run(OpenChannels(("sms",)))
        async with asyncio.timeout(10):
            while len(h.channel.sent) < 2:
                await asyncio.sleep(0.01)
        await h.until(("a", "queued", "131056"))
        [delivery] = await storage.deliveries()

    assert state.paused_until_at is not None
    assert state.paused_until_at <= utc_now() + timedelta(hours=1)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at <= delivery.queued_at + timedelta(hours=2)


async def test_a_message_that_has_to_wait_alone_shows_that_the_channel_works(storage: Storage) -> None:
    """It ends the pause that it probed: the others leave at once."""
    async with house(storage) as h:
        busy = RetryLater("only you", code="131056", retry_after_s=60, channel_wide=False)
        h.channel.meets = in_turn(RetryLater("down", code="503"), busy)
        await h.say("a")
        await until_paused(storage)
        await h.say("b", to="+1777")
        await h.until(("a", "queued", "131056"), ("b", "sent", None))


async def test_another_apps_customer_is_left_to_it(storage: Storage) -> None:
    """The refusal says whose the customer is: the bot is silent from then on."""
    await accept(storage, sms("+1555", "SM1"))
    async with house(storage) as h:
        h.channel.meets = in_turn(OwnedElsewhere("theirs", code="2018300"))
        await h.say("a", role="assistant")
        await h.until(("a", "failed", "2018300"))
        async with asyncio.timeout(5):
            while (await storage.conversations())[0].mode != "human":
                await asyncio.sleep(0.01)


async def test_what_the_channel_says_of_a_send_is_kept(storage: Storage) -> None:
    """A remark stands with the delivery, and a marketing opt-out keeps us from writing first."""
    async with house(storage) as h:
        h.channel.meets = in_turn(
            Receipt("EX-1", remark="sent as template hello"), OptedOut("no ads", code="131050", scope=Scope.MARKETING)
        )
        await h.say("a")
        await h.until(("a", "sent", None))
        await h.say("b")
        await h.until(("a", "sent", None), ("b", "failed", "131050"))
        first, _ = await storage.deliveries()
        refused = await storage.run(Compose("sms", "sms", "+1555", said("c"), utc_now()))

    assert first.remark == "sent as template hello"
    assert refused.refused == "opted_out"


async def until_paused(storage: Storage) -> None:
    """Wait until the channel is paused."""
    async with asyncio.timeout(5):
        while not (await storage.channel_states())[0].pause_attempts:
            await asyncio.sleep(0.01)
