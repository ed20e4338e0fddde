"""The spool: fsynced, in order, and bounded."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.base import Request
from gateway import spool as module
from gateway.segment import Arrival
from gateway.spool import Spool, SpoolUnavailable

NOW = datetime(2026, 11, 24, tzinfo=UTC)
FSYNC = os.fsync


def arrival(n: int, size: int = 10) -> Arrival:
    """Build a record."""
    request = Request("POST", f"/webhooks/sms?n={n}", (("X-Sig", "a"),), bytes([n % 256]) * size)
    return Arrival("sms", request, NOW)


async def drain(spool: Spool, limit: int = 3) -> list[Arrival]:
    """Read and confirm everything."""
    found: list[Arrival] = []
    while (batch := await spool.read(limit)) is not None:
        found += batch.arrivals
        await spool.drained(batch)
    return found


async def open_spool(folder: Path, max_bytes: int = 10_000_000) -> Spool:
    """Open a spool."""
    spool = Spool(folder, max_bytes)
    await spool.open()
    return spool


async def test_records_come_back_whole_and_in_order(tmp_path: Path) -> None:
    """What was appended is drained oldest first, and then the spool is empty and inactive."""
    spool = await open_spool(tmp_path)
    assert not spool.active
    await asyncio.gather(*(spool.append(arrival(n)) for n in range(50)))
    assert spool.active
    found = await drain(spool)

    assert found == [arrival(n) for n in range(50)]
    assert not spool.active
    assert list(tmp_path.iterdir()) == []


async def test_appending_while_draining_keeps_the_order(tmp_path: Path) -> None:
    """A record that comes while older ones are drained stays behind them."""
    spool = await open_spool(tmp_path)
    await asyncio.gather(*(spool.append(arrival(n)) for n in range(4)))
    batch = await spool.read(3)
    assert batch is not None
    await spool.append(arrival(4))
    await spool.drained(batch)
    rest = await drain(spool)

    assert [*batch.arrivals, *rest] == [arrival(n) for n in range(5)]


async def test_unconfirmed_records_survive_a_restart(tmp_path: Path) -> None:
    """What was read and not confirmed is read again by the next process, before what it appends itself."""
    first = await open_spool(tmp_path)
    await asyncio.gather(*(first.append(arrival(n)) for n in range(3)))
    await first.read(2)
    await first.close()
    second = await open_spool(tmp_path)
    await second.append(arrival(3))

    assert await drain(second) == [arrival(n) for n in range(4)]


async def test_a_living_process_keeps_its_files(tmp_path: Path) -> None:
    """Only the files of dead processes are adopted."""
    first = await open_spool(tmp_path)
    await first.append(arrival(0))
    second = await open_spool(tmp_path)

    assert not second.active
    assert await drain(first) == [arrival(0)]
    await second.close()


async def test_a_file_is_never_seen_unlocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever another process looks for files to adopt, also while one is being made, it leaves it to its owner."""
    first, second = await open_spool(tmp_path), await open_spool(tmp_path)
    flock, rename, seen = fcntl.flock, Path.rename, []

    def look() -> None:
        seen.append([segment.path for segment in module.segments.adopt(tmp_path, set())])

    def locked(fd: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        look()
        flock(fd, how)
        look()

    def renamed(path: Path, target: Path) -> Path:
        found = rename(path, target)
        look()
        return found

    monkeypatch.setattr(fcntl, "flock", locked)
    monkeypatch.setattr(Path, "rename", renamed)
    await first.append(arrival(0))
    await second.adopt()

    assert seen == [[], [], []]
    assert not second.active
    assert await drain(first) == [arrival(0)]
    await second.close()


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
async def test_adopting_survives_files_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """A file that its owner has drained and deleted while another process reached for it is nobody's any more."""
    path, _ = await spooled_bytes(tmp_path)
    flock, opened = fcntl.flock, os.open

    def vanishing_open(name: Any, *how: Any) -> int:
        Path(name).unlink()
        return opened(name, *how)

    def vanishing_flock(fd: int, how: int) -> None:
        path.unlink()
        flock(fd, how)

    if when == "before it is opened":
        monkeypatch.setattr(os, "open", vanishing_open)
    else:
        monkeypatch.setattr(fcntl, "flock", vanishing_flock)
    found = module.segments.adopt(tmp_path, set())

    assert found == []


async def test_torn_record_is_dropped(tmp_path: Path) -> None:
    """The half of a record that a crash left was never acknowledged; what stands before it is kept."""
    first = await open_spool(tmp_path)
    await first.append(arrival(0))
    await first.append(arrival(1))
    await first.close()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    second = await open_spool(tmp_path)

    assert await drain(second) == [arrival(0)]
    assert not second.active


async def test_full_spool_refuses(tmp_path: Path) -> None:
    """Beyond its size nothing is accepted, and what was is kept."""
    spool = await open_spool(tmp_path, 1000)
    await spool.append(arrival(0, 400))

    with pytest.raises(SpoolUnavailable):
        await spool.append(arrival(1, 400))
    assert await drain(spool) == [arrival(0, 400)]


async def test_spool_that_is_off_refuses(tmp_path: Path) -> None:
    """With no room configured there is no spool."""
    spool = await open_spool(tmp_path / "none", 0)

    with pytest.raises(SpoolUnavailable):
        await spool.append(arrival(0))
    assert not (tmp_path / "none").exists()
    assert not spool.accepts


async def test_unwritable_disk_refuses(tmp_path: Path) -> None:
    """Where the folder cannot be written, the record is refused and not half kept."""
    spool = await open_spool(tmp_path / "spool")
    (tmp_path / "spool").rmdir()
    (tmp_path / "spool").write_text("a file in the way")

    with pytest.raises(SpoolUnavailable):
        await spool.append(arrival(0))
    assert not spool.active
    await spool.close()


@pytest.mark.parametrize("broken_at", ["start", "append"])
async def test_spool_knows_that_its_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: str
) -> None:
    """After a failed write nothing is accepted until the disk takes something again, whether anybody writes or not."""
    monkeypatch.setattr(module, "PROBE_EVERY_S", 0.01)
    folder = tmp_path / "spool"
    folder.mkdir()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if broken_at == "start":
        monkeypatch.setattr(os, "fsync", full)
    spool = await open_spool(folder)
    at_first = spool.accepts
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpoolUnavailable):
        await spool.append(arrival(0))
    broken = spool.accepts
    monkeypatch.setattr(os, "fsync", FSYNC)
    async with asyncio.timeout(5):
        while not spool.accepts:
            await asyncio.sleep(0.01)
    await spool.append(arrival(1))

    assert (at_first, broken) == (broken_at == "append", False)
    assert await drain(spool) == [arrival(1)]
    await spool.close()


async def test_record_set_aside_is_drained_under_a_spool_file_s_name(tmp_path: Path) -> None:
    """What is set aside is on disk and blocks nothing; renamed, it is drained like everything else."""
    spool = await open_spool(tmp_path)
    path = await spool.set_aside(arrival(0))
    await spool.set_aside(arrival(1))
    before = spool.active
    path.rename(tmp_path / "0.spool")
    await spool.adopt()

    assert not before
    assert await drain(spool) == [arrival(0), arrival(1)]


async def test_large_spools_are_cut_into_files(tmp_path: Path) -> None:
    """A file beyond the segment size is followed by another, and order holds across them."""
    spool = await open_spool(tmp_path, 100_000_000)
    big = module.SEGMENT_BYTES // 2
    for n in range(4):
        await spool.append(arrival(n, big))
    files = len(list(tmp_path.iterdir()))
    found = await drain(spool)

    assert files > 1
    assert [a.request.target for a in found] == [f"/webhooks/sms?n={n}" for n in range(4)]


@pytest.mark.parametrize(
    ("segment_bytes", "synced"),
    [(module.SEGMENT_BYTES, [["folder", "file"], ["file"], ["file"]]), (0, [["folder", "file"]] * 3)],
)
async def test_what_append_took_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment_bytes: int, synced: list[list[str]]
) -> None:
    """When append returns, the whole record has been synced, and where its file is new, so has the file's name."""
    monkeypatch.setattr(module, "SEGMENT_BYTES", segment_bytes)
    fsync, calls = os.fsync, []

    def record(fd: int) -> None:
        fsync(fd)
        status = os.fstat(fd)
        is_folder = stat.S_ISDIR(status.st_mode)
        calls.append(("folder", len(list(tmp_path.iterdir()))) if is_folder else ("file", status.st_size))

    spool = await open_spool(tmp_path)
    monkeypatch.setattr(os, "fsync", record)
    found, expected = [], []
    for n, kinds in enumerate(synced):
        await spool.append(arrival(n))
        files = sorted(tmp_path.iterdir())
        has = {"folder": len(files), "file": files[-1].stat().st_size}
        found.append(calls[:])
        expected.append([(kind, has[kind]) for kind in kinds])
        calls.clear()
    await spool.close()

    assert found == expected


async def spooled_bytes(folder: Path, count: int = 3) -> tuple[Path, list[bytes]]:
    """Leave a spool file of equal records behind and return it with each record's bytes."""
    spool = await open_spool(folder)
    for n in range(count):
        await spool.append(arrival(n))
    await spool.close()
    [path] = folder.iterdir()
    size = path.stat().st_size // count
    content = path.read_bytes()
    return path, [content[n * size : (n + 1) * size] for n in range(count)]


DAMAGE = {
    "length is more": (2, b"\x77"),
    "length is less": (3, b"\x05"),
    "length is none": (0, b"\0" * 8),
    "checksum": (4, b"\x01\x02\x03\x04"),
    "begin": (8, b"\0" * 40),
    "middle": (60, b"\xff"),
}


def damage(record: bytes, where: str) -> bytes:
    """Change a record as a bad disk does."""
    begin, changed = DAMAGE[where]
    return record[:begin] + changed + record[begin + len(changed) :]


@pytest.mark.parametrize("where", DAMAGE)
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1)])
async def test_damaged_record_takes_no_other_with_it(tmp_path: Path, where: str, which: tuple[int, ...]) -> None:
    """What stands before and behind a damaged record is drained; the file is kept, and an error names it once."""
    path, records = await spooled_bytes(tmp_path)
    content = b"".join(damage(record, where) if n in which else record for n, record in enumerate(records))
    path.write_bytes(content)
    spool = await open_spool(tmp_path)
    await spool.append(arrival(3))
    with capture_logs() as logs:
        found = await drain(spool, limit=1)
    kept = path.with_name(path.name + ".damaged")
    again = await open_spool(tmp_path)

    assert found == [arrival(n) for n in range(4) if n not in which]
    assert [(line["log_level"], line["event"], line["path"]) for line in logs] == [
        ("error", "spool_file_damaged", str(kept))
    ]
    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_bytes() == content
    assert not spool.active
    assert not again.active


async def test_damage_before_a_torn_end_is_told(tmp_path: Path) -> None:
    """A file is kept for a damaged record also where a crash has cut off its last one."""
    path, records = await spooled_bytes(tmp_path)
    path.write_bytes(damage(records[0], "length is more") + records[1] + records[2][:-5])
    spool = await open_spool(tmp_path)
    with capture_logs() as logs:
        found = await drain(spool)

    assert found == [arrival(1)]
    assert [line["event"] for line in logs] == ["spool_file_damaged"]
    assert [kept.name for kept in tmp_path.iterdir()] == [path.name + ".damaged"]


async def test_file_without_a_readable_record_is_kept(tmp_path: Path) -> None:
    """A file of which nothing can be read is moved aside, and what comes after it is drained."""
    path, _ = await spooled_bytes(tmp_path)
    path.write_bytes(b"\xff" * 500 + b'"}')
    spool = await open_spool(tmp_path)
    await spool.append(arrival(7))
    with capture_logs() as logs:
        found = await drain(spool)

    assert found == [arrival(7)]
    assert [line["log_level"] for line in logs] == ["error"]
    assert [kept.name for kept in tmp_path.iterdir()] == [path.name + ".damaged"]


@pytest.mark.parametrize("keeps", [1, 7, 8, 9, 60, -1])
@pytest.mark.parametrize("room", [0, 4096])
async def test_torn_end_is_silent(tmp_path: Path, keeps: int, room: int) -> None:
    """A record that a crash cut off was never acknowledged, wherever it was cut: nothing is kept or logged."""
    path, records = await spooled_bytes(tmp_path)
    path.write_bytes(records[0] + records[1] + records[2][:keeps] + b"\0" * room)
    spool = await open_spool(tmp_path)
    with capture_logs() as logs:
        found = await drain(spool)

    assert found == [arrival(0), arrival(1)]
    assert logs == []
    assert list(tmp_path.iterdir()) == []


async def test_record_of_another_making_is_kept(tmp_path: Path) -> None:
    """A whole record that is none of ours, as of another version, holds up nothing and is kept."""
    path, records = await spooled_bytes(tmp_path)
    foreign = b'{"channel": "sms"}'
    header = struct.pack(">II", len(foreign), zlib.crc32(foreign))
    path.write_bytes(records[0] + header + foreign + records[2])
    spool = await open_spool(tmp_path)

    assert await drain(spool) == [arrival(0), arrival(2)]
    assert [kept.name for kept in tmp_path.iterdir()] == [path.name + ".damaged"]


async def test_room_without_a_record_is_silent(tmp_path: Path) -> None:
    """A power cut may leave a file with room in which nothing was written: there is nothing in it to drain."""
    path, _ = await spooled_bytes(tmp_path)
    path.write_bytes(b"\0" * 4096)
    spool = await open_spool(tmp_path)
    with capture_logs() as logs:
        found = await drain(spool)

    assert (found, logs, list(tmp_path.iterdir())) == ([], [], [])
