"""Amazon SES through SNS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from channels.base import Parsed, Request
from channels.email.settings import SesInbound
from channels.email.test_transport_doubles import (
    CERTIFICATE_PATH,
    MEGABYTE,
    NOW,
    SNS_KEY,
    TARGET,
    TOPIC,
    SnsServer,
    certificate,
    in_file,
    post,
    sns_post,
)
from channels.email.transports import Transport, open_transport
from channels.email.transports.sns import string_to_sign
from channels.errors import Doubt, OutcomeUnknown, Refused, RetryLater, SignatureError
from channels.http import Http

OTHER_KEY = rsa.generate_private_key(65537, 2048)
OTHER_TOPIC = TOPIC.replace("inbound", "other")


@pytest.fixture
async def sns() -> AsyncIterator[SnsServer]:
    async with SnsServer() as server:
        yield server


def transport(
    http: Http, api_base: str | None = None, *, now: float = NOW, max_mail_bytes: int = MEGABYTE
) -> Transport:
    section = SesInbound.model_validate({"provider": "ses", "topic_arns": [TOPIC], "api_base": api_base})
    return open_transport(section, http, max_mail_bytes, lambda: now)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("name", ["text_base64", "attachment_utf8", "s3_action", "topic_validated", "unsubscribe"])
async def test_what_sns_has_signed_comes_in(
    http: Http, sns: SnsServer, name: str, version: str, tmp_path: Path
) -> None:
    """In both versions of its signature; nothing is confirmed or followed, and its certificate is fetched once."""
    door = transport(http, sns.url)
    request = sns_post(name, sns.url, version=version)

    await door.verify(request)
    await door.verify(in_file(request, tmp_path))
    assert sns.calls == [CERTIFICATE_PATH]


async def test_a_notification_may_have_no_subject(http: Http, sns: SnsServer) -> None:
    """Then it is no part of what is signed."""
    await transport(http, sns.url).verify(sns_post("text_base64", sns.url, change=lambda told: told.pop("Subject")))


def test_what_is_signed_is_as_amazon_says() -> None:
    """Names and values on lines of their own, in a fixed order; nothing else of the post."""
    told = {"Type": "Notification", "MessageId": "1", "TopicArn": "a", "Message": "m", "Timestamp": "t", "Extra": "x"}

    assert string_to_sign(told) == b"Message\nm\nMessageId\n1\nTimestamp\nt\nTopicArn\na\nType\nNotification\n"
    assert string_to_sign(told | {"Subject": "s"}) == (
        b"Message\nm\nMessageId\n1\nSubject\ns\nTimestamp\nt\nTopicArn\na\nType\nNotification\n"
    )
    assert string_to_sign(told | {"Message": 5}) is None
    assert string_to_sign({"Type": "Another"}) is None


def setting(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda told: told.update({name: value})


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda told: told.pop(name)


@pytest.mark.parametrize(
    ("how", "doubt"),
    [
        ({"spoil": setting("Message", "{}")}, Doubt.MISMATCH),
        ({"spoil": setting("Signature", "AAAA")}, Doubt.MISMATCH),
        ({"spoil": setting("Signature", "%%%")}, Doubt.MISMATCH),
        ({"spoil": setting("SignatureVersion", "3")}, Doubt.MISMATCH),
        ({"spoil": setting("SignatureVersion", "1")}, Doubt.MISMATCH),
        ({"key": OTHER_KEY}, Doubt.MISMATCH),
        ({"headers": {"x-amz-sns-message-type": "SubscriptionConfirmation"}}, Doubt.MISMATCH),
        ({"spoil": without("Signature")}, Doubt.UNSIGNED),
        ({"spoil": without("SigningCertURL")}, Doubt.UNSIGNED),
        ({"spoil": without("Timestamp")}, Doubt.UNSIGNED),
        ({"spoil": setting("Message", 5)}, Doubt.UNSIGNED),
        ({"headers": {"x-amz-sns-message-type": None}}, Doubt.UNSIGNED),
        ({"headers": {"x-amz-sns-message-type": "Else"}}, Doubt.UNSIGNED),
        ({"headers": {"x-amz-sns-topic-arn": None}}, Doubt.UNSIGNED),
        ({"change": setting("TopicArn", OTHER_TOPIC)}, Doubt.OTHER_TOPIC),
        ({"change": setting("TopicArn", OTHER_TOPIC), "headers": {"x-amz-sns-topic-arn": TOPIC}}, Doubt.OTHER_TOPIC),
        ({"change": setting("Timestamp", "2026-11-22T10:05:00.000Z")}, Doubt.EXPIRED),
        ({"change": setting("Timestamp", "2026-11-24T10:20:00.000Z")}, Doubt.EXPIRED),
        ({"change": setting("Timestamp", "yesterday")}, Doubt.EXPIRED),
    ],
)
async def test_a_forged_or_old_post_is_refused(http: Http, sns: SnsServer, how: dict[str, Any], doubt: Doubt) -> None:
    """It is answered 503: SNS takes a 4xx for an answer and never tries again."""
    door = transport(http, sns.url)

    with pytest.raises(SignatureError) as refused:
        await door.verify(sns_post("text_base64", sns.url, **how))
    assert refused.value.doubt is doubt
    assert door.refusal.status == 503


@pytest.mark.parametrize("name", ["text_base64", "subscription"])
async def test_nothing_is_fetched_for_another_topic(http: Http, sns: SnsServer, name: str) -> None:
    """A stranger's topic, though SNS has signed it, leads us nowhere."""
    post_ = sns_post(name, sns.url, change=setting("TopicArn", OTHER_TOPIC), headers={"x-amz-sns-topic-arn": TOPIC})

    with pytest.raises(SignatureError):
        await transport(http, sns.url).verify(post_)
    assert sns.calls == []


AMAZON = "https://sns.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no address",
        "http://sns.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
        "https://sns.us-east-1.amazonaws.com.example.com" + CERTIFICATE_PATH,
        "https://sns.us-east-1.amazonaws.com:444" + CERTIFICATE_PATH,
        "https://sns.us-east-1.amazonaws.com@example.com" + CERTIFICATE_PATH,
        "https://example.com\\.sns.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
        "https://example.com#.sns.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
        "https://sns.us-east-1.amazonaws.com/bucket/x.pem",
        "https://sns.us-east-1.amazonaws.com/../SimpleNotificationService-0.pem",
        AMAZON + CERTIFICATE_PATH + "?x=1",
        AMAZON + CERTIFICATE_PATH + "\n",
        "https://s3.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
        "https://sns.us-east-1.evil.com" + CERTIFICATE_PATH,
        "https://SNS.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
        "https://127.0.0.1" + CERTIFICATE_PATH,
    ],
)
@pytest.mark.parametrize("api_base", [None, "http://127.0.0.1:9"])
async def test_a_certificate_of_another_host_is_not_fetched(url: str, api_base: str | None) -> None:
    """Only Amazon's own hosts, or the one that is configured in their place, can say whose signature it is."""
    with pytest.raises(SignatureError) as refused:
        await transport(Http(), api_base).verify(sns_post("text_base64", AMAZON, spoil=setting("SigningCertURL", url)))
    assert refused.value.doubt is Doubt.MISMATCH


@pytest.mark.parametrize(
    "host", [AMAZON, "https://sns.cn-north-1.amazonaws.com.cn", "https://sns.us-gov-west-1.amazonaws.com"]
)
async def test_a_certificate_of_amazons_hosts_is_asked_for(host: str) -> None:
    """All regions and partitions have one."""

    class Asked(Http):
        async def request(self, method: str, url: str, **options: Any) -> Any:
            raise RetryLater(url)

    with pytest.raises(RetryLater, match=host + CERTIFICATE_PATH):
        await transport(Asked()).verify(sns_post("text_base64", host))


@pytest.mark.parametrize("status", [500, 503, 302])
async def test_a_certificate_that_cannot_be_had_now_is_asked_for_again(http: Http, sns: SnsServer, status: int) -> None:
    """The post is put off, not refused; SNS tries again, and so do we."""
    door = transport(http, sns.url)
    sns.answers[CERTIFICATE_PATH] = (status, b"")
    with pytest.raises(RetryLater):
        await door.verify(sns_post("text_base64", sns.url))
    sns.answers[CERTIFICATE_PATH] = (200, certificate(SNS_KEY))

    await door.verify(sns_post("text_base64", sns.url))


@pytest.mark.parametrize("body", [b"", b"not a certificate", certificate(ec.generate_private_key(ec.SECP256R1()))])
async def test_what_is_no_certificate_of_sns_is_not_kept(http: Http, sns: SnsServer, body: bytes) -> None:
    """Whatever stands between us and Amazon may answer anything."""
    sns.answers[CERTIFICATE_PATH] = (200, body)

    with pytest.raises(RetryLater):
        await transport(http, sns.url).verify(sns_post("text_base64", sns.url))


async def test_a_certificate_that_there_is_not_was_never_amazons(http: Http, sns: SnsServer) -> None:
    """A stranger can name any; the answer is no."""
    with pytest.raises(SignatureError):
        await transport(http, sns.url).verify(
            sns_post(
                "text_base64", sns.url, spoil=setting("SigningCertURL", f"{sns.url}/SimpleNotificationService-0.pem")
            )
        )


async def test_a_host_that_does_not_answer_puts_the_post_off(http: Http) -> None:
    """No connection is no forgery."""
    url = f"http://127.0.0.1:{unused_port()}"

    with pytest.raises(RetryLater):
        await transport(http, url).verify(sns_post("text_base64", url))


@pytest.mark.parametrize("error", [OutcomeUnknown, Refused])
async def test_a_host_that_breaks_off_puts_the_post_off(error: type[Exception]) -> None:
    """Whatever went wrong on the way to a certificate."""

    class Broken(Http):
        async def request(self, *given: Any, **options: Any) -> Any:
            raise error

    with pytest.raises(RetryLater):
        await transport(Broken()).verify(sns_post("text_base64", AMAZON))


async def test_a_certificate_that_many_wait_for_is_fetched_once(http: Http, sns: SnsServer) -> None:
    """Mails that come at once after a start wait for the same."""
    door = transport(http, sns.url)
    await asyncio.gather(*(door.verify(sns_post("text_base64", sns.url)) for _ in range(5)))

    assert sns.calls == [CERTIFICATE_PATH]


async def test_only_so_many_certificates_are_kept(http: Http, sns: SnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon changes its own about once a year."""
    monkeypatch.setattr("channels.email.transports.sns.MAX_CERTIFICATES", 2)
    door = transport(http, sns.url)
    for number in (1, 2, 3, 1):
        path = f"/SimpleNotificationService-{number}.pem"
        sns.answers[path] = (200, certificate(SNS_KEY))
        await door.verify(sns_post("text_base64", sns.url, spoil=setting("SigningCertURL", sns.url + path)))

    assert len(sns.calls) == 4


async def test_a_subscription_to_a_topic_of_ours_is_confirmed(http: Http, sns: SnsServer) -> None:
    """SNS sends nothing before its link has been followed."""
    door = transport(http, sns.url)
    request = sns_post("subscription", sns.url)
    await door.verify(request)
    parsed = door.unwrap(request)

    assert sns.calls[1].startswith("/?Action=ConfirmSubscription&TopicArn=arn")
    assert isinstance(parsed, Parsed)
    assert (parsed.ignored, parsed.reply.status) == (("sns:SubscriptionConfirmation",), 200)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/?Action=ConfirmSubscription&TopicArn=" + TOPIC,
        "{}/?Action=ConfirmSubscription&TopicArn=" + OTHER_TOPIC,
        "{}/?Action=ConfirmSubscription",
        "{}@example.com/?TopicArn=" + TOPIC,
        "",
    ],
)
async def test_a_link_that_leads_elsewhere_is_not_followed(http: Http, sns: SnsServer, url: str) -> None:
    """Even one that is signed: its host is pinned, and its topic is the post's."""
    post_ = sns_post("subscription", sns.url, change=setting("SubscribeURL", url.format(sns.url)))

    with pytest.raises(SignatureError):
        await transport(http, sns.url).verify(post_)
    assert sns.calls == [CERTIFICATE_PATH]


async def test_a_forged_subscription_is_not_confirmed(http: Http, sns: SnsServer) -> None:
    """The signature is looked at before the link."""
    with pytest.raises(SignatureError):
        await transport(http, sns.url).verify(sns_post("subscription", sns.url, key=OTHER_KEY))
    assert sns.calls == [CERTIFICATE_PATH]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_confirmation_that_fails_is_tried_again(http: Http, sns: SnsServer, status: int) -> None:
    """SNS posts the same again when it is answered 503."""
    sns.answers["/"] = (status, b"")

    with pytest.raises(RetryLater):
        await transport(http, sns.url).verify(sns_post("subscription", sns.url))


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_post_of_sns_is_refused(body: bytes) -> None:
    """Whatever else it is."""
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-topic-arn": TOPIC}

    with pytest.raises(SignatureError):
        await transport(Http()).verify(post(body, headers))


async def test_a_post_that_is_larger_than_any_of_sns_is_not_read(http: Http, sns: SnsServer) -> None:
    """Though it is signed: reading a stranger's would take too long."""
    large = sns_post("text_base64", sns.url, change=lambda told: told.update(Message="x" * MEGABYTE))

    with pytest.raises(SignatureError):
        await transport(http, sns.url).verify(large)


def test_headers_alone_admit_what_could_be_genuine() -> None:
    """Before the body is read, SNS's headers have to name a topic of ours."""
    headers = (("X-Amz-Sns-Message-Type", "Notification"), ("X-Amz-Sns-Topic-Arn", TOPIC))
    transport(Http()).admit(Request("POST", TARGET, headers))

    with pytest.raises(SignatureError):
        transport(Http()).admit(Request("GET", TARGET, headers))
    with pytest.raises(SignatureError) as refused:
        transport(Http()).admit(Request("POST", TARGET, (headers[0], (headers[1][0], OTHER_TOPIC))))
    assert refused.value.doubt is Doubt.OTHER_TOPIC


@pytest.mark.parametrize(
    "settings", [{"topic_arns": []}, {"topic_arns": ["x"]}, {"topic_arns": [TOPIC], "api_base": "x"}]
)
def test_a_channel_without_a_topic_does_not_start(settings: dict[str, Any]) -> None:
    """Otherwise anybody's topic would be ours."""
    with pytest.raises(ValidationError):
        SesInbound.model_validate({"provider": "ses"} | settings)
