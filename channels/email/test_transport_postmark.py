"""Postmark's inbound stream."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from channels.base import Parsed, Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import PostmarkInbound
from channels.email.test_transport_doubles import (
    CUSTOMER,
    MEGABYTE,
    TARGET,
    basic,
    fixture,
    in_file,
    post,
    seen,
)
from channels.email.transports import Transport, open_transport
from channels.errors import Doubt, PayloadError, SignatureError
from channels.http import Http

LOGIN = basic("postmark", "a-password")


def transport(max_mail_bytes: int = MEGABYTE) -> Transport:
    section = PostmarkInbound(provider="postmark", username="postmark", password="a-password")
    return open_transport(section, Http(), max_mail_bytes)


def read(told: Any, max_mail_bytes: int = MEGABYTE) -> Envelope:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    envelope = transport(max_mail_bytes).unwrap(post(body, {}))
    assert isinstance(envelope, Envelope)
    return envelope


async def test_the_password_in_the_address_lets_a_post_in() -> None:
    """By its headers alone, and whatever is in it."""
    request = Request("POST", TARGET, (("authorization", LOGIN),))

    transport().admit(request)
    await transport().verify(request)


@pytest.mark.parametrize(
    ("method", "given", "doubt"),
    [
        ("GET", LOGIN, Doubt.UNSIGNED),
        ("POST", None, Doubt.UNSIGNED),
        ("POST", "", Doubt.UNSIGNED),
        ("POST", "Digest x", Doubt.UNSIGNED),
        ("POST", basic("postmark", "a-passwore"), Doubt.WRONG_LOGIN),
        ("POST", basic("postmark", ""), Doubt.WRONG_LOGIN),
        ("POST", basic("Postmark", "a-password"), Doubt.WRONG_LOGIN),
        ("POST", LOGIN + "=", Doubt.WRONG_LOGIN),
        ("POST", LOGIN + " x", Doubt.WRONG_LOGIN),
    ],
)
async def test_another_password_is_refused(method: str, given: str | None, doubt: Doubt) -> None:
    """It is answered 401, after which Postmark tries again; 403 would stop it."""
    headers = () if given is None else (("Authorization", given),)

    with pytest.raises(SignatureError) as refused:
        await transport().verify(Request(method, TARGET, headers))
    assert refused.value.doubt is doubt
    assert transport().refusal.status == 401


def test_the_password_is_not_told() -> None:
    """Neither by the transport's looks nor by what goes to another process."""
    pickled = pickle.dumps(transport().unwrap)

    assert "a-password" not in repr(vars(transport()))
    assert b"a-password" not in pickled
    assert pickle.loads(pickled)(post(fixture("postmark/text_raw.json"), {})) == read(fixture("postmark/text_raw.json"))


# --- what is in it ---

PASSED = Verdicts(Verdict.PASS, Verdict.PASS, dkim_domains=("example.org",))


@pytest.mark.parametrize(("name", "recipient"), [("text", "help@example.com"), ("attachment", "help+abc@example.com")])
def test_a_raw_and_a_parsed_post_tell_the_same_mail(name: str, recipient: str, tmp_path: Path) -> None:
    """The message itself in one, and one made of its fields in the other: sender, words, files, envelope and checks."""
    raw = read(fixture(f"postmark/{name}_raw.json"))
    parsed = transport().unwrap(in_file(post(fixture(f"postmark/{name}_parsed.json"), {}), tmp_path))

    assert raw == Envelope(fixture(f"raw/{name}.eml"), CUSTOMER, (recipient,), PASSED)
    assert isinstance(parsed, Envelope)
    assert seen(parsed.raw) == seen(raw.raw)
    assert (parsed.mail_from, parsed.recipients, parsed.verdicts) == (CUSTOMER, (recipient,), PASSED)
    assert (raw.rebuilt, parsed.rebuilt) == (False, True)


TOLD = json.loads(fixture("postmark/text_parsed.json"))


def test_a_mail_in_eight_bits_is_told_in_utf8() -> None:
    """JSON has no other; where Postmark could not say it in that, the parts are better than the whole."""
    whole = "From: customer@example.org\nContent-Type: text/plain; charset=utf-8\n\nGrüße\n"
    spoilt = read(TOLD | {"RawEmail": whole.replace("ü", "\ufffd")})

    assert read(TOLD | {"RawEmail": whole}).raw == whole.replace("\n", "\r\n").encode()
    assert spoilt.rebuilt
    assert seen(spoilt.raw).text == "Ist morgen um 9 Uhr etwas frei? Grüße"


def test_headers_that_postmark_takes_out_are_put_back() -> None:
    """Names with commas and quotes stay one mailbox each, and nothing becomes a header of its own."""
    told = {
        "FromFull": {"Email": CUSTOMER, "Name": 'Customer "C", Büro'},
        "ToFull": [{"Email": "help@example.com", "Name": ""}, {"Email": "", "Name": "x"}, "y", None],
        "ReplyTo": "reply@example.org",
        "Subject": "Hello\r\nBcc: everybody@example.net",
        "Headers": [{"Name": "Message-ID", "Value": "<1@example.org>"}, {"Name": "Bad name:", "Value": "x"}, 5],
        "TextBody": "Hi",
    }
    envelope = read(told)

    assert envelope.raw.decode().split("\r\n\r\n")[0].split("\r\n") == [
        "Message-ID: <1@example.org>",
        'From: "Customer \\"C\\", Büro" <customer@example.org>',
        "To: help@example.com",
        "Reply-To: reply@example.org",
        "Subject: Hello Bcc: everybody@example.net",
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: base64",
    ]
    assert (envelope.mail_from, envelope.recipients) == (None, ())


def test_a_bounce_has_an_empty_sender() -> None:
    """Postmark tells the envelope's sender in the topmost Return-Path."""
    paths = [{"Name": "Return-Path", "Value": "<>"}, {"Name": "Return-Path", "Value": f"<{CUSTOMER}>"}]

    assert read(TOLD | {"Headers": paths}).mail_from == ""


def headers(*tests: str) -> list[dict[str, str]]:
    return [{"Name": "X-Spam-Tests", "Value": test} for test in tests]


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ((), Verdicts()),
        (("",), Verdicts()),
        (("DKIM_SIGNED, DKIM_VALID_AU,SPF_PASS",), PASSED),
        (("DKIM_VALID,SPF_SOFTFAIL",), Verdicts(Verdict.FAIL, Verdict.PASS)),
        (("DKIM_INVALID,SPF_FAIL",), Verdicts(Verdict.FAIL, Verdict.FAIL)),
        (("SPF_NEUTRAL,XSPF_PASS",), Verdicts()),
        (("SPF_FAIL", "DKIM_VALID_AU,SPF_PASS"), Verdicts()),
    ],
)
def test_checks_are_read_from_the_spam_filters_list(tests: tuple[str, ...], expected: Verdicts) -> None:
    """Where there are two lists, the sender has written one, and none is believed."""
    assert read(TOLD | {"Headers": headers(*tests)}).verdicts == expected


def test_the_list_in_a_mail_that_no_filter_looks_at_is_not_believed() -> None:
    """The filter passes large mails by, and then the only list is the sender's."""
    told = TOLD | {"Headers": headers("DKIM_VALID_AU,SPF_PASS"), "TextBody": "x" * 500_000}

    assert read(told).verdicts == Verdicts()
    assert read(told | {"RawEmail": "From: x\n\n" + "x" * 500_000}).verdicts == Verdicts()


@pytest.mark.parametrize("kind", ["raw", "parsed"])
def test_a_mail_that_is_too_large_becomes_its_headers(kind: str) -> None:
    """Whether it came whole or in fields."""
    envelope = read(fixture(f"postmark/attachment_{kind}.json"), 700)
    found = seen(envelope.raw)

    assert (found.subject, found.sender, found.text, found.files) == (
        "Re: Your offer",
        '"Customer, Office" <customer@example.org>',
        "",
        (),
    )
    assert envelope.whole_size is not None
    assert envelope.whole_size > 700


def test_what_the_check_button_posts_is_a_mail() -> None:
    """Its file stands in another field than those of real posts."""
    found = seen(read(fixture("postmark/check.json")).raw)

    assert found.text == "This is a test text body."
    assert [(name, content) for name, _, content, _ in found.files] == [
        ("test.txt", b"This is attachment contents, base-64 encoded.")
    ]


def test_a_report_on_what_we_sent_is_ignored_by_its_name() -> None:
    """Somebody has given this address to another of Postmark's webhooks."""
    parsed = transport().unwrap(post(fixture("postmark/delivery.json"), {}))

    assert isinstance(parsed, Parsed)
    assert (parsed.events, parsed.ignored, parsed.reply.status) == ((), ("postmark:Delivery",), 200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\x00",
        b"[" * 100_000,
        fixture("postmark/text_raw.json")[:-5],
        b'{"RawEmail": 5, "Headers": {}}',
        json.dumps(TOLD | {"Attachments": [{"Name": "x", "Content": "AAA"}]}).encode(),
    ],
)
def test_a_post_without_a_whole_mail_is_kept_for_a_person(body: bytes) -> None:
    """Cut, empty or of another make: it is said to be unreadable."""
    with pytest.raises(PayloadError):
        read(body)
