"""Messenger's webhooks, and the events that they tell. Pure.

One body may hold many events. What one event lacks costs the others nothing: it is named among what is ignored. Where a
message, a button or an echo cannot be read, the others are told all the same, and the body is kept to be replayed: a
customer's words must not be lost, nor the sign that a person has answered; what was stored already falls away as a
duplicate then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from channels.base import Event, Parsed, Request
from channels.errors import PayloadError
from channels.messenger.events import OWN, READERS, Told
from channels.messenger.words import name_of
from channels.meta.reading import Reading, Unreadable
from channels.meta.webhooks import a_list, a_map, a_text, a_time, handshake, read_body

USER_REF = "user_ref:"
"""Begins the address of somebody whom Meta does not name yet: a visitor who ticked a box on a website."""

_BESIDE = frozenset({"sender", "recipient", "timestamp"})


def parse(request: Request) -> Parsed:
    """Turn a handshake or a webhook into events.

    Raises:
        PayloadError: it cannot be read, or the only message in it cannot.
    """
    challenge = handshake(request)
    if challenge is not None:
        return Parsed((), challenge)
    reading = Reading()
    for entry in read_body(request.body, "page"):
        for raw, standby in _raw_events(entry, reading):
            reading.add(partial(_read, a_text(entry.get("id")), raw, standby=standby))
    return reading.parsed()


def _raw_events(entry: Mapping[str, Any], reading: Reading) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield an entry's events, and whether we only overhear them."""
    for field, standby in (("messaging", False), ("standby", True)):
        for raw in reading.attempt(partial(_listed, entry, field), ()):
            yield raw, standby
    # The console's Test button sends an event like this, and a page's other webhooks come like this.
    for change in a_list(entry.get("changes")):
        value = a_map(change.get("value"))
        if _BESIDE & value.keys():
            yield value, change.get("field") == "standby"
        else:
            reading.ignore(f"change of {name_of(change.get('field'))}")


def _listed(entry: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    listed = entry.get(field, [])
    if not isinstance(listed, list) or not all(isinstance(raw, dict) for raw in listed):
        raise PayloadError(f"{field} is no list of events")
    return listed


def _read(page_id: str, raw: Mapping[str, Any], *, standby: bool) -> tuple[Event, ...]:
    name = next((known for known in READERS if known in raw), None)
    if name is None:
        raise Unreadable(next((name_of(key) for key in raw if key not in _BESIDE), "an empty event"))
    reader, needed = READERS[name]
    told = _told(page_id, raw, name, standby=standby)
    if told is None and needed:
        raise PayloadError(f"a {name} that has no sender, recipient or content")
    if told is None or (told.from_page and name not in OWN):
        raise Unreadable(f"{name} that no customer has done")
    return reader(told)


def _told(page_id: str, raw: Mapping[str, Any], name: str, *, standby: bool) -> Told | None:
    """Return an event with its parties; None where it lacks one of them."""
    body, sender, recipient = raw[name], a_map(raw.get("sender")), a_map(raw.get("recipient"))
    echo = a_map(body).get("is_echo") is True
    account = page_id or a_text((sender if echo else recipient).get("id"))
    from_page = echo or a_text(sender.get("id")) == account
    # A box on a website is ticked by somebody who is no sender yet.
    customer = _address(recipient if from_page else sender) or _address({"user_ref": a_map(body).get("user_ref")})
    if not isinstance(body, dict) or not account or not customer:
        return None
    timestamp = raw.get("timestamp")
    return Told(account, customer, from_page, standby, a_time(timestamp), a_text(timestamp), name, body)


def _address(party: Mapping[str, Any]) -> str:
    user_ref = a_text(party.get("user_ref"))
    return a_text(party.get("id")) or (f"{USER_REF}{user_ref}" if user_ref else "")
