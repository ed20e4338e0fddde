"""Mail: how many a second come in through the door, and how long the loop waits while hostile ones are read."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from channels.base import ChannelContext, Request
from channels.email.channel import EmailChannel
from channels.email.envelope import RAW
from channels.http import Http
from gateway.bus import open_bus
from gateway.clock import utc_now
from gateway.config import ChannelConfig
from gateway.contents import Contents
from gateway.inbox import Inbox
from gateway.media import MediaStore
from gateway.metrics import Metrics
from gateway.reader import Readers
from gateway.roster import Roster
from gateway.spool import Spool
from gateway.storage import OpenChannels, Storage

MAILS = 1500
AT_ONCE = 64
SECTION = {
    "address": "help@example.com",
    "listen": {"port": 0},
    "smtp": {"host": "127.0.0.1"},
    "token_secret": "bench",
}
TEXT = "\r\n".join(f"> line {n} of what is quoted" for n in range(40))
HEAD = b"From: c%d@example.org\r\nTo: help@example.com\r\nSubject: Re: Roof %d\r\nMessage-ID: <%d.%d@example.org>\r\n"
BOMBS = {
    "1 MB subject": b"Subject: " + b"=?utf-8?q?a?= " * 70_000 + b"\r\n\r\nhi\r\n",
    "100,000 nested divs": b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000 + b"hi",
    "10,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nhi\r\n" * 10_000,
    "4,000 newlines": b"\r\n" + b"\r\n" * 4_000 + b"hi\r\n",
    "25 MB of base64": b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 6_500_000,
}


async def mail(rows: dict[str, str], folder: Path) -> None:
    """Measure both, on SQLite."""
    channel = EmailChannel.build(SECTION, ChannelContext("support", "https://x.example/webhooks/support", Http()))
    config = ChannelConfig(name="support", type="email", settings=SECTION)
    roster, readers = Roster([(channel, config)]), Readers()
    async with Storage(f"sqlite:///{folder}/mail.db") as storage:
        await storage.migrate()
        await storage.run(OpenChannels(roster.names))
        spool = Spool(folder / "mail-spool", 0)
        contents = Contents(readers, MediaStore(folder / "mail-media"))
        inbox = Inbox(storage, spool, roster, open_bus(None), Metrics(), utc_now, contents, answer_while_waiting=True)
        await inbox.take(channel, _mail(0, 0))  # the processes are started by the first
        rows["mails/s, read in a process, with their originals on disk"] = f"{await _rate(inbox, channel):,.0f}"
        rows["hostile mail: the longest, and the loop's longest wait"] = await _hostile(inbox, channel)
    await readers.close()


async def _rate(inbox: Inbox, channel: EmailChannel) -> float:
    numbers = iter(range(1, MAILS + 1))

    async def post() -> None:
        for number in numbers:
            await inbox.take(channel, _mail(number, number % 100))

    started = time.perf_counter()
    await asyncio.gather(*(post() for _ in range(AT_ONCE)))
    return MAILS / (time.perf_counter() - started)


async def _hostile(inbox: Inbox, channel: EmailChannel) -> str:
    took_s: dict[str, float] = {}
    stop = asyncio.Event()
    waiting = asyncio.create_task(_longest_wait_s(stop))
    for number, (name, bomb) in enumerate(BOMBS.items()):
        head = HEAD % (number, number, number, time.time_ns())
        started = time.perf_counter()
        await inbox.take(channel, Request("POST", "smtp:", (("Content-Type", RAW),), head + bomb))
        took_s[name] = time.perf_counter() - started
    stop.set()
    name = max(took_s, key=lambda one: took_s[one])
    return f"{name} {took_s[name] * 1000:.0f} ms; {await waiting * 1000:.0f} ms"


async def _longest_wait_s(stop: asyncio.Event) -> float:
    """Return by how much a sleep of a millisecond was late at most."""
    longest_s = 0.0
    while not stop.is_set():
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        longest_s = max(longest_s, time.perf_counter() - started - 0.001)
    return longest_s


def _mail(number: int, customer: int) -> Request:
    raw = HEAD % (customer, customer, number, customer) + f"\r\nThursday is fine.\r\n\r\n{TEXT}\r\n".encode()
    return Request("POST", "smtp:", (("Content-Type", RAW),), raw)
