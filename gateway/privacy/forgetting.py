"""Erasing a person: from the spool, the database, the conversation memory and the files.

The database comes late, for it is what the person is found by: a command that is cut off before is run again, and
what one leaves behind after it, files and memory, goes by itself within a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.cache import Memory
from gateway.media import MediaStore
from gateway.privacy.files import drop_files
from gateway.privacy.naming import Names
from gateway.privacy.spooled import SpoolBusy, unspool
from gateway.storage import Storage
from gateway.storage.erasure import Erase, Erased, Quiet, StillRunning
from gateway.storage.privacy import Person
from gateway.storage.quotes import PLACES, ReadQuoting, Unquote
from gateway.storage.scrubbing import Runs, scrubbing

__all__ = ["Forgotten", "SpoolBusy", "forget_person", "unquote"]

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
    """By place: webhooks that were kept, answers of the API, its keys, the audit."""
    opt_outs_kept: int = 0

    @property
    def total(self) -> int:
        """How much that was in all."""
        return sum(self.rows.values()) + sum(self.quotes.values()) + self.files + self.spooled


async def forget_person(
    storage: Storage,
    memory: Memory,
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
        SpoolBusy: a running process still holds webhooks of theirs; nothing but their turns was touched.
        StorageUnavailable: the database is away; what was not erased is found again.
    """
    forgotten = Forgotten()
    async with scrubbing(storage) as writer:
        person = await writer.run(Quiet(person.seeds))
        await _wait_for_calls(writer, person, patience_s)
        names = Names((*person.names, *also))
        forgotten.spooled = await unspool(data_dir / "spool", names, patience_s=patience_s)
        forgotten.quotes = await unquote(writer, names)
        erased = await writer.run(Erase(person.seeds, actor, now))
        forgotten.rows, forgotten.opt_outs_kept = erased.counts, erased.opt_outs_kept
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


async def unquote(writer: Runs, names: Names) -> dict[str, int]:
    """Take a person out of the rows that name them in their text; returns how many rows, by place."""
    counts: dict[str, int] = {}
    if not names:
        return counts
    for place in PLACES:
        last_id = 0
        while rows := await writer.run(ReadQuoting(place, last_id)):
            last_id = rows[-1].id
            naming = await asyncio.to_thread(names.among, rows)
            if naming:
                gone = await writer.run(Unquote(place, tuple(row.id for row in naming)))
                counts[place] = counts.get(place, 0) + gone
    return counts


async def _forget_remembered(memory: Memory, erased: Erased) -> None:
    """Drop all that may be remembered: an edited transcript is remembered under another name."""
    for conversation_id, amendments in erased.remembered:
        for number in range(amendments + 1):
            await memory.forget(f"{conversation_id}:{number}")
