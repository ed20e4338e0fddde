"""Which conversation a mail continues: what it says, in the order in which it is believed. Pure.

A reference of ours is signed. Everything else can be written by anybody, so it is looked for only among the mail of the
same sender: its name is a hash over the sender, too. A name that somebody else's mail has leads nowhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from channels.base import Clue, ClueKind
from channels.email.envelope import Envelope
from channels.email.mail import Mail
from channels.email.mime.addresses import message_ids, read_addresses
from channels.email.references import References

MOST_REFERENCES = 20
"""The newest of them; the first is kept beside them, as most programs do."""
_RECIPIENT_HEADERS = ("x-original-to", "delivered-to", "envelope-to", "x-gm-original-to", "to", "cc")
_MARKER = re.compile(r"d\.[0-9a-f-]{36}\.[a-z2-7]{8,40}@[A-Za-z0-9.-]{1,253}")
_MOST_MARKERS = 5

# What mail programs write before a subject, in the languages that have a word of their own, with "[2]" or "(2)".
_PREFIX = re.compile(
    r"(?:re|r|aw|antw|antwort|sv|vs|odp|rif|ref|res|ynt|atb|vá|fw|fwd|wg|tr|rv|enc|vl|pd|i|ilt|отв|отн|ответ|пер|απ|πρθ"
    r"|הב|הועבר|רד|رد|回复|回覆|答复|答覆|转发|轉寄|返信|転送|회신|전달)\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*[:：]\s*",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"\s*(?:fw|fwd|wg|tr|rv|enc|vl|pd|ilt|пер|πρθ|הועבר|转发|轉寄|転送|전달)\s*[:：]", re.IGNORECASE
)
_GENERIC = frozenset(
    word
    for line in (
        "hello, hi there, hallo, guten tag, bonjour, hola, question, frage, request, anfrage, contact, kontakt",
        "information, help, hilfe, urgent, message, nachricht, appointment, termin, offer, angebot, quote, feedback",
        "(no subject), no subject, kein betreff, (kein betreff), sans objet, (sin asunto), sin asunto, test mail",
    )
    for word in line.split(", ")
)
_LEAST_SUBJECT = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mail belongs."""

    thread_key: str
    """Its own, for a mail that continues nothing."""
    clues: tuple[Clue, ...]
    known_as: tuple[str, ...]
    proves_sender: bool
    """Whether it carries a reference of ours that only this sender was given."""


def place_of(mail: Mail, envelope: Envelope, sender: str, external_id: str, references: References) -> Place:
    """Return what a mail says about its place."""
    tokens = [token for address in _recipients(mail, envelope) if (token := references.read_token(address, sender))]
    earlier = _earlier(mail)
    made_by_us = [id_ for id_ in earlier if references.read_message_id(id_) is not None]
    ours = [token.delivery_id for token in tokens] + [references.read_message_id(id_) or "" for id_ in made_by_us]
    theirs = [name_of(sender, "id", id_) for id_ in earlier if id_ not in made_by_us]
    subject = subject_name(sender, mail.header("subject") or "")
    clues = [Clue(ClueKind.DELIVERY, id_) for id_ in dict.fromkeys(ours)]
    clues += [Clue(ClueKind.MESSAGE, name) for name in theirs]
    clues += [Clue(ClueKind.DELIVERY, id_) for id_ in dict.fromkeys(_marked(mail, references)) if id_ not in ours]
    known_as = [name_of(sender, "id", external_id), *theirs]
    if subject is not None:
        clues.append(Clue(ClueKind.SUBJECT, subject))
        known_as.append(subject)
    own_key = f"mail:{name_of(sender, 'thread', external_id)}"
    return Place(own_key, tuple(clues), tuple(dict.fromkeys(known_as)), any(token.sender_matches for token in tokens))


def name_of(sender: str, kind: str, value: str) -> str:
    """Return what something is called in one sender's mail; nobody else's comes to the same, and it tells nothing."""
    over = "\0".join((sender, kind, value)).encode("utf-8", "replace")
    return f"{kind}:{hashlib.blake2b(over, digest_size=16).hexdigest()}"


def subject_name(sender: str, subject: str) -> str | None:
    """Return what a subject is called, without its prefixes; None where it tells no conversation from another."""
    bare = bare_subject(subject)
    if len(bare) < _LEAST_SUBJECT or bare in _GENERIC:
        return None
    return name_of(sender, "subject", bare)


def bare_subject(subject: str) -> str:
    """Return a subject in lower case, without what mail programs put before it."""
    bare = " ".join(subject.split())[:500]
    while found := _PREFIX.match(bare):
        bare = bare[found.end() :]
    return bare.strip().lower()


def is_forwarded(subject: str) -> bool:
    """Tell whether a subject says that somebody passes something on."""
    return _FORWARDED.match(subject) is not None


def references_of(mail: Mail) -> tuple[str, ...]:
    """Return the ids of the thread so far, oldest first, as the mail tells them."""
    ids = message_ids(mail.header("references") or "")
    parent = message_ids(mail.header("in-reply-to") or "")[:1]
    told = list(dict.fromkeys((*(id_ for id_ in ids if id_ not in parent), *parent)))
    return tuple(told if len(told) <= MOST_REFERENCES else [told[0], *told[1 - MOST_REFERENCES :]])


def _earlier(mail: Mail) -> list[str]:
    """Return the same, the nearest first."""
    return list(reversed(references_of(mail)))


def _recipients(mail: Mail, envelope: Envelope) -> Iterator[str]:
    yield from envelope.recipients
    for name in _RECIPIENT_HEADERS:
        for value in mail.headers_named(name):
            for mailbox in read_addresses(value):
                yield mailbox.address


def _marked(mail: Mail, references: References) -> Iterator[str]:
    """Yield the deliveries that the quoted text names: some relays give every message another Message-ID."""
    for text in (mail.text, mail.html):
        for _, found in zip(range(_MOST_MARKERS), _MARKER.finditer(text.lower()), strict=False):
            delivery_id = references.read_message_id(found[0])
            if delivery_id is not None:
                yield delivery_id
