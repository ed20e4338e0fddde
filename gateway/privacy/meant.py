"""Who is meant by what somebody has typed: an id, or an address in any spelling that a channel understands."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from channels.abilities import ChecksRecipient
from gateway.privacy.naming import Names
from gateway.roster import Roster
from gateway.storage import Storage
from gateway.storage.privacy import FindPeople, Person

_NO_DIGIT = re.compile(r"\D")
_PHONE = re.compile(r"\+[\d\s().-]{7,30}", re.ASCII)
_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


def spellings(roster: Roster, text: str) -> tuple[str, ...]:
    """Return what was typed, and how it may be written where it is an address."""
    return tuple(dict.fromkeys((text.strip(), *addresses(roster, text))))


def addresses(roster: Roster, text: str) -> tuple[str, ...]:
    """Return an address as each channel writes it, and a number and an e-mail as such: their channel may be off.

    Empty where what was typed is no address anywhere, such as a name or an id.
    """
    typed = text.strip()
    written = [f"+{_NO_DIGIT.sub('', typed)}"] if _PHONE.fullmatch(typed) else []
    written += [typed.lower()] if _EMAIL.fullmatch(typed) else []
    for channel in roster:
        if isinstance(channel, ChecksRecipient):
            with contextlib.suppress(ValueError):
                written.append(channel.check_recipient(typed))
    return tuple(dict.fromkeys(written))


def names_of(roster: Roster, names: Iterable[str]) -> Names:
    """Return what requests are searched for; no account of ours, which every request of its channel names."""
    return Names(names, ours=(channel.account for channel in roster))


async def find_people(storage: Storage, roster: Roster, text: str, channel: str | None = None) -> list[Person]:
    """Return whoever may be meant; one, where an id of a contact or of a conversation was typed.

    Raises:
        StorageUnavailable: the database is away.
    """
    return await storage.run(FindPeople(spellings(roster, text), channel, by_kind=channel not in roster.names))
