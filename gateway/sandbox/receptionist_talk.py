"""What a mind behind the stand-in hears of a request, and what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from gateway.assistant.model import COLLEAGUE_MARK

# The line with which gateway.assistant.prompt's notes begin.
_NOW = re.compile(r"Now it is \w+, (\d{1,2} \w+ \d{4}), \d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Called:
    """A function that the mind wants called; ``arguments`` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says: text, calls, or, where it was cut off before its first word, neither."""

    text: str = ""
    calls: tuple[Called, ...] = ()
    refused: bool = False
    """The text is a refusal."""
    cut: bool = False
    """The output cap ended the answer."""


@dataclass(frozen=True, slots=True)
class Done:
    """A call of this turn, and what it gave; an output that is no JSON object is empty."""

    name: str
    arguments: Mapping[str, Any]
    output: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was said before."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that a request tells."""

    waiting: tuple[str, ...]
    """The customer's messages behind the last answer."""
    earlier: tuple[Line, ...] = ()
    """What was said before them, oldest first."""
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is offered, each with the names of its arguments."""
    may_call: bool = True
    """False where the answer has to be text."""
    done: tuple[Done, ...] = ()
    outputs: tuple[str, ...] = ()
    """What the calls of this turn gave, as it came."""
    notes: str = ""
    """What the developer says behind, or before, the conversation."""

    @property
    def today(self) -> date | None:
        """The business's date by the notes, or None where they tell none."""
        told = _NOW.findall(self.notes)
        if not told:
            return None
        try:
            return datetime.strptime(f"{told[-1]} +0000", "%d %B %Y %z").date()
        except ValueError:
            return None

    @property
    def last_answer(self) -> str:
        """What the mind said last; empty where a colleague spoke after it."""
        said = next((line.text for line in reversed(self.earlier) if line.role == "assistant"), "")
        return "" if said.startswith(COLLEAGUE_MARK) else said
