"""What doctor says about a WhatsApp number."""

from __future__ import annotations

from typing import Any

import pytest

from channels.abilities import Finding
from channels.http import Http
from channels.meta.test_doubles import GraphServer
from channels.whatsapp.channel import WhatsAppChannel
from channels.whatsapp.test_doubles import ACCOUNT, APP, NUMBER, TOKEN, WEBHOOK, build, error

SUBJECT = "channels.whatsapp"
ME = f"/v26.0/{NUMBER}"
SUBSCRIBED = f"/v26.0/{ACCOUNT}/subscribed_apps"
THE_APP = "/v26.0/app"
DEBUG = "/v26.0/debug_token"
NEVER = {"is_valid": True, "expires_at": 0, "data_access_expires_at": 0}


def number(**changes: Any) -> dict[str, Any]:
    told = {"id": NUMBER, "display_phone_number": "+1 555-010-0001", "verified_name": "A shop"}
    return told | {"quality_rating": "GREEN", "webhook_configuration": {"application": WEBHOOK}} | changes


def subscriptions(*apps: str) -> dict[str, Any]:
    return {"data": [{"whatsapp_business_api_data": {"id": app, "name": "An app"}} for app in apps]}


def all_is_well(graph: GraphServer) -> None:
    graph.on("GET", ME, number())
    graph.on("GET", SUBSCRIBED, subscriptions("7", APP))
    graph.on("GET", THE_APP, {"id": APP})
    graph.on("GET", DEBUG, {"data": NEVER})


@pytest.fixture
def channel(http: Http, graph: GraphServer) -> WhatsAppChannel:
    return build(http, api_base=graph.url, business_account_id=ACCOUNT)


async def test_a_number_that_works_has_four_good_findings(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """Its token, its webhook, its account, and how long the token lasts."""
    all_is_well(graph)

    assert await channel.diagnose() == [
        Finding(SUBJECT, True, "Meta accepts the token for +1 555-010-0001 (A shop)"),
        Finding(SUBJECT, True, "the number posts to us"),
        Finding(SUBJECT, True, "the business account posts to our app"),
        Finding(SUBJECT, True, "the token never expires"),
    ]
    assert graph.calls[0].query == {"fields": "display_phone_number,verified_name,quality_rating,webhook_configuration"}
    assert graph.calls[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("status", "answer", "detail"),
    [
        (401, error(190, "Session has expired"), "Meta rejects the number's token: Session has expired"),
        (400, error(100, "Unsupported request"), "Meta cannot be asked about the number: Unsupported request"),
        (503, b"", "Meta cannot be asked about the number: HTTP 503"),
    ],
)
async def test_without_the_number_nothing_else_is_asked(
    channel: WhatsAppChannel, graph: GraphServer, status: int, answer: Any, detail: str
) -> None:
    """A failing call is one finding, with what to do about it."""
    graph.on("GET", ME, answer, status=status)
    [finding] = await channel.diagnose()

    assert (finding.ok, finding.detail, bool(finding.fix)) == (False, detail, True)


@pytest.mark.parametrize(
    ("changes", "ok", "detail"),
    [
        ({"quality_rating": "RED"}, False, "WhatsApp rates the quality of +1 555-010-0001 as RED"),
        ({"quality_rating": "UNKNOWN", "verified_name": None}, True, "Meta accepts the token for +1 555-010-0001"),
        ({"display_phone_number": None}, True, f"Meta accepts the token for {NUMBER} (A shop)"),
    ],
)
async def test_a_number_that_many_have_blocked_is_found(
    channel: WhatsAppChannel, graph: GraphServer, changes: dict[str, Any], ok: bool, detail: str
) -> None:
    """WhatsApp lowers its limits next."""
    all_is_well(graph)
    graph.on("GET", ME, number(**changes))
    finding, *_ = await channel.diagnose()

    assert (finding.ok, finding.detail, bool(finding.fix)) == (ok, detail, not ok)


ELSEWHERE = "https://old.example.com/hook"
SISTER = "https://chat.example.com/webhooks/whatsapp2"
WEBHOOKS: list[tuple[Any, bool, str]] = [
    ({"application": f"{WEBHOOK}/"}, True, "the number posts to us"),
    ({"application": ELSEWHERE, "phone_number": WEBHOOK}, True, "the number posts to us"),
    ({"application": ELSEWHERE, "whatsapp_business_account": WEBHOOK}, True, "the number posts to us"),
    ({"application": WEBHOOK, "phone_number": ELSEWHERE}, False, f"the number posts to {ELSEWHERE}"),
    (
        {"application": SISTER},
        True,
        f"the number posts to {SISTER}, which has to be another channel of the same app",
    ),
    ({"application": ""}, False, "the number posts to nobody"),
    (None, True, f"Meta does not tell its callback URL, which has to be {WEBHOOK}"),
]


@pytest.mark.parametrize(("configured", "ok", "detail"), WEBHOOKS)
async def test_the_callback_url_is_compared_with_ours(
    channel: WhatsAppChannel, graph: GraphServer, configured: Any, ok: bool, detail: str
) -> None:
    """The number's own comes first, then its account's, then the app's; the fix names the address to paste."""
    all_is_well(graph)
    graph.on("GET", ME, number(webhook_configuration=configured))
    _, finding, *_ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (ok, detail)
    assert ok or WEBHOOK in (finding.fix or "")


@pytest.mark.parametrize("listed", [subscriptions("7"), {"data": []}, {}])
async def test_an_account_that_does_not_post_to_our_app_is_found(
    channel: WhatsAppChannel, graph: GraphServer, listed: Any
) -> None:
    """The handshake passes without, and no message ever comes."""
    all_is_well(graph)
    graph.on("GET", SUBSCRIBED, listed)
    _, _, finding, _ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (False, "the business account does not post to our app")
    assert f"POST {graph.url}{SUBSCRIBED}" in (finding.fix or "")


async def test_subscriptions_that_cannot_be_read_are_a_finding(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """A token without whatsapp_business_management sends messages all the same."""
    all_is_well(graph)
    graph.on("GET", SUBSCRIBED, error(200), status=403)
    _, _, finding, _ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (False, "the business account's subscriptions cannot be read: no")


async def test_without_the_account_its_subscriptions_are_not_asked_for(http: Http, graph: GraphServer) -> None:
    """The finding says what would be needed."""
    all_is_well(graph)
    _, _, finding, _ = await build(http, api_base=graph.url).diagnose()

    assert finding.ok
    assert "business_account_id" in finding.detail
    assert SUBSCRIBED not in {call.path for call in graph.calls}
