"""Which tools an installation has: ours, as far as its configuration allows them, and what its packages bring along."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from gateway.assistant.tools.appointments import CancelAppointment, Desk, RescheduleAppointment, ScheduleAppointment
from gateway.assistant.tools.availability import CheckAvailability, Diary
from gateway.assistant.tools.base import Tool
from gateway.assistant.tools.escalation import EscalateToHuman
from gateway.assistant.tools.leads import CreateLead
from gateway.config import AssistantConfig, BusinessConfig, ConfigError, Problem
from gateway.storage import Storage

ENTRY_POINTS = "frontdesk.tools"
"""The group in which a package names its tools (packaging.python.org/en/latest/specifications/entry-points)."""


def build_tools(storage: Storage, config: AssistantConfig, business: BusinessConfig) -> tuple[Tool, ...]:
    """Return the tools that the model is offered, always in the same order.

    Raises:
        ConfigError: ``assistant.tools`` names one that there is not, or a package's tool is none.
    """
    known = {tool.name: tool for tool in (*_own(storage, business), *_brought())}
    if config.tools is None:
        return tuple(known.values())
    missing = [name for name in config.tools if name not in known]
    if missing:
        known_names = ", ".join(known)
        raise ConfigError([Problem("assistant.tools", f"there is no tool {missing[0]!r}; known are {known_names}")])
    return tuple(tool for name, tool in known.items() if name in config.tools)


def _own(storage: Storage, business: BusinessConfig) -> Iterable[Tool]:
    if business.hours:  # without them there is no time to offer
        diary = Diary(storage, business)
        desk = Desk(diary, storage, business)
        yield CheckAvailability(diary)
        yield ScheduleAppointment(desk)
        yield RescheduleAppointment(desk)
        yield CancelAppointment(desk)
    yield CreateLead(business)
    yield EscalateToHuman(business)


def _brought() -> Iterable[Tool]:
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        try:
            tool = entry.load()()
        except Exception as error:  # the package's own fault, whatever it is
            raise ConfigError([_problem(entry, f"cannot be loaded: {error}; mend or remove its package")]) from error
        if not isinstance(tool, Tool):
            raise ConfigError([_problem(entry, "is no gateway.assistant.tools.Tool; mend or remove its package")])
        yield tool


def _problem(entry: EntryPoint, text: str) -> Problem:
    return Problem("assistant.tools", f"the tool {entry.name!r} ({entry.value}) {text}")
