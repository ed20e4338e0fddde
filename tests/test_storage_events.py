"""What else platforms tell: edits, reactions, watermarks, hand-overs, people who move; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from channels.base import (
    Consent,
    Control,
    DeliveryStatus,
    Echo,
    Edit,
    Event,
    Inbound,
    Moved,
    Note,
    Preference,
    Reaction,
    Revoke,
    Scope,
    Status,
    Watermark,
)
from channels.content import Choice, Content
from gateway.storage import (
    Accepted,
    Answer,
    ClaimLook,
    Compose,
    FinishTurn,
    Incoming,
    JournalRound,
    KeepToolResults,
    OpenChannels,
    Outcome,
    Resume,
    SaveFindings,
    Storage,
    Takeover,
    ToolPlace,
    ToolResult,
)
from gateway.storage.retention import EraseInactive
from gateway.storage.tables import Conversation, Message
from tests.saying import said
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_deliveries import settle, take
from tests.test_storage_effects import change, rows
from tests.test_storage_turns import SECOND, claim, finish

ANN = "+1555"
ANN_ID = "US.1"
ANSWER = Content("answer")


@pytest.fixture(autouse=True)
async def opened(storage: Storage) -> None:
    """Give the channel its state."""
    await storage.run(OpenChannels(("sms",)))


async def tell(storage: Storage, *events: Event) -> Accepted:
    """Accept events of the one channel as one request."""
    return await accept(storage, *(Incoming("sms", "whatsapp", event) for event in events))


def wrote(external_id: str, text: str = "hi", sender: str = ANN, **more: Any) -> Inbound:
    """Make a customer's message."""
    return Inbound(US, sender, external_id, text, **more)


async def conversations(storage: Storage) -> dict[str, Conversation]:
    """Return the conversations by their keys."""
    return {row.thread_key or "": row for row in await storage.conversations()}


async def transcript(storage: Storage) -> list[Message]:
    """Return the only conversation's messages."""
    [conversation] = await storage.conversations()
    return list(await storage.messages(conversation.id or 0))


async def answered(storage: Storage, content: Content = ANSWER) -> str:
    """Let the bot answer what waits and the platform take it; returns the delivery's external id."""
    [turn] = await claim(storage)
    await storage.run(FinishTurn(turn.id, turn.fence, NOW, Answer(content, (content,))))
    [delivery] = await take(storage)
    await settle(storage, delivery, Outcome.SENT, external_id=f"OUT-{turn.input_sequence}")
    return f"OUT-{turn.input_sequence}"


# --- edits, messages taken back, reactions ---------------------------------------------------------------------


async def test_an_edit_changes_the_message_that_waits(storage: Storage) -> None:
    """The turn answers the new words, the old ones are kept, and whoever remembers the transcript can see it."""
    await tell(storage, wrote("M1", "at 9"))
    result = await tell(storage, Edit(US, ANN, "M1", "at 10"), Edit(US, ANN, "M1", "at 11"))
    [turn] = await claim(storage)
    [message] = await transcript(storage)

    assert (result.changes, result.unknown_changes) == (2, 0)
    assert [m.content for m in turn.messages] == ["at 11"]
    assert message.meta == {"before_edits": ["at 9", "at 10"]}
    assert turn.amendments == 2


async def test_an_edit_in_the_same_request_as_its_message(storage: Storage) -> None:
    """A batch may hold both."""
    await tell(storage, Edit(US, ANN, "M1", "at 10"), wrote("M1", "at 9"))

    assert [m.content for m in await transcript(storage)] == ["at 10"]


async def test_an_edit_told_again_or_late_changes_nothing(storage: Storage) -> None:
    """Platforms deliver more than once and out of order; what came last holds."""
    last = Edit(US, ANN, "M1", "at 11", NOW)
    await tell(storage, wrote("M1", "at 9"), last, last, Edit(US, ANN, "M1", "at 10", NOW - SECOND))
    [conversation] = await storage.conversations()
    [message] = await transcript(storage)

    assert message.content == "at 11"
    assert message.meta == {"before_edits": ["at 9"], "edited_at": NOW.isoformat()}
    assert conversation.amendments == 1


async def test_a_running_turn_begins_again_with_the_new_words(storage: Storage) -> None:
    """What it makes of the old ones comes too late; a reaction disturbs nobody."""
    await tell(storage, wrote("M1", "at 9"))
    [running] = await claim(storage)
    await tell(storage, Reaction(US, ANN, "M1", "x"))
    undisturbed = await claim(storage)
    await tell(storage, Edit(US, ANN, "M1", "at 10"))
    late = await finish(storage, running)
    [again] = await claim(storage)

    assert undisturbed == []
    assert late is None
    assert [m.content for m in again.messages] == ["at 10"]
    assert await finish(storage, again) is not None


@pytest.mark.parametrize("acts", [True, False])
async def test_a_turn_that_has_acted_is_finished(storage: Storage, acts: bool) -> None:
    """What it did is not done twice for an edit; one that has only looked begins again, and forgets what it saw."""
    await tell(storage, wrote("M1", "at 9"))
    [running] = await claim(storage)
    await storage.run(JournalRound(running.id, running.fence, running.input_sequence, 0, {}, "r1", 5, 5, NOW))
    place = ToolPlace(running.id, running.fence, running.input_sequence, 0, 0, "book", "{}", acts)
    await storage.run(KeepToolResults((ToolResult(place, "done", {"status": "booked"}, 1),), NOW))
    await tell(storage, Edit(US, ANN, "M1", "at 10"))
    finished = await finish(storage, running)
    kept = await storage.rounds(running.id, after=0, up_to=9)

    assert (finished is not None, len(kept)) == (acts, 1 if acts else 0)


async def test_a_message_edited_for_ever_stays_small(storage: Storage) -> None:
    """The first text is kept, and the last ones."""
    await tell(storage, wrote("M1", "text 0"), *(Edit(US, ANN, "M1", f"text {n}" + "x" * 4000) for n in range(1, 21)))
    [message] = await transcript(storage)
    kept = (message.meta or {})["before_edits"]

    assert [text[:7].strip("x") for text in kept] == ["text 0", *(f"text {n}" for n in range(15, 20))]
    assert max(map(len, kept)) == 2000


async def test_what_is_taken_back_stays_so(storage: Storage) -> None:
    """Neither an edit that comes late nor the texts before it bring the words back."""
    await tell(storage, wrote("M1", "at 9"), Edit(US, ANN, "M1", "at 10", NOW), Revoke(US, ANN, "M1"))
    await tell(storage, Edit(US, ANN, "M1", "at 10", NOW))
    [message] = await transcript(storage)

    assert (message.content, message.meta) == ("", {"revoked": True})


@pytest.mark.parametrize(
    "change", [Edit(US, "+1666", "M1", "x"), Revoke(US, "+1666", "M1"), Reaction(US, "+1666", "M1", "x")]
)
async def test_nobody_changes_what_another_wrote(storage: Storage, change: Event) -> None:
    """A message is found in its author's own thread only."""
    await tell(storage, wrote("M1"))
    result = await tell(storage, change)
    [message] = await transcript(storage)

    assert result.unknown_changes == 1
    assert (message.content, message.meta) == ("hi", {})


async def test_an_edit_of_nothing_known_is_counted(storage: Storage) -> None:
    """It changes nothing and fails nothing."""
    result = await tell(storage, Edit(US, ANN, "M9", "x"), Revoke(US, ANN, "M9"), Reaction(US, ANN, "M9", "👍"))

    assert (result.changes, result.unknown_changes) == (0, 3)


async def test_a_message_taken_back_is_not_answered(storage: Storage) -> None:
    """Its words are gone; the turn answers the others."""
    await accept(storage, sms(ANN, "M1", "secret", coalesce_s=1.0), sms(ANN, "M2", "hello", coalesce_s=1.0))
    await tell(storage, Revoke(US, ANN, "M1"))
    [turn] = await claim(storage, NOW + SECOND)
    first, _ = await transcript(storage)

    assert [m.content for m in turn.messages] == ["hello"]
    assert (first.content, first.meta) == ("", {"revoked": True})


async def test_the_only_message_taken_back_leaves_nothing_to_answer(storage: Storage) -> None:
    """The turn that was due finds no message and ends without an answer."""
    await tell(storage, wrote("M1", "secret"))
    await tell(storage, Revoke(US, ANN, "M1"))
    [turn] = await claim(storage)
    finished = await storage.run(FinishTurn(turn.id, turn.fence, NOW, None))

    assert turn.messages == ()
    assert finished is not None
    assert await claim(storage) == []


@pytest.mark.parametrize("change", [Edit(US, ANN, "OUT-1", "forged"), Revoke(US, ANN, "OUT-1")])
async def test_customers_change_only_their_own_words(storage: Storage, change: Event) -> None:
    """What we said stands."""
    await tell(storage, wrote("M1"))
    await answered(storage)
    await tell(storage, change)

    assert [m.content for m in await transcript(storage)] == ["hi", "answer"]


async def test_a_reaction_stands_at_its_message(storage: Storage) -> None:
    """At one of theirs or one of ours; only the latest counts, and one may be taken back."""
    await tell(storage, wrote("M1"))
    ours = await answered(storage)
    await tell(storage, Reaction(US, ANN, ours, "👍"), Reaction(US, ANN, ours, "❤"), Reaction(US, ANN, "M1", "👍"))
    await tell(storage, Reaction(US, ANN, "M1", None))
    theirs, mine = await transcript(storage)

    assert (mine.meta or {})["reaction"] == "❤"
    assert (theirs.meta or {})["reaction"] is None


# --- reports ---------------------------------------------------------------------------------------------------


async def test_a_watermark_raises_all_that_was_sent_before(storage: Storage) -> None:
    """What was sent later stays; a status is never lowered."""
    for n in range(3):
        await storage.run(Compose("sms", "sms", ANN, said(str(n)), NOW))
        [delivery] = await take(storage, NOW + n * SECOND)
        await settle(storage, delivery, Outcome.SENT, external_id=f"OUT-{n}")
    read = Watermark(US, ANN, DeliveryStatus.READ, NOW)
    delivered = Watermark(US, ANN, DeliveryStatus.DELIVERED, NOW + SECOND)
    result = await tell(storage, read, delivered)

    assert result.statuses == 2
    assert [d.status for d in await storage.deliveries()] == ["read", "delivered", "sent"]


async def test_a_price_is_kept(storage: Storage) -> None:
    """With the delivery, in the platform's own words."""
    await storage.run(Compose("sms", "sms", ANN, said("x"), NOW))
    [delivery] = await take(storage)
    await settle(storage, delivery, Outcome.SENT, external_id="OUT")
    await tell(storage, Status(US, DeliveryStatus.DELIVERED, "OUT", pricing={"category": "service"}))
    await tell(storage, Status(US, DeliveryStatus.READ, "OUT"))
    [row] = await storage.deliveries()

    assert (row.status, row.pricing) == ("read", {"category": "service"})


# --- who is who ------------------------------------------------------------------------------------------------


async def test_a_person_is_one_by_number_and_by_id(storage: Storage) -> None:
    """Known by number first, then with the id, then by the id alone: one conversation, no gap in its numbers."""
    await tell(storage, wrote("M1"))
    await tell(storage, wrote("M2", identity=ANN_ID))
    await tell(storage, wrote("M3", sender=ANN_ID, identity=ANN_ID), wrote("M4"), wrote("M5", identity=ANN_ID))
    [conversation] = await storage.conversations()

    assert [m.sequence_number for m in await transcript(storage)] == [1, 2, 3, 4, 5]
    assert (conversation.address, conversation.identity, conversation.user_phone) == (ANN, ANN_ID, ANN)


async def test_both_names_in_one_first_request(storage: Storage) -> None:
    """Two messages of a stranger, with and without the number, are one conversation."""
    await tell(storage, wrote("M1", identity=ANN_ID), wrote("M2", sender=ANN_ID, identity=ANN_ID))

    assert [m.sequence_number for m in await transcript(storage)] == [1, 2]


async def test_every_kind_of_entry_in_one_first_request(storage: Storage) -> None:
    """What a stranger wrote, what a person of ours answered and what happened are one conversation."""
    note = Note(US, ANN, "referral:1", "referral", NOW, identity=ANN_ID)
    echo = Echo(US, ANN, "E1", "Hello", identity=ANN_ID)
    await tell(storage, wrote("M1"), echo, note, wrote("M2", identity=ANN_ID), wrote("M3", sender=ANN_ID))

    assert [m.sequence_number for m in await transcript(storage)] == [1, 2, 3, 4, 5]


async def test_a_number_that_passes_on_brings_no_conversation_along(storage: Storage) -> None:
    """Another person with the same number does not read on in the first one's thread."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    await tell(storage, wrote("M2", identity="US.2"))
    await tell(storage, wrote("M3"))
    found = await conversations(storage)

    assert {key: row.total_messages for key, row in found.items()} == {ANN_ID: 1, "US.2": 2}


async def contacts_of(storage: Storage) -> dict[str, int | None]:
    """Return the contacts of conversations by the lasting ids of their people, or by their addresses."""
    return {row.identity or row.address or "": row.contact_id for row in await storage.conversations()}


async def addressees(storage: Storage) -> dict[str, int | None]:
    """Return whose each address is: contacts by addresses."""
    found = await rows(storage, "SELECT address, contact_id FROM addresses")
    return {str(address): contact_id for address, contact_id in found}


async def test_a_number_that_passes_on_brings_no_contact_along(storage: Storage) -> None:
    """Its next owners are people of their own, and it is the last one's; who had it before stays who they were."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    first = (await contacts_of(storage))[ANN_ID]
    await tell(storage, wrote("M2", identity="US.2", sender_name="the next"))
    await tell(storage, wrote("M3", identity="US.3"))
    await tell(storage, wrote("M4", identity=ANN_ID), wrote("M5", identity="US.2"))
    contacts = await contacts_of(storage)

    assert contacts[ANN_ID] == first
    assert len(set(contacts.values()) - {None}) == 3
    assert await addressees(storage) == {ANN: contacts["US.3"]}
    assert await rows(storage, "SELECT name FROM contacts ORDER BY id") == [(None,), ("the next",), (None,)]


async def test_two_owners_of_a_number_in_one_first_request(storage: Storage) -> None:
    """They came in together, after a time without the database for one: still two people."""
    await tell(storage, wrote("M1", identity=ANN_ID), wrote("M2", identity="US.2"))
    contacts = await contacts_of(storage)

    assert len(set(contacts.values()) - {None}) == 2
    assert await addressees(storage) == {ANN: contacts["US.2"]}


async def test_a_number_is_nobodys_contact_after_its_conversation_is_gone(storage: Storage) -> None:
    """What is left of somebody, a lead for one, is not the next owner's."""
    await tell(storage, wrote("M0", sender="+1777"), wrote("M1", identity=ANN_ID))
    before = await contacts_of(storage)
    await change(
        storage,
        "INSERT INTO leads (status, contact_id, created_at) VALUES ('new', :id, :now)",
        id=before[ANN_ID],
        now=NOW.replace(tzinfo=None),
    )
    await storage.run(EraseInactive(NOW + timedelta(days=1), NOW + timedelta(days=1), 10))
    await tell(storage, wrote("M2", identity="US.2"))

    assert (await contacts_of(storage))["US.2"] not in (None, before[ANN_ID])


@pytest.mark.parametrize("identity", [None, ANN])
async def test_where_the_address_is_the_person_it_leads_to_the_contact(storage: Storage, identity: str | None) -> None:
    """Messenger's id, a hidden number, a mail address: all of its threads are one contact's."""
    await tell(storage, wrote("M1", identity=identity, thread_key="one"), wrote("M2", identity=identity))
    await tell(storage, wrote("M3", identity=identity, thread_key="two"))
    contacts = [row.contact_id for row in await storage.conversations()]

    assert len(contacts) == 3
    assert set((await addressees(storage)).values()) == set(contacts)
    assert None not in contacts


async def test_two_processes_meet_the_next_owner_at_once(database_url: str, storage: Storage) -> None:
    """They make one contact, who has the number and the conversation."""
    await tell(storage, wrote("M", identity=ANN_ID))
    async with Storage(database_url) as other:
        for n in range(2, 10):
            twice = [wrote(f"M{n}{which}", identity=f"US.{n}") for which in "ab"]
            await asyncio.gather(tell(storage, twice[0]), tell(other, twice[1]))
    contacts = await contacts_of(storage)

    assert len(set(contacts.values()) - {None}) == len(contacts) == 9
    assert await addressees(storage) == {ANN: contacts["US.9"]}
    assert len(await rows(storage, "SELECT id FROM contacts")) == 9


async def test_an_opt_out_holds_for_the_person(storage: Storage) -> None:
    """STOP by the hidden address stops what goes to the number."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    await storage.run(Compose("sms", "whatsapp", ANN, said("soon"), NOW))
    await tell(storage, wrote("M2", "STOP", sender=ANN_ID, identity=ANN_ID, consent=Consent.OPT_OUT))

    assert [(d.recipient, d.status) for d in await storage.deliveries()] == [(ANN, "cancelled")]


async def test_somebody_who_moves_keeps_everything(storage: Storage) -> None:
    """The conversation, what waits for them, and whether they want it go along; they are found by the new number."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    await storage.run(Compose("sms", "whatsapp", ANN, said("soon"), NOW))
    result = await tell(storage, Moved(US, ANN, "+1777", "US.9"))
    await tell(storage, wrote("M2", sender="+1777", identity="US.9"), wrote("M3", sender="+1777"))
    [conversation] = await storage.conversations()
    [delivery] = await storage.deliveries()

    assert result.changes == 1
    assert (conversation.address, conversation.identity, conversation.user_phone) == ("+1777", "US.9", "+1777")
    assert (delivery.recipient, delivery.status) == ("+1777", "queued")
    assert [m.sequence_number for m in await transcript(storage)] == [1, 2, 3, 4]


async def test_the_next_owner_of_a_number_is_somebody_else(storage: Storage) -> None:
    """They have a conversation of their own, and what the one before wanted is not theirs."""
    await tell(storage, wrote("M1", "STOP", consent=Consent.OPT_OUT))
    await tell(storage, Moved(US, ANN, "+1777"))
    await tell(storage, wrote("M2"))
    composed = await storage.run(Compose("sms", "whatsapp", ANN, said("x"), NOW))
    found = {row.address: row.total_messages for row in await storage.conversations()}

    assert composed.refused is None
    assert found == {"+1777": 1, ANN: 2}


async def test_what_is_on_its_way_follows_somebody_who_moves(storage: Storage) -> None:
    """Should the call be made again, it goes to the new address."""
    await tell(storage, wrote("M1"))
    await storage.run(Compose("sms", "whatsapp", ANN, said("soon"), NOW))
    await take(storage)
    await tell(storage, Moved(US, ANN, "+1777"))
    [delivery] = await storage.deliveries()

    assert delivery.recipient == "+1777"


async def test_an_opt_out_moves_along(storage: Storage) -> None:
    """A new number is no way around STOP."""
    await tell(storage, wrote("M1", "STOP", consent=Consent.OPT_OUT))
    await tell(storage, Moved(US, ANN, "+1777"))
    composed = await storage.run(Compose("sms", "whatsapp", "+1777", said("x"), NOW))

    assert composed.refused == "opted_out"


async def test_a_stranger_moves(storage: Storage) -> None:
    """It means nobody."""
    assert (await tell(storage, Moved(US, "+1", "+2"))).unknown_changes == 1


async def test_the_platforms_own_spelling_of_an_address_is_learned(storage: Storage) -> None:
    """Who answers from the address that the platform made of ours is the one that we wrote to."""
    await storage.run(Compose("sms", "whatsapp", "+5511987654321", said("hi"), NOW))
    [delivery] = await take(storage)
    await settle(storage, delivery, Outcome.SENT, external_id="OUT", recipient="+551187654321", remark="a template")
    await tell(storage, wrote("M1", sender="+551187654321", identity=ANN_ID))
    [row] = await storage.deliveries()

    assert [m.role for m in await transcript(storage)] == ["agent", "user"]
    assert row.remark == "a template"


# --- who speaks ------------------------------------------------------------------------------------------------


async def test_a_thread_that_another_app_has_is_not_talked_into(storage: Storage) -> None:
    """The running turn is fenced off, what the bot has queued is cancelled, and new messages get no turn."""
    await tell(storage, wrote("M1"))
    [turn] = await claim(storage)
    await finish(storage, turn, "queued")
    await tell(storage, wrote("M2"))
    [running] = await claim(storage)
    await tell(storage, Control(US, ANN, ours=False))
    late = await finish(storage, running)
    await tell(storage, wrote("M3", overheard=True))

    assert late is None
    assert [(d.content, d.status) for d in await storage.deliveries()] == [("queued", "cancelled")]
    assert await claim(storage) == []


async def test_a_thread_that_comes_back_is_answered(storage: Storage) -> None:
    """What the other app did not answer waits no longer."""
    await tell(storage, wrote("M1"), Control(US, ANN, ours=False, sent_at=NOW - SECOND))
    result = await tell(storage, Control(US, ANN, ours=True))
    [turn] = await claim(storage)

    assert result.due_at == NOW
    assert [m.content for m in turn.messages] == ["hi"]


async def test_a_hand_over_told_again_undoes_nothing(storage: Storage) -> None:
    """What came later holds: the thread is the bot's again, and the old word of its loss comes late."""
    lost = Control(US, ANN, ours=False, sent_at=NOW - 2 * SECOND)
    await tell(storage, wrote("M1"), lost, Control(US, ANN, ours=True, sent_at=NOW - SECOND), lost)
    [conversation] = await storage.conversations()

    assert conversation.mode == "bot"


async def test_a_person_who_answers_keeps_the_thread(storage: Storage) -> None:
    """That the bot had it before is no news after a person's answer."""
    passed = Control(US, ANN, ours=True, sent_at=NOW - SECOND)
    await tell(storage, wrote("M1"), passed)
    await tell(storage, Echo(US, ANN, "E1", "Ann here", sent_at=NOW))
    await tell(storage, passed)
    [conversation] = await storage.conversations()

    assert conversation.mode == "human"


async def test_a_person_of_ours_keeps_the_thread(storage: Storage) -> None:
    """Only the bot is given back what another app had."""
    await tell(storage, wrote("M1"))
    [conversation] = await storage.conversations()
    await storage.run(Takeover(conversation.conversation_id, "ann", NOW))
    await tell(storage, Control(US, ANN, ours=True))
    [after] = await storage.conversations()

    assert (after.mode, after.assigned_to) == ("human", "ann")


async def test_what_is_overheard_is_recorded_and_not_answered(storage: Storage) -> None:
    """Not alone, and not by the turn of a later message."""
    await tell(storage, wrote("M1", "to others", overheard=True))
    nothing = await claim(storage)
    await tell(storage, wrote("M2", "to us"))
    [turn] = await claim(storage)
    first, _ = await transcript(storage)

    assert nothing == []
    assert [m.content for m in turn.messages] == ["to us"]
    assert first.meta == {"overheard": True}


async def test_a_note_is_recorded_and_not_answered(storage: Storage) -> None:
    """It has its number and its facts, once however often it is told, and does not reopen what is closed."""
    note = Note(US, ANN, "referral:1", "referral", metadata={"ref": "promo"})
    await tell(storage, note, note)
    again = await tell(storage, note)
    await tell(storage, wrote("M1"))
    [turn] = await claim(storage)
    first, second = await transcript(storage)
    [conversation] = await storage.conversations()

    assert again.duplicates == 1
    assert (first.role, first.content, first.meta) == ("system", "referral", {"ref": "promo"})
    assert second.sequence_number == 2
    assert [m.content for m in turn.messages] == ["hi"]
    assert conversation.user_messages == 1


async def test_an_echo_finds_the_person_by_any_name(storage: Storage) -> None:
    """The owner answered by the hidden address: the conversation is the person's."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    await tell(storage, Echo(US, ANN_ID, "E1", "from a person"))
    [conversation] = await storage.conversations()

    assert (conversation.mode, conversation.total_messages) == ("human", 2)


# --- consent ---------------------------------------------------------------------------------------------------


async def test_the_last_word_on_marketing_holds(storage: Storage) -> None:
    """In one request, under two names, told again and late: what was said last counts, for each name."""
    await tell(storage, wrote("M1", identity=ANN_ID))
    stop = Preference(US, ANN, Consent.OPT_OUT, ANN_ID, NOW - 2 * SECOND)
    start = Preference(US, ANN_ID, Consent.OPT_IN, ANN_ID, NOW - SECOND)
    await tell(storage, start, stop)
    await tell(storage, stop)
    composed = [await storage.run(Compose("sms", "whatsapp", name, said("x"), NOW)) for name in (ANN, ANN_ID)]

    assert [one.refused for one in composed] == [None, None]


async def test_a_stranger_who_wants_no_marketing(storage: Storage) -> None:
    """It holds by the number as by the id, whichever they are written to first."""
    await tell(storage, Preference(US, ANN, Consent.OPT_OUT, ANN_ID, NOW))
    composed = [await storage.run(Compose("sms", "whatsapp", name, said("x"), NOW)) for name in (ANN, ANN_ID)]

    assert [one.refused for one in composed] == ["opted_out", "opted_out"]


async def test_marketing_is_not_everything(storage: Storage) -> None:
    """Who wants no advertisements is not written to first, and is answered all the same."""
    await tell(storage, wrote("M1", identity=ANN_ID), Preference(US, ANN, Consent.OPT_OUT, identity=ANN_ID))
    begun = await storage.run(Compose("sms", "whatsapp", ANN, said("an offer"), NOW))
    [turn] = await claim(storage)
    await finish(storage, turn)
    going = await take(storage)
    await tell(storage, Preference(US, ANN, Consent.OPT_IN))
    lifted = await storage.run(Compose("sms", "whatsapp", ANN, said("an offer"), NOW))

    assert begun.refused == "opted_out"
    assert [d.content.text for d in going] == ["answer"]
    assert lifted.refused is None


@pytest.mark.parametrize("told_by", ["the send", "the status"])
async def test_the_platforms_refusal_of_marketing_is_kept(storage: Storage, told_by: str) -> None:
    """The delivery fails, nothing else of ours is begun, and START lifts it."""
    await tell(storage, wrote("M1"))
    external_id = await answered(storage)
    if told_by == "the send":
        await storage.run(Compose("sms", "whatsapp", ANN, said("an offer"), NOW))
        [offer] = await take(storage)
        await settle(storage, offer, Outcome.FAILED, error_code="131050", opted_out=Scope.MARKETING)
    else:
        failed = Status(US, DeliveryStatus.FAILED, external_id, error_code="131050", opted_out=Scope.MARKETING)
        await tell(storage, failed)
    refused = await storage.run(Compose("sms", "whatsapp", ANN, said("an offer"), NOW))
    await tell(storage, wrote("M2", "still there?"))
    [turn] = await claim(storage)
    await finish(storage, turn)
    await tell(storage, wrote("M3", "START", consent=Consent.OPT_IN))
    welcome = await storage.run(Compose("sms", "whatsapp", ANN, said("an offer"), NOW))

    assert (refused.refused, welcome.refused) == ("opted_out", None)


# --- choices, windows, looks -----------------------------------------------------------------------------------

OFFER = Content("When?", choices=(Choice("t9", "9:00"), Choice("t14", "14:00")))


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("2", {"id": "t14", "title": "14:00"}),
        (" 1. ", {"id": "t9", "title": "9:00"}),
        ("#2)", {"id": "t14", "title": "14:00"}),
        ("3", None),
        ("0", None),
        ("at 2", None),
        ("2 3", None),
    ],
)
async def test_a_number_picks_a_choice(storage: Storage, text: str, picked: dict[str, str] | None) -> None:
    """It is the one with that number in our last message, where there is one."""
    await tell(storage, wrote("M1"))
    await answered(storage, OFFER)
    await tell(storage, wrote("M2", text))
    *_, last = await transcript(storage)

    assert (last.content, (last.meta or {}).get("choice")) == (text, picked)


async def test_a_number_means_our_last_message(storage: Storage) -> None:
    """After something else was said, a number is a number again."""
    await tell(storage, wrote("M1"))
    await answered(storage, OFFER)
    await tell(storage, wrote("M2", "what else?"))
    await answered(storage)
    await tell(storage, wrote("M3", "2"))
    *_, last = await transcript(storage)

    assert "choice" not in (last.meta or {})


async def test_a_picked_button_is_kept(storage: Storage) -> None:
    """As the platform tells it, beside its words."""
    await tell(storage, wrote("M1", "9:00", choice=Choice("t9", "9:00")))
    [message] = await transcript(storage)

    assert message.meta == {"choice": {"id": "t9", "title": "9:00"}}


async def test_a_delivery_knows_what_it_shows_and_how_long_the_customer_is_silent(storage: Storage) -> None:
    """Buttons survive the database, and the window opens when the customer wrote, not when we heard of it."""
    await tell(storage, wrote("M1", sent_at=NOW - timedelta(hours=3)))
    await tell(storage, wrote("M0", sent_at=NOW - timedelta(hours=9)))
    for expected in (Content("first"), OFFER):
        [turn] = await claim(storage)
        await storage.run(FinishTurn(turn.id, turn.fence, NOW, Answer(expected, (expected,))))
    [first] = await take(storage)
    await settle(storage, first, Outcome.SENT, external_id="OUT")
    [second] = await take(storage)

    assert (first.content, second.content) == (Content("first"), OFFER)
    assert second.customer_wrote_at == NOW - timedelta(hours=3)
    assert (second.part, second.by_person) == (1, False)


async def test_one_process_looks_at_a_platform_a_day(storage: Storage) -> None:
    """What it finds is there for all, until the next look or start."""
    first = await storage.run(ClaimLook("sms", NOW, NOW + SECOND))
    other = await storage.run(ClaimLook("sms", NOW, NOW + SECOND))
    found = ({"detail": "not subscribed", "fix": "subscribe"},)
    await storage.run(SaveFindings("sms", found, NOW + timedelta(days=1)))
    early = await storage.run(ClaimLook("sms", NOW + timedelta(hours=23), NOW))
    [state] = await storage.channel_states()
    await storage.run(OpenChannels(("sms",)))
    [restarted] = await storage.channel_states()

    assert (first, other, early) == (True, False, False)
    assert state.findings == list(found)
    assert (restarted.findings, restarted.look_due_at) == (None, None)


async def test_a_resumed_conversation_does_not_answer_what_was_overheard(storage: Storage) -> None:
    """The other app's customer got the other app's answers."""
    await tell(storage, wrote("M1", overheard=True), Control(US, ANN, ours=False))
    [conversation] = await storage.conversations()
    resumed = await storage.run(Resume(conversation.conversation_id, NOW))

    assert resumed is not None
    assert resumed.due_at is None
