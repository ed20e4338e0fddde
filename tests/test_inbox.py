"""The door and the inbox: what is let in, what is kept, and what a stranger learns."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from channels.twilio.signature import sign
from gateway.storage import Storage
from tests.gateways import NUMBER, TOKEN, WEBHOOK, Caller, caller, gateway, sms_form

TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@pytest.fixture
async def door(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Caller, Storage]]:
    """Open a door on each database; no worker answers behind it."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with gateway(tmp_path, database_url, role="web") as opened, caller(opened.port) as calls:
        yield calls, opened.parts.storage


async def test_message_is_stored_before_its_ack(door: tuple[Caller, Storage]) -> None:
    """The 200 is an empty TwiML document, and when it comes the message is in the database."""
    calls, storage = door
    status, body = await calls.post(sms_form("SM1", "Hello", MessagingServiceSid=""))
    [conversation] = await storage.conversations()
    [message] = await storage.messages(conversation.id or 0)

    assert (status, body) == (200, TWIML)
    assert (message.content, message.external_id, conversation.account) == ("Hello", "SM1", NUMBER)


async def test_same_message_many_times_is_one(door: tuple[Caller, Storage]) -> None:
    """Redeliveries, also all at once, are acknowledged and change nothing."""
    calls, storage = door
    answers = await asyncio.gather(*(calls.post(sms_form("SM1")) for _ in range(20)))
    [conversation] = await storage.conversations()

    assert {status for status, _ in answers} == {200}
    assert conversation.total_messages == 1


@pytest.mark.parametrize("signature", ["", "bm9wZQ==", "ünïcode", "a" * 5000])
async def test_forged_request_learns_nothing(door: tuple[Caller, Storage], signature: str) -> None:
    """A wrong signature is a bare 403, and nothing is stored."""
    calls, storage = door
    answer = await calls.post(sms_form("SM1"), signature=signature)

    assert answer == (403, "")
    assert await storage.conversations() == []


async def test_changed_body_is_forged(door: tuple[Caller, Storage]) -> None:
    """The signature of another form, URL or account does not open the door."""
    calls, storage = door
    other = sign(WEBHOOK, list(sms_form("SM2").items()), TOKEN)
    elsewhere = sign(WEBHOOK + "x", list(sms_form("SM1").items()), TOKEN)
    foreign = sms_form("SM1") | {"AccountSid": "AC" + "9" * 32}

    assert (await calls.post(sms_form("SM1"), signature=other))[0] == 403
    assert (await calls.post(sms_form("SM1"), signature=elsewhere))[0] == 403
    assert (await calls.post(foreign))[0] == 403
    assert await storage.conversations() == []


async def test_unreadable_body_is_kept_whole(door: tuple[Caller, Storage]) -> None:
    """A signed form that the parser cannot read is acknowledged and kept to the byte for a replay."""
    calls, storage = door
    form = {"AccountSid": sms_form("x")["AccountSid"], "Unheard": "of"}
    status, _ = await calls.post(form)
    [kept] = await storage.rejected_webhooks()

    assert status == 200
    assert (kept.channel_name, kept.body, kept.target) == ("sms", urlencode(form).encode(), "/webhooks/sms")
    assert kept.reason


async def test_message_for_no_channel_is_kept(door: tuple[Caller, Storage]) -> None:
    """A message to a number that no channel has is acknowledged and kept: the configuration may be mended."""
    calls, storage = door
    status, body = await calls.post(sms_form("SM1") | {"To": "+15550100077"})
    [kept] = await storage.rejected_webhooks()

    assert (status, body) == (200, TWIML)
    assert b"%2B15550100077" in kept.body
    assert await storage.conversations() == []


async def test_wrong_ways_in(door: tuple[Caller, Storage]) -> None:
    """Unknown channels, oversize bodies and other methods get their status and cost little."""
    calls, storage = door
    async with calls._session.post(f"{calls.base}/webhooks/none", data=b"x") as unknown:
        assert unknown.status == 404
    async with calls._session.post(f"{calls.base}/webhooks/sms", data=io.BytesIO(b"x" * (1024 * 1024 + 1))) as big:
        assert big.status == 413
    assert (await calls.get("/webhooks/sms"))[0] == 403
    assert (await calls.raw(b"\xff\xfe%%%", {"X-Twilio-Signature": "x"}))[0] == 403

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"y" * 65536

    async with calls._session.post(f"{calls.base}/webhooks/sms", data=endless()) as large:
        assert large.status == 413
    assert await storage.conversations() == []


async def test_status_of_nothing_is_acknowledged(door: tuple[Caller, Storage]) -> None:
    """A report about a message that is not ours is 204 and counted."""
    calls, _ = door
    form = {"MessageSid": "SM404", "MessageStatus": "delivered", "AccountSid": sms_form("x")["AccountSid"]}
    status, body = await calls.post(form | {"To": "+1", "From": NUMBER})
    _, numbers = await calls.get("/metrics")

    assert (status, body) == (204, "")
    assert "frontdesk_statuses_unknown_total 1.0" in numbers


async def test_health_pages(door: tuple[Caller, Storage]) -> None:
    """The process lives, is ready, and shows its numbers."""
    calls, _ = door
    await calls.post(sms_form("SM1"))
    live, ready, numbers = [await calls.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert (live[0], ready[0]) == (200, 200)
    assert 'frontdesk_webhooks_total{channel="sms",status="200"} 1.0' in numbers[1]
    assert 'frontdesk_backlog{what="due"} 1.0' in numbers[1]
