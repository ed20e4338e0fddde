"""What mail servers report about what we sent: that it bounced, arrived, was read, or was called spam. Pure.

Anybody can write a report. One is believed only where it names a Message-ID of ours by its signature, which only those
know whom we wrote to and their servers; and only what it says about that message counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from channels.base import DeliveryStatus, Scope, Status
from channels.email.automatic import has_no_return_path, is_bounce
from channels.email.envelope import Envelope
from channels.email.mail import Mail, Part
from channels.email.notices import Fields, read_fields

FindDelivery = Callable[[str], str | None]
"""Returns the delivery that a Message-ID of ours names, where its signature is good."""

_MAX_BYTES = 256 * 1024  # of one part that is searched; the longest reports found have a few kilobytes
_MAX_IDS = 50
_MAX_TEXT = 300  # characters of a server's words that are kept

_ORIGINALS = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
_DELIVERY = frozenset({"message/delivery-status", "message/global-delivery-status"})  # RFC 3464, 6533
_READING = frozenset({"message/disposition-notification", "message/global-disposition-notification"})  # RFC 8098, 6533
_FEEDBACK = "message/feedback-report"  # RFC 5965

_ID_LINE = re.compile(
    r"^[ \t>|]{0,20}(?:x-)?(?:original-)?message-id[ \t]{0,20}:\s{0,20}<([^<>\s]{1,250})>", re.I | re.M
)
_END_OF_HEAD = re.compile(r"\r?\n\r?\n")
_ID = re.compile(r"<([^<>\s@]{1,250}@[^<>\s@]{1,250})>")
_CODE = re.compile(r"(?<![0-9.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.]*[0-9])")
_REPLY_CODE = re.compile(r"(?<![0-9.+-])5[0-5][0-9](?=[ -](?:5\.|[A-Za-z<(#]))")  # RFC 5321, section 4.2
_COPY = re.compile(r"^-{2,20}.{0,40}(?:copy|original|message).{0,60}$", re.IGNORECASE | re.MULTILINE)
_GIVEN_UP = re.compile(
    r"giv(?:en|ing) up|retry time(?:out)? (?:not reached|exceeded)|in the queue too long|permanent (?:error|failure)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}")

# What says that nobody is there: RFC 3463, sections 3.2 to 3.5, RFC 7505, and what Exchange makes of it
# (learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online, read 2026-11).
# 5.1.7 and 5.1.8 are about the sender's address, 5.2.2 is a full mailbox.
_NOBODY = re.compile(r"5\.1\.(?:0|1|2|3|4|6|10)|5\.2\.1|5\.4\.(?:1|4|310)")
# Servers that know no such codes say it in words; each was seen after 550 or 553.
_NOBODY_IN_WORDS = re.compile(
    r"no such (?:user|recipient|mailbox|person|address)|(?:user|recipient|mailbox|address|account) (?:is )?unknown"
    r"|unknown (?:user|recipient|mailbox|address)|does(?: not|n't) exist|(?:user|mailbox|recipient|address) not found"
    r"|no mailbox here by that name|mailbox unavailable|invalid (?:recipient|mailbox)|unrouteable address"
    r"|host not found|(?:mailbox|account) (?:is |has been )?(?:disabled|deactivated)",
    re.IGNORECASE,
)
# Feedback-Type: RFC 5965, section 7.3, and the opt-outs of RFC 5965's drafts, which are still sent.
_COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})


@dataclass(frozen=True, slots=True)
class Report:
    """A message that only reports."""

    kind: str
    """``bounce``, ``complaint`` or ``read_receipt``."""
    statuses: tuple[Status, ...] = ()
    """What is believed of it; empty where it names nothing of ours, or nothing that changes a delivery."""


def read_report(mail: Mail, envelope: Envelope, account: str, find_delivery: FindDelivery) -> Report | None:
    """Return what a message reports, or None where it is no report.

    ``account`` is our address that the statuses are about.
    """
    kinds = {part.content_type for part in mail.parts}
    is_from_server = is_bounce(mail, envelope)
    is_report = mail.report_type is not None or mail.content_type == "multipart/report"
    if not is_report and not is_from_server and not has_no_return_path(mail, envelope):
        return None
    if mail.report_type == "disposition-notification" or kinds & _READING:
        return Report("read_receipt")
    if mail.report_type == "feedback-report" or _FEEDBACK in kinds:
        return Report("complaint", _complaint(mail, account, find_delivery))
    if mail.report_type == "delivery-status" or kinds & _DELIVERY:
        return Report("bounce", _delivery_report(mail, account, find_delivery))
    return _bounce_in_words(mail, is_from_server, account, find_delivery)


# --- complaints ---


def _complaint(mail: Mail, account: str, find_delivery: FindDelivery) -> tuple[Status, ...]:
    told = next((f for p in mail.parts if p.content_type == _FEEDBACK for f in read_fields(_text(p))), {})
    kind = told.get("feedback-type", "abuse").strip().lower()
    delivery_id = _named_delivery(mail, find_delivery)
    if delivery_id is None or kind not in _COMPLAINTS:
        return ()
    text = "the recipient has called the message spam"
    # Nothing more until they write themselves; and nothing that we begin, unless they ask for it.
    status = Status(account, DeliveryStatus.FAILED, None, delivery_id, "complaint", text, Scope.MARKETING)
    return (replace(status, undeliverable=True),)


# --- delivery reports ---


def _delivery_report(mail: Mail, account: str, find_delivery: FindDelivery) -> tuple[Status, ...]:
    delivery_id = _named_delivery(mail, find_delivery)
    if delivery_id is None:
        return ()
    groups = [f for p in mail.parts if p.content_type in _DELIVERY for f in read_fields(_text(p))]
    told = [(_action(fields), fields) for fields in groups if "action" in fields or "status" in fields]
    # Each message of ours has one recipient; several groups are what became of it behind an alias of theirs.
    if any(action in ("delivered", "relayed", "expanded") for action, _ in told):
        arrived = any(action == "delivered" for action, _ in told)
        return (Status(account, DeliveryStatus.DELIVERED, delivery_id=delivery_id),) if arrived else ()
    failed = next((fields for action, fields in told if action == "failed"), None)
    if failed is None:
        return ()
    said = failed.get("diagnostic-code", "").partition(";")[2] or failed.get("diagnostic-code", "")
    return (_failure(account, delivery_id, _code(failed.get("status", ""), said), said),)


def _action(fields: Fields) -> str:
    """Return what became of the message; servers that leave it out (RFC 3464 does not allow that) give a status."""
    words = fields.get("action", "").lower().split()
    if words:
        return words[0]
    found = _CODE.search(fields["status"])
    return {"2": "delivered", "5": "failed"}.get(found[1][0], "delayed") if found else "delayed"


def _code(status: str, said: str) -> str | None:
    """Return the code that says most: ``5.0.0`` is what a server writes that has only copied another's words."""
    found, better = _CODE.search(status), _CODE.search(said)
    if better is not None and (found is None or found[1].endswith(".0.0")):
        return better[1]
    return found[1] if found else None


def _failure(account: str, delivery_id: str, code: str | None, said: str) -> Status:
    vague = code is None or code == "5.0.0"
    nobody = bool(_NOBODY_IN_WORDS.search(said[:2000])) if vague else bool(_NOBODY.fullmatch(code or ""))
    return Status(
        account,
        DeliveryStatus.FAILED,
        delivery_id=delivery_id,
        error_code=code or "bounced",
        error_message=_shortened(said),
        undeliverable=nobody,
    )


def _shortened(said: str) -> str | None:
    """Return a server's words on one line, without the addresses in them."""
    words = " ".join(_ADDRESS.sub("…", said[: 4 * _MAX_TEXT]).split())
    return words[:_MAX_TEXT] or None


# --- bounces that are no reports: qmail, old Exim, and whatever stands behind a web form ---


def _bounce_in_words(mail: Mail, is_from_server: bool, account: str, find_delivery: FindDelivery) -> Report | None:
    said = _before_original((mail.text or mail.html)[:_MAX_BYTES])
    code, why = _CODE.search(said), _REPLY_CODE.search(said) or _NOBODY_IN_WORDS.search(said)
    is_final = why or _GIVEN_UP.search(said) or mail.header("x-failed-recipients") is not None
    # An answering machine has no return path either, and says in In-Reply-To what it answers: the text has to tell.
    delivery_id = _named_delivery(mail, find_delivery, by_header=is_from_server)
    if delivery_id is None or not (is_final or (code is not None and code[1].startswith("5"))):
        return Report("bounce") if is_from_server else None
    line = _line_at(said, code or why)
    return Report("bounce", (_failure(account, delivery_id, code[1] if code else None, line),))


def _before_original(text: str) -> str:
    """Return what the server says itself, before its copy of our message."""
    starts = [found.start() for found in (_ID_LINE.search(text), _COPY.search(text)) if found]
    return text[: min(starts)] if starts else text


def _line_at(text: str, found: re.Match[str] | None) -> str:
    if found is None:
        return ""
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start:] if end < 0 else text[start:end]


# --- which message it is about ---


def _named_delivery(mail: Mail, find_delivery: FindDelivery, *, by_header: bool = True) -> str | None:
    """Return the delivery that a report names: by the copy of our message first, by a bare mention last."""
    answered = (mail.header("in-reply-to") or "") if by_header else ""
    for message_id in (*_copied_ids(mail), *_ID.findall(answered)[:1]):
        if (delivery_id := find_delivery(message_id)) is not None:
            return delivery_id
    mentioned = {d for text in _texts(mail) for i in _ID.findall(text)[:_MAX_IDS] if (d := find_delivery(i))}
    return mentioned.pop() if len(mentioned) == 1 else None  # several are a thread, and the report says not which


def _copied_ids(mail: Mail) -> Iterator[str]:
    for part in mail.parts:
        if part.content_type in _ORIGINALS:
            head = _END_OF_HEAD.split(_text(part).lstrip("\r\n"), maxsplit=1)[0]
            yield from _ID_LINE.findall(head)[:1]
    for part in mail.parts:
        if part.content_type in _DELIVERY or part.content_type == _FEEDBACK:
            yield from _ID_LINE.findall(_text(part))[:_MAX_IDS]
    yield from _ID_LINE.findall(mail.text[:_MAX_BYTES])[:_MAX_IDS]


def _texts(mail: Mail) -> tuple[str, ...]:
    parts = tuple(_text(part) for part in mail.parts if part.content_type.startswith(("text/", "message/")))
    return (mail.text[:_MAX_BYTES], mail.html[:_MAX_BYTES], *parts)


def _text(part: Part) -> str:
    return part.content[:_MAX_BYTES].decode("utf-8", "replace")
