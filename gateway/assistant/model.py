"""What the rest of the house sees of a language model.

::

    ModelError
    ├── ModelUnavailable      not now: try later, or another model
    ├── ModelMisconfigured    an operator must act: key, quota, model name, address
    ├── ModelRefused          this prompt is refused; the same prompt will be refused again
    └── ModelEmpty            the model answered twice without a word

Importing this module imports no SDK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Literal, Protocol, Self

# An agent's line reaches the model as an assistant's; these words tell the two apart, and the system prompt names them.
COLLEAGUE_MARK = "[written by a colleague]"
# Customers may not speak as one, however they space the words; what nobody sees is a space, too.
_SPACE = "[\\s\u200b-\u200f\u2060\ufeff]"
_MARK_WORDS = f"{_SPACE}+".join(COLLEAGUE_MARK.strip("[]").split())
_MARK = re.compile(rf"\[{_SPACE}*{_MARK_WORDS}{_SPACE}*\]", re.IGNORECASE)
LINE_SHOWN = 8_000
"""Characters of one message that the model reads; the transcript has all of it."""
CUT_MARK = "[…]"
LOST_IMAGE = "[attachment: an image that could not be read]"


def without_colleague_mark(text: str) -> str:
    """Return somebody's words so that they cannot be taken for a colleague's."""
    return _MARK.sub("(written by a colleague)", text)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; cached ones are part of the input, reasoning is part of the output."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total(self) -> int:
        """What the provider counts as used."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


NOTHING = Usage()


class ModelError(Exception):
    """The model gave no answer.

    Its text is ours and may be logged. ``code`` is what the server answered in a word or two; ``words`` are its own,
    for the operator's eyes only: they may quote the key or the customer. ``request_id`` is what the provider's support
    asks for; ``usage`` is what was paid all the same.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        words: str | None = None,
        request_id: str | None = None,
        usage: Usage = NOTHING,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().partition("\n")[0])
        self.code = code
        self.words = words
        self.request_id = request_id
        self.usage = usage


class ModelUnavailable(ModelError):
    """The model cannot be reached, is overloaded, or took too long."""


class ModelMisconfigured(ModelError):
    """The model's server rejects our key, quota, model name or parameters."""


class ModelRefused(ModelError):
    """The model's server refuses this prompt."""


class ModelEmpty(ModelError):
    """The model answered without text, also with more room."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the model may look at."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call of an earlier turn: what was asked, as JSON, and what came of it, in short."""

    name: str
    arguments: str
    output: str


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the transcript as the model sees it; an agent is a person of the business."""

    role: Literal["user", "assistant", "agent"]
    text: str
    images: tuple[Image, ...] = ()
    calls: tuple[PastCall, ...] = ()
    """What an answer's own turn had called before it was given."""

    @property
    def shown_text(self) -> str:
        """The text as the model reads it: cut, and with the mark of a colleague's words where it is one's only."""
        text = self.text if len(self.text) <= LINE_SHOWN else f"{self.text[:LINE_SHOWN]} {CUT_MARK}"
        if self.role == "agent":
            return f"{COLLEAGUE_MARK} {text}"
        return without_colleague_mark(text)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that the model may call; ``parameters`` is a JSON schema, byte-stable for the prefix cache."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = True
    """Strict schemas name every property in ``required`` and set ``additionalProperties: false``."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to call a function; ``arguments`` is JSON that nobody has checked yet."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a call gave; every call of a round needs one, or the next request is refused."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class Round:
    """The raw JSON items of one answer of the model, replayed within the turn and never across turns.

    Responses: the output items, reasoning included; Chat Completions: the assistant message.
    """

    items: tuple[Mapping[str, Any], ...]
    model: str | None = None
    """The model that was asked: another one cannot read its encrypted reasoning."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything that one call of the model is made from; order and bytes decide what its prefix cache can keep."""

    instructions: str
    lines: tuple[Line, ...]
    rounds: tuple[tuple[Round, tuple[ToolOutput, ...]], ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    last_round: bool = False
    """True forbids tool calls, so that the answer is text."""
    summary: str | None = None
    """What the conversation said before the lines; it stands in front of them."""
    notes: str | None = None
    """Facts that change from call to call, such as the time; they stand behind the transcript."""
    cache_key: str | None = None
    user_key: str | None = None
    """A hash that stands for the customer, never an address."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_images(self) -> bool:
        """Tell whether any line carries a picture."""
        return any(line.images for line in self.lines)

    def without_images(self) -> Prompt:
        """Return the same prompt with a word in each picture's place."""
        lines = (
            replace(line, text="\n".join(filter(None, [line.text, *[LOST_IMAGE] * len(line.images)])), images=())
            for line in self.lines
        )
        return replace(self, lines=tuple(lines))


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer: text for the customer, or calls to make before there is one, or both."""

    text: str
    calls: tuple[ToolCall, ...]
    round: Round
    usage: Usage
    """Everything that was paid for this answer, a first try without text included."""
    model: str
    """As the server names it."""
    reasoning_effort: str | None
    verbosity: str | None
    request_id: str | None
    duration_ms: int
    refused: bool = False
    """True where the text is the model's own refusal."""

    def to_json(self) -> dict[str, Any]:
        """Return the completion as JSON-able data for the turn journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(
            **{
                **data,
                "calls": tuple(ToolCall(**call) for call in data["calls"]),
                "round": Round(tuple(data["round"]["items"]), data["round"]["model"]),
                "usage": Usage(**data["usage"]),
            }
        )


@dataclass(frozen=True, slots=True)
class ModelLifetime:
    """What the provider says about a model's end."""

    model: str
    shutdown_on: date | None


class Model(Protocol):
    """A language model behind whatever API."""

    async def complete(self, prompt: Prompt) -> Completion:
        """Ask once; retries and the overall deadline are inside.

        Raises:
            ModelError: one of its subclasses, each of which says what to do next.
        """

    async def lifetime(self) -> ModelLifetime | None:
        """Return when the model will be shut down, or None where its server cannot tell."""

    async def close(self) -> None:
        """Give back the connections."""
