"""Which tools the receptionist calls for a matter, and what it asks where something is missing for a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from gateway.sandbox.receptionist_dates import Slot
from gateway.sandbox.receptionist_offers import MOVE_WHERE, OTHER_DAY, TELL_ME, Purpose, ask_day
from gateway.sandbox.receptionist_talk import Called
from gateway.sandbox.receptionist_wishes import Matter

CHECK = "check_availability"
BOOK = "schedule_appointment"
MOVE = "reschedule_appointment"
CANCEL = "cancel_appointment"
LEAD = "create_lead"
ESCALATE = "escalate_to_human"
_TOOLS = {Purpose.BOOK: BOOK, Purpose.MOVE: MOVE, Purpose.CANCEL: CANCEL}


@dataclass(frozen=True, slots=True)
class Step:
    """A call that is wanted, made or not; ``facts`` are the arguments that are known."""

    name: str
    facts: dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn takes."""

    steps: tuple[Step, ...] = ()
    questions: tuple[str, ...] = ()
    """What is asked because no call can be made without the answer."""


def plan(matter: Matter) -> Plan:
    """Work out what a turn takes; the same for every round of it."""
    wished = [*_people(matter), *(() if matter.reason == "emergency" else _appointment(matter))]
    steps = [wish for wish in wished if isinstance(wish, Step)]
    return Plan(tuple(steps), tuple(wish for wish in wished if isinstance(wish, str)))


def new_calls(matter: Matter, steps: tuple[Step, ...]) -> tuple[Called, ...]:
    """Return the calls that may be made and have not been made in this turn."""
    made = [(done.name, dict(done.arguments)) for done in matter.heard.done]
    calls: list[Called] = []
    for step in steps:
        if step.name not in matter.heard.tools or not matter.heard.may_call:
            continue
        names = matter.heard.tools[step.name] or tuple(step.facts)
        arguments = {name: step.facts.get(name) for name in names}
        if (step.name, arguments) not in made:
            made.append((step.name, arguments))
            calls.append(Called(step.name, json.dumps(arguments, ensure_ascii=False)))
    return tuple(calls)


def _people(matter: Matter) -> Iterator[Step]:
    if matter.wants_lead:
        known = matter.known
        yield Step(
            LEAD,
            {
                "name": known.name,
                "phone": known.phone,
                "email": known.email,
                "address": known.address,
                "notes": matter.summary if matter.wants_call else None,
            },
        )
    if matter.reason:
        yield Step(ESCALATE, {"reason": matter.reason, "summary": matter.summary})


def _appointment(matter: Matter) -> Iterator[Step | str]:
    if matter.purpose is None or _TOOLS.get(matter.purpose) not in matter.heard.tools:
        return
    if matter.purpose is Purpose.CANCEL:
        yield Step(CANCEL, {"appointment_id": matter.appointment_id})
    elif matter.answers_offer and matter.declines:
        yield OTHER_DAY
    elif matter.purpose is Purpose.MOVE:
        yield from _move(matter)
    else:
        yield from _book(matter)


def _move(matter: Matter) -> Iterator[Step | str]:
    offer, slot = matter.offer, matter.chosen
    if slot is None and offer and offer.appointments and offer.slots:
        slot = offer.slots[0]
    if slot is not None:
        yield Step(MOVE, {"date": str(slot.day), "time": slot.time, "appointment_id": matter.appointment_id})
    elif matter.when.days:
        yield _check(matter, matter.when.days[-1])
    else:
        yield MOVE_WHERE


def _book(matter: Matter) -> Iterator[Step | str]:
    slot, days = matter.chosen, matter.when.days
    agreed = matter.answers_offer or not matter.names_a_day
    if slot is not None and agreed and not matter.asks_availability and len(days) <= 1:
        yield _booking(matter, slot)
    elif days or slot:
        yield from (_check(matter, day) for day in days or ([slot.day] if slot else []))
    elif matter.when.time:
        yield ask_day(matter.when.time)
    else:
        again = matter.offer.words if matter.offer and matter.answers_offer else ""
        yield again or f"For an appointment, {TELL_ME}."


def _check(matter: Matter, day: date) -> Step:
    return Step(CHECK, {"date": str(day), "time": matter.when.time, "service": matter.service})


def _booking(matter: Matter, slot: Slot) -> Step:
    known = matter.known
    return Step(
        BOOK,
        {
            "date": str(slot.day),
            "time": slot.time,
            "service": matter.service,
            "name": known.name,
            "phone": known.phone,
            "email": known.email,
            "address": known.address,
        },
    )
