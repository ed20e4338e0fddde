"""A person's data, by one of their conversations or as a contact: told, and erased."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, Field

from gateway.media import MediaStore
from gateway.privacy import SpoolBusy, forget_person, read_person
from gateway.storage.privacy import FindPerson, Person
from gateway.web.api.problems import Problem, not_found
from gateway.web.api.route import Asked, Desk, Route, Scope
from gateway.web.api.shapes import Given

ERASING_S = 60.0
"""Calls on their way, and a spool that is being drained, are waited for."""
AGAIN_S = 60
MAX_FILES_BYTES = 32 * 1024 * 1024
"""Of the files in one answer, which is in memory several times over."""


class PersonQuery(Given):
    """What is told."""

    files: Annotated[bool, Field(description="Whether their files are told as well, in base64.")] = False


class PersonTold(BaseModel):
    """Everything that is kept about a person."""

    data: dict[str, list[dict[str, Any]]] = Field(
        description="By the parts that docs/privacy.md describes; an attachment names its file by its `sha256`."
    )
    files: dict[str, str] | None = Field(
        description="The files in base64 by their `sha256`, where they are asked for; one that is gone is left out."
    )


class PersonErased(BaseModel):
    """What was erased."""

    rows: dict[str, int] = Field(description="By table.")
    files: int
    opt_outs_kept: int = Field(description="Addresses of which it is still kept that they want no messages.")


async def export(desk: Desk, asked: Asked) -> PersonTold:
    """Tell everything about the person.

    Raises:
        Problem: there is no such person, or their files are too many for one answer.
    """
    data = await read_person(desk.storage, desk.roster, desk.data_dir, await _meant(desk, asked))
    if not asked.query.files:
        return PersonTold(data=data, files=None)
    names = {row["sha256"] for row in data["attachments"] if row["sha256"]}
    return PersonTold(data=data, files=await asyncio.to_thread(_read_files, MediaStore(desk.data_dir / "media"), names))


def _read_files(media: MediaStore, names: Iterable[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    left = MAX_FILES_BYTES
    for name in names:
        path = media.path(name)
        try:
            left -= path.stat().st_size
            if left < 0:
                raise Problem("too-many-files", "their files are too many for one answer; use: frontdesk export")
            files[name] = base64.b64encode(path.read_bytes()).decode("ascii")
        except FileNotFoundError:  # another process's disk, or cleared away
            continue
    return files


async def forget(desk: Desk, asked: Asked) -> PersonErased:
    """Erase the person."""
    person, actor = await _meant(desk, asked), f"api:{asked.holder.name}"
    places = desk.storage, desk.memory, desk.roster, desk.data_dir
    try:
        async with asyncio.timeout(ERASING_S):
            forgotten = await forget_person(*places, person, actor=actor, now=desk.clock())
    except SpoolBusy:
        raise _not_erased("nothing is erased: webhooks of theirs still wait for the database; ask again") from None
    except TimeoutError:
        raise _not_erased("it takes longer than a minute, and is not finished; ask again for the rest") from None
    return PersonErased(rows=forgotten.rows, files=forgotten.files, opt_outs_kept=forgotten.opt_outs_kept)


def _not_erased(detail: str) -> Problem:
    return Problem("not-erased", detail, retry_after_s=AGAIN_S)


async def _meant(desk: Desk, asked: Asked) -> Person:
    """Return the person whom the path names, by a conversation or by a contact.

    Raises:
        Problem: there is no such conversation or contact.
    """
    [(name, public_id)] = asked.path.items()
    kind = name.removesuffix("_id")
    person = await desk.storage.run(FindPerson(kind, public_id))
    if person is None:
        raise not_found(kind)
    return person


def _routes(path: str, whose: str) -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path=path,
            scope=Scope.ADMIN,
            told=PersonTold,
            answer=export,
            query=PersonQuery,
            summary="Export everything about a person",
            description=f"{whose}, with all that they have written on any channel. `frontdesk export` writes the same "
            "as a ZIP, files included.",
            problems=("too-many-files",),
            timeout_s=ERASING_S,
        ),
        Route(
            method="DELETE",
            path=path,
            scope=Scope.ADMIN,
            told=PersonErased,
            answer=forget,
            summary="Erase a person",
            description=f"{whose}: everything about them, for good. Only that they want no messages is kept, where "
            "they said so.",
            problems=("not-erased",),
            timeout_s=None,
        ),
    )


ROUTES = (
    *_routes("/conversations/{conversation_id}/person", "The person whose conversation this is"),
    *_routes("/contacts/{contact_id}/person", "The person who is this contact, also without a conversation"),
)
