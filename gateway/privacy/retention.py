"""The worker that keeps nothing for longer than the owner has decided."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.clock import Clock
from gateway.media import MediaStore
from gateway.privacy.files import SETTLE_S, drop_files, sweep_files
from gateway.storage import Storage
from gateway.storage.erasure import Erased
from gateway.storage.repeated import ForgetRequests
from gateway.storage.retention import DropEmptied, EraseInactive, EraseOutcomes, EraseRejected
from gateway.storage.scrubbing import Runs, scrubbing
from gateway.storage.writer import Operation

log = structlog.get_logger(__name__)

R = TypeVar("R")

FIRST_S = 600.0
"""From a start, which has enough to do, to the first sweep."""
EVERY_S = 24 * 3600.0
REJECTED_KEPT = timedelta(days=30)
"""How long a webhook that could not be read waits for a fix and ``frontdesk replay``."""
AT_ONCE = 20
"""Conversations in one transaction, at most; fewer where that takes longer than ``HOLD_S``."""
HOLD_S = 0.1
"""For how long a customer's message may have to wait for us, on SQLite."""
ROWS_AT_ONCE = 200
PAUSE_S = 0.05
"""Between transactions: whoever answers customers goes first."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep has erased."""

    conversations: int = 0
    outcomes: int = 0
    """Leads and appointments."""
    webhooks: int = 0
    files: int = 0


class Retention:
    """Erases once a day what is too old; every process may run one, each row goes in one of them."""

    def __init__(
        self, storage: Storage, data_dir: Path, clock: Clock, retention_days: int | None, *, settle_s: float = SETTLE_S
    ) -> None:
        self._storage = storage
        self._folder = data_dir / "media"
        self._media = MediaStore(self._folder)
        self._clock = clock
        self._kept = None if retention_days is None else timedelta(days=retention_days)
        self._settle_s = settle_s

    async def run(self) -> None:
        """Sweep every day."""
        await asyncio.sleep(FIRST_S)
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> Swept:
        """Erase what is too old now, a few rows at a time.

        Raises:
            StorageUnavailable: the database is away; the rest goes the next time.
        """
        inactive, outcomes = Erased(), Erased()
        async with scrubbing(self._storage) as writer:
            if self._kept is not None:
                inactive, outcomes = await self._erase_old(writer, self._kept)
            await writer.run(DropEmptied())
            before = self._clock() - REJECTED_KEPT
            webhooks = await _drain(writer, EraseRejected(before, ROWS_AT_ONCE))
            await _drain(writer, ForgetRequests(self._clock(), ROWS_AT_ONCE))
        files = await drop_files(self._storage, self._media, inactive.hashes, settle_s=self._settle_s)
        files += await sweep_files(self._storage, self._media, self._folder, settle_s=self._settle_s)
        swept = Swept(inactive.counts.get("chat_conversations", 0), _outcomes(outcomes), webhooks, files)
        if swept != Swept():
            log.info(
                "swept",
                conversations_count=swept.conversations,
                outcomes_count=swept.outcomes,
                webhooks_count=webhooks,
                files_count=files,
            )
        return swept

    async def _erase_old(self, writer: Runs, kept: timedelta) -> tuple[Erased, Erased]:
        before = self._clock() - kept
        inactive = await _repeat(writer, lambda limit: EraseInactive(before, self._clock(), limit))
        return inactive, await _repeat(writer, lambda limit: EraseOutcomes(before, limit))


async def _drain(writer: Runs, operation: Operation[int]) -> int:
    """Run an operation until nothing is left for it; returns how much went."""
    count = 0
    while some := await writer.run(operation):
        count += some
        await asyncio.sleep(PAUSE_S)
    return count


async def _repeat(writer: Runs, operation: Callable[[int], Operation[Erased]]) -> Erased:
    """Run an operation, with how much it may do at once, until nothing is left for it; returns all that went."""
    sum_of_all, limit = Erased(), 1
    while True:
        began = time.monotonic()
        some = await writer.run(operation(limit))
        if not some.total:
            return sum_of_all
        for table, count in some.counts.items():
            sum_of_all.counts[table] = sum_of_all.counts.get(table, 0) + count
        sum_of_all.hashes |= some.hashes
        limit = max(1, min(2 * limit, AT_ONCE, int(limit * HOLD_S / max(time.monotonic() - began, 0.001))))
        await asyncio.sleep(PAUSE_S)


def _outcomes(erased: Erased) -> int:
    return erased.counts.get("leads", 0) + erased.counts.get("appointments", 0)
