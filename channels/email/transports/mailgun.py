"""Mailgun's Routes (documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store, read 2026-11), raw where
the address that they forward to ends in ``mime``, else taken apart."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product

from pydantic import SecretStr

from channels.base import Reply, Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import MailgunInbound
from channels.email.transports.base import (
    ACCEPTED,
    Unwrap,
    domain_of,
    head_of,
    media_type,
    only_post,
    split_head,
)
from channels.email.transports.forms import MULTIPART, URLENCODED, Form, opened_form
from channels.email.transports.rebuilt import (
    File,
    Headers,
    Text,
    as_header,
    header_only,
    rebuild,
    rebuilt_size,
)
from channels.email.transports.wild import a_list, read_json
from channels.errors import Doubt, PayloadError, SignatureError

# A post is tried again for about 8 hours (10, 15, 30 minutes, 1, 2 and 4 hours), and whether a retry is signed anew is
# told nowhere.
WINDOW_S = 9 * 3600
MAX_AHEAD_S = 300
MAX_TOKENS = 20_000
PROVIDERS_MAX_BYTES = 25 * 1024 * 1024  # .../receive-forward-store: the largest mail

_PROOFS = ("timestamp", "token", "signature")
_TIME = re.compile(r"[0-9]{1,12}")
_ATTACHMENT = re.compile(r"attachment-[0-9]{1,4}")
_VERDICTS = {"pass": Verdict.PASS, "fail": Verdict.FAIL, "softfail": Verdict.FAIL}


class MailgunTransport:
    """Posts of one account's routes: signed with its HTTP webhook signing key."""

    # Mailgun tries again after every status but 200, which it takes for thanks, and 406, which stops it.
    refusal = Reply(401)
    accepted = ACCEPTED

    def __init__(self, settings: MailgunInbound, max_mail_bytes: int, now: Callable[[], float]) -> None:
        self._key = settings.signing_key
        self._now = now
        self._tokens: OrderedDict[str, bytes] = OrderedDict()
        self.max_body_bytes = 3 * max(max_mail_bytes, PROVIDERS_MAX_BYTES)  # urlencoded, a byte may be three
        self.unwrap: Unwrap = partial(unwrap, max_mail_bytes=max_mail_bytes, key=settings.signing_key)

    def admit(self, request: Request) -> None:
        """Return if it is a form; everything else about it stands in its body.

        Raises:
            SignatureError: it is none.
        """
        only_post(request)
        if media_type(request) not in (MULTIPART, URLENCODED):
            raise SignatureError(Doubt.UNSIGNED)

    async def verify(self, request: Request) -> None:
        """Return if timestamp and token are signed with our key, not too long ago, and the token is new or this mail's.

        Only these two are signed. So whoever once saw a post could send any mail with its proofs: a token is good for
        what it came with first, which is the same in a retry. This process remembers the last tokens; all of them are
        told by what ``unwrap`` returns as ``replay_key``, for whoever keeps the mail.

        Raises:
            SignatureError: they are not, or it is not.
        """
        self.admit(request)
        signed_at, token, content = await asyncio.to_thread(self._read, request)
        if not -MAX_AHEAD_S <= self._now() - int(signed_at) <= WINDOW_S:
            raise SignatureError(Doubt.EXPIRED)
        if self._tokens.setdefault(token, content) != content:
            raise SignatureError(Doubt.REUSED)
        if len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)

    def _read(self, request: Request) -> tuple[str, str, bytes]:
        """Return when the post was signed, its token, and a hash of everything that is not signed."""
        try:
            with opened_form(request) as form:
                signed_at, token = _signed(form, self._key)
                return signed_at, token, _hash(form)
        except PayloadError:
            raise SignatureError(Doubt.UNSIGNED) from None


def _signed(form: Form, key: SecretStr) -> tuple[str, str]:
    """Return when a post was signed, and its token.

    Raises:
        SignatureError: it was not, or not with this key.
    """
    times, tokens, signatures = (list(_given(form, name)) for name in _PROOFS)
    if not (times and tokens and signatures):
        raise SignatureError(Doubt.UNSIGNED)
    for signed_at, token, signature in product(times, tokens, signatures):
        expected = hmac.digest(key.get_secret_value().encode(), f"{signed_at}{token}".encode(), hashlib.sha256).hex()
        if hmac.compare_digest(expected.encode(), signature.encode()) and _TIME.fullmatch(signed_at):
            return signed_at, token
    raise SignatureError(Doubt.MISMATCH)


def _given(form: Form, name: str) -> Iterator[str]:
    """Yield what may be a proof: the mail's own headers are fields too, and may be named like one."""
    fields = form.named(name)
    for field in dict.fromkeys((*fields[:2], *fields[-2:])):
        if field.end - field.start <= 200:  # a token has 50 characters, a signature 64
            yield form.read(field).decode("utf-8", "replace")


def _hash(form: Form) -> bytes:
    """Return a hash of all fields but the proofs, in whatever order they stand."""
    digests = []
    for field in form.fields:
        if field.name not in _PROOFS:
            digest = hashlib.sha256(field.name.encode("utf-8", "replace") + b"\0")
            for piece in form.pieces(field):
                digest.update(piece)
            digests.append(digest.digest())
    return hashlib.sha256(b"".join(sorted(digests))).digest()


# --- what is in it ---


def unwrap(request: Request, max_mail_bytes: int, key: SecretStr) -> Envelope:
    """Return the mail in a post; ``key`` tells its token from a header of the mail that is named so.

    Raises:
        PayloadError: there is none.
    """
    with opened_form(request) as form:
        senders, recipients = (tuple(dict.fromkeys(_texts(form, name))) for name in ("sender", "recipient"))
        # Two senders: a header of the mail is named so, and which one is the envelope's cannot be told.
        mail_from = senders[0] if len(senders) == 1 else None
        envelope = Envelope(b"", mail_from, tuple(filter(None, recipients)), replay_key=_replay_key(form, key))
        whole = form.first("body-mime")
        if whole is not None:
            raw, size = form.message(whole, max_mail_bytes)
            sure = len(form.named("body-mime")) == 1
            verdicts = _verdicts(split_head(head_of(raw)), mail_from) if sure else Verdicts()
            return replace(envelope, raw=raw, verdicts=verdicts, whole_size=size)
        return _rebuilt(form, envelope, max_mail_bytes)


def _replay_key(form: Form, key: SecretStr) -> str | None:
    """Return a token's hash; None where the key has been changed since the post was verified."""
    try:
        _, token = _signed(form, key)
    except SignatureError:
        return None
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def _texts(form: Form, name: str) -> Iterator[str]:
    for field in form.named(name)[:20]:
        yield form.read(field, 1000).decode("utf-8", "replace").strip()


def _rebuilt(form: Form, envelope: Envelope, max_mail_bytes: int) -> Envelope:
    listed = form.named("message-headers")
    if not listed:
        raise PayloadError("a form without a mail: neither body-mime nor message-headers")
    if form.first("attachments") is not None and form.first("attachment-count") is None:
        raise PayloadError("the route stores the mail's files at Mailgun: make its action forward(), not store()")
    pairs = a_list(read_json(form.text("message-headers")))
    headers = [as_header(*pair) for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    # Two lists: one is a header of the mail that is named so, and its sender's word.
    verdicts = _verdicts(headers, envelope.mail_from) if len(listed) == 1 else Verdicts()
    envelope = replace(envelope, verdicts=verdicts, rebuilt=True)
    attached = [field for field in form.fields if _ATTACHMENT.fullmatch(field.name)]
    bodies = [field for name in ("body-plain", "body-html") for field in form.named(name)[:1]]
    size = rebuilt_size(headers, map(form.size, (*bodies, *attached)))
    if size > max_mail_bytes:
        return header_only(envelope, headers, size)
    ids = _content_ids(form.text("content-id-map"))
    text, html = (_text(form, name) for name in ("body-plain", "body-html"))
    files = [File(form.read(field), field.content_type, field.filename, ids.get(field.name)) for field in attached]
    return replace(envelope, raw=rebuild(headers, text, html, files))


def _text(form: Form, name: str) -> Text | None:
    field = form.first(name)
    content = b"" if field is None else form.read(field)
    return Text(content) if content else None  # Mailgun posts an empty one where there is only HTML


def _content_ids(text: str) -> dict[str, str]:
    """Return the content ids by field; Mailgun's map, the other way round, may have a key twice."""
    try:
        pairs = json.loads(text or "{}", object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return {}
    return {value: key for key, value in pairs if isinstance(value, str)} if isinstance(pairs, tuple) else {}


def _verdicts(headers: Headers, mail_from: str | None) -> Verdicts:
    """Read what Mailgun found out: its own headers stand above the first Received, and nobody else's can."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name.lower() == b"received":
            spf, dkim = (found.get(key, "") for key in (b"x-mailgun-spf", b"x-mailgun-dkim-check-result"))
            return Verdicts(
                _VERDICTS.get(spf, Verdict.NONE), _VERDICTS.get(dkim, Verdict.NONE), spf_domain=domain_of(mail_from)
            )
        found.setdefault(name.lower(), value.decode("utf-8", "replace").strip().lower())
    return Verdicts()
