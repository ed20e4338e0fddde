"""What WhatsApp's webhooks tell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
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
    Moved,
    Note,
    Parsed,
    Preference,
    Reaction,
    Reply,
    Request,
    Revoke,
    Scope,
    Status,
)
from channels.content import Choice
from channels.errors import PayloadError
from channels.http import Http
from channels.whatsapp.test_doubles import CUSTOMER, NUMBER, USER_ID, build

FIXTURES = Path(__file__).parent / "fixtures"
ACK = Reply(200, "EVENT_RECEIVED")
AT = datetime.fromtimestamp(1763800000, UTC)
NEW_ID = "US.13490000000000000002"
NEW_NUMBER = "+15550108888"
DELIVERY_ID = "0b9f0f6e-8d0c-4a53-9f0e-4f1d1f7a2c11"
NOT_PASSED_ON = "[a message that WhatsApp does not pass on]"
NOT_SHOWN = "[interactive message that cannot be shown]"
SHA = {"sha256": "c2hh"}
TO_OURS = {"reply_to": "wamid.OUT0001"}


def body(fixture: str) -> bytes:
    return (FIXTURES / f"{fixture}.json").read_bytes()


def parse(content: bytes) -> Parsed:
    return build(Http()).parse(Request("POST", "/webhooks/whatsapp", (), content))


# --- messages ---


def said(text: str = "hello", **changes: Any) -> Inbound:
    known = {
        "account": NUMBER,
        "sender": CUSTOMER,
        "external_id": "wamid.IN0001",
        "text": text,
        "identity": USER_ID,
        "sender_name": "Ann Test",
        "sent_at": AT,
    }
    return Inbound(**(known | changes))


def file(media_id: str, content_type: str, text: str = "", name: str | None = None, **metadata: Any) -> Inbound:
    attachment = Attachment(f"whatsapp-media:{media_id}", content_type, name)
    return said(text, attachments=(attachment,), metadata=metadata)


def picked(choice_id: str, title: str, description: str | None = None, **changes: Any) -> Inbound:
    return said(title, choice=Choice(choice_id, title, description), **({"metadata": TO_OURS} | changes))


REFERRAL = {
    "source_url": "https://fb.me/x",
    "source_id": "1202",
    "source_type": "ad",
    "headline": "Chat",
    "body": "Sale",
    "media_type": "image",
    "image_url": "https://x/i.jpg",
    "ctwa_clid": "Aff-1",
    "welcome_message": "Hi",
}
POST = {
    "source_url": "https://fb.me/y",
    "source_id": "1203",
    "source_type": "post",
    "headline": "Chat",
    "body": "Sale",
    "media_type": "video",
    "video_url": "https://x/v.mp4",
    "thumbnail_url": "https://x/t.jpg",
}
ITEM = {"product_retailer_id": "A", "quantity": 2, "item_price": 30, "currency": "USD"}
PERMISSION = {
    "type": "call_permission_reply",
    "response": "accept",
    "is_permanent": False,
    "expiration_timestamp": 1764000000,
    "response_source": "user_action",
}
UNKNOWN_TYPE = {
    "code": "131051",
    "title": "Message type unknown",
    "details": "Message type is currently not supported.",
}
TOO_LARGE = {"code": "131052", "title": "Media download error", "details": "The file is larger than 100 MB."}
MAP = {"latitude": 37.44, "longitude": -122.16, "name": "Cafe"}

MESSAGES = {
    "text": said("hello ä 😀"),
    "text_empty": said("[text message]"),
    "wire": said("ä 😀 https://x.example/", identity=None, sender_name=None),
    "milliseconds": said(sent_at=datetime(2025, 11, 22, 8, 26, 40, 123000, UTC)),
    "reply": said("yes", metadata=TO_OURS),
    "forwarded": said(metadata={"forwarded": True}),
    "frequently_forwarded": said(metadata={"frequently_forwarded": True}),
    "product_enquiry": said(
        metadata=TO_OURS | {"referred_product": {"catalog_id": "77", "product_retailer_id": "A"}},
    ),
    "ctwa": said("info?", metadata={"referral": REFERRAL}),
    "ctwa_video": file("9010", "image/jpeg", referral=POST),
    # files
    "image": file("9001", "image/jpeg", "look", **SHA),
    "image_plain": file("9007", "image/png"),
    "image_lost": said("[image message]"),
    "voice": file("9002", "audio/ogg", voice=True, **SHA),
    "audio_file": file("9006", "audio/mpeg", voice=False, **SHA),
    "video": file("9003", "video/mp4", **SHA),
    "document": file("9004", "application/pdf", name="a.pdf", **SHA),
    "document_captioned": file("9009", "application/pdf", "The plan", "a.pdf", **SHA),
    "sticker": file("9005", "image/webp", animated=False, **SHA),
    "sticker_animated": file("9008", "image/webp", animated=True),
    # places and people
    "location": said("[location] Cafe, 1 Main St (37.44, -122.16)", metadata=MAP | {"address": "1 Main St"}),
    "location_bare": said("[location] 37, -122.16", metadata={"latitude": 37.0, "longitude": -122.16}),
    "location_url": said("[location] Cafe (37.44, -122.16)", metadata=MAP | {"url": "https://cafe.example/"}),
    "location_odd": said("[location] Cafe", metadata={"name": "Cafe"}),
    "contacts": said(
        "[contact] Bo B, +1 555 010 1234", metadata={"contacts": [{"name": "Bo B", "phones": ["+1 555 010 1234"]}]}
    ),
    "contacts_bare": said(
        "[contact] +15550109999", metadata={"contacts": [{"phones": [CUSTOMER]}], "origin": "contact_request"}
    ),
    "contacts_many": said(
        "[contact] Bo B, Roofs, +15550101234, bo@example.com\n[contact] Cy",
        metadata={
            "contacts": [
                {"name": "Bo B", "company": "Roofs", "phones": ["+15550101234"], "emails": ["bo@example.com"]},
                {"name": "Cy"},
            ]
        },
    ),
    # what was tapped
    "template_button": picked("STOP_MKT", "Unsubscribe", consent=Consent.OPT_OUT),
    "template_button_bare": picked("Yes please", "Yes please", metadata={}),
    "template_button_empty": said("[button message]"),
    "button_reply": picked("b1", "Change"),
    "start_tapped": picked("go", "Start"),
    "list_reply": picked("r1", "Express", "1 day"),
    "list_reply_bare": picked("r1", "r1"),
    "flow_reply": said("Sent\nq: 1", metadata=TO_OURS | {"flow": "flow", "response": {"flow_token": "t", "q": "1"}}),
    "flow_unreadable": said("[form]", metadata=TO_OURS | {"flow": "unnamed", "response": "{"}),
    "address_reply": said(
        "1 Main St\nsaved_address_id: a1",
        metadata=TO_OURS
        | {"flow": "address_message", "response": {"values": {"city": "Pune"}, "saved_address_id": "a1"}},
    ),
    "call_permission": said("[call permission reply] accept", metadata=TO_OURS | {"interactive": PERMISSION}),
    "call_permission_empty": said(NOT_SHOWN),
    "interactive_untyped": said(NOT_SHOWN),
    # orders
    "order": said("[order] 2 x A at 30 USD", metadata={"order": {"catalog_id": "77", "product_items": [ITEM]}}),
    "order_text": said(
        "[order] 2 x A at 30.5 USD\n[order] 1 x B\nby Friday",
        metadata={
            "order": {"catalog_id": "77", "product_items": [ITEM | {"item_price": 30.5}, {"product_retailer_id": "B"}]}
        },
    ),
    "order_empty": said("[order message]", metadata={"order": {"product_items": []}}),
    # what is not shown to us
    "unsupported": said(NOT_PASSED_ON, metadata={"unsupported": "poll", "errors": [UNKNOWN_TYPE]}),
    "unsupported_bare": said(NOT_PASSED_ON),
    "media_too_large": said(NOT_PASSED_ON, metadata={"errors": [TOO_LARGE]}),
    "new_type": said("[event invite message]"),
    "no_type": said(NOT_PASSED_ON),
    # consent
    "stop": said(" stop\n", consent=Consent.OPT_OUT),
    "stop_please": said("Stop please"),
    "stop_caption": file("9011", "image/jpeg", "STOP"),
    "start": said("START", consent=Consent.OPT_IN),
    # whom it is from
    "username_only": said(
        "no phone", sender=USER_ID, external_id="wamid.IN0002", sender_name="Ann", metadata={"username": "ann.k"}
    ),
    "empty_phone": said(sender=USER_ID, sender_name="Ann", metadata={"username": "ann.k"}),
    "phone_of_contact": said(),
    "user_id_of_contact": said(),
    "old_contact": said(identity=None),
    "no_contacts": said(sender_name=None),
    "spelled_otherwise": said(sender="+551187654321", identity=None, sender_name="Ana"),
    "parent_id": said(sender="US.ENT.11815799212886844830", identity=None, sender_name="Ann"),
    # where it comes from
    "no_field": said(),
    "standby_message": said(overheard=True),
    "standby_flat": said(overheard=True),
}


@pytest.mark.parametrize("fixture", MESSAGES)
def test_a_message_is_read(fixture: str) -> None:
    """A message becomes one event, and Meta gets its acknowledgement."""

    assert parse(body(fixture)) == Parsed((MESSAGES[fixture],), ACK)


# --- everything else ---


def status(word: DeliveryStatus, **changes: Any) -> Status:
    return Status(NUMBER, word, **({"external_id": "wamid.OUT0001", "delivery_id": "our-uuid"} | changes))


def echo(text: str, *attachments: Attachment, recipient: str = CUSTOMER, identity: str | None = None) -> Echo:
    return Echo(NUMBER, recipient, "wamid.ECHO1", text, attachments, AT, identity=identity)


def failed(code: str | None, message: str | None, **changes: Any) -> Status:
    return status(DeliveryStatus.FAILED, error_code=code, error_message=message, **changes)


STOPPED = (
    "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages "
    "on WhatsApp from your business"
)
LATE = "Re-engagement message: More than 24 hours have passed since the recipient last replied."
FREE = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
PAID = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
NEW_CODE = {"type": "customer_identity_changed", "body": "Ann's security code changed", "identity": "x"}
NOWHERE = {"type": "user_changed_number", "body": "Ann has another number"}

EVENTS: dict[str, Event] = {
    "reaction": Reaction(NUMBER, CUSTOMER, "wamid.OUT0001", "👍"),
    "unreaction": Reaction(NUMBER, CUSTOMER, "wamid.OUT0001", None),
    "reaction_removed_lately": Reaction(NUMBER, CUSTOMER, "wamid.OUT0001", None),
    "edit": Edit(NUMBER, CUSTOMER, "wamid.IN0000", "fixed", AT),
    "edit_caption": Edit(NUMBER, CUSTOMER, "wamid.IN0000", "fixed", AT),
    "revoke": Revoke(NUMBER, CUSTOMER, "wamid.IN0000"),
    "request_welcome": Note(NUMBER, CUSTOMER, "wamid.IN0001", "request_welcome", AT, identity=USER_ID),
    # numbers and ids that change
    "system_number": Moved(NUMBER, CUSTOMER, NEW_NUMBER, NEW_ID),
    "system_customer_changed": Moved(NUMBER, CUSTOMER, NEW_NUMBER),
    "system_number_hidden": Moved(NUMBER, CUSTOMER, NEW_ID, NEW_ID),
    "system_user_id": Moved(NUMBER, USER_ID, NEW_ID, NEW_ID),
    "system_user_id_told": Moved(NUMBER, USER_ID, NEW_NUMBER, NEW_ID),
    "system_user_id_forged": Moved(NUMBER, "US.EVE", NEW_ID, NEW_ID),
    "system_identity": Note(NUMBER, CUSTOMER, "wamid.SYS1", "customer_identity_changed", AT, NEW_CODE),
    "system_nowhere": Note(NUMBER, CUSTOMER, "wamid.SYS1", "user_changed_number", AT, NOWHERE),
    # statuses
    "status_sent": status(DeliveryStatus.SENT, pricing=PAID),
    "status_delivered": status(DeliveryStatus.DELIVERED, pricing=FREE),
    "status_read": status(DeliveryStatus.READ),
    "status_played": status(DeliveryStatus.READ),
    "status_to_user_id": status(DeliveryStatus.SENT),
    "status_not_ours": status(DeliveryStatus.SENT, delivery_id=None),
    "status_failed": failed("131047", LATE),
    "status_failed_bare": failed("131026", "Message undeliverable"),
    "status_failed_wordless": failed(None, None),
    "status_stopped": failed("131050", STOPPED, opted_out=Scope.MARKETING),
    "standby_status": Status(NUMBER, DeliveryStatus.DELIVERED, "wamid.ECHO1"),
    # what customers tell WhatsApp
    "optout_pref": Preference(NUMBER, CUSTOMER, Consent.OPT_OUT, USER_ID, AT),
    "preference_resume": Preference(NUMBER, CUSTOMER, Consent.OPT_IN, USER_ID, AT),
    "preference_signup": Preference(NUMBER, USER_ID, Consent.OPT_IN, USER_ID, AT),
    # who else answers
    "echo_text": echo("I am on my way"),
    "echo_image": echo("Done", Attachment("whatsapp-media:9013", "image/jpeg")),
    "echo_to_user_id": echo("I am on my way", recipient=USER_ID, identity=USER_ID),
    "echo_other_app": echo("Which day?"),
    "echo_ours": Status(NUMBER, DeliveryStatus.SENT, "wamid.ECHO1", DELIVERY_ID),
    "standby_echo": echo("We open at nine", identity=USER_ID),
    "handover_passed": Control(NUMBER, CUSTOMER, ours=True, sent_at=AT),
    "handover_taken": Control(NUMBER, CUSTOMER, ours=False, sent_at=AT),
    "handover_of_user_id": Control(NUMBER, USER_ID, ours=False, sent_at=AT),
}


@pytest.mark.parametrize("fixture", EVENTS)
def test_an_event_is_read(fixture: str) -> None:
    """Whatever else happens becomes an event of its own kind."""

    assert parse(body(fixture)) == Parsed((EVENTS[fixture],), ACK)


IGNORED = {
    "reaction_lost": "reaction without target, sender or number",
    "revoke_lost": "revoke without target, sender or number",
    "system_nobody": "user_changed_number without id, sender or number",
    "system_user_id_unclear": "user_changed_user_id without id, sender or number",
    "group_message": "group message",
    "group_status": "group status",
    "status_deleted": "status deleted",
    "status_warning": "status warning",
    "status_without_id": "status without id or number",
    "status_without_number": "status without id or number",
    "value_error": "error 130429",
    "preference_new": "preference perhaps of marketing_messages",
    "preference_other": "preference stop of utility_messages",
    "preference_of_nobody": "preference of nobody",
    "echo_edit": "echo of edit",
    "echo_revoke": "echo of revoke",
    "handover_new": "handover control_shared",
    "handover_of_nobody": "control_passed of nobody",
    "standby_empty": "standby without content",
    "account_update": "account_update",
    "no_value": "messages without content",
}


@pytest.mark.parametrize("fixture", IGNORED)
def test_what_means_nothing_to_us_is_ignored_by_name(fixture: str) -> None:
    """No customer's words are lost with it."""

    assert parse(body(fixture)) == Parsed((), ACK, (IGNORED[fixture],))


UNREADABLE = {
    "no_sender": "without id, sender or number",
    "no_id": "without id, sender or number",
    "no_number": "without id, sender or number",
    "edit_lost": "an edit without",
    "echo_without_recipient": "an echo without",
    "no_list": "messages is no list",
    "no_changes": "changes is no list",
    "no_entries": "no list of entries",
    "page": "not a webhook for a whatsapp_business_account",
}


@pytest.mark.parametrize("fixture", UNREADABLE)
def test_words_that_cannot_be_read_are_kept_for_a_person(fixture: str) -> None:
    """What is authentic and may hold a customer's words is PayloadError, which says what is missing only."""
    with pytest.raises(PayloadError, match=UNREADABLE[fixture]):
        parse(body(fixture))


def test_words_beside_an_error_are_read() -> None:
    """Meta tells of a message that it could not pass on twice."""

    assert parse(body("interactive_empty")) == Parsed((said(NOT_SHOWN),), ACK, ("error 131000",))


def test_each_sender_has_their_own_contact() -> None:
    """By number or id; the contacts of others tell nothing about a third."""
    told = [event for event in parse(body("two_people")).events if isinstance(event, Inbound)]

    assert [(event.sender, event.identity, event.sender_name) for event in told] == [
        (CUSTOMER, USER_ID, "Ann Test"),
        ("US.13490000000000000009", "US.13490000000000000009", "Bo"),
        ("+15550107777", "US.13490000000000000007", None),
    ]


# --- many at once ---


def test_everything_in_a_body_is_read() -> None:
    """Messages, numbers, duplicates, statuses in any order; what lacks something costs the others nothing."""
    other = "106540000000002"
    one, two = (said(text, external_id=mid) for text, mid in (("one", "wamid.1"), ("two", "wamid.2")))
    three = said("three", account=other, external_id="wamid.3", sender_name=None)
    steps = (DeliveryStatus.READ, DeliveryStatus.DELIVERED, DeliveryStatus.SENT, DeliveryStatus.READ)

    assert parse(body("batch")) == Parsed(
        (one, two, one, *map(status, steps), three, Status(other, DeliveryStatus.SENT, "wamid.OUT0002", "our-uuid")),
        ACK,
        ("status deleted", "account_update", "reaction without target, sender or number"),
    )


def test_an_empty_body_tells_nothing() -> None:
    """It is acknowledged."""

    assert parse(body("nothing")) == Parsed((), ACK)


def test_every_fixture_is_in_a_test() -> None:
    """A captured payload that nothing reads would only look like a test."""
    others = {"interactive_empty", "two_people", "batch", "nothing"}

    assert {path.stem for path in FIXTURES.iterdir()} == {*MESSAGES, *EVENTS, *IGNORED, *UNREADABLE, *others}
