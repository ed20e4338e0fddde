"""``ChatbotService`` on both databases, with an assistant that the test holds."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from channels.http import Http
from gateway import ChatbotService
from gateway.assistant import lease, service
from gateway.assistant.people import People
from gateway.assistant.turn import Reply
from gateway.bus import open_bus
from gateway.clock import utc_now
from gateway.storage import (
    BeginDirectTurn,
    Claim,
    FinishTurn,
    Handover,
    SchemaMismatch,
    Storage,
    StorageUnavailable,
    Takeover,
)
from tests.gateways import write_config
from tests.loopback import roster_of
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
    people = People(storage, roster_of(), open_bus(None), utc_now)
    return ChatbotService(storage, cast("Any", assistant), people, **settings)


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
    held.set_result(Reply(words("one comes"), Handover("customer_request", "model")))
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


# --- its arguments ---


@pytest.mark.parametrize(
    ("conversation_id", "said"),
    [
        ("", "must not be empty"),
        ("a\0b", "must not contain U+0000"),
        ("a\ud83d", "halves of surrogate pairs"),
        ("a" * 513, "longer than 512 characters"),
    ],
)
async def test_ids_that_cannot_be_kept(storage: Storage, conversation_id: str, said: str) -> None:
    """An id that no column holds as it is, is refused in words that say so, and nothing is stored."""
    with pytest.raises(ValueError, match=re.escape(said)):
        async with asyncio.timeout(10):
            await service_of(storage, HeldAssistant()).send_message(conversation_id, "hello")
    assert await storage.conversations() == []


async def test_long_ids_in_every_script_are_kept(storage: Storage) -> None:
    """An id of 512 characters is found again as it was given."""
    assistant = HeldAssistant()
    conversation_id = "🕘ü" * 256
    call = asyncio.create_task(service_of(storage, assistant).send_message(conversation_id, "hello"))
    _, held = await assistant.next()
    held.set_result(Reply(words("hi")))
    result = await call

    assert result["conversation_id"] == conversation_id
    assert await storage.conversation(conversation_id) is not None


# --- where it ends early ---


class Line(Wire):
    """A connection on which operations of one kind fail, before or after they are committed."""

    def __init__(self, storage: Storage, kind: type, *, times: int, committed: bool) -> None:
        super().__init__(storage)
        self._kind = kind
        self._times = times
        self._committed = committed

    async def run(self, operation: Any) -> Any:
        """Commit, as far as the test lets it."""
        if not isinstance(operation, self._kind) or self._times == 0:
            return await super().run(operation)
        self._times -= 1
        if self._committed:
            await super().run(operation)
        raise StorageUnavailable("away")


async def answered_next(storage: Storage, assistant: HeldAssistant) -> tuple[str, dict[str, Any]]:
    """Make another call, which has to be answered long before a lease runs out; returns what it was asked."""
    async with asyncio.timeout(5):
        call = asyncio.create_task(service_of(storage, assistant).send_message("c", "again"))
        asked, held = await assistant.next()
        held.set_result(Reply(words("here")))
        return asked, await call


async def test_cancelled_call_gives_its_turn_back(storage: Storage) -> None:
    """A caller who loses patience leaves the conversation free: the next call answers both messages at once."""
    assistant = HeldAssistant()
    call = asyncio.create_task(service_of(storage, assistant).send_message("c", "hello"))
    await assistant.next()
    call.cancel()
    await asyncio.wait([call])
    [conversation] = await storage.conversations()
    asked, result = await answered_next(storage, assistant)

    assert call.cancelled()
    assert (conversation.lease_owner, conversation.due_at) == (None, None)
    assert asked == "hello+again"
    assert result["message"] == "here"


async def test_call_that_is_cancelled_while_it_begins_gives_its_turn_back(storage: Storage) -> None:
    """The claim may be committed although nobody waits for it any more; the conversation is free all the same."""
    assistant = HeldAssistant()
    begun = asyncio.Event()

    class Slow(Wire):
        async def run(self, operation: Any) -> Any:
            result = await super().run(operation)
            if isinstance(operation, BeginDirectTurn):
                begun.set()
                await asyncio.sleep(0.05)
            return result

    call = asyncio.create_task(service_of(disturbed(Slow(storage)), assistant).send_message("c", "hello"))
    await begun.wait()
    call.cancel()
    await asyncio.wait([call])
    asked, _ = await answered_next(storage, assistant)

    assert call.cancelled()
    assert asked == "hello+again"


async def test_call_that_is_cancelled_twice_gives_its_turn_back(storage: Storage) -> None:
    """Not even a caller who insists leaves the conversation locked."""
    assistant = HeldAssistant()
    call = asyncio.create_task(service_of(storage, assistant).send_message("c", "hello"))
    await assistant.next()
    call.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])

    assert (await answered_next(storage, assistant))[0] == "hello+again"


async def test_failed_call_gives_its_turn_back(storage: Storage) -> None:
    """A fault of ours reaches the caller, and the next call need not wait for the lease to run out."""
    assistant = HeldAssistant()
    call = asyncio.create_task(service_of(storage, assistant).send_message("c", "hello"))
    _, held = await assistant.next()
    held.set_exception(RuntimeError("a bug"))
    with pytest.raises(RuntimeError):
        await call

    assert (await answered_next(storage, assistant))[0] == "hello+again"


@pytest.mark.parametrize("committed", [False, True])
async def test_answer_outlives_a_database_that_is_away(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """An answer is committed when the database is back, once, and returned, also where it already was committed."""
    monkeypatch.setattr(service, "FINISH_RETRY_S", 0.01)
    assistant = HeldAssistant()
    line = Line(storage, FinishTurn, times=2 if not committed else 1, committed=committed)
    call = asyncio.create_task(service_of(disturbed(line), assistant).send_message("c", "hello"))
    _, held = await assistant.next()
    held.set_result(Reply(words("hi")))
    result = await call
    [conversation] = await storage.conversations()

    assert (result["message"], result["message_count"]) == ("hi", 2)
    assert [message.content for message in await storage.messages(conversation.id or 0)] == ["hello", "hi"]


async def test_answer_for_which_the_database_stays_away(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call does not wait for a database longer than it holds its turn: then it says that the database is away."""
    monkeypatch.setattr(service, "FINISH_RETRY_S", 0.01)
    monkeypatch.setattr(service, "FINISH_FOR_S", 0.1)
    assistant = HeldAssistant()
    line = Line(storage, FinishTurn, times=1_000_000, committed=False)
    call = asyncio.create_task(service_of(disturbed(line), assistant).send_message("c", "hello"))
    _, held = await assistant.next()
    held.set_result(Reply(words("hi")))

    with pytest.raises(StorageUnavailable):
        await call


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
