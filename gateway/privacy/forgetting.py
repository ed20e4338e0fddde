"""Erasing a person: from the spool, the database, the conversation memory and the files.

The database comes late, for it is what the person is found by: a command that is cut off before is run again, and
what one leaves behind after it, files and memory, goes by itself within a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.cache import Memory
from gateway.media import MediaStore
from gateway.privacy.files import drop_files
from gateway.privacy.naming import Mentions, Names
from gateway.privacy.shares import Shares, request_of
from gateway.privacy.spooled import SpoolBusy, Unspooling
from gateway.reader import Readers
from gateway.roster import Roster
from gateway.storage import Storage
from gateway.storage.erasure import Erase, Erased, Quiet, StillRunning
from gateway.storage.privacy import Person
from gateway.storage.quotes import PLACES, KeepRest, Quoting, Unquote
from gateway.storage.scrubbing import Runs, scrubbing

__all__ = ["Forgotten", "SpoolBusy", "forget_person"]

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
    quotes: dict[str, int] = field(default_factory=dict)
    """By place: webhooks that were kept, answers of the API, the audit."""
    opt_outs_kept: int = 0

    def add_quotes(self, more: Mapping[str, int]) -> None:
        """Count rows that were found later."""
        for place, count in more.items():
            self.quotes[place] = self.quotes.get(place, 0) + count

    @property
    def total(self) -> int:
        """How much that was in all."""
        return sum(self.rows.values()) + sum(self.quotes.values()) + self.files + self.spooled


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
    """Erase everything about a person; ``also`` are spellings of theirs by which nothing was found.

    Raises:
        SpoolBusy: a running process holds webhooks of theirs and does not bring them in; nothing is erased.
        StorageUnavailable: the database is away; what was not erased is found again.
    """
    also, readers = tuple(also), Readers()
    try:
        await _Erasure(storage, roster, readers, data_dir, person, also).spool.wait_until_free(patience_s)
        async with scrubbing(storage) as writer:
            person = await writer.run(Quiet(person.seeds))
            await _wait_for_calls(writer, person, patience_s)
            erasure = _Erasure(storage, roster, readers, data_dir, person, also)
            forgotten = Forgotten(spooled=await erasure.spool.run())
            forgotten.quotes = {**await erasure.share_out(writer), **await erasure.unquote(writer, PLACES)}
            erased = await writer.run(Erase(person.seeds, actor, now))
            forgotten.rows, forgotten.opt_outs_kept = erased.counts, erased.opt_outs_kept
            late = await erasure.unquote(writer, ("answers",))  # what was answered between the last look and the commit
            forgotten.add_quotes(late)
    finally:
        await readers.close()
    await _forget_remembered(memory, erased)
    forgotten.files = await drop_files(storage, MediaStore(data_dir / "media"), erased.hashes)
    await _forget_remembered(memory, erased)  # a turn that had read the transcript before may have kept it once more
    return forgotten


async def _wait_for_calls(writer: Runs, person: Person, patience_s: float) -> None:
    """Let calls that have begun end: what one brings is erased with the rest, and nothing leaves afterwards."""
    until = time.monotonic() + patience_s
    running = StillRunning(tuple(person.row_ids))
    while await writer.run(running):
        if time.monotonic() > until:
            return
        await asyncio.sleep(LOOK_AGAIN_S)


class _Erasure:
    """What is looked through for one person outside of their own rows."""

    def __init__(
        self,
        storage: Storage,
        roster: Roster,
        readers: Readers,
        data_dir: Path,
        person: Person,
        also: tuple[str, ...],
    ) -> None:
        names = Names((*person.names, *also))
        self._storage = storage
        self._names = names
        self._shares = Shares(roster, readers, names)
        self._mentions = Mentions((*person.names, *person.told, *also), person.chosen_ids)
        self.spool = Unspooling(data_dir / "spool", names, self._shares)

    async def share_out(self, writer: Runs) -> dict[str, int]:
        """Take the person out of the webhooks that were kept; returns how many had something of theirs."""
        count = last_id = 0
        while self._names and (rows := await self._storage.quotes.webhooks(last_id)):
            for row in rows:
                last_id = row.id or 0
                share = await self._shares.of(row.channel_name, request_of(row))
                if share.theirs:
                    await writer.run(KeepRest(last_id, None if share.rest is None else share.rest.body))
                    count += 1
        return {"webhooks": count} if count else {}

    async def unquote(self, writer: Runs, places: Iterable[str]) -> dict[str, int]:
        """Take the person out of rows that name them in words of ours; returns how many rows, by place."""
        counts: dict[str, int] = {}
        for place in places if self._mentions else ():
            last_id = 0
            while rows := await self._storage.quotes.read(place, last_id):
                last_id = rows[-1].id
                naming = await asyncio.to_thread(self._naming, rows)
                if naming:
                    counts[place] = counts.get(place, 0) + await writer.run(Unquote(place, naming))
        return counts

    def _naming(self, rows: Iterable[Quoting]) -> tuple[int, ...]:
        return tuple(row.id for row in rows if self._mentions.in_any(row.values))


async def _forget_remembered(memory: Memory, erased: Erased) -> None:
    """Drop all that may be remembered: an edited transcript is remembered under another name."""
    for conversation_id, amendments in erased.remembered:
        for number in range(amendments + 1):
            await memory.forget(f"{conversation_id}:{number}")
