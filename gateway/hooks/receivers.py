"""The addresses of the configuration that are told what happens here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.config import ConfigError, Problem, WebhookConfig
from gateway.hooks.signing import key_of


@dataclass(frozen=True, slots=True)
class Receiver:
    """One address. Its path and query may hold a secret: logs and lists name its host."""

    id: str
    """A hash of the address, under which the database knows it."""
    url: str = field(repr=False)
    key: bytes = field(repr=False)
    events: tuple[str, ...]
    allow_private: bool

    @property
    def host(self) -> str:
        """The name of its server."""
        return urlsplit(self.url).hostname or ""


def receivers_of(webhooks: Sequence[WebhookConfig]) -> tuple[Receiver, ...]:
    """Return the receivers that the configuration names, in its order.

    Raises:
        ConfigError: an address is named twice.
    """
    receivers = tuple(_receiver(webhook) for webhook in webhooks)
    ids = [receiver.id for receiver in receivers]
    twice = [place for place, id_ in enumerate(ids) if id_ in ids[:place]]
    if twice:
        raise ConfigError(
            [Problem(f"webhooks.{place}.url", "is named twice; keep one, with all events") for place in twice]
        )
    return receivers


def _receiver(webhook: WebhookConfig) -> Receiver:
    return Receiver(
        id=hashlib.sha256(webhook.url.encode()).hexdigest()[:16],
        url=webhook.url,
        key=key_of(webhook.secret.get_secret_value()),
        events=webhook.events,
        allow_private=webhook.allow_private,
    )
