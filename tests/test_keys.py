"""``frontdesk keys``: made once, shown once, listed, revoked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from gateway.cli.failures import Failed
from gateway.cli.keys import _meant
from gateway.storage import ApiKey, Storage
from tests.frontdesk import frontdesk
from tests.gateways import write_config
from tests.test_storage_accept import NOW


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Give a folder with a configuration and a database."""
    write_config(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db")
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        await storage.migrate()
    return tmp_path


async def kept(folder: Path) -> list[ApiKey]:
    async with Storage(f"sqlite:///{folder}/frontdesk.db") as storage:
        return list(await storage.api_keys.all())


async def test_a_key_is_made_shown_once_listed_and_revoked(folder: Path) -> None:
    """Only its hash is kept; the list shows by what people tell keys apart, and never the key."""
    made = frontdesk("keys", "add", "crm", "--scope", "write", cwd=folder)
    [key] = re.findall(r"^fdk_[A-Za-z0-9_-]{43}$", made.stdout, re.MULTILINE)
    [row] = await kept(folder)
    listed = frontdesk("keys", "list", cwd=folder)
    twice = frontdesk("keys", "add", "crm", cwd=folder)
    revoked = frontdesk("keys", "revoke", "crm", cwd=folder)
    again = frontdesk("keys", "revoke", "crm", cwd=folder)
    anew = frontdesk("keys", "add", "crm", cwd=folder)
    after = frontdesk("keys", "list", cwd=folder)

    assert (made.returncode, made.stdout) == (0, f"{key}\n")
    assert "not shown again" in made.stderr
    assert (row.name, row.scope, row.key_hash) == ("crm", "write", hashlib.sha256(key.encode()).hexdigest())
    assert key not in f"{row!r}{listed.stdout}{after.stdout}"
    assert listed.stdout.splitlines()[1].split("\t")[:3] == ["crm", f"{key[:12]}…", "write"]
    assert (twice.returncode, twice.stdout) == (1, "")
    assert twice.stderr == (
        "frontdesk: a key named crm is in use; take another name, or first: frontdesk keys revoke crm\n"
    )
    assert (revoked.returncode, revoked.stdout) == (0, f"revoked: crm ({key[:12]}…)\n")
    assert (again.returncode, "frontdesk keys list" in again.stderr) == (1, True)
    assert anew.returncode == 0
    assert [line.split("\t")[-1] for line in after.stdout.splitlines()] == ["state", "revoked", "in use"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", " "), "NAME must have 1 to 100 characters"),
        (("add", "x" * 101), "NAME must have 1 to 100 characters"),
        (("add", "x", "--scope", "owner"), "owner"),
    ],
)
def test_what_cannot_be_made_is_bad_usage(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    """Exit status 2 and one line; nothing was made."""
    done = frontdesk("keys", *arguments, cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_without_keys_the_list_says_how_to_make_one(folder: Path) -> None:
    """A newcomer's first look."""
    assert frontdesk("keys", "list", cwd=folder).stdout == "no keys; make one: frontdesk keys add NAME --scope read\n"


def row(name: str, prefix: str, *, revoked: bool = False) -> ApiKey:
    return ApiKey(
        name=name, prefix=prefix, key_hash=prefix, scope="read", created_at=NOW, revoked_at=NOW if revoked else None
    )


ROWS = [
    row("crm", "fdk_aaaaaaaa"),
    row("old", "fdk_bbbbbbbb", revoked=True),
    row("two", "fdk_cccccccc"),
    row("two", "fdk_dddddddd"),
]


@pytest.mark.parametrize(
    ("which", "found"),
    [("crm", 0), ("fdk_aaaaaaaa", 0), ("fdk_aaaaaaaa…", 0), ("fdk_aaaaaaaaXYZ", 0), ("fdk_dddddddd", 3)],
)
def test_a_key_is_meant_by_its_name_or_its_first_characters(which: str, found: int) -> None:
    """As many as are shown, or more: whoever found a key somewhere may paste all of it."""
    assert _meant(ROWS, which) is ROWS[found]


@pytest.mark.parametrize("which", ["old", "fdk_bbbbbbbb", "fdk_", "nobody", "two"])
def test_what_means_none_or_several_revokes_nothing(which: str) -> None:
    """Whoever is unsure is asked."""
    with pytest.raises(Failed, match=r"frontdesk keys list|first characters: fdk_cccccccc, fdk_dddddddd"):
        _meant(ROWS, which)
