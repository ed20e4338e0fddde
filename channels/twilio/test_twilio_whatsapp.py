"""WhatsApp through Twilio: its window, its templates, its places and its typing mark."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from channels.abilities import ShowsTyping
from channels.base import Outbound, Receipt
from channels.content import Choice, Content, Location, Template
from channels.errors import OutsideWindow, RetryLater
from channels.http import Http
from channels.rendering import parts_of
from channels.twilio.channel import TwilioChannel
from channels.twilio.test_doubles import CUSTOMER, MESSAGES, NUMBER, TwilioServer, build, message, page

DAY_S = 24 * 3600.0
WHATSAPP = {"from": f"whatsapp:{NUMBER}"}
FALLBACK = {"name": "HX" + "1" * 32}
HELLO = Outbound("d-1", f"whatsapp:{CUSTOMER}", Content("Hello\nthere"), silent_s=10.0)
TYPING = "/v2/Indicators/Typing.json"
CALLED_AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def channel(http: Http, twilio: TwilioServer, **changes: Any) -> TwilioChannel:
    return build(http, api_base=twilio.url, **(WHATSAPP | changes))


@pytest.mark.parametrize("recipient", [CUSTOMER, f"whatsapp:{CUSTOMER}"])
async def test_whatsapp_goes_the_same_way(http: Http, twilio: TwilioServer, recipient: str) -> None:
    """Both addresses carry the prefix, even where an operator typed a bare number."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    await channel(http, twilio).send(replace(HELLO, recipient=recipient))

    [call] = twilio.calls
    form = dict(call.form)
    assert (form["To"], form["From"]) == (f"whatsapp:{CUSTOMER}", f"whatsapp:{NUMBER}")


@pytest.mark.parametrize("silent_s", [DAY_S + 1, None])
async def test_a_late_answer_is_refused_before_sending(
    http: Http, twilio: TwilioServer, silent_s: float | None
) -> None:
    """The operator reads why, and what would help; Twilio is not asked."""
    with pytest.raises(OutsideWindow, match="24 hours") as caught:
        await channel(http, twilio).send(replace(HELLO, silent_s=silent_s))

    assert caught.value.code == "outside_window"
    assert twilio.calls == []


async def test_sms_has_no_window(http: Http, twilio: TwilioServer) -> None:
    """A text message may come at any time."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    sms = build(http, api_base=twilio.url)

    assert await sms.send(Outbound("d-1", CUSTOMER, Content("Hello"))) == Receipt("SM7")


@pytest.mark.parametrize(("fallback", "variables"), [({}, None), ({"text_parameter": True}, {"1": "Hello there"})])
async def test_a_template_stands_in_for_a_late_answer(
    http: Http, twilio: TwilioServer, fallback: dict[str, Any], variables: dict[str, str] | None
) -> None:
    """The approved content is sent in its place, and the receipt says so."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    late = replace(HELLO, silent_s=DAY_S + 1)
    receipt = await channel(http, twilio, fallback_template=FALLBACK | fallback).send(late)

    form = dict(twilio.calls[0].form)
    assert (form["ContentSid"], "Body" in form) == (FALLBACK["name"], False)
    assert json.loads(form.get("ContentVariables", "null")) == variables
    assert receipt.remark == f"sent as template {FALLBACK['name']}: outside WhatsApp's 24 hours"


async def test_a_template_invites_once(http: Http, twilio: TwilioServer) -> None:
    """The further parts of a late answer are refused: one invitation is enough."""
    with pytest.raises(OutsideWindow, match="only that was sent"):
        await channel(http, twilio, fallback_template=FALLBACK).send(replace(HELLO, silent_s=None, part=2))


async def test_a_template_may_be_sent_at_any_time(http: Http, twilio: TwilioServer) -> None:
    """What it leaves open is numbered, as Twilio wants it."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    template = Template("HX2", parameters=("Ann", "9:00"))
    await channel(http, twilio).send(replace(HELLO, content=Content(template=template), silent_s=None))

    form = dict(twilio.calls[0].form)
    assert (form["ContentSid"], json.loads(form["ContentVariables"])) == ("HX2", {"1": "Ann", "2": "9:00"})


async def test_a_place_is_shared(http: Http, twilio: TwilioServer) -> None:
    """It has a pin and a label."""
    twilio.on("POST", MESSAGES, message("SM7"), status=201)
    place = Location(42.361145, -122.163451, "Shop", "1 Main St")
    await channel(http, twilio).send(replace(HELLO, content=Content(location=place)))

    form = dict(twilio.calls[0].form)
    assert form["PersistentAction"] == "geo:42.361145,-122.163451|Shop"
    assert form["Body"] == "Shop, 1 Main St (42.361145, -122.163451)"


def test_choices_are_numbers_and_files_go_one_by_one(http: Http, twilio: TwilioServer) -> None:
    """Buttons would need approved content for each question."""
    content = Content("When?", ("https://x.example/a.jpg", "https://x.example/b.jpg"), (Choice("a", "9:00"),))
    parts = parts_of(content, channel(http, twilio).shows)

    assert [(len(part.attachment_urls), part.text) for part in parts] == [(1, ""), (1, "When?\n\n1. 9:00")]


async def test_typing_is_shown(http: Http, twilio: TwilioServer) -> None:
    """On WhatsApp Twilio is told which message is being answered; on SMS nobody is asked."""
    twilio.on("POST", TYPING, {"success": True})
    whatsapp, sms = channel(http, twilio), build(http, api_base=twilio.url)
    await whatsapp.show_typing(CUSTOMER, "SM1")
    await sms.show_typing(CUSTOMER, "SM1")

    [call] = twilio.calls
    assert isinstance(whatsapp, ShowsTyping)
    assert dict(call.form) == {"channel": "whatsapp", "messageId": "SM1"}


async def test_typing_that_is_not_shown_is_a_send_error(http: Http, twilio: TwilioServer) -> None:
    """The caller goes on without it."""
    twilio.on("POST", TYPING, {"code": 20429, "message": "slow down"}, status=429)

    with pytest.raises(RetryLater):
        await channel(http, twilio).show_typing(CUSTOMER, "SM1")


@pytest.mark.parametrize("sent", ["the answer", "what an approved text says"])
async def test_a_template_in_the_log_is_taken_for_ours(http: Http, twilio: TwilioServer, sent: str) -> None:
    """Only Twilio knows its words, so a message to the customer that no other delivery has is this one."""
    row = message("SM7", **{"from": f"whatsapp:{NUMBER}", "to": f"whatsapp:{CUSTOMER}", "body": sent})
    twilio.on("GET", MESSAGES, page("messages", [row]))
    late = replace(HELLO, silent_s=None)
    found = await channel(http, twilio, fallback_template=FALLBACK).find(late, CALLED_AT, frozenset())

    assert found == Receipt("SM7")


def test_sms_takes_no_fallback_template(http: Http) -> None:
    """A setting that would do nothing is refused."""
    with pytest.raises(ValidationError, match="SMS has no window"):
        build(http, fallback_template=FALLBACK)
