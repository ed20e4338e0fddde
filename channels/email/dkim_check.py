"""Checking DKIM signatures (RFC 6376) ourselves, where no border host does it.

It asks the DNS and takes a while, so it runs in a process of its own. dkimpy's patterns take quadratic time over long
white space, and its keys any length: what no real message has is turned away before it.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import dkim
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from channels.email.authentication import raw_headers

_MAX_SIGNATURES = 5  # of one message; mailing lists and providers come to three
_MAX_BYTES = 64 * 1024 * 1024
_MAX_HEAD = 256 * 1024  # bytes
_MAX_FIELDS = 500  # headers of one message
_MAX_SIGNATURE = 4096  # characters of one DKIM-Signature
_MAX_KEY = 2048  # characters of one key's record; 8192 bits of RSA are 1400
_MAX_SPACE_STEPS = 50_000_000  # about half a second of dkimpy's
_LONG_SPACE = re.compile(rb"[ \t]{32,}")
_SILENT = logging.Logger("dkim", logging.CRITICAL + 1)  # noqa: LOG001 - dkimpy would log what strangers have written
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class FindText(Protocol):
    """Asks the DNS for a TXT record."""

    def __call__(self, name: str, timeout_s: float) -> bytes | None:
        """Return the record, or None where there is none or nobody answers in time."""


def check(
    raw: bytes,
    find_text: FindText | None = None,
    *,
    timeout_s: float = 2.0,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, ...]:
    """Return the domains whose signatures are good, in lower case.

    No DNS query is begun after ``timeout_s``, and none lasts longer. A signature that leaves out the From header, which
    dkimpy alone would take, the subject, the date or the recipients, one of several such headers, or the end of the
    body (``l=``) is not counted: anybody could have put in their own. Nor is one whose key is only being tested, or one
    by Ed25519 (RFC 8463), which dkimpy checks only with a library more; whoever signs so signs by RSA, too.
    """
    if not _is_reasonable(raw):
        return ()
    deadline = clock() + timeout_s
    ask = find_text or ask_dns
    good: list[str] = []
    for number in range(min(len(raw_headers(raw, "dkim-signature")), _MAX_SIGNATURES)):
        remaining_s = deadline - clock()
        if remaining_s <= 0:
            break
        domain = _signer(raw, number, ask, remaining_s)
        if domain is not None and domain not in good:
            good.append(domain)
    return tuple(good)


def ask_dns(name: str, timeout_s: float) -> bytes | None:
    """Ask the system's resolver for a TXT record."""
    try:
        answer = dns.resolver.resolve(name, dns.rdatatype.TXT, lifetime=timeout_s, search=False)
    except (dns.exception.DNSException, OSError):
        return None
    return b"".join(answer[0].strings)


def _signer(raw: bytes, number: int, ask: FindText, timeout_s: float) -> str | None:
    def find(name: bytes, timeout: float = timeout_s) -> bytes | None:
        found = ask(name.decode("ascii", "replace"), min(timeout, timeout_s))
        return found if found is not None and len(found) <= _MAX_KEY and not _is_tested(found) else None

    try:
        checker = dkim.DKIM(raw, logger=_SILENT, timeout=timeout_s)
        is_good = checker.verify(number, dnsfunc=find)
    except Exception:  # noqa: BLE001 - dkimpy raises what it likes at what a stranger has written
        return None
    if not is_good or b"l" in checker.signature_fields or not _covers(raw, checker.signature_fields[b"h"]):
        return None
    return str(checker.domain.decode("ascii", "replace")).lower()


def _covers(raw: bytes, names: bytes) -> bool:
    """Tell whether a signature over these headers leaves out none that a reader goes by."""
    signed = Counter(name.strip().lower() for name in names.split(b":"))
    return signed[b"from"] > 0 and all(
        signed[name.encode()] >= len(raw_headers(raw, name)) for name in ("from", "subject", "date", "to")
    )


def _is_tested(record: bytes) -> bool:
    """Tell whether a key's owner only tries it: then a message counts as unsigned (RFC 6376, section 3.6.1, ``t=``)."""
    tags = (tag.partition(b"=") for tag in record.split(b";"))
    return any(b"y" in map(bytes.strip, value.split(b":")) for name, _, value in tags if name.strip() == b"t")


def _is_reasonable(raw: bytes) -> bool:
    found = _END_OF_HEAD.search(raw, 0, _MAX_HEAD)
    if found is None or len(raw) > _MAX_BYTES or raw.count(b"\n", 0, found.end()) > 10 * _MAX_FIELDS:
        return False
    fields = sum(1 for line in raw[: found.start()].split(b"\n") if line[:1] not in (b" ", b"\t"))
    signatures = raw_headers(raw, "dkim-signature")
    steps = sum((run.end() - run.start()) ** 2 for run in _LONG_SPACE.finditer(raw))
    is_short = all(len(signature) <= _MAX_SIGNATURE for signature in signatures[:_MAX_SIGNATURES])
    return fields <= _MAX_FIELDS and is_short and steps <= _MAX_SPACE_STEPS
