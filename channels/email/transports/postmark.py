"""Postmark's inbound webhook (postmarkapp.com/developer/webhooks/inbound-webhook, read 2026-11), with or without the
raw mail in it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from channels.base import Parsed, Reply, Request
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.settings import PostmarkInbound
from channels.email.transports.base import ACCEPTED, MAX_HEAD_BYTES, Login, Unwrap, domain_of, head_of, only_post
from channels.email.transports.rebuilt import (
    File,
    Headers,
    Text,
    as_header,
    header_only,
    rebuild,
    rebuilt_size,
)
from channels.email.transports.wild import a_list, a_map, a_text, read_json_body
from channels.errors import PayloadError

PROVIDERS_MAX_BYTES = 48 * 1024 * 1024  # .../developer/user-guide/inbound: 35 MB of attachments, before their encoding
# SpamAssassin, whose findings Postmark hands on, looks at no mail larger than this unless it is told to (spamc(1), -s):
# what such a mail says about itself is a stranger's word.
MAX_CHECKED_BYTES = 500 * 1000

# spamassassin.apache.org/tests_3_3_x.html; AU: the author's own domain has signed.
_SIGNED_BY_AUTHOR, _SIGNED, _BADLY_SIGNED = "DKIM_VALID_AU", "DKIM_VALID", "DKIM_INVALID"
_SPF = {"SPF_PASS": Verdict.PASS, "SPF_FAIL": Verdict.FAIL, "SPF_SOFTFAIL": Verdict.FAIL}


class PostmarkTransport:
    """Posts of one inbound stream: with a user name and password in their address, since Postmark signs nothing."""

    # Postmark tries again after every status but 200, which it takes for thanks, and 403, which stops it.
    refusal = Reply(401)
    accepted = ACCEPTED

    def __init__(self, settings: PostmarkInbound, max_mail_bytes: int) -> None:
        self._login = Login(settings.username, settings.password.get_secret_value())
        self.max_body_bytes = 3 * max(max_mail_bytes, PROVIDERS_MAX_BYTES)  # the mail, and once more in its parts
        self.unwrap: Unwrap = partial(unwrap, max_mail_bytes=max_mail_bytes)

    def admit(self, request: Request) -> None:
        """Return if the request has our user name and password.

        Raises:
            SignatureError: it has not.
        """
        only_post(request)
        self._login.check(request)

    async def verify(self, request: Request) -> None:
        """Return if the request has our user name and password.

        Raises:
            SignatureError: it has not.
        """
        self.admit(request)


# --- what is in it ---


def unwrap(request: Request, max_mail_bytes: int) -> Envelope | Parsed:
    """Return the mail in a post; a report on what was sent is ignored by its name.

    Raises:
        PayloadError: there is none.
    """
    told = read_json_body(request)
    if not isinstance(told, dict):
        raise PayloadError("not a JSON object")
    kind = a_text(told.get("RecordType")) or "Inbound"
    if kind != "Inbound":
        return Parsed((), ACCEPTED, ignored=(f"postmark:{kind[:40]}",))
    headers, whole = _headers(told), a_text(told.get("RawEmail"))
    if not headers and not whole:
        raise PayloadError("no mail: neither RawEmail nor Headers")
    recipient = a_text(told.get("OriginalRecipient")).strip()
    envelope = Envelope(b"", _mail_from(headers), (recipient,) if recipient else ())
    if whole and not (headers and "\N{REPLACEMENT CHARACTER}" in whole):
        return _whole(whole, headers, envelope, told, max_mail_bytes)
    return _rebuilt(told, headers, replace(envelope, rebuilt=True), max_mail_bytes)


def _whole(text: str, headers: Headers, envelope: Envelope, told: Mapping[str, Any], max_mail_bytes: int) -> Envelope:
    """Return the mail as it came; Postmark has changed its line ends, over which signatures are computed."""
    if len(text) > max_mail_bytes:
        raw = head_of(text[:MAX_HEAD_BYTES].encode("utf-8", "replace"))
        return replace(envelope, raw=raw, verdicts=_verdicts(headers, told, len(text)), whole_size=len(text))
    raw = text.encode("utf-8", "replace").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return replace(envelope, raw=raw, verdicts=_verdicts(headers, told, len(raw)))


def _rebuilt(told: Mapping[str, Any], headers: Headers, envelope: Envelope, max_mail_bytes: int) -> Envelope:
    attached = [file for file in a_list(told.get("Attachments")) if isinstance(file, dict)]
    bodies = [a_text(told.get(name)).encode("utf-8", "replace") for name in ("TextBody", "HtmlBody")]
    size = rebuilt_size(headers, [*map(len, bodies), *(len(_content(file)) * 3 // 4 for file in attached)])
    envelope = replace(envelope, verdicts=_verdicts(headers, told, size))
    if size > max_mail_bytes:
        return header_only(envelope, headers, size)
    text, html = (Text(body) if body else None for body in bodies)
    return replace(envelope, raw=rebuild(headers, text, html, map(_file, attached)))


def _headers(told: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the mail's headers, with those that Postmark has taken out of their list."""
    given = [a_map(item) for item in a_list(told.get("Headers"))]
    listed = [as_header(item.get("Name"), item.get("Value")) for item in given if item.get("Name")]
    people = {
        "From": [told.get("FromFull")],
        "To": a_list(told.get("ToFull")),
        "Cc": a_list(told.get("CcFull")),
    }
    found = {name: ", ".join(filter(None, map(_mailbox, several))) for name, several in people.items()}
    for name, field in (("Reply-To", "ReplyTo"), ("Subject", "Subject"), ("Date", "Date")):
        found[name] = a_text(told.get(field))
    names = {name.lower() for name, _ in listed}
    missing = [as_header(name, value) for name, value in found.items() if value and name.lower().encode() not in names]
    return [*listed, *missing]


def _mailbox(full: object) -> str:
    address, name = (a_text(a_map(full).get(key)).strip() for key in ("Email", "Name"))
    if not address or not name:
        return address
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + f'" <{address}>'


def _mail_from(headers: Headers) -> str | None:
    """Return the envelope's sender, which Postmark tells in a header only."""
    path = next((value for name, value in headers if name.lower() == b"return-path"), None)
    return None if path is None else path.decode("utf-8", "replace").strip(" <>")


def _content(file: Mapping[str, Any]) -> str:
    return a_text(file.get("Content")) or a_text(file.get("Data"))  # Data: what the dashboard's Check button posts


def _file(file: Mapping[str, Any]) -> File:
    try:
        content = base64.b64decode(_content(file))
    except (binascii.Error, ValueError) as error:
        raise PayloadError("an attachment is no base64") from error
    kind, name, content_id = (a_text(file.get(key)) for key in ("ContentType", "Name", "ContentID"))
    return File(content, kind, name, content_id)


def _verdicts(headers: Headers, told: Mapping[str, Any], size: int) -> Verdicts:
    """Read what SpamAssassin found out for Postmark; of two lists of its tests, one is the sender's."""
    lists = [value for name, value in headers if name.lower() == b"x-spam-tests"]
    if len(lists) != 1 or size > MAX_CHECKED_BYTES:
        return Verdicts()
    tests = {test.strip() for test in lists[0].decode("utf-8", "replace").split(",")}
    spf = next((verdict for test, verdict in _SPF.items() if test in tests), Verdict.NONE)
    author = domain_of(a_text(a_map(told.get("FromFull")).get("Email")))
    if _SIGNED_BY_AUTHOR in tests and author:
        return Verdicts(spf, Verdict.PASS, dkim_domains=(author,))
    dkim = Verdict.PASS if _SIGNED in tests else Verdict.FAIL if _BADLY_SIGNED in tests else Verdict.NONE
    return Verdicts(spf, dkim)  # whose SPF record it was is told by no header that only Postmark can have written
