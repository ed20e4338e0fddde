"""One message of WhatsApp's, or the echo of one, and what it means to us. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from channels.base import (
    Consent,
    DeliveryStatus,
    Echo,
    Edit,
    Event,
    Inbound,
    Moved,
    Note,
    Reaction,
    Revoke,
    Status,
)
from channels.consent import OTHER_WORDS, consent_of
from channels.errors import PayloadError
from channels.meta.reading import Unreadable
from channels.meta.webhooks import a_map, a_text, a_time
from channels.whatsapp.people import Person, address_of
from channels.whatsapp.words import Said, name_of, plain, read_words

# .../webhooks/reference/messages/system, read 2026-11; the second is the first's older name.
MOVES = frozenset({"user_changed_number", "customer_changed_number", "user_changed_user_id"})
# .../webhooks/reference/smb_message_echoes, read 2026-11: changes to what was echoed before.
NO_ANSWERS = frozenset({"reaction", "edit", "revoke"})

_OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# "User <name> changed from <old> to <new>": the name is the customer's own, so only the end of the words counts.
_FROM_TO = re.compile(r".* changed from (\S+) to (\S+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Told:
    """A message, with whom it is from or to."""

    account: str
    person: Person
    message: Mapping[str, Any]
    overheard: bool = False
    """Whether somebody else answers this customer, and we only listen."""

    @property
    def external_id(self) -> str:
        """Meta's id of the message."""
        return a_text(self.message.get("id"))

    @property
    def body(self) -> Mapping[str, Any]:
        """What stands under the message's type."""
        return a_map(self.message.get(name_of(self.message.get("type"))))


def read_message(told: Told) -> Event:
    """Return what a customer's message means.

    Raises:
        PayloadError: it is a customer's words, and lacks its id, its sender, or our number.
        Unreadable: it is something else, and lacks something.
    """
    if told.message.get("group_id"):
        raise Unreadable("group message")
    return READERS.get(name_of(told.message.get("type")), _inbound)(told)


def read_echo(told: Told) -> Event:
    """Return what somebody else has written to a customer in our name.

    Raises:
        PayloadError: it lacks its id, its recipient, or our number: nobody would learn that a person has answered.
        Unreadable: it is no answer.
    """
    kind = name_of(told.message.get("type"))
    if told.message.get("group_id") or kind in NO_ANSWERS:
        raise Unreadable(f"echo of {kind}")
    if not (told.account and told.external_id and told.person.address):
        raise PayloadError("an echo without id, recipient or number")
    ours = a_text(told.message.get("biz_opaque_callback_data"))
    if _OUR_ID.fullmatch(ours):
        return Status(told.account, DeliveryStatus.SENT, told.external_id, ours)
    said = read_words(told.message)
    return Echo(
        told.account,
        told.person.address,
        told.external_id,
        said.text,
        tuple(said.attachments),
        a_time(told.message.get("timestamp")),
        said.metadata,
        told.person.identity or None,
    )


def _inbound(told: Told) -> Event:
    if not (told.account and told.external_id and told.person.address):
        raise PayloadError("a message without id, sender or number")
    said = read_words(told.message)
    if told.person.username:
        said.metadata["username"] = told.person.username
    return Inbound(
        told.account,
        told.person.address,
        told.external_id,
        said.text,
        tuple(said.attachments),
        said.choice,
        _consent(said),
        told.overheard,
        identity=told.person.identity or None,
        sender_name=told.person.name or None,
        sent_at=a_time(told.message.get("timestamp")),
        metadata=said.metadata,
    )


def _consent(said: Said) -> Consent | None:
    """Return what a text says about consent; of what is tapped only that somebody wants no more: Start is a button."""
    if not said.typed and said.choice is None:
        return None
    consent = consent_of(said.text, OTHER_WORDS)
    return consent if said.choice is None or consent is Consent.OPT_OUT else None


def _reaction(told: Told) -> Event:
    target = _target(told, "message_id")
    return Reaction(told.account, told.person.address, target, a_text(told.body.get("emoji")) or None)


def _edit(told: Told) -> Event:
    edited = a_map(told.body.get("message"))
    target = a_text(told.body.get("original_message_id"))
    if not (edited and target and told.account and told.person.address):
        raise PayloadError("an edit without its message, target, sender or number")
    sent_at = a_time(told.message.get("timestamp"))
    return Edit(told.account, told.person.address, target, read_words(edited).text, sent_at)


def _revoke(told: Told) -> Event:
    return Revoke(told.account, told.person.address, _target(told, "original_message_id"))


def _target(told: Told, name: str) -> str:
    target = a_text(told.body.get(name))
    if not (target and told.account and told.person.address):
        raise Unreadable(f"{name_of(told.message.get('type'))} without target, sender or number")
    return target


def _system(told: Told) -> Event:
    kind = name_of(told.body.get("type"))
    return (_moved(told) if kind in MOVES else None) or _note(told, kind)


def _moved(told: Told) -> Event | None:
    """Return from where to where somebody has gone; None where that is not told.

    The number that the message is from is the old one; where it is hidden, the old id stands in the words only. An id
    changes only together with the number, so that the old number is nobody's, or soon somebody else's.
    """
    system = told.body
    in_words = _FROM_TO.fullmatch(a_text(system.get("body")))
    new_id = a_text(system.get("user_id"))
    old = (
        address_of(told.message.get("from"))
        or a_text(told.message.get("from_user_id"))
        or a_text(system.get("previous_user_id"))
        or address_of(system.get("customer"))
        or (in_words[1] if in_words and in_words[2] == new_id else "")
    )
    new = address_of(system.get("wa_id")) or address_of(system.get("new_wa_id")) or new_id
    return Moved(told.account, old, new, new_id or None) if told.account and old and new else None


def _welcome(told: Told) -> Event:
    return _note(told, "request_welcome")


def _note(told: Told, name: str) -> Event:
    if not (told.account and told.external_id and told.person.address):
        raise Unreadable(f"{name} without id, sender or number")
    sent_at = a_time(told.message.get("timestamp"))
    identity = told.person.identity or None
    return Note(told.account, told.person.address, told.external_id, name, sent_at, plain(told.body), identity)


READERS: Mapping[str, Callable[[Told], Event]] = {
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "request_welcome": _welcome,
}
