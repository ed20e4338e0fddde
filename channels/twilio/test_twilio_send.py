"""Sending through the official SDK, over HTTP, to a stand-in."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from channels.base import Outbound, Receipt
from channels.content import Content
from channels.errors import (
    CredentialsRejected,
    OptedOut,
    OutcomeUnknown,
    OutsideWindow,
    Refused,
    RetryLater,
    SendError,
)
from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.client import TIMEOUT_S, TwilioApi
from channels.twilio.settings import TwilioSettings
from channels.twilio.test_doubles import (
    ACCOUNT,
    CUSTOMER,
    MESSAGES,
    NUMBER,
    SERVICE,
    TOKEN,
    WEBHOOK,
    TwilioServer,
    build,
    message,
)

HELLO = Outbound("d-1", CUSTOMER, Content("Grüße & so [1] 👋"), NUMBER)


async def test_a_text_is_sent_with_our_delivery_id(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """The form has the text, both numbers, and a callback that carries the delivery's id; the sid comes back."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)

    assert await channel.send(HELLO) == Receipt("SM7")
    [call] = twilio.calls
    assert dict(call.form) == {
        "To": CUSTOMER,
        "From": NUMBER,
        "Body": HELLO.content.text,
        "StatusCallback": f"{WEBHOOK}?delivery=d-1",
    }
    assert call.headers["Authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert call.headers["User-Agent"].startswith("twilio-python/")


async def test_files_without_text_are_sent_without_body(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """Each file is a MediaUrl, in order."""
    twilio.on("POST", MESSAGES, message("MM7"), status=201)
    await channel.send(Outbound("d-1", CUSTOMER, Content("", ("https://x.example/1", "https://x.example/2"))))

    [call] = twilio.calls
    assert "Body" not in dict(call.form)
    assert [value for name, value in call.form if name == "MediaUrl"] == ["https://x.example/1", "https://x.example/2"]


SENDERS: list[tuple[dict[str, Any], str | None, dict[str, str]]] = [
    ({}, None, {"From": NUMBER}),
    ({}, "+15550100077", {"From": "+15550100077"}),
    ({"messaging_service_sid": SERVICE}, "+15550100077", {"From": "+15550100077", "MessagingServiceSid": SERVICE}),
    ({"messaging_service_sid": SERVICE, "from": None}, None, {"MessagingServiceSid": SERVICE}),
]


@pytest.mark.parametrize(("changes", "account", "expected"), SENDERS)
async def test_the_answer_comes_from_the_number_that_the_customer_wrote_to(
    http: Http, twilio: TwilioServer, changes: dict[str, Any], account: str | None, expected: dict[str, str]
) -> None:
    """A pool's number is forced by naming it beside its service; without a number the service picks one."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    await build(http, api_base=twilio.url, **changes).send(Outbound("d-1", CUSTOMER, Content("Hello"), account))

    [call] = twilio.calls
    assert {name: value for name, value in call.form if name in ("From", "MessagingServiceSid")} == expected


def error(code: int | None, text: str = "no") -> dict[str, Any]:
    return {"code": code, "message": text, "more_info": "https://www.twilio.com/docs/errors", "status": 400}


PROBLEM = {"type": "https://www.twilio.com/docs/api/errors/20429", "title": "Busy", "status": 429, "code": 20429}

REFUSALS: list[tuple[int, Any, type[SendError], str]] = [
    (400, error(21211), Refused, "21211"),
    (400, error(21614), Refused, "21614"),
    (400, error(None), Refused, "400"),
    (400, b"not JSON", Refused, "400"),
    (404, error(20404), Refused, "20404"),
    (400, error(21610), OptedOut, "21610"),
    (400, error(63016), OutsideWindow, "63016"),
    (401, error(20003), CredentialsRejected, "20003"),
    (401, b"<html>", CredentialsRejected, "401"),
    (403, error(20005), CredentialsRejected, "20005"),
    (429, error(20429), RetryLater, "20429"),
    (429, PROBLEM, RetryLater, "20429"),
    (503, error(20503), RetryLater, "20503"),
    (503, b"", RetryLater, "503"),
    (400, error(21611), RetryLater, "21611"),
    (500, error(20500), OutcomeUnknown, "20500"),
    (502, b"<html>Bad Gateway</html>", OutcomeUnknown, "502"),
    (504, [], OutcomeUnknown, "504"),
    (408, b"", OutcomeUnknown, "408"),
    (307, b"", OutcomeUnknown, "307"),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), REFUSALS)
async def test_a_refusal_says_what_to_do_next(
    channel: TwilioChannel, twilio: TwilioServer, status: int, body: Any, kind: type[SendError], code: str
) -> None:
    """Twilio's code decides, then the HTTP status; the message is posted once."""
    twilio.on("POST", MESSAGES, body, status=status)
    with pytest.raises(SendError) as caught:
        await channel.send(HELLO)

    assert (type(caught.value), caught.value.code) == (kind, code)
    assert len(twilio.calls) == 1


WAITS: list[tuple[int, int, bool]] = [
    (429, 20429, True),
    (429, 14107, False),
    (429, 63018, False),
    (503, 30001, False),
    (400, 21611, True),
    (400, 63038, True),
    (400, 14107, False),
    (400, 30001, False),
    (400, 30022, False),
    (400, 63018, False),
]


@pytest.mark.parametrize(("status", "code", "channel_wide"), WAITS)
async def test_twilios_wish_to_wait_is_kept(
    channel: TwilioChannel, twilio: TwilioServer, status: int, code: int, channel_wide: bool
) -> None:
    """Retry-After is on the error, and so is whether the whole channel has to wait: its number, account or Twilio."""
    twilio.on("POST", MESSAGES, error(code), status=status, headers={"Retry-After": "7"})
    with pytest.raises(RetryLater) as caught:
        await channel.send(HELLO)

    assert (caught.value.retry_after_s, caught.value.channel_wide) == (7.0, channel_wide)


async def test_a_problem_document_is_told(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """An RFC 9457 body's title is the message where it has no detail."""
    twilio.on("POST", MESSAGES, PROBLEM, status=429)

    with pytest.raises(RetryLater, match="Busy"):
        await channel.send(HELLO)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"sid": 7}', b'{"sid": "", "status": "queued"}'])
async def test_a_success_that_cannot_be_read_is_an_outcome_that_nobody_knows(
    channel: TwilioChannel, twilio: TwilioServer, body: bytes
) -> None:
    """The message may have been sent, but which is it?"""
    twilio.on("POST", MESSAGES, body, status=201)

    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)


async def test_a_connection_that_breaks_is_an_outcome_that_nobody_knows(
    channel: TwilioChannel, twilio: TwilioServer
) -> None:
    """The request had left, and it is not repeated here."""
    twilio.hang_up_on("POST", MESSAGES)

    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)
    assert len(twilio.calls) == 1


async def test_a_silent_server_is_an_outcome_that_nobody_knows(http: Http, twilio: TwilioServer) -> None:
    """The SDK's own client would wait for ever."""
    settings = {"account_sid": ACCOUNT, "auth_token": TOKEN, "from": NUMBER, "api_base": twilio.url}
    api = TwilioApi(TwilioSettings.model_validate(settings), http, timeout_s=0.2)
    twilio.never_answer("POST", MESSAGES)

    with pytest.raises(OutcomeUnknown, match="TimeoutError"):
        await api.send({"to": CUSTOMER, "from_": NUMBER, "body": "Hello"})


def test_a_call_ends_before_the_outbox_gives_it_up() -> None:
    """So it is the client that says whether the request had left."""

    assert TwilioChannel.send_timeout_s > TIMEOUT_S


async def test_no_connection_is_no_send(http: Http) -> None:
    """Nothing was asked: it can be sent again."""
    channel = build(http, api_base=f"http://127.0.0.1:{unused_port()}")

    with pytest.raises(RetryLater) as caught:
        await channel.send(HELLO)
    assert caught.value.channel_wide


async def test_the_environment_changes_no_address(
    http: Http, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would send to another region, with other credentials, where the process's environment says so."""
    for name, value in {"REGION": "ie1", "EDGE": "dublin", "ACCOUNT_SID": "ACx", "AUTH_TOKEN": "y"}.items():
        monkeypatch.setenv(f"TWILIO_{name}", value)
    twilio.on("POST", MESSAGES, message("SM7"), status=201)

    assert await build(http, api_base=twilio.url).send(HELLO) == Receipt("SM7")


def test_the_sdk_is_imported_when_first_needed() -> None:
    """A process that sends nothing does not load it."""
    code = "import sys, channels.registry; sys.exit(any(name.split('.')[0] == 'twilio' for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
