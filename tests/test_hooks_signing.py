"""Signatures and bodies of webhooks: as the specification has them, and as the documentation says."""

from __future__ import annotations

import base64
import json
import re
import runpy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.config import EVENTS, ConfigError, WebhookConfig
from gateway.hooks import WEBHOOKS, receivers_of
from gateway.hooks.payloads import write, write_test
from gateway.hooks.signing import key_of, sign
from tests.frontdesk import ROOT
from tests.test_hooks_delivery import SECRET, verify
from tests.test_storage_accept import NOW

DOCUMENTATION = (ROOT / "docs" / "webhooks.md").read_text()


def test_the_published_example_comes_out() -> None:
    """libraries/python/tests/test_webhooks.py of github.com/standard-webhooks/standard-webhooks, test_sign_function."""
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = sign(
        key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_AAEC", b"\0\1\2"),
        ("whsec_AAECAw==", b"\0\1\2\3"),
        ("whsec_AAECAw", b"\0\1\2\3"),
        ("a secret of ours", b"a secret of ours"),
        ("AAEC", b"AAEC"),
    ],
)
def test_a_secret_is_base64_behind_its_prefix_or_else_itself(secret: str, key: bytes) -> None:
    """With or without the padding."""
    assert key_of(secret) == key


@pytest.mark.parametrize("secret", ["whsec_?", "whsec_a", "whsec_a-b_"])
def test_a_secret_that_is_no_base64_is_refused(secret: str) -> None:
    """The message says how to make one, and does not repeat it."""
    with pytest.raises(ValueError, match="must be base64 behind whsec_") as raised:
        WebhookConfig(url="https://crm.example.com", secret=secret)

    assert secret not in str(raised.value)


def test_a_secret_that_is_only_its_prefix_is_refused() -> None:
    """It would sign with nothing."""
    with pytest.raises(ValueError, match="must be base64 behind whsec_"):
        WebhookConfig(url="https://crm.example.com", secret="whsec_")


@pytest.mark.parametrize("secret", ["s", "whsec_AAEC"])
def test_a_short_secret_is_taken(secret: str) -> None:
    """It is the owner's; doctor warns of it."""
    assert WebhookConfig(url="https://crm.example.com", secret=secret).secret.get_secret_value() == secret


def test_an_address_that_is_named_twice_is_refused() -> None:
    """Both would be told everything twice, under one name."""
    webhook = WebhookConfig(url="https://crm.example.com/hook", secret=SECRET)
    other = WebhookConfig(url="https://crm.example.com/hook?two", secret=SECRET)

    assert len({receiver.id for receiver in receivers_of([webhook, other])}) == 2
    with pytest.raises(ConfigError, match=r"webhooks\.1\.url: is named twice"):
        receivers_of([webhook, webhook])


def test_what_is_a_secret_is_in_no_repr() -> None:
    """Neither the key nor the address, which may hold one."""
    [receiver] = receivers_of([WebhookConfig(url="https://crm.example.com/hidden?hidden", secret="hidden" * 4)])

    assert "hidden" not in repr(receiver)
    assert receiver.host == "crm.example.com"


def test_the_documentations_check_knows_our_signature() -> None:
    """The snippet takes what we sign, and nothing that was changed, is old, or is signed by somebody else."""
    [snippet] = re.findall(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    is_ours, now, body = scope["is_from_frontdesk"], datetime.now(UTC), b'{"type":"lead.created"}'
    headers = dict(sign(key_of(SECRET), "msg_1", now, body))
    old = sign(key_of(SECRET), "msg_1", datetime.fromtimestamp(time.time() - 301, UTC), body)
    several = headers | {"webhook-signature": f"v1,abc {headers['webhook-signature']} v1a,x"}

    assert is_ours(SECRET, headers, body)
    assert is_ours(SECRET, several, body)
    assert not is_ours(SECRET, headers, body + b" ")
    assert not is_ours(SECRET, headers | {"webhook-id": "msg_2"}, body)
    assert not is_ours(f"whsec_{base64.b64encode(b'another key').decode()}", headers, body)
    assert not is_ours(SECRET, dict(old), body)
    assert not is_ours(SECRET, {}, body)


TWENTY_FIVE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA"
SECRETS = [f"whsec_{TWENTY_FIVE}", f"whsec_{TWENTY_FIVE}==", "a secret of ours, for them", "clé" * 8, "AAEC" * 6]
"""Unpadded, padded, and those without the prefix, which are taken as they are."""
FOREIGN = [("webhook-signature", "v1,\xe9"), ("webhook-timestamp", "\xb2"), ("webhook-id", "\xe9")]
"""What a stranger may send: HTTP's headers hold Latin-1."""


def checks() -> list[Callable[[str, dict[str, str], bytes], bool]]:
    """Return what the documentation shows, and what its example does."""
    [snippet] = re.findall(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    example = runpy.run_path(str(ROOT / "docs" / "examples" / "leads_to_csv.py"))
    return [scope["is_from_frontdesk"], lambda *given: example["is_signed"](*given, time.time())]


@pytest.mark.parametrize("secret", SECRETS)
def test_each_secret_that_the_configuration_takes_is_one_for_the_documentations_checks(secret: str) -> None:
    """With the key that we sign with."""
    [receiver] = receivers_of([WebhookConfig(url="https://crm.example.com/hook", secret=secret)])
    headers = dict(sign(receiver.key, "msg_1", datetime.now(UTC), b"{}"))

    assert [is_ours(secret, headers, b"{}") for is_ours in checks()] == [True, True]
    assert [is_ours(SECRET, headers, b"{}") for is_ours in checks()] == [False, False]


@pytest.mark.parametrize(("name", "value"), FOREIGN)
def test_a_strangers_header_is_refused_and_breaks_nothing(name: str, value: str) -> None:
    """Whatever letters it has."""
    headers = {**sign(key_of(SECRET), "msg_1", datetime.now(UTC), b"{}"), name: value}

    assert [is_ours(SECRET, headers, b"{}") for is_ours in checks()] == [False, False]


def test_the_documentation_names_every_event() -> None:
    """And none that does not happen."""
    named = set(re.findall(r"`((?:conversation|message|delivery|lead|appointment)\.[a-z_]+)`", DOCUMENTATION))

    assert named == set(EVENTS) == set(WEBHOOKS)


def test_a_body_is_the_same_in_every_attempt() -> None:
    """Its fields have an order of their own, whatever order the database gave them."""
    data = {"conversation": CONVERSATION}
    mixed = {"conversation": dict(reversed(CONVERSATION.items()))}
    told = json.loads(write("conversation.closed", NOW, data))

    assert write("conversation.closed", NOW, data) == write("conversation.closed", NOW, mixed)
    assert list(told) == ["type", "timestamp", "api_version", "data"]


CONVERSATION = {
    "conversation_id": "c0ffee",
    "channel": "sms",
    "channel_name": "sms",
    "contact_id": 1,
    "user_id": None,
    "user_name": None,
    "user_email": None,
    "user_phone": None,
    "mode": "bot",
    "assigned_to": None,
    "is_active": False,
}


def test_a_field_of_a_later_release_does_no_harm() -> None:
    """It is left out of the body."""
    later = {"conversation": {**CONVERSATION, "mood": "sunny"}}

    assert b"sunny" not in write("conversation.closed", NOW, later)


def test_a_test_has_a_body_like_the_others() -> None:
    """And is signed like them."""
    body = write_test(NOW)
    verify(sign(key_of(SECRET), "msg_1", NOW, body), body)

    assert json.loads(body) == {
        "type": "webhook.test",
        "timestamp": "2026-11-24T12:00:00Z",
        "api_version": "1",
        "data": {},
    }


def test_every_body_describes_itself() -> None:
    """The API's document lists them: each has a schema with its own name and a description."""
    schemas = {name: model.model_json_schema() for name, model in WEBHOOKS.items()}

    assert all(schema["properties"]["type"]["const"] == name for name, schema in schemas.items())
    assert all(schema["description"] for schema in schemas.values())
