"""What is in a notification of Amazon SES."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from channels.base import Parsed
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import SesInbound
from channels.email.test_transport_doubles import CUSTOMER, MEGABYTE, NOW, TOPIC, fixture, post, seen
from channels.email.transports import Transport, open_transport
from channels.errors import PayloadError
from channels.http import Http


def transport(max_mail_bytes: int = MEGABYTE) -> Transport:
    return open_transport(SesInbound(provider="ses", topic_arns=(TOPIC,)), Http(), max_mail_bytes, lambda: NOW)


def unwrap(name: str, max_mail_bytes: int = MEGABYTE, **changes: Any) -> Envelope | Parsed:
    told = json.loads(fixture(f"ses/{name}.json")) | changes
    return transport(max_mail_bytes).unwrap(post(json.dumps(told).encode(), {}))


PASSED = Verdicts(Verdict.PASS, Verdict.PASS, Verdict.PASS, spf_domain="example.org")


@pytest.mark.parametrize("encoding", ["base64", "utf8"])
@pytest.mark.parametrize(("name", "recipient"), [("text", "help@example.com"), ("attachment", "help+abc@example.com")])
def test_a_notification_has_the_mail_in_it(name: str, recipient: str, encoding: str) -> None:
    """In either encoding, with its envelope and what SES has checked."""
    raw = fixture(f"raw/{name}.eml")

    assert unwrap(f"{name}_{encoding}") == Envelope(raw, CUSTOMER, (recipient,), PASSED)


def message(**changes: Any) -> str:
    return json.dumps(json.loads(json.loads(fixture("ses/text_base64.json"))["Message"]) | changes)


@pytest.mark.parametrize(
    ("receipt", "expected"),
    [
        ({}, Verdicts()),
        ({"spfVerdict": {"status": "GRAY"}, "dkimVerdict": {"status": "PROCESSING_FAILED"}}, Verdicts()),
        ({"spfVerdict": {"status": "FAIL"}, "dmarcVerdict": {"status": "FAIL"}}, Verdicts("fail", "none", "fail")),
        ({"spfVerdict": 5, "dmarcVerdict": None, "dkimVerdict": {"status": 1}}, Verdicts()),
    ],
)
def test_checks_are_read_from_the_receipt(receipt: dict[str, Any], expected: Verdicts) -> None:
    """What SES could not decide says nothing."""
    envelope = unwrap("text_utf8", Message=message(receipt=receipt, mail={}, content="Subject: x\n\nHi"))

    assert envelope == Envelope(b"Subject: x\n\nHi", verdicts=expected)


def test_a_mail_that_is_too_large_becomes_its_headers() -> None:
    """SES itself hands no larger one to SNS than 150 kB."""
    envelope = unwrap("attachment_base64", 700)

    assert isinstance(envelope, Envelope)
    assert envelope.whole_size == len(fixture("raw/attachment.eml"))
    assert (seen(envelope.raw).subject, seen(envelope.raw).files) == ("Re: Your offer", ())


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("bounce", "ses:Bounce"),
        ("topic_validated", "ses:plain text"),
        ("subscription", "sns:SubscriptionConfirmation"),
        ("unsubscribe", "sns:UnsubscribeConfirmation"),
    ],
)
def test_what_is_no_mail_is_ignored_by_its_name(name: str, ignored: str) -> None:
    """It is acknowledged, and the log says what it was."""
    parsed = unwrap(name)

    assert isinstance(parsed, Parsed)
    assert (parsed.events, parsed.ignored, parsed.reply.status) == ((), (ignored,), 200)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (fixture("ses/s3_action.json"), "in place of an S3 or Lambda action"),
        (json.dumps({"Type": "Notification", "Message": message(content="")}).encode(), "Base64"),
        (json.dumps({"Type": "Notification", "Message": message(content="A")}).encode(), "no base64"),
        (b"{}", "not a post"),
        (b"[]", "not a post"),
        (b"", "not a post"),
        (fixture("ses/text_base64.json")[:-9], "not a post"),
    ],
)
def test_a_notification_without_a_mail_is_kept_for_a_person(body: bytes, reason: str) -> None:
    """The reason says how to set up the rule."""
    with pytest.raises(PayloadError, match=reason):
        transport().unwrap(post(body, {}))


def test_what_reads_a_mail_can_go_to_another_process() -> None:
    """It takes no connection along."""
    unpickled = pickle.loads(pickle.dumps(transport().unwrap))

    assert unpickled(post(fixture("ses/text_base64.json"), {})) == unwrap("text_base64")
