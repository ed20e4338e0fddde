"""The whole way: a customer writes to a gateway, and programs of the business's own learn what came of it."""

from __future__ import annotations

import asyncio
import csv
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from gateway.hooks.payloads import write
from gateway.hooks.signing import key_of, sign
from gateway.storage import Close, LeadFacts, OpenReceivers, RunEffect, SaveLead, Storage
from tests.frontdesk import DEADLINE_S, ROOT, environment
from tests.gateways import caller, gateway, sms_form
from tests.test_hooks_delivery import SECRET, crm
from tests.test_hooks_events import events
from tests.test_storage_accept import NOW
from tests.test_storage_effects import place, turns_of
from tests.world import world

EXAMPLE = ROOT / "docs" / "examples" / "leads_to_csv.py"
CUSTOMER = "+15550109999"


def webhooks(*urls: str) -> str:
    """Return lines of a configuration that name these receivers; they stand behind the channels."""
    named = ", ".join(f"{{url: '{url}', secret: {SECRET}, allow_private: true}}" for url in urls)
    return f"\nwebhooks: [{named}]"


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_conversation_is_followed_from_outside(database_url: str, tmp_path: Path) -> None:
    """A question and its answer arrive in order, each once, while another receiver is away."""
    async with world() as around, crm() as receiver, Storage(database_url) as storage:
        if not storage.is_sqlite:
            await storage.migrate()
        more = webhooks("http://127.0.0.1:9/away", receiver.url)
        async with gateway(tmp_path, database_url, more_channels=more, **around.addresses) as opened:
            around.open_door(opened.port)
            async with caller(opened.port) as twilio:
                for n in range(3):
                    await twilio.post(sms_form(f"SM{n}", str(n), sender=CUSTOMER))
                    await until(lambda count=2 * n + 2: len(receiver.heard) == count)  # type: ignore[misc]

    assert receiver.heard == [pair for n in range(3) for pair in ((CUSTOMER, str(n)), (None, f"re: {n}"))]


# --- the example ---


@contextmanager
def example(file: Path) -> Iterator[str]:
    """Run the example as its documentation says, and give its address."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--port", "0", "--file", str(file)],
        env=environment(LEADS_SECRET=SECRET),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
            assert found, line
            yield f"http://{found[1]}/"
        finally:
            process.terminate()
            process.wait(timeout=DEADLINE_S)


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


async def told(tmp_path: Path) -> list[bytes]:
    """Return the bodies of a lead that is made and then told more of, as the operations write them."""
    async with Storage(f"sqlite:///{tmp_path}/leads.db") as storage:
        await storage.migrate()
        await storage.run(OpenReceivers((("csv", ("lead.created", "lead.updated", "conversation.closed")),)))
        [turn] = await turns_of(storage, CUSTOMER)
        for call, facts in enumerate((LeadFacts(name="=1+1", phone=CUSTOMER), LeadFacts(notes='Says "soon",\nor so'))):
            at = NOW if not call else datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)
            await storage.run(RunEffect(place(turn, call), SaveLead(facts, "sms", at), at))
        await storage.run(Close(turn.conversation_id, NOW))
        return [write(event.type, event.created_at, event.payload or {}) for event in await events(storage)]


async def post(url: str, content: bytes, *, at: float | None = None, **headers: str) -> int:
    """Post a signed body, and return the status."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    signed = {**sign(key_of(SECRET), "msg_1", moment, content), **headers}
    async with aiohttp.ClientSession() as session, session.post(url, data=content, headers=signed) as response:
        return response.status


async def test_the_example_follows_leads_into_a_file(tmp_path: Path) -> None:
    """One row a lead, however often and in whatever order its events come; a customer's words are no formula."""
    created, updated, closed = await told(tmp_path)
    file = tmp_path / "leads.csv"
    with example(file) as url:
        statuses = [await post(url, content) for content in (created, created, updated, created, closed)]
    [row] = read(file)

    assert statuses == [204] * 5
    assert (row["name"], row["phone"], row["notes"]) == ("'=1+1", CUSTOMER, 'Says "soon",\nor so')
    assert row["updated_at"] == "2026-11-24T12:00:00.500000Z"


async def test_the_example_takes_nothing_from_strangers(tmp_path: Path) -> None:
    """What is not signed, was signed long ago, or is too long is refused, and the file is not made."""
    created, *_ = await told(tmp_path)
    file = tmp_path / "leads.csv"
    with example(file) as url:
        statuses = [
            await post(url, created, **{"webhook-signature": "v1,AAAA"}),
            await post(url, created, **{"webhook-id": "msg_2"}),
            await post(url, created, at=time.time() - 3600),
            await post(url, b"x" * 1_000_001),
        ]

    assert statuses == [401, 401, 401, 413]
    assert not file.exists()


async def test_the_example_is_told_by_a_gateway(tmp_path: Path) -> None:
    """What a customer leaves while a gateway runs stands in the file a moment later."""
    file = tmp_path / "leads.csv"
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with world(echo=False) as around:
        with example(file) as url:
            async with gateway(tmp_path, database, more_channels=webhooks(url), **around.addresses) as opened:
                around.open_door(opened.port)
                text = "Please call me back. My e-mail is customer@example.com"
                async with caller(opened.port) as twilio:
                    await twilio.post(sms_form("SM1", text, sender=CUSTOMER))
                await until(file.exists)
        [row] = read(file)

    assert (row["phone"], row["email"], row["source"]) == (CUSTOMER, "customer@example.com", "sms")
