"""One turn of the shared chatbot: what the pipeline and ``send_message`` both run.

It is given a claimed conversation and returns what to say; committing the answer is the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from channels.content import Content, offered
from channels.rendering import numbered
from gateway.assistant.history import MAX_IMAGES, Entry, File, window
from gateway.assistant.model import Completion, Image, Model, ModelError, Prompt, ToolCall, ToolOutput, Usage
from gateway.assistant.prompt import fallback_text, notes, system_prompt
from gateway.cache import Memory, Remembered
from gateway.clock import Clock
from gateway.config import AssistantConfig, BusinessConfig
from gateway.media import Media
from gateway.metrics import Metrics
from gateway.storage import (
    Answer,
    Claim,
    Fenced,
    Finished,
    JournalRound,
    Storage,
    StoredAttachment,
    StoredMessage,
    TurnRound,
)

log = structlog.get_logger(__name__)

FALLBACK_EVERY = timedelta(minutes=10)
"""A conversation hears the fallback text at most once in this time."""
FALLBACK_REASON = "ai_confidence_low"
REMEMBERED_MESSAGES = 64
MEDIA_WAIT_S = 10.0
"""How long an answer waits for a picture; without it the model is told that there is one."""
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""What the model's vision reads (OpenAI's guide "Images and vision", read 2026-11)."""
TAKEN_BACK = "[message taken back]"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reply:
    """How a turn ends."""

    answer: Answer | None
    """None where nothing is said: the fallback text was said a short while ago."""
    escalation_reason: str | None = None
    fallback: bool = False


class Assistant:
    """Answers what a claimed conversation waits with."""

    def __init__(
        self,
        storage: Storage,
        memory: Memory,
        media: Media,
        model: Model,
        metrics: Metrics,
        clock: Clock,
        config: AssistantConfig,
        business: BusinessConfig,
    ) -> None:
        self._storage = storage
        self._memory = memory
        self._media = media
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._config = config
        self._business = business
        self._instructions = system_prompt(business, config.instructions)
        self._cache_key = hashlib.sha256(self._instructions.encode()).hexdigest()[:32]

    async def answer(self, claim: Claim) -> Reply:
        """Ask the model, journalling each round before its tools run; a failed model gives the fallback text.

        Raises:
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the transcript cannot be read.
        """
        started = time.monotonic()
        prompt = await self._prompt(claim)
        try:
            completion, usage, calls = await self._rounds(claim, prompt)
        except ModelError as error:
            kind = type(error).__name__
            self._metrics.model_errors.labels(kind).inc()
            log.error("model_failed", kind=kind, request_id=error.request_id)
            return self.fallback(claim)
        self._metrics.tokens.labels(completion.model).inc(usage.total)
        return Reply(
            Answer(
                Content(completion.text),
                model=completion.model,
                reasoning_effort=completion.reasoning_effort,
                verbosity=completion.verbosity,
                tokens_used=usage.total,
                processing_time_ms=round((time.monotonic() - started) * 1000),
                tool_calls=tuple({"name": call.name, "call_id": call.call_id} for call in calls),
            )
        )

    def fallback(self, claim: Claim) -> Reply:
        """Say in the business's name that a person will answer, unless that was said a short while ago."""
        said_lately = claim.fallback_at is not None and self._clock() - claim.fallback_at < FALLBACK_EVERY
        answer = None if said_lately else Answer(Content(fallback_text(self._business)))
        return Reply(answer, FALLBACK_REASON, fallback=True)

    async def remember(self, claim: Claim, reply: Reply, finished: Finished) -> None:
        """Put a committed turn into the conversation memory."""
        entries = [_remembered(message) for message in claim.messages]
        if reply.answer is not None:
            shown = _shown(reply.answer.text, reply.answer.content.extras())
            entries.append(Remembered(finished.sequence_number, "assistant", shown, claim.input_sequence))
        await self._memory.remember(_memory_key(claim), tuple(entries), replace=False)

    # --- the loop ---

    async def _rounds(self, claim: Claim, prompt: Prompt) -> tuple[Completion, Usage, tuple[ToolCall, ...]]:
        """Ask until the model answers with text; rounds that an earlier try of this turn journalled are replayed."""
        journal = [Completion.from_json(row.response or {}) for row in await self._journal(claim)]
        usage = Usage()
        calls: tuple[ToolCall, ...] = ()
        for number in range(self._config.max_rounds + 1):
            last = number == self._config.max_rounds
            replayed = number < len(journal)
            completion = journal[number] if replayed else await self._ask(replace(prompt, last_round=last))
            usage += completion.usage
            if not completion.calls or last:
                return completion, usage, calls
            if not replayed:
                await self._keep_round(claim, number, completion)
            calls += completion.calls
            outputs = await self._run_tools(completion.calls)
            prompt = replace(prompt, rounds=(*prompt.rounds, (completion.round, outputs)))
        raise AssertionError("the last round has no calls")

    async def _journal(self, claim: Claim) -> Sequence[TurnRound]:
        """Read what an earlier try of this turn has journalled."""
        return await self._storage.rounds(claim.id, claim.input_sequence) if claim.has_rounds else ()

    async def _ask(self, prompt: Prompt) -> Completion:
        completion = await self._model.complete(prompt)
        self._metrics.model_seconds.observe(completion.duration_ms / 1000)
        return completion

    async def _keep_round(self, claim: Claim, number: int, completion: Completion) -> None:
        kept = await self._storage.run(
            JournalRound(
                claim.id,
                claim.fence,
                claim.input_sequence,
                number,
                completion.to_json(),
                completion.request_id,
                completion.usage.total,
                completion.duration_ms,
                self._clock(),
            )
        )
        if not kept:
            raise Fenced

    async def _run_tools(self, calls: Sequence[ToolCall]) -> tuple[ToolOutput, ...]:
        """Answer every call of a round: one without an output would make the next request invalid."""
        error = json.dumps({"error": "unknown_tool"})
        return tuple(ToolOutput(call.call_id, error) for call in calls)

    # --- the prompt ---

    async def _prompt(self, claim: Claim) -> Prompt:
        asked = [_remembered(message) for message in await self._with_media(claim)]
        remembered = [*await self._earlier(claim), *asked]
        images = await self._images(remembered)
        lines = window(
            [_entry(message, images) for message in remembered],
            answered_sequence=claim.answered_sequence,
            input_sequence=claim.input_sequence,
            limit=self._config.history_messages,
        )
        return Prompt(
            instructions=self._instructions,
            lines=lines,
            notes=notes(self._clock(), self._business, customer_name=claim.user_name, channel_kind=claim.channel),
            cache_key=self._cache_key,
            user_key=hashlib.sha256(claim.conversation_id.encode()).hexdigest(),
            metadata={"conversation_id": claim.conversation_id},
        )

    async def _earlier(self, claim: Claim) -> tuple[Remembered, ...]:
        """Return the newest messages beside the turn's own, from the memory or, on a miss, from the database."""
        own = {message.sequence_number for message in claim.messages}
        newest = claim.total_messages
        while newest in own:
            newest -= 1
        if newest == 0:
            return ()
        recalled = await self._memory.recall(_memory_key(claim), newest)
        if recalled is None:
            stored = await self._storage.newest_messages(claim.id, up_to=newest, limit=REMEMBERED_MESSAGES)
            recalled = tuple(_remembered(message) for message in stored)
            await self._memory.remember(_memory_key(claim), recalled, replace=True)
        # Beyond what is answered, a user's message that is not the turn's own came later, or asks nothing.
        return tuple(
            message
            for message in recalled
            if message.sequence_number not in own
            and not (message.role == "user" and message.sequence_number > claim.answered_sequence)
        )

    async def _with_media(self, claim: Claim) -> tuple[StoredMessage, ...]:
        """Fetch the files of the messages to answer; an answer waits only so long for them."""
        files = [file for message in claim.messages for file in message.attachments]
        if not files:
            return claim.messages
        try:
            async with asyncio.timeout(MEDIA_WAIT_S):
                fetched = await self._media.fetch(claim.channel_name, files)
        except TimeoutError:
            log.warning("media_not_in_time")
            return claim.messages
        return tuple(
            replace(message, attachments=tuple(fetched.get(file.id, file) for file in message.attachments))
            for message in claim.messages
        )

    async def _images(self, messages: Sequence[Remembered]) -> dict[str, Image]:
        """Read the newest pictures that the window can show, by their hash."""
        wanted: dict[str, str] = {}
        for message in reversed(messages):
            for key, content_type in reversed(message.attachments):
                if content_type in IMAGE_TYPES and _SHA256.fullmatch(key) and len(wanted) < MAX_IMAGES:
                    wanted[key] = content_type
        contents = await asyncio.gather(*(self._read_image(key) for key in wanted))
        pairs = zip(wanted.items(), contents, strict=True)
        return {key: Image(content, content_type) for (key, content_type), content in pairs if content is not None}

    async def _read_image(self, sha256: str) -> bytes | None:
        try:
            return await self._media.store.read(sha256)
        except OSError:  # another process's disk, or cleared away: the model is told that there was a picture
            log.warning("media_missing")
            return None


def _memory_key(claim: Claim) -> str:
    """Name what is remembered of a conversation; an edited transcript has another name.

    By its public id: after a backup has been restored, a row's number may go to somebody else.
    """
    return f"{claim.conversation_id}:{claim.amendments}"


def _remembered(message: StoredMessage) -> Remembered:
    metadata = message.metadata or {}
    taken_back = metadata.get("revoked") is True
    attachments = () if taken_back else tuple((_file_key(file), file.content_type) for file in message.attachments)
    content = TAKEN_BACK if taken_back else _shown(message.content, metadata)
    # Words about consent, and what was written to somebody who may not answer, are nothing to come back to.
    is_context = message.asks or taken_back or metadata.get("overheard") is True
    role = message.role if is_context else "system"
    return Remembered(message.sequence_number, role, content, message.answers_sequence, attachments)


def _shown(text: str, metadata: Mapping[str, Any]) -> str:
    """Return a message as the model reads it: with the choices that it offers, or with the one that it picks."""
    picked = (metadata.get("choice") or {}).get("title")
    said = [text, numbered(offered(metadata)), f"[chose: {picked}]" if picked and picked != text else ""]
    return "\n".join(filter(None, said))


def _file_key(file: StoredAttachment) -> str:
    return file.sha256 or file.url


def _entry(message: Remembered, images: Mapping[str, Image]) -> Entry:
    files = tuple(File(content_type, images.get(key)) for key, content_type in message.attachments)
    return Entry(message.sequence_number, message.role, message.content, message.answers_sequence, files)
