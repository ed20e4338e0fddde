"""What the bot's tools do for somebody who may not be who they say, by e-mail and in whole turns."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from channels.base import Inbound
from gateway.assistant.tools import TurnRun
from gateway.sandbox.receptionist import Called, Said
from gateway.storage import ClaimTurns
from gateway.storage.records import Escalation
from tests.mail_world import MailTown, mail_town
from tests.test_assistant import BUSINESS, booking, outputs
from tests.test_storage_accept import NOW
from tests.test_storage_mail import accept, answers, mail

BORDER = "mx.example.com"
TRUST = f"    trust: {{{{authserv_id: {BORDER}}}}}"
ACTING = ("create_lead", "schedule_appointment", "reschedule_appointment", "cancel_appointment")
CALLS = (
    ("find", "check_availability", {"date": booking()["date"], "time": None, "service": None}),
    ("keep", "create_lead", {"name": "A Customer", "phone": None, "email": None, "address": None, "notes": "A roof."}),
    ("book", "schedule_appointment", booking("10:00")),
    ("move", "reschedule_appointment", {"date": booking()["date"], "time": "11:00", "appointment_id": None}),
    ("cancel", "cancel_appointment", {"appointment_id": None}),
)


@asynccontextmanager
async def town_with_border(database_url: str, folder: Path) -> AsyncIterator[MailTown]:
    """Build a town whose own border host is believed."""
    business = json.dumps(BUSINESS)
    async with mail_town(database_url, folder, more=TRUST, business=business) as town:
        yield town


def will_call(town: MailTown, *names: str) -> None:
    """Let the model call tools, all in one round, and say then that it is done."""
    calls = tuple(Called(tool, json.dumps(arguments)) for name, tool, arguments in CALLS if name in names)
    town.around.openai.script.extend([Said(calls=calls), Said("Done.")])


def given(town: MailTown, count: int) -> list[str]:
    """Return what the last so many calls gave, in a word."""
    found = outputs(town.around.openai.requests[-1].body)[-count:]
    return [output.get("error") or output.get("status") or "read" for output in found]


def checked(result: str) -> dict[str, str]:
    """Return what the border host writes on a mail."""
    return {"Authentication_Results": f"{BORDER}; dmarc={result} header.from=example.org"}


async def escalations(town: MailTown) -> Sequence[Escalation]:
    """Return what was handed over, oldest first."""
    async with town.storage._reading() as session:
        return (await session.exec(select(Escalation).order_by("id"))).all()


async def until_told(town: MailTown, count: int) -> None:
    """Wait until the customer has an answer and its delivery is settled."""
    await town.until_read(count)
    await town.until_status(*["sent"] * count)


UNPROVEN = "needs_confirmation"
EVERYTHING = ("find", "keep", "book", "move", "cancel")


@pytest.mark.parametrize(
    ("headers", "gave", "waits_for"),
    [
        (checked("fail"), ["read", *[UNPROVEN] * 4], "cancel_appointment"),
        ({}, ["read", "created", "booked", UNPROVEN, UNPROVEN], "cancel_appointment"),
        (checked("pass"), ["read", "created", "booked", "moved", "cancelled"], None),
    ],
    ids=["failed", "unverified", "verified"],
)
async def test_what_is_done_for_whom(
    database_url: str, tmp_path: Path, headers: dict[str, str], gave: list[str], waits_for: str | None
) -> None:
    """Who is not who they say gets nothing done, and who may not be changes nothing; a person is asked for the rest."""
    async with town_with_border(database_url, tmp_path) as town:
        will_call(town, *EVERYTHING)
        await town.write("Do everything, please.", **headers)
        await until_told(town, 1)
        [conversation] = await town.storage.conversations()
        appointments = await town.storage.appointments()
        leads = await town.storage.leads()
        handed = [(e.reason, e.source) for e in await escalations(town)]
        summaries = [e.summary or "" for e in await escalations(town)]

    assert given(town, len(EVERYTHING)) == gave
    assert (len(leads), len(appointments)) == (gave.count("created"), gave.count("booked"))
    assert handed == ([("complex_question", f"rule:{UNPROVEN}")] if waits_for else [])
    assert all(f"They ask for {waits_for} " in summary for summary in summaries)
    assert conversation.mode == ("waiting" if waits_for else "bot")


async def test_an_answer_to_our_own_mail_proves_who_writes(database_url: str, tmp_path: Path) -> None:
    """Its token was given to nobody else: then everything is done, where no border host has said a word."""
    async with town_with_border(database_url, tmp_path) as town:
        will_call(town, "book")
        await town.write("Tomorrow at ten, please.")
        await until_told(town, 1)
        will_call(town, "move", "cancel")
        await town.reply(town.read_by()[-1], "Or rather not at all.")
        await until_told(town, 2)
        done = given(town, 2)
        handed = await escalations(town)

    assert done == ["moved", "cancelled"]
    assert handed == []


async def test_a_thief_with_the_token_changes_nothing(database_url: str, tmp_path: Path) -> None:
    """Somebody else who writes in the customer's name, and has no answer of ours: the appointment stays."""
    async with town_with_border(database_url, tmp_path) as town:
        will_call(town, "book")
        await town.write("Tomorrow at ten, please.", **checked("pass"))
        await until_told(town, 1)
        will_call(town, "cancel")
        await town.write("Cancel it.", Subject="My appointment", **checked("fail"))
        await until_told(town, 2)
        done = given(town, 1)
        [appointment] = await town.storage.appointments()

    assert done == [UNPROVEN]
    assert appointment.status == "booked"


async def test_what_waits_for_a_person_is_done_when_they_say_so(database_url: str, tmp_path: Path) -> None:
    """The model reads that nothing was done and why; the customer's next proven mail can have it done."""
    async with town_with_border(database_url, tmp_path) as town:
        will_call(town, "book", "cancel")
        await town.write("Tomorrow at ten. No, cancel it.")
        await until_told(town, 1)
        refused = outputs(town.around.openai.requests[-1].body)[-1]
        will_call(town, "cancel")
        await town.reply(town.read_by()[-1], "Yes, cancel it.")
        await until_told(town, 2)
        [appointment] = await town.storage.appointments()

    assert refused["error"] == UNPROVEN
    assert "Nothing was done" in refused["message"]
    assert appointment.status == "cancelled"


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ([None], None),
        (["verified"], "verified"),
        (["verified", "unverified"], "unverified"),
        (["failed", "unverified", "verified"], "failed"),
        (["verified", None], "verified"),
    ],
)
async def test_of_several_messages_the_least_trusted_counts(storage: Any, said: list[str | None], counts: Any) -> None:
    """They are answered together, and nobody can say which of them a tool was called for."""
    for number, level in enumerate(said):
        incoming = mail(f"m{number}", clues=(answers("m0"),))
        assert isinstance(incoming.event, Inbound)
        event = replace(incoming.event, metadata={"trust": level} if level else {})
        await accept(storage, replace(incoming, event=event, coalesce_s=1.0))
    at = NOW + timedelta(seconds=1)
    [claim] = await storage.run(ClaimTurns("serve:a", at, at + timedelta(minutes=1), 1, ("support",)))

    assert len(claim.messages) == len(said)
    assert TurnRun(claim, NOW).trust == counts
