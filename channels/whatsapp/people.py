"""Who somebody on WhatsApp is: a phone number, WhatsApp's own id of them, or both. Pure.

Since 2026 a customer with a username may hide the phone number. What every customer has is a business-scoped user id:
developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.meta.webhooks import a_list, a_map, a_text

# That page says "up to 128" and said 256 before; ENT marks the id that several portfolios share.
_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,256}")
_PHONE = re.compile(r"\+?[0-9]{1,20}")
_TYPED_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
_BETWEEN = re.compile(r"[\s().\u00a0\u2010-\u2015/-]")  # what people write between digits
HOW = 'must be a number with + and its country, such as "+15550100123", or WhatsApp\'s own id, such as US.1349…'


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, as far as a webhook tells; what it does not tell is empty."""

    address: str = ""
    """Where an answer reaches them: ``+`` and the phone number, or else the user id."""
    identity: str = ""
    """The business-scoped user id."""
    name: str = ""
    username: str = ""


class People:
    """The customers that one webhook is about."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        contacts = a_list(value.get("contacts"))
        self._known = {
            known: contact
            for contact in reversed(contacts)
            for known in (a_text(contact.get("wa_id")), a_text(contact.get("user_id")))
            if known
        }
        senders = {
            (a_text(message.get("from")), a_text(message.get("from_user_id")))
            for message in a_list(value.get("messages"))
        }
        # A number's older spelling (Brazil, Mexico, Argentina) may differ between a message and its contact.
        self._only = contacts[0] if len(contacts) == 1 and len(senders) <= 1 else {}

    def find(self, phone: Any, user_id: Any = None, parent_user_id: Any = None) -> Person:
        """Return who has the phone number or the user id, with what their contact adds."""
        number, own_id = a_text(phone).strip(), a_text(user_id).strip()
        contact = self._known.get(own_id) or self._known.get(number) or self._only
        number = number or a_text(contact.get("wa_id")).strip()
        own_id = own_id or a_text(contact.get("user_id")).strip()
        parent_id = a_text(parent_user_id).strip() or a_text(contact.get("parent_user_id")).strip()
        profile = a_map(contact.get("profile"))
        return Person(
            address_of(number) or own_id or parent_id,
            own_id,
            a_text(profile.get("name")),
            a_text(profile.get("username")),
        )


def address_of(value: Any) -> str:
    """Return the address that a webhook means: ``+`` and digits for a phone number, anything else as it is."""
    text = a_text(value).strip()
    return f"+{text.removeprefix('+')}" if _PHONE.fullmatch(text) else text


def is_user_id(address: str) -> bool:
    """Tell whether an address is a business-scoped user id, which is sent to in another way than a phone number."""
    return _USER_ID.fullmatch(address) is not None


def check_recipient(text: str) -> str:
    """Return an address that an operator typed as a webhook's would be: ``+`` and digits, or a user id.

    Raises:
        ValueError: it is neither.
    """
    number = _BETWEEN.sub("", text)
    if _TYPED_PHONE.fullmatch(number):
        return number
    if is_user_id(text.strip()):
        return text.strip()
    raise ValueError(HOW)
