"""Leads: one for a contact, whoever tells more about it, and nothing that was known is lost; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from gateway.storage import Claim, Lead, LeadFacts, SaveLead, Storage
from gateway.storage.leads import MAX_NOTES, merged
from tests.conftest import make_database
from tests.test_storage_accept import NOW
from tests.test_storage_appointments import ask, same_person
from tests.test_storage_direct import begin
from tests.test_storage_effects import turns_of
from tests.test_storage_locks import postgres_writer_dsn, until_blocked


@pytest.fixture
async def doors(storage: Storage, database_url: str) -> AsyncIterator[tuple[Storage, Storage]]:
    """Give the same database to two processes."""
    async with Storage(database_url) as other:
        yield storage, other


async def save(storage: Storage, turn: Claim, call: int = 0, **facts: Any) -> dict[str, Any]:
    """Save what a customer tells; returns what it gave."""
    return dict(await ask(storage, turn, SaveLead(LeadFacts(**facts), "sms", NOW), call))


async def the_lead(storage: Storage) -> Lead:
    [lead] = await storage.leads()
    return lead


async def test_a_lead_is_kept_and_its_conversation_marked(storage: Storage) -> None:
    """Facts, source, contact and conversation commit together with the conversation's link to it."""
    [turn] = await turns_of(storage, "+1")
    output = await save(storage, turn, name="the customer", phone="+15550100007", notes="A new boiler.")
    lead = await the_lead(storage)
    [conversation] = await storage.conversations()

    assert output == {"status": "created", "lead_id": lead.id}
    assert (lead.name, lead.phone, lead.email, lead.address, lead.notes) == (
        "the customer",
        "+15550100007",
        None,
        None,
        "A new boiler.",
    )
    assert (lead.source, lead.status, lead.created_at, lead.updated_at) == ("sms", "new", NOW, NOW)
    assert (lead.conversation_id, lead.contact_id) == (turn.id, turn.contact_id)
    assert (conversation.lead_id, conversation.converted_to_lead) == (lead.id, True)


async def test_what_is_told_later_goes_into_the_same_lead(storage: Storage) -> None:
    """A later fact wins, the earlier one stays in the notes, and what is not told again stays."""
    [turn] = await turns_of(storage, "+1")
    first = await save(storage, turn, name="the customer", phone="+15550100007", notes="A boiler.")
    later = SaveLead(LeadFacts(phone="+15550100008", email="a@example.com", notes="Next week."), "sms", NOW)
    second = await ask(storage, turn, later, 1)
    lead = await the_lead(storage)

    assert second == {"status": "updated", "lead_id": first["lead_id"]}
    assert (lead.name, lead.phone, lead.email) == ("the customer", "+15550100008", "a@example.com")
    assert lead.notes == "A boiler.\nEarlier phone: +15550100007\nNext week."


async def test_what_is_known_changes_nothing(storage: Storage) -> None:
    """The same facts again are said to be known, and leave the record's time alone."""
    [turn] = await turns_of(storage, "+1")
    facts = LeadFacts(name="the customer", notes="A boiler.")
    await ask(storage, turn, SaveLead(facts, "sms", NOW))
    again = await ask(storage, turn, SaveLead(facts, "sms", NOW + timedelta(hours=1)), 1)
    nothing = await ask(storage, turn, SaveLead(LeadFacts(), "sms", NOW + timedelta(hours=1)), 2)
    lead = await the_lead(storage)

    assert (again["status"], nothing["status"]) == ("unchanged", "unchanged")
    assert (lead.updated_at, lead.notes) == (NOW, "A boiler.")


async def test_what_a_channel_knows_replaces_nothing_that_was_told(storage: Storage) -> None:
    """The name of a profile and the number that somebody writes from fill what is empty, and no more."""
    [turn] = await turns_of(storage, "+1")
    known = LeadFacts(name="profile name", phone="+15550100001", email="own@example.com")
    await ask(storage, turn, SaveLead(LeadFacts(name="told name", phone="+15550100007"), "sms", NOW, known))
    first = await the_lead(storage)
    again = await ask(storage, turn, SaveLead(LeadFacts(), "sms", NOW, known), 1)
    second = await the_lead(storage)

    assert (first.name, first.phone, first.email) == ("told name", "+15550100007", "own@example.com")
    assert again["status"] == "unchanged"
    assert (second.name, second.phone, second.notes) == ("told name", "+15550100007", None)


@pytest.mark.parametrize("processes", [1, 2])
async def test_one_contact_gets_one_lead_from_two_conversations_at_once(
    doors: tuple[Storage, Storage], processes: int
) -> None:
    """Whoever writes on two channels at the same moment is one person, and what they tell on each is kept."""
    storage = doors[0]
    here, there = await same_person(storage)
    tells = [(here, 0, {"name": "the customer"}), (there, 0, {"email": "a@example.com"})]
    tells += [
        (turn, n, {"notes": f"Note {n}{side}."}) for n in range(1, 6) for side, turn in (("a", here), ("b", there))
    ]
    outputs = await asyncio.gather(
        *(save(doors[n % processes], turn, call, **facts) for n, (turn, call, facts) in enumerate(tells))
    )
    lead = await the_lead(storage)
    linked = {(c.lead_id, c.converted_to_lead) for c in await storage.conversations()}

    assert sorted(output["status"] for output in outputs) == ["created", *["updated"] * 11]
    assert {output["lead_id"] for output in outputs} == {lead.id}
    assert (lead.name, lead.email) == ("the customer", "a@example.com")
    assert sorted((lead.notes or "").split("\n")) == sorted(f"Note {n}{side}." for n in range(1, 6) for side in "ab")
    assert linked == {(lead.id, True)}


async def test_what_is_told_meanwhile_is_not_lost(postgres_url: str) -> None:
    """Who merges into a lead has read it behind the contact's lock."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        [turn] = await turns_of(storage, "+1")
        await save(storage, turn, notes="A boiler.")
        elsewhere = await asyncpg.connect(postgres_writer_dsn(storage))
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", turn.contact_id)
            await elsewhere.execute("UPDATE leads SET notes = 'A boiler. Two of them.'")
            waiting = asyncio.create_task(save(storage, turn, 1, notes="Next week."))
            await until_blocked(elsewhere)
        await waiting
        await elsewhere.close()

        assert (await the_lead(storage)).notes == "A boiler. Two of them.\nNext week."


async def test_two_people_are_two_leads(storage: Storage) -> None:
    """The same telephone number makes nobody the same person."""
    turns = await turns_of(storage, "+1", "+2")
    outputs = [await save(storage, turn, phone="+15550100007") for turn in turns]
    leads = await storage.leads()

    assert [output["status"] for output in outputs] == ["created", "created"]
    assert {lead.contact_id for lead in leads} == {turn.contact_id for turn in turns}


async def test_a_callers_conversation_gets_a_contact(storage: Storage) -> None:
    """One who comes through the API is nobody we know until they tell something; then their lead is one, too."""
    begun = await begin(storage, user_name="the visitor")
    assert begun.claim is not None
    first = await save(storage, begun.claim, email="a@example.com")
    second = await save(storage, begun.claim, 1, notes="Call in the morning.")
    lead = await the_lead(storage)
    conversation = await storage.conversation("visitor-1")

    assert (first["status"], second["status"]) == ("created", "updated")
    assert conversation is not None
    assert begun.claim.contact_id is None
    assert conversation.contact_id == lead.contact_id is not None
    assert (conversation.lead_id, conversation.converted_to_lead) == (lead.id, True)


async def test_a_lead_that_a_caller_has_linked_stays_linked(storage: Storage) -> None:
    """The caller's own number of it is not overwritten; ours says that there is a lead."""
    begun = await begin(storage, lead_id=4711)
    assert begun.claim is not None
    await save(storage, begun.claim, email="a@example.com")
    conversation = await storage.conversation("visitor-1")

    assert conversation is not None
    assert (conversation.lead_id, conversation.converted_to_lead) == (4711, True)
    assert (await the_lead(storage)).id != 4711


NOTHING = {"name": None, "phone": None, "email": None, "address": None, "notes": None}


@pytest.mark.parametrize(
    ("lead", "facts", "notes"),
    [
        pytest.param({"notes": "A boiler, soon."}, LeadFacts(notes="A boiler"), "A boiler, soon.", id="noted already"),
        pytest.param({"address": "5 Elm Street"}, LeadFacts(address="5 Elm Street"), None, id="the same"),
        pytest.param({"name": "A"}, LeadFacts(name="B", notes="x"), "Earlier name: A\nx", id="corrected"),
        pytest.param({}, LeadFacts(), None, id="nothing"),
    ],
)
def test_notes_keep_what_was_replaced(lead: dict[str, str], facts: LeadFacts, notes: str | None) -> None:
    """Once, and only where it was another."""
    assert merged({**NOTHING, **lead}, facts)["notes"] == notes


def test_notes_that_grow_too_long_end_with_a_mark() -> None:
    """What comes later is dropped, and telling it again changes nothing more."""
    full = merged({**NOTHING, "notes": "x" * (MAX_NOTES - 5)}, LeadFacts(notes="more than fits"))
    again = merged(full, LeadFacts(notes="still more"))

    assert len(full["notes"]) == MAX_NOTES
    assert full["notes"].endswith("\nmo …")
    assert again == full
