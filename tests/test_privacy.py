"""A person's data on both databases: handed to them whole, and erased without a trace."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import Channel, Consent, Event, Request, Status
from channels.errors import PayloadError
from channels.http import Http
from gateway.cache import LocalMemory, Memory, open_memory
from gateway.clock import utc_now
from gateway.media import MediaStore
from gateway.privacy import SpoolBusy, export_person, find_people, forget_person
from gateway.privacy.naming import Names
from gateway.privacy.shares import Shares
from gateway.reader import Readers
from gateway.roster import Roster, build_roster
from gateway.segment import Arrival
from gateway.spool import Spool
from gateway.storage import (
    Accept,
    BeginDirectTurn,
    BeginRequest,
    ClaimDeliveries,
    Compose,
    FinishTurn,
    JournalRound,
    OpenChannels,
    Pace,
    Rejected,
    SettleRequest,
    Storage,
)
from gateway.storage.columns import metadata
from gateway.storage.erasure import BELONGINGS, FORGET
from gateway.storage.portraits import PARTS
from gateway.storage.privacy import NOBODY, FindPeople, Person
from tests.frontdesk import free_port, frontdesk, running
from tests.gateways import config
from tests.loopback import LoopbackChannel, roster_of
from tests.people_data import (
    SHARED,
    Who,
    arrival,
    contact_ids,
    ids_of,
    leave_spool,
    live,
    naming,
    remember,
    rows_of,
    traces_in,
    traces_in_redis,
    traces_on_disk,
)
from tests.saying import said
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_turns import claim
from tests.test_turns import house

pytest_plugins = ["tests.fixtures_redis"]

THEY, OTHER = Who(101), Who(202)
NOT_PERSONAL = {"alembic_version", "channel_states", "installation", "operators", "api_keys", "receivers"}
"""Tables that hold nothing of a customer."""
ASKED = {"rejected_webhooks", *FORGET}
THEIR_OWN = {"contacts", "addresses", "aliases", "chat_conversations", "leads", "appointments", "appointment_seats"}


async def the_one(storage: Storage, text: str) -> Person:
    """Find one person."""
    [person] = await storage.run(FindPeople((text,)))
    return person


async def forget(storage: Storage, folder: Path, who: Who, **more):
    """Erase a person, without Redis."""
    person = await the_one(storage, who.phone)
    return await forget_person(storage, LocalMemory(), roster_of(), folder, person, actor="test", now=NOW, **more)


@pytest.fixture
async def memory(redis_url: str, namespace: str) -> AsyncIterator[Memory]:
    """Give the memory in Redis."""
    opened = open_memory(redis_url, namespace=namespace)
    yield opened
    await opened.close()


# --- erasing ---------------------------------------------------------------------------------------------------


async def test_nothing_of_a_person_is_left_and_everything_of_another(
    storage: Storage, tmp_path: Path, redis_url: str, namespace: str, memory: Memory
) -> None:
    """No table, no file, no spool and no memory names them; the other's rows, files and memory are as they were."""
    data = tmp_path / "data"
    conversations = {who: await live(storage, data, who) for who in (THEY, OTHER)}
    await leave_spool(data, THEY, OTHER)
    for who, rows in conversations.items():
        await remember(memory, rows, who)
    traces = {w: (*w.traces, *ids_of(conversations[w], await contact_ids(storage, w))) for w in conversations}
    before = await rows_of(storage)
    in_tables = await traces_in(storage, traces[THEY])
    person = await the_one(storage, THEY.phone)
    forgotten = await forget_person(storage, memory, roster_of(), data, person, actor="cli:owner", now=NOW)
    after = await rows_of(storage)

    assert in_tables == set(BELONGINGS) - {"hook_deliveries"} | THEIR_OWN - {"appointment_seats"} | ASKED
    assert await traces_in(storage, traces[THEY]) == set()
    assert traces_on_disk(tmp_path, traces[THEY]) == set()
    assert await traces_in_redis(redis_url, namespace, traces[THEY]) == set()
    assert naming(after, traces[OTHER]) == naming(before, traces[OTHER])
    assert (len(after["appointment_seats"]), len(after["hook_deliveries"])) == (2, 2)
    assert {path.partition("/")[0] for path in traces_on_disk(data, traces[OTHER])} == {"media", "spool"}
    assert len(await traces_in_redis(redis_url, namespace, traces[OTHER])) == 2
    assert await MediaStore(data / "media").read(hashlib.sha256(SHARED).hexdigest()) == SHARED
    assert (forgotten.files, forgotten.spooled) == (1, 3)
    assert (forgotten.webhooks, forgotten.rows["repeated_requests"], forgotten.rows["audit"]) == (1, 2, 2)


async def test_the_audit_says_that_somebody_was_erased_and_not_who(storage: Storage, tmp_path: Path) -> None:
    """When, by whom and how much; and who had done something to them is kept, without them."""
    await live(storage, tmp_path, THEY)
    await forget(storage, tmp_path, THEY)
    entries = (await rows_of(storage))["audit"]

    assert [(e["actor"], e["action"], e["subject"]) for e in entries] == [
        ("operator", "takeover", "erased"),
        ("operator", "takeover", "erased"),
        ("test", "person.erased", "person"),
    ]
    assert entries[-1]["at"] == NOW
    assert entries[-1]["detail"]["chat_conversations"] == 2


async def test_a_second_run_finds_nothing(storage: Storage, tmp_path: Path) -> None:
    """By no id and by no address."""
    conversations = await live(storage, tmp_path, THEY)
    ids = ids_of(conversations, await contact_ids(storage, THEY))
    await forget(storage, tmp_path, THEY)
    found = await storage.run(FindPeople((*ids, THEY.phone, THEY.page_scoped, THEY.alias, THEY.email)))

    assert found == []


async def test_one_that_was_cut_off_is_finished_by_the_next(storage: Storage, tmp_path: Path) -> None:
    """Whatever had gone before the database's turn came, the person is found again, and the rest goes."""
    await live(storage, tmp_path, THEY)
    await leave_spool(tmp_path, THEY, OTHER)
    holding = Spool(tmp_path / "spool", 10_000_000)
    await holding.open()  # a living process has the file: the command gives up in its middle
    with pytest.raises(SpoolBusy):
        await forget(storage, tmp_path, THEY, patience_s=0.1)
    await holding.close()
    await forget(storage, tmp_path, THEY)

    assert await traces_in(storage, THEY.traces) == set()
    assert traces_on_disk(tmp_path, THEY.traces) == set()


async def test_a_living_process_brings_its_spool_in_first(storage: Storage, tmp_path: Path) -> None:
    """Its file is not touched: what it drains meanwhile is erased with the rest."""
    await live(storage, tmp_path, THEY)
    spool = Spool(tmp_path / "spool", 10_000_000)
    await spool.open()
    await spool.append(arrival(THEY))
    forgetting = asyncio.create_task(forget(storage, tmp_path, THEY, patience_s=30))
    await accept(storage, sms(THEY.phone, "SM-late", THEY.words))  # as the drain does
    batch = await spool.read(10)
    assert batch is not None
    await spool.drained(batch)
    forgotten = await forgetting
    await spool.close()

    assert forgotten.spooled == 0
    assert await traces_in(storage, THEY.traces) == set()
    assert traces_on_disk(tmp_path, THEY.traces) == set()


async def test_whoever_only_sent_what_nobody_could_read_is_erased_too(storage: Storage, tmp_path: Path) -> None:
    """The database knows nobody by the address: the spool and the kept webhooks are looked through all the same."""
    kept = Rejected("sms", arrival(THEY).request, "unreadable", NOW)
    await storage.run(Accept((), NOW, rejected=(kept,)))
    await leave_spool(tmp_path, THEY)
    person, also = NOBODY, (THEY.phone,)
    nowhere = LocalMemory(), roster_of(), tmp_path
    forgotten = await forget_person(storage, *nowhere, person, actor="t", now=NOW, also=also)

    assert (forgotten.webhooks, forgotten.spooled) == (1, 3)
    assert await traces_in(storage, THEY.traces) == set()
    assert traces_on_disk(tmp_path, THEY.traces) == set()


async def test_an_opt_out_survives_and_nothing_beside_it(storage: Storage, tmp_path: Path) -> None:
    """The address stays with the times of the word; nothing that we begin goes there, and no second run is needed."""
    await live(storage, tmp_path, THEY)
    await accept(storage, sms(THEY.phone, "SM-stop", "STOP", consent=Consent.OPT_OUT))
    forgotten = await forget(storage, tmp_path, THEY)
    composed = await storage.run(Compose("sms", "sms", THEY.phone, said("News"), NOW))
    [kept] = (await rows_of(storage))["addresses"]

    assert forgotten.opt_outs_kept == 1
    assert composed.refused == "opted_out"
    assert {name for name, value in kept.items() if value is not None} == {
        "id",
        "channel_name",
        "address",
        "opted_out_at",
        "consent_at",
    }


async def test_whoever_writes_again_is_a_stranger(storage: Storage, tmp_path: Path) -> None:
    """A new contact and a new conversation, in which nothing was said before."""
    await live(storage, tmp_path, THEY)
    await forget(storage, tmp_path, THEY)
    await accept(storage, sms(THEY.phone, "SM-again", "hello"))
    [person] = await storage.run(FindPeople((THEY.phone,)))
    [turn] = await claim(storage)

    assert len(person.conversations) == len(person.contacts) == 1
    assert [message.content for message in turn.messages] == ["hello"]


async def test_a_running_turn_ends_fenced(storage: Storage, tmp_path: Path) -> None:
    """Nothing of it is committed, also not into the conversation of whoever comes next."""
    await accept(storage, sms(THEY.phone, THEY.sid, THEY.words))
    [turn] = await claim(storage)
    await forget(storage, tmp_path, THEY)
    await accept(storage, sms(OTHER.phone, OTHER.sid, OTHER.words))
    [others] = await claim(storage)
    journalled = await storage.run(
        JournalRound(turn.id, turn.fence, turn.input_sequence, 1, {"said": THEY.words}, None, 1, 1, NOW)
    )
    finished = await storage.run(FinishTurn(turn.id, turn.fence, NOW, said(THEY.words)))

    assert others.id != turn.id
    assert (journalled, finished) == (False, None)
    assert await traces_in(storage, THEY.traces) == set()


async def test_a_turn_whose_model_answers_afterwards_says_nothing(storage: Storage, tmp_path: Path) -> None:
    """The real worker, held in the middle of its turn."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms(THEY.phone, THEY.sid, THEY.words), at=utc_now())
        _, answer = await h.asked()
        await forget(storage, tmp_path, THEY)
        answer.set_result(f"I hear that {THEY.words}")
        await accept(storage, sms(OTHER.phone, OTHER.sid, "hi"), at=utc_now())
        asked, answer = await h.asked()
        answer.set_result("hello")
        async with asyncio.timeout(10):
            while not await storage.deliveries():
                await asyncio.sleep(0.01)

        assert asked == ["user: hi"]
        assert [delivery.recipient for delivery in await storage.deliveries()] == [OTHER.phone]
        assert await traces_in(storage, THEY.traces) == set()


async def test_a_call_that_has_begun_is_waited_for(storage: Storage, tmp_path: Path) -> None:
    """Until its delivery is settled, or patience ends; queued ones are not begun any more."""
    await storage.run(OpenChannels(("sms",)))
    for text in ("one", "two"):
        await storage.run(Compose("sms", "sms", THEY.phone, said(text), NOW))
    claiming = ClaimDeliveries("w", NOW, NOW + timedelta(minutes=1), (Pace("sms", 10.0),), 1, NOW - timedelta(days=1))
    [begun] = (await storage.run(claiming)).deliveries
    forgetting = asyncio.create_task(forget(storage, tmp_path, THEY, patience_s=0.5))
    async with asyncio.timeout(10):
        while {d.status for d in await storage.deliveries()} != {"sending", "cancelled"}:
            await asyncio.sleep(0.01)
    seen = {d.id: d.status for d in await storage.deliveries()}
    await forgetting

    assert seen[begun.id] == "sending"
    assert await storage.deliveries() == []


async def test_every_table_is_accounted_for() -> None:
    """A table that is new hangs on a conversation and is erased with it, is looked through, or is known as harmless."""
    erased = set(BELONGINGS) | THEIR_OWN | ASKED

    assert set(metadata.tables) - erased == NOT_PERSONAL - {"alembic_version"}
    assert set(PARTS.values()) == erased - ASKED - {"appointment_seats"}


# --- sharing out ------------------------------------------------------------------------------------------------

WHATSAPP = """
  whatsapp: {type: whatsapp, phone_number_id: "106540352242922", access_token: t, app_secret: s, verify_token: v,
             api_base: "http://127.0.0.1:9"}
"""


@asynccontextmanager
async def real_roster(tmp_path: Path) -> AsyncIterator[Roster]:
    """Give a channel on Twilio and one on WhatsApp."""
    more = WHATSAPP.replace("{", "{{").replace("}", "}}").format()
    async with Http() as http:
        yield build_roster(config(tmp_path, "sqlite:///x.db", more_channels=more), http)


def whatsapp_batch(*messages: Any, statuses: Any = ()) -> bytes:
    """Write a webhook that tells of several customers: (sender, text) each, or (sender, fields)."""
    told = [
        {"from": who, "id": f"wamid.{number}", "timestamp": "1700000000", **_said(said)}
        for number, (who, said) in enumerate(messages)
    ]
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100002", "phone_number_id": "106540352242922"},
        "contacts": [{"profile": {"name": f"Customer of {who}"}, "wa_id": who} for who, _ in messages],
        "messages": told,
        "statuses": [{"id": f"out.{who}", "status": "sent", "timestamp": "1", "recipient_id": who} for who in statuses],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def _said(said: Any) -> dict[str, Any]:
    return {"type": "text", "text": {"body": said}} if isinstance(said, str) else said


HE, SHE = "15550100101", "15550100202"
CARD = {"type": "contacts", "contacts": [{"name": {"formatted_name": "hers"}, "phones": [{"wa_id": HE, "phone": HE}]}]}
"""A card that somebody shares: the other's number stands in a field of its own."""
BATCHES = [
    ("whatsapp", whatsapp_batch((HE, "mine"), (SHE, "hers")), True, True),
    ("whatsapp", whatsapp_batch((SHE, f"call +{HE}, please"), (SHE, "hers")), False, True),
    ("whatsapp", whatsapp_batch((SHE, HE)), False, True),
    ("whatsapp", whatsapp_batch((SHE, f"ask {HE}"), (HE, "mine")), True, True),
    ("whatsapp", whatsapp_batch((SHE, CARD)), False, True),
    ("whatsapp", whatsapp_batch((SHE, CARD), (HE, "mine")), True, True),
    ("whatsapp", whatsapp_batch((HE, "mine"), (HE, "mine, too")), True, False),
    ("whatsapp", whatsapp_batch((SHE, "hers"), statuses=(HE, SHE)), True, True),
    ("whatsapp", whatsapp_batch((HE, "mine"), (SHE, "hers")).replace(b'"text"', b'"newer"'), True, True),
    ("gone", whatsapp_batch((HE, "mine"), (SHE, "hers")), True, True),
    ("gone", whatsapp_batch((HE, "mine")), True, False),
    ("sms", b"From=%2B15550100101&To=%2B15550100001&MessageSid=SM1&Body=mine", True, False),
    ("sms", b"From=%2B15550100202&To=%2B15550100001&MessageSid=SM2&Body=call+%2B15550100101", False, True),
    ("sms", b"From=%2B15550100202&To=%2B15550100001&MessageSid=SM2&Body=%2B15550100101", False, True),
    ("sms", b"From=%2B15550100101&Nothing=else", True, False),
    ("sms", b"From=%2B15550100202&Body=%2B15550100101", False, True),
]


@pytest.mark.parametrize(("channel", "body", "has_theirs", "has_rest"), BATCHES)
async def test_a_request_is_divided_between_one_and_all_others(
    tmp_path: Path, channel: str, body: bytes, has_theirs: bool, has_rest: bool
) -> None:
    """What the others wrote is read as before, whoever they speak of; nothing of the one's is left beside it."""
    request = Request("POST", f"/webhooks/{channel}", (), body)
    async with real_roster(tmp_path) as roster:
        share = await Shares(roster, Readers(), Names([f"+{HE}"])).of(channel, request)
        whose = roster.get(channel)
        before, after = (
            [] if whose is None or r is None else [e for e in read(whose, r) if getattr(e, "sender", "") != f"+{HE}"]
            for r in (request, share.rest)
        )

    assert (bool(share.theirs), share.rest is not None) == (has_theirs, has_rest)
    assert (share.rest is request) is not has_theirs
    assert [e for e in after if not isinstance(e, Status)] == [e for e in before if not isinstance(e, Status)]
    if has_theirs and share.rest is not None:
        assert b"mine" not in share.rest.body
        assert f'"from":"{HE}"'.encode() not in share.rest.body
        assert b"hers" not in share.theirs


def read(channel: Channel, request: Request) -> tuple[Event, ...]:
    """Return what a channel reads, nothing where it cannot."""
    try:
        return channel.parse(request).events
    except PayloadError:
        return ()


async def test_forgetting_one_leaves_the_others_of_a_batch(storage: Storage, tmp_path: Path) -> None:
    """In a dead process's spool, in what was set aside and in the webhooks that were kept."""
    batch = Request("POST", "/webhooks/whatsapp", (), whatsapp_batch((HE, "mine"), (SHE, f"hers, not {HE}'s")))
    await storage.run(Accept((), NOW, rejected=(Rejected("whatsapp", batch, "unreadable", NOW),)))
    spool = Spool(tmp_path / "spool", 10_000_000)
    await spool.open()
    await spool.append(Arrival("whatsapp", batch, NOW))
    await spool.set_aside(Arrival("whatsapp", batch, NOW))
    await spool.close()
    async with real_roster(tmp_path) as roster:
        also = (f"+{HE}",)
        nowhere = LocalMemory(), roster, tmp_path
        forgotten = await forget_person(storage, *nowhere, NOBODY, actor="t", now=NOW, also=also)
        again = await forget_person(storage, *nowhere, NOBODY, actor="t", now=NOW, also=also)
        [kept] = await storage.quotes.webhooks(0)
        await spool.open()
        left = await spool.read(10)
        await spool.close()
        bodies = [kept.body, *(arrival.request.body for arrival in left.arrivals)]
        senders = [[e.sender for e in read(roster["whatsapp"], Request("POST", "/", (), body))] for body in bodies]

    assert (forgotten.webhooks, forgotten.spooled) == (1, 2)
    assert again.total == 0
    assert senders == [[f"+{SHE}"]] * 2
    assert not any(b"mine" in body for body in bodies)


async def test_a_large_body_beside_the_spool_goes_with_its_record(storage: Storage, tmp_path: Path) -> None:
    """It is read where it lies; another's stays."""
    spool = Spool(tmp_path / "spool", 10_000_000)
    await spool.open()
    for who in (THEY, OTHER):
        body = spool.bodies / str(who.number)
        body.write_bytes(f"From: {who.email}\r\n\r\n{who.words}".encode())
        await spool.append(Arrival("mail", Request("POST", "smtp:", (), file=body), NOW))
    await spool.close()
    nowhere = LocalMemory(), roster_of(), tmp_path
    also = (THEY.email,)
    forgotten = await forget_person(storage, *nowhere, NOBODY, actor="t", now=NOW, also=also)

    assert forgotten.spooled == 1
    assert [path.name for path in spool.bodies.iterdir()] == [str(OTHER.number)]
    assert traces_on_disk(tmp_path / "spool", [THEY.words, THEY.email]) == set()


NOT_THEIRS = [
    {"user_id": "sms"},
    {"user_id": "guest"},
    {"user_phone": OTHER.phone, "user_email": OTHER.email},
    {"user_phone": "+15550100001"},
]
"""What callers say of a customer: a channel's name, what stands in each request, another's address, our own number."""


@pytest.mark.parametrize("facts", NOT_THEIRS)
async def test_what_a_caller_has_said_wipes_nothing_of_others(
    storage: Storage, tmp_path: Path, facts: dict[str, str]
) -> None:
    """A conversation ``support`` of the API: what others sent is theirs, and answers go by their conversation."""
    await storage.run(BeginDirectTurn("support", "website_chat", "hi", "w", NOW, NOW, facts))
    await storage.run(BeginDirectTurn("c", "website_chat", "hi", "w", NOW, NOW, {}))
    others = Request("POST", "/", (), arrival(OTHER).request.body + b"&To=%2B15550100001&Name=guest")
    await storage.run(Accept((), NOW, rejected=(Rejected("support", others, "unreadable", NOW),)))
    await leave_spool(tmp_path, OTHER)
    answers = [
        ("support", 200, {"conversation_id": "support", "message": "hi"}),
        ("support", 409, {"instance": "/api/v1/conversations/support/resume"}),
        (
            "c",
            200,
            {"conversation_id": "c", "message": f"our support: +15550100001, {OTHER.phone}, by sms", "to": "guest"},
        ),
    ]
    for name, (conversation, status, told) in enumerate(answers):
        began = await storage.run(BeginRequest("o", str(name), "h", NOW))
        body = json.dumps(told).encode()
        await storage.run(SettleRequest(began.id, status, "application/json", body, conversation))
    async with real_roster(tmp_path) as roster:
        [person] = await find_people(storage, roster, "support")
        forgotten = await forget_person(storage, LocalMemory(), roster, tmp_path, person, actor="t", now=NOW)
    bodies = [(await storage.run(BeginRequest("o", str(name), "h", NOW))).body for name in range(len(answers))]

    assert forgotten.rows["chat_conversations"] == 1
    assert (forgotten.webhooks, forgotten.spooled, forgotten.rows["repeated_requests"]) == (0, 0, 2)
    assert [body is None for body in bodies] == [True, True, False]


async def test_our_own_account_is_nobodys_name(storage: Storage, tmp_path: Path) -> None:
    """Whoever has it as an address, by a forged sender for one, does not take every webhook of the channel along."""
    await accept(storage, sms("+15550100001", "SM-forged", "hi"))
    await storage.run(Accept((), NOW, rejected=(Rejected("sms", TO_US, "unreadable", NOW),)))
    async with real_roster(tmp_path) as roster:
        [person] = await find_people(storage, roster, "+15550100001")
        forgotten = await forget_person(storage, LocalMemory(), roster, tmp_path, person, actor="t", now=NOW)

    assert (forgotten.rows["chat_conversations"], forgotten.webhooks) == (1, 0)
    assert len(await storage.quotes.webhooks(0)) == 1


TO_US = Request("POST", "/webhooks/sms", (), b"To=%2B15550100001&Nothing=else")


@pytest.mark.parametrize("conversation", ["7", "+", "x y", "\u00e9\u00e9", "c" * 512])
async def test_whatever_an_id_looks_like_its_answers_go(storage: Storage, tmp_path: Path, conversation: str) -> None:
    """Callers' ids may be short, or have no letter in them; another's, which looks alike, stays."""
    for name in (conversation, conversation + "7"):
        await storage.run(BeginDirectTurn(name, "website_chat", THEY.words, "w", NOW, NOW, {}))
        began = await storage.run(BeginRequest("o", name, "h", NOW))
        await storage.run(SettleRequest(began.id, 200, "application/json", name.encode() + b": words", name))
    [person] = await find_people(storage, roster_of(), conversation)
    await forget_person(storage, LocalMemory(), roster_of(), tmp_path, person, actor="t", now=NOW)
    bodies = [row["body"] for row in (await rows_of(storage))["repeated_requests"]]

    assert bodies == [None, (conversation + "7").encode() + b": words"]


async def test_what_is_answered_meanwhile_leaves_no_trace(storage: Storage, tmp_path: Path) -> None:
    """A POST that runs while somebody is erased settles without a body, also where it waits for the erasure's end."""
    conversations = await live(storage, tmp_path, THEY)
    began = [await storage.run(BeginRequest("o", str(number), "h", NOW)) for number in range(41)]
    answer = json.dumps({"message": THEY.words, "phone": THEY.phone}).encode()
    about = conversations[0].conversation_id
    settling = [SettleRequest(row.id, 200, "application/json", answer, about) for row in began]
    forgetting = asyncio.create_task(forget(storage, tmp_path, THEY))
    while not forgetting.done() and len(settling) > 1:
        await storage.run(settling.pop())
        await asyncio.sleep(0.005)
    await forgetting
    for late in settling:
        await storage.run(late)
    again = [await storage.run(BeginRequest("o", str(number), "h", NOW)) for number in range(41)]

    assert [(row.is_new, row.status, row.body) for row in again] == [(False, 200, None)] * 41
    assert await traces_in(storage, [*THEY.traces, THEY.phone]) == set()


async def test_nobody_elses_answer_is_lost_while_somebody_is_erased(storage: Storage, tmp_path: Path) -> None:
    """One that runs at that moment, about another's conversation, is kept and given again."""
    await live(storage, tmp_path, THEY)
    [other, *_] = await live(storage, tmp_path, OTHER)
    began = await storage.run(BeginRequest("o", "k", "h", NOW))
    await forget(storage, tmp_path, THEY)
    await storage.run(SettleRequest(began.id, 200, "application/json", b"theirs", other.conversation_id))

    assert (await storage.run(BeginRequest("o", "k", "h", NOW))).body == b"theirs"


async def test_a_busy_spool_is_found_before_anything_is_touched(storage: Storage, tmp_path: Path) -> None:
    """The turns run on, and what was kept and set aside is there."""
    await live(storage, tmp_path, THEY)
    await leave_spool(tmp_path, THEY)
    holding = Spool(tmp_path / "spool", 10_000_000)
    await holding.open()
    before = await rows_of(storage), traces_on_disk(tmp_path / "spool", THEY.traces)
    with pytest.raises(SpoolBusy):
        await forget(storage, tmp_path, THEY, patience_s=0.1)
    after = await rows_of(storage), traces_on_disk(tmp_path / "spool", THEY.traces)
    await holding.close()

    assert after == before


class Broken(Readers):
    """Processes that take no call."""

    async def run(self, *_: object, **__: object) -> Any:
        """Fail."""
        raise PayloadError("broken")


@pytest.mark.parametrize("readers", [Readers, Broken])
async def test_megabytes_are_searched_elsewhere(readers: type[Readers]) -> None:
    """While ``re`` goes through them no thread of the process runs, also none that has customers at the door."""
    reading, names = readers(), Names([THEY.phone])
    shares = Shares(roster_of(), reading, names)
    large = b'{"words": "' + b"no name 155501001012 " * 20_000
    found = [await shares.may_name(data) for data in (large, large + THEY.phone.encode(), THEY.phone.encode())]
    used = sum(child.calls for child in reading._idle)
    await reading.close()

    assert found == [False, True, True]
    assert used == (2 if readers is Readers else 0)


# --- finding ---------------------------------------------------------------------------------------------------


class Spelling(LoopbackChannel):
    """A channel that writes numbers without what stands between their digits."""

    def check_recipient(self, text: str) -> str:
        """Return the digits."""
        if not text.startswith("+"):
            raise ValueError
        return "+" + "".join(filter(str.isdigit, text))


@pytest.mark.parametrize(
    "typed",
    [
        "+1 (555) 010-0101",
        " +15550100101 ",
        THEY.page_scoped,
        THEY.alias,
        THEY.email.upper(),
    ],
)
async def test_a_person_is_found_in_any_spelling(storage: Storage, tmp_path: Path, typed: str) -> None:
    """By each address of each channel, and by what they have told about themselves."""
    conversations = await live(storage, tmp_path, THEY)
    await live(storage, tmp_path, OTHER)
    [person] = await find_people(storage, roster_of(Spelling("sms")), typed)

    assert person.row_ids == [row.id for row in sorted(conversations, key=lambda row: row.id or 0)]


@pytest.mark.parametrize("written", ["+1 (555) 010-0101", "1.555.010.0101", "+1 555 010 01 01", "+15550100101"])
async def test_a_number_that_a_caller_has_told_is_found_however_it_was_written(storage: Storage, written: str) -> None:
    """By its digits; a longer number is somebody else's."""
    facts = {"user_phone": written}
    await storage.run(BeginDirectTurn("theirs", "website_chat", "hi", "w", NOW, NOW, facts))
    await storage.run(BeginDirectTurn("another's", "website_chat", "hi", "w", NOW, NOW, {"user_phone": f"{written}2"}))
    first, second = [await find_people(storage, roster_of(), typed) for typed in ("+1 555-010-0101", "+15550100101")]

    assert [known.conversation_id for person in first for known in person.conversations] == ["theirs"]
    assert first == second


async def test_an_address_of_several_people_names_all_of_them(storage: Storage) -> None:
    """Equal numbers on two channels join nobody; a channel's name or kind, or an id, tells them apart."""
    await accept(storage, sms("+15550100101", "SM1"), sms("+15550100101", "SM2"))
    other = sms("+15550100101", "SM3")
    await accept(storage, type(other)("second", "whatsapp", other.event))
    desk = roster_of(Spelling("sms"), Spelling("second"))
    both = await find_people(storage, desk, "+1 555 010 0101")
    narrowed = [await find_people(storage, desk, "+15550100101", channel) for channel in ("second", "whatsapp", "sms")]
    named = await storage.run(FindPeople((both[0].conversations[0].conversation_id,)))

    assert len(both) == 2
    assert [len(found) for found in narrowed] == [1, 1, 1]
    assert narrowed[0] == narrowed[1] != narrowed[2]
    assert named == [both[0]]


BODIES = [
    (b"From=%2B15550100101&Body=hi", True),
    (b'{"from": "15550100101"}', True),
    (b'{"from": "\\u002b15550100101"}', True),
    (b"From: <customer101@example.com>", True),
    (b"From: =?utf-8?q?customer101=40example.com?=", True),
    (b'{"content": "RnJvbTogY3VzdG9tZXIxMDFAZXhhbXBsZS5jb20KCmhpCg=="}', True),
    (b"From=%2B155501001012&Body=hi", False),
    (b"From: xcustomer101@example.com", False),
    (b"\xff\xfe\x00", False),
]


@pytest.mark.parametrize(("body", "named"), BODIES)
def test_bodies_name_people_in_many_ways(body: bytes, named: bool) -> None:
    """Forms, JSON, mail and base64; a longer number is somebody else's."""
    assert Names([THEY.phone, THEY.email, "7"]).in_bytes(body) is named


# --- handing over ----------------------------------------------------------------------------------------------


async def test_an_export_holds_everything_and_nothing_of_others(storage: Storage, tmp_path: Path) -> None:
    """Every part has an entry, every file is in it, and the other is nowhere."""
    await live(storage, tmp_path, THEY)
    await live(storage, tmp_path, OTHER)
    target = tmp_path / "export.zip"
    exported = await export_person(storage, roster_of(), tmp_path, await the_one(storage, THEY.phone), target, now=NOW)
    with zipfile.ZipFile(target) as archive:
        data = json.loads(archive.read("data.json"))
        files = {name: archive.read(name) for name in archive.namelist() if name != "data.json"}

    assert {part for part, rows in data.items() if not rows} == set()
    assert set(data) == {"format", "exported_at", "consent", "webhooks", *PARTS}
    assert sorted(files.values()) == sorted([SHARED, THEY.picture])
    assert {row["file"] for row in data["attachments"]} == set(files)
    assert not any(trace in json.dumps(data) for trace in OTHER.traces)
    assert [row["content"] for row in data["messages"] if row["role"] == "user"] == [THEY.words] * 2
    assert data["tool_runs"][0]["output"] == {"content": THEY.words, "phone": THEY.phone}
    assert data["conversations"][0]["is_active"] is True
    assert (exported.files, exported.missing) == (2, 0)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


# --- the commands ----------------------------------------------------------------------------------------------

CONFIG = """
server: {{host: 127.0.0.1, port: {port}, public_url: https://chat.example.com}}
assistant: {{api_key: sk-test, base_url: "http://127.0.0.1:9/v1"}}
business: {{name: Corner Garage}}
channels:
  sms: {{type: twilio, account_sid: AC1, auth_token: secret, from: "+15550100001", api_base: "http://127.0.0.1:9"}}
  second: {{type: twilio, account_sid: AC1, auth_token: secret, from: "+15550100002", api_base: "http://127.0.0.1:9"}}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Give a working directory in which two channels have begun to write to one number."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(port=free_port()))
    assert frontdesk("migrate", cwd=tmp_path).returncode == 0
    for channel in ("sms", "second"):
        assert frontdesk("send", channel, "+1 555 010 0101", THEY.words, cwd=tmp_path).returncode == 0
    return tmp_path


def test_several_are_listed_and_refused(desk: Path) -> None:
    """Status 2, a line for each with its id; an id or a channel names one."""
    refused = frontdesk("export", "+15550100101", cwd=desk)
    ids = [line.split()[1] for line in refused.stderr.splitlines()[1:]]
    exported = frontdesk("export", ids[0], cwd=desk)
    narrowed = frontdesk("export", "+15550100101", "--channel", "second", "--to", "two.zip", cwd=desk)

    assert (refused.returncode, len(ids)) == (2, 2)
    assert "may be 2 people; name one by its id" in refused.stderr
    assert exported.returncode == narrowed.returncode == 0
    assert (desk / f"frontdesk-export-{ids[0]}.zip").exists()
    assert frontdesk("export", ids[0], cwd=desk).returncode == 2  # it is there already


def test_nobody_is_nobody(desk: Path) -> None:
    """Status 1 and one line."""
    for command in ("export", "forget"):
        result = frontdesk(command, "+15550109999", cwd=desk)

        assert (result.returncode, result.stderr) == (
            1,
            "frontdesk: nobody is known as +15550109999; see: frontdesk conversations\n",
        )


@pytest.mark.parametrize("word", ["garage", "sms", "Body", "contact", "15550100909"])
async def test_a_word_that_is_no_address_erases_nothing(desk: Path, word: str) -> None:
    """However often it stands in the spool: nobody is known by it."""
    await leave_spool(desk / "data", OTHER)
    damaged = desk / "data" / "spool" / "0.spool.damaged"
    damaged.write_bytes(f"garage sms Body contact 15550100909 {OTHER.words}".encode())
    before = traces_on_disk(desk, OTHER.traces)
    result = await asyncio.to_thread(frontdesk, "forget", word, "--yes", cwd=desk)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"frontdesk: nobody is known as {word}; see: frontdesk conversations\n"
    assert traces_on_disk(desk, OTHER.traces) == before


async def test_an_address_that_nobody_is_known_by_is_counted_and_asked_for(desk: Path) -> None:
    """Where nobody can be asked, nothing is erased without --yes."""
    await leave_spool(desk / "data", OTHER)
    before = traces_on_disk(desk, OTHER.traces)
    refused = await asyncio.to_thread(frontdesk, "forget", "+1 555 010 0202", cwd=desk)
    kept = traces_on_disk(desk, OTHER.traces)
    erased = await asyncio.to_thread(frontdesk, "forget", "+1 555 010 0202", "--yes", cwd=desk)

    assert refused.returncode == 2
    assert "but 3 records of the spool and 0 kept webhooks are theirs; run this again with --yes" in refused.stderr
    assert kept == before
    assert (erased.returncode, traces_on_disk(desk, OTHER.traces)) == (0, set())
    assert "records of the spool: 3, kept webhooks: 0" in erased.stdout


def test_forgetting_beside_a_running_server_leaves_no_byte(desk: Path) -> None:
    """The words are in no file afterwards, the database's own and its log included; the server goes on."""
    assert traces_on_disk(desk, [THEY.words]) != set()
    with running("serve", cwd=desk) as server:
        server.wait_for("serving")
        for channel in ("sms", "second"):
            result = frontdesk("forget", "+15550100101", "--channel", channel, cwd=desk)
            assert result.returncode == 0, result.stderr
        left = traces_on_disk(desk, [THEY.words, THEY.phone])
        assert server.stop() == 0

    assert left == set()
