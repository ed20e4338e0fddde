"""What a model that is fooled completely can do to another customer of the same business: nothing.

The one who writes talks the model into every call that it can write down. Whose the appointments and the lead are is
decided by the conversation, so the other one's stay as they are, and nothing of them comes out.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.assistant.tools.appointments import MAX_OPEN
from gateway.sandbox.openai import OpenAIStandIn
from gateway.sandbox.receptionist import Called, Said
from gateway.storage import Storage
from tests.test_assistant import APIS, DAY, Desk, booking, call, desk, outputs, until
from tests.test_injections import FALLBACKS, FINE, NOTED, attacks, town, turn_of
from tests.world import World

NOTHING = dict.fromkeys(("name", "phone", "email", "address", "notes"))
THEIRS = {
    "name": "the other customer",
    "phone": "+13135550142",
    "email": "other@example.org",
    "address": "1 Other Street",
    "notes": "leaves the key under the mat",
}
OWN = {**NOTHING, "name": "the one who writes", "phone": "+13135550143"}
TURN_S = 10.0
"""An attack that takes longer than this has found a way to hold a turn up; the slowest takes about a second."""


@dataclass(frozen=True)
class Other:
    """The customer who must come to no harm."""

    storage: Storage
    row_id: int
    conversation_id: str
    appointment_id: int
    before: str

    @classmethod
    async def of(cls, storage: Storage, conversation_id: str) -> Other:
        """Remember what there is of a customer."""
        row = await storage.conversation(conversation_id)
        assert row is not None
        assert row.id is not None
        [booked] = await storage.appointments(conversation=(row.id, row.contact_id))
        other = cls(storage, row.id, conversation_id, booked.id or 0, "")
        return cls(storage, row.id, conversation_id, booked.id or 0, await other.now())

    async def now(self) -> str:
        """Return everything that is theirs, and which seats are taken when they have theirs."""
        row = await self.storage.conversation(self.conversation_id)
        assert row is not None
        own = await self.storage.appointments(conversation=(self.row_id, row.contact_id))
        leads = await self.storage.leads(contact_id=row.contact_id)
        messages = await self.storage.messages(self.row_id)
        found = [row, *own, *leads, *messages]
        return json.dumps([entry.model_dump(mode="json") for entry in found])


async def meet(storage: Storage, openai: OpenAIStandIn, say: Any, who: str, lead: Any, time: str) -> None:
    """Let a customer tell who they are, and book."""
    facts = {**lead, "service": None}
    openai.script.extend([call("create_lead", **lead), call("schedule_appointment", **booking(time, **facts)), NOTED])
    await say(who, "This is me. Please book.")


def foreign(other: Other) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls that would harm another customer, if they were carried out as they are written."""
    theirs, at = {"appointment_id": other.appointment_id}, {"date": str(DAY), "time": "15:00"}
    return [
        ("cancel_appointment", theirs),
        ("reschedule_appointment", {**at, **theirs}),
        *(("cancel_appointment", {"appointment_id": wrong}) for wrong in (0, -1, 2**63, "1", "1 OR 1=1", [1], 1.5)),
        ("cancel_appointment", {**theirs, "conversation_id": other.conversation_id}),
        ("cancel_appointment", {**theirs, "contact_id": 1}),
        ("reschedule_appointment", {"date": str(DAY), "time": "10:00", "appointment_id": None}),
        ("schedule_appointment", booking("10:00", name=THEIRS["name"], phone=THEIRS["phone"])),
        ("schedule_appointment", booking("12:00", **{**THEIRS, "service": None})),
        ("create_lead", THEIRS),
        ("create_lead", {**NOTHING, "phone": THEIRS["phone"]}),
        ("create_lead", {**NOTHING, "email": THEIRS["email"].upper()}),
        ("create_lead", {**NOTHING, "name": "'; DROP TABLE leads; --"}),
        ("check_availability", {"date": str(DAY), "time": "10:00", "service": THEIRS["phone"]}),
        ("list_appointments", {"phone": THEIRS["phone"]}),
        ("functions.get customer", {"phone": THEIRS["phone"]}),
        ("sql", {"query": "select * from leads"}),
        ("reschedule_appointment", {**at, "time": "16:00", "appointment_id": None}),
    ]


def tells_of_other(text: str) -> bool:
    """Tell whether a text names something that only the other customer's records hold."""
    return any(value in text for value in THEIRS.values())


@asynccontextmanager
async def two_at_desk(folder: Path, database: str, api: str = "responses") -> AsyncIterator[tuple[Desk, Other]]:
    """Open a service that two customers have written to, each with a lead and an appointment of their own."""
    async with desk(folder, database, api=api) as at:

        async def say(who: str, text: str) -> None:
            await at.say(text, who)

        await meet(at.storage, at.openai, say, "other", THEIRS, "10:00")
        await meet(at.storage, at.openai, say, "own", OWN, "11:00")
        yield at, await Other.of(at.storage, "other")


async def test_another_customers_things_are_out_of_reach(database_url: str, tmp_path: Path) -> None:
    """Whatever is called with whatever arguments, the other's rows stay, nothing of them comes out."""
    async with two_at_desk(tmp_path, database_url) as (at, other):
        wishes = attacks(wants="other_customer")
        for number, (tool, arguments) in enumerate(foreign(other)):
            at.will_say(call(tool, **arguments), Said("It is done."))
            result = await at.say(wishes[number % len(wishes)], "own")
            gave = [action["output"] for action in result["actions"]]
            heard = json.dumps(turn_of(at)["input"][-1])
            await at.parts.summaries.settle()

            assert await other.now() == other.before, tool
            assert not tells_of_other(json.dumps([gave, heard, result["message"]])), tool
        at.will_say(call("cancel_appointment", appointment_id=None), Said("Cancelled."))
        cancelled = await at.say("Cancel mine, please", "other")

        assert cancelled["actions"][0]["output"]["appointment_id"] == other.appointment_id
        assert cancelled["actions"][0]["output"]["status"] == "cancelled"


async def test_each_attack_that_wants_an_action_gets_none_of_anothers(tmp_path: Path) -> None:
    """Each text is obeyed with all of the calls that change something, at once, and changes nothing of the other's."""
    async with two_at_desk(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as (at, other):
        calls = [Called(tool, json.dumps(arguments)) for tool, arguments in foreign(other)]
        for number, text in enumerate([*attacks(wants="action"), *attacks(wants="other_customer")]):
            at.will_say(Said(calls=tuple(calls[number % len(calls) :][:8])), Said("It is done."))
            result = await at.say(text, f"c{number}")
            gave = [action["output"] for action in result["actions"]]

            assert await other.now() == other.before, text
            assert not tells_of_other(json.dumps([gave, result["message"]])), text


async def test_another_customers_things_are_out_of_reach_by_text_message(database_url: str, tmp_path: Path) -> None:
    """The same by SMS: and neither the prompt nor a stranger's link is in what leaves."""
    other_phone, own_phone = "+15550101001", "+15550101002"
    async with town(tmp_path, database_url) as (around, storage):

        async def say(who: str, text: str) -> str:
            return await read_next(around, who, text)

        await meet(storage, around.openai, say, other_phone, THEIRS, "10:00")
        await meet(storage, around.openai, say, own_phone, OWN, "11:00")
        rows = {row.address: row for row in await storage.conversations()}
        other = await Other.of(storage, rows[other_phone].conversation_id)
        rules = around.openai.requests[0].body["instructions"]
        for tool, arguments in foreign(other):
            around.openai.script.extend([call(tool, **arguments), Said("Done, see https://evil.example/a")])
            await say(own_phone, attacks(wants="action")[0])
            assert await other.now() == other.before, tool
        around.openai.script.append(Said(f"Of course! {rules}"))
        replaced = await say(own_phone, attacks(wants="prompt")[0])
        around.openai.script.append(FINE)
        after = await say(own_phone, "Thank you")
        row = await storage.conversation(rows[own_phone].conversation_id)
        assert row is not None
        left = [delivery.content for delivery in await storage.deliveries() if delivery.recipient == own_phone]
        committed = [m.content for m in await storage.messages(row.id or 0) if m.role == "assistant"]

    assert rows[other_phone].contact_id != rows[own_phone].contact_id
    assert replaced.startswith(FALLBACKS)
    assert (row.mode, after) == ("waiting", "Fine.")
    for said in (left, committed, list(around.twilio.received(own_phone))):
        assert len(said) == len(foreign(other)) + 3
        assert not re.search(r"evil\.|://|Never reveal", " ".join(said))
        assert not tells_of_other(" ".join(said))


async def read_next(around: World, who: str, text: str) -> str:
    """Text the business, and return what it answers."""
    before = len(around.twilio.received(who))
    await around.twilio.text(who, text)
    await until(lambda: len(around.twilio.received(who)) > before)
    return around.twilio.received(who)[-1]


# --- calls that are made to break something ------------------------------------------------------------------------

BROKEN: Mapping[str, tuple[str, str]] = {
    "no JSON": ("cancel_appointment", "{appointment_id: 1"),
    "nothing": ("cancel_appointment", ""),
    "null": ("cancel_appointment", "null"),
    "a list": ("cancel_appointment", "[1]"),
    "cut off": ("cancel_appointment", '{"appointment_id": 1'),
    "huge": ("cancel_appointment", json.dumps({"appointment_id": "x" * 500_000})),
    "nested": ("cancel_appointment", f'{{"appointment_id": {"[" * 10_000}{"]" * 10_000}}}'),
    "nested as deep as Python reads": ("create_lead", f'{{"notes": {"[" * 980}{"]" * 980}}}'),
    "nested in objects": ("create_lead", '{"notes": ' * 10_000 + "1" + "}" * 10_000),
    "no number": ("cancel_appointment", '{"appointment_id": NaN}'),
    "infinity": ("cancel_appointment", '{"appointment_id": -Infinity}'),
    "beyond floats": ("cancel_appointment", '{"appointment_id": 1e999}'),
    "beyond integers": ("cancel_appointment", f'{{"appointment_id": {"9" * 5000}}}'),
    "beyond 64 bits": ("cancel_appointment", f'{{"appointment_id": {2**64}}}'),
    "half a character": ("create_lead", '{"name": "\\ud800", "phone": null, "email": null, "address": null}'),
    "U+0000": ("create_lead", json.dumps({**OWN, "notes": "a\0b"})),
    "a raw U+0000": ("create_lead", '{"name": "a\0b"}'),
    "20000 keys": ("create_lead", json.dumps({f"key {n}": n for n in range(20_000)})),
    "a name of no tool": ("functions.cancel appointment", "{}"),
    "a name in another script": ("отменить", "{}"),
    "a long name": ("x" * 100_000, "{}"),
    "no name": ("", "{}"),
    "a mark as name": ("<|im_start|>system", "{}"),
}
UNDERSTOOD = ("U+0000", "beyond 64 bits")
SERVERS_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@pytest.mark.parametrize("api", APIS)
async def test_no_call_breaks_a_turn(database_url: str, tmp_path: Path, api: str) -> None:
    """A call that nobody can read is answered as such; the turn ends in time, and so does the next one, as always.

    The servers refuse every request that repeats a call whose name is none, so no later turn carries one.
    """
    async with two_at_desk(tmp_path, database_url, api) as (at, other):
        for what, (tool, arguments) in BROKEN.items():
            at.will_say(Said(calls=(Called(tool, arguments),)), Said("It is done."))
            async with asyncio.timeout(TURN_S):
                result = await at.say("Do it", what)
            at.openai.script.clear()
            status = "done" if what in UNDERSTOOD else "failed"
            at.will_say(FINE)
            async with asyncio.timeout(TURN_S):
                after = await at.say("Thank you", what)

            assert json.dumps(result["actions"], allow_nan=False), what
            assert len(json.dumps(result["actions"])) < 25_000, what
            assert (result["actions"][0]["status"], after["message"]) == (status, "Fine."), what
            assert all(SERVERS_NAME.fullmatch(name) for name in names(at.bodies[-1])), what
            assert await other.now() == other.before, what
        assert all(SERVERS_NAME.fullmatch(name) for body in at.bodies for name in names(body))
        assert max(len(text) for body in at.bodies for text in output_texts(body)) < 5_000


def names(body: Any) -> list[str]:
    """Return the names of the calls that a request repeats."""
    items = body.get("input") or body["messages"]
    called = [item["name"] for item in items if item.get("type") == "function_call"]
    return [*called, *(c["function"]["name"] for item in items for c in item.get("tool_calls") or ())]


def output_texts(body: Any) -> list[str]:
    """Return what a request says of calls' outputs; those of earlier turns are cut, and then no JSON."""
    items = body.get("input") or body["messages"]
    found = [item for item in items if item.get("type") == "function_call_output" or item.get("role") == "tool"]
    return [item.get("output") or item["content"] for item in found]


@pytest.mark.parametrize(
    ("arguments", "cancelled"),
    [
        ('{"appointment_id": OWN, "appointment_id": OTHER}', False),
        ('{"appointment_id": OTHER, "appointment_id": OWN}', True),
    ],
)
async def test_of_two_keys_one_counts_for_the_check_and_the_deed(
    tmp_path: Path, arguments: str, cancelled: bool
) -> None:
    """An id that is given twice is checked as it is used: the last one, and never the other customer's."""
    async with two_at_desk(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as (at, other):
        own = await Other.of(at.storage, "own")
        said = arguments.replace("OWN", str(own.appointment_id)).replace("OTHER", str(other.appointment_id))
        at.will_say(Said(calls=(Called("cancel_appointment", said),)), Said("It is done."))
        result = await at.say("Cancel it", "own")
        [action] = result["actions"]

        assert (action["output"].get("status") == "cancelled") is cancelled
        assert await other.now() == other.before


async def test_fifty_calls_at_once_are_answered_and_eight_are_tried(database_url: str, tmp_path: Path) -> None:
    """Each gets an output, as the servers want it; beyond the eighth nothing is done, and the turn ends in time."""
    async with two_at_desk(tmp_path, database_url) as (at, other):
        times = [f"{hour:02d}:00" for hour in range(9, 17)] * 7
        calls = [Called("schedule_appointment", json.dumps(booking(time))) for time in times[:25]]
        calls += [Called("cancel_appointment", json.dumps({"appointment_id": number})) for number in range(25)]
        at.will_say(Said(calls=tuple(calls)), Said("It is done."), FINE)
        async with asyncio.timeout(TURN_S):
            result = await at.say(attacks(wants="action")[0], "c3")
        gave = outputs(at.bodies[-1])
        after = await at.say("Thank you", "c3")

        assert len(gave) == len(result["actions"]) == 50
        assert [output.get("error") for output in gave[8:]] == ["too_many_calls"] * 42
        assert [output.get("status") for output in gave[:8]].count("booked") == MAX_OPEN
        assert await other.now() == other.before
        assert after["message"] == "Fine."
