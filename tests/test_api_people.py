"""People through the API: who speaks, what they say, how it ended, and who is not answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.base import Attachment, Consent
from channels.content import Content
from gateway.media import MediaStore
from gateway.privacy import SpoolBusy
from gateway.storage import Answer, Block, ClaimTurns, FinishTurn, Resume, Say, SettleAttachment, Storage, Unblock
from gateway.storage.records import Lead
from gateway.web.api import personal_data
from tests.saying import said
from tests.test_api import CUSTOMER, KEY, NOW, Client, served
from tests.test_storage_accept import accept, sms


@pytest.fixture
async def client(tmp_path: Path, database_url: str) -> AsyncIterator[Client]:
    """Serve the API over each database."""
    async with served(tmp_path, database_url) as opened:
        yield opened


async def of_customer(client: Client, text: str = "Hello", external_id: str = "SM1") -> str:
    """Let the customer write, and return the path of their conversation."""
    await accept(client.storage, sms(CUSTOMER, external_id, text))
    [conversation] = await client.storage.conversations()
    return f"/conversations/{conversation.conversation_id}"


async def test_a_person_takes_answers_and_gives_back(client: Client) -> None:
    """Whoever took it over speaks without naming themselves; afterwards the bot speaks again."""
    path = await of_customer(client)
    taken = await client.ask("POST", f"{path}/takeover", {"assigned_to": "front office"})
    said = await client.ask("POST", f"{path}/messages", {"content": "We come at 3.", "attachment_urls": []})
    transcript = await client.ask("GET", f"{path}/messages")
    given = await client.ask("POST", f"{path}/resume")

    assert (taken.status, taken.told["mode"], taken.told["assigned_to"]) == (200, "human", "front office")
    assert said.status == 202
    assert said.told["message"] == transcript.told["items"][-1]
    assert (said.told["message"]["role"], said.told["message"]["metadata"]) == ("agent", {"author": "front office"})
    [delivery] = said.told["deliveries"]
    assert (delivery["status"], delivery["recipient"], delivery["content"]) == ("queued", CUSTOMER, "We come at 3.")
    assert delivery["message_id"] == said.told["message"]["id"]
    assert (given.status, given.told["mode"], given.told["assigned_to"]) == (200, "bot", None)


async def test_whoever_replies_without_a_takeover_has_the_conversation(client: Client) -> None:
    """By the name that they give, or that of their key."""
    path = await of_customer(client)
    key = await client.make_key("write", "crm")
    by_key = await client.ask("POST", f"{path}/messages", {"content": "Hello"}, key=key)
    other = await client.ask("POST", f"{path}/messages", {"content": "Hello", "author": "somebody else"}, key=key)
    shown = await client.ask("GET", path)

    assert by_key.status == 202
    assert (other.status, other.problem) == (409, "taken")
    assert (shown.told["mode"], shown.told["assigned_to"]) == ("human", "crm")
    assert "crm has this conversation" in other.told["detail"]


async def test_a_second_person_is_told_who_has_it(client: Client) -> None:
    """A takeover of what another person has is refused, and changes nothing."""
    path = await of_customer(client)
    await client.ask("POST", f"{path}/takeover", {"assigned_to": "one"})
    again = await client.ask("POST", f"{path}/takeover", {"assigned_to": "one"})
    other = await client.ask("POST", f"{path}/takeover", {"assigned_to": "two"})

    assert again.status == 200
    assert (other.status, other.problem) == (409, "taken")
    assert "one has this conversation" in other.told["detail"]


async def test_a_customer_who_opted_out_is_not_written_to(client: Client) -> None:
    """Neither in their conversation nor by a new message; the reason is told."""
    path = await of_customer(client)
    await accept(client.storage, sms(CUSTOMER, "SM2", "STOP", consent=Consent.OPT_OUT))
    reply = await client.ask("POST", f"{path}/messages", {"content": "Hello"})
    begun = await client.ask("POST", "/messages", {"channel": "sms", "recipient": CUSTOMER, "content": "Hello"})
    shown = await client.ask("GET", path)

    assert (reply.status, reply.problem) == (begun.status, begun.problem) == (409, "opted-out")
    assert shown.told["opted_out_at"] == NOW.isoformat()
    assert (await client.ask("GET", "/deliveries")).told["items"] == []


async def test_a_reply_that_could_not_leave_is_not_stored(tmp_path: Path, database_url: str) -> None:
    """A channel that is not enabled any more would keep it unseen."""
    async with served(tmp_path, database_url) as client:
        path = await of_customer(client)
        await client.storage.run(Resume("nobody", NOW))
        client.parts.roster._entries.clear()
        reply = await client.ask("POST", f"{path}/messages", {"content": "Hello"})
        shown = await client.ask("GET", path)

    assert (reply.status, reply.problem) == (409, "channel-not-enabled")
    assert shown.told["total_messages"] == 1


@pytest.mark.parametrize("body", [{}, {"content": " "}, {"content": "x", "author": " "}])
async def test_a_reply_says_something_by_somebody(client: Client, body: dict[str, str]) -> None:
    """Nothing is stored of what is none."""
    path = await of_customer(client)
    reply = await client.ask("POST", f"{path}/messages", body)

    assert (reply.status, reply.problem) == (422, "invalid")
    assert (await client.ask("GET", path)).told["mode"] == "bot"


async def test_what_the_channel_cannot_show_is_refused(client: Client) -> None:
    """SMS has no uploads and no templates of Meta's; the detail says what to do."""
    path = await of_customer(client)
    reply = await client.ask("POST", f"{path}/messages", {"attachment_urls": ["data:image/png;base64,AAAA"]})
    begun = await client.ask(
        "POST",
        "/messages",
        {"channel": "sms", "recipient": CUSTOMER, "attachment_urls": ["data:image/png;base64,AAAA"]},
    )

    assert (reply.status, reply.problem) == (begun.status, begun.problem) == (422, "cannot-show")
    assert "https address" in reply.told["detail"]


# --- how it ended ---


async def test_a_conversation_is_closed_and_rated(client: Client) -> None:
    """At once or later; a later rating takes the earlier one's place, and a new message keeps it."""
    path = await of_customer(client)
    open_ = await client.ask("POST", f"{path}/rating", {"rating": 3})
    closed = await client.ask("POST", f"{path}/close", {"rating": 2, "comment": "Slow."})
    rated = await client.ask("POST", f"{path}/rating", {"rating": 5})
    await accept(client.storage, sms(CUSTOMER, "SM2", "One more thing"))
    reopened = await client.ask("GET", path)

    assert (open_.status, open_.problem) == (409, "not-closed")
    assert (closed.told["is_active"], closed.told["closed_at"]) == (False, NOW.isoformat())
    assert (closed.told["rating"], closed.told["rating_comment"], closed.told["rated_at"]) == (
        2,
        "Slow.",
        NOW.isoformat(),
    )
    assert (rated.told["rating"], rated.told["rating_comment"]) == (5, None)
    assert (reopened.told["is_active"], reopened.told["rating"]) == (True, 5)


@pytest.mark.parametrize("body", [None, {}])
async def test_a_conversation_is_closed_without_a_word(client: Client, body: dict[str, str] | None) -> None:
    """A rating is not asked for."""
    path = await of_customer(client)
    closed = await client.ask("POST", f"{path}/close", body)

    assert (closed.status, closed.told["is_active"], closed.told["rating"]) == (200, False, None)


@pytest.mark.parametrize("body", [{"rating": 0}, {"rating": 6}, {"rating": "5"}, {"rating": 4.5}, {"comment": "Nice"}])
async def test_a_rating_is_1_to_5(client: Client, body: dict[str, object]) -> None:
    """Nothing else is taken for one, and the conversation stays as it is."""
    path = await of_customer(client)
    refused = await client.ask("POST", f"{path}/close", body)

    assert (refused.status, refused.problem) == (422, "invalid")
    assert (await client.ask("GET", path)).told["is_active"]


# --- who is not answered ---


async def test_what_a_blocked_sender_writes_is_stored_and_not_answered(client: Client) -> None:
    """What waits is dropped; a person can still write to them; unblocked, they are answered from the next message."""
    path = await of_customer(client)
    blocked = await client.ask("POST", f"{path}/block")
    waiting = await client.storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))
    accepted = await accept(client.storage, sms(CUSTOMER, "SM2", "Why?"))
    reply = await client.ask("POST", f"{path}/messages", {"content": "Please call us."})
    await client.ask("POST", f"{path}/resume")
    unblocked = await client.ask("DELETE", f"{path}/block")
    silent = await client.storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))
    await accept(client.storage, sms(CUSTOMER, "SM3", "Hello again"))
    [turn] = await client.storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))

    assert (blocked.status, blocked.told["blocked_at"]) == (200, NOW.isoformat())
    assert (list(waiting), accepted.messages, accepted.due_at) == ([], 1, None)
    assert reply.status == 202
    assert (unblocked.status, unblocked.told["blocked_at"], list(silent)) == (200, None, [])
    assert [message.content for message in turn.messages if message.asks] == ["Hello again"]


async def test_blocking_stops_the_answer_that_is_being_made(storage: Storage) -> None:
    """A turn that runs cannot commit any more."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    [turn] = await storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))
    await storage.run(Block(turn.conversation_id, NOW))
    finished = await storage.run(FinishTurn(turn.id, turn.fence, NOW, said("Hello", "Hello")))

    assert finished is None
    assert await storage.deliveries() == []


async def test_blocking_cancels_what_the_bot_has_not_sent(storage: Storage) -> None:
    """Its queued words do not leave."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    [turn] = await storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, said("Hello")))
    await storage.run(Block(turn.conversation_id, NOW))
    [delivery] = await storage.deliveries()

    assert (delivery.status, delivery.error_code) == ("cancelled", "blocked")


async def test_a_block_holds_for_every_conversation_of_the_sender(storage: Storage) -> None:
    """Wherever they write from that address on that channel, the bot's queued words stay here; others' leave."""
    threads = [sms(CUSTOMER, f"SM{n}", thread_key=f"thread {n}") for n in (1, 2)]
    await accept(storage, *threads, sms("+15550109998", "SM3"))
    turns = await storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",)))
    for turn in turns:
        await storage.run(FinishTurn(turn.id, turn.fence, NOW, said("Hello")))
    blocked = next(turn for turn in turns if turn.address == CUSTOMER)
    await storage.run(Block(blocked.conversation_id, NOW))
    statuses = {(delivery.recipient, delivery.status) for delivery in await storage.deliveries()}

    assert len({turn.id for turn in turns}) == 3
    assert statuses == {(CUSTOMER, "cancelled"), ("+15550109998", "queued")}


async def test_whoever_has_opted_out_leaves_no_conversation_when_refused(client: Client) -> None:
    """What we begin is refused before anything is made for it."""
    await accept(client.storage, sms(CUSTOMER, "SM1", "STOP", consent=Consent.OPT_OUT))
    async with AsyncSession(client.storage._engine) as session:
        for table in ("conversation_messages", "chat_conversations"):
            await session.exec(text(f"DELETE FROM {table}"))
        await session.exec(text("UPDATE addresses SET contact_id = NULL"))
        await session.exec(text("DELETE FROM contacts"))
        await session.commit()
    told = {"channel": "sms", "recipient": CUSTOMER, "content": "News"}
    refused = await client.ask("POST", "/messages", told)

    assert (refused.status, refused.problem) == (409, "opted-out")
    assert await client.storage.conversations() == []


async def test_what_is_told_of_a_reply_is_that_reply(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another person's words, which need no delivery, come a moment later."""
    await client.ask("POST", "/chat", {"conversation_id": "c", "message": "Hello"})
    await client.ask("POST", "/conversations/c/takeover", {"assigned_to": "ann"})
    run = client.storage.run

    async def say_more(operation: Any) -> Any:
        result = await run(operation)
        if isinstance(operation, Say):
            await run(Say("c", "ann", Answer(Content("later words")), NOW))
        return result

    monkeypatch.setattr(client.storage, "run", say_more)
    reply = await client.ask("POST", "/conversations/c/messages", {"content": "my words", "author": "ann"})

    assert (reply.status, reply.told["message"]["content"]) == (202, "my words")


async def test_a_close_and_its_rating_are_one_commit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are there, or neither; a close without one leaves an earlier rating."""
    path = await of_customer(client)
    monkeypatch.delattr("gateway.web.api.people.Rate")
    rated = await client.ask("POST", f"{path}/close", {"rating": 4, "comment": "quick"})
    again = await client.ask("POST", f"{path}/close")

    assert [(r.status, r.told["is_active"], r.told["rating"]) for r in (rated, again)] == [(200, False, 4)] * 2
    assert again.told["rating_comment"] == "quick"


async def test_within_one_request_a_start_does_not_unblock(storage: Storage) -> None:
    """The customer's own words change their consent, not what somebody here decided."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    [conversation] = await storage.conversations()
    await storage.run(Block(conversation.conversation_id, NOW))
    accepted = await accept(
        storage,
        sms(CUSTOMER, "SM2", "STOP", consent=Consent.OPT_OUT),
        sms(CUSTOMER, "SM3", "START", consent=Consent.OPT_IN),
        sms(CUSTOMER, "SM4", "Hello?"),
    )

    assert (accepted.messages, accepted.due_at) == (3, None)
    assert await storage.run(ClaimTurns("w", NOW, NOW + timedelta(minutes=1), 9, ("sms",))) == []


async def test_blocking_twice_keeps_the_first_time(storage: Storage) -> None:
    """And unblocking whoever is not blocked changes nothing."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    [conversation] = await storage.conversations()
    id_ = conversation.conversation_id
    done = [await storage.run(Block(id_, NOW + timedelta(hours=hours))) for hours in (0, 1)]
    known = await storage.pages.conversation(id_)
    undone = [await storage.run(Unblock(id_)) for _ in range(2)]
    after = await storage.pages.conversation(id_)

    assert known is not None
    assert after is not None
    assert (done, undone, known.blocked_at, after.blocked_at) == ([True, True], [True, True], NOW, None)


async def test_a_caller_of_chat_has_no_sender_to_block(client: Client) -> None:
    """Whoever calls decides there whose messages come."""
    await client.ask("POST", "/chat", {"conversation_id": "c", "message": "Hello"}, key=KEY)
    replies = [await client.ask(method, "/conversations/c/block") for method in ("POST", "DELETE")]

    assert [(reply.status, reply.problem) for reply in replies] == [(409, "no-sender")] * 2


async def test_a_person_is_told_everything_and_then_forgotten(client: Client) -> None:
    """By a key for admins only; afterwards nothing of theirs is left, and nobody is found any more."""
    path = f"{await of_customer(client, 'my words')}/person"
    key = await client.make_key("write")
    refused = await client.ask("DELETE", path, key=key)
    told = await client.ask("GET", path)
    erased = await client.ask("DELETE", path)
    again = await client.ask("GET", path)
    left = await client.ask("GET", "/conversations")

    assert refused.status == 403
    assert [message["content"] for message in told.told["data"]["messages"]] == ["my words"]
    assert erased.told["rows"]["conversation_messages"] == 1
    assert again.status == 404
    assert "my words" not in left.text
    assert CUSTOMER not in left.text


async def test_a_persons_files_are_told_where_they_are_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In base64 by their hash; more than one answer can hold is refused, and nothing of it is read."""
    attached = Attachment("https://example.com/roof.png", "image/png")
    await accept(client.storage, sms(CUSTOMER, "SM1", "See the picture.", attachments=(attached,)))
    [row] = await client.storage.conversations()
    [message] = await client.storage.newest_messages(row.id or 0, up_to=1, limit=1)
    sha256 = await MediaStore(client.parts.config.data.dir / "media").put(b"a picture")
    await client.storage.run(SettleAttachment(message.attachments[0].id, "stored", "image/png", sha256, size=9))
    path = f"/conversations/{row.conversation_id}/person"
    plain, whole = await client.ask("GET", path), await client.ask("GET", f"{path}?files=true")
    monkeypatch.setattr(personal_data, "MAX_FILES_BYTES", 8)
    refused = await client.ask("GET", f"{path}?files=true")

    assert plain.told["files"] is None
    assert whole.told["files"] == {sha256: "YSBwaWN0dXJl"}
    assert (refused.status, refused.problem) == (409, "too-many-files")


async def test_whoever_has_no_conversation_is_told_and_forgotten_as_a_contact(client: Client) -> None:
    """By the id that leads, appointments and conversations show; an id of another kind is none."""
    path = await of_customer(client)
    contact_id = (await client.ask("GET", path)).told["contact"]
    by_conversation = await client.ask("GET", f"/contacts/{path.rpartition('/')[2]}/person")
    by_contact = await client.ask("GET", f"/conversations/{contact_id}/person")
    async with AsyncSession(client.storage._engine) as session:
        known = (await session.exec(text("SELECT id FROM contacts"))).one()[0]
        session.add(Lead(name="Nobody's", phone=CUSTOMER, contact_id=known, created_at=NOW))
        for table in ("conversation_messages", "chat_conversations"):
            await session.exec(text(f"DELETE FROM {table}"))
        await session.commit()
    [lead] = (await client.ask("GET", "/leads")).told["items"]
    told = await client.ask("GET", f"/contacts/{contact_id}/person")
    erased = await client.ask("DELETE", f"/contacts/{contact_id}/person")
    again = await client.ask("DELETE", f"/contacts/{contact_id}/person")

    assert (by_conversation.status, by_contact.status) == (404, 404)
    assert (lead["contact"], lead["contact_id"]) == (contact_id, known)
    assert [row["phone"] for row in told.told["data"]["leads"]] == [CUSTOMER]
    assert erased.told["rows"] == {"leads": 1, "addresses": 1, "contacts": 1}
    assert (again.status, again.told["detail"]) == (404, "there is no contact with this id")


@pytest.mark.parametrize("error", [SpoolBusy(), None])
async def test_an_erasure_that_takes_too_long_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """It is not the database that does not answer, and nobody believes that it was done."""

    async def take_long(*_: Any, **__: Any) -> Any:
        if error is not None:
            raise error
        await asyncio.Event().wait()

    monkeypatch.setattr(personal_data, "forget_person", take_long)
    monkeypatch.setattr(personal_data, "ERASING_S", 0.01)
    reply = await client.ask("DELETE", f"{await of_customer(client)}/person")

    assert (reply.status, reply.problem, reply.headers["Retry-After"]) == (503, "not-erased", "60")
