"""What the tests of the model share: a stand-in for OpenAI's server, and a model that asks it by each API."""

from __future__ import annotations

from contextlib import asynccontextmanager

from gateway.assistant.model import (
    Line,
    Prompt,
    ToolSpec,
)
from gateway.assistant.models import build_model
from gateway.assistant.server import Patience
from gateway.config import AssistantConfig, BusinessConfig
from gateway.sandbox.openai import API_KEY, OpenAIStandIn

BUSINESS = BusinessConfig(
    name="Lakeside Plumbing",
    phone=None,
    timezone="America/Detroit",
    hours={"mon": "09:00-17:00"},
    holidays=[],
    services=[{"name": "Repair", "minutes": 120}],
    faq=[],
    languages=["en"],
)
HELLO = "Hello, this is Lakeside Plumbing. How can I help you?"
PROMPT = Prompt("You are a receptionist.", (Line("user", "Hi"),))
BOOK = ToolSpec(
    "book",
    "Book a time.",
    {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
)
FAST = Patience(timeout_s=10, deadline_s=20, backoff_s=0.001)
LUNA = "gpt-6-luna"
APIS = ("responses", "chat")


async def serve(aiohttp_server):
    """Start a stand-in that also serves two models of no known family."""
    stand_in = OpenAIStandIn(BUSINESS)
    stand_in.models |= {"llama4": None, "gpt-4o": "2027-01-14"}
    server = await aiohttp_server(stand_in.app())
    stand_in.url = str(server.make_url("/v1"))
    return stand_in


@asynccontextmanager
async def models(standin, api):
    """Give a function that builds models which ask the stand-in, and close them all."""
    built = []

    def build(patience=FAST, **settings):
        given = {"base_url": standin.url, "api": api, "api_key": API_KEY, "model": LUNA}
        built.append(build_model(AssistantConfig(**given | settings), patience))
        return built[-1]

    yield build
    for model in built:
        await model.close()


def sent(standin, number=-1):
    return standin.requests[number].body


def items(body):
    return body.get("input") or body["messages"][1:]


def effort(body):
    return body.get("reasoning_effort") or body.get("reasoning", {}).get("effort")


def cap(body):
    return body.get("max_output_tokens") or body.get("max_completion_tokens") or body.get("max_tokens")
