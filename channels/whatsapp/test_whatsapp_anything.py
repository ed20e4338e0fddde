"""Whatever is posted, and however much, it is events or a PayloadError."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Inbound, Parsed, Request, Status
from channels.errors import PayloadError
from channels.http import Http
from channels.whatsapp.test_doubles import build

FIXTURES = Path(__file__).parent / "fixtures"


def body(fixture: str) -> bytes:
    return (FIXTURES / f"{fixture}.json").read_bytes()


def parse(content: bytes) -> Parsed:
    return build(Http()).parse(Request("POST", "/webhooks/whatsapp", (), content))


def test_a_thousand_updates_are_read_at_once() -> None:
    """One body may hold all that waited while we were away: messages, and statuses of what we sent."""
    payload, reports = json.loads(body("text")), json.loads(body("status_read"))
    value = payload["entry"][0]["changes"][0]["value"]
    [status] = reports["entry"][0]["changes"][0]["value"]["statuses"]
    value["messages"] = [value["messages"][0] | {"id": f"wamid.IN{number}"} for number in range(500)]
    value["statuses"] = [status | {"id": f"wamid.OUT{number}"} for number in range(500)]
    events = parse(json.dumps(payload).encode()).events

    assert [event.external_id for event in events if isinstance(event, Inbound | Status)] == [
        f"wamid.{way}{number}" for way in ("IN", "OUT") for number in range(500)
    ]


def parsed_or_unreadable(content: bytes) -> None:
    """Check that a body is read into what a database takes, or is PayloadError."""
    try:
        parsed = parse(content)
    except PayloadError:
        return
    json.dumps([getattr(event, "metadata", {}) for event in parsed.events], allow_nan=False)
    json.dumps([getattr(event, "pricing", {}) for event in parsed.events], allow_nan=False)
    assert "\\x00" not in repr(parsed.events)


@given(st.binary(max_size=80))
def test_any_bytes_are_events_or_unreadable(content: bytes) -> None:
    """No body raises anything but PayloadError."""
    parsed_or_unreadable(content)


ODD = st.sampled_from(
    [None, True, 0, -1, 1e400, float("nan"), 10**400, "", "\0", "\ud800", "http://[", "9" * 400, [], {}, [[]], [None]]
)
NAMES = st.sampled_from(["id", "type", "text", "body", "button_reply", "code", "\0"])
ANYTHING = st.recursive(
    ODD | st.text(max_size=3) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_json_is_events_or_unreadable(data: st.DataObject) -> None:
    """Neither is a payload of Meta's with anything in any place, or without it."""
    fixture = data.draw(st.sampled_from(sorted(path.stem for path in FIXTURES.iterdir())))
    payload = json.loads(body(fixture))
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(payload, data)

    parsed_or_unreadable(json.dumps(payload).encode())


def mutate(value: Any, data: st.DataObject) -> None:
    """Change one place of a JSON document."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(value[key], (dict, list)) or not data.draw(st.integers(0, 4)):
            break
        value = value[key]
    if data.draw(st.booleans()):
        value[key] = deepcopy(data.draw(ANYTHING))  # the next change may be inside it
    else:
        del value[key]


@pytest.mark.parametrize("response", ["[" * 100_000, '{"a":' * 50 + "1" + "}" * 50, "NaN", '{"a": NaN}', ""])
def test_a_form_may_hold_anything(response: str) -> None:
    """What comes back from one is JSON in JSON: it does not exhaust the stack, and a database takes it."""
    payload = json.loads(body("flow_reply"))
    message = payload["entry"][0]["changes"][0]["value"]["messages"][0]
    message["interactive"]["nfm_reply"]["response_json"] = response

    parsed_or_unreadable(json.dumps(payload).encode())


def test_json_that_is_too_deep_is_unreadable() -> None:
    """A stranger cannot exhaust the stack, even with the app's secret."""
    with pytest.raises(PayloadError):
        parse(b'{"object":' + b"[" * 100_000)
