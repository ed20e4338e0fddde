"""What the two APIs of an OpenAI-compatible server have in common."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gateway.assistant.model import Image, ModelMisconfigured, Prompt, ToolCall, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI  # the SDK takes most of a second to import: only the first call needs it


R = TypeVar("R")
MAX_TOKENS = 2**31 - 1
"""What the database counts tokens in."""


def tokens(count: object) -> int:
    """Return a server's count of tokens, or 0 where it is none."""
    return min(max(count, 0), MAX_TOKENS) if isinstance(count, int) else 0


def arguments_text(arguments: object) -> str:
    """Return a call's arguments as the text that they have to be; some servers write them as an object."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def read_answer(read: Callable[[R], Answer], response: R) -> Answer:
    """Read a server's answer; the SDK takes any JSON for one.

    Raises:
        ModelMisconfigured: it is not shaped as the API's are.
    """
    try:
        answer = read(response)
        texts = [answer.text, *(text for call in answer.calls for text in (call.call_id, call.name, call.arguments))]
        if all(isinstance(text, str) for text in texts):
            return answer
    except (TypeError, AttributeError, KeyError, ValueError):
        pass  # what it says may be the customer's words
    raise ModelMisconfigured("the server's answer is not shaped as the API's: check assistant.base_url")


@dataclass(frozen=True, slots=True)
class Ask:
    """How one call is made."""

    model: str
    effort: str | None
    verbosity: str | None
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, in words that both APIs share."""

    text: str
    calls: tuple[ToolCall, ...]
    items: tuple[Mapping[str, Any], ...]
    usage: Usage
    model: str
    request_id: str | None
    refused: bool = False


class Api(Protocol):
    """One of the two ways to ask."""

    def request(self, prompt: Prompt, ask: Ask) -> dict[str, Any]:
        """Return the arguments of the call; pure."""

    async def send(self, client: AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        """Call and read the answer.

        Raises:
            openai.APIError: as the SDK raises it.
            ModelError: where a 200 carries a failure.
        """

    def sent(self, request: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Return the effort and the verbosity that a request carries."""


# A server refuses every further request that repeats another name than such a one, which models make up now and then
# (NousResearch/hermes-agent#31666, mcp-use/mcp-use#90); its length: openai 3.54 types/shared/function_definition.py.
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
MAX_CALL_NAME = 64


def call_name(name: str) -> str:
    """Return the name of a call as the server takes it back; a tool's own stays as it is."""
    return _NOT_IN_NAME.sub("_", name)[:MAX_CALL_NAME] or "_"


def data_url(image: Image) -> str:
    """Return a picture as a URL that needs no fetching: a platform's media URLs need the account's credentials."""
    return f"data:{image.content_type};base64,{b64encode(image.content).decode()}"
