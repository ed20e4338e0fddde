"""The loop of a turn: the model is asked, its calls are run, and it is asked again, until it answers in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.assistant.escalation.rules import FAILED_TOOLS
from gateway.assistant.model import Completion, Model, Prompt, Usage
from gateway.assistant.tools import Toolbox, TurnRun
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.storage import Claim, Fenced, JournalRound, Storage, TurnRound


@dataclass(frozen=True, slots=True)
class Spoken:
    """The model's last word in a turn, and what all of its rounds cost."""

    completion: Completion
    usage: Usage


class Loop:
    """Asks, journals, runs tools, asks again."""

    def __init__(
        self, storage: Storage, model: Model, toolbox: Toolbox, metrics: Metrics, clock: Clock, *, max_rounds: int
    ) -> None:
        self._storage = storage
        self._model = model
        self._toolbox = toolbox
        self._metrics = metrics
        self._clock = clock
        self._max_rounds = max_rounds

    async def begin(self, claim: Claim) -> tuple[TurnRun, tuple[TurnRound, ...]]:
        """Return a try of the turn and the rounds that an earlier one has journalled.

        Raises:
            StorageUnavailable: the journal cannot be read.
        """
        if not claim.has_rounds:
            return TurnRun(claim, self._clock()), ()
        rounds = await self._storage.rounds(claim.id, claim.input_sequence)
        runs = await self._storage.tool_runs(claim.id, claim.input_sequence)
        return TurnRun(claim, self._clock(), {(run.round, run.position): run for run in runs}), tuple(rounds)

    async def run(self, turn: TurnRun, journal: Sequence[TurnRound], prompt: Prompt) -> Spoken:
        """Ask until the model answers with text; what is journalled is not asked, and not done, again.

        Raises:
            ModelError: the model gives no answer.
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the database is away.
        """
        past = [Completion.from_json(row.response or {}) for row in journal]
        prompt = replace(prompt, tools=self._toolbox.specs)
        usage = Usage()
        for number in range(self._max_rounds + 1):
            # Tools that failed twice are asked for no third time: the turn hands the conversation over.
            last = number == self._max_rounds or turn.failures >= FAILED_TOOLS
            replayed = number < len(past)
            completion = past[number] if replayed else await self._ask(replace(prompt, last_round=last))
            usage += completion.usage
            if not completion.calls or (last and not replayed):
                return Spoken(completion, usage)
            if not replayed:
                await self._keep_round(turn.claim, number, completion)
            outputs = await self._toolbox.run(turn, number, completion.calls)
            prompt = replace(prompt, rounds=(*prompt.rounds, (completion.round, outputs)))
        raise AssertionError("the last round has no calls")

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
