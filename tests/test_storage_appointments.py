"""Appointments: who gets the last seat, what is left of those who do not, and whose is whose; on both databases."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from channels.base import Inbound
from gateway.config import BusinessConfig
from gateway.config.hours import WEEKDAYS
from gateway.schedule import Schedule
from gateway.storage import (
    Appointment,
    Book,
    Booking,
    Cancel,
    Claim,
    Effect,
    Incoming,
    Move,
    Storage,
    Takeover,
    Visit,
)
from tests.conftest import make_database
from tests.test_storage_accept import NOW, US, accept
from tests.test_storage_effects import act, change, rows, turns_of
from tests.test_storage_locks import postgres_writer_dsn, until_blocked
from tests.test_storage_turns import claim

DAY = date(2026, 12, 1)
VISIT = Visit("Repair", "the customer", "+15550100007", None, "5 Elm Street", None)
DETROIT = Schedule(
    BusinessConfig.model_validate(
        {
            "hours": dict.fromkeys(WEEKDAYS, "00:00-24:00"),
            "timezone": "America/Detroit",
            "slot_minutes": 30,
        }
    )
)
SPRING, AUTUMN, HALLOWEEN = date(2026, 3, 8), date(2026, 11, 1), date(2026, 10, 31)


@pytest.fixture
async def doors(storage: Storage, database_url: str) -> AsyncIterator[tuple[Storage, Storage]]:
    """Give the same database to two processes."""
    async with Storage(database_url) as other:
        yield storage, other


def at(hour: int, minutes: int = 60, capacity: int = 1) -> Booking:
    """Return a time of the day, in cells of an hour."""
    starts_at = datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
    cells = tuple((str(DAY), cell) for cell in range(hour, hour + -(-minutes // 60)))
    return Booking(starts_at, minutes, str(DAY), f"{hour:02}:00", cells, capacity)


def in_detroit(day: date, time: str, minutes: int) -> Booking:
    """Return a time as the schedule of a business that never closes works it out."""
    slot = DETROIT.slot(day, time, minutes)
    assert slot is not None
    cells = tuple((str(cell.day), cell.number) for cell in DETROIT.cells(slot.starts_at, minutes))
    return Booking(slot.starts_at, minutes, str(day), time, cells, 1)


def book(booking: Booking) -> Book:
    return Book(booking, VISIT, NOW)


async def ask(storage: Storage, turn: Claim, effect: Effect, call: int = 0) -> Mapping[str, Any]:
    """Do it in a turn; returns what it gave."""
    run = await act(storage, turn, effect, call)
    assert run is not None
    return run.output


async def race(doors: Sequence[Storage], turns: Sequence[Claim], effects: Sequence[Effect]) -> list[Mapping[str, Any]]:
    """Let each turn do its thing, all at once, through the doors in turn."""
    calls = (
        ask(doors[n % len(doors)], turn, effect) for n, (turn, effect) in enumerate(zip(turns, effects, strict=True))
    )
    return list(await asyncio.gather(*calls))


def statuses(outputs: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(output["status"] for output in outputs)


async def booked(storage: Storage) -> list[Appointment]:
    return list(await storage.appointments(status="booked"))


async def assert_seats_are_right(storage: Storage, capacity: int = 1) -> None:
    """Check that every booked appointment sits in all of its cells and nobody else does, never more than there is."""
    seats = await rows(storage, "SELECT date, cell, seat, appointment_id FROM appointment_seats")
    covered = [(str(day), cell, a.id) for a in await booked(storage) for day, cell in cells_of(a)]

    assert sorted((str(day), cell, id_) for day, cell, _, id_ in seats) == sorted(covered)
    assert {seat for _, _, seat, _ in seats} <= set(range(1, capacity + 1))
    assert max(Counter((str(day), cell) for day, cell, _, _ in seats).values(), default=0) <= capacity


def cells_of(appointment: Appointment) -> tuple[tuple[str, int], ...]:
    return at(appointment.starts_at.hour, appointment.minutes).cells


async def test_a_booking_is_kept_whole(storage: Storage) -> None:
    """The appointment, its seats and the conversation's mark commit together, and the model can say what was booked."""
    [turn] = await turns_of(storage, "+1")
    output = await ask(storage, turn, book(at(9, 90)))
    [appointment] = await storage.appointments()
    [conversation] = await storage.conversations()

    assert output == {
        "status": "booked",
        "appointment_id": appointment.id,
        "service": "Repair",
        "date": "2026-12-01",
        "weekday": "Tuesday",
        "time": "09:00",
        "minutes": 90,
    }
    assert (appointment.scheduled_date, appointment.scheduled_time, appointment.minutes) == ("2026-12-01", "09:00", 90)
    assert appointment.starts_at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert (appointment.customer_name, appointment.phone, appointment.address) == (
        "the customer",
        "+15550100007",
        "5 Elm Street",
    )
    assert (appointment.conversation_id, appointment.contact_id) == (turn.id, turn.contact_id)
    assert (appointment.status, appointment.revision, appointment.created_at) == ("booked", 0, NOW)
    assert conversation.converted_to_appointment
    assert await storage.seats_taken([DAY]) == {(DAY, 9): 1, (DAY, 10): 1}


# --- races ---


@pytest.mark.parametrize("processes", [1, 2])
async def test_two_race_for_the_last_slot(doors: tuple[Storage, Storage], processes: int) -> None:
    """Exactly one books; the other is told that it is taken, and nothing of theirs is left."""
    storage, hours = doors[0], range(8, 18)
    turns = await turns_of(storage, *(f"+{n}" for n in range(20)))
    outputs = await race(doors[:processes], turns, [book(at(hour)) for hour in hours for _ in range(2)])
    winners = [turn.id for turn, output in zip(turns, outputs, strict=True) if output["status"] == "booked"]
    converted = [row.id for row in await storage.conversations() if row.converted_to_appointment]
    recorded = [row[0] for row in await rows(storage, "SELECT conversation_id FROM tool_runs")]

    assert [statuses(outputs[n : n + 2]) for n in range(0, 20, 2)] == [{"booked": 1, "taken": 1}] * 10
    assert sorted(a.conversation_id or 0 for a in await storage.appointments()) == sorted(winners)
    assert sorted(row or 0 for row in converted) == sorted(recorded) == sorted(winners)
    await assert_seats_are_right(storage)


@pytest.mark.parametrize(
    ("racers", "hours", "capacity", "won"),
    [
        pytest.param(3, [9], 2, 2, id="three for two seats"),
        pytest.param(20, [9, 10, 11, 12, 13], 1, 5, id="twenty for five slots"),
        pytest.param(20, [9, 10], 3, 6, id="twenty for six seats"),
    ],
)
async def test_as_many_book_as_there_are_seats(
    doors: tuple[Storage, Storage], racers: int, hours: list[int], capacity: int, won: int
) -> None:
    """Nobody too many, and nobody is turned away while there is a seat."""
    turns = await turns_of(doors[0], *(f"+{n}" for n in range(racers)))
    effects = [book(at(hours[n % len(hours)], capacity=capacity)) for n in range(racers)]
    outputs = await race(doors, turns, effects)

    assert statuses(outputs) == {"booked": won, "taken": racers - won}
    assert len(await rows(doors[0], "SELECT id FROM appointments")) == won
    await assert_seats_are_right(doors[0], capacity)


@pytest.mark.parametrize("seed", range(3))
async def test_lengths_that_overlap_in_part_exclude_each_other(doors: tuple[Storage, Storage], seed: int) -> None:
    """Short and long ones race; whoever is turned away would have overlapped with somebody who was not."""
    chance = random.Random(seed)
    wishes = [at(chance.randrange(8, 16), chance.choice([60, 90, 120, 240])) for _ in range(24)]
    turns = await turns_of(doors[0], *(f"+{n}" for n in range(24)))
    outputs = await race(doors, turns, [book(wish) for wish in wishes])
    kept = {cell for a in await booked(doors[0]) for cell in cells_of(a)}
    turned_away = [wish for wish, output in zip(wishes, outputs, strict=True) if output["status"] == "taken"]

    assert statuses(outputs)["booked"] > 1
    assert all(kept.intersection(wish.cells) for wish in turned_away)
    await assert_seats_are_right(doors[0])


async def test_moves_race_with_bookings(doors: tuple[Storage, Storage]) -> None:
    """Five who have a time and five who have none want the same five others; each is given once."""
    storage, wanted = doors[0], [at(hour) for hour in range(14, 19)]
    turns = await turns_of(storage, *(f"+{n}" for n in range(10)))
    had = [await ask(storage, turn, book(at(8 + n))) for n, turn in enumerate(turns[:5])]
    moves: list[Effect] = [Move(o["appointment_id"], wish, NOW) for o, wish in zip(had, wanted, strict=True)]
    racing = [*((turn, move, 1) for turn, move in zip(turns[:5], moves, strict=True))]
    racing += [(turn, book(wish), 1) for turn, wish in zip(turns[5:], wanted, strict=True)]
    outputs = await asyncio.gather(*(ask(doors[n % 2], *wish) for n, wish in enumerate(racing)))
    per_slot = [statuses([outputs[n], outputs[n + 5]]) for n in range(5)]
    appointments = await booked(storage)

    assert all(counted["taken"] == 1 and counted["moved"] + counted["booked"] == 1 for counted in per_slot)
    assert len(appointments) == 5 + statuses(outputs)["booked"]
    await assert_seats_are_right(storage)


async def test_two_swap_into_each_others_time(doors: tuple[Storage, Storage]) -> None:
    """Neither is free while the other sits there: both stay, or one moves after the other has left."""
    turns = await turns_of(doors[0], "+1", "+2")
    ids = [(await ask(doors[0], t, book(at(9 + n))))["appointment_id"] for n, t in enumerate(turns)]
    swaps = [(turns[0], Move(ids[0], at(10), NOW), 1), (turns[1], Move(ids[1], at(9), NOW), 1)]
    outputs = await asyncio.gather(*(ask(door, *swap) for door, swap in zip(doors, swaps, strict=True)))

    assert statuses(outputs) == {"taken": 2}
    await assert_seats_are_right(doors[0])


@pytest.mark.parametrize("what", ["book", "move"])
@pytest.mark.parametrize(
    ("ending", "capacity", "gets_it"),
    [
        pytest.param("COMMIT", 1, False, id="taken"),
        pytest.param("ROLLBACK", 1, True, id="given up"),
        pytest.param("COMMIT", 2, True, id="another seat"),
    ],
)
async def test_a_seat_that_somebody_is_about_to_take_is_waited_for(
    postgres_url: str, what: str, ending: str, capacity: int, gets_it: bool
) -> None:
    """Then it is looked again; what was taken beside it is given back where it is of no use."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        mine, other = await turns_of(storage, "+1", "+2")
        theirs = (await ask(storage, other, book(at(16, capacity=capacity))))["appointment_id"]
        own = (await ask(storage, mine, book(at(8, capacity=capacity))))["appointment_id"]
        wish = at(12, 180, capacity)
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        await elsewhere.execute("BEGIN")
        await elsewhere.execute("INSERT INTO appointment_seats VALUES ($1, 13, 1, $2)", DAY, theirs)
        effect = book(wish) if what == "book" else Move(own, wish, NOW)
        waiting = asyncio.create_task(ask(storage, mine, effect, 1))
        await until_blocked(elsewhere)
        await elsewhere.execute(ending)
        output = await waiting
        await elsewhere.close()
        query = f"SELECT cell, seat FROM appointment_seats WHERE appointment_id <> {theirs} AND cell > 8 ORDER BY cell"
        seats = await rows(storage, query)

        assert output["status"] == ({"book": "booked", "move": "moved"}[what] if gets_it else "taken")
        assert seats == ([(12, 1), (13, capacity), (14, 1)] if gets_it else [])
        assert len(await booked(storage)) == 2 + (gets_it and what == "book")


# --- moves and cancellations ---


async def test_a_move_takes_the_new_seats_and_gives_the_old_ones_back(storage: Storage) -> None:
    """The appointment keeps its number, and calendars see a higher revision."""
    [turn] = await turns_of(storage, "+1")
    made = await ask(storage, turn, book(at(9)))
    moved = await ask(storage, turn, Move(made["appointment_id"], at(15), NOW + timedelta(hours=1)), 1)
    [appointment] = await storage.appointments()

    assert (moved["status"], moved["appointment_id"], moved["before"]) == ("moved", appointment.id, "2026-12-01 09:00")
    assert (moved["date"], moved["time"]) == ("2026-12-01", "15:00")
    assert (appointment.scheduled_time, appointment.starts_at.hour, appointment.revision) == ("15:00", 15, 1)
    assert appointment.updated_at == NOW + timedelta(hours=1)
    await assert_seats_are_right(storage)


async def test_a_move_may_overlap_with_where_it_was(storage: Storage) -> None:
    """Its own seats are not in its way."""
    [turn] = await turns_of(storage, "+1")
    made = await ask(storage, turn, book(at(9, 180)))
    moved = await ask(storage, turn, Move(made["appointment_id"], at(10, 180), NOW), 1)

    assert moved["status"] == "moved"
    assert await storage.seats_taken([DAY]) == {(DAY, 10): 1, (DAY, 11): 1, (DAY, 12): 1}


async def test_a_move_that_fails_leaves_everything_where_it_was(storage: Storage) -> None:
    """Also the seats that it had found free before it met one that was not."""
    mine, other = await turns_of(storage, "+1", "+2")
    made = await ask(storage, mine, book(at(9, 120)))
    await ask(storage, other, book(at(13)))
    before = [a.model_dump() for a in await storage.appointments()]
    moved = await ask(storage, mine, Move(made["appointment_id"], at(11, 180), NOW), 1)

    assert moved["status"] == "taken"
    assert [a.model_dump() for a in await storage.appointments()] == before
    await assert_seats_are_right(storage)


async def test_a_move_to_the_same_time_changes_nothing(storage: Storage) -> None:
    """It is said, and no calendar is told."""
    [turn] = await turns_of(storage, "+1")
    made = await ask(storage, turn, book(at(9)))
    moved = await ask(storage, turn, Move(made["appointment_id"], at(9), NOW), 1)
    [appointment] = await storage.appointments()

    assert (moved["status"], appointment.revision) == ("unchanged", 0)


async def test_a_conversation_has_one_appointment_at_a_time_of_day(storage: Storage) -> None:
    """Booked again it is the same one, by its number; a move onto it is refused, seats or not."""
    [turn] = await turns_of(storage, "+1")
    first = await ask(storage, turn, book(at(9, capacity=3)))
    again = await ask(storage, turn, book(at(9, capacity=3)), 1)
    second = await ask(storage, turn, book(at(11, capacity=3)), 2)
    moved = await ask(storage, turn, Move(second["appointment_id"], at(9, capacity=3), NOW), 3)

    assert (again["status"], again["appointment_id"]) == ("already_booked", first["appointment_id"])
    assert (second["status"], moved["status"]) == ("booked", "taken")
    await assert_seats_are_right(storage, 3)


async def test_cancelling_frees_the_time(storage: Storage) -> None:
    """Somebody else can have it, and so can the same customer; what is cancelled can be neither moved nor cancelled."""
    mine, other = await turns_of(storage, "+1", "+2")
    made = await ask(storage, mine, book(at(9)))
    id_ = made["appointment_id"]
    cancelled = await ask(storage, mine, Cancel(id_, NOW), 1)
    too_late = [await ask(storage, mine, effect, 2) for effect in (Cancel(id_, NOW), Move(id_, at(15), NOW))]
    again = await ask(storage, mine, book(at(9)), 3)
    await ask(storage, mine, Cancel(again["appointment_id"], NOW), 4)
    taken_over = await ask(storage, other, book(at(9)))
    kept = {a.id: (a.status, a.revision) for a in await storage.appointments()}

    assert cancelled == {"status": "cancelled", "appointment_id": id_, "date": "2026-12-01", "time": "09:00"}
    assert statuses(too_late) == {"unknown": 2}
    assert (again["status"], taken_over["status"]) == ("booked", "booked")
    assert kept == {
        id_: ("cancelled", 1),
        again["appointment_id"]: ("cancelled", 1),
        taken_over["appointment_id"]: ("booked", 0),
    }
    await assert_seats_are_right(storage)


# --- whose it is ---


@pytest.mark.parametrize("what", ["move", "cancel"])
async def test_a_stranger_reaches_no_appointment(storage: Storage, what: str) -> None:
    """Whatever number somebody talks the model into, it is unknown, as one that never was."""
    mine, stranger = await turns_of(storage, "+1", "+2")
    id_ = (await ask(storage, mine, book(at(9))))["appointment_id"]
    tries: list[Effect] = [Cancel(n, NOW) if what == "cancel" else Move(n, at(15), NOW) for n in (id_, id_ + 1000)]
    outputs = [await ask(storage, stranger, effect, n) for n, effect in enumerate(tries)]
    [appointment] = await storage.appointments()

    assert outputs == [{"status": "unknown", "appointment_id": n} for n in (id_, id_ + 1000)]
    assert (appointment.status, appointment.scheduled_time, appointment.revision) == ("booked", "09:00", 0)


@pytest.mark.parametrize("what", ["move", "cancel"])
async def test_the_next_owner_of_a_number_reaches_no_appointment(storage: Storage, what: str) -> None:
    """Nobody has told us that the number passed on: the platform's lasting id says who it is."""
    mine = await turn_of_owner(storage, "US.1")
    id_ = (await ask(storage, mine, book(at(9))))["appointment_id"]
    theirs = await turn_of_owner(storage, "US.2")
    output = await ask(storage, theirs, Cancel(id_, NOW) if what == "cancel" else Move(id_, at(15), NOW))

    assert theirs.address == mine.address
    assert output == {"status": "unknown", "appointment_id": id_}
    assert await storage.appointments(conversation=(theirs.id, theirs.contact_id)) == []
    assert [a.id for a in await storage.appointments(conversation=(mine.id, mine.contact_id))] == [id_]


async def turn_of_owner(storage: Storage, identity: str) -> Claim:
    """Let somebody write from the one number under their own lasting id, and claim their turn."""
    wrote = Inbound(US, "+1", f"SM{identity}", "hi", identity=identity)
    await accept(storage, Incoming("sms", "whatsapp", wrote))
    [turn] = await claim(storage)
    return turn


async def test_nobodys_contact_is_not_everybodys(storage: Storage) -> None:
    """Two conversations without a contact are two people."""
    mine, stranger = await turns_of(storage, "+1", "+2")
    await change(storage, "UPDATE chat_conversations SET contact_id = NULL")
    id_ = (await ask(storage, mine, book(at(9))))["appointment_id"]
    output = await ask(storage, stranger, Cancel(id_, NOW))

    assert output["status"] == "unknown"


async def same_person(storage: Storage) -> tuple[Claim, Claim]:
    """Return the turns of two conversations of one contact."""
    here, there = await turns_of(storage, "+1", "+2")
    await change(storage, "UPDATE chat_conversations SET contact_id = :id", id=here.contact_id)
    return here, there


async def test_the_same_person_reaches_it_from_another_channel(storage: Storage) -> None:
    """What was booked in one conversation can be moved and cancelled in another of the same contact."""
    here, there = await same_person(storage)
    id_ = (await ask(storage, here, book(at(9))))["appointment_id"]
    outputs = [
        await ask(storage, there, effect, n) for n, effect in enumerate([Move(id_, at(15), NOW), Cancel(id_, NOW)])
    ]

    assert [output["status"] for output in outputs] == ["moved", "cancelled"]
    await assert_seats_are_right(storage)


async def test_a_move_from_another_channel_meets_its_own_conversations_appointments(storage: Storage) -> None:
    """What counts is where it was booked: there one time of day is taken once, here it may be taken beside it."""
    here, there = await same_person(storage)
    nine = (await ask(storage, here, book(at(9, capacity=2))))["appointment_id"]
    await ask(storage, here, book(at(10, capacity=2)), 1)
    await ask(storage, there, book(at(11, capacity=2)))
    onto_own = await ask(storage, there, Move(nine, at(10, capacity=2), NOW), 1)
    beside = await ask(storage, there, Move(nine, at(11, capacity=2), NOW), 2)

    assert (onto_own["status"], beside["status"]) == ("taken", "moved")
    await assert_seats_are_right(storage, 2)


async def test_a_move_from_another_channel_waits_for_what_is_booked_meanwhile(postgres_url: str) -> None:
    """The conversation in which it was booked is locked: what it books at that moment is seen."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        here, there = await same_person(storage)
        nine = (await ask(storage, here, book(at(9, capacity=2))))["appointment_id"]
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT 1 FROM chat_conversations WHERE id = $1 FOR UPDATE", here.id)
            await elsewhere.execute(
                "INSERT INTO appointments (scheduled_date, scheduled_time, starts_at, status, conversation_id,"
                " created_at, minutes, revision) VALUES ('2026-12-01', '10:00', $1, 'booked', $2, $1, 60, 0)",
                at(10).starts_at,
                here.id,
            )
            waiting = asyncio.create_task(ask(storage, there, Move(nine, at(10, capacity=2), NOW)))
            await until_blocked(elsewhere)
        output = await waiting
        await elsewhere.close()

        assert output["status"] == "taken"


async def test_a_person_who_takes_over_stops_the_booking(storage: Storage) -> None:
    """Nothing is booked any more for a turn that was taken away."""
    [turn] = await turns_of(storage, "+1")
    await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    run = await act(storage, turn, book(at(9)))

    assert run is None
    assert await storage.appointments() == []
    assert await storage.seats_taken([DAY]) == {}


# --- days on which clocks change ---


@pytest.mark.parametrize(("day", "slots"), [(SPRING, 46), (AUTUMN, 48), (DAY, 48)], ids=str)
async def test_every_time_of_a_day_is_given_once(storage: Storage, day: date, slots: int) -> None:
    """Also where an hour is skipped or comes twice: whoever comes second is turned away, and nobody before."""
    times = [slot.time for slot in DETROIT.day_slots(day, 30)]
    turns = await turns_of(storage, *(f"+{n}" for n in range(2 * slots)))
    first = await race([storage], turns[:slots], [book(in_detroit(day, time, 30)) for time in times])
    second = await race([storage], turns[slots:], [book(in_detroit(day, time, 30)) for time in times])

    assert len(times) == slots
    assert (statuses(first), statuses(second)) == ({"booked": slots}, {"taken": slots})


@pytest.mark.parametrize(
    ("day", "time", "minutes", "taken", "free"),
    [
        pytest.param(SPRING, "01:30", 90, ["01:30", "03:00", "03:30"], ["01:00", "04:00"], id="over the skipped hour"),
        pytest.param(AUTUMN, "01:00", 120, ["01:00", "01:30"], ["00:30", "02:00"], id="over both passes"),
        pytest.param(AUTUMN, "01:30", 60, ["01:30"], ["01:00", "02:00"], id="into the second pass"),
        pytest.param(AUTUMN, "00:30", 60, ["00:30", "01:00"], ["00:00", "01:30"], id="before the second pass"),
        pytest.param(HALLOWEEN, "23:30", 60, ["23:30"], ["23:00"], id="past midnight"),
    ],
)
async def test_a_booking_covers_real_time(
    storage: Storage, day: date, time: str, minutes: int, taken: list[str], free: list[str]
) -> None:
    """What others cannot have is what a stopwatch counts, whatever the clock on the wall does."""
    turns = await turns_of(storage, *(f"+{n}" for n in range(1 + len(taken) + len(free))))
    await ask(storage, turns[0], book(in_detroit(day, time, minutes)))
    wishes = [book(in_detroit(day, wish, 30)) for wish in (*taken, *free)]
    outputs = [await ask(storage, turn, wish) for turn, wish in zip(turns[1:], wishes, strict=True)]

    assert [output["status"] for output in outputs] == ["taken"] * len(taken) + ["booked"] * len(free)


async def test_a_booking_past_midnight_is_in_the_way_of_the_next_day(storage: Storage) -> None:
    """The seats are those of both dates."""
    turns = await turns_of(storage, "+1", "+2", "+3")
    wishes = [in_detroit(HALLOWEEN, "23:30", 60), in_detroit(AUTUMN, "00:00", 30), in_detroit(AUTUMN, "00:30", 30)]
    outputs = [await ask(storage, turn, book(wish)) for turn, wish in zip(turns, wishes, strict=True)]

    assert [output["status"] for output in outputs] == ["booked", "taken", "booked"]


# --- compared with a model in memory ---

CUSTOMERS = 6
CAPACITY = 2


@dataclass
class Entry:
    """An appointment of the model."""

    owner: int
    hour: int
    minutes: int
    status: str = "booked"


class Plain:
    """The same rules, worked out slowly: customers 2n and 2n + 1 are one person in two conversations."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}

    def book(self, owner: int, hour: int, minutes: int) -> str:
        if self._at(owner, hour):
            return "already_booked"
        return "booked" if self._has_room(hour, minutes) else "taken"

    def move(self, owner: int, id_: int, hour: int, minutes: int) -> str:
        entry = self._own(owner, id_)
        if entry is None:
            return "unknown"
        if entry.hour == hour:
            return "unchanged"
        if self._at(entry.owner, hour) or not self._has_room(hour, minutes, beside=id_):
            return "taken"
        entry.hour, entry.minutes = hour, minutes
        return "moved"

    def cancel(self, owner: int, id_: int) -> str:
        entry = self._own(owner, id_)
        if entry is None:
            return "unknown"
        entry.status = "cancelled"
        return "cancelled"

    def _own(self, owner: int, id_: int) -> Entry | None:
        entry = self.entries.get(id_)
        return entry if entry and entry.status == "booked" and entry.owner // 2 == owner // 2 else None

    def _at(self, owner: int, hour: int) -> bool:
        return any((e.owner, e.hour, e.status) == (owner, hour, "booked") for e in self.entries.values())

    def _has_room(self, hour: int, minutes: int, beside: int | None = None) -> bool:
        sitting = Counter(
            cell
            for id_, entry in self.entries.items()
            if entry.status == "booked" and id_ != beside
            for cell in at(entry.hour, entry.minutes).cells
        )
        return all(sitting[cell] < CAPACITY for cell in at(hour, minutes).cells)


def a_step(chance: random.Random, ids: Sequence[int]) -> tuple[str, int, int, int, int]:
    """Return what somebody tries next: what, who, which appointment, what hour, how long."""
    what = chance.choice(["book", "book", "move", "move", "cancel"] if ids else ["book"])
    hour, minutes = chance.randrange(8, 14), chance.choice([60, 90, 120])
    return what, chance.randrange(CUSTOMERS), chance.choice(ids or [0]), hour, minutes


def as_effect(step: tuple[str, int, int, int, int]) -> Effect:
    what, _, id_, hour, minutes = step
    wish = at(hour, minutes, CAPACITY)
    if what == "book":
        return book(wish)
    return Move(id_, wish, NOW) if what == "move" else Cancel(id_, NOW)


def by_the_model(plain: Plain, step: tuple[str, int, int, int, int]) -> str:
    what, who, id_, hour, minutes = step
    if what == "book":
        return plain.book(who, hour, minutes)
    return plain.move(who, id_, hour, minutes) if what == "move" else plain.cancel(who, id_)


async def people(storage: Storage) -> list[Claim]:
    """Return the customers' turns; each two are of one contact."""
    turns = await turns_of(storage, *(f"+{n}" for n in range(CUSTOMERS)))
    for n in range(0, CUSTOMERS, 2):
        where = {"contact": turns[n].contact_id, "id": turns[n + 1].id}
        await change(storage, "UPDATE chat_conversations SET contact_id = :contact WHERE id = :id", **where)
    return turns


@pytest.mark.parametrize("seed", range(4))
async def test_a_long_walk_agrees_with_a_plain_model(storage: Storage, seed: int) -> None:
    """Whatever is booked, moved and cancelled in whatever order, each step gives what the rules say."""
    chance, plain, turns = random.Random(seed), Plain(), await people(storage)
    seen: Counter[str] = Counter()
    for number in range(150):
        step = a_step(chance, list(plain.entries))
        expected = by_the_model(plain, step)
        output = await ask(storage, turns[step[1]], as_effect(step), number)
        seen[expected] += 1
        if expected == "booked":
            plain.entries[output["appointment_id"]] = Entry(step[1], step[3], step[4])
        assert output["status"] == expected, (number, step)
        if number % 10 == 0:
            await assert_seats_are_right(storage, CAPACITY)
    kept = {a.id: (a.status, a.starts_at.hour, a.minutes) for a in await storage.appointments()}

    assert kept == {id_: (entry.status, entry.hour, entry.minutes) for id_, entry in plain.entries.items()}
    assert min(seen[status] for status in ("booked", "taken", "moved", "cancelled", "unknown")) > 0
    await assert_seats_are_right(storage, CAPACITY)


@pytest.mark.parametrize("seed", range(2))
async def test_a_crowd_leaves_every_seat_right(doors: tuple[Storage, Storage], seed: int) -> None:
    """Many do everything at once in two processes: no seat too many is given, and none is left behind."""
    chance, turns = random.Random(seed), await people(doors[0])
    first = [(turns[n % CUSTOMERS], book(at(8 + n // CUSTOMERS, 60, CAPACITY)), 1000 + n) for n in range(24)]
    made = await asyncio.gather(*(ask(doors[n % 2], *wish) for n, wish in enumerate(first)))
    ids = [output["appointment_id"] for output in made if output["status"] == "booked"]
    steps = [a_step(chance, ids) for _ in range(120)]
    calls = (ask(doors[n % 2], turns[step[1]], as_effect(step), n) for n, step in enumerate(steps))
    outputs = await asyncio.gather(*calls)

    assert {"booked", "taken", "moved", "cancelled"} <= set(statuses(outputs))
    await assert_seats_are_right(doors[0], CAPACITY)
