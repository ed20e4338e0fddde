"""What people who work here are told, in words. Pure; English, because nothing says what the operators speak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.config import NoticeConfig
from gateway.printable import REPLACEMENT, printable
from gateway.storage import NewNotice, Waiting

MAX_SMS = 300  # characters: two segments of a text message, four where it has letters beyond GSM-7
MAX_WORDS = 200
MAX_NAME = 60
MAX_CAUSE = 200

# The contract's words for escalation_reason.
REASONS = {
    "customer_request": "asks for a person",
    "complaint": "has a complaint",
    "emergency": "reports an emergency",
    "complex_question": "asks what the bot cannot answer",
    "ai_confidence_low": "got no answer from the bot",
}
KINDS = {
    "facebook_messenger": "Messenger",
    "whatsapp": "WhatsApp",
    "sms": "SMS",
    "email": "e-mail",
    "website_chat": "the website chat",
    "website": "the website chat",
}


@dataclass(frozen=True, slots=True)
class Told:
    """The same news in two lengths."""

    subject: str
    text: str
    """For a mail."""
    short: str
    """For a text message, at most ``MAX_SMS`` characters."""


def to_each(targets: Iterable[NoticeConfig], told: Told) -> tuple[NewNotice, ...]:
    """Return what each of these people is told."""
    return tuple(
        NewNotice("sms", target.sms, told.subject, told.short, target.channel)
        if target.sms is not None
        else NewNotice("email", target.email or "", told.subject, told.text)
        for target in targets
    )


def tell_waiting(waiting: Waiting, business: str, now: datetime) -> Told:
    """Say that a customer waits."""
    business = one_line(business, MAX_NAME)
    who = one_line(waiting.user_name or "", MAX_NAME)
    reach = ", ".join(one_line(way, MAX_NAME) for way in (waiting.user_phone, waiting.user_email) if way)
    what = REASONS.get(waiting.reason, waiting.reason)
    where = KINDS.get(waiting.channel, waiting.channel)
    words = one_line(waiting.words or "", MAX_WORDS)
    ago = how_long(waiting.created_at, now)
    still = "still waits" if waiting.notices else "waits"
    lines = [
        f"A customer of {business} {still} for a person: {who or reach or 'somebody'} {what}.",
        "",
        *_fields(who, reach, where, words, f"{ago} ({waiting.created_at:%Y-%m-%d %H:%M} UTC)"),
        f"Conversation: {waiting.conversation_id}",
        "",
        "See it with: frontdesk conversations --mode waiting",
    ]
    customer = " ".join(filter(None, (who, f"({reach})" if who and reach else reach))) or "A customer"
    head = f"{business}: {customer} {what} on {where}, {ago}"
    tail = f"Conversation {waiting.conversation_id}; see frontdesk conversations"
    subject = f"{business}: a customer {still} for a person ({what})"
    return Told(
        subject, "\n".join(lines) + "\n", _short(f"Still waiting. {head}" if waiting.notices else head, words, tail)
    )


def _fields(who: str, reach: str, where: str, words: str, since: str) -> list[str]:
    named = (("Customer", who), ("Reach", reach), ("Wrote on", where), ("About", words), ("Waits since", since))
    return [f"{name}: {value}" for name, value in named if value]


def _short(head: str, words: str, tail: str) -> str:
    """Put a text message together: who and where come whole, the customer's words take what is left."""
    said = one_line(words, max(0, MAX_SMS - len(f'{head}: "" {tail}')))
    return one_line(f'{head}: "{said}" {tail}' if said else f"{head}. {tail}", MAX_SMS)


def tell_together(count: int, notices: int, business: str) -> Told:
    """Say that ``count`` more customers wait than the ``notices`` of the last hour have told of."""
    business = one_line(business, MAX_NAME)
    more = "1 more customer waits" if count == 1 else f"{count} more customers wait"
    text = (
        f"You have had {notices} notices of {business} within an hour, and {more} for a person.\n"
        "Whoever else asks for one now is told of within the next hour.\n\n"
        "See them with: frontdesk conversations --mode waiting\n"
    )
    short = f"{business}: {notices} notices within an hour, and {more}: frontdesk conversations --mode waiting"
    return Told(f"{business}: {more} for a person", text, one_line(short, MAX_SMS))


def tell_stopped(channel_name: str, kind: str, cause: str, business: str, now: datetime) -> Told:
    """Say that a channel has stopped; ``cause`` is what its platform says."""
    business, cause = one_line(business, MAX_NAME), one_line(cause, MAX_CAUSE)
    where = f"{channel_name} ({KINDS.get(kind, kind)})"
    text = (
        f"The channel {where} of {business} needs you: {cause}.\n\n"
        f"Noticed: {now:%Y-%m-%d %H:%M} UTC\n"
        "What is written to customers there waits, or does not arrive.\n\n"
        "What is wrong, and what to do about it, is told by: frontdesk doctor\n"
    )
    short = f"{business}: the channel {where} needs you: {cause}. Run frontdesk doctor"
    return Told(f"{business}: the channel {channel_name} needs you", text, one_line(short, MAX_SMS))


def how_long(since: datetime, now: datetime) -> str:
    """Say how long ago something was."""
    minutes = int((now - since).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days ago"


def one_line(text: str, limit: int) -> str:
    """Return a text as one line of at most ``limit`` characters, without what only steers a screen."""
    line = " ".join(printable(text, keep="\t\n\r").replace(REPLACEMENT, "").split())
    if len(line) <= limit:
        return line
    return f"{line[: max(0, limit - 3)].rstrip()}..."[:limit]  # three dots, because an ellipsis is not in GSM-7
