"""X-Twilio-Signature: an HMAC over the URL and the form (www.twilio.com/docs/usage/security, read 2026-11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
"""Names the algorithm where a webhook is signed with a SharedKey: ``key=…,algorithm=HMAC_SHA256``."""

Form = Iterable[tuple[str, str]]

# twilio 9.13 source, request_validator.py.
ALGORITHMS: Mapping[str, Any] = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
DEFAULT_ALGORITHM = "HMAC_SHA1"
DEFAULT_PORTS = {"https": 443, "http": 80}

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")  # RFC 3986, appendix B
# The parameters that name a message, with their value behind them as the signature has it.
_MESSAGE = re.compile(r"(?:Message|Sms)Sid[SM]M[0-9a-f]{32}")
_PLAIN_NAME = re.compile(r"[A-Za-z]*Sid")
_PLAIN_SID = re.compile(r"[SM]M[0-9a-f]{32}")


def sign(url: str, form: Form, token: str, algorithm: str = DEFAULT_ALGORITHM) -> str:
    """Return the signature of a form posted to a URL.

    Parameters are sorted by name; each contributes its name and value, blanks too. Of a repeated parameter each
    different value counts once, sorted, as the twilio SDK's RequestValidator has it.
    """
    return _sign(_bytes(url) + _canonical(form), token, algorithm)


def matches(signature: str, urls: Iterable[str], form: Form, tokens: Iterable[str], settings: str | None) -> bool:
    """Tell whether a signature is that of any of these URLs with any of these tokens.

    ``settings`` is the header beside the signature, None where there is none. A comparison takes the same time
    wherever the difference is.
    """
    algorithm = _algorithm(settings)
    if algorithm not in ALGORITHMS:
        return False
    given, canonical = _bytes(signature), _canonical(form)
    signed = [_bytes(url) + canonical for url in urls]
    return any(
        hmac.compare_digest(_sign(text, token, algorithm).encode("ascii"), given) for token in tokens for text in signed
    )


def spellings(url: str) -> Iterator[str]:
    """Yield a URL as it is, and with or without a port: Twilio signs either (twilio 9.13 source)."""
    yield url
    parts = urlsplit(url)
    if parts.port is None:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORTS[parts.scheme]}"))
    else:
        yield urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))


def hides_a_message(form: Form) -> bool:
    """Tell whether another parameter than the customer's text carries in it the field that names a message.

    The signature runs names and values together. A customer who has seen the signature of a message of their own could
    post the same characters cut up differently: their text becomes fields, one of them another message's id, and the
    true id disappears in a parameter that nobody reads.
    """
    return any(
        _MESSAGE.search(name + value) and not (_PLAIN_NAME.fullmatch(name) and _PLAIN_SID.fullmatch(value))
        for name, value in form
        if name != "Body"
    )


def origin_of(url: str) -> str:
    """Return the scheme and the authority of a URL, or nothing where it has none."""
    found = _ORIGIN.match(url)
    return found[0] if found else ""


def path_of(target: str) -> str:
    """Return the path and the query of a request's target: a proxy's, or a stranger's, may begin with any origin."""
    return target[len(origin_of(target)) :]


def _sign(text: bytes, token: str, algorithm: str) -> str:
    return base64.b64encode(hmac.digest(token.encode(), text, ALGORITHMS[algorithm])).decode("ascii")


def _canonical(form: Form) -> bytes:
    return _bytes("".join(name + value for name, value in sorted(set(form))))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a header or a target may hold anything


def _algorithm(settings: str | None) -> str:
    for part in (settings or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return DEFAULT_ALGORITHM
