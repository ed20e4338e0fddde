"""The loop of a turn: the model is asked, its calls are run, and it is asked again, until it answers in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from gateway.assistant.escalation.rules import FAILED_TOOLS
from gateway.assistant.model import Completion, Model, ModelError, Prompt
from gateway.assistant.tools import JournalledRound, Toolbox, TurnRun
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.storage import Claim, Fenced, JournalRound, Storage


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

    async def begin(self, claim: Claim) -> TurnRun:
        """Return a try of the turn, with what earlier ones have journalled for these messages, or for some of them.

        Raises:
            StorageUnavailable: the journal cannot be read.
        """
        if not claim.has_rounds:
            return TurnRun(claim, self._clock())
        inputs = {"after": claim.answered_sequence, "up_to": claim.input_sequence}
        rows = await self._storage.rounds(claim.id, **inputs)
        runs = await self._storage.tool_runs(claim.id, **inputs)
        return TurnRun(
            claim,
            self._clock(),
            tuple(JournalledRound(r.input_sequence, r.round, Completion.from_json(r.response or {})) for r in rows),
            {(run.input_sequence, run.round, run.position): run for run in runs},
        )

    async def run(self, turn: TurnRun, prompt: Prompt) -> Completion:
        """Ask until the model answers with text; what is journalled is not asked, and not done, again.

        Raises:
            ModelError: the model gives no answer.
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the database is away.
        """
        prompt = replace(prompt, tools=self._toolbox.specs)
        for row in turn.rounds:
            turn.usage += row.completion.usage
            outputs = await self._toolbox.run(turn, row.number, row.completion.calls, input_sequence=row.input_sequence)
            prompt = replace(prompt, rounds=(*prompt.rounds, (row.completion.round, outputs)))
        own = [row.number for row in turn.rounds if row.input_sequence == turn.claim.input_sequence]
        for number in count(max(own, default=-1) + 1):
            # Tools that failed twice are asked for no third time: the turn hands the conversation over.
            last = number >= self._max_rounds or turn.failures >= FAILED_TOOLS
            completion = await self._ask(turn, replace(prompt, last_round=last))
            if not completion.calls or last:
                return completion
            await self._keep_round(turn.claim, number, completion)
            outputs = await self._toolbox.run(turn, number, completion.calls)
            prompt = replace(prompt, rounds=(*prompt.rounds, (completion.round, outputs)))
        raise AssertionError("count() does not end")

    async def _ask(self, turn: TurnRun, prompt: Prompt) -> Completion:
        try:
            completion = await self._model.complete(prompt)
        except ModelError as error:
            turn.usage += error.usage
            raise
        turn.usage += completion.usage
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
