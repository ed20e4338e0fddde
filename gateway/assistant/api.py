"""What the two APIs of an OpenAI-compatible server have in common."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gateway.assistant.model import Image, Prompt, ToolCall, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI  # the SDK takes most of a second to import: only the first call needs it


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


def data_url(image: Image) -> str:
    """Return a picture as a URL that needs no fetching: a platform's media URLs need the account's credentials."""
    return f"data:{image.content_type};base64,{b64encode(image.content).decode()}"
