"""An event on its way into the database, with what the core knows about the channel that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from channels.base import Control, Echo, Event, Inbound, Note, Preference, Status, Watermark


class ThreadKey(NamedTuple):
    """What makes a conversation one: its channel, and on it the person (for e-mail the thread)."""

    channel_name: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that came along with a message and is in ``data.dir`` already."""

    position: int
    url: str
    content_type: str
    name: str | None
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event of one channel."""

    channel_name: str
    kind: str
    event: Event
    coalesce_s: float = 0.0
    files: tuple[KeptFile, ...] = ()
    """Those of its attachments, by their place, that nobody has to fetch; its original too."""

    @property
    def is_message(self) -> bool:
        """Whether it becomes an entry of a transcript."""
        return isinstance(self.event, Inbound | Echo | Note)

    @property
    def has_clues(self) -> bool:
        """Whether it may continue a conversation under another key than its own, or be continued so."""
        return isinstance(self.event, Inbound) and bool(self.event.clues or self.event.known_as)

    @property
    def thread(self) -> ThreadKey:
        """What makes its conversation one; a status has none, it means a delivery."""
        return ThreadKey(self.channel_name, _key(self.event))

    @property
    def person(self) -> tuple[str, str | None]:
        """The customer's address, and the platform's own lasting id of them where it came along."""
        event = self.event
        assert isinstance(event, Inbound | Echo | Note)
        return event.recipient if isinstance(event, Echo) else event.sender, event.identity


def phone_in(kind: str, address: str) -> str | None:
    """Return the number in an address, where the kind's addresses are numbers."""
    number = address.removeprefix("whatsapp:")
    return number if kind == "sms" or (kind == "whatsapp" and number.startswith("+")) else None


def _key(event: Event) -> str:
    match event:
        case Inbound():
            return event.thread_key or event.identity or event.sender
        case Echo():
            return event.identity or event.recipient
        case Note() | Preference():
            return event.identity or event.sender
        case Control() | Watermark():
            return event.recipient
        case Status():
            raise ValueError("a status belongs to a delivery, not to a thread")
        case _:
            return event.sender
