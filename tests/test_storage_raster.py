"""The raster of the seats: what is booked keeps its time when the configuration changes; on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from gateway import ChatbotService
from gateway.config import BusinessConfig
from gateway.config.hours import WEEKDAYS
from gateway.schedule import Schedule
from gateway.storage import Book, Booking, Cancel, Claim, Effect, KeepRaster, Move, Storage
from tests.conftest import make_database
from tests.gateways import BUSINESS, gateway, write_config
from tests.test_storage_accept import NOW
from tests.test_storage_appointments import VISIT, ask
from tests.test_storage_effects import rows, turns_of
from tests.test_storage_locks import postgres_writer_dsn
from tests.test_tools import MINE, TOMORROW, customers
from tests.test_tools import business as garage

DAY = date(2036, 12, 1)
"""So far ahead that the processes that are really started find it in the future too."""
DETROIT = "America/Detroit"


def business(slot_minutes: int = 60, timezone: str = "UTC", capacity: int = 1) -> BusinessConfig:
    """Return a business that never closes."""
    settings = {"slot_minutes": slot_minutes, "timezone": timezone, "capacity": capacity}
    return BusinessConfig.model_validate({"hours": dict.fromkeys(WEEKDAYS, "00:00-24:00"), **settings})


def wish(of: BusinessConfig, time: str, minutes: int = 60, day: date = DAY) -> Booking:
    """Return a time as a process with that configuration asks for it."""
    schedule = Schedule(of)
    slot = schedule.slot(day, time, minutes)
    assert slot is not None
    cells = tuple((str(cell.day), cell.number) for cell in schedule.cells(slot.starts_at, minutes))
    return Booking(slot.starts_at, minutes, str(day), time, cells, of.capacity, (of.slot_minutes, of.timezone))


async def book(storage: Storage, of: BusinessConfig, *times: tuple[str, int]) -> list[tuple[Claim, Mapping[str, Any]]]:
    """Let a customer each try to book a time, one after the other; returns their turns and what they were told."""
    known = len(await storage.conversations())
    turns = await turns_of(storage, *(f"+{known + n}" for n in range(len(times))))
    wishes = [wish(of, time, minutes) for time, minutes in times]
    return [(turn, await ask(storage, turn, Book(one, VISIT, NOW))) for turn, one in zip(turns, wishes, strict=True)]


async def statuses(storage: Storage, of: BusinessConfig, *times: tuple[str, int]) -> list[str]:
    """Let a customer each try to book a time; returns how it ended."""
    return [output["status"] for _, output in await book(storage, of, *times)]


async def seats(storage: Storage) -> list[tuple[str, int, int]]:
    """Return every seat that is taken."""
    taken = await rows(storage, "SELECT date, cell, seat FROM appointment_seats ORDER BY date, cell, seat")
    return [(str(day), cell, seat) for day, cell, seat in taken]


@pytest.mark.parametrize(
    ("before", "after", "times", "seated", "refused", "granted"),
    [
        pytest.param(
            business(60),
            business(30),
            [("10:00", 60)],
            [("2036-12-01", 20, 1), ("2036-12-01", 21, 1)],
            [("10:00", 30), ("10:30", 30), ("09:30", 60)],
            [("05:00", 30), ("11:00", 30)],
            id="60 to 30",
        ),
        pytest.param(
            business(30),
            business(60),
            [("10:00", 30), ("10:30", 30), ("12:30", 60)],
            [("2036-12-01", 10, 1), ("2036-12-01", 10, 2), ("2036-12-01", 12, 1), ("2036-12-01", 13, 1)],
            [("10:00", 60), ("09:00", 120), ("12:00", 60), ("13:00", 60)],
            [("20:00", 60), ("11:00", 60)],
            id="30 to 60, two meet in one cell",
        ),
        pytest.param(
            business(30, capacity=2),
            business(60, capacity=2),
            [("10:00", 30), ("10:00", 30), ("10:30", 30)],
            [("2036-12-01", 10, seat) for seat in (1, 2, 3)],
            [("10:00", 60)],
            [("09:00", 60), ("09:00", 60)],
            id="30 to 60, three meet where there are two seats",
        ),
        pytest.param(
            business(60, capacity=2),
            business(30, capacity=1),
            [("10:00", 30), ("10:00", 30)],
            [("2036-12-01", 20, 1), ("2036-12-01", 20, 2)],
            [("10:00", 30)],
            [("10:30", 30)],
            id="fewer may run at the same time",
        ),
        pytest.param(
            business(60, DETROIT),
            business(60, "Europe/Berlin"),
            [("10:00", 60), ("18:00", 60)],
            [("2036-12-01", 16, 1), ("2036-12-02", 0, 1)],
            [("16:00", 60)],
            [("10:00", 60), ("18:00", 60)],
            id="another zone",
        ),
    ],
)
async def test_a_booking_keeps_its_time(
    storage: Storage,
    before: BusinessConfig,
    after: BusinessConfig,
    times: list[tuple[str, int]],
    seated: list[tuple[str, int, int]],
    refused: list[tuple[str, int]],
    granted: list[tuple[str, int]],
) -> None:
    """Under the new configuration the same time is taken, all of it and nothing else, and nobody loses theirs."""
    await storage.run(KeepRaster(before, NOW))
    assert await statuses(storage, before, *times) == ["booked"] * len(times)
    count = await storage.run(KeepRaster(after, NOW))
    found = await seats(storage)
    outcomes = await statuses(storage, after, *refused, *granted)

    assert count == len(times)
    assert found == seated
    assert outcomes == ["taken"] * len(refused) + ["booked"] * len(granted)


async def test_the_customer_is_told_the_new_zones_time(storage: Storage) -> None:
    """The moment stays, its name changes; for calendars nothing was moved."""
    await storage.run(KeepRaster(business(timezone=DETROIT), NOW))
    await book(storage, business(timezone=DETROIT), ("22:30", 60))
    await storage.run(KeepRaster(business(timezone="Europe/Berlin"), NOW))
    [appointment] = await storage.appointments()

    assert (appointment.scheduled_date, appointment.scheduled_time) == ("2036-12-02", "04:30")
    assert appointment.starts_at == datetime(2036, 12, 2, 3, 30, tzinfo=UTC)
    assert appointment.revision == 0


async def test_only_a_change_seats_anew(storage: Storage) -> None:
    """So does the first raster that is kept, where something is booked already; the same one again does nothing."""
    await book(storage, business(60), ("10:00", 60))
    changes = [business(30), business(30), business(30, capacity=3), business(60), business(60, DETROIT)]
    counts = [await storage.run(KeepRaster(change, NOW)) for change in changes]

    assert counts == [1, None, None, 1, 1]


async def test_a_database_without_appointments_keeps_its_raster(storage: Storage) -> None:
    """There is nothing to seat, and nothing to do at the next start."""
    counts = [await storage.run(KeepRaster(business(30), NOW)) for _ in range(2)]

    assert counts == [0, None]


async def test_what_is_over_or_cancelled_sits_nowhere(storage: Storage) -> None:
    """Its old cell would be another time of the new raster; what is going on keeps its place to the end."""
    old, now = business(60), datetime(2036, 12, 1, 10, 30, tzinfo=UTC)
    made = await book(storage, old, ("09:00", 60), ("10:00", 60), ("13:00", 60))
    turn, output = made[2]
    await ask(storage, turn, Cancel(output["appointment_id"], NOW), 1)
    count = await storage.run(KeepRaster(business(30), now))

    assert count == 1
    assert await seats(storage) == [("2036-12-01", 20, 1), ("2036-12-01", 21, 1)]


async def test_a_cell_with_too_many_is_free_when_enough_have_gone(storage: Storage) -> None:
    """Whoever leaves it first, a seat beyond the capacity counts like any other."""
    await storage.run(KeepRaster(business(30), NOW))
    made = await book(storage, business(30), ("10:00", 30), ("10:30", 30))
    await storage.run(KeepRaster(business(60), NOW))
    outcomes = []
    for turn, output in made:
        await ask(storage, turn, Cancel(output["appointment_id"], NOW), 1)
        outcomes += await statuses(storage, business(60), ("10:00", 60))

    assert outcomes == ["taken", "booked"]


async def test_two_processes_start_at_once(database_url: str, storage: Storage) -> None:
    """One of them does it."""
    await book(storage, business(60), ("10:00", 60), ("11:00", 60))
    async with Storage(database_url) as other:
        for change in [business(30), business(60), business(15), business(60, DETROIT)]:
            counts = await asyncio.gather(*(door.run(KeepRaster(change, NOW)) for door in (storage, other)))
            assert sorted(counts, key=str) == [2, None]

    assert len(await seats(storage)) == 2


@pytest.mark.parametrize("what", ["book", "move"])
async def test_a_process_of_the_configuration_before_books_nothing(storage: Storage, what: str) -> None:
    """Its cells say nothing any more: it would be let in where somebody sits."""
    old = business(60)
    await storage.run(KeepRaster(old, NOW))
    [(turn, made)] = await book(storage, old, ("15:00", 60))
    await storage.run(KeepRaster(business(30), NOW))
    before, noon = await seats(storage), wish(old, "12:00")
    effect: Effect = Book(noon, VISIT, NOW) if what == "book" else Move(made["appointment_id"], noon, NOW)
    output = await ask(storage, turn, effect, 1)

    assert output["status"] == "taken"
    assert await seats(storage) == before
    assert [a.scheduled_time for a in await storage.appointments(status="booked")] == ["15:00"]


@pytest.mark.parametrize(("slot_minutes", "status"), [(60, "booked"), (30, "taken")])
async def test_the_tool_says_in_which_raster_it_books(storage: Storage, slot_minutes: int, status: str) -> None:
    """Its business has slots of an hour; while a process that was started later has others, it books nothing."""
    [customer] = await customers(storage, MINE)
    await storage.run(KeepRaster(garage(slot_minutes=slot_minutes), NOW))
    output = await customer.books(TOMORROW, "10:00", service="Inspection")

    assert output["status"] == status


async def test_a_booking_under_way_is_seated_too(postgres_url: str) -> None:
    """The change waits for it: it is booked in the old raster, and sits in the new one."""
    url = await make_database(postgres_url)
    async with Storage(url) as storage, Storage(url) as other:
        await storage.migrate()
        await storage.run(KeepRaster(business(60), NOW))
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        await elsewhere.execute("BEGIN; LOCK TABLE appointment_seats IN SHARE MODE")
        booking = asyncio.create_task(book(storage, business(60), ("10:00", 60)))
        await until_waiting(elsewhere, 1)
        change = asyncio.create_task(other.run(KeepRaster(business(30), NOW)))
        await until_waiting(elsewhere, 2)
        await elsewhere.execute("COMMIT")
        [(_, made)], count = await booking, await change
        await elsewhere.close()

        assert (made["status"], count) == ("booked", 1)
        assert [cell for _, cell, _ in await seats(storage)] == [20, 21]


async def until_waiting(connection: Any, count: int) -> None:
    """Wait until that many transactions wait for a lock."""
    async with asyncio.timeout(5):
        while await connection.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("started", ["serve", "service"])
async def test_a_start_seats_what_is_booked(database_url: str, tmp_path: Path, started: str) -> None:
    """The server and an embedded service alike, before they book anything; how many there were is in the log."""
    async with Storage(database_url) as storage:
        await storage.migrate()
        await storage.run(KeepRaster(business(60), NOW))
        await book(storage, business(60), ("10:00", 60), ("12:00", 60))
        settings = {"business": json.dumps({**BUSINESS, "slot_minutes": 30})}
        with capture_logs() as logged:
            if started == "serve":
                async with gateway(tmp_path, database_url, **settings):
                    found = await seats(storage)
            else:
                async with ChatbotService.from_config(write_config(tmp_path, database_url, **settings)):
                    found = await seats(storage)

    assert [cell for _, cell, _ in found] == [20, 21, 24, 25]
    assert [line["appointments_count"] for line in logged if line["event"] == "appointments_seated_anew"] == [2]
