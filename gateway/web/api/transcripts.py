"""``/conversations/{conversation_id}/messages``: what was said, and what a person says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from channels.rendering import CannotShow
from gateway.storage import Conversation, Delivery, Message, Shown
from gateway.web.api.conversations import row_of
from gateway.web.api.cursors import NUMBERED, decode, items_of
from gateway.web.api.deliveries import DeliveryTold, told_of
from gateway.web.api.people import Name, of_people
from gateway.web.api.problems import Problem
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given, Items, ListQuery, Moment, Told, Words

PATH = "/conversations/{conversation_id}/messages"
MAX_CONTENT = 100_000
MAX_FILES = 20
Content = Annotated[Words, Field(max_length=MAX_CONTENT)]
FileUrl = Annotated[
    Words,
    Field(min_length=1, pattern="^(https?://|data:)", description="An https address, or a data: URL (RFC 2397)."),
]
FileUrls = Annotated[tuple[FileUrl, ...], Field(max_length=MAX_FILES)]


class MessageTold(Told):
    """One entry of a transcript."""

    id: int
    conversation_id: Annotated[int, Field(description="The conversation's number, its `id`.")]
    role: Literal["user", "assistant", "agent", "system"]
    content: str
    sequence_number: Annotated[int, Field(description="Its place in the conversation, from 1, without gaps.")]
    timestamp: Annotated[Moment, Field(description="When it was stored; the platform's own time is in `metadata`.")]
    has_attachments: bool
    attachment_urls: list[str] | None
    metadata: Annotated[dict[str, Any] | None, Field(validation_alias=AliasChoices("meta", "metadata"))]
    channel_name: str | None
    external_id: Annotated[str | None, Field(description="The platform's id; null for what we say, see deliveries.")]
    model_used: str | None
    reasoning_effort: str | None
    verbosity: str | None
    tokens_used: int | None
    processing_time_ms: int | None
    tool_calls: list[Any] | None


class SaidTold(Told):
    """What was said, and how it leaves."""

    conversation_id: Annotated[str, Field(description="The conversation's public id, as paths name it.")]
    message: MessageTold
    deliveries: Annotated[
        list[DeliveryTold],
        Field(description="One for each part; none where the customer reads the transcript themselves."),
    ]


class Reply(Given):
    """What a person says."""

    content: Content = ""
    attachment_urls: FileUrls = ()
    author: Annotated[
        Name | None, Field(description="Who says it; otherwise whoever has the conversation, or the key's name.")
    ] = None

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if not (self.content.strip() or self.attachment_urls):
            raise ValueError("content must not be empty where there is no file")
        return self


async def list_messages(desk: Desk, asked: Asked) -> Items[MessageTold]:
    """Answer a page of the transcript."""
    query: ListQuery = asked.query
    row = await row_of(desk, asked.conversation_id)
    name = f"messages of {row.id}"
    after = decode(name, query.cursor, NUMBERED)
    page = await desk.storage.pages.messages(row.id or 0, limit=query.limit, after=after)
    return items_of(MessageTold, name, page, [MessageTold.model_validate(message) for message in page.rows])


async def reply(desk: Desk, asked: Asked) -> SaidTold:
    """Say it, and tell how it leaves."""
    given: Reply = asked.body
    row = await row_of(desk, asked.conversation_id)
    if row.channel_name is not None and desk.roster.get(row.channel_name) is None:
        raise Problem("channel-not-enabled", f"the channel {row.channel_name} is not enabled; nothing would leave")
    author = given.author or (row.mode == "human" and row.assigned_to) or asked.holder.name
    said = desk.service.people.reply(row.conversation_id, author, given.content, given.attachment_urls)
    try:
        conversation, sequence_number = await of_people(said)
    except CannotShow as error:
        raise Problem("cannot-show", str(error)) from None
    return said_told(conversation, *await desk.storage.pages.said(conversation.id or 0, sequence_number))


def said_told(conversation: Conversation, message: Message, deliveries: Sequence[Delivery]) -> SaidTold:
    """Return what was said as it is told."""
    return SaidTold(
        conversation_id=conversation.conversation_id,
        message=MessageTold.model_validate(message),
        deliveries=[told_of(Shown(delivery, conversation.conversation_id)) for delivery in deliveries],
    )


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        answer=list_messages,
        scope=Scope.READ,
        query=ListQuery,
        told=Items[MessageTold],
        summary="Read a conversation's transcript",
        description="In order, from the first message on.",
        examples={"the first ten": {"limit": 10}},
    ),
    Route(
        method="POST",
        path=PATH,
        answer=reply,
        scope=Scope.WRITE,
        body=Reply,
        told=SaidTold,
        status=202,
        summary="Reply as a person",
        description="Whoever replies has the conversation from then on, as by a takeover. The deliveries are queued; "
        "`GET /api/v1/deliveries?conversation_id=…` tells what became of them.",
        problems=("taken", "opted-out", "channel-not-enabled", "cannot-show"),
        examples={"a reply": {"content": "A technician comes at 3 pm."}},
    ),
)
