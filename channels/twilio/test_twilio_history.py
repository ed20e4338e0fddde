"""Asking Twilio's log for what a webhook, or an answer, should have told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.abilities import Polled
from channels.base import Attachment, Consent, DeliveryStatus, Inbound, Outbound, Receipt
from channels.content import Content
from channels.errors import CredentialsRejected, OutcomeUnknown
from channels.http import Http
from channels.twilio.channel import TwilioChannel
from channels.twilio.test_doubles import (
    ACCOUNT,
    ACCOUNT_PATH,
    CUSTOMER,
    MESSAGES,
    NUMBER,
    SERVICE,
    TwilioServer,
    build,
    inbound,
    message,
    page,
)


def at(hour: int, minute: int = 0, second: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, second, microsecond, tzinfo=UTC)


NOW = at(12)
SINCE = {"since": at(11, 50).isoformat(), "first": at(1).isoformat()}


def sids(polled: Polled) -> list[str]:
    return [event.external_id for event in polled.events if isinstance(event, Inbound)]


# --- poll ---


async def test_a_first_poll_only_begins(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """What was written before Frontdesk was there is not asked for."""
    polled = await channel.poll(None, NOW)

    assert polled == Polled((), {"since": NOW.isoformat(), "first": NOW.isoformat()})
    assert twilio.calls == []


async def test_a_poll_finds_what_no_webhook_told(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """The event is the webhook's, with the time that Twilio knows; the next poll starts now."""
    twilio.on("GET", MESSAGES, page("messages", [inbound("SM7", "11:55", body=" Stop ", num_segments="2")]))
    polled = await channel.poll(SINCE, NOW)

    assert polled.checkpoint == {"since": NOW.isoformat(), "first": SINCE["first"]}
    assert polled.events == (
        Inbound(
            account=NUMBER,
            sender=CUSTOMER,
            external_id="SM7",
            text=" Stop ",
            consent=Consent.OPT_OUT,
            sent_at=at(11, 55),
            metadata={"num_segments": "2"},
        ),
    )
    [call] = twilio.calls
    assert dict(call.query) == {"To": NUMBER, "DateSent>": "2026-11-24T10:50:00Z", "PageSize": "200"}


async def test_a_poll_tells_messages_in_order(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """Twilio lists the newest first, also within a second; what we sent or is still arriving is left out."""
    rows = [inbound("SM4", "11:57"), inbound("SM3", "11:57"), message("SM9", **{"from": CUSTOMER, "to": NUMBER})]
    rest = [
        inbound("SM2", "11:56"),
        inbound("SM5", "11:56", status="receiving"),
        inbound("SM6", "11:56", **{"from": None}),
        inbound("SM1", "11:55", date_sent=None),
    ]
    following = f"{MESSAGES}?To=%2B15550100001&Page=1&PageToken=PASM3"
    twilio.on("GET", MESSAGES, page("messages", rows, following))
    twilio.on("GET", following, page("messages", rest))
    polled = await channel.poll(SINCE, NOW)

    assert sids(polled) == ["SM1", "SM2", "SM3", "SM4"]
    assert twilio.calls[1].headers["Authorization"].startswith("Basic ")


async def test_a_poll_does_not_reach_behind_the_first(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """The hour of overlap ends where Frontdesk began, also where Twilio lists whole days."""
    twilio.on("GET", MESSAGES, page("messages", [inbound("SM2", "11:46"), inbound("SM1", "11:44")]))
    polled = await channel.poll({"since": at(11, 50).isoformat(), "first": at(11, 45).isoformat()}, NOW)
    older = await channel.poll({"since": at(11, 45, 0, 7).isoformat()}, NOW)

    assert sids(polled) == sids(older) == ["SM2"]
    assert dict(twilio.calls[0].query)["DateSent>"] == "2026-11-24T11:45:00Z"


SERVICES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["SM1", "SM2"]),
    ({"from": None}, ["SM2"]),
]


@pytest.mark.parametrize(("changes", "expected"), SERVICES)
async def test_a_services_messages_are_picked_from_the_accounts(
    http: Http, twilio: TwilioServer, changes: dict[str, Any], expected: list[str]
) -> None:
    """A service's numbers are not known here: all of the account's messages are looked through."""
    rows = [
        inbound("SM3", "11:57", to="+15550100078"),
        inbound("SM2", "11:56", to="+15550100077", messaging_service_sid=SERVICE),
        inbound("SM1", "11:55"),
    ]
    twilio.on("GET", MESSAGES, page("messages", rows))
    channel = build(http, api_base=twilio.url, messaging_service_sid=SERVICE, **changes)
    polled = await channel.poll(SINCE, NOW)

    assert sids(polled) == expected
    assert all(channel.owns(event) for event in polled.events)
    assert "To" not in dict(twilio.calls[0].query)


async def test_a_polled_message_has_its_files(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """They are at the same addresses as the webhook's."""
    media = f"{ACCOUNT_PATH}/Messages/MM7/Media"
    row = {"sid": "ME1", "parent_sid": "MM7", "content_type": "image/png", "uri": f"{media}/ME1.json"}
    twilio.on("GET", MESSAGES, page("messages", [inbound("MM7", "11:55", num_media="1")]))
    twilio.on("GET", f"{media}.json", page("media_list", [row]))
    [event] = (await channel.poll(SINCE, NOW)).events

    assert isinstance(event, Inbound)
    assert event.attachments == (Attachment(f"{twilio.url}{media}/ME1", "image/png"),)
    assert f"/Accounts/{ACCOUNT}/" in event.attachments[0].url


async def test_a_poll_that_fails_says_why(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """A list's failure has a meaning too, which the SDK's own exception does not carry."""
    twilio.on("GET", MESSAGES, {"code": 20003, "message": "Authenticate"}, status=401)

    with pytest.raises(CredentialsRejected, match="Authenticate"):
        await channel.poll(SINCE, NOW)


UNREADABLE = [
    b"<html>",
    {"messages": ["SM1"]},
    {"messages": [], "more": []},
    page("messages", [message("S", num_media="x")]),
]


@pytest.mark.parametrize("body", UNREADABLE)
async def test_a_list_that_cannot_be_read_is_not_taken_for_empty(
    channel: TwilioChannel, twilio: TwilioServer, body: Any
) -> None:
    """The checkpoint stays where it was."""
    twilio.on("GET", MESSAGES, body)

    with pytest.raises(OutcomeUnknown):
        await channel.poll(SINCE, NOW)


# --- find ---

LOST = Outbound("d-1", CUSTOMER, Content("Hello"), NUMBER)
CALLED_AT = at(10, 0, 0, 500_000)


async def test_a_message_that_was_taken_is_found(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """One that still waits in Twilio's queue counts: it will be sent."""
    twilio.on("GET", MESSAGES, page("messages", [message("SM7")]))

    assert await channel.find(LOST, CALLED_AT, frozenset()) == Receipt("SM7", DeliveryStatus.SENT)
    assert dict(twilio.calls[0].query) == {"To": CUSTOMER, "PageSize": "200"}


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "Hello?"},
        {"from": "+15550100077"},
        {"direction": "inbound"},
        {"date_created": "Tue, 24 Nov 2026 09:59:59 +0000"},
        {"sid": "SM8"},
    ],
)
async def test_another_message_is_not_taken_for_it(
    channel: TwilioChannel, twilio: TwilioServer, changes: dict[str, Any]
) -> None:
    """Other words, another sender, an older message or another delivery's is not this one."""
    twilio.on("GET", MESSAGES, page("messages", [message("SM7") | changes]))

    assert await channel.find(LOST, CALLED_AT, frozenset({"SM8"})) is None


async def test_the_oldest_of_several_is_it(channel: TwilioChannel, twilio: TwilioServer) -> None:
    """Newer ones belong to later deliveries of the same words; the status is as far as it got."""
    later = message("SM8", date_created="Tue, 24 Nov 2026 10:00:05 +0000")
    twilio.on("GET", MESSAGES, page("messages", [later, message("SM7", status="undelivered")]))

    assert await channel.find(LOST, CALLED_AT, frozenset()) == Receipt("SM7", DeliveryStatus.FAILED)


@pytest.mark.parametrize(
    "changes",
    [
        {"from": None, "messaging_service_sid": SERVICE},
        {"body": "Sent from your Twilio trial account - Hello"},
        {"body": "Hello\n"},
        {"date_created": None},
    ],
)
async def test_what_twilio_does_to_a_message_is_known(
    channel: TwilioChannel, twilio: TwilioServer, changes: dict[str, Any]
) -> None:
    """A service picks the sender late, a trial account says so, and white space at the ends is nothing."""
    twilio.on("GET", MESSAGES, page("messages", [message("SM7", **changes)]))

    assert await channel.find(LOST, CALLED_AT, frozenset()) == Receipt("SM7")


async def test_a_service_without_a_number_finds_whatever_sender(http: Http, twilio: TwilioServer) -> None:
    """Where no sender was named, any of the pool may have been picked."""
    twilio.on("GET", MESSAGES, page("messages", [message("SM7", **{"from": "+15550100077"})]))
    channel = build(http, api_base=twilio.url, messaging_service_sid=SERVICE, **{"from": None})

    assert await channel.find(Outbound("d-1", CUSTOMER, Content("Hello")), CALLED_AT, frozenset()) == Receipt("SM7")
