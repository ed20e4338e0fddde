"""What some channels can do beside the three verbs: a channel has an ability by having its methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from channels.base import Answered, Event, Outbound, Parsed, Receipt, Reply, Request


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll found, and where the next one starts."""

    events: tuple[Event, ...]
    checkpoint: Mapping[str, Any]
    requests: tuple[Request, ...] = ()
    """Messages as they came, to be parsed like webhooks and committed with the checkpoint."""
    more: bool = False
    """Whether another poll would find something at once."""


@runtime_checkable
class Polls(Protocol):
    """A channel that can ask the platform for messages whose webhook never arrived."""

    poll_every_s: float

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Return what is new since the checkpoint; None means from now on.

        Raises:
            SendError: when the platform cannot be asked.
        """


@runtime_checkable
class HearsOfNews(Polls, Protocol):
    """A channel that hears of new messages while one process listens, so that nobody waits for the next poll."""

    async def wait_for_news(self, at_most_s: float) -> None:
        """Return when a poll may find something, or after the time.

        Raises:
            SendError: it cannot be listened for; the next poll comes when it is due.
        """


@runtime_checkable
class ParsesInWorker(Protocol):
    """A channel whose messages are hostile enough to be parsed in a process of their own, under a time limit."""

    parse_in_worker: Callable[[Request], Parsed]
    """The same as ``parse``, as something that can be pickled."""
    vouch_in_worker: Callable[[Request], Any] | None
    """Asks third parties about the sender, over the network; None: nobody is asked. Can be pickled, too."""

    def vouched(self, parsed: Parsed, found: Any) -> Parsed:
        """Return what was parsed, marked by what ``vouch_in_worker`` has found; pure and quick."""

    def needs_vouching(self, parsed: Parsed) -> bool:
        """Tell whether it makes a difference what third parties say."""


@runtime_checkable
class TakesLargeBodies(Protocol):
    """A channel whose webhooks may be too large for memory: their bodies are read to disk."""

    def admit(self, request: Request) -> None:
        """Refuse by its headers alone what is certainly not the platform's; ``request`` has no body yet.

        Raises:
            SignatureError: it is refused.
        """


@runtime_checkable
class AnswersRefused(Protocol):
    """A channel whose platform drops a message for good when it is answered like a forger."""

    refusal: Reply
    """What whoever cannot prove to be the platform is answered, in place of 403."""


@runtime_checkable
class Listens(Protocol):
    """A channel that can be given messages by another protocol than HTTP, on a port of its own."""

    listens: bool
    """Whether it is configured to."""

    def listen(self, receive: Callable[[Request], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Listen for as long as the context is open; ``receive`` returns when a message is on disk, or raises.

        Raises:
            OSError: the address is taken or not ours.
        """


@runtime_checkable
class Closes(Protocol):
    """A channel that keeps connections of its own."""

    async def close(self) -> None:
        """Close them; what is used afterwards is opened again."""


@runtime_checkable
class Prepares(Protocol):
    """A channel whose messages are built once and kept: each attempt sends the same bytes."""

    async def prepare(self, outbound: Outbound, answered: Answered | None, now: datetime) -> bytes:
        """Build what ``send`` hands over; ``answered`` is the customer's last message, None where there is none.

        Raises:
            SendError: as of ``send``.
        """


@runtime_checkable
class LooksUp(Protocol):
    """A channel that can ask the platform whether an ambiguous send happened."""

    async def find(self, outbound: Outbound, since: datetime, known_ids: frozenset[str]) -> Receipt | None:
        """Return the receipt of a message like this one sent at or after ``since``, or None where there is none.

        ``known_ids`` are the external ids of other deliveries, which are not this one.

        Raises:
            SendError: when the platform cannot be asked.
        """


@runtime_checkable
class Paced(Protocol):
    """A channel that knows how fast its platform wants to be used."""

    default_rate_per_s: float
    """How many sends a second may begin, where the configuration says nothing."""


@runtime_checkable
class NamesWebhook(Protocol):
    """A channel whose platform wants more to be pasted than the bare address of the webhook."""

    webhook_address: str


@runtime_checkable
class ChecksRecipient(Protocol):
    """A channel that can tell an address from a typing error, before something is sent to it."""

    def check_recipient(self, text: str) -> str:
        """Return an address that an operator typed in the way in which the channel writes it.

        Raises:
            ValueError: it is none of a customer's on this channel; the message says how to write one.
        """


@runtime_checkable
class ShowsTyping(Protocol):
    """A channel that can show a customer that the message has been read and an answer is being written."""

    typing_every_s: float
    """After how many seconds the platform stops showing it."""

    async def show_typing(self, recipient: str, external_id: str) -> None:
        """Show it; ``external_id`` is the newest message that is being answered.

        Raises:
            SendError: it could not be shown, which does not matter.
        """


@dataclass(frozen=True, slots=True)
class Media:
    """A fetched attachment."""

    content: bytes
    content_type: str


@runtime_checkable
class FetchesMedia(Protocol):
    """A channel whose attachments have to be fetched from the platform."""

    async def fetch_media(self, url: str, max_bytes: int) -> Media:
        """Download one attachment.

        Raises:
            MediaLater: it may be there later.
            MediaRefused: it will not.
        """


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``frontdesk doctor``."""

    subject: str
    ok: bool
    detail: str
    fix: str | None = None
    """What to do about it, where ``ok`` is False."""


@runtime_checkable
class Diagnoses(Protocol):
    """A channel that can check its own credentials and its webhook at the platform."""

    async def diagnose(self) -> Sequence[Finding]:
        """Ask the platform and report; a failing call is a finding, never an exception."""
