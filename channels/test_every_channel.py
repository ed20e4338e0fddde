"""What holds for every registered channel."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from pydantic import ValidationError

import channels
from channels.abilities import ChecksRecipient
from channels.base import Channel, ChannelContext, Outbound, Request
from channels.content import Content
from channels.errors import Doubt, PayloadError, SendError, SignatureError
from channels.http import Http
from channels.registry import CHANNELS
from channels.rendering import parts_of

FOLDER = Path(channels.__file__).parent
KINDS = {"website_chat", "facebook_messenger", "sms", "email", "whatsapp"}
SECRET = "do-not-tell-anybody"
CUSTOMER = "+15550109999"

# One working section of config.yaml for each type; every secret in it is SECRET.
EXAMPLES: dict[str, dict[str, Any]] = {
    "twilio": {
        "account_sid": "AC1",
        "auth_token": SECRET,
        "auth_token_secondary": SECRET,
        "from": "+15550100001",
        "api_base": f"http://127.0.0.1:{unused_port()}",
    },
    "messenger": {
        "page_id": "1",
        "page_access_token": SECRET,
        "app_secret": SECRET,
        "verify_token": SECRET,
        "api_base": f"http://127.0.0.1:{unused_port()}",
    },
    "whatsapp": {
        "phone_number_id": "1",
        "access_token": SECRET,
        "app_secret": SECRET,
        "verify_token": SECRET,
        "api_base": f"http://127.0.0.1:{unused_port()}",
    },
    "email": {
        "address": "help@example.com",
        "inbound": {"provider": "raw", "secret": SECRET},
        "imap": {"host": "127.0.0.1", "port": unused_port(), "username": "help", "password": SECRET},
        "smtp": {"host": "127.0.0.1", "port": unused_port(), "username": "help", "password": SECRET},
        "token_secret": SECRET,
    },
}

every_channel = pytest.mark.parametrize("kind", CHANNELS)


def build(kind: str, http: Http, **changes: Any) -> Channel:
    context = ChannelContext("mine", "https://chat.example.com/webhooks/mine", http)
    return CHANNELS[kind](EXAMPLES[kind] | changes, context)


def fixtures(kind: str) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted((FOLDER / kind / "fixtures").rglob("*")) if path.is_file())


@every_channel
def test_a_folder_has_what_every_folder_has(kind: str) -> None:
    """A newcomer finds the same names in each."""
    folder = FOLDER / kind

    assert {"__init__.py", "channel.py", "README.md", f"test_{kind}.py"} <= {path.name for path in folder.iterdir()}
    assert list(fixtures(kind))


@every_channel
def test_a_channel_says_what_it_is(kind: str) -> None:
    """Its name is the configuration's, its kind one that customers know, and its times are seconds."""
    channel = build(kind, Http())

    assert channel.name == "mine"
    assert channel.kind in KINDS
    assert channel.send_timeout_s > 0
    assert channel.default_coalesce_s >= 0
    assert channel.shares_app_with(build(kind, Http()))


@every_channel
async def test_an_unsigned_request_is_refused(kind: str) -> None:
    """Whatever is in it, authentic payloads too; what the error says is the same, since a stranger might read it."""
    channel = build(kind, Http())

    for method in ("POST", "GET", "PUT"):
        for body in (b"", b"{}", b"\xff\x00", *fixtures(kind)):
            with pytest.raises(SignatureError) as refused:
                await channel.verify(Request(method, "/webhooks/mine", (), body))
            assert str(refused.value) == str(SignatureError())
            assert refused.value.doubt is Doubt.UNSIGNED


# What an operator may type, as the channel writes it; and what is nobody's address there, the channel's own included.
RECIPIENTS = {
    "twilio": ({"+1 (555) 010-9999": "+15550109999"}, ("+15550100001", "5550109999")),
    "messenger": ({" 7000000000000125 ": "7000000000000125", "user_ref:a1": "user_ref:a1"}, ("1", "+15550109999")),
    "whatsapp": ({"+1 555 010 9999": "+15550109999", "US.1349": "US.1349"}, ("1", "5550109999")),
    "email": ({" Customer@Example.ORG ": "customer@example.org"}, ("help@example.com", "+15550109999", "a@b, c@d.org")),
}
NO_ADDRESS = {"email": ("customer@", "@example.org")}


@every_channel
def test_a_recipient_is_checked_before_anything_is_queued(kind: str) -> None:
    """A typing error is told at once, in words that say how to write an address."""
    channel = build(kind, Http())
    good, bad = RECIPIENTS[kind]

    assert isinstance(channel, ChecksRecipient)
    assert {typed: channel.check_recipient(typed) for typed in good} == good
    for typed in ("", "Ann", *NO_ADDRESS.get(kind, ("ann@example.com",)), *bad):
        with pytest.raises(ValueError, match=r"^(must be|is the) "):
            channel.check_recipient(typed)


@every_channel
@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"]", b"%%%=&&;", b"\x00" * 1000])
def test_garbage_is_a_payload_error(kind: str, body: bytes) -> None:
    """What cannot be read is said to be so."""
    with pytest.raises(PayloadError):
        build(kind, Http()).parse(Request("POST", "/webhooks/mine", (), body))


@every_channel
def test_a_reply_is_cut_into_parts_that_are_not_empty(kind: str) -> None:
    """Nothing is sent for nothing, and a long text is sent whole."""
    channel = build(kind, Http())

    assert parts_of(Content(" \n "), channel.shows) == ()
    assert (
        "".join("".join(part.text for part in parts_of(Content("word " * 5000), channel.shows)).split())
        == "word" * 5000
    )


@every_channel
async def test_secrets_and_customers_are_not_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a channel's looks, nor its refusals, nor a log has them."""
    caplog.set_level(logging.DEBUG)
    said: list[object] = []
    async with Http() as http:
        channel = build(kind, http)
        said += [channel, vars(channel)]
        with pytest.raises(SignatureError) as forged:
            await channel.verify(Request("POST", "/webhooks/mine", (("X-Twilio-Signature", "x"),), b"From=" + b"1"))
        with pytest.raises(SendError) as failed:
            await channel.send(Outbound("d-1", CUSTOMER, Content("Our secret")))
        said += [forged.value, failed.value]
    with pytest.raises(ValidationError) as mistaken:
        build(kind, Http(), auth_tokn=SECRET)
    told = " ".join([caplog.text, str(mistaken.value), *map(repr, said), *map(str, said)])

    assert SECRET not in told
    assert CUSTOMER not in told
    assert "Our secret" not in told


@every_channel
def test_a_mistyped_key_is_named(kind: str) -> None:
    """The loader puts the channel's path before it."""
    with pytest.raises(ValidationError) as caught:
        build(kind, Http(), tpyo=1)

    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [(("tpyo",), "extra_forbidden")]


def test_what_is_kept_of_a_request_proves_nothing() -> None:
    """Whoever reads a kept webhook can post it nowhere: signatures, passwords and cookies are gone, the rest is not."""
    proofs = ("X-Twilio-Signature", "x-hub-signature-256", "AUTHORIZATION", "Proxy-Authorization", "cookie")
    plain = (("Content-Type", "application/json"), ("X-Twilio-Request-Id", "RQ1"))
    request = Request("POST", "/webhooks/sms?x=1", (*((name, SECRET) for name in proofs), *plain), b"{}")

    assert request.without_proofs() == Request("POST", "/webhooks/sms?x=1", plain, b"{}")
