"""The stand-in for Twilio: the real SDK talks to its API, and its webhooks convince the SDK's own validator."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels.twilio.signature import sign
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_account import HELPED, STARTED, STOPPED
from gateway.sandbox.twilio_webhooks import signature

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"
NUMBER, OTHER_NUMBER = "+15550100001", "+15550100002"
ANN, BOB = "+15550109991", "+15550109992"
SERVICE = "MG" + "0" * 32
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Door:
    """The gateway's door, reduced to keeping what is posted to it."""

    def __init__(self):
        self.posts = []
        self.tokens = []
        self.statuses = []
        self.url = ""

    async def take(self, request):
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        url = self.url + request.raw_path
        assert RequestValidator(TOKEN).validate(url, form, request.headers["X-Twilio-Signature"])
        self.posts.append((request.raw_path, form))
        self.tokens.append(request.headers["I-Twilio-Idempotency-Token"])
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    def told(self, field):
        return [form.get(field) for _, form in self.posts]


@pytest.fixture
async def door(aiohttp_server):
    made = Door()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.take)
    server = await aiohttp_server(app)
    made.url = str(server.make_url("")).rstrip("/")
    return made


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
async def twilio(aiohttp_server, door, clock):
    stand_in = TwilioStandIn(
        ACCOUNT,
        TOKEN,
        number=NUMBER,
        webhook_url=f"{door.url}/webhooks/sms",
        services={SERVICE: [OTHER_NUMBER]},
        clock=clock,
    )
    stand_in.callback_delay_s = 0
    stand_in.webhooks.pause_s = 0
    server = await aiohttp_server(stand_in.app())
    stand_in.url = str(server.make_url("")).rstrip("/")
    return stand_in


@pytest.fixture
async def sdk(twilio):
    http = TwilioHttpClient(timeout=2)
    client = Client(ACCOUNT, TOKEN, http_client=http)
    client.api.base_url = twilio.url
    client.messaging.base_url = twilio.url
    yield client
    http.session.close()


@pytest.fixture
async def send(sdk):
    def create(to=ANN, body="Hello", **fields):
        fields = {"from_": NUMBER, **fields}
        return asyncio.to_thread(sdk.messages.create, to=to, body=body, **fields)

    return create


class TestSending:
    """POST Messages.json."""

    async def test_a_message_is_accepted_as_the_sdk_expects(self, send, twilio):
        """The answer parses whole, and the outbox and the customer's telephone have the text."""
        message = await send(body="Grüße 🕘")
        [sent] = await twilio.wait_for(1)

        assert (message.sid[:2], len(message.sid), message.status) == ("SM", 34, "queued")
        assert (message.to, message.from_, message.body) == (ANN, NUMBER, "Grüße 🕘")
        assert (message.direction, message.num_segments, message.num_media) == ("outbound-api", "1", "0")
        assert (message.date_created, message.date_sent, message.error_code) == (NOON, None, None)
        assert (sent.sid, sent.to, sent.sender, sent.body, sent.at) == (message.sid, ANN, NUMBER, "Grüße 🕘", NOON)
        assert twilio.received(ANN) == ["Grüße 🕘"]
        assert twilio.received(BOB) == []

    async def test_a_service_picks_the_number_that_the_customer_knows(self, send, twilio):
        """Through a Messaging Service the sender is decided later."""
        await twilio.text(ANN, "Hi", to=OTHER_NUMBER)
        message = await send(from_=None, messaging_service_sid=SERVICE)
        await twilio.settle()

        assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
        assert message.messaging_service_sid == SERVICE
        assert twilio.messages[message.sid].sender == OTHER_NUMBER

    async def test_the_outbox_can_be_waited_for(self, send, twilio):
        """A test goes on as soon as the messages are there, and fails when they never come."""
        waiting = asyncio.create_task(twilio.wait_for(2))
        for body in ("one", "two"):
            await send(body=body)

        assert [sent.body for sent in await waiting] == ["one", "two"]
        with pytest.raises(TimeoutError):
            await twilio.wait_for(3, timeout_s=0.01)

    async def test_media_make_it_an_mms(self, send, twilio):
        """Addresses of media are kept, each once."""
        message = await send(body=None, media_url=["https://a.example/1.png", "https://a.example/2.png"])

        assert (message.sid[:2], message.num_media) == ("MM", "2")
        assert twilio.outbox[0].media_urls == ("https://a.example/1.png", "https://a.example/2.png")

    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            ({"to": ""}, 400, 21604),
            ({"to": "12"}, 400, 21211),
            ({"to": "+15005550001"}, 400, 21211),
            ({"to": "+15005550003"}, 400, 21408),
            ({"to": "+15005550004"}, 400, 21610),
            ({"to": "+15005550009"}, 400, 21614),
            ({"to": "+15005550021"}, 429, 20429),
            ({"to": "+15005550022"}, 401, 20003),
            ({"to": "+15005550023"}, 503, 20503),
            ({"to": "+15005550024"}, 400, 21611),
            ({"from_": None}, 400, 21603),
            ({"from_": BOB}, 400, 21606),
            ({"from_": None, "messaging_service_sid": "MG1"}, 400, 21701),
            ({"body": None}, 400, 21602),
            ({"body": "x" * 1601}, 400, 21617),
            ({"media_url": ["nowhere"]}, 400, 21620),
            ({"media_url": ["https://a.example/1"] * 11}, 400, 21623),
            ({"status_callback": "https://under_score.example/"}, 400, 21609),
            ({"status_callback": "https://[/"}, 400, 21609),
        ],
    )
    async def test_what_twilio_refuses_is_refused(self, send, twilio, fields, status, code):
        """Each refusal has Twilio's status and code, and nothing is accepted."""
        with pytest.raises(TwilioRestException) as refused:
            await send(**fields)

        assert (refused.value.status, refused.value.code) == (status, code)
        assert twilio.outbox == []

    async def test_credentials_are_checked(self, twilio):
        """Whoever has another token gets Twilio's 401."""
        http = TwilioHttpClient(timeout=2)
        client = Client(ACCOUNT, "wrong", http_client=http)
        client.api.base_url = twilio.url
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(client.messages.create, to=ANN, from_=NUMBER, body="Hi")
        http.session.close()

        assert (refused.value.status, refused.value.code) == (401, 20003)

    async def test_a_customer_who_stops_is_not_written_to(self, send, twilio):
        """STOP blocks as at Twilio, until START; Twilio confirms both by itself, each once."""
        await twilio.text(ANN, " stop ")
        await twilio.text(ANN, "STOP")
        await twilio.text(ANN, "help")
        with pytest.raises(TwilioRestException) as refused:
            await send()
        await twilio.text(ANN, "Start")
        await send(body="Welcome back")

        assert refused.value.code == 21610
        assert twilio.received(ANN) == [STOPPED, STARTED, "Welcome back"]

    async def test_help_is_answered_by_twilio_itself(self, twilio):
        """Nothing of it is in the account's list; on WhatsApp Twilio answers no word."""
        await twilio.text(ANN, "Help")
        await twilio.text(f"whatsapp:{ANN}", "STOP")
        await twilio.text(ANN, "yes")

        assert (twilio.received(ANN), twilio.received(f"whatsapp:{ANN}")) == ([HELPED], [])
        assert [message.direction for message in twilio.messages.values()] == ["inbound"] * 3


class TestReading:
    """GET of everything else."""

    async def test_both_directions_are_listed_newest_first(self, sdk, send, twilio, clock):
        """The account's list is what a reconciliation can rely on."""
        await twilio.text(ANN, "Are you there?")
        clock.now += timedelta(seconds=2)
        await send(body="Yes")
        await twilio.settle()
        listed = await asyncio.to_thread(sdk.messages.list)

        assert [(m.direction, m.body, m.status) for m in listed] == [
            ("outbound-api", "Yes", "delivered"),
            ("inbound", "Are you there?", "received"),
        ]
        assert [m.date_sent for m in listed] == [NOON + timedelta(seconds=2), NOON]

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"to": NUMBER}, ["in 2", "in 1", "in 0"]),
            ({"from_": BOB}, ["in 1"]),
            ({"date_sent_after": NOON + timedelta(hours=1)}, ["in 2", "in 1"]),
            ({"date_sent_before": NOON + timedelta(hours=1)}, ["in 1", "in 0"]),
            ({"date_sent": NOON + timedelta(hours=3)}, ["in 2", "in 1", "in 0"]),
            ({"date_sent": NOON + timedelta(days=1)}, []),
            ({"to": NUMBER, "from_": ANN, "date_sent_after": NOON + timedelta(minutes=1)}, ["in 2"]),
        ],
    )
    async def test_lists_are_filtered(self, sdk, twilio, clock, filters, found):
        """Filters combine; the ends of a range belong to it."""
        for number, sender in enumerate((ANN, BOB, ANN)):
            await twilio.text(sender, f"in {number}")
            clock.now += timedelta(hours=1)
        listed = await asyncio.to_thread(sdk.messages.list, **filters)

        assert [message.body for message in listed] == found

    async def test_pages_do_not_move_while_messages_arrive(self, sdk, twilio):
        """Following ``next_page_uri`` shows each message once."""
        for number in range(5):
            await twilio.text(ANN, str(number))
        first = await asyncio.to_thread(sdk.messages.page, to=NUMBER, page_size=2)
        bodies = [message.body for message in first]
        await twilio.text(ANN, "new")
        second = await asyncio.to_thread(first.next_page)
        bodies += [message.body for message in second]
        third = await asyncio.to_thread(second.next_page)
        bodies += [message.body for message in third]

        assert bodies == ["4", "3", "2", "1", "0"]
        assert third.next_page_url is None

    async def test_the_sdk_follows_pages_by_itself(self, sdk, twilio):
        """A list longer than a page comes whole."""
        for number in range(7):
            await twilio.text(ANN, str(number))
        listed = await asyncio.to_thread(sdk.messages.list, page_size=3)

        assert [message.body for message in listed] == ["6", "5", "4", "3", "2", "1", "0"]

    @pytest.mark.parametrize("query", ["DateSent%3E=soon", "PageSize=many"])
    async def test_an_unreadable_list_is_refused(self, twilio, sdk, query):
        """Nonsense in a query is a client's error."""
        response = await asyncio.to_thread(
            sdk.request, "GET", f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}"
        )

        assert response.status_code == 400

    async def test_one_message_is_looked_up(self, sdk, send, twilio):
        """Its status is what became of it."""
        sent = await send(to="+15005550033")
        await twilio.settle()
        message = await asyncio.to_thread(sdk.messages(sent.sid).fetch)

        assert (message.status, message.error_code) == ("undelivered", 30003)
        assert message.error_message == "Unreachable destination handset"
        assert twilio.received("+15005550033") == []

    async def test_what_is_not_there_is_a_20404(self, sdk):
        """Unknown sids, resources and accounts look alike."""
        other = sdk.api.v2010.accounts("AC" + "9" * 32)
        asked = [sdk.messages("SM1").fetch, sdk.messages("SM1").media("ME1").fetch, sdk.calls.list, other.fetch]
        asked += [sdk.messaging.v1.services("MG9").fetch, sdk.messages("SM1").media.list]
        codes = []
        for ask in asked:
            with pytest.raises(Exception, match="404") as refused:
                await asyncio.to_thread(ask)
            codes.append(getattr(refused.value, "code", 20404))

        assert codes == [20404] * len(asked)

    async def test_the_account_and_its_numbers_are_described(self, sdk, door):
        """A diagnosis finds the account active, and where its number and its service point."""
        account = await asyncio.to_thread(sdk.api.v2010.accounts(ACCOUNT).fetch)
        numbers = await asyncio.to_thread(sdk.incoming_phone_numbers.list, phone_number=NUMBER)
        service = await asyncio.to_thread(sdk.messaging.v1.services(SERVICE).fetch)

        assert (account.status, account.sid) == ("active", ACCOUNT)
        assert [(number.phone_number, number.sms_url) for number in numbers] == [(NUMBER, f"{door.url}/webhooks/sms")]
        assert service.inbound_request_url == f"{door.url}/webhooks/sms"
        assert not service.use_inbound_webhook_on_number


class TestCustomers:
    """What customers write arrives at the gateway's door."""

    async def test_a_text_is_posted_signed_and_whole(self, twilio, door):
        """The form has what Twilio sends, blanks too, and the door's status comes back."""
        status = await twilio.text(ANN, "Wie spät? & mehr 🕘\n", sid="SM" + "1" * 32)
        [(path, form)] = door.posts

        assert (status, path) == (200, "/webhooks/sms")
        assert {name: form[name] for name in ("From", "To", "Body", "MessageSid", "NumMedia", "SmsStatus")} == {
            "From": ANN,
            "To": NUMBER,
            "Body": "Wie spät? & mehr 🕘\n",
            "MessageSid": "SM" + "1" * 32,
            "NumMedia": "0",
            "SmsStatus": "received",
        }
        assert (form["AccountSid"], form["FromCity"], form["NumSegments"]) == (ACCOUNT, "", "1")
        assert "MessagingServiceSid" not in form

    async def test_a_number_in_a_service_says_so(self, twilio, door):
        """So does Advanced Opt-Out, where it is on."""
        twilio.advanced_opt_out = True
        await twilio.text(ANN, "STOP", to=OTHER_NUMBER, extra=[("ProfileName", "Ann")])
        [(_, form)] = door.posts

        assert (form["To"], form["MessagingServiceSid"], form["OptOutType"]) == (OTHER_NUMBER, SERVICE, "STOP")
        assert form["ProfileName"] == "Ann"

    async def test_the_same_sid_is_the_same_message(self, twilio, door):
        """Posting it again adds nothing to the account."""
        for _ in range(2):
            await twilio.text(ANN, "Hi", sid="SM1")

        assert door.told("MessageSid") == ["SM1", "SM1"]
        assert list(twilio.messages) == ["SM1"]

    async def test_pictures_are_fetched_with_credentials(self, twilio, door, sdk):
        """The file's address redirects to a storage that wants none."""
        await twilio.text(ANN, media=[(b"\x89PNG", "image/png"), (b"BEGIN:VCARD", "text/vcard")])
        [(_, form)] = door.posts
        url = form["MediaUrl0"]
        twilio.storage_url = twilio.url.replace("127.0.0.1", "localhost")
        redirect = await asyncio.to_thread(sdk.request, "GET", url)
        async with ClientSession() as session:
            async with session.get(url) as response:
                refused = response.status
            async with session.get(redirect.headers["Location"]) as response:
                fetched = await response.read(), response.content_type
            async with session.get(redirect.headers["Location"], headers={"Authorization": "Basic eA=="}) as response:
                leaked = response.status
        listed = await asyncio.to_thread(sdk.messages(form["MessageSid"]).media.list)

        assert (form["NumMedia"], form["MediaContentType1"], form["MessageSid"][:2]) == ("2", "text/vcard", "MM")
        assert (refused, redirect.status_code, leaked) == (401, 307, 400)
        assert fetched == (b"\x89PNG", "image/png")
        assert [(file.content_type, url.endswith(file.sid)) for file in listed] == [
            ("image/png", True),
            ("text/vcard", False),
        ]

    async def test_webhooks_are_lost_doubled_and_late(self, twilio, door):
        """What is planned happens once, in that order; the account lists every message."""
        twilio.inbound.plan("lost", "twice", "late")
        statuses = [await twilio.text(ANN, word) for word in ("a", "b", "c", "d")]

        assert statuses == [0, 200, 0, 200]
        assert door.told("Body") == ["b", "b", "d", "c"]
        assert [message.body for message in twilio.messages.values()] == ["a", "b", "c", "d"]

    async def test_what_is_late_comes_at_the_end(self, twilio, door):
        """Nothing stays behind when everything settles."""
        twilio.inbound.plan("late")
        await twilio.text(ANN, "a")
        await twilio.settle()

        assert door.told("Body") == ["a"]

    @pytest.mark.parametrize(
        ("fragment", "statuses", "tries", "last"),
        [
            ("", [500, 200], 1, 500),
            ("#rc=5&rp=all", [500, 403, 200], 3, 200),
            ("#rc=2&rp=5xx,ct", [500, 500, 500, 200], 3, 500),
            ("#rc=5&rp=5xx", [500, 403, 200], 2, 403),
            ("#rc=9&rp=all", [500] * 9, 6, 500),
        ],
    )
    async def test_posts_are_tried_again_as_the_address_says(self, twilio, door, fragment, statuses, tries, last):
        """The fragment is Twilio's; every try carries the same token, and no other post carries it."""
        twilio.webhook_url = f"{door.url}/webhooks/sms{fragment}"
        door.statuses = list(statuses)
        status = await twilio.text(ANN, "Hi")

        assert (len(door.posts), status) == (tries, last)
        assert len(set(door.tokens)) == 1

    async def test_nobody_at_the_door(self, twilio, unused_tcp_port):
        """A door that is closed answers 0, and no address at all does, too."""
        twilio.webhook_url = lambda: f"http://127.0.0.1:{unused_tcp_port}/webhooks/sms#rc=1&rp=all"
        closed = await twilio.text(ANN, "Hi")
        twilio.webhook_url = None

        assert closed == 0
        assert await twilio.text(ANN, "Hi") == 0

    async def test_a_door_that_hangs_up(self, twilio, aiohttp_server):
        """A connection that breaks before the answer is tried again where the address asks for it."""
        tries = []

        async def hang_up(request):
            tries.append(1)
            request.transport.abort()
            return web.Response()

        app = web.Application()
        app.router.add_post("/webhooks/sms", hang_up)
        server = await aiohttp_server(app)
        for fragment in ("", "#rc=2&rp=rt"):
            twilio.webhook_url = f"{server.make_url('/webhooks/sms')}{fragment}"
            assert await twilio.text(ANN, "Hi") == 0

        assert len(tries) == 1 + 3

    async def test_a_public_address_is_signed_and_the_local_door_is_posted_to(self, twilio, door):
        """As behind a proxy, the signature is over what the platform knows."""
        twilio.webhooks.door, door.url = door.url, "https://chat.example.com"
        twilio.webhook_url = "https://chat.example.com/webhooks/sms?a=%20b"

        assert await twilio.text(ANN, "Hi") == 200
        assert door.posts[0][0] == "/webhooks/sms?a=%20b"

    async def test_many_customers_write_at_once_and_each_in_order(self, twilio, door):
        """Hundreds of messages a second; a customer's own come one after another."""
        texts = [(f"+1555010{number % 40:04}", str(number)) for number in range(400)]
        started = time.perf_counter()
        statuses = await twilio.text_many(texts)
        took_s = time.perf_counter() - started
        bodies = {}
        for _, form in door.posts:
            bodies.setdefault(form["From"], []).append(int(form["Body"]))

        assert statuses == [200] * 400
        assert len(bodies) == 40
        assert all(numbers == sorted(numbers) for numbers in bodies.values())
        assert took_s < 10


class TestReports:
    """What is told of an accepted message."""

    @pytest.mark.parametrize(
        ("word", "told", "status", "shown"),
        [
            ("ok", ["sent", "delivered"], "delivered", ["Hello"]),
            ("twice", ["sent", "sent", "delivered", "delivered"], "delivered", ["Hello"]),
            ("reordered", ["delivered", "sent"], "delivered", ["Hello"]),
            ("sent_only", ["sent"], "sent", ["Hello"]),
            ("lost", [], "delivered", ["Hello"]),
            ("read", ["sent", "delivered", "read"], "read", ["Hello"]),
            ("undelivered:30003", ["sent", "undelivered"], "undelivered", []),
            ("failed:30008", ["failed"], "failed", []),
        ],
    )
    async def test_reports_follow_the_script(self, send, twilio, door, word, told, status, shown):
        """Each word has its reports, its status in the account and its effect on the telephone."""
        twilio.callbacks.plan(word)
        message = await send(status_callback=f"{door.url}/webhooks/sms?delivery=7")
        await twilio.settle()
        code = word.partition(":")[2] or None

        assert door.told("MessageStatus") == told
        assert all(
            path == "/webhooks/sms?delivery=7" and form["MessageSid"] == message.sid for path, form in door.posts
        )
        assert door.told("ErrorCode")[-1:] == [code][: len(told)]
        assert twilio.messages[message.sid].status == status
        assert list(twilio.received(ANN)) == shown

    async def test_an_early_report_precedes_the_answer(self, send, twilio, door):
        """The first report is posted before the API answers."""
        twilio.callbacks.plan("early")
        twilio.callback_delay_s = 60
        await send(status_callback=f"{door.url}/webhooks/sms")

        assert door.told("MessageStatus") == ["sent"]

    async def test_nothing_is_reported_where_nobody_asked(self, send, twilio, door):
        """A message without a StatusCallback is delivered in silence."""
        message = await send()
        await twilio.settle()

        assert door.posts == []
        assert twilio.messages[message.sid].status == "delivered"


class TestFaults:
    """How the API fails when it is told to."""

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ("status:429", 429, 20429),
            ("status:503", 503, 20503),
            ("status:500", 500, 500),
            ("status:502", 502, 502),
            ("status:504", 504, 504),
        ],
    )
    async def test_a_scripted_status_accepts_nothing(self, send, twilio, fault, status, code):
        """429 and 503 are Twilio's own JSON; the others are pages of the servers before it. Then all is well again."""
        twilio.faults.plan(fault)
        with pytest.raises(TwilioRestException) as failed:
            await send()
        await send(body="again")

        assert (failed.value.status, failed.value.code) == (status, code)
        assert twilio.received(ANN) == ["again"]

    @pytest.mark.parametrize(
        ("fault", "accepted"),
        [("drop_before", 0), ("drop", 0), ("drop_after", 1), ("hang", 0), ("hang_after", 1), ("status_after:502", 1)],
    )
    async def test_a_caller_cannot_tell_what_happened(self, send, sdk, twilio, fault, accepted):
        """Dropped, hanging and 5xx answers look alike, whether or not the message went out."""
        sdk.http_client.timeout = 0.2
        twilio.faults.plan(fault)
        with pytest.raises(Exception, match=r"(?i)connection|timed out|502"):
            await send()

        assert len(twilio.outbox) == accepted
        assert len(twilio.received(ANN)) == accepted

    async def test_retry_after_is_told(self, twilio, sdk):
        """A throttled caller learns for how long."""
        twilio.faults.plan("status:429")
        twilio.faults.retry_after_s = 2.5
        url = f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        response = await asyncio.to_thread(sdk.request, "POST", url)

        assert (response.status_code, response.headers["Retry-After"]) == (429, "2.5")

    async def test_latency_is_added(self, send, twilio):
        """Everything takes at least so long."""
        twilio.faults.latency_s = 0.05
        started = time.perf_counter()
        await send()

        assert time.perf_counter() - started >= 0.05

    async def test_reading_fails_by_itself(self, send, sdk, twilio):
        """A plan for reads leaves sends alone."""
        twilio.read_faults.plan("status:503")
        await send()
        with pytest.raises(Exception, match="503"):
            await asyncio.to_thread(sdk.messages.list)

        assert len(await asyncio.to_thread(sdk.messages.list)) == 1

    async def test_a_misspelt_fault_is_not_passed_over(self, twilio):
        """A test that plans nonsense fails where the fault would have happened."""
        twilio.faults.plan("dorp")

        with pytest.raises(ValueError, match="dorp"):
            await twilio.faults.before(None)

    async def test_rates_follow_the_dice(self, twilio):
        """The same seed gives the same failures, about as many as were asked for."""
        twilio.faults.rates = {"drop_after": 0.2, "status:503": 0.1}
        drawn = [twilio.faults.draw() for _ in range(1000)]

        assert 150 < drawn.count("drop_after") < 250
        assert 60 < drawn.count("status:503") < 140
        assert set(drawn) == {"ok", "drop_after", "status:503"}


# --- two signers -----------------------------------------------------------------------------------------------


def test_twilios_published_example_is_signed_as_published():
    """The page's own form, with the token 12345."""
    form = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+12349013030"),
        ("Digits", "1234"),
        ("From", "+12349013030"),
        ("To", "+18005551212"),
    ]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"

    assert signature(url, form, "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@given(form=st.lists(st.tuples(st.text(alphabet="AbC1é", max_size=3), st.text(max_size=5)), max_size=12))
def test_the_stand_in_and_the_adapter_sign_alike(form):
    """Two implementations, which share no code: blank, repeated and foreign parameters, in any order."""
    url = "https://chat.example.com/webhooks/sms?delivery=1"

    assert signature(url, form, "token") == sign(url, form, "token")
