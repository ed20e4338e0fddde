"""What mail asks of the storage, on both databases: threads by clues, ids that lie, robots, dead addresses, files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channels.base import Attachment, Clue, ClueKind, Consent, DeliveryStatus, Inbound, Status
from gateway.storage import (
    Accept,
    Accepted,
    ClaimDeliveries,
    ClaimedDelivery,
    ClaimTurns,
    Compose,
    Delivery,
    FinishTurn,
    Incoming,
    KeepPrepared,
    KeptFile,
    OpenChannels,
    Outcome,
    Pace,
    ReadAnswered,
    Requeue,
    Say,
    SettleDelivery,
    Storage,
    Takeover,
)
from gateway.storage.tables import ORIGINAL
from tests.saying import said
from tests.test_inbox import refuse
from tests.test_storage_accept import NOW

US = "help@example.com"
CUSTOMER = "customer@example.org"
STRANGER = "stranger@example.net"
HOUR = timedelta(hours=1)


def mail(external_id: str, text: str = "hi", *, sender: str = CUSTOMER, **more: Any) -> Incoming:
    """Build a mail that continues nothing, unless it is said."""
    fields: dict[str, Any] = {"thread_key": f"mail:{external_id}", "known_as": (name_of(external_id, sender),), **more}
    event = Inbound(account=US, sender=sender, external_id=external_id, text=text, **fields)
    return Incoming("support", "email", event, 0.0)


def name_of(external_id: str, sender: str = CUSTOMER) -> str:
    """Return what a message is known as; the real ones are hashed."""
    return f"m:{sender}:{external_id}"


def answers(external_id: str, sender: str = CUSTOMER) -> Clue:
    """Build a reference to a message."""
    return Clue(ClueKind.MESSAGE, name_of(external_id, sender))


async def accept(storage: Storage, *events: Incoming, at: Any = NOW) -> Accepted:
    """Accept mail as one request."""
    return await storage.run(Accept(events, at))


async def threads(storage: Storage) -> list[list[str]]:
    """Return the ids of each conversation's messages, oldest conversation first."""
    rows = sorted(await storage.conversations(), key=lambda row: row.id or 0)
    return [[m.external_id or "" for m in await storage.messages(row.id or 0)] for row in rows]


# --- threads ---


async def test_mail_that_continues_nothing_is_a_conversation_of_its_own(storage: Storage) -> None:
    """One person has several; they share a contact, because they share the address."""
    await accept(storage, mail("a"), mail("b"))
    rows = await storage.conversations()

    assert await threads(storage) == [["a"], ["b"]]
    assert len({row.contact_id for row in rows}) == 1
    assert {row.user_email for row in rows} == {CUSTOMER}


async def test_a_reference_leads_to_its_thread_also_within_one_batch(storage: Storage) -> None:
    """To any message of the thread, in the same request or days later."""
    await accept(storage, mail("a"), mail("b", clues=(answers("a"),)))
    await accept(storage, mail("c", clues=(answers("unknown"), answers("b"))), at=NOW + timedelta(days=30))

    assert await threads(storage) == [["a", "b", "c"]]


async def test_two_mails_with_one_unknown_ancestor_are_one_thread(storage: Storage) -> None:
    """What both refer to was never seen here: the first one is known by it, too."""
    both = name_of("ancestor")
    clue = Clue(ClueKind.MESSAGE, both)
    await accept(storage, mail("a", clues=(clue,), known_as=(name_of("a"), both)))
    await accept(storage, mail("b", clues=(clue,), known_as=(name_of("b"), both)))

    assert await threads(storage) == [["a", "b"]]


async def test_what_is_refused_beside_a_thread_does_not_tear_it(storage: Storage, database_url: str) -> None:
    """Its mails, each of which refers to the one before, are taken one after the other then too."""
    await refuse(database_url, "conversation_messages", "NEW.content = 'poison'")
    chain = [mail("0"), *(mail(str(n), clues=(answers(str(n - 1)),)) for n in range(1, 6))]
    told = [*chain[:3], mail("x", "poison", sender=STRANGER), *chain[3:]]
    outcomes = await asyncio.gather(*(accept(storage, one) for one in told), return_exceptions=True)

    assert [isinstance(outcome, Exception) for outcome in outcomes] == [False] * 3 + [True] + [False] * 3
    assert await threads(storage) == [["0", "1", "2", "3", "4", "5"]]


async def bot_says(storage: Storage, *parts: str) -> Delivery:
    """Let the bot answer what waits."""
    [turn] = await storage.run(ClaimTurns("serve:a", NOW, NOW + HOUR, 1, ("support",)))
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, said(*(parts or ("An answer.",)))))
    return (await storage.deliveries(conversation_id=turn.id))[-1]


async def answer_to(storage: Storage, external_id: str = "a") -> Delivery:
    """Let a customer write, and the bot answer."""
    await accept(storage, mail(external_id))
    return await bot_says(storage)


async def test_our_own_reference_leads_to_the_conversation_that_it_was_sent_in(storage: Storage) -> None:
    """The surest clue counts, whatever the others say."""
    delivery = await answer_to(storage)
    await accept(storage, mail("other"))
    clues = (Clue(ClueKind.DELIVERY, delivery.id), answers("other"))
    await accept(storage, mail("b", clues=clues))

    assert await threads(storage) == [["a", "", "b"], ["other"]]


async def test_a_strangers_copy_of_our_reference_leads_nowhere(storage: Storage) -> None:
    """It begins a conversation of the stranger's own, which says what it claimed."""
    delivery = await answer_to(storage)
    await accept(storage, mail("x", sender=STRANGER, clues=(Clue(ClueKind.DELIVERY, delivery.id),)))
    [row] = [row for row in await storage.conversations() if row.address == STRANGER]
    [message] = await storage.messages(row.id or 0)

    assert await threads(storage) == [["a", ""], ["x"]]
    assert (message.meta or {})["out_of_place"] is True


async def test_a_subject_leads_to_a_conversation_only_while_it_is_recent(storage: Storage) -> None:
    """Seven days after its last message the same subject begins another one, which then has the subject."""
    subject = Clue(ClueKind.SUBJECT, "s:roof")
    known = {"clues": (subject,)}
    for external_id, days in (("a", 0), ("b", 6), ("c", 12), ("d", 20), ("e", 21)):
        names = (name_of(external_id), "s:roof")
        await accept(storage, mail(external_id, known_as=names, **known), at=NOW + timedelta(days=days))

    assert await threads(storage) == [["a", "b", "c"], ["d", "e"]]


async def test_a_name_stays_with_its_recent_conversation(storage: Storage) -> None:
    """Somebody who only uses the customer's address, and claims their words, takes no thread over."""
    await accept(storage, mail("a"))
    await accept(storage, mail("x", known_as=(name_of("x"), name_of("a"))))
    await accept(storage, mail("b", clues=(answers("a"),)))

    assert await threads(storage) == [["a", "b"], ["x"]]


async def test_what_we_begin_is_continued(storage: Storage) -> None:
    """A conversation that we began has no message of theirs to refer to, but a delivery of ours."""
    await storage.run(OpenChannels(("support",)))
    await storage.run(Compose("support", "email", CUSTOMER, said("Your roof is done."), NOW))
    [delivery] = await storage.deliveries()
    await accept(storage, mail("a", clues=(Clue(ClueKind.DELIVERY, delivery.id),)))

    assert await threads(storage) == [["", "a"]]


# --- ids that lie ---


async def test_another_text_under_a_known_id_is_another_message(storage: Storage) -> None:
    """Some programs give all their mail one Message-ID: a customer's mail is not lost for that."""
    await accept(storage, mail("a", "one", fingerprint="f1"))
    told = [
        await accept(storage, mail("a", "two", fingerprint="f2")),
        await accept(storage, mail("a", "one", fingerprint="f1")),
        await accept(storage, mail("a", "two", fingerprint="f2")),
    ]
    messages = [m.content for row in await storage.conversations() for m in await storage.messages(row.id or 0)]

    assert [(one.messages, one.duplicates) for one in told] == [(1, 0), (0, 1), (0, 1)]
    assert sorted(messages) == ["one", "two"]


async def test_several_texts_under_one_id_in_one_batch_are_numbered_without_gaps(storage: Storage) -> None:
    """Between others of the same thread, in the order in which they came, and each once."""
    thread: dict[str, Any] = {"thread_key": "mail:t"}
    batch = [
        mail("z", "first", fingerprint="f0", **thread),
        mail("a", "one", fingerprint="f1", **thread),
        mail("a", "two", fingerprint="f2", **thread),
        mail("a", "two", fingerprint="f2", **thread),
        mail("b", "last", fingerprint="f3", **thread),
    ]
    first = await accept(storage, *batch)
    again = await accept(storage, *batch, mail("c", "new", fingerprint="f4", **thread))
    [row] = await storage.conversations()
    messages = await storage.messages(row.id or 0)

    assert (first.messages, first.duplicates) == (4, 1)
    assert (again.messages, again.duplicates) == (1, 5)
    assert [(m.sequence_number, m.content) for m in messages] == [
        (1, "first"),
        (2, "one"),
        (3, "two"),
        (4, "last"),
        (5, "new"),
    ]


# --- robots ---


async def test_an_answering_machine_is_recorded_and_wakes_nobody(storage: Storage) -> None:
    """It asks for no turn, opens nothing again, gives no consent, and does not count as the customer's last word."""
    await accept(storage, mail("a", thread_key="mail:t"))
    [row] = await storage.conversations()
    robot = mail("b", "STOP", thread_key="mail:t", automatic="auto_submitted")
    result = await accept(storage, robot, at=NOW + HOUR)
    [after] = await storage.conversations()
    [_, message] = await storage.messages(row.id or 0)

    assert (result.messages, result.due_at) == (1, None)
    assert after.customer_wrote_at == row.customer_wrote_at
    assert (after.last_user_sequence, after.total_messages) == (1, 2)
    assert ((message.meta or {})["automatic"], message.asks) == ("auto_submitted", False)


# --- addresses that take nothing ---


async def open_deliveries(storage: Storage) -> list[tuple[str, str, str | None]]:
    """Return each delivery's text, status and error."""
    return [(d.content, d.status, d.error_code) for d in await storage.deliveries()]


async def test_a_bounce_fails_what_waits_for_its_address_until_somebody_writes_from_there(storage: Storage) -> None:
    """The mail that came back has failed, and those behind it, in every conversation of the address."""
    await storage.run(OpenChannels(("support",)))
    first = await answer_to(storage, "a")
    await answer_to(storage, "b")
    claimed = await storage.run(claim())
    sent = next(d for d in claimed.deliveries if d.id == first.id)
    await storage.run(SettleDelivery(sent.id, sent.lease_owner, Outcome.SENT, NOW, external_id="<d1>"))
    for other in claimed.deliveries:
        if other.id != first.id:
            await storage.run(
                SettleDelivery(other.id, other.lease_owner, Outcome.RETRY, NOW, next_attempt_at=NOW + HOUR)
            )
    bounce = Status(
        US, DeliveryStatus.FAILED, delivery_id=first.id, error_code="5.1.1", undeliverable=True, error_message="gone"
    )
    await accept(storage, Incoming("support", "email", bounce))
    bounced = await open_deliveries(storage)
    await answer_to(storage, "c")
    again = await open_deliveries(storage)

    assert bounced == [("An answer.", "failed", "5.1.1"), ("An answer.", "failed", "undeliverable")]
    assert again[-1] == ("An answer.", "queued", None)


async def test_what_is_queued_for_a_dead_address_fails_when_it_is_claimed(storage: Storage) -> None:
    """A refusal of the recipient says the same as a bounce."""
    await storage.run(OpenChannels(("support",)))
    await answer_to(storage, "a")
    [sent] = (await storage.run(claim())).deliveries
    refusal = SettleDelivery(sent.id, sent.lease_owner, Outcome.FAILED, NOW, error_code="550", undeliverable=True)
    await storage.run(refusal)
    [row] = await storage.conversations()
    await storage.run(Say(row.conversation_id, "operator", said("Another one."), NOW))
    claimed = await storage.run(claim())

    assert claimed.deliveries == ()
    assert await open_deliveries(storage) == [
        ("An answer.", "failed", "550"),
        ("Another one.", "failed", "undeliverable"),
    ]


async def test_what_a_person_sends_again_is_sent_although_its_address_was_dead(storage: Storage) -> None:
    """They may know that the mailbox is back; what others write to it goes as well, until it refuses again."""
    await storage.run(OpenChannels(("support",)))
    await answer_to(storage, "a")
    [sent] = (await storage.run(claim())).deliveries
    refusal = SettleDelivery(sent.id, sent.lease_owner, Outcome.FAILED, NOW, error_code="550", undeliverable=True)
    await storage.run(refusal)
    requeued = await storage.run(Requeue((sent.id,), NOW))
    [again] = (await storage.run(claim("serve:b"))).deliveries
    await storage.run(SettleDelivery(again.id, again.lease_owner, Outcome.SENT, NOW, external_id="<d1>"))
    [row] = await storage.conversations()
    await storage.run(Say(row.conversation_id, "operator", said("Another one."), NOW))
    [other] = (await storage.run(claim())).deliveries

    assert requeued == [again.id] == [sent.id]
    assert other.content.text == "Another one."


def claim(owner: str = "serve:a") -> ClaimDeliveries:
    """Take what is due."""
    return ClaimDeliveries(owner, NOW + HOUR / 60, NOW + HOUR, (Pace("support", 1000.0),), 10, NOW - 24 * HOUR)


# --- what is built once ---


async def test_the_same_bytes_are_there_for_every_attempt(storage: Storage) -> None:
    """Kept before the first attempt by whoever has the lease, given to the next, and gone when it is sent."""
    await storage.run(OpenChannels(("support",)))
    await answer_to(storage, "a")
    [first] = (await storage.run(claim())).deliveries
    kept = [
        await storage.run(KeepPrepared(first.id, "serve:somebody else", b"theirs")),
        await storage.run(KeepPrepared(first.id, first.lease_owner, b"\x00ours\xff")),
    ]
    await storage.run(SettleDelivery(first.id, first.lease_owner, Outcome.RETRY, NOW, next_attempt_at=NOW))
    [second] = (await storage.run(claim("serve:b"))).deliveries
    await storage.run(SettleDelivery(second.id, second.lease_owner, Outcome.SENT, NOW, external_id="<d1>"))
    [row] = await storage.deliveries()

    assert kept == [False, True]
    assert (first.prepared, second.prepared, row.prepared) == (None, b"\x00ours\xff", None)


async def try_in_vain(storage: Storage) -> ClaimedDelivery:
    """Let the next delivery be built and kept, and be queued again."""
    [delivery] = (await storage.run(claim())).deliveries
    await storage.run(KeepPrepared(delivery.id, delivery.lease_owner, b"built"))
    await storage.run(SettleDelivery(delivery.id, delivery.lease_owner, Outcome.RETRY, NOW, next_attempt_at=NOW))
    return delivery


async def they_opt_out(storage: Storage, _: ClaimedDelivery) -> None:
    """Say STOP while it is queued."""
    await accept(storage, mail("stop", "STOP", thread_key="mail:a", consent=Consent.OPT_OUT))


async def somebody_takes_over(storage: Storage, _: ClaimedDelivery) -> None:
    """Silence the bot while it is queued."""
    [row] = await storage.conversations()
    await storage.run(Takeover(row.conversation_id, "operator", NOW))


async def somebody_takes_over_meanwhile(storage: Storage, _: ClaimedDelivery) -> None:
    """Silence the bot while it is on its way, which comes to nothing."""
    [delivery] = (await storage.run(claim())).deliveries
    [row] = await storage.conversations()
    await storage.run(Takeover(row.conversation_id, "operator", NOW))
    await storage.run(SettleDelivery(delivery.id, delivery.lease_owner, Outcome.RETRY, NOW, next_attempt_at=NOW))


async def its_time_is_over(storage: Storage, _: ClaimedDelivery) -> None:
    """Find it too old when it is claimed."""
    await storage.run(replace(claim(), expired_before=NOW + HOUR))


async def a_report_is_faster(storage: Storage, delivery: ClaimedDelivery) -> None:
    """Hear that it arrived before the call comes back."""
    await storage.run(claim())
    status = Status(US, DeliveryStatus.DELIVERED, delivery_id=delivery.id)
    await accept(storage, Incoming("support", "email", status))


async def an_earlier_part_fails(storage: Storage, delivery: ClaimedDelivery) -> None:
    """Hear that the part before it came back."""
    [before, _] = sorted(await storage.deliveries(), key=lambda row: row.part)
    status = Status(US, DeliveryStatus.FAILED, delivery_id=before.id, error_code="5.0.0")
    await accept(storage, Incoming("support", "email", status))


ENDINGS = {
    they_opt_out: "cancelled",
    somebody_takes_over: "cancelled",
    somebody_takes_over_meanwhile: "cancelled",
    its_time_is_over: "failed",
    a_report_is_faster: "delivered",
    an_earlier_part_fails: "cancelled",
}


@pytest.mark.parametrize(("end", "status"), ENDINGS.items(), ids=[end.__name__ for end in ENDINGS])
async def test_what_was_built_for_a_delivery_ends_with_it(storage: Storage, end: Any, status: str) -> None:
    """However that is: nobody needs the bytes of a mail that will not be sent again."""
    await storage.run(OpenChannels(("support",)))
    await accept(storage, mail("a"))
    await bot_says(storage, "One.", "Two.")
    [first] = (await storage.run(claim())).deliveries
    await storage.run(SettleDelivery(first.id, first.lease_owner, Outcome.SENT, NOW, external_id="<d1>"))
    delivery = await try_in_vain(storage)
    [kept] = [row.prepared for row in await storage.deliveries() if row.id == delivery.id]
    await end(storage, delivery)
    [row] = [row for row in await storage.deliveries() if row.id == delivery.id]

    assert kept == b"built"
    assert (row.status, row.prepared) == (status, None)


async def test_a_delivery_knows_the_message_that_it_answers(storage: Storage) -> None:
    """The bot's answers what its turn answered, whatever came later; robots and our own words are none of it."""
    await storage.run(OpenChannels(("support",)))
    sent_at = NOW - HOUR
    await accept(storage, mail("a", "Is it open?", thread_key="t", sent_at=sent_at, metadata={"subject": "Roof"}))
    await accept(storage, mail("r", "away", thread_key="t", automatic="auto_submitted"))
    delivery = await bot_says(storage, "It is.")
    await accept(storage, mail("b", "Thanks!", thread_key="t"))
    answered = await storage.run(ReadAnswered(delivery.id))
    nothing = await storage.run(ReadAnswered("00000000-0000-0000-0000-000000000000"))

    assert answered is not None
    assert (answered.external_id, answered.text, answered.sent_at) == ("a", "Is it open?", sent_at)
    assert answered.metadata["subject"] == "Roof"
    assert nothing is None


# --- files that came along ---


async def test_files_that_came_along_are_stored_and_the_original_is_for_people_only(storage: Storage) -> None:
    """The others are fetched as ever; a prompt's message has no original."""
    event = mail("a").event
    assert isinstance(event, Inbound)
    files = (
        KeptFile(0, "mid:a/1", "image/png", "roof.png", "aa" * 32, 10),
        KeptFile(ORIGINAL, "mid:a", "message/rfc822", "original.eml", "bb" * 32, 1000),
    )
    attached = (Attachment("mid:a/1", "image/png", "roof.png"), Attachment("https://example.com/x", "image/gif"))
    await accept(storage, Incoming("support", "email", replace(event, attachments=attached), 0.0, files))
    [row] = await storage.conversations()
    [message] = await storage.newest_messages(row.id or 0, up_to=1, limit=1)
    pending = await storage.pending_attachments(NOW + HOUR, ("support",))

    assert [(f.content_type, f.status, f.sha256) for f in message.attachments] == [
        ("image/png", "stored", "aa" * 32),
        ("image/gif", "pending", None),
    ]
    assert [file.url for file, _ in pending] == ["https://example.com/x"]


@pytest.mark.parametrize("writers", [8])
async def test_a_thread_that_many_write_to_at_once_stays_one(storage: Storage, writers: int) -> None:
    """Whoever refers to its first message finds it, whatever else is on its way."""
    await accept(storage, mail("a"))
    await asyncio.gather(*(accept(storage, mail(f"r{n}", clues=(answers("a"),))) for n in range(writers)))

    assert sorted(map(len, await threads(storage))) == [writers + 1]
