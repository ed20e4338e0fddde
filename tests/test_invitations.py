"""Appointments by e-mail: what a calendar program finds attached to the answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from gateway.sandbox.mail.smtp import TakenMail
from gateway.sandbox.receptionist import Said
from tests.mail_world import MailTown, mail_town
from tests.test_assistant import BUSINESS, DAY, booking, call

TEN = datetime.combine(DAY, datetime.min.time(), ZoneInfo("America/Detroit")) + timedelta(hours=10)
NOTES = "The customer's own words about themself."


def invitations(mail: TakenMail) -> list[tuple[str, str, Calendar]]:
    """Return the parts of a mail that a calendar program reads: type, the method that it names, and what is in it."""
    return [
        (part.get_content_type(), part.get_param("method", ""), Calendar.from_ical(part.get_payload(decode=True)))
        for part in mail.message.walk()
        if part.get_content_type() in ("text/calendar", "application/ics")
    ]


def told(calendar: Calendar) -> list[dict[str, Any]]:
    """Return what each event says of itself."""
    names = ("UID", "SEQUENCE", "STATUS", "SUMMARY", "DESCRIPTION", "ORGANIZER")
    return [
        {name: None if event.get(name) is None else str(event[name]) for name in names}
        | {"starts_at": event.start, "lasts": event.end - event.start}
        for event in calendar.walk("VEVENT")
    ]


async def until_answered(town: MailTown, count: int) -> TakenMail:
    """Wait for the customer's next mail."""
    mail = (await town.until_read(count))[-1]
    await town.until_status(*["sent"] * count)
    return mail


async def test_an_appointment_is_booked_moved_and_cancelled_in_the_customers_calendar(
    database_url: str, tmp_path: Path
) -> None:
    """The same UID each time, a SEQUENCE that grows, and CANCEL at the end; every program finds it where it looks."""
    move = {"date": str(DAY), "time": "11:00", "appointment_id": None}
    steps = (
        ("Tomorrow at ten, please.", call("schedule_appointment", **booking(notes=NOTES))),
        ("Rather at eleven.", call("reschedule_appointment", **move)),
        ("No, not at all.", call("cancel_appointment", appointment_id=None)),
    )
    mails = []
    async with mail_town(database_url, tmp_path, business=json.dumps(BUSINESS)) as town:
        for count, (text, called) in enumerate(steps, start=1):
            town.around.openai.script.extend([called, Said("Done.")])
            await (town.reply(mails[-1], text) if mails else town.write(text))
            mails.append(await until_answered(town, count))
    found = [invitations(mail) for mail in mails]
    events = [told(calendar)[0] for (_, _, calendar), _ in found]

    assert [[(kind, method) for kind, method, _ in parts] for parts in found] == [
        [("text/calendar", method), ("application/ics", "")] for method in ("PUBLISH", "PUBLISH", "CANCEL")
    ]
    assert all(parts[0][2].to_ical() == parts[1][2].to_ical() for parts in found)
    assert [str(calendar["METHOD"]) for (_, _, calendar), _ in found] == ["PUBLISH", "PUBLISH", "CANCEL"]
    assert len({event["UID"] for event in events}) == 1
    assert [event["SEQUENCE"] for event in events] == ["0", "1", "2"]
    assert [event["STATUS"] for event in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert [event["starts_at"] for event in events] == [TEN, TEN + timedelta(hours=1), TEN + timedelta(hours=1)]
    assert {event["lasts"] for event in events} == {timedelta(hours=1)}
    assert {event["SUMMARY"] for event in events} == {"Inspection – Corner Garage"}
    assert {event["ORGANIZER"] for event in events} == {"mailto:help@example.com"}
    assert NOTES not in str(events)


async def test_one_mail_tells_of_all_that_its_turn_has_done(database_url: str, tmp_path: Path) -> None:
    """One is taken off and another put on: what is published says which is which, and what was before is not told."""
    async with mail_town(database_url, tmp_path, business=json.dumps(BUSINESS)) as town:
        town.around.openai.script.extend([call("schedule_appointment", **booking("09:00")), Said("Done.")])
        await town.write("At nine, please.")
        first = await until_answered(town, 1)
        town.around.openai.script.extend([call("schedule_appointment", **booking("12:00")), Said("Done.")])
        await town.reply(first, "And at twelve.")
        second = await until_answered(town, 2)
        [_, later] = await town.storage.appointments()
        calls = (
            call("cancel_appointment", appointment_id=later.id).calls
            + call("schedule_appointment", **booking("15:00")).calls
        )
        town.around.openai.script.extend([Said(calls=calls), Said("Done.")])
        await town.reply(second, "At three in place of twelve.")
        third = await until_answered(town, 3)
    [(_, method, calendar), _] = invitations(third)

    assert method == "PUBLISH"
    assert sorted((event["starts_at"], event["STATUS"]) for event in told(calendar)) == [
        (TEN + timedelta(hours=2), "CANCELLED"),
        (TEN + timedelta(hours=5), "CONFIRMED"),
    ]


@pytest.mark.parametrize("called", [None, "check_availability", "schedule_appointment"])
async def test_nothing_is_attached_where_nothing_was_changed(tmp_path: Path, called: str | None) -> None:
    """A mail about something else, a look at the diary, a booking that was refused."""
    arguments = {
        "check_availability": {"date": str(DAY), "time": None, "service": None},
        "schedule_appointment": booking("03:00"),
    }
    async with mail_town(f"sqlite:///{tmp_path}/frontdesk.db", tmp_path, business=json.dumps(BUSINESS)) as town:
        if called is not None:
            town.around.openai.script.extend([call(called, **arguments[called]), Said("Done.")])
        await town.write("When do you have time?")
        mail = await until_answered(town, 1)

    assert invitations(mail) == []
    assert mail.message.get_content_type() == "multipart/alternative"
