"""What a turn's prompt tells of its conversation: the window of messages, their pictures, past calls, a summary.

It reads; nothing of it is written here but the memory, which is only a copy.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from channels.content import offered
from channels.rendering import numbered
from gateway.assistant.history import MAX_IMAGES, Entry, File, Window, window
from gateway.assistant.model import Image, PastCall
from gateway.assistant.pictures import READABLE, Pictures
from gateway.cache import NEWEST, Memory, Remembered
from gateway.config import AssistantConfig
from gateway.media import Media
from gateway.storage import Answer, Claim, Finished, Storage, StoredAttachment, StoredMessage

log = structlog.get_logger(__name__)

SPARE = 8
"""Messages read beyond the window's length: several may arrive before it moves on."""
MEDIA_WAIT_S = 10.0
"""How long an answer waits for a picture; without it the model is told that there is one."""
TAKEN_BACK = "[message taken back]"
MAX_DIGEST = 240
"""Characters of a tool's result that later turns see."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """What a prompt tells of a conversation."""

    window: Window
    summary: str | None
    """What was said before the window."""
    asked: tuple[StoredMessage, ...]
    """The turn's own messages, with their files as far as they could be fetched."""


class Transcript:
    """Reads conversations for their turns."""

    def __init__(
        self, storage: Storage, memory: Memory, media: Media, pictures: Pictures, config: AssistantConfig
    ) -> None:
        self._storage = storage
        self._memory = memory
        self._media = media
        self._pictures = pictures
        self._config = config

    async def tell(self, claim: Claim) -> Told:
        """Return what the turn's prompt shows.

        Raises:
            StorageUnavailable: it cannot be read.
        """
        asked = await self._with_media(claim)
        entries = [*await self._earlier(claim), *map(remembered, asked)]
        images = await self._images(entries)
        summary_tokens = self._config.history_tokens // 4
        shown = window(
            [_entry(message, images) for message in entries],
            answered_sequence=claim.answered_sequence,
            input_sequence=claim.input_sequence,
            limit=self._config.history_messages,
            budget_tokens=self._config.history_tokens - summary_tokens,
            start=claim.window_start,
        )
        if shown.start == 0:
            return Told(shown, None, asked)
        summary = await self._storage.summary(claim.id, up_to=shown.start)
        return Told(shown, summary.content if summary else None, asked)

    async def remember(self, claim: Claim, told: Told | None, answer: Answer | None, finished: Finished) -> None:
        """Put a committed turn into the conversation memory."""
        entries = [remembered(message) for message in (claim.messages if told is None else told.asked)]
        if answer is not None:
            entries.append(
                Remembered(
                    finished.sequence_number,
                    "assistant",
                    _shown(answer.text, answer.content.extras()),
                    claim.input_sequence,
                    calls=_digests(answer.tool_calls),
                )
            )
        await self._memory.remember(_memory_key(claim), tuple(entries), replace=False)

    async def _earlier(self, claim: Claim) -> tuple[Remembered, ...]:
        """Return the newest messages beside the turn's own, from the memory or, on a miss, from the database."""
        own = {message.sequence_number for message in claim.messages}
        newest = claim.total_messages
        while newest in own:
            newest -= 1
        if newest == 0:
            return ()
        recalled = await self._recalled(claim, newest)
        # Beyond what is answered, a user's message that is not the turn's own came later, or asks nothing.
        return tuple(
            message
            for message in recalled
            if message.sequence_number not in own
            and not (message.role == "user" and message.sequence_number > claim.answered_sequence)
        )

    async def _recalled(self, claim: Claim, newest: int) -> tuple[Remembered, ...]:
        wanted = self._config.history_messages + SPARE
        if wanted > NEWEST:  # more than the memory holds of a conversation
            stored = await self._storage.newest_messages(claim.id, up_to=newest, limit=wanted)
            return tuple(map(remembered, stored))
        recalled = await self._memory.recall(_memory_key(claim), newest)
        if recalled is not None:
            return recalled
        stored = await self._storage.newest_messages(claim.id, up_to=newest, limit=NEWEST)
        recalled = tuple(map(remembered, stored))
        await self._memory.remember(_memory_key(claim), recalled, replace=True)
        return recalled

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
                if content_type in READABLE and _SHA256.fullmatch(key) and len(wanted) < MAX_IMAGES:
                    wanted[key] = content_type
        images = await asyncio.gather(*(self._read_image(key, kind) for key, kind in wanted.items()))
        return {key: image for key, image in zip(wanted, images, strict=True) if image is not None}

    async def _read_image(self, sha256: str, content_type: str) -> Image | None:
        try:
            content = await self._media.store.read(sha256)
        except OSError:  # another process's disk, or cleared away: the model is told that there was a picture
            log.warning("media_missing")
            return None
        return await self._pictures.fit(content, content_type)


def _memory_key(claim: Claim) -> str:
    """Name what is remembered of a conversation; an edited transcript has another name.

    By its public id: after a backup has been restored, a row's number may go to somebody else.
    """
    return f"{claim.conversation_id}:{claim.amendments}"


def remembered(message: StoredMessage) -> Remembered:
    """Return a stored message as prompts know it."""
    metadata = message.metadata or {}
    taken_back = metadata.get("revoked") is True
    attachments = () if taken_back else tuple((_file_key(file), file.content_type) for file in message.attachments)
    content = TAKEN_BACK if taken_back else _shown(message.content, metadata)
    # Words about consent, and what was written to somebody who may not answer, are nothing to come back to.
    is_context = message.asks or taken_back or metadata.get("overheard") is True
    role = message.role if is_context else "system"
    calls = _digests(message.tool_calls)
    return Remembered(message.sequence_number, role, content, message.answers_sequence, attachments, calls)


def _shown(text: str, metadata: Mapping[str, Any]) -> str:
    """Return a message as the model reads it: with its subject where it begins a thread, and with choices.

    Those that it offers, or the one that it picks.
    """
    picked = (metadata.get("choice") or {}).get("title")
    subject = metadata.get("subject") if not metadata.get("references") else None
    said = [
        f"Subject: {subject}" if subject else "",
        text,
        numbered(offered(metadata)),
        f"[chose: {picked}]" if picked and picked != text else "",
    ]
    return "\n".join(filter(None, said))


def _digests(calls: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str, str], ...]:
    """Say in short what an answer's turn had called; the whole of it was for that turn alone."""
    return tuple((call["name"], _arguments(call), _digest(call.get("output", {}))) for call in calls)


def _arguments(call: Mapping[str, Any]) -> str:
    """Return a call's arguments as JSON: some servers' templates read them, so they are left out rather than cut."""
    text = _json(call.get("arguments", {}))
    return text if len(text) <= MAX_DIGEST and isinstance(call.get("arguments"), dict) else "{}"


def _digest(output: Any) -> str:
    text = _json(output)
    return text if len(text) <= MAX_DIGEST else f"{text[: MAX_DIGEST - 1]}…"


def _json(value: Any) -> str:
    """Write JSON in one spelling: PostgreSQL keeps keys in another order, and the prefix cache compares bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _file_key(file: StoredAttachment) -> str:
    return file.sha256 or file.url


def _entry(message: Remembered, images: Mapping[str, Image]) -> Entry:
    files = tuple(File(content_type, images.get(key)) for key, content_type in message.attachments)
    calls = tuple(PastCall(*call) for call in message.calls)
    return Entry(message.sequence_number, message.role, message.content, message.answers_sequence, files, calls)
