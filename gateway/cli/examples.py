"""What ``frontdesk doctor`` says of values that are still the example's, and of keys that do nothing yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from channels.abilities import Finding

if TYPE_CHECKING:
    from gateway.config import Config

# RFC 2606, sections 2 and 3, and RFC 6761, section 6: names that belong to nobody, and never will.
RESERVED_ENDINGS = ("example", "invalid", "localhost", "test")
RESERVED_NAMES = ("example.com", "example.net", "example.org")

BUSINESS_NAME = "Example Plumbing"
BUSINESS_PHONE = "+15550100000"
ACCOUNTS = {
    "from": ("+15550100001", "whatsapp:+15550100002"),
    "page_id": ("100000000000001",),
    "phone_number_id": ("100000000000002",),
}
"""The channels' own addresses in the config.yaml that comes with Frontdesk, by their key."""

WITHOUT_EFFECT = {
    "business.knowledge": "reading your own texts",
}
"""Keys that are accepted already, and what they wait for."""


def is_example_host(host: str) -> bool:
    """Tell whether a name is one that documents use and that leads nowhere."""
    name = f".{host.lower().rstrip('.')}"
    return name.endswith(tuple(f".{reserved}" for reserved in (*RESERVED_ENDINGS, *RESERVED_NAMES)))


def check_examples(config: Config) -> Sequence[Finding]:
    """Tell what still is as it came in config.yaml."""
    return list(_examples(config))


def _examples(config: Config) -> Iterator[Finding]:
    if config.business.name == BUSINESS_NAME:
        fix = "write your own; the assistant speaks in this name"
        yield Finding("business.name", True, f"is still the example's, {BUSINESS_NAME}", fix)
    if config.business.phone == BUSINESS_PHONE:
        yield Finding("business.phone", True, f"is still the example's, {BUSINESS_PHONE}", "write your own, or null")
    for channel in config.channels.values():
        for key, examples in ACCOUNTS.items():
            value = channel.settings.get(key)
            if str(value) in examples:
                detail = f"is still the example's, {value}"
                yield Finding(f"channels.{channel.name}.{key}", False, detail, "write your own account's")


def check_without_effect(config: Config) -> Sequence[Finding]:
    """Name each key that the owner has set to something and that does nothing yet."""
    return [
        Finding(key, True, "is read, and has no effect yet", f"leave it for when there is {what}, or take it out")
        for key, what in WITHOUT_EFFECT.items()
        if _is_set(config, key)
    ]


def _is_set(config: Config, path: str) -> bool:
    """Tell whether a key has another value than the one that it has by itself."""
    *sections, key = path.split(".")
    owner: Any = config
    for section in sections:
        owner = getattr(owner, section)
    return bool(getattr(owner, key) != type(owner).model_fields[key].default)
