"""The one function in which every way for mail to come in ends: a request in, events out. Pure, and pickled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from channels.base import Attachment, Clue, ClueKind, Consent, Inbound, Parsed, Preference, Reply, Request
from channels.consent import OTHER_WORDS, consent_of
from channels.email import automatic, quoting, threads
from channels.email.bounces import Report, read_report
from channels.email.envelope import MAIL_FROM, RCPT_TO, UNREADABLE, WHOLE_SIZE, Envelope
from channels.email.html.reading import cut_html
from channels.email.mail import Mail, Part
from channels.email.mime import message_ids, read_addresses, read_head, read_mail
from channels.email.quoting import Cut
from channels.email.references import References
from channels.email.settings import MEGABYTE, TrustSettings
from channels.email.trust import Trust, judge
from channels.errors import PayloadError

Unwrap = Callable[[Request], Envelope | Parsed]

UNSUBSCRIBE = "unsubscribe"
"""The parameter of the address that one click posts to (RFC 8058)."""
MAX_QUOTED = 32 * 1024
"""Characters of what is kept beside the new words; the original has all of it."""
MAX_SUBJECT = 500
MAX_NAME = 100
_FIRST_YEAR, _LAST_YEAR = 1990, 2200  # a clock that was never set says 1970
_BARE = ("imap:", "smtp:", "lmtp:")
NO_TEXT = "[an e-mail without a text]"


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the mail of one address."""

    address: str
    own_addresses: frozenset[str]
    signing_key: bytes = field(repr=False)
    trust: TrustSettings
    unwrap: Unwrap | None
    """Takes a provider's webhook apart; None where there is no provider."""
    accepted: Reply

    def __call__(self, request: Request) -> Parsed:
        """Return what a request tells.

        Raises:
            PayloadError: it cannot be read.
        """
        recipient = self._unsubscribed(request)
        if recipient is not None:
            return Parsed((Preference(self.address, recipient, Consent.OPT_OUT),), Reply(200))
        envelope = self.envelope(request)
        if isinstance(envelope, Parsed):
            return envelope
        return self._told(_read(envelope), envelope)

    @property
    def references(self) -> References:
        """What our references are made and read with."""
        return References(self.signing_key, self.address)

    def envelope(self, request: Request) -> Envelope | Parsed:
        """Return the message in a request, or what the request is instead.

        Raises:
            PayloadError: there is none.
        """
        if request.target.startswith(_BARE):
            return _bare(request)
        if self.unwrap is None:
            raise PayloadError("no provider is configured that could have posted this")
        return self.unwrap(request)

    def _unsubscribed(self, request: Request) -> str | None:
        token = unsubscribe_token_in(request.target)
        return None if token is None else self.references.read_unsubscribe_token(token)

    def _told(self, mail: Mail, envelope: Envelope) -> Parsed:
        report = read_report(mail, envelope, self.address, self.references.read_message_id)
        if report is not None:
            statuses = report.statuses if self._is_believed(report, mail, envelope) else ()
            return Parsed(statuses, self.accepted, () if statuses else (report.kind,))
        why = automatic.why_automatic(mail, envelope, automatic.Own(self.own_addresses, self.references))
        if why == automatic.OWN:
            return Parsed((), self.accepted, ("own_mail",))
        return Parsed((self._inbound(mail, envelope, why),), self.accepted)

    def _is_believed(self, report: Report, mail: Mail, envelope: Envelope) -> bool:
        """Tell whether a report may come from whom it says: servers report without a sender (RFC 3464, section 2)."""
        is_from_server = automatic.has_no_return_path(mail, envelope) or automatic.is_bounce(mail, envelope)
        return judge(mail, envelope, self.trust).level != "failed" and (report.kind != "bounce" or is_from_server)

    # --- a message ---

    def _inbound(self, mail: Mail, envelope: Envelope, why: str | None) -> Inbound:
        sender, name = _sender(mail, envelope)
        external_id = _external_id(mail, envelope)
        place = threads.place_of(mail, envelope, sender, external_id.strip("<>"), self.references)
        trust = judge(mail, envelope, self.trust)
        if place.proves_sender and trust.level != "failed":  # who was in copy of an answer has its token as well
            trust = Trust("verified", "token")
        words = self._cut(mail, envelope)
        attachments = tuple(_attachment(part, external_id) for part in mail.parts)
        event = Inbound(
            account=self.address,
            sender=sender,
            external_id=external_id,
            text=words.new.strip() or _subject(mail) or NO_TEXT,
            attachments=attachments,
            automatic=why,
            thread_key=place.thread_key,
            clues=_believed(place.clues, trust),
            known_as=place.known_as if trust.level != "failed" else (),
            fingerprint=_fingerprint(sender, words.new, mail),
            original=envelope.raw,
            sender_name=name,
            sent_at=_sent_at(mail),
            metadata=_metadata(mail, envelope, words),
        )
        return _judged(event, trust)

    def _cut(self, mail: Mail, envelope: Envelope) -> Cut:
        if envelope.unreadable:
            return Cut("[an e-mail that the mail server does not give: look in the mailbox itself]", "")
        if envelope.whole_size is not None:
            size = max(1, round(envelope.whole_size / MEGABYTE))
            return Cut(f"[an e-mail of {size} MB, which is more than is kept: only its headers are here]", "")
        own = quoting.Own(self.own_addresses, self.references.domain, None)
        words = quoting.cut(mail.text, own) if mail.text.strip() or not mail.html else cut_html(mail.html, own)
        # What is passed on to us looks like a reply in some programs, and is what the customer wants us to read.
        if threads.is_forwarded(_subject(mail)):
            return Cut("\n\n".join(filter(None, (words.new, words.quoted))), "")
        return words


@dataclass(frozen=True, slots=True)
class Vouching:
    """Asks the DNS for the keys of a message's signatures, and judges its sender once more."""

    reading: Reading

    def __call__(self, request: Request) -> Trust | None:
        """Return what is made of the sender now, or None where there is no message whose signatures can hold."""
        from channels.email.dkim_check import check

        envelope = self.reading.envelope(request)
        if isinstance(envelope, Parsed) or envelope.rebuilt or envelope.whole_size is not None:
            return None
        return judge(read_head(envelope.raw), envelope, self.reading.trust, check(envelope.raw))


def vouched(parsed: Parsed, found: Trust | None) -> Parsed:
    """Return the same events, with what was found of their sender where nobody had vouched for them."""
    events = parsed.events
    if found is None or len(events) != 1 or not isinstance(events[0], Inbound) or is_verified(events[0]):
        return parsed
    return replace(parsed, events=(_judged(events[0], found),))


def is_verified(event: Inbound) -> bool:
    """Tell whether its sender is who they say."""
    return event.metadata.get("trust") == "verified"


def _judged(event: Inbound, trust: Trust) -> Inbound:
    """Mark an event by what is made of its sender; what a forger says about consent is not said by the customer."""
    said = consent_of(event.text, OTHER_WORDS) if not event.attachments and trust.level != "failed" else None
    metadata = {**event.metadata, "trust": trust.level, "trust_why": trust.why}
    return replace(event, consent=said, metadata=metadata)


def unsubscribe_token_in(target: str) -> str | None:
    """Return the token in the address of a one-click unsubscription, None where it is none."""
    if not target.startswith("/"):
        return None
    return parse_qs(urlsplit(target).query).get(UNSUBSCRIBE, [None])[0]


def _bare(request: Request) -> Envelope:
    """Read a request that IMAP, SMTP or LMTP have made; a redelivered one says the same."""
    recipients = tuple(value for name, value in request.headers if name == RCPT_TO)
    size = request.header(WHOLE_SIZE)
    whole_size = int(size) if size is not None else None
    unreadable = request.header(UNREADABLE) is not None
    return Envelope(
        request.content(), request.header(MAIL_FROM), recipients, whole_size=whole_size, unreadable=unreadable
    )


def _read(envelope: Envelope) -> Mail:
    return read_mail(envelope.raw) if envelope.whole_size is None else read_head(envelope.raw)


def _sender(mail: Mail, envelope: Envelope) -> tuple[str, str | None]:
    """Return who wrote it, by the From header; one without is known by its envelope.

    Raises:
        PayloadError: nobody is named.
    """
    named = [mailbox for value in mail.headers_named("from") for mailbox in read_addresses(value)]
    if named:
        name = " ".join((named[0].name or "").split())[:MAX_NAME]
        return named[0].address, name or None
    if envelope.mail_from and "@" in envelope.mail_from:
        return envelope.mail_from.strip().lower(), None
    raise PayloadError("the message names no sender")


def _external_id(mail: Mail, envelope: Envelope) -> str:
    """Return the Message-ID in its brackets; a message without one is known by its bytes, which come again with it."""
    ids = message_ids(mail.header("message-id") or "")
    return f"<{ids[0]}>" if ids else f"sha256-{hashlib.sha256(envelope.raw).hexdigest()}"


def _subject(mail: Mail) -> str:
    return " ".join((mail.header("subject") or "").split())[:MAX_SUBJECT]


def _believed(clues: tuple[Clue, ...], trust: Trust) -> tuple[Clue, ...]:
    """Leave out what anybody can know or guess, where the sender is not, or may not be, who they say."""
    if trust.level == "failed":
        return tuple(clue for clue in clues if clue.kind is ClueKind.DELIVERY)
    if trust.why == "not_aligned":
        return tuple(clue for clue in clues if clue.kind is not ClueKind.SUBJECT)
    return clues


def _fingerprint(sender: str, new: str, mail: Mail) -> str:
    """Return a hash of who says what; how it is spaced, and by which way it came, makes no difference.

    The sender too: somebody who has a copy of a mail could send it first, in their own name and under its id.
    """
    said = f"{sender}\0{' '.join(new.split()).lower()}"
    digest = hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=12)
    for part in mail.parts:
        digest.update(hashlib.blake2b(part.content, digest_size=12).digest())
    return digest.hexdigest()


def _attachment(part: Part, external_id: str) -> Attachment:
    url = f"mid:{quote(external_id.strip('<>'), safe='@')}/{quote(part.content_id or str(part.number), safe='@')}"
    return Attachment(url, part.content_type, part.name, part.content)


def _sent_at(mail: Mail) -> datetime | None:
    try:
        sent_at = parsedate_to_datetime((mail.header("date") or "")[:100])
        sent_at = sent_at.replace(tzinfo=UTC) if sent_at.tzinfo is None else sent_at.astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return sent_at if _FIRST_YEAR <= sent_at.year <= _LAST_YEAR else None


def _metadata(mail: Mail, envelope: Envelope, words: Cut) -> Mapping[str, Any]:
    told = {
        "subject": _subject(mail),
        "references": list(threads.references_of(mail)),
        "quoted": words.quoted[:MAX_QUOTED].strip(),
        "defects": list(mail.defects),
        "whole_size": envelope.whole_size,
    }
    return {name: value for name, value in told.items() if value}
