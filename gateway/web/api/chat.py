"""``POST /chat``: one turn for a caller, who waits for the answer or follows it as events."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gateway.assistant.service import KINDS, MAX_ID
from gateway.storage import ConversationBelongsToChannel
from gateway.web.api.problems import Problem, invalid
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given, RowId, Told, Words
from gateway.web.api.transcripts import MAX_CONTENT

Fact = Annotated[Words, Field(max_length=1000)]


def _known_word(channel: str) -> str:
    if channel not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)}")
    return channel


def _writable(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError:
        raise ValueError("holds a number that JSON cannot write") from None
    return metadata


class Chat(Given):
    """One message of a caller's: the arguments of ``ChatbotService.send_message``."""

    conversation_id: Annotated[
        Words, Field(min_length=1, max_length=MAX_ID, description="Yours to choose; a new one begins a conversation.")
    ]
    message: Annotated[Words, Field(max_length=MAX_CONTENT, description="May be empty beside an image.")]
    user_id: Fact | None = None
    user_name: Fact | None = None
    user_email: Fact | None = None
    user_phone: Fact | None = None
    channel: Annotated[
        Words,
        AfterValidator(_known_word),
        Field(description="How the customer is told: texts are written for it.", json_schema_extra={"enum": [*KINDS]}),
    ] = "website"
    image_url: Annotated[Words, Field(min_length=1, max_length=10_000, pattern="^(https?://|data:)")] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_writable)] | None = None
    lead_id: RowId | None = None
    customer_id: RowId | None = None


class ChatTold(Told):
    """The answer."""

    conversation_id: str
    message: Annotated[str | None, Field(description="Null where a person has the conversation.")]
    actions: Annotated[list[Any], Field(description="What the assistant did: the tools that it called.")]
    needs_human_escalation: Annotated[bool, Field(description="Whether a person has it, or is waited for.")]
    timestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    model: Annotated[str | None, Field(description="Null where the model failed and the fallback text was given.")]
    database_conversation_id: int
    message_count: int
    tokens_used: int


async def chat(desk: Desk, asked: Asked) -> ChatTold:
    """Answer a message."""
    given: Chat = asked.body
    try:
        result = await desk.service.send_message(**given.model_dump())
    except ConversationBelongsToChannel:
        raise Problem(
            "belongs-to-channel", "this conversation runs on a configured channel; write to its customer there"
        ) from None
    except ValueError as error:
        raise invalid("body", str(error)) from None
    return ChatTold.model_validate(result)


ROUTES = (
    Route(
        method="POST",
        path="/chat",
        answer=chat,
        scope=Scope.WRITE,
        body=Chat,
        told=ChatTold,
        summary="Have a message answered",
        description="Calls on one conversation wait for each other, in order. Nothing is delivered: the answer is only "
        "returned. With `Accept: text/event-stream` it comes as events: `started` at once, `message` with the answer, "
        "`done` with the whole result, or `problem`. The answer is checked as a whole before any of it may leave, so "
        "`message` comes once and complete, not word by word.",
        problems=("belongs-to-channel",),
        examples={
            "a question": {"conversation_id": "visitor-17", "message": "When are you open?"},
            "with what is known": {
                "conversation_id": "visitor-18",
                "message": "Can you come tomorrow?",
                "user_name": "The customer",
                "user_email": "customer@example.com",
                "metadata": {"page": "/prices"},
            },
        },
        streams=True,
        timeout_s=None,
    ),
)
