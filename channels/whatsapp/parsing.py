"""WhatsApp's webhooks, and the events that they tell. Pure.

One body may hold a thousand events of several numbers. What one of them lacks costs the others nothing: it is named
among what is ignored. Where a customer's message, or an echo, cannot be read, the others are told all the same, and the
body is kept to be replayed: a customer's words must not be lost, nor the sign that a person has answered; what was
stored already falls away as a duplicate then.

developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview and .../webhooks/reference,
read 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from channels.base import Event, Parsed, Request
from channels.errors import PayloadError
from channels.meta.reading import Reading, Unreadable
from channels.meta.webhooks import a_list, a_map, a_text, handshake, read_body
from channels.whatsapp.messages import Told, read_echo, read_message
from channels.whatsapp.people import People, Person
from channels.whatsapp.reports import read_handover, read_preference, read_status
from channels.whatsapp.words import name_of

OBJECT = "whatsapp_business_account"
HANDOVERS = "messaging_handovers"
STANDBY = "standby"
"""What an app gets while another one, or Meta's own bot, answers: .../webhooks/reference/standby, read 2026-11."""
MESSAGES = frozenset({"messages", "message_echoes", "smb_message_echoes", "user_preferences"})

Reader = Callable[[], Event]
"""Reads one event, or raises Unreadable or PayloadError."""


def parse(request: Request) -> Parsed:
    """Turn a handshake or a webhook into events.

    Raises:
        PayloadError: it cannot be read, or the only message in it cannot.
    """
    challenge = handshake(request)
    if challenge is not None:
        return Parsed((), challenge)
    reading = Reading()
    for entry in read_body(request.body, OBJECT):
        for change in reading.attempt(partial(_objects, entry, "changes"), ()):
            for read in reading.attempt(partial(_readers, change), ()):
                reading.add(partial(_one, read))
    return reading.parsed()


def _one(read: Reader) -> tuple[Event]:
    return (read(),)


def _readers(change: Mapping[str, Any]) -> Iterator[Reader]:
    field, value = a_text(change.get("field")), a_map(change.get("value"))
    if field == HANDOVERS:
        yield partial(read_handover, _account(value), value)
    elif field == STANDBY:
        yield from _told(field, _account(value), a_map(value.get(STANDBY)) or value, overheard=True)
    elif field in MESSAGES or not field:
        yield from _told(field, _account(value), value, overheard=False)
    else:
        yield partial(_ignore, name_of(field))


def _told(field: str, account: str, value: Mapping[str, Any], *, overheard: bool) -> Iterator[Reader]:
    """Yield a reader for everything that one change tells."""
    people = People(value)
    readers: list[Reader] = []
    for message in _objects(value, "messages"):
        ids = (message.get(name) for name in ("from", "from_user_id", "from_parent_user_id"))
        readers.append(partial(read_message, Told(account, people.find(*ids), message, overheard)))
    for echo in _objects(value, "message_echoes"):
        flat = {**a_map(echo.get("message")), **echo}  # in standby, what was sent lies one level deeper
        readers.append(partial(read_echo, Told(account, _recipient(people, flat), flat, overheard)))
    readers += [partial(read_status, account, status) for status in a_list(value.get("statuses"))]
    preferences = a_list(value.get("user_preferences"))
    readers += [partial(read_preference, account, people, preference) for preference in preferences]
    readers += [partial(_ignore, f"error {name_of(error.get('code'))}") for error in a_list(value.get("errors"))]
    return iter(readers or [partial(_ignore, f"{name_of(field)} without content")])


def _ignore(name: str) -> Event:
    raise Unreadable(name)


def _account(value: Mapping[str, Any]) -> str:
    """Return the phone_number_id; a handover names us as its recipient."""
    told = (a_map(value.get(party)).get("phone_number_id") for party in ("metadata", "recipient"))
    return next(filter(None, map(a_text, told)), "")


def _recipient(people: People, echo: Mapping[str, Any]) -> Person:
    user_id = a_text(echo.get("to_user_id")) or a_text(echo.get("recipient"))
    return people.find(echo.get("to"), user_id, echo.get("to_parent_user_id"))


def _objects(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list whose loss would be a customer's."""
    listed = fields.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise PayloadError(f"{name} is no list of objects")
    return listed
