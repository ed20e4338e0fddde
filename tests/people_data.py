"""Two people who have left something in every table, in the spool, in files and in Redis, and a search for either."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from channels.base import Attachment, Inbound, Request
from gateway.cache import Memory, Remembered
from gateway.media import MediaStore
from gateway.segment import Arrival
from gateway.spool import Spool
from gateway.storage import FinishTurn, Incoming, Rejected, SettleAttachment, Storage
from gateway.storage.accept import Accept
from gateway.storage.api_tables import Event, HookDelivery, RepeatedRequest
from gateway.storage.columns import metadata
from gateway.storage.journal import Summary, ToolRun, TurnRound
from gateway.storage.records import Appointment, AppointmentSeat, AuditEntry, Escalation, Lead, Notice
from gateway.storage.tables import Address, Alias, Contact, Conversation, Message
from gateway.storage.tables import Attachment as StoredFile
from tests.saying import said
from tests.test_storage_accept import NOW, US
from tests.test_storage_turns import claim

SHARED = b"a picture that both have sent"


@dataclass(frozen=True)
class Who:
    """A person of two channels."""

    number: int

    @property
    def phone(self) -> str:
        return f"+1555010{self.number:04}"

    @property
    def page_scoped(self) -> str:
        return f"77000000{self.number:08}"

    @property
    def alias(self) -> str:
        return f"US.ALIAS{self.number:06}"

    @property
    def email(self) -> str:
        return f"customer{self.number}@example.com"

    @property
    def name(self) -> str:
        return f"Customer-named-{self.number}"

    @property
    def words(self) -> str:
        return f"the boiler number {self.number} sings at night"

    @property
    def picture(self) -> bytes:
        return f"a picture of {self.words}".encode()

    @property
    def sid(self) -> str:
        return f"SM{self.number:032}"

    @property
    def traces(self) -> tuple[str, ...]:
        """What must not be found of them; their ids in the database come beside this."""
        return (self.phone.removeprefix("+"), self.page_scoped, self.alias, self.email, self.name, self.words, self.sid)


async def add(storage: Storage, *rows: Any) -> None:
    """Store rows as they are."""
    async with AsyncSession(storage._engine, expire_on_commit=False) as session:
        for row in rows:
            session.add(row)
            await session.flush()
        await session.commit()


async def live(storage: Storage, folder: Path, who: Who) -> list[Conversation]:
    """Let a person leave something in every table; returns their conversations."""
    files = tuple(Attachment(f"https://media.example.com/{n}", "image/png", f"{who.name}-{n}.png") for n in (1, 2))
    sms = Inbound(US, who.phone, who.sid, who.words, attachments=files, sender_name=who.name)
    page = Inbound("page", who.page_scoped, f"m_{who.sid}", who.words, sender_name=who.name)
    body = f"From=%2B{who.phone[1:]}&Body=unreadable".encode()
    kept = Rejected("sms", Request("POST", "/webhooks/sms", (), body), "unreadable", NOW)
    events = (Incoming("sms", "sms", sms), Incoming("messenger", "facebook_messenger", page))
    await storage.run(Accept(events, NOW, rejected=(kept,)))
    [turn] = [turn for turn in await claim(storage) if turn.address == who.phone]
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, said(f"We heard that {who.words}")))
    await _join(storage, who)
    conversations = [row for row in await storage.conversations() if row.address in (who.phone, who.page_scoped)]
    await _settle_files(storage, folder, who, turn.id)
    for conversation in conversations:
        await _leave_records(storage, who, conversation)
    return conversations


async def _join(storage: Storage, who: Who) -> None:
    """Make one contact of the two channels' contacts, as an operator does, and give it another address."""
    async with AsyncSession(storage._engine) as session:
        rows = (await session.exec(select(Address).where(col(Address.address).in_((who.phone, who.page_scoped))))).all()
        first, second = sorted(row.contact_id or 0 for row in rows)
        for table in (Address, Conversation):
            await session.exec(update(table).where(table.contact_id == second).values(contact_id=first))
        await session.exec(text("DELETE FROM contacts WHERE id = :id").bindparams(id=second))
        session.add(Alias(channel_name="messenger", address=who.alias, thread_key=who.page_scoped))
        await session.commit()


async def _settle_files(storage: Storage, folder: Path, who: Who, row_id: int) -> None:
    media = MediaStore(folder / "media")
    async with AsyncSession(storage._engine) as session:
        query = select(StoredFile.id).join(Message, col(Message.id) == col(StoredFile.message_id))
        ids = (await session.exec(query.where(Message.conversation_id == row_id).order_by(StoredFile.position))).all()
    for id_, content in zip(ids, (SHARED, who.picture), strict=True):
        await storage.run(SettleAttachment(id_ or 0, "stored", "image/png", await media.put(content), len(content)))


async def _leave_records(storage: Storage, who: Who, row: Conversation) -> None:
    """Leave one row in each table that hangs on a conversation or a contact."""
    id_ = row.id or 0
    at = {"conversation_id": id_, "created_at": NOW}
    told = {"content": who.words, "phone": who.phone}
    sms = row.channel == "sms"
    lead = Lead(name=who.name, phone=who.phone, email=who.email, notes=who.words, contact_id=row.contact_id, **at)
    visit = Appointment(
        customer_name=who.name,
        phone=who.phone,
        email=who.email,
        scheduled_date="2026-11-25",
        scheduled_time="10:00",
        starts_at=NOW + timedelta(days=1),
        contact_id=row.contact_id,
        **at,
    )
    event = Event(type="message.received", payload=told, **at)
    await add(
        storage,
        TurnRound(input_sequence=1, round=1, response=told, **at),
        ToolRun(
            input_sequence=1,
            round=1,
            position=0,
            name="save_lead",
            arguments=who.words,
            status="done",
            output=told,
            **at,
        ),
        Summary(
            up_to_sequence=1,
            content=who.words,
            **at,
            **({"amendments": 0} if "amendments" in Summary.model_fields else {}),
        ),
        Escalation(sequence_number=1, reason="complaint", source="words", summary=who.words, **at),
        Notice(
            id=f"notice-{id_}",
            about=f"escalation:{id_}:1",
            kind="email",
            target="owner@example.com",
            subject="Waits",
            content=who.words,
            **at,
        ),
        *([lead] if sms else []),
        visit,
        event,
        RepeatedRequest(
            owner="key",
            idempotency_key=f"key-{id_}",
            request_hash="h",
            status=200,
            body=f"{row.conversation_id} {who.phone}".encode(),
            conversation=row.conversation_id,
            created_at=NOW,
        ),
        AuditEntry(at=NOW, actor="operator", action="takeover", subject=row.conversation_id, conversation_id=id_),
    )
    await add(
        storage,
        AppointmentSeat(day=date(2026, 11, 25), cell=id_, seat=1, appointment_id=visit.id),
        HookDelivery(id=f"msg_{event.id}", event_id=event.id, receiver_id="receiver", **at),
    )


# --- beside the database ---------------------------------------------------------------------------------------


def arrival(who: Who) -> Arrival:
    """Return a webhook of a person, as the spool keeps it."""
    body = f"From=%2B{who.phone[1:]}&MessageSid={who.sid}&Body={who.words}".encode()
    return Arrival("sms", Request("POST", "/webhooks/sms", (), body), NOW)


async def leave_spool(folder: Path, *people: Who) -> None:
    """Leave a dead process's file with a record of each, what was set aside, and what was kept of a damaged file."""
    spool = Spool(folder / "spool", 10_000_000)
    await spool.open()
    for who in people:
        await spool.append(arrival(who))
        await spool.set_aside(arrival(who))
    await spool.close()
    [path] = (folder / "spool").glob("*.spool")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // len(people) - 20] ^= 1  # within the first record
    path.with_name(f"0{path.name}.damaged").write_bytes(damaged)


async def remember(memory: Memory, conversations: Iterable[Conversation], who: Who) -> None:
    """Let a memory hold what a person has said, before and after an edit."""
    for row in conversations:
        for amendments in range(row.amendments + 1):
            key = f"{row.conversation_id}:{amendments}"
            await memory.remember(key, (Remembered(1, "user", who.words),), replace=True)


# --- the search ------------------------------------------------------------------------------------------------


async def rows_of(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, also of those that are still to come."""
    found = {}
    async with storage._engine.connect() as connection:
        for table in metadata.sorted_tables:
            rows = (await connection.execute(table.select().order_by(*table.primary_key))).mappings().all()
            found[table.name] = [dict(row) for row in rows]
    return found


def names(content: object, traces: Iterable[str]) -> bool:
    """Tell whether a value names somebody, also within base64."""
    read = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
    packed = "".join(
        base64.b64decode(run + "=" * (-len(run) % 4)).decode("utf-8", "replace")
        for run in re.findall(r"[A-Za-z0-9+/]{20,}", read)
        if len(run) % 4 != 1
    )
    return any(trace in whole for trace in traces for whole in (read, packed))


async def traces_in(storage: Storage, traces: Iterable[str]) -> set[str]:
    """Return the tables in which somebody is named."""
    wanted = tuple(traces)
    return {table for table, rows in naming(await rows_of(storage), wanted).items() if rows}


def naming(rows: dict[str, list[dict[str, Any]]], traces: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return those of the rows of all tables that name somebody."""
    wanted = tuple(traces)
    return {table: [r for r in found if any(names(v, wanted) for v in r.values())] for table, found in rows.items()}


def traces_on_disk(folder: Path, traces: Iterable[str]) -> set[str]:
    """Return the files, by their names in a folder, that name somebody."""
    wanted = tuple(traces)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)) for p in files if names(p.read_bytes(), wanted) or names(p.name, wanted)}


async def traces_in_redis(url: str, namespace: str, traces: Iterable[str]) -> set[str]:
    """Return the keys that name somebody, in themselves or in what they hold."""
    wanted = tuple(traces)
    async with Redis.from_url(url) as redis:
        found = set()
        async for key in redis.scan_iter(match=f"*{namespace}*"):
            if names(key, wanted) or any(names(entry, wanted) for entry in await redis.lrange(key, 0, -1)):
                found.add(key.decode())
        return found


def ids_of(rows: Iterable[Conversation], contact_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the public ids that a person has in the database."""
    return (*(row.conversation_id for row in rows), *contact_ids)


async def contact_ids(storage: Storage, who: Who) -> list[str]:
    """Return the public ids of a person's contacts."""
    async with AsyncSession(storage._engine) as session:
        return list((await session.exec(select(Contact.contact_id).where(Contact.name == who.name))).all())
