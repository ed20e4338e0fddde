"""The signature of Standard Webhooks 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, read 2026-11-25.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from gateway.config import SECRET_PREFIX


def key_of(secret: str) -> bytes:
    """Return the key: base64 behind ``whsec_``, or else the secret's own bytes."""
    encoded = secret.removeprefix(SECRET_PREFIX)
    if encoded == secret:
        return secret.encode()
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)


def sign(key: bytes, webhook_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """Return the headers of one attempt, signed for the moment at which it is made."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.digest(key, b".".join((webhook_id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
