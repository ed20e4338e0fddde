"""What doctor says about a page, and about a token of Meta's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from channels.abilities import Finding
from channels.http import Http
from channels.messenger.channel import MessengerChannel
from channels.messenger.diagnosis import FIELDS
from channels.messenger.test_doubles import APP, PAGE, SECRET, TOKEN, WEBHOOK, build, error
from channels.meta.diagnosis import token_findings
from channels.meta.test_doubles import GraphServer

SUBJECT = "channels.messenger"
ME = f"/v26.0/{PAGE}"
SUBSCRIBED = f"{ME}/subscribed_apps"
THE_APP = "/v26.0/app"
CALLBACKS = f"/v26.0/{APP}/subscriptions"
DEBUG = "/v26.0/debug_token"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
NEVER = {"is_valid": True, "expires_at": 0, "data_access_expires_at": 0}


def subscriptions(fields: Any = FIELDS, app: str = APP) -> dict[str, Any]:
    return {"data": [{"id": "7", "subscribed_fields": ["feed"]}, {"id": app, "subscribed_fields": fields}]}


def posting_to(url: str) -> dict[str, Any]:
    other = {"object": "whatsapp_business_account", "callback_url": "https://elsewhere.example/hook"}
    return {"data": [other, {"object": "page", "callback_url": url, "active": True}]}


def all_is_well(graph: GraphServer) -> None:
    graph.on("GET", ME, {"id": PAGE, "name": "A shop"})
    graph.on("GET", SUBSCRIBED, subscriptions())
    graph.on("GET", THE_APP, {"id": APP})
    graph.on("GET", CALLBACKS, posting_to(WEBHOOK))
    graph.on("GET", DEBUG, {"data": NEVER})


async def test_a_page_that_works_has_three_good_findings(channel: MessengerChannel, graph: GraphServer) -> None:
    """Its token, its webhook, and how long the token lasts, which the app asks in its own name."""
    all_is_well(graph)
    findings = await channel.diagnose()

    assert findings == [
        Finding(SUBJECT, True, "Meta accepts the token for A shop"),
        Finding(SUBJECT, True, "the page posts to us"),
        Finding(SUBJECT, True, "the token never expires"),
    ]
    asked = {call.path: call for call in graph.calls}
    assert asked[ME].query == {"fields": "name"}
    assert asked[ME].headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked[CALLBACKS].headers["Authorization"] == f"Bearer {APP}|{SECRET}"
    assert asked[DEBUG].query == {"input_token": TOKEN}
    assert asked[DEBUG].headers["Authorization"] == f"Bearer {APP}|{SECRET}"


@pytest.mark.parametrize(
    ("status", "answer", "detail"),
    [
        (401, error(190, message="Session has expired"), "Meta rejects the page's token: Session has expired"),
        (400, error(100, 33, "Unsupported request"), "Meta cannot be asked about the page: Unsupported request"),
        (503, b"", "Meta cannot be asked about the page: HTTP 503"),
    ],
)
async def test_without_the_page_nothing_else_is_asked(
    channel: MessengerChannel, graph: GraphServer, status: int, answer: Any, detail: str
) -> None:
    """A failing call is one finding, with what to do about it."""
    graph.on("GET", ME, answer, status=status)
    [finding] = await channel.diagnose()

    assert (finding.ok, finding.detail, bool(finding.fix)) == (False, detail, True)


WEBHOOKS: list[tuple[Any, str]] = [
    (subscriptions(app="8"), "the page does not post to our app"),
    ({"data": []}, "the page does not post to our app"),
    ({}, "the page does not post to our app"),
    (
        subscriptions([name for name in FIELDS if name not in ("message_echoes", "standby")]),
        "the page does not post message_echoes, standby",
    ),
    (subscriptions(None), f"the page does not post {', '.join(FIELDS)}"),
]


@pytest.mark.parametrize(("listed", "detail"), WEBHOOKS)
async def test_a_page_that_does_not_post_to_us_is_found(
    channel: MessengerChannel, graph: GraphServer, listed: Any, detail: str
) -> None:
    """Meta takes a subscription away without a word; the fix names the address to paste."""
    all_is_well(graph)
    graph.on("GET", SUBSCRIBED, listed)
    _, finding, _ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (False, detail)
    assert WEBHOOK in (finding.fix or "")


SECOND = "https://chat.example.com/webhooks/page2"
ELSEWHERE = "https://old.example.com/webhooks/messenger"
CALLBACK_URLS: list[tuple[Any, bool, str]] = [
    (posting_to(f"{WEBHOOK}/"), True, "the page posts to us"),
    (posting_to(SECOND), True, f"the page posts to {SECOND}, which has to be another channel of the same app"),
    (posting_to(ELSEWHERE), False, f"the page's app posts to {ELSEWHERE}"),
    ({"data": [{"object": "user", "callback_url": WEBHOOK}]}, False, "the page's app posts to nobody"),
    ({}, False, "the page's app posts to nobody"),
]


@pytest.mark.parametrize(("listed", "ok", "detail"), CALLBACK_URLS)
async def test_the_apps_address_may_be_any_of_ours(
    channel: MessengerChannel, graph: GraphServer, listed: Any, ok: bool, detail: str
) -> None:
    """An app has one for all of its pages; one that is not ours is found, with the address to paste."""
    all_is_well(graph)
    graph.on("GET", CALLBACKS, listed)
    _, finding, _ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (ok, detail)
    assert ok or WEBHOOK in (finding.fix or "")


async def test_an_address_that_meta_does_not_tell_is_named(channel: MessengerChannel, graph: GraphServer) -> None:
    """Nothing is known to be wrong; the operator reads what to compare."""
    all_is_well(graph)
    graph.on("GET", CALLBACKS, error(190), status=400)
    _, finding, _ = await channel.diagnose()

    assert finding.ok
    assert finding.detail.endswith(f"whose callback URL Meta does not tell (no); it has to be {WEBHOOK}")


async def test_subscriptions_that_cannot_be_read_are_a_finding(channel: MessengerChannel, graph: GraphServer) -> None:
    """A token without pages_manage_metadata sends messages all the same."""
    all_is_well(graph)
    graph.on("GET", SUBSCRIBED, error(200), status=403)
    _, finding, _ = await channel.diagnose()

    assert (finding.ok, finding.detail) == (False, "the page's subscriptions cannot be read: no")
    assert WEBHOOK in (finding.fix or "")


def seconds(day: int, month: int = 12, year: int = 2026) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


TOKENS: list[tuple[dict[str, Any], list[tuple[bool, str]]]] = [
    (NEVER, [(True, "the token never expires")]),
    ({"is_valid": True}, [(True, "the token never expires")]),
    ({"is_valid": True, "expires_at": seconds(20)}, [(True, "the token ends on 2026-12-20")]),
    ({"is_valid": True, "expires_at": seconds(5)}, [(False, "the token ends on 2026-12-05")]),
    (
        NEVER | {"data_access_expires_at": seconds(1)},
        [(False, "the token's access to people's data ends on 2026-12-01")],
    ),
    (
        {"is_valid": True, "expires_at": seconds(1, 2, 2027), "data_access_expires_at": seconds(1)},
        [(True, "the token ends on 2027-02-01"), (False, "the token's access to people's data ends on 2026-12-01")],
    ),
    (
        {"is_valid": False, "error": {"code": 190, "message": "The session was invalidated"}},
        [(False, "Meta does not take the token any more: The session was invalidated")],
    ),
    ({}, [(False, "Meta does not take the token any more: it is not valid")]),
]


@pytest.mark.parametrize(("told", "expected"), TOKENS)
async def test_a_token_that_ends_soon_is_told_two_weeks_before(
    channel: MessengerChannel, graph: GraphServer, told: dict[str, Any], expected: list[tuple[bool, str]]
) -> None:
    """And its access to people's data is, which ends on its own; what is wrong says what to do."""
    graph.on("GET", THE_APP, {"id": APP})
    graph.on("GET", DEBUG, {"data": told})
    findings = await token_findings(channel._graph(), SUBJECT, SecretStr(SECRET), NOW)

    assert [(finding.ok, finding.detail) for finding in findings] == expected
    assert all(finding.ok or finding.fix for finding in findings)


async def test_another_apps_secret_is_a_finding(http: Http, graph: GraphServer) -> None:
    """Webhooks signed by the right app would be refused: the secret has to be the token's app's."""
    all_is_well(graph)
    graph.on("GET", DEBUG, error(190, message="Invalid OAuth access token."), status=400)
    *_, finding = await build(http, api_base=graph.url, app_secret="another").diagnose()

    assert finding.detail == "Meta does not tell when the token ends: Invalid OAuth access token."
    assert "app_secret" in (finding.fix or "")
