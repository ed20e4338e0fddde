"""What Meta's refusals mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from channels.base import Outbound, Scope
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
from channels.meta.test_doubles import GraphServer
from channels.whatsapp.channel import WhatsAppChannel
from channels.whatsapp.test_doubles import CUSTOMER, MESSAGES, error

HELLO = Outbound("d-1", CUSTOMER, Content("Hello"), silent_s=5.0)

Meaning = tuple[type[SendError], bool | None, float | None]
CHANNEL_LATER: Meaning = (RetryLater, True, None)
MESSAGE_LATER: Meaning = (RetryLater, False, None)
FINAL: Meaning = (Refused, None, None)
STOPS: Meaning = (CredentialsRejected, None, None)
UNKNOWN: Meaning = (OutcomeUnknown, None, None)

REFUSALS: list[tuple[int, Any, Meaning, str]] = [
    (400, error(131047), (OutsideWindow, None, None), "131047"),
    (400, error(131050), (OptedOut, None, None), "131050"),
    # the whole channel waits
    (400, error(4), CHANNEL_LATER, "4"),
    (400, error(80007), CHANNEL_LATER, "80007"),
    (429, error(130429), CHANNEL_LATER, "130429"),
    (400, error(131064), CHANNEL_LATER, "131064"),
    (503, error(2), CHANNEL_LATER, "2"),
    (500, error(131016), CHANNEL_LATER, "131016"),
    (503, error(133004), CHANNEL_LATER, "133004"),
    (500, error(131057), CHANNEL_LATER, "131057"),
    (429, b"", CHANNEL_LATER, "429"),
    (503, b"<html>", CHANNEL_LATER, "503"),
    (400, error(131048), (RetryLater, True, 3600.0), "131048"),
    # this message waits
    (400, error(1), MESSAGE_LATER, "1"),
    (500, error(131000), MESSAGE_LATER, "131000"),
    (500, error(999, is_transient=True), MESSAGE_LATER, "999"),
    (400, error(131052), MESSAGE_LATER, "131052"),
    (400, error(131053), MESSAGE_LATER, "131053"),
    (400, error(131056), (RetryLater, False, 4.0), "131056"),
    # final
    *[
        (400, error(code), FINAL, str(code))
        for code in (
            33,
            100,
            130472,
            130497,
            131008,
            131009,
            131021,
            131026,
            131030,
            131037,
            131042,
            131045,
            131049,
            131051,
            131062,
            131063,
            132000,
            132005,
            132015,
            132069,
            133010,
            137000,
        )
    ],
    (404, error(132001), FINAL, "132001"),
    (400, error(100, error_subcode=2494010), FINAL, "100/2494010"),
    (404, b"", FINAL, "404"),
    (200, error(131009), FINAL, "131009"),
    # the channel stops
    (401, error(0), STOPS, "0"),
    (400, error(100, error_subcode=33), STOPS, "100/33"),
    (400, error(3), STOPS, "3"),
    (403, error(10), STOPS, "10"),
    (401, error(190, error_subcode=463), STOPS, "190/463"),
    (403, error(200), STOPS, "200"),
    (403, error(299), STOPS, "299"),
    (403, error(368), STOPS, "368"),
    (403, error(131005), STOPS, "131005"),
    (403, error(131031), STOPS, "131031"),
    (401, b"", STOPS, "401"),
    # nobody knows
    (500, b"", UNKNOWN, "500"),
    (502, b"<html>", UNKNOWN, "502"),
    (500, error(999), UNKNOWN, "999"),
    (408, b"", UNKNOWN, "408"),
]


@pytest.mark.parametrize(("status", "body", "meaning", "code"), REFUSALS)
async def test_a_refusal_says_what_to_do_next(
    channel: WhatsAppChannel, graph: GraphServer, status: int, body: Any, meaning: Meaning, code: str
) -> None:
    """Meta's code decides, then the HTTP status; the message is posted once."""
    graph.on("POST", MESSAGES, body, status=status)
    with pytest.raises(SendError) as caught:
        await channel.send(HELLO)

    found = caught.value
    waits = (found.channel_wide, found.retry_after_s) if isinstance(found, RetryLater) else (None, None)
    assert ((type(found), *waits), found.code) == (meaning, code)
    assert len(graph.calls) == 1


async def test_a_refusal_is_told_in_metas_words(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """The details say more than the title, and the trace is what Meta's support asks for."""
    refusal = error(131026, "Message undeliverable", "Receiver is incapable", fbtrace_id="A1")
    graph.on("POST", MESSAGES, refusal, status=400)
    with pytest.raises(Refused) as caught:
        await channel.send(HELLO)

    assert str(caught.value) == "Message undeliverable: Receiver is incapable (fbtrace_id A1)"


async def test_who_stops_marketing_may_still_be_answered(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """Their opt-out is of what we begin."""
    graph.on("POST", MESSAGES, error(131050), status=400)
    with pytest.raises(OptedOut) as caught:
        await channel.send(HELLO)

    assert caught.value.scope is Scope.MARKETING


@pytest.mark.parametrize(("attempts", "wait_s"), [(0, 4.0), (1, 16.0), (3, 256.0)])
async def test_too_many_messages_to_one_customer_wait_longer_each_time(
    channel: WhatsAppChannel, graph: GraphServer, attempts: int, wait_s: float
) -> None:
    """As Meta says: four to the power of the attempt, in seconds, and for this customer only."""
    graph.on("POST", MESSAGES, error(131056), status=400)
    with pytest.raises(RetryLater) as caught:
        await channel.send(replace(HELLO, attempts=attempts))

    assert (caught.value.retry_after_s, caught.value.channel_wide) == (wait_s, False)


@pytest.mark.parametrize("code", [131052, 131053])
async def test_a_file_that_meta_cannot_take_is_tried_twice_more(
    channel: WhatsAppChannel, graph: GraphServer, code: int
) -> None:
    """Its server may have been slow; then it is final."""
    graph.on("POST", MESSAGES, error(code), status=400)
    with pytest.raises(RetryLater):
        await channel.send(replace(HELLO, attempts=1))
    with pytest.raises(Refused) as caught:
        await channel.send(replace(HELLO, attempts=2))

    assert caught.value.code == str(code)


USAGE = json.dumps({"1": [{"type": "whatsapp", "estimated_time_to_regain_access": 2}]})


@pytest.mark.parametrize(
    ("code", "headers", "expected"),
    [
        (130429, {"Retry-After": "7"}, 7.0),
        (80007, {"X-Business-Use-Case-Usage": USAGE}, 120.0),
        (131000, {"Retry-After": "7"}, 7.0),
        (131048, {"Retry-After": "7"}, 3600.0),
        (131048, {"Retry-After": "7200"}, 7200.0),
    ],
)
async def test_metas_wish_to_wait_is_kept(
    channel: WhatsAppChannel, graph: GraphServer, code: int, headers: dict[str, str], expected: float
) -> None:
    """After messages were called spam, an hour is the least."""
    graph.on("POST", MESSAGES, error(code), status=400, headers=headers)
    with pytest.raises(RetryLater) as caught:
        await channel.send(HELLO)

    assert caught.value.retry_after_s == expected
