"""The schedule: what can be booked when, on ordinary days and on those on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.config import BusinessConfig
from gateway.config.hours import WEEKDAYS
from gateway.schedule import HORIZON_DAYS, Cell, Schedule, Unbookable, parse_day, parse_time

DETROIT, BERLIN, LORD_HOWE = "America/Detroit", "Europe/Berlin", "Australia/Lord_Howe"
SPRING = {DETROIT: date(2026, 3, 8), BERLIN: date(2026, 3, 29), LORD_HOWE: date(2026, 10, 4)}
AUTUMN = {DETROIT: date(2026, 11, 1), BERLIN: date(2026, 10, 25), LORD_HOWE: date(2026, 4, 5)}
CHANGES = [
    *((zone, day) for days in (SPRING, AUTUMN) for zone, day in days.items()),
    ("Pacific/Chatham", date(2026, 9, 27)),  # +12:45, changes at 02:45
    ("Pacific/Chatham", date(2026, 4, 5)),
    ("America/Havana", date(2026, 3, 8)),  # a day that begins at 01:00
    ("America/Havana", date(2026, 11, 1)),  # ... and one whose first hour comes twice
    ("America/Santiago", date(2026, 4, 4)),  # the last hour of the day comes twice
    ("America/Nuuk", date(2026, 3, 28)),  # the day ends at 23:00
    ("Antarctica/Troll", date(2026, 3, 29)),  # two hours are skipped
    ("Antarctica/Troll", date(2026, 10, 25)),
    ("Asia/Kathmandu", date(2026, 6, 1)),  # +05:45, never changes
]
MONDAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, 10, 30, tzinfo=UTC)


def schedule(hours="09:00-17:00", zone="UTC", **more):
    """Return a schedule with the same hours on every day, or with hours by weekday."""
    week = hours if isinstance(hours, dict) else dict.fromkeys(WEEKDAYS, hours)
    return Schedule(BusinessConfig.model_validate({"hours": week, "timezone": zone, **more}))


def times(slots):
    return " ".join(slot.time for slot in slots)


def days_and_times(slots):
    return [f"{slot.day.day} {slot.time}" for slot in slots]


def cells_by_the_minute(starts_at, minutes, zone, slot_minutes):
    """Work out the cells slowly: look at the clock in every minute."""
    clock = [(starts_at + timedelta(minutes=after)).astimezone(zone) for after in range(minutes)]
    second_pass = 1440 // slot_minutes
    return {Cell(at.date(), (at.hour * 60 + at.minute) // slot_minutes + at.fold * second_pass) for at in clock}


# --- what a model writes ---


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("9", "09:00"),
        ("9:00", "09:00"),
        ("09:00", "09:00"),
        ("09:00:00", "09:00"),
        (" 9.30 ", "09:30"),
        ("9am", "09:00"),
        ("9 A.M.", "09:00"),
        ("2:30 pm", "14:30"),
        ("2:30\u202fPM", "14:30"),
        ("12am", "00:00"),
        ("12:15 pm", "12:15"),
        ("14h", "14:00"),
        ("14h30", "14:30"),
        ("14:30 h", "14:30"),
        ("14 Uhr", "14:00"),
        ("14 Uhr 30", "14:30"),
        ("14.30 Uhr", "14:30"),
        ("0:00", "00:00"),
        ("23:59", "23:59"),
        ("", None),
        ("soon", None),
        ("24:00", None),
        ("9:60", None),
        ("9:5", None),
        ("9:00:30", None),
        ("930", None),
        ("0am", None),
        ("14 pm", None),
        ("-9", None),
        ("9-10", None),
        ("٩:00", None),
    ],
)
def test_a_time_is_read_in_the_forms_people_write(text, time):
    """With or without minutes, halves of the day, Uhr or h; anything else is no time."""
    assert parse_time(text) == time


@given(st.text())
def test_any_text_is_a_time_or_none(text):
    """Whatever a model writes, reading it raises nothing, and what is read reads as itself."""
    time = parse_time(text)

    assert time is None or parse_time(time) == time
    assert parse_day(text) is None or parse_day(text).isoformat() == text.strip()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-06-01", MONDAY),
        (" 2026-06-01\n", MONDAY),
        ("2028-02-29", date(2028, 2, 29)),
        ("2026-02-29", None),
        ("2026-6-1", None),
        ("20260601", None),
        ("2026-W23-1", None),
        ("2026-06-01T09:00", None),
        ("06/01/2026", None),
        ("tomorrow", None),
    ],
)
def test_a_date_is_read_only_where_it_is_unmistakable(text, day):
    """Year, month and day with hyphens; a date that the calendar lacks is none."""
    assert parse_day(text) == day


# --- services ---

SERVICES = [
    {"name": "Inspection", "minutes": 60},
    {"name": "Repair", "minutes": 120},
    {"name": "Tap repair", "minutes": 45},
    {"name": "Révision", "minutes": 90},
    {"name": "A/C check", "minutes": 30},
    {"name": "A-C Check", "minutes": 75},
    {"name": "★", "minutes": 50},
]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Repair", "Repair"),
        ("  rEPAIR ", "Repair"),
        ("repair of a tap", "Repair"),
        ("a repair, please", "Repair"),
        ("Tap  repair today", "Tap repair"),
        ("Ｒｅｐａｉｒ", "Repair"),
        ("re\u0301vision", "Révision"),
        ("a/c check", "A/C check"),
        ("an A/C check", None),
        ("★", "★"),
        ("inspection or repair", None),
        ("repairs", None),
        ("rep", None),
        ("something else", None),
        ("", None),
    ],
)
def test_a_service_is_found_by_its_name(asked, name):
    """In any case and among other words, as long as no second service is named as well."""
    found = schedule(services=SERVICES).service(asked)

    assert (found and found.name) == name


def test_a_wish_without_a_service_takes_the_shortest():
    """A service takes its own time; unknown, the shortest of all; without services, one slot."""
    offered = schedule(services=SERVICES)

    assert offered.minutes_for(offered.service("repair")) == 120
    assert offered.minutes_for(None) == 30
    assert schedule(slot_minutes=45).minutes_for(None) == 45


# --- the raster of a day ---


@pytest.mark.parametrize(
    ("hours", "slot_minutes", "minutes", "offered"),
    [
        ("09:00-12:00, 13:00-15:00", 60, 60, "09:00 10:00 11:00 13:00 14:00"),
        ("09:00-12:00, 13:00-15:00", 60, 90, "09:00 10:00 13:00"),
        ("09:00-12:00, 13:00-15:00", 60, 180, "09:00"),
        ("09:00-12:00, 13:00-15:00", 60, 181, ""),
        ("09:00-12:00, 12:00-14:00", 60, 180, "09:00 10:00 11:00"),
        ("09:00-10:00", 15, 30, "09:00 09:15 09:30"),
        ("09:00-13:00", 90, 90, "09:00 10:30"),
        ("08:15-10:15", 60, 60, "09:00"),
        ("08:15-08:45", 60, 15, ""),
        ("22:30-24:00", 60, 60, "23:00"),
        ("00:00-01:00, 23:00-24:00", 60, 120, "23:00"),
        ("00:00-24:00", 720, 1440, "00:00 12:00"),
    ],
)
def test_a_day_offers_the_raster_within_its_hours(hours, slot_minutes, minutes, offered):
    """What begins on the raster and ends before the business closes; touching hours are one, at midnight too."""
    assert times(schedule(hours, slot_minutes=slot_minutes).day_slots(MONDAY, minutes)) == offered


def test_a_night_ends_where_the_next_day_is_closed():
    """Hours until midnight go on only if the next day opens there, and not into a holiday."""
    week = {"mon": "22:00-24:00", "tue": "00:00-01:00", "wed": "22:00-24:00"}
    open_at_night = schedule(week)
    holiday = schedule(week, holidays=["2026-06-02"])

    assert times(open_at_night.day_slots(MONDAY, 120)) == "22:00 23:00"
    assert times(open_at_night.day_slots(date(2026, 6, 3), 120)) == "22:00"
    assert times(holiday.day_slots(MONDAY, 120)) == "22:00"


@pytest.mark.parametrize(
    ("zone", "day", "hours", "slot_minutes", "minutes", "offered"),
    [
        (DETROIT, SPRING, "00:00-04:00", 60, 60, "00:00 01:00 03:00"),
        (DETROIT, SPRING, "00:00-04:00", 60, 120, "00:00 01:00"),
        (DETROIT, SPRING, "00:00-04:00", 60, 180, "00:00"),
        (DETROIT, SPRING, "00:00-04:00", 60, 181, ""),
        (DETROIT, SPRING, "00:00-06:00", 90, 90, "00:00 01:30 03:00 04:30"),
        (DETROIT, SPRING, "02:30-05:00", 30, 60, "03:00 03:30 04:00"),
        (DETROIT, SPRING, "01:00-02:30", 30, 60, "01:00"),
        (DETROIT, SPRING, "01:00-02:30, 02:45-04:00", 60, 120, "01:00"),
        (DETROIT, SPRING, "02:00-03:00", 15, 15, ""),
        (DETROIT, AUTUMN, "00:00-04:00", 60, 60, "00:00 01:00 02:00 03:00"),
        (DETROIT, AUTUMN, "00:00-04:00", 60, 120, "00:00 01:00 02:00"),
        (DETROIT, AUTUMN, "00:00-04:00", 60, 300, "00:00"),
        (DETROIT, AUTUMN, "00:00-04:00", 60, 301, ""),
        (DETROIT, AUTUMN, "00:00-01:30", 30, 30, "00:00 00:30 01:00"),
        (DETROIT, AUTUMN, "01:30-03:00", 30, 120, "01:30"),
        (BERLIN, SPRING, "01:00-04:00", 30, 60, "01:00 01:30 03:00"),
        (BERLIN, AUTUMN, "01:00-04:00", 60, 240, "01:00"),
        (BERLIN, AUTUMN, "01:00-04:00", 60, 120, "01:00 02:00"),
        (LORD_HOWE, SPRING, "01:00-03:00", 15, 30, "01:00 01:15 01:30 01:45 02:30"),
        (LORD_HOWE, SPRING, "01:00-04:00", 60, 60, "01:00 03:00"),
        (LORD_HOWE, AUTUMN, "01:00-03:00", 30, 30, "01:00 01:30 02:00 02:30"),
        (LORD_HOWE, AUTUMN, "01:00-03:00", 30, 120, "01:00 01:30"),
        (LORD_HOWE, AUTUMN, "01:00-03:00", 30, 150, "01:00"),
    ],
)
def test_a_day_on_which_clocks_change_counts_real_minutes(zone, day, hours, slot_minutes, minutes, offered):
    """A skipped time is not offered, a repeated one once, and the end is reckoned in minutes that really pass."""
    assert times(schedule(hours, zone, slot_minutes=slot_minutes).day_slots(day[zone], minutes)) == offered


@pytest.mark.parametrize(
    ("zone", "day", "time", "starts_at"),
    [
        (DETROIT, MONDAY, "9am", "2026-06-01T13:00Z"),
        (DETROIT, AUTUMN[DETROIT], "01:30", "2026-11-01T05:30Z"),
        (DETROIT, SPRING[DETROIT], "03:00", "2026-03-08T07:00Z"),
        (DETROIT, SPRING[DETROIT], "02:00", None),
        (DETROIT, SPRING[DETROIT], "02:59", None),
        (LORD_HOWE, SPRING[LORD_HOWE], "02:15", None),
        (LORD_HOWE, SPRING[LORD_HOWE], "02:30", "2026-10-03T15:30Z"),
        ("Asia/Kathmandu", MONDAY, "09:00", "2026-06-01T03:15Z"),
        ("Pacific/Chatham", date(2026, 1, 10), "09:00", "2026-01-09T19:15Z"),
        ("America/Havana", date(2026, 3, 8), "00:30", None),
        ("UTC", MONDAY, "late", None),
        (DETROIT, date.max, "23:00", None),
        (BERLIN, date.min, "00:00", None),
    ],
)
def test_a_wall_time_becomes_the_moment_of_its_first_pass(zone, day, time, starts_at):
    """In UTC; a time that the clocks skip, that is none, or that the calendar has no room for, becomes nothing."""
    slot = schedule(zone=zone).slot(day, time, 60)

    assert (slot and slot.starts_at) == (starts_at and datetime.fromisoformat(starts_at))
    assert slot is None or slot.starts_at.utcoffset() == timedelta(0)


def test_a_slot_knows_its_wall_time_and_its_end():
    """The time is written as a clock shows it; the end is real minutes later."""
    slot = schedule(zone=DETROIT).slot(SPRING[DETROIT], "1:30 am", 60)

    assert (slot.day, slot.time, slot.minutes) == (SPRING[DETROIT], "01:30", 60)
    assert slot.ends_at == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


# --- cells ---


@pytest.mark.parametrize(
    ("zone", "slot_minutes", "starts_at", "minutes", "numbers"),
    [
        ("UTC", 60, "2026-06-01T09:00Z", 60, [9]),
        ("UTC", 60, "2026-06-01T09:00Z", 61, [9, 10]),
        ("UTC", 60, "2026-06-01T09:10Z", 60, [9, 10]),
        ("UTC", 15, "2026-06-01T09:10Z", 10, [36, 37]),
        ("UTC", 90, "2026-06-01T09:00Z", 90, [6]),
        ("Asia/Kathmandu", 60, "2026-06-01T03:15Z", 60, [9]),
        (DETROIT, 60, "2026-03-08T06:00Z", 120, [1, 3]),
        (DETROIT, 90, "2026-03-08T06:30Z", 90, [1, 2]),
        (DETROIT, 60, "2026-11-01T05:00Z", 60, [1]),
        (DETROIT, 60, "2026-11-01T06:00Z", 60, [25]),
        (DETROIT, 60, "2026-11-01T05:00Z", 180, [1, 2, 25]),
        (DETROIT, 90, "2026-11-01T05:30Z", 90, [1, 16, 17]),
        (DETROIT, 90, "2026-11-01T06:00Z", 90, [1, 16, 17]),
        (LORD_HOWE, 30, "2026-04-04T14:30Z", 90, [3, 4, 51]),
        ("Pacific/Chatham", 60, "2026-04-04T13:15Z", 150, [3, 4, 26, 27]),
    ],
)
def test_a_time_occupies_the_cells_that_it_overlaps(zone, slot_minutes, starts_at, minutes, numbers):
    """Numbered by the wall clock; the second pass of a repeated hour has numbers of its own."""
    cells = schedule(zone=zone, slot_minutes=slot_minutes).cells(datetime.fromisoformat(starts_at), minutes)

    assert [cell.number for cell in cells] == numbers


def test_a_night_occupies_cells_of_both_days():
    """Past midnight the cells are those of the next day, from 0 on."""
    cells = schedule().cells(datetime(2026, 6, 1, 23, tzinfo=UTC), 120)

    assert cells == (Cell(MONDAY, 23), Cell(date(2026, 6, 2), 0))


@st.composite
def businesses(draw):
    """A business somewhere, with hours of any shape, and a date near a change of its clocks."""
    zone, day = draw(st.sampled_from(CHANGES))
    edges = st.lists(st.integers(0, 96), unique=True, min_size=2, max_size=6)
    week = {}
    for name in WEEKDAYS:
        drawn = sorted(draw(st.one_of(edges, st.just([0, 96]))))
        clock = [f"{quarter // 4:02}:{quarter % 4 * 15:02}" for quarter in drawn]
        week[name] = ", ".join(f"{begin}-{end}" for begin, end in zip(clock[::2], clock[1::2], strict=False))
    return BusinessConfig(
        timezone=zone,
        hours=week,
        slot_minutes=draw(st.sampled_from([8, 15, 20, 30, 45, 60, 90, 120])),
        capacity=draw(st.integers(1, 2)),
        holidays=draw(st.sampled_from([(), (day.isoformat(),)])),
    ), day + timedelta(days=draw(st.integers(-1, 1)))


def moments(day, business):
    """Strategy: a whole minute around a date."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=business.zone).astimezone(UTC)
    return st.integers(-1440, 2880).map(lambda minute: midnight + timedelta(minutes=minute))


unhurried = settings(deadline=None)  # looking at the clock in every minute takes as long as the machine is busy
LENGTHS = st.one_of(st.sampled_from([15, 30, 60, 90, 120]), st.integers(1, 1440))


@unhurried
@given(businesses(), LENGTHS, st.data())
def test_the_cells_are_those_that_the_clock_passes_through(given_, minutes, data):
    """Looking at the clock every minute gives the same cells, so two times at once always meet in one."""
    business, day = given_
    starts_at = data.draw(moments(day, business))
    cells = Schedule(business).cells(starts_at, minutes)

    assert set(cells) == cells_by_the_minute(starts_at, minutes, business.zone, business.slot_minutes)
    assert list(cells) == sorted(set(cells))


@unhurried
@given(businesses(), LENGTHS, LENGTHS, st.data())
def test_times_apart_share_only_a_cell_that_both_are_in(given_, minutes, other_minutes, data):
    """Two times that do not overlap have a cell in common only where one ends, and the other begins, within it."""
    business, day = given_
    diary = Schedule(business)
    first, second = data.draw(moments(day, business)), data.draw(moments(day, business))
    assume(first + timedelta(minutes=minutes) <= second)

    shared = set(diary.cells(first, minutes)) & set(diary.cells(second, other_minutes))
    zone, slot_minutes = business.zone, business.slot_minutes
    passed = cells_by_the_minute(first, minutes, zone, slot_minutes)

    assert shared == passed & cells_by_the_minute(second, other_minutes, zone, slot_minutes)


@pytest.mark.parametrize("slot_minutes", [15, 30, 60, 90])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_slots_that_follow_each_other_share_no_cell(zone, day, slot_minutes):
    """Over a whole day with a change, two slots of the raster that do not overlap can both be booked."""
    diary = schedule("00:00-24:00", zone, slot_minutes=slot_minutes)
    slots = diary.day_slots(day, slot_minutes)
    pairs = [(one, other) for one in slots for other in slots if one.ends_at <= other.starts_at]

    assert len(slots) >= 1440 // slot_minutes - 120 // slot_minutes - 1
    for one, other in pairs:
        assert not set(diary.cells(one.starts_at, slot_minutes)) & set(diary.cells(other.starts_at, slot_minutes))


# --- wishes ---

WEEK = {"mon": "09:00-12:00, 13:00-17:00", "tue": "09:00-17:00", "wed": "09:00-17:00", "fri": "22:00-24:00"}
TAKEN = {Cell(date(2026, 6, 2), 10): 1, Cell(date(2026, 6, 2), 14): 1}


@pytest.mark.parametrize(
    ("day", "time", "minutes", "reason"),
    [
        ("2026-06-01", "11:00", 60, None),
        ("2026-06-01", "1 pm", 240, None),
        ("2026-06-02", "11:00", 180, None),
        ("2026-06-05", "23:00", 60, None),
        ("2027-06-02", "09:00", 60, None),
        ("2026-05-29", "22:00", 60, Unbookable.PAST),
        ("2026-06-01", "10:00", 60, Unbookable.PAST),
        ("0001-01-01", "10:00", 60, Unbookable.PAST),
        ("2027-06-03", "09:00", 60, Unbookable.TOO_FAR),
        ("9999-12-31", "09:00", 60, Unbookable.TOO_FAR),
        ("2026-06-04", "09:00", 60, Unbookable.CLOSED_DAY),
        ("2026-06-03", "09:00", 60, Unbookable.HOLIDAY),
        ("2026-06-02", "08:00", 60, Unbookable.OUTSIDE_HOURS),
        ("2026-06-02", "17:00", 60, Unbookable.OUTSIDE_HOURS),
        ("2026-06-01", "12:00", 60, Unbookable.OUTSIDE_HOURS),
        ("2026-06-02", "09:30", 60, Unbookable.OFF_RASTER),
        ("2026-06-02", "nine", 60, Unbookable.NO_SUCH_TIME),
        ("2026-06-01", "11:00", 61, Unbookable.TOO_LONG),
        ("2026-06-01", "13:00", 300, Unbookable.TOO_LONG),
        ("2026-06-05", "23:00", 61, Unbookable.TOO_LONG),
        ("2026-06-02", "10:00", 60, Unbookable.TAKEN),
        ("2026-06-02", "09:00", 120, Unbookable.TAKEN),
        ("2026-06-02", "11:00", 181, Unbookable.TAKEN),
    ],
)
def test_a_wish_that_cannot_be_booked_is_told_why(day, time, minutes, reason):
    """Each reason is its own; None means that it can be booked."""
    diary = schedule(WEEK, holidays=["2026-06-03"])

    assert diary.unbookable(date.fromisoformat(day), time, minutes, TAKEN, NOW) == reason


def test_the_present_minute_can_still_be_booked():
    """A time is past once it has begun."""
    diary = schedule()
    ten = datetime(2026, 6, 1, 10, tzinfo=UTC)

    assert diary.unbookable(MONDAY, "10:00", 60, {}, ten) is None
    assert diary.unbookable(MONDAY, "10:00", 60, {}, ten + timedelta(seconds=1)) is Unbookable.PAST
    assert times(diary.free(MONDAY, 60, {}, ten))[:5] == "10:00"


def test_a_time_that_the_clocks_skip_is_no_time_of_the_day():
    """On the day of the change, within the hours, and only there."""
    diary = schedule("00:00-24:00", DETROIT)
    now = datetime(2026, 3, 1, tzinfo=UTC)

    assert diary.unbookable(SPRING[DETROIT], "02:00", 60, {}, now) is Unbookable.NO_SUCH_TIME
    assert diary.unbookable(SPRING[DETROIT] + timedelta(days=1), "02:00", 60, {}, now) is None


@pytest.mark.parametrize(("seats", "reason"), [(0, None), (1, None), (2, Unbookable.TAKEN), (3, Unbookable.TAKEN)])
def test_a_time_is_taken_when_every_seat_is(seats, reason):
    """Two may run at the same time, not three; more than fit, after a change of the capacity, are full as well."""
    diary = schedule(capacity=2)

    assert diary.unbookable(MONDAY, "13:00", 120, {Cell(MONDAY, 14): seats}, NOW) == reason


def test_a_business_without_hours_takes_no_bookings():
    """Every day is closed, and it never opens."""
    diary = schedule({})

    assert {diary.unbookable(MONDAY + timedelta(days=n), "09:00", 60, {}, NOW) for n in range(-1, 8)} == {
        Unbookable.CLOSED_DAY
    }
    assert diary.nearest(MONDAY, None, 60, {}, NOW) == ()
    assert diary.next_opening(NOW) is None


@st.composite
def diaries(draw):
    """A business, a date, a length, and a moment at which some appointments of that date are taken."""
    business, day = draw(businesses())
    diary = Schedule(business)
    minutes = draw(st.sampled_from([15, 45, 60, 90, 240, 1440]))
    slots = [slot for after in (0, 1) for slot in diary.day_slots(day + timedelta(days=after), business.slot_minutes)]
    booked = draw(st.lists(st.sampled_from(slots), max_size=6)) if slots else []
    occupied = {}
    for slot in booked:
        for cell in diary.cells(slot.starts_at, slot.minutes):
            occupied[cell] = occupied.get(cell, 0) + 1
    return business, day, minutes, occupied, draw(moments(day, business))


@unhurried
@given(diaries())
def test_what_is_offered_is_what_can_be_booked(diary):
    """Every free slot is bookable, and no other minute of the day is."""
    business, day, minutes, occupied, now = diary
    agenda = Schedule(business)
    offered = {slot.time for slot in agenda.free(day, minutes, occupied, now)}
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(0, 1440, 5)]
    clock += [slot.time for slot in agenda.day_slots(day, minutes)]

    assert offered == {time for time in clock if agenda.unbookable(day, time, minutes, occupied, now) is None}


@unhurried
@given(diaries(), st.data())
def test_what_is_offered_has_a_seat_in_every_minute(diary, data):
    """No free slot has begun, passes through a full cell, or lasts longer than the business is open."""
    business, day, minutes, occupied, now = diary
    agenda = Schedule(business)
    free = agenda.free(day, minutes, occupied, now)
    assume(free)
    slot = data.draw(st.sampled_from(free))
    cells = cells_by_the_minute(slot.starts_at, minutes, business.zone, business.slot_minutes)

    assert slot.starts_at >= now
    assert all(occupied.get(cell, 0) < business.capacity for cell in cells)
    assert all(agenda.is_open(slot.starts_at + timedelta(minutes=after)) for after in range(minutes))


@unhurried
@given(diaries(), st.integers(1, 3))
def test_the_dates_to_read_are_all_that_tell_what_is_free(diary, days):
    """Every cell of every slot lies on a date to read, beginning with the day itself; none lies a week away."""
    business, day, minutes, _, _ = diary
    agenda = Schedule(business)
    dates = agenda.days_touched(day, days, minutes)
    slots = [slot for after in range(days) for slot in agenda.day_slots(day + timedelta(days=after), minutes)]

    assert {cell.day for slot in slots for cell in agenda.cells(slot.starts_at, minutes)} <= set(dates)
    assert list(dates) == [day + timedelta(days=after) for after in range(len(dates))]
    assert days <= len(dates) <= days + 2


def test_a_business_that_closes_before_midnight_reads_no_later_date():
    """Only hours that reach midnight can go on; the calendar's end is no obstacle."""
    assert schedule().days_touched(MONDAY, 2, 60) == (MONDAY, date(2026, 6, 2))
    assert len(schedule("09:00-24:00").days_touched(MONDAY, 2, 60)) == 3
    assert schedule("09:00-24:00").days_touched(date.max, 14, 60) == (date.max,)


@pytest.mark.parametrize("minutes", [1415, 1440])
def test_a_day_from_late_at_night_ends_on_the_second_date_after_a_short_one(minutes):
    """Begun half an hour before a date that has 23 hours, it goes on after the next midnight."""
    diary = schedule("00:00-24:00", DETROIT, slot_minutes=30)
    eve = SPRING[DETROIT] - timedelta(days=1)
    late = diary.slot(eve, "23:30", minutes)
    dates = tuple(eve + timedelta(days=after) for after in range(3))

    assert {cell.day for cell in diary.cells(late.starts_at, late.minutes)} == set(dates)
    assert diary.days_touched(eve, 1, minutes) == dates


# --- alternatives ---

BUSY = {Cell(date(2026, 6, 2), number): 1 for number in (9, 10, 11)}


@pytest.mark.parametrize(
    ("day", "time", "limit", "days", "offered"),
    [
        ("2026-06-02", "10:00", 3, 14, ["2 12:00", "2 13:00", "5 10:00"]),
        ("2026-06-02", "16:00", 3, 14, ["2 16:00", "2 15:00", "5 16:00"]),
        ("2026-06-02", "15:30", 2, 14, ["2 15:00", "2 16:00"]),
        ("2026-06-02", None, 4, 14, ["2 12:00", "2 14:00", "5 09:00", "5 13:00"]),
        ("2026-06-02", "whenever", 1, 14, ["2 12:00"]),
        ("2026-06-02", "10:00", 9, 4, ["2 12:00", "2 13:00", "5 10:00", "5 09:00"]),
        ("2026-06-02", "10:00", 9, 3, ["2 12:00", "2 13:00"]),
        ("2026-06-03", "11:00", 3, 14, ["5 11:00", "5 10:00", "6 11:00"]),
        ("2026-06-04", "23:00", 2, 14, ["5 16:00", "5 15:00"]),
        ("2026-06-01", "09:00", 3, 14, ["1 11:00", "1 12:00", "2 12:00"]),
        ("2026-05-01", "09:00", 2, 14, ["1 11:00", "1 12:00"]),
        ("0001-01-01", "09:00", 2, 14, ["1 11:00", "1 12:00"]),
        ("2027-06-02", "09:00", 4, 14, ["2 09:00", "2 10:00"]),
        ("2027-06-03", "09:00", 3, 14, []),
        ("9999-12-31", "09:00", 3, 14, []),
    ],
)
def test_alternatives_are_near_the_wish_and_leave_a_choice(day, time, limit, days, offered):
    """Two a day, nearest to the time that was wished, on its date first and then on the open days that follow."""
    week = dict.fromkeys(("mon", "tue", "wed", "fri", "sat"), "09:00-17:00")
    diary = schedule(week, holidays=["2026-06-03"])
    found = diary.nearest(date.fromisoformat(day), time, 60, BUSY, NOW, limit=limit, days=days)

    assert days_and_times(found) == offered


def test_the_only_free_time_of_a_day_is_named_once():
    """First and middle of a day may be the same slot."""
    diary = schedule({"mon": "14:00-15:00"})

    assert days_and_times(diary.nearest(MONDAY, None, 60, {}, NOW, days=14)) == ["1 14:00", "8 14:00"]


# --- open or not ---


@pytest.mark.parametrize(
    ("now", "opens_at"),
    [
        ("2026-06-01T12:59Z", "2026-06-01T09:00-04:00"),
        ("2026-06-01T13:00Z", "2026-06-01T09:00-04:00"),
        ("2026-06-01T15:30Z", "2026-06-01T11:30-04:00"),
        ("2026-06-01T16:00Z", "2026-06-01T13:00-04:00"),
        ("2026-06-01T21:00Z", "2026-06-03T09:00-04:00"),
        ("2026-06-03T21:00Z", "2026-06-08T09:00-04:00"),
        ("2026-10-28T21:00Z", "2026-11-02T09:00-05:00"),
        ("2026-12-23T22:00Z", "2026-12-28T09:00-05:00"),
    ],
)
def test_the_next_opening_skips_breaks_closed_days_and_holidays(now, opens_at):
    """It is told in the business's own time; while open it is now."""
    hours = {"mon": "09:00-12:00, 13:00-17:00", "tue": "09:00-17:00", "wed": "09:00-17:00", "fri": "09:00-12:00"}
    diary = schedule(hours, DETROIT, holidays=["2026-06-02", "2026-06-05", "2026-10-30", "2026-12-25"])
    opening = diary.next_opening(datetime.fromisoformat(now))

    assert opening.isoformat(timespec="minutes") == opens_at


@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        ("00:00-02:30", "2026-03-08T06:59Z", True),
        ("00:00-02:30", "2026-03-08T07:00Z", False),
        ("02:30-05:00", "2026-03-08T06:59Z", False),
        ("02:30-05:00", "2026-03-08T07:00Z", True),
        ("00:00-01:30", "2026-11-01T05:29Z", True),
        ("00:00-01:30", "2026-11-01T06:15Z", False),
        ("01:30-03:00", "2026-11-01T05:29Z", False),
        ("01:30-03:00", "2026-11-01T06:15Z", True),
        ("00:00-02:00", "2026-11-01T06:59Z", True),
    ],
)
def test_hours_that_meet_a_change_open_and_close_once(hours, moment, is_open):
    """A skipped hour stands for the moment of the change, a repeated one for its first pass."""
    assert schedule(hours, DETROIT).is_open(datetime.fromisoformat(moment)) is is_open


def test_hours_that_the_clocks_skip_are_no_opening():
    """It opens on the day after."""
    opening = schedule("02:00-03:00", DETROIT).next_opening(datetime(2026, 3, 8, 6, tzinfo=UTC))

    assert opening.isoformat(timespec="minutes") == "2026-03-09T02:00-04:00"


@unhurried
@given(businesses(), st.data())
def test_the_business_is_open_at_its_next_opening_and_not_before(given_, data):
    """At the moment that is named it is open; in the minutes up to it, it is closed."""
    business, day = given_
    diary = Schedule(business)
    now = data.draw(moments(day, business))
    opening = diary.next_opening(now)
    if opening is None:
        return

    assert diary.is_open(opening)
    assert opening.tzinfo == business.zone
    waiting = (opening.astimezone(UTC) - now) // timedelta(minutes=1)
    assert not any(diary.is_open(now + timedelta(minutes=after)) for after in range(waiting))


def test_a_year_of_holidays_has_no_next_opening():
    """The search ends at the horizon."""
    holidays = [(MONDAY + timedelta(days=after)).isoformat() for after in range(HORIZON_DAYS + 1)]

    assert schedule(holidays=holidays).next_opening(NOW) is None
    assert schedule(holidays=holidays[:-1]).next_opening(NOW) is not None
