"""What goes by itself, on both databases: old conversations, webhooks nobody has mended, files without an owner."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.media import MediaStore
from gateway.privacy import retention
from gateway.privacy.files import LEAVING, drop_files
from gateway.privacy.retention import REJECTED_KEPT, Retention, Swept
from gateway.storage import BeginRequest, SettleAttachment, Storage
from gateway.storage.records import Appointment, Lead
from gateway.storage.tables import Address, Conversation
from tests.gateways import config, gateway
from tests.people_data import SHARED, Who, live, names, rows_of, traces_in
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_turns import claim

DAY = timedelta(days=1)
OLD, NEW = Who(301), Who(302)
OUTCOMES = {"contacts", "addresses", "leads", "appointments"}
"""What an old conversation leaves behind."""


def worker(
    storage: Storage, folder: Path, days: int | None = 30, now: Callable[[], datetime] = lambda: NOW
) -> Retention:
    """Return the worker of one process."""
    return Retention(storage, folder, now, days, settle_s=0)


async def age(storage: Storage, who: Who, at: datetime) -> None:
    """Let a person have been silent since then."""
    async with AsyncSession(storage._engine) as session:
        rows = update(Conversation).where(Conversation.address.in_((who.phone, who.page_scoped)))
        await session.exec(rows.values(last_activity_at=at))
        await session.exec(text("DELETE FROM audit"))
        await session.exec(text("DELETE FROM rejected_webhooks"))
        await session.exec(text("DELETE FROM repeated_requests"))
        await session.commit()


async def set_status(storage: Storage, status: str, at: datetime) -> None:
    """Let all appointments have a status and be at that time, and all leads have been changed then."""
    async with AsyncSession(storage._engine) as session:
        await session.exec(update(Lead).values(created_at=NOW - 90 * DAY, updated_at=at))
        await session.exec(update(Appointment).values(status=status, starts_at=at))
        await session.commit()


async def test_old_conversations_go_and_what_came_of_them_stays(storage: Storage, tmp_path: Path) -> None:
    """With their messages, files, journal and notices; leads and appointments stay, and so does who they are of."""
    await live(storage, tmp_path, OLD)
    await live(storage, tmp_path, NEW)
    await age(storage, OLD, NOW - 31 * DAY)
    new = await traces_in(storage, NEW.traces)
    swept = await worker(storage, tmp_path).sweep()
    left = [path.read_bytes() for path in (tmp_path / "media").rglob("*") if path.is_file()]

    assert swept == Swept(conversations=2, files=1)
    assert await traces_in(storage, OLD.traces) == OUTCOMES
    assert await traces_in(storage, NEW.traces) == new
    assert sorted(left) == sorted([SHARED, NEW.picture])


async def test_whoever_keeps_all_keeps_all(storage: Storage, tmp_path: Path) -> None:
    """Without a number of days nothing of a customer goes, however old."""
    await live(storage, tmp_path, OLD)
    await age(storage, OLD, NOW - 10_000 * DAY)
    before = await rows_of(storage)

    assert await worker(storage, tmp_path, None).sweep() == Swept()
    assert await rows_of(storage) == before


@pytest.mark.parametrize(
    ("status", "at", "kept"),
    [
        ("booked", NOW - 31 * DAY, set()),
        ("cancelled", NOW - 31 * DAY, set()),
        ("booked", NOW - 29 * DAY, OUTCOMES),
        ("booked", NOW + 29 * DAY, OUTCOMES),
    ],
)
async def test_what_came_of_it_goes_when_it_is_old_whatever_its_status(
    storage: Storage, tmp_path: Path, status: str, at: datetime, kept: set[str]
) -> None:
    """Then nothing of the person is left, and their seats are free."""
    await live(storage, tmp_path, OLD)
    await live(storage, tmp_path, NEW)
    await age(storage, OLD, NOW - 31 * DAY)
    await set_status(storage, status, at)
    await worker(storage, tmp_path).sweep()

    assert await traces_in(storage, OLD.traces) == kept


@pytest.mark.parametrize("column", ["opted_out_at", "marketing_opted_out_at", "blocked_at"])
async def test_whoever_is_left_alone_is_so_for_ever(storage: Storage, tmp_path: Path, column: str) -> None:
    """The row of their address stays when everything else is gone."""
    await accept(storage, sms(OLD.phone, "SM1"))
    async with AsyncSession(storage._engine) as session:
        await session.exec(update(Address).values({column: NOW}))
        await session.commit()
    await accept(storage, sms(NEW.phone, "SM2"), at=NOW + 40 * DAY)
    await worker(storage, tmp_path, now=lambda: NOW + 40 * DAY).sweep()

    assert await traces_in(storage, OLD.traces) == {"addresses"}


async def test_a_turn_that_runs_is_not_disturbed(storage: Storage, tmp_path: Path) -> None:
    """However old its conversation looks."""
    await accept(storage, sms(OLD.phone, "SM1"))
    [turn] = await claim(storage)
    await accept(storage, sms(NEW.phone, "SM2"))
    await age(storage, OLD, NOW - 31 * DAY)
    during = await worker(storage, tmp_path).sweep()
    after = await worker(storage, tmp_path, 1, now=lambda: turn.lease_expires_at + timedelta(seconds=1)).sweep()

    assert (during.conversations, after.conversations) == (0, 1)


async def test_the_newest_number_is_not_given_again(storage: Storage, tmp_path: Path) -> None:
    """Its row is emptied, and goes with the first sweep after somebody else has come."""
    await accept(storage, sms(OLD.phone, "SM1"))
    late = worker(storage, tmp_path, now=lambda: NOW + 40 * DAY)
    await late.sweep()
    [emptied] = await storage.conversations()
    await accept(storage, sms(NEW.phone, "SM2"), at=NOW + 40 * DAY)
    await late.sweep()
    [left] = await storage.conversations()

    assert (emptied.address, emptied.is_active, emptied.total_messages) == (None, False, 0)
    assert left.address == NEW.phone
    assert left.id != emptied.id


async def test_unmended_webhooks_go_after_thirty_days(storage: Storage, tmp_path: Path) -> None:
    """Also where all conversations are kept."""
    await live(storage, tmp_path, OLD)
    early = await worker(storage, tmp_path, None, lambda: NOW + REJECTED_KEPT).sweep()
    swept = await worker(storage, tmp_path, None, lambda: NOW + REJECTED_KEPT + DAY).sweep()

    assert REJECTED_KEPT == 30 * DAY
    assert (early.webhooks, swept.webhooks) == (0, 1)


async def test_requests_that_nobody_can_repeat_go_after_a_day(storage: Storage, tmp_path: Path) -> None:
    """Their answers with them, whether or not anybody asks with another key; however many there are."""
    for number in range(retention.ROWS_AT_ONCE + 5):
        await storage.run(BeginRequest("o", f"old {number}", "h", NOW - DAY))
    await storage.run(BeginRequest("o", "young", "h", NOW - DAY + timedelta(seconds=1)))
    await worker(storage, tmp_path, None).sweep()

    assert len((await rows_of(storage))["repeated_requests"]) == 1


async def test_batches_are_small_and_let_others_go_first(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each conversation takes long it goes alone, and a customer's messages are stored in between."""
    monkeypatch.setattr(retention, "HOLD_S", 0.0)  # as where each takes long
    for start in range(0, 40, 20):
        await accept(storage, *(sms(f"+1555020{n:04}", f"SM{n}") for n in range(start, start + 20)))
    late = worker(storage, tmp_path, now=lambda: NOW + 40 * DAY)
    sweeping = asyncio.create_task(late.sweep())
    waits = []
    while not sweeping.done():
        began = time.monotonic()
        await accept(storage, sms(NEW.phone, f"SM-new-{len(waits)}"), at=NOW + 40 * DAY)
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    swept = await sweeping

    assert swept.conversations == 40
    assert len(waits) > 10
    assert max(waits) < 1.0


# --- files -----------------------------------------------------------------------------------------------------


async def test_files_that_nobody_has_go_after_a_day(storage: Storage, tmp_path: Path) -> None:
    """What is new may belong to a message that is just being stored; what a killed process left goes as well."""
    await live(storage, tmp_path, OLD)
    media = MediaStore(tmp_path / "media")
    old, new = await media.put(b"nobody's"), await media.put(b"nobody's, and new")
    cut_off = media.path(old).with_name("download.tmp")
    cut_off.write_bytes(b"half")
    for path in (*(tmp_path / "media").glob("??/*"),):
        if path.name != new:
            os.utime(path, (0, 0))
    swept = await worker(storage, tmp_path, None).sweep()
    left = {path.name for path in (tmp_path / "media").glob("??/*")}

    assert swept.files == 1
    assert len(left) == 3
    assert new in left
    assert not {old, cut_off.name} & left


async def test_a_deletion_that_was_cut_off_is_taken_up(storage: Storage, tmp_path: Path) -> None:
    """A file that was moved aside comes back where somebody has it, and goes where nobody does."""
    await live(storage, tmp_path, OLD)
    media = MediaStore(tmp_path / "media")
    await media.put(b"nobody's")
    for path in (*(tmp_path / "media").glob("??/*"),):
        os.utime(path, (0, 0))
        path.rename(path.with_name(path.name + LEAVING))
    await worker(storage, tmp_path, None).sweep()
    left = [path.read_bytes() for path in (tmp_path / "media").glob("??/*")]

    assert sorted(left) == sorted([SHARED, OLD.picture])


async def test_bytes_that_come_again_while_they_go_stay(storage: Storage, tmp_path: Path) -> None:
    """Somebody is sent the same picture between the first look and the deletion."""
    await live(storage, tmp_path, OLD)
    media = MediaStore(tmp_path / "media")
    sha256 = await media.put(b"nobody's yet")
    attachments = (await rows_of(storage))["attachments"]
    dropping = asyncio.create_task(drop_files(storage, media, [sha256], settle_s=0.5))
    async with asyncio.timeout(10):
        while media.path(sha256).exists():
            await asyncio.sleep(0.01)
    async with AsyncSession(storage._engine) as session:  # another process had found the file a moment ago
        await session.exec(text("UPDATE attachments SET status = 'pending'"))
        await session.commit()
    await storage.run(SettleAttachment(attachments[0]["id"], "stored", "image/png", sha256, 1))

    assert await dropping == 0
    assert await media.read(sha256) == b"nobody's yet"


# --- the process -----------------------------------------------------------------------------------------------


async def test_the_server_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``data.retention_days`` reaches the worker of a whole process."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with Storage(database) as storage:
        await storage.migrate()
        await live(storage, tmp_path / "data", OLD)
        await age(storage, OLD, NOW - 31 * DAY)
    monkeypatch.setattr(retention, "FIRST_S", 0.0)
    async with gateway(tmp_path, database, spool_max_mb="64, retention_days: 30") as running, asyncio.timeout(10):
        while any(names(row.address, OLD.traces) for row in await running.parts.storage.conversations()):
            await asyncio.sleep(0.02)

    assert config(tmp_path, database).data.retention_days is None
