"""SendGrid's Inbound Parse, raw or in fields (twilio.com/docs/sendgrid/for-developers/parsing-email, read 2026-11)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from channels.base import Reply, Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import SendGridInbound
from channels.email.transports.base import (
    ACCEPTED,
    MAX_HEAD_BYTES,
    Login,
    Unwrap,
    domain_of,
    head_of,
    media_type,
    only_post,
    split_head,
)
from channels.email.transports.body import add_to
from channels.email.transports.forms import MULTIPART, Field, Form, opened_form
from channels.email.transports.rebuilt import (
    File,
    Headers,
    Text,
    header_only,
    rebuild,
    rebuilt_size,
)
from channels.email.transports.wild import a_list, a_map, a_text, read_json
from channels.errors import Doubt, PayloadError, SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

# The same headers as the event webhook's: .../parsing-email/securing-your-parse-webhooks.
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
# A post is tried again for 72 hours, and whether a retry is signed anew is told nowhere: a shorter window could lose
# mail that waited for us. The whole body is signed, so a replay is the same mail, which its Message-ID, or the hash of
# what it says, names as one that is here already.
WINDOW_S = 80 * 3600
MAX_AHEAD_S = 300
PROVIDERS_MAX_BYTES = 30 * 1024 * 1024  # .../parsing-email/inbound-email: the largest mail, attachments and all

_TIME = re.compile(r"[0-9]{1,12}")
_ATTACHMENT = re.compile(r"attachment[0-9]{1,4}")
# The field ``dkim`` is written ``{@example.com : pass, @example.org : fail}``.
_DKIM = re.compile(r"\{((?:[a-z0-9._+-]{0,64}@[a-z0-9.-]{1,255} : [a-z]{1,20}(?:, |(?=\})))*)\}")
_PLAIN_TAG = re.compile(rb"(?:[A-Za-z0-9._+-]*@)?[A-Za-z0-9.-]+")
_VERDICTS = {"pass": Verdict.PASS, "fail": Verdict.FAIL, "softfail": Verdict.FAIL, "invalid": Verdict.FAIL}


class SendGridTransport:
    """Posts of one Inbound Parse setting: signed by its security policy, with a password in its address, or both."""

    # SendGrid drops a mail for good on any 4xx and tells nobody; on a 5xx it tries again.
    refusal = Reply(503)
    accepted = ACCEPTED

    def __init__(self, settings: SendGridInbound, max_mail_bytes: int, now: Callable[[], float]) -> None:
        self._login = (
            Login(settings.username, settings.password.get_secret_value())
            if settings.username is not None and settings.password is not None
            else None
        )
        self._public_key = settings.public_key
        self._key: EllipticCurvePublicKey | None = None
        self._now = now
        self.max_body_bytes = 3 * max(max_mail_bytes, PROVIDERS_MAX_BYTES)
        self.unwrap: Unwrap = partial(unwrap, max_mail_bytes=max_mail_bytes)

    def admit(self, request: Request) -> None:
        """Return if everything that is asked for is there, the password checked.

        Raises:
            SignatureError: something is not.
        """
        only_post(request)
        if self._login is not None:
            self._login.check(request)
        if self._public_key is not None:
            _read_proof(request)
        if media_type(request) != MULTIPART:
            raise SignatureError(Doubt.UNSIGNED)

    async def verify(self, request: Request) -> None:
        """Return if the password is ours and the timestamp and the body are signed, as far as each is configured.

        Raises:
            SignatureError: it is not, or they are not.
        """
        self.admit(request)
        if self._public_key is None:
            return
        signed_at, signature = _read_proof(request)
        digest = hashlib.sha256(signed_at.encode())
        await asyncio.to_thread(add_to, digest, request)
        if not self._is_signed(digest.digest(), signature):
            raise SignatureError(Doubt.MISMATCH)
        if not -MAX_AHEAD_S <= self._now() - int(signed_at) <= WINDOW_S:
            raise SignatureError(Doubt.EXPIRED)

    def _is_signed(self, digest: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        from channels.email.transports.keys import read_public_key

        assert self._public_key is not None
        self._key = self._key or read_public_key(self._public_key)
        try:
            self._key.verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))
        except InvalidSignature:
            return False
        return True


def _read_proof(request: Request) -> tuple[str, bytes]:
    signed_at, given = request.header(TIMESTAMP) or "", request.header(SIGNATURE) or ""
    if not given or not _TIME.fullmatch(signed_at):
        raise SignatureError(Doubt.UNSIGNED)
    try:
        return signed_at, base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(Doubt.MISMATCH) from None


# --- what is in it ---


def unwrap(request: Request, max_mail_bytes: int) -> Envelope:
    """Return the mail in a post.

    Raises:
        PayloadError: there is none.
    """
    with opened_form(request) as form:
        told = a_map(read_json(form.text("envelope")))
        mail_from = told.get("from") if isinstance(told.get("from"), str) else None
        envelope = Envelope(b"", mail_from, tuple(filter(None, map(a_text, a_list(told.get("to"))))))
        whole, block = form.first("email"), form.first("headers")
        if whole is not None:
            raw, size = form.message(whole, max_mail_bytes)
            verdicts = _verdicts(form, head_of(raw), mail_from)
            return replace(envelope, raw=raw, verdicts=verdicts, whole_size=size)
        if block is None:
            raise PayloadError("a form without a mail: neither email nor headers")
        head = form.read(block, MAX_HEAD_BYTES)
        envelope = replace(envelope, verdicts=_verdicts(form, head, mail_from), rebuilt=True)
        return _rebuilt(form, split_head(head), envelope, max_mail_bytes)


def _rebuilt(form: Form, headers: Headers, envelope: Envelope, max_mail_bytes: int) -> Envelope:
    attached = [field for field in form.fields if _ATTACHMENT.fullmatch(field.name)]
    bodies = [field for field in (form.first("text"), form.first("html")) if field is not None]
    size = rebuilt_size(headers, map(form.size, (*bodies, *attached)))
    if size > max_mail_bytes:
        return header_only(envelope, headers, size)
    charsets = a_map(read_json(form.text("charsets")))
    info = a_map(read_json(form.text("attachment-info")))
    text, html = (_text(form, name, a_text(charsets.get(name))) for name in ("text", "html"))
    files = [_file(form, field, a_map(info.get(field.name))) for field in attached]
    return replace(envelope, raw=rebuild(headers, text, html, files))


def _text(form: Form, name: str, charset: str) -> Text | None:
    field = form.first(name)
    content = b"" if field is None else form.read(field)
    return Text(content, charset or "utf-8") if content else None


def _file(form: Form, field: Field, info: dict[str, object]) -> File:
    return File(
        form.read(field),
        field.content_type or a_text(info.get("type")),
        field.filename or a_text(info.get("filename")) or a_text(info.get("name")),
        a_text(info.get("content-id")),
    )


def _verdicts(form: Form, head: bytes, mail_from: str | None) -> Verdicts:
    spf = _VERDICTS.get(form.text("SPF").strip().lower(), Verdict.NONE)
    found = _DKIM.fullmatch(form.text("dkim").strip().lower()) if _is_plainly_signed(head) else None
    results = [entry.partition(" : ") for entry in found[1].split(", ")] if found and found[1] else []
    good = tuple(signer.partition("@")[2] for signer, _, result in results if result == "pass")
    dkim = Verdict.PASS if good else Verdict.FAIL if results else Verdict.NONE
    return Verdicts(spf, dkim, dkim_domains=good, spf_domain=domain_of(mail_from))


def _is_plainly_signed(head: bytes) -> bool:
    """Tell whether no DKIM signature's names could be read as several results.

    The field ``dkim`` repeats what a signature calls its signer (RFC 6376, section 3.5, tag i), which a stranger may
    write as ``@bank.example : pass, @stranger.example``.
    """
    for name, value in split_head(head):
        if name.lower() == b"dkim-signature":
            tags = (tag.partition(b"=") for tag in re.sub(rb"\s+", b"", value).split(b";"))
            if any(tag in (b"d", b"i") and not _PLAIN_TAG.fullmatch(given) for tag, _, given in tags):
                return False
    return True
