"""What a person writes in a conversation: it is theirs from then on, and the bot falls silent; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from channels.base import Consent, Preference
from channels.content import Content
from gateway.storage import (
    Answer,
    Claim,
    Close,
    Compose,
    Composed,
    FinishTurn,
    Handover,
    Incoming,
    OpenChannels,
    Outcome,
    Resume,
    Say,
    Storage,
    Takeover,
)
from gateway.storage.tables import Conversation, Delivery, Message
from tests.saying import said, words
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_deliveries import settle, statuses, take
from tests.test_storage_direct import begin
from tests.test_storage_effects import rows
from tests.test_storage_turns import SECOND, claim, finish

LATER = NOW + 5 * SECOND


@pytest.fixture
async def turn(storage: Storage) -> Claim:
    """Give the turn of a customer who has written."""
    await storage.run(OpenChannels(("sms",)))
    await accept(storage, sms("+1", "SM1"))
    [claimed] = await claim(storage)
    return claimed


async def say(storage: Storage, turn: Claim, text: str = "I am on it", author: str = "ann") -> Composed | None:
    """Let a person write."""
    return await storage.run(Say(turn.conversation_id, author, said(text), LATER))


async def conversation(storage: Storage, turn: Claim) -> Conversation:
    found = await storage.conversation(turn.conversation_id)
    assert found is not None
    return found


async def transcript(storage: Storage, turn: Claim) -> list[Message]:
    return list(await storage.messages(turn.id))


async def everything(storage: Storage) -> list[Any]:
    """Return all that a reply could change."""
    tables = ("chat_conversations", "conversation_messages", "deliveries")
    return [await rows(storage, f"SELECT * FROM {table} ORDER BY id") for table in tables]


async def test_a_reply_is_stored_and_delivered_as_a_persons(storage: Storage, turn: Claim) -> None:
    """It stands in the transcript under its author's name, and goes where the customer writes from."""
    composed = await storage.run(Say(turn.conversation_id, "ann", said("part one", "part two"), LATER))
    deliveries = await storage.deliveries()
    message = (await transcript(storage, turn))[-1]

    assert composed == Composed(turn.conversation_id, 2, tuple(d.id for d in deliveries))
    assert (message.role, message.content, message.sequence_number) == ("agent", "part one part two", 2)
    assert (message.meta, message.channel_name, message.timestamp) == ({"author": "ann"}, "sms", LATER)
    assert [(d.role, d.part, d.content, d.recipient, d.account, d.status) for d in deliveries] == [
        ("agent", 1, "part one", "+1", US, "queued"),
        ("agent", 2, "part two", "+1", US, "queued"),
    ]


async def test_a_reply_takes_the_conversation(storage: Storage, turn: Claim) -> None:
    """A turn under way writes nothing any more, and no other begins, whatever the customer writes next."""
    await say(storage, turn)
    late = await finish(storage, turn, "from the bot")
    await accept(storage, sms("+1", "SM2", "thank you"), at=LATER)
    row = await conversation(storage, turn)

    assert late is None
    assert row.fence > turn.fence
    assert (row.mode, row.assigned_to, row.handled_at, row.last_activity_at) == ("human", "ann", LATER, LATER)
    assert (row.due_at, row.lease_owner, row.total_messages, row.bot_messages) == (None, None, 3, 0)
    assert await claim(storage, LATER + 60 * SECOND) == []
    assert [m.role for m in await transcript(storage, turn)] == ["user", "agent", "user"]


async def test_a_reply_cancels_what_the_bot_has_not_sent(storage: Storage, turn: Claim) -> None:
    """What is on its way is not sent again; the person's own words, earlier ones too, go."""
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, said("bot 1", "bot 2")))
    [flying] = await take(storage)
    await say(storage, turn, "first")
    await say(storage, turn, "second")
    await settle(storage, flying, Outcome.RETRY, next_attempt_at=NOW)

    assert await statuses(storage) == [
        ("bot 1", "cancelled", "taken_over"),
        ("bot 2", "cancelled", "taken_over"),
        ("first", "queued", None),
        ("second", "queued", None),
    ]


async def test_files_and_what_else_is_shown_go_with_it(storage: Storage, turn: Claim) -> None:
    """The author stands beside what the content itself brings along."""
    content = Content("see here", ("https://example.com/a.png",), reply_to="SM1")
    await storage.run(Say(turn.conversation_id, "ann", Answer(content, (content,)), LATER))
    message = (await transcript(storage, turn))[-1]
    [delivery] = await storage.deliveries()

    assert message.meta == {"reply_to": "SM1", "author": "ann"}
    assert (message.has_attachments, message.attachment_urls) == (True, ["https://example.com/a.png"])
    assert delivery.attachment_urls == ["https://example.com/a.png"]


async def test_somebody_elses_conversation_is_not_talked_into(storage: Storage, turn: Claim) -> None:
    """Whoever has it is named, and nothing at all is changed."""
    await storage.run(Takeover(turn.conversation_id, "bob", NOW))
    before = await everything(storage)
    composed = await say(storage, turn)

    assert composed == Composed(None, None, refused="taken", held_by="bob")
    assert await everything(storage) == before


async def test_who_has_the_conversation_goes_on_in_it(storage: Storage, turn: Claim) -> None:
    """One's own, one that a person of the platform's app had, and one that was given back or closed can be taken."""
    await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    own = await say(storage, turn, "one")
    await storage.run(Resume(turn.conversation_id, NOW))
    given_back = await say(storage, turn, "two", author="bob")
    await storage.run(Close(turn.conversation_id, NOW))
    closed = await say(storage, turn, "three", author="bob")
    row = await conversation(storage, turn)

    assert [composed and composed.refused for composed in (own, given_back, closed)] == [None, None, None]
    assert (row.is_active, row.mode, row.assigned_to) == (True, "human", "bob")
    assert [m.content for m in await transcript(storage, turn)] == ["hi", "one", "two", "three"]


async def test_a_waiting_customer_is_answered(storage: Storage, turn: Claim) -> None:
    """What the bot has handed over is the person's with their first word."""
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, None, Handover("complaint", "words")))
    await say(storage, turn)
    row = await conversation(storage, turn)

    assert (row.mode, row.assigned_to, row.escalated) == ("human", "ann", True)


@pytest.mark.parametrize("state", ["with the bot", "with this person"])
async def test_who_wants_no_messages_gets_none(storage: Storage, turn: Claim, state: str) -> None:
    """Not from a person either; and whose the conversation is, and what waits in it, stays as it was."""
    if state == "with this person":
        await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    await accept(storage, sms("+1", "SM2", "STOP", consent=Consent.OPT_OUT))
    before = await everything(storage)
    composed = await say(storage, turn)

    assert composed == Composed(None, None, refused="opted_out")
    assert await everything(storage) == before


async def test_who_wants_no_advertising_is_answered(storage: Storage, turn: Claim) -> None:
    """A person's reply is an answer; what we begin is what they do not want."""
    await accept(storage, Incoming("sms", "sms", Preference(US, "+1", Consent.OPT_OUT)))
    begun = await storage.run(Compose("sms", "sms", "+1", said("news"), NOW))
    composed = await say(storage, turn)

    assert begun.refused == "opted_out"
    assert composed is not None
    assert composed.refused is None


@pytest.mark.parametrize("answer", [words("hello"), said("hello")], ids=["without parts", "with parts"])
async def test_without_a_channel_it_is_only_stored(storage: Storage, answer: Answer) -> None:
    """Whoever asks through the API reads it there."""
    begun = await begin(storage)
    assert begun.claim is not None
    composed = await storage.run(Say("visitor-1", "ann", answer, LATER))
    message = (await transcript(storage, begun.claim))[-1]

    assert composed == Composed("visitor-1", 2)
    assert (message.role, message.content, message.meta) == ("agent", "hello", {"author": "ann"})
    assert await storage.deliveries() == []
    assert await storage.run(FinishTurn(begun.claim.id, begun.claim.fence, NOW, words("late"))) is None


async def test_an_unknown_conversation_is_none(storage: Storage) -> None:
    """Nothing is made for it."""
    composed = await storage.run(Say("nobody", "ann", said("x"), NOW))

    assert composed is None
    assert await storage.conversations() == []


async def test_of_two_people_at_once_one_speaks(storage: Storage, turn: Claim, database_url: str) -> None:
    """Both press the button: the customer hears one of them, and the other is told who was faster."""
    async with Storage(database_url) as other:
        composed = await asyncio.gather(say(storage, turn, "from ann"), say(other, turn, "from bob", "bob"))
    said_by = (await conversation(storage, turn)).assigned_to
    spoken: Mapping[str | None, str] = {"ann": "from ann", "bob": "from bob"}
    deliveries: list[Delivery] = list(await storage.deliveries())

    assert sorted(c.held_by or "" for c in composed if c is not None) == ["", said_by]
    assert [d.content for d in deliveries] == [spoken[said_by]]


async def test_a_reply_and_the_bots_answer_do_not_both_speak(storage: Storage, database_url: str) -> None:
    """Whichever is first: if it was the bot's, its words are cancelled; if it was the person's, there are none."""
    await storage.run(OpenChannels(("sms",)))
    for n in range(10):
        await accept(storage, sms(f"+{n}", f"SM{n}"))
    turns = await claim(storage)
    async with Storage(database_url) as other:
        await asyncio.gather(
            *(finish(storage, turn, "bot") for turn in turns), *(say(other, turn, "person") for turn in turns)
        )
    queued = [(d.content, d.role) for d in await storage.deliveries(status="queued")]

    assert queued == [("person", "agent")] * 10
    assert {(row.mode, row.assigned_to) for row in await storage.conversations()} == {("human", "ann")}
