"""The one row that names this database: read to keep its memory apart, written to learn whether it takes writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gateway.storage.sql import Steps, statement
from gateway.storage.writer import Operation


@dataclass(frozen=True)
class TryWriting(Operation[None]):
    """Write something that changes nothing: a commit that fails tells that the database takes nothing."""

    lane: ClassVar[str] = "door"

    @classmethod
    def apply(cls, operations: Sequence[TryWriting]) -> Steps[list[None]]:
        """Write once for all askers."""
        yield TOUCH, [{"n": 1}]
        return [None] * len(operations)


TOUCH = statement("UPDATE installation AS i SET id = i.id FROM {r}", n="int")
