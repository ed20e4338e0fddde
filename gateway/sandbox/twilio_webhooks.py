"""Twilio calling the gateway: signed posts, and how often it tries (www.twilio.com/docs/usage/webhooks, read 2026-11).

The fragment of a webhook's address is Twilio's own: it says how to retry, and is neither sent nor signed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from gateway.sandbox.twilio_wire import Form

TOTAL_S = 15.0
CONNECT_S = 5.0
MAX_RETRIES = 5
CONNECTIONS = 64
NOBODY = 0
"""What stands for the HTTP status where nobody answered."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and after which failures, one post is made again."""

    count: int
    after: frozenset[str]
    """``ct`` (no connection), ``rt`` (no answer), ``4xx``, ``5xx`` or ``all``."""

    @classmethod
    def read(cls, url: str) -> Self:
        """Read an address's fragment; without one, only a failed connect is tried once more."""
        asked = dict(parse_qsl(urlsplit(url).fragment))
        count = asked.get("rc", "1")
        most = min(int(count), MAX_RETRIES) if count.isdigit() else 1
        return cls(most, frozenset(asked.get("rp", "ct").split(",")))

    def apply_to(self, failure: str) -> bool:
        """Tell whether a failure of that kind is tried again."""
        return failure in self.after or (bool(failure) and "all" in self.after)


def signature(url: str, form: Form, token: str) -> str:
    """Sign a form as www.twilio.com/docs/usage/security says, read 2026-11.

    The adapter has a signer of its own: each is the other's test.
    """
    digest = hmac.new(token.encode(), url.encode(), hashlib.sha1)
    for name in sorted({name for name, _ in form}):
        for value in sorted({value for key, value in form if key == name}):
            digest.update(f"{name}{value}".encode())
    return base64.b64encode(digest.digest()).decode()


class Webhooks:
    """Posts forms as Twilio does."""

    def __init__(
        self,
        token: Callable[[], str],
        *,
        new_hex: Callable[[], str],
        door: str | None = None,
        pause_s: float = 0.2,
    ) -> None:
        self.door = door
        """Where posts really go, as through a proxy, while the public address is signed; None: to that address."""
        self.pause_s = pause_s
        """Between two tries; what Twilio's is, is not published."""
        self._token = token
        self._new_hex = new_hex
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Make connections possible."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, form: Form) -> int:
        """Post a form, again where it fails as the address says, and return the last status, or ``NOBODY``."""
        await self.open()
        retries = Retries.read(url)
        bare = url.partition("#")[0]
        token = self._new_hex()
        status = NOBODY
        try:
            async with asyncio.timeout(TOTAL_S):
                for attempt in range(1 + retries.count):
                    if attempt:
                        await asyncio.sleep(self.pause_s)
                    status, failure = await self._try(bare, form, token)
                    if not retries.apply_to(failure):
                        break
        except TimeoutError:
            pass
        return status

    async def _try(self, url: str, form: Form, token: str) -> tuple[int, str]:
        """Return the status, and the kind of failure or an empty text."""
        assert self._session is not None
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "I-Twilio-Idempotency-Token": token,
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature(url, form, self._token()),
        }
        try:
            async with self._session.post(
                self._target(url), data=urlencode(form), headers=headers, allow_redirects=False
            ) as response:
                await response.read()
        except ClientConnectorError:
            return NOBODY, "ct"
        except (ClientError, TimeoutError):
            return NOBODY, "rt"
        failed = response.status // 100 in {4, 5}
        return response.status, f"{response.status // 100}xx" if failed else ""

    def _target(self, url: str) -> URL:
        parts = urlsplit(url)
        origin = self.door or f"{parts.scheme}://{parts.netloc}"
        query = f"?{parts.query}" if parts.query else ""
        return URL(f"{origin}{parts.path}{query}", encoded=True)  # exactly what was signed
