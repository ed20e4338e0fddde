"""Between the bot and people, on both databases: who is told, who is reminded, and when the bot is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import generate_latest
from sqlmodel import col, select
from structlog.testing import capture_logs

from channels.abilities import Finding
from channels.base import Control
from gateway.clock import utc_now
from gateway.config import Config
from gateway.handoffs import Handoffs, worker
from gateway.handoffs.incidents import SAME, UNWELL
from gateway.metrics import Metrics
from gateway.storage import (
    Accept,
    BeginDirectTurn,
    Close,
    Compose,
    FinishTurn,
    Handover,
    Incoming,
    OpenChannels,
    Outcome,
    Pause,
    Resume,
    ReturnToBot,
    SaveFindings,
    Say,
    SettleDelivery,
    Storage,
    Takeover,
)
from gateway.storage.records import Escalation, Notice
from gateway.storage.tables import Conversation
from tests.conftest import make_database
from tests.gateways import gateway
from tests.loopback import LoopbackChannel, roster_of
from tests.saying import said, words
from tests.test_mail import serving
from tests.test_storage_accept import NOW, US, accept, sms
from tests.test_storage_locks import postgres_writer_dsn
from tests.test_storage_turns import claim, finish
from tests.world import world

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CUSTOMER = "+15550109999"
OWNER, COLLEAGUE = "+15550100007", "+15550100008"
TARGETS = ({"sms": OWNER, "channel": "sms"}, {"email": "owner@example.com"})


class Time:
    """The time that a test lets pass."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def desk(
    storage: Storage,
    clock: Callable[[], datetime],
    *names: str,
    notify: Sequence[Any] = TARGETS,
    while_waiting: str = "answer",
    channel: type[LoopbackChannel] = LoopbackChannel,
) -> Handoffs:
    """Return the worker of one process."""
    config = Config.model_validate(
        {
            "server": {"public_url": "https://chat.example.com"},
            "assistant": {"api_key": "k"},
            "business": {"name": "Corner Garage"},
            "handoff": {"notify": list(notify), "while_waiting": while_waiting},
        }
    )
    roster = roster_of(*(channel(name) for name in names or ("sms",)))
    return Handoffs(storage, roster, Metrics(), clock, config)


async def hand_over(
    storage: Storage,
    at: datetime = NOW,
    reason: str = "customer_request",
    summary: str | None = "Wants a quote.",
    text: str = "A person please",
    sender: str = CUSTOMER,
) -> Conversation:
    """Let a customer ask for a person, and the turn hand the conversation over."""
    await accept(storage, sms(sender, f"SM{at.timestamp()}{sender}", text), at=at)
    [turn] = await claim(storage, at)
    await storage.run(FinishTurn(turn.id, turn.fence, at, said("One moment"), Handover(reason, "words", summary)))
    return await conversation_of(storage, sender)


async def conversation_of(storage: Storage, sender: str = CUSTOMER) -> Conversation:
    """Return a customer's conversation."""
    [conversation] = [row for row in await storage.conversations() if row.address == sender]
    return conversation


async def rows(storage: Storage, table: Any) -> list[Any]:
    """Return a table's rows in the order in which they were made."""
    async with storage._reading() as session:
        return list((await session.exec(select(table).order_by(col(table.created_at), col(table.id)))).all())


async def told(storage: Storage) -> list[tuple[str, str]]:
    """Return of what the notices are and whom they tell, sorted."""
    return sorted((notice.about.split(":", 1)[1], notice.target) for notice in await rows(storage, Notice))


# --- who is told ---


async def test_a_customer_who_waits_is_told_of_once(storage: Storage, database_url: str) -> None:
    """Each of the people gets one notice, however many workers of however many processes look at the same moment."""
    await hand_over(storage)
    async with Storage(database_url) as other:
        askers = [storage, storage, storage] if storage.is_sqlite else [storage, other, storage, other]
        await asyncio.gather(*(desk(asker, lambda: NOW).tell() for asker in askers))
    by_sms, by_mail = sorted(await rows(storage, Notice), key=lambda notice: notice.target)
    [escalation] = await rows(storage, Escalation)

    assert (by_sms.kind, by_sms.target, by_sms.channel_name) == ("sms", OWNER, "sms")
    assert (by_mail.kind, by_mail.target, by_mail.channel_name) == ("email", "owner@example.com", None)
    assert {by_sms.about, by_mail.about} == {f"escalation:{escalation.id}:1"}
    assert by_sms.content == (
        f'Corner Garage: {CUSTOMER} asks for a person on SMS, just now: "Wants a quote." '
        f"Conversation {(await conversation_of(storage)).conversation_id}; see frontdesk conversations"
    )
    assert escalation.notices == 1


async def test_people_are_reminded_once_after_their_time_also_by_another_process(database_url: str) -> None:
    """The reminder outlives a restart, and nobody is woken every quarter of an hour."""
    clock = Time()
    for after in (0 * MINUTE, 14 * MINUTE, 15 * MINUTE, 16 * MINUTE, 60 * MINUTE, 48 * HOUR):
        async with Storage(database_url) as storage:
            await storage.migrate()
            if not after:
                await hand_over(storage)
            clock.now = NOW + after
            await desk(storage, clock, notify=TARGETS[:1]).tell()
            notices = await rows(storage, Notice)
            if after == 14 * MINUTE:
                early = len(notices)

    assert early == 1
    assert [notice.about.rpartition(":")[2] for notice in notices] == ["1", "2"]
    assert notices[1].created_at == NOW + 15 * MINUTE
    assert notices[1].content.startswith("Still waiting. Corner Garage: ")
    assert "15 min ago" in notices[1].content


async def take_it(storage: Storage, row: Conversation) -> None:
    await storage.run(Takeover(row.conversation_id, "the owner", NOW + MINUTE))


async def give_it_back(storage: Storage, row: Conversation) -> None:
    await storage.run(Resume(row.conversation_id, NOW + MINUTE))


async def close_it(storage: Storage, row: Conversation) -> None:
    await storage.run(Close(row.conversation_id, NOW + MINUTE))


async def answer_it(storage: Storage, row: Conversation) -> None:
    await storage.run(Say(row.conversation_id, "the owner", said("Here I am"), NOW + MINUTE))


@pytest.mark.parametrize("ended", [take_it, give_it_back, close_it, answer_it])
async def test_somebody_who_came_ends_the_reminder(storage: Storage, ended: Callable[..., Any]) -> None:
    """Whoever takes it, gives it back or closes it has seen it; what waits again later is another matter."""
    clock = Time()
    conversation = await hand_over(storage)
    at_work = desk(storage, clock)
    await at_work.tell()
    await ended(storage, conversation)
    clock.now = NOW + 15 * MINUTE
    await at_work.tell()
    [escalation] = await rows(storage, Escalation)

    assert await told(storage) == [(f"{escalation.id}:1", OWNER), (f"{escalation.id}:1", "owner@example.com")]
    assert (escalation.notices, escalation.notify_at) == (1, None)


async def test_the_first_notice_goes_out_also_where_somebody_came_at_once(storage: Storage) -> None:
    """The others learn that it happened."""
    conversation = await hand_over(storage)
    await take_it(storage, conversation)
    await desk(storage, lambda: NOW).tell()

    assert len(await told(storage)) == len(TARGETS)


async def test_an_emergency_is_told_although_the_customer_waits_already(storage: Storage) -> None:
    """It is told at once, and from then on it is the one that people are reminded of."""
    clock = Time()
    await hand_over(storage)
    at_work = desk(storage, clock, notify=TARGETS[:1])
    await at_work.tell()
    clock.now = NOW + 5 * MINUTE
    await hand_over(storage, at=clock.now, reason="emergency", summary="Smells gas.")
    await at_work.tell()
    for after in (15, 20, 35):
        clock.now = NOW + after * MINUTE
        await at_work.tell()
    first, second = await rows(storage, Escalation)

    assert [about for about, _ in await told(storage)] == [f"{first.id}:1", f"{second.id}:1", f"{second.id}:2"]


@pytest.mark.parametrize(
    ("reason", "after", "is_news"),
    [
        ("customer_request", HOUR - MINUTE, False),
        ("customer_request", HOUR, True),
        ("complaint", 72 * HOUR, True),
        ("emergency", MINUTE, True),
        ("complex_question", 72 * HOUR, False),
        ("ai_confidence_low", 72 * HOUR, False),
    ],
)
async def test_who_waits_and_asks_again_is_told_of_again(
    storage: Storage, reason: str, after: timedelta, is_news: bool
) -> None:
    """An hour after the last hand-over at the earliest, and then with a reminder as the first time; what the bot does
    not know is no news of somebody who waits."""
    clock = Time()
    await hand_over(storage)
    at_work = desk(storage, clock, notify=TARGETS[:1])
    for passed in (0 * MINUTE, 15 * MINUTE):
        clock.now = NOW + passed
        await at_work.tell()
    await hand_over(storage, at=NOW + after, reason=reason, summary="Is nobody there?")
    for passed in (after, after + 15 * MINUTE, after + 30 * MINUTE):
        clock.now = max(clock.now, NOW + passed)
        await at_work.tell()
    conversation = await conversation_of(storage)
    notices = [notice for notice in await rows(storage, Notice) if "Is nobody there?" in notice.content]

    assert [notice.about.rpartition(":")[2] for notice in notices] == (["1", "2"] if is_news else [])
    assert conversation.mode == "waiting"
    assert conversation.escalated_at == (NOW + after if is_news else NOW)
    assert conversation.escalation_reason == (reason if is_news else "customer_request")


async def test_who_asks_every_few_minutes_is_told_of_once_an_hour(storage: Storage) -> None:
    """The hour counts from the last time that it was news, not from the last time that they asked."""
    for n in range(13):
        await hand_over(storage, at=NOW + n * 10 * MINUTE)
    handed = [row.created_at - NOW for row in await rows(storage, Escalation)]

    assert handed == [0 * HOUR, HOUR, 2 * HOUR]


async def test_where_nobody_is_named_nobody_is_told(storage: Storage) -> None:
    """The matter ends, the log says so once, and whoever is named later is not told of what is long over."""
    await hand_over(storage)
    await hand_over(storage, sender="+15550109998")
    alone = desk(storage, lambda: NOW, notify=())
    with capture_logs() as logs:
        await alone.tell()
        await alone.tell()
    await desk(storage, lambda: NOW + HOUR).tell()
    escalations = await rows(storage, Escalation)

    assert [line["event"] for line in logs] == ["nobody_is_told"]
    assert [(row.notices, row.notify_at) for row in escalations] == [(0, None), (0, None)]
    assert await told(storage) == []


async def test_without_a_summary_the_customers_last_words_are_told(storage: Storage) -> None:
    """What was said after the hand-over is not what it was about."""
    await hand_over(storage, summary=None, text="The heating is cold")
    await accept(storage, sms(CUSTOMER, "SM-later", "Hello?"), at=NOW + MINUTE)
    await desk(storage, lambda: NOW + MINUTE, notify=TARGETS[:1]).tell()
    [notice] = await rows(storage, Notice)

    assert "The heating is cold" in notice.content
    assert "Hello?" not in notice.content


# --- channels that have stopped ---


async def reject(storage: Storage, name: str, *, reason: str | None = "credentials") -> None:
    """Let a channel be paused, or work again."""
    pause = Pause(None if reason is None else NOW + 10 * MINUTE, reason)
    await storage.run(SettleDelivery("none", "", Outcome.RETRY, NOW, channel_name=name, pause=pause))


async def test_rejected_credentials_are_told_once_an_incident(storage: Storage, database_url: str) -> None:
    """Not through the channel itself, by one of all processes, and again when it happens again."""
    clock = Time()
    await storage.run(OpenChannels(("sms", "page")))
    targets = ({"sms": OWNER, "channel": "sms"}, {"sms": COLLEAGUE, "channel": "page"})
    async with Storage(database_url) as other:
        askers = [storage, storage] if storage.is_sqlite else [storage, other]
        workers = [desk(asker, clock, "sms", "page", notify=targets) for asker in askers]

        async def look() -> list[tuple[str, str]]:
            await asyncio.gather(*(worker._incidents.look() for worker in workers))
            return await told(storage)

        well = await look()
        await reject(storage, "sms")
        stopped = await look()
        clock.now = NOW + SAME
        await reject(storage, "sms", reason="unreachable")  # its probe met a platform that is away
        flickers = await look()
        await reject(storage, "sms", reason=None)
        at_first = await look()
        clock.now += SAME
        mended = await look()
        clock.now += MINUTE
        await reject(storage, "sms")
        again = await look()

    assert well == []
    assert stopped == flickers == at_first == [("sms:now", COLLEAGUE)]
    assert mended == [(f"sms:{NOW.isoformat(timespec='milliseconds')}", COLLEAGUE)]
    assert again == [*mended, ("sms:now", COLLEAGUE)]
    assert "the channel sms (SMS) needs you: its platform rejects the credentials" in (
        (await rows(storage, Notice))[0].content
    )


async def test_a_restart_within_minutes_is_the_same_incident(storage: Storage) -> None:
    """A start forgets what was wrong and finds it again; whoever restarts in circles wakes nobody in circles."""
    at_work = desk(storage, lambda: NOW + MINUTE, "sms", "page")
    for _ in range(3):
        await storage.run(OpenChannels(("sms", "page")))
        await at_work._incidents.look()
        await reject(storage, "page")
        await at_work._incidents.look()

    assert await told(storage) == [("page:now", OWNER), ("page:now", "owner@example.com")]


@pytest.mark.parametrize("restarted", ["this process", "another process"])
async def test_restarts_during_an_old_incident_tell_nobody_again(storage: Storage, restarted: str) -> None:
    """However old it is: what counts is how long the channel has been well, which after a start it only seems to be."""
    clock = Time()
    at_work = desk(storage, clock, "sms", "page", notify=TARGETS[:1])
    for _ in range(4):
        await storage.run(OpenChannels(("sms", "page")))
        if restarted == "this process":
            at_work = desk(storage, clock, "sms", "page", notify=TARGETS[:1])
        for reason in (None, "credentials"):
            clock.now += SAME - MINUTE
            await reject(storage, "page", reason=reason)
            await at_work._incidents.look()
        clock.now += 3 * HOUR
    incident = await told(storage)
    for reason in (None, None, "credentials"):
        clock.now += SAME
        await reject(storage, "page", reason=reason)
        await at_work._incidents.look()

    assert incident == [("page:now", OWNER)]
    assert len(await told(storage)) == 2


class DiagnosingChannel(LoopbackChannel):
    """A platform that can be looked at; the tests keep what a look has found themselves."""

    async def diagnose(self) -> Sequence[Finding]:
        """Find nothing."""
        return ()


async def test_a_quiet_channel_is_not_mended_by_a_restart(storage: Storage) -> None:
    """Where nothing is sent, only the platform's side can tell: until it was looked at, the incident lasts."""
    clock = Time()
    await storage.run(OpenChannels(("sms", "page")))
    await reject(storage, "page")
    await desk(storage, clock, "sms", "page", notify=TARGETS[:1], channel=DiagnosingChannel)._incidents.look()
    await storage.run(OpenChannels(("sms", "page")))
    at_work = desk(storage, clock, "sms", "page", notify=TARGETS[:1], channel=DiagnosingChannel)
    seen = []
    for found in (None, ({"detail": "rejected", "fix": None},), ()):
        if found is not None:
            await storage.run(SaveFindings("page", found, clock.now + HOUR))
        for _ in range(2):
            await at_work._incidents.look()
            clock.now += SAME
        seen.append(await told(storage))

    assert seen == [
        [("page:now", OWNER)],
        [("page:now", OWNER)],
        [(f"page:{NOW.isoformat('T', 'milliseconds')}", OWNER)],
    ]


async def test_what_only_the_stopped_channel_could_tell_is_in_the_log(storage: Storage) -> None:
    """Once an incident, at error, with the channel's name."""
    clock = Time()
    await storage.run(OpenChannels(("sms",)))
    at_work = desk(storage, clock, notify=TARGETS[:1])
    with capture_logs() as logs:
        for reason in ("credentials", "credentials", None, "credentials", None, None, "credentials"):
            await reject(storage, "sms", reason=reason)
            await at_work._incidents.look()
            clock.now += SAME

    assert [(line["event"], line["channel"], line["log_level"]) for line in logs] == [
        ("channel_stopped_untold", "sms", "error"),
        ("channel_stopped_untold", "sms", "error"),
    ]
    assert await told(storage) == []


async def test_what_the_daily_look_finds_twice_is_told(storage: Storage) -> None:
    """Once it may have been a bad moment; what is found and gone an hour later is nobody's business."""
    clock = Time()
    await storage.run(OpenChannels(("sms", "page")))
    finding = {"detail": Finding("page", False, "the webhook is not subscribed").detail, "fix": None}
    at_work = desk(storage, clock, "sms", "page", notify=TARGETS[:1])
    counts = []
    for after, found in ((0, True), (60, False), (61, True), (61 + 69, True), (61 + 70, True), (300, True)):
        clock.now = NOW + after * MINUTE
        await storage.run(SaveFindings("page", (finding,) if found else (), clock.now + HOUR))
        await at_work._incidents.look()
        counts.append(len(await told(storage)))

    assert UNWELL == 70 * MINUTE
    assert counts == [0, 0, 0, 0, 1, 1]
    assert "the webhook is not subscribed" in (await rows(storage, Notice))[0].content


# --- the way back ---


async def test_what_a_person_has_left_returns_to_the_bot(storage: Storage) -> None:
    """After the time that is configured; what waited meanwhile stays unanswered, what comes next is answered."""
    clock = Time()
    conversation = await hand_over(storage)
    await storage.run(Say(conversation.conversation_id, "the owner", said("I'll see"), NOW + HOUR))
    await accept(storage, sms(CUSTOMER, "SM-w", "Thank you"), at=NOW + 2 * HOUR)
    at_work = desk(storage, clock)
    clock.now = NOW + 25 * HOUR - MINUTE
    await at_work.take_back()
    kept = await conversation_of(storage)
    clock.now = NOW + 25 * HOUR
    await at_work.take_back()
    returned = await conversation_of(storage)
    silent = await claim(storage, clock.now)
    await accept(storage, sms(CUSTOMER, "SM-n", "Are you open?"), at=clock.now)
    [turn] = await claim(storage, clock.now)

    assert (kept.mode, kept.assigned_to) == ("human", "the owner")
    assert (returned.mode, returned.assigned_to, returned.is_active) == ("bot", None, True)
    assert silent == []
    assert [message.content for message in turn.messages] == ["Are you open?"]
    assert await finish(storage, turn, at=clock.now) is not None
    assert at_work._metrics.returns._value.get() == 1


async def test_a_conversation_that_another_app_holds_returns_too(storage: Storage) -> None:
    """Nobody tells us when a person at another app of the page has gone home."""
    await accept(storage, sms(CUSTOMER, "SM1"))
    await accept(storage, Incoming("sms", "sms", Control(US, CUSTOMER, ours=False)))
    held = await conversation_of(storage)
    await desk(storage, lambda: NOW + 24 * HOUR).take_back()
    returned = await conversation_of(storage)

    assert (held.mode, held.handled_at, held.assigned_to) == ("human", NOW, None)
    assert (returned.mode, returned.due_at) == ("bot", None)


async def test_what_is_closed_stays_closed_and_callers_conversations_return(storage: Storage) -> None:
    """A conversation without a channel is a person's no longer than any other."""
    closed = await hand_over(storage)
    await take_it(storage, closed)
    await close_it(storage, closed)
    begun = await storage.run(BeginDirectTurn("a-caller", "website_chat", "Hi", "direct:x", NOW, NOW + MINUTE, {}))
    await storage.run(FinishTurn(begun.claim.id, begun.claim.fence, NOW, words("hi")))
    await storage.run(Takeover("a-caller", "the owner", NOW))
    await desk(storage, lambda: NOW + 25 * HOUR).take_back()
    modes = {row.conversation_id: (row.mode, row.is_active) for row in await storage.conversations()}

    assert modes == {closed.conversation_id: ("bot", False), "a-caller": ("bot", True)}


@pytest.mark.parametrize(("while_waiting", "mode"), [("answer", "waiting"), ("silent", "bot")])
async def test_many_return_in_batches_and_waiting_ones_where_the_bot_is_silent(
    storage: Storage, while_waiting: str, mode: str
) -> None:
    """However many there are; who waits stays on the list of those who wait, unless nobody at all would answer them."""
    waits = await hand_over(storage)
    await accept(storage, *(sms(f"+1555010{n:04}", f"SM{n}") for n in range(120)))
    for row in await storage.conversations(limit=500, mode="bot"):
        await storage.run(Takeover(row.conversation_id, "the owner", NOW))
    with capture_logs() as logs:
        await desk(storage, lambda: NOW + 25 * HOUR, while_waiting=while_waiting).take_back()
    modes = {row.conversation_id: row.mode for row in await storage.conversations(limit=500)}
    returned = {id_ for id_ in modes if mode == "bot" or id_ != waits.conversation_id}

    assert modes.pop(waits.conversation_id) == mode
    assert set(modes.values()) == {"bot"}
    assert {line["event"] for line in logs} == {"returned_to_bot"}
    assert sorted(line["conversation_id"] for line in logs) == sorted(returned)


async def test_who_waits_in_silence_is_answered_again(storage: Storage) -> None:
    """A day after the customer last heard something, a colleague's word included; then what they say next is answered,
    and what they said in vain is not."""
    clock = Time()
    waits = await hand_over(storage)
    await storage.run(Compose("sms", "sms", CUSTOMER, said("We call you tomorrow"), NOW + HOUR))
    await storage.run(Accept((sms(CUSTOMER, "SM-w", "Hello?"),), NOW + 20 * HOUR, answer_while_waiting=False))
    at_work = desk(storage, clock, while_waiting="silent")
    modes = []
    for after in (24 * HOUR, 25 * HOUR - MINUTE, 25 * HOUR):
        clock.now = NOW + after
        await at_work.take_back()
        modes.append((await conversation_of(storage)).mode)
    silent = await claim(storage, clock.now)
    await storage.run(Accept((sms(CUSTOMER, "SM-n", "A person please"),), clock.now, answer_while_waiting=False))
    [turn] = await claim(storage, clock.now)
    await storage.run(
        FinishTurn(turn.id, turn.fence, clock.now, said("One moment"), Handover("customer_request", "words", None))
    )
    await at_work.tell()

    assert modes == ["waiting", "waiting", "bot"]
    assert silent == []
    assert [message.content for message in turn.messages] == ["A person please"]
    assert (await conversation_of(storage)).mode == "waiting"
    assert len(await storage.escalations(waits.id or 0)) == 2


async def test_who_waited_in_what_is_closed_is_not_given_back(storage: Storage) -> None:
    """Closing is somebody's answer: nothing is open there, and the next message begins anew."""
    waits = await hand_over(storage)
    await close_it(storage, waits)
    with capture_logs() as logs:
        await desk(storage, lambda: NOW + 48 * HOUR, while_waiting="silent").take_back()
    kept = await conversation_of(storage)

    assert (logs, kept.mode, kept.is_active) == ([], "waiting", False)


async def test_a_person_who_writes_at_the_same_moment_keeps_it(storage: Storage, database_url: str) -> None:
    """Whichever comes first, in one process or two: afterwards the conversation is theirs, and the bot is silent."""
    conversation = await hand_over(storage)
    async with Storage(database_url) as other:
        second = storage if storage.is_sqlite else other
        for day in range(1, 13):
            await storage.run(Takeover(conversation.conversation_id, "the owner", NOW + 2 * (day - 1) * 24 * HOUR))
            now = NOW + (2 * day * 24 - 1) * HOUR
            say = Say(conversation.conversation_id, "the owner", said("Still here"), now)
            give_back = ReturnToBot(now, now - 24 * HOUR, 10)
            await asyncio.gather(second.run(say), storage.run(give_back))
            kept = await conversation_of(storage)
            assert (kept.mode, kept.assigned_to, kept.handled_at) == ("human", "the owner", now)


async def test_a_conversation_that_somebody_is_changing_is_left_alone(postgres_url: str) -> None:
    """The return does not wait for them, and takes nothing that they have touched since."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        conversation = await hand_over(storage)
        await take_it(storage, conversation)
        person = await asyncpg.connect(postgres_writer_dsn(storage))
        give_back = ReturnToBot(NOW + 25 * HOUR, NOW + HOUR, 10)
        async with person.transaction(), asyncio.timeout(5):
            await person.execute("UPDATE chat_conversations SET handled_at = $1", NOW + 25 * HOUR)
            meanwhile = await storage.run(give_back)
        afterwards = await storage.run(give_back)
        await person.close()
        kept = await conversation_of(storage)

    assert (meanwhile, afterwards, kept.mode) == ([], [], "human")


# --- in a whole house ---


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker look many times a second."""
    for pause in ("TELL_S", "SEND_S", "WATCH_S", "RETURN_S"):
        monkeypatch.setattr(worker, pause, 0.05)


async def until(condition: Callable[[], Any], timeout_s: float = 15) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("hurried")
async def test_a_customer_who_asks_for_a_person_is_told_to_one(database_url: str, tmp_path: Path) -> None:
    """From the webhook to the owner's telephone, through the channel that the customer wrote on."""
    handoff = f'handoff: {{notify: [{{sms: "{OWNER}", channel: sms}}]}}'
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around:
        async with gateway(tmp_path, database_url, **around.addresses, more_channels=handoff) as inside:
            around.open_door(inside.port)
            await around.twilio.text(CUSTOMER, "I want to speak to a human")
            await until(lambda: around.twilio.received(OWNER))
            await until(lambda: inside.parts.metrics.unknown_statuses._value.get())  # what Twilio reports of the notice
            numbers = generate_latest(inside.parts.metrics.registry).decode()
        [text] = around.twilio.received(OWNER)

    assert text.startswith(f"Corner Garage: {CUSTOMER} asks for a person on SMS")
    assert "I want to speak to a human" in text
    assert 'frontdesk_notices_total{kind="sms",outcome="sent"} 1.0' in numbers


@pytest.mark.usefixtures("hurried")
async def test_a_channel_whose_credentials_are_rejected_is_told_by_mail(database_url: str, tmp_path: Path) -> None:
    """What waits on it keeps waiting, and the owner learns why."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with world() as around, serving() as box:
        smtp = f"{{host: 127.0.0.1, port: {box.port}, security: none, from: desk@example.com}}"
        handoff = f"handoff: {{notify: [{{email: owner@example.com}}], smtp: {smtp}}}"
        async with gateway(tmp_path, database_url, **around.addresses, more_channels=handoff) as inside:
            around.twilio.auth_token = "another token"
            await inside.parts.storage.run(Compose("sms", "sms", CUSTOMER, said("Hello"), utc_now()))
            await until(lambda: box.mails)
            [delivery] = await inside.parts.storage.deliveries()
        [mail] = box.mails

    assert mail["Subject"] == "Corner Garage: the channel sms needs you"
    assert "its platform rejects the credentials" in mail.get_content()
    assert delivery.status == "queued"
