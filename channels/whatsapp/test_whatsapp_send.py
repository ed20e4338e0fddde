"""Sending over HTTP to a stand-in for the Graph API: what is posted, when, and what comes back."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from channels.base import Outbound, Receipt
from channels.content import Choice, Content, Link, Location, Template
from channels.errors import CredentialsRejected, OutcomeUnknown, OutsideWindow, Refused, RetryLater
from channels.http import Http, Upload
from channels.meta.test_doubles import GraphServer
from channels.rendering import parts_of
from channels.whatsapp.channel import WhatsAppChannel
from channels.whatsapp.test_doubles import CUSTOMER, MESSAGES, SECRET, SENT, TOKEN, UPLOADS, USER_ID, build, error
from channels.window import OPEN_S

HELLO = Outbound("d-1", CUSTOMER, Content("Grüße & so [1] 👋"), silent_s=5.0)
PNG = "data:image/png;base64,iVBORw0KGgo="


def saying(**content: Any) -> Outbound:
    return replace(HELLO, content=Content(**content))


# --- what is posted ---


RED, BLUE = Choice("R", "Red"), Choice("B", "Blue")
LONG = Choice("L", "A title of 24 characters")
SHOP = Link("Shop", "https://shop.example/")
MANY = tuple(Choice(str(number), f"Slot {number}") for number in range(10))


def by_link(kind: str, name: str, **more: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
    url = f"https://x.example/{name}"
    return {"attachment_urls": (url,), "text": more.get("caption", "")}, kind, {"link": url} | more


def buttons(*choices: Choice) -> dict[str, Any]:
    shown = [{"type": "reply", "reply": {"id": choice.id, "title": choice.title}} for choice in choices]
    return {"type": "button", "body": {"text": "Which?"}, "action": {"buttons": shown}}


def rows(*shown: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "list",
        "body": {"text": "Which?"},
        "action": {"button": "Choose", "sections": [{"rows": list(shown)}]},
    }


def body_parameters(*texts: str) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": text} for text in texts]}


HEADER = {"type": "header", "parameters": [{"type": "image", "image": {"id": "9"}}]}

BODIES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a text": ({"text": "Grüße 👋"}, "text", {"body": "Grüße 👋", "preview_url": False}),
    "few choices": ({"text": "Which?", "choices": (RED, BLUE)}, "interactive", buttons(RED, BLUE)),
    "long choices": (
        {"text": "Which?", "choices": (RED, LONG)},
        "interactive",
        rows({"id": "R", "title": "Red"}, {"id": "L", "title": LONG.title}),
    ),
    "many choices": (
        {"text": "Which?", "choices": MANY},
        "interactive",
        rows(*({"id": choice.id, "title": choice.title} for choice in MANY)),
    ),
    "described choices": (
        {"text": "Which?", "choices": (Choice("R", "Red", "like fire"), Choice("B", "Blue", "x" * 73))},
        "interactive",
        rows(
            {"id": "R", "title": "Red", "description": "like fire"},
            {"id": "B", "title": "Blue", "description": "x" * 71 + "…"},
        ),
    ),
    "a link": (
        {"text": "Look", "links": (SHOP,)},
        "interactive",
        {
            "type": "cta_url",
            "body": {"text": "Look"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Shop", "url": SHOP.url}},
        },
    ),
    "a picture": by_link("image", "a.png"),
    "a picture with words": by_link("image", "a.jpg?x=1", caption="Look"),
    "a film": by_link("video", "a.mp4", caption="Look"),
    "sound": by_link("audio", "a.mp3"),
    "a sticker": by_link("sticker", "a.webp"),
    "a sticker with words": by_link("document", "a.webp", caption="Look", filename="a.webp"),
    "a picture of another type": by_link("document", "a.gif", caption="Look", filename="a.gif"),
    "sound of another type": by_link("document", "a.wav", filename="a.wav"),
    "a document": by_link("document", "the%20plan.pdf", caption="Look", filename="the plan.pdf"),
    "a file of any kind": by_link("document", "a", filename="a"),
    "a file without a name": by_link("document", ""),
    "a place": (
        {"location": Location(42.361145, -122.163451, "Shop", "1 Main St")},
        "location",
        {"latitude": 42.361145, "longitude": -122.163451, "name": "Shop", "address": "1 Main St"},
    ),
    "a place without name": (
        {"location": Location(42.5, -122.5)},
        "location",
        {"latitude": 42.5, "longitude": -122.5},
    ),
    "a reaction": (
        {"reaction": "👍", "reply_to": "wamid.IN1"},
        "reaction",
        {"message_id": "wamid.IN1", "emoji": "👍"},
    ),
    "a template": (
        {"template": Template("hello")},
        "template",
        {"name": "hello", "language": {"code": "en_US"}},
    ),
    "a template with parts": (
        {"template": Template("visit", "de", ("Ann", "9:00"), (HEADER,))},
        "template",
        {"name": "visit", "language": {"code": "de"}, "components": [HEADER, body_parameters("Ann", "9:00")]},
    ),
}


@pytest.mark.parametrize("what", BODIES)
async def test_a_message_is_posted_as_meta_wants_it(channel: WhatsAppChannel, graph: GraphServer, what: str) -> None:
    """With our delivery's id for its statuses, and the token in a header."""
    content, kind, said = BODIES[what]
    graph.on("POST", MESSAGES, SENT)

    assert parts_of(Content(**content), channel.shows) == (Content(**content),)
    assert await channel.send(saying(**content)) == Receipt("wamid.OUT1")
    [call] = graph.calls
    assert call.json == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": CUSTOMER,
        "type": kind,
        kind: said,
        "biz_opaque_callback_data": "d-1",
    }
    assert (call.headers["Authorization"], call.query) == (f"Bearer {TOKEN}", {})


async def test_an_answer_quotes_the_message_that_it_is_to(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """The message's id stands beside the answer."""
    graph.on("POST", MESSAGES, SENT)
    await channel.send(saying(text="Yes", reply_to="wamid.IN1"))

    assert graph.calls[0].json["context"] == {"message_id": "wamid.IN1"}


@pytest.mark.parametrize("user_id", [USER_ID, "US.ENT.11815799212886844830", "BR." + "a" * 256])
async def test_somebody_without_a_number_is_reached_by_their_id(
    channel: WhatsAppChannel, graph: GraphServer, user_id: str
) -> None:
    """Meta wants it under another name; the number in its answer is not where we wrote to."""
    graph.on("POST", MESSAGES, SENT)

    assert await channel.send(replace(HELLO, recipient=user_id)) == Receipt("wamid.OUT1")
    assert (graph.calls[0].json["recipient"], "to" in graph.calls[0].json) == (user_id, False)


@pytest.mark.parametrize(
    ("recipient", "wa_id", "known"),
    [
        (CUSTOMER, CUSTOMER[1:], None),
        ("+5511987654321", "551187654321", "+551187654321"),
        ("15550109999", "15550109999", CUSTOMER),
        (CUSTOMER, "", None),
        (CUSTOMER, None, None),
    ],
)
async def test_a_number_that_whatsapp_spells_otherwise_is_told(
    channel: WhatsAppChannel, graph: GraphServer, recipient: str, wa_id: str | None, known: str | None
) -> None:
    """The customer's answer will come from that one."""
    graph.on("POST", MESSAGES, SENT | {"contacts": [{"input": recipient, "wa_id": wa_id}]})

    assert await channel.send(replace(HELLO, recipient=recipient)) == Receipt("wamid.OUT1", recipient=known)
    assert graph.calls[0].json["to"] == f"+{recipient.removeprefix('+')}"


async def test_another_version_and_a_proof_are_configured(http: Http, graph: GraphServer) -> None:
    """An app with "Require app secret" wants a proof of it with each call."""
    path = MESSAGES.replace("v26.0", "v25.0")
    graph.on("POST", path, SENT)
    await build(http, api_base=graph.url, graph_version="v25.0", appsecret_proof=True).send(HELLO)

    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert [(call.path, call.query) for call in graph.calls] == [(path, {"appsecret_proof": proof})]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"text": "Which?", "choices": (Choice("x" * 201, "Red"),)}, "choice_too_long"),
        ({"text": "Which?", "choices": (*MANY[:9], Choice("x" * 201, "Red"))}, "choice_too_long"),
        ({"attachment_urls": ("data:image/png,plain",)}, "unreadable_file"),
        ({"attachment_urls": ("http://[/a.png",)}, "unreadable_file"),
    ],
)
async def test_what_meta_would_not_take_is_refused_before_it_is_asked(
    channel: WhatsAppChannel, graph: GraphServer, content: dict[str, Any], code: str
) -> None:
    """An operator reads what to change; a cut id would come back as another one."""
    with pytest.raises(Refused) as caught:
        await channel.send(saying(**content))

    assert (type(caught.value), caught.value.code, graph.calls) == (Refused, code, [])


# --- files ---


@pytest.mark.parametrize(
    ("url", "kind", "upload", "said"),
    [
        (PNG, "image", Upload("file", "file.png", "image/png", b"\x89PNG\r\n\x1a\n"), {}),
        (
            "data:application/pdf;base64,JVBERg==",
            "document",
            Upload("file", "file.pdf", "application/pdf", b"%PDF"),
            {"filename": "file.pdf"},
        ),
    ],
)
async def test_a_file_without_address_is_uploaded_first(
    channel: WhatsAppChannel, graph: GraphServer, url: str, kind: str, upload: Upload, said: dict[str, str]
) -> None:
    """A form with the file and what it is; the message then shows it by the upload's id."""
    graph.on("POST", UPLOADS, {"id": "1857777774821032"})
    graph.on("POST", MESSAGES, SENT)
    await channel.send(saying(attachment_urls=(url,), text="Look"))

    form, message = graph.calls
    assert form.form == {"messaging_product": "whatsapp", "type": upload.content_type, "file": upload}
    assert form.headers["Authorization"] == f"Bearer {TOKEN}"
    assert message.json["type"] == kind
    assert message.json[kind] == {"id": "1857777774821032", "caption": "Look"} | said


@pytest.mark.parametrize("answer", [b"<html>", {"id": None}, None])
async def test_an_upload_that_breaks_off_is_tried_again(
    channel: WhatsAppChannel, graph: GraphServer, answer: Any
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


async def test_a_number_that_takes_no_file_stops_the_channel(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """That our own number is not there for our token is a matter of credentials, for an upload as for a message."""
    graph.on("POST", UPLOADS, error(100, "Unsupported request", error_subcode=33), status=400)
    with pytest.raises(CredentialsRejected) as caught:
        await channel.send(saying(attachment_urls=(PNG,)))

    assert caught.value.code == "100/33"


# --- the window ---


FALLBACK = {"name": "hello_again", "language": "de"}
REMARK = "sent as template hello_again: outside WhatsApp's 24 hours"


@pytest.mark.parametrize("silent_s", [OPEN_S + 1, None])
async def test_a_late_answer_is_refused_before_sending(
    channel: WhatsAppChannel, graph: GraphServer, silent_s: float | None
) -> None:
    """The operator reads why, and what would help; Meta is not asked."""
    with pytest.raises(OutsideWindow, match="24 hours") as caught:
        await channel.send(replace(HELLO, silent_s=silent_s))

    assert (caught.value.code, graph.calls) == ("outside_window", [])


@pytest.mark.parametrize("silent_s", [0.0, OPEN_S])
async def test_an_answer_within_a_day_is_free(http: Http, graph: GraphServer, silent_s: float) -> None:
    """No template stands in for it."""
    graph.on("POST", MESSAGES, SENT)
    channel = build(http, api_base=graph.url, fallback_template=FALLBACK)

    assert await channel.send(replace(HELLO, silent_s=silent_s)) == Receipt("wamid.OUT1")
    assert graph.calls[0].json["type"] == "text"


async def test_a_template_may_be_sent_at_any_time(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """It is how a business begins."""
    graph.on("POST", MESSAGES, SENT)

    assert await channel.send(replace(saying(template=Template("hello")), silent_s=None)) == Receipt("wamid.OUT1")


@pytest.mark.parametrize(
    ("text_parameter", "components"),
    [(False, {}), (True, {"components": [body_parameters("First second and more")]})],
)
async def test_a_template_stands_in_for_a_late_answer(
    http: Http, graph: GraphServer, text_parameter: bool, components: dict[str, Any]
) -> None:
    """With the answer as its one parameter where there is room for it, on one line."""
    graph.on("POST", MESSAGES, SENT)
    fallback = FALLBACK | {"text_parameter": text_parameter}
    channel = build(http, api_base=graph.url, fallback_template=fallback)
    late = replace(saying(text="First\n\nsecond\tand     more"), silent_s=None)

    assert await channel.send(late) == Receipt("wamid.OUT1", remark=REMARK)
    template = {"name": "hello_again", "language": {"code": "de"}} | components
    assert (graph.calls[0].json["type"], graph.calls[0].json["template"]) == ("template", template)


async def test_a_template_invites_once(http: Http, graph: GraphServer) -> None:
    """The further parts of a late answer are refused: one invitation is enough."""
    channel = build(http, api_base=graph.url, fallback_template=FALLBACK)

    with pytest.raises(OutsideWindow, match="only that was sent"):
        await channel.send(replace(HELLO, silent_s=None, part=2))
    assert graph.calls == []


# --- what is not an answer ---


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"messages": []}', b'{"messages": [{"id": ""}]}', b'{"messages": {}}']
)
async def test_an_answer_without_an_id_leaves_it_unknown(
    channel: WhatsAppChannel, graph: GraphServer, body: bytes
) -> None:
    """A success that cannot be read may have been one: a status decides."""
    graph.on("POST", MESSAGES, body)

    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)


async def test_a_connection_that_breaks_leaves_it_unknown(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """The message had left, and is posted once."""
    graph.hang_up_on("POST", MESSAGES)
    with pytest.raises(OutcomeUnknown):
        await channel.send(HELLO)

    assert len(graph.calls) == 1


async def test_no_connection_is_nothing_sent(http: Http) -> None:
    """The whole channel waits."""
    with pytest.raises(RetryLater) as caught:
        await build(http, api_base=f"http://127.0.0.1:{unused_port()}").send(HELLO)

    assert caught.value.channel_wide


# --- typing ---


async def test_typing_marks_the_message_as_read(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """One call does both, and names the message that is being answered."""
    graph.on("POST", MESSAGES, {"success": True})
    await channel.show_typing(CUSTOMER, "wamid.IN1")

    assert [call.json for call in graph.calls] == [
        {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.IN1",
            "typing_indicator": {"type": "text"},
        }
    ]


async def test_typing_that_is_not_shown_is_a_send_error(channel: WhatsAppChannel, graph: GraphServer) -> None:
    """The caller goes on without it."""
    graph.on("POST", MESSAGES, b"", status=429)

    with pytest.raises(RetryLater):
        await channel.show_typing(CUSTOMER, "wamid.IN1")
