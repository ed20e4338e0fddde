"""The client: signed webhooks over kept-alive connections, as plain as possible, the same for every server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from channels.twilio.signature import sign

ACCOUNT = "AC" + "1" * 32
TOKEN = "benchmark-token"
NUMBER = "+15550100001"
PUBLIC_URL = "https://bench.example.com"


def webhook(n: int, sender: str) -> bytes:
    """Build one signed webhook as the bytes that go over the wire."""
    form = {
        "ToCountry": "US",
        "SmsMessageSid": f"SM{n:032x}",
        "NumMedia": "0",
        "SmsSid": f"SM{n:032x}",
        "SmsStatus": "received",
        "Body": "When are you open on Friday?",
        "FromCountry": "US",
        "To": NUMBER,
        "MessageSid": f"SM{n:032x}",
        "AccountSid": ACCOUNT,
        "NumSegments": "1",
        "From": sender,
        "ApiVersion": "2010-04-01",
    }
    body = urlencode(form).encode()
    signature = sign(f"{PUBLIC_URL}/webhooks/sms", list(form.items()), TOKEN)
    head = (
        f"POST /webhooks/sms HTTP/1.1\r\nHost: bench\r\nX-Twilio-Signature: {signature}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load."""

    requests: int
    seconds: float
    latencies_s: Sequence[float]
    acked_at_s: Sequence[float]
    """When each status line was read, by ``time.perf_counter``."""
    statuses: Sequence[int]

    @property
    def per_s(self) -> float:
        """Answered requests a second."""
        return self.requests / self.seconds


async def post_all(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send requests over some connections, each waiting for its answer before the next."""
    waiting = list(reversed(requests))
    latencies: list[float] = []
    acked_at: list[float] = []
    statuses: list[int] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            request = waiting.pop()
            started = time.perf_counter()
            writer.write(request)
            status, at_s = await _read_answer(reader)
            statuses.append(status)
            acked_at.append(at_s)
            latencies.append(time.perf_counter() - started)
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    return Load(len(requests), time.perf_counter() - started, latencies, acked_at, statuses)


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, float]:
    """Read an answer whole, and return its status and when that was read."""
    first = await reader.readuntil(b"\r\n")
    at_s = time.perf_counter()
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if length:
        await reader.readexactly(length)
    return int(first.split(b" ", 2)[1]), at_s
