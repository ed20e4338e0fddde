"""The largest body that Meta posts: a thousand messages, read and committed as one."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from channels.base import ChannelContext, Request
from channels.http import Http
from channels.whatsapp.channel import WhatsAppChannel
from gateway.storage import Accept, Incoming, Storage

UPDATES = 1000
CUSTOMERS = 100
TEXT = "x" * 2700  # a body of close to 3 MB, the largest that is documented
SETTINGS = {"phone_number_id": "1", "access_token": "t", "app_secret": "s", "verify_token": "v"}


def body() -> bytes:
    """Make the body."""
    messages = [
        {
            "from": f"1555{n % CUSTOMERS:07d}",
            "from_user_id": f"US.{n % CUSTOMERS:020d}",
            "id": f"wamid.{n}",
            "timestamp": "1763800000",
            "type": "text",
            "text": {"body": TEXT},
        }
        for n in range(UPDATES)
    ]
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, "messages": messages}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def batch(rows: dict[str, str], folder: Path) -> None:
    """Measure reading it, which is done on the event loop, and committing it on SQLite."""
    channel = WhatsAppChannel.build(SETTINGS, ChannelContext("whatsapp", "https://x.example/webhooks/whatsapp", Http()))
    request = Request("POST", "/webhooks/whatsapp", (), body())
    started = time.perf_counter()
    parsed = channel.parse(request)
    read_ms = (time.perf_counter() - started) * 1000
    async with Storage(f"sqlite:///{folder}/batch.db") as storage:
        await storage.migrate()
        incoming = tuple(Incoming("whatsapp", "whatsapp", event) for event in parsed.events)
        started = time.perf_counter()
        accepted = await storage.run(Accept(incoming, datetime.now(UTC)))
        stored_ms = (time.perf_counter() - started) * 1000
    size_mb = len(request.body) / 1_000_000
    rows["1000 updates in one post"] = (
        f"{size_mb:.1f} MB read in {read_ms:.0f} ms, {accepted.messages} messages committed in {stored_ms:.0f} ms"
    )
