"""One event of Messenger's, and what it means to us. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.base import (
    Consent,
    Control,
    DeliveryStatus,
    Echo,
    Edit,
    Event,
    Inbound,
    Note,
    Reaction,
    Revoke,
    Status,
    Watermark,
)
from channels.consent import OTHER_WORDS, consent_of
from channels.content import Choice
from channels.errors import PayloadError
from channels.messenger.codes import REACTIONS
from channels.messenger.words import name_of, read_message, read_referral, told
from channels.meta.reading import Unreadable
from channels.meta.webhooks import a_map, a_text, a_time

# developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messaging_optins,
# read 2026-11. The token lets us write to somebody, and so is never logged.
OPT_IN: Mapping[str, str] = {
    "type": "type",
    "ref": "ref",
    "title": "title",
    "payload": "payload",
    "notification_messages_token": "token",
    "token_expiry_timestamp": "token_expires",
    "user_token_status": "token_status",
    "notification_messages_frequency": "frequency",
    "notification_messages_status": "status",
}
# .../webhook-events/messaging_handovers, read 2026-11.
REQUEST: Mapping[str, str] = {"requested_owner_app_id": "app_id", "metadata": "metadata"}

_OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Told:
    """One event of Meta's, with what all of them have."""

    account: str
    customer: str
    from_page: bool
    standby: bool
    """Whether another app answers this customer, and we only listen."""
    sent_at: datetime | None
    timestamp: str
    name: str
    """Meta's word for what has happened."""
    body: Mapping[str, Any]

    def key(self, name: str, *what: str) -> str:
        """Return an id for what has none, the same in every redelivery."""
        told = json.dumps([self.customer, self.timestamp, *what])
        return f"{name}:{hashlib.sha256(told.encode()).hexdigest()}"


# --- what customers write, and what pages write to them ---


def _message(event: Told) -> tuple[Event, ...]:
    message = event.body
    mid = a_text(message.get("mid"))
    if not mid:
        raise PayloadError("a message without mid")
    if event.from_page:
        return _echo(event, mid)
    if message.get("is_deleted") is True:
        return (Revoke(event.account, event.customer, mid),)
    said = read_message(message)
    if message.get("is_unsupported") is True:
        said.metadata["unsupported"] = True
    typed = a_text(message.get("text"))
    picked = a_text(a_map(message.get("quick_reply")).get("payload"))
    choice = Choice(picked, typed) if picked else None
    return (
        Inbound(
            event.account,
            event.customer,
            mid,
            said.text,
            tuple(said.attachments),
            choice,
            _consent(typed, tapped=choice is not None),
            event.standby,
            sent_at=event.sent_at,
            metadata=said.metadata,
        ),
    )


def _consent(text: str, *, tapped: bool) -> Consent | None:
    """Return what a text says about consent; of what is tapped only that somebody wants no more: Start is a button."""
    consent = consent_of(text, OTHER_WORDS)
    return consent if not tapped or consent is Consent.OPT_OUT else None


def _echo(event: Told, mid: str) -> tuple[Event, ...]:
    """Tell our own message, which carries our delivery's id, from what a person or another app has answered."""
    message = event.body
    delivery_id = a_text(message.get("metadata"))
    if _OUR_ID.fullmatch(delivery_id):
        return (Status(event.account, DeliveryStatus.SENT, mid, delivery_id),)
    if message.get("is_deleted") is True:
        raise Unreadable("message that the page took back")
    said = read_message(message)
    metadata = said.metadata | told(message, {"app_id": "app_id"})
    return (
        Echo(event.account, event.customer, mid, said.text, tuple(said.attachments), event.sent_at, metadata=metadata),
    )


def _postback(event: Told) -> tuple[Event, ...]:
    """Read a tapped button; its payload is told to the app alone that has sent the button."""
    title, payload = a_text(event.body.get("title")), a_text(event.body.get("payload"))
    choice = Choice(payload, title or payload) if payload else None
    referral = read_referral(event.body.get("referral"))
    metadata = {"payload": payload, "referral": referral}
    return (
        Inbound(
            event.account,
            event.customer,
            a_text(event.body.get("mid")) or event.key("postback", payload or title),
            title or payload or "[button]",
            choice=choice,
            consent=_consent(title, tapped=True),
            overheard=event.standby,
            sent_at=event.sent_at,
            metadata={name: value for name, value in metadata.items() if value},
        ),
    )


# --- what happens to messages ---


def _reaction(event: Told) -> tuple[Event, ...]:
    action, word = a_text(event.body.get("action")), a_text(event.body.get("reaction"))
    emoji = a_text(event.body.get("emoji")) or REACTIONS.get(word, word)
    if action not in ("react", "unreact") or (action == "react" and not emoji):
        raise Unreadable(f"reaction {name_of(action)}")
    return (Reaction(event.account, event.customer, _target(event), emoji if action == "react" else None),)


def _edit(event: Told) -> tuple[Event, ...]:
    text = a_text(event.body.get("text"))
    if not text:
        raise Unreadable("message_edit without text")
    return (Edit(event.account, event.customer, _target(event), text, event.sent_at),)


def _target(event: Told) -> str:
    mid = a_text(event.body.get("mid"))
    if not mid:
        raise Unreadable(f"{event.name} without mid")
    return mid


def _read_up_to(event: Told) -> tuple[Event, ...]:
    return (_watermark(event, DeliveryStatus.READ),)


def _delivered(event: Told) -> tuple[Event, ...]:
    listed = event.body.get("mids")
    mids = [mid for each in listed if (mid := a_text(each))] if isinstance(listed, list) else []
    if not mids:
        return (_watermark(event, DeliveryStatus.DELIVERED),)
    return tuple(Status(event.account, DeliveryStatus.DELIVERED, mid) for mid in mids)


def _watermark(event: Told, status: DeliveryStatus) -> Watermark:
    up_to_at = a_time(event.body.get("watermark"))
    if up_to_at is None:
        raise Unreadable(f"{event.name} without watermark")
    return Watermark(event.account, event.customer, status, up_to_at)


# --- who answers, and what customers do without a word ---
# .../webhook-events/messaging_handovers, read 2026-11: each is posted to the app that gets, loses or has the thread.


def _passed(event: Told) -> tuple[Event, ...]:
    # In standby it tells that somebody else has got the thread.
    return (Control(event.account, event.customer, ours=not event.standby, sent_at=event.sent_at),)


def _taken(event: Told) -> tuple[Event, ...]:
    return (Control(event.account, event.customer, ours=False, sent_at=event.sent_at),)


def _requested(event: Told) -> tuple[Event, ...]:
    return (_note(event, "thread_requested", told(event.body, REQUEST)),)


def _referral(event: Told) -> tuple[Event, ...]:
    return (_note(event, "referral", read_referral(event.body)),)


def _opt_in(event: Told) -> tuple[Event, ...]:
    return (_note(event, "opt_in", told(event.body, OPT_IN)),)


def _note(event: Told, name: str, metadata: Mapping[str, str]) -> Note:
    external_id = a_text(event.body.get("mid")) or event.key(name, *metadata.values())
    return Note(event.account, event.customer, external_id, name, event.sent_at, metadata)


# Meta's word for an event, its reader, and whether the body is kept for a replay where the event is broken.
READERS: Mapping[str, tuple[Callable[[Told], tuple[Event, ...]], bool]] = {
    "message": (_message, True),
    "postback": (_postback, True),
    "message_edit": (_edit, False),
    "reaction": (_reaction, False),
    "read": (_read_up_to, False),
    "delivery": (_delivered, False),
    "pass_thread_control": (_passed, False),
    "take_thread_control": (_taken, False),
    "request_thread_control": (_requested, False),
    "referral": (_referral, False),
    "optin": (_opt_in, False),
}
# What a page may do as well as a customer; its own reactions and reads tell us nothing.
OWN = frozenset({"message", "pass_thread_control", "take_thread_control", "request_thread_control"})
