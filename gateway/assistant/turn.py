"""One turn of the shared chatbot: what the pipeline and ``send_message`` both run.

It is given a claimed conversation and returns what to say and whether a person is needed; committing both is the
caller's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels.content import Content
from gateway.assistant import phrases
from gateway.assistant.actions import actions
from gateway.assistant.escalation.rules import Heard, gravest, hear, judge
from gateway.assistant.history import Window
from gateway.assistant.loop import Loop, Spoken
from gateway.assistant.model import ModelError, Prompt
from gateway.assistant.prompt import WAITING_NOTE, booked_note, handover_note, notes, system_prompt
from gateway.assistant.safety import Safety
from gateway.assistant.summary import Summaries, said_as_data
from gateway.assistant.tools import TurnRun
from gateway.assistant.transcript import Told, Transcript
from gateway.clock import Clock
from gateway.config import AssistantConfig, BusinessConfig
from gateway.metrics import Metrics
from gateway.schedule import Schedule
from gateway.storage import Answer, Claim, Finished, Handover, Storage

log = structlog.get_logger(__name__)

FALLBACK_EVERY = timedelta(minutes=10)
"""A conversation hears the fallback text at most once in this time."""
FALLBACK = Handover("ai_confidence_low", "rule:fallback")
UNSAFE = Handover("ai_confidence_low", "rule:unsafe_answer")
MAX_APPOINTMENTS = 5
"""Of a customer, that the model is told of without asking."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a turn ends."""

    answer: Answer | None
    """None where nothing is said: the fallback text was said a short while ago."""
    handover: Handover | None = None
    fallback: bool = False
    window: Window | None = None
    """What the model saw of the transcript, where it was asked."""


class Assistant:
    """Answers what a claimed conversation waits with."""

    def __init__(
        self,
        storage: Storage,
        transcript: Transcript,
        loop: Loop,
        summaries: Summaries,
        metrics: Metrics,
        clock: Clock,
        config: AssistantConfig,
        business: BusinessConfig,
    ) -> None:
        """Put it together.

        Raises:
            ValueError: an entry of ``allowed_links`` is none.
        """
        self._storage = storage
        self._transcript = transcript
        self._loop = loop
        self._summaries = summaries
        self._metrics = metrics
        self._clock = clock
        self._business = business
        self._schedule = Schedule(business)
        self._instructions = system_prompt(business, config.instructions)
        self._safety = Safety(
            self._instructions, _owner_texts(business), config.allowed_links, own_words=config.instructions or ""
        )
        self._cache_key = hashlib.sha256(self._instructions.encode()).hexdigest()[:32]

    async def answer(self, claim: Claim) -> Reply:
        """Ask the model and run its tools; a model that fails gives the fallback text.

        Raises:
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the database is away.
        """
        started = time.monotonic()
        told = await self._transcript.tell(claim)
        heard = hear(_texts(claim), _since_handoff(claim, told))
        turn, journal = await self._loop.begin(claim)
        prompt = await self._prompt(claim, told, heard)
        try:
            spoken = await self._loop.run(turn, journal, prompt)
        except ModelError as error:
            kind = type(error).__name__
            self._metrics.model_errors.labels(kind).inc()
            log.error("model_failed", kind=kind, request_id=error.request_id)
            return self._fallback(claim, heard, gravest([heard.handover, turn.handover, FALLBACK]), turn)
        self._metrics.tokens.labels(spoken.completion.model).inc(spoken.usage.total)
        reply = self._reply(claim, told, heard, turn, spoken)
        if reply.answer is None:
            return reply
        duration_ms = round((time.monotonic() - started) * 1000)
        return replace(reply, answer=replace(reply.answer, processing_time_ms=duration_ms), window=told.window)

    def fallback(self, claim: Claim) -> Reply:
        """Say in the business's name that a person will answer, unless that was said a short while ago."""
        heard = hear(_texts(claim), ())
        return self._fallback(claim, heard, gravest([heard.handover, FALLBACK]), None)

    async def remember(self, claim: Claim, reply: Reply, finished: Finished) -> None:
        """Put a committed turn into the conversation memory, and see whether it has become long."""
        if reply.handover is not None and claim.mode == "bot" and finished.needs_person:
            self._metrics.escalations.labels(reply.handover.reason, reply.handover.source).inc()
        await self._transcript.remember(claim, reply.answer, finished)
        if reply.window is not None:
            self._summaries.consider(claim, reply.window, finished.total_messages)

    # --- what is said ---

    def _reply(self, claim: Claim, told: Told, heard: Heard, turn: TurnRun, spoken: Spoken) -> Reply:
        completion = spoken.completion
        checked = self._safety.check(completion.text)
        for what in checked.removed:
            self._metrics.answers_checked.labels(what).inc()
            log.warning("answer_changed", what=what, request_id=completion.request_id)
        if checked.text is None:
            return self._fallback(claim, heard, gravest([heard.handover, turn.handover, UNSAFE]), turn)
        earlier = _since_handoff(claim, told)
        judged = judge(checked.text, _texts(claim), earlier, failed_tools=turn.failures)
        handover = gravest([heard.handover, turn.handover, judged])
        answer = Answer(
            Content(checked.text),
            model=completion.model,
            reasoning_effort=completion.reasoning_effort,
            verbosity=completion.verbosity,
            tokens_used=spoken.usage.total,
            tool_calls=actions(turn, self._safety),
        )
        return Reply(self._with_opening(claim, heard, answer, handover), self._summed_up(claim, handover))

    def _fallback(self, claim: Claim, heard: Heard, handover: Handover | None, turn: TurnRun | None) -> Reply:
        handover = self._summed_up(claim, handover)
        if claim.fallback_at is not None and self._clock() - claim.fallback_at < FALLBACK_EVERY:
            return Reply(None, handover, fallback=True)
        text = phrases.fallback(self._business, heard.language)
        answer = Answer(Content(text), tool_calls=actions(turn, self._safety) if turn else ())
        return Reply(self._with_opening(claim, heard, answer, handover), handover, fallback=True)

    def _with_opening(self, claim: Claim, heard: Heard, answer: Answer, handover: Handover | None) -> Answer:
        """Add when somebody will be there, where the conversation is handed over outside business hours."""
        now = self._clock()
        opening = self._schedule.next_opening(now)
        if handover is None or claim.mode != "bot" or opening is None or opening <= now:
            return answer
        sentence = phrases.out_of_hours(self._business, heard.language, opening, now)
        return replace(answer, content=replace(answer.content, text=f"{answer.text}\n\n{sentence}"))

    @staticmethod
    def _summed_up(claim: Claim, handover: Handover | None) -> Handover | None:
        """Give a hand-over what it is about: the model's summary, or else the customer's own last words."""
        if handover is None or handover.summary is not None:
            return handover
        return replace(handover, summary=_texts(claim)[-1] if claim.messages else None)

    # --- the prompt ---

    async def _prompt(self, claim: Claim, told: Told, heard: Heard) -> Prompt:
        now = self._clock()
        conversation = hashlib.sha256(claim.conversation_id.encode()).hexdigest()
        return Prompt(
            instructions=self._instructions,
            lines=told.window.lines,
            summary=said_as_data(told.summary) if told.summary else None,
            notes=notes(
                now,
                self._business,
                customer_name=claim.user_name,
                channel_kind=claim.channel,
                known=await self._known(claim, heard, now),
            ),
            # From GPT-5.6 on a prefix is found again where an earlier request ended, so within one conversation; and
            # one key should not see more than some 15 requests a minute (developers.openai.com, cookbook, "Prompt
            # caching 201", read 2026-11).
            cache_key=f"{self._cache_key}:{conversation[:24]}",
            user_key=conversation,
            metadata={"conversation_id": conversation},
        )

    async def _known(self, claim: Claim, heard: Heard, now: datetime) -> list[str]:
        """Say what is known beside the transcript: appointments, and who is asked to take over."""
        known = []
        if claim.converted_to_appointment:
            booked = await self._storage.appointments(
                since=now, conversation=(claim.id, claim.contact_id), status="booked", limit=MAX_APPOINTMENTS
            )
            if booked:
                known.append(booked_note(booked))
        if heard.handover is not None and claim.mode == "bot":
            known.append(handover_note(heard.handover.reason, self._schedule.next_opening(now), now))
        elif claim.mode == "waiting":
            known.append(WAITING_NOTE)
        return known


def _texts(claim: Claim) -> tuple[str, ...]:
    return tuple(message.content for message in claim.messages)


def _since_handoff(claim: Claim, told: Told) -> list[Any]:
    return [entry for entry in told.window.earlier if entry.sequence_number > claim.handoff_sequence]


def _owner_texts(business: BusinessConfig) -> Sequence[str]:
    """Return what the owner wrote, which customers may read word for word."""
    texts = [business.name, business.phone or ""]
    texts += [text for entry in business.faq for text in (entry.question, entry.answer)]
    return [*texts, *(service.name for service in business.services)]
