"""``ChatbotService``: the shared chatbot turn for developers who embed it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from gateway.assistant.lease import LEASE_S, keep_lease
from gateway.assistant.people import People
from gateway.assistant.turn import Assistant, Reply
from gateway.clock import Clock, utc_now
from gateway.storage import (
    BeginDirectTurn,
    Begun,
    Claim,
    Fenced,
    Finished,
    FinishTurn,
    ReleaseTurn,
    Storage,
    StorageUnavailable,
)

BUSY_RETRY_S = 0.05
FINISH_FOR_S = LEASE_S  # after this long another call may have the turn
FINISH_RETRY_S = 0.5
RELEASE_TIMEOUT_S = 5.0
MAX_ID = 512
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL's text holds neither NUL nor halves of surrogate pairs

KINDS = {
    "website": "website_chat",
    "website_chat": "website_chat",
    "facebook": "facebook_messenger",
    "facebook_messenger": "facebook_messenger",
    "sms": "sms",
    "email": "email",
    "whatsapp": "whatsapp",
}
"""The words that a caller may use for a channel."""


class ChatbotService:
    """Answers a caller's messages with the same turn, tables and memory as the channels.

    It only returns its answer; nothing is delivered.
    """

    def __init__(
        self,
        storage: Storage,
        assistant: Assistant,
        people: People,
        clock: Clock = utc_now,
        *,
        answer_while_waiting: bool = True,
        owner: str | None = None,
    ) -> None:
        self._storage = storage
        self._assistant = assistant
        self.people = people
        """Takeover, a person's reply, resume and close."""
        self._clock = clock
        self._answer_while_waiting = answer_while_waiting
        # What a serve process leaves behind when it is killed is freed by the next one, by this name.
        self._owner = owner or f"direct:{uuid.uuid4()}"
        # A lock lives as long as a call holds it or waits for it: a newcomer never finds a younger one to overtake by.
        self._turn_of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._releases: set[asyncio.Task[None]] = set()

    @staticmethod
    @asynccontextmanager
    async def from_config(path: str | Path = "config.yaml") -> AsyncIterator[ChatbotService]:
        """Open a service by a configuration file: ``async with ChatbotService.from_config(…) as service``.

        Raises:
            ConfigError: the configuration does not hold; raised on entering.
            SchemaMismatch: the database needs ``frontdesk migrate``; raised on entering.
            StorageUnavailable: the database is away; raised on entering.
        """
        from gateway.assistant.parts import fit_database, open_parts
        from gateway.config import load

        async with open_parts(load(Path(path))) as parts:
            await fit_database(parts.storage, parts.config.business, utc_now)
            yield parts.service

    async def send_message(
        self,
        conversation_id: str,
        message: str,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
        user_phone: str | None = None,
        channel: str = "website",
        image_url: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        lead_id: int | None = None,
        customer_id: int | None = None,
    ) -> dict[str, Any]:
        """Store a message, answer it, and return the answer.

        Calls on one conversation wait for each other, in order. In mode ``human``, and in mode ``waiting`` with
        ``handoff.while_waiting: silent``, the message is stored and ``message`` is None, as it is where the turn was
        taken away meanwhile; where the model failed it is the fallback text and ``model`` is None. The message of a
        call that fails or is cancelled after that stays, and the next call answers it too.

        Raises:
            ValueError: the channel word, the conversation id or the message is not one.
            ConversationBelongsToChannel: the conversation runs on a configured channel.
            StorageUnavailable: the database is away.
        """
        kind = _kind(channel)
        _check_id(conversation_id)
        if not (message.strip() or image_url):
            raise ValueError("message must not be empty")
        _check_row("lead_id", lead_id)
        _check_row("customer_id", customer_id)
        facts = {
            "user_id": user_id,
            "user_name": user_name,
            "user_email": user_email,
            "user_phone": user_phone,
            "lead_id": lead_id,
            "customer_id": customer_id,
            "platform_metadata": dict(metadata) if metadata is not None else None,
        }
        lock = self._turn_of.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            begun = await self._begin(conversation_id, kind, message, facts, image_url)
            return await self._answer(conversation_id, begun)

    async def _begin(
        self, conversation_id: str, kind: str, message: str, facts: Mapping[str, Any], image_url: str | None
    ) -> Begun:
        """Store the message and claim its turn, waiting while another process answers an earlier one."""
        while True:
            now = self._clock()
            begun = await self._begin_once(
                BeginDirectTurn(
                    conversation_id,
                    kind,
                    message,
                    self._owner,
                    now,
                    now + timedelta(seconds=LEASE_S),
                    facts,
                    image_url,
                    self._answer_while_waiting,
                )
            )
            if not begun.busy:
                return begun
            await asyncio.sleep(BUSY_RETRY_S * random.uniform(0.5, 1.5))

    async def _begin_once(self, operation: BeginDirectTurn) -> Begun:
        """Commit the operation; what it claims for a caller who goes away meanwhile is given back."""
        beginning = asyncio.ensure_future(self._storage.run(operation))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:

            async def give_back() -> None:
                with contextlib.suppress(Exception):  # the caller of the operation has gone
                    begun = await beginning
                    if begun.claim is not None:
                        await self._storage.run(ReleaseTurn(begun.claim.id, begun.claim.fence, None))

            await self._shielded(give_back())
            raise

    async def _answer(self, conversation_id: str, begun: Begun) -> dict[str, Any]:
        if begun.claim is None:
            return self._result(conversation_id, begun, None, begun.total_messages, begun.mode)
        try:
            async with keep_lease(self._storage, begun.claim, self._clock):
                reply = await self._assistant.answer(begun.claim)
            finished = await self._finish(begun.claim, reply)
        except Fenced:  # a person, or another call after a lost lease, took the turn while the model was thinking
            return await self._silent_result(conversation_id, begun)
        except (asyncio.CancelledError, Exception):  # the next call must not wait until the lease runs out
            await self._shielded(self._release(begun.claim))
            raise
        await self._assistant.remember(begun.claim, reply, finished)
        return self._result(conversation_id, begun, reply, finished.total_messages, finished.mode)

    async def _finish(self, claim: Claim, reply: Reply) -> Finished:
        operation = FinishTurn(
            claim.id,
            claim.fence,
            self._clock(),
            reply.answer,
            reply.handover,
            reply.fallback,
            self._answer_while_waiting,
            reply.window_start,
        )
        until = time.monotonic() + FINISH_FOR_S
        unsure = False
        while True:
            try:
                finished = await self._storage.run(operation)
                if finished is None and unsure:
                    finished = await self._finished_before(claim)
            except StorageUnavailable:  # it may be committed all the same
                unsure = True
                if time.monotonic() + FINISH_RETRY_S > until:
                    raise
                await asyncio.sleep(FINISH_RETRY_S)
                continue
            if finished is None:
                raise Fenced
            return finished

    async def _finished_before(self, claim: Claim) -> Finished | None:
        """Tell how our own turn ended, where its commit succeeded and only the news of it did not reach us."""
        row = await self._storage.conversation(claim.conversation_id)
        if row is None or row.fence != claim.fence or row.answered_sequence != claim.input_sequence:
            return None
        return Finished(row.total_messages, row.total_messages, row.due_at, row.mode)

    async def _release(self, claim: Claim) -> None:
        with contextlib.suppress(StorageUnavailable):  # then the lease runs out by itself
            await self._storage.run(ReleaseTurn(claim.id, claim.fence, None))

    async def _shielded(self, last: Coroutine[Any, Any, None]) -> None:
        """Wait for what a call does last, which goes on where the caller is cancelled once more."""

        async def in_time() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RELEASE_TIMEOUT_S):
                    await last

        task = asyncio.create_task(in_time())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        await asyncio.shield(task)

    async def _silent_result(self, conversation_id: str, begun: Begun) -> dict[str, Any]:
        row = await self._storage.conversation(conversation_id)
        if row is None:  # erased meanwhile
            return self._result(conversation_id, begun, None, 0, "bot")
        return self._result(conversation_id, begun, None, row.total_messages, row.mode)

    def _result(
        self, conversation_id: str, begun: Begun, reply: Reply | None, message_count: int, mode: str
    ) -> dict[str, Any]:
        answer = reply.answer if reply is not None else None
        return {
            "conversation_id": conversation_id,
            "message": None if answer is None else answer.text,
            "actions": [] if answer is None else list(answer.tool_calls),
            "needs_human_escalation": mode != "bot",
            "timestamp": self._clock().isoformat(),
            "model": None if answer is None else answer.model,
            "database_conversation_id": begun.id,
            "message_count": message_count,
            "tokens_used": (answer.tokens_used or 0) if answer is not None else 0,
        }


def _kind(channel: str) -> str:
    if channel not in KINDS:
        raise ValueError(f"unknown channel {channel!r}; use one of {', '.join(KINDS)}")
    return KINDS[channel]


def _check_row(name: str, number: object) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63):
        raise ValueError(f"{name} must be a whole number of at most 63 bits")


def _check_id(conversation_id: str) -> None:
    if not conversation_id:
        raise ValueError("conversation_id must not be empty")
    if len(conversation_id) > MAX_ID:
        raise ValueError(f"conversation_id must not be longer than {MAX_ID} characters")
    if _UNSTORABLE.search(conversation_id):
        raise ValueError("conversation_id must not contain U+0000 or halves of surrogate pairs")
