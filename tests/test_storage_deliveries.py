"""The outbox's rows on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from channels.base import Consent, DeliveryStatus, Scope, Status
from gateway.storage import (
    Accepted,
    ClaimDeliveries,
    Claimed,
    ClaimedDelivery,
    ClaimUnconfirmed,
    Compose,
    Drop,
    Incoming,
    OpenChannels,
    Outcome,
    Pace,
    Pause,
    Requeue,
    SettleDelivery,
    Storage,
    SweepDeliveries,
    TakeLeases,
    Takeover,
)
from tests.saying import said
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_turns import SECOND, claim, finish


@pytest.fixture(autouse=True)
async def opened(storage: Storage) -> None:
    """Give the channel its state."""
    await storage.run(OpenChannels(("sms",)))


async def compose(storage: Storage, *parts: str, to: str = "+1555", role: str = "agent") -> None:
    """Queue a message of several parts."""
    await storage.run(Compose("sms", "sms", to, said(*parts), NOW, role))


async def take(
    storage: Storage, at: datetime = NOW, lease: str = "w:1", rate: float = 1000.0, at_most: int = 50
) -> list[ClaimedDelivery]:
    """Claim deliveries."""
    return list((await claim_deliveries(storage, at, lease, rate, at_most)).deliveries)


async def claim_deliveries(
    storage: Storage, at: datetime | None, lease: str = "w:1", rate: float = 1000.0, at_most: int = 50
) -> Claimed:
    """Claim deliveries, and hear when there are more."""
    assert at is not None
    expired_before = at - timedelta(hours=24)
    return await storage.run(
        ClaimDeliveries(lease, at, at + 30 * SECOND, (Pace("sms", rate),), at_most, expired_before)
    )


async def settle(storage: Storage, delivery: ClaimedDelivery, outcome: Outcome, **more) -> bool:
    """Record an outcome."""
    return await storage.run(SettleDelivery(delivery.id, delivery.lease_owner, outcome, NOW, **more))


async def report(storage: Storage, status: DeliveryStatus, **more) -> Accepted:
    """Accept a status callback."""
    return await accept(storage, Incoming("sms", "sms", Status(US, status, **more)))


async def statuses(storage: Storage) -> list[tuple[str, str, str | None]]:
    """Return content, status and error code in order."""
    return [(d.content, d.status, d.error_code) for d in await storage.deliveries()]


async def test_parts_and_messages_leave_in_order(storage: Storage) -> None:
    """Only the first unsettled delivery of a conversation can be claimed; other conversations do not wait."""
    await compose(storage, "a1", "a2")
    await compose(storage, "a3")
    await compose(storage, "b1", to="+1556")
    order = []
    for n in range(4):
        claimed = await take(storage, lease=f"w:{n}")
        order.append(sorted(d.content.text for d in claimed))
        for delivery in claimed:
            await settle(storage, delivery, Outcome.SENT, external_id=delivery.content.text)

    assert order == [["a1", "b1"], ["a2"], ["a3"], []]
    assert {status for _, status, _ in await statuses(storage)} == {"sent"}


async def test_retry_holds_the_conversation(storage: Storage) -> None:
    """What is retried later keeps its place."""
    await compose(storage, "a1", "a2")
    [first] = await take(storage)
    await settle(storage, first, Outcome.RETRY, next_attempt_at=NOW + 5 * SECOND)
    none = await take(storage, NOW + SECOND)
    [again] = await take(storage, NOW + 5 * SECOND)

    assert none == []
    assert (again.content.text, again.attempts) == ("a1", 1)


async def test_refused_cancels_the_rest_of_the_message_only(storage: Storage) -> None:
    """A refused part fails, its later parts are cancelled, the next message goes on."""
    await compose(storage, "a1", "a2", "a3")
    await compose(storage, "b1")
    [first] = await take(storage)
    await settle(storage, first, Outcome.FAILED, error_code="21211")
    [following] = await take(storage)

    assert following.content.text == "b1"
    assert (await statuses(storage))[:3] == [
        ("a1", "failed", "21211"),
        ("a2", "cancelled", "earlier_part_failed"),
        ("a3", "cancelled", "earlier_part_failed"),
    ]


async def test_opted_out_refusal_sets_consent(storage: Storage) -> None:
    """The platform's own opt-out refusal fails the delivery and cancels everything for the address."""
    await compose(storage, "a1")
    await compose(storage, "a2")
    [first] = await take(storage)
    await settle(storage, first, Outcome.FAILED, error_code="21610", opted_out=Scope.ALL)
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))

    assert await statuses(storage) == [("a1", "failed", "21610"), ("a2", "cancelled", "opted_out")]
    assert composed.refused == "opted_out"


async def test_status_is_raised_and_never_lowered(storage: Storage) -> None:
    """Reports in any order end at the highest; a report about nothing of ours is counted."""
    await compose(storage, "a1")
    [first] = await take(storage)
    early = await report(storage, DeliveryStatus.DELIVERED, external_id="SM9", delivery_id=first.id)
    ours = await settle(storage, first, Outcome.SENT, external_id="SM9")
    for status in (DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.READ, DeliveryStatus.DELIVERED):
        await report(storage, status, external_id="SM9", error_code="30003")
    unknown = await report(storage, DeliveryStatus.SENT, external_id="SM404")
    [delivery] = await storage.deliveries()

    assert (early.statuses, early.deliveries_released, ours) == (1, True, True)
    assert (delivery.status, delivery.external_id, delivery.error_code) == ("read", "SM9", None)
    assert (unknown.statuses, unknown.unknown_statuses) == (0, 1)


async def test_failure_after_sent_is_final(storage: Storage) -> None:
    """A failed report after `sent` stands, and an opt-out in it sets consent."""
    await compose(storage, "a1")
    [first] = await take(storage)
    await settle(storage, first, Outcome.SENT, external_id="SM9")
    await report(storage, DeliveryStatus.FAILED, external_id="SM9", error_code="21610", opted_out=Scope.ALL)
    for late in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ):
        await report(storage, late, external_id="SM9")
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))

    assert await statuses(storage) == [("a1", "failed", "21610")]
    assert composed.refused == "opted_out"


async def test_takeover_cancels_only_the_bot(storage: Storage) -> None:
    """What the bot has queued is cancelled, calls in flight are counted, and a bot retry is not sent again."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    await finish(storage, turn, "bot 1")
    [flying] = await take(storage)
    await accept(storage, sms("+1555", "SM2"))
    [turn] = await claim(storage)
    await finish(storage, turn, "bot 2")
    await compose(storage, "person")
    await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    in_flight = await storage.calls_in_flight(turn.id)
    await settle(storage, flying, Outcome.RETRY, next_attempt_at=NOW)
    [person] = await take(storage)

    assert in_flight == 1
    assert person.content.text == "person"
    assert await statuses(storage) == [
        ("bot 1", "cancelled", "taken_over"),
        ("bot 2", "cancelled", "taken_over"),
        ("person", "sending", None),
    ]


async def test_lost_worker_leaves_the_outcome_unconfirmed(storage: Storage) -> None:
    """A call whose lease ran out may have happened: it blocks its conversation until somebody knows."""
    await compose(storage, "a1")
    await compose(storage, "a2")
    [first] = await take(storage)
    swept = [await storage.run(SweepDeliveries(NOW + s * SECOND)) for s in (29, 31)]
    none = await take(storage, NOW + 40 * SECOND)
    late = await settle(storage, first, Outcome.SENT, external_id="SM9")
    [following] = await take(storage, NOW + 40 * SECOND, lease="w:2")

    assert swept == [0, 1]
    assert none == []
    assert late
    assert following.content.text == "a2"


async def test_unconfirmed_is_claimed_after_its_time(storage: Storage) -> None:
    """Whoever looks it up sees who else wrote to the recipient, and may resend once."""
    await compose(storage, "a0")
    [before] = await take(storage)
    await settle(storage, before, Outcome.SENT, external_id="SM0")
    await compose(storage, "a1")
    [first] = await take(storage)
    await settle(storage, first, Outcome.UNCONFIRMED)
    ask = ClaimUnconfirmed("w:5", NOW + 90 * SECOND, NOW - SECOND, NOW + 120 * SECOND, 10, ("sms",))
    early = await storage.run(ask)
    [found] = await storage.run(ClaimUnconfirmed("w:6", NOW + 90 * SECOND, NOW, NOW + 120 * SECOND, 10, ("sms",)))
    await settle(storage, found.delivery, Outcome.RETRY, next_attempt_at=NOW, resend=True)
    [again] = await take(storage)

    assert early == []
    assert (found.known_ids, found.silenced, found.opted_out) == (frozenset({"SM0"}), False, False)
    assert (again.content.text, again.resends, again.attempts) == ("a1", 1, 2)


async def test_restart_leaves_calls_unconfirmed(storage: Storage) -> None:
    """The process that takes over all leases does not know what became of the calls of the one before."""
    await compose(storage, "a1")
    await take(storage)
    cut = await storage.run(TakeLeases(NOW))

    assert cut == 1
    assert await statuses(storage) == [("a1", "unconfirmed", None)]


async def test_pace_spreads_a_burst(storage: Storage) -> None:
    """A channel's rate gives each delivery its own time, across claims; nothing is taken long before its time.

    What is claimed leaves: somebody who takes the conversation over meanwhile would be talked over.
    """
    for n in range(20):
        await compose(storage, f"m{n}", to=f"+1555{n}")
    first = await claim_deliveries(storage, NOW, rate=100.0)
    second = await claim_deliveries(storage, first.more_at, rate=100.0, lease="w:2")
    times = [(d.send_at - NOW) / SECOND for d in (*first.deliveries, *second.deliveries)]

    assert times == pytest.approx([n / 100 for n in range(12)])
    assert first.more_at == NOW + 0.06 * SECOND


async def test_paused_channel_sends_one_probe(storage: Storage) -> None:
    """While a channel is paused nothing is claimed, then one; its success opens the channel."""
    for n in range(4):
        await compose(storage, f"m{n}", to=f"+1555{n}")
    [first] = await take(storage, at_most=1)
    pause = Pause(NOW + 10 * SECOND, "503")
    await settle(storage, first, Outcome.RETRY, next_attempt_at=NOW, counts=False, channel_name="sms", pause=pause)
    none = await take(storage, NOW + 5 * SECOND)
    [probe] = await take(storage, NOW + 10 * SECOND, lease="w:2")
    await settle(storage, probe, Outcome.SENT, external_id="x", channel_name="sms", pause=Pause(None))
    rest = await take(storage, NOW + 10 * SECOND, lease="w:3")

    assert none == []
    assert probe.probes
    assert len(rest) == 3


async def test_dead_letters_are_requeued_or_dropped(storage: Storage) -> None:
    """Requeueing brings a failed part and the parts it took with it back; dropping takes it off the list."""
    await compose(storage, "a1", "a2")
    await compose(storage, "b1", to="+1556")
    for delivery in await take(storage):
        await settle(storage, delivery, Outcome.FAILED, error_code="30005")
    dead = {delivery.content: delivery.id for delivery in await storage.dead_letters()}
    requeued = await storage.run(Requeue((dead["a1"],), NOW + SECOND))
    dropped = await storage.run(Drop((dead["b1"],), NOW))

    assert (sorted(dead), len(requeued), dropped) == (["a1", "b1"], 2, [dead["b1"]])
    assert await storage.dead_letters() == []
    assert await statuses(storage) == [("a1", "queued", None), ("a2", "queued", None), ("b1", "failed", "30005")]


async def test_pause_outlives_a_process_but_not_a_start(storage: Storage) -> None:
    """Opening the channels at the start forgets pauses."""
    await compose(storage, "a1")
    [first] = await take(storage)
    pause = Pause(NOW + timedelta(hours=1), "credentials")
    await settle(storage, first, Outcome.RETRY, next_attempt_at=NOW, counts=False, channel_name="sms", pause=pause)
    none = await take(storage)
    await storage.run(OpenChannels(("sms",)))

    assert none == []
    assert len(await take(storage)) == 1


async def test_requeued_after_an_opt_out_is_not_sent(storage: Storage) -> None:
    """What is requeued for an address that has opted out meanwhile is cancelled by the claim; others are not held."""
    await compose(storage, "a1")
    await compose(storage, "a2")
    [first] = await take(storage)
    await settle(storage, first, Outcome.FAILED, error_code="30005")
    [second] = await take(storage)
    await settle(storage, second, Outcome.FAILED, error_code="21610", opted_out=Scope.ALL)
    await storage.run(Requeue((first.id,), NOW))
    await compose(storage, "b1", to="+1556")
    requeued = await statuses(storage)
    claimed = await take(storage)

    assert requeued[0] == ("a1", "queued", None)
    assert [delivery.content.text for delivery in claimed] == ["b1"]
    assert await statuses(storage) == [
        ("a1", "cancelled", "opted_out"),
        ("a2", "failed", "21610"),
        ("b1", "sending", None),
    ]


async def test_retry_of_a_call_that_an_opt_out_met_in_flight_is_not_sent(storage: Storage) -> None:
    """A call that had begun before STOP and was not processed is not made again, a person's words neither."""
    await compose(storage, "a1")
    [flying] = await take(storage)
    await accept(storage, sms("+1555", "SM1", "STOP", consent=Consent.OPT_OUT))
    await settle(storage, flying, Outcome.RETRY, next_attempt_at=NOW)
    claimed = await take(storage)

    assert claimed == []
    assert await statuses(storage) == [("a1", "cancelled", "opted_out")]


async def test_unconfirmed_tells_of_an_opt_out(storage: Storage) -> None:
    """Whoever decides an unconfirmed delivery learns that its address has opted out, and no other's."""
    for number in ("+1555", "+1556"):
        await compose(storage, number, to=number)
    for delivery in await take(storage):
        await settle(storage, delivery, Outcome.UNCONFIRMED)
    await accept(storage, sms("+1555", "SM1", "STOP", consent=Consent.OPT_OUT))
    found = await storage.run(ClaimUnconfirmed("w:2", NOW + SECOND, NOW, NOW + 30 * SECOND, 10, ("sms",)))

    assert {u.delivery.recipient: u.opted_out for u in found} == {"+1555": True, "+1556": False}


@pytest.mark.parametrize("outcome", Outcome)
async def test_outcome_of_an_older_claim_changes_nothing(storage: Storage, outcome: Outcome) -> None:
    """Once another process has claimed a delivery, to look it up or to send it, an older outcome is refused."""

    async def late() -> tuple[bool, bool]:
        before = [delivery.model_dump() for delivery in await storage.deliveries()]
        ours = await settle(storage, old, outcome, external_id="late", error_code="late", next_attempt_at=NOW)
        return ours, [delivery.model_dump() for delivery in await storage.deliveries()] == before

    await compose(storage, "a1", "a2")
    [old] = await take(storage)
    await storage.run(SweepDeliveries(NOW + 31 * SECOND))
    at = NOW + 60 * SECOND
    [found] = await storage.run(ClaimUnconfirmed("w:2", at, at, at + 30 * SECOND, 10, ("sms",)))
    while_looked_up = await late()
    await settle(storage, found.delivery, Outcome.RETRY, next_attempt_at=at, resend=True)
    while_queued = await late()
    [new] = await take(storage, at, lease="w:3")
    while_sent = await late()
    ours = await settle(storage, new, Outcome.SENT, external_id="SM1")
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))

    assert [while_looked_up, while_queued, while_sent] == [(False, True)] * 3
    assert ours
    assert composed.refused is None
