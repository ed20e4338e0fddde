"""The tables of what turns leave behind: the model's answers, what its tools gave, and summaries of long threads."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer
from sqlmodel import Field, SQLModel

from gateway.storage.columns import BigId, json_column, text_column


def _conversation_key() -> Any:
    return Field(sa_column=Column(BigId, ForeignKey("chat_conversations.id"), primary_key=True, autoincrement=False))


def _number_key() -> Any:
    return Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))


class TurnRound(SQLModel, table=True):
    """The turn journal: one answer of the model, committed before its tools run, so that a resume never asks again."""

    __tablename__: ClassVar[str] = "turn_rounds"

    conversation_id: int = _conversation_key()
    input_sequence: int = _number_key()
    round: int = _number_key()
    response: dict[str, Any] | None = json_column("response")
    request_id: str | None = text_column()
    tokens_used: int | None = None
    duration_ms: int | None = None
    created_at: datetime


class ToolRun(SQLModel, table=True):
    """What one tool call of a journalled round gave, committed with what it did: a resume never does it again."""

    __tablename__: ClassVar[str] = "tool_runs"
    __table_args__ = (CheckConstraint("status IN ('started', 'done', 'failed')", name="status"),)

    conversation_id: int = _conversation_key()
    input_sequence: int = _number_key()
    round: int = _number_key()
    position: int = _number_key()
    """Its place among the round's calls."""
    name: str
    arguments: str = text_column(nullable=False)
    acts: bool = False
    """Whether it may have changed something, here or elsewhere."""
    status: str
    """``started`` is left behind where a tool that acts elsewhere was cut off: what it did is not known."""
    output: dict[str, Any] | None = json_column("output")
    duration_ms: int | None = None
    created_at: datetime


class Summary(SQLModel, table=True):
    """What a transcript says up to one of its messages, for prompts that cannot hold all of it."""

    __tablename__: ClassVar[str] = "summaries"

    conversation_id: int = _conversation_key()
    up_to_sequence: int = _number_key()
    content: str = text_column(nullable=False)
    model: str | None = None
    tokens_used: int | None = None
    created_at: datetime
