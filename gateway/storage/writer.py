"""The writer: many concurrent operations, one transaction.

An operation is a small frozen value that knows how to apply a whole batch of its kind. The writers collect what is
submitted while a transaction runs and commit it together with the next one, so the cost of a commit is shared by all
who wait for it. A batch that fails is taken apart: each operation runs alone, and only the guilty one fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from gateway.storage.sql import Steps

R = TypeVar("R")

MAX_BATCH = 256  # operations in one transaction: the gain flattens beyond ~100, the wait of the first does not


@dataclass(frozen=True)
class Operation(Generic[R]):
    """Something that happens to the database as a whole or not at all."""

    lane: ClassVar[str] = "work"
    """Operations of the same lane share transactions on PostgreSQL: the door never waits for the workers."""

    @property
    def keys(self) -> frozenset[str]:
        """What this operation may have to wait for while somebody else holds its lock.

        Operations that share a key keep their order even when one of them has to wait outside its batch.
        """
        return frozenset()

    @classmethod
    def apply(cls, operations: Sequence[Self]) -> Steps[list[R]]:
        """Apply a batch inside the writer's transaction; returns one result for each operation, in order."""
        raise NotImplementedError


@dataclass(frozen=True)
class OneByOne(Operation[R]):
    """An operation that is rare, or that must see what the one before it did."""

    def steps(self) -> Steps[R]:
        """Apply this operation."""
        raise NotImplementedError

    @classmethod
    def apply(cls, operations: Sequence[Self]) -> Steps[list[R]]:
        """Apply each after the other, in the same transaction."""
        results = []
        for operation in operations:
            result = yield from operation.steps()
            results.append(result)
        return results


class Writer(Protocol):
    """Commits operations."""

    writable: bool
    """Whether the last commit succeeded, or none was tried yet; operations that fail for their content do not count."""

    async def run(self, operation: Operation[R]) -> R:
        """Commit the operation and return its result.

        Raises:
            StorageUnavailable: the database is away; the operation may or may not have been committed.
        """

    async def open(self) -> None: ...

    async def close(self) -> None: ...


def by_kind(operations: Iterable[Operation[Any]]) -> list[tuple[type[Operation[Any]], list[int]]]:
    """Group a batch by kind in order of first appearance; the numbers are places in the batch."""
    groups: dict[type[Operation[Any]], list[int]] = {}
    for index, operation in enumerate(operations):
        groups.setdefault(type(operation), []).append(index)
    return list(groups.items())
