"""Whole messages from something of the owner's own, signed with a shared secret.

``X-Frontdesk-Signature: t=<unix time>,v1=<hex HMAC-SHA256(secret, t + "." + body)>``; the body is the message.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable
from functools import partial

from channels.base import Reply, Request
from channels.email.envelope import Envelope
from channels.email.settings import RawInbound
from channels.email.transports.base import ACCEPTED, MAX_HEAD_BYTES, Unwrap, head_of, only_post
from channels.email.transports.body import add_to, opened
from channels.errors import Doubt, PayloadError, SignatureError

HEADER = "X-Frontdesk-Signature"
WINDOW_S = 300
MAX_SIGNATURES = 5  # more than one while a secret is changed

_TIME = re.compile(r"[0-9]{1,12}")


class RawTransport:
    """Signed posts of bare messages."""

    refusal = Reply(403)
    accepted = ACCEPTED

    def __init__(self, settings: RawInbound, max_mail_bytes: int, now: Callable[[], float]) -> None:
        self._secret = settings.secret
        self._now = now
        self.max_body_bytes = 2 * max_mail_bytes  # what is too large is authenticated too, for its headers
        self.unwrap: Unwrap = partial(unwrap, max_mail_bytes=max_mail_bytes)

    def admit(self, request: Request) -> None:
        """Return if there is a signature.

        Raises:
            SignatureError: there is none.
        """
        only_post(request)
        _read(request.header(HEADER))

    async def verify(self, request: Request) -> None:
        """Return if the body is signed with our secret, and was a short while ago.

        Raises:
            SignatureError: it is not.
        """
        self.admit(request)
        signed_at, signatures = _read(request.header(HEADER))
        digest = hmac.new(self._secret.get_secret_value().encode(), f"{signed_at}.".encode(), hashlib.sha256)
        await asyncio.to_thread(add_to, digest, request)
        expected = digest.hexdigest()
        if not any(hmac.compare_digest(expected.encode(), given) for given in signatures):
            raise SignatureError(Doubt.MISMATCH)
        if abs(self._now() - int(signed_at)) > WINDOW_S:
            raise SignatureError(Doubt.EXPIRED)


def unwrap(request: Request, max_mail_bytes: int) -> Envelope:
    """Return the message; where it is larger than that, its headers.

    Raises:
        PayloadError: there is none.
    """
    with opened(request) as body:
        if not body.size:
            raise PayloadError("an empty body")
        if body.size > max_mail_bytes:
            return Envelope(head_of(body.read(0, MAX_HEAD_BYTES)), whole_size=body.size)
        return Envelope(body.read(0, body.size))


def _read(header: str | None) -> tuple[str, list[bytes]]:
    """Return the time as it was signed, and the signatures."""
    pairs = [part.strip().partition("=") for part in (header or "").split(",", MAX_SIGNATURES + 1)]
    times = [value for name, _, value in pairs if name == "t" and _TIME.fullmatch(value)]
    signatures = [value.encode("utf-8", "surrogatepass") for name, _, value in pairs if name == "v1" and value]
    if len(times) != 1 or not signatures:
        raise SignatureError(Doubt.UNSIGNED)
    return times[0], signatures
