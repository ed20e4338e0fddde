"""What was lost, answered twice or out of order: counted from the transcripts and from the customers' telephones.

The customers write "0", "1", "2", …, and the model of ``tests.world`` answers "re: 0": each answer names what it
answers. Nothing is coalesced, so each message has a turn of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from gateway.assistant.phrases import fallback
from gateway.config import BusinessConfig
from gateway.storage import Storage
from gateway.storage.tables import Conversation, Message
from tests.gateways import BUSINESS
from tests.world import World

NO_FAULTS = {"lost": 0, "unanswered": 0, "answered twice": 0, "out of order": 0, "gaps": 0}
SAID_LATELY = timedelta(minutes=10)  # the promise of gateway/assistant/turn.py: one fallback text in this time
FALLBACK = fallback(BusinessConfig(**BUSINESS), None)


async def until_settled(storage: Storage, customers: int, timeout_s: float) -> None:
    """Wait until every message is answered and every delivery has left, or failed visibly."""
    async with asyncio.timeout(timeout_s):
        while True:
            conversations = await storage.conversations(limit=1000)
            waiting = [c for c in conversations if c.due_at is not None or c.last_user_sequence > c.answered_sequence]
            unsettled = [
                d
                for status in ("queued", "sending", "unconfirmed")
                for d in await storage.deliveries(status=status, limit=10_000)
            ]
            if len(conversations) == customers and not waiting and not unsettled:
                return
            await asyncio.sleep(0.2)


async def until_stored(storage: Storage, messages: int, timeout_s: float) -> None:
    """Wait until customers' messages are there that nobody waits for a receipt of: those of a mailbox."""
    async with asyncio.timeout(timeout_s):
        while sum(c.user_messages for c in await storage.conversations(limit=1000)) < messages:
            await asyncio.sleep(0.2)


def failed_turns(log: Path) -> Counter[str]:
    """Count in a process's log, by conversation, the turns that the model failed or that were given up."""
    told = (line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{"))
    failures = (json.loads(line) for line in told if '"model_failed"' in line or '"turn_given_up"' in line)
    return Counter(str(failure["conversation_id"]) for failure in failures)


async def count_faults(
    around: World, storage: Storage, counts: Sequence[int], failed: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int]:
    """Count the faults; ``counts`` is how many messages each customer wrote, in the order of their addresses.

    Every message has an answer of its own; only as many as ``failed`` says of a conversation may belong to turns that
    ended in the fallback text, or in silence because that was said a while ago.
    """
    faults: Counter[str] = Counter(NO_FAULTS)
    conversations = sorted(await storage.conversations(limit=1000), key=lambda c: c.address or "")
    for conversation, count in zip(conversations, counts, strict=True):
        messages = await storage.messages(conversation.id or 0, limit=10_000)
        asked = [m.content for m in messages if m.role == "user"]
        answers = [m for m in messages if m.role == "assistant"]
        faults["gaps"] += [m.sequence_number for m in messages] != list(range(1, len(messages) + 1))
        faults["lost"] += len({str(n) for n in range(count)} - set(asked))
        faults["answered twice"] += len(asked) - len(set(asked))
        # An answer also names what turns before it left without one: only its last word had this turn.
        left = set(asked) - {_words(m.content)[-1] for m in answers if _words(m.content)}
        excused = left.intersection(_excused(conversation, messages))
        faults["unanswered"] += len(left) - min(len(excused), failed.get(conversation.conversation_id, 0))
        answered = [m.answers_sequence or 0 for m in answers]
        faults["answered twice"] += len(answered) - len(set(answered))
        faults["out of order"] += answered != sorted(answered)
        read = around.line(conversation.channel_name).received(conversation.address or "")
        for texts in ([m.content for m in answers], read):
            words = [int(word) for text in texts for word in _words(text)]
            faults["answered twice"] += len(words) - len(set(words))
            faults["out of order"] += words != sorted(words)
        dead = [d for d in await storage.deliveries(conversation_id=conversation.id) if d.status == "failed"]
        faults["lost"] += max(0, len(answers) - len(read) - len(dead))
    return dict(faults)


def _words(text: str) -> list[str]:
    """Return which messages an answer names; the fallback text names none."""
    return text.removeprefix("re: ").split(" + ") if text.startswith("re: ") else []


def _excused(conversation: Conversation, messages: Sequence[Message]) -> Iterator[str]:
    """Yield what a turn took that ended in the fallback text, or in silence because that was said a while ago."""
    after = 0
    for answer in (m for m in messages if m.role == "assistant"):
        upto = answer.answers_sequence or 0
        if answer.content == FALLBACK:
            yield from (m.content for m in messages if m.role == "user" and after < m.sequence_number <= upto)
            if conversation.escalated and conversation.fallback_at is not None:
                silent_until = conversation.fallback_at + SAID_LATELY
                yield from (m.content for m in messages if m.sequence_number > upto and m.timestamp < silent_until)
        after = upto
