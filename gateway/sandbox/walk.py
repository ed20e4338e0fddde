"""Short conversations through the real door, told step by step as they happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import utc_now
from gateway.printable import printable
from gateway.sandbox.control import Line
from gateway.storage import Storage
from gateway.storage.tables import Conversation, Delivery, Message

LOOK_EVERY_S = 0.01
STEP_TIMEOUT_S = 20.0
FINAL = ("delivered", "read", "failed", "cancelled")
WAITING = ("queued", "sending", "unconfirmed")  # deliveries that later ones wait for
LEFT_TIMEOUT_S = 120.0  # for a minute nobody decides about a send that was cut off: outbox.confirm_wait_s
LEFT = """
The last demo with this data was cut off while it answered {customer}: nothing of that is lost,
and the present one finishes it first, which takes up to a minute where it was cut off while it sent."""
FINISHED = "It is finished; now the conversation goes on."

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Story:
    """What a customer says on a channel, and in which words each step is told."""

    script: tuple[str, ...]
    writes: str
    """What the customer does."""
    stored: str
    """What is done with the webhook, up to the number of its message."""
    taken: str
    """Who has taken the answer, up to its id there."""
    report: str | None
    """How its end is heard of; None where nobody tells."""


BY_SMS = Story(
    script=("Hello!", "When are you open on Saturday?", "Great, thank you!"),
    writes="texts",
    stored="stored as message",
    taken="Twilio API: POST /Messages.json accepted as",
    report="status callback, signed too",
)
BY_EMAIL = Story(
    script=("Do you work on gas boilers?", "Thanks! And when are you open on Sunday?"),
    writes="mails",
    stored="MIME read in a process of its own, stored as message",
    taken="SMTP: accepted, in the customer's thread, as",
    report=None,
)


class Stuck(Exception):
    """The demo's own conversation did not get through; its log says why."""


class Walk:
    """Plays the customer of one channel and looks into the database for what became of each message."""

    def __init__(
        self, storage: Storage, line: Line, story: Story, channel: str, customer: str, business: str, say: Say
    ) -> None:
        self._storage = storage
        self._line = line
        self._story = story
        self._channel = channel
        self._customer = customer
        self._business = business
        self._say: Say = lambda line: say(printable(line))

    async def play(self) -> None:
        """Play the script.

        Raises:
            Stuck: a message was not stored, answered or delivered in time.
        """
        await self._finish_what_was_left()
        for text in self._story.script:
            try:
                async with asyncio.timeout(STEP_TIMEOUT_S):
                    await self._one(text)
            except TimeoutError:
                raise Stuck(f"no answer was delivered within {STEP_TIMEOUT_S:g} s") from None

    async def _finish_what_was_left(self) -> None:
        """Wait until the answers of an earlier demo are out: they would be taken for those of this one."""
        if not await self._has_something_left():
            return
        self._say(LEFT.format(customer=self._customer))
        try:
            async with asyncio.timeout(LEFT_TIMEOUT_S):
                while await self._has_something_left():  # noqa: ASYNC110 - the database tells nobody
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            raise Stuck(f"what an earlier demo left was not finished within {LEFT_TIMEOUT_S:g} s") from None
        self._say(FINISHED)

    async def _has_something_left(self) -> bool:
        conversation = await self._conversation()
        if conversation is None:
            return False
        if conversation.due_at is not None or conversation.input_sequence is not None:  # a turn is due, or has begun
            return True
        deliveries = await self._storage.deliveries(conversation_id=conversation.id)
        return any(delivery.status in WAITING for delivery in deliveries)

    async def _one(self, text: str) -> None:
        before = await self._conversation()
        known = 0 if before is None else before.total_messages
        started_at, started = utc_now(), time.monotonic()
        self._say(f"\n{self._customer} {self._story.writes}: {text}")
        status = await self._line.text(self._customer, text)
        acked_ms = (time.monotonic() - started) * 1000
        if not 200 <= status < 300:
            raise Stuck(f"the webhook was answered with {status}")
        conversation = await self._found()
        message = await self._message(conversation, known, "user")
        self._tell(started_at, message.timestamp, f"webhook POST /webhooks/{self._channel}: signature verified")
        stored = f"{self._story.stored} {message.sequence_number} of its conversation; only then 200 OK"
        self._tell_ms(acked_ms, stored)
        answer = await self._message(conversation, message.sequence_number, "assistant")
        cost = f"model {answer.model_used}, {answer.tokens_used or 0} tokens, {answer.processing_time_ms or 0} ms"
        self._tell(started_at, answer.timestamp, f"turn: answer stored as message {answer.sequence_number} ({cost})")
        delivery = await self._delivery(conversation, answer, lambda found: found.sent_at is not None)
        self._tell(started_at, delivery.sent_at, f"{self._story.taken} {delivery.external_id}")
        if self._story.report is not None:
            delivery = await self._delivery(conversation, answer, lambda found: found.status in FINAL)
            self._tell_ms((time.monotonic() - started) * 1000, f"{self._story.report}: {delivery.status}")
        self._say(f"{self._business} replies: {delivery.content}")

    def _tell(self, since: datetime, at: datetime | None, what: str) -> None:
        self._tell_ms((at - since).total_seconds() * 1000 if at is not None else 0.0, what)

    def _tell_ms(self, ms: float, what: str) -> None:
        self._say(f"  {max(ms, 0):6.0f} ms  {what}")

    async def _conversation(self) -> Conversation | None:
        rows = await self._storage.conversations(channel=self._channel, limit=1000)
        return next((row for row in rows if row.address == self._customer), None)

    async def _found(self) -> Conversation:
        while True:
            conversation = await self._conversation()
            if conversation is not None:
                return conversation
            await asyncio.sleep(LOOK_EVERY_S)

    async def _message(self, conversation: Conversation, after: int, role: str) -> Message:
        while True:
            for message in await self._storage.messages(conversation.id or 0, after=after):
                if message.role == role:
                    return message
            await asyncio.sleep(LOOK_EVERY_S)

    async def _delivery(
        self, conversation: Conversation, answer: Message, ready: Callable[[Delivery], bool]
    ) -> Delivery:
        while True:
            for delivery in await self._storage.deliveries(conversation_id=conversation.id):
                if delivery.message_id == answer.id and (ready(delivery) or delivery.status in FINAL):
                    return delivery
            await asyncio.sleep(LOOK_EVERY_S)
