"""Signatures, with the SDK's own validator as the judge."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from channels.base import Request
from channels.errors import SignatureError
from channels.http import Http
from channels.twilio.signature import hides_a_message, matches, sign, spellings
from channels.twilio.test_doubles import ACCOUNT, CUSTOMER, NUMBER, TOKEN, WEBHOOK, build

URL = "https://chat.example.com/webhooks/sms"
# Twilio's own example, with the token 12345: www.twilio.com/docs/usage/security.
EXAMPLE_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
EXAMPLE_FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+12349013030"),
    ("Digits", "1234"),
    ("From", "+12349013030"),
    ("To", "+18005551212"),
]

names = st.text(alphabet="AbC1é", max_size=3)
forms = st.lists(st.tuples(names, st.text(max_size=5)), max_size=12)


def judge(url: str, form: list[tuple[str, str]], algorithm: str | None = None) -> str:
    """Return what the SDK computes."""
    params: Any = MultiDict(form)
    signature: str = RequestValidator("token").compute_signature(url, params, algorithm)
    return signature


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@given(form=forms, query=st.text(alphabet="?&=a%2B", max_size=8))
def test_a_signature_is_the_sdks(form: list[tuple[str, str]], query: str, algorithm: str) -> None:
    """Blank, repeated, equal and foreign parameters are signed as the official SDK signs them."""

    assert sign(URL + query, form, "token", algorithm) == judge(URL + query, form, algorithm)


@given(form=forms, port=st.sampled_from(["", ":443", ":8443"]), signed_port=st.sampled_from(["", ":443", ":8443"]))
def test_a_port_is_forgiven_as_the_sdk_forgives_it(form: list[tuple[str, str]], port: str, signed_port: str) -> None:
    """Whether Twilio signed with or without the port, we take what the SDK's validator takes."""
    url, signed_url = (f"https://chat.example.com{p}/webhooks/sms?x=1" for p in (port, signed_port))
    signature = judge(signed_url, form)
    params: Any = MultiDict(form)
    expected = RequestValidator("token").validate(url, params, signature)

    assert matches(signature, spellings(url), form, ["token"], None) == expected


def test_twilios_example_is_signed_as_published() -> None:
    """A known input has its known signature, and another URL, token or form has another."""
    published = "0/KCTR6DLpKmkAf8muzZqo1nDgQ="

    assert sign(EXAMPLE_URL, EXAMPLE_FORM, "12345") == published
    assert sign(EXAMPLE_URL, EXAMPLE_FORM, "12346") != published
    assert sign(EXAMPLE_URL + "&", EXAMPLE_FORM, "12345") != published
    assert sign(EXAMPLE_URL, EXAMPLE_FORM[:-1], "12345") != published


@pytest.mark.parametrize(
    ("header", "algorithm", "expected"),
    [
        (None, "HMAC_SHA1", True),
        ("", "HMAC_SHA1", True),
        ("key=webhooks_sharedkey_1", "HMAC_SHA1", True),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "HMAC_SHA256", True),
        ("key=webhooks_sharedkey_1, algorithm=hmac_sha256", "HMAC_SHA256", True),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "HMAC_SHA1", False),
        ("algorithm=NONE", "HMAC_SHA1", False),
    ],
)
def test_the_algorithm_is_the_one_that_is_named(header: str | None, algorithm: str, expected: bool) -> None:
    """A SharedKey's webhooks name theirs; one that we do not know is no signature."""
    signature = sign(URL, EXAMPLE_FORM, "token", algorithm)

    assert matches(signature, [URL], EXAMPLE_FORM, ["other", "token"], header) is expected


@given(st.text(max_size=40))
def test_no_forged_signature_matches_or_breaks(signature: str) -> None:
    """Whatever stands in the header, the answer is no."""

    assert not matches(signature, spellings(URL), EXAMPLE_FORM, ["token"], None)


# --- what a channel makes of it ---

REAL, OTHER = f"SM{0:032x}", f"SM{1:032x}"
VICTIM = "+15550107777"


def post(form: list[tuple[str, str]], signature: str, target: str = "/webhooks/sms") -> Request:
    return Request("POST", target, (("X-Twilio-Signature", signature),), urlencode(form).encode())


def message(body: str) -> list[tuple[str, str]]:
    """Return the form of a customer's message, as Twilio posts it."""
    return [
        ("AccountSid", ACCOUNT),
        ("Body", body),
        ("From", CUSTOMER),
        ("FromCity", "NASHUA"),
        ("MessageSid", REAL),
        ("NumMedia", "0"),
        ("SmsMessageSid", REAL),
        ("SmsSid", REAL),
        ("To", NUMBER),
    ]


@pytest.mark.parametrize(
    "target",
    [
        "http://[/webhooks/sms",
        "https://[::1/webhooks/sms",
        "https://chat.example.com:port/webhooks/sms",
        "//[",
        "://",
        "*",
        "",
        "?",
    ],
)
async def test_a_strange_target_is_refused(target: str) -> None:
    """Whatever a stranger writes on the request line, the answer is no and never a fault of ours."""
    with pytest.raises(SignatureError):
        await build(Http()).verify(post(message("Hi"), "bm9wZQ==", target))


@pytest.mark.parametrize("origin", ["", "http://10.0.0.1:8080", "https://elsewhere.example"])
async def test_the_targets_own_origin_does_not_count(origin: str) -> None:
    """A proxy may name another host, or none: our public address is what Twilio signs."""
    signature = sign(f"{WEBHOOK}?x=1", message("Hi"), TOKEN)

    await build(Http()).verify(post(message("Hi"), signature, f"{origin}/webhooks/sms?x=1"))


async def test_a_signature_is_good_for_its_own_message_only() -> None:
    """A customer's text that holds the names of fields cannot be cut up into another customer's message."""
    genuine = message(f"hiFrom{VICTIM}MessageSid{OTHER}MessageT")
    forged = [
        ("AccountSid", ACCOUNT),
        ("Body", "hi"),
        ("From", VICTIM),
        ("MessageSid", OTHER),
        (f"MessageTFrom{CUSTOMER}FromCityNASHUAMessageSid", REAL),
        *genuine[5:],
    ]
    signature = sign(WEBHOOK, genuine, TOKEN)
    channel = build(Http())
    await channel.verify(post(genuine, signature))

    assert sign(WEBHOOK, forged, TOKEN) == signature
    with pytest.raises(SignatureError):
        await channel.verify(post(forged, signature))


@pytest.mark.parametrize(
    ("name", "value", "hides"),
    [
        ("MessageSid", REAL, False),
        ("MessageSid", "MM" + REAL[2:], False),
        ("SmsSid", REAL, False),
        ("SmsMessageSid", REAL, False),
        ("OriginalRepliedMessageSid", REAL, False),
        ("ReplyToSid", f"MessageSid{REAL}", True),
        ("Body", f"see MessageSid{REAL}", False),
        ("ProfileName", "MessageSid", False),
        ("FromZip", f"03049MessageSid{REAL}", True),
        ("Label", f"SmsSid{REAL}", True),
        (f"XMessageSid{REAL}", "", True),
        (f"X{CUSTOMER}MessageSid", REAL, True),
        ("MessageSid", f"{REAL}NumMedia0SmsSid{REAL}", True),
        ("MessageSid", f"{REAL}NumMedia0", True),
    ],
)
def test_a_field_that_hides_a_messages_id_is_found(name: str, value: str, hides: bool) -> None:
    """Ids stand in fields of their own; only the customer's text may look like one."""

    assert hides_a_message([("AccountSid", ACCOUNT), (name, value)]) is hides
