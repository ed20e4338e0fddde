"""Messenger at the stand-in for Meta: what it takes, what it refuses, and what its customers do."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from io import BytesIO

import pytest
from aiohttp import FormData
from hypothesis import given

from channels.abilities import Media
from channels.base import (
    ChannelContext,
    Control,
    DeliveryStatus,
    Echo,
    Edit,
    Inbound,
    Outbound,
    Reaction,
    Request,
    Status,
    Watermark,
)
from channels.content import Choice, Content
from channels.http import Http
from channels.messenger.channel import MessengerChannel
from gateway.sandbox.meta.errors import Refusal
from gateway.sandbox.meta.messenger import PAGE_INBOX
from gateway.sandbox.meta.messenger_rules import check, words_of
from tests.meta_world import (
    ANN,
    BOB,
    NOON,
    NOON_S,
    OTHER_PAGE,
    PAGE,
    PAGE_TOKEN,
    SECRET,
    WORD,
    attachment,
    mutated,
    told,
)

pytest_plugins = ["tests.fixtures_meta"]

BUTTON_TEMPLATE = {
    "template_type": "button",
    "text": "Which?",
    "buttons": [{"type": "postback", "title": "Y", "payload": "y"}],
}
CARD = {
    "title": "Boiler",
    "subtitle": "New",
    "image_url": "https://a.example/b.png",
    "buttons": BUTTON_TEMPLATE["buttons"],
}


class TestMessengerSending:
    """POST /{page}/messages."""

    @pytest.fixture(autouse=True)
    def _known(self, meta):
        meta.messenger.meet(ANN)

    async def test_a_message_is_accepted(self, client, meta):
        """The answer has its id; the outbox has it whole, and the customer reads it."""
        status, answer = await client.say("Grüße 🕘")
        [sent] = await meta.messenger.wait_for(1)

        assert (status, answer) == (200, {"recipient_id": ANN, "message_id": sent.id})
        assert (sent.account, sent.recipient, sent.at, sent.words) == (PAGE, ANN, NOON, "Grüße 🕘")
        assert sent.body["message"] == {"text": "Grüße 🕘", "metadata": "d-1"}
        assert list(meta.messenger.received(ANN)) == ["Grüße 🕘"]
        assert list(meta.messenger.received(BOB)) == []

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (
                {"text": "Pick", "quick_replies": [{"content_type": "text", "title": "Red", "payload": "R"}]},
                "Pick\n[Red]",
            ),
            ({"text": "Where?", "quick_replies": [{"content_type": "user_email"}]}, "Where?\n[user_email]"),
            (attachment("image", url="https://a.example/1.png", is_reusable=True), "https://a.example/1.png"),
            ({"attachments": [attachment("image", url="https://a.example/1")["attachment"]]}, "https://a.example/1"),
            (attachment("template", **BUTTON_TEMPLATE), "Which?\n[Y]"),
            (
                attachment("template", template_type="generic", elements=[CARD, {"title": "Other"}]),
                "Boiler: New\nhttps://a.example/b.png\n[Y]\nOther",
            ),
            (
                attachment(
                    "template", template_type="media", elements=[{"media_type": "image", "url": "https://f.example"}]
                ),
                "https://f.example",
            ),
            ({"sticker_id": 767226160478561}, "sticker 767226160478561"),
        ],
    )
    async def test_everything_that_messenger_shows_is_taken(self, client, meta, message, words):
        """It is on the telephone in words."""
        body = {"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": message}
        status, _ = await client.post("me/messages", body)

        assert status == 200
        assert list(meta.messenger.received(ANN)) == [words]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"recipient": json.dumps({"id": ANN})}, 100),
            ({"recipient": {}}, 100),
            ({"recipient": {"id": ANN, "user_ref": "r"}}, 100),
            ({"recipient": {"id": 7}}, 100),
            ({"message": json.dumps({"text": "Hi"})}, 100),
            ({"message": None}, 100),
            ({"message": {}}, 100),
            ({"message": {"text": ""}}, 100),
            ({"message": {"text": "x" * 2001}}, 100),
            ({"message": {"text": "Hi", **attachment("image", url="https://a.example")}}, 100),
            ({"message": {"text": "Hi", "metadata": "x" * 1001}}, 100),
            ({"message": {"text": "Hi", "quick_replies": []}}, 100),
            ({"message": {"text": "Hi", "quick_replies": [{"content_type": "user_email"}] * 14}}, 100),
            ({"message": {"text": "Hi", "quick_replies": [{"content_type": "location"}]}}, 100),
            (
                {
                    "message": {
                        "text": "Hi",
                        "quick_replies": [{"content_type": "text", "title": "x" * 21, "payload": "p"}],
                    }
                },
                100,
            ),
            ({"message": attachment("image", url="nowhere")}, 100),
            ({"message": attachment("image", url="https://[")}, 100),
            ({"message": attachment("image")}, 100),
            ({"message": attachment("image", url="https://a.example", attachment_id="1")}, 100),
            ({"message": attachment("image", attachment_id="1")}, 100),
            ({"message": attachment("poem", url="https://a.example")}, 100),
            ({"message": {"attachment": "image"}}, 100),
            ({"message": {"attachments": []}}, 100),
            ({"message": attachment("template", template_type="poem")}, 100),
            ({"message": attachment("template", **{**BUTTON_TEMPLATE, "text": "x" * 641})}, 100),
            (
                {"message": attachment("template", **{**BUTTON_TEMPLATE, "buttons": BUTTON_TEMPLATE["buttons"] * 4})},
                100,
            ),
            ({"message": attachment("template", **{**BUTTON_TEMPLATE, "buttons": [{"type": "poem"}]})}, 100),
            (
                {
                    "message": attachment(
                        "template",
                        **{**BUTTON_TEMPLATE, "buttons": [{"type": "web_url", "title": "A", "url": "nowhere"}]},
                    )
                },
                100,
            ),
            ({"message": attachment("template", template_type="generic", elements=[{"title": "x" * 81}])}, 100),
            ({"message": attachment("template", template_type="generic", elements=[{**CARD, "subtitle": ""}])}, 100),
            ({"message": attachment("template", template_type="generic", elements=[{**CARD, "image_url": "/"}])}, 100),
            ({"message": attachment("template", template_type="media", elements=[{"media_type": "image"}])}, 100),
            ({"messaging_type": None}, 100),
            ({"messaging_type": "POEM"}, 100),
            ({"messaging_type": "MESSAGE_TAG"}, 100),
            ({"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, 100),
            ({"tag": "HUMAN_AGENT"}, 100),
            ({"sender_action": "typing_on"}, 100),
            ({"message": None, "sender_action": "dance"}, 100),
            ({"message": None, "sender_action": "react"}, 100),
        ],
    )
    async def test_what_messenger_refuses_is_refused(self, client, meta, changes, code):
        """Nothing is accepted, and the customer reads nothing."""
        body = {"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": {"text": "Hi"}} | changes
        answer = await client.post(
            f"{PAGE}/messages", {name: value for name, value in body.items() if value is not None}
        )

        assert told(answer)[:2] == (400, code)
        assert (meta.messenger.outbox, meta.messenger.actions, list(meta.messenger.received(ANN))) == ([], [], [])

    @pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"to=1", b"[" * 100_000])
    async def test_what_is_no_json_is_refused(self, client, body):
        """A form is no JSON either."""

        assert told(await client.call("POST", f"{PAGE}/messages", PAGE_TOKEN, data=body)) == (400, 100, None)

    async def test_the_outbox_can_be_waited_for(self, client, meta):
        """A test goes on as soon as the messages are there, and fails when they never come."""
        waiting = asyncio.create_task(meta.messenger.wait_for(2))
        for text in ("one", "two"):
            await client.say(text)

        assert [sent.words for sent in await waiting] == ["one", "two"]
        with pytest.raises(TimeoutError):
            await meta.messenger.wait_for(3, timeout_s=0.01)

    async def test_a_text_is_too_long_in_metas_words(self, client):
        """Two thousand characters are taken, and one more is not."""
        status, _ = await client.say("x" * 2000)
        _, refused = await client.say("x" * 2001)

        assert status == 200
        assert refused["error"]["message"] == "(#100) Length of param message[text] must be less than or equal to 2000"

    @pytest.mark.parametrize(
        ("hours", "tag", "expected"),
        [
            (24, None, 200),
            (25, None, 2018278),
            (25, "HUMAN_AGENT", 200),
            (7 * 24, "HUMAN_AGENT", 200),
            (169, "HUMAN_AGENT", 2018278),
        ],
    )
    async def test_the_window_closes(self, client, clock, hours, tag, expected):
        """After a day for everybody, after seven for a person."""
        clock.now += timedelta(hours=hours)
        named = {"messaging_type": "MESSAGE_TAG", "tag": tag} if tag else {"messaging_type": "RESPONSE"}
        status, body = await client.post(
            f"{PAGE}/messages", {**named, "recipient": {"id": ANN}, "message": {"text": "Hi"}}
        )

        assert (body["error"]["error_subcode"] if status == 400 else status) == expected
        assert status == 200 or body["error"]["code"] == 10

    async def test_a_customer_of_another_page_is_unknown(self, client, meta):
        """Ids are a page's own."""
        meta.messenger.meet(BOB, OTHER_PAGE)

        assert told(await client.say(to=BOB)) == (400, 100, 2018001)

    async def test_another_apps_thread_is_not_written_into(self, client, meta):
        """Until it is passed back."""
        await meta.messenger.take_thread(ANN)
        refused = await client.say()
        await meta.messenger.pass_thread(ANN)

        assert told(refused) == (400, 10, 2018300)
        assert (await client.say())[0] == 200

    async def test_actions_stand_alone(self, client, meta):
        """Typing, seen and a reaction are kept beside the messages, and open no window."""
        for action in ("typing_on", "typing_off", "mark_seen"):
            await client.post(f"{PAGE}/messages", {"recipient": {"id": ANN}, "sender_action": action})
        reaction = {"message_id": "m_1", "reaction": "love"}
        body = {"recipient": {"id": ANN}, "sender_action": "react", "payload": reaction}
        answer = await client.post(f"{PAGE}/messages", body)

        assert answer == (200, {"recipient_id": ANN})
        assert [action["sender_action"] for action in meta.messenger.actions] == [
            "typing_on",
            "typing_off",
            "mark_seen",
            "react",
        ]
        assert meta.messenger.outbox == []

    async def test_somebody_without_an_id_is_answered(self, client, meta, door):
        """The answer to a user_ref names no recipient."""
        await meta.messenger.opt_in("ref-1", "checkbox")
        body = {
            "messaging_type": "RESPONSE",
            "recipient": {"user_ref": "ref-1", "name": "Ann"},
            "message": {"text": "Hi"},
        }
        status, answer = await client.post(f"{PAGE}/messages", body)
        await meta.settle()

        assert (status, list(answer)) == (200, ["message_id"])
        assert door.events[0]["sender"] == {"user_ref": "ref-1"}
        assert door.events[1]["recipient"]["user_ref"] == "ref-1"
        assert door.events[2]["sender"]["user_ref"] == "ref-1"

    async def test_refusals_can_be_planned_for_a_recipient(self, client, meta):
        """With any status, code and subcode."""
        meta.refusals[ANN] = 500, 1200, None
        first = told(await client.say())
        meta.refusals[ANN] = 400, 551, 1545041

        assert first == (500, 1200, None)
        assert told(await client.say()) == (400, 551, 1545041)

    async def test_files_are_uploaded(self, client, meta, door):
        """By form or by address; the id is the page's own, and the echo has an address."""
        form = FormData()
        form.add_field("message", json.dumps({"attachment": {"type": "image", "payload": {"is_reusable": True}}}))
        form.add_field("filedata", b"\x89PNG", filename="a.png", content_type="image/png")
        status, answer = await client.call("POST", f"{PAGE}/message_attachments", PAGE_TOKEN, data=form)
        _, fetched = await client.post(
            f"{PAGE}/message_attachments", {"message": attachment("image", url="https://a.example/1.png")}
        )
        sent = [
            await client.post(
                f"{PAGE}/messages",
                {"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": attachment("image", **uploaded)},
            )
            for uploaded in (answer, fetched)
        ]

        await meta.settle()
        echoed = [event["message"]["attachments"][0]["payload"]["url"] for event in door.events if "message" in event]

        assert status == 200
        assert meta.files.get(answer["attachment_id"]).content == b"\x89PNG"
        assert sorted(echoed) == [f"{meta.url}/cdn/{answer['attachment_id']}/a.png", "https://a.example/1.png"]
        assert [status for status, _ in sent] == [200, 200]
        assert meta.messenger.received(ANN)[0] == f"image {answer['attachment_id']}"

    @pytest.mark.parametrize(
        ("message", "content", "subcode"),
        [
            (None, b"x", None),
            ("{", b"x", None),
            ('{"attachment": {"type": "poem"}}', b"x", None),
            ('{"attachment": {"type": "image"}}', None, None),
            ('{"attachment": {"type": "image"}}', b"x" * (8 * 1024 * 1024 + 1), 2018109),
        ],
    )
    async def test_a_broken_upload_is_refused(self, client, message, content, subcode):
        """Without its kind, without a file, or with one that is too large."""
        form = FormData()
        if message is not None:
            form.add_field("message", message)
        form.add_field("other", b"y", filename="y")
        if content is not None:
            form.add_field("filedata", BytesIO(content), filename="a.png", content_type="image/png")

        answer = await client.call("POST", f"{PAGE}/message_attachments", PAGE_TOKEN, data=form)
        assert told(answer) == (400, 100, subcode)


class TestMessengerCustomers:
    """What customers and people in a page's inbox do."""

    async def test_a_text_is_posted_signed_and_whole(self, meta, door):
        """As Meta's own example has it, with milliseconds."""
        status = await meta.messenger.text(ANN, "Wie spät? / 🕘", "m_1")

        assert status == 200
        assert door.posts == [
            (
                "/webhooks/messenger",
                {
                    "object": "page",
                    "entry": [
                        {
                            "id": PAGE,
                            "time": NOON_S * 1000,
                            "messaging": [
                                {
                                    "sender": {"id": ANN},
                                    "recipient": {"id": PAGE},
                                    "timestamp": NOON_S * 1000,
                                    "message": {"mid": "m_1", "text": "Wie spät? / 🕘"},
                                }
                            ],
                        }
                    ],
                },
            )
        ]

    @pytest.mark.parametrize(
        ("action", "expected"),
        [
            (
                lambda line: line.text(ANN, "yes", "m_2", reply_to="m_1", extra={"nlp": {}}),
                {
                    "message": {
                        "mid": "m_2",
                        "text": "yes",
                        "reply_to": {"mid": "m_1", "is_self_reply": False},
                        "nlp": {},
                    }
                },
            ),
            (
                lambda line: line.quick_reply(ANN, "Red", "PICK_RED", "m_2"),
                {"message": {"mid": "m_2", "text": "Red", "quick_reply": {"payload": "PICK_RED"}}},
            ),
            (
                lambda line: line.postback(ANN, "Start", "START", "m_2", referral={"ref": "r"}),
                {"postback": {"mid": "m_2", "title": "Start", "payload": "START", "referral": {"ref": "r"}}},
            ),
            (
                lambda line: line.reaction(ANN, "m_1"),
                {"reaction": {"reaction": "love", "emoji": "❤", "action": "react", "mid": "m_1"}},
            ),
            (lambda line: line.edit(ANN, "m_1", "hi!"), {"message_edit": {"mid": "m_1", "text": "hi!", "num_edit": 1}}),
            (lambda line: line.read(ANN), {"read": {"watermark": NOON_S * 1000}}),
            (
                lambda line: line.referral(ANN, "promo", ad_id="45"),
                {"referral": {"ref": "promo", "source": "SHORTLINK", "type": "OPEN_THREAD", "ad_id": "45"}},
            ),
            (
                lambda line: line.take_thread(ANN),
                {
                    "take_thread_control": {
                        "previous_owner_app_id": "151000",
                        "new_owner_app_id": PAGE_INBOX,
                        "metadata": "",
                    }
                },
            ),
            (
                lambda line: line.pass_thread(ANN, metadata="back"),
                {
                    "pass_thread_control": {
                        "previous_owner_app_id": "151000",
                        "new_owner_app_id": "151000",
                        "metadata": "back",
                    }
                },
            ),
        ],
    )
    async def test_each_action_has_its_shape(self, meta, door, action, expected):
        """From the customer to the page, with Meta's names."""
        assert await action(meta.messenger) == 200

        [event] = door.events
        assert event == {
            "sender": {"id": ANN},
            "recipient": {"id": PAGE},
            "timestamp": NOON_S * 1000,
            **expected,
        }

    @pytest.mark.parametrize(("app_id", "named"), [(PAGE_INBOX, {"app_id": int(PAGE_INBOX)}), (None, {})])
    async def test_a_person_answers_in_the_pages_inbox(self, meta, door, app_id, named):
        """The customer reads it, and an echo of another app, or of none, tells of it; the same one twice is one."""
        for _ in range(2):
            await meta.messenger.person(ANN, "I am Bo", "m_h", app_id=app_id)

        assert door.events[0]["sender"] == {"id": PAGE}
        assert door.events[0]["message"] == {"is_echo": True, **named, "mid": "m_h", "text": "I am Bo"}
        assert door.events[0] == door.events[1]
        assert list(meta.messenger.received(ANN)) == ["I am Bo"]

    async def test_a_thread_of_another_app_is_overheard(self, meta, door):
        """What is written goes to standby, and what is behind a button is withheld."""
        await meta.messenger.standby(BOB, "to somebody else")
        await meta.messenger.take_thread(ANN)
        await meta.messenger.text(ANN, "Hi")
        await meta.messenger.postback(ANN, "Start", "START")
        await meta.messenger.pass_thread(ANN)
        await meta.messenger.text(ANN, "Hi again")
        fields = [
            next(name for name in entry if name not in {"id", "time"}) for _, b in door.posts for entry in b["entry"]
        ]

        assert fields == ["standby", "messaging", "standby", "standby", "messaging", "messaging"]
        assert "payload" not in door.events[3]["postback"]

    async def test_the_same_mid_is_the_same_message(self, meta, door, clock):
        """Posted again as it was, at its own time."""
        await meta.messenger.text(ANN, "Hi", "m_1")
        clock.now += timedelta(minutes=1)
        await meta.messenger.text(ANN, "changed", "m_1")

        assert door.events[0] == door.events[1]

    async def test_pages_have_their_own_customers(self, meta, door):
        """Each entry names its page."""
        await meta.messenger.text(ANN, "Hi", page=OTHER_PAGE)

        assert [entry["id"] for body in door.bodies for entry in body["entry"]] == [OTHER_PAGE]


class TestTheChannel:
    """The real channel and the stand-in understand each other."""

    @pytest.fixture
    async def channel(self, meta):
        section = {
            "page_id": PAGE,
            "page_access_token": PAGE_TOKEN,
            "app_secret": SECRET,
            "verify_token": WORD,
            "api_base": meta.url,
            "appsecret_proof": True,
        }
        async with Http() as http:
            yield MessengerChannel.build(section, ChannelContext("page", meta.messenger.configured_url(), http))

    def read(self, channel, door):
        posts = [Request("POST", path, (), json.dumps(body).encode()) for path, body in door.posts]
        return [event for post in posts for event in channel.parse(post).events]

    async def test_what_customers_do_is_understood(self, meta, door, channel):
        """Each action is an event, and a file can be fetched."""
        line = meta.messenger
        await line.text(ANN, "Hi", "m_1")
        await line.media(ANN, b"\x89PNG", "image/png", name="a.png")
        await line.quick_reply(ANN, "Red", "RED")
        await line.reaction(ANN, "m_1")
        await line.edit(ANN, "m_1", "Hello")
        await line.read(ANN)
        await line.person(ANN, "I am Bo")
        await line.take_thread(ANN)
        events = self.read(channel, door)
        media = await channel.fetch_media(events[1].attachments[0].url, 100)

        assert [type(event) for event in events] == [
            Inbound,
            Inbound,
            Inbound,
            Reaction,
            Edit,
            Watermark,
            Echo,
            Control,
        ]
        assert media == Media(b"\x89PNG", "image/png")
        assert events[2].choice == Choice("RED", "Red")

    async def test_what_we_send_is_taken_and_reported(self, meta, door, channel):
        """The echo and the delivery are reports on our message; the page's own side is in order."""
        meta.messenger.meet(ANN)
        picks = Content("Pick", choices=(Choice("r", "Red"), Choice("g", "Green")))
        receipt = await channel.send(Outbound("6f9619ff-8b86-4d01-b42d-00cf4fc964ff", ANN, picks, silent_s=1.0))
        await channel.show_typing(ANN, "m_1")
        await meta.settle()
        statuses = [event for event in self.read(channel, door) if isinstance(event, Status)]

        assert list(meta.messenger.received(ANN)) == ["Pick\n[Red] [Green]"]
        assert {event.external_id for event in statuses} == {receipt.external_id}
        assert DeliveryStatus.DELIVERED in {event.status for event in statuses}
        assert all(finding.ok for finding in await channel.diagnose())


MESSAGES = [
    {"text": "Hi", "metadata": "d", "quick_replies": [{"content_type": "text", "title": "A", "payload": "a"}]},
    attachment("image", url="https://a.example"),
    {"attachments": [attachment("image", url="https://a.example")["attachment"]]},
    attachment("template", **BUTTON_TEMPLATE),
    attachment("template", template_type="generic", elements=[CARD]),
    attachment("template", template_type="media", elements=[{"media_type": "image", "url": "https://a.example"}]),
]
BODIES = [{"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": message} for message in MESSAGES]


@given(mutated(BODIES))
def test_any_body_is_taken_or_refused_by_messenger(body):
    """Whatever is in it, and what is taken can be read on a telephone."""
    try:
        check(body)
    except Refusal:
        return

    assert isinstance(words_of(body["message"]), str)
