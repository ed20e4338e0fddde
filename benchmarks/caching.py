"""How much of a conversation's prompts the provider's prefix cache can keep: its layout, measured on the stand-in."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from aiohttp.test_utils import TestServer

from gateway.assistant.parts import open_parts
from gateway.config import BusinessConfig, load
from gateway.sandbox.openai import API_KEY, OpenAIStandIn

CUSTOMER_MESSAGES = 15  # with their answers 30 messages
BUSINESS = {
    "name": "Example Plumbing",
    "phone": "+15550100000",
    "timezone": "America/Detroit",
    "hours": dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "09:00-17:00"),
    "services": [{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    "faq": [{"question": "Do you come on weekends?", "answer": "Only in an emergency."}],
}
CONFIG = """
server: {{public_url: "https://chat.example.com"}}
database: {{url: "sqlite:///{folder}/frontdesk.db"}}
data: {{dir: "{folder}/data"}}
assistant: {{api_key: {key}, base_url: "{url}", api: {api}}}
business: {business}
channels: {{}}
"""
ASKED = (
    "Hello, my kitchen tap drips and I do not know what to do about it.",
    "When are you open this week?",
    "What services do you offer, and how long do they take?",
    "Do you come on weekends?",
    "What is your phone number?",
)


async def measure() -> list[tuple[str, str]]:
    """Hold the conversation with each API and return the shares."""
    return [
        (f"prefix cache, {2 * CUSTOMER_MESSAGES} messages, {api}", await _share(api)) for api in ("responses", "chat")
    ]


async def _share(api: str) -> str:
    stand_in = OpenAIStandIn(BusinessConfig(**BUSINESS))
    with tempfile.TemporaryDirectory(prefix="frontdesk-bench-") as name:
        async with TestServer(stand_in.app()) as server:
            path = Path(name) / "config.yaml"
            text = CONFIG.format(
                folder=name, key=API_KEY, url=str(server.make_url("/v1")), api=api, business=json.dumps(BUSINESS)
            )
            path.write_text(text)
            async with open_parts(load(path, {})) as parts:
                await parts.storage.migrate()
                for n in range(CUSTOMER_MESSAGES):
                    await parts.service.send_message("c", ASKED[n % len(ASKED)])
                await parts.summaries.settle()
    tally = stand_in.tally
    return (
        f"{tally.cached_share:.0%} of {tally.given:,} given tokens would be billed as cached "
        f"({tally.requests} calls, the first and {tally.requests - CUSTOMER_MESSAGES} summaries included)"
    )
