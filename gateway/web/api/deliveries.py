"""``/deliveries``: what became of what we said."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.storage import Delivery, Shown
from gateway.web.api.cursors import IN_PARTS, decode, items_of
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Items, ListQuery, Moment, Told, Words

NAME = "deliveries"
Status = Literal["queued", "sending", "unconfirmed", "sent", "delivered", "read", "failed", "cancelled"]


class DeliveryTold(Told):
    """One part of one message on its way to the platform."""

    id: str
    message_id: int
    conversation_id: Annotated[int, Field(description="The conversation's number, its `id`.")]
    conversation: Annotated[str | None, Field(description="The conversation's public id, as paths name it.")] = None
    part: Annotated[int, Field(description="From 1.")]
    channel_name: str
    recipient: str
    content: str
    status: Status
    attempts: int
    next_attempt_at: Moment | None
    external_id: Annotated[str | None, Field(description="The platform's id.")]
    error_code: str | None
    error_message: str | None
    created_at: Moment
    sent_at: Moment | None
    remark: Annotated[str | None, Field(description="What the channel says about how it was sent.")]


class DeliveriesQuery(ListQuery):
    """Which deliveries."""

    status: Annotated[Status | None, Field(description="Only those with this status.")] = None
    channel: Annotated[Words | None, Field(description="A channel's name.")] = None
    conversation_id: Annotated[Words | None, Field(description="A conversation's public id.")] = None


def told_of(shown: Shown[Delivery]) -> DeliveryTold:
    """Return a delivery as it is told."""
    return DeliveryTold.model_validate(shown.row).model_copy(update={"conversation": shown.conversation})


async def list_deliveries(desk: Desk, asked: Asked) -> Items[DeliveryTold]:
    """Answer a page of them."""
    query: DeliveriesQuery = asked.query
    page = await desk.storage.pages.deliveries(
        limit=query.limit,
        after=decode(NAME, query.cursor, IN_PARTS),
        status=query.status,
        channel=query.channel,
        conversation=query.conversation_id,
    )
    return items_of(DeliveryTold, NAME, page, [told_of(shown) for shown in page.rows])


ROUTES = (
    Route(
        method="GET",
        path="/deliveries",
        answer=list_deliveries,
        scope=Scope.READ,
        query=DeliveriesQuery,
        told=Items[DeliveryTold],
        summary="List deliveries",
        description="Those of the last message come first. `failed` ones wait in `frontdesk dead-letters`: "
        "`error_code` says why, such as a customer who was silent for too long for the platform's rules.",
        examples={"what failed": {"status": "failed"}},
    ),
)
