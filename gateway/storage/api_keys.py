"""Keys of the API that were made here: kept as hashes, found by them, revoked and never deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from gateway.storage.api_tables import ApiKey
from gateway.storage.pages import Reading
from gateway.storage.sql import Steps, statement
from gateway.storage.writer import OneByOne, Operation


@dataclass(frozen=True)
class AddKey(OneByOne[bool]):
    """Keep a new key; False where one that is in use has its name."""

    name: str
    prefix: str
    key_hash: str
    scope: str
    now: datetime

    def steps(self) -> Steps[bool]:
        """Add it."""
        record = {name: getattr(self, name) for name in ("name", "prefix", "key_hash", "scope", "now")}
        return bool((yield ADD, [record]))


ADD = statement(
    """
    INSERT INTO api_keys (name, prefix, key_hash, scope, created_at)
    SELECT r.name, r.prefix, r.key_hash, r.scope, r.now FROM {r} WHERE TRUE
    ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING id
    """,
    name="text",
    prefix="text",
    key_hash="text",
    scope="text",
    now="time",
)


@dataclass(frozen=True)
class RevokeKey(OneByOne[bool]):
    """Let a key open nothing any more; False where it is revoked already."""

    id: int
    now: datetime

    def steps(self) -> Steps[bool]:
        """Revoke it."""
        return bool((yield REVOKE, [{"id": self.id, "now": self.now}]))


REVOKE = statement(
    "UPDATE api_keys AS k SET revoked_at = r.now FROM {r} WHERE k.id = r.id AND k.revoked_at IS NULL RETURNING {k.}id",
    id="int",
    now="time",
)


@dataclass(frozen=True)
class NoteKeyUses(Operation[None]):
    """Note when keys were last used: (id, when)."""

    uses: tuple[tuple[int, datetime], ...]

    @classmethod
    def apply(cls, operations: Sequence[NoteKeyUses]) -> Steps[list[None]]:
        """Note the last use of each; what another process noted later stays."""
        last: dict[int, datetime] = {}
        for operation in operations:
            for key_id, at in operation.uses:
                last[key_id] = max(last.get(key_id, at), at)
        yield NOTE_USES, [{"id": key_id, "at": at} for key_id, at in sorted(last.items())]
        return [None] * len(operations)


NOTE_USES = statement(
    """
    UPDATE api_keys AS k SET last_used_at = r.at FROM {r}
    WHERE k.id = r.id AND (k.last_used_at IS NULL OR k.last_used_at < r.at)
    """,
    id="int",
    at="time",
)


class ApiKeys:
    """Reads the keys."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def by_hash(self, key_hash: str) -> ApiKey | None:
        """Return the key with this hash, unless it was revoked."""
        query = select(ApiKey).where(col(ApiKey.key_hash) == key_hash, col(ApiKey.revoked_at).is_(None))
        async with self._reading() as session:
            return (await session.exec(query)).first()

    async def hashes(self) -> frozenset[str]:
        """Return the hashes of all keys that are in use."""
        query = select(ApiKey.key_hash).where(col(ApiKey.revoked_at).is_(None))
        async with self._reading() as session:
            return frozenset((await session.exec(query)).all())

    async def all(self) -> Sequence[ApiKey]:
        """Return every key, revoked ones too, in the order in which they were made."""
        async with self._reading() as session:
            return (await session.exec(select(ApiKey).order_by(col(ApiKey.id)))).all()
