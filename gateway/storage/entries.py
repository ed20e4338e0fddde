"""A message on its way in, and what becomes of it within the transaction that accepts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from channels.base import Attachment, Consent, Echo, Inbound, Note
from channels.content import Choice
from gateway.storage.incoming import Incoming
from gateway.storage.threads import Thread


@dataclass(slots=True, eq=False)
class Entry:
    """One message on its way in; the second half is what becomes of it."""

    incoming: Incoming
    received_at: datetime
    came_at: datetime | None
    """When it first came, where it waited to be taken in; None where it comes now."""
    answer_while_waiting: bool

    thread: Thread = field(init=False)
    sequence_number: int = 0
    message_id: int = 0
    is_stored: bool = False
    is_followed: bool = False
    """Whether somebody wants to be told of anything at all."""
    due_at: datetime | None = None
    """When the turn that it asks for is due."""
    is_plain_yes: bool = False
    """An opt-in word from somebody who never opted out: "yes" is then an answer to a question of ours."""
    is_in_vain: bool = False
    """Whether its sender is to have no answer, by their own wish or because somebody here has blocked them."""
    changes_consent: bool = False
    """Whether it says something about consent that nothing said later has overtaken."""
    choice: Choice | None = None
    external_id: str = field(init=False)
    is_out_of_place: bool = False
    """Whether it claims to continue a conversation that is somebody else's."""

    def __post_init__(self) -> None:
        self.choice = self.event.choice if isinstance(self.event, Inbound) else None
        self.external_id = self.event.external_id

    @property
    def event(self) -> Inbound | Echo | Note:
        """What the platform told."""
        assert isinstance(self.incoming.event, Inbound | Echo | Note)
        return self.incoming.event

    @property
    def said_at(self) -> datetime:
        """When it was written, as far as we know."""
        came_at = self.came_at or self.received_at
        return min(self.event.sent_at or came_at, came_at)

    @property
    def may_be_late(self) -> bool:
        """Whether somebody may have said something since, although it arrives only now."""
        return self.came_at is not None or self.event.sent_at is not None

    @property
    def consent(self) -> Consent | None:
        """Which consent keyword it is, if it is one."""
        if self.is_plain_yes or not isinstance(self.event, Inbound) or self.event.automatic is not None:
            return None
        return self.event.consent

    @property
    def asks(self) -> bool:
        """Whether a turn answers it."""
        if not isinstance(self.event, Inbound) or self.event.overheard or self.event.automatic is not None:
            return False
        return self.consent is None

    @property
    def fingerprint(self) -> str | None:
        """A hash of what it says, where its id alone does not tell it from others."""
        return self.event.fingerprint if isinstance(self.event, Inbound) else None

    @property
    def known_as(self) -> tuple[str, ...]:
        """What later messages may call it or its thread."""
        return self.event.known_as if isinstance(self.event, Inbound) else ()

    @property
    def text(self) -> str:
        """Its words; a note has its name."""
        return self.event.name if isinstance(self.event, Note) else self.event.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files that came with it."""
        return () if isinstance(self.event, Note) else self.event.attachments

    @property
    def proves_reach(self) -> bool:
        """Whether somebody writes from an address that was found to take no messages."""
        is_written = isinstance(self.event, Inbound) and self.event.automatic is None
        return is_written and self.thread.consent.undeliverable

    @property
    def consent_address(self) -> str:
        """Whose consent it is: the address that answers go to; in a thread of several senders, the sender's own."""
        if isinstance(self.event, Inbound) and self.event.thread_key is not None:
            return self.event.sender
        return self.thread.address
