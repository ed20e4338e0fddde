"""A mail server's replies (RFC 5321, 3463), and what they mean to us. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

from channels.errors import CredentialsRejected, Refused, RetryLater, SendError, Undeliverable

GREYLISTED_S = (
    300.0  # a greylist opens after five minutes (RFC 6647, section 5); other troubles of one mail take as long
)
CLOSING = 421  # "service not available, closing": about the server, at whatever step it comes
TOO_LARGE = 552

# www.iana.org/assignments/smtp-enhanced-status-codes, read 2026-11: authentication required, mechanism too weak,
# credentials invalid, encryption required.
CREDENTIALS = frozenset({530, 534, 535, 538})

# Of RFC 3463, section 3.2: no such mailbox or domain, no address, moved, null MX (RFC 7505); 3.3: disabled. Exchange
# Online says 5.4.1 of a recipient that its directory does not have.
GONE = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.4.1"})
# The same in a server's reply to RCPT that has no enhanced code: RFC 5321, section 4.2.3.
GONE_PLAIN = frozenset({550, 551, 553})
# What a server says to MAIL about this mail alone: too large, needs what it lacks, is written in what it cannot read.
OF_ONE_MAIL = frozenset({"5.2.3", "5.3.4", "5.5.4", "5.6.7"})
OF_ONE_MAIL_PLAIN = frozenset({501, 504, TOO_LARGE, 555})

MAX_MESSAGE = 300  # characters of what a server says

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


class Step(StrEnum):
    """Where in the dialogue a reply came."""

    OPENING = "opening"
    """The greeting, EHLO, STARTTLS."""
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"
    """DATA, and the end of the mail."""


def smtp_error(step: Step, code: int, text: str) -> SendError:
    """Return what a reply of 400 or more means."""
    enhanced = _enhanced(text)
    message, name = f"{code} {said(text)}".strip(), enhanced or str(code)
    if code == CLOSING or (code < 500 and step in (Step.OPENING, Step.LOGIN)):
        return RetryLater(message, code=name)
    if code < 500:
        return RetryLater(message, code=name, retry_after_s=GREYLISTED_S, channel_wide=False)
    if code in CREDENTIALS or step is Step.LOGIN:
        return CredentialsRejected(message, code=name)
    match step:
        case Step.OPENING:
            return RetryLater(message, code=name)  # nothing has been asked of it yet: it would take no mail at all
        case Step.SENDER if not _is_about_one_mail(code, enhanced):
            return CredentialsRejected(message, code=name)  # it takes none from our address
        case Step.RECIPIENT if enhanced in GONE or (enhanced is None and code in GONE_PLAIN):
            return Undeliverable(message, code=name)
        case Step.CONTENT if enhanced in GONE:
            return Undeliverable(message, code=name)
    return Refused(message, code=name)


def said(text: str) -> str:
    """Return what a server says, short, on one line and without the addresses that it repeats."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_MESSAGE])
    return _ADDRESS.sub("…", " ".join(printable.split()))[:MAX_MESSAGE]


def _is_about_one_mail(code: int, enhanced: str | None) -> bool:
    return enhanced in OF_ONE_MAIL or (enhanced is None and code in OF_ONE_MAIL_PLAIN)


def _enhanced(text: str) -> str | None:
    found = _ENHANCED.match(text.lstrip())
    return found[0] if found else None
