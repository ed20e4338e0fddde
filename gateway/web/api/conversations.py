"""``/conversations``: the list, and one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.storage import Conversation, KnownConversation
from gateway.web.api.cursors import NUMBERED, TIMED, decode, items_of
from gateway.web.api.problems import not_found
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Items, ListQuery, Moment, Told, Words

Mode = Literal["bot", "waiting", "human"]
NAME = "conversations"


class ConversationTold(Told):
    """A customer's thread on one channel, or a caller's own."""

    id: int
    conversation_id: str
    channel: Annotated[str, Field(description="The kind of channel, as the customer sees it.")]
    channel_name: Annotated[str | None, Field(description="The channel's key in config.yaml; null for a caller's own.")]
    contact_id: Annotated[int | None, Field(description="The contact's number.")]
    contact: Annotated[str | None, Field(description="The contact's public id, as paths name it.")] = None
    lead_id: int | None
    customer_id: int | None
    user_id: str | None
    user_name: str | None
    user_email: str | None
    user_phone: str | None
    address: Annotated[str | None, Field(description="Whom we write to on the channel.")]
    is_active: Annotated[bool, Field(description="False once it is closed; a new message opens it again.")]
    mode: Annotated[Mode, Field(description="Who speaks: the bot, the bot until somebody comes, or a person.")]
    assigned_to: str | None
    platform_metadata: dict[str, Any] | None
    created_at: Moment
    last_activity_at: Moment
    total_messages: Annotated[int, Field(description="The highest `sequence_number`.")]
    user_messages: int
    bot_messages: int
    escalated: bool
    escalated_at: Moment | None
    escalation_reason: str | None
    converted_to_lead: bool
    converted_to_appointment: bool
    answered_sequence: int
    closed_at: Moment | None
    rating: int | None
    rating_comment: str | None
    rated_at: Moment | None
    blocked_at: Annotated[Moment | None, Field(description="Since when the sender is not answered.")] = None
    opted_out_at: Annotated[Moment | None, Field(description="Since when the customer wants no messages.")] = None


class ConversationsQuery(ListQuery):
    """Which conversations."""

    channel: Annotated[Words | None, Field(description="A channel's name or kind.")] = None
    mode: Annotated[Mode | None, Field(description="Only those in this mode.")] = None
    order: Annotated[
        Literal["created", "activity"],
        Field(
            description="`created`: the last that was begun comes first, and nothing that happens while you read on "
            "hides one. `activity`: the last in which anything happened comes first; one that has news while you read "
            "on has moved to the beginning."
        ),
    ] = "created"


def shown(known: KnownConversation) -> ConversationTold:
    """Return a conversation as it is told."""
    told = ConversationTold.model_validate(known.row)
    about = {"contact": known.contact, "blocked_at": known.blocked_at, "opted_out_at": known.opted_out_at}
    return told.model_copy(update=about)


async def look_up(desk: Desk, conversation_id: str) -> ConversationTold:
    """Return a conversation as it is told.

    Raises:
        Problem: there is none.
    """
    known = await desk.storage.pages.conversation(conversation_id)
    if known is None:
        raise not_found("conversation")
    return shown(known)


async def row_of(desk: Desk, conversation_id: str) -> Conversation:
    """Return a conversation's row.

    Raises:
        Problem: there is none.
    """
    row = await desk.storage.conversation(conversation_id)
    if row is None:
        raise not_found("conversation")
    return row


async def list_conversations(desk: Desk, asked: Asked) -> Items[ConversationTold]:
    """Answer a page of them."""
    query: ConversationsQuery = asked.query
    by_activity = query.order == "activity"
    name = f"{NAME} by activity" if by_activity else NAME
    page = await desk.storage.pages.conversations(
        limit=query.limit,
        after=decode(name, query.cursor, TIMED if by_activity else NUMBERED),
        channel=query.channel,
        mode=query.mode,
        by_activity=by_activity,
    )
    return items_of(ConversationTold, name, page, [shown(known) for known in page.rows])


async def one_conversation(desk: Desk, asked: Asked) -> ConversationTold:
    """Answer one."""
    return await look_up(desk, asked.conversation_id)


ROUTES = (
    Route(
        method="GET",
        path="/conversations",
        answer=list_conversations,
        scope=Scope.READ,
        query=ConversationsQuery,
        told=Items[ConversationTold],
        summary="List conversations",
        examples={"waiting for a person": {"mode": "waiting", "order": "activity", "limit": 20}},
    ),
    Route(
        method="GET",
        path="/conversations/{conversation_id}",
        answer=one_conversation,
        scope=Scope.READ,
        told=ConversationTold,
        summary="Get a conversation",
    ),
)
