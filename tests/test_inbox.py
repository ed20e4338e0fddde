"""The door and the inbox: what is let in, what is kept, and what a stranger learns."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from channels.base import Event, Inbound, Parsed, Reply, Request
from channels.twilio.signature import sign
from gateway.bus import open_bus
from gateway.clock import utc_now
from gateway.contents import Contents
from gateway.inbox import Inbox
from gateway.media import MediaStore
from gateway.metrics import Metrics
from gateway.reader import Readers
from gateway.segment import Arrival
from gateway.spool import Spool
from gateway.storage import Storage
from gateway.storage.engine import make_engine
from gateway.tasks import end
from tests.gateways import NUMBER, TOKEN, WEBHOOK, Caller, caller, gateway, sms_form
from tests.loopback import LoopbackChannel, roster_of

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


# --- what cannot be read, or not be stored ---


class BreakingChannel(LoopbackChannel):
    """Its parser breaks on some bodies, its routing on others."""

    def parse(self, request: Request) -> Parsed:
        """Tell the body as a message."""
        if request.body == b"breaks parse":
            raise KeyError(request.body.decode())
        text = request.body.decode()
        return Parsed((Inbound(self.name, "+1555", text, text=text),), Reply())

    def owns(self, event: Event) -> bool:
        """Break on what one may never break on."""
        if isinstance(event, Inbound) and event.text == "breaks owns":
            raise ZeroDivisionError(event.text)
        return True

    @property
    def account(self) -> str:
        """Have none: it is found by what it owns."""
        return ""

    @account.setter
    def account(self, _: str) -> None:
        pass


def asked(body: str) -> Request:
    """Build a signed webhook."""
    return Request("POST", "/webhooks/sms", (("X-Signed", "yes"),), body.encode())


@asynccontextmanager
async def inbox_of(storage: Storage, spool: Spool, *channels: LoopbackChannel) -> AsyncIterator[Inbox]:
    """Run an inbox that drains."""
    readers = Readers()
    contents = Contents(readers, MediaStore(spool.bodies.parent / "media"))
    inbox = Inbox(
        storage, spool, roster_of(*channels), open_bus(None), Metrics(), utc_now, contents, answer_while_waiting=True
    )
    draining = asyncio.create_task(inbox.drain_forever())
    yield inbox
    assert not draining.done()
    await end((draining,))
    await spool.close()
    await readers.close()


async def texts(storage: Storage, *, until: str) -> list[str]:
    """Wait for a message and return all there are, in their order."""
    async with asyncio.timeout(10):
        while True:
            rows = [row for c in await storage.conversations() for row in await storage.messages(c.id or 0)]
            if until in [row.content for row in rows]:
                return [row.content for row in rows]
            await asyncio.sleep(0.01)


BROKEN = {"breaks parse": "KeyError", "breaks owns": "ZeroDivisionError"}


@pytest.mark.parametrize("body", BROKEN)
async def test_webhook_that_breaks_its_reader_is_kept_whole(storage: Storage, tmp_path: Path, body: str) -> None:
    """What makes the reader fail in a way that nobody foresaw is acknowledged, kept, counted and logged by its kind."""
    spool = Spool(tmp_path / "spool", 1_000_000)
    channel = BreakingChannel("sms")
    async with inbox_of(storage, spool, channel) as inbox:
        with capture_logs() as logs:
            reply = await inbox.receive(channel, asked(body))
        [kept] = await storage.rejected_webhooks()
        told = inbox._metrics.rejected.labels("sms", "unreadable")._value.get()

    assert reply.status == 200
    assert (kept.body, kept.reason) == (body.encode(), f"reading it failed: {BROKEN[body]}")
    assert told == 1
    assert [(line["event"], line["error"]) for line in logs] == [("webhook_broke_its_reader", BROKEN[body])]


async def test_spooled_webhook_that_breaks_its_reader_blocks_nothing(storage: Storage, tmp_path: Path) -> None:
    """The drain keeps what it cannot read and goes on with what is behind it."""
    spool = Spool(tmp_path / "spool", 1_000_000)
    for body in (*BROKEN, "behind"):
        await spool.append(Arrival("sms", asked(body), utc_now()))
    async with inbox_of(storage, spool, BreakingChannel("sms")):
        found = await texts(storage, until="behind")
        kept = [row.body.decode() for row in await storage.rejected_webhooks()]

    assert found == ["behind"]
    assert kept == list(BROKEN)
    assert not spool.active


async def refuse(database_url: str, table: str, condition: str) -> None:
    """Let the database refuse rows for what they hold."""
    engine = make_engine(database_url)
    async with engine.begin() as connection:
        if database_url.startswith("sqlite"):
            refusal = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        else:
            function = "BEGIN RAISE EXCEPTION 'refused'; END"
            await connection.exec_driver_sql(
                f"CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {function} $$"
            )
            refusal = "EXECUTE FUNCTION refuse()"
        await connection.exec_driver_sql(
            f"CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) {refusal}"
        )
    await engine.dispose()


@pytest.mark.parametrize("refused", ["events", "everything"])
async def test_what_the_database_refuses_blocks_nothing(
    storage: Storage, database_url: str, tmp_path: Path, refused: str
) -> None:
    """Events that the database will not take are kept whole there, or, where that is refused too, beside the spool."""
    await refuse(database_url, "conversation_messages", "NEW.content = 'poison'")
    if refused == "everything":
        await refuse(database_url, "rejected_webhooks", "NEW.channel_name = 'sms'")
    spool = Spool(tmp_path / "spool", 1_000_000)
    channel = BreakingChannel("sms")
    for body in ("before", "poison", "behind"):
        await spool.append(Arrival("sms", asked(body), utc_now()))
    async with inbox_of(storage, spool, channel) as inbox:
        found = await texts(storage, until="behind")
        async with asyncio.timeout(10):
            while spool.active:
                await asyncio.sleep(0.01)
        at_door = await inbox.receive(channel, asked("poison"))
        kept = [row.body for row in await storage.rejected_webhooks()]
    aside = tmp_path / "spool" / "rejected"
    written = aside.read_bytes().count(base64.b64encode(b"poison")) if aside.exists() else 0

    assert found == ["before", "behind"]
    assert at_door.status == 200
    assert (kept, written) == (([b"poison"] * 2, 0) if refused == "events" else ([], 2))
