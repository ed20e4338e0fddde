"""What each payload of Meta's tells."""

from __future__ import annotations

from typing import Any

import pytest

from channels.base import (
    Attachment,
    Consent,
    Control,
    DeliveryStatus,
    Echo,
    Edit,
    Event,
    Inbound,
    Note,
    Parsed,
    Reaction,
    Reply,
    Revoke,
    Status,
    Watermark,
)
from channels.content import Choice
from channels.errors import PayloadError
from channels.http import Http
from channels.messenger.test_doubles import AT, CUSTOMER, DELIVERY_ID, FIXTURES, PAGE, body, build, post, said

ACK = Reply(200, "EVENT_RECEIVED")
CDN = "https://scontent.xx.fbcdn.net"
STICKER = {"sticker_id": "369239263222822"}

# --- messages ---


def at(url: str, content_type: str = "application/octet-stream", name: str | None = None) -> Attachment:
    return Attachment(url, content_type, name)


REFERRAL = {"ref": "x", "source": "ADS", "type": "OPEN_THREAD", "ad_id": "1"}
SHORTLINK = {"ref": "r", "source": "SHORTLINK", "type": "OPEN_THREAD"}
ADVERTISEMENT = {"ad_title": "Sale", "photo_url": f"{CDN}/ad.jpg", "video_url": f"{CDN}/ad.mp4", "post_id": "9"}
STICKERS = {"attachments": (at(f"{CDN}/s.png", "image/png"),), "metadata": STICKER}
HASHED = "postback:acbc825e6fe40a992ce1e4078cb997129482cf5e2379e7793cadb448b0067142"

MESSAGES: dict[str, Inbound] = {
    "text": said("m_1", "hi"),
    "wire": said("m_60", "Grüße 👋 https://a.b"),
    "quick_reply": said("m_2", "Red", choice=Choice("PICK_RED", "Red")),
    "quick_reply_email": said("m_25", "ann@example.com", choice=Choice("ann@example.com", "ann@example.com")),
    "reply": said("m_8", "yes", metadata={"reply_to": "m_prev"}),
    "image": said("m_3", attachments=(at(f"{CDN}/a.jpg", "image/jpeg"),)),
    "files": said(
        "m_9",
        "see",
        attachments=(
            at("https://cdn.fbsbx.com/v.mp4", "video/mp4"),
            at(f"{CDN}/v.mp4", "video/mp4"),
            at("https://cdn.fbsbx.com/a.pdf?oh=1", "application/pdf", "a.pdf"),
            at("https://lookaside.facebook.com/x"),
        ),
    ),
    "file_nowhere": said("m_42", attachments=(at("http://["),)),
    "file_gone": said("m_10", "[file]"),
    "sticker": said("m_4", **STICKERS),
    "sticker_old": said("m_11", **STICKERS),
    "sticker_both": said("m_12", **STICKERS),
    "sticker_oldest": said("m_13", **STICKERS),
    "fallback": said("m_5", "https://a.b\n[link] A"),
    "fallback_bare": said("m_17", "[link]"),
    "share": said("m_16", "[link] A page https://a.b/c"),
    "reel": said("m_14", "[reel] Our shop https://www.facebook.com/reel/1"),
    "post": said("m_15", "[post] Sale https://www.instagram.com/p/1"),
    "appointment": said("m_18", "[appointment] requested, 2025-11-22 08:26 UTC"),
    "template": said("m_19", "[template] Sofa, Chair"),
    "template_text": said("m_20", "[template] Open the page"),
    "product": said("m_21", "[template] Sofa", metadata={"products": ["77"]}),
    "new_attachment": said("m_22", "[hologram] https://a.b/h"),
    "location": said("m_23", "[location] Ann's place (1.5, -2.25)", metadata={"latitude": 1.5, "longitude": -2.25}),
    "location_lost": said("m_24", "[location] Somewhere"),
    "message_from_product": said("m_26", "is it there?", metadata={"referral": {"product_id": "123"}}),
    "message_from_ad": said("m_27", "hello", metadata={"referral": REFERRAL | ADVERTISEMENT}),
    "unsupported": said("m_28", "[unsupported message]", metadata={"unsupported": True}),
    "empty": said("m_29", "[unsupported message]"),
    "user_ref": said("m_30", "hi", sender="user_ref:box-1"),
    "seconds": said("m_31", "hi"),
    "change": said("m_39", "test"),
    "no_entry_id": said("m_41", "hi"),
    "stop": said("m_32", " Stop\n", consent=Consent.OPT_OUT),
    "start": said("m_33", "START", consent=Consent.OPT_IN),
    "stop_please": said("m_34", "Stop please"),
    "stop_tapped": said("m_35", "STOP", choice=Choice("NO_MORE", "STOP"), consent=Consent.OPT_OUT),
    "start_tapped": said("m_36", "Start", choice=Choice("GO", "Start"), metadata={"payload": "GO"}),
    "postback": said(
        "m_6",
        "Get started",
        choice=Choice("START", "Get started"),
        metadata={"payload": "START", "referral": SHORTLINK},
    ),
    "postback_without_mid": said(HASHED, "Red", choice=Choice("PICK_RED", "Red"), metadata={"payload": "PICK_RED"}),
    "postback_untitled": said("m_38", "[button]"),
    "standby": said("m_7", "to other app", overheard=True),
    "change_standby": said("m_40", "test", overheard=True),
    "postback_standby": said("m_37", "Red", overheard=True),
}


@pytest.mark.parametrize("fixture", MESSAGES)
def test_a_message_is_read(fixture: str) -> None:
    """What a customer writes, taps or sends becomes one message, and nothing of it is lost."""
    parsed = build(Http()).parse(post(body(fixture)))

    assert parsed == Parsed((MESSAGES[fixture],), ACK)


# --- what happens to messages, and who answers ---


def note(name: str, **changes: Any) -> Note:
    return Note(PAGE, changes.pop("sender", CUSTOMER), changes.pop("external_id"), name, AT, changes.pop("metadata"))


HAPPENED: dict[str, tuple[Event, ...]] = {
    "reaction": (Reaction(PAGE, CUSTOMER, "m_out1", "❤"),),
    "reaction_named": (Reaction(PAGE, CUSTOMER, "m_out1", "😮"),),
    "reaction_removed": (Reaction(PAGE, CUSTOMER, "m_out1", None),),
    "edit": (Edit(PAGE, CUSTOMER, "m_1", "hi!", AT),),
    "unsent": (Revoke(PAGE, CUSTOMER, "m_1"),),
    "read": (Watermark(PAGE, CUSTOMER, DeliveryStatus.READ, AT),),
    "read_standby": (Watermark(PAGE, CUSTOMER, DeliveryStatus.READ, AT),),
    "delivery": (Status(PAGE, DeliveryStatus.DELIVERED, "m_out1"),),
    "delivery_of_two": (
        Status(PAGE, DeliveryStatus.DELIVERED, "m_out1"),
        Status(PAGE, DeliveryStatus.DELIVERED, "m_out2"),
    ),
    "delivery_without_mids": (Watermark(PAGE, CUSTOMER, DeliveryStatus.DELIVERED, AT),),
    "echo_ours": (Status(PAGE, DeliveryStatus.SENT, "m_out1", DELIVERY_ID),),
    "echo_human": (Echo(PAGE, CUSTOMER, "m_h1", "agent here", (), AT, {"app_id": "263902037430900"}),),
    "echo_without_app": (Echo(PAGE, CUSTOMER, "m_h2", "from the page's inbox", (), AT),),
    "echo_other_app": (
        Echo(PAGE, CUSTOMER, "m_h3", "another app", (at(f"{CDN}/e.jpg", "image/jpeg"),), AT, {"app_id": "42"}),
    ),
    "echo_standby": (
        Echo(PAGE, CUSTOMER, "m_h4", "[template] https://www.facebook.com/commerce/update/", (), AT, {"app_id": "42"}),
    ),
    "pass_thread": (Control(PAGE, CUSTOMER, ours=True, sent_at=AT),),
    "take_thread": (Control(PAGE, CUSTOMER, ours=False, sent_at=AT),),
    "request_thread": (
        note(
            "thread_requested",
            external_id="thread_requested:d4f517e16ed49754a2332027da93c26f876dd5ebce0acc748d8b196e704c6ff3",
            metadata={"app_id": "151001", "metadata": "please"},
        ),
    ),
    "referral": (
        note(
            "referral",
            external_id="referral:49d9f916d3167ad50e0285b2ad0167aa7cdcea52548a14f8dcb16f5f7fe3b140",
            metadata={
                "ref": "promo",
                "source": "SHORTLINK",
                "type": "OPEN_THREAD",
                "referer_uri": "https://example.com/",
            },
        ),
    ),
    "referral_ad": (
        note(
            "referral",
            external_id="referral:73d4e09ba53523da84f23c1352361598b765e010c4fb7c12c1f2c33b804bb119",
            metadata=REFERRAL | {"ref": "promo", "ad_id": "45", "ad_title": "Sale", "post_id": "9"},
        ),
    ),
    "optin_token": (
        note(
            "opt_in",
            external_id="opt_in:9e4e14e97c6941701a4a647c634eb21ae234d2755a7370d626fa616360bfad55",
            metadata={
                "type": "notification_messages",
                "payload": "P",
                "token": "TOK",
                "token_expires": "1800000000000",
                "token_status": "NOT_REFRESHED",
            },
        ),
    ),
    "optin_checkbox": (
        note(
            "opt_in",
            external_id="opt_in:d12f487a018e7d17fd1cde229b1017176aca35bf9d4e1ff21ee777c7c5972f2d",
            sender="user_ref:box-1",
            metadata={"ref": "newsletter"},
        ),
    ),
}


@pytest.mark.parametrize("fixture", HAPPENED)
def test_what_happens_is_told(fixture: str) -> None:
    """Reports, echoes, handovers, and what a customer does without a word."""
    parsed = build(Http()).parse(post(body(fixture)))

    assert parsed == Parsed(HAPPENED[fixture], ACK)


# --- what means nothing, and what cannot be read ---


IGNORED = {
    "app_roles": "app_roles",
    "account_linking": "account_linking",
    "policy_enforcement": "policy_enforcement",
    "messaging_feedback": "messaging_feedback",
    "customer_information": "messaging_customer_information",
    "feed": "change of feed",
    "nothing": "an empty event",
    "echo_taken_back": "message that the page took back",
    "reaction_without_mid": "reaction without mid",
    "reaction_strange": "reaction wiggle",
    "reaction_of_the_page": "reaction that no customer has done",
    "edit_without_text": "message_edit without text",
    "read_without_watermark": "read without watermark",
    "read_of_nobody": "read that no customer has done",
}


@pytest.mark.parametrize("fixture", IGNORED)
def test_what_means_nothing_is_ignored_by_name(fixture: str) -> None:
    """An event that is new at Meta, or lacks what it is about, costs nothing but a line in the log."""
    parsed = build(Http()).parse(post(body(fixture)))

    assert parsed == Parsed((), ACK, (IGNORED[fixture],))


BROKEN = {
    "no_mid": "a message without mid",
    "no_sender": "a message that has no sender",
    "no_message": "a message that has no sender, recipient or content",
    "echo_without_mid": "a message without mid",
    "no_list": "messaging is no list",
    "no_events": "standby is no list",
    "instagram": "not a webhook for a page",
}


@pytest.mark.parametrize("fixture", BROKEN)
def test_a_message_that_cannot_be_read_is_kept_for_a_person(fixture: str) -> None:
    """The whole body is, so that it can be replayed; the error says what is missing and nothing else."""
    with pytest.raises(PayloadError, match=BROKEN[fixture]):
        build(Http()).parse(post(body(fixture)))


def test_every_fixture_is_in_a_test() -> None:
    """A captured payload that nothing reads would only look like a test."""

    assert {path.stem for path in FIXTURES.iterdir()} == {*MESSAGES, *HAPPENED, *IGNORED, *BROKEN, "batch"}
