"""Sending through pymessenger's builders, over HTTP, to a stand-in for the Graph API."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from channels.base import Outbound, Receipt
from channels.content import Card, Choice, Content, Link
from channels.errors import (
    CredentialsRejected,
    OutsideWindow,
    OwnedElsewhere,
    Refused,
    RetryLater,
    SendError,
)
from channels.http import Http, Upload
from channels.messenger.channel import MessengerChannel
from channels.messenger.client import PageBot
from channels.messenger.test_doubles import (
    CUSTOMER,
    DELIVERY_ID,
    HELLO,
    MESSAGES,
    SECRET,
    SENT,
    TOKEN,
    UPLOADS,
    build,
    error,
)
from channels.messenger.window import ANYTHING_S, BY_A_PERSON_S
from channels.meta.test_doubles import GraphServer
from channels.rendering import parts_of

LATE = replace(HELLO, by_person=True, silent_s=3 * 24 * 3600.0)
PNG = "data:image/png;base64,iVBORw0KGgo="


def saying(**content: Any) -> Outbound:
    return replace(HELLO, content=Content(**content))


# --- what is posted ---


RED, BLUE = Choice("R", "Red"), Choice("B", "Blue")
SHOP = Link("Shop", "https://shop.example/")
SOFA = Card("Sofa", "Blue", "https://x.example/s.png", (RED,), (SHOP,))
RED_BUTTON = {"type": "postback", "title": "Red", "payload": "R"}
SHOP_BUTTON = {"type": "web_url", "title": "Shop", "url": "https://shop.example/"}


def attached(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"attachment": {"type": kind, "payload": payload}}


def by_url(kind: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    url = f"https://x.example/{name}"
    return {"attachment_urls": (url,)}, attached(kind, {"url": url})


BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a text": ({"text": "Grüße 👋"}, {"text": "Grüße 👋"}),
    "a text that looks like JSON": ({"text": '{"id": 1}'}, {"text": '{"id": 1}'}),
    "choices": (
        {"text": "Which?", "choices": (RED, BLUE)},
        {
            "text": "Which?",
            "quick_replies": [
                {"content_type": "text", "title": "Red", "payload": "R"},
                {"content_type": "text", "title": "Blue", "payload": "B"},
            ],
        },
    ),
    "links": (
        {"text": "Look", "links": (SHOP,)},
        attached("template", {"template_type": "button", "text": "Look", "buttons": [SHOP_BUTTON]}),
    ),
    "cards": (
        {"cards": (SOFA, Card("Chair", "Red"))},
        attached(
            "template",
            {
                "template_type": "generic",
                "elements": [
                    {
                        "title": "Sofa",
                        "subtitle": "Blue",
                        "image_url": "https://x.example/s.png",
                        "buttons": [RED_BUTTON, SHOP_BUTTON],
                    },
                    {"title": "Chair", "subtitle": "Red"},
                ],
            },
        ),
    ),
    "a picture": by_url("image", "a.png"),
    "a film": by_url("video", "a.mp4?x=1"),
    "sound": by_url("audio", "a.mp3"),
    "a document": by_url("file", "a.pdf"),
    "a file of any kind": by_url("file", "a"),
}


@pytest.mark.parametrize("what", BODIES)
async def test_a_message_is_posted_as_meta_wants_it(channel: MessengerChannel, graph: GraphServer, what: str) -> None:
    """With the rule that allows it, our delivery's id for the echo, and the token in a header."""
    content, message = BODIES[what]
    graph.on("POST", MESSAGES, SENT)

    assert parts_of(Content(**content), channel.shows) == (Content(**content),)
    assert await channel.send(saying(**content)) == Receipt("m_out1")
    [call] = graph.calls
    assert call.json == {
        "messaging_type": "RESPONSE",
        "recipient": {"id": CUSTOMER},
        "message": message | {"metadata": DELIVERY_ID},
    }
    assert (call.headers["Authorization"], call.query) == (f"Bearer {TOKEN}", {})


async def test_an_answer_quotes_the_message_that_it_is_to(channel: MessengerChannel, graph: GraphServer) -> None:
    """The message's mid stands beside the answer."""
    graph.on("POST", MESSAGES, SENT)
    await channel.send(saying(text="Yes", reply_to="m_1"))

    assert graph.calls[0].json == {
        "messaging_type": "RESPONSE",
        "reply_to": {"mid": "m_1"},
        "recipient": {"id": CUSTOMER},
        "message": {"text": "Yes", "metadata": DELIVERY_ID},
    }


async def test_a_reaction_is_an_action(channel: MessengerChannel, graph: GraphServer) -> None:
    """It is no message: Meta gives it no id, so its receipt has ours."""
    graph.on("POST", MESSAGES, {"recipient_id": CUSTOMER})
    receipt = await channel.send(saying(reaction="👍", reply_to="m_1"))

    assert receipt == Receipt(f"reaction:{DELIVERY_ID}")
    assert graph.calls[0].json == {
        "recipient": {"id": CUSTOMER},
        "sender_action": "react",
        "payload": {"message_id": "m_1", "reaction": "👍"},
    }


async def test_somebody_whom_meta_does_not_name_is_reached_by_their_box(
    channel: MessengerChannel, graph: GraphServer
) -> None:
    """The answer then names no recipient."""
    graph.on("POST", MESSAGES, {"message_id": "m_out1"})

    assert await channel.send(replace(HELLO, recipient="user_ref:box-1")) == Receipt("m_out1")
    assert graph.calls[0].json["recipient"] == {"user_ref": "box-1"}


async def test_another_version_and_a_proof_are_configured(http: Http, graph: GraphServer) -> None:
    """An app with "Require app secret" wants a proof of it with each call."""
    path = MESSAGES.replace("v26.0", "v25.0")
    graph.on("POST", path, SENT)
    await build(http, api_base=graph.url, graph_version="v25.0", appsecret_proof=True).send(HELLO)

    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert [(call.path, call.query) for call in graph.calls] == [(path, {"appsecret_proof": proof})]


TOO_MUCH: dict[str, tuple[dict[str, Any], str]] = {
    "a long id": ({"text": "Which?", "choices": (Choice("x" * 1001, "Red"),)}, "choice_too_long"),
    "a long id on a card": ({"cards": (Card("Sofa", choices=(Choice("x" * 1001, "Red"),)),)}, "choice_too_long"),
    "a file that is none": ({"attachment_urls": ("data:image/png,plain",)}, "unreadable_file"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
async def test_what_meta_would_not_take_is_refused_before_it_is_asked(
    channel: MessengerChannel, graph: GraphServer, what: str
) -> None:
    """An operator reads what to change; a cut id would come back as another one."""
    content, code = TOO_MUCH[what]
    with pytest.raises(Refused) as caught:
        await channel.send(saying(**content))

    assert (type(caught.value), caught.value.code, graph.calls) == (Refused, code, [])


# --- files ---


async def test_a_file_without_address_is_uploaded_first(channel: MessengerChannel, graph: GraphServer) -> None:
    """A form with the file and what it is; the message then shows it by the upload's id."""
    graph.on("POST", UPLOADS, {"attachment_id": "1857777774821032"})
    graph.on("POST", MESSAGES, SENT)
    await channel.send(saying(attachment_urls=(PNG,)))

    upload, message = graph.calls
    assert json.loads(str(upload.form["message"])) == attached("image", {"is_reusable": True})
    assert upload.form["filedata"] == Upload("filedata", "file.png", "image/png", b"\x89PNG\r\n\x1a\n")
    assert upload.headers["Authorization"] == f"Bearer {TOKEN}"
    assert message.json["message"] == attached("image", {"attachment_id": "1857777774821032"}) | {
        "metadata": DELIVERY_ID
    }


@pytest.mark.parametrize("answer", [b"<html>", {"attachment_id": None}, None])
async def test_an_upload_that_breaks_off_is_tried_again(
    channel: MessengerChannel, graph: GraphServer, answer: Any
) -> None:
    """Whether the file has arrived does not matter: nothing has been said to the customer."""
    if answer is None:
        graph.hang_up_on("POST", UPLOADS)
    else:
        graph.on("POST", UPLOADS, answer)
    with pytest.raises(RetryLater) as caught:
        await channel.send(saying(attachment_urls=(PNG,)))

    assert not caught.value.channel_wide
    assert [call.path for call in graph.calls] == [UPLOADS]


async def test_a_page_that_takes_no_file_stops_the_channel(channel: MessengerChannel, graph: GraphServer) -> None:
    """That our own page is not there for our token is a matter of credentials, for an upload as for a message."""
    graph.on("POST", UPLOADS, error(100, 33), status=400)
    with pytest.raises(CredentialsRejected) as caught:
        await channel.send(saying(attachment_urls=(PNG,)))

    assert caught.value.code == "100/33"


# --- the window ---


DAY_S = 24 * 3600.0
WINDOW: list[tuple[float | None, bool, bool, dict[str, str] | str]] = [
    (0.0, False, True, {"messaging_type": "RESPONSE"}),
    (ANYTHING_S, False, False, {"messaging_type": "RESPONSE"}),
    (ANYTHING_S, True, True, {"messaging_type": "RESPONSE"}),
    (ANYTHING_S + 1, True, True, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}),
    (BY_A_PERSON_S, True, True, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}),
    (ANYTHING_S + 1, False, True, "a person's answers only"),
    (ANYTHING_S + 1, True, False, "human_agent in config.yaml"),
    (BY_A_PERSON_S + 1, True, True, "over seven days"),
    (BY_A_PERSON_S + 1, False, True, "over seven days"),
    (None, True, True, "has not written"),
    (None, False, True, "has not written"),
]


@pytest.mark.parametrize(("silent_s", "by_person", "human_agent", "expected"), WINDOW)
async def test_a_message_needs_a_rule_that_allows_it(
    http: Http,
    graph: GraphServer,
    silent_s: float | None,
    by_person: bool,
    human_agent: bool,
    expected: dict[str, str] | str,
) -> None:
    """Anything for a day, a person's answer for seven where the app may; else it is refused before Meta is asked."""
    graph.on("POST", MESSAGES, SENT)
    channel = build(http, api_base=graph.url, human_agent=human_agent)
    outbound = replace(HELLO, silent_s=silent_s, by_person=by_person)
    if isinstance(expected, str):
        with pytest.raises(OutsideWindow, match=expected) as caught:
            await channel.send(outbound)
        assert (caught.value.code, graph.calls) == ("outside_window", [])
        return
    await channel.send(outbound)

    [call] = graph.calls
    assert {name: call.json[name] for name in ("messaging_type", "tag") if name in call.json} == expected


@pytest.mark.parametrize("refusal", [error(10), error(100), error(100, 2018310), error(200)])
async def test_an_app_without_human_agent_learns_its_name(
    channel: MessengerChannel, graph: GraphServer, refusal: dict[str, Any]
) -> None:
    """A permission that is missing for a tag is no reason to stop the page."""
    graph.on("POST", MESSAGES, refusal, status=400)
    with pytest.raises(OutsideWindow, match="Human Agent"):
        await channel.send(LATE)

    [call] = graph.calls
    assert call.json["tag"] == "HUMAN_AGENT"


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (error(200, 1545041), Refused),
        (error(10, 2018300), OwnedElsewhere),
        (error(190), CredentialsRejected),
        (error(100, 2018001), Refused),
    ],
)
async def test_a_refusal_with_a_meaning_of_its_own_keeps_it(
    channel: MessengerChannel, graph: GraphServer, refusal: dict[str, Any], kind: type[SendError]
) -> None:
    """Not everything that is refused after a day is refused for the tag."""
    graph.on("POST", MESSAGES, refusal, status=400)
    with pytest.raises(kind) as caught:
        await channel.send(LATE)

    assert type(caught.value) is kind


# --- typing ---


async def test_typing_is_shown_after_the_message_is_marked_as_seen(
    channel: MessengerChannel, graph: GraphServer
) -> None:
    """Two posts, because an action stands alone; neither is a message."""
    graph.on("POST", MESSAGES, {"recipient_id": CUSTOMER})
    await channel.show_typing(CUSTOMER, "m_1")

    assert [call.json for call in graph.calls] == [
        {"recipient": {"id": CUSTOMER}, "sender_action": "mark_seen"},
        {"recipient": {"id": CUSTOMER}, "sender_action": "typing_on"},
    ]
    assert channel.typing_every_s < 20


async def test_typing_that_cannot_be_shown_says_so(channel: MessengerChannel) -> None:
    """It does not matter to anybody, but it is no success."""
    with pytest.raises(SendError):
        await channel.show_typing(CUSTOMER, "m_1")


# --- the SDK ---


@pytest.mark.parametrize("name", ["send_image", "send_audio", "send_video", "send_file"])
def test_what_the_sdk_cannot_upload_is_closed(channel: MessengerChannel, name: str) -> None:
    """Its own versions fail with the file open."""
    bot = PageBot(channel._graph(), "1", {})

    with pytest.raises(NotImplementedError):
        getattr(bot, name)(CUSTOMER, "a.png")


def test_the_sdk_is_imported_when_first_needed() -> None:
    """A process that sends nothing does not load it."""
    code = "import sys, channels.registry; sys.exit(any(name in sys.modules for name in ('pymessenger', 'requests')))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
