"""Meta's webhooks: the handshake, the signature, and reading JSON that may hold anything."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from channels.base import Reply, Request
from channels.errors import Doubt, PayloadError, SignatureError
from channels.meta.settings import MetaSettings

HEADER = "X-Hub-Signature-256"
MAX_BODY_BYTES = 4 * 1024 * 1024  # Meta posts up to 3 MB: developers.facebook.com/docs/whatsapp webhooks, read 2026-11
ACK = Reply(200, "EVENT_RECEIVED")
FIRST_MILLISECOND = 100_000_000_000
"""A greater timestamp counts milliseconds: as seconds it would be the year 5138."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,128}")  # it is sent back: no mark-up of a stranger's
_LAST_SECOND = 253_402_300_799  # of the year 9999, where datetime ends


def sign(body: bytes, app_secret: str) -> str:
    """Return the header's value for a body (developers.facebook.com/docs/graph-api/webhooks/getting-started)."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, hashlib.sha256).hex()


def verify(request: Request, settings: MetaSettings) -> None:
    """Return if a post is signed with the app's secret over its raw bytes, or a handshake knows our token.

    Raises:
        SignatureError: otherwise.
    """
    if request.method == "GET":
        known = settings.verify_token.get_secret_value()
        mode, token = (_query(request).get(name, "") for name in ("hub.mode", "hub.verify_token"))
        if mode == "subscribe" and hmac.compare_digest(_bytes(token), known.encode()):
            return
        raise SignatureError(Doubt.WRONG_TOKEN if token else Doubt.UNSIGNED)
    given = request.header(HEADER)
    if not given:
        raise SignatureError(Doubt.UNSIGNED)
    expected = sign(request.body, settings.app_secret.get_secret_value())
    if request.method != "POST" or not hmac.compare_digest(_bytes(given), expected.encode()):
        raise SignatureError(Doubt.MISMATCH)


def handshake(request: Request) -> Reply | None:
    """Return the answer to a handshake: Meta's challenge. None where the request is a post.

    Raises:
        PayloadError: it has no challenge that could be one of Meta's.
    """
    if request.method != "GET":
        return None
    challenge = _query(request).get("hub.challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise PayloadError("a handshake without a challenge")
    return Reply(200, challenge)


def read_body(body: bytes, object_type: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a webhook for one type of object: ``page`` or ``whatsapp_business_account``.

    Raises:
        PayloadError: the body is no such webhook.
    """
    try:
        payload = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise PayloadError("not JSON") from error
    if not isinstance(payload, dict) or payload.get("object") != object_type:
        raise PayloadError(f"not a webhook for a {object_type}")
    entries = payload.get("entry")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PayloadError("no list of entries")
    yield from entries


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")  # NaN and the infinities, which no database takes


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse("a number as great as that")  # 1e999 is read as infinity


# --- wild JSON: any field may be absent or of another type -----------------------------------------------------


def a_map(value: Any) -> dict[str, Any]:
    """Return a JSON object, an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> list[dict[str, Any]]:
    """Return the JSON objects of a list, none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def a_text(value: Any) -> str:
    """Return a text without NULs, which no database takes; a number as text; everything else is an empty text."""
    if isinstance(value, str):
        return value.replace("\0", "")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def a_time(value: Any) -> datetime | None:
    """Return a time that Meta counts in seconds or milliseconds, as a number or as text; None where it is none."""
    text = a_text(value)
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return None
    seconds = int(text) / 1000 if int(text) >= FIRST_MILLISECOND else int(text)
    return datetime.fromtimestamp(seconds, UTC) if seconds <= _LAST_SECOND else None


def _query(request: Request) -> dict[str, str]:
    try:
        values = parse_qs(request.target.partition("?")[2], max_num_fields=20)
    except ValueError:
        return {}
    return {name: given[0] for name, given in values.items()}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
