"""What a refusal of Meta's, or its silence, means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from channels.content import Content
from channels.errors import (
    CredentialsRejected,
    OutcomeUnknown,
    OutsideWindow,
    OwnedElsewhere,
    Refused,
    RetryLater,
    SendError,
)
from channels.http import Http
from channels.messenger.channel import MessengerChannel
from channels.messenger.test_doubles import HELLO, MESSAGES, build, error
from channels.meta.graph import TIMEOUT_S, UPLOAD_TIMEOUT_S
from channels.meta.test_doubles import GraphServer

CHANNEL_LATER, MESSAGE_LATER = (RetryLater, True, None), (RetryLater, False, None)
FINAL = (Refused, None, None)
STOPS = (CredentialsRejected, None, None)
UNKNOWN = (OutcomeUnknown, None, None)
PAGE_WAITS = (RetryLater, True, 1800.0)
Meaning = tuple[type[SendError], bool | None, float | None]

REFUSALS: list[tuple[int, Any, Meaning, str]] = [
    (400, error(10, 2018278), (OutsideWindow, None, None), "10/2018278"),
    (400, error(10, 2018065), (OutsideWindow, None, None), "10/2018065"),
    (400, error(10, 2534022), (OutsideWindow, None, None), "10/2534022"),
    (400, error(10, 2018300), (OwnedElsewhere, None, None), "10/2018300"),
    (400, error(100, 2018105), (OwnedElsewhere, None, None), "100/2018105"),
    (400, error(551, 1545041), FINAL, "551/1545041"),
    (400, error(551), FINAL, "551"),
    (400, error(200, 1545041), FINAL, "200/1545041"),
    (400, error(10, 2018108), FINAL, "10/2018108"),
    (400, error(100, 2018001), FINAL, "100/2018001"),
    (400, error(100, 2018109), FINAL, "100/2018109"),
    (400, error(100), FINAL, "100"),
    (400, error(10, 2018999), FINAL, "10/2018999"),
    (400, error(999), FINAL, "999"),
    (404, b"", FINAL, "404"),
    (200, error(36000), FINAL, "36000"),
    (400, error(10, 1893063), PAGE_WAITS, "10/1893063"),
    (400, error(100, 2534122), PAGE_WAITS, "100/2534122"),
    (400, error(100, 2534029), PAGE_WAITS, "100/2534029"),
    (503, error(2, is_transient=True), MESSAGE_LATER, "2"),
    (400, error(4), CHANNEL_LATER, "4"),
    (400, error(4, 2018022), CHANNEL_LATER, "4/2018022"),
    (400, error(17), CHANNEL_LATER, "17"),
    (400, error(32), CHANNEL_LATER, "32"),
    (400, error(613), CHANNEL_LATER, "613"),
    (400, error(80006), CHANNEL_LATER, "80006"),
    (429, b"", CHANNEL_LATER, "429"),
    (503, b"<html>", CHANNEL_LATER, "503"),
    (400, error(1200), MESSAGE_LATER, "1200"),
    (500, error(1), MESSAGE_LATER, "1"),
    (500, error(5, is_transient=True), MESSAGE_LATER, "5"),
    (400, error(100, 2018007), MESSAGE_LATER, "100/2018007"),
    (400, error(100, 2018008), MESSAGE_LATER, "100/2018008"),
    (401, error(190, 463), STOPS, "190/463"),
    (400, error(190), STOPS, "190"),
    (401, b"", STOPS, "401"),
    (403, error(10), STOPS, "10"),
    (403, error(200), STOPS, "200"),
    (403, error(200, 2534041), STOPS, "200/2534041"),
    (400, error(100, 33), STOPS, "100/33"),
    (400, error(230), STOPS, "230"),
    (400, error(368), STOPS, "368"),
    (500, b"", UNKNOWN, "500"),
    (502, b"<html>", UNKNOWN, "502"),
    (500, error(999), UNKNOWN, "999"),
    (408, b"", UNKNOWN, "408"),
    (500, error(1, 1357046), UNKNOWN, "1/1357046"),
]


@pytest.mark.parametrize(("status", "body", "meaning", "code"), REFUSALS)
async def test_a_refusal_says_what_to_do_next(
    channel: MessengerChannel, graph: GraphServer, status: int, body: Any, meaning: Meaning, code: str
) -> None:
    """Meta's subcode decides, then its code, then the HTTP status; the message is posted once."""
    graph.on("POST", MESSAGES, body, status=status)
    with pytest.raises(SendError) as caught:
        await channel.send(HELLO)

    found = caught.value
    waits = (found.channel_wide, found.retry_after_s) if isinstance(found, RetryLater) else (None, None)
    assert ((type(found), *waits), found.code) == (meaning, code)
    assert len(graph.calls) == 1


@pytest.mark.parametrize("subcode", [2018007, 2018008])
async def test_a_file_that_meta_cannot_fetch_is_tried_once_more(
    channel: MessengerChannel, graph: GraphServer, subcode: int
) -> None:
    """Its server may have been slow; the second time it is final."""
    graph.on("POST", MESSAGES, error(100, subcode), status=400)

    first = replace(HELLO, content=Content("", ("https://x.example/a.png",)))
    with pytest.raises(RetryLater):
        await channel.send(first)
    with pytest.raises(Refused):
        await channel.send(replace(first, attempts=1))


USAGE = json.dumps({"1": [{"type": "messenger", "estimated_time_to_regain_access": 2}]})


@pytest.mark.parametrize(
    ("code", "headers", "expected"),
    [
        ((4, None), {"Retry-After": "7"}, 7.0),
        ((613, None), {"X-Business-Use-Case-Usage": USAGE}, 120.0),
        ((1200, None), {"Retry-After": "7"}, 7.0),
        ((10, 1893063), {"Retry-After": "7"}, 1800.0),
        ((10, 1893063), {"Retry-After": "7200"}, 7200.0),
    ],
)
async def test_metas_wish_to_wait_is_kept(
    channel: MessengerChannel,
    graph: GraphServer,
    code: tuple[int, int | None],
    headers: dict[str, str],
    expected: float,
) -> None:
    """A page that may not write for a while is not asked before half an hour has gone."""
    graph.on("POST", MESSAGES, error(*code), status=400, headers=headers)
    with pytest.raises(RetryLater) as caught:
        await channel.send(HELLO)

    assert caught.value.retry_after_s == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message_id": ""}', b'{"message_id": null}'])
async def test_a_success_that_cannot_be_read_is_an_outcome_that_nobody_knows(
    channel: MessengerChannel, graph: GraphServer, body: bytes
) -> None:
    """The message may have been sent, but which is it?"""
    graph.on("POST", MESSAGES, body)

    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)


async def test_a_connection_that_breaks_is_an_outcome_that_nobody_knows(
    channel: MessengerChannel, graph: GraphServer
) -> None:
    """The request had left, and it is not repeated here."""
    graph.hang_up_on("POST", MESSAGES)

    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)
    assert len(graph.calls) == 1


async def test_no_connection_is_no_send(http: Http) -> None:
    """Nothing was asked: it can be sent again."""
    channel = build(http, api_base=f"http://127.0.0.1:{unused_port()}")

    with pytest.raises(RetryLater) as caught:
        await channel.send(HELLO)
    assert caught.value.channel_wide


def test_a_call_ends_before_the_outbox_gives_it_up() -> None:
    """So it is the client that says whether the request had left, after an upload too."""

    assert MessengerChannel.send_timeout_s > UPLOAD_TIMEOUT_S + TIMEOUT_S
