"""Meta calling the gateway: the handshake, signed posts, and how often it tries.

A post that is not answered with 200 is made again, with a growing pause: for up to 36 hours for Messenger
(developers.facebook.com/docs/graph-api/webhooks/getting-started, read 2026-11), for up to 7 days for WhatsApp
(developers.facebook.com/docs/whatsapp/webhooks, read 2026-11; another of its pages says 36 hours). Here the pauses are
short, and there is a bound.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from urllib.parse import urlencode, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from gateway.sandbox.meta.wire import Json, dump

TIMEOUT_S = 15.0
CONNECTIONS = 64
LEGACY_HEADER = "X-Hub-Signature"
"""Meta still sends the SHA-1 of old, too."""
NOBODY = 0
"""What stands for the HTTP status where nobody answered."""
OK = 200


def signature(body: bytes, app_secret: str) -> str:
    """Return the signature of a body (developers.facebook.com/docs/graph-api/webhooks, "Validating payloads")."""
    return f"sha256={hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()}"


class Webhooks:
    """Posts JSON as Meta does."""

    def __init__(
        self, app_secret: str, *, door: str | None = None, pause_s: float = 0.05, longest_pause_s: float = 1.0
    ) -> None:
        self.app_secret = app_secret
        self.door = door
        """Where posts really go, as through a proxy; None: to the configured address."""
        self.pause_s = pause_s
        """Before the second try; each later pause is twice as long, up to ``longest_pause_s``."""
        self.longest_pause_s = longest_pause_s
        self.tries = 12
        """How often one post is made at most; together, the pauses are about 8 s."""
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections; they are made again when they are needed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def handshake(self, url: str, token: str, challenge: str) -> bool:
        """Tell whether the door knows the token and repeats the challenge, as when a webhook's address is saved."""
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        separator = "&" if urlsplit(url).query else "?"
        try:
            async with self._opened().get(self._target(f"{url}{separator}{urlencode(asked)}")) as response:
                return response.status == OK and await response.text() == challenge
        except (ClientError, TimeoutError):
            return False

    async def post(self, url: str, body: Json) -> int:
        """Post a webhook until it is answered with 200 or the bound is reached; return the last status or NOBODY."""
        content = dump(body)
        status, pause_s = NOBODY, self.pause_s
        for attempt in range(self.tries):
            if attempt:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self.longest_pause_s)
            status = await self._try(url, content)
            if status == OK:
                break
        return status

    async def _try(self, url: str, content: bytes) -> int:
        legacy = hmac.digest(self.app_secret.encode(), content, hashlib.sha1).hex()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": signature(content, self.app_secret),
            LEGACY_HEADER: f"sha1={legacy}",
        }
        try:
            async with self._opened().post(
                self._target(url), data=content, headers=headers, allow_redirects=False
            ) as response:
                await response.read()
        except (ClientError, TimeoutError):
            return NOBODY
        return response.status

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=TIMEOUT_S),
            )
        return self._session

    def _target(self, url: str) -> URL:
        parts = urlsplit(url)
        origin = self.door or f"{parts.scheme}://{parts.netloc}"
        query = f"?{parts.query}" if parts.query else ""
        return URL(f"{origin}{parts.path}{query}", encoded=True)
