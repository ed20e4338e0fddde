"""WhatsApp at the stand-in for Meta: what it takes, what it refuses, and what its customers do."""

from __future__ import annotations

import copy
import json
from datetime import timedelta

import pytest
from hypothesis import given

from channels.abilities import Media
from channels.base import (
    ChannelContext,
    DeliveryStatus,
    Echo,
    Edit,
    Inbound,
    Moved,
    Outbound,
    Preference,
    Reaction,
    Request,
    Revoke,
    Status,
)
from channels.content import Choice, Content
from channels.http import Http
from channels.whatsapp.channel import WhatsAppChannel
from gateway.sandbox.meta.errors import Refusal
from gateway.sandbox.meta.whatsapp_rules import RULES, PairRate, check
from gateway.sandbox.meta.whatsapp_words import words_of
from tests.meta_world import (
    ACCOUNT,
    ANNS_PHONE,
    BOBS_PHONE,
    NOON,
    NOON_S,
    NUMBER,
    NUMBER_TOKEN,
    OTHER_NUMBER,
    SECRET,
    USER_ID,
    WORD,
    mutated,
    told,
)

pytest_plugins = ["tests.fixtures_meta"]

TEMPLATE = {"name": "hello", "language": {"code": "en_US"}}
REPLY = {"type": "reply", "reply": {"id": "a", "title": "A"}}
BUTTONS = {"type": "button", "body": {"text": "Which?"}, "action": {"buttons": [REPLY]}}
ROWS = {"title": "All", "rows": [{"id": "1", "title": "One", "description": "first"}, {"id": "2", "title": "Two"}]}
LIST = {"type": "list", "body": {"text": "Which?"}, "action": {"button": "Show", "sections": [ROWS]}}
LINK = {
    "type": "cta_url",
    "body": {"text": "Look"},
    "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://a.example"}},
}
PARAMETERS = {"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}
IMAGE = {"link": "https://a.example/1.png"}
HEADER = {"type": "header", "parameters": [{"type": "image", "image": IMAGE}]}
FLOW = {"name": "flow", "parameters": {"flow_id": "1"}}


def interactive(base, **changes):
    return {"interactive": {**copy.deepcopy(base), **changes}}


WHATSAPP_TAKES = [
    ({"image": IMAGE}, "https://a.example/1.png"),
    ({"image": {**IMAGE, "caption": "Look"}}, "Look"),
    ({"document": {**IMAGE, "filename": "a.pdf"}}, "https://a.example/1.png"),
    ({"audio": {**IMAGE, "voice": True}}, "https://a.example/1.png"),
    ({"sticker": IMAGE}, "https://a.example/1.png"),
    ({"location": {"latitude": 37.4, "longitude": "-122.1", "name": "Cafe"}}, "Cafe, 37.4, -122.1"),
    ({"contacts": [{"name": {"formatted_name": "Bo"}, "phones": [{"phone": "+1"}]}]}, "Bo"),
    ({"reaction": {"message_id": "wamid.1", "emoji": "👍"}}, "👍"),
    (interactive(BUTTONS), "Which?\n[A]"),
    (
        interactive(BUTTONS, header={"type": "image", "image": IMAGE}, footer={"text": "soon"}),
        "https://a.example/1.png\nWhich?\nsoon\n[A]",
    ),
    (interactive(LIST, header={"type": "text", "text": "Choose"}), "Choose\nWhich?\n[One] [Two]"),
    (interactive(LINK), "Look\n[Open: https://a.example]"),
    (interactive(LINK, type="location_request_message", action={"name": "send_location"}), "Look"),
    (interactive(LINK, type="flow", action=FLOW), "Look"),
    (interactive(LINK, type="product_list", action={"catalog_id": "1", "sections": []}), "Look"),
    ({"interactive": {"type": "product", "action": {"catalog_id": "1"}}}, ""),
    (interactive(LINK, type="carousel", action={"cards": [{}, {}]}), "Look"),
    ({"template": {**TEMPLATE, "components": [HEADER, PARAMETERS]}}, "template hello\nAnn"),
]
WHATSAPP_REFUSES = [
    ({"messaging_product": None}, 100),
    ({"to": None}, 131008),
    ({"recipient": USER_ID}, 131008),
    ({"to": USER_ID}, 131009),
    ({"to": 15550109991}, 131009),
    ({"to": None, "recipient": ANNS_PHONE}, 131009),
    ({"to": "15550100001"}, 131021),
    ({"recipient_type": "crowd"}, 131009),
    ({"biz_opaque_callback_data": "x" * 513}, 100),
    ({"context": {}}, 131008),
    ({"type": "poem"}, 131009),
    ({"type": ["text"]}, 131009),
    ({"text": None}, 131008),
    ({"text": "Hi"}, 131008),
    ({"text": {"body": ""}}, 131008),
    ({"text": {"body": "x" * 4097}}, 100),
    ({"image": {}}, 131008),
    ({"image": {**IMAGE, "id": "1"}}, 131008),
    ({"image": {"id": "1"}}, 100),
    ({"image": {"link": "nowhere"}}, 100),
    ({"image": {**IMAGE, "caption": "x" * 1025}}, 100),
    ({"image": {**IMAGE, "filename": "a"}}, 100),
    ({"audio": {**IMAGE, "caption": "x"}}, 100),
    ({"location": {"latitude": 91, "longitude": 0}}, 131009),
    ({"location": {"latitude": True, "longitude": 0}}, 131009),
    ({"location": {"latitude": "north", "longitude": 0}}, 131009),
    ({"contacts": []}, 131008),
    ({"contacts": {}}, 131008),
    ({"contacts": [{}]}, 131008),
    ({"reaction": {"message_id": "wamid.1"}}, 131008),
    (interactive(BUTTONS, type="poem"), 131009),
    (interactive(BUTTONS, body={"text": "x" * 1025}), 100),
    (interactive(BUTTONS, body=None), 131008),
    (interactive(BUTTONS, footer={"text": "x" * 61}), 100),
    (interactive(BUTTONS, header={"type": "audio", "audio": IMAGE}), 131009),
    (interactive(BUTTONS, header={"type": "text", "text": "x" * 61}), 100),
    (interactive(BUTTONS, action=None), 131008),
    (interactive(BUTTONS, action={"buttons": []}), 131009),
    (interactive(BUTTONS, action={"buttons": [REPLY] * 4}), 131009),
    (interactive(BUTTONS, action={"buttons": [REPLY, REPLY]}), 131009),
    (interactive(BUTTONS, action={"buttons": [{"type": "reply", "reply": {"id": "a", "title": "x" * 21}}]}), 100),
    (interactive(BUTTONS, action={"buttons": [{"type": "reply", "reply": {"id": "x" * 257, "title": "A"}}]}), 100),
    (interactive(BUTTONS, action={"buttons": [{"type": "url"}]}), 131008),
    (interactive(LIST, header={"type": "image", "image": IMAGE}), 131009),
    (interactive(LIST, body={"text": "x" * 4097}), 100),
    (interactive(LIST, action={"button": "x" * 21, "sections": [ROWS]}), 100),
    (interactive(LIST, action={"button": "Show", "sections": []}), 131009),
    (interactive(LIST, action={"button": "Show", "sections": [ROWS, ROWS]}), 131009),
    (interactive(LIST, action={"button": "Show", "sections": [{"rows": ROWS["rows"]}] * 2}), 131008),
    (interactive(LIST, action={"button": "Show", "sections": [{"rows": [{"id": "1", "title": "x" * 25}]}]}), 100),
    (
        interactive(
            LIST,
            action={
                "button": "Show",
                "sections": [{"title": "T", "rows": [{"id": f"{s}{n}", "title": "R"} for n in range(6)]} for s in "ab"],
            },
        ),
        131009,
    ),
    (interactive(LINK, action={"name": "cta_url", "parameters": {"display_text": "Open", "url": "x"}}), 100),
    (interactive(LINK, action={"name": "cta", "parameters": {}}), 131009),
    (interactive(LINK, type="location_request_message"), 131009),
    (interactive(LINK, type="carousel", action={"cards": [{}]}), 131009),
    ({"template": {"name": "hello"}}, 131008),
    ({"template": {**TEMPLATE, "components": "body"}}, 132000),
    ({"template": {**TEMPLATE, "components": [{"type": "body", "parameters": "Ann"}]}}, 132000),
    ({"template": {**TEMPLATE, "components": [{"type": "button"}]}}, 131008),
]


def typed(content):
    """Return a message of the type that its content has, where that is one."""
    kinds = [kind for kind in RULES if kind in content and kind != "text"]
    return {"type": kinds[0], "text": None, **content} if kinds else content


class TestWhatsAppSending:
    """POST /{phone_number_id}/messages."""

    @pytest.fixture(autouse=True)
    def _known(self, meta):
        meta.whatsapp.meet(ANNS_PHONE)

    async def test_a_message_is_accepted(self, client, meta):
        """The answer has its id and how WhatsApp knows the customer; a plus sign makes no other customer."""
        status, answer = await client.write("Grüße 🕘")
        [sent] = await meta.whatsapp.wait_for(1)

        assert (status, answer) == (
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [
                    {
                        "input": f"+{ANNS_PHONE}",
                        "wa_id": ANNS_PHONE,
                        "user_id": meta.whatsapp.people.find(ANNS_PHONE).user_id,
                    }
                ],
                "messages": [{"id": sent.id}],
            },
        )
        assert (sent.account, sent.recipient, sent.at) == (NUMBER, f"+{ANNS_PHONE}", NOON)
        assert sent.body["biz_opaque_callback_data"] == "d-1"
        assert (
            list(meta.whatsapp.received(ANNS_PHONE)) == list(meta.whatsapp.received(f"+{ANNS_PHONE}")) == ["Grüße 🕘"]
        )

    @pytest.mark.parametrize(("content", "words"), WHATSAPP_TAKES)
    async def test_everything_that_whatsapp_shows_is_taken(self, client, meta, content, words):
        """It is on the telephone in words."""
        status, answer = await client.write(**typed(content))

        assert (status, answer.get("error")) == (200, None)
        assert list(meta.whatsapp.received(ANNS_PHONE)) == [words]

    @pytest.mark.parametrize(("content", "code"), WHATSAPP_REFUSES)
    async def test_what_whatsapp_refuses_is_refused(self, client, meta, content, code):
        """Nothing is accepted, and the customer reads nothing."""
        body = {
            "messaging_product": "whatsapp",
            "to": ANNS_PHONE,
            "type": "text",
            "text": {"body": "Hi"},
            **typed(content),
        }
        answer = await client.post(
            f"{NUMBER}/messages", {name: value for name, value in body.items() if value is not None}, NUMBER_TOKEN
        )

        assert told(answer)[:2] == (400, code)
        assert (meta.whatsapp.outbox, list(meta.whatsapp.received(ANNS_PHONE))) == ([], [])

    async def test_details_are_told(self, client):
        """In WhatsApp's place for them, and a text's length in Meta's words."""
        _, unnamed = await client.write(to="12")
        _, long = await client.write("x" * 4097)

        assert unnamed["error"]["error_data"] == {"messaging_product": "whatsapp", "details": "to is not valid"}
        assert long["error"]["message"] == "(#100) Param text['body'] must be at most 4096 characters long."

    @pytest.mark.parametrize(
        ("to", "hours", "template", "expected"),
        [
            (ANNS_PHONE, 24, False, 200),
            (ANNS_PHONE, 25, False, 131047),
            (ANNS_PHONE, 25, True, 200),
            (BOBS_PHONE, 0, False, 131047),
            (BOBS_PHONE, 0, True, 200),
        ],
    )
    async def test_the_window_closes(self, client, clock, to, hours, template, expected):
        """After a day, and before the first word, only templates are taken."""
        clock.now += timedelta(hours=hours)
        content = {"type": "template", "text": None, "template": TEMPLATE} if template else {}
        status, body = await client.write(to=to, **content)

        assert (body["error"]["code"] if status == 400 else status) == expected

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ({**TEMPLATE, "components": [PARAMETERS]}, (200, None)),
            (TEMPLATE, (400, 132000)),
            ({**TEMPLATE, "name": "other"}, (404, 132001)),
            ({**TEMPLATE, "language": {"code": "de"}}, (404, 132001)),
        ],
    )
    async def test_templates_are_approved(self, client, meta, template, expected):
        """By name and language, with as many parameters as they leave open."""
        meta.whatsapp.templates = {("hello", "en_US"): 1}
        status, body = await client.write(type="template", text=None, template=template)

        assert (status, body.get("error", {}).get("code")) == expected
        assert status != 200 or body["messages"][0]["message_status"] == "accepted"

    async def test_a_hidden_number_is_written_to_by_its_id(self, client, meta, door):
        """The customer is the same by both addresses, and what is told names no number."""
        person = meta.whatsapp.people.find(ANNS_PHONE)
        person.phone, person.username = None, "ann.k"
        status, answer = await client.write(to=None, recipient=person.user_id)
        await meta.settle()

        assert (status, answer["contacts"]) == (200, [{"input": person.user_id, "user_id": person.user_id}])
        assert list(meta.whatsapp.received(ANNS_PHONE)) == ["Hello"]
        assert "recipient_id" not in door.statuses_told[0]
        assert door.statuses_told[0]["recipient_user_id"] == person.user_id
        assert door.values[0]["contacts"] == [
            {"profile": {"name": "Ann", "username": "ann.k"}, "user_id": person.user_id}
        ]

    async def test_a_number_is_dialled_in_two_ways(self, client, meta):
        """WhatsApp answers with the one that it knows."""
        people = meta.whatsapp.people
        people.add(people.find(ANNS_PHONE), "155550109991")
        _, answer = await client.write(to="+155550109991")

        assert (answer["contacts"][0]["input"], answer["contacts"][0]["wa_id"]) == ("+155550109991", ANNS_PHONE)

    async def test_marks_are_taken_for_what_was_received(self, client, meta):
        """Read, and read and typing; not for a message that nobody sent."""
        await meta.whatsapp.text(ANNS_PHONE, "Hi", "wamid.1")
        read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}
        typing = read | {"typing_indicator": {"type": "text"}}
        taken = [await client.post(f"{NUMBER}/messages", body, NUMBER_TOKEN) for body in (read, typing)]
        wrong = [read | {"message_id": "wamid.2"}, read | {"status": "eaten"}, read | {"typing_indicator": True}]
        refused = [told(await client.post(f"{NUMBER}/messages", body, NUMBER_TOKEN)) for body in wrong]

        assert taken == [(200, {"success": True})] * 2
        assert refused == [(400, 131009, None)] * 3
        assert meta.whatsapp.actions == [read, typing]

    async def test_a_pair_is_slowed_down(self, client, meta, clock):
        """45 messages may be borrowed, then one every six seconds; another customer does not wait."""
        meta.whatsapp.pair_rate = PairRate()
        meta.whatsapp.meet(BOBS_PHONE)
        statuses = [(await client.write())[0] for _ in range(46)]
        refused = await client.write()
        clock.now += timedelta(seconds=6)

        assert statuses == [200] * 45 + [400]
        assert told(refused) == (400, 131056, None)
        assert (await client.write(to=BOBS_PHONE))[0] == 200
        assert [(await client.write())[0] for _ in range(2)] == [200, 400]

    @pytest.mark.parametrize("name", [ANNS_PHONE, f"+{ANNS_PHONE}", f"US.{ANNS_PHONE:0>20}"])
    async def test_refusals_can_be_planned_for_a_recipient(self, client, meta, name):
        """By any of their addresses."""
        meta.refusals[name] = 400, 131050, None

        assert told(await client.write()) == (400, 131050, None)

    async def test_files_are_uploaded(self, client, meta):
        """The id is the number's own, leads to the file, and can be forgotten."""
        status, answer = await client.upload(b"\x89PNG", "image/png")
        sent = await client.write(type="image", text=None, image={"id": answer["id"]})

        assert (status, sent[0]) == (200, 200)
        assert list(meta.whatsapp.received(ANNS_PHONE)) == [f"image {answer['id']}"]
        assert (await client.call("DELETE", answer["id"], NUMBER_TOKEN)) == (200, {"success": True})
        assert told(await client.get(answer["id"], NUMBER_TOKEN)) == (400, 100, 33)

    @pytest.mark.parametrize(
        ("content", "kind", "product", "code"),
        [
            (b"x", "image/png", "signal", 100),
            (b"x", "font/woff", "whatsapp", 100),
            (b"", "image/png", "whatsapp", 131053),
            (b"x" * (5 * 1024 * 1024 + 1), "image/png", "whatsapp", 131053),
        ],
    )
    async def test_a_broken_upload_is_refused(self, client, content, kind, product, code):
        """Not for WhatsApp, of a type that it does not take, empty, or too large."""

        assert told(await client.upload(content, kind, product)) == (400, code, None)


class TestWhatsAppCustomers:
    """What customers and owners do."""

    async def test_a_text_is_posted_signed_and_whole(self, meta, door):
        """As Meta's own example has it, with seconds as text."""
        meta.whatsapp.people.find(ANNS_PHONE).user_id = USER_ID
        status = await meta.whatsapp.text(f"+{ANNS_PHONE}", "hello ä 😀", "wamid.IN0001")

        assert status == 200
        assert door.posts == [
            (
                "/webhooks/whatsapp",
                {
                    "object": "whatsapp_business_account",
                    "entry": [
                        {
                            "id": ACCOUNT,
                            "changes": [
                                {
                                    "field": "messages",
                                    "value": {
                                        "messaging_product": "whatsapp",
                                        "metadata": {"display_phone_number": "15550100001", "phone_number_id": NUMBER},
                                        "contacts": [
                                            {"profile": {"name": "Ann"}, "wa_id": ANNS_PHONE, "user_id": USER_ID}
                                        ],
                                        "messages": [
                                            {
                                                "from": ANNS_PHONE,
                                                "from_user_id": USER_ID,
                                                "id": "wamid.IN0001",
                                                "timestamp": str(NOON_S),
                                                "type": "text",
                                                "text": {"body": "hello ä 😀"},
                                            }
                                        ],
                                    },
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
                lambda line: line.text(ANNS_PHONE, "yes", reply_to="wamid.1", extra={"referral": {"source_id": "1"}}),
                {
                    "type": "text",
                    "text": {"body": "yes"},
                    "context": {"from": "15550100001", "id": "wamid.1"},
                    "referral": {"source_id": "1"},
                },
            ),
            (
                lambda line: line.location(ANNS_PHONE, 37.44, -122.16, name="Cafe"),
                {"type": "location", "location": {"latitude": 37.44, "longitude": -122.16, "name": "Cafe"}},
            ),
            (
                lambda line: line.button_reply(ANNS_PHONE, "Change", "b1", reply_to="wamid.1"),
                {
                    "type": "interactive",
                    "interactive": {"type": "button_reply", "button_reply": {"id": "b1", "title": "Change"}},
                    "context": {"from": "15550100001", "id": "wamid.1"},
                },
            ),
            (
                lambda line: line.list_reply(ANNS_PHONE, "Express", "r1", description="1 day"),
                {
                    "type": "interactive",
                    "interactive": {
                        "type": "list_reply",
                        "list_reply": {"id": "r1", "title": "Express", "description": "1 day"},
                    },
                },
            ),
            (
                lambda line: line.template_button(ANNS_PHONE, "Unsubscribe", "STOP_MKT"),
                {"type": "button", "button": {"payload": "STOP_MKT", "text": "Unsubscribe"}},
            ),
            (
                lambda line: line.reaction(ANNS_PHONE, "wamid.1", "👍"),
                {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍"}},
            ),
            (
                lambda line: line.edit(ANNS_PHONE, "wamid.1", "fixed"),
                {
                    "type": "edit",
                    "edit": {
                        "original_message_id": "wamid.1",
                        "message": {"context": {"id": "M0"}, "type": "text", "text": {"body": "fixed"}},
                    },
                },
            ),
            (
                lambda line: line.revoke(ANNS_PHONE, "wamid.1"),
                {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}},
            ),
            (
                lambda line: line.message(ANNS_PHONE, "order", {"catalog_id": "77", "product_items": []}),
                {"type": "order", "order": {"catalog_id": "77", "product_items": []}},
            ),
        ],
    )
    async def test_each_action_has_its_shape(self, meta, door, action, expected):
        """From the customer, with an id and a time."""
        assert await action(meta.whatsapp) == 200

        [message] = door.messages
        assert {name: value for name, value in message.items() if name not in {"id", "from_user_id"}} == {
            "from": ANNS_PHONE,
            "timestamp": str(NOON_S),
            **expected,
        }

    @pytest.mark.parametrize(
        ("content_type", "name", "more", "kind", "extra"),
        [
            ("image/jpeg", "", {}, "image", {}),
            ("audio/ogg; codecs=opus", "", {"voice": True}, "audio", {"voice": True}),
            ("video/mp4", "", {}, "video", {}),
            ("image/webp", "", {"animated": False}, "sticker", {"animated": False}),
            ("application/pdf", "a.pdf", {}, "document", {"filename": "a.pdf"}),
        ],
    )
    async def test_files_have_ids(self, meta, door, content_type, name, more, kind, extra):
        """A file's type decides the message's."""
        await meta.whatsapp.media(ANNS_PHONE, b"x", content_type, name=name, **more)
        [message] = door.messages
        told_of = message[message["type"]]

        assert (message["type"], told_of["mime_type"]) == (kind, content_type)
        assert {name: told_of[name] for name in told_of if name not in {"id", "mime_type", "sha256"}} == extra

    async def test_older_webhooks_know_numbers_only(self, meta, door):
        """Unless there is no number to know."""
        meta.whatsapp.newer_fields = False
        await meta.whatsapp.text(ANNS_PHONE, "Hi")
        await meta.whatsapp.text(USER_ID, "no phone")

        assert "from_user_id" not in door.messages[0]
        assert "user_id" not in door.values[0]["contacts"][0]
        assert "from" not in door.messages[1]
        assert door.values[1]["contacts"] == [{"profile": {"name": "Ann"}, "user_id": USER_ID}]

    async def test_a_customer_moves_to_another_number(self, meta, door, client):
        """The old number tells of the new one, and both lead to the same telephone."""
        await meta.whatsapp.text(ANNS_PHONE, "Hi")
        await meta.whatsapp.change_number(ANNS_PHONE, "+15550108888", "US.2")
        await client.write("There you are", to="15550108888")
        system = door.messages[1]

        assert (system["from"], system["type"], "contacts" in door.values[1]) == (ANNS_PHONE, "system", False)
        assert system["system"] == {
            "type": "user_changed_number",
            "body": f"User Ann changed from {ANNS_PHONE} to 15550108888",
            "wa_id": "15550108888",
            "user_id": "US.2",
        }
        assert list(meta.whatsapp.received(ANNS_PHONE)) == ["There you are"]

    @pytest.mark.parametrize("value", ["stop", "resume"])
    async def test_a_customer_decides_about_marketing(self, meta, door, value):
        """In a field of its own, with a number as its time."""
        await meta.whatsapp.preference(ANNS_PHONE, value)
        [told_of] = door.values[0]["user_preferences"]

        assert door.bodies[0]["entry"][0]["changes"][0]["field"] == "user_preferences"
        assert (told_of["wa_id"], told_of["category"], told_of["value"], told_of["timestamp"]) == (
            ANNS_PHONE,
            "marketing_messages",
            value,
            NOON_S,
        )

    async def test_the_owner_answers_in_the_app(self, meta, door):
        """An echo from the business to the customer tells of it; the same one twice is one."""
        for _ in range(2):
            await meta.whatsapp.owner(ANNS_PHONE, "I am Bo", "wamid.h")
        [echo] = door.values[0]["message_echoes"]

        assert door.bodies[0]["entry"][0]["changes"][0]["field"] == "smb_message_echoes"
        assert (echo["from"], echo["to"], echo["id"], echo["text"]) == (
            "15550100001",
            ANNS_PHONE,
            "wamid.h",
            {"body": "I am Bo"},
        )
        assert door.values[0] == door.values[1]
        assert list(meta.whatsapp.received(ANNS_PHONE)) == ["I am Bo"]

    async def test_the_same_wamid_is_the_same_message(self, meta, door, clock):
        """Posted again as it was, at its own time."""
        await meta.whatsapp.text(ANNS_PHONE, "Hi", "wamid.1")
        clock.now += timedelta(minutes=1)
        await meta.whatsapp.text(ANNS_PHONE, "changed", "wamid.1")

        assert door.values[0] == door.values[1]

    async def test_anything_else_can_be_told(self, meta, door):
        """Under any field, of any number, with its business account."""
        await meta.whatsapp.change("account_alerts", OTHER_NUMBER, alert="quality")
        [entry] = door.bodies[0]["entry"]

        assert (entry["id"], entry["changes"][0]["field"]) == ("102290129340399", "account_alerts")
        assert entry["changes"][0]["value"]["alert"] == "quality"


class TestTheChannel:
    """The real channel and the stand-in understand each other."""

    @pytest.fixture
    async def channel(self, meta, door):
        section = {
            "phone_number_id": NUMBER,
            "access_token": NUMBER_TOKEN,
            "app_secret": SECRET,
            "verify_token": WORD,
            "api_base": meta.url,
            "appsecret_proof": True,
            "business_account_id": ACCOUNT,
        }
        async with Http() as http:
            yield WhatsAppChannel.build(section, ChannelContext("number", meta.whatsapp.configured_url(), http))

    def read(self, channel, door):
        posts = [Request("POST", path, (), json.dumps(body).encode()) for path, body in door.posts]
        return [event for post in posts for event in channel.parse(post).events]

    async def test_what_customers_do_is_understood(self, meta, door, channel):
        """Each action is an event, and a file can be fetched."""
        line = meta.whatsapp
        await line.text(ANNS_PHONE, "Hi", "wamid.1")
        await line.media(ANNS_PHONE, b"\x89PNG", "image/png", "Look")
        await line.list_reply(ANNS_PHONE, "Express", "r1", description="1 day")
        await line.reaction(ANNS_PHONE, "wamid.1", "👍")
        await line.edit(ANNS_PHONE, "wamid.1", "Hello")
        await line.revoke(ANNS_PHONE, "wamid.1")
        await line.preference(ANNS_PHONE, "stop")
        await line.owner(ANNS_PHONE, "I am Bo")
        await line.change_number(ANNS_PHONE, BOBS_PHONE)
        await line.text(USER_ID, "no phone")
        events = self.read(channel, door)
        media = await channel.fetch_media(events[1].attachments[0].url, 100)

        kinds = [Inbound, Inbound, Inbound, Reaction, Edit, Revoke, Preference, Echo, Moved, Inbound]
        assert [type(event) for event in events] == kinds
        assert media == Media(b"\x89PNG", "image/png")
        assert events[2].choice == Choice("r1", "Express", "1 day")

    async def test_what_we_send_is_taken_and_reported(self, meta, door, channel):
        """Statuses carry our own id; the number's side is in order."""
        await meta.whatsapp.text(ANNS_PHONE, "Hi", "wamid.1")
        picks = Content("Pick", choices=(Choice("r", "Red"), Choice("g", "Green")))
        receipt = await channel.send(Outbound("d-1", f"+{ANNS_PHONE}", picks, silent_s=1.0))
        await channel.show_typing(ANNS_PHONE, "wamid.1")
        await meta.settle()
        statuses = [event for event in self.read(channel, door) if isinstance(event, Status)]

        assert list(meta.whatsapp.received(ANNS_PHONE)) == ["Pick\n[Red] [Green]"]
        assert [(event.external_id, event.delivery_id, event.status) for event in statuses] == [
            (receipt.external_id, "d-1", DeliveryStatus.SENT),
            (receipt.external_id, "d-1", DeliveryStatus.DELIVERED),
        ]
        assert all(finding.ok for finding in await channel.diagnose())


BODIES = [
    {"messaging_product": "whatsapp", "to": ANNS_PHONE, "type": "text", "text": {"body": "Hi"}, **typed(content)}
    for content, _ in WHATSAPP_TAKES
]


@given(mutated(BODIES))
def test_any_body_is_taken_or_refused_by_whatsapp(body):
    """Whatever is in it, and what is taken can be read on a telephone."""
    try:
        check(body)
    except Refusal:
        return

    assert isinstance(words_of(body), str)
