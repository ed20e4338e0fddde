"""The common message, and what a channel is.

Every platform's webhook becomes a :class:`Request`; a channel turns it into events; the core turns events into
conversations and answers into :class:`Outbound` messages, which a channel sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from channels.content import Choice, Content

if TYPE_CHECKING:
    from channels.http import Http  # the storage room reads events without loading an HTTP client
    from channels.rendering import Shows

# --- what comes in ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """One webhook request exactly as it arrived: signatures are computed over these bytes."""

    method: str
    target: str
    """Path and query as on the request line, not decoded."""
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    file: Path | None = None
    """Where the body lies, where it is too large to be held in memory; ``body`` is empty then."""

    def content(self) -> bytes:
        """Return the whole body, wherever it is; reads a file, so a loop calls it in a thread."""
        return self.body if self.file is None else self.file.read_bytes()

    def in_memory(self) -> Request:
        """Return the same request with its body in memory; reads a file, as ``content`` does."""
        return self if self.file is None else replace(self, body=self.file.read_bytes(), file=None)

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in whatever case it was sent, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def without_proofs(self) -> Request:
        """Return the request as it may be kept: whoever reads it later can neither pass for the platform nor log in."""
        kept = tuple((name, value) for name, value in self.headers if not _is_proof(name.lower()))
        return replace(self, headers=kept)


def _is_proof(name: str) -> bool:
    return "signature" in name or name in {"authorization", "proxy-authorization", "cookie"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the platform gets as an answer to its webhook; never text for the customer."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain"


class Consent(StrEnum):
    """What a customer's message says about receiving messages."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a customer sent, still at the platform or come along with the message."""

    url: str
    content_type: str = "application/octet-stream"
    name: str | None = None
    content: bytes | None = None
    """The file itself, where it came along: then ``url`` only names it (RFC 2392), and nobody fetches it."""


class ClueKind(StrEnum):
    """What kind of thing a clue names."""

    DELIVERY = "delivery"
    """A message of ours, by our own delivery id and with a proof that we made the reference."""
    MESSAGE = "message"
    """A message of either side, by what the platform calls it: one of ``Inbound.known_as``."""
    SUBJECT = "subject"
    """What a conversation is about: it counts only while the conversation is recent."""


@dataclass(frozen=True, slots=True)
class Clue:
    """What tells which of a sender's conversations a message continues."""

    kind: ClueKind
    value: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """A customer's message."""

    account: str
    """Our address that the customer wrote to: a number, page id, phone_number_id, mailbox."""
    sender: str
    external_id: str
    """The platform's id of the message; redeliveries carry the same."""
    text: str = ""
    """What the customer says, in words: a shared place or card is told as text, too."""
    attachments: tuple[Attachment, ...] = ()
    choice: Choice | None = None
    """What the customer picked of what we offered, where the platform tells it."""
    consent: Consent | None = None
    """Set where the whole message is a consent keyword: it is stored and no turn is run."""
    overheard: bool = False
    """True where another app of the platform answers this customer now: it is stored and no turn is run."""
    automatic: str | None = None
    """Why it is no person's message: an answering machine, a list, a loop. It is stored, opens nothing again, and no
    turn is run."""
    thread_key: str | None = None
    """What makes this conversation one on its channel, where that is not the sender's address: with ``clues``, only of
    a message that continues none."""
    clues: tuple[Clue, ...] = ()
    """What it continues, surest first: the first conversation of this sender's that one of them leads to."""
    known_as: tuple[str, ...] = ()
    """What later messages may call it, or the thread that it is in."""
    fingerprint: str | None = None
    """A hash of what it says, where the platform's ids cannot be trusted: another message under a known
    ``external_id`` is one of its own."""
    original: bytes | None = None
    """The whole message as it came, where that is more than is shown: kept for people, never shown to the model."""
    identity: str | None = None
    """The platform's own lasting id of the person, where the sender's address may be hidden, change, or pass to
    somebody else: it goes first in telling whose conversation this is."""
    sender_name: str | None = None
    sent_at: datetime | None = None
    """The platform's own time (aware UTC), where it tells one."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able facts that the operator or the model may want."""


class Scope(StrEnum):
    """What a consent is about."""

    ALL = "all"
    """Every message."""
    MARKETING = "marketing"
    """What we begin; answers to what the customer writes stay welcome."""


class DeliveryStatus(StrEnum):
    """How far an outbound message got, as the platform tells it."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """The platform's report on a message of ours. At least one of the ids is set."""

    account: str
    status: DeliveryStatus
    external_id: str | None = None
    delivery_id: str | None = None
    """Our own id, where the platform carries it back."""
    error_code: str | None = None
    error_message: str | None = None
    opted_out: Scope | None = None
    """Set where the failure says that the recipient has opted out: of what."""
    undeliverable: bool = False
    """True where the failure says that the address takes no messages at all."""
    pricing: Mapping[str, Any] | None = None
    """What the platform says that the message costs, in its own words."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A message to the customer that was written elsewhere: a person answered in the platform's own app."""

    account: str
    recipient: str
    external_id: str
    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    sent_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None
    """As on :class:`Inbound`."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The platform's report on all messages that we sent to a recipient up to a time."""

    account: str
    recipient: str
    status: DeliveryStatus
    """``DELIVERED`` or ``READ``."""
    up_to_at: datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """A customer changed a message."""

    account: str
    sender: str
    target_id: str
    """The external id of the message that is meant."""
    text: str
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revoke:
    """A customer took a message back."""

    account: str
    sender: str
    target_id: str


@dataclass(frozen=True, slots=True)
class Reaction:
    """A customer reacted to a message of either side; only the latest reaction counts."""

    account: str
    sender: str
    target_id: str
    emoji: str | None
    """None where a reaction was taken back."""


@dataclass(frozen=True, slots=True)
class Preference:
    """A customer told the platform, not us, whether they want messages that we begin."""

    account: str
    sender: str
    consent: Consent
    """``OPT_OUT`` or ``OPT_IN``."""
    identity: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The platform says that a person has another address now."""

    account: str
    sender: str
    """The address until now."""
    new_sender: str
    identity: str | None = None
    """The person's lasting id from now on, where the platform has one."""


@dataclass(frozen=True, slots=True)
class Control:
    """The platform says who answers a customer from now on: this app, or another one, behind which a person may sit."""

    account: str
    recipient: str
    ours: bool
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a customer did without a word: followed a link or an advertisement, allowed notifications.

    It is recorded in the transcript and gets no answer.
    """

    account: str
    sender: str
    external_id: str
    name: str
    """What happened, in a word."""
    sent_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None
    """As on :class:`Inbound`."""


Event = Inbound | Status | Echo | Watermark | Edit | Revoke | Reaction | Preference | Moved | Control | Note


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one request told, in payload order, and how to answer it."""

    events: tuple[Event, ...]
    reply: Reply
    ignored: tuple[str, ...] = ()
    """Names of the platform's event types that mean nothing to us; logged once each."""
    unreadable: str | None = None
    """Why a part of the request could not be read: it is kept whole for a replay, beside the events that could."""


# --- what goes out ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outbound:
    """One part of one reply."""

    delivery_id: str
    recipient: str
    content: Content
    account: str | None = None
    """Our address that the customer wrote to, and that the answer should come from; None lets the channel pick."""
    part: int = 1
    """Its place in the reply, from 1."""
    by_person: bool = False
    """True where a person wrote it, and not the bot."""
    silent_s: float | None = None
    """For how many seconds the customer has written nothing; None where they never wrote on this channel."""
    attempts: int = 0
    """How often the platform has been asked already to take it, and did not."""
    prepared: bytes | None = None
    """What :class:`channels.abilities.Prepares` made of it: every attempt sends the same bytes."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The customer's message that an outbound one answers, as it was stored."""

    external_id: str
    text: str
    sent_at: datetime
    """The platform's own time where it told one, else when it was stored (aware UTC)."""
    sender_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """As on :class:`Inbound`."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform accepted the message under this id."""

    external_id: str
    status: DeliveryStatus = DeliveryStatus.SENT
    recipient: str | None = None
    """The address under which the platform knows the recipient, where it names another than the one we used."""
    remark: str | None = None
    """What an operator should know about how it was sent, such as a template in a reply's place."""


# --- the contract ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a channel is given beside its own section of the configuration."""

    name: str
    """Its key in ``config.yaml``."""
    webhook_url: str
    """The public address of its webhook, without a trailing slash or fragment."""
    http: Http
    secret: str = field(default="", repr=False)
    """A secret of this installation, the same in all its processes, for what a channel signs itself."""


class Channel(Protocol):
    """One configured account on one platform.

    It translates: it never stores, queues, sleeps or retries.
    """

    name: str
    kind: str
    """What the customer sees: ``website_chat``, ``facebook_messenger``, ``sms``, ``email`` or ``whatsapp``."""
    account: str
    """The platform's id of the account: a number, page id, phone_number_id, mailbox. One channel a type has it."""
    max_body_bytes: int
    """The largest webhook that the platform posts; what is larger is turned away unread."""
    send_timeout_s: float
    """The longest that one ``send`` takes."""
    default_coalesce_s: float
    shows: Shows
    """What one of its messages can show; ``channels.rendering`` cuts and rewords a reply to fit."""

    async def verify(self, request: Request) -> None:
        """Return if the request proves that the platform sent it.

        Raises:
            SignatureError: otherwise, whatever the reason.
        """

    def parse(self, request: Request) -> Parsed:
        """Turn a verified request into events; pure.

        Raises:
            PayloadError: when the body cannot be read.
        """

    def owns(self, event: Event) -> bool:
        """Tell whether the event is this channel's where no channel's ``account`` is exactly the event's."""

    def shares_app_with(self, other: Channel) -> bool:
        """Tell whether the platform may post the other channel's events to this channel's URL."""

    async def send(self, outbound: Outbound) -> Receipt:
        """Hand one part to the platform.

        Raises:
            SendError: one of its subclasses, each of which says what to do next.
        """
