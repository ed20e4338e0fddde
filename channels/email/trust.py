"""How far a sender can be believed to be who the From header says. Pure.

The address that counts is the one of the From header, never a display name or a Reply-To. It is believed where DMARC
says so (RFC 7489), or where a good DKIM signature or SPF speaks for its domain. A domain speaks for itself and for what
lies beneath it: ``example.org`` for ``mail.example.org``, because it owns it. The other way round DMARC's relaxed
alignment needs the public suffix list, without which ``mine.co.example`` would speak for everything in
``co.example``; that is left to the border host, which has the list and says ``dmarc=pass``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from channels.email.authentication import Result, raw_headers, read_results
from channels.email.envelope import Envelope, Verdict, Verdicts
from channels.email.mail import Mail
from channels.email.mime.addresses import read_addresses
from channels.email.settings import TrustSettings

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
# RFC 8601, section 2.7. A signature or a policy that could not be checked says nothing: neutral, none, temperror,
# permerror, and what hosts have invented, such as Microsoft's bestguesspass.
_PASSED = frozenset({"pass"})
_FAILED = frozenset({"fail", "softfail", "hardfail"})

Level = Literal["verified", "unverified", "failed"]


@dataclass(frozen=True, slots=True)
class Trust:
    """What is made of a sender."""

    level: Level
    why: str
    """In a word: ``dmarc``, ``dkim``, ``spf``, ``spf_and_dkim``, ``not_aligned``, ``not_checked`` or ``no_sender``."""


def judge(mail: Mail, envelope: Envelope, settings: TrustSettings, dkim: tuple[str, ...] | None = None) -> Trust:
    """Return how far the From address is believed.

    ``dkim`` are the domains whose signatures were found good by ourselves, None where nobody has looked.
    """
    domain = _sender_domain(mail, envelope)
    if domain is None:
        return Trust("unverified", "no_sender")
    if any(_speaks_for(signer, domain) for signer in dkim or ()):
        return Trust("verified", "dkim")
    told = _evidence(envelope, settings, domain)
    if told.dmarc is not Verdict.NONE:
        return Trust("verified" if told.dmarc is Verdict.PASS else "failed", "dmarc")
    if any(_speaks_for(signer, domain) for signer in told.dkim_domains):
        return Trust("verified", "dkim")
    if told.spf is Verdict.PASS and told.spf_domain is not None and _speaks_for(told.spf_domain, domain):
        return Trust("verified", "spf")
    if told.spf is Verdict.FAIL and told.dkim is Verdict.FAIL:
        return Trust("failed", "spf_and_dkim")
    is_checked = dkim is not None or told != Verdicts()
    return Trust("unverified", "not_aligned" if is_checked else "not_checked")


# --- who is meant ---


def _sender_domain(mail: Mail, envelope: Envelope) -> str | None:
    """Return the domain of the From address where there is exactly one, whichever way the header is read.

    Whoever checked the message has read the header as it came; we show it decoded, in which an encoded word
    may turn into an address.
    """
    written = raw_headers(envelope.raw, "from")
    shown = mail.header("from")
    if len(written) != 1 or shown is None:
        return None
    meant, seen = read_addresses(written[0]), read_addresses(shown)
    if len(meant) != 1 or not seen or seen[0].address != meant[0].address:
        return None
    domain = meant[0].address.rpartition("@")[2]
    return domain if _DOMAIN.fullmatch(domain) else None


def _speaks_for(signer: str, domain: str) -> bool:
    signer = signer.strip().lower().rstrip(".")
    return _DOMAIN.fullmatch(signer) is not None and (domain == signer or domain.endswith(f".{signer}"))


# --- what was checked ---


def _evidence(envelope: Envelope, settings: TrustSettings, domain: str) -> Verdicts:
    """Return what the carrier says; only where it says nothing, what our own border host wrote into the message.

    Through a provider comes what anybody has sent to it, with whatever headers they like.
    """
    told = envelope.verdicts
    if told != Verdicts():
        spf_domain = told.spf_domain or (envelope.mail_from or "").rpartition("@")[2] or None
        return Verdicts(told.spf, told.dkim, told.dmarc, told.dkim_domains, spf_domain)
    if settings.authserv_id is None:
        return Verdicts()
    for header in raw_headers(envelope.raw, "authentication-results"):
        if (results := read_results(header, settings.authserv_id)) is not None:
            return _verdicts(results, domain)  # the topmost: those below may have come with the message
    return Verdicts()


def _verdicts(results: tuple[Result, ...], domain: str) -> Verdicts:
    spf = [result for result in results if result.method == "spf"]
    dkim = [result for result in results if result.method == "dkim"]
    signers = (_domain_of(r.property("header.d") or r.property("header.i")) for r in dkim if r.value in _PASSED)
    spf_domains = [_domain_of(result.property("smtp.mailfrom")) for result in spf]
    return Verdicts(
        spf=_verdict(result.value for result in spf),
        dkim=_verdict_of_signatures(dkim),
        dmarc=_dmarc([result for result in results if result.method == "dmarc"], domain),
        dkim_domains=tuple(signer for signer in signers if signer is not None),
        spf_domain=spf_domains[0] if len(spf_domains) == 1 else None,
    )


def _verdict(values: Iterable[str]) -> Verdict:
    """Return what several results of one method come to: the worst of them."""
    told = frozenset(values)
    if told & _FAILED:
        return Verdict.FAIL
    return Verdict.PASS if told and told <= _PASSED else Verdict.NONE


def _verdict_of_signatures(results: list[Result]) -> Verdict:
    """Return what all signatures come to: one good one is enough (RFC 6376, section 6.1)."""
    if any(result.value in _PASSED for result in results):
        return Verdict.PASS
    return _verdict(result.value for result in results)


def _dmarc(results: list[Result], domain: str) -> Verdict:
    """Return what DMARC says about the sender that we read; that the host has read another one says nothing."""
    about = (value for result in results for name, value in result.properties if name == "header.from")
    if any(_domain_of(value) != domain for value in about):
        return Verdict.NONE
    return _verdict(result.value for result in results)


def _domain_of(value: str | None) -> str | None:
    domain = (value or "").rpartition("@")[2].rstrip(".")
    return domain if _DOMAIN.fullmatch(domain) else None
