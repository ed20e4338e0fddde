"""The tools themselves, on a real storage: what the model gets for what it asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.assistant.model import ToolCall
from gateway.assistant.tools import Tool, Toolbox, TurnRun
from gateway.assistant.tools.appointments import MAX_OPEN
from gateway.assistant.tools.base import Arguments, strict_schema
from gateway.assistant.tools.contacts import clean_email, clean_phone, region_of
from gateway.assistant.tools.standard import build_tools
from gateway.config import AssistantConfig, BusinessConfig, ConfigError
from gateway.config.hours import WEEKDAYS
from gateway.metrics import Metrics
from gateway.storage import Claim, Storage
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_direct import begin
from tests.test_storage_effects import change, rows
from tests.test_storage_turns import SECOND, claim

# NOW is Tuesday, 24 November 2026, 12:00 UTC: seven in the morning in Detroit.
TODAY, TOMORROW, SUNDAY, THANKSGIVING = "2026-11-24", "2026-11-25", "2026-11-29", "2026-11-26"
BUSINESS = BusinessConfig.model_validate(
    {
        "phone": "+1 313 555 0100",
        "timezone": "America/Detroit",
        "hours": {**dict.fromkeys(WEEKDAYS[:5], "09:00-12:00, 13:00-17:00"), "sat": "10:00-12:00"},
        "holidays": [THANKSGIVING],
        "services": [{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    }
)
CONFIG = AssistantConfig.model_validate({"api_key": "sk-test"})
MINE, OTHER = "+15550100007", "+15550100008"


def choosing(tools: tuple[str, ...]) -> AssistantConfig:
    """Return a configuration that names its tools."""
    return CONFIG.model_copy(update={"tools": tools})


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Give one kind of database: where the two differ is tested beside the storage."""
    return f"sqlite:///{tmp_path}/frontdesk.db"


class Customer:
    """A customer whose turn calls tools."""

    def __init__(self, storage: Storage, turn: Claim, business: BusinessConfig = BUSINESS) -> None:
        tools = build_tools(storage, CONFIG, business)
        self._toolbox = Toolbox(tools, storage, Metrics(), lambda: NOW)
        self._turn = TurnRun(turn, NOW)
        self._round = 0

    async def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Let the model call a tool; returns what it reads."""
        self._round += 1
        [output] = await self._toolbox.run(self._turn, self._round, [ToolCall("1", name, json.dumps(arguments))])
        read: dict[str, Any] = json.loads(output.output)
        return read

    async def books(self, date: str, time: str, **more: Any) -> dict[str, Any]:
        return await self.call("schedule_appointment", date=date, time=time, **more)


async def customers(storage: Storage, *addresses: str, business: BusinessConfig = BUSINESS) -> list[Customer]:
    """Let customers write."""
    for address in addresses:
        await accept(storage, sms(address, f"SM{address}", sender_name="profile name"))
    claims = {turn.address: turn for turn in await claim(storage, limit=100)}
    return [Customer(storage, claims[address], business) for address in addresses]


@pytest.fixture
async def customer(storage: Storage) -> Customer:
    [found] = await customers(storage, MINE)
    return found


def business(**changes: Any) -> BusinessConfig:
    """Return the business with something else."""
    return BusinessConfig.model_validate({**BUSINESS.model_dump(mode="json", exclude_unset=True), **changes})


def times(alternatives: list[Mapping[str, str]]) -> list[str]:
    return [f"{each['weekday'][:3]} {each['time']}" for each in alternatives]


# --- check_availability ---


async def test_availability_is_what_is_open_and_not_booked(customer: Customer, storage: Storage) -> None:
    """In the service's length, which may not run into the break, the end of the day or a booking."""
    [other] = await customers(storage, OTHER)
    await other.books(TOMORROW, "10:00", service="Inspection")
    hour = await customer.call("check_availability", date=TOMORROW, service="inspection")
    long = await customer.call("check_availability", date=TOMORROW, service="Repair")

    assert hour == {
        "date": TOMORROW,
        "weekday": "Wednesday",
        "service": "Inspection",
        "minutes": 60,
        "closed": None,
        "open": "09:00-12:00, 13:00-17:00",
        "free": ["09:00", "11:00", "13:00", "14:00", "15:00", "16:00"],
        "asked": None,
        "alternatives": [],
    }
    assert (long["minutes"], long["free"]) == (120, ["13:00", "14:00", "15:00"])


@pytest.mark.parametrize(
    ("date", "closed"),
    [
        (SUNDAY, "the business is closed on that day of the week"),
        (THANKSGIVING, "the business is closed on that date"),
        ("2026-11-23", "that time has passed"),
        ("2028-01-10", "too far ahead"),
    ],
)
async def test_a_day_without_times_says_why(customer: Customer, date: str, closed: str) -> None:
    """Whoever asks for a day at all, and not for a time, hears why there is nothing on it."""
    output = await customer.call("check_availability", date=date)

    assert (output["free"], output["closed"]) == ([], closed)


async def test_what_has_passed_today_is_not_offered(customer: Customer) -> None:
    """The day is the business's own."""
    turn = customer._turn
    turn.now = NOW + timedelta(hours=3, minutes=30)  # half past ten in Detroit
    output = await customer.call("check_availability", date=TODAY)

    assert output["free"] == ["11:00", "13:00", "14:00", "15:00", "16:00"]


@pytest.mark.parametrize(
    ("date", "time", "reason", "open_", "alternatives"),
    [
        pytest.param(TOMORROW, "11:00", None, True, [], id="free"),
        pytest.param(TOMORROW, "14:00", "taken", True, ["Wed 13:00", "Wed 15:00", "Fri 14:00"], id="taken"),
        pytest.param(
            SUNDAY,
            "10:00",
            "the business is closed on that day of the week",
            False,
            ["Mon 10:00", "Mon 09:00", "Tue 10:00"],
            id="closed day",
        ),
        pytest.param(
            THANKSGIVING,
            "10:00",
            "the business is closed on that date",
            False,
            ["Fri 10:00", "Fri 09:00", "Sat 10:00"],
            id="holiday",
        ),
        pytest.param(
            TOMORROW,
            "12:00",
            "outside the opening hours",
            True,
            ["Wed 11:00", "Wed 13:00", "Fri 11:00"],
            id="in the break",
        ),
        pytest.param(
            TODAY, "05:00", "outside the opening hours", True, ["Tue 09:00", "Tue 10:00", "Wed 09:00"], id="early"
        ),
        pytest.param(
            "2026-11-23", "10:00", "that time has passed", True, ["Tue 10:00", "Tue 09:00", "Wed 10:00"], id="past"
        ),
        pytest.param("2028-01-10", "10:00", "too far ahead", True, [], id="too far"),
    ],
)
async def test_availability_says_why_a_time_is_not_free(
    customer: Customer, storage: Storage, date: str, time: str, reason: str | None, open_: bool, alternatives: list[str]
) -> None:
    """And names the nearest that are."""
    [other] = await customers(storage, OTHER)
    await other.books(TOMORROW, "14:00", service="Inspection")
    output = await customer.call("check_availability", date=date, time=time)

    assert output["asked"] == {"time": time, "free": reason is None, "reason": reason}
    assert (output["open"] is not None, times(output["alternatives"])) == (open_, alternatives)


@pytest.mark.parametrize("date", [SUNDAY, THANKSGIVING])
async def test_a_day_without_free_times_has_alternatives(customer: Customer, date: str) -> None:
    """Also where no time is asked for."""
    output = await customer.call("check_availability", date=date)

    assert (output["open"], output["free"], output["asked"]) == (None, [], None)
    assert len(output["alternatives"]) == 3


async def test_a_fully_booked_day_is_open_and_has_nothing_free(storage: Storage) -> None:
    """Its alternatives are on other days."""
    found = await customers(storage, *(f"+1555010{n:04}" for n in range(3)))
    for one, time in zip(found, ["10:00", "11:00"], strict=False):
        await one.books("2026-11-28", time, service="Inspection")
    output = await found[2].call("check_availability", date="2026-11-28")

    assert (output["open"], output["free"]) == ("10:00-12:00", [])
    assert times(output["alternatives"])[0] == "Mon 09:00"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"date": "tomorrow"}, "invalid_date", id="no date"),
        pytest.param({"date": "2026-02-30"}, "invalid_date", id="no such date"),
        pytest.param({"date": TOMORROW, "time": "noonish"}, "invalid_time", id="no time"),
        pytest.param({"date": TOMORROW, "time": "25:00"}, "invalid_time", id="no such time"),
        pytest.param({"date": TOMORROW, "service": "Haircut"}, "unknown_service", id="not offered"),
        pytest.param({"time": "10:00"}, "invalid_arguments", id="no date at all"),
    ],
)
async def test_what_cannot_be_read_is_asked_again(customer: Customer, arguments: dict[str, str], error: str) -> None:
    """In words that the model can act on; what is offered is named."""
    output = await customer.call("check_availability", **arguments)

    assert output["error"] == error
    assert error != "unknown_service" or output["services"] == ["Inspection", "Repair"]


# --- schedule_appointment ---


async def test_a_booking_is_for_whoever_writes(customer: Customer, storage: Storage) -> None:
    """What they have not said comes from the conversation, and times are the business's own."""
    output = await customer.books(TOMORROW, "2 pm", service="repair", address="5 Elm Street", notes="A boiler.")
    [kept] = await storage.appointments()
    [conversation] = await storage.conversations()

    assert output == {
        "status": "booked",
        "appointment_id": kept.id,
        "service": "Repair",
        "date": TOMORROW,
        "weekday": "Wednesday",
        "time": "14:00",
        "minutes": 120,
    }
    assert (kept.customer_name, kept.phone, kept.email) == ("profile name", MINE, None)
    assert (kept.address, kept.notes, kept.service, kept.minutes) == ("5 Elm Street", "A boiler.", "Repair", 120)
    assert kept.starts_at == datetime(2026, 11, 25, 19, tzinfo=UTC)
    assert (kept.conversation_id, kept.contact_id) == (conversation.id, conversation.contact_id)


async def test_what_the_customer_says_of_themselves_is_kept(customer: Customer, storage: Storage) -> None:
    """Numbers and addresses in one spelling."""
    said = {"name": " the customer ", "phone": "(313) 555-0123", "email": "Me@EXAMPLE.com"}
    await customer.books(TOMORROW, "09:00", service="Inspection", **said)
    [kept] = await storage.appointments()

    assert (kept.customer_name, kept.phone, kept.email) == ("the customer", "+13135550123", "Me@example.com")


@pytest.mark.parametrize("argument", ["conversation_id", "contact_id", "customer"])
@pytest.mark.parametrize(
    "tool", ["schedule_appointment", "reschedule_appointment", "cancel_appointment", "create_lead"]
)
async def test_nobody_acts_for_another(customer: Customer, storage: Storage, tool: str, argument: str) -> None:
    """Who it is for cannot be said: there is no such argument."""
    output = await customer.call(tool, **{argument: 1})

    assert output["error"] == "invalid_arguments"
    assert {"at": argument, "problem": "Extra inputs are not permitted"} in output["detail"]
    assert await rows(storage, "SELECT id FROM appointments UNION SELECT id FROM leads") == []


async def test_which_service_is_asked_where_there_are_several(customer: Customer, storage: Storage) -> None:
    """They take different times."""
    output = await customer.books(TOMORROW, "10:00")

    assert (output["error"], output["services"]) == ("service_needed", ["Inspection", "Repair"])
    assert await storage.appointments() == []


@pytest.mark.parametrize(
    ("services", "service", "minutes"),
    [([{"name": "Repair", "minutes": 120}], "Repair", 120), ([], None, 60)],
    ids=["one service", "no services"],
)
async def test_which_service_is_not_asked_where_it_is_clear(
    storage: Storage, services: list[Any], service: str | None, minutes: int
) -> None:
    """The only one is meant; without any, a visit takes a slot, whatever the model calls it."""
    [customer] = await customers(storage, MINE, business=business(services=services))
    output = await customer.books(TOMORROW, "10:00", **({} if services else {"service": "a visit"}))

    assert (output["status"], output["service"], output["minutes"]) == ("booked", service, minutes)


@pytest.mark.parametrize(
    ("date", "time", "reason"),
    [
        pytest.param(TOMORROW, "10:30", "appointments do not begin at that minute", id="off the raster"),
        pytest.param(TOMORROW, "12:00", "outside the opening hours", id="in the break"),
        pytest.param(TOMORROW, "11:00", "it would not be finished before the business closes", id="into the break"),
        pytest.param(TOMORROW, "16:00", "it would not be finished before the business closes", id="too long"),
        pytest.param("2026-11-23", "10:00", "that time has passed", id="past"),
        pytest.param(SUNDAY, "10:00", "the business is closed on that day of the week", id="closed day"),
        pytest.param(THANKSGIVING, "10:00", "the business is closed on that date", id="holiday"),
        pytest.param(TOMORROW, "14:00", "taken", id="taken"),
        pytest.param(TOMORROW, "13:00", "taken", id="into somebody else's time"),
    ],
)
async def test_what_cannot_be_booked_is_refused_with_what_can(
    customer: Customer, storage: Storage, date: str, time: str, reason: str
) -> None:
    """It says why, nothing is booked, and each alternative that it names can really be had."""
    [other] = await customers(storage, OTHER)
    await other.books(TOMORROW, "14:00", service="Inspection")
    output = await customer.books(date, time, service="Repair")
    refused = len(await storage.appointments())
    again = [await customer.books(a["date"], a["time"], service="Repair") for a in output["alternatives"][:1]]

    said = ("taken", None) if reason == "taken" else ("unbookable", "not_available")
    assert (output["status"], output.get("error"), output["reason"]) == (*said, reason)
    assert refused == 1
    assert [each["status"] for each in again] == ["booked"]


async def test_each_alternative_can_be_had_by_itself(storage: Storage) -> None:
    """Whichever of them the customer chooses."""
    found = await customers(storage, *(f"+1555010{n:04}" for n in range(5)))
    for one, time in zip(found, ["09:00", "13:00"], strict=False):
        await one.books(TOMORROW, time, service="Repair")
    refused = await found[2].books(TOMORROW, "10:00", service="Repair")
    outputs = []
    for alternative in refused["alternatives"]:
        outputs.append(await found[2].books(alternative["date"], alternative["time"], service="Repair"))
        await found[2].call("cancel_appointment")

    assert [output["status"] for output in outputs] == ["booked"] * 3


async def test_somebody_was_faster(storage: Storage) -> None:
    """The customer is offered what is free now."""
    mine, other = await customers(storage, MINE, OTHER)
    await other.books(TOMORROW, "10:00", service="Inspection")
    output = await mine.books(TOMORROW, "10:00", service="Inspection")
    [kept] = await storage.appointments()

    assert (output["status"], times(output["alternatives"])) == ("taken", ["Wed 09:00", "Wed 11:00", "Fri 10:00"])
    assert kept.phone == OTHER


async def test_nobody_fills_the_diary(storage: Storage) -> None:
    """One customer holds so many appointments through the bot, and no more; a cancelled one makes room."""
    [customer] = await customers(storage, MINE)
    times_ = ["09:00", "10:00", "13:00", "14:00", "15:00"]
    booked = [await customer.books(TOMORROW, time, service="Inspection") for time in times_]
    refused = await customer.books(TOMORROW, "16:00", service="Inspection")
    await customer.call("cancel_appointment", appointment_id=booked[0]["appointment_id"])
    again = await customer.books(TOMORROW, "16:00", service="Inspection")

    assert [output["status"] for output in booked] == ["booked"] * MAX_OPEN
    assert (refused["error"], len(refused["appointments"])) == ("too_many_appointments", MAX_OPEN)
    assert again["status"] == "booked"


@pytest.mark.parametrize(("field", "error"), [("phone", "invalid_phone"), ("email", "invalid_email")])
async def test_what_cannot_be_reached_is_asked_for_again(
    customer: Customer, storage: Storage, field: str, error: str
) -> None:
    """A number or an address that is none is not dropped from a booking: nobody could call."""
    output = await customer.books(TOMORROW, "09:00", service="Inspection", **{field: "later"})

    assert output["error"] == error
    assert await storage.appointments() == []


@pytest.mark.parametrize("capacity", [1, 2])
async def test_the_same_booking_again_is_the_same(storage: Storage, capacity: int) -> None:
    """Whether or not there is room for another, the customer has one, and it is said by its number."""
    [customer] = await customers(storage, MINE, business=business(capacity=capacity))
    first = await customer.books(TOMORROW, "10:00", service="Inspection")
    again = await customer.books(TOMORROW, "10:00", service="Inspection")

    assert (again["status"], again["appointment_id"]) == ("already_booked", first["appointment_id"])


# --- reschedule_appointment, cancel_appointment ---


async def test_the_only_appointment_needs_no_number(customer: Customer, storage: Storage) -> None:
    """It is moved, with its length, and cancelled."""
    booked = await customer.books(TOMORROW, "09:00", service="Repair")
    moved = await customer.call("reschedule_appointment", date=TOMORROW, time="14:00")
    kept = [(a.scheduled_time, a.minutes, a.status) for a in await storage.appointments()]
    cancelled = await customer.call("cancel_appointment")

    assert (moved["status"], moved["appointment_id"], moved["time"]) == ("moved", booked["appointment_id"], "14:00")
    assert moved["before"] == f"{TOMORROW} 09:00"
    assert kept == [("14:00", 120, "booked")]
    assert (cancelled["status"], cancelled["time"]) == ("cancelled", "14:00")


@pytest.mark.parametrize("tool", ["reschedule_appointment", "cancel_appointment"])
async def test_which_appointment_is_asked_where_there_are_several(
    customer: Customer, storage: Storage, tool: str
) -> None:
    """The customer's own are listed, by number; a number that is not among them is nobody's."""
    [other] = await customers(storage, OTHER)
    theirs = await other.books(TOMORROW, "13:00", service="Inspection")
    mine = [await customer.books(TOMORROW, time, service="Inspection") for time in ("10:00", "15:00")]
    where = {} if tool == "cancel_appointment" else {"date": "2026-11-30", "time": "09:00"}
    which = await customer.call(tool, **where)
    not_theirs = await customer.call(tool, appointment_id=theirs["appointment_id"], **where)
    done = await customer.call(tool, appointment_id=mine[1]["appointment_id"], **where)

    assert which["error"] == "which_one"
    assert (
        which["appointments"]
        == not_theirs["appointments"]
        == [
            {
                "appointment_id": output["appointment_id"],
                "date": TOMORROW,
                "weekday": "Wednesday",
                "time": output["time"],
                "service": "Inspection",
            }
            for output in mine
        ]
    )
    assert not_theirs["error"] == "not_theirs"
    assert done["status"] in ("moved", "cancelled")
    assert (done["appointment_id"], done.get("before", f"{TOMORROW} 15:00")) == (
        mine[1]["appointment_id"],
        f"{TOMORROW} 15:00",
    )


@pytest.mark.parametrize("tool", ["reschedule_appointment", "cancel_appointment"])
async def test_who_has_no_appointment_is_told_so(customer: Customer, storage: Storage, tool: str) -> None:
    """Whatever number they name, somebody else's too, and also where theirs is over or cancelled."""
    [other] = await customers(storage, OTHER)
    theirs = await other.books(TOMORROW, "13:00", service="Inspection")
    await customer.books(TOMORROW, "10:00", service="Inspection")
    await customer.call("cancel_appointment")
    await customer.books(TOMORROW, "15:00", service="Inspection")
    customer._turn.now = NOW + timedelta(days=2)
    where = {} if tool == "cancel_appointment" else {"date": "2026-11-30", "time": "09:00"}
    outputs = [await customer.call(tool, appointment_id=id_, **where) for id_ in (None, theirs["appointment_id"])]

    assert [output["error"] for output in outputs] == ["no_appointment"] * 2
    assert len(await storage.appointments(status="booked")) == 2


async def test_a_move_to_where_it_cannot_be_leaves_it(customer: Customer, storage: Storage) -> None:
    """It says why, what else is free, and where the appointment still is."""
    [other] = await customers(storage, OTHER)
    await other.books(TOMORROW, "14:00", service="Inspection")
    booked = await customer.books(TOMORROW, "09:00", service="Inspection")
    closed = await customer.call("reschedule_appointment", date=SUNDAY, time="10:00")
    taken = await customer.call("reschedule_appointment", date=TOMORROW, time="14:00")
    own = [a for a in await storage.appointments() if a.id == booked["appointment_id"]]

    assert (closed["error"], closed["reason"]) == ("not_available", "the business is closed on that day of the week")
    assert times(closed["alternatives"]) == ["Mon 10:00", "Mon 09:00", "Tue 10:00"]
    assert (taken["status"], times(taken["alternatives"])) == ("taken", ["Wed 13:00", "Wed 15:00", "Fri 14:00"])
    assert (taken["still"]["appointment_id"], taken["still"]["time"]) == (booked["appointment_id"], "09:00")
    assert [(a.scheduled_time, a.revision) for a in own] == [("09:00", 0)]


async def test_a_move_by_less_than_its_length(customer: Customer) -> None:
    """Its own time is not in its way."""
    await customer.books(TOMORROW, "13:00", service="Repair")
    moved = await customer.call("reschedule_appointment", date=TOMORROW, time="14:00")

    assert moved["status"] == "moved"


async def test_a_person_is_known_on_their_other_channel(customer: Customer, storage: Storage) -> None:
    """What they booked in one conversation they can cancel in another of the same contact."""
    await customer.books(TOMORROW, "13:00", service="Inspection")
    [first] = await storage.conversations()
    await accept(storage, sms(OTHER, "SM9"))
    await change(storage, "UPDATE chat_conversations SET contact_id = :id", id=first.contact_id)
    [turn] = await claim(storage)
    output = await Customer(storage, turn).call("cancel_appointment")

    assert output["status"] == "cancelled"


# --- create_lead ---


async def test_a_lead_keeps_what_was_said(customer: Customer, storage: Storage) -> None:
    """In one spelling; the source is the channel."""
    output = await customer.call(
        "create_lead", name="the customer", phone="313.555.0123", email="ME@Example.COM", notes="A boiler."
    )
    [lead] = await storage.leads()

    assert output == {"status": "created", "lead_id": lead.id}
    assert (lead.name, lead.phone, lead.email, lead.notes) == (
        "the customer",
        "+13135550123",
        "ME@example.com",
        "A boiler.",
    )
    assert lead.source == "sms"


async def test_what_the_channel_knows_fills_a_lead_and_replaces_nothing(customer: Customer, storage: Storage) -> None:
    """A call that names less does not put the profile's name over the one that was told."""
    await customer.call("create_lead", notes="A boiler.")
    [bare] = await storage.leads()
    await customer.call("create_lead", name="told name", phone="+1 313 555 0123")
    last = await customer.call("create_lead", address="5 Elm Street")
    [lead] = await storage.leads()

    assert (bare.name, bare.phone) == ("profile name", MINE)
    assert last["status"] == "updated"
    assert (lead.name, lead.phone, lead.address) == ("told name", "+13135550123", "5 Elm Street")
    assert lead.notes == f"A boiler.\nEarlier name: profile name\nEarlier phone: {MINE}"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"phone": "12"}, "invalid_phone", id="no number"),
        pytest.param({"phone": "call me"}, "invalid_phone", id="words"),
        pytest.param({"email": "me at example"}, "invalid_email", id="no address"),
        pytest.param({"name": "x" * 201}, "invalid_arguments", id="too long"),
    ],
)
async def test_what_is_no_contact_is_asked_again(
    customer: Customer, storage: Storage, arguments: dict[str, str], error: str
) -> None:
    """Nothing is kept of it."""
    output = await customer.call("create_lead", **arguments)

    assert output["error"] == error
    assert await storage.leads() == []


async def test_a_visitor_of_whom_nothing_is_known_is_no_lead(storage: Storage) -> None:
    """Until they tell something about themselves."""
    begun = await begin(storage)
    assert begun.claim is not None
    visitor = Customer(storage, begun.claim)
    empty = await visitor.call("create_lead", notes="Wants a boiler.")
    kept = await visitor.call("create_lead", email="me@example.com")
    [lead] = await storage.leads()

    assert empty["error"] == "nothing_to_keep"
    assert kept == {"status": "created", "lead_id": lead.id}
    assert lead.source == "website_chat"


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 (0)30 / 123-456", None, "+4930123456"),
        ("(313) 555-0123", "US", "+13135550123"),
        ("313-555-0123 ", "US", "+13135550123"),
        ("+1 555 010 0007", None, "+15550100007"),
        ("030 123456", "DE", "+4930123456"),
        ("(313) 555-0123", None, None),
        ("12", "US", None),
        ("my number", "US", None),
        ("9" * 300, "US", None),
        ("", "US", None),
        (None, "US", None),
    ],
)
def test_phone_numbers_have_one_spelling(text: str | None, region: str | None, number: str | None) -> None:
    """With the country of the business where none is written; what is no number is none."""
    assert clean_phone(text, region) == number


@pytest.mark.parametrize(
    ("phone", "region"),
    [
        ("+1 313 555 0100", "US"),
        ("+15550100001", "US"),
        ("+49 30 123456", "DE"),
        ("call us", None),
        (None, None),
    ],
)
def test_a_businesss_number_tells_its_country(phone: str | None, region: str | None) -> None:
    """Also one that no telephone company has given out yet."""
    assert region_of(phone) == region


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Me@EXAMPLE.com ", "Me@example.com"),
        ("me+shop@example.com", "me+shop@example.com"),
        ("me@bücher.example.com", "me@bücher.example.com"),
        ("me@", None),
        ("me", None),
        ("a@b@example.com", None),
        ("", None),
        (None, None),
    ],
)
def test_email_addresses_have_one_spelling(text: str | None, address: str | None) -> None:
    """The domain is written small; what is no address is none, and nobody is asked whether it exists."""
    assert clean_email(text) == address


# --- escalate_to_human ---


@pytest.mark.parametrize(
    ("hour", "available"),
    [
        pytest.param(14, "now", id="open"),
        pytest.param(12, "Tuesday, 24 November, 09:00", id="before it opens"),
        pytest.param(17, "Tuesday, 24 November, 13:00", id="in the break"),
        pytest.param(23, "Wednesday, 25 November, 09:00", id="after it has closed"),
    ],
)
async def test_a_wish_for_a_person_is_noted(customer: Customer, hour: int, available: str) -> None:
    """With the reason and what it is about; the model can say when somebody is there."""
    customer._turn.now = datetime(2026, 11, 24, hour, tzinfo=UTC)
    output = await customer.call("escalate_to_human", reason="complaint", summary="The repair did not hold.")

    assert output == {
        "status": "handed_over",
        "reason": "complaint",
        "summary": "The repair did not hold.",
        "available": available,
    }
    assert customer._turn.handover is not None
    assert (customer._turn.handover.reason, customer._turn.handover.source) == ("complaint", "model")


async def test_a_reason_that_there_is_not_is_corrected(customer: Customer) -> None:
    """The answer names those that there are, and nobody is handed over."""
    output = await customer.call("escalate_to_human", reason="bored", summary="x")

    assert output["error"] == "invalid_arguments"
    assert "'ai_confidence_low'" in output["detail"][0]["problem"]
    assert customer._turn.handover is None


# --- which tools there are ---

ALL = [
    "check_availability",
    "schedule_appointment",
    "reschedule_appointment",
    "cancel_appointment",
    "create_lead",
    "escalate_to_human",
]


def names(tools: tuple[Tool, ...]) -> list[str]:
    return [tool.name for tool in tools]


@pytest.fixture
async def closed_storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """Give a storage that nobody asks anything."""
    storage = Storage(f"sqlite:///{tmp_path}/frontdesk.db")
    yield storage
    await storage.close()


def test_without_hours_nothing_can_be_booked(closed_storage: Storage) -> None:
    """A business that tells no hours has no times to offer."""
    assert names(build_tools(closed_storage, CONFIG, BUSINESS)) == ALL
    assert names(build_tools(closed_storage, CONFIG, BusinessConfig())) == [
        "create_lead",
        "escalate_to_human",
    ]


def test_the_configuration_chooses_and_the_order_stays(closed_storage: Storage) -> None:
    """The prefix of a request is the same whatever order an owner writes them in; none at all is a choice, too."""
    chosen = choosing(("escalate_to_human", "check_availability"))

    assert names(build_tools(closed_storage, chosen, BUSINESS)) == ["check_availability", "escalate_to_human"]
    assert build_tools(closed_storage, choosing(()), BUSINESS) == ()


def test_an_unknown_tool_in_the_configuration_is_a_mistake(closed_storage: Storage) -> None:
    """It is named, with its place and with those that there are."""
    with pytest.raises(ConfigError) as raised:
        build_tools(closed_storage, choosing(("create_lead", "make_coffee")), BUSINESS)

    assert str(raised.value) == f"assistant.tools: there is no tool 'make_coffee'; known are {', '.join(ALL)}"


def test_schemas_are_strict(closed_storage: Storage) -> None:
    """Every property is required, no other is allowed, and nothing is in them that strict mode refuses."""
    tools = build_tools(closed_storage, CONFIG, BUSINESS)
    schemas = [tool.spec().parameters for tool in tools]
    refused = {"$ref", "$defs", "default", "title", "minLength", "maxLength", "pattern", "format", "minimum", "maximum"}

    for schema in schemas:
        assert schema["type"] == "object"
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False
        assert not refused & keys_in(schema)
        assert all(described.get("description") for described in schema["properties"].values())


def keys_in(schema: Any) -> set[str]:
    """Return the keys of a schema and of what it holds, without the names of properties."""
    if isinstance(schema, list):
        return set().union(*map(keys_in, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    inner = [value for key, value in schema.items() if key != "properties"]
    inner += list(schema.get("properties", {}).values())
    return set(schema) | keys_in(inner)


class Odd(Arguments):
    """Arguments whose names are words of JSON schemas."""

    title: str
    default: int = 0
    format: tuple[str, ...] = ()


def test_a_property_may_be_called_as_it_likes() -> None:
    """What is taken out of a schema is not taken out of the names of what is asked for."""
    schema = strict_schema(Odd)

    assert schema["required"] == ["title", "default", "format"]
    assert schema["properties"]["format"] == {"type": "array", "items": {"type": "string"}}


def test_an_optional_property_may_be_null(closed_storage: Storage) -> None:
    """Strict mode knows no other way to leave something out."""
    [_, schedule, *_] = build_tools(closed_storage, CONFIG, BUSINESS)
    properties = schedule.spec().parameters["properties"]

    assert properties["service"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert properties["date"]["type"] == "string"


SPECS = """
import json, sys
from gateway.assistant.tools.standard import build_tools
from gateway.config import AssistantConfig, BusinessConfig
from gateway.storage import Storage
given = json.loads(sys.argv[1])
tools = build_tools(Storage("sqlite:///nowhere.db"), AssistantConfig(api_key="k"), BusinessConfig.model_validate(given))
print(json.dumps([[spec.name, spec.description, spec.parameters] for spec in (tool.spec() for tool in tools)]))
"""


def test_specs_are_the_same_bytes_in_every_process() -> None:
    """They are the beginning of every request, and a provider caches it by its bytes."""
    given = BUSINESS.model_dump_json(exclude_unset=True)
    printed = {
        subprocess.run(
            [sys.executable, "-c", SPECS, given],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    [specs] = printed

    assert [name for name, _, _ in json.loads(specs)] == ALL


# --- tools that packages bring along ---

COFFEE = '''
from gateway.assistant.tools import Tool
from gateway.assistant.tools.base import Arguments

class Wish(Arguments):
    """What is wished."""
    size: str

class MakeCoffee(Tool):
    """Make coffee."""
    name = "make_coffee"
    arguments = Wish
    async def run(self, arguments, call):
        return {"coffee": arguments.size}

class NoTool:
    pass

def broken():
    raise RuntimeError("no beans")
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give what installs a package that names a tool."""
    module = f"coffee_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(COFFEE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda what: install(tmp_path, f"{module}:{what}")
    sys.modules.pop(module, None)


def install(folder: Path, value: str) -> str:
    info = folder / "coffee-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coffee\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[frontdesk.tools]\ncoffee = {value}\n")
    return value


async def test_a_package_brings_a_tool(package: Any, storage: Storage) -> None:
    """It stands behind ours, can be chosen by name, and works."""
    package("MakeCoffee")
    [turn] = await claims_of(storage)
    output = await Customer(storage, turn).call("make_coffee", size="large")
    chosen = build_tools(storage, choosing(("make_coffee",)), BUSINESS)

    assert names(build_tools(storage, CONFIG, BUSINESS)) == [*ALL, "make_coffee"]
    assert names(chosen) == ["make_coffee"]
    assert output == {"coffee": "large"}


async def claims_of(storage: Storage) -> list[Claim]:
    await accept(storage, sms(MINE, "SM1"))
    return await claim(storage, NOW + SECOND)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("NoTool", "is no gateway.assistant.tools.Tool"),
        ("broken", "cannot be loaded: no beans"),
        ("Missing", "cannot be loaded: module"),
    ],
)
def test_a_package_that_brings_no_tool_is_a_mistake(
    package: Any, closed_storage: Storage, what: str, problem: str
) -> None:
    """The owner learns which one it is, and that its package is to blame."""
    value = package(what)
    with pytest.raises(ConfigError) as raised:
        build_tools(closed_storage, CONFIG, BUSINESS)

    assert str(raised.value).startswith(f"assistant.tools: the tool 'coffee' ({value}) {problem}")
    assert str(raised.value).endswith("mend or remove its package")
