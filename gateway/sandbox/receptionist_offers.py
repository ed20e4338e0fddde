"""What the receptionist's answers leave open: it keeps nothing between requests and reads it back from its own words.

Each kind of question is said and read here, side by side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.sandbox.receptionist_dates import Slot, either, read_slots, say_slots


class Purpose(StrEnum):
    """What an open question is about."""

    BOOK = "book"
    MOVE = "move"
    CANCEL = "cancel"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Offer:
    """An open question of the receptionist's last answer."""

    purpose: Purpose
    slots: tuple[Slot, ...] = ()
    """The times offered; with ``appointments``, the one that the chosen appointment goes to."""
    service: str | None = None
    time: str | None = None
    """A time of day that still lacks its day."""
    appointments: tuple[int, ...] = ()
    """The customer's own ones, to choose from."""
    words: str = ""
    """As it was said."""


TELL_ME = "tell me the service, the day and the time"
MOVE_WHERE = "To which day and time shall I move it?"
OTHER_DAY = "Which other day and time suit you?"
OFFER_PERSON = "Shall a person get back to you?"
_SLOT = r"\w+, \d+ \w+ \d{4}, at \d\d:\d\d"
_OFFERS = (
    re.compile(
        r"(?:For (?P<service>[^.?!]+) t|T)hese times are free: (?P<slots>.+?)\. Which one shall I (?P<verb>[^?]+)\?"
    ),
    re.compile(
        rf"(?P<slots>{_SLOT}) is free(?: for (?P<service>[^.?!]+))?\. Shall I (?P<verb>book|move) it(?: there)?\?"
    ),
    re.compile(rf"Which service is (?P<slots>{_SLOT}) for: [^?]+\?"),
    re.compile(r"On which day shall it be at (?P<time>\d\d:\d\d)\?"),
    re.compile(TELL_ME),
    re.compile(re.escape(OTHER_DAY)),
)
_WHICH = re.compile(
    r"You have (?P<list>number .+?)\. Which one shall I (?P<verb>cancel|move)(?: to (?P<slots>[^?]+))?\?"
)
_NUMBER = re.compile(r"number (\d+)")


def offer_times(slots: tuple[Slot, ...], service: str | None, purpose: Purpose) -> str:
    """Offer times to choose from."""
    verb = "move it to" if purpose is Purpose.MOVE else "book"
    start = f"For {service} these" if service else "These"
    return f"{start} times are free: {say_slots(slots)}. Which one shall I {verb}?"


def offer_time(slot: Slot, service: str | None, purpose: Purpose) -> str:
    """Offer the one time that was asked for."""
    question = "Shall I move it there?" if purpose is Purpose.MOVE else "Shall I book it?"
    return f"{slot} is free{f' for {service}' if service else ''}. {question}"


def ask_service(slot: Slot, services: Sequence[str]) -> str:
    """Ask what an appointment is for."""
    return f"Which service is {slot} for: {either(list(services))}?"


def ask_day(time: str) -> str:
    """Ask for the day that goes with a time."""
    return f"On which day shall it be at {time}?"


def ask_which(appointments: Sequence[tuple[int, str]], purpose: Purpose, to: Slot | None = None) -> str:
    """Ask which of the customer's appointments is meant; each has its number and words that tell it apart."""
    listed = either([f"number {number} ({words})" for number, words in appointments])
    target = f" to {to}" if to else ""
    return f"You have {listed}. Which one shall I {purpose}{target}?"


def read_offer(answer: str) -> Offer | None:
    """Read what an answer left open, or None."""
    which = _WHICH.search(answer)
    if which:
        numbers = tuple(int(number) for number in _NUMBER.findall(which["list"]))
        target = read_slots(which["slots"] or "")
        return Offer(Purpose(which["verb"]), target, appointments=numbers, words=which[0])
    if MOVE_WHERE in answer:
        return Offer(Purpose.MOVE, words=MOVE_WHERE)
    if OFFER_PERSON in answer:
        return Offer(Purpose.PERSON, words=OFFER_PERSON)
    found = [match for pattern in _OFFERS for match in pattern.finditer(answer)]
    return _joined(found) if found else None


def _joined(found: Sequence[re.Match[str]]) -> Offer:
    """Make one offer of all that an answer offers: it may speak of several days."""
    parts = [match.groupdict() for match in found]
    slots = tuple(slot for part in parts for slot in read_slots(part.get("slots") or ""))
    moving = any((part.get("verb") or "").startswith("move") for part in parts)
    return Offer(
        Purpose.MOVE if moving else Purpose.BOOK,
        tuple(dict.fromkeys(slots)),
        service=next((part["service"] for part in parts if part.get("service")), None),
        time=next((part["time"] for part in parts if part.get("time")), None),
        words=" ".join(match[0] for match in found),
    )
