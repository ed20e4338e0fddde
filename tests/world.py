"""The world around a gateway: Twilio's and OpenAI's stand-ins, served on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp.test_utils import TestServer

from gateway.config import BusinessConfig
from gateway.sandbox.openai import OpenAIStandIn
from gateway.sandbox.receptionist import Said
from gateway.sandbox.twilio import TwilioStandIn
from tests.gateways import ACCOUNT, NUMBER, TOKEN, WEBHOOK


class Echo:
    """A model whose answer names exactly the messages that it answers."""

    def respond(self, user_texts: Sequence[str], tools: Sequence[str] = (), tool_outputs: Sequence[str] = ()) -> Said:
        """Repeat the customer's words."""
        return Said("re: " + " + ".join(user_texts))


@dataclass(slots=True)
class World:
    """Both stand-ins, and where they are."""

    twilio: TwilioStandIn
    openai: OpenAIStandIn
    platform: str
    model: str

    @property
    def addresses(self) -> dict[str, Any]:
        """Return what a gateway's configuration needs."""
        return {"platform": self.platform, "model": self.model}

    def open_door(self, port: int) -> None:
        """Let Twilio's webhooks go to a gateway."""
        self.twilio.webhooks.door = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def world(*, echo: bool = True) -> AsyncIterator[World]:
    """Serve the stand-ins."""
    twilio = TwilioStandIn(ACCOUNT, TOKEN, number=NUMBER, webhook_url=f"{WEBHOOK}#rc=5&rp=all")
    openai = OpenAIStandIn(BusinessConfig(), mind=Echo() if echo else None)
    async with TestServer(twilio.app()) as platform, TestServer(openai.app()) as model:
        twilio.url = f"http://127.0.0.1:{platform.port}"
        yield World(twilio, openai, twilio.url, f"http://127.0.0.1:{model.port}")
