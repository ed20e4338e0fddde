"""What must hold when things happen at once, late, or after a person has spoken; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from channels.base import Consent, DeliveryStatus, Echo, Scope, Status
from gateway.storage import (
    ClaimTurns,
    ClaimUnconfirmed,
    Close,
    Compose,
    Incoming,
    OpenChannels,
    Outcome,
    Pause,
    Requeue,
    Resume,
    SettleDelivery,
    Storage,
    Takeover,
)
from tests.saying import said
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_deliveries import claim_deliveries, compose, report, settle, statuses, take
from tests.test_storage_turns import SECOND, claim, finish


@pytest.fixture(autouse=True)
async def opened(storage: Storage) -> None:
    """Give the channel its state."""
    await storage.run(OpenChannels(("sms",)))


async def bot_says(storage: Storage, text: str, external_id: str = "SM1") -> Any:
    """Let the bot answer a message; returns the claimed delivery."""
    await accept(storage, sms("+1555", external_id))
    [turn] = await claim(storage)
    await finish(storage, turn, text)
    [delivery] = await take(storage)
    return delivery


async def unconfirmed(storage: Storage) -> Any:
    """Claim the one unconfirmed delivery, long after."""
    later = NOW + 90 * SECOND
    [found] = await storage.run(ClaimUnconfirmed("w:9", later, later, later + 30 * SECOND, 10, ("sms",)))
    return found


# --- what a person has silenced --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["takeover", "close", "echo"])
async def test_a_bots_words_are_never_sent_again_after_a_person_came(storage: Storage, by: str) -> None:
    """Not by a retry, and not after the conversation was given back to the bot."""
    flying = await bot_says(storage, "bot")
    [conversation] = await storage.conversations()
    name = conversation.conversation_id
    if by == "takeover":
        await storage.run(Takeover(name, "ann", NOW))
    elif by == "close":
        await storage.run(Close(name, NOW))
    else:
        await accept(storage, Incoming("sms", "sms", Echo(US, "+1555", "E1", "from a person")))
    await storage.run(Resume(name, NOW))
    await settle(storage, flying, Outcome.RETRY, next_attempt_at=NOW)
    reason = "closed" if by == "close" else "taken_over"

    assert await take(storage) == []
    assert await statuses(storage) == [("bot", "cancelled", reason)]


async def test_an_unproven_word_of_the_bot_stays_unproven(storage: Storage) -> None:
    """The look-up found nothing after a person had come: it is a visible failure, not a resend."""
    flying = await bot_says(storage, "bot")
    await settle(storage, flying, Outcome.UNCONFIRMED)
    [conversation] = await storage.conversations()
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    await storage.run(Resume(conversation.conversation_id, NOW))
    found = await unconfirmed(storage)
    await settle(storage, found.delivery, Outcome.RETRY, next_attempt_at=NOW, resend=True)

    assert found.silenced
    assert await statuses(storage) == [("bot", "failed", "outcome_unknown")]


async def test_a_person_may_send_it_again_by_hand(storage: Storage) -> None:
    """What an operator takes out of the dead letters goes."""
    flying = await bot_says(storage, "bot")
    [conversation] = await storage.conversations()
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    await settle(storage, flying, Outcome.FAILED, error_code="x")
    await storage.run(Resume(conversation.conversation_id, NOW))
    await storage.run(Requeue((flying.id,), NOW))
    [again] = await take(storage)

    assert again.content.text == "bot"


# --- late reports ----------------------------------------------------------------------------------------------


async def test_a_report_on_an_earlier_attempt_does_not_fail_the_present_one(storage: Storage) -> None:
    """A duplicate of the old failure comes after the dead letter was requeued; proof of delivery counts always."""
    await compose(storage, "a")
    [first] = await take(storage)
    await settle(storage, first, Outcome.SENT, external_id="SM1")
    await report(storage, DeliveryStatus.FAILED, external_id="SM1", error_code="30008")
    await storage.run(Requeue((first.id,), NOW))
    await report(storage, DeliveryStatus.FAILED, external_id="SM1", delivery_id=first.id, error_code="30008")
    queued = await statuses(storage)
    [again] = await take(storage)
    await settle(storage, again, Outcome.SENT, external_id="SM2")
    await report(storage, DeliveryStatus.FAILED, external_id="SM1", delivery_id=first.id, error_code="30008")
    await report(storage, DeliveryStatus.DELIVERED, external_id="SM2")

    assert queued == [("a", "queued", None)]
    assert await statuses(storage) == [("a", "delivered", None)]


async def test_a_late_proof_lets_the_other_parts_go(storage: Storage) -> None:
    """Half an answer does not stay behind because the proof of its first part took its time."""
    await compose(storage, "a1", "a2")
    [first] = await take(storage)
    await settle(storage, first, Outcome.FAILED, error_code="outcome_unknown")
    before = await statuses(storage)
    told = await report(storage, DeliveryStatus.DELIVERED, external_id="SM1", delivery_id=first.id)
    [second] = await take(storage)

    assert before[1] == ("a2", "cancelled", "earlier_part_failed")
    assert told.deliveries_released
    assert second.content.text == "a2"


# --- consent and clocks ----------------------------------------------------------------------------------------


async def test_a_live_opt_out_wins_whatever_the_clocks_say(storage: Storage) -> None:
    """START was accepted by a process whose clock is ahead."""
    await accept(storage, sms("+1555", "M1", "STOP", consent=Consent.OPT_OUT))
    await accept(storage, sms("+1555", "M2", "START", consent=Consent.OPT_IN), at=NOW + 5 * SECOND)
    await accept(storage, sms("+1555", "M3", "STOP", consent=Consent.OPT_OUT), at=NOW + SECOND)
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))

    assert composed.refused == "opted_out"


async def test_an_old_refusal_does_not_lift_a_newer_start(storage: Storage) -> None:
    """A status that waited in a spool speaks of the time before."""
    await accept(storage, sms("+1555", "M0", "STOP", consent=Consent.OPT_OUT), at=NOW - 10 * SECOND)
    await accept(storage, sms("+1555", "M1", "START", consent=Consent.OPT_IN), at=NOW)
    await compose(storage, "a")
    [first] = await take(storage)
    await settle(storage, first, Outcome.SENT, external_id="SM1")
    failed = Status(US, DeliveryStatus.FAILED, "SM1", error_code="21610", opted_out=Scope.ALL)
    await accept(storage, Incoming("sms", "sms", failed), at=NOW - 5 * SECOND)
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))

    assert composed.refused is None


async def test_a_clock_that_is_set_back_does_not_stop_a_channel(storage: Storage) -> None:
    """A pace that lies an hour ahead cannot come from pacing."""
    await compose(storage, "a")
    [first] = await take(storage, NOW + timedelta(hours=1), rate=10.0)
    await settle(storage, first, Outcome.SENT)
    await compose(storage, "b", to="+1777")
    claimed = await claim_deliveries(storage, NOW, rate=10.0)

    assert [d.content.text for d in claimed.deliveries] == ["b"]


async def test_what_is_too_old_fails_without_holding_anything_up(storage: Storage) -> None:
    """After a long outage the fresh message probes the paused channel, not one of the expired."""
    for n in range(5):
        await compose(storage, f"old {n}", "and more", to=f"+1{n}")
    later = NOW + timedelta(hours=25)
    await storage.run(Compose("sms", "sms", "+1777", said("fresh"), later))
    [probe] = await take(storage, NOW, at_most=1)
    pause = Pause(NOW + SECOND, "unreachable")
    await settle(storage, probe, Outcome.RETRY, next_attempt_at=NOW, counts=False, channel_name="sms", pause=pause)
    found: list[str] = []
    for _ in range(20):
        claimed = await claim_deliveries(storage, later)
        found += [d.content.text for d in claimed.deliveries]
        if claimed.more_at != later:
            break

    assert found == ["fresh"]
    assert [d.error_code for d in await storage.dead_letters()] == ["expired"] * 5


async def test_a_claim_reads_no_more_than_it_takes(storage: Storage) -> None:
    """Each of several channels gives its first, and a conversation only its first."""
    await storage.run(OpenChannels(("sms",)))
    for n in range(30):
        await compose(storage, f"{n}a", f"{n}b", to=f"+1{n}")
    first = await take(storage, at_most=10)
    for delivery in first:
        await settle(storage, delivery, Outcome.SENT)
    second = await take(storage, at_most=100)

    assert [d.content.text for d in first] == [d.content.text for d in first if d.content.text.endswith("a")]
    assert len(first) == 10
    assert sorted(d.content.text for d in second) == sorted(
        [f"{n}a" for n in range(30) if f"{n}a" not in {d.content.text for d in first}]
        + [d.content.text.replace("a", "b") for d in first]
    )


async def test_an_opt_out_ends_the_turns_of_all_threads_of_an_address(storage: Storage) -> None:
    """Where one address has several threads, none of them is answered any more."""
    await accept(storage, sms("a@x", "M1", thread_key="t1"), sms("a@x", "M2", thread_key="t2"))
    await accept(storage, sms("a@x", "M3", "STOP", thread_key="t1", consent=Consent.OPT_OUT))
    turns = await claim(storage)

    assert [turn.messages for turn in turns if turn.messages] == []


async def test_settling_and_reporting_meet(storage: Storage) -> None:
    """Callbacks and the sends' own responses come at once; every delivery ends delivered."""
    for n in range(40):
        await compose(storage, f"{n}", to=f"+1{n}")
    taken = await take(storage, at_most=100)
    await asyncio.gather(
        *(storage.run(SettleDelivery(d.id, d.lease_owner, Outcome.SENT, NOW, f"SM{d.id}")) for d in taken),
        *(report(storage, DeliveryStatus.DELIVERED, external_id=f"SM{d.id}", delivery_id=d.id) for d in taken[::-1]),
    )

    assert {status for _, status, _ in await statuses(storage)} == {"delivered"}


async def test_a_turn_without_channels_claims_nothing(storage: Storage) -> None:
    """A process with no enabled channel works on nothing, and fails at nothing."""
    await accept(storage, sms("+1", "M1"))
    turns = await storage.run(ClaimTurns("serve:w", NOW, NOW + SECOND, 1, ()))
    found = await storage.run(ClaimUnconfirmed("w", NOW, NOW, NOW + SECOND, 1, ()))

    assert (turns, found) == ([], [])
