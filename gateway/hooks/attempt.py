"""One attempt to tell a receiver something, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from channels.errors import SendError
from channels.http import Http
from gateway.hooks.receivers import Receiver
from gateway.hooks.signing import sign
from gateway.storage import OUTAGES

TIMEOUT_S = 15.0  # Standard Webhooks 1.0.0, "Request timeouts": between 15 and 30 s
USER_AGENT = "Frontdesk-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt."""

    status: int | None
    """None where no answer came."""
    error: str | None = None
    """What went wrong, without the address."""
    code: str | None = None
    retry_after_s: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, ever."""
        return self.status == HTTPStatus.GONE

    @property
    def is_outage(self) -> bool:
        """Whether any other event would have fared the same."""
        return self.status is None or self.status in OUTAGES


async def attempt(
    http: Http, receiver: Receiver, webhook_id: str, body: bytes, now: datetime, *, timeout_s: float = TIMEOUT_S
) -> Answer:
    """Post a body once; whatever happens is an answer."""
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        **sign(receiver.key, webhook_id, now, body),
    }
    try:
        response = await http.post(
            receiver.url, body, headers=headers, timeout_s=timeout_s, allow_private=receiver.allow_private
        )
    except SendError as error:
        return Answer(None, str(error), error.code)
    if 200 <= response.status < 300:
        return Answer(response.status)
    said = "redirects, which is not followed" if 300 <= response.status < 400 else f"answered {response.status}"
    return Answer(response.status, said, retry_after_s=response.retry_after_s)
