"""What a tool is: one small class with a pydantic model of its arguments and a docstring that the model reads.

Who the customer is comes from the conversation and never from the model's arguments: whatever somebody talks the model
into, it acts for the one who writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gateway.assistant.model import ToolSpec
from gateway.storage import Effect


class Acts(StrEnum):
    """What a tool changes, which decides how it is run and what a resumed turn may do again."""

    NOWHERE = "nowhere"
    """It only reads: it runs beside others, and again where its turn is resumed."""
    HERE = "here"
    """It changes our own database, through ``Call.commit``: the change and its record are one commit."""
    ELSEWHERE = "elsewhere"
    """It changes something of somebody else's. Where it is cut off, what it did is unknown, and it is not run again
    unless it says ``resumable``."""


class Arguments(BaseModel):
    """The base of a tool's arguments: what is not declared is refused, and the model is told so."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class Customer:
    """Who writes, as the conversation knows them; None where it does not."""

    id: int
    """The conversation's row."""
    contact_id: int | None
    conversation_id: str
    channel: str
    """The kind: ``sms``, ``whatsapp`` …"""
    name: str | None
    phone: str | None
    email: str | None
    has_lead: bool = False
    """Whether there is a lead of theirs, so that anything that they tell can go into it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool: for whom, when, and how it may act."""

    customer: Customer
    now: datetime
    key: str
    """The same whenever this call is tried again: an idempotency key for what acts elsewhere."""
    commit: Callable[[Effect], Awaitable[Mapping[str, Any]]]
    """Does something in our own database, once, and returns what it gave; only for tools that act here.

    Raises Fenced where the turn was taken away, StorageUnavailable where the database is away: let both pass.
    """


class ToolRefused(Exception):
    """What is asked for cannot be done, and the model can say why or ask differently.

    ``code`` is a word for the model, ``message`` what to do next; ``facts`` goes beside them.
    """

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


class Tool:
    """Something that the assistant can do. Its docstring is what the model reads about it."""

    name: ClassVar[str]
    arguments: ClassVar[type[Arguments]]
    acts: ClassVar[Acts] = Acts.NOWHERE
    timeout_s: ClassVar[float] = 10.0
    changes_what_is: ClassVar[bool] = False
    """Whether it changes something that the customer has: then the channel may not be in doubt who writes."""
    resumable: ClassVar[bool] = False
    """Only for what acts elsewhere: calling again with the same ``Call.key`` does no harm."""

    async def run(self, arguments: Any, call: Call) -> Mapping[str, Any]:
        """Do it; returns JSON-able data for the model.

        Raises:
            ToolRefused: it cannot be done as asked.
        """
        raise NotImplementedError

    @classmethod
    def spec(cls) -> ToolSpec:
        """Describe the tool to the model."""
        return ToolSpec(cls.name, inspect.cleandoc(cls.__doc__ or ""), strict_schema(cls.arguments))


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema as strict function calling wants it.

    Every property is required (an optional one may be null) and no other is allowed
    (developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas", read 2026-11).
    """
    schema: dict[str, Any] = _strict(model.model_json_schema())
    schema.pop("description", None)
    return schema


# Beside what says nothing to a model, the limits that strict mode refuses; pydantic checks them afterwards.
_NOT_SENT = frozenset(
    {"title", "default", "format", "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems"}
)


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _strict(entry) for name, entry in value.items()}
        elif key not in _NOT_SENT:
            made[key] = _strict(value)
    if schema.get("type") == "object":
        made["required"] = list(schema.get("properties", {}))
        made["additionalProperties"] = False
    return made
