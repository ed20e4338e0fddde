"""Stand-ins for SendGrid's Inbound Parse and Mailgun's Routes, which post forms.

twilio.com/docs/sendgrid/for-developers/parsing-email and documentation.mailgun.com/docs/mailgun/user-manual/
receive-forward-store, read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.clock import Clock, utc_now
from gateway.sandbox.mail.providers import NOBODY, Arrived, Outcome, Post
from gateway.sandbox.mail.providers_parts import Attached, Parts, as_text, take_apart


@dataclass(frozen=True, slots=True)
class Value:
    """A field of a form."""

    name: str
    content: bytes
    file: Attached | None = None


class SendGrid:
    """One Inbound Parse setting: with a security policy, whose key is made here, or a password, or both."""

    def __init__(
        self,
        *,
        send_raw: bool = True,
        is_signed: bool = True,
        login: tuple[str, str] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.send_raw = send_raw
        self.login = login
        self._key = ec.generate_private_key(ec.SECP256R1()) if is_signed else None
        self._clock = clock

    @property
    def public_key(self) -> str:
        """The security policy's public key, as the API shows it."""
        assert self._key is not None
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def post_of(self, arrived: Arrived) -> Post:
        """Return the form of a mail, and its signature."""
        body = multipart("xYzZY", _sendgrid_fields(arrived, send_raw=self.send_raw))
        headers = {"Content-Type": "multipart/form-data; boundary=xYzZY", "User-Agent": "SendGrid Parse"}
        if self._key is not None:
            moment = str(int(self._clock().timestamp()))
            signature = self._key.sign(moment.encode() + body, ec.ECDSA(SHA256()))
            headers["X-Twilio-Email-Event-Webhook-Timestamp"] = moment
            headers["X-Twilio-Email-Event-Webhook-Signature"] = base64.b64encode(signature).decode()
        return Post(headers, body)

    def outcome(self, status: int) -> Outcome:
        """Try again after a 5xx; drop what gets any other answer than a success."""
        if 200 <= status < 300:
            return Outcome.TAKEN
        return Outcome.AGAIN if status >= 500 or status == NOBODY else Outcome.LOST


class Mailgun:
    """One account's route, whose address ends in ``mime`` where ``send_raw`` is set."""

    login = None

    def __init__(
        self,
        *,
        send_raw: bool = True,
        signing_key: str | None = None,
        clock: Clock = utc_now,
        new_token: Callable[[], str] = lambda: secrets.token_hex(25),
    ) -> None:
        self.send_raw = send_raw
        self.signing_key = signing_key or secrets.token_hex(16)
        self._clock = clock
        self._new_token = new_token

    def post_of(self, arrived: Arrived) -> Post:
        """Return the form of a mail: multipart where it has files, urlencoded where it has none."""
        parts = take_apart(arrived.raw)
        make = _mailgun_raw if self.send_raw else _mailgun_fields
        fields = [*make(arrived, parts), *self._proofs()]
        if parts.attached and not self.send_raw:
            boundary = secrets.token_hex(16)
            return Post({"Content-Type": f"multipart/form-data; boundary={boundary}"}, multipart(boundary, fields))
        encoded = urlencode([(field.name, field.content) for field in fields]).encode()
        return Post({"Content-Type": "application/x-www-form-urlencoded"}, encoded)

    def outcome(self, status: int) -> Outcome:
        """Try again after whatever is neither 200 nor 406, which means no."""
        return {200: Outcome.TAKEN, 406: Outcome.LOST}.get(status, Outcome.AGAIN)

    def _proofs(self) -> Iterable[Value]:
        moment, token = str(int(self._clock().timestamp())), self._new_token()
        signature = hmac.new(self.signing_key.encode(), (moment + token).encode(), hashlib.sha256).hexdigest()
        return _values({"timestamp": moment, "token": token, "signature": signature})


def multipart(boundary: str, fields: Iterable[Value]) -> bytes:
    """Write a form (RFC 7578)."""
    pieces: list[bytes] = []
    for field in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field.name}"'
        if field.file is not None:
            name = field.file.name.replace("\\", "\\\\").replace('"', '\\"')
            head += f'; filename="{name}"\r\nContent-Type: {field.file.content_type}'
        pieces += (head.encode(), b"\r\n\r\n", field.content, b"\r\n")
    return b"".join((*pieces, f"--{boundary}--\r\n".encode()))


def _values(fields: dict[str, str]) -> list[Value]:
    return [Value(name, content.encode()) for name, content in fields.items()]


def _sendgrid_fields(arrived: Arrived, *, send_raw: bool) -> Iterable[Value]:
    parts = take_apart(arrived.raw)
    domain = parts.people("from")[0][1].rpartition("@")[2]
    found = {True: "pass", False: "fail", None: "none"}[arrived.is_genuine]
    bodies = {name: body for name, body in (("text", parts.text), ("html", parts.html)) if body is not None}
    charsets = {"to": "UTF-8", "subject": "UTF-8", "from": "UTF-8"}
    yield from _values(
        {
            "dkim": "none" if arrived.is_genuine is None else f"{{@{domain} : {found}}}",
            "to": parts.header("to"),
            "from": parts.header("from"),
            "subject": parts.header("subject"),
            "sender_ip": "203.0.113.9",
            "envelope": json.dumps({"to": list(arrived.recipients), "from": arrived.mail_from}),
            "SPF": found,
        }
    )
    if send_raw:
        yield Value("email", arrived.raw)
    else:
        yield Value("headers", parts.head + b"\n")
        yield from (Value(name, content) for name, (content, _) in bodies.items())
        charsets |= {name: charset for name, (_, charset) in bodies.items()}
        yield from _sendgrid_files(parts.attached)
    yield Value("charsets", json.dumps(charsets).encode())


def _sendgrid_files(attached: list[Attached]) -> Iterable[Value]:
    yield Value("attachments", str(len(attached)).encode())
    if attached:
        info = {
            f"attachment{number}": {"filename": file.name, "name": file.name, "type": file.content_type}
            | ({"content-id": file.content_id} if file.content_id else {})
            for number, file in enumerate(attached, 1)
        }
        yield Value("attachment-info", json.dumps(info).encode())
    yield from (Value(f"attachment{number}", file.content, file) for number, file in enumerate(attached, 1))


def _mailgun_found(arrived: Arrived) -> list[tuple[str, str]]:
    """Return the headers that Mailgun puts on top of a mail."""
    found = {True: "Pass", False: "Fail", None: "Neutral"}[arrived.is_genuine]
    return [
        ("X-Mailgun-Incoming", "Yes"),
        ("X-Mailgun-Spf", found),
        ("X-Mailgun-Dkim-Check-Result", found),
        ("X-Envelope-From", f"<{arrived.mail_from}>"),
        ("Received", f"from mail.example.org by mxa.mailgun.org for <{arrived.recipients[0]}>"),
    ]


def _mailgun_raw(arrived: Arrived, parts: Parts) -> Iterable[Value]:
    top = "".join(f"{name}: {value}\r\n" for name, value in _mailgun_found(arrived))
    yield from _mailgun_envelope(arrived, parts)
    yield Value("body-mime", top.encode() + arrived.raw)


def _mailgun_envelope(arrived: Arrived, parts: Parts) -> Iterable[Value]:
    return _values(
        {
            "recipient": arrived.recipients[0],
            "sender": arrived.mail_from,
            "from": parts.header("from"),
            "subject": parts.header("subject"),
        }
    )


def _mailgun_fields(arrived: Arrived, parts: Parts) -> Iterable[Value]:
    headers = [*_mailgun_found(arrived), *parts.decoded]
    yield from _mailgun_envelope(arrived, parts)
    yield from (Value(name, value.encode()) for name, value in headers)
    yield Value("message-headers", json.dumps(headers).encode())
    text, html = as_text(parts.text), as_text(parts.html)
    yield from _values({"body-plain": text, "stripped-text": text, "stripped-signature": ""})
    if html:
        yield from _values({"body-html": html, "stripped-html": html})
    if parts.attached:
        ids = {
            f"<{file.content_id}>": f"attachment-{at}" for at, file in enumerate(parts.attached, 1) if file.content_id
        }
        yield from _values({"attachment-count": str(len(parts.attached)), "content-id-map": json.dumps(ids)})
    yield from (Value(f"attachment-{number}", file.content, file) for number, file in enumerate(parts.attached, 1))
