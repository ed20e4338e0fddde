"""Accepting events on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.base import Attachment, Consent, Echo, Inbound
from gateway.storage import Accept, Accepted, ClaimTurns, Compose, FinishTurn, Incoming, OpenChannels, Storage
from gateway.storage.arrivals import FETCH_AFTER
from tests.saying import said

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
US = "+15550100001"


def sms(sender: str, external_id: str, text: str = "hi", coalesce_s: float = 0.0, **more: Any) -> Incoming:
    """Build an inbound SMS."""
    event = Inbound(account=US, sender=sender, external_id=external_id, text=text, **more)
    return Incoming("sms", "sms", event, coalesce_s)


async def accept(storage: Storage, *events: Incoming, at: datetime = NOW) -> Accepted:
    """Accept events as one request."""
    return await storage.run(Accept(events, at))


async def numbers(storage: Storage) -> dict[str, list[int]]:
    """Return each address's sequence numbers in order."""
    found = {}
    for conversation in await storage.conversations():
        assert conversation.id is not None
        assert conversation.address is not None
        messages = await storage.messages(conversation.id)
        found[conversation.address] = [message.sequence_number for message in messages]
        assert conversation.total_messages == len(messages)
    return found


async def test_first_message_makes_conversation_contact_and_due_turn(storage: Storage) -> None:
    """A stranger's first message makes a contact and a conversation with a random id, and asks for a turn."""
    result = await accept(storage, sms("+1555", "SM1", "Hello", coalesce_s=1.0))
    [conversation] = await storage.conversations()

    assert (result.messages, result.duplicates) == (1, 0)
    assert result.due_at == NOW + timedelta(seconds=1)
    assert conversation.contact_id is not None
    assert "1555" not in conversation.conversation_id
    assert (conversation.channel, conversation.channel_name, conversation.user_phone) == ("sms", "sms", "+1555")
    assert (conversation.total_messages, conversation.user_messages, conversation.bot_messages) == (1, 1, 0)
    assert conversation.last_activity_at == NOW


async def test_redelivery_is_a_duplicate(storage: Storage) -> None:
    """The same external id again changes nothing, within a batch, a request, or later."""
    await accept(storage, sms("+1555", "SM1"), sms("+1555", "SM1"))
    again = await accept(storage, sms("+1555", "SM1"))

    assert (again.messages, again.duplicates, again.due_at) == (0, 1, None)
    assert await numbers(storage) == {"+1555": [1]}


async def test_gap_of_a_duplicate_is_closed(storage: Storage) -> None:
    """A duplicate in the middle of a request leaves no gap in the numbers."""
    await accept(storage, sms("+1555", "SM2"))
    result = await accept(storage, sms("+1555", "SM1", "a"), sms("+1555", "SM2"), sms("+1555", "SM3", "b"))
    [conversation] = await storage.conversations()
    messages = await storage.messages(conversation.id or 0)

    assert (result.messages, result.duplicates) == (2, 1)
    assert [(m.sequence_number, m.external_id) for m in messages] == [(1, "SM2"), (2, "SM1"), (3, "SM3")]
    assert conversation.user_messages == 3


async def test_concurrent_requests_number_without_gaps(storage: Storage) -> None:
    """Many requests at once, every one of them twice, over few conversations: all stored once, numbered 1..n."""
    requests = [sms(f"+1555{n % 7}", f"SM{n}") for n in range(140)] * 2
    results = await asyncio.gather(*(accept(storage, request) for request in requests))

    assert sum(result.messages for result in results) == 140
    assert sum(result.duplicates for result in results) == 140
    assert await numbers(storage) == {f"+1555{n}": list(range(1, 21)) for n in range(7)}


async def test_two_writers_share_conversations(storage: Storage, database_url: str) -> None:
    """Two processes' writers on PostgreSQL meet the same strangers at once and agree."""
    if storage.is_sqlite:
        return  # one process owns a SQLite file
    async with Storage(database_url) as other:
        await asyncio.gather(*(accept(s, sms(f"+1555{n % 5}", f"SM{n}")) for n in range(100) for s in (storage, other)))

    assert await numbers(storage) == {f"+1555{n}": list(range(1, 21)) for n in range(5)}


async def test_one_bad_operation_fails_alone(storage: Storage) -> None:
    """What the database refuses fails its own operation and nobody else's."""
    bad = Accept((Incoming("sms", "sms", Echo(US, "+1555", "E1", text="x", metadata={"n": float("nan")})),), NOW)
    good = [Accept((sms("+1556", f"SM{n}"),), NOW) for n in range(5)]
    results = await asyncio.gather(*(storage.run(op) for op in [good[0], bad, *good[1:]]), return_exceptions=True)

    assert isinstance(results[1], Exception)
    assert [r.messages for r in results if isinstance(r, Accepted)] == [1] * 5
    assert await numbers(storage) == {"+1556": [1, 2, 3, 4, 5]}


async def test_due_is_capped(storage: Storage) -> None:
    """Every message puts the turn off by the coalescing time, but not beyond five times it after the first."""
    dues = [
        (await accept(storage, sms("+1555", f"SM{n}", coalesce_s=2.0), at=NOW + timedelta(seconds=1.5 * n))).due_at
        for n in range(8)
    ]

    assert dues[0] == NOW + timedelta(seconds=2)
    assert dues[3] == NOW + timedelta(seconds=6.5)
    assert dues[7] == NOW + timedelta(seconds=10)


async def test_stop_cancels_and_start_lifts(storage: Storage) -> None:
    """STOP asks for no turn, cancels what waits, a person's words too, and fences a running turn; START lifts it."""
    await storage.run(OpenChannels(("sms",)))
    await accept(storage, sms("+1555", "SM1"))
    [claim] = await storage.run(ClaimTurns("w", NOW, NOW + timedelta(seconds=30), 10, ("sms",)))
    await storage.run(Compose("sms", "sms", "+1555", said("from a person"), NOW))
    stopped = await accept(storage, sms("+1555", "SM2", "STOP", consent=Consent.OPT_OUT))
    finished = await storage.run(FinishTurn(claim.id, claim.fence, NOW, said("late")))
    ignored = await accept(storage, sms("+1555", "SM3", "hello?"))
    refused = await storage.run(Compose("sms", "sms", "+1555", said("x"), NOW))
    started = await accept(storage, sms("+1555", "SM4", "START", consent=Consent.OPT_IN))
    welcome = await accept(storage, sms("+1555", "SM5", "back"))

    assert (stopped.due_at, finished, ignored.due_at, started.due_at) == (None, None, None, None)
    assert refused.refused == "opted_out"
    assert welcome.due_at == NOW
    assert [(d.status, d.error_code) for d in await storage.deliveries()] == [("cancelled", "opted_out")]


async def test_closed_conversation_reopens(storage: Storage) -> None:
    """A message on a closed conversation reopens it in mode bot."""
    from gateway.storage import Close, Takeover

    await accept(storage, sms("+1555", "SM1"))
    [conversation] = await storage.conversations()
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    silent = await accept(storage, sms("+1555", "SM2"))
    await storage.run(Close(conversation.conversation_id, NOW))
    result = await accept(storage, sms("+1555", "SM3"))
    [conversation] = await storage.conversations()

    assert silent.due_at is None
    assert result.due_at == NOW
    assert (conversation.is_active, conversation.mode, conversation.assigned_to) == (True, "bot", None)


async def test_echo_takes_over(storage: Storage) -> None:
    """A person's answer from the platform's own app is an agent's message and takes the conversation over."""
    await accept(storage, sms("+1555", "SM1"))
    await accept(storage, Incoming("sms", "sms", Echo(US, "+1555", "E1", text="I am on it")))
    [conversation] = await storage.conversations()
    roles = [message.role for message in await storage.messages(conversation.id or 0)]

    assert roles == ["user", "agent"]
    assert (conversation.mode, conversation.due_at) == ("human", None)


async def test_hostile_text_is_stored(storage: Storage) -> None:
    """What no database can hold is dropped from the text, what looks like it stays; the message is kept."""
    await accept(storage, sms("+1555", "SM1", "a\x00b \\u0000 \ud800 é 🙂", sender_name="\x00"))
    [conversation] = await storage.conversations()
    [message] = await storage.messages(conversation.id or 0)

    assert message.content == "ab \\u0000 ? é 🙂"


async def test_attachments_wait_to_be_fetched(storage: Storage) -> None:
    """Each attachment is a row that is due to be fetched once its turn has had the time, where its channel runs."""
    files = (Attachment("https://x.example/1", "image/png"), Attachment("https://x.example/2", "text/vcard", "a.vcf"))
    await accept(storage, sms("+1555", "MM1", "", attachments=files))
    pending = await storage.pending_attachments(NOW + FETCH_AFTER, ("sms",))
    too_early = await storage.pending_attachments(NOW, ("sms",))
    elsewhere = await storage.pending_attachments(NOW + FETCH_AFTER, ("other",))

    assert [(file.url, file.content_type, file.name, name) for file, name in pending] == [
        ("https://x.example/1", "image/png", None, "sms"),
        ("https://x.example/2", "text/vcard", "a.vcf", "sms"),
    ]
    assert (too_early, elsewhere) == ([], [])


async def test_yes_is_an_answer_where_nobody_opted_out(storage: Storage) -> None:
    """An opt-in word from somebody who never opted out is a message like any other, and gets its turn."""
    plain = await accept(storage, sms("+1555", "SM1", "YES", consent=Consent.OPT_IN))
    await accept(storage, sms("+1555", "SM2", "STOP", consent=Consent.OPT_OUT))
    lifting = await accept(storage, sms("+1555", "SM3", "YES", consent=Consent.OPT_IN))
    again = await accept(storage, sms("+1555", "SM4", "YES", consent=Consent.OPT_IN))

    assert (plain.due_at, lifting.due_at, again.due_at) == (NOW, None, NOW)


async def test_a_consent_word_that_was_found_late_changes_nothing(storage: Storage) -> None:
    """What a poll finds after the words that followed it is stored; a later STOP and a later START stay in force."""
    earlier = {"sent_at": NOW - timedelta(minutes=5)}
    await accept(storage, sms("+1555", "SM1", "STOP", consent=Consent.OPT_OUT))
    await accept(
        storage, sms("+1555", "SM2", "START", consent=Consent.OPT_IN, **earlier), at=NOW + timedelta(minutes=9)
    )
    after_stop = await accept(storage, sms("+1555", "SM3", "hello"), at=NOW + timedelta(minutes=10))
    await accept(storage, sms("+1555", "SM4", "START", consent=Consent.OPT_IN), at=NOW + timedelta(minutes=11))
    await accept(
        storage, sms("+1555", "SM5", "STOP", consent=Consent.OPT_OUT, **earlier), at=NOW + timedelta(minutes=12)
    )
    after_start = await accept(storage, sms("+1555", "SM6", "hello"), at=NOW + timedelta(minutes=13))

    assert after_stop.due_at is None
    assert after_start.due_at == NOW + timedelta(minutes=13)
    assert await numbers(storage) == {"+1555": [1, 2, 3, 4, 5, 6]}


async def test_a_replayed_consent_word_counts_from_when_it_came(storage: Storage) -> None:
    """A START that could not be read when it came does not lift the STOP that was written after it."""
    await accept(storage, sms("+1555", "SM1", "STOP", consent=Consent.OPT_OUT))
    start = sms("+1555", "SM2", "START", consent=Consent.OPT_IN)
    await storage.run(Accept((start,), NOW + timedelta(hours=1), said_at=NOW - timedelta(hours=1)))
    later = await accept(storage, sms("+1555", "SM3", "hello"), at=NOW + timedelta(hours=2))

    assert later.due_at is None
