"""Erasing a person: from the spool, the database, the conversation memory and the files.

The database comes late, for it is what the person is found by: a command that is cut off before is run again, and
what one leaves behind after it, files and memory, goes by itself within a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.cache import Memory
from gateway.media import MediaStore
from gateway.privacy.files import drop_files
from gateway.privacy.meant import names_of
from gateway.privacy.shares import Share, Shares, request_of
from gateway.privacy.spooled import SpoolBusy, Unspooling
from gateway.reader import Readers
from gateway.roster import Roster
from gateway.storage import Storage
from gateway.storage.erasure import Erase, Erased, Quiet, StillRunning
from gateway.storage.privacy import Person
from gateway.storage.quotes import KeepRest
from gateway.storage.scrubbing import Runs, scrubbing

__all__ = ["Forgotten", "SpoolBusy", "count_strangers", "forget_person"]

PATIENCE_S = 20.0
"""How long calls to a platform, fetches of files (15 s) and a spool that is being drained are waited for."""
LOOK_AGAIN_S = 0.1


@dataclass(slots=True)
class Forgotten:
    """What was erased."""

    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    files: int = 0
    spooled: int = 0
    """Records of the spool of which something was theirs."""
    webhooks: int = 0
    """Those that were kept of which something was theirs."""
    opt_outs_kept: int = 0

    @property
    def total(self) -> int:
        """How much that was in all."""
        return sum(self.rows.values()) + self.webhooks + self.files + self.spooled


async def forget_person(
    storage: Storage,
    memory: Memory,
    roster: Roster,
    data_dir: Path,
    person: Person,
    *,
    actor: str,
    now: datetime,
    also: Iterable[str] = (),
    patience_s: float = PATIENCE_S,
) -> Forgotten:
    """Erase everything about a person; ``also`` are addresses of theirs by which nothing was found.

    Raises:
        SpoolBusy: a running process holds webhooks of theirs and does not bring them in; nothing is erased.
        StorageUnavailable: the database is away; what was not erased is found again.
    """
    also, readers = tuple(also), Readers()
    try:
        await _Search(storage, roster, readers, data_dir, (*person.names, *also)).spool.wait_until_free(patience_s)
        async with scrubbing(storage) as writer:
            person = await writer.run(Quiet(person.seeds))
            await _wait_for_calls(writer, person, patience_s)
            search = _Search(storage, roster, readers, data_dir, (*person.names, *also))
            forgotten = Forgotten(spooled=await search.spool.run(), webhooks=await search.share_out(writer))
            erased = await writer.run(Erase(person.seeds, actor, now))
            forgotten.rows, forgotten.opt_outs_kept = erased.counts, erased.opt_outs_kept
    finally:
        await readers.close()
    await _forget_remembered(memory, erased)
    forgotten.files = await drop_files(storage, MediaStore(data_dir / "media"), erased.hashes | search.bodies)
    await _forget_remembered(memory, erased)  # a turn that had read the transcript before may have kept it once more
    return forgotten


async def count_strangers(storage: Storage, roster: Roster, data_dir: Path, names: Iterable[str]) -> tuple[int, int]:
    """Count what is kept of somebody whom the database does not know: records of the spool, and webhooks.

    Raises:
        StorageUnavailable: the database is away.
    """
    readers = Readers()
    try:
        search = _Search(storage, roster, readers, data_dir, names)
        return await search.spool.count(), sum([1 async for _ in search.webhooks()])
    finally:
        await readers.close()


async def _wait_for_calls(writer: Runs, person: Person, patience_s: float) -> None:
    """Let calls that have begun end: what one brings is erased with the rest, and nothing leaves afterwards."""
    until = time.monotonic() + patience_s
    running = StillRunning(tuple(person.row_ids))
    while await writer.run(running):
        if time.monotonic() > until:
            return
        await asyncio.sleep(LOOK_AGAIN_S)


class _Search:
    """What is looked through for one person outside of their own rows."""

    def __init__(
        self, storage: Storage, roster: Roster, readers: Readers, data_dir: Path, names: Iterable[str]
    ) -> None:
        self._storage = storage
        self._names = names_of(roster, names)
        self._shares = Shares(roster, readers, self._names)
        self._media = MediaStore(data_dir / "media")
        self.bodies: set[str] = set()
        """The hashes of the files that webhooks were in of which something was theirs."""
        self.spool = Unspooling(data_dir / "spool", self._names, self._shares)

    async def webhooks(self) -> AsyncIterator[tuple[int, Share]]:
        """Go through the webhooks that were kept and have something of theirs: the row, and how it is divided."""
        last_id = 0
        while self._names and (rows := await self._storage.quotes.webhooks(last_id)):
            for row in rows:
                last_id = row.id or 0
                share = await self._shares.of(row.channel_name, request_of(row, self._media))
                if share.theirs:
                    self.bodies |= {row.body_sha256} if row.body_sha256 else set()
                    yield last_id, share

    async def share_out(self, writer: Runs) -> int:
        """Take the person out of the webhooks that were kept; returns how many had something of theirs."""
        count = 0
        async for row_id, share in self.webhooks():
            await writer.run(KeepRest(row_id, None if share.rest is None else share.rest.body))
            count += 1
        return count


async def _forget_remembered(memory: Memory, erased: Erased) -> None:
    """Drop all that may be remembered: an edited transcript is remembered under another name."""
    for conversation_id, amendments in erased.remembered:
        for number in range(amendments + 1):
            await memory.forget(f"{conversation_id}:{number}")
