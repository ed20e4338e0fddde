"""One Twilio account: its numbers, its messages, its settings, and what its customers have on their telephones."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock, utc_now
from gateway.sandbox.twilio_rules import UNDELIVERED, Rules, Sending
from gateway.sandbox.twilio_wire import File, Form, Message

# www.twilio.com/docs/messaging/guides/opt-out-keywords, read 2026-11: the whole message, in any case.
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS = frozenset({"HELP", "INFO"})
# What Twilio answers to them by itself (help.twilio.com/hc/en-us/articles/223134027); the words are as
# help.wegive.com/managing-sms-unsubscribes-in-wegive quotes them, read 2026-11. No webhook tells of it.
STOPPED = (
    "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe."
)
STARTED = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
)
HELPED = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
WHATSAPP = "whatsapp:"
_NUMBER = re.compile(r"(whatsapp:)?\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted, as it was asked for."""

    sid: str
    to: str
    sender: str | None
    body: str
    media_urls: tuple[str, ...]
    status_callback: str
    at: datetime


class Account:
    """What is so at Twilio, whoever asks."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        number: str,
        webhook_url: str | Callable[[], str] | None = None,
        services: Mapping[str, Collection[str]] | None = None,
        clock: Clock = utc_now,
        new_hex: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.number = number
        self.webhook_url = webhook_url
        """What the number is configured with, fragment and all; a callable is asked at each post."""
        self.url = "https://api.twilio.com"
        """Where the account's API is served: media have their addresses there."""
        pools = dict(services or {})
        self.rules = Rules({number, *(one for pool in pools.values() for one in pool)}, pools)
        """What may be sent; ``services`` are Messaging Services with the numbers in their pools."""
        self.undelivered: dict[str, int] = dict(UNDELIVERED)
        """Recipients whose messages are accepted and not delivered, and the code that is reported."""
        self.advanced_opt_out = False
        """Whether webhooks of a Messaging Service say OptOutType."""
        self.messages: dict[str, Message] = {}
        """All messages of both directions by sid, oldest first."""
        self.outbox: list[Sent] = []
        """What was accepted, in order."""
        self.customers: defaultdict[str, list[str]] = defaultdict(list)
        """What each customer reads on the telephone, in order."""
        self.made_at = clock()
        self.clock = clock
        self.new_hex = new_hex
        self._accepted = asyncio.Event()

    def new_sid(self, prefix: str) -> str:
        """Return a sid: two letters and 32 hexadecimal digits."""
        return prefix + self.new_hex()

    def configured_url(self) -> str | None:
        """Return the webhook's address as it is configured now."""
        return self.webhook_url() if callable(self.webhook_url) else self.webhook_url

    # --- from customers ---

    def receive(
        self, sender: str, text: str, media: Sequence[tuple[bytes, str]], sid: str | None, to: str | None
    ) -> Message:
        """Take in what a customer wrote; opt-out words take effect at once."""
        now, recipient = self.clock(), to or self.number
        message = Message(
            sid=sid or self.new_sid("MM" if media else "SM"),
            direction="inbound",
            sender=sender,
            recipient=recipient,
            body=text,
            status="received",
            created_at=now,
            sent_at=now,
            files=tuple(File(self.new_sid("ME"), kind, content) for content, kind in media),
            service=next((sid for sid, pool in self.rules.services.items() if recipient in pool), None),
        )
        self.messages[message.sid] = message
        confirmation = self._mind(sender, _word(text))
        if confirmation is not None and not sender.startswith(WHATSAPP):
            self.customers[sender].append(confirmation)
        return message

    def _mind(self, sender: str, word: str) -> str | None:
        """Let an opt-out word take effect, and return how Twilio confirms it; None where it changes nothing."""
        opted_out = self.rules.opted_out
        if word in STOP_WORDS and sender not in opted_out:
            opted_out.add(sender)
            return STOPPED
        if word in START_WORDS and sender in opted_out:
            opted_out.discard(sender)
            return STARTED
        return HELPED if word in HELP_WORDS and sender not in opted_out else None

    def why_no_address(self, address: str) -> str | None:
        """Say why nobody writes from there, or None where somebody may."""
        if _NUMBER.fullmatch(address):
            return None
        return f"{address} is no telephone number; write one such as +15550100125"

    def opt_out_type(self, message: Message) -> Form:
        """Return what Advanced Opt-Out adds to a message's webhook."""
        if not self.advanced_opt_out or message.service is None:
            return []
        words = {"STOP": STOP_WORDS, "START": START_WORDS, "HELP": HELP_WORDS}
        return [("OptOutType", kind) for kind, listed in words.items() if _word(message.body) in listed]

    # --- to customers ---

    def accept(self, sending: Sending) -> Message:
        """Queue a message that the rules allow."""
        message = Message(
            sid=self.new_sid("MM" if sending.media_urls else "SM"),
            direction="outbound-api",
            sender=sending.sender or None,
            recipient=sending.to,
            body=sending.body,
            status="queued" if sending.sender else "accepted",
            created_at=self.clock(),
            files=tuple(File(self.new_sid("ME"), "application/octet-stream") for _ in sending.media_urls),
            service=sending.service or None,
            status_callback=sending.status_callback or None,
        )
        self.messages[message.sid] = message
        self.outbox.append(_sent(message, sending))
        self._accepted.set()
        return message

    def send(self, message: Message) -> None:
        """Let a message leave, from a number of the pool where none was asked for."""
        if message.sender is None:
            pool = self.rules.services[message.service or ""]
            used = [one.recipient for one in self.messages.values() if one.sender == message.recipient]
            # Sticky Sender: the customer hears from the number that they know.
            message.sender = next((number for number in reversed(used) if number in pool), next(iter(pool)))
        message.sent_at = message.sent_at or self.clock()

    def received(self, address: str) -> Sequence[str]:
        """Return what a customer reads on the telephone, oldest first."""
        return self.customers.get(address, [])

    async def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Sent]:
        """Return the outbox as soon as it holds that many.

        Raises:
            TimeoutError: it does not within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while len(self.outbox) < count:
                self._accepted.clear()
                await self._accepted.wait()
        return self.outbox


def _word(text: str) -> str:
    return text.strip().upper()


def _sent(message: Message, sending: Sending) -> Sent:
    return Sent(
        sid=message.sid,
        to=sending.to,
        sender=message.sender,
        body=sending.body,
        media_urls=sending.media_urls,
        status_callback=sending.status_callback,
        at=message.created_at,
    )
