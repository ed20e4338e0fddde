"""The whole story on Meta's platforms: through the real door, against a Graph API that speaks as Meta's does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.content import Choice, Content
from channels.meta.webhooks import sign
from channels.rendering import parts_of
from gateway.app import Gateway
from gateway.looks import Looker
from gateway.storage import Answer, Compose, OpenChannels, Resume, Storage
from gateway.storage.tables import Conversation, Delivery, Message
from tests.gateways import gateway
from tests.world import APP_SECRET, META_TOKEN, NUMBERS, PAGES, World, world

ANN, BOB = "7000000000000001", "7000000000000002"
PHONE = "+15550109999"
PNG = bytes.fromhex(  # one red pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c494441"
    "54789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Town:
    """A world with a gateway on every platform in it."""

    def __init__(self, around: World, inside: Gateway) -> None:
        self.around = around
        self.messenger, self.whatsapp = around.meta.messenger, around.meta.whatsapp
        self.gateway = inside
        self.storage: Storage = inside.parts.storage

    async def until(self, what: Any, expected: Any, timeout_s: float = 15) -> None:
        """Wait until something that is awaited or called gives what is expected."""
        found: Any = None
        try:
            async with asyncio.timeout(timeout_s):
                while (found := await _value(what)) != expected:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert found == expected

    async def reads(self, customer: str, *expected: str, line: Any = None) -> None:
        """Wait until a customer reads exactly these messages."""
        chosen = line or (self.messenger if customer.startswith("7") else self.whatsapp)
        await self.until(lambda: list(chosen.received(customer)), list(expected))

    async def statuses(self) -> list[str]:
        """Return how far the deliveries are, in order."""
        return [delivery.status for delivery in await self.storage.deliveries()]

    async def conversation(self, channel: str) -> Conversation:
        """Return a channel's only conversation."""
        [row] = await self.storage.conversations(channel=channel)
        return row

    async def transcript(self, channel: str) -> Sequence[Message]:
        """Return the messages of a channel's only conversation."""
        return await self.storage.messages((await self.conversation(channel)).id or 0)

    async def say(self, channel: str, recipient: str, content: Content) -> None:
        """Begin a message, as an operator does."""
        found = self.gateway.parts.roster[channel]
        answer = Answer(content, parts_of(content, found.shows))
        await self.storage.run(Compose(found.name, found.kind, recipient, answer, now(self)))
        self.gateway.outbox._wake.set()

    async def last_delivery(self) -> Delivery:
        """Return the delivery that was made last."""
        return max(await self.storage.deliveries(), key=lambda delivery: delivery.created_at)

    async def post(self, channel: str, body: bytes, secret: str = APP_SECRET) -> tuple[int, str]:
        """Post to the door, signed by an app."""
        url = f"http://127.0.0.1:{self.gateway.port}/webhooks/{channel}"
        headers = {"X-Hub-Signature-256": sign(body, secret)}
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
            return response.status, await response.text()


async def _value(what: Any) -> Any:
    found = what()
    return await found if asyncio.iscoroutine(found) else found


def now(town: Town) -> datetime:
    """Return the gateway's time."""
    return town.gateway.health._clock()


@asynccontextmanager
async def open_town(folder: Path, database: str, **settings: Any) -> AsyncIterator[Town]:
    """Build a town; ``more`` is added to the first number's configuration."""
    more = settings.pop("more", "")
    async with world() as around, gateway(folder, database, **around.every_channel(more), **settings) as inside:
        around.open_door(inside.port)
        yield Town(around, inside)


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """Build a town on each database."""
    async with Storage(database_url) as storage:
        await storage.migrate()
    async with open_town(tmp_path, database_url) as built:
        yield built


# --- one message on each -------------------------------------------------------------------------------------------


async def test_a_page_answers_and_hears_how_far_it_got(town: Town) -> None:
    """Stored, answered once however often it is told, seen, typing shown, delivered, read."""
    status = await town.messenger.text(ANN, "Hello", mid="m_1")
    again = await town.messenger.text(ANN, "Hello", mid="m_1")
    await town.reads(ANN, "re: Hello")
    await town.until(town.statuses, ["delivered"])
    await town.messenger.read(ANN)
    await town.until(town.statuses, ["read"])
    conversation = await town.conversation("messenger")

    assert (status, again) == (200, 200)
    assert (conversation.channel, conversation.total_messages, conversation.mode) == ("facebook_messenger", 2, "bot")
    assert [action["sender_action"] for action in town.messenger.actions][:2] == ["mark_seen", "typing_on"]


async def test_a_number_answers_and_hears_how_far_it_got(town: Town) -> None:
    """The statuses carry our delivery's id and their price; the message is marked as read while it is answered."""
    town.around.meta.callbacks.plan("read")
    await town.whatsapp.text(PHONE, "Hello", wamid="wamid.1")
    await town.whatsapp.text(PHONE, "Hello", wamid="wamid.1")
    await town.reads(PHONE, "re: Hello")
    await town.until(town.statuses, ["read"])
    conversation = await town.conversation("whatsapp")
    [delivery] = await town.storage.deliveries()

    assert (conversation.channel, conversation.total_messages) == ("whatsapp", 2)
    assert conversation.user_phone == PHONE
    assert delivery.pricing is not None
    assert [action["typing_indicator"] for action in town.whatsapp.actions] == [{"type": "text"}]


async def test_the_handshake_is_answered(town: Town) -> None:
    """Meta takes the address where the token is ours, and nobody else learns anything."""
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{town.gateway.port}/webhooks/whatsapp"
        query = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": "guess"}
        async with session.get(url, params=query) as response:
            refused = response.status, await response.text()

    assert await town.messenger.handshake()
    assert await town.whatsapp.handshake()
    assert refused == (403, "")


@pytest.mark.parametrize("channel", ["messenger", "whatsapp"])
async def test_another_apps_signature_is_refused(town: Town, channel: str) -> None:
    """However well it is signed, and however it looks."""
    status, said = await town.post(channel, b'{"object":"page","entry":[]}', secret="another app's")

    assert (status, said) == (403, "")
    assert await town.storage.conversations() == []


# --- many at once --------------------------------------------------------------------------------------------------


async def test_one_post_of_several_pages(town: Town) -> None:
    """Each event goes to the channel that has its page, duplicates fall away, and nobody's are kept and counted."""
    line = town.messenger
    town.around.meta.pages["100000000000009"] = META_TOKEN
    await line.batch(
        [
            line.text(ANN, "one", mid="m_1"),
            line.text(BOB, "two", mid="m_2", page=PAGES[1]),
            line.text(ANN, "one", mid="m_1"),
            line.text(ANN, "nobody's", mid="m_3", page="100000000000009"),
        ]
    )
    await town.reads(ANN, "re: one")
    await town.reads(BOB, "re: two")
    [kept] = await town.storage.rejected_webhooks()

    assert (await town.conversation("messenger")).address == ANN
    assert (await town.conversation("page2")).address == BOB
    assert kept.reason == "no configured channel has this account"


async def test_a_thousand_updates_are_one_commit(town: Town) -> None:
    """Of two numbers, forty customers and statuses that mean nothing; each customer's are answered in order."""
    line = town.whatsapp
    town.gateway.turns._stopping = True  # what is stored is looked at before anything is answered
    customers = [f"+1555020{n:04d}" for n in range(40)]
    status = await line.batch(
        [
            line.text(customer, f"{n}", wamid=f"wamid.{customer}.{n}", number=NUMBERS[place % 2])
            for n in range(25)
            for place, customer in enumerate(customers)
        ]
    )
    rows = await town.storage.conversations(limit=100)

    assert status == 200
    assert [row.total_messages for row in rows] == [25] * 40
    for row in rows[:3]:
        messages = await town.storage.messages(row.id or 0)
        assert [message.content for message in messages] == [f"{n}" for n in range(25)]


async def test_a_message_that_cannot_be_read_takes_no_other_with_it(town: Town) -> None:
    """The others are answered, and the body is kept."""
    body = (
        b'{"object":"page","entry":[{"id":"%s","time":1,"messaging":['
        b'{"sender":{"id":"%s"},"recipient":{"id":"%s"},"timestamp":1,"message":{"text":"no mid"}},'
        b'{"sender":{"id":"%s"},"recipient":{"id":"%s"},"timestamp":1763800000000,"message":{"mid":"m_9","text":"fine"}}'
        b"]}]}"
    ) % tuple(text.encode() for text in (PAGES[0], ANN, PAGES[0], ANN, PAGES[0]))
    status, _ = await town.post("messenger", body)
    [kept] = await town.storage.rejected_webhooks()

    assert status == 200
    assert [message.content for message in await town.transcript("messenger")][:1] == ["fine"]
    assert "mid" in kept.reason


async def test_statuses_come_in_any_order(town: Town) -> None:
    """Before the send's own answer, backwards, twice: a status is raised and never lowered."""
    meta = town.around.meta
    for word in ("early", "reordered", "twice", "read"):
        meta.callbacks.plan(word)
    for n in range(4):
        await town.whatsapp.text(PHONE, f"{n}", wamid=f"wamid.{n}")
        await town.reads(PHONE, *(f"re: {m}" for m in range(n + 1)))
    await meta.settle()
    await town.until(town.statuses, ["delivered", "delivered", "delivered", "read"])


async def test_an_echo_before_the_answer_is_our_own(town: Town) -> None:
    """It is no person's: the bot goes on, and the message is not stored twice."""
    town.around.meta.callbacks.plan("early")
    await town.messenger.text(ANN, "Hello")
    await town.until(town.statuses, ["delivered"])
    conversation = await town.conversation("messenger")

    assert (conversation.mode, conversation.total_messages) == ("bot", 2)


# --- people --------------------------------------------------------------------------------------------------------


async def test_a_person_in_the_pages_inbox_takes_over(town: Town) -> None:
    """Nothing of the bot leaves any more, until somebody gives the conversation back."""
    await town.messenger.text(ANN, "Hello", mid="m_1")
    await town.reads(ANN, "re: Hello")
    await town.messenger.person(ANN, "This is a person")
    await town.messenger.text(ANN, "Thanks", mid="m_2")
    taken = await town.conversation("messenger")
    await town.storage.run(Resume(taken.conversation_id, now(town)))
    await town.messenger.text(ANN, "And you?", mid="m_3")
    await town.until(lambda: "re: " in town.messenger.received(ANN)[-1], True)

    assert taken.mode == "human"
    assert list(town.messenger.received(ANN))[:2] == ["re: Hello", "This is a person"]
    assert [m.role for m in await town.transcript("messenger")][:4] == ["user", "assistant", "agent", "user"]


async def test_the_owner_answers_in_the_business_app(town: Town) -> None:
    """WhatsApp tells it, and the bot is silent."""
    await town.whatsapp.text(PHONE, "Hello")
    await town.reads(PHONE, "re: Hello")
    await town.whatsapp.owner(PHONE, "It is me")

    assert (await town.conversation("whatsapp")).mode == "human"


async def test_a_thread_of_another_app(town: Town) -> None:
    """What customers tell it is overheard, and when it comes back, the bot answers again."""
    await town.messenger.text(ANN, "Hello", mid="m_1")
    await town.reads(ANN, "re: Hello")
    await town.messenger.take_thread(ANN)
    await town.messenger.text(ANN, "to the other", mid="m_2")
    overheard = await town.conversation("messenger")
    await town.messenger.pass_thread(ANN)
    await town.messenger.text(ANN, "to you", mid="m_3")
    await town.reads(ANN, "re: Hello", "re: to you")

    assert overheard.mode == "human"
    assert [m.content for m in await town.transcript("messenger")][2:4] == ["to the other", "to you"]


async def test_a_send_into_another_apps_thread_silences_the_bot(town: Town) -> None:
    """Meta's refusal says whose the customer is, where no webhook did."""
    town.around.meta.refusals[ANN] = (403, 10, 2018300)
    await town.messenger.text(ANN, "Hello")
    await town.until(town.statuses, ["failed"])
    await town.until(lambda: _mode(town, "messenger"), "human")


async def _mode(town: Town, channel: str) -> str:
    return (await town.conversation(channel)).mode


async def test_somebody_without_a_number(town: Town) -> None:
    """Is answered by WhatsApp's own id, and stays the same person when the number shows."""
    person = town.whatsapp.people.find(PHONE)
    user_id = person.user_id
    await town.whatsapp.text(PHONE, "with number", wamid="wamid.1")
    await town.reads(PHONE, "re: with number")
    person.phone = None  # hidden behind a username
    await town.whatsapp.text(PHONE, "without", wamid="wamid.2")
    await town.reads(PHONE, "re: with number", "re: without")
    conversation = await town.conversation("whatsapp")

    assert (conversation.address, conversation.identity) == (PHONE, user_id)


async def test_somebody_with_another_number(town: Town) -> None:
    """Goes on in the same conversation, and is answered there."""
    await town.whatsapp.text(PHONE, "Hello", wamid="wamid.1")
    await town.reads(PHONE, "re: Hello")
    await town.whatsapp.change_number(PHONE, "15550108888")
    await town.whatsapp.text("+15550108888", "new number", wamid="wamid.2")
    await town.reads("+15550108888", "re: Hello", "re: new number")

    assert (await town.conversation("whatsapp")).address == "+15550108888"


# --- more than text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["messenger", "whatsapp"])
async def test_a_picture_reaches_the_model(town: Town, channel: str) -> None:
    """Fetched from the platform, and shown to the model beside the words."""
    line = town.messenger if channel == "messenger" else town.whatsapp
    await line.media(ANN if channel == "messenger" else PHONE, PNG, "image/png", "My sink")
    await town.until(lambda: [sent.words for sent in line.outbox], ["re: My sink\n[image]"])
    asked = str(town.around.openai.requests[-1].body)

    assert "data:image/png;base64," in asked


async def test_choices_on_every_channel(town: Town) -> None:
    """Buttons where there are any, and numbers where there are none; what is picked is known."""
    content = Content("When?", choices=(Choice("t9", "9:00"), Choice("t14", "14:00")))
    await town.messenger.text(ANN, "a")
    await town.whatsapp.text(PHONE, "a")
    await town.around.twilio.text("+15550107777", "a")
    await town.until(lambda: len(town.messenger.outbox) + len(town.whatsapp.outbox), 2)
    await town.say("messenger", ANN, content)
    await town.say("whatsapp", PHONE, content)
    await town.say("sms", "+15550107777", content)
    await town.until(lambda: len(town.messenger.outbox) + len(town.whatsapp.outbox), 4)
    await town.until(lambda: len(town.around.twilio.outbox), 2)
    await town.messenger.quick_reply(ANN, "14:00", "t14")
    await town.whatsapp.button_reply(PHONE, "14:00", "t14")
    await town.around.twilio.text("+15550107777", "2")
    picked = {}
    for channel in ("messenger", "whatsapp", "sms"):
        messages = [m for m in await town.transcript(channel) if m.role == "user"]
        picked[channel] = (messages[-1].meta or {}).get("choice")

    assert [reply["payload"] for reply in town.messenger.outbox[1].body["message"]["quick_replies"]] == ["t9", "t14"]
    assert town.whatsapp.outbox[1].body["interactive"]["type"] == "button"
    assert town.around.twilio.outbox[1].body == "When?\n\n1. 9:00\n2. 14:00"
    assert list(picked.values()) == [{"id": "t14", "title": "14:00"}] * 3


async def test_an_edit_is_what_the_model_answers_later(town: Town) -> None:
    """The transcript says the new words, and the next prompt too."""
    await town.messenger.text(ANN, "at 9", mid="m_1")
    await town.reads(ANN, "re: at 9")
    await town.messenger.edit(ANN, "m_1", "at 10")
    await town.messenger.text(ANN, "Is it free?", mid="m_2")
    await town.reads(ANN, "re: at 9", "re: Is it free?")
    asked = str(town.around.openai.requests[-1].body)

    assert "at 10" in asked
    assert next(m.content for m in await town.transcript("messenger")) == "at 10"


# --- what Meta would not take --------------------------------------------------------------------------------------


async def test_who_has_not_written_is_not_written_to(town: Town) -> None:
    """A free answer outside the window is refused here, with a reason that an operator understands."""
    await town.say("whatsapp", PHONE, Content("Hello"))
    await town.until(town.statuses, ["failed"])
    [delivery] = await town.storage.dead_letters()

    assert delivery.error_code == "outside_window"
    assert "24 hours" in (delivery.error_message or "")
    assert town.whatsapp.outbox == []


async def test_a_template_stands_in(tmp_path: Path) -> None:
    """Where one is configured, it is sent in the answer's place, and the delivery says so."""
    more = ", fallback_template: {name: hello_again, language: en_US}"
    async with open_town(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", more=more) as town:
        await town.say("whatsapp", PHONE, Content("Hello"))
        await town.until(lambda: len(town.whatsapp.outbox), 1)
        await town.until(lambda: _remark(town), "sent as template hello_again: outside WhatsApp's 24 hours")

        assert town.whatsapp.outbox[0].body["template"]["name"] == "hello_again"


async def _remark(town: Town) -> str | None:
    return (await town.last_delivery()).remark


async def test_rejected_credentials_stop_the_channel_and_nothing_is_lost(town: Town) -> None:
    """The other channels go on, everybody who looks learns it, and with a new token the answers leave in order."""
    meta = town.around.meta
    await town.whatsapp.text(PHONE, "first", wamid="wamid.1", number=NUMBERS[0])
    await town.reads(PHONE, "re: first")
    meta.numbers[NUMBERS[0]] = "another token"
    await town.whatsapp.text(PHONE, "second", wamid="wamid.2", number=NUMBERS[0])
    await town.messenger.text(ANN, "Hello")
    await town.reads(ANN, "re: Hello")
    await town.until(lambda: _problem(town, "channels.whatsapp"), "paused: credentials")
    waiting = await town.statuses()
    meta.numbers[NUMBERS[0]] = META_TOKEN
    await town.storage.run(OpenChannels(town.gateway.parts.roster.names))
    town.gateway.outbox._wake.set()
    await town.reads(PHONE, "re: first", "re: second")

    assert waiting.count("queued") == 1


async def _channels(town: Town) -> int:
    return len(await town.storage.channel_states())


async def _problem(town: Town, name: str) -> str | None:
    url = f"http://127.0.0.1:{town.gateway.port}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        found: dict[str, str] = (await response.json())["problems"]
    return found.get(name)


async def test_the_daily_look_finds_a_page_that_is_not_subscribed(town: Town) -> None:
    """It stands in /readyz, for whichever process is asked, and costs nobody an answer."""
    town.around.meta.unsubscribed.add(PAGES[0])
    await town.until(lambda: _channels(town), len(town.gateway.parts.roster.names))
    looker = Looker(town.storage, town.gateway.parts.roster, town.gateway.health._clock)
    for channel in looker._channels:
        await looker._look(channel)
    await asyncio.sleep(1.1)  # what /readyz says is up to a second old
    problem = await _problem(town, "channels.messenger")

    [state] = [one for one in await town.storage.channel_states() if one.channel_name == "messenger"]

    assert problem == "1 found wrong at its platform, frontdesk doctor says what"
    assert [finding["detail"] for finding in state.findings or ()] == ["the page does not post to our app"]


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ((400, 131026, None), "failed", "131026"),
        ((400, 131047, None), "failed", "131047"),
        ((400, 131050, None), "failed", "131050"),
        ((400, 100, None), "failed", "100"),
    ],
)
async def test_what_whatsapp_refuses_is_final(
    town: Town, refusal: tuple[int, int, int | None], status: str, code: str
) -> None:
    """It stands in the dead letters with Meta's own code."""
    town.around.meta.refusals[PHONE] = refusal
    await town.whatsapp.text(PHONE, "Hello")
    await town.until(town.statuses, [status])
    [delivery] = await town.storage.dead_letters()

    assert delivery.error_code == code
