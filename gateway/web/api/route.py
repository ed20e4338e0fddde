"""What one path of the API is, and what those who answer it work with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.assistant.service import ChatbotService
from gateway.assistant.tools.availability import Diary
from gateway.bus import Bus
from gateway.cache import Memory
from gateway.clock import Clock
from gateway.roster import Roster
from gateway.storage import Storage

BASE = "/api/v1"
_ID = re.compile(r"\{(\w+)\}")


class Scope(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def covers(self, other: Scope) -> bool:
        """Tell whether a key with this scope may do what needs the other."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever asks with a key."""

    id: str
    """Tells keys apart; never the key."""
    name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Desk:
    """What the paths work with."""

    storage: Storage
    memory: Memory
    data_dir: Path
    service: ChatbotService
    roster: Roster
    bus: Bus
    diary: Diary
    clock: Clock


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, checked."""

    holder: Holder
    path: Mapping[str, str]
    query: Any
    """Of the route's ``query`` model; None where it has none."""
    body: Any
    """Of the route's ``body`` model; None where it has none."""

    @property
    def conversation_id(self) -> str:
        """The conversation that the path names."""
        return self.path["conversation_id"]

    @property
    def contact_id(self) -> str:
        """The contact that the path names."""
        return self.path["contact_id"]


Answer = Callable[[Desk, Asked], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path: the router, the document and the tests all read it here."""

    method: str
    path: str
    """Below ``BASE``."""
    answer: Answer
    scope: Scope
    told: type[BaseModel]
    """The model of its answer."""
    summary: str
    description: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_required: bool = True
    status: int = 200
    problems: tuple[str, ...] = ()
    """Those that it has beside the ones that every path has, by their names in ``problems.KINDS``."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Bodies, or for a path without one, queries, that work; by a word for each."""
    streams: bool = False
    """Whether its answer comes as events on request."""
    timeout_s: float | None = 15.0
    """How long the database may take; None where somebody else is waited for, who has limits of their own."""

    @property
    def full_path(self) -> str:
        """The path as it is asked for."""
        return BASE + self.path

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the ids in the path, such as ``conversation_id``."""
        return tuple(_ID.findall(self.path))
