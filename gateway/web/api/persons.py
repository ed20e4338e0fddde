"""A person's data: told, and erased."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from gateway.privacy import SpoolBusy, find_people, forget_person, read_person
from gateway.storage.privacy import Person
from gateway.web.api.problems import Problem, not_found
from gateway.web.api.route import Asked, Desk, Route, Scope

ERASING_S = 60.0
"""Calls on their way, and a spool that is being drained, are waited for."""


class PersonTold(BaseModel):
    """Everything that is kept about the person behind a conversation."""

    data: dict[str, list[dict[str, Any]]] = Field(
        description="By the parts that docs/privacy.md describes; files are named by their hash and not included."
    )


class PersonErased(BaseModel):
    """What was erased."""

    rows: dict[str, int] = Field(description="By table.")
    files: int
    opt_outs_kept: int = Field(description="Addresses of which it is still kept that they want no messages.")


async def export(desk: Desk, asked: Asked) -> PersonTold:
    """Tell everything about the person."""
    return PersonTold(data=await read_person(desk.storage, await _behind(desk, asked)))


async def forget(desk: Desk, asked: Asked) -> PersonErased:
    """Erase the person."""
    person = await _behind(desk, asked)
    try:
        forgotten = await forget_person(
            desk.storage, desk.memory, desk.data_dir, person, actor=f"api:{asked.holder.name}", now=desk.clock()
        )
    except SpoolBusy:
        detail = "webhooks of theirs still wait for the database; ask again in a minute"
        raise Problem("unavailable", detail, retry_after_s=60) from None
    return PersonErased(rows=forgotten.rows, files=forgotten.files, opt_outs_kept=forgotten.opt_outs_kept)


async def _behind(desk: Desk, asked: Asked) -> Person:
    """Return the person behind a conversation.

    Raises:
        Problem: there is no such conversation.
    """
    if await desk.storage.conversation(asked.conversation_id) is None:
        raise not_found("conversation")
    people = await find_people(desk.storage, desk.roster, asked.conversation_id)
    if len(people) != 1:
        raise not_found("conversation")
    return people[0]


PATH = "/conversations/{conversation_id}/person"

ROUTES = (
    Route(
        method="GET",
        path=PATH,
        scope=Scope.ADMIN,
        told=PersonTold,
        answer=export,
        summary="Export everything about a person",
        description="The person whose conversation this is, with all that they have written on any channel. "
        "`frontdesk export` writes the same as a ZIP, files included.",
        timeout_s=ERASING_S,
    ),
    Route(
        method="DELETE",
        path=PATH,
        scope=Scope.ADMIN,
        told=PersonErased,
        answer=forget,
        summary="Erase a person",
        description="Everything about the person whose conversation this is, for good. Only that they want no "
        "messages is kept, where they said so.",
        timeout_s=ERASING_S,
    ),
)
