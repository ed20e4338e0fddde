"""The header Idempotency-Key: whatever is repeated, and by how many at once, is done once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.testing import capture_logs

from gateway.assistant.people import NoSuchConversation
from gateway.storage import BeginRequest, Compose, SettleRequest, Storage, StorageUnavailable
from gateway.storage.api_tables import RepeatedRequest
from gateway.storage.erasure import Erase
from gateway.storage.privacy import FindPeople
from gateway.storage.repeated import KEPT, ForgetRequests
from gateway.web.api.repeats import RUNNING_AT_MOST
from tests.test_api import KEY, NOW, Client, Reply, served
from tests.world import world

MESSAGE = {"channel": "sms", "recipient": "+15550109999", "content": "Your technician is on the way."}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give the API's clock."""
    return Clock()


@pytest.fixture
async def client(tmp_path: Path, database_url: str, clock: Clock) -> AsyncIterator[Client]:
    """Serve the API over each database."""
    async with served(tmp_path, database_url, clock=clock) as opened:
        yield opened


async def begin(client: Client, key: str | None = "k", body: Any = MESSAGE, **more: Any) -> Reply:
    """Begin a message, with a key."""
    headers = {} if key is None else {"Idempotency_Key": key}
    return await client.ask("POST", "/messages", body, **headers, **more)


async def said(client: Client) -> int:
    """Count the messages that were said."""
    return sum(conversation.total_messages for conversation in await client.storage.conversations())


async def test_a_repetition_is_given_the_first_answer(client: Client) -> None:
    """The same status and bytes, marked; the message is said once."""
    first, second, third = [await begin(client) for _ in range(3)]

    assert (first.status, second.status, third.status) == (202, 202, 202)
    assert first.text == second.text == third.text
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert [reply.headers.get("Idempotent-Replayed") for reply in (first, second)] == [None, "true"]
    assert await said(client) == 1


async def test_of_many_at_once_exactly_one_runs(client: Client) -> None:
    """The constraint decides; the others are told to come back, and then are given its answer."""
    replies = await asyncio.gather(*(begin(client) for _ in range(40)))
    done = [reply for reply in replies if reply.status == 202]
    busy = [reply for reply in replies if reply.status == 409]
    later = await begin(client)

    assert len(done) + len(busy) == 40
    assert sum("Idempotent-Replayed" not in reply.headers for reply in done) == 1
    assert {reply.text for reply in done} == {later.text}
    assert {(reply.problem, reply.headers["Retry-After"]) for reply in busy} <= {("still-running", "1")}
    assert await said(client) == 1


async def test_two_processes_share_what_was_begun(client: Client, tmp_path: Path, database_url: str) -> None:
    """A repetition that a balancer sends to another process is none the less one."""
    folder = tmp_path / "other"
    folder.mkdir()
    async with served(folder, database_url, clock=lambda: NOW) as other:
        replies = await asyncio.gather(*(begin(one) for one in (client, other) * 10))
        again = [await begin(one) for one in (client, other)]

    assert {reply.status for reply in replies} <= {202, 409}
    assert {reply.text for reply in again} == {reply.text for reply in replies if reply.status == 202}
    assert await said(client) == 1


@pytest.mark.parametrize("body", [{**MESSAGE, "content": "Other"}, {**MESSAGE, "recipient": "+15550109998"}])
async def test_the_key_of_another_request_is_refused(client: Client, body: Any) -> None:
    """Whoever reuses a key by mistake learns of it instead of losing the second message."""
    await begin(client)
    other = await begin(client, body=body)

    assert (other.status, other.problem) == (422, "repeated-differently")
    assert await said(client) == 1


async def test_the_same_body_for_another_path_is_another_request(client: Client) -> None:
    """What is compared is the whole request."""
    conversation_id = await client.write_to()
    path = f"/conversations/{conversation_id}"
    closed = await client.ask("POST", f"{path}/close", {"rating": 5}, Idempotency_Key="k")
    rated = await client.ask("POST", f"{path}/rating", {"rating": 5}, Idempotency_Key="k")

    assert (closed.status, rated.status, rated.problem) == (200, 422, "repeated-differently")


async def test_each_holder_has_keys_of_their_own(client: Client) -> None:
    """Two programs that count from 1 do not see each other's answers."""
    keys = [KEY, await client.make_key("write", "one", "A"), await client.make_key("write", "two", "B")]
    replies = [
        await client.ask("POST", "/messages", {**MESSAGE, "content": key}, key=key, Idempotency_Key="1") for key in keys
    ]

    assert [reply.status for reply in replies] == [202, 202, 202]
    assert len({reply.told["message"]["id"] for reply in replies}) == 3


async def test_what_is_refused_is_an_answer_too(client: Client) -> None:
    """A repetition is told the same, although it would succeed by now; what does not hold is not kept."""
    refused = await client.ask("POST", "/conversations/x/resume", Idempotency_Key="k")
    wrong = await begin(client, "other", {"channel": "sms"})
    mended = await begin(client, "other")
    again = await client.ask("POST", "/conversations/x/resume", Idempotency_Key="k")

    assert (refused.status, again.status, again.text) == (404, 404, refused.text)
    assert (again.headers["Idempotent-Replayed"], again.problem) == ("true", "not-found")
    assert (wrong.status, mended.status) == (422, 202)


async def test_after_a_day_a_key_is_as_good_as_new(client: Client, clock: Clock) -> None:
    """Just before it is over the answer is still given."""
    await begin(client)
    clock.now = NOW + timedelta(hours=24) - timedelta(seconds=1)
    kept = await begin(client)
    clock.now = NOW + timedelta(hours=24)
    new = await begin(client)

    assert (kept.headers.get("Idempotent-Replayed"), new.headers.get("Idempotent-Replayed")) == ("true", None)
    assert await said(client) == 2


async def test_a_request_that_runs_is_waited_for_and_one_that_was_cut_off_is_never_run_again(
    client: Client, clock: Clock
) -> None:
    """Whoever repeats it is told which of the two it is."""
    await begin(client, "before")
    # The process ends between the beginning and the answer: the row stays as it was begun.
    owner = client.api.keys._configured[0][1].id
    hashed = await first_hash(client.storage, owner, "before")
    await client.storage.run(BeginRequest(owner, "k", hashed, NOW))
    busy = await begin(client)
    clock.now = NOW + RUNNING_AT_MOST + timedelta(seconds=1)
    unknown = await begin(client)

    assert (busy.status, busy.problem, busy.headers["Retry-After"]) == (409, "still-running", "1")
    assert (unknown.status, unknown.problem) == (409, "outcome-unknown")
    assert await said(client) == 1


async def first_hash(storage: Storage, owner: str, key: str) -> str:
    """Return the hash that was kept for a request."""
    return (await storage.run(BeginRequest(owner, key, "", NOW))).request_hash


async def test_an_answer_that_was_erased_is_not_made_up(client: Client) -> None:
    """A person's data is gone; the request was done all the same, and is not done again."""
    await begin(client)
    [person] = await client.storage.run(FindPeople((MESSAGE["recipient"],)))
    await client.storage.run(Erase(person.seeds, "test", NOW))
    again = await begin(client)

    assert (again.status, again.problem) == (409, "answer-erased")
    assert await said(client) == 0


async def test_a_fault_of_ours_is_kept_as_an_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been done is not done again by a repetition."""
    calls = []

    async def fail(*_: Any) -> Any:
        calls.append(1)
        raise RuntimeError

    monkeypatch.setattr(client.parts.service.people, "resume", fail)
    with capture_logs():
        replies = [await client.ask("POST", "/conversations/x/resume", Idempotency_Key="k") for _ in range(2)]

    assert [reply.status for reply in replies] == [500, 500]
    assert len(calls) == 1


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was done; repetitions are given it as soon as the database is back."""
    run = client.storage.run

    async def lose(operation: Any) -> Any:
        if isinstance(operation, SettleRequest):
            raise StorageUnavailable("away")
        return await run(operation)

    monkeypatch.setattr(client.storage, "run", lose)
    with capture_logs() as lines:
        first, second = await begin(client), await begin(client)
    monkeypatch.setattr(client.storage, "run", run)
    third = await begin(client)

    assert (first.status, second.status, second.problem) == (202, 503, "unavailable")
    assert (third.status, third.text, third.headers["Idempotent-Replayed"]) == (202, first.text, "true")
    assert [line["event"] for line in lines] == ["api_answer_not_kept"]
    assert await said(client) == 1


@pytest.mark.parametrize(("is_undone", "seen"), [(True, (202, 1)), (False, (409, 0))])
async def test_a_database_that_goes_away_ends_no_key(
    client: Client, monkeypatch: pytest.MonkeyPatch, is_undone: bool, seen: tuple[int, int]
) -> None:
    """Where nothing can have been written the repetition is done; else it is told at once to look first."""
    run = client.storage._writer.run

    async def go_away(operation: Any) -> Any:
        if isinstance(operation, Compose):
            error = StorageUnavailable("away")
            error.is_undone = is_undone
            raise error
        return await run(operation)

    monkeypatch.setattr(client.storage._writer, "run", go_away)
    away = await begin(client)
    monkeypatch.setattr(client.storage._writer, "run", run)
    again = await begin(client)

    assert (away.status, away.problem) == (503, "unavailable")
    assert (again.status, await said(client)) == seen
    assert is_undone or again.problem == "outcome-unknown"


async def test_an_answer_that_takes_long_is_not_cut_off(
    client: Client, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said every minute that somebody works on it: who repeats it is told to wait, for an hour if need be."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def take_long(*_: Any) -> Any:
        began.set()
        await go_on.wait()
        raise NoSuchConversation("x")

    monkeypatch.setattr(client.parts.service.people, "resume", take_long)
    monkeypatch.setattr(client.api._repeats, "_work_every_s", 0.001)
    first = asyncio.create_task(client.ask("POST", "/conversations/x/resume", Idempotency_Key="k"))
    await began.wait()
    clock.now = NOW + 10 * RUNNING_AT_MOST
    async with asyncio.timeout(10):
        while (await kept(client.storage))[0].created_at != clock.now:
            await asyncio.sleep(0.01)
    busy = await client.ask("POST", "/conversations/x/resume", Idempotency_Key="k")
    go_on.set()

    assert (busy.status, busy.problem) == (409, "still-running")
    assert (await first).status == 404


async def kept(storage: Storage) -> Sequence[RepeatedRequest]:
    """Return what is known about requests."""
    async with AsyncSession(storage._engine) as session:
        return (await session.exec(select(RepeatedRequest))).all()


async def test_a_key_is_kept_as_its_hash(client: Client) -> None:
    """Whatever a caller puts into it, such as a customer's number, is in no table."""
    await begin(client, "+15550109999")
    [row] = await kept(client.storage)

    assert row.idempotency_key == hashlib.sha256(b"+15550109999").hexdigest()
    assert (await begin(client, "+15550109999")).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 256])
async def test_what_is_no_key_is_refused(client: Client, key: str) -> None:
    """It would not come back as it was sent."""
    reply = await begin(client, key)

    assert (reply.status, reply.problem, reply.told["errors"][0]["at"]) == (422, "invalid", "header.Idempotency-Key")
    assert await said(client) == 0


async def test_a_streamed_answer_is_repeated_in_either_form(tmp_path: Path) -> None:
    """The events of the first, or its result as JSON; the model is asked once."""
    chat = {"conversation_id": "c", "message": "Hello"}
    async with world() as around, served(tmp_path, f"sqlite:///{tmp_path}/f.db", **around.addresses) as client:
        first = await client.ask("POST", "/chat", chat, Idempotency_Key="k", Accept="text/event-stream")
        events = await client.ask("POST", "/chat", chat, Idempotency_Key="k", Accept="text/event-stream")
        plain = await client.ask("POST", "/chat", chat, Idempotency_Key="k")
        asked = len(around.openai.requests)

    assert first.text == events.text
    assert (plain.status, plain.told["message"]) == (200, "re: Hello")
    assert asked == 1


# --- the table ---


async def test_old_rows_go_by_themselves(storage: Storage) -> None:
    """A few at once, the oldest first; what is younger than a day stays."""
    for number in range(5):
        await storage.run(BeginRequest("o", f"old {number}", "h", NOW - KEPT - timedelta(seconds=number)))
    await storage.run(BeginRequest("o", "young", "h", NOW - timedelta(hours=23)))
    gone = [await storage.run(ForgetRequests(NOW, 3)) for _ in range(3)]

    assert gone == [3, 2, 0]
    assert [row.created_at for row in await kept(storage)] == [NOW - timedelta(hours=23)]


async def test_an_answer_comes_back_byte_for_byte(storage: Storage) -> None:
    """Whatever bytes it has."""
    body = bytes(range(256))
    began = await storage.run(BeginRequest("o", "k", "h", NOW))
    await storage.run(SettleRequest(began.id, 202, "application/json", body))
    found = await storage.run(BeginRequest("o", "k", "other", NOW + timedelta(minutes=1)))

    assert (found.is_new, found.status, found.content_type, found.body) == (False, 202, "application/json", body)
    assert (found.request_hash, found.created_at) == ("h", NOW)
