"""The whole story: a signed webhook becomes a stored message, a turn, and a text message at the customer's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import ChatbotService
from gateway.app import Gateway
from gateway.sandbox.twilio_account import STARTED, STOPPED
from gateway.storage import Storage, Takeover
from tests.gateways import NUMBER, gateway, write_config
from tests.world import World, world

ANN = "+15550109999"
PNG = bytes.fromhex(  # one red pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c494441"
    "54789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Town:
    """A world with a gateway in it."""

    def __init__(self, around: World, inside: Gateway) -> None:
        self.twilio = around.twilio
        self.openai = around.openai
        self.gateway = inside
        self.storage: Storage = inside.parts.storage

    async def until_read(self, customer: str, *expected: str, timeout_s: float = 15) -> None:
        """Wait until a customer reads exactly these messages."""
        try:
            async with asyncio.timeout(timeout_s):
                while list(self.twilio.received(customer)) != list(expected):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert list(self.twilio.received(customer)) == list(expected)

    async def until_status(self, *expected: str, timeout_s: float = 15) -> None:
        """Wait until the deliveries have these statuses, in order."""
        try:
            async with asyncio.timeout(timeout_s):
                while [d.status for d in await self.storage.deliveries()] != list(expected):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert [(d.status, d.error_code) for d in await self.storage.deliveries()] == list(expected)


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """Build a town on each database."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around, gateway(tmp_path, database_url, **around.addresses) as inside:
        around.open_door(inside.port)
        yield Town(around, inside)


async def test_one_sms_walks_through_the_house(town: Town) -> None:
    """In by webhook, stored, answered by the model, out by Twilio's API, delivered."""
    status = await town.twilio.text(ANN, "Hello?")
    await town.until_read(ANN, "re: Hello?")
    await town.until_status("delivered")
    [conversation] = await town.storage.conversations()
    question, answer = await town.storage.messages(conversation.id or 0)
    [delivery] = await town.storage.deliveries()
    [sent] = town.twilio.outbox

    assert status == 200
    assert (question.role, question.content, question.sequence_number) == ("user", "Hello?", 1)
    assert (answer.role, answer.content, answer.sequence_number) == ("assistant", "re: Hello?", 2)
    assert (answer.model_used, answer.reasoning_effort, answer.verbosity) == ("gpt-6-luna", "low", "low")
    assert answer.tokens_used
    assert answer.processing_time_ms is not None
    assert (delivery.external_id, delivery.attempts) == (sent.sid, 1)
    assert sent.sender == NUMBER
    assert sent.status_callback.endswith(f"/webhooks/sms?delivery={delivery.id}")
    assert conversation.bot_messages == 1


async def test_twice_in_is_once(town: Town) -> None:
    """A webhook that Twilio posts again, at once and later, is answered once."""
    town.twilio.inbound.plan("twice")
    await town.twilio.text(ANN, "Hello?", sid="SM" + "a" * 32)
    await town.until_read(ANN, "re: Hello?")
    await town.twilio.text(ANN, sid="SM" + "a" * 32)
    await town.twilio.text(ANN, "Next")

    await town.until_read(ANN, "re: Hello?", "re: Next")


async def test_order_under_concurrency(town: Town) -> None:
    """Twenty customers write ten messages each, all at once: each reads the answers to their own, in order."""
    texts = [(f"+1555012{n:04d}", f"{n}-{m}") for m in range(10) for n in range(20)]
    statuses = await town.twilio.text_many(texts)

    assert set(statuses) == {200}
    for n in range(20):
        await town.until_read(f"+1555012{n:04d}", *(f"re: {n}-{m}" for m in range(10)), timeout_s=60)


async def test_waiting_messages_share_an_answer(database_url: str, tmp_path: Path) -> None:
    """With coalescing, what is written quickly is answered together, once, in order."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around, gateway(tmp_path, database_url, coalesce_s=0.5, **around.addresses) as inside:
        around.open_door(inside.port)
        town = Town(around, inside)
        for text in ("one", "two", "three"):
            await town.twilio.text(ANN, text)
        await town.until_read(ANN, "re: one + two + three")
        await town.twilio.text(ANN, "four")
        await town.until_read(ANN, "re: one + two + three", "re: four")


async def test_order_under_concurrency_with_shared_answers(database_url: str, tmp_path: Path) -> None:
    """Twenty customers at once, answered in groups: each one's answers together name every message once, in order."""
    customers = {f"+1555015{n:04d}": [f"{n}-{m}" for m in range(10)] for n in range(20)}
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around, gateway(tmp_path, database_url, coalesce_s=0.2, **around.addresses) as inside:
        around.open_door(inside.port)
        statuses = await around.twilio.text_many(
            [(who, texts[m]) for m in range(10) for who, texts in customers.items()]
        )
        async with asyncio.timeout(60):
            while sum(len(named(around, who)) for who in customers) < 200:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # a second answer to anything would have come
        read = {who: named(around, who) for who in customers}

    assert set(statuses) == {200}
    assert read == customers
    assert len(around.twilio.outbox) < 200


def named(around: World, customer: str) -> list[str]:
    """Return which messages a customer's answers name, in the order in which they were read."""
    return [word for text in around.twilio.received(customer) for word in text.removeprefix("re: ").split(" + ")]


async def test_stop_and_start(town: Town) -> None:
    """STOP silences everything, START lifts it, and neither they nor what was written between are answered later."""
    await town.twilio.text(ANN, "Hello?")
    await town.until_read(ANN, "re: Hello?")
    await town.twilio.text(ANN, " stop ")
    await town.twilio.text(ANN, "Anybody?")
    await town.twilio.text(ANN, "START")
    await town.twilio.text(ANN, "Back")

    await town.until_read(ANN, "re: Hello?", STOPPED, STARTED, "re: Back")


async def test_picture_reaches_the_model(town: Town) -> None:
    """An MMS's picture is fetched with the account's credentials, kept under its hash and shown to the model."""
    await town.twilio.text(ANN, "", media=[(PNG, "image/png")])
    await town.twilio.wait_for(1)
    [request] = town.openai.requests
    [file] = [
        f
        for m in request.body["input"]
        if isinstance(m.get("content"), list)
        for f in m["content"]
        if f["type"] == "input_image"
    ]
    kept = list((town.gateway.parts.config.data.dir / "media").rglob("*"))

    assert file["image_url"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert [path.read_bytes() for path in kept if path.is_file()] == [PNG]


async def test_refused_number_is_a_dead_letter(town: Town) -> None:
    """Twilio's refusal is final and visible, with its code."""
    town.twilio.rules.opted_out.add(ANN)
    await town.twilio.text(ANN, "Hello?")
    await town.until_status("failed")
    [dead] = await town.storage.dead_letters()

    assert dead.error_code == "21610"


async def test_undelivered_message_is_a_dead_letter(town: Town) -> None:
    """A carrier's failure comes by callback, after the message was accepted."""
    town.twilio.callbacks.plan("undelivered:30003")
    await town.twilio.text(ANN, "Hello?")
    await town.until_status("failed")
    [dead] = await town.storage.dead_letters()

    assert dead.error_code == "30003"


@pytest.mark.parametrize("fault", ["drop_after", "status_after:500", "hang_after"])
async def test_accepted_and_not_confirmed_is_not_sent_twice(town: Town, fault: str) -> None:
    """Twilio took the message and we never heard: its report, or a look-up, decides, and the customer reads it once."""
    if fault == "hang_after":
        for channel in town.gateway.parts.roster:
            channel.send_timeout_s = 1.0
    town.twilio.faults.plan(fault)
    await town.twilio.text(ANN, "Hello?")
    await town.until_status("delivered")

    assert list(town.twilio.received(ANN)) == ["re: Hello?"]


async def test_lost_report_is_made_up_for_by_a_look_up(town: Town) -> None:
    """No answer and no report: Twilio is asked, and knows the message."""
    town.twilio.faults.plan("drop_after")
    town.twilio.callbacks.plan("lost")
    await town.twilio.text(ANN, "Hello?")
    await town.until_status("delivered", timeout_s=20)

    assert list(town.twilio.received(ANN)) == ["re: Hello?"]


async def test_dropped_before_is_sent_after_all(town: Town) -> None:
    """The connection broke and Twilio never saw the message: it is sent once more, and arrives once."""
    town.twilio.faults.plan("drop_before")
    await town.twilio.text(ANN, "Hello?")
    await town.until_read(ANN, "re: Hello?", timeout_s=20)
    await town.until_status("delivered")


async def test_throttled_account_waits(town: Town) -> None:
    """429 and 503 are not processed: the answers wait, in order, and arrive."""
    town.twilio.faults.plan("status:429", "status:503")
    await town.twilio.text(ANN, "one")
    await town.twilio.text(ANN, "two")

    await town.until_read(ANN, "re: one", "re: two", timeout_s=25)


async def test_model_that_is_down_gives_the_fallback(town: Town) -> None:
    """With the model gone the customer hears once that a person will answer; when it is back, answers go on."""
    town.openai.faults.plan(*["status:500"] * 4)
    await town.twilio.text(ANN, "lost?")
    await town.twilio.wait_for(1, timeout_s=30)
    [fallback] = town.twilio.received(ANN)
    town.openai.faults.next.clear()
    await town.twilio.text(ANN, "two")
    await town.until_read(ANN, fallback, "re: two")
    [conversation] = await town.storage.conversations()

    assert "lost?" not in fallback
    assert (conversation.escalated, conversation.mode) == (True, "waiting")


async def test_takeover_silences_the_bot(town: Town) -> None:
    """After a takeover, messages are stored and not answered."""
    await town.twilio.text(ANN, "one")
    await town.until_read(ANN, "re: one")
    [conversation] = await town.storage.conversations()
    await town.storage.run(Takeover(conversation.conversation_id, "ann", conversation.last_activity_at))
    await town.twilio.text(ANN, "two")
    await asyncio.sleep(0.5)
    [conversation] = await town.storage.conversations()

    assert list(town.twilio.received(ANN)) == ["re: one"]
    assert conversation.total_messages == 3


async def test_missed_webhook_is_found_by_a_poll(town: Town) -> None:
    """A message whose webhook never came is found at Twilio, stored once, and answered."""
    await town.twilio.text(ANN, "one")
    await town.until_read(ANN, "re: one")
    town.twilio.inbound.plan("lost")
    await town.twilio.text(ANN, "two")
    await town.gateway.poller._poll(next(iter(town.gateway.poller._channels)), at_start=True)
    await town.until_read(ANN, "re: one", "re: two")
    await town.gateway.poller._poll(next(iter(town.gateway.poller._channels)), at_start=True)
    [conversation] = await town.storage.conversations()

    assert conversation.total_messages == 4


async def test_long_answer_is_cut_into_parts(town: Town) -> None:
    """An answer beyond 1600 characters leaves in parts, in order."""
    long = " ".join(f"word{n}" for n in range(400))
    await town.twilio.text(ANN, long[:1590])
    await town.twilio.wait_for(1)
    await town.until_status("delivered")

    assert "".join(town.twilio.received(ANN)) == f"re: {long[:1590]}".strip()


async def test_service_runs_the_same_turn(database_url: str, tmp_path: Path) -> None:
    """`send_message` answers with the same assistant, in order under concurrency, and delivers nothing."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around:
        path = write_config(tmp_path, database_url, **around.addresses)
        async with ChatbotService.from_config(path) as service:
            results: list[dict[str, Any]] = await asyncio.gather(
                *(service.send_message("visitor-1", f"m{n}", user_name="Ann") for n in range(20))
            )
            with pytest.raises(ValueError, match="unknown channel"):
                await service.send_message("visitor-1", "x", channel="pigeon")

    assert [result["message"] for result in results] == [f"re: m{n}" for n in range(20)]
    assert [result["message_count"] for result in results] == [2 * n + 2 for n in range(20)]
    assert results[0]["model"] == "gpt-6-luna"
    assert set(results[0]) == {
        "conversation_id",
        "message",
        "actions",
        "needs_human_escalation",
        "timestamp",
        "model",
        "database_conversation_id",
        "message_count",
        "tokens_used",
    }
    assert around.twilio.outbox == []
