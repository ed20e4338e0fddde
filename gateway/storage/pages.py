"""Long lists, a page at a time: each page begins behind the last row of the one before, never at a number of rows.

So what is added meanwhile neither repeats a row nor hides one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.storage.records import Appointment, Lead
from gateway.storage.tables import Address, Contact, Conversation, Delivery, Message

T = TypeVar("T")
Reading = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Place = tuple[Any, ...]
"""Where a row stands in its list: the values that the list is sorted by, which no two rows share."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, in its order."""

    rows: Sequence[T]
    next: Place | None
    """Where the next page begins, behind this place; None at the end."""


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """A row, and the public ids of its conversation and of whom it is of."""

    row: T
    conversation: str | None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class KnownConversation:
    """A conversation, the public id of whom it is with, and what is known about their address."""

    row: Conversation
    contact: str | None
    blocked_at: datetime | None
    opted_out_at: datetime | None


class Pages:
    """Reads lists."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def conversation(self, conversation_id: str) -> KnownConversation | None:
        """Return a conversation by its public id."""
        query = _conversations().where(col(Conversation.conversation_id) == conversation_id)
        async with self._reading() as session:
            row = (await session.exec(query)).first()
        return None if row is None else KnownConversation(*row)

    async def conversations(
        self, *, limit: int, after: Place | None, channel: str | None, mode: str | None, by_activity: bool
    ) -> Page[KnownConversation]:
        """Return conversations, the last that was made first; ``channel`` is a name or a kind.

        By activity, the last that anything happened in is the first: whatever happens meanwhile moves one there, so
        whoever turns the pages may not meet it.
        """
        query = _conversations()
        if channel is not None:
            query = query.where((col(Conversation.channel_name) == channel) | (col(Conversation.channel) == channel))
        if mode is not None:
            query = query.where(col(Conversation.mode) == mode)
        order = (Conversation.last_activity_at, Conversation.id) if by_activity else (Conversation.id,)
        rows = await self._page(query, order, limit, after, newest_first=True)
        found = [KnownConversation(*row) for row in rows]
        if by_activity:
            return _page(found, limit, lambda one: (one.row.last_activity_at, one.row.id))
        return _page(found, limit, lambda one: (one.row.id,))

    async def messages(self, row_id: int, *, limit: int, after: Place | None) -> Page[Message]:
        """Return a conversation's transcript in order."""
        query = select(Message).where(col(Message.conversation_id) == row_id)
        rows = await self._page(query, (Message.sequence_number,), limit, after)
        return _page(rows, limit, lambda row: (row.sequence_number,))

    async def said(self, row_id: int, sequence_number: int) -> tuple[Message, Sequence[Delivery]]:
        """Return one message of a conversation, which is there, and its deliveries by their parts."""
        query = select(Message).where(
            col(Message.conversation_id) == row_id, col(Message.sequence_number) == sequence_number
        )
        async with self._reading() as session:
            message = (await session.exec(query)).one()
            leaving = select(Delivery).where(col(Delivery.message_id) == message.id).order_by(col(Delivery.part))
            return message, (await session.exec(leaving)).all()

    async def leads(
        self, *, limit: int, after: Place | None, status: str | None, conversation: str | None
    ) -> Page[Shown[Lead]]:
        """Return leads, the last that was made first."""
        query = _with_contact(Lead, conversation)
        if status is not None:
            query = query.where(col(Lead.status) == status)
        rows = await self._page(query, (Lead.id,), limit, after, newest_first=True)
        return _page([Shown(*row) for row in rows], limit, lambda one: (one.row.id,))

    async def appointments(
        self,
        *,
        limit: int,
        after: Place | None,
        status: str | None,
        conversation: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Page[Shown[Appointment]]:
        """Return appointments by time: those that start at or after ``since`` and before ``until``."""
        query = _with_contact(Appointment, conversation)
        if status is not None:
            query = query.where(col(Appointment.status) == status)
        if since is not None:
            query = query.where(col(Appointment.starts_at) >= since)
        if until is not None:
            query = query.where(col(Appointment.starts_at) < until)
        rows = await self._page(query, (Appointment.starts_at, Appointment.id), limit, after)
        return _page([Shown(*row) for row in rows], limit, lambda one: (one.row.starts_at, one.row.id))

    async def deliveries(
        self, *, limit: int, after: Place | None, status: str | None, channel: str | None, conversation: str | None
    ) -> Page[Shown[Delivery]]:
        """Return deliveries, those of the last message first, and of one message the last part."""
        query = _with_conversation(Delivery, conversation)
        if status is not None:
            query = query.where(col(Delivery.status) == status)
        if channel is not None:
            query = query.where(col(Delivery.channel_name) == channel)
        rows = await self._page(query, (Delivery.message_id, Delivery.part), limit, after, newest_first=True)
        return _page([Shown(*row) for row in rows], limit, lambda one: (one.row.message_id, one.row.part))

    async def _page(
        self, query: Any, order: Sequence[Any], limit: int, after: Place | None, *, newest_first: bool = False
    ) -> Sequence[Any]:
        """Read a page and one row more, which tells whether another follows."""
        if after is not None:
            query = query.where(_behind(order, after, newest_first=newest_first))
        columns = (col(column) for column in order)
        query = query.order_by(*(column.desc() if newest_first else column for column in columns))
        async with self._reading() as session:
            rows: Sequence[Any] = (await session.exec(query.limit(limit + 1))).all()
        return rows


def _conversations() -> Any:
    known = and_(
        col(Address.channel_name) == col(Conversation.channel_name), col(Address.address) == col(Conversation.address)
    )
    query = select(Conversation, Contact.contact_id, Address.blocked_at, Address.opted_out_at)
    return query.outerjoin(Contact, col(Contact.id) == col(Conversation.contact_id)).outerjoin(Address, known)


def _with_conversation(table: Any, conversation: str | None) -> Any:
    join = col(Conversation.id) == col(table.conversation_id)
    query = select(table, Conversation.conversation_id).outerjoin(Conversation, join)
    return query if conversation is None else query.where(col(Conversation.conversation_id) == conversation)


def _with_contact(table: Any, conversation: str | None) -> Any:
    query = _with_conversation(table, conversation).add_columns(col(Contact.contact_id))
    return query.outerjoin(Contact, col(Contact.id) == col(table.contact_id))


def _behind(order: Sequence[Any], after: Place, *, newest_first: bool) -> Any:
    """Compare a row with a place: column by column, as the list is sorted."""
    cases = []
    for number, (column, value) in enumerate(zip(order, after, strict=True)):
        same = [col(earlier) == known for earlier, known in zip(order[:number], after, strict=False)]
        cases.append(and_(*same, col(column) < value if newest_first else col(column) > value))
    return or_(*cases)


def _page(rows: Sequence[T], limit: int, place: Callable[[T], Place]) -> Page[T]:
    shown = rows[:limit]
    return Page(shown, place(shown[-1]) if len(rows) > limit else None)
