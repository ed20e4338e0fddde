"""The Twilio channel: its settings, what it lets in, and what it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.abilities import Diagnoses, FetchesMedia, LooksUp, NamesWebhook, Paced, Polls
from channels.base import Attachment, Consent, DeliveryStatus, Echo, Inbound, Parsed, Reply, Request, Scope, Status
from channels.content import Choice, Content
from channels.errors import Doubt, PayloadError, SignatureError
from channels.http import Http
from channels.rendering import parts_of
from channels.twilio.channel import TwilioChannel
from channels.twilio.signature import sign
from channels.twilio.test_doubles import ACCOUNT, CUSTOMER, NUMBER, SERVICE, TOKEN, WEBHOOK, build

FIXTURES = Path(__file__).parent / "fixtures"
TWIML = Reply(200, '<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
GEOGRAPHY = {"from_city": "NASHUA", "from_state": "NH", "from_zip": "03049", "from_country": "US", "to_country": "US"}
ONE = {"num_segments": "1"}
DELIVERY_ID = "0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11"


def sid(number: int, prefix: str = "SM") -> str:
    return f"{prefix}{number:032d}"


def body(fixture: str) -> bytes:
    return (FIXTURES / fixture).read_bytes().strip()


def post(content: bytes, target: str = "/webhooks/sms", *headers: tuple[str, str]) -> Request:
    return Request("POST", target, headers, content)


def signed(content: bytes, target: str = "/webhooks/sms", url: str = WEBHOOK, token: str = TOKEN) -> Request:
    form = parse_qsl(content.decode(), keep_blank_values=True)
    return post(content, target, ("x-twilio-signature", sign(url, form, token)))


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"auth_token": None}, "auth_token"),
        ({"auth_token": ""}, "auth_token"),
        ({"account_sid": "SK1"}, "account_sid"),
        ({"acount_sid": "AC1"}, "acount_sid"),
        ({"from": "Frontdesk"}, "from"),
        ({"from": "+0155"}, "from"),
        ({"from": 15550100001}, "from"),
        ({"messaging_service_sid": "AC1"}, "messaging_service_sid"),
        ({"api_base": "ftp://api.twilio.com"}, "api_base"),
        ({"api_base": "https://"}, "api_base"),
        ({"api_base": "https://host:port"}, "api_base"),
        ({"api_base": "https://user@host"}, "api_base"),
        ({"api_base": "https://host?x"}, "api_base"),
    ],
)
def test_a_mistake_in_the_settings_names_its_key(changes: dict[str, Any], where: str) -> None:
    """A wrong section is refused with the key's name, and without what stands there."""
    with pytest.raises(ValidationError) as caught:
        build(Http(), **changes)

    assert [error["loc"] for error in caught.value.errors()] == [(where,)]
    assert "input_value" not in str(caught.value)
    assert "pattern" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"account_sid": "SK1"}, "must begin with AC and have 34 characters.*SK… is an API key"),
        ({"messaging_service_sid": "AC1"}, "must begin with MG and have 34 characters"),
        ({"from": "15"}, 'must be a number such as "[+]15550100001", a short code .*whatsapp:[+]'),
        ({"api_base": "twilio.com"}, "must be an address such as https://api.twilio.com"),
    ],
)
def test_a_mistake_in_the_settings_is_told_by_how_the_value_looks(changes: dict[str, Any], said: str) -> None:
    """An owner reads no regular expressions."""
    with pytest.raises(ValidationError, match=said):
        build(Http(), **changes)


def test_a_channel_without_number_and_service_is_refused() -> None:
    """There has to be something to send from."""
    with pytest.raises(ValidationError, match="messaging_service_sid"):
        build(Http(), **{"from": "", "messaging_service_sid": ""})


@pytest.mark.parametrize(
    ("sender", "kind"), [(NUMBER, "sms"), ("22345", "sms"), (None, "sms"), (f"whatsapp:{NUMBER}", "whatsapp")]
)
def test_the_sender_says_what_the_customer_sees(sender: str | None, kind: str) -> None:
    """A number sends SMS; one with WhatsApp's prefix is a WhatsApp channel."""
    channel = build(Http(), **{"from": sender, "messaging_service_sid": SERVICE, "auth_token_secondary": ""})

    assert (channel.kind, channel.name) == (kind, "sms")


@pytest.mark.parametrize(
    ("sender", "rate_per_s"), [(NUMBER, 10), ("22345", 10), (None, 10), (f"whatsapp:{NUMBER}", 80)]
)
def test_the_sender_says_how_fast_messages_leave(sender: str | None, rate_per_s: float) -> None:
    """Twilio paces SMS itself, from a queue that holds hours; a WhatsApp sender has a limit of its own."""
    channel = build(Http(), **{"from": sender, "messaging_service_sid": SERVICE})

    assert channel.default_rate_per_s == rate_per_s


def test_a_channel_has_the_rare_abilities() -> None:
    """It polls, looks up, fetches media, checks itself, knows its pace and what has to be pasted at Twilio."""
    channel = build(Http())

    abilities = (Polls, LooksUp, FetchesMedia, Diagnoses, Paced, NamesWebhook)
    assert all(isinstance(channel, ability) for ability in abilities)
    assert channel.webhook_address == f"{WEBHOOK}#rc=5&rp=all"


def test_a_channel_asks_as_often_and_waits_as_long_as_its_readme_says() -> None:
    """Twilio's log is read every ten minutes; a send is over in ten seconds, within an outbox's lease of a minute."""
    channel = build(Http())

    assert (channel.poll_every_s, channel.send_timeout_s) == (600.0, 10.0)


def test_a_reply_is_cut_into_messages() -> None:
    """A message at Twilio carries 1600 characters; white space alone is no message."""
    channel = build(Http())

    assert [len(part.text) for part in parts_of(Content("a" * 3300), channel.shows)] == [1600, 1600, 100]
    assert parts_of(Content(" \n "), channel.shows) == ()


# --- verify ---


async def test_a_signed_request_is_let_in() -> None:
    """Blank values count, and the header's name is found in any case."""
    channel = build(Http())

    await channel.verify(signed(body("text.form")))


@pytest.mark.parametrize("token", [TOKEN, "the-secondary-token"])
async def test_either_token_signs(token: str) -> None:
    """While tokens are rotated, both are good."""
    channel = build(Http(), auth_token_secondary="the-secondary-token")

    await channel.verify(signed(body("delivered.form"), token=token))


@pytest.mark.parametrize(
    ("public", "target", "url"),
    [
        (WEBHOOK, "/webhooks/sms?delivery=1&b=%20", f"{WEBHOOK}?delivery=1&b=%20"),
        (WEBHOOK, "/webhooks/sms", "https://chat.example.com:443/webhooks/sms"),
        ("https://chat.example.com:8443/webhooks/sms", "/webhooks/sms", WEBHOOK),
        ("https://chat.example.com:8443/webhooks/sms", "/webhooks/sms", "https://chat.example.com:8443/webhooks/sms"),
        ("http://[::1]:8080/webhooks/sms", "/webhooks/sms", "http://[::1]/webhooks/sms"),
        ("https://example.com/desk/webhooks/sms", "/webhooks/sms?d=1", "https://example.com/desk/webhooks/sms?d=1"),
        ("https://example.com/desk/webhooks/sms", "/desk/webhooks/sms", "https://example.com/desk/webhooks/sms"),
    ],
)
async def test_the_public_address_is_what_is_signed(public: str, target: str, url: str) -> None:
    """The port may be spelled out or not, and a proxy may take the path's prefix away or leave it."""
    channel = build(Http(), webhook_url=public)

    await channel.verify(signed(body("text.form"), target, url))


FORGED = {
    "unsigned": (post(body("text.form")), Doubt.UNSIGNED),
    "an empty signature": (post(body("text.form"), "/webhooks/sms", ("X-Twilio-Signature", "")), Doubt.UNSIGNED),
    "another token": (signed(body("text.form"), token="another"), Doubt.MISMATCH),
    "another host": (signed(body("text.form"), url="https://evil.example.com/webhooks/sms"), Doubt.MISMATCH),
    "another path": (signed(body("text.form"), url="https://chat.example.com/webhooks/other"), Doubt.MISMATCH),
    "another query": (signed(body("text.form"), "/webhooks/sms?a=2", f"{WEBHOOK}?a=1"), Doubt.MISMATCH),
    "not ASCII": (post(body("text.form"), "/webhooks/sms", ("X-Twilio-Signature", "\udcff日本")), Doubt.MISMATCH),
    "another body": (
        Request("POST", "/webhooks/sms", signed(body("text.form")).headers, body("mms.form")),
        Doubt.MISMATCH,
    ),
    "GET": (Request("GET", "/webhooks/sms", signed(body("text.form")).headers, body("text.form")), Doubt.MISMATCH),
    "another account": (signed(body("text.form").replace(ACCOUNT.encode(), b"AC2")), Doubt.OTHER_ACCOUNT),
    "two accounts": (signed(body("text.form") + b"&AccountSid=AC2"), Doubt.OTHER_ACCOUNT),
    "no account": (signed(b"MessageSid=SM1"), Doubt.OTHER_ACCOUNT),
    "a form of thousands": (signed(b"a=1&" * 1000), Doubt.MISMATCH),
    "a form of megabytes": (signed(b"a=" + b"x" * 1_000_000), Doubt.MISMATCH),
    "no form": (post(b"\xff\x00{", "/webhooks/sms", ("X-Twilio-Signature", "x")), Doubt.MISMATCH),
    "a strange target": (post(body("text.form"), "//[\ud800?", ("X-Twilio-Signature", "x")), Doubt.MISMATCH),
}


@pytest.mark.parametrize(("forged", "doubt"), FORGED.values(), ids=FORGED)
async def test_a_forged_request_is_refused(forged: Request, doubt: Doubt) -> None:
    """Whatever is wrong, the refusal is the same and tells nothing; the owner's log gets one of a few fixed reasons."""
    channel = build(Http(), auth_token_secondary="the-secondary-token")

    with pytest.raises(SignatureError) as caught:
        await channel.verify(forged)
    assert str(caught.value) == "The request does not prove that it comes from the platform."
    assert caught.value.doubt is doubt


# --- parse ---


def text(number: int, said: str, **changes: Any) -> Inbound:
    """Make what a text tells, with the metadata that all of the American fixtures have."""
    metadata = GEOGRAPHY | ONE | changes.pop("metadata", {})
    return Inbound(NUMBER, CUSTOMER, changes.pop("sid", sid(number)), said, metadata=metadata, **changes)


def files(message_sid: str, *content_types: str) -> tuple[Attachment, ...]:
    base = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{message_sid}/Media"
    return tuple(Attachment(f"{base}/{sid(index, 'ME')}", kind) for index, kind in enumerate(content_types))


def whatsapp(
    number: int, said: str, sender: str = f"whatsapp:{CUSTOMER}", choice: Choice | None = None, **metadata: str
) -> Inbound:
    facts = ONE | ({"wa_id": CUSTOMER[1:]} if sender.endswith(CUSTOMER) else {}) | metadata
    return Inbound(
        f"whatsapp:{NUMBER}",
        sender,
        sid(number),
        said,
        choice=choice,
        consent=Consent.OPT_OUT if said == "Stop" else None,
        identity=metadata.get("external_user_id"),
        sender_name="Ann",
        metadata=facts,
    )


IN_SERVICE = {"messaging_service_sid": SERVICE}
MESSAGES = {
    "text.form": text(1, "Hello"),
    "unicode.form": text(2, "Grüße 👋 日本語"),
    "long.form": text(3, "When are you open? " * 20),
    "mms.form": text(0, "My sink", sid=sid(1, "MM"), attachments=files(sid(1, "MM"), "image/jpeg", "text/vcard")),
    "mms_ten.form": text(0, "All of them", sid=sid(2, "MM"), attachments=files(sid(2, "MM"), *["image/png"] * 10)),
    "media_only.form": text(0, "", sid=sid(3, "MM"), attachments=files(sid(3, "MM"), "image/jpeg")),
    "stop.form": text(4, "STOP", consent=Consent.OPT_OUT, metadata=IN_SERVICE | {"opt_out_type": "STOP"}),
    "stop_custom_word.form": text(5, "Basta", consent=Consent.OPT_OUT, metadata=IN_SERVICE | {"opt_out_type": "STOP"}),
    "stop_without_type.form": text(6, " stop\n", consent=Consent.OPT_OUT),
    "stop_please.form": text(7, "Stop please"),
    "start.form": text(8, "START", consent=Consent.OPT_IN, metadata=IN_SERVICE | {"opt_out_type": "START"}),
    "start_without_type.form": text(9, "unstop", consent=Consent.OPT_IN),
    "help.form": text(10, "HELP", consent=Consent.HELP, metadata=IN_SERVICE | {"opt_out_type": "HELP"}),
    "help_without_type.form": text(11, "Info", consent=Consent.HELP),
    "unknown_params.form": text(13, "Hello"),
    "fallback.form": text(14, "Hello"),
    "whatsapp_button.form": whatsapp(
        16,
        "Confirm",
        choice=Choice("order-9", "Confirm"),
        message_type="interactive",
        external_user_id="whatsapp:US.13490000000000000001",
        button_text="Confirm",
        button_payload="order-9",
        replied_to=sid(9, "MM"),
        replied_to_sender=f"whatsapp:{NUMBER}",
        forwarded="false",
        frequently_forwarded="false",
    ),
    "whatsapp_location.form": whatsapp(
        17,
        "[location] Cafe, 1 Main St (37.44, -122.16)",
        message_type="location",
        latitude="37.44",
        longitude="-122.16",
        address="1 Main St",
        label="Cafe",
    ),
    "whatsapp_list.form": whatsapp(
        21,
        "Express",
        choice=Choice("r1", "Express"),
        message_type="interactive",
        list_id="r1",
        list_title="Express",
    ),
    "whatsapp_referral.form": whatsapp(
        22,
        "info?",
        message_type="text",
        referral_body="Sale",
        referral_headline="Chat",
        referral_source_id="1202",
        referral_source_type="ad",
        referral_source_url="https://fb.me/x",
        referral_ctwa_clid="Aff-1",
    ),
    "whatsapp_username_only.form": whatsapp(
        18,
        "hi",
        sender="whatsapp:US.13490000000000000001",
        message_type="text",
        external_user_id="whatsapp:US.13490000000000000001",
    ),
    "whatsapp_cancel.form": whatsapp(19, "Cancel", message_type="text"),
    "whatsapp_stop.form": whatsapp(20, "Stop", message_type="text"),
}


@pytest.mark.parametrize("fixture", MESSAGES)
def test_a_message_is_read(fixture: str) -> None:
    """A message becomes one event, and the answer says nothing to the customer."""
    parsed = build(Http()).parse(post(body(fixture)))

    assert parsed == Parsed((MESSAGES[fixture],), TWIML)


def status(word: DeliveryStatus, **changes: Any) -> Status:
    return Status(changes.pop("account", NUMBER), word, sid(101), DELIVERY_ID, **changes)


STATUSES = {
    "sent.form": status(DeliveryStatus.SENT),
    "delivered.form": status(DeliveryStatus.DELIVERED),
    "read.form": status(DeliveryStatus.READ, account=f"whatsapp:{NUMBER}"),
    "canceled.form": status(DeliveryStatus.FAILED),
    "undelivered_30003.form": status(
        DeliveryStatus.FAILED, error_code="30003", error_message="Unreachable destination handset"
    ),
    "failed_21610.form": status(DeliveryStatus.FAILED, error_code="21610", opted_out=Scope.ALL),
}


@pytest.mark.parametrize("fixture", STATUSES)
def test_a_status_callback_is_read(fixture: str) -> None:
    """A report carries our delivery id back, and is answered with 204."""
    parsed = build(Http()).parse(post(body(fixture), f"/webhooks/sms?delivery={DELIVERY_ID}"))

    assert parsed == Parsed((STATUSES[fixture],), Reply(204))


def test_a_status_without_our_delivery_id_has_the_platforms() -> None:
    """A service's own status callback knows no delivery of ours."""
    parsed = build(Http()).parse(post(body("sent.form")))

    assert parsed.events == (Status(NUMBER, DeliveryStatus.SENT, sid(101)),)


STEPS = {
    "accepted.form": "accepted",
    "scheduled.form": "scheduled",
    "queued.form": "queued",
    "sending.form": "sending",
    "partially_delivered.form": "partially_delivered",
    "new_status.form": "teleported",
}


@pytest.mark.parametrize(("fixture", "name"), STEPS.items())
def test_a_step_on_the_way_is_ignored_by_name(fixture: str, name: str) -> None:
    """What is neither sent nor failed yet, or new at Twilio, tells nothing."""
    parsed = build(Http()).parse(post(body(fixture)))

    assert parsed == Parsed((), Reply(204), (f"status {name}",))


BROKEN = {
    "no_sid.form": "no MessageSid",
    "no_sender.form": "without From or To",
    "media_missing.form": "fewer media",
    "media_uncounted.form": "not a number",
    "status_no_sid.form": "no MessageSid",
}


@pytest.mark.parametrize("fixture", BROKEN)
def test_a_form_that_lacks_something_is_kept_for_a_person(fixture: str) -> None:
    """What is authentic and cannot be read whole is PayloadError, which says what is missing and nothing else."""
    with pytest.raises(PayloadError, match=BROKEN[fixture]):
        build(Http()).parse(post(body(fixture)))


def test_the_first_thing_that_is_missing_is_the_sid() -> None:
    """A body that is no message at all is told by that."""
    with pytest.raises(PayloadError, match="no MessageSid"):
        build(Http()).parse(post(b"AccountSid=AC1"))


def test_every_fixture_is_in_a_test() -> None:
    """A captured payload that nothing reads would only look like a test."""
    others = {"pool_number.form"}

    assert {path.name for path in FIXTURES.iterdir()} == {*MESSAGES, *STATUSES, *STEPS, *BROKEN, *others}


def test_a_nul_does_not_reach_the_database() -> None:
    """No database takes a NUL in text."""
    parsed = build(Http()).parse(post(b"MessageSid=SM1&From=%2B1&To=%2B2&Body=a%00b"))

    assert parsed.events == (Inbound("+2", "+1", "SM1", "ab"),)


FIELDS = ("MessageSid", "SmsStatus", "MessageStatus", "From", "To", "Body", "NumMedia", "MediaUrl0", "OptOutType")
WORDS = st.sampled_from(["", "1", "received", "delivered", "STOP", "²", "9" * 5000]) | st.text(max_size=6)


@given(
    st.binary(max_size=60) | st.dictionaries(st.sampled_from(FIELDS), WORDS).map(lambda form: urlencode(form).encode()),
    st.text(max_size=20),
)
def test_any_bytes_are_events_or_unreadable(content: bytes, target: str) -> None:
    """No body and no target raises anything but PayloadError."""
    try:
        parsed = build(Http()).parse(post(content, target))
    except PayloadError:
        return

    assert parsed.events or parsed.ignored


# --- whose is it? ---


def test_a_message_to_our_number_is_ours() -> None:
    """The number that the customer wrote to decides."""
    channel: TwilioChannel = build(Http())

    assert channel.owns(text(1, "Hello"))
    assert not channel.owns(Inbound("+15550100002", CUSTOMER, "SM1"))
    assert not channel.owns(Echo("+15550100002", CUSTOMER, "SM1"))
    assert not build(Http(), **{"from": None, "messaging_service_sid": SERVICE}).owns(text(1, "Hello"))


def test_a_message_to_a_pool_number_is_the_services() -> None:
    """A channel with a Messaging Service owns what comes through it, whatever its number."""
    [event] = build(Http()).parse(post(body("pool_number.form"))).events

    assert event.account == "+15550100077"
    assert not build(Http()).owns(event)
    assert build(Http(), messaging_service_sid=SERVICE).owns(event)
    assert build(Http(), **{"from": None, "messaging_service_sid": SERVICE}).owns(event)
    assert not build(Http(), messaging_service_sid="MG2").owns(event)


def test_a_status_is_ours() -> None:
    """A report was asked for with our own address, and finds its delivery by id."""

    assert build(Http()).owns(Status("+15550100077", DeliveryStatus.SENT, "SM1"))


def test_channels_of_one_account_may_get_each_others_events() -> None:
    """The account is what Twilio posts for."""
    channel = build(Http())

    assert channel.shares_app_with(build(Http(), **{"from": "+15550100002"}))
    assert not channel.shares_app_with(build(Http(), account_sid="AC2"))
