"""Stand-ins for the providers that take mail from the internet and post it to a webhook, and how often they try.

Each makes the post of a given mail as its provider does, signed with keys that it has made itself: nothing here is the
adapter's code, so that each is the other's test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from gateway.clock import Clock, utc_now

TIMEOUT_S = 15.0  # SNS's; the others' are not published
NOBODY = 0
"""What stands for the HTTP status where nobody answered."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail that has come to a provider."""

    raw: bytes
    mail_from: str
    """The envelope's sender; empty for a bounce."""
    recipients: tuple[str, ...]
    is_genuine: bool | None = True
    """Whether the provider finds the sender's SPF, DKIM and DMARC in order; None: there is nothing to be found."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request to the webhook."""

    headers: Mapping[str, str]
    body: bytes


class Outcome(StrEnum):
    """What a provider makes of an answer."""

    TAKEN = "taken"
    AGAIN = "again"
    LOST = "lost"
    """The provider drops the mail for good."""


class Provider(Protocol):
    """One provider's account."""

    login: tuple[str, str] | None
    """The user name and password in the webhook's address; None where there are none."""

    def post_of(self, arrived: Arrived) -> Post:
        """Return the request that tells of a mail; every one is signed anew."""

    def outcome(self, status: int) -> Outcome:
        """Return what an answer's status means to the provider; ``NOBODY`` is no answer."""


class Raw:
    """Something of the owner's own that posts bare messages, signed as the gateway's documentation says."""

    login: tuple[str, str] | None = None

    def __init__(self, secret: str | None = None, *, clock: Clock = utc_now) -> None:
        self.secret = secret or secrets.token_hex(24)
        self._clock = clock

    def post_of(self, arrived: Arrived) -> Post:
        """Return the message and its signature."""
        moment = str(int(self._clock().timestamp()))
        signature = hmac.new(self.secret.encode(), moment.encode() + b"." + arrived.raw, hashlib.sha256).hexdigest()
        return Post(
            {"Content-Type": "message/rfc822", "X-Frontdesk-Signature": f"t={moment},v1={signature}"}, arrived.raw
        )

    def outcome(self, status: int) -> Outcome:
        """Try again after whatever is no success."""
        return Outcome.TAKEN if 200 <= status < 300 else Outcome.AGAIN


class Poster:
    """Posts to a webhook until the provider has what it wants, or gives up."""

    def __init__(self, url: str, *, tries: int = 12, pause_s: float = 0.05, longest_pause_s: float = 1.0) -> None:
        self.url = url
        self.tries = tries
        """How often one mail is posted at most; the real ones try for hours."""
        self.pause_s = pause_s
        """Before the second try; each later pause is twice as long, up to ``longest_pause_s``."""
        self.longest_pause_s = longest_pause_s
        self.lost: list[Arrived] = []
        """Mails that the provider has given up because of an answer."""
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections; they are made again when they are needed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def deliver(self, provider: Provider, arrived: Arrived) -> int:
        """Post a mail until it is taken or lost, and return the last status."""
        pause_s, status = self.pause_s, NOBODY
        for attempt in range(self.tries):
            if attempt:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self.longest_pause_s)
            status = await self.post(provider.post_of(arrived), provider.login)
            outcome = provider.outcome(status)
            if outcome is Outcome.LOST:
                self.lost.append(arrived)
            if outcome is not Outcome.AGAIN:
                break
        return status

    async def post(self, post: Post, login: tuple[str, str] | None = None) -> int:
        """Post once, and return the status, or ``NOBODY``."""
        if self._session is None:
            self._session = ClientSession(cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=TIMEOUT_S))
        headers = dict(post.headers)
        if login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
        try:
            async with self._session.post(
                URL(self.url), data=BytesIO(post.body), headers=headers, allow_redirects=False
            ) as response:
                await response.read()
                return response.status
        except (ClientError, TimeoutError):
            return NOBODY
