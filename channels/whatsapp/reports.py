"""What WhatsApp reports beside messages: statuses, preferences, and who answers a customer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.base import Consent, Control, Event, Preference, Scope, Status
from channels.meta.reading import Unreadable
from channels.meta.webhooks import a_list, a_map, a_text, a_time
from channels.whatsapp.codes import OPTED_OUT, STATUSES
from channels.whatsapp.people import People, address_of
from channels.whatsapp.words import name_of, plain, told

# .../webhooks/reference/user_preferences, read 2026-11.
PREFERENCES: Mapping[str, Consent] = {
    "stop": Consent.OPT_OUT,
    "resume": Consent.OPT_IN,
    "signup": Consent.OPT_IN,
}
MARKETING = "marketing_messages"

# What messaging_handovers tells the app that gains a customer's conversation, and the one that loses it. The field
# is named in .../whatsapp/webhooks/override; its shape is as a capture in another project's tests has it
# (``sender.phone_number``, ``recipient.phone_number_id``), read 2026-11.
HANDOVERS: Mapping[str, bool] = {"control_passed": True, "control_taken": False}


def read_status(account: str, status: Mapping[str, Any]) -> Event:
    """Return how far a message of ours got.

    Raises:
        Unreadable: it is of a group, of a word that means nothing to us, or lacks its number or both ids.
    """
    word = name_of(status.get("status"))
    ours = STATUSES.get(word)
    if a_text(status.get("recipient_type")) == "group":
        raise Unreadable("group status")
    if ours is None:
        raise Unreadable(f"status {word}")
    external_id, delivery_id = a_text(status.get("id")), a_text(status.get("biz_opaque_callback_data"))
    if not account or not (external_id or delivery_id):
        raise Unreadable("status without id or number")
    error = next(iter(a_list(status.get("errors"))), {})
    code = a_text(error.get("code"))
    pricing = plain(a_map(status.get("pricing")))
    return Status(
        account,
        ours,
        external_id or None,
        delivery_id or None,
        error_code=code or None,
        error_message=_error_message(error) or None,
        opted_out=Scope.MARKETING if code in map(str, OPTED_OUT) else None,
        pricing=pricing or None,
    )


def _error_message(error: Mapping[str, Any]) -> str:
    title = a_text(error.get("title")) or a_text(error.get("message"))
    details = a_text(a_map(error.get("error_data")).get("details"))
    return ": ".join(dict.fromkeys(filter(None, (title, details))))


def read_preference(account: str, people: People, preference: Mapping[str, Any]) -> Event:
    """Return what a customer has told WhatsApp about messages that we begin.

    Raises:
        Unreadable: it is about something else, or lacks its customer or number.
    """
    value = name_of(preference.get("value"))
    consent = PREFERENCES.get(value)
    person = people.find(preference.get("wa_id"), preference.get("user_id"))
    if consent is None or a_text(preference.get("category")) != MARKETING:
        raise Unreadable(f"preference {value} of {name_of(preference.get('category'))}")
    if not account or not person.address:
        raise Unreadable("preference of nobody")
    sent_at = a_time(preference.get("timestamp"))
    return Preference(account, person.address, consent, person.identity or None, sent_at)


def read_handover(account: str, value: Mapping[str, Any]) -> Event:
    """Return who answers a customer from now on.

    Raises:
        Unreadable: it is of another type, or lacks its customer or number.
    """
    kind = name_of(value.get("type"))
    if kind not in HANDOVERS:
        raise Unreadable(f"handover {kind}")
    parties = told(a_map(value.get("sender")), "phone_number", "wa_id", "user_id")
    customer = address_of(next(iter(parties.values()), ""))
    if not account or not customer:
        raise Unreadable(f"{kind} of nobody")
    return Control(account, customer, HANDOVERS[kind], a_time(value.get("timestamp")))
