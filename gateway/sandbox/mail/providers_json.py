"""Stand-ins for Postmark's inbound stream and for Amazon SES with the SNS topic behind it, which post JSON.

postmarkapp.com/developer/webhooks/inbound-webhook, docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-
contents.html and docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html, read 2026-11.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.clock import Clock, utc_now
from gateway.sandbox.mail.providers import NOBODY, Arrived, Outcome, Post
from gateway.sandbox.mail.providers_parts import Parts, as_text, take_apart

TOPIC = "arn:aws:sns:us-east-1:123456789012:inbound-mail"
NOTIFICATION, SUBSCRIBE = "Notification", "SubscriptionConfirmation"


class Postmark:
    """One inbound stream; ``send_raw`` is its setting to include the raw mail."""

    def __init__(self, *, send_raw: bool = True, login: tuple[str, str] = ("postmark", "a-password")) -> None:
        self.send_raw = send_raw
        self.login: tuple[str, str] | None = login

    def post_of(self, arrived: Arrived) -> Post:
        """Return a mail in JSON; nothing is signed."""
        told = _postmark_fields(arrived, take_apart(arrived.raw))
        if self.send_raw:
            told["RawEmail"] = arrived.raw.replace(b"\r\n", b"\n").decode("utf-8", "replace")
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Postmark"}
        return Post(headers, json.dumps(told).encode())

    def outcome(self, status: int) -> Outcome:
        """Try again after whatever is neither 200 nor 403, which stops it."""
        return {200: Outcome.TAKEN, 403: Outcome.LOST}.get(status, Outcome.AGAIN)


def _postmark_fields(arrived: Arrived, parts: Parts) -> dict[str, Any]:
    people = {name: [_full(*mailbox) for mailbox in parts.people(name)] for name in ("from", "to", "cc")}
    taken_out = {"from", "to", "cc", "subject", "date", "reply-to", "content-type"}
    tests = {True: "DKIM_SIGNED,DKIM_VALID,DKIM_VALID_AU,SPF_PASS", False: "SPF_FAIL", None: "HTML_MESSAGE"}
    added = [
        ("Return-Path", f"<{arrived.mail_from}>"),
        ("Received", f"by p-pm-smtp-inbound01.postmarkapp.com for <{arrived.recipients[0]}>"),
        ("X-Spam-Checker-Version", "SpamAssassin 3.4.0 (2014-02-07) on p-pm-smtp-inbound01"),
        ("X-Spam-Status", "No"),
        ("X-Spam-Score", "-0.1"),
        ("X-Spam-Tests", tests[arrived.is_genuine]),
    ]
    kept = [(name, value) for name, value in parts.decoded if name.lower() not in taken_out]
    return {
        "FromName": people["from"][0]["Name"],
        "From": people["from"][0]["Email"],
        "FromFull": people["from"][0],
        "To": parts.header("to"),
        "ToFull": people["to"],
        "Cc": parts.header("cc"),
        "CcFull": people["cc"],
        "BccFull": [],
        "OriginalRecipient": arrived.recipients[0],
        "Subject": parts.header("subject"),
        "MessageID": str(uuid.uuid4()),
        "ReplyTo": parts.header("reply-to"),
        "MailboxHash": _full("", arrived.recipients[0])["MailboxHash"],
        "Date": parts.header("date"),
        "TextBody": as_text(parts.text),
        "HtmlBody": as_text(parts.html),
        "StrippedTextReply": "",
        "Tag": "",
        "Headers": [{"Name": name, "Value": value} for name, value in (*added, *kept)],
        "Attachments": [
            {
                "Name": file.name,
                "Content": base64.b64encode(file.content).decode(),
                "ContentType": file.content_type,
                "ContentLength": len(file.content),
                "ContentID": file.content_id,
            }
            for file in parts.attached
        ],
    }


def _full(name: str, address: str) -> dict[str, str]:
    local = address.rpartition("@")[0]
    return {"Email": address, "Name": name, "MailboxHash": local.partition("+")[2]}


class Sns:
    """The host of SNS's certificate and of its confirmations: a web application that somebody has to serve."""

    def __init__(self) -> None:
        self.url = ""
        """Where it is served, once it is."""
        self.confirmed: list[str] = []
        """The topics whose subscriptions have been confirmed."""
        self.fetched = 0
        """How often the certificate was asked for."""
        self.is_away = False
        """Whether everything is answered 503."""
        self.key = rsa.generate_private_key(65537, 2048)
        self.path = f"/SimpleNotificationService-{secrets.token_hex(16)}.pem"
        self._certificate = _certificate(self.key)

    def app(self) -> web.Application:
        """Make the application."""
        application = web.Application()
        application.router.add_get(self.path, self._give_certificate)
        application.router.add_get("/", self._confirm)
        return application

    async def _give_certificate(self, request: web.Request) -> web.Response:
        self.fetched += 1
        if self.is_away:
            return web.Response(status=503)
        return web.Response(body=self._certificate, content_type="application/x-pem-file")

    async def _confirm(self, request: web.Request) -> web.Response:
        if self.is_away:
            return web.Response(status=503)
        if request.query.get("Action") != "ConfirmSubscription" or not request.query.get("Token"):
            return web.Response(status=400)
        self.confirmed.append(request.query["TopicArn"])
        return web.Response(text="<ConfirmSubscriptionResponse/>", content_type="text/xml")


class Ses:
    """A receipt rule with an SNS action, and the topic that it publishes to."""

    login = None

    def __init__(
        self,
        sns: Sns,
        *,
        topic: str = TOPIC,
        version: str = "2",
        encoding: str = "BASE64",
        clock: Clock = utc_now,
    ) -> None:
        self.topic = topic
        self.version = version
        """The topic's SignatureVersion; topics begin with 1."""
        self.encoding = encoding
        """``BASE64`` or ``UTF8``, as in the rule."""
        self._sns = sns
        self._clock = clock

    def post_of(self, arrived: Arrived) -> Post:
        """Return the notification of a mail."""
        told = _ses_fields(arrived, take_apart(arrived.raw), self.topic, self.encoding, self._now())
        return self.notify(json.dumps(told))

    def notify(self, message: str) -> Post:
        """Return a notification with any text, as the topic makes it of whatever is published to it."""
        return self._signed(
            {"Type": NOTIFICATION, "Subject": "Amazon SES Email Receipt Notification", "Message": message}
        )

    def subscribe(self) -> Post:
        """Return what SNS posts first to an address that somebody has subscribed to the topic."""
        token = secrets.token_hex(32)
        query = urlencode({"Action": "ConfirmSubscription", "TopicArn": self.topic, "Token": token})
        told = {"Type": SUBSCRIBE, "Token": token, "SubscribeURL": f"{self._sns.url}/?{query}"}
        return self._signed(told | {"Message": "You have chosen to subscribe to the topic."})

    def outcome(self, status: int) -> Outcome:
        """Try again after a 5xx; a 4xx is final."""
        if 200 <= status < 300:
            return Outcome.TAKEN
        return Outcome.AGAIN if status >= 500 or status == NOBODY else Outcome.LOST

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def _signed(self, told: dict[str, str]) -> Post:
        told = told | {"MessageId": str(uuid.uuid4()), "TopicArn": self.topic, "Timestamp": self._now()}
        signed = sorted(set(told))  # of each type exactly what is signed is there so far, and in this order
        text = "".join(f"{name}\n{told[name]}\n" for name in signed)
        algorithm = hashes.SHA256() if self.version == "2" else hashes.SHA1()  # noqa: S303 - what version 1 is
        signature = self._sns.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        told |= {
            "SignatureVersion": self.version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": self._sns.url + self._sns.path,
        }
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": told["Type"],
            "x-amz-sns-message-id": told["MessageId"],
            "x-amz-sns-topic-arn": self.topic,
        }
        return Post(headers, json.dumps(told, indent=2).encode())


def _ses_fields(arrived: Arrived, parts: Parts, topic: str, encoding: str, moment: str) -> dict[str, Any]:
    status = {"status": {True: "PASS", False: "FAIL", None: "GRAY"}[arrived.is_genuine]}
    content = arrived.raw.decode("utf-8", "replace")
    return {
        "notificationType": "Received",
        "mail": {
            "timestamp": moment,
            "source": arrived.mail_from,
            "messageId": secrets.token_hex(20),
            "destination": list(arrived.recipients),
            "headersTruncated": False,
            "headers": [{"name": name, "value": value} for name, value in parts.decoded],
            "commonHeaders": {"subject": parts.header("subject")},
        },
        "receipt": {
            "timestamp": moment,
            "processingTimeMillis": 222,
            "recipients": list(arrived.recipients),
            "spamVerdict": {"status": "PASS"},
            "virusVerdict": {"status": "PASS"},
            "spfVerdict": status,
            "dkimVerdict": status,
            "dmarcVerdict": status,
            "action": {"type": "SNS", "topicArn": topic, "encoding": encoding},
        },
        "content": base64.b64encode(arrived.raw).decode() if encoding == "BASE64" else content,
    }


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    today = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)
