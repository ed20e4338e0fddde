"""Who is meant by what somebody has typed: an id, or an address in any spelling that a channel understands."""

from __future__ import annotations

import contextlib
import re

from channels.abilities import ChecksRecipient
from gateway.roster import Roster
from gateway.storage import Storage
from gateway.storage.privacy import FindPeople, Person

_NO_DIGIT = re.compile(r"\D")
_PHONE = re.compile(r"\+[\d\s().-]{7,30}", re.ASCII)


def spellings(roster: Roster, text: str) -> tuple[str, ...]:
    """Return what was typed, how each channel would write it, and a number as phones do: its channel may be off."""
    written = [text.strip()]
    digits = _NO_DIGIT.sub("", text)
    if text.strip().startswith("+") and _PHONE.fullmatch(text.strip()):
        written.append(f"+{digits}")
    for channel in roster:
        if isinstance(channel, ChecksRecipient):
            with contextlib.suppress(ValueError):
                written.append(channel.check_recipient(text.strip()))
    return tuple(dict.fromkeys(written))


async def find_people(storage: Storage, roster: Roster, text: str, channel: str | None = None) -> list[Person]:
    """Return whoever may be meant; one, where an id of a contact or of a conversation was typed.

    Raises:
        StorageUnavailable: the database is away.
    """
    return await storage.run(FindPeople(spellings(roster, text), channel, by_kind=channel not in roster.names))
