"""What doctor says about an account."""

from __future__ import annotations

from typing import Any

import pytest

from channels.abilities import Finding
from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.client import TwilioApi
from channels.twilio.diagnosis import diagnose
from channels.twilio.settings import TwilioSettings
from channels.twilio.test_doubles import (
    ACCOUNT,
    ACCOUNT_PATH,
    NUMBER,
    SERVICE,
    TOKEN,
    WEBHOOK,
    TwilioServer,
    build,
    page,
)

ADDRESS = f"{WEBHOOK}#rc=5&rp=all"
ME = f"{ACCOUNT_PATH}.json"
NUMBERS = f"{ACCOUNT_PATH}/IncomingPhoneNumbers.json"
SERVICE_PATH = f"/v1/Services/{SERVICE}"
ACTIVE = {"sid": ACCOUNT, "status": "active"}
FALLBACK = "https://backup.example.com/"


def number(**changes: Any) -> dict[str, Any]:
    row = {"phone_number": NUMBER, "sms_url": ADDRESS, "sms_method": "POST", "sms_fallback_url": FALLBACK}
    return page("incoming_phone_numbers", [row | changes])


WITHOUT_RETRIES = Finding(
    "channels.sms",
    True,
    f"{NUMBER} posts to us; what fails is not tried again",
    f"set it to {ADDRESS}: Twilio then tries again after any failure",
)
WITHOUT_FALLBACK = Finding(
    "channels.sms", True, f"{NUMBER} has no fallback address: what fails comes with the next poll"
)
LEADS_HERE: list[tuple[dict[str, Any], list[Finding]]] = [
    (number(sms_fallback_url=""), [Finding("channels.sms", True, f"{NUMBER} posts to us"), WITHOUT_FALLBACK]),
    (number(sms_url=WEBHOOK), [WITHOUT_RETRIES]),
    (number(sms_url=f"{WEBHOOK}#rc=1"), [WITHOUT_RETRIES]),
    (number(sms_url=WEBHOOK, sms_fallback_url=""), [WITHOUT_RETRIES, WITHOUT_FALLBACK]),
]


@pytest.mark.parametrize(("listed", "expected"), LEADS_HERE)
async def test_a_webhook_without_retries_is_something_to_do(
    channel: TwilioChannel, twilio: TwilioServer, listed: dict[str, Any], expected: list[Finding]
) -> None:
    """Doctor warns and says what to paste; a missing fallback address is a line of its own, and nothing to do."""
    twilio.on("GET", ME, ACTIVE)
    twilio.on("GET", NUMBERS, listed)

    assert (await channel.diagnose())[1:] == expected


NUMBER_FINDINGS: list[tuple[dict[str, Any], Finding]] = [
    (number(), Finding("channels.sms", True, f"{NUMBER} posts to us")),
    (
        number(sms_url="https://demo.twilio.com/welcome/sms/reply"),
        Finding(
            "channels.sms",
            False,
            f"{NUMBER} posts to https://demo.twilio.com/welcome/sms/reply",
            f"set it to {ADDRESS}",
        ),
    ),
    (number(sms_url=None), Finding("channels.sms", False, f"{NUMBER} posts to nobody", f"set it to {ADDRESS}")),
    (number(sms_method="GET"), Finding("channels.sms", False, f"{NUMBER} uses GET", f"set it to HTTP POST {ADDRESS}")),
    (
        number(sms_application_sid="AP1"),
        Finding(
            "channels.sms",
            False,
            f"{NUMBER} is overridden by AP1",
            f"in Twilio's console, let {NUMBER} post to {ADDRESS} itself",
        ),
    ),
    (
        page("incoming_phone_numbers", []),
        Finding("channels.sms", False, f"the account has no number {NUMBER}", "check `from` in config.yaml"),
    ),
]


@pytest.mark.parametrize(("listed", "expected"), NUMBER_FINDINGS)
async def test_a_numbers_webhook_is_compared_with_ours(
    channel: TwilioChannel, twilio: TwilioServer, listed: dict[str, Any], expected: Finding
) -> None:
    """Whether it leads here, and what to paste where it does not; a fragment changes nothing about that."""
    twilio.on("GET", ME, ACTIVE)
    twilio.on("GET", NUMBERS, listed)
    findings = await channel.diagnose()

    assert findings == [Finding("channels.sms", True, "Twilio accepts the credentials"), expected]
    assert dict(twilio.calls[1].query)["PhoneNumber"] == NUMBER


BROKEN: list[tuple[int, Any, str]] = [
    (401, {"code": 20003, "message": "Authenticate"}, "Twilio rejects the credentials: Authenticate"),
    (503, b"", "Twilio cannot be asked: HTTP 503"),
    (200, ACTIVE | {"status": "suspended"}, "the account is suspended"),
]


@pytest.mark.parametrize(("status", "body", "detail"), BROKEN)
async def test_without_the_account_nothing_else_is_asked(
    channel: TwilioChannel, twilio: TwilioServer, status: int, body: Any, detail: str
) -> None:
    """A failing call is one finding, with what to do about it."""
    twilio.on("GET", ME, body, status=status)
    [finding] = await channel.diagnose()

    assert (finding.ok, finding.detail, bool(finding.fix)) == (False, detail, True)


async def test_a_webhook_that_cannot_be_read_is_a_finding(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """An account without the permission can still look for itself."""
    twilio.on("GET", ME, ACTIVE)
    _, finding = await channel.diagnose()

    assert not finding.ok
    assert finding.fix == f"look in Twilio's console whether it is {ADDRESS}"


SERVICE_FINDINGS: list[tuple[str | None, bool, str]] = [
    (None, False, f"Messaging Service {SERVICE} posts to us"),
    (NUMBER, False, f"Messaging Service {SERVICE} posts to us"),
    (NUMBER, True, f"{NUMBER} posts to us"),
    (None, True, f"Messaging Service {SERVICE} is overridden by the numbers' own webhooks"),
]


@pytest.mark.parametrize(("sender", "by_number", "detail"), SERVICE_FINDINGS)
async def test_a_services_webhook_comes_before_its_numbers(
    http: Http, twilio: TwilioServer, sender: str | None, by_number: bool, detail: str
) -> None:
    """Unless the service leaves it to the numbers."""
    row = {"sid": SERVICE, "inbound_request_url": ADDRESS, "inbound_method": "POST", "fallback_url": FALLBACK}
    twilio.on("GET", ME, ACTIVE)
    twilio.on("GET", SERVICE_PATH, row | {"use_inbound_webhook_on_number": by_number})
    twilio.on("GET", NUMBERS, number())
    channel = build(http, api_base=twilio.url, messaging_service_sid=SERVICE, **{"from": sender})
    _, finding = await channel.diagnose()

    assert finding.detail == detail


SHORT_CODE = "12345"
SHORT_CODES = f"{ACCOUNT_PATH}/SMS/ShortCodes.json"


def short_code(code: str, url: str) -> dict[str, Any]:
    """Make a row (www.twilio.com/docs/messaging/api/short-code-resource)."""
    return {"sid": f"SC{code}", "short_code": code, "sms_url": url, "sms_method": "POST", "sms_fallback_url": FALLBACK}


@pytest.mark.parametrize(
    ("listed", "ok", "detail"),
    [
        ([short_code("123456", "https://x.example/"), short_code(SHORT_CODE, ADDRESS)], True, "12345 posts to us"),
        ([short_code(SHORT_CODE, "https://x.example/")], False, "12345 posts to https://x.example/"),
        ([short_code("123456", ADDRESS)], False, "the account has no number 12345"),
    ],
)
async def test_a_short_code_is_looked_up_among_short_codes(
    http: Http, twilio: TwilioServer, listed: list[dict[str, Any]], ok: bool, detail: str
) -> None:
    """It is none of the account's phone numbers, and a longer code that begins alike is another one."""
    twilio.on("GET", ME, ACTIVE)
    twilio.on("GET", SHORT_CODES, page("short_codes", listed))
    _, finding = await build(http, api_base=twilio.url, **{"from": SHORT_CODE}).diagnose()

    assert (finding.ok, finding.detail) == (ok, detail)
    assert dict(twilio.calls[1].query)["ShortCode"] == SHORT_CODE


async def test_a_whatsapp_sender_is_looked_up_by_hand(http: Http, twilio: TwilioServer) -> None:
    """Its address is not among the account's numbers."""
    twilio.on("GET", ME, ACTIVE)
    _, finding = await build(http, api_base=twilio.url, **{"from": f"whatsapp:{NUMBER}"}).diagnose()

    assert finding.ok
    assert ADDRESS in finding.detail


async def test_the_messaging_api_is_twilios_own_by_default() -> None:
    """Only a redirected platform has both of its hosts in one place."""
    settings = TwilioSettings.model_validate(
        {"account_sid": ACCOUNT, "auth_token": TOKEN, "messaging_service_sid": SERVICE}
    )
    async with Http() as http:
        await http.close()
        api = TwilioApi(settings, http)
        with pytest.raises(RuntimeError, match="not open"):
            await api.service_webhook(SERVICE)
        with pytest.raises(RuntimeError, match="not open"):
            await diagnose(api, settings, "channels.sms", ADDRESS)

    assert api._client.messaging.base_url == "https://messaging.twilio.com"
