"""What every webhook transport is, and what several need: a password in a URL, a message that is too large."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from channels.base import Parsed, Reply, Request
from channels.email.envelope import Envelope
from channels.errors import Doubt, SignatureError

MAX_HEAD_BYTES = 256 * 1024
"""As much of a message is kept as its headers where no empty line ends them."""
ACCEPTED = Reply(200)
"""The only status that every one of the providers takes for an answer."""

Unwrap = Callable[[Request], Envelope | Parsed]


class Transport(Protocol):
    """How one provider posts mail to us."""

    refusal: Reply
    """What a request is answered that proves nothing: whatever keeps this provider from giving a mail up for good,
    where the fault is a mistyped secret of ours."""
    accepted: Reply
    """What a request is answered whose mail is on disk."""
    max_body_bytes: int
    """More than this provider posts for the largest mail that it takes."""
    unwrap: Unwrap
    """Turns a verified request into the mail in it, or says what it is instead; pure, and made to be pickled for a
    process of ours. Raises PayloadError where it cannot."""

    def admit(self, request: Request) -> None:
        """Return if the headers are ones that the provider could send; the body may be missing yet.

        Raises:
            SignatureError: they are not.
        """

    async def verify(self, request: Request) -> None:
        """Return if the request proves that the provider posted it; includes what ``admit`` says.

        Raises:
            SignatureError: it does not.
            RetryLater: what proves it could not be fetched now.
        """


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and password that stand in the webhook's address, and so in each request (RFC 7617)."""

    username: str
    password: str

    def check(self, request: Request) -> None:
        """Return if the request has them.

        Raises:
            SignatureError: it has none, or others.
        """
        scheme, _, given = (request.header("Authorization") or "").strip().partition(" ")
        if scheme.lower() != "basic" or not given.strip():
            raise SignatureError(Doubt.UNSIGNED)
        expected = f"{self.username}:{self.password}".encode()
        # The lengths of what is compared are always the same, so the time tells nothing of the password's.
        if not hmac.compare_digest(_sha256(_decoded(given.strip())), _sha256(expected)):
            raise SignatureError(Doubt.WRONG_LOGIN)

    def __repr__(self) -> str:
        return "Login(...)"


def only_post(request: Request) -> None:
    """Return if the request is a POST.

    Raises:
        SignatureError: it is not: nobody sends mail otherwise.
    """
    if request.method != "POST":
        raise SignatureError(Doubt.UNSIGNED)


def media_type(request: Request) -> str:
    """Return the content type in lower case without parameters; empty where there is none."""
    return (request.header("Content-Type") or "").partition(";")[0].strip().lower()


def head_of(start: bytes) -> bytes:
    """Return the header block that a message begins with, its empty line included."""
    ends = [start.find(blank) + len(blank) for blank in (b"\r\n\r\n", b"\n\n") if blank in start]
    return start[: min(ends)] if ends else start[:MAX_HEAD_BYTES]


def split_head(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a header block, each with its folds; what is no header is left out."""
    found: list[tuple[bytes, bytes]] = []
    for line in head.splitlines():
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t") and found:
            found[-1] = (found[-1][0], found[-1][1] + b"\n" + line)
        elif colon:
            found.append((name.strip(), value.strip()))
    return found


def domain_of(address: str | None) -> str | None:
    """Return the domain of an envelope's sender in lower case, None where there is none."""
    domain = (address or "").rpartition("@")[2].strip(" <>.").lower()
    return domain or None


def _decoded(given: str) -> bytes:
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
