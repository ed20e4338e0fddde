"""Whole gateways for tests: a configuration file, the real door, and signed webhooks to post to it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from channels.twilio.signature import sign
from gateway.app import Gateway, Role, open_gateway
from gateway.config import Config, load

ACCOUNT = "AC" + "1" * 32
TOKEN = "an auth token"
NUMBER = "+15550100001"
BUSINESS = {"name": "Corner Garage", "phone": "+15550100000"}
PUBLIC_URL = "https://chat.example.com"
WEBHOOK = f"{PUBLIC_URL}/webhooks/sms"

CONFIG = """
server: {{host: 127.0.0.1, port: {port}, public_url: "{public_url}", max_body_mb: 1}}
database: {{url: "{database}"}}
redis: {{url: {redis}}}
data: {{dir: "{folder}", spool_max_mb: {spool_max_mb}}}
turns: {{concurrency: 32}}
outbox: {{confirm_wait_s: {confirm_wait_s}}}
assistant: {{api_key: sk-sandbox, base_url: "{model}/v1", api: {api}, timeout_s: {timeout_s}{assistant_more}}}
business: {business}
channels:
  sms: {{type: twilio, account_sid: {account}, auth_token: "{token}", from: "{number}", coalesce_s: {coalesce_s},
         rate_per_s: 1000, api_base: "{platform}"}}
{more_channels}
"""
DEFAULTS: Mapping[str, Any] = {
    "port": 0,
    "public_url": PUBLIC_URL,
    "redis": "null",
    "spool_max_mb": 64,
    "confirm_wait_s": 1,
    "model": "http://127.0.0.1:9",  # nobody listens on the discard port
    "platform": "http://127.0.0.1:9",
    "api": "responses",
    "timeout_s": 5,
    "business": json.dumps(BUSINESS),
    "account": ACCOUNT,
    "token": TOKEN,
    "number": NUMBER,
    "coalesce_s": 0,
    "assistant_more": "",
    "more_channels": "",
}


def write_config(folder: Path, database: str, **settings: Any) -> Path:
    """Write a configuration file and return its path."""
    path = folder / "config.yaml"
    values = {**DEFAULTS, "database": database, "folder": folder / "data", **settings}
    path.write_text(textwrap.dedent(CONFIG).format(**values))
    return path


def config(folder: Path, database: str, **settings: Any) -> Config:
    """Return a loaded configuration."""
    return load(write_config(folder, database, **settings), {})


@asynccontextmanager
async def gateway(folder: Path, database: str, *, role: Role = "all", **settings: Any) -> AsyncIterator[Gateway]:
    """Run a whole gateway in this process."""
    async with open_gateway(config(folder, database, **settings), role) as opened:
        yield opened


def sms_form(sid: str, text: str = "Hello", sender: str = "+15550109999", **more: str) -> dict[str, str]:
    """Build the form of an inbound SMS."""
    return {
        "ToCountry": "US",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "SmsSid": sid,
        "SmsStatus": "received",
        "Body": text,
        "To": NUMBER,
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "NumSegments": "1",
        "From": sender,
        "ApiVersion": "2010-04-01",
        **more,
    }


class Caller:
    """Posts to a door as Twilio does."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self.base = f"http://127.0.0.1:{port}"

    async def post(self, form: Mapping[str, str], *, query: str = "", signature: str | None = None) -> tuple[int, str]:
        """Post a signed form; returns the status and the body."""
        body = urlencode(form)
        signed = sign(WEBHOOK + query, list(form.items()), TOKEN) if signature is None else signature
        return await self.raw(body.encode(), {"X-Twilio-Signature": signed}, query)

    async def raw(self, body: bytes, headers: Mapping[str, str], query: str = "") -> tuple[int, str]:
        """Post any bytes."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        async with self._session.post(f"{self.base}/webhooks/sms{query}", data=body, headers=sent) as response:
            return response.status, await response.text()

    async def get(self, path: str) -> tuple[int, str]:
        """Get a page."""
        async with self._session.get(self.base + path) as response:
            return response.status, await response.text()


@asynccontextmanager
async def caller(port: int) -> AsyncIterator[Caller]:
    """Open a caller."""
    async with aiohttp.ClientSession() as session:
        yield Caller(session, port)
