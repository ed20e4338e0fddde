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

import structlog

from channels.content import Content
from gateway.assistant import phrases
from gateway.assistant.actions import actions
from gateway.assistant.escalation.rules import Heard, gravest, hear, judge
from gateway.assistant.history import Entry
from gateway.assistant.loop import Loop
from gateway.assistant.model import Completion, ModelError, Prompt
from gateway.assistant.prompt import WAITING_NOTE, booked_note, handover_note, notes, system_prompt
from gateway.assistant.robots import Robots, Suspicion
from gateway.assistant.safety import Safety
from gateway.assistant.summary import Summaries, said_as_data
from gateway.assistant.tools import TurnRun
from gateway.assistant.transcript import Told, Transcript
from gateway.calendar import invitation_of
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
MAX_ANSWER = {"sms": 1_600}
"""Characters; a model that runs on would otherwise leave as dozens of messages, each of them paid for. Twilio itself
takes no more than that in one (www.twilio.com/docs/api/errors/21617, read 2026-11)."""
MAX_ANSWER_ELSEWHERE = 8_000
INVITED = frozenset({"email"})
"""The kinds of channels whose readers have a calendar beside them."""
MAX_APPOINTMENTS = 5
"""Of a customer, that the model is told of without asking."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a turn ends."""

    answer: Answer | None
    """None where nothing is said: the fallback text was said a short while ago."""
    handover: Handover | None = None
    fallback: bool = False
    told: Told | None = None
    """What the model was told of the transcript, where it was asked."""

    @property
    def window_start(self) -> int | None:
        """Where the prompt's window began, where there was one."""
        return None if self.told is None else self.told.window.start


@dataclass(frozen=True, slots=True)
class Case:
    """A turn in the making: what is answered, what was told of it and heard in it, and what its tools do."""

    claim: Claim
    heard: Heard
    turn: TurnRun
    told: Told | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """What the customer writes now."""
        return texts_of(self.claim)

    @property
    def earlier(self) -> list[Entry]:
        """What was said since the conversation was last handed over or given back."""
        entries = () if self.told is None else self.told.window.earlier
        return [entry for entry in entries if entry.sequence_number > self.claim.handoff_sequence]

    def needs_person(self, *wishes: Handover | None) -> Handover | None:
        """Return why a person is needed: the gravest reason, with the model's summary or the customer's own words."""
        handover = gravest([self.heard.handover, self.turn.handover, *wishes])
        if handover is None or handover.summary is not None:
            return handover
        return replace(handover, summary=self.texts[-1] if self.texts else None)


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
        self._robots = Robots(storage)
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
        suspicion = await self._robots.suspect(claim, self._clock())
        if suspicion is not None:
            return self._left_to_people(claim, suspicion)
        told = await self._transcript.tell(claim)
        turn = await self._loop.begin(claim)
        case = Case(claim, Heard(None, None), turn, told)
        case = replace(case, heard=hear(case.texts, case.earlier))
        try:
            completion = await self._loop.run(turn, await self._prompt(case, told))
        except ModelError as error:
            kind = type(error).__name__
            self._metrics.model_errors.labels(kind).inc()
            log.error("model_failed", kind=kind, request_id=error.request_id)
            return self._fallback(case, FALLBACK)
        self._metrics.tokens.labels(completion.model).inc(turn.usage.total)
        reply = self._reply(case, completion, round((time.monotonic() - started) * 1000))
        return await self._invited(case, reply)

    async def give_up(self, claim: Claim) -> Reply:
        """End a turn that keeps failing: its tools may have done something, which its record then tells.

        Raises:
            StorageUnavailable: the database is away.
        """
        turn = await self._loop.begin(claim)
        turn.recall()
        return self._fallback(Case(claim, hear(texts_of(claim), ()), turn), FALLBACK)

    async def remember(self, claim: Claim, reply: Reply, finished: Finished) -> None:
        """Put a committed turn into the conversation memory, and see whether it has become long."""
        if reply.handover is not None and claim.mode == "bot" and finished.needs_person:
            self._metrics.escalations.labels(reply.handover.reason, reply.handover.source).inc()
        await self._transcript.remember(claim, reply.told, reply.answer, finished)
        if reply.told is not None:
            self._summaries.consider(claim, reply.told.window, finished.total_messages)

    # --- what is said ---

    def _reply(self, case: Case, completion: Completion, duration_ms: int) -> Reply:
        checked = self._safety.check(completion.text)
        for what in checked.removed:
            self._metrics.answers_checked.labels(what).inc()
            log.warning("answer_changed", what=what, request_id=completion.request_id)
        if checked.text is None:
            return self._fallback(case, UNSAFE)
        judged = judge(checked.text, case.texts, case.earlier, failed_tools=case.turn.failures)
        handover = case.needs_person(judged)
        text = shortened(checked.text, MAX_ANSWER.get(case.claim.channel, MAX_ANSWER_ELSEWHERE))
        answer = Answer(
            Content(self._with_opening(case, text, handover)),
            model=completion.model,
            reasoning_effort=completion.reasoning_effort,
            verbosity=completion.verbosity,
            tokens_used=case.turn.usage.total,
            processing_time_ms=duration_ms,
            tool_calls=actions(case.turn, self._safety),
        )
        return Reply(answer, handover, told=case.told)

    def _left_to_people(self, claim: Claim, suspicion: Suspicion) -> Reply:
        """Say no more of our own to what may be a robot: in words that are new, one would answer for ever."""
        log.warning("robot_not_answered", reason=suspicion.handover.source)
        heard = hear(texts_of(claim), ())
        handover = gravest([heard.handover, suspicion.handover])
        if not suspicion.is_new or claim.mode != "bot":
            return Reply(None, handover)
        now = self._clock()
        opening = self._schedule.next_opening(now)
        return Reply(Answer(Content(phrases.handed_over(self._business, heard.language, opening, now))), handover)

    async def _invited(self, case: Case, reply: Reply) -> Reply:
        """Attach the appointments that the turn has booked, moved or cancelled, for whoever reads mail."""
        changed = case.turn.changed_appointments
        if reply.answer is None or case.claim.channel not in INVITED or not changed:
            return reply
        theirs = await self._storage.appointments(conversation=(case.claim.id, case.claim.contact_id))
        meant = [appointment for appointment in theirs if appointment.id in changed]
        installation = await self._storage.installation_id()
        if not meant or installation is None:
            return reply
        account = case.claim.account or ""
        text = invitation_of(meant, installation=installation, name=self._business.name, address=account)
        content = replace(reply.answer.content, calendar=text)
        return replace(reply, answer=replace(reply.answer, content=content))

    def _fallback(self, case: Case, why: Handover) -> Reply:
        """Say in the business's name that a person will answer.

        That is said once in a while only, unless the turn has done something: its record goes with an answer.
        """
        handover = case.needs_person(why)
        said_at = case.claim.fallback_at
        said_lately = said_at is not None and self._clock() - said_at < FALLBACK_EVERY
        if said_lately and not case.turn.done:
            return Reply(None, handover, fallback=True, told=case.told)
        text = phrases.fallback(self._business, case.heard.language)
        answer = Answer(
            Content(self._with_opening(case, text, handover)),
            tokens_used=case.turn.usage.total or None,
            tool_calls=actions(case.turn, self._safety),
        )
        return Reply(answer, handover, fallback=True, told=case.told)

    def _with_opening(self, case: Case, text: str, handover: Handover | None) -> str:
        """Add when somebody will be there, where the conversation is handed over outside business hours."""
        now = self._clock()
        opening = self._schedule.next_opening(now)
        if handover is None or case.claim.mode != "bot" or opening is None or opening <= now:
            return text
        return f"{text}\n\n{phrases.out_of_hours(self._business, case.heard.language, opening, now)}"

    # --- the prompt ---

    async def _prompt(self, case: Case, told: Told) -> Prompt:
        now, claim = self._clock(), case.claim
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
                known=await self._known(claim, case.heard, now),
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


def shortened(text: str, limit: int) -> str:
    """Return a text of at most that many characters, ended behind a sentence or a word."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 2]
    ends = [cut.rfind(mark) + len(mark) for mark in (". ", "! ", "? ", "\n")]
    end = max(ends) if max(ends) > limit // 2 else cut.rfind(" ")
    return f"{cut[: max(end, limit // 2)].rstrip()} …"


def texts_of(claim: Claim) -> tuple[str, ...]:
    """Return what the customer writes now."""
    return tuple(message.content for message in claim.messages)


def _owner_texts(business: BusinessConfig) -> Sequence[str]:
    """Return what the owner wrote, which customers may read word for word."""
    texts = [business.name, business.phone or ""]
    texts += [text for entry in business.faq for text in (entry.question, entry.answer)]
    return [*texts, *(service.name for service in business.services)]
