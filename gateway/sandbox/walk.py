"""One short conversation through the real door, told step by step as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from gateway.clock import utc_now
from gateway.sandbox.control import Line
from gateway.storage import Storage
from gateway.storage.tables import Conversation, Delivery, Message

SCRIPT = ("Hello!", "When are you open on Saturday?", "Great, thank you!")
LOOK_EVERY_S = 0.01
STEP_TIMEOUT_S = 20.0
FINAL = ("delivered", "read", "failed", "cancelled")

Say = Callable[[str], None]


class Stuck(Exception):
    """The demo's own conversation did not get through; its log says why."""


class Walk:
    """Plays the customer of one channel and looks into the database for what became of each message."""

    def __init__(self, storage: Storage, line: Line, channel: str, customer: str, business: str, say: Say) -> None:
        self._storage = storage
        self._line = line
        self._channel = channel
        self._customer = customer
        self._business = business
        self._say = say

    async def play(self) -> None:
        """Play the script.

        Raises:
            Stuck: a message was not stored, answered or delivered in time.
        """
        for text in SCRIPT:
            try:
                async with asyncio.timeout(STEP_TIMEOUT_S):
                    await self._one(text)
            except TimeoutError:
                raise Stuck(f"no answer was delivered within {STEP_TIMEOUT_S:g} s") from None

    async def _one(self, text: str) -> None:
        before = await self._conversation()
        known = 0 if before is None else before.total_messages
        started_at, started = utc_now(), time.monotonic()
        self._say(f"\n{self._customer} texts: {text}")
        status = await self._line.text(self._customer, text)
        acked_ms = (time.monotonic() - started) * 1000
        if not 200 <= status < 300:
            raise Stuck(f"the webhook was answered with {status}")
        conversation = await self._found()
        message = await self._message(conversation, known, "user")
        self._tell(started_at, message.timestamp, f"webhook POST /webhooks/{self._channel}: signature verified, parsed")
        self._tell_ms(acked_ms, f"stored as message {message.sequence_number} of its conversation; only then 200 OK")
        answer = await self._message(conversation, message.sequence_number, "assistant")
        cost = f"model {answer.model_used}, {answer.tokens_used or 0} tokens, {answer.processing_time_ms or 0} ms"
        self._tell(started_at, answer.timestamp, f"turn: answer stored as message {answer.sequence_number} ({cost})")
        delivery = await self._delivery(conversation, answer, lambda found: found.sent_at is not None)
        self._tell(started_at, delivery.sent_at, f"Twilio API: POST /Messages.json accepted as {delivery.external_id}")
        delivery = await self._delivery(conversation, answer, lambda found: found.status in FINAL)
        self._tell_ms((time.monotonic() - started) * 1000, f"status callback, signed too: {delivery.status}")
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
