"""``ChatbotService`` on both databases, with an assistant that the test holds."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from channels.http import Http
from gateway import ChatbotService
from gateway.assistant import lease
from gateway.assistant.turn import Reply
from gateway.clock import utc_now
from gateway.storage import BeginDirectTurn, Claim, SchemaMismatch, Storage, StorageUnavailable, Takeover
from tests.gateways import write_config
from tests.saying import words
from tests.test_lease import HEARTBEAT_S, SECOND, Wire, disturbed, until_extended


class HeldAssistant:
    """An assistant whose replies the test gives, one by one."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[str, asyncio.Future[Reply]]] = asyncio.Queue()
        self.order: list[str] = []

    async def answer(self, claim: Claim) -> Reply:
        """Wait for the test."""
        said = "+".join(message.content for message in claim.messages)
        self.order.append(said)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((said, reply))
        return await reply

    async def next(self) -> tuple[str, asyncio.Future[Reply]]:
        """Return what is asked next, and where to put the reply."""
        async with asyncio.timeout(10):
            return await self.asked.get()

    async def remember(self, *_: object) -> None:
        """Let others go on, as a real memory does."""
        await asyncio.sleep(0)


def service_of(storage: Storage, assistant: HeldAssistant, **settings: Any) -> ChatbotService:
    """Build a service around the held assistant."""
    return ChatbotService(storage, cast("Any", assistant), **settings)


async def take_away(storage: Storage, at: datetime) -> bool:
    """Begin a turn as another process at that time; tells whether the lease let it."""
    begun = await storage.run(BeginDirectTurn("c", "website_chat", "again", "direct:y", at, at + 30 * SECOND, {}))
    return not begun.busy


async def test_calls_of_one_conversation_keep_their_order(storage: Storage) -> None:
    """A call that comes when one has just been answered stands behind those that waited before it."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant)

    async def call(text: str) -> str:
        result = await service.send_message("c", text)
        return str(result["message"])

    async def reply() -> None:
        text, held = await assistant.next()
        held.set_result(Reply(words(f"to {text}")))

    calls = [asyncio.create_task(call(str(n))) for n in range(3)]
    await reply()
    await calls[0]
    calls.append(asyncio.create_task(call("3")))
    await reply()
    await calls[1]
    calls.append(asyncio.create_task(call("4")))
    for _ in range(3):
        await reply()
    answers = await asyncio.gather(*calls)

    assert assistant.order == ["0", "1", "2", "3", "4"]
    assert answers == ["to 0", "to 1", "to 2", "to 3", "to 4"]


async def test_nothing_is_kept_of_a_conversation_that_is_over(storage: Storage) -> None:
    """A process that embeds the service for months does not collect a lock for every visitor."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant)
    call = asyncio.create_task(service.send_message("c", "hello"))
    _, held = await assistant.next()
    during = list(service._turn_of)
    held.set_result(Reply(words("hi")))
    await call

    assert during == ["c"]
    assert list(service._turn_of) == []


@pytest.mark.parametrize("answers", [True, False])
async def test_waiting_for_a_person(storage: Storage, answers: bool) -> None:
    """Once a person is asked for, the bot answers on or is silent, as `handoff.while_waiting` says."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant, answer_while_waiting=answers)
    first = asyncio.create_task(service.send_message("c", "a person please"))
    _, held = await assistant.next()
    held.set_result(Reply(words("one comes"), "customer_request"))
    await first
    second = asyncio.create_task(service.send_message("c", "hello?"))
    if answers:
        _, held = await assistant.next()
        held.set_result(Reply(words("I am here")))
    result = await second

    assert (result["message"], result["message_count"]) == (("I am here", 4) if answers else (None, 3))
    assert result["needs_human_escalation"] is True
    assert len(assistant.order) == (2 if answers else 1)


async def test_takeover_while_the_model_thinks(storage: Storage) -> None:
    """What the bot would have said after a person took the conversation is not said."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant)
    call = asyncio.create_task(service.send_message("c", "hello"))
    _, held = await assistant.next()
    await storage.run(Takeover("c", "ann", utc_now()))
    held.set_result(Reply(words("too late")))
    result = await call

    assert (result["message"], result["message_count"]) == (None, 1)


# --- its lease ---


@pytest.fixture
def fast_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hearts of leases beat fast."""
    monkeypatch.setattr(lease, "HEARTBEAT_S", HEARTBEAT_S)


@pytest.mark.usefixtures("fast_heart")
async def test_call_keeps_its_lease_while_the_model_thinks(storage: Storage) -> None:
    """The heartbeat extends the lease of a call for as long as the model takes."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant)
    call = asyncio.create_task(service.send_message("c", "hello"))
    _, held = await assistant.next()
    first = await until_extended(storage)
    taken = await take_away(storage, at=first)
    held.set_result(Reply(words("hi")))
    result = await call

    assert not taken
    assert result["message"] == "hi"


@pytest.mark.usefixtures("fast_heart")
async def test_call_ends_where_its_lease_is_taken(storage: Storage) -> None:
    """A call that has lost its turn to another process ends at once, without an answer of its own."""
    assistant = HeldAssistant()
    service = service_of(storage, assistant)
    call = asyncio.create_task(service.send_message("c", "hello"))
    _, held = await assistant.next()
    taken = await take_away(storage, at=utc_now() + 600 * SECOND)
    async with asyncio.timeout(10):
        result = await call

    assert taken
    assert held.cancelled()
    assert (result["message"], result["message_count"]) == (None, 2)


@pytest.mark.usefixtures("fast_heart")
async def test_committed_answer_is_returned(storage: Storage) -> None:
    """The commit ends the lease; the caller gets the answer however long the news of the commit takes."""
    assistant = HeldAssistant()
    wire = Wire(storage)
    wire.slow_answers = True
    call = asyncio.create_task(service_of(disturbed(wire), assistant).send_message("c", "hello"))
    _, held = await assistant.next()
    held.set_result(Reply(words("hi")))
    result = await call

    assert (result["message"], result["message_count"]) == ("hi", 2)


# --- by configuration ---


async def test_failed_start_leaves_nothing_open(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the database does not fit, what was opened before that was found out is closed again."""
    closed = []
    for kind in (Storage, Http):

        async def close(self: Any, kind: Any = kind, close: Any = kind.close) -> None:
            closed.append(kind)
            await close(self)

        monkeypatch.setattr(kind, "close", close)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).write_bytes(b"no database" * 100)

    with pytest.raises((SchemaMismatch, StorageUnavailable)):
        async with ChatbotService.from_config(write_config(tmp_path, database_url)):
            raise AssertionError("it opened")
    assert closed == [Storage, Http]
