"""What the receptionist says about what its calls gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from gateway.sandbox.receptionist_dates import Part, Slot, is_in, say_day, say_slots
from gateway.sandbox.receptionist_offers import (
    OFFER_PERSON,
    OTHER_DAY,
    Purpose,
    ask_service,
    ask_which,
    offer_time,
    offer_times,
)
from gateway.sandbox.receptionist_talk import Done
from gateway.sandbox.receptionist_tools import BOOK, CANCEL, CHECK, ESCALATE, LEAD, MOVE
from gateway.sandbox.receptionist_wishes import Matter

MOST_TIMES = 4
"""Offered of one day."""
SORRY = f"I am sorry, that did not work. {OFFER_PERSON}"
_LACKING = {
    "nothing_to_keep": "Please tell me your name and a phone number or an e-mail address.",
    "invalid_phone": "Please send me your phone number again, with its country code.",
    "invalid_email": "Please send me your e-mail address again.",
    "no_appointment": "You have no appointment booked here.",
    "not_theirs": "You have no appointment of that number.",
}
_PLACED = {
    "booked": "Your appointment is booked",
    "already_booked": "You have that appointment already",
    "moved": "Your appointment is moved",
    "unchanged": "Your appointment is at that time already",
    "cancelled": "Your appointment is cancelled",
}
_LEADS = {"created", "updated", "unchanged"}
_REFUSED = {"taken", "unbookable"}


def tell(matter: Matter) -> Iterator[str]:
    """Say what came of the turn's calls, in their order."""
    for done in matter.heard.done:
        say = _SAYERS.get(done.name)
        if say is not None:
            yield from say(matter, done)


def person_comes(name: str) -> str:
    """Say that somebody takes over."""
    return f"A person of {name} will take over."


def _say_free(matter: Matter, done: Done) -> Iterator[str]:
    output, purpose = done.output, _purpose(matter)
    day = _day(output.get("date"))
    if day is None:
        yield from _say_error(matter, done)
        return
    service, asked = done.arguments.get("service"), output.get("asked")
    if asked and asked["free"]:
        yield offer_time(Slot(day, asked["time"]), service, purpose)
    elif asked:
        free = [Slot(day, time) for time in output["free"]]
        yield _refused(Slot(day, asked["time"]), asked["reason"])
        yield _offer(_alternatives(output) or free, service, purpose)
    elif output["free"]:
        yield offer_times(_of_day(day, output["free"], matter.when.part), service, purpose)
    else:
        yield f"On {say_day(day)} {'nothing is free' if output.get('open') else 'we are closed'}."
        yield _offer(_alternatives(output), service, purpose)


def _say_placed(matter: Matter, done: Done) -> Iterator[str]:
    output = done.output
    status, slot = output.get("status"), _slot(output) or _slot(done.arguments)
    if status in _PLACED:
        what = f" ({output['service']})" if output.get("service") else ""
        yield f"{_PLACED[status]}{f': {slot}{what}' if slot else ''}."
    elif status in _REFUSED and slot:
        yield _refused(slot, output.get("reason") or "taken")
        purpose = Purpose.MOVE if done.name == MOVE else Purpose.BOOK
        yield _offer(_alternatives(output), done.arguments.get("service"), purpose)
    else:
        yield from _say_error(matter, done)


def _say_lead(matter: Matter, done: Done) -> Iterator[str]:
    if done.output.get("status") in _LEADS:
        yield "Thank you, I have noted that."
    else:
        yield from _say_error(matter, done)


def _say_person(matter: Matter, done: Done) -> Iterator[str]:
    if done.output.get("status") != "handed_over":
        yield from _say_error(matter, done)
        return
    if done.output.get("reason", done.arguments.get("reason")) == "complaint":
        yield "I am sorry about that."
    yield person_comes(matter.business.name)
    if done.arguments.get("reason") == "emergency":
        yield "If somebody is in danger, call the emergency number now."


def _say_error(matter: Matter, done: Done) -> Iterator[str]:
    output, slot = done.output, _slot(done.arguments)
    if output.get("services") and slot:
        yield ask_service(slot, output["services"])
    elif output.get("error") == "which_one" and output.get("appointments"):
        listed = [(entry["appointment_id"], _told_apart(entry)) for entry in output["appointments"]]
        yield ask_which(listed, Purpose.MOVE if done.name == MOVE else Purpose.CANCEL, slot)
    else:
        yield _LACKING.get(str(output.get("error")), SORRY)


_SAYERS: dict[str, Callable[[Matter, Done], Iterator[str]]] = {
    CHECK: _say_free,
    BOOK: _say_placed,
    MOVE: _say_placed,
    CANCEL: _say_placed,
    LEAD: _say_lead,
    ESCALATE: _say_person,
}


def _purpose(matter: Matter) -> Purpose:
    return Purpose.MOVE if matter.purpose is Purpose.MOVE else Purpose.BOOK


def _refused(slot: Slot, reason: str) -> str:
    return f"{slot} is not possible: {reason}."


def _offer(slots: Sequence[Slot], service: str | None, purpose: Purpose) -> str:
    return offer_times(tuple(slots[:MOST_TIMES]), service, purpose) if slots else OTHER_DAY


def _of_day(day: date, times: Sequence[str], part: Part | None) -> tuple[Slot, ...]:
    """Choose what to offer of a day: the part that was asked for, or, where it is full, any."""
    wanted = [time for time in times if is_in(time, part)] or times
    return tuple(Slot(day, time) for time in wanted[:MOST_TIMES])


def _alternatives(output: Mapping[str, Any]) -> list[Slot]:
    return [slot for slot in map(_slot, output.get("alternatives") or ()) if slot]


def _told_apart(entry: Mapping[str, Any]) -> str:
    slot = _slot(entry)
    return ", ".join(filter(None, [entry.get("service"), say_slots((slot,)) if slot else None]))


def _slot(told: Mapping[str, Any]) -> Slot | None:
    day, time = _day(told.get("date")), told.get("time")
    return Slot(day, time) if day and isinstance(time, str) else None


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None
