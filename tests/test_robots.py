"""Robots that answer our robot, whatever their headers say: whole turns by e-mail, and what is counted of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from channels.base import Inbound
from gateway.assistant import robots
from gateway.assistant.robots import LATELY, MAX_A_DAY, MAX_A_DOMAIN, MAX_AN_HOUR, MAX_LATELY, Robots, Suspicion
from gateway.storage import Claim, ClaimTurns, FinishTurn, Incoming, Storage
from gateway.storage.records import Escalation
from tests.mail_world import CUSTOMER, MailTown, mail_town
from tests.saying import said
from tests.test_storage_accept import NOW
from tests.test_storage_mail import accept, mail

OTHER = "other@example.org"
LONG = "I am out of the office until Monday. Please write to somebody else."
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[MailTown]:
    """Build a town on each database."""
    async with mail_town(database_url, tmp_path) as built:
        yield built


async def escalations(storage: Storage) -> list[tuple[str, str]]:
    """Return why conversations were handed over, oldest first."""
    async with storage._reading() as session:
        rows = list((await session.exec(select(Escalation).order_by("id"))).all())
    return [(row.reason, row.source) for row in rows]


async def until_answered(town: MailTown) -> None:
    """Wait until no turn is due, and what turns have said has left."""
    async with asyncio.timeout(20):
        while True:
            waiting = [row for row in await town.storage.conversations() if row.due_at or row.input_sequence]
            if not waiting and all(delivery.status == "sent" for delivery in await town.storage.deliveries(limit=1000)):
                return
            await asyncio.sleep(0.02)


async def write_in_one_thread(town: MailTown, texts: Sequence[str]) -> list[int]:
    """Let the customer write in one thread, each mail when the one before is done with; returns what they have read."""
    read: list[int] = []
    for text in texts:
        got = town.read_by()
        await (town.reply(got[-1], text) if got else town.write(text))
        await until_answered(town)
        read.append(len(town.read_by()))
    return read


# --- whole turns ---


async def test_the_sixth_answer_in_ten_minutes_is_not_given(town: MailTown) -> None:
    """They hear once that a person will answer, and one is told, once, however much more comes."""
    texts = [f"This is question number {n}, of many." for n in range(1, 9)]
    read = await write_in_one_thread(town, texts)
    [conversation] = await town.storage.conversations()
    messages = await town.storage.messages(conversation.id or 0)

    assert read == [1, 2, 3, 4, 5, 6, 6, 6]
    assert "re:" not in town.read_by()[-1].text.partition("wrote:")[0]
    assert await escalations(town.storage) == [("ai_confidence_low", "rule:many_answers")]
    assert conversation.mode == "waiting"
    assert [message.content for message in messages if message.role == "user"] == texts


async def test_it_is_the_address_that_is_counted_and_no_other(town: MailTown) -> None:
    """A robot that begins a thread each time is one as well; whoever else writes is answered."""
    for number in range(6):
        await town.write(f"This is question number {number}, of many.", Subject=f"Matter {number} of mine")
        await until_answered(town)
    await town.write("Are you open on Monday?", sender=OTHER)
    await until_answered(town)

    assert (len(town.read_by(CUSTOMER)), len(town.read_by(OTHER))) == (6, 1)
    assert await escalations(town.storage) == [("ai_confidence_low", "rule:many_answers")]


async def test_the_third_mail_of_the_same_words_is_not_answered(town: MailTown) -> None:
    """However it is spaced, and in whichever thread; another customer's equal words are nobody's repetition."""
    read = await write_in_one_thread(town, [LONG, LONG.replace(" ", "  "), LONG.upper()])
    await town.write(LONG, Subject="Something else")
    await town.write(LONG, sender=OTHER)
    await until_answered(town)

    assert read == [1, 2, 3]
    assert (len(town.read_by(CUSTOMER)), len(town.read_by(OTHER))) == (3, 1)
    assert set(await escalations(town.storage)) == {("ai_confidence_low", "rule:same_words")}


async def test_people_say_yes_again_and_again(town: MailTown) -> None:
    """Short words that come back are a person's."""
    read = await write_in_one_thread(town, ["yes", "yes", "yes", "Yes"])

    assert read == [1, 2, 3, 4]
    assert await escalations(town.storage) == []


async def test_an_emergency_in_such_a_mail_is_an_emergency(town: MailTown) -> None:
    """Nobody answers it by machine, but a person is told why it is urgent."""
    read = await write_in_one_thread(town, [*(f"This is question number {n}." for n in range(5)), "I smell gas here!"])
    [(reason, _)] = await escalations(town.storage)

    assert read[-2:] == [5, 6]
    assert reason == "emergency"


# --- what is counted ---


async def turn(storage: Storage, number: int, at: datetime, *, sender: str = CUSTOMER, text: str = "") -> Claim:
    """Let an address write in a thread of its own, and claim what is due."""
    event = mail(f"{sender}-{number}", text or f"This is question number {number}.", sender=sender)
    await accept(storage, replace(event, event=replace(_inbound(event), fingerprint=text or f"{number}")), at=at)
    [claim] = await storage.run(ClaimTurns("serve:a", at, at + MINUTE, 1, ("support",)))
    return claim


def _inbound(incoming: Incoming) -> Inbound:
    assert isinstance(incoming.event, Inbound)
    return incoming.event


async def answer(storage: Storage, claim: Claim, at: datetime) -> None:
    """Let the bot answer, in two parts."""
    await storage.run(FinishTurn(claim.id, claim.fence, at, said("An answer", "in two parts.")))


def rule(suspicion: Suspicion | None) -> str | None:
    """Return which rule it was."""
    return None if suspicion is None else suspicion.handover.source.removeprefix("rule:")


@pytest.mark.parametrize(
    ("answers", "apart", "after", "found"),
    [
        (MAX_LATELY, timedelta(0), MINUTE, "many_answers"),
        (MAX_LATELY - 1, timedelta(0), MINUTE, None),
        (MAX_LATELY, timedelta(0), LATELY, None),
        (MAX_LATELY, timedelta(0), LATELY - timedelta(seconds=1), "many_answers"),
        (MAX_A_DAY, 3 * MINUTE, 12 * 60 * MINUTE, "many_answers"),
        (MAX_A_DAY - 1, 3 * MINUTE, 12 * 60 * MINUTE, None),
        (MAX_A_DAY, 3 * MINUTE, DAY + 60 * MINUTE, None),
    ],
)
async def test_answers_are_counted_for_ten_minutes_and_for_a_day(
    storage: Storage, answers: int, apart: timedelta, after: timedelta, found: str | None
) -> None:
    """Each once, in however many parts it went; what is older is forgotten."""
    at = NOW
    for number in range(answers):
        at = NOW + number * apart
        await answer(storage, await turn(storage, number, at), at)
    claim = await turn(storage, answers, at + after)

    assert rule(await Robots(storage).suspect(claim, at + after)) == found


@pytest.mark.parametrize(("after", "found"), [(12 * 60 * MINUTE, "same_words"), (DAY + MINUTE, None)])
async def test_the_same_words_are_remembered_for_a_day(storage: Storage, after: timedelta, found: str | None) -> None:
    """A customer who sends a form every week is none who repeats themself."""
    for number in range(2):
        await answer(storage, await turn(storage, number, NOW, text=LONG), NOW)
    claim = await turn(storage, 2, NOW + after, text=LONG)

    assert rule(await Robots(storage).suspect(claim, NOW + after)) == found


async def test_a_channel_that_is_out_of_hand_is_stopped_for_an_hour(storage: Storage) -> None:
    """Whoever writes: hundreds of addresses may be one machine's; who is known not to be forged is answered."""
    claim = await turn(storage, 0, NOW, sender="customer@gmail.com")
    looks = Robots(storage)
    found = [rule(await looks.suspect(claim, NOW)) for _ in range(MAX_AN_HOUR + 1)]
    later = rule(await looks.suspect(claim, NOW + robots.HOUR))

    assert found == [None] * MAX_AN_HOUR + ["busy_channel"]
    assert later is None


async def test_a_machine_with_many_addresses_is_known_by_its_domain(storage: Storage) -> None:
    """Unless everybody may have an address there."""
    claim, other = await turn(storage, 0, NOW, sender="ticket+1@example.net"), await turn(storage, 1, NOW)
    looks = Robots(storage)
    found = [rule(await looks.suspect(claim, NOW)) for _ in range(MAX_A_DOMAIN + 1)]

    assert found == [None] * MAX_A_DOMAIN + ["busy_channel"]
    assert await looks.suspect(other, NOW) is None


async def test_a_forger_has_one_answer_a_day(storage: Storage) -> None:
    """It goes to somebody who never wrote; they are answered themselves, as often as ever."""
    for number in range(2):
        event = mail(f"f{number}", f"Forged {number}.", metadata={"trust": "failed"})
        await accept(storage, event, at=NOW)
    forged = await storage.run(ClaimTurns("serve:a", NOW, NOW + MINUTE, 2, ("support",)))
    theirs = await turn(storage, 2, NOW)
    looks = Robots(storage)
    found = sorted([rule(await looks.suspect(claim, NOW)) for claim in forged], key=str)

    assert found == [None, "forged_sender"]
    assert await looks.suspect(theirs, NOW) is None


async def test_only_where_programs_answer_by_themselves(storage: Storage) -> None:
    """On a telephone nobody is counted."""
    for number in range(MAX_LATELY):
        await answer(storage, await turn(storage, number, NOW), NOW)
    claim = await turn(storage, MAX_LATELY, NOW)

    assert rule(await Robots(storage).suspect(claim, NOW)) == "many_answers"
    assert await Robots(storage).suspect(replace(claim, channel="sms"), NOW) is None
