"""What Meta's webhooks of both platforms have in common: updates, and the one body that carries many of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PAGE = "page"
BUSINESS_ACCOUNT = "whatsapp_business_account"
OF_A_PAGE = frozenset({"messaging", "standby"})
LISTS = ("messages", "statuses", "message_echoes", "user_preferences", "errors")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """One thing that is told."""

    entry_id: str
    """The page, or the business account."""
    field: str
    """``messaging`` or ``standby`` of a page; a change's field of a business account."""
    value: Json


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted, as it was asked for."""

    id: str
    """The mid or wamid."""
    account: str
    """The page or the phone_number_id."""
    recipient: str
    """As it was asked for: a page-scoped id, a user_ref, a phone number, a business-scoped id."""
    body: Json
    """What was posted, whole."""
    words: str
    """What the customer reads."""
    at: datetime


def milliseconds(at: datetime) -> int:
    """Return a time as Messenger tells it."""
    return int(at.timestamp() * 1000)


def seconds(at: datetime) -> str:
    """Return a time as WhatsApp tells it."""
    return str(int(at.timestamp()))


def body_of(updates: Iterable[Update], at: datetime) -> Json:
    """Return one webhook that tells everything, in order; the updates are of one kind of object.

    What has the same entry stands in one entry, as Meta batches it
    (developers.facebook.com/docs/graph-api/webhooks/getting-started, read 2026-11).
    """
    told = list(updates)
    if told[0].field in OF_A_PAGE:
        return {"object": PAGE, "entry": _of_pages(told, at)}
    return {"object": BUSINESS_ACCOUNT, "entry": _of_accounts(told)}


def dump(body: Json) -> bytes:
    r"""Return the bytes as Meta writes them: ASCII, with ``\/`` for a slash."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode()


def _of_pages(updates: Iterable[Update], at: datetime) -> list[Json]:
    entries: dict[tuple[str, str], Json] = {}
    for update in updates:
        made: Json = {"id": update.entry_id, "time": milliseconds(at), update.field: []}
        entries.setdefault((update.entry_id, update.field), made)[update.field].append(update.value)
    return list(entries.values())


def _of_accounts(updates: Iterable[Update]) -> list[Json]:
    entries: dict[str, list[Json]] = {}
    for update in updates:
        changes = entries.setdefault(update.entry_id, [])
        if not (changes and _joined(changes[-1], update)):
            changes.append({"field": update.field, "value": dict(update.value)})
    return [{"id": account, "changes": changes} for account, changes in entries.items()]


def _joined(change: Json, update: Update) -> bool:
    """Put an update into the change before it, where both are of the same number and of the same kind."""
    into, value = change["value"], update.value
    lists = [name for name in LISTS if name in value]
    same = (
        change["field"] == update.field
        and into.get("metadata") == value.get("metadata")
        and lists == [name for name in LISTS if name in into]
        and set(into) | {"contacts"} == set(value) | {"contacts"}
    )
    if same:
        for name in lists:
            into[name] = [*into[name], *value[name]]
        known = into.get("contacts", [])
        new = [contact for contact in value.get("contacts", []) if contact not in known]
        if new:
            into["contacts"] = [*known, *new]
    return same
