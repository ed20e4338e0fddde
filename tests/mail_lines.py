"""Customers by e-mail for the crash tests: their mail comes by webhook, mailbox and port, sometimes twice."""

from __future__ import annotations

import asyncio
import random
import smtplib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.sandbox.mail.imap import ImapServer
from gateway.sandbox.mail.letters import new_words
from gateway.sandbox.mail.line import MailLine
from gateway.sandbox.mail.providers import NOBODY, Arrived, Poster, Raw
from gateway.sandbox.mail.smtp import MailServer
from tests.mail_world import SECRET, US

LMTP_TIMEOUT_S = 20
TWICE = 0.15
"""The share of mails that come once more, by another way."""
CHANNEL = """\
  support:
    type: email
    address: {us}
    coalesce_s: 0
    rate_per_s: 1000
    inbound: {{provider: raw, secret: "{secret}"}}
    imap: {{host: 127.0.0.1, port: {imap_port}, security: none, username: {username}, password: "{password}"}}
    listen: {{port: {lmtp_port}, protocol: lmtp}}
    smtp: {{host: 127.0.0.1, port: {smtp_port}, security: none}}
"""


class PlainLine(MailLine):
    """Customers whose program shows nothing but the new words."""

    def received(self, address: str) -> Sequence[str]:
        """Return the new words of each mail."""
        return [new_words(mail) for mail in self.mails(address)]


@dataclass
class MailWays:
    """The ways by which mail comes to a gateway, and the server that takes what it sends."""

    smtp: MailServer
    imap: ImapServer
    lmtp_port: int
    poster: Poster
    random: random.Random
    webhook: Raw = field(default_factory=lambda: Raw(SECRET))

    @property
    def line(self) -> PlainLine:
        """The customers; they write no subject, so that nothing but references holds a thread together."""
        if self._line is None:
            self._line = PlainLine(US, self.smtp, self._deliver, subject_of=lambda _: "")
        return self._line

    _line: PlainLine | None = None

    def section(self) -> str:
        """Return the channel's section of the configuration."""
        return CHANNEL.format(
            us=US,
            secret=SECRET,
            imap_port=self.imap.port,
            username=self.imap.username,
            password=self.imap.password,
            lmtp_port=self.lmtp_port,
            smtp_port=self.smtp.port,
        )

    def open_door(self, port: int) -> None:
        """Let the provider post to a gateway."""
        self.poster.url = f"http://127.0.0.1:{port}/webhooks/support"

    async def _deliver(self, arrived: Arrived) -> int:
        """Bring a mail by its sender's way until it is taken; then perhaps once more by any."""
        ways = (self._post, self._put, self._hand_over)
        number = int("".join(filter(str.isdigit, arrived.mail_from)))
        way = ways[number % len(ways)]
        status = await way(arrived)
        if status == 200 and self.random.random() < TWICE:
            # What lies in the mailbox is read some time: another way could bring it before the mail ahead of it.
            await (self._put if way == self._put else self.random.choice(ways))(arrived)
        return status

    async def _post(self, arrived: Arrived) -> int:
        return await self.poster.deliver(self.webhook, arrived)

    async def _put(self, arrived: Arrived) -> int:
        self.imap.deliver(arrived.raw)
        return 200

    async def _hand_over(self, arrived: Arrived) -> int:
        return await asyncio.to_thread(hand_over, self.lmtp_port, arrived)


def hand_over(port: int, arrived: Arrived) -> int:
    """Give a mail to a port that speaks LMTP, as a mail server does; returns 200 where it is taken."""
    try:
        with smtplib.LMTP("127.0.0.1", port, timeout=LMTP_TIMEOUT_S) as server:
            server.sendmail(arrived.mail_from, list(arrived.recipients), arrived.raw)
    except (OSError, smtplib.SMTPException):
        return NOBODY
    return 200


@asynccontextmanager
async def mail_ways(lmtp_port: int, seed: int) -> AsyncIterator[MailWays]:
    """Open them."""
    smtp, imap, poster = MailServer(), ImapServer(), Poster("", tries=3)
    async with smtp.serving(), imap.serving():
        try:
            yield MailWays(smtp, imap, lmtp_port, poster, random.Random(seed))
        finally:
            await poster.close()


def fail_by_mail(ways: MailWays, seed: int) -> None:
    """Let the mail server die at steps of its dialogue, before and after it has kept a mail.

    It never says 451: such a mail is kept for five minutes, as greylisting wants it.
    """
    rates = {
        "connect": {"status:421 4.3.2 come back": 0.03},
        "rcpt": {"drop": 0.03},
        "content": {"drop_after": 0.04, "close": 0.03, "status:421 4.3.2 come back": 0.02, "close_after": 0.02},
        "answered": {"drop": 0.03},
    }
    for number, (step, words) in enumerate(rates.items()):
        ways.smtp.faults[step].random = random.Random(seed + number)
        ways.smtp.faults[step].rates = words


def mend_mail(ways: MailWays) -> None:
    """Let everything be well again."""
    for script in ways.smtp.faults.values():
        script.rates = {}


def count_mail_faults(ways: MailWays, customer: str, message_ids: Sequence[str]) -> Counter[str]:
    """Count what is wrong with the mails of a customer, who has written ``message_ids``, each saying its number.

    A mail may come twice with the same bytes, where nobody could know whether it had been taken: a mail program shows
    it once. Every answer is in the thread of the mail that it answers.
    """
    faults: Counter[str] = Counter()
    copies: dict[str, list[bytes]] = {}
    for mail in ways.smtp.mails_to(customer):
        copies.setdefault(mail.message_id, []).append(mail.raw)
    faults["resent more than once"] += sum(len(raws) > 2 for raws in copies.values())
    faults["resent otherwise"] += sum(len(set(raws)) > 1 for raws in copies.values())
    for mail in ways.line.mails(customer):
        answered = str(mail.message["In-Reply-To"])
        references = str(mail.message["References"] or "").split()
        words = new_words(mail)
        meant = message_ids[int(words.removeprefix("re: ").split(" + ")[-1])] if words.startswith("re: ") else answered
        faults["not in its thread"] += answered != meant or references[-1:] != [answered]
        faults["not in its thread"] += references[:1] != [message_ids[0]]
    return faults
