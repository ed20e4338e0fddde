"""``frontdesk webhooks`` and what doctor says of them: from the owner's chair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cli.webhook_checks import check_webhooks
from gateway.cli.webhooks import FIXES, OTHER_FIX, PRIVATE_FIX, REDIRECTS_FIX, SLOW_FIX, UNREACHED_FIX, fix_of
from gateway.config import Config, WebhookConfig
from gateway.hooks import receivers_of
from gateway.hooks.attempt import Answer
from gateway.storage import Storage
from gateway.storage.api_tables import HookDelivery, Receiver
from tests.frontdesk import frontdesk
from tests.gateways import config, write_config
from tests.test_hooks_delivery import SECRET, desk, verify, wrote
from tests.test_hooks_events import rows
from tests.test_storage_effects import change


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """Give a folder with a migrated database."""
    async with Storage(f"sqlite:///{tmp_path}/frontdesk.db") as storage:
        await storage.migrate()
    return tmp_path


class Answering:
    """A receiver that answers everything with one status, and checks what it is asked."""

    def __init__(self) -> None:
        self.status = 204
        self.bodies: list[str] = []
        self.url = ""

    async def hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        verify(request.headers, body)
        self.bodies.append(body.decode())
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Answering]:
    """Serve one."""
    answering = Answering()
    app = web.Application()
    app.router.add_post("/hook", answering.hear)
    async with TestServer(app) as server:
        answering.url = f"http://127.0.0.1:{server.port}/hook"
        yield answering


def write(folder: Path, *urls: str, private: str = "true") -> None:
    """Write a configuration that names these addresses."""
    named = ", ".join(f"{{url: '{url}', secret: {SECRET}, allow_private: {private}}}" for url in urls)
    write_config(folder, f"sqlite:///{folder}/frontdesk.db", more_channels=f"\nwebhooks: [{named}]")


async def command(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """Run ``frontdesk webhooks …`` while the receiver goes on answering."""
    return await asyncio.to_thread(frontdesk, "webhooks", *arguments, cwd=folder)


def config_with(folder: Path, *webhooks: dict[str, object]) -> Config:
    """Return a configuration with these addresses."""
    loaded = config(folder, f"sqlite:///{folder}/frontdesk.db")
    return Config.model_validate({**loaded.model_dump(exclude={"channels"}), "webhooks": list(webhooks)})


# --- test ---


async def test_a_test_says_what_came_back(home: Path, receiver: Answering) -> None:
    """The address took it, without its query, which may be a secret; the body says that it is a test."""
    write(home, f"{receiver.url}?token=hidden")
    result = await command(home, "test")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{receiver.url}: took it (204) in ")
    assert "hidden" not in result.stdout
    assert '"type":"webhook.test"' in receiver.bodies[0]


async def test_a_test_that_fails_says_how_to_mend_it(home: Path, receiver: Answering) -> None:
    """Each address has its lines; the exit status tells a script."""
    write(home, receiver.url, "http://127.0.0.1:9/away")
    receiver.status = 401
    result = await command(home, "test")

    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        f"{receiver.url}: answered 401",
        f"        fix: {FIXES[401]}",
        "http://127.0.0.1:9/away: no connection: ClientConnectorError",
        f"        fix: {UNREACHED_FIX}",
    ]


async def test_a_private_address_is_refused(home: Path, receiver: Answering) -> None:
    """The fix names the key."""
    write(home, receiver.url, private="false")
    result = await command(home, "test")

    assert result.returncode == 1
    assert f"{receiver.url}: the address is not public\n        fix: {PRIVATE_FIX}\n" in result.stdout
    assert receiver.bodies == []


async def test_one_address_can_be_tested_alone(home: Path, receiver: Answering) -> None:
    """One that is not configured has no secret to sign with."""
    write(home, "http://127.0.0.1:9/away", receiver.url)
    alone = await command(home, "test", receiver.url)
    unknown = await command(home, "test", "http://127.0.0.1:9/other")

    assert (alone.returncode, len(receiver.bodies)) == (0, 1)
    assert unknown.returncode == 2
    assert "is none of the addresses in webhooks" in unknown.stderr


async def test_without_addresses_there_is_nothing_to_test(home: Path) -> None:
    """The line says where to add one."""
    write(home)
    result = await command(home, "test")

    assert (result.returncode, result.stdout) == (2, "")
    assert "add one to webhooks" in result.stderr


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (Answer(None, "no answer: TimeoutError"), SLOW_FIX),
        (Answer(None, "no connection: ClientConnectorDNSError"), UNREACHED_FIX),
        (Answer(None, "the address is not public", "not_public"), PRIVATE_FIX),
        (Answer(301), REDIRECTS_FIX),
        (Answer(410), FIXES[410]),
        (Answer(500), OTHER_FIX),
    ],
)
def test_each_failure_has_its_fix(answer: Answer, fix: str) -> None:
    """What a person can do differs."""
    assert fix_of(answer) == fix


async def test_an_address_that_is_back_is_told_things_again(home: Path, receiver: Answering) -> None:
    """Once it takes a test; that it was gone is forgotten."""
    write(home, receiver.url)
    async with Storage(f"sqlite:///{home}/frontdesk.db") as storage, desk(storage, receiver.url):
        await change(storage, "UPDATE receivers SET disabled_at = '2026-11-24 12:00:00'")
    result = await command(home, "test")
    async with Storage(f"sqlite:///{home}/frontdesk.db") as storage:
        [row] = await rows(storage, Receiver)

    assert "is told things again" in result.stdout
    assert row.disabled_at is None


# --- failed, retry ---


async def test_what_failed_is_listed_and_sent_again(home: Path, receiver: Answering) -> None:
    """By its id, or all of it; the list names the receiver's host and what went wrong."""
    write(home, receiver.url)
    database = f"sqlite:///{home}/frontdesk.db"
    nothing = await command(home, "failed")
    async with Storage(database) as storage, desk(storage, receiver.url):
        await wrote(storage, "one", "two")
        await change(storage, "UPDATE hook_deliveries SET status = 'failed', attempts = 8, error = 'answered 500'")
        first, second = [delivery.id for delivery in await rows(storage, HookDelivery)]
    listed = await command(home, "failed")
    one = await command(home, "retry", first)
    again = await command(home, "retry", first)
    rest = await command(home, "retry", "--all")
    async with Storage(database) as storage:
        statuses = {d.id: (d.status, d.attempts) for d in await rows(storage, HookDelivery)}

    assert nothing.stdout == "nothing has failed\n"
    assert [line.split("\t")[:5] for line in listed.stdout.splitlines()] == [
        ["webhook_id", "receiver", "event", "error", "attempts"],
        [first, "127.0.0.1", "message.received", "answered 500", "8"],
        [second, "127.0.0.1", "message.received", "answered 500", "8"],
    ]
    assert (one.stdout, rest.stdout) == ("queued again: 1\n", "queued again: 1\n")
    assert (again.returncode, "has not failed" in again.stderr) == (1, True)
    assert statuses == {first: ("queued", 0), second: ("queued", 0)}


async def test_what_nobody_is_told_any_more_is_not_queued(home: Path, receiver: Answering) -> None:
    """The next serve would drop it: it stays among what has failed, and the command says why."""
    write(home, receiver.url)
    async with Storage(f"sqlite:///{home}/frontdesk.db") as storage:
        async with desk(storage, receiver.url, "http://127.0.0.1:9/left"):
            await wrote(storage, "a1")
        await change(storage, "UPDATE hook_deliveries SET status = 'failed'")
        [left] = [d.id for d in await rows(storage, HookDelivery) if d.receiver_id != receiver_id(receiver)]
        by_id = await command(home, "retry", left, left)
        every = await command(home, "retry", "--all")
        statuses = {d.id == left: d.status for d in await rows(storage, HookDelivery)}

    assert (by_id.returncode, by_id.stdout) == (1, "queued again: 0\n")
    assert "not queued: 1, whose address is not in webhooks any more" in by_id.stderr
    assert (every.returncode, every.stdout) == (1, "queued again: 1\n")
    assert statuses == {True: "failed", False: "queued"}


def receiver_id(receiver: Answering) -> str:
    """Return the id under which the database knows it."""
    [known] = receivers_of([WebhookConfig(url=receiver.url, secret=SECRET)])
    return known.id


@pytest.mark.parametrize("arguments", [(), ("msg_1", "--all")])
async def test_a_retry_names_events_or_means_all(home: Path, arguments: tuple[str, ...]) -> None:
    """Neither and both are misunderstandings."""
    write(home)
    result = await command(home, "retry", *arguments)

    assert result.returncode == 2
    assert "name events, or say --all" in result.stderr


# --- doctor ---


@pytest.mark.parametrize(
    ("webhook", "findings"),
    [
        ({"url": "https://crm.example.com/hook"}, [(False, "is an example's name")]),
        ({"url": "https://10.0.0.1/hook"}, [(False, "is no address of the internet")]),
        ({"url": "https://localhost/hook"}, [(False, "is an example's name")]),
        ({"url": "http://10.0.0.1/hook", "allow_private": True}, [(True, "try it with")]),
        ({"url": "http://crm.corner-garage.dev"}, [(True, "try it with"), (True, "is not encrypted")]),
        ({"url": "https://crm.corner-garage.dev", "secret": "s"}, [(True, "try it with"), (True, "secret is short")]),
    ],
)
async def test_doctor_looks_at_each_address(
    tmp_path: Path, webhook: dict[str, object], findings: list[tuple[bool, str]]
) -> None:
    """Before anything has been told."""
    found = await check_webhooks(config_with(tmp_path, {"secret": SECRET, **webhook}))

    assert [finding.ok for finding in found] == [ok for ok, _ in findings]
    assert all(text in finding.detail for finding, (_, text) in zip(found, findings, strict=True))


@pytest.mark.parametrize(
    ("setting", "ok", "detail"),
    [
        ("failures = 0", True, "; events that wait: 2"),
        ("failures = 5", False, "does not take what it is told; events that wait: 2"),
        ("disabled_at = '2026-11-24 12:00:00'", False, "is gone (410)"),
    ],
)
async def test_doctor_knows_how_a_receiver_does(home: Path, setting: str, ok: bool, detail: str) -> None:
    """From what the workers have noted."""
    url = "https://crm.corner-garage.dev/hook"
    async with Storage(f"sqlite:///{home}/frontdesk.db") as storage, desk(storage, url):
        await wrote(storage, "one", "two")
        await change(storage, f"UPDATE receivers SET {setting}")
    [finding] = await check_webhooks(config_with(home, {"url": url, "secret": SECRET}))

    assert (finding.ok, detail in finding.detail) == (ok, True)


async def test_doctor_counts_what_failed(home: Path) -> None:
    """As a warning, with the command that lists it."""
    url = "https://crm.corner-garage.dev/hook"
    async with Storage(f"sqlite:///{home}/frontdesk.db") as storage, desk(storage, url):
        await wrote(storage, "one")
        await change(storage, "UPDATE hook_deliveries SET status = 'failed'")
    [finding] = await check_webhooks(config_with(home, {"url": url, "secret": SECRET}))

    assert (finding.ok, finding.fix is not None) == (True, True)
    assert "failed events: 1" in finding.detail
