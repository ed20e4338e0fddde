"""``/leads``: who may become a customer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.storage import Lead, Shown
from gateway.web.api.cursors import NUMBERED, decode, items_of
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Items, ListQuery, Moment, Told, Words

NAME = "leads"


class LeadTold(Told):
    """Somebody who may become a customer; a contact has one at most."""

    id: int
    name: str | None
    phone: str | None
    email: str | None
    address: str | None
    source: str | None
    notes: str | None
    status: str
    conversation_id: Annotated[int | None, Field(description="The conversation's number, its `id`.")]
    conversation: Annotated[str | None, Field(description="The conversation's public id, as paths name it.")] = None
    contact_id: Annotated[int | None, Field(description="The contact's number.")]
    contact: Annotated[str | None, Field(description="The contact's public id, as paths name it.")] = None
    created_at: Moment
    updated_at: Moment | None


class LeadsQuery(ListQuery):
    """Which leads."""

    status: Annotated[Words | None, Field(description="Only those with this status: new.")] = None
    conversation_id: Annotated[Words | None, Field(description="A conversation's public id.")] = None


def told_of(shown: Shown[Lead]) -> LeadTold:
    """Return a lead as it is told."""
    return LeadTold.model_validate(shown.row).model_copy(
        update={"conversation": shown.conversation, "contact": shown.contact}
    )


async def list_leads(desk: Desk, asked: Asked) -> Items[LeadTold]:
    """Answer a page of them."""
    query: LeadsQuery = asked.query
    page = await desk.storage.pages.leads(
        limit=query.limit,
        after=decode(NAME, query.cursor, NUMBERED),
        status=query.status,
        conversation=query.conversation_id,
    )
    return items_of(LeadTold, NAME, page, [told_of(shown) for shown in page.rows])


ROUTES = (
    Route(
        method="GET",
        path="/leads",
        answer=list_leads,
        scope=Scope.READ,
        query=LeadsQuery,
        told=Items[LeadTold],
        summary="List leads",
        description="The last that was made comes first.",
        examples={"new ones": {"status": "new"}},
    ),
)
