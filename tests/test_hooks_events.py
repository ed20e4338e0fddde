"""What happens is written down for receivers in the transaction in which it happens, once; on both databases."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlmodel import select

from channels.base import Attachment, Control, DeliveryStatus, Echo, Status
from gateway.config import EVENTS
from gateway.hooks import WEBHOOKS
from gateway.hooks.payloads import write
from gateway.storage import (
    Book,
    Cancel,
    ClaimDeliveries,
    Close,
    Compose,
    DisableReceiver,
    Effected,
    FinishTurn,
    Handover,
    Incoming,
    LeadFacts,
    Move,
    OpenChannels,
    OpenReceivers,
    Outcome,
    Pace,
    Requeue,
    SaveLead,
    Say,
    Storage,
    Takeover,
)
from gateway.storage.api_tables import Event, HookDelivery
from gateway.storage.hook_facts import MAX_CONTENT
from gateway.storage.hooks import INSERT_DELIVERIES
from gateway.storage.sql import Steps, encode
from tests.conftest import make_database
from tests.saying import said, words
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_appointments import VISIT, ask, at
from tests.test_storage_deliveries import report, settle, take
from tests.test_storage_direct import begin
from tests.test_storage_effects import turns_of
from tests.test_storage_locks import postgres_writer_dsn, until_blocked
from tests.test_storage_turns import SECOND, claim, finish

CRM, LEDGER = "crm", "ledger"
CUSTOMER = "+15550109999"
Act = Callable[[Storage], Awaitable[Any]]


@pytest.fixture(autouse=True)
async def opened(storage: Storage) -> None:
    """Give the channel its state, and let two receivers listen: one to everything, one to leads."""
    await storage.run(OpenChannels(("sms",)))
    await storage.run(OpenReceivers(((CRM, ("*",)), (LEDGER, ("lead.created", "lead.updated")))))


async def rows(storage: Storage, table: Any) -> list[Any]:
    """Return a table's rows."""
    async with storage._reading() as session:
        return list((await session.exec(select(table))).all())


async def events(storage: Storage) -> list[Event]:
    """Return what was written down, in order."""
    return sorted(await rows(storage, Event), key=lambda event: event.id)


async def types(storage: Storage) -> list[str]:
    return [event.type for event in await events(storage)]


def body(event: Event) -> dict[str, Any]:
    """Return an event as receivers read it."""
    told: dict[str, Any] = json.loads(write(event.type, event.created_at, event.payload or {}))
    return told


async def conversation_id(storage: Storage) -> str:
    [conversation] = await storage.conversations()
    return conversation.conversation_id


# --- every event, by the operation that makes it happen ---


async def escalate(storage: Storage) -> None:
    """A turn hands the conversation over; a second try of the same turn is fenced off."""
    [turn] = await turns_of(storage, CUSTOMER)
    handed = FinishTurn(turn.id, turn.fence, NOW, said("One moment"), Handover("complaint", "words", "It drips."))
    assert await storage.run(handed) is not None
    assert await storage.run(handed) is None


async def take_over(storage: Storage) -> None:
    """A person takes it, asks for it again, and writes in it; a second person is refused."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    named = await conversation_id(storage)
    await storage.run(Takeover(named, "ann", NOW))
    await storage.run(Takeover(named, "ann", NOW))
    await storage.run(Say(named, "ann", said("Hello"), NOW))
    await storage.run(Takeover(named, "ben", NOW))


async def write_first(storage: Storage) -> None:
    """A person takes it by writing in it, twice."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    for _ in range(2):
        await storage.run(Say(await conversation_id(storage), "ann", said("Hello"), NOW))


async def answer_elsewhere(storage: Storage) -> None:
    """A person answers in the platform's own app; the platform tells it twice."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    echo = Incoming("sms", "sms", Echo(account=US, recipient=CUSTOMER, external_id="SM2", text="On my way"))
    for _ in range(2):
        await accept(storage, echo)


async def lose_control(storage: Storage) -> None:
    """Another app of the platform takes the customer."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    for _ in range(2):
        await accept(storage, Incoming("sms", "sms", Control(US, CUSTOMER, False)))


async def close(storage: Storage) -> None:
    """Somebody closes it, and somebody else does too."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    named = await conversation_id(storage)
    await asyncio.gather(*(storage.run(Close(named, NOW)) for _ in range(3)))
    await storage.run(Close(named, NOW + SECOND))


async def receive(storage: Storage) -> None:
    """The customer's message arrives, and is delivered again."""
    for _ in range(2):
        await accept(storage, sms(CUSTOMER, "SM1"), sms(CUSTOMER, "SM1"))


async def receive_from_a_caller(storage: Storage) -> None:
    """A message comes through the API; while it is answered, another one is not taken."""
    await begin(storage)
    await begin(storage)


async def answer_a_caller(storage: Storage) -> None:
    """A caller is given an answer, once."""
    begun = await begin(storage)
    assert begun.claim is not None
    for _ in range(2):
        await storage.run(FinishTurn(begun.claim.id, begun.claim.fence, NOW, words("hi")))


async def send(storage: Storage) -> None:
    """The platform takes both parts of a message."""
    await storage.run(Compose("sms", "sms", CUSTOMER, said("one", "two"), NOW))
    for _ in range(2):
        [delivery] = await take(storage)
        await settle(storage, delivery, Outcome.SENT)
        await settle(storage, delivery, Outcome.SENT)
        await report(storage, DeliveryStatus.SENT, delivery_id=delivery.id)
        await report(storage, DeliveryStatus.READ, delivery_id=delivery.id)


async def send_and_hear_of_it_first(storage: Storage) -> None:
    """The callback is faster than the response of the call itself."""
    await storage.run(Compose("sms", "sms", CUSTOMER, said("one"), NOW))
    [delivery] = await take(storage)
    await report(storage, DeliveryStatus.DELIVERED, delivery_id=delivery.id)
    await settle(storage, delivery, Outcome.SENT)


async def fail(storage: Storage) -> None:
    """The platform refuses the first part; the second is not tried."""
    await storage.run(Compose("sms", "sms", CUSTOMER, said("one", "two"), NOW))
    [delivery] = await take(storage)
    for _ in range(2):
        await settle(storage, delivery, Outcome.FAILED, error_code="21211")
    await report(storage, DeliveryStatus.FAILED, delivery_id=delivery.id)


async def fail_by_callback(storage: Storage) -> None:
    """The platform says so before the call has returned, and says it again."""
    await storage.run(Compose("sms", "sms", CUSTOMER, said("one"), NOW))
    [delivery] = await take(storage)
    for _ in range(2):
        await report(storage, DeliveryStatus.FAILED, delivery_id=delivery.id, error_code="30003")
    await settle(storage, delivery, Outcome.FAILED)


async def grow_old(storage: Storage) -> None:
    """It could not be sent in time."""
    await storage.run(Compose("sms", "sms", CUSTOMER, said("one"), NOW))
    later = NOW + timedelta(hours=25)
    for _ in range(2):
        await storage.run(
            ClaimDeliveries("w:1", later, later + SECOND, (Pace("sms", 9.0),), 5, later - timedelta(hours=24))
        )


async def make_lead(storage: Storage) -> None:
    """A tool saves a lead; the same call again gives what it gave."""
    [turn] = await turns_of(storage, CUSTOMER)
    for _ in range(2):
        await ask(storage, turn, SaveLead(LeadFacts(name="the customer"), "sms", NOW))


async def update_lead(storage: Storage) -> None:
    """More is told about it, and then nothing new."""
    [turn] = await turns_of(storage, CUSTOMER)
    for call, notes in enumerate(("A boiler.", "Next week.", "Next week.")):
        await ask(storage, turn, SaveLead(LeadFacts(notes=notes), "sms", NOW), call)
    await ask(storage, turn, SaveLead(LeadFacts(notes="Next week."), "sms", NOW), 1)


async def book(storage: Storage) -> None:
    """A visit is booked once, however often it is asked for."""
    [turn] = await turns_of(storage, CUSTOMER)
    for call in (0, 0, 1):
        await ask(storage, turn, Book(at(9), VISIT, NOW), call)


async def move(storage: Storage) -> None:
    """It gets another time, and is asked to move there again."""
    [turn] = await turns_of(storage, CUSTOMER)
    made = await ask(storage, turn, Book(at(9), VISIT, NOW))
    for call in (1, 1, 2):
        await ask(storage, turn, Move(made["appointment_id"], at(14), NOW), call)


async def cancel(storage: Storage) -> None:
    """It is cancelled, twice."""
    [turn] = await turns_of(storage, CUSTOMER)
    made = await ask(storage, turn, Book(at(9), VISIT, NOW))
    for call in (1, 1, 2):
        await ask(storage, turn, Cancel(made["appointment_id"], NOW), call)


CASES: tuple[tuple[str, Act, tuple[str, ...]], ...] = (
    ("conversation.escalated", escalate, ("message.received",)),
    ("conversation.taken_over", take_over, ("message.received",)),
    ("conversation.taken_over", write_first, ("message.received",)),
    ("conversation.taken_over", answer_elsewhere, ("message.received", "message.sent")),
    ("conversation.taken_over", lose_control, ("message.received",)),
    ("conversation.closed", close, ("message.received",)),
    ("message.received", receive, ()),
    ("message.received", receive_from_a_caller, ()),
    ("message.sent", answer_a_caller, ("message.received",)),
    ("message.sent", send, ()),
    ("message.sent", send_and_hear_of_it_first, ()),
    ("delivery.failed", fail, ()),
    ("delivery.failed", fail_by_callback, ()),
    ("delivery.failed", grow_old, ()),
    ("lead.created", make_lead, ("message.received",)),
    ("lead.updated", update_lead, ("message.received", "lead.created")),
    ("appointment.booked", book, ("message.received",)),
    ("appointment.moved", move, ("message.received", "appointment.booked")),
    ("appointment.cancelled", cancel, ("message.received", "appointment.booked")),
)


def test_every_event_has_a_case_and_a_body() -> None:
    """What the configuration can name is what happens, and what has a body."""
    assert {type_ for type_, _, _ in CASES} == set(EVENTS) == set(WEBHOOKS)


@pytest.mark.parametrize(("type_", "act", "before"), CASES, ids=[act.__name__ for _, act, _ in CASES])
async def test_what_happens_is_told_once(storage: Storage, type_: str, act: Act, before: tuple[str, ...]) -> None:
    """However often it is tried; after what had to happen before it, to each who wants to know it."""
    await act(storage)
    written = await events(storage)
    deliveries = await rows(storage, HookDelivery)
    event = written[-1]
    told = body(event)

    assert [e.type for e in written] == [*before, type_]
    assert (told["type"], told["api_version"]) == (type_, "1")
    assert told["data"]["conversation"]["conversation_id"] == await conversation_id(storage)
    assert {d.receiver_id for d in deliveries if d.event_id == event.id} == (
        {CRM, LEDGER} if type_.startswith("lead.") else {CRM}
    )
    assert len({d.id for d in deliveries}) == len(deliveries)


@pytest.mark.parametrize(("type_", "act", "before"), CASES, ids=[act.__name__ for _, act, _ in CASES])
async def test_without_receivers_nothing_is_written(
    storage: Storage, type_: str, act: Act, before: tuple[str, ...]
) -> None:
    """Nobody asked for it."""
    await storage.run(OpenReceivers(()))
    await act(storage)

    assert await types(storage) == []


# --- in which words ---


async def test_a_received_message_is_told_with_its_sender_and_files(storage: Storage) -> None:
    """What was written, by whom, in which conversation; the files by their addresses."""
    photo = Attachment("https://files.example.com/1", "image/jpeg", "leak.jpg")
    await accept(storage, sms(CUSTOMER, "SM1", "It drips", attachments=(photo,)))
    [event] = await events(storage)
    told = body(event)
    [conversation] = await storage.conversations()

    assert told["timestamp"] == "2026-11-24T12:00:00Z"
    assert told["data"]["sender"] == CUSTOMER
    assert told["data"]["message"] == {
        "id": int(event.subject_id or 0),
        "role": "user",
        "content": "It drips",
        "is_cut": False,
        "sequence_number": 1,
        "timestamp": "2026-11-24T12:00:00Z",
        "attachments": [
            {"url": photo.url, "content_type": "image/jpeg", "name": "leak.jpg", "size_bytes": None},
        ],
    }
    assert told["data"]["conversation"] == {
        "conversation_id": conversation.conversation_id,
        "channel": "sms",
        "channel_name": "sms",
        "contact_id": conversation.contact_id,
        "user_id": None,
        "user_name": None,
        "user_email": None,
        "user_phone": CUSTOMER,
        "mode": "bot",
        "assigned_to": None,
        "is_active": True,
    }


@pytest.mark.parametrize(
    ("url", "kind", "size"),
    [
        ("data:image/png;base64," + base64.b64encode(bytes(3_000_000)).decode(), "image/png", 3_000_000),
        ("data:text/plain,a%20b", "text/plain", 3),
        ("DATA:;base64,aGk=", "image/*", 2),
    ],
)
async def test_a_file_within_its_address_is_told_by_kind_and_size(
    storage: Storage, url: str, kind: str, size: int
) -> None:
    """A caller's picture of megabytes stays here: a body is small."""
    await begin(storage, image=url)
    [event] = await events(storage)

    assert body(event)["data"]["message"]["attachments"] == [
        {"url": None, "content_type": kind, "name": None, "size_bytes": size}
    ]
    assert len(json.dumps(event.payload)) < 2_000


async def test_a_long_message_is_cut_and_says_so(storage: Storage) -> None:
    """A body stays small; the API has all of it."""
    await accept(storage, sms(CUSTOMER, "SM1", "x" * (MAX_CONTENT + 1)))
    [event] = await events(storage)
    message = body(event)["data"]["message"]

    assert (len(message["content"]), message["is_cut"]) == (MAX_CONTENT, True)


async def test_a_moved_appointment_says_where_it_was(storage: Storage) -> None:
    """On the business's clock, and as an instant."""
    await move(storage)
    told = body((await events(storage))[-1])["data"]

    assert told["previous"] == {
        "scheduled_date": "2026-12-01",
        "scheduled_time": "09:00",
        "starts_at": "2026-12-01T09:00:00Z",
    }
    assert (told["appointment"]["scheduled_time"], told["appointment"]["status"]) == ("14:00", "booked")


async def test_an_escalation_says_why(storage: Storage) -> None:
    """The reason, who found it so, and what it is about."""
    await escalate(storage)
    told = body((await events(storage))[-1])["data"]

    assert told["conversation"]["mode"] == "waiting"
    assert told["escalation"] == {
        "reason": "complaint",
        "source": "words",
        "summary": "It drips.",
        "created_at": "2026-11-24T12:00:00Z",
    }


async def test_a_failed_delivery_says_what_the_platform_said(storage: Storage) -> None:
    """With the code that the platform's documentation explains."""
    await fail(storage)
    delivery = body((await events(storage))[-1])["data"]["delivery"]

    assert (delivery["status"], delivery["error_code"], delivery["content"]) == ("failed", "21211", "one")


async def test_what_is_requeued_and_fails_again_is_told_again(storage: Storage) -> None:
    """It is another failure."""
    await fail(storage)
    [failed] = await storage.deliveries(status="failed")
    await storage.run(Requeue((failed.id,), NOW))
    [delivery] = await take(storage)
    await settle(storage, delivery, Outcome.FAILED)

    assert await types(storage) == ["delivery.failed"] * 2


# --- together with what happens ---


async def test_a_batch_keeps_the_order_of_each_conversation(storage: Storage) -> None:
    """Many messages that share a transaction are told in the order in which they came."""
    await asyncio.gather(*(accept(storage, sms(f"+{n % 5}", f"SM{n}", str(n))) for n in range(50)))
    told: dict[str, list[int]] = {}
    for event in await events(storage):
        data = body(event)["data"]
        told.setdefault(data["sender"], []).append(int(data["message"]["content"]))

    assert told == {f"+{n}": list(range(n, 50, 5)) for n in range(5)}


@dataclass(frozen=True)
class SaveAndBreak:
    """Save a lead, which is told, and then fail."""

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        yield from SaveLead(LeadFacts(name="the customer"), "sms", NOW).steps(conversation)
        raise LookupError("broken")


async def test_nothing_is_told_of_what_did_not_happen(storage: Storage) -> None:
    """An operation that breaks in the end leaves neither its effect nor its event."""
    [turn] = await turns_of(storage, CUSTOMER)
    with pytest.raises(LookupError):
        await ask(storage, turn, SaveAndBreak())

    assert await types(storage) == ["message.received"]
    assert await storage.leads() == []


async def test_a_disabled_receiver_is_told_nothing_more(storage: Storage) -> None:
    """What waited for it has failed, and what happens now is not written down for it."""
    await receive(storage)
    dropped = await storage.run(DisableReceiver(CRM, NOW, "gone"))
    await accept(storage, sms(CUSTOMER, "SM2"))
    [delivery] = await rows(storage, HookDelivery)

    assert (dropped, delivery.status, delivery.error) == (1, "failed", "gone")


async def test_a_receiver_that_leaves_takes_its_queue_along(storage: Storage) -> None:
    """What waits for the others stays; one that comes back begins anew."""
    await make_lead(storage)
    dropped = await storage.run(OpenReceivers(((LEDGER, ("*",)),)))
    left = await rows(storage, HookDelivery)

    assert (dropped, {d.receiver_id for d in left}) == (2, {LEDGER})


async def test_two_transactions_of_a_conversation_are_told_in_the_order_of_their_commits(postgres_url: str) -> None:
    """Who comes second waits, so that nobody sees the later event before the earlier one."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        await storage.run(OpenChannels(("sms",)))
        await storage.run(OpenReceivers(((CRM, ("*",)),)))
        await storage.run(Compose("sms", "sms", CUSTOMER, said("one"), NOW))
        [delivery] = await take(storage)
        [conversation] = await storage.conversations()
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_advisory_xact_lock(17476, $1)", (conversation.id or 0) % 256)
            waiting = asyncio.create_task(settle(storage, delivery, Outcome.SENT))
            await until_blocked(elsewhere)
            await elsewhere.execute(
                "INSERT INTO events (type, conversation_id, created_at) VALUES ('earlier', $1, $2)",
                conversation.id,
                NOW,
            )
        await waiting
        await elsewhere.close()

        assert await types(storage) == ["earlier", "message.sent"]


async def test_a_batch_waits_for_all_orders_at_once_and_holds_none(postgres_url: str) -> None:
    """So two processes that tell of the same conversations, each in its own order, never wait for each other."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        await storage.run(OpenReceivers(((CRM, ("*",)),)))
        await accept(storage, sms("+1", "A"), sms("+2", "B"))
        first, second = sorted(await storage.conversations(), key=lambda row: row.id or 0)
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_advisory_xact_lock(17476, $1)", (first.id or 0) % 256)
            waiting = [
                asyncio.create_task(storage.run(Takeover(row.conversation_id, "ann", NOW))) for row in (second, first)
            ]
            await until_blocked(elsewhere)
            held = await elsewhere.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
            )
        await asyncio.gather(*waiting)
        await elsewhere.close()

        assert held == 0
        assert sorted(await types(storage))[:2] == ["conversation.taken_over"] * 2


async def test_nothing_is_left_behind_for_who_is_disabled_meanwhile(postgres_url: str) -> None:
    """What is being written down as a receiver says that it wants no more fails with the rest, or is not written."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        await storage.run(OpenReceivers(((CRM, ("*",)),)))
        await receive(storage)
        [conversation] = await storage.conversations()
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_advisory_xact_lock(17476, $1)", (conversation.id or 0) % 256)
            writing = asyncio.create_task(accept(storage, sms(CUSTOMER, "SM2")))  # it has seen the receiver enabled
            await until_blocked(elsewhere)
            await storage.run(DisableReceiver(CRM, NOW, "gone"))
        await writing
        await elsewhere.close()

        assert {delivery.status for delivery in await rows(storage, HookDelivery)} == {"failed"}


async def test_who_disables_waits_for_what_is_being_written(postgres_url: str) -> None:
    """An event that a receiver was promised a moment ago fails like those before it."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        await storage.run(OpenReceivers(((CRM, ("*",)),)))
        await receive(storage)
        [first] = await rows(storage, HookDelivery)
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            promised = {"id": "msg_x", "event_id": first.event_id, "receiver_id": CRM, "conversation_id": None}
            await elsewhere.execute("DELETE FROM hook_deliveries")
            await elsewhere.execute(INSERT_DELIVERIES.postgres, encode([{**promised, "at": NOW}]))
            disabling = asyncio.create_task(storage.run(DisableReceiver(CRM, NOW, "gone")))
            await until_blocked(elsewhere)
        failed = await disabling
        await elsewhere.close()

        assert failed == 1
        assert [delivery.status for delivery in await rows(storage, HookDelivery)] == ["failed"]


async def test_an_answer_is_told_after_its_question(storage: Storage) -> None:
    """A whole exchange, in order."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    [turn] = await claim(storage)
    await finish(storage, turn)
    [delivery] = await take(storage)
    await settle(storage, delivery, Outcome.SENT)
    await accept(storage, sms(CUSTOMER, "SM2"), Incoming("sms", "sms", Status(US, DeliveryStatus.READ)))

    assert await types(storage) == ["message.received", "message.sent", "message.received"]
