"""The door of the storage room: one writer for operations, one engine for reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import func, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.storage import schema
from gateway.storage.api_keys import ApiKeys
from gateway.storage.effects import StoredRun
from gateway.storage.engine import SQLITE_BEGIN, is_sqlite, make_engine, postgres_dsn, sqlite_path
from gateway.storage.errors import StorageUnavailable
from gateway.storage.floods import ToldLately, told_lately_of, told_lately_query, waiting_together_query
from gateway.storage.handoffs import Waiting, incidents_query, waiting_of, waiting_query
from gateway.storage.journal import Summary, ToolRun, TurnRound
from gateway.storage.pages import Pages
from gateway.storage.postgres_writer import PostgresWriter
from gateway.storage.quotes import Quotes
from gateway.storage.records import Appointment, AppointmentSeat, Escalation, Lead
from gateway.storage.sqlite_writer import SqliteWriter
from gateway.storage.tables import (
    OPEN_OR_DEAD,
    QUEUED,
    Attachment,
    ChannelState,
    Conversation,
    Delivery,
    Installation,
    Message,
    RejectedWebhook,
)
from gateway.storage.turns import StoredAttachment, StoredMessage
from gateway.storage.watching import note_writing
from gateway.storage.writer import Operation, Writer

R = TypeVar("R")


class Storage:
    """One database."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = is_sqlite(url)
        self.path = sqlite_path(url) if self.is_sqlite else None
        self._engine = make_engine(url)
        self._readers = self._engine.execution_options(**{SQLITE_BEGIN: "BEGIN"})
        self.pages = Pages(self._reading)
        """Long lists, a page at a time."""
        self.api_keys = ApiKeys(self._reading)
        self.quotes = Quotes(self._reading)
        self._writer: Writer = SqliteWriter(sqlite_path(url)) if self.is_sqlite else PostgresWriter(postgres_dsn(url))

    async def open(self) -> None:
        """Start the writer; the database may be away, then operations raise until it is back."""
        await self._writer.open()

    async def close(self) -> None:
        """Commit what was submitted and disconnect."""
        await self._writer.close()
        await self._engine.dispose()

    async def __aenter__(self) -> Storage:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, operation: Operation[R]) -> R:
        """Commit an operation, together with whatever else is waiting.

        Raises:
            StorageUnavailable: the database is away; the operation may or may not have been committed.
        """
        try:
            result = await self._writer.run(operation)
        except StorageUnavailable as error:
            if not error.is_undone:
                note_writing()
            raise
        except BaseException:
            note_writing()
            raise
        note_writing()
        return result

    @property
    def writable(self) -> bool:
        """Whether the last commit succeeded; ``TryWriting`` asks anew."""
        return self._writer.writable

    async def migrate(self) -> str | None:
        """Apply missing migrations; returns the revision that the database had before."""
        async with _reaching_database():
            return await schema.migrate(self._engine)

    async def check_schema(self) -> None:
        """Return if the schema fits.

        Raises:
            SchemaMismatch: it does not.
            StorageUnavailable: the database is away.
        """
        async with _reaching_database():
            await schema.check(self._engine)

    async def ping(self) -> None:
        """Return if the database answers.

        Raises:
            StorageUnavailable: it does not.
        """
        async with self._reading() as session:
            await session.exec(text("SELECT 1"))  # type: ignore[call-overload]

    async def installation_id(self) -> str | None:
        """Return the random name that this database got when it was made."""
        async with self._reading() as session:
            return (await session.exec(select(Installation.id))).first()

    # --- conversations ---

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation by its public id."""
        async with self._reading() as session:
            query = select(Conversation).where(col(Conversation.conversation_id) == conversation_id)
            return (await session.exec(query)).first()

    async def conversations(
        self, *, limit: int = 50, channel: str | None = None, mode: str | None = None
    ) -> Sequence[Conversation]:
        """Return the conversations with the latest activity, newest first."""
        query = select(Conversation).order_by(col(Conversation.last_activity_at).desc(), col(Conversation.id).desc())
        if channel is not None:
            query = query.where((col(Conversation.channel_name) == channel) | (col(Conversation.channel) == channel))
        if mode is not None:
            query = query.where(col(Conversation.mode) == mode)
        async with self._reading() as session:
            return (await session.exec(query.limit(limit))).all()

    async def messages(self, row_id: int, *, after: int = 0, limit: int = 500) -> Sequence[Message]:
        """Return a conversation's transcript by its row's id, in order, from ``after`` on."""
        query = (
            select(Message)
            .where(col(Message.conversation_id) == row_id, col(Message.sequence_number) > after)
            .order_by(col(Message.sequence_number))
            .limit(limit)
        )
        async with self._reading() as session:
            return (await session.exec(query)).all()

    async def newest_messages(self, row_id: int, *, up_to: int, limit: int) -> tuple[StoredMessage, ...]:
        """Return the last messages up to a sequence number with their attachments, oldest first."""
        query = (
            select(Message)
            .where(col(Message.conversation_id) == row_id, col(Message.sequence_number) <= up_to)
            .order_by(col(Message.sequence_number).desc())
            .limit(limit)
        )
        async with self._reading() as session:
            rows = list(reversed((await session.exec(query)).all()))
            files = await _attachments(session, [row.id for row in rows if row.has_attachments and row.id is not None])
        return tuple(_stored(row, files.get(row.id or 0, [])) for row in rows)

    async def rounds(self, row_id: int, *, after: int, up_to: int) -> Sequence[TurnRound]:
        """Return what unfinished turns for the messages in (after, up_to] have journalled, in order."""
        inputs = col(TurnRound.input_sequence)
        query = (
            select(TurnRound)
            .where(col(TurnRound.conversation_id) == row_id, inputs > after, inputs <= up_to)
            .order_by(inputs, col(TurnRound.round))
        )
        async with self._reading() as session:
            return (await session.exec(query)).all()

    async def tool_runs(self, row_id: int, *, after: int, up_to: int) -> tuple[StoredRun, ...]:
        """Return what the tool calls of those rounds gave, in order."""
        inputs = col(ToolRun.input_sequence)
        query = (
            select(ToolRun)
            .where(col(ToolRun.conversation_id) == row_id, inputs > after, inputs <= up_to)
            .order_by(inputs, col(ToolRun.round), col(ToolRun.position))
        )
        async with self._reading() as session:
            rows = (await session.exec(query)).all()
        return tuple(
            StoredRun(row.round, row.position, row.status, row.output or {}, row.name, row.input_sequence)
            for row in rows
        )

    async def summary(self, row_id: int, *, up_to: int | None = None) -> Summary | None:
        """Return the summary that reaches farthest, or that does so without telling what lies behind ``up_to``."""
        query = select(Summary).where(col(Summary.conversation_id) == row_id)
        if up_to is not None:
            query = query.where(col(Summary.up_to_sequence) <= up_to)
        async with self._reading() as session:
            return (await session.exec(query.order_by(col(Summary.up_to_sequence).desc()).limit(1))).first()

    # --- what comes of conversations ---

    async def seats_taken(self, days: Sequence[date]) -> dict[tuple[date, int], int]:
        """Count the taken seats of each cell of these business-local dates."""
        seats = (
            select(col(AppointmentSeat.day), col(AppointmentSeat.cell), func.count())
            .where(col(AppointmentSeat.day).in_(days))
            .group_by(col(AppointmentSeat.day), col(AppointmentSeat.cell))
        )
        async with self._reading() as session:
            return {(day, cell): count for day, cell, count in (await session.exec(seats)).all()}

    async def appointments(
        self,
        *,
        since: datetime | None = None,
        conversation: tuple[int, int | None] | None = None,
        status: str | None = None,
        limit: int = 500,
    ) -> Sequence[Appointment]:
        """Return appointments by time: that start at or after ``since``, of one customer, in one status.

        ``conversation`` is the row's id and its contact's: all of that person's appointments.
        """
        query = select(Appointment).order_by(col(Appointment.starts_at), col(Appointment.id))
        if since is not None:
            query = query.where(col(Appointment.starts_at) >= since)
        if conversation is not None:
            row_id, contact_id = conversation
            own = col(Appointment.conversation_id) == row_id
            query = query.where(own if contact_id is None else own | (col(Appointment.contact_id) == contact_id))
        if status is not None:
            query = query.where(col(Appointment.status) == status)
        async with self._reading() as session:
            return (await session.exec(query.limit(limit))).all()

    async def leads(self, *, contact_id: int | None = None, limit: int = 500) -> Sequence[Lead]:
        """Return leads, newest first."""
        query = select(Lead).order_by(col(Lead.created_at).desc(), col(Lead.id).desc())
        if contact_id is not None:
            query = query.where(col(Lead.contact_id) == contact_id)
        async with self._reading() as session:
            return (await session.exec(query.limit(limit))).all()

    async def waiting_for_people(self, now: datetime, limit: int = 20) -> Sequence[Waiting]:
        """Return hand-overs of which people have to be told now, the longest due first."""
        async with self._reading() as session:
            return [waiting_of(*row) for row in (await session.exec(waiting_query(now, limit))).all()]

    async def told_lately(self, since: datetime) -> ToldLately:
        """Return how much people were told of waiting customers after ``since``."""
        async with self._reading() as session:
            return told_lately_of((await session.exec(told_lately_query(since))).all())

    async def waiting_together(self, now: datetime, *, emergencies: bool) -> int:
        """Count the customers who wait and of whom people have to be told now, emergencies among them or not."""
        async with self._reading() as session:
            return int((await session.exec(waiting_together_query(now, emergencies=emergencies))).one())

    async def incidents_told(self, channel_names: Sequence[str]) -> dict[str, datetime]:
        """Return those of these channels of whose present incident people were told, each with when."""
        async with self._reading() as session:
            rows = (await session.exec(incidents_query(channel_names))).all()
        return {about.split(":")[1]: told_at for about, told_at in rows}

    async def escalations(self, row_id: int, *, limit: int = 100) -> Sequence[Escalation]:
        """Return when and why a conversation was handed to people, oldest first."""
        query = select(Escalation).where(col(Escalation.conversation_id) == row_id).order_by(col(Escalation.id))
        async with self._reading() as session:
            return (await session.exec(query.limit(limit))).all()

    async def pending_attachments(
        self, now: datetime, channel_names: Sequence[str], limit: int = 20
    ) -> Sequence[tuple[Attachment, str | None]]:
        """Return files that are due to be fetched, each with its message's channel, one of these or none."""
        query = (
            select(Attachment, Message.channel_name)
            .join(Message, col(Message.id) == col(Attachment.message_id))
            .where(col(Attachment.status) == "pending", col(Attachment.next_attempt_at) <= now)
            .where(col(Message.channel_name).is_(None) | col(Message.channel_name).in_(channel_names))
            .order_by(col(Attachment.next_attempt_at))
            .limit(limit)
        )
        async with self._reading() as session:
            return [(file, name) for file, name in (await session.exec(query)).all()]

    # --- deliveries ---

    async def deliveries(
        self, *, conversation_id: int | None = None, status: str | None = None, limit: int = 500
    ) -> Sequence[Delivery]:
        """Return deliveries in the order in which they leave."""
        query = select(Delivery).order_by(
            col(Delivery.conversation_id), col(Delivery.sequence_number), col(Delivery.part)
        )
        if conversation_id is not None:
            query = query.where(col(Delivery.conversation_id) == conversation_id)
        if status is not None:
            query = query.where(col(Delivery.status) == status)
        async with self._reading() as session:
            return (await session.exec(query.limit(limit))).all()

    async def dead_letters(self, *, limit: int = 200) -> Sequence[Delivery]:
        """Return failed deliveries that nobody has dropped, oldest first."""
        query = (
            select(Delivery)
            .where(col(Delivery.status) == "failed", col(Delivery.dropped_at).is_(None))
            .order_by(col(Delivery.created_at), col(Delivery.id))
            .limit(limit)
        )
        async with self._reading() as session:
            return (await session.exec(query)).all()

    async def calls_in_flight(self, row_id: int) -> int:
        """Count the bot's calls to the platform that have begun in a conversation and may still arrive."""
        where = (
            col(Delivery.conversation_id) == row_id,
            col(Delivery.status) == "sending",
            col(Delivery.role) == "assistant",
        )
        return await self._count(Delivery, *where)

    async def channel_states(self) -> Sequence[ChannelState]:
        """Return what all processes share about their channels."""
        async with self._reading() as session:
            return (await session.exec(select(ChannelState).order_by(col(ChannelState.channel_name)))).all()

    # --- what was not understood, and the numbers for health and metrics ---

    async def rejected_webhooks(self, *, after_id: int = 0, limit: int = 200) -> Sequence[RejectedWebhook]:
        """Return webhooks that were kept and not replayed yet, oldest first, from behind one of them."""
        query = select(RejectedWebhook).where(
            col(RejectedWebhook.replayed_at).is_(None), col(RejectedWebhook.id) > after_id
        )
        async with self._reading() as session:
            return (await session.exec(query.order_by(col(RejectedWebhook.id)).limit(limit))).all()

    async def backlog(self, now: datetime) -> dict[str, int]:
        """Count what waits: due turns, deliveries by open state, dead letters, rejected webhooks."""
        states = select(Delivery.status, func.count()).where(text(OPEN_OR_DEAD), col(Delivery.dropped_at).is_(None))
        async with self._reading() as session:
            by_status = dict((await session.exec(states.group_by(col(Delivery.status)))).all())
        return {
            "due": await self._count(Conversation, col(Conversation.due_at) <= now),
            "queued": await self._count(Delivery, text(QUEUED)),
            "sending": by_status.get("sending", 0),
            "unconfirmed": by_status.get("unconfirmed", 0),
            "dead": by_status.get("failed", 0),
            "rejected": await self._count(RejectedWebhook, col(RejectedWebhook.replayed_at).is_(None)),
        }

    async def _count(self, table: Any, *where: Any) -> int:
        async with self._reading() as session:
            return int((await session.exec(select(func.count()).select_from(table).where(*where))).one())

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with _reaching_database(), AsyncSession(self._readers, expire_on_commit=False) as session:
            yield session


@asynccontextmanager
async def _reaching_database() -> AsyncIterator[None]:
    try:
        yield
    except (TimeoutError, OSError, SQLAlchemyError) as error:
        raise StorageUnavailable(f"the database did not answer: {type(error).__name__}") from error


async def _attachments(session: AsyncSession, message_ids: Sequence[int]) -> dict[int, list[StoredAttachment]]:
    if not message_ids:
        return {}
    query = select(Attachment).where(col(Attachment.message_id).in_(message_ids), col(Attachment.position) >= 0)
    files: dict[int, list[StoredAttachment]] = {}
    for row in (await session.exec(query.order_by(col(Attachment.message_id), col(Attachment.position)))).all():
        stored = StoredAttachment(row.id or 0, row.url, row.content_type, row.name, row.status, row.sha256)
        files.setdefault(row.message_id, []).append(stored)
    return files


def _stored(row: Message, files: Sequence[StoredAttachment]) -> StoredMessage:
    return StoredMessage(
        id=row.id or 0,
        sequence_number=row.sequence_number,
        role=row.role,
        content=row.content,
        timestamp=row.timestamp,
        answers_sequence=row.answers_sequence,
        attachments=tuple(files),
        metadata=row.meta,
        external_id=row.external_id,
        asks=row.asks or row.role != "user",
        tool_calls=tuple(row.tool_calls or ()),
    )
