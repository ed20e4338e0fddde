"""The Messenger channel: its settings, what it lets in, and bodies as a whole."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.abilities import Diagnoses, FetchesMedia, LooksUp, Paced, Polls, ShowsTyping
from channels.base import DeliveryStatus, Event, Inbound, Note, Parsed, Reply, Request, Watermark
from channels.content import Choice, Content
from channels.errors import PayloadError, SignatureError
from channels.http import Http
from channels.messenger.test_doubles import (
    AT,
    CUSTOMER,
    FIXTURES,
    PAGE,
    SECRET,
    VERIFY_TOKEN,
    body,
    build,
    post,
    said,
)
from channels.meta.webhooks import HEADER, sign
from channels.rendering import parts_of

ACK = Reply(200, "EVENT_RECEIVED")


def signed(content: bytes, secret: str = SECRET) -> Request:
    return post(content, (HEADER.lower(), sign(content, secret)))


def events(fixture: str) -> tuple[Event, ...]:
    return build(Http()).parse(post(body(fixture))).events


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"page_id": None}, "page_id"),
        ({"page_id": "a page"}, "page_id"),
        ({"page_access_token": ""}, "page_access_token"),
        ({"app_secret": None}, "app_secret"),
        ({"verify_token": ""}, "verify_token"),
        ({"human_agent": "perhaps"}, "human_agent"),
        ({"graph_version": "26"}, "graph_version"),
        ({"api_base": "graph.facebook.com"}, "api_base"),
        ({"pageid": "1"}, "pageid"),
    ],
)
def test_a_mistake_in_the_settings_names_its_key(changes: dict[str, Any], where: str) -> None:
    """A wrong section is refused with the key's name, and without what stands there."""
    with pytest.raises(ValidationError) as caught:
        build(Http(), **changes)

    assert [error["loc"] for error in caught.value.errors()] == [(where,)]
    assert "input_value" not in str(caught.value)


def test_a_page_id_may_be_written_as_a_number() -> None:
    """YAML reads digits as one."""

    assert build(Http(), page_id=1234567890).account == "1234567890"


def test_the_platform_says_how_fast_messages_leave() -> None:
    """A page sends text at 300 a second and films at 10; between them is room for both."""
    assert build(Http()).default_rate_per_s == 40


def test_a_channel_has_the_rare_abilities() -> None:
    """It shows typing, fetches media, checks itself and knows its pace; Meta has no log of webhooks to ask."""
    channel = build(Http())

    assert all(isinstance(channel, ability) for ability in (ShowsTyping, FetchesMedia, Diagnoses, Paced))
    assert not any(isinstance(channel, ability) for ability in (Polls, LooksUp))
    assert (channel.kind, channel.account, channel.name) == ("facebook_messenger", PAGE, "messenger")


def test_a_reply_is_cut_into_messages() -> None:
    """A text has 2000 characters, a file stands alone, and the choices are on the last message."""
    choices = (Choice("R", "Red"), Choice("B", "Blue"))
    files = ("https://x.example/a.png", "https://x.example/b.pdf")
    parts = parts_of(Content("a" * 2100, files, choices), build(Http()).shows)

    assert [(len(part.text), len(part.attachment_urls), part.choices) for part in parts] == [
        (0, 1, ()),
        (0, 1, ()),
        (2000, 0, ()),
        (100, 0, choices),
    ]


# --- verify ---


async def test_a_signed_request_is_let_in() -> None:
    """The raw bytes are signed, with their escapes; the header's name is found in any case."""
    channel = build(Http())

    await channel.verify(signed(body("wire")))


FORGED = {
    "unsigned": post(body("text")),
    "an empty signature": post(body("text"), (HEADER, "")),
    "another app's secret": signed(body("text"), "another-apps-secret"),
    "another body": Request("POST", "/webhooks/messenger", signed(body("text")).headers, body("image")),
    "the same JSON in other bytes": Request(
        "POST", "/webhooks/messenger", signed(body("wire")).headers, json.dumps(json.loads(body("wire"))).encode()
    ),
    "no algorithm": post(body("text"), (HEADER, sign(body("text"), SECRET).removeprefix("sha256="))),
    "another algorithm": post(body("text"), (HEADER, sign(body("text"), SECRET).replace("sha256", "md5"))),
    "the older header": post(body("text"), ("X-Hub-Signature", sign(body("text"), SECRET))),
    "not ASCII": post(body("text"), (HEADER, "\udcff日本")),
    "PUT": Request("PUT", "/webhooks/messenger", signed(body("text")).headers, body("text")),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_request_is_refused(forged: Request) -> None:
    """Whatever is wrong, the refusal is the same and tells nothing."""
    with pytest.raises(SignatureError) as caught:
        await build(Http()).verify(forged)

    assert str(caught.value) == "The request does not prove that it comes from the platform."


def handshake(**query: str) -> Request:
    known = {"mode": "subscribe", "challenge": "1158201444", "verify_token": VERIFY_TOKEN} | query
    target = "&".join(f"hub.{name}={value}" for name, value in known.items())
    return Request("GET", f"/webhooks/messenger?{target}", (), b"")


async def test_a_handshake_gets_its_challenge_back() -> None:
    """Meta asks when the webhook's address is saved, and wants exactly that."""
    channel = build(Http())
    await channel.verify(handshake())

    assert channel.parse(handshake()) == Parsed((), Reply(200, "1158201444"))


@pytest.mark.parametrize("query", [{"verify_token": "guessed"}, {"verify_token": ""}, {"mode": "unsubscribe"}])
async def test_a_handshake_without_our_word_is_refused(query: dict[str, str]) -> None:
    """Anybody could point an app at us otherwise."""
    with pytest.raises(SignatureError):
        await build(Http()).verify(handshake(**query))


@pytest.mark.parametrize("challenge", ["", "%3Cscript%3E", "a" * 129])
def test_a_challenge_that_is_none_of_metas_is_not_repeated(challenge: str) -> None:
    """What we send back is read by somebody's browser."""
    with pytest.raises(PayloadError):
        build(Http()).parse(handshake(challenge=challenge))


# --- many at once ---


def test_a_batch_tells_everything_in_order() -> None:
    """Several entries, pages and messages, a duplicate, and one event that cannot be read, which costs the others
    nothing."""
    parsed = build(Http()).parse(post(body("batch")))

    assert parsed == Parsed(
        (
            said("m_1", "hi"),
            said("m_51", "two"),
            said("m_1", "hi"),
            Watermark(PAGE, CUSTOMER, DeliveryStatus.READ, AT),
            said("m_52", "other page", account="PAGE2", sender="PSID2"),
            said("m_53", "overheard", account="PAGE2", sender="PSID3", overheard=True),
            said("m_54", "three"),
        ),
        ACK,
        ("reaction without mid",),
    )


def test_a_thousand_messages_are_read_at_once() -> None:
    """One body may hold all that waited while we were away."""
    [entry] = json.loads(body("text"))["entry"]
    [event] = entry["messaging"]
    entry["messaging"] = [event | {"message": {"mid": f"m_{number}", "text": "hi"}} for number in range(1000)]
    parsed = build(Http()).parse(post(json.dumps({"object": "page", "entry": [entry]}).encode()))

    assert [event.external_id for event in parsed.events if isinstance(event, Inbound)] == [
        f"m_{number}" for number in range(1000)
    ]


@pytest.mark.parametrize("fixture", ["postback_without_mid", "referral", "optin_token", "request_thread"])
def test_what_has_no_id_gets_one_that_lasts(fixture: str) -> None:
    """A redelivery is known by it, and another customer's or a later event is not mistaken for it."""
    again, later = events(fixture), body(fixture).replace(b"1763800000000", b"1763800000001")
    [first] = events(fixture)
    [other] = build(Http()).parse(post(body(fixture).replace(CUSTOMER.encode(), b"PSID2"))).events
    [second] = build(Http()).parse(post(later)).events

    assert again == (first,)
    assert isinstance(first, (Inbound, Note))
    assert isinstance(other, (Inbound, Note))
    assert isinstance(second, (Inbound, Note))
    assert len({first.external_id, other.external_id, second.external_id}) == 3


# --- anything ---


def parsed_or_unreadable(content: bytes, target: str = "/webhooks/messenger") -> None:
    """Check that a request is read into what a database takes, or is PayloadError."""
    for method in ("POST", "GET"):
        try:
            parsed = build(Http()).parse(Request(method, target, (), content))
        except PayloadError:
            continue
        json.dumps([getattr(event, "metadata", {}) for event in parsed.events], allow_nan=False)
        assert isinstance(parsed, Parsed)
        assert "\\x00" not in repr(parsed.events)


@given(st.binary(max_size=80), st.text(max_size=20))
def test_any_bytes_are_events_or_unreadable(content: bytes, target: str) -> None:
    """No body and no target raises anything but PayloadError."""
    parsed_or_unreadable(content, target)


ODD = st.sampled_from(
    [None, True, 0, -1, 1e400, float("nan"), 10**400, "", "\0", "\ud800", "http://[", "9" * 400, [], {}, [[]], [None]]
)
ANYTHING = st.recursive(
    ODD | st.text(max_size=3) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "mid", "text", "url"]), inner, max_size=3)
    ),
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


def test_json_that_is_too_deep_is_unreadable() -> None:
    """A stranger cannot exhaust the stack, even with the app's secret."""
    with pytest.raises(PayloadError):
        build(Http()).parse(post(b'{"object":' + b"[" * 100_000))


# --- whose is it? ---


def test_an_event_is_its_pages() -> None:
    """One app posts the events of all its pages."""
    channel = build(Http())

    assert [channel.owns(event) for event in events("batch")] == [True, True, True, True, False, False, True]


def test_pages_of_one_app_get_each_others_events() -> None:
    """The app's secret is what tells the app."""
    channel = build(Http())

    assert channel.shares_app_with(build(Http(), page_id="PAGE2"))
    assert not channel.shares_app_with(build(Http(), app_secret="another-apps-secret"))
    assert not channel.shares_app_with(object())
