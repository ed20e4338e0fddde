"""What may stand in a log, and what phone numbers, e-mail addresses and secrets look like."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
MAX_CHARACTERS = 300
MAX_SEARCHED = 2000
"""What is looked through, well above what is shown: the patterns take time by the square of a text's length."""

# fmt: off
_SAFE_KEYS = frozenset({
    "account_sid", "channel", "channel_name", "channels", "fence", "names", "owner", "part", "pid", "worker",
    "attempt", "attempts", "is_late", "limit", "tokens",
    "code", "error", "error_code", "outcome", "reason", "sqlstate", "status",
    "circuit", "command", "effort", "event_name", "kind", "level", "logger", "method", "mode", "model", "role", "tool",
    "topic", "type", "what",
    "content_type", "database", "host", "path", "port", "revision", "schema", "url", "version",
})
# fmt: on
_AMOUNTS = ("_h", "_mb", "_min", "_ms", "_s", "_sequence", "_usd", "bytes", "count", "size")
_SAFE_ENDINGS = ("_at", "_id", "_ids", *_AMOUNTS)
_OURS = frozenset({"account_id"})
"""Ids of the business itself at a platform: a number or a page that an operator looks for."""
_PEOPLE = frozenset({"sender_id", "recipient_id", "user_id", "visitor_id", "customer_id"})
"""Ids that are somebody's address, or come from a caller who may put one there."""

_LOOKS = re.compile(
    "|".join(
        (
            r"[^\s@<>()\"',;:=]+@[^\s@<>()\"',;:=]+",  # an e-mail address, and a URL's user and host
            r"(?<=://)[^\s/@]+:[^\s/@]*(?=@)",  # user and password in an address
            r"(?i:\b(?:bearer|basic)\s+)\S+",  # RFC 9110, section 11.4
            r"(?<=\?)[\w.%-]+=\S+",  # a URL's query
            r"\b(?:sk|pk|rk|whsec|xox[a-z])[-_][\w-]{6,}",  # keys of model providers and of Standard Webhooks
            r"\bEAA[A-Za-z0-9]{16,}",  # Meta's access tokens
            r"\beyJ[\w-]{8,}\.[\w.-]*",  # JSON Web Tokens
            r"(?<![\w-])[0-9a-f]{32}(?![\w-])",  # a Twilio auth token; a MessageSid has two letters in front
            r"\+\d(?:[ ()./-]{0,2}\d){6,14}",  # a number in international form
            r"(?<![\w.+-])\(?\d{3}\)?[ ./-]{0,2}\d{3}[ .-]?\d{4}(?![\w-])",  # ... as North America writes it
            r"(?<![\w.+-])0\d(?:[ /-]?\d){7,12}(?![\w-])",  # ... as most other countries do
            r"(?<![\w.+-])\d{10,15}(?![\w-])",  # ... and as platforms do, E.164 without its plus sign
        )
    )
)


def is_safe_key(key: str) -> bool:
    """Tell whether a key is known for values that say nothing about a person: ids, counts, names, durations, codes."""
    return key not in _PEOPLE and (key in _SAFE_KEYS or key.endswith(_SAFE_ENDINGS))


def is_amount(key: str) -> bool:
    """Tell whether a safe key's number is one of something, and so no phone number however long it is."""
    return key.endswith(_AMOUNTS)


def is_ours(key: str) -> bool:
    """Tell whether a key's value belongs to the business and to no customer, whatever it looks like."""
    return key in _OURS


def masked(text: str) -> str:
    """Return a text without what looks like a phone number, an e-mail address or a secret; a very long one is cut."""
    return _LOOKS.sub(HIDDEN, text if len(text) <= MAX_SEARCHED else _cut(text))


def _cut(text: str) -> str:
    """Cut a text between two words: half a secret would look like none."""
    return text[:MAX_SEARCHED].rpartition(" ")[0] or HIDDEN


def shortened(text: str) -> str:
    """Return a text of at most ``MAX_CHARACTERS``: names and codes are short."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
