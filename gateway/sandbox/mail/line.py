"""E-mail, seen from the customers' side: what they write, and what their mail program shows them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage

from gateway.clock import Clock, utc_now
from gateway.sandbox.mail.letters import Writer, begin, files_of, go_on, new_words, read
from gateway.sandbox.mail.providers import Arrived
from gateway.sandbox.mail.smtp import MailServer, TakenMail

Deliver = Callable[[Arrived], Awaitable[int]]
"""Hands a mail over; returns the status with which it was answered, 200 where it was taken."""
ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+", re.ASCII)
SUBJECT_WORDS = 6


def subject_of(text: str) -> str:
    """Return what people write above a short mail: its first words."""
    words = text.split()
    return " ".join(words[:SUBJECT_WORDS]) + (" …" if len(words) > SUBJECT_WORDS else "")


class MailLine:
    """Customers with a mail program each, who write on in their newest thread.

    They answer the newest mail that they have got; who has got none yet adds to what they wrote themselves.
    """

    def __init__(
        self,
        address: str,
        server: MailServer,
        deliver: Deliver,
        *,
        vouched_for_by: str | None = None,
        style: str = "gmail",
        subject_of: Callable[[str], str] = subject_of,
        clock: Clock = utc_now,
    ) -> None:
        self.address = address
        """Ours, to which the first mail goes."""
        self.server = server
        """Takes what is sent to customers."""
        self._deliver = deliver
        self._vouched_for_by = vouched_for_by
        """The border host that finds the customers' signatures in order and says so (RFC 8601)."""
        self._style = style
        self._subject_of = subject_of
        self._clock = clock
        self._written: dict[str, Arrived] = {}
        self._newest: dict[str, EmailMessage] = {}

    async def text(self, sender: str, text: str, message_id: str | None = None) -> int:
        """Let a customer write; returns the status, 0 where nobody took it. An earlier id sends the same mail again."""
        message_id = message_id or f"<{uuid.uuid4()}@{sender.rpartition('@')[2]}>"
        if message_id not in self._written:
            self._written[message_id] = self._write(sender, text, message_id)
        return await self._deliver(self._written[message_id])

    def received(self, address: str) -> Sequence[str]:
        """Return what a customer reads, oldest first: the subject where it is a new one, the new words, the files."""
        shown, subject = [], None
        for mail in self.mails(address):
            head = f"[{mail.subject}] " if mail.subject != subject else ""
            files = "".join(f"\n[file {name}]" for name in files_of(mail))
            shown.append(f"{head}{new_words(mail)}{files}")
            subject = mail.subject
        return shown

    def mails(self, address: str) -> list[TakenMail]:
        """Return a customer's mails: what came twice under one Message-ID is shown once."""
        return list({mail.message_id: mail for mail in self.server.mails_to(address)}.values())

    def why_no_address(self, address: str) -> str | None:
        """Say why nobody writes from there, or None where somebody may."""
        if ADDRESS.fullmatch(address) and address.lower() != self.address:
            return None
        return f"{address} is no customer's e-mail address; write one such as customer@example.org"

    def written(self, message_id: str) -> EmailMessage:
        """Return a mail that a customer has written."""
        return read(self._written[message_id].raw)

    def _write(self, sender: str, text: str, message_id: str) -> Arrived:
        writer = Writer(sender, style=self._style)
        got = self.server.mails_to(sender)
        earlier = got[-1].message if got else self._newest.get(sender)
        now = self._clock()
        if earlier is None:
            mail = begin(writer, self.address, self._subject_of(text), text, message_id=message_id, now=now)
        else:
            mail = go_on(writer, earlier, text, message_id=message_id, now=now)
        self._newest[sender] = mail
        return Arrived(self._vouched_for(sender) + mail.as_bytes(), sender, (str(mail["To"]),))

    def _vouched_for(self, sender: str) -> bytes:
        if self._vouched_for_by is None:
            return b""
        domain = sender.rpartition("@")[2]
        return f"Authentication-Results: {self._vouched_for_by}; dmarc=pass header.from={domain}\n".encode()
