"""The calendar feed: what a calendar program reads, and what a stranger does not learn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from icalendar import Calendar, Event
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.app import Role
from gateway.calendar import calendar_of
from gateway.config import BusinessConfig, ConfigError
from gateway.schedule import Schedule
from gateway.storage import Appointment, Book, Booking, Cancel, ClaimTurns, Move, RunEffect, Storage, ToolPlace, Visit
from gateway.storage.effects import Effect
from gateway.web import calendar
from gateway.web.calendar import PATH, CalendarFeed
from gateway.web.server import Server
from tests.gateways import config, gateway
from tests.test_storage_accept import NOW, accept, sms

TOKEN = "0123456789abcdef0123456789abcdef"
VISIT = Visit("Repair", "The customer", "+15550109999", "customer@example.com", "12 Example Street", "Ring twice.")
DETROIT = ZoneInfo("America/Detroit")


def booking(starts_at: datetime, minutes: int = 60) -> Booking:
    """Return a time, written in Detroit's, that leaves room for others."""
    local = starts_at.astimezone(DETROIT)
    cell = (f"{local:%Y-%m-%d}", local.hour)
    return Booking(starts_at, minutes, cell[0], f"{local:%H:%M}", (cell,), capacity=9)


@dataclass(slots=True)
class Customer:
    """Has a conversation whose turn books, moves and cancels."""

    storage: Storage
    place: ToolPlace
    done: int = field(default=0)

    @classmethod
    async def of(cls, storage: Storage, sender: str) -> Customer:
        """Write once, and have the turn begin."""
        await accept(storage, sms(sender, f"SM{sender}"))
        [claim] = await storage.run(ClaimTurns("w", NOW, NOW + timedelta(hours=1), 1, ("sms",)))
        return cls(storage, ToolPlace(claim.id, claim.fence, claim.input_sequence, 1, 0, "tool", "{}"))

    async def _run(self, effect: Effect, at: datetime) -> Any:
        self.done += 1
        run = await self.storage.run(RunEffect(replace(self.place, position=self.done), effect, at))
        assert run is not None
        return run.output

    async def book(self, starts_at: datetime, visit: Visit = VISIT, minutes: int = 60) -> int:
        """Book a time and return the appointment's id."""
        made = await self._run(Book(booking(starts_at, minutes), visit, NOW), NOW)
        return int(made["appointment_id"])

    async def move(self, appointment_id: int, starts_at: datetime, at: datetime) -> None:
        """Move an appointment."""
        assert (await self._run(Move(appointment_id, booking(starts_at), at), at))["status"] == "moved"

    async def cancel(self, appointment_id: int, at: datetime) -> None:
        """Cancel an appointment."""
        assert (await self._run(Cancel(appointment_id, at), at))["status"] == "cancelled"


@dataclass(frozen=True, slots=True)
class Served:
    """A served feed, asked as a calendar program asks."""

    port: int
    session: aiohttp.ClientSession

    async def ask(self, method: str = "GET", **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
        """Ask with the token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"http://127.0.0.1:{self.port}{PATH}?token={TOKEN}"
        async with self.session.request(method, address, headers=named) as response:
            return response, await response.read()

    async def events(self) -> Sequence[Event]:
        """Return the feed's events."""
        return events_of((await self.ask())[1])


@asynccontextmanager
async def served(storage: Storage, token: str | None = TOKEN) -> AsyncIterator[Served]:
    """Serve a storage's feed."""
    secret = None if token is None else SecretStr(token)
    server = Server([CalendarFeed(storage, lambda: NOW, secret, name="Corner Garage")], host="127.0.0.1", port=0)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(server.port, session)
    finally:
        await server.stop()


async def answer_to(port: int, head: bytes) -> list[bytes]:
    """Send a request's first line as it is, and return the lines of the answer but its date."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date:")]


def events_of(feed: bytes) -> Sequence[Event]:
    """Parse a feed as a program does."""
    return Calendar.from_ical(feed).events


def appointment(**more: Any) -> Appointment:
    """Return a booked appointment."""
    plain = {"id": 1, "scheduled_date": "2026-11-25", "scheduled_time": "09:00", "starts_at": NOW, "created_at": NOW}
    return Appointment(**{**plain, **more})


def feed(*appointments: Appointment) -> bytes:
    """Return a feed of these."""
    return calendar_of(appointments, installation="here", name="Corner Garage")


# --- what a program reads ---


async def test_the_feed_is_the_appointments(storage: Storage) -> None:
    """From 30 days back on, each appointment is one event with its time, its words and a name of its own."""
    customer = await Customer.of(storage, "+15550109999")
    repair = await customer.book(NOW + timedelta(days=1), minutes=90)
    await customer.book(NOW - timedelta(days=31))
    past = await customer.book(NOW - timedelta(days=29), Visit(None, "The customer", None, None, None, None))
    installation = await storage.installation_id()
    async with served(storage) as page:
        response, body = await page.ask()
        [before, after] = events_of(body)
        whole = Calendar.from_ical(body)

    assert (response.status, response.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert response.headers["Cache-Control"] == "private, max-age=300"
    assert (whole["NAME"], whole["X-WR-CALNAME"], whole["METHOD"]) == ("Corner Garage", "Corner Garage", "PUBLISH")
    assert whole["REFRESH-INTERVAL"].dt == timedelta(minutes=15)
    assert whole["X-PUBLISHED-TTL"] == "PT15M"
    assert [event["UID"] for event in (before, after)] == [f"appointment-{n}@{installation}" for n in (past, repair)]
    assert after["DTSTART"].dt == NOW + timedelta(days=1)
    assert after["DTEND"].dt == NOW + timedelta(days=1, minutes=90)
    assert (after["DTSTAMP"].dt, after["LAST-MODIFIED"].dt, after["SEQUENCE"]) == (NOW, NOW, 0)
    assert (after["SUMMARY"], after["LOCATION"]) == ("Repair – The customer", "12 Example Street")
    assert after["DESCRIPTION"] == "+15550109999\ncustomer@example.com\nRing twice."
    assert (after["STATUS"], after["TRANSP"]) == ("CONFIRMED", "OPAQUE")
    assert before["SUMMARY"] == "The customer"
    assert "LOCATION" not in before
    assert "DESCRIPTION" not in before


async def test_a_change_has_a_higher_number_and_the_same_name(storage: Storage) -> None:
    """Moving and cancelling raise SEQUENCE; what is cancelled stays in the feed, so that programs take it out."""
    customer = await Customer.of(storage, "+15550109999")
    number = await customer.book(NOW + timedelta(days=1))
    async with served(storage) as page:
        [booked] = await page.events()
        await customer.move(number, NOW + timedelta(days=2), NOW + timedelta(minutes=1))
        [moved] = await page.events()
        await customer.cancel(number, NOW + timedelta(minutes=2))
        [cancelled] = await page.events()

    assert booked["UID"] == moved["UID"] == cancelled["UID"]
    assert [event["SEQUENCE"] for event in (booked, moved, cancelled)] == [0, 1, 2]
    assert (moved["DTSTART"].dt, moved["STATUS"]) == (NOW + timedelta(days=2), "CONFIRMED")
    assert moved["LAST-MODIFIED"].dt == NOW + timedelta(minutes=1)
    assert (cancelled["STATUS"], cancelled["TRANSP"]) == ("CANCELLED", "TRANSPARENT")


async def test_of_too_many_the_nearest_are_served(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed has a limit of its own, and what is farthest off waits behind it."""
    monkeypatch.setattr(calendar, "MAX_EVENTS", 2)
    customer = await Customer.of(storage, "+15550109999")
    for days in (3, 1, 2):
        await customer.book(NOW + timedelta(days=days))
    async with served(storage) as page:
        starts = [event["DTSTART"].dt for event in await page.events()]

    assert starts == [NOW + timedelta(days=1), NOW + timedelta(days=2)]


@pytest.mark.parametrize("status", ["booked", "done", "missed"])
def test_what_was_not_cancelled_took_its_time(status: str) -> None:
    """Only a cancelled appointment leaves its time free."""
    [event] = events_of(feed(appointment(status=status)))

    assert (event["STATUS"], event["TRANSP"]) == ("CONFIRMED", "OPAQUE")


@pytest.mark.parametrize("day", [date(2026, 10, 31), date(2026, 11, 1), date(2027, 3, 14)])
def test_an_appointment_keeps_its_local_time_over_a_change_of_clocks(day: date) -> None:
    """Ten o'clock in Detroit is ten o'clock there on the days before and on which the clocks change."""
    business = BusinessConfig(timezone="America/Detroit", hours={"sat": "00:00-24:00", "sun": "00:00-24:00"})
    slot = Schedule(business).slot(day, "10:00", 60)
    assert slot is not None
    [event] = events_of(feed(appointment(starts_at=slot.starts_at)))

    assert f"{event['DTSTART'].dt.astimezone(DETROIT):%Y-%m-%d %H:%M}" == f"{day} 10:00"
    assert event["DTEND"].dt - event["DTSTART"].dt == timedelta(hours=1)


# --- a customer's words ---

HOSTILE = {
    "commas and semicolons": ("a,b;c:d\"e'", "a,b;c:d\"e'"),
    "lines": ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
    "lines that only Unicode knows": ("one\x85two\u2028three\x0bfour", "one\ntwo\nthree\nfour"),
    "a property": ("x\r\nATTENDEE:mailto:a@example.com", "x\nATTENDEE:mailto:a@example.com"),
    "an end": ("x\r\nEND:VEVENT\r\nBEGIN:VALARM", "x\nEND:VEVENT\nBEGIN:VALARM"),
    "a folded end": ("x\r\n\tEND:VEVENT", "x\n\tEND:VEVENT"),
    "backslashes": ("C:\\New\\network\\\\N\\,\\;\\", "C:\\New\\network\\\\N\\,\\;\\"),
    "controls": ("a\x00b\x1b[2Jc\x7f", "ab[2Jc"),
    "many scripts": ("日本語" * 60 + "👩🏽\u200d🔧 é", "日本語" * 60 + "👩🏽\u200d🔧 é"),
    "a long text": ("long, " * 900 + "end", "long, " * 900 + "end"),
    "backslashes at every fold": ("\\" * 300 + "n", "\\" * 300 + "n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_stay_words(name: str) -> None:
    """Whatever a customer wrote is read back as it was, and makes no property and no event of its own."""
    given, told = HOSTILE[name]
    plain = feed(appointment(service="x", customer_name="x", address="x", phone="x", notes="x"))
    made = feed(appointment(service=given, customer_name=given, address=given, phone=given, notes=given))
    [event] = events_of(made)
    line = " ".join(told.split())

    assert event["LOCATION"] == told
    assert event["DESCRIPTION"] == f"{line}\n{told}"
    assert event["SUMMARY"] == f"{line} – {line}"
    assert list(event) == list(events_of(plain)[0])
    assert event.subcomponents == []
    assert max(map(len, made.split(b"\r\n"))) <= 75
    assert len(made.splitlines()) == made.count(b"\r\n") == made.count(b"\n")


async def test_hostile_words_come_back_from_the_database(storage: Storage) -> None:
    """The same through each database and the page."""
    customer = await Customer.of(storage, "+15550109999")
    words = {name: texts for name, texts in HOSTILE.items() if "\x00" not in texts[0]}  # PostgreSQL keeps no NUL
    for number, (given, _) in enumerate(words.values()):
        await customer.book(NOW + timedelta(hours=number), replace(VISIT, notes=given))
    async with served(storage) as page:
        notes = [event["DESCRIPTION"].removeprefix(f"{VISIT.phone}\n{VISIT.email}\n") for event in await page.events()]

    assert notes == [told for _, told in words.values()]


def test_the_business_may_have_any_name() -> None:
    """The calendar's own name is the owner's word, on one line and escaped like all others."""
    made = calendar_of([], installation="here", name="Corner\nGarage; A, B\\N")

    assert b"\r\nNAME:Corner Garage\\; A\\, B\\\\N\r\nX-WR-CALNAME:Corner Garage\\; A\\, B\\\\N\r\n" in made


# --- asking again ---


async def test_a_program_that_has_it_is_not_given_it_again(storage: Storage) -> None:
    """The same appointments have the same ETag, whoever serves them; a change has another one."""
    customer = await Customer.of(storage, "+15550109999")
    number = await customer.book(NOW + timedelta(days=1))
    async with served(storage) as page, served(storage) as other:
        first, body = await page.ask()
        tag = first.headers["ETag"]
        head, nothing = await page.ask("HEAD")
        again = [
            (await other.ask(If_None_Match=known))[0].status for known in (tag, f'"x", W/{tag}', "*", '"x"', "rubbish")
        ]
        unchanged, empty = await page.ask(If_None_Match=tag)
        await customer.cancel(number, NOW + timedelta(minutes=1))
        changed, _ = await page.ask(If_None_Match=tag)

    assert (head.status, nothing, head.headers["Content-Length"]) == (200, b"", str(len(body)))
    assert head.headers["ETag"] == tag
    assert again == [304, 304, 304, 200, 200]
    assert (unchanged.headers["ETag"], unchanged.headers["Cache-Control"], empty) == (tag, "private, max-age=300", b"")
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


# --- who may ask ---


@pytest.mark.parametrize(
    "head",
    [
        b"GET %s HTTP/1.1",
        b"GET %s?token= HTTP/1.1",
        b"GET %s?token=wrong HTTP/1.1",
        b"GET %s?token=0123456789ABCDEF0123456789ABCDEF HTTP/1.1",
        b"GET %s?token=0123456789abcdef HTTP/1.1",
        b"GET %s?token=wrong&token=0123456789abcdef0123456789abcdef HTTP/1.1",
        b"GET %s?token=%%ff%%00 HTTP/1.1",
        b"HEAD %s?token=wrong HTTP/1.1",
        b"POST %s HTTP/1.1",
        b"OPTIONS %s?token=wrong HTTP/1.1",
    ],
)
async def test_a_stranger_is_told_what_any_unknown_path_tells(tmp_path: Path, head: bytes) -> None:
    """Without the token nothing tells that there is a feed, with one configured or without."""
    path = PATH.encode()
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        async with served(storage) as page:
            unknown = await answer_to(page.port, head % b"/api/v1/nothing.ics")
            refused = await answer_to(page.port, head % path)
        async with served(storage, token=None) as page:
            absent = await answer_to(page.port, head % path)
            asked_well = await answer_to(page.port, b"GET %s?token=%s HTTP/1.1" % (path, TOKEN.encode()))

    assert unknown[0] == b"HTTP/1.1 404 Not Found"
    assert refused == absent == unknown
    assert asked_well[0] == unknown[0]


@pytest.mark.parametrize("method", ["PUT", "PROPFIND", "DELETE"])
async def test_a_program_learns_that_it_cannot_write(tmp_path: Path, method: str) -> None:
    """With the token, whoever tries to change the calendar is told what the page takes."""
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage, served(storage) as page:
        response, _ = await page.ask(method)

    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize(("role", "status"), [("all", 200), ("web", 200), ("worker", 404)])
async def test_a_gateway_serves_it_and_logs_no_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, role: Role, status: int
) -> None:
    """Whichever process has a door has the feed; no line of the log holds the token, asked well or badly."""
    caplog.set_level(logging.DEBUG)
    more = f"\napi: {{calendar_token: {TOKEN}}}"
    settings = {"role": role, "more_channels": more}
    asked = f"GET {PATH}?token={TOKEN}".encode()
    with capture_logs() as lines:
        async with gateway(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", **settings) as opened:
            good = await answer_to(opened.port, asked + b" HTTP/1.1")
            await answer_to(opened.port, asked + b"x HTTP/1.1")
            await answer_to(opened.port, asked + b"\x00 HTTP/1.1\r\nBad Header")

    assert good[0].startswith(b"HTTP/1.1 %d" % status)
    assert {"malformed request"} <= {line.get("reason") for line in lines}
    assert TOKEN not in str(lines) + caplog.text


@pytest.mark.parametrize("token", ["0123456789abcde", "0123456789abcdef&x=1", "0123456789 abcdef"])
def test_a_token_is_long_and_stands_in_an_address_as_it_is(tmp_path: Path, token: str) -> None:
    """What could be guessed, or would have to be encoded, is refused with the command that makes a good one."""
    with pytest.raises(ConfigError, match=r"^api.calendar_token: must be at least 16 .* openssl rand") as caught:
        config(tmp_path, "sqlite:////x.db", more_channels=f"\napi: {{calendar_token: '{token}'}}")

    assert token not in str(caught.value)


# --- without the database ---


@pytest.fixture(params=["refuses", "is silent"])
async def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storage]:
    """Give a database that does not answer."""
    monkeypatch.setattr(calendar, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if request.param == "is silent" else 9  # nobody listens there
        async with Storage(f"postgresql://u:p@127.0.0.1:{port}/x") as opened:
            yield opened


async def test_a_database_that_is_away_is_no_empty_calendar(away: Storage) -> None:
    """A program that was told of no appointments would delete them: it is asked to come back."""
    async with served(away) as page:
        response, body = await page.ask()

    assert (response.status, response.headers["Retry-After"], body) == (503, "60", b"")
