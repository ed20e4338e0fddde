"""Mails as customers write and read them: what begins a thread, what goes on with it, and where a quote is folded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from gateway.sandbox.mail.clients import Original, reply_text
from gateway.sandbox.mail.smtp import TakenMail

QUOTE = ">"


@dataclass(frozen=True, slots=True)
class Writer:
    """A customer, and the program that they write with."""

    address: str
    name: str = "A Customer"
    style: str = "gmail"
    language: str = "en"


def read(raw: bytes) -> EmailMessage:
    """Return a mail as a program reads it."""
    return message_from_bytes(raw, policy=policy.default)


def begin(writer: Writer, to: str, subject: str, text: str, *, message_id: str, now: datetime) -> EmailMessage:
    """Write a mail that belongs to nothing; ``message_id`` has its brackets."""
    mail = _mail(writer, to, subject, message_id, now)
    mail.set_content(text)
    return mail


def go_on(writer: Writer, earlier: EmailMessage, text: str, *, message_id: str, now: datetime) -> EmailMessage:
    """Answer a mail, or add to one of the writer's own; what was said is quoted as their program does it."""
    sent_by, sent_to = _mailbox(earlier, "From"), _mailbox(earlier, "To")
    is_own = sent_by.addr_spec.lower() == writer.address.lower()
    answered = sent_to if is_own else (_mailbox(earlier, "Reply-To") or sent_by)
    subject = str(earlier["Subject"] or "")
    subject = subject if subject.startswith("Re:") else f"Re: {subject}"
    mail = _mail(writer, answered.addr_spec, subject, message_id, now)
    mail["In-Reply-To"] = earlier["Message-ID"]
    mail["References"] = f"{earlier['References'] or ''} {earlier['Message-ID']}".strip()
    plain, html = reply_text(writer.style, writer.language, text, _original(earlier, sent_by, sent_to, now))
    mail.set_content(plain)
    mail.add_alternative(html, subtype="html")
    return mail


def new_words(mail: TakenMail) -> str:
    """Return what a mail of ours says, as a program shows it that folds away the quote at its end."""
    lines = mail.text.rstrip().split("\n")
    end = len(lines)
    while end and lines[end - 1].startswith(QUOTE):
        end -= 1
    return "\n".join(lines if end == len(lines) else lines[: max(0, end - 1)]).strip()  # above it stands whose it is


def files_of(mail: TakenMail) -> Iterator[str]:
    """Yield the names of the files of a mail."""
    for part in mail.message.iter_attachments():
        yield part.get_filename() or part.get_content_type()


def _mail(writer: Writer, to: str, subject: str, message_id: str, now: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = Address(writer.name, addr_spec=writer.address)
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id
    return mail


def _mailbox(mail: EmailMessage, header: str) -> Any:
    """Return the first mailbox that a header names, or None."""
    return next(iter(getattr(mail[header], "addresses", ())), None)


def _original(earlier: EmailMessage, sent_by: Address, sent_to: Address, now: datetime) -> Original:
    plain, html = earlier.get_body(("plain",)), earlier.get_body(("html",))
    return Original(
        from_name=sent_by.display_name or sent_by.addr_spec,
        from_address=sent_by.addr_spec,
        to_name=sent_to.display_name or sent_to.addr_spec,
        to_address=sent_to.addr_spec,
        sent_at=getattr(earlier["Date"], "datetime", None) or now,
        subject=str(earlier["Subject"] or ""),
        text="" if plain is None else str(plain.get_content()).replace("\r\n", "\n").rstrip("\n"),
        html=None if html is None else str(html.get_content()),
    )
