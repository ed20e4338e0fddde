"""Claims, leases, fences and answers on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from channels.base import Consent, DeliveryStatus, Scope, Status
from gateway.storage import (
    Claim,
    ClaimTurns,
    Close,
    Compose,
    ExtendLease,
    FinishTurn,
    Handover,
    Incoming,
    JournalRound,
    ReleaseTurn,
    Resume,
    Storage,
    TakeLeases,
    Takeover,
)
from tests.saying import said
from tests.test_storage_accept import NOW, US, accept, sms

SECOND = timedelta(seconds=1)


async def claim(storage: Storage, at: datetime = NOW, limit: int = 10, owner: str = "serve:w") -> list[Claim]:
    """Claim what is due."""
    return await storage.run(ClaimTurns(owner, at, at + 30 * SECOND, limit, ("sms",)))


async def finish(storage: Storage, claimed: Claim, text: str = "answer", at: datetime = NOW):
    """Finish a turn with an answer of one part."""
    return await storage.run(FinishTurn(claimed.id, claimed.fence, at, said(text)))


async def test_waiting_messages_share_one_turn(storage: Storage) -> None:
    """With coalescing, one turn answers all that waits; the answer, its delivery and the counters commit together."""
    for n in range(3):
        await accept(storage, sms("+1555", f"SM{n}", f"m{n}", coalesce_s=1.0))
    early = await claim(storage)
    [turn] = await claim(storage, NOW + SECOND)
    finished = await finish(storage, turn, at=NOW + SECOND)
    [conversation] = await storage.conversations()
    [delivery] = await storage.deliveries()

    assert early == []
    assert [message.content for message in turn.messages] == ["m0", "m1", "m2"]
    assert finished is not None
    assert finished.due_at is None
    assert (conversation.answered_sequence, conversation.total_messages, conversation.bot_messages) == (3, 4, 1)
    assert (delivery.recipient, delivery.account, delivery.content, delivery.part) == (
        "+1555",
        "+15550100001",
        "answer",
        1,
    )


async def test_every_message_its_own_turn_without_coalescing(storage: Storage) -> None:
    """With coalesce_s 0 messages are answered one by one, in order."""
    for n in range(3):
        await accept(storage, sms("+1555", f"SM{n}", f"m{n}"))
    answered = []
    for _ in range(3):
        [turn] = await claim(storage)
        assert await claim(storage) == []
        answered.append([message.content for message in turn.messages])
        await finish(storage, turn, f"to {turn.messages[0].content}")

    assert answered == [["m0"], ["m1"], ["m2"]]
    assert await claim(storage) == []
    assert [d.content for d in await storage.deliveries()] == ["to m0", "to m1", "to m2"]


async def test_message_during_a_turn_waits_for_the_next(storage: Storage) -> None:
    """What arrives during a turn is not part of it, and the conversation stays due."""
    await accept(storage, sms("+1555", "SM1", "first", coalesce_s=1.0))
    [turn] = await claim(storage, NOW + SECOND)
    await accept(storage, sms("+1555", "SM2", "second", coalesce_s=1.0), at=NOW + 2 * SECOND)
    finished = await finish(storage, turn, at=NOW + 2 * SECOND)
    [again] = await claim(storage, NOW + 3 * SECOND)
    [conversation] = await storage.conversations()
    messages = await storage.messages(conversation.id or 0)

    assert finished is not None
    assert finished.due_at == NOW + 3 * SECOND
    assert [message.content for message in again.messages] == ["second"]
    assert [(m.role, m.answers_sequence) for m in messages] == [("user", None), ("user", None), ("assistant", 1)]


async def test_resumed_turn_answers_exactly_its_input(storage: Storage) -> None:
    """A turn that is claimed again after its worker died answers the same messages, whatever arrived since."""
    await accept(storage, sms("+1555", "SM1", "first", coalesce_s=1.0))
    [lost] = await claim(storage, NOW + SECOND)
    await accept(storage, sms("+1555", "SM2", "second", coalesce_s=1.0), at=NOW + 2 * SECOND)
    none = await claim(storage, NOW + 20 * SECOND)
    [resumed] = await claim(storage, NOW + 32 * SECOND, owner="other")
    late = await finish(storage, lost, "from the dead")
    done = await finish(storage, resumed, "once")

    assert none == []
    assert [message.content for message in resumed.messages] == ["first"]
    assert resumed.attempts == 2
    assert late is None
    assert done is not None
    assert [d.content for d in await storage.deliveries()] == ["once"]


async def test_heartbeat_keeps_a_turn(storage: Storage) -> None:
    """An extended lease is not claimed by others; a fenced one cannot be extended."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    alive = await storage.run(ExtendLease(turn.id, turn.fence, NOW + 60 * SECOND))
    none = await claim(storage, NOW + 40 * SECOND)
    [taken] = await claim(storage, NOW + 61 * SECOND)
    dead = await storage.run(ExtendLease(turn.id, turn.fence, NOW + 99 * SECOND))

    assert (alive, none, dead) == (True, [], False)
    assert taken.fence > turn.fence


async def test_fence_guards_every_write(storage: Storage) -> None:
    """A takeover fences the running turn: no round, no answer, no release of it is written."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    speaker = await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    second = await storage.run(Takeover(turn.conversation_id, "bob", NOW))
    journal = await storage.run(JournalRound(turn.id, turn.fence, 1, 0, {"x": 1}, None, 1, 1, NOW))
    finished = await finish(storage, turn)
    released = await storage.run(ReleaseTurn(turn.id, turn.fence, NOW))

    assert speaker is not None
    assert second is not None
    assert (speaker.changed, second.changed, second.assigned_to) == (True, False, "ann")
    assert (journal, finished, released) == (False, None, False)
    assert await storage.rounds(turn.id, after=0, up_to=1) == []
    assert await storage.deliveries() == []


async def test_resume_answers_what_nobody_answered(storage: Storage) -> None:
    """After a takeover without an answer, resume makes the waiting message due; the automatic return does not."""
    await accept(storage, sms("+1555", "SM1", "waiting"))
    [conversation] = await storage.conversations()
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    assert await claim(storage) == []
    resumed = await storage.run(Resume(conversation.conversation_id, NOW))
    [turn] = await claim(storage)
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    returned = await storage.run(Resume(conversation.conversation_id, NOW, answer_waiting=False))

    assert resumed is not None
    assert returned is not None
    assert (resumed.mode, resumed.due_at, returned.due_at) == ("bot", NOW, None)
    assert [message.content for message in turn.messages] == ["waiting"]
    assert await claim(storage) == []


async def test_release_brings_the_turn_back(storage: Storage) -> None:
    """A released turn is due again with the same input; a shutdown uses up no attempt."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    await storage.run(ReleaseTurn(turn.id, turn.fence, NOW + SECOND, count_attempt=False))
    none = await claim(storage)
    [again] = await claim(storage, NOW + SECOND)

    assert none == []
    assert (again.attempts, again.input_sequence) == (1, turn.input_sequence)


async def test_process_that_owns_the_database_takes_all_leases(storage: Storage) -> None:
    """At the start of the only process no lease is waited for."""
    await accept(storage, sms("+1555", "SM1"))
    [lost] = await claim(storage)
    await storage.run(TakeLeases(NOW))
    [turn] = await claim(storage, owner="new")

    assert turn.fence > lost.fence
    assert await finish(storage, lost) is None


async def test_round_is_journalled_once(storage: Storage) -> None:
    """A round is kept under its turn and number, and read back in order."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    for n in (0, 1, 1):
        await storage.run(JournalRound(turn.id, turn.fence, turn.input_sequence, n, {"n": n}, "req", 5, 7, NOW))
    rounds = await storage.rounds(turn.id, after=0, up_to=turn.input_sequence)

    assert [(r.round, r.response) for r in rounds] == [(0, {"n": 0}), (1, {"n": 1})]


async def test_finish_without_answer_and_escalation(storage: Storage) -> None:
    """A turn may end without words; the reason marks the conversation for a person."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    finished = await storage.run(
        FinishTurn(turn.id, turn.fence, NOW, None, Handover("ai_confidence_low", "rule:fallback"))
    )
    [conversation] = await storage.conversations()

    assert finished is not None
    assert (finished.mode, conversation.escalated, conversation.escalated_at) == ("waiting", True, NOW)
    assert (conversation.total_messages, conversation.answered_sequence, conversation.bot_messages) == (1, 1, 0)


async def test_close_stops_a_turn(storage: Storage) -> None:
    """Closing fences a running turn and asks for no other."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    await storage.run(Close(turn.conversation_id, NOW))

    assert await finish(storage, turn) is None
    assert await claim(storage, NOW + 60 * SECOND) == []


async def test_claims_of_two_processes_do_not_overlap(storage: Storage, database_url: str) -> None:
    """Two claimers at once never get the same conversation, and together get all of them."""
    for n in range(40):
        await accept(storage, sms(f"+1555{n}", f"SM{n}"))
    async with Storage(database_url) as other:
        claims = await asyncio.gather(*(claim(s, limit=7, owner=f"w{n}") for n in range(6) for s in (storage, other)))
    ids = [turn.id for claimed in claims for turn in claimed]

    assert len(ids) == len(set(ids)) == 40


async def test_what_is_finished_cannot_be_given_back(storage: Storage) -> None:
    """A shutdown that crosses a committed answer changes nothing any more."""
    await accept(storage, sms("+1555", "SM1"))
    [turn] = await claim(storage)
    await finish(storage, turn, "hello")
    released = await storage.run(ReleaseTurn(turn.id, turn.fence, NOW, count_attempt=False))
    [conversation] = await storage.conversations()

    assert not released
    assert (conversation.turn_attempts, conversation.due_at) == (0, None)


async def test_a_worker_that_lost_its_turn_journals_no_round(storage: Storage) -> None:
    """Rounds of a turn that another worker has claimed again are refused, also in one transaction with that one's."""
    await accept(storage, sms("+1555", "SM1"))
    [lost] = await claim(storage)
    [turn] = await claim(storage, NOW + 31 * SECOND, owner="other")
    writes = [
        JournalRound(c.id, c.fence, c.input_sequence, n, {"fence": c.fence}, "req", 5, 7, NOW)
        for n in range(10)
        for c in (lost, turn)
    ]
    kept = await asyncio.gather(*(storage.run(write) for write in writes))
    rounds = await storage.rounds(turn.id, after=0, up_to=turn.input_sequence)

    assert turn.input_sequence == lost.input_sequence
    assert kept == [False, True] * 10
    assert [(r.round, r.response) for r in rounds] == [(n, {"fence": turn.fence}) for n in range(10)]


@pytest.mark.parametrize("told_by", ["the customer", "the platform"])
async def test_opt_out_ends_the_running_turn(storage: Storage, told_by: str) -> None:
    """A turn from before an opt-out writes nothing after it, and after an opt-in nothing waits for its lease."""
    composed = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))
    await accept(storage, sms("+1555", "SM1"))
    [lost] = await claim(storage)
    if told_by == "the customer":
        await accept(storage, sms("+1555", "SM2", "STOP", consent=Consent.OPT_OUT))
    else:
        failed = Status(US, DeliveryStatus.FAILED, delivery_id=composed.delivery_ids[0], opted_out=Scope.ALL)
        await accept(storage, Incoming("sms", "sms", failed))
    [stopped] = await storage.conversations()
    alive = await storage.run(ExtendLease(lost.id, lost.fence, NOW + 60 * SECOND))
    released = await storage.run(ReleaseTurn(lost.id, lost.fence, NOW))
    finished = await finish(storage, lost)
    await accept(storage, sms("+1555", "SM3", "START", consent=Consent.OPT_IN))
    await accept(storage, sms("+1555", "SM4", "back"))
    [turn] = await claim(storage, owner="other")
    late = await finish(storage, lost)

    assert (stopped.lease_owner, stopped.lease_expires_at, stopped.due_at) == (None, None, None)
    assert stopped.fence > lost.fence
    assert (alive, released, finished, late) == (False, False, None, None)
    assert [message.content for message in turn.messages] == ["back"]
    assert await finish(storage, turn) is not None


async def test_what_is_written_while_opted_out_is_no_later_turns_input(storage: Storage) -> None:
    """It is on record and waits for nothing: after the opt-in only what comes then is answered."""
    await accept(storage, sms("+1555", "SM1", "STOP", consent=Consent.OPT_OUT))
    await accept(storage, sms("+1555", "SM2", "Anybody?"))
    silent = await claim(storage)
    await accept(storage, sms("+1555", "SM3", "START", consent=Consent.OPT_IN))
    await accept(storage, sms("+1555", "SM4", "back"))
    [turn] = await claim(storage)

    assert silent == []
    assert [message.content for message in turn.messages] == ["back"]
