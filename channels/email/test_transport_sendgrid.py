"""SendGrid's Inbound Parse."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from channels.base import Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import SendGridInbound
from channels.email.test_transport_doubles import (
    CUSTOMER,
    MEGABYTE,
    MULTIPART,
    NOW,
    SENDGRID_KEY,
    SENDGRID_PUBLIC_KEY,
    TARGET,
    basic,
    fixture,
    in_file,
    multipart,
    post,
    seen,
    sendgrid_headers,
)
from channels.email.transports import Transport, open_transport
from channels.errors import Doubt, PayloadError, SignatureError
from channels.http import Http

SIGNED = {"public_key": SENDGRID_PUBLIC_KEY}
LOGIN = {"username": "sendgrid", "password": "päss:word"}
BODY = fixture("sendgrid/text_raw.form")


def transport(max_mail_bytes: int = MEGABYTE, now: float = NOW, **settings: Any) -> Transport:
    section = SendGridInbound.model_validate({"provider": "sendgrid"} | (settings or SIGNED))
    return open_transport(section, Http(), max_mail_bytes, lambda: now)


def unwrap(body: bytes, max_mail_bytes: int = MEGABYTE) -> Envelope:
    envelope = transport(max_mail_bytes).unwrap(post(body, {"Content-Type": MULTIPART}))
    assert isinstance(envelope, Envelope)
    return envelope


async def test_a_signed_post_comes_in(tmp_path: Path) -> None:
    """The timestamp and the raw body are signed, wherever the body lies; it does not matter that it is a form."""
    for body in (BODY, b"", b"\xff" * 200_000):
        request = post(body, sendgrid_headers(body))

        await transport().verify(request)
        await transport().verify(in_file(request, tmp_path))


OTHER = ec.generate_private_key(ec.SECP256R1())
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@pytest.mark.parametrize(
    ("headers", "doubt"),
    [
        ({"Content-Type": MULTIPART}, Doubt.UNSIGNED),
        (sendgrid_headers(BODY) | {SIGNATURE: ""}, Doubt.UNSIGNED),
        (sendgrid_headers(BODY) | {TIMESTAMP: ""}, Doubt.UNSIGNED),
        (sendgrid_headers(BODY) | {TIMESTAMP: "-1"}, Doubt.UNSIGNED),
        (sendgrid_headers(BODY) | {"Content-Type": "text/plain"}, Doubt.UNSIGNED),
        (sendgrid_headers(BODY) | {SIGNATURE: "%%%"}, Doubt.MISMATCH),
        (sendgrid_headers(BODY) | {SIGNATURE: "\udcff"}, Doubt.MISMATCH),
        (sendgrid_headers(BODY) | {SIGNATURE: "AAAA"}, Doubt.MISMATCH),
        (sendgrid_headers(BODY) | {TIMESTAMP: f"{NOW + 1:.0f}"}, Doubt.MISMATCH),
        (sendgrid_headers(BODY + b"x"), Doubt.MISMATCH),
        (sendgrid_headers(BODY, key=OTHER), Doubt.MISMATCH),
        (sendgrid_headers(BODY, at=NOW - 81 * 3600), Doubt.EXPIRED),
        (sendgrid_headers(BODY, at=NOW + 600), Doubt.EXPIRED),
    ],
)
async def test_a_forged_or_old_post_is_refused(headers: dict[str, str], doubt: Doubt) -> None:
    """It is answered 503: a 4xx would make SendGrid drop the mail where our key is mistyped."""
    with pytest.raises(SignatureError) as refused:
        await transport().verify(post(BODY, headers))
    assert refused.value.doubt is doubt
    assert transport().refusal.status == 503


async def test_a_retry_after_three_days_still_comes_in() -> None:
    """SendGrid tries for 72 hours, and may not sign again."""
    await transport().verify(post(BODY, sendgrid_headers(BODY, at=NOW - 72 * 3600)))


@pytest.mark.parametrize(
    ("given", "doubt"),
    [
        (basic("sendgrid", "päss:word"), None),
        (basic("sendgrid", "päss:word").replace("Basic", "bAsIc"), None),
        (None, Doubt.UNSIGNED),
        ("Basic", Doubt.UNSIGNED),
        ("Bearer abc", Doubt.UNSIGNED),
        ("Basic %%%", Doubt.WRONG_LOGIN),
        ("Basic \udcff", Doubt.WRONG_LOGIN),
        (basic("sendgrid", "wrong"), Doubt.WRONG_LOGIN),
        (basic("other", "päss:word"), Doubt.WRONG_LOGIN),
        (basic("", ""), Doubt.WRONG_LOGIN),
    ],
)
async def test_a_password_in_the_address_is_checked(given: str | None, doubt: Doubt | None) -> None:
    """Before the body is read, and where there is nothing else, that is all."""
    headers = {"Content-Type": MULTIPART} | ({} if given is None else {"Authorization": given})
    bare = Request("POST", TARGET, tuple(headers.items()))

    if doubt is None:
        transport(**LOGIN).admit(bare)
        await transport(**LOGIN).verify(bare)
    else:
        with pytest.raises(SignatureError) as refused:
            transport(**LOGIN).admit(bare)
        assert refused.value.doubt is doubt


@pytest.mark.parametrize("missing", ["login", "signature"])
async def test_where_both_are_configured_both_are_asked_for(missing: str) -> None:
    """Neither stands in for the other."""
    headers = sendgrid_headers(BODY) | {"Authorization": basic("sendgrid", "päss:word")}
    await transport(**LOGIN, **SIGNED).verify(post(BODY, headers))
    del headers["Authorization" if missing == "login" else SIGNATURE]

    with pytest.raises(SignatureError):
        await transport(**LOGIN, **SIGNED).verify(post(BODY, headers))


PEM = SENDGRID_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
P384 = ec.generate_private_key(ec.SECP384R1()).public_key()


async def test_a_key_may_be_written_as_pem() -> None:
    """An owner may paste it with its armour."""
    await transport(public_key=PEM).verify(post(BODY, sendgrid_headers(BODY)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"public_key": ""},
        {"public_key": "a key"},
        {"public_key": "AAAA"},
        {"public_key": P384.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()},
        {"username": "only"},
    ],
)
def test_a_channel_without_a_guard_does_not_start(settings: dict[str, Any]) -> None:
    """A missing or mistyped key is found when the gateway starts, not when the first mail comes."""
    with pytest.raises(ValidationError):
        SendGridInbound.model_validate({"provider": "sendgrid"} | settings)


# --- what is in it ---

PASSED = Verdicts(Verdict.PASS, Verdict.PASS, dkim_domains=("example.org",), spf_domain="example.org")


@pytest.mark.parametrize(("name", "recipient"), [("text", "help@example.com"), ("attachment", "help+abc@example.com")])
def test_a_raw_and_a_parsed_post_tell_the_same_mail(name: str, recipient: str, tmp_path: Path) -> None:
    """The message itself in one, and one made of its fields in the other: sender, words, files, envelope and checks."""
    raw = unwrap(fixture(f"sendgrid/{name}_raw.form"))
    request = post(fixture(f"sendgrid/{name}_parsed.form"), {"Content-Type": MULTIPART})
    parsed = transport().unwrap(in_file(request, tmp_path))

    assert raw == Envelope(fixture(f"raw/{name}.eml"), CUSTOMER, (recipient,), PASSED)
    assert isinstance(parsed, Envelope)
    assert seen(parsed.raw) == seen(raw.raw)
    assert (parsed.mail_from, parsed.recipients, parsed.verdicts, parsed.rebuilt) == (
        CUSTOMER,
        (recipient,),
        PASSED,
        True,
    )


def test_each_field_is_read_in_its_own_charset() -> None:
    """SendGrid hands bodies on as they were written and names their charsets beside them."""
    envelope = unwrap(fixture("sendgrid/charsets_parsed.form"))
    found = seen(envelope.raw)

    assert (found.text, found.html) == ("Die Größe passt – danke", "<p>Die Größe passt</p>")
    assert (found.sender, found.subject) == ("Büro <customer@example.org>", "Größe")
    assert envelope.verdicts == Verdicts(Verdict.FAIL, spf_domain="example.org")


def form(**fields: str) -> bytes:
    head = "From: a@bank.example\nDKIM-Signature: v=1; d=bank.example; b=x\n"
    given = {"headers": head, "text": "Hi", "envelope": json.dumps({"to": ["help@example.com"], "from": ""})} | fields
    return multipart(*((name, value.encode()) for name, value in given.items()))


SIGNED_HEAD = "From: a@bank.example\nDKIM-Signature: v=1; d=stranger.example;\n i="


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Verdicts()),
        ({"dkim": "none", "SPF": "none"}, Verdicts()),
        ({"SPF": "pass", "dkim": "{@bank.example : pass}"}, Verdicts("pass", "pass", dkim_domains=("bank.example",))),
        ({"SPF": "SoftFail", "dkim": "{@bank.example : fail}"}, Verdicts("fail", "fail")),
        ({"SPF": "neutral", "dkim": "{}"}, Verdicts()),
        (
            {"dkim": "{@bank.example : pass, x@other.example : fail}"},
            Verdicts("none", "pass", dkim_domains=("bank.example",)),
        ),
        ({"dkim": "{@bank.example : pass"}, Verdicts()),
        ({"dkim": "@bank.example : pass"}, Verdicts()),
        ({"dkim": "{@bank.example : pass; @x.example : pass}"}, Verdicts()),
        (
            {
                "dkim": "{@bank.example : pass, @stranger.example : pass}",
                "headers": SIGNED_HEAD + "@bank.example : pass, @stranger.example; b=x\n",
            },
            Verdicts(),
        ),
        (
            {"dkim": "{@stranger.example : pass}", "headers": SIGNED_HEAD + "x.y@stranger.example; b=x\n"},
            Verdicts("none", "pass", dkim_domains=("stranger.example",)),
        ),
    ],
)
def test_checks_are_read_as_sendgrid_writes_them(fields: dict[str, str], expected: Verdicts) -> None:
    """What is not plainly one result after another proves nothing: a signer may have been named to look like more."""
    assert unwrap(form(**fields)).verdicts == expected


def test_a_bounce_has_an_empty_sender() -> None:
    """An empty sender is told apart from one that is not told."""
    assert unwrap(form()).mail_from == ""
    assert unwrap(form(envelope="{}")).mail_from is None
    assert unwrap(form(envelope='["x"]')).recipients == ()


@pytest.mark.parametrize("name", ["attachment_raw", "attachment_parsed"])
def test_a_mail_that_is_too_large_becomes_its_headers(name: str) -> None:
    """Whether it came whole or in fields, its sender and subject are known, and how large it was."""
    envelope = unwrap(fixture(f"sendgrid/{name}.form"), 700)
    found = seen(envelope.raw)

    assert (found.subject, found.text, found.files) == ("Re: Your offer", "", ())
    assert envelope.whole_size is not None
    assert 700 < envelope.whole_size < 2500


@pytest.mark.parametrize(
    "body",
    [
        fixture("sendgrid/no_mail.form"),
        fixture("sendgrid/attachment_raw.form")[:1500],
        fixture("sendgrid/attachment_parsed.form")[:-12],
        b"",
        b"\xff\xfe\x00",
        b"--xYzZY\r\n",
        b"--xYzZY--\r\n",
    ],
)
def test_a_form_without_a_whole_mail_is_kept_for_a_person(body: bytes) -> None:
    """A body that was cut short, or is no mail, is said to be unreadable."""
    with pytest.raises(PayloadError):
        unwrap(body)


def test_what_reads_a_mail_can_go_to_another_process() -> None:
    """It is picklable and takes no secret along."""
    pickled = pickle.dumps(transport(**LOGIN).unwrap)

    assert b"word" not in pickled
    assert pickle.loads(pickled)(post(BODY, {"Content-Type": MULTIPART})) == unwrap(BODY)
