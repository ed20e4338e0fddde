"""Large and hostile mail at the door: read to disk, read in a process, kept, refused, and never in anybody's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import time
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import pytest

from gateway.sandbox.mail.providers import Arrived
from gateway.storage import Storage, StorageUnavailable
from tests.mail_world import CUSTOMER, US, MailTown, letter, mail_town

MEGABYTE = 1024 * 1024


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[MailTown]:
    """Build a town whose channel keeps mail of a megabyte at most."""
    async with mail_town(database_url, tmp_path, more="    max_mail_mb: 1") as built:
        yield built


def with_file(size: int, subject: str = "Roof") -> bytes:
    """Build a mail with a file of so many bytes."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = CUSTOMER, US, subject
    message["Message-ID"] = f"<{subject.lower()}-{size}@example.org>"
    message.set_content("See the file.")
    message.add_attachment(bytes(range(256)) * (size // 256), maintype="image", subtype="png", filename="roof.png")
    return message.as_bytes()


def bodies(folder: Path) -> list[Path]:
    """Return what lies where large bodies are put."""
    return [path for path in (folder / "data" / "bodies").iterdir() if path.is_file()]


async def stored(storage: Storage) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what customers said, with their files."""
    return [
        (message.content, [(file.content_type, file.status) for file in message.attachments])
        for row in await storage.conversations()
        for message in await storage.newest_messages(row.id or 0, up_to=100, limit=100)
        if message.role == "user"
    ]


async def post(town: MailTown, body: bytes, headers: dict[str, str]) -> int:
    """Post anything to the webhook; returns the status, 0 where the door hung up."""
    url = f"http://127.0.0.1:{town.gateway.port}/webhooks/support"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(url, data=io.BytesIO(body), headers=headers) as response:
                return response.status
        except aiohttp.ClientError:
            return 0


async def test_a_large_mail_is_read_to_disk_and_used_up(town: MailTown, tmp_path: Path) -> None:
    """Its file is where fetched files are; nothing of the request is left."""
    status = await town.send(with_file(600_000))
    await town.until_read(1)

    assert status == 200
    assert await stored(town.storage) == [("See the file.", [("image/png", "stored")])]
    assert bodies(tmp_path) == []


async def test_a_mail_over_the_limit_is_kept_as_its_headers(town: MailTown, tmp_path: Path) -> None:
    """The provider is told that we have it, or it would come again and again."""
    status = await town.send(with_file(1_000_000))
    await town.until_read(1)
    [(text, files)] = await stored(town.storage)

    assert status == 200
    assert text == "[an e-mail of 1 MB, which is more than is kept: only its headers are here]"
    assert files == []
    assert bodies(tmp_path) == []


async def test_a_forged_large_mail_leaves_nothing_behind(town: MailTown, tmp_path: Path) -> None:
    """Without a signature it is not even read; with a wrong one, its file is removed."""
    raw = with_file(600_000)
    unsigned = await post(town, raw, {})
    wrong = hmac.new(b"wrong", b"0." + raw, hashlib.sha256).hexdigest()
    forged = await post(town, raw, {"X-Frontdesk-Signature": f"t={int(time.time())},v1={wrong}"})
    endless = await post(town, bytes(20 * MEGABYTE), {"X-Frontdesk-Signature": f"t={int(time.time())},v1={wrong}"})

    assert (unsigned, forged) == (403, 403)
    assert endless in (413, 0)
    assert bodies(tmp_path) == []
    assert await stored(town.storage) == []


async def test_a_large_mail_waits_in_the_spool_with_its_body(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that starts with the database back has it whole, and removes the body after the commit."""
    raw = with_file(600_000)
    async with mail_town(database_url, tmp_path) as town:

        async def away(*_: object) -> None:
            raise StorageUnavailable("away")

        monkeypatch.setattr(town.storage, "run", away)
        status = await town.send(raw)
        waiting = bodies(tmp_path)
    monkeypatch.undo()
    async with mail_town(database_url, tmp_path) as town:
        await town.until_read(1)

        assert status == 200
        assert len(waiting) == 1
        assert await stored(town.storage) == [("See the file.", [("image/png", "stored")])]
        assert bodies(tmp_path) == []


async def test_a_mail_that_nobody_can_read_is_kept_for_a_person(town: MailTown) -> None:
    """It is acknowledged: the provider would send the same bytes again."""
    status = await town.send(letter("Hello").replace(b"From:", b"X-From:"))
    rejected = await town.storage.rejected_webhooks()

    assert status == 200
    assert [row.reason for row in rejected] == ["the message names no sender"]


BOMBS = {
    "a subject of 1 MB": b"Subject: " + b"=?utf-8?q?a?= " * 70_000 + b"\r\n\r\nhi\r\n",
    "100,000 nested divs": b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000 + b"hi",
    "10,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nhi\r\n" * 10_000 + b"--b--\r\n",
    "4,000 newlines": b"\r\n" + b"\r\n" * 4_000 + b"hi\r\n",
    "2,000 nested messages": b"Content-Type: message/rfc822\r\n\r\n" * 2_000 + b"\r\nhi",
    "1,000 nested multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1000)
    ),
    "300 kB of brackets": b"To: " + b"(" * 300_000 + b"\r\n\r\nhi\r\n",
    "quoted lines": b"\r\n" + b"On Monday x wrote:\r\n> a\r\n" * 10_000,
    "unclosed tags": b"Content-Type: text/html\r\n\r\n" + b"<a href=" * 100_000,
}


async def test_bombs_are_taken_in_bounded_time_while_the_door_answers(database_url: str, tmp_path: Path) -> None:
    """Each is a message or kept for a person; nobody waits for them, and none takes the reader's whole time."""
    worst_s = 0.0
    stop = asyncio.Event()

    async def ask(town: MailTown) -> None:
        nonlocal worst_s
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                started = time.monotonic()
                async with session.get(f"http://127.0.0.1:{town.gateway.port}/healthz") as response:
                    assert response.status == 200
                worst_s = max(worst_s, time.monotonic() - started)
                await asyncio.sleep(0.005)

    async with mail_town(database_url, tmp_path, coalesce_s=60) as town:
        asking = asyncio.create_task(ask(town))
        heads = [
            b"From: b%d@example.org\r\nMessage-ID: <b%d@example.org>\r\n%s" % (n, n, bomb)
            for n, bomb in enumerate(BOMBS.values())
        ]
        statuses = await asyncio.gather(
            *(town.poster.deliver(town.raw, Arrived(raw, CUSTOMER, (US,))) for raw in heads)
        )
        stop.set()
        await asking
        rows = await town.storage.conversations()
        rejected = await town.storage.rejected_webhooks()

    assert statuses == [200] * len(BOMBS)
    assert len(rows) + len(rejected) == len(BOMBS)
    assert [row.reason for row in rejected if "longer than" in row.reason or "memory" in row.reason] == []
    assert worst_s < 2.0, "a bound for a busy machine; docs/benchmarks.md has the measured one"
