"""The stand-in for Meta: its API, over plain HTTP, and webhooks that our own reader of signatures believes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest

from tests.meta_world import (
    ACCOUNT,
    ANN,
    ANNS_PHONE,
    BOB,
    BOBS_PHONE,
    NOON,
    NOON_S,
    NUMBER,
    NUMBER_TOKEN,
    OTHER_NUMBER,
    OTHER_NUMBER_TOKEN,
    OTHER_PAGE,
    OTHER_PAGE_TOKEN,
    PAGE,
    PAGE_TOKEN,
    SECRET,
    attachment,
    told,
)

pytest_plugins = ["tests.fixtures_meta"]


class TestCredentials:
    """Who may ask what."""

    @pytest.mark.parametrize(
        ("path", "token", "expected"),
        [
            (f"{PAGE}/messages", None, (401, 190, None)),
            (f"{PAGE}/messages", "wrong", (401, 190, None)),
            (f"{PAGE}/messages", "wröng", (401, 190, None)),
            (f"{PAGE}/messages", OTHER_PAGE_TOKEN, (400, 100, 33)),
            ("nobody/messages", PAGE_TOKEN, (400, 100, 33)),
            ("me/messages", NUMBER_TOKEN, (400, 100, 33)),
            (f"{NUMBER}/messages", "wrong", (401, 190, None)),
            (f"{NUMBER}/messages", OTHER_NUMBER_TOKEN, (400, 100, 33)),
            (f"{PAGE}/nothing", PAGE_TOKEN, (400, 100, 33)),
            ("a/b/c", "wrong", (401, 190, None)),
        ],
    )
    async def test_a_wrong_token_is_refused(self, client, meta, path, token, expected):
        """An unknown token is 401 and 190; a known one finds only what it may act for."""

        assert told(await client.post(path, {}, token)) == expected
        assert meta.messenger.outbox == meta.whatsapp.outbox == []

    async def test_a_token_expires(self, client, meta, clock):
        """From then on the subcode says so, and a look at the token does, too."""
        meta.expires_at[PAGE_TOKEN] = NOON + timedelta(hours=1)
        before = await client.get("debug_token", meta.token, input_token=PAGE_TOKEN)
        clock.now += timedelta(hours=1)
        after = await client.get("debug_token", meta.token, input_token=PAGE_TOKEN)

        assert told(await client.get(PAGE)) == (401, 190, 463)
        assert (before[1]["data"]["is_valid"], before[1]["data"]["expires_at"]) == (True, NOON_S + 3600)
        assert (after[1]["data"]["is_valid"], after[1]["data"]["error"]["subcode"]) == (False, 463)

    async def test_a_token_in_the_query_works(self, client):
        """As Meta's older clients send it."""
        status, body = await client.call("GET", "me", None, params={"access_token": OTHER_PAGE_TOKEN})

        assert (status, body["id"]) == (200, OTHER_PAGE)

    async def test_a_proof_is_checked_where_it_is_given_or_required(self, client, meta):
        """It is the token's HMAC under the app's secret."""
        proof = hmac.new(SECRET.encode(), PAGE_TOKEN.encode(), hashlib.sha256).hexdigest()

        assert (await client.get(PAGE, appsecret_proof=proof))[0] == 200
        assert told(await client.get(PAGE, appsecret_proof="0" * 64)) == (400, 100, None)
        meta.requires_proof = True
        assert told(await client.get(PAGE)) == (400, 100, None)
        assert (await client.get(PAGE, appsecret_proof=proof))[0] == 200
        assert (await client.get("app", meta.token))[0] == 200


class TestDirectory:
    """What a diagnosis asks."""

    async def test_things_are_described(self, client, meta):
        """The app, a page, a number with the fields that are asked for, a business account, a customer."""
        await meta.messenger.text(ANN, "Hi")
        meta.messenger.names[ANN] = "Ann", "Test"

        assert (await client.get("app", fields="id"))[1]["id"] == meta.app_id
        assert (await client.get("me", fields="id,name"))[1] == {"id": PAGE, "name": "Sandbox"}
        assert (await client.get(NUMBER, NUMBER_TOKEN, fields="display_phone_number,throughput{level}"))[1] == {
            "id": NUMBER,
            "display_phone_number": "+15550100001",
            "throughput": {"level": "STANDARD"},
        }
        assert (await client.get(NUMBER, NUMBER_TOKEN))[1]["quality_rating"] == "GREEN"
        assert (await client.get(ACCOUNT, NUMBER_TOKEN))[1]["id"] == ACCOUNT
        assert (await client.get(ANN, fields="first_name"))[1] == {"first_name": "Ann", "id": ANN}
        assert told(await client.get(BOB)) == (400, 100, 33)
        assert told(await client.get(PAGE, fields="shoe_size")) == (400, 100, None)

    async def test_subscriptions_are_told_and_changed(self, client, meta, door):
        """A page's has its fields; who has unsubscribed is missing until subscribed again."""
        meta.unsubscribed |= {PAGE, ACCOUNT}
        gone = [
            await client.get(f"{PAGE}/subscribed_apps"),
            await client.get(f"{ACCOUNT}/subscribed_apps", NUMBER_TOKEN),
        ]
        answers = [
            await client.post(f"{PAGE}/subscribed_apps?subscribed_fields=messages,message_echoes", {}),
            await client.post(f"{ACCOUNT}/subscribed_apps", {}, NUMBER_TOKEN),
        ]
        [page] = (await client.get(f"{PAGE}/subscribed_apps"))[1]["data"]
        [account] = (await client.get(f"{ACCOUNT}/subscribed_apps", NUMBER_TOKEN))[1]["data"]
        told_of = (await client.get(f"{meta.app_id}/subscriptions", meta.token))[1]["data"]

        assert [body["data"] for _, body in gone] == [[], []]
        assert answers == [(200, {"success": True})] * 2
        assert (page["id"], page["subscribed_fields"]) == (meta.app_id, ["messages", "message_echoes"])
        assert account["whatsapp_business_api_data"]["id"] == meta.app_id
        assert {row["object"]: row["callback_url"] for row in told_of} == {
            "page": f"{door.url}/webhooks/messenger",
            "whatsapp_business_account": f"{door.url}/webhooks/whatsapp",
        }
        assert told(await client.post(f"{PAGE}/subscribed_apps", {})) == (400, 100, None)
        assert told(await client.get(f"{meta.app_id}/subscriptions")) == (400, 100, 33)

    @pytest.mark.parametrize(
        ("token", "kind", "valid"),
        [(PAGE_TOKEN, "PAGE", True), (NUMBER_TOKEN, "SYSTEM_USER", True), ("wrong", None, False)],
    )
    async def test_tokens_are_looked_at(self, client, meta, token, kind, valid):
        """A token that never expires ends at 0."""
        data = (await client.get("debug_token", meta.token, input_token=token))[1]["data"]

        assert (data.get("type"), data["is_valid"], data.get("expires_at", 0)) == (kind, valid, 0)
        assert (await client.get("debug_token", input_token=meta.token))[1]["data"]["type"] == "APP"

    async def test_the_webhooks_address_is_saved(self, meta, door):
        """Meta takes one that knows its token and repeats the challenge, and no other."""
        taken = [await meta.messenger.handshake(), await meta.whatsapp.handshake()]
        meta.messenger.webhook_url = f"{door.url}/webhooks/messenger?a=1"
        meta.whatsapp.webhook_url = None

        assert taken == [True, True]
        assert await meta.messenger.handshake()
        assert not await meta.whatsapp.handshake()
        assert door.posts == []

    async def test_nobody_to_shake_hands_with(self, meta, unused_tcp_port):
        """A door that is closed is not taken."""
        meta.messenger.webhook_url = f"http://127.0.0.1:{unused_tcp_port}/"

        assert not await meta.messenger.handshake()


class TestFiles:
    """What customers send has addresses."""

    async def test_an_address_of_whatsapp_needs_the_token_and_expires(self, client, meta, door, clock):
        """Each look gives a new one, which is good for five minutes."""
        await meta.whatsapp.media(ANNS_PHONE, b"\xff\xd8JPEG", "image/jpeg", "Look")
        image = door.messages[0]["image"]
        urls = [(await client.get(image["id"], NUMBER_TOKEN, phone_number_id=NUMBER))[1] for _ in range(2)]
        bearer = {"Authorization": f"Bearer {NUMBER_TOKEN}"}

        async def fetch(headers):
            async with client.session.get(urls[0]["url"], headers=headers) as response:
                return response.status, await response.read(), response.content_type

        assert urls[0]["url"] != urls[1]["url"]
        assert (image["caption"], urls[0]["mime_type"], urls[0]["file_size"]) == ("Look", "image/jpeg", 6)
        assert base64.b64decode(image["sha256"]).hex() == urls[0]["sha256"]
        assert await fetch(bearer) == (200, b"\xff\xd8JPEG", "image/jpeg")
        assert (await fetch({}))[0] == 401
        assert (await fetch({"Authorization": f"Bearer {OTHER_NUMBER_TOKEN}"}))[0] == 404
        clock.now += timedelta(minutes=5)
        assert (await fetch(bearer))[0] == 404
        assert told(await client.get(image["id"], NUMBER_TOKEN, phone_number_id=OTHER_NUMBER)) == (400, 100, 33)
        assert told(await client.get(image["id"], OTHER_NUMBER_TOKEN)) == (400, 100, 33)

    async def test_an_address_of_messenger_is_public(self, client, meta, door):
        """Anybody may have it, but nobody should show it our token."""
        await meta.messenger.media(ANN, b"%PDF", "application/pdf", name="a.pdf")
        [event] = door.events
        [file] = event["message"]["attachments"]

        async def fetch(url, **headers):
            async with client.session.get(url, headers=headers) as response:
                return response.status, await response.read()

        assert file["type"] == "file"
        assert await fetch(file["payload"]["url"]) == (200, b"%PDF")
        assert (await fetch(file["payload"]["url"], Authorization="Bearer x"))[0] == 400
        assert (await fetch(f"{meta.url}/cdn/1/file"))[0] == 404

    async def test_a_form_that_is_none_is_refused(self, client):
        """As a body that is no JSON is."""
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        for path, token in ((f"{PAGE}/message_attachments", PAGE_TOKEN), (f"{NUMBER}/media", NUMBER_TOKEN)):
            url = f"{client.url}/{path}?access_token={token}"
            async with client.session.post(url, data=b"nothing", headers=headers) as response:
                assert told((response.status, await response.json())) == (400, 100, None)


class TestBatches:
    """Many updates in one signed post."""

    async def test_pages_stand_in_one_post(self, meta, door):
        """Entries by page and kind, events in order, duplicates too."""
        line = meta.messenger
        await line.take_thread(BOB)
        actions = [
            line.text(ANN, "1", "m_1"),
            line.text(ANN, "2", "m_2", OTHER_PAGE),
            line.text(BOB, "3", "m_3"),
            line.reaction(ANN, "m_1"),
            line.text(ANN, "1", "m_1"),
        ]
        status = await line.batch(actions)
        entries = door.bodies[1]["entry"]

        assert (status, len(door.posts)) == (200, 2)
        assert [(entry["id"], len(entry.get("messaging", [])), len(entry.get("standby", []))) for entry in entries] == [
            (PAGE, 3, 0),
            (OTHER_PAGE, 1, 0),
            (PAGE, 0, 1),
        ]

    async def test_numbers_stand_in_one_post(self, meta, door, client):
        """Changes by number and kind: messages, statuses, other fields, other accounts, duplicates."""
        line = meta.whatsapp
        await line.text(ANNS_PHONE, "Hi")
        meta.callbacks.plan("lost")
        await client.write()
        actions = [
            line.text(ANNS_PHONE, "1", "wamid.1"),
            line.text(BOBS_PHONE, "2", "wamid.2"),
            line.text(ANNS_PHONE, "1", "wamid.1"),
            line.status(line.outbox[0], "read"),
            line.status(line.outbox[0], "delivered"),
            line.preference(ANNS_PHONE, "stop"),
            line.text(ANNS_PHONE, "3", "wamid.3", OTHER_NUMBER),
        ]
        status = await line.batch(actions)
        entries = door.bodies[1]["entry"]
        changes = [(change["field"], change["value"]) for entry in entries for change in entry["changes"]]

        assert (status, len(door.posts), len(entries)) == (200, 2, 2)
        assert [
            (field, len(value.get("messages", [])), len(value.get("statuses", []))) for field, value in changes
        ] == [
            ("messages", 3, 0),
            ("messages", 0, 2),
            ("user_preferences", 0, 0),
            ("messages", 1, 0),
        ]
        assert [contact["wa_id"] for contact in changes[0][1]["contacts"]] == [ANNS_PHONE, BOBS_PHONE]

    async def test_a_thousand_updates_are_one_post(self, meta, door):
        """And no update is left behind for the next one."""
        texts = [meta.whatsapp.text(f"1555020{n % 50:04}", f"{n}", f"wamid.{n}") for n in range(1000)]
        await meta.whatsapp.batch(texts)
        await meta.whatsapp.text(ANNS_PHONE, "after")

        assert [len(value["messages"]) for value in door.values] == [1000, 1]
        assert [message["text"]["body"] for message in door.messages[:-1]] == [str(n) for n in range(1000)]

    async def test_nothing_is_no_post(self, meta, door):
        """An empty batch is not told."""

        assert await meta.messenger.batch([]) == 0
        assert door.posts == []


class TestDelivery:
    """How webhooks reach the door."""

    async def test_webhooks_are_lost_doubled_and_late(self, meta, door):
        """What is planned happens once, in that order."""
        meta.inbound.plan("lost", "twice", "late")
        statuses = [await meta.messenger.text(ANN, word) for word in ("a", "b", "c", "d")]

        assert statuses == [0, 200, 0, 200]
        assert [event["message"]["text"] for event in door.events] == ["b", "b", "d", "c"]

    async def test_what_is_late_comes_at_the_end(self, meta, door):
        """Nothing stays behind when everything settles."""
        meta.inbound.plan("late")
        await meta.whatsapp.text(ANNS_PHONE, "a")
        await meta.settle()

        assert [message["text"]["body"] for message in door.messages] == ["a"]

    @pytest.mark.parametrize(
        ("statuses", "tries", "last"),
        [([200], 1, 200), ([500, 403, 201, 200], 4, 200), ([204, 200], 2, 200), ([500] * 20, 12, 500)],
    )
    async def test_only_200_ends_the_tries(self, meta, door, statuses, tries, last):
        """The same post is made again until there is one, or the bound is reached."""
        door.statuses = list(statuses)

        assert await meta.messenger.text(ANN, "Hi") == last
        assert len(door.posts) == tries
        assert all(post == door.posts[0] for post in door.posts)

    async def test_the_pauses_grow(self, meta, door):
        """Each is twice as long as the one before, up to the longest."""
        meta.webhooks.pause_s, meta.webhooks.longest_pause_s = 0.01, 0.02
        door.statuses = [500] * 4
        started = time.perf_counter()
        await meta.messenger.text(ANN, "Hi")

        assert time.perf_counter() - started >= 0.01 + 0.02 * 3

    async def test_nobody_at_the_door(self, meta, unused_tcp_port):
        """A door that is closed answers 0, and no address at all does, too."""
        meta.messenger.webhook_url = f"http://127.0.0.1:{unused_tcp_port}/webhooks/messenger"
        closed = await meta.messenger.text(ANN, "Hi")
        meta.messenger.webhook_url = None

        assert closed == 0
        assert await meta.messenger.text(ANN, "Hi") == 0

    async def test_a_public_address_is_posted_to_through_a_local_door(self, meta, door):
        """As through a proxy."""
        meta.webhooks.door = door.url
        meta.messenger.webhook_url = "https://chat.example.com/webhooks/messenger?a=%20b"

        assert await meta.messenger.text(ANN, "Hi") == 200
        assert door.posts[0][0] == "/webhooks/messenger"

    async def test_a_misspelt_word_is_not_passed_over(self, meta):
        """A test that plans nonsense fails where it would have happened."""
        meta.inbound.plan("latte")

        with pytest.raises(ValueError, match="latte"):
            await meta.messenger.text(ANN, "Hi")


class TestReports:
    """What is told of an accepted message."""

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("ok", ["message", "delivery"]),
            ("early", ["message", "delivery"]),
            ("twice", ["message", "message", "delivery", "delivery"]),
            ("reordered", ["delivery", "message"]),
            ("sent_only", ["message"]),
            ("lost", []),
            ("read", ["message", "delivery", "read"]),
        ],
    )
    async def test_messenger_reports_follow_the_script(self, client, meta, door, word, expected):
        """The echo is ours by its app and its metadata; the customer has the message in any case."""
        meta.messenger.meet(ANN)
        meta.callbacks.plan(word)
        _, answer = await client.say()
        await meta.settle()
        kinds = [next(kind for kind in ("message", "delivery", "read") if kind in event) for event in door.events]

        assert kinds == expected
        for event in door.events:
            if "message" in event:
                assert event["sender"] == {"id": PAGE}
                assert event["message"] == {
                    "is_echo": True,
                    "app_id": 151000,
                    "mid": answer["message_id"],
                    "text": "Hello",
                    "metadata": "d-1",
                }
            if "delivery" in event:
                assert event["delivery"] == {"mids": [answer["message_id"]], "watermark": NOON_S * 1000}
            if "read" in event:
                assert event["read"] == {"watermark": NOON_S * 1000}
        assert list(meta.messenger.received(ANN)) == ["Hello"]

    async def test_older_clients_report_a_time_only(self, client, meta, door):
        """Without the ids of messages."""
        meta.messenger.meet(ANN)
        meta.messenger.tells_mids = False
        await client.say()
        await meta.settle()

        assert door.events[1]["delivery"] == {"watermark": NOON_S * 1000}

    async def test_the_echo_of_a_file_has_the_file(self, client, meta, door):
        """One attachment is echoed as a list of them."""
        meta.messenger.meet(ANN)
        message = attachment("image", url="https://a.example/1.png")
        body = {"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": message}
        await client.post(f"{PAGE}/messages", body)
        await meta.settle()

        assert door.events[0]["message"]["attachments"] == [message["attachment"]]

    @pytest.mark.parametrize(
        ("word", "expected", "shown"),
        [
            ("ok", ["sent", "delivered"], ["Hello"]),
            ("early", ["sent", "delivered"], ["Hello"]),
            ("twice", ["sent", "sent", "delivered", "delivered"], ["Hello"]),
            ("reordered", ["delivered", "sent"], ["Hello"]),
            ("sent_only", ["sent"], ["Hello"]),
            ("lost", [], ["Hello"]),
            ("read", ["sent", "delivered", "read"], ["Hello"]),
            ("failed:131049", ["failed"], []),
            ("failed", ["failed"], []),
        ],
    )
    async def test_whatsapp_reports_follow_the_script(self, client, meta, door, word, expected, shown):
        """Each carries our own id and the customer's; a failure its code, the others what they cost."""
        meta.whatsapp.meet(ANNS_PHONE)
        meta.callbacks.plan(word)
        _, answer = await client.write()
        await meta.settle()
        statuses = door.statuses_told

        assert [status["status"] for status in statuses] == expected
        for status in statuses:
            assert status["id"] == answer["messages"][0]["id"]
            assert status["biz_opaque_callback_data"] == "d-1"
            assert (status["recipient_id"], status["timestamp"]) == (ANNS_PHONE, str(NOON_S))
            assert ("pricing" in status) == (status["status"] in {"sent", "delivered"})
        codes = [error["code"] for status in statuses for error in status.get("errors", [])]
        assert codes == ([int(word.partition(":")[2] or 131026)] if expected == ["failed"] else [])
        assert list(meta.whatsapp.received(ANNS_PHONE)) == shown

    async def test_some_customers_are_never_reached(self, client, meta, door):
        """Their messages are accepted and then fail, with the code that the table has."""
        meta.whatsapp.meet(ANNS_PHONE)
        meta.undelivered[ANNS_PHONE] = 131026
        status, _ = await client.write()
        await meta.settle()

        assert status == 200
        assert [told_of["errors"][0]["code"] for told_of in door.statuses_told] == [131026]
        assert list(meta.whatsapp.received(ANNS_PHONE)) == []

    async def test_an_early_report_precedes_the_answer(self, client, meta, door):
        """The echo and the status are posted before the API answers."""
        meta.messenger.meet(ANN)
        meta.whatsapp.meet(ANNS_PHONE)
        meta.callback_delay_s = 60
        meta.callbacks.plan("early", "early")
        await client.say()
        await client.write()

        assert meta.callback_delay_s == 60
        assert [event["message"]["metadata"] for event in door.events] == ["d-1"]
        assert [status["status"] for status in door.statuses_told] == ["sent"]

    @pytest.mark.parametrize("word", ["failed", "eaten"])
    async def test_a_report_that_messenger_does_not_make_is_not_passed_over(self, meta, client, word):
        """A page learns of a failure when it sends, and never later."""
        meta.messenger.meet(ANN)
        meta.callbacks.plan(word)
        message = {"text": "Hi"}
        body = {"messaging_type": "RESPONSE", "recipient": {"id": ANN}, "message": message}

        with pytest.raises(ValueError, match=word):
            await meta.messenger.accept(PAGE, body)


class TestFaults:
    """How the API fails when it is told to."""

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [("status:401", 401, 190), ("status:429", 429, 4), ("status:503", 503, 2), ("status:500", 500, None)],
    )
    async def test_a_scripted_status_accepts_nothing(self, client, meta, fault, status, code):
        """The first three are Meta's own JSON; the last is a page of the servers before it. Then all is well again."""
        meta.messenger.meet(ANN)
        meta.faults.plan(fault)
        meta.faults.retry_after_s = 2.5
        url = f"{client.url}/{PAGE}/messages"
        async with client.session.post(url, headers={"Authorization": f"Bearer {PAGE_TOKEN}"}) as response:
            body = await response.text()
            retry_after = response.headers["Retry-After"]
        again = await client.say("again")

        assert (response.status, retry_after, again[0]) == (status, "2.5", 200)
        assert (json.loads(body)["error"]["code"] if code else body[:6]) == (code or "<html>")
        assert list(meta.messenger.received(ANN)) == ["again"]

    @pytest.mark.parametrize(
        ("fault", "accepted"),
        [("drop_before", 0), ("drop", 0), ("drop_after", 1), ("hang", 0), ("hang_after", 1), ("status_after:502", 1)],
    )
    async def test_a_caller_cannot_tell_what_happened(self, client, meta, fault, accepted):
        """Dropped, hanging and 5xx answers look alike, whether or not the message went out."""
        meta.whatsapp.meet(ANNS_PHONE)
        meta.whatsapp.faults.plan(fault)
        with pytest.raises(Exception, match=r"(?i)disconnected|reset|^$|502"):
            async with asyncio.timeout(0.3):
                await client.write()

        assert len(meta.whatsapp.outbox) == accepted
        assert len(meta.whatsapp.received(ANNS_PHONE)) == accepted

    async def test_reading_fails_by_itself(self, client, meta):
        """A plan for reads leaves sends alone."""
        meta.messenger.meet(ANN)
        meta.messenger.read_faults.plan("status:503")

        assert (await client.say())[0] == 200
        assert told(await client.get(PAGE)) == (503, 2, None)
        assert (await client.get(PAGE))[0] == 200

    async def test_a_report_that_nobody_takes_is_tried_again(self, client, meta, door):
        """Reports are posted like everything else, until 200."""
        meta.whatsapp.meet(ANNS_PHONE)
        door.statuses = [503, 503]
        await client.write()
        await meta.settle()

        assert [status["status"] for status in door.statuses_told] == ["sent", "sent", "sent", "delivered"]
