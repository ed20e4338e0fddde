"""What the API says and begins: a caller's turn, its events, messages on channels, and free times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.assistant.tools.availability import AvailabilityArguments, CheckAvailability
from gateway.assistant.tools.base import Call, Customer
from gateway.web.api import streams
from tests import test_calendar
from tests.gateways import gateway
from tests.test_api import CUSTOMER, KEY, NOW, Client, served
from tests.world import World, world

EVENTS = "text/event-stream"
HELLO = {"conversation_id": "visitor-1", "message": "Hello"}


@pytest.fixture
async def around() -> AsyncIterator[World]:
    """Serve the stand-ins."""
    async with world() as opened:
        yield opened


@pytest.fixture
async def client(tmp_path: Path, around: World) -> AsyncIterator[Client]:
    """Serve the API over SQLite."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", **around.addresses) as opened:
        yield opened


def events_of(text: str) -> list[tuple[str, Any]]:
    """Read events as a browser does."""
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            event, data = block.split("\n")
            found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_turn_answers_what_send_message_returns(client: Client) -> None:
    """The same names and values, from the same code."""
    reply = await client.ask("POST", "/chat", {**HELLO, "user_name": "The customer", "metadata": {"page": "/"}})
    direct = await client.parts.service.send_message("visitor-2", "Hello")
    shown = (await client.ask("GET", "/conversations/visitor-1")).told

    assert reply.told["message"] == direct["message"] == "re: Hello"
    assert set(reply.told) == set(direct)
    assert (reply.told["message_count"], reply.told["needs_human_escalation"]) == (2, False)
    assert reply.told["database_conversation_id"] == shown["id"]
    assert (shown["user_name"], shown["platform_metadata"], shown["channel_name"]) == (
        "The customer",
        {"page": "/"},
        None,
    )


async def test_a_channels_conversation_is_answered_there(client: Client) -> None:
    """Whether it was to come as events or not, the status tells."""
    chat = {**HELLO, "conversation_id": await client.write_to()}
    plain, streamed = [await client.ask("POST", "/chat", chat, Accept=accept) for accept in ("*/*", EVENTS)]

    assert (plain.status, plain.problem) == (streamed.status, streamed.problem) == (409, "belongs-to-channel")


async def test_while_a_person_has_it_there_is_no_answer(client: Client) -> None:
    """The message is stored and null is returned; as events, too."""
    await client.ask("POST", "/chat", HELLO)
    await client.ask("POST", "/conversations/visitor-1/takeover", {"assigned_to": "a person"})
    plain, streamed = [await client.ask("POST", "/chat", HELLO, Accept=accept) for accept in ("*/*", EVENTS)]

    assert (plain.status, plain.told["message"], plain.told["needs_human_escalation"]) == (200, None, True)
    assert events_of(streamed.text)[1] == ("message", {"message": None})


@pytest.mark.parametrize("accept", [EVENTS, "application/json;q=0.5, Text/Event-Stream; charset=utf-8"])
async def test_an_answer_comes_as_events_on_request(client: Client, accept: str) -> None:
    """It has begun, it says the whole answer, it is done: the last is what is answered otherwise."""
    streamed = await client.ask("POST", "/chat", HELLO, Accept=accept)
    plain = await client.ask("POST", "/chat", {**HELLO, "conversation_id": "visitor-2"})
    (started, _), (message, said), (done, result) = events_of(streamed.text)

    assert (streamed.status, streamed.headers["Content-Type"]) == (200, EVENTS)
    assert streamed.headers["Cache-Control"] == "no-store"
    assert (started, message, done) == ("started", "message", "done")
    assert said == {"message": "re: Hello"}
    assert set(result) == set(plain.told)


async def test_events_keep_the_connection_alive_while_the_model_thinks(
    client: Client, around: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is told at once, and a word now and then that proxies see."""
    monkeypatch.setattr(streams, "BEGINS_S", 0.01)
    monkeypatch.setattr(streams, "SILENCE_S", 0.01)
    around.openai.faults.latency_s = 0.3
    reply = await client.ask("POST", "/chat", HELLO, Accept=EVENTS)

    assert reply.text.startswith("event: started\ndata: {}\n\n")
    assert ": still at it\n\n" in reply.text
    assert [name for name, _ in events_of(reply.text)] == ["started", "message", "done"]


async def test_whoever_hangs_up_misses_the_answer_and_nothing_else(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn goes on, and its answer is in the transcript."""
    monkeypatch.setattr(streams, "BEGINS_S", 0.0)
    headers = {"Authorization": f"Bearer {KEY}", "Accept": EVENTS}
    address = f"http://127.0.0.1:{client.port}/api/v1/chat"
    async with aiohttp.ClientSession() as session, session.post(address, json=HELLO, headers=headers) as response:
        assert await response.content.readline() == b"event: started\n"
    async with asyncio.timeout(10):
        while True:
            items = (await client.ask("GET", "/conversations/visitor-1/messages")).told.get("items", ())
            if len(items) == 2:
                break
            await asyncio.sleep(0.02)

    assert [item["content"] for item in items] == ["Hello", "re: Hello"]


# --- messages that we begin ---


async def test_a_message_reaches_the_customer(tmp_path: Path, around: World) -> None:
    """The whole way: queued by the API, delivered by the outbox, its status in the list of deliveries."""
    api = f"\napi: {{keys: ['{KEY}']}}"
    settings = {**around.addresses, "more_channels": api}
    async with (
        gateway(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", **settings) as opened,
        aiohttp.ClientSession() as session,
    ):
        around.open_door(opened.port)
        client = Client(session, opened.parts, opened.api, opened.port)
        begun = await client.ask(
            "POST", "/messages", {"channel": "sms", "recipient": "+1 (555) 010-9999", "content": "We are on our way."}
        )
        async with asyncio.timeout(10):
            while True:
                [delivery] = (await client.ask("GET", "/deliveries")).told["items"]
                if delivery["status"] == "delivered":
                    break
                await asyncio.sleep(0.02)

    assert begun.status == 202
    assert [one["id"] for one in begun.told["deliveries"]] == [delivery["id"]]
    assert (delivery["recipient"], delivery["conversation"]) == (CUSTOMER, begun.told["conversation_id"])
    assert delivery["external_id"].startswith("SM")


async def test_a_message_wakes_the_outbox(client: Client) -> None:
    """It leaves at once, not when the outbox looks by itself."""
    message = {"channel": "sms", "recipient": CUSTOMER, "content": "Hello"}
    async with client.parts.bus.subscribe("outbox") as woken, asyncio.timeout(5):
        await client.ask("POST", "/messages", message)
        news = await woken.get()

    assert news == {}


async def test_a_message_says_what_the_channel_cannot_show_in_words(client: Client) -> None:
    """Choices become a numbered list on SMS; what comes back is the choice's own id."""
    begun = await client.ask(
        "POST",
        "/messages",
        {
            "channel": "sms",
            "recipient": CUSTOMER,
            "content": "When?",
            "choices": [{"title": "Morning"}, {"id": "pm", "title": "Afternoon"}],
            "links": [{"title": "Prices", "url": "https://www.example.com/prices"}],
            "location": {"latitude": 42.36, "longitude": -83.1},
        },
    )
    text = "\n".join(delivery["content"] for delivery in begun.told["deliveries"])

    assert begun.status == 202
    assert all(part in text for part in ("When?", "1. Morning", "2. Afternoon", "https://www.example.com/prices"))
    assert begun.told["message"]["metadata"]["choices"][0]["id"] == "Morning"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"channel": "fax"}, "body.channel"),
        ({"recipient": "somebody"}, "body.recipient"),
        ({"recipient": " "}, "body.recipient"),
        ({"content": " "}, "body"),
        ({"content": "x" * 100_001}, "body.content"),
        ({"location": {"latitude": 91, "longitude": 0}}, "body.location.latitude"),
        ({"attachment_urls": ["ftp://example.com/x"]}, "body.attachment_urls.0"),
    ],
)
async def test_a_message_that_cannot_leave_is_refused(client: Client, change: dict[str, Any], at: str) -> None:
    """Before anything is stored; the channels that there are, and how an address is written, are told."""
    reply = await client.ask("POST", "/messages", {"channel": "sms", "recipient": CUSTOMER, "content": "x", **change})

    assert (reply.status, reply.problem, reply.told["errors"][0]["at"]) == (422, "invalid", at)
    assert await client.storage.conversations() == []


# --- free times ---


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("date=2026-12-01", {}),
        ("date=2026-12-01&time=14:00", {"time": "14:00"}),
        ("date=2026-12-01&time=14:30&service=repair", {"time": "2.30 pm", "service": "repair"}),
        ("date=2026-12-02&time=10:00", {"date": "2026-12-02", "time": "10:00"}),
        ("date=2020-01-01", {"date": "2020-01-01"}),
        ("date=9999-12-31&time=10:00", {"date": "9999-12-31", "time": "10:00"}),
        ("date=0001-01-01", {"date": "0001-01-01"}),
    ],
)
async def test_the_api_offers_what_the_assistant_offers(client: Client, query: str, arguments: dict[str, str]) -> None:
    """One schedule, one answer; what is booked is taken from both."""
    booker = await test_calendar.Customer.of(client.storage, CUSTOMER)
    await booker.book(NOW.replace(month=12, day=1, hour=19))
    tool = CheckAvailability(client.api._desk.diary)
    caller = Customer(1, None, "c", "sms", None, None, None)
    found = await tool.run(
        AvailabilityArguments(**{"date": "2026-12-01", **arguments}),
        Call(caller, NOW, "k", None),  # type: ignore[arg-type]
    )
    reply = await client.ask("GET", f"/availability?{query}")

    assert reply.status == 200
    assert reply.told == found


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("", "query.date"),
        ("date=1.12.2026", "query.date"),
        ("date=2026-12-01&time=25:00", "query.time"),
        ("date=2026-12-01&service=Haircut", "query.service"),
    ],
)
async def test_a_wish_that_is_none_is_refused(client: Client, query: str, at: str) -> None:
    """With what there is."""
    reply = await client.ask("GET", f"/availability?{query}")

    assert (reply.status, reply.told["errors"][0]["at"]) == (422, at)
