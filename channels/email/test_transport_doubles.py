"""What the tests of the webhook transports share: payloads, keys, and a host of certificates."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from channels.base import Request

FIXTURES = Path(__file__).parent / "fixtures"
NOW = 1795514700.0  # 2026-11-24 10:05 UTC
MEGABYTE = 1024 * 1024
TARGET = "/webhooks/mail"
SECRET = "the-shared-secret"
CUSTOMER = "customer@example.org"
MULTIPART = "multipart/form-data; boundary=xYzZY"
URLENCODED = "application/x-www-form-urlencoded"
TOPIC = "arn:aws:sns:us-east-1:123456789012:inbound-mail"


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def post(body: bytes, headers: Mapping[str, str]) -> Request:
    return Request("POST", TARGET, tuple(headers.items()), body)


def in_file(request: Request, folder: Path) -> Request:
    """Return the same request with its body on disk."""
    path = folder / "body"
    path.write_bytes(request.body)
    return Request(request.method, request.target, request.headers, file=path)


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True)
class Seen:
    """What a reader finds in a message."""

    sender: str
    recipients: str
    subject: str
    message_id: str
    references: str
    text: str
    html: str
    files: tuple[tuple[str | None, str, bytes, str], ...]


def seen(raw: bytes) -> Seen:
    """Read a message with the standard library."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    bodies = {"text/plain": "", "text/html": ""}
    files = []
    for part in message.walk():
        kind = part.get_content_type()
        if part.get_content_maintype() == "multipart":
            continue
        if kind in bodies and part.get_content_disposition() is None:
            bodies[kind] = part.get_content().strip()
        else:
            inner = part.get_payload(decode=True)
            content = inner if isinstance(inner, bytes) else part.get_payload(0).as_bytes()
            files.append((part.get_filename(), kind, content, str(part["Content-ID"] or "").strip("<>")))
    texts = (str(message[name] or "") for name in ("From", "To", "Subject", "Message-ID", "References"))
    return Seen(*texts, bodies["text/plain"], bodies["text/html"], tuple(files))


# --- signing ---


def raw_signature(body: bytes, *, at: float = NOW, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), f"{at:.0f}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at:.0f},v1={digest}"


SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
SENDGRID_PUBLIC_KEY = base64.b64encode(
    SENDGRID_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


def sendgrid_headers(body: bytes, *, at: float = NOW, key: ec.EllipticCurvePrivateKey = SENDGRID_KEY) -> dict[str, str]:
    signature = key.sign(f"{at:.0f}".encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "Content-Type": MULTIPART,
        "X-Twilio-Email-Event-Webhook-Timestamp": f"{at:.0f}",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
    }


def mailgun_proofs(*, at: float = NOW, token: str = "t" * 50, key: str = SECRET) -> dict[str, str]:
    signature = hmac.new(key.encode(), f"{at:.0f}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": f"{at:.0f}", "token": token, "signature": signature}


def multipart(*fields: tuple[str, bytes], boundary: str = "xYzZY") -> bytes:
    """Write a form of plain fields; a name may have a file name behind it: ``a"; filename="b``."""
    pieces = (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() for name, _ in fields)
    written = (head + value + b"\r\n" for head, (_, value) in zip(pieces, fields, strict=True))
    return b"".join((*written, f"--{boundary}--\r\n".encode()))


# --- SNS ---


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = builder.not_valid_before(today - timedelta(1)).not_valid_after(today + timedelta(1))
    return dated.serial_number(1).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


SNS_KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE_PATH = "/SimpleNotificationService-0123456789abcdef.pem"
# docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html, in the order of that page.
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


@dataclass
class SnsServer:
    """The host of SNS's certificates and confirmations."""

    calls: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=lambda: {"/": (200, b"<Confirmed/>")})

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        self.answers.setdefault(CERTIFICATE_PATH, (200, certificate(SNS_KEY)))
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.Response:
        self.calls.append(request.path_qs)
        status, body = self.answers.get(request.path, (404, b""))
        return web.Response(status=status, body=body)


def sns_post(
    name: str,
    url: str,
    *,
    change: Callable[[dict[str, Any]], None] = lambda told: None,
    spoil: Callable[[dict[str, Any]], None] = lambda told: None,
    key: rsa.RSAPrivateKey = SNS_KEY,
    version: str = "2",
    headers: Mapping[str, str | None] | None = None,
) -> Request:
    """Return a fixture as SNS posts it, signed; ``change`` is done before, and ``spoil`` after."""
    told = json.loads(fixture(f"ses/{name}.json"))
    told |= {"SigningCertURL": url + CERTIFICATE_PATH, "SignatureVersion": version}
    if "SubscribeURL" in told:
        told["SubscribeURL"] = url + "/?" + told["SubscribeURL"].partition("?")[2]
    change(told)
    text = "".join(f"{name}\n{told[name]}\n" for name in SIGNED.get(told["Type"], ()) if name in told)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    told["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()
    spoil(told)
    given = {
        "Content-Type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": told.get("Type"),
        "x-amz-sns-topic-arn": told.get("TopicArn"),
    } | dict(headers or {})
    return post(json.dumps(told).encode(), {name: value for name, value in given.items() if value is not None})
