"""The world around a gateway: the stand-ins of Twilio, Meta and OpenAI, served on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestServer

from gateway.config import BusinessConfig
from gateway.sandbox.meta import MetaStandIn
from gateway.sandbox.openai import OpenAIStandIn
from gateway.sandbox.receptionist import Heard, Said
from gateway.sandbox.twilio import TwilioStandIn
from tests.gateways import ACCOUNT, NUMBER, PUBLIC_URL, TOKEN, WEBHOOK

APP_SECRET, VERIFY_TOKEN, META_TOKEN = "app-secret", "verify-me", "meta-token"
PAGES = ("100000000000001", "100000000000003")
NUMBERS = ("200000000000001", "200000000000003")
META_CHANNELS = """
  messenger: {{type: messenger, page_id: "{pages[0]}", page_access_token: {token}, {app}}}
  page2: {{type: messenger, page_id: "{pages[1]}", page_access_token: {token}, {app}}}
  whatsapp: {{type: whatsapp, phone_number_id: "{numbers[0]}", access_token: {token}, {app}{more}}}
  number2: {{type: whatsapp, phone_number_id: "{numbers[1]}", access_token: {token}, {app}}}
"""


class Echo:
    """A model whose answer names exactly the messages that it answers."""

    def respond(self, heard: Heard) -> Said:
        """Repeat the customer's words."""
        return Said("re: " + " + ".join(heard.waiting))


@dataclass(slots=True)
class World:
    """The stand-ins, and where they are."""

    twilio: TwilioStandIn
    meta: MetaStandIn
    openai: OpenAIStandIn
    platform: str
    graph: str
    model: str
    more_lines: dict[str, Any] = field(default_factory=dict)
    """Those of further channels, by their names."""

    def line(self, channel_name: str | None) -> Any:
        """Return the customers' side of a channel."""
        lines = {"messenger": self.meta.messenger, "whatsapp": self.meta.whatsapp, **self.more_lines}
        return lines.get(channel_name or "", self.twilio)

    @property
    def addresses(self) -> dict[str, Any]:
        """Return what a gateway's configuration needs."""
        return {"platform": self.platform, "model": self.model}

    def every_channel(self, more: str = "", coalesce_s: int = 0) -> dict[str, Any]:
        """Return what the configuration of a gateway on all platforms needs; ``more`` is added to the first number."""
        app = (
            f"app_secret: {APP_SECRET}, verify_token: {VERIFY_TOKEN}, api_base: '{self.graph}', rate_per_s: 1000, "
            f"coalesce_s: {coalesce_s}"
        )
        channels = META_CHANNELS.format(pages=PAGES, numbers=NUMBERS, token=META_TOKEN, app=app, more=more)
        return {**self.addresses, "more_channels": channels.strip("\n")}

    def open_door(self, port: int) -> None:
        """Let the platforms' webhooks go to a gateway."""
        self.twilio.webhooks.door = self.meta.webhooks.door = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def world(*, echo: bool = True) -> AsyncIterator[World]:
    """Serve the stand-ins."""
    twilio = TwilioStandIn(ACCOUNT, TOKEN, number=NUMBER, webhook_url=f"{WEBHOOK}#rc=5&rp=all")
    meta = MetaStandIn(
        APP_SECRET,
        verify_token=VERIFY_TOKEN,
        pages=dict.fromkeys(PAGES, META_TOKEN),
        numbers=dict.fromkeys(NUMBERS, META_TOKEN),
        messenger_url=f"{PUBLIC_URL}/webhooks/messenger",
        whatsapp_url=f"{PUBLIC_URL}/webhooks/whatsapp",
    )
    openai = OpenAIStandIn(BusinessConfig(), mind=Echo() if echo else None)
    async with (
        TestServer(twilio.app()) as platform,
        TestServer(meta.app()) as graph,
        TestServer(openai.app()) as model,
    ):
        twilio.url, meta.url = f"http://127.0.0.1:{platform.port}", f"http://127.0.0.1:{graph.port}"
        yield World(twilio, meta, openai, twilio.url, meta.url, f"http://127.0.0.1:{model.port}")
