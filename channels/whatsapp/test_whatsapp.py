"""The WhatsApp channel: its settings, what it lets in, and whose events it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.abilities import Diagnoses, FetchesMedia, LooksUp, Paced, Polls, ShowsTyping
from channels.base import Parsed, Reply, Request
from channels.content import Choice, Content, Link
from channels.errors import PayloadError, SignatureError
from channels.http import Http
from channels.meta.webhooks import HEADER, sign
from channels.rendering import parts_of
from channels.whatsapp.test_doubles import NUMBER, SECRET, VERIFY_TOKEN, build

FIXTURES = Path(__file__).parent / "fixtures"


def body(fixture: str) -> bytes:
    return (FIXTURES / f"{fixture}.json").read_bytes()


def post(content: bytes, *headers: tuple[str, str]) -> Request:
    return Request("POST", "/webhooks/whatsapp", headers, content)


def signed(content: bytes, secret: str = SECRET) -> Request:
    return post(content, (HEADER.lower(), sign(content, secret)))


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"phone_number_id": None}, ("phone_number_id",)),
        ({"phone_number_id": "+15550100001"}, ("phone_number_id",)),
        ({"access_token": ""}, ("access_token",)),
        ({"app_secret": None}, ("app_secret",)),
        ({"verify_token": ""}, ("verify_token",)),
        ({"business_account_id": "an account"}, ("business_account_id",)),
        ({"fallback_template": {}}, ("fallback_template", "name")),
        ({"fallback_template": {"name": "hello", "langauge": "en"}}, ("fallback_template", "langauge")),
        ({"graph_version": "26"}, ("graph_version",)),
        ({"api_base": "graph.facebook.com"}, ("api_base",)),
        ({"phone_id": "1"}, ("phone_id",)),
    ],
)
def test_a_mistake_in_the_settings_names_its_key(changes: dict[str, Any], where: tuple[str, ...]) -> None:
    """A wrong section is refused with the key's name, and without what stands there."""
    with pytest.raises(ValidationError) as caught:
        build(Http(), **changes)

    assert [error["loc"] for error in caught.value.errors()] == [where]
    assert "input_value" not in str(caught.value)


def test_ids_may_be_written_as_numbers_and_left_blank() -> None:
    """YAML reads digits as a number, and an unset variable as nothing."""
    channel = build(Http(), phone_number_id=106540000000001, business_account_id="")

    assert (channel.account, channel.settings.business_account_id) == (NUMBER, None)


def test_the_platform_says_how_fast_messages_leave() -> None:
    """A number's own limit, as long as Meta has not raised it."""
    assert build(Http()).default_rate_per_s == 80


def test_a_channel_has_the_rare_abilities() -> None:
    """It shows typing, fetches media, checks itself and knows its pace; Meta has no log of webhooks to ask."""
    channel = build(Http())

    assert all(isinstance(channel, ability) for ability in (ShowsTyping, FetchesMedia, Diagnoses, Paced))
    assert not any(isinstance(channel, ability) for ability in (Polls, LooksUp))
    assert (channel.kind, channel.account, channel.name) == ("whatsapp", NUMBER, "whatsapp")


def test_a_reply_is_cut_into_messages() -> None:
    """A text has 4096 characters, 1024 above buttons, and 1024 below the last of several files."""
    choices = (Choice("R", "Red"), Choice("B", "Blue"))
    files = ("https://x.example/a.png", "https://x.example/b.pdf")
    long = parts_of(Content("a" * 4200, files, choices), build(Http()).shows)
    short = parts_of(Content("Look", files), build(Http()).shows)

    assert [(len(part.text), len(part.attachment_urls), part.choices) for part in long] == [
        (0, 1, ()),
        (0, 1, ()),
        (4096, 0, ()),
        (104, 0, choices),
    ]
    assert [(part.text, part.attachment_urls) for part in short] == [("", files[:1]), ("Look", files[1:])]


def test_what_whatsapp_cannot_show_is_said_in_words() -> None:
    """More than ten choices are numbers, and more than one link are addresses."""
    shows = build(Http()).shows
    many = tuple(Choice(str(number), f"Slot {number}") for number in range(11))
    links = (Link("Shop", "https://shop.example/"), Link("Map", "https://map.example/"))
    [numbers], [addresses] = (
        parts_of(Content("When?", choices=many), shows),
        parts_of(Content("See", links=links), shows),
    )

    assert (numbers.choices, numbers.text.splitlines()[-1]) == ((), "11. Slot 10")
    assert (addresses.links, addresses.text) == ((), "See\n\nShop: https://shop.example/\n\nMap: https://map.example/")


# --- verify ---


async def test_a_signed_request_is_let_in() -> None:
    """The raw bytes are signed, with their escapes; the header's name is found in any case."""
    await build(Http()).verify(signed(body("wire")))


FORGED = {
    "unsigned": post(body("text")),
    "an empty signature": post(body("text"), (HEADER, "")),
    "another app's secret": signed(body("text"), "another-apps-secret"),
    "another body": Request("POST", "/webhooks/whatsapp", signed(body("text")).headers, body("image")),
    "the same JSON in other bytes": Request(
        "POST", "/webhooks/whatsapp", signed(body("wire")).headers, json.dumps(json.loads(body("wire"))).encode()
    ),
    "the older header": post(body("text"), ("X-Hub-Signature", sign(body("text"), SECRET))),
    "not ASCII": post(body("text"), (HEADER, "\udcff日本")),
    "PUT": Request("PUT", "/webhooks/whatsapp", signed(body("text")).headers, body("text")),
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
    return Request("GET", f"/webhooks/whatsapp?{target}", (), b"")


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


# --- whose is it? ---


def test_an_event_is_its_numbers() -> None:
    """One app posts the events of all its numbers."""
    channel = build(Http())
    events = channel.parse(post(body("batch"))).events

    assert [channel.owns(event) for event in events] == [True] * 7 + [False] * 2


def test_numbers_of_one_app_get_each_others_events() -> None:
    """The app's secret is what tells the app."""
    channel = build(Http())

    assert channel.shares_app_with(build(Http(), phone_number_id="2"))
    assert not channel.shares_app_with(build(Http(), app_secret="another-apps-secret"))
