"""Amazon SES, whose receipt rules publish each mail to an SNS topic (docs.aws.amazon.com/ses/latest/dg/receiving-email-
notifications-contents.html, read 2026-11)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from channels.base import Parsed, Reply, Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import SesInbound
from channels.email.transports.base import ACCEPTED, Unwrap, domain_of, head_of, only_post
from channels.email.transports.body import size_of
from channels.email.transports.sns import NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE, Sns
from channels.email.transports.wild import a_list, a_map, a_text, read_json, read_json_body
from channels.errors import Doubt, PayloadError, SignatureError

if TYPE_CHECKING:
    from channels.http import Http

TYPE, TOPIC = "x-amz-sns-message-type", "x-amz-sns-topic-arn"
# A notification has at most 256 kB (docs.aws.amazon.com/general/latest/gr/sns.html), which escapes may make three times
# as many. A stranger's JSON of this size takes 50 ms to be refused.
MAX_BODY_BYTES = 1024 * 1024
# SNS tries for an hour at most. Everything is signed, so a replay is the same mail, which its Message-ID names.
WINDOW_S = 24 * 3600
MAX_AHEAD_S = 300
HINT = (
    "the notification has no mail in it: in SES, give the receipt rule an action of the type SNS, with Base64 for its "
    "encoding, in place of an S3 or Lambda action that only notifies the topic"
)

_VERDICTS = {"PASS": Verdict.PASS, "FAIL": Verdict.FAIL}  # else GRAY, PROCESSING_FAILED


class SesTransport:
    """Notifications of topics of ours, signed by SNS."""

    # SNS takes a 4xx for an answer and never tries again; after a 5xx it does, by default three times in a minute.
    refusal = Reply(503)
    accepted = ACCEPTED
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, settings: SesInbound, http: Http, max_mail_bytes: int, now: Callable[[], float]) -> None:
        self._topics = frozenset(settings.topic_arns)
        self._sns = Sns(http, settings.api_base)
        self._now = now
        self.unwrap: Unwrap = partial(unwrap, max_mail_bytes=max_mail_bytes)

    def admit(self, request: Request) -> None:
        """Return if SNS's headers are there and name a topic of ours.

        Raises:
            SignatureError: they are not, or do not.
        """
        only_post(request)
        topic = request.header(TOPIC)
        if topic is None or request.header(TYPE) not in (NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE):
            raise SignatureError(Doubt.UNSIGNED)
        if topic not in self._topics:
            raise SignatureError(Doubt.OTHER_TOPIC)

    async def verify(self, request: Request) -> None:
        """Return if SNS has signed the post, about a topic of ours; a subscription to one is confirmed on the way.

        Raises:
            SignatureError: it is not.
            RetryLater: SNS's certificate could not be fetched, or the subscription not be confirmed.
        """
        self.admit(request)
        post = await asyncio.to_thread(_read, request)
        if post.get("Type") != request.header(TYPE):
            raise SignatureError(Doubt.MISMATCH)
        if post.get("TopicArn") not in self._topics:  # before anything that the post names is fetched
            raise SignatureError(Doubt.OTHER_TOPIC)
        await self._sns.check(post)
        if not -MAX_AHEAD_S <= self._now() - _time(post) <= WINDOW_S:
            raise SignatureError(Doubt.EXPIRED)
        if post["Type"] == SUBSCRIBE:
            await self._sns.confirm(post)


def _read(request: Request) -> dict[str, Any]:
    post = read_json_body(request) if size_of(request) <= MAX_BODY_BYTES else None
    if not isinstance(post, dict):
        raise SignatureError(Doubt.UNSIGNED)
    return post


def _time(post: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(a_text(post.get("Timestamp")).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        raise SignatureError(Doubt.EXPIRED) from None


# --- what is in it ---


def unwrap(request: Request, max_mail_bytes: int) -> Envelope | Parsed:
    """Return the mail in a notification; what else SNS and SES tell is ignored by its name.

    Raises:
        PayloadError: there should be a mail in it, and is none.
    """
    post = read_json_body(request)
    if not isinstance(post, dict) or not isinstance(post.get("Type"), str):
        raise PayloadError("not a post of SNS")
    if post["Type"] != NOTIFICATION:
        return Parsed((), ACCEPTED, ignored=(f"sns:{post['Type'][:40]}",))
    told = a_map(read_json(a_text(post.get("Message"))))
    kind = a_text(told.get("notificationType")) or a_text(told.get("eventType"))
    if kind != "Received":
        return Parsed((), ACCEPTED, ignored=(f"ses:{kind[:40] or 'plain text'}",))
    receipt, mail = a_map(told.get("receipt")), a_map(told.get("mail"))
    raw = _raw(told, a_text(a_map(receipt.get("action")).get("encoding")))
    mail_from = mail.get("source") if isinstance(mail.get("source"), str) else None
    return Envelope(
        raw if len(raw) <= max_mail_bytes else head_of(raw),
        mail_from,
        tuple(filter(None, map(a_text, a_list(receipt.get("recipients"))))),
        _verdicts(receipt, mail_from),
        None if len(raw) <= max_mail_bytes else len(raw),
    )


def _raw(told: Mapping[str, Any], encoding: str) -> bytes:
    content = told.get("content")
    if not isinstance(content, str) or not content:
        raise PayloadError(HINT)
    if encoding.upper() != "BASE64":
        return content.encode("utf-8", "replace")
    try:
        return base64.b64decode(content)
    except (binascii.Error, ValueError) as error:
        raise PayloadError("the content is no base64") from error


def _verdicts(receipt: Mapping[str, Any], mail_from: str | None) -> Verdicts:
    spf, dkim, dmarc = (
        _VERDICTS.get(a_text(a_map(receipt.get(f"{check}Verdict")).get("status")), Verdict.NONE)
        for check in ("spf", "dkim", "dmarc")
    )
    return Verdicts(spf, dkim, dmarc, spf_domain=domain_of(mail_from))
