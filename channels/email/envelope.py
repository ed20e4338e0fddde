"""What every transport ends in: the raw message, and what its carrier says about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RAW = "message/rfc822"
MAIL_FROM = "X-Frontdesk-Mail-From"
RCPT_TO = "X-Frontdesk-Rcpt-To"
WHOLE_SIZE = "X-Frontdesk-Size"
"""Headers of a request that carries a bare message: the envelope's sender, which may be empty, one for each recipient,
and the message's whole size where only its headers are carried."""
UNREADABLE = "X-Frontdesk-Unreadable"
"""Header of a request for a mail that the mailbox's server does not give: ``body`` where its headers are here, ``all``
where nothing is."""


class Verdict(StrEnum):
    """What a check of the sender gave."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NONE = "none"
    """Nothing was checked, or nothing can be said."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the carrier has checked (RFC 7208, 6376, 7489); each speaks for itself, and DMARC for the From address."""

    spf: Verdict = Verdict.NONE
    dkim: Verdict = Verdict.NONE
    dmarc: Verdict = Verdict.NONE
    dkim_domains: tuple[str, ...] = ()
    """The domains whose signatures are good, where the carrier names them."""
    spf_domain: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way in."""

    raw: bytes
    """The message (RFC 5322); rebuilt from its fields where the carrier has taken it apart."""
    mail_from: str | None = None
    """The envelope's sender; empty for a bounce (RFC 5321, section 4.5.5), None where the carrier does not tell."""
    recipients: tuple[str, ...] = ()
    """The envelope's recipients, as they were written; empty where the carrier does not tell."""
    verdicts: Verdicts = Verdicts()
    whole_size: int | None = None
    """The size of a message of which ``raw`` has only the headers; None where it is whole."""
    rebuilt: bool = False
    """Whether ``raw`` was rebuilt, so that no signature of it holds."""
    unreadable: bool = False
    """Whether ``raw`` has only the headers because the mailbox's server does not give the rest."""
    replay_key: str | None = None
    """What proved the request, hashed, where that proof does not cover the message: it belongs to the first message
    that comes with it, and another one under it is a forgery. None where the proof covers the message."""
