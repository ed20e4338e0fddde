"""The turns of ``send_message`` on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.storage import (
    BeginDirectTurn,
    Begun,
    ConversationBelongsToChannel,
    FinishTurn,
    Handover,
    Resume,
    Storage,
    Takeover,
)
from tests.saying import words
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_turns import SECOND, claim


async def begin(storage: Storage, text: str = "hello", at: Any = NOW, key: str = "visitor-1", **facts: Any) -> Begun:
    """Begin a caller's turn."""
    return await storage.run(
        BeginDirectTurn(key, "website_chat", text, "direct:x", at, at + 30 * SECOND, facts, facts.pop("image", None))
    )


async def finish(storage: Storage, begun: Begun) -> None:
    """Finish it with an answer."""
    assert begun.claim is not None
    done = await storage.run(FinishTurn(begun.claim.id, begun.claim.fence, NOW, words("hi")))
    assert done is not None


async def test_message_and_claim_commit_together(storage: Storage) -> None:
    """The caller's message is stored and its turn claimed at once; workers never see it; nothing is delivered."""
    begun = await begin(storage, user_name="Ann", platform_metadata={"page": "/"})
    none = await claim(storage, NOW + 100 * SECOND)
    await finish(storage, begun)
    conversation = await storage.conversation("visitor-1")

    assert begun.claim is not None
    assert [message.content for message in begun.claim.messages] == ["hello"]
    assert none == []
    assert conversation is not None
    assert (conversation.channel, conversation.channel_name, conversation.user_name) == ("website_chat", None, "Ann")
    assert (conversation.total_messages, conversation.user_messages, conversation.bot_messages) == (2, 1, 1)
    assert await storage.deliveries() == []


async def test_second_call_is_busy_until_the_first_ends(storage: Storage) -> None:
    """While one call is answered, another stores nothing and asks again."""
    first = await begin(storage)
    busy = await begin(storage, "second")
    await finish(storage, first)
    second = await begin(storage, "second")

    assert (busy.busy, busy.claim) == (True, None)
    assert second.claim is not None
    assert second.claim.messages[0].sequence_number == 3


async def test_abandoned_call_is_answered_with_the_next(storage: Storage) -> None:
    """A caller that died leaves its message waiting; the next call, once the lease is over, answers both."""
    await begin(storage, "lost")
    second = await begin(storage, "found", at=NOW + 31 * SECOND)

    assert second.claim is not None
    assert [message.content for message in second.claim.messages] == ["lost", "found"]


async def test_arguments_fill_empty_columns_only(storage: Storage) -> None:
    """What is known is never overwritten."""
    await finish(storage, await begin(storage, user_name="Ann", lead_id=7))
    await finish(storage, await begin(storage, user_name="Bob", user_email="a@example.com", lead_id=8))
    conversation = await storage.conversation("visitor-1")

    assert conversation is not None
    assert (conversation.user_name, conversation.user_email, conversation.lead_id) == ("Ann", "a@example.com", 7)


async def test_person_keeps_the_conversation(storage: Storage) -> None:
    """In mode human the message is stored and no turn begins, until the bot is given it back."""
    await finish(storage, await begin(storage))
    await storage.run(Takeover("visitor-1", "ann", NOW))
    silent = await begin(storage, "anybody?")
    await storage.run(Resume("visitor-1", NOW))
    spoken = await begin(storage, "now?")

    assert (silent.claim, silent.mode, silent.total_messages) == (None, "human", 3)
    assert spoken.claim is not None
    assert [message.content for message in spoken.claim.messages] == ["anybody?", "now?"]


async def test_waiting_conversation_may_be_silent(storage: Storage) -> None:
    """In mode waiting with a silent bot the message is stored and waits, until the bot is given the conversation."""
    first = await begin(storage)
    assert first.claim is not None
    await storage.run(FinishTurn(first.claim.id, first.claim.fence, NOW, words("hi"), Handover("complaint", "words")))
    silent = await storage.run(
        BeginDirectTurn("visitor-1", "website_chat", "hello?", "direct:x", NOW, NOW + 30 * SECOND, {}, None, False)
    )
    await storage.run(Resume("visitor-1", NOW))
    spoken = await begin(storage, "now?")

    assert (silent.claim, silent.busy, silent.mode, silent.total_messages) == (None, False, "waiting", 3)
    assert spoken.claim is not None
    assert [message.content for message in spoken.claim.messages] == ["hello?", "now?"]


async def test_channel_conversation_is_refused(storage: Storage) -> None:
    """A conversation of a configured channel cannot be answered past its channel; others in the batch go on."""
    await accept(storage, sms("+1555", "SM1"))
    [conversation] = await storage.conversations()

    with pytest.raises(ConversationBelongsToChannel):
        await begin(storage, key=conversation.conversation_id)
    assert (await storage.conversation(conversation.conversation_id)).total_messages == 1  # type: ignore[union-attr]


async def test_image_waits_to_be_fetched(storage: Storage) -> None:
    """An image address becomes an attachment of the message."""
    begun = await begin(storage, image="https://example.com/a.png")

    assert begun.claim is not None
    [file] = begun.claim.messages[0].attachments
    assert (file.url, file.status) == ("https://example.com/a.png", "pending")
