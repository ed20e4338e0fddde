"""A small deterministic receptionist, which plays the model in the demo and in the tests.

It knows the ``business`` section, English keywords and what a request tells, and keeps nothing: the same request gets
the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from gateway.assistant.prompt import DAY_NAMES
from gateway.config import BusinessConfig
from gateway.sandbox.receptionist_talk import Called, Done, Heard, Line, Said
from gateway.sandbox.receptionist_tools import Plan, new_calls, plan
from gateway.sandbox.receptionist_wishes import BOOKING, HOURS, PERSON, Matter
from gateway.sandbox.receptionist_words import person_comes, tell

__all__ = ["Called", "Done", "Heard", "Line", "Receptionist", "Said"]

_GREETING = re.compile(r"\b(hi|hello|hey|good (morning|afternoon|evening))\b")
_GOODBYE = re.compile(r"\b(bye|goodbye|see you|have a (nice|good|great))\b")
_THANKS = re.compile(r"\b(thanks|thank you|thx|cheers)\b")
_HOLIDAYS = re.compile(r"\bholidays?\b")
_SERVICES = re.compile(r"\b(services?|offer|what (can|do) you do)\b")
_PHONE = re.compile(r"\b(phone|telephone|call you|number)\b")
_WORD = re.compile(r"\w+")
_DAY = re.compile(r"\b(" + "|".join(f"{short}|{name.lower()}s?" for short, name in DAY_NAMES.items()) + r")\b")
_SMALL = """
    a an and any are at can could do does for have how i in is it me my of on or our the there to we what when where
    which you your
"""
_SMALL_WORDS = frozenset(_SMALL.split())
WELCOME = "You are welcome."
GOODBYE = "Goodbye!"
HANDED_OVER = "is handed to a person of the business now"
"""What the notes say where that is decided already (gateway.assistant.prompt.handover_note)."""
FAQ_MATCH = 0.6
"""The share of a frequent question's words that a customer's question has to name."""


class Receptionist:
    """Answers from the business's own facts, and calls the tools that a request offers."""

    def __init__(self, business: BusinessConfig) -> None:
        self._business = business

    def respond(self, heard: Heard) -> Said:
        """Answer all messages that wait, in order, each thing once, or call what the answer takes."""
        if not (heard.tools or heard.done):
            sentences = [sentence for text in heard.waiting for sentence in self._answer(text)]
            return self._said(sentences)
        matter = Matter(heard, self._business)
        wanted = plan(matter)
        calls = new_calls(matter, wanted.steps)
        return Said(calls=calls) if calls else self._said(self._tell(matter, wanted))

    def _said(self, sentences: list[str]) -> Said:
        text = " ".join(dict.fromkeys(sentences))
        return Said(text or f"Hello, this is {self._business.name}. How can I help you?")

    def _tell(self, matter: Matter, wanted: Plan) -> list[str]:
        """Say what came of the calls, beside what the messages ask otherwise."""
        told = [*tell(matter), *wanted.questions]
        if HANDED_OVER in matter.heard.notes and person_comes(self._business.name) not in told:
            told.append(person_comes(self._business.name))
        if not told:
            return [sentence for text in matter.heard.waiting for sentence in self._answer(text)]
        beside = [sentence for text in matter.heard.waiting for sentence in self._beside(text, matter)]
        ending = [sentence for sentence in beside if sentence in (WELCOME, GOODBYE)]
        return [*(sentence for sentence in beside if sentence not in ending), *told, *ending]

    def _beside(self, text: str, matter: Matter) -> Iterator[str]:
        """Answer what a message asks beside the wishes that the tools have served."""
        lowered = text.lower()
        if _GREETING.search(lowered):
            yield f"Hello, this is {self._business.name}."
        alone = Matter(replace(matter.heard, waiting=(text,)), self._business)
        if alone.purpose or alone.wants_lead:
            known = self._frequent(lowered)
            yield from [known] if known else []
        else:
            yield from self._facts(lowered)
        yield from _closings(lowered)

    def _answer(self, text: str) -> list[str]:
        lowered = text.lower()
        facts = [*self._facts(lowered), *_closings(lowered)]
        if _GREETING.search(lowered):
            hello = f"Hello, this is {self._business.name}."
            return [hello, *facts] if facts else [hello, *self._after_greeting(lowered, text)]
        return facts or [self._otherwise(text)]

    def _after_greeting(self, lowered: str, text: str) -> list[str]:
        left = [word for word in _WORD.findall(_GREETING.sub("", lowered)) if word not in _SMALL_WORDS]
        return [self._otherwise(text)] if len(left) > 1 else ["How can I help you?"]

    def _facts(self, lowered: str) -> Iterator[str]:
        if PERSON.search(lowered):
            yield person_comes(self._business.name)
        known = self._frequent(lowered)
        if known is not None:
            yield known
            return
        topics: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
            (HOURS, self._hours),
            (_HOLIDAYS, self._holidays),
            (_PHONE, self._phone),
            (BOOKING, self._booking),
        )
        yield from (say(lowered) for words, say in topics if words.search(lowered))
        yield from self._services(lowered)

    def _frequent(self, lowered: str) -> str | None:
        asked = set(_WORD.findall(lowered))
        best, share = None, 0.0
        for entry in self._business.faq:
            words = set(_WORD.findall(entry.question.lower())) - _SMALL_WORDS
            hit = len(words & asked) / len(words) if words else 0.0
            if hit > share:
                best, share = entry.answer, hit
        return best if share >= FAQ_MATCH else None

    def _hours(self, lowered: str) -> str:
        asked = [day for day in DAY_NAMES if any(found.startswith(day) for found in _DAY.findall(lowered))]
        if asked:
            return " ".join(self._hours_on(day) for day in asked)
        opened = [f"{days} {hours}" for days, hours in self._groups() if hours]
        closed = [days for days, hours in self._groups() if not hours]
        if not opened:
            return "We are closed."
        return f"We are open {', '.join(opened)}." + (f" We are closed {', '.join(closed)}." if closed else "")

    def _hours_on(self, day: str) -> str:
        hours = self._business.hours.get(day)
        return f"On {DAY_NAMES[day]} we are {f'open {hours}' if hours else 'closed'}."

    def _groups(self) -> list[tuple[str, str | None]]:
        """Join neighbouring days with equal hours: ``Monday to Friday``."""
        runs: list[tuple[list[str], str | None]] = []
        for day, name in DAY_NAMES.items():
            hours = self._business.hours.get(day)
            if runs and runs[-1][1] == hours:
                runs[-1][0].append(name)
            else:
                runs.append(([name], hours))
        return [(names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}", hours) for names, hours in runs]

    def _holidays(self, _: str) -> str:
        days = ", ".join(str(day) for day in self._business.holidays)
        return f"We are also closed on {days}." if days else "We have no holidays planned."

    def _phone(self, _: str) -> str:
        return f"Our phone number is {self._business.phone}." if self._business.phone else "Please write to us here."

    def _booking(self, _: str) -> str:
        return "For an appointment, tell me the service, the day and the time; a person will confirm it."

    def _services(self, lowered: str) -> Iterator[str]:
        offered = self._business.services
        named = [entry for entry in offered if entry.name.lower() in lowered]
        if named:
            yield " ".join(f"{entry.name} takes {entry.minutes} minutes." for entry in named)
        elif _SERVICES.search(lowered):
            names = ", ".join(f"{entry.name} ({entry.minutes} minutes)" for entry in offered)
            yield f"We offer {names}." if names else "Please tell me what you need."

    def _otherwise(self, text: str) -> str:
        subject = " ".join(text.split())
        shown = subject if len(subject) <= 60 else f"{subject[:57]}..."
        return (
            f'You wrote "{shown}". I can tell you about our opening hours and services; a person will help with more.'
        )


def _closings(lowered: str) -> Iterator[str]:
    if _THANKS.search(lowered):
        yield WELCOME
    if _GOODBYE.search(lowered):
        yield GOODBYE
