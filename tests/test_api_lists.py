"""Lists of the API: pages that nothing is missing from, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.content import Content
from gateway.storage import Answer, Block, Compose, Takeover
from gateway.web.api.cursors import NUMBERED, TIMED, decode, encode
from gateway.web.api.problems import Problem
from tests.test_api import NOW, Client, served
from tests.test_calendar import Customer
from tests.test_storage_accept import accept, sms
from tests.test_storage_effects import turns_of
from tests.test_storage_leads import save


@pytest.fixture
async def client(tmp_path: Path, database_url: str) -> AsyncIterator[Client]:
    """Serve the API over each database."""
    async with served(tmp_path, database_url) as opened:
        yield opened


async def walk(
    client: Client, path: str, *, limit: int = 3, between: Callable[[int], Any] | None = None
) -> list[dict[str, Any]]:
    """Read a list to its end; between two pages, something else happens."""
    found: list[dict[str, Any]] = []
    cursor, number = "", 0
    while True:
        mark = "&" if "?" in path else "?"
        reply = await client.ask("GET", f"{path}{mark}limit={limit}{cursor}")
        assert reply.status == 200, reply.text
        found += reply.told["items"]
        assert len(reply.told["items"]) <= limit
        if reply.told["next_cursor"] is None:
            return found
        cursor = f"&cursor={reply.told['next_cursor']}"
        if between is not None:
            await between(number)
        number += 1


def phone(number: int) -> str:
    return f"+1555010{number:04}"


async def test_conversations_come_once_each_while_others_are_begun_and_written_in(client: Client) -> None:
    """The last that was begun comes first; what is begun meanwhile is not met, and news hides nothing."""
    made = [await client.write_to(phone(number)) for number in range(10)]

    async def between(number: int) -> None:
        await client.write_to(phone(100 + number))
        await accept(client.storage, sms(phone(9 - number), f"SM{number}"), at=NOW + timedelta(minutes=number))

    found = await walk(client, "/conversations", between=between)

    assert [one["conversation_id"] for one in found] == list(reversed(made))


async def test_conversations_by_activity_have_the_latest_news_first(client: Client) -> None:
    """Equal times are told apart by what was begun last; a page ends between any two."""
    made = [await client.write_to(phone(number)) for number in range(5)]
    await accept(client.storage, sms(phone(1), "SM1"), at=NOW + timedelta(seconds=1))
    found = await walk(client, "/conversations?order=activity", limit=2)

    assert [one["conversation_id"] for one in found] == [made[number] for number in (1, 4, 3, 2, 0)]


async def test_many_writers_do_not_disturb_a_reader(client: Client) -> None:
    """Whoever reads while others write meets everything that was there before, once."""
    made = [await client.write_to(phone(number)) for number in range(20)]
    stop = asyncio.Event()

    async def write(start: int) -> None:
        number = start
        while not stop.is_set():
            await client.write_to(phone(number))
            number += 1

    writers = [asyncio.create_task(write(start)) for start in (1000, 2000, 3000)]
    walks = [await walk(client, "/conversations", limit=4) for _ in range(5)]
    stop.set()
    await asyncio.gather(*writers)
    ids = [[one["conversation_id"] for one in found] for found in walks]

    assert all(len(found) == len(set(found)) for found in ids)
    assert all(set(made) <= set(found) for found in ids)
    assert len(ids[-1]) > len(made)


async def test_a_transcript_is_read_while_it_grows(client: Client) -> None:
    """In order; what is said meanwhile follows at the end."""
    conversation_id = await client.write_to(phone(1), "0")

    async def say(number: int) -> None:
        await client.write_to(phone(1), str(number))

    for number in range(1, 7):
        await say(number)
    found = await walk(client, f"/conversations/{conversation_id}/messages", between=lambda n: say(7 + n))

    assert [one["sequence_number"] for one in found] == list(range(1, len(found) + 1))
    assert [one["content"] for one in found[:7]] == [str(number) for number in range(7)]


async def test_deliveries_come_with_those_of_the_last_message_first(client: Client) -> None:
    """Each part once, although parts share a message."""
    parts = tuple(Content(f"part {number}") for number in (1, 2, 3))
    for number in range(3):
        content = Content("long")
        await client.storage.run(Compose("sms", "sms", phone(number), Answer(content, parts), NOW))

    async def between(number: int) -> None:
        await client.write_to(phone(50 + number))

    found = await walk(client, "/deliveries", limit=2, between=between)

    assert [(one["recipient"], one["part"]) for one in found] == [
        (phone(number), part) for number in (2, 1, 0) for part in (3, 2, 1)
    ]
    assert all(one["status"] == "queued" and one["conversation"] for one in found)


async def test_appointments_come_by_time(client: Client) -> None:
    """Those of one time are told apart; a page may end between them."""
    starts = [NOW + timedelta(hours=hours) for hours in (3, 1, 2, 2, 5)]
    for number, start in enumerate(starts):
        customer = await Customer.of(client.storage, phone(number))
        await customer.book(start)
    found = await walk(client, "/appointments", limit=2)
    since = (NOW + timedelta(hours=2)).isoformat().replace("+", "%2B")
    until = (NOW + timedelta(hours=5)).isoformat().replace("+", "%2B")
    within = await walk(client, f"/appointments?since={since}&until={until}", limit=2)

    assert [one["starts_at"] for one in found] == [start.isoformat() for start in sorted(starts)]
    assert [one["starts_at"] for one in within] == [start.isoformat() for start in sorted(starts)[1:-1]]
    assert {one["status"] for one in found} == {"booked"}


async def test_leads_come_with_the_last_first(client: Client) -> None:
    """Each with its conversation's public id."""

    async def add(number: int) -> None:
        [turn] = await turns_of(client.storage, phone(number))
        await save(client.storage, turn, phone=phone(number))

    async def between(number: int) -> None:
        await add(50 + number)

    for number in range(5):
        await add(number)

    found = await walk(client, "/leads", limit=2, between=between)

    assert [one["phone"] for one in found] == [phone(number) for number in (4, 3, 2, 1, 0)]
    assert all(one["conversation"] for one in found)


# --- filters ---


async def test_lists_are_filtered(client: Client) -> None:
    """By channel, mode, status and conversation; what nothing has is an empty list."""
    first, second = [await client.write_to(phone(number)) for number in (1, 2)]
    await client.storage.run(Takeover(first, "a person", NOW))
    asked = {
        "/conversations?mode=human": [first],
        "/conversations?mode=waiting": [],
        "/conversations?channel=sms&mode=bot": [second],
        "/conversations?channel=whatsapp": [],
        f"/deliveries?conversation_id={first}": [first],
        "/deliveries?conversation_id=nobody": [],
        "/deliveries?channel=sms&status=queued": [second, first],
        "/deliveries?status=failed": [],
        "/leads?status=new": [],
        "/appointments?status=cancelled": [],
    }
    found = {}
    for path in asked:
        items = (await client.ask("GET", path)).told["items"]
        found[path] = [one.get("conversation") or one["conversation_id"] for one in items]

    assert found == asked


async def test_a_conversation_tells_what_is_known_of_its_address(client: Client) -> None:
    """Whether its sender is blocked or has opted out stands beside it, in the list and alone."""
    conversation_id = await client.write_to(phone(1))
    await client.storage.run(Block(conversation_id, NOW))
    alone = (await client.ask("GET", f"/conversations/{conversation_id}")).told
    [listed] = (await client.ask("GET", "/conversations")).told["items"]

    assert alone == listed
    assert (alone["blocked_at"], alone["opted_out_at"]) == (NOW.isoformat(), None)


@pytest.mark.parametrize("unknown", ["%00", "%ed%a0%80", "%ff", "nobody"])
async def test_an_id_that_no_database_could_keep_is_nobodys(client: Client, unknown: str) -> None:
    """It is not asked for: PostgreSQL would refuse the question."""
    reply = await client.ask("GET", f"/conversations/{unknown}")

    assert (reply.status, reply.problem) == (404, "not-found")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "cursor=", "cursor=x", "mode=asleep", "channel=%00", "x=1"],
)
async def test_a_query_that_does_not_hold_is_refused(tmp_path: Path, query: str) -> None:
    """With the name of what is wrong with it."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as client:
        reply = await client.ask("GET", f"/conversations?{query}")

    assert (reply.status, reply.problem) == (422, "invalid")
    assert reply.told["errors"][0]["at"] == f"query.{query.partition('=')[0]}"


@pytest.mark.parametrize("when", ["tomorrow", "2026-11-24", "2026-11-24T09:00:00", "0001-01-01T00:00:00%2B14:00"])
async def test_a_time_needs_its_offset(tmp_path: Path, when: str) -> None:
    """A time without one means another moment to everybody."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as client:
        reply = await client.ask("GET", f"/appointments?since={when}")

    assert (reply.status, reply.told["errors"][0]["at"]) == (422, "query.since")


# --- cursors ---


def written(*values: Any) -> str:
    """Write a cursor as somebody who guesses does."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a",
        "é",
        written("other", NOW.isoformat(), 1),
        written("list", NOW.isoformat()),
        written("list", NOW.isoformat(), 1, 2),
        written("list", NOW.isoformat(), 0),
        written("list", NOW.isoformat(), 2**63),
        written("list", "2026-11-24T09:00:00", 1),
        written("list", "0001-01-01T00:00:00+14:00", 1),
        written("list", None, None),
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"[" * 3000).decode(),
        base64.b64encode(b"9" * 5000).decode(),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """Whoever makes one up, or takes it from another list, is told to begin without."""
    with pytest.raises(Problem, match="is no cursor of this list"):
        decode("list", cursor, TIMED)


@pytest.mark.parametrize(("place", "columns"), [((7,), NUMBERED), ((NOW + timedelta(microseconds=1), 7), TIMED)])
def test_a_cursor_is_read_as_it_was_written(place: tuple[Any, ...], columns: tuple[Any, ...]) -> None:
    """To the microsecond; the end of a list has none."""
    cursor = encode("list", place)

    assert cursor is not None
    assert cursor.isascii()
    assert decode("list", cursor, columns) == place
    assert encode("list", None) is None
    assert decode("list", None, columns) is None
