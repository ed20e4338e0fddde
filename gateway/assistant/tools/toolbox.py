"""The toolbox: checks the model's calls, runs them in the right order, and keeps what they gave in the journal."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from gateway.assistant.model import ToolCall, ToolOutput, ToolSpec
from gateway.assistant.tools.base import Acts, Arguments, Call, Customer, Tool, ToolRefused
from gateway.assistant.tools.escalation import NAME as ESCALATE
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.storage import (
    Claim,
    Effect,
    Fenced,
    Handover,
    KeepToolResults,
    RunEffect,
    Storage,
    StorageUnavailable,
    StoredRun,
    ToolPlace,
    ToolResult,
)

log = structlog.get_logger(__name__)

MAX_CALLS = 8
"""Of one round; the rest is answered with an error."""
MAX_OUTPUT = 4_000
"""Characters of one output that the model reads."""
MAX_COMPLAINTS = 10
"""About one call's arguments: a model that makes up a thousand of them would be told a thousand times."""
MAX_PLACE = 100
"""Characters of where a complaint points, which may be a name of the model's own."""
_KEYS = uuid.UUID("5f0a2a52-9c55-4a6d-8a57-5f3f7a0c1d0e")


@dataclass(slots=True)
class TurnRun:
    """One try of a turn: what it runs for, what an earlier try has journalled, and what its tools have given."""

    claim: Claim
    now: datetime
    known: Mapping[tuple[int, int], StoredRun] = field(default_factory=dict)
    """By round and position."""
    done: list[tuple[ToolCall, StoredRun]] = field(default_factory=list)
    """In the order in which they were called."""

    @property
    def failures(self) -> int:
        """How many calls failed of tools that have not succeeded since."""
        open_: dict[str, int] = {}
        for call, run in self.done:
            open_[call.name] = open_.get(call.name, 0) + 1 if run.status == "failed" else 0
        return sum(open_.values())

    @property
    def handover(self) -> Handover | None:
        """Why the model wants a person, if it does."""
        asked = [run.output for _, run in self.done if run.name == ESCALATE and "reason" in run.output]
        return Handover(asked[-1]["reason"], "model", asked[-1]["summary"]) if asked else None

    @property
    def customer(self) -> Customer:
        """Who the turn is for."""
        claim = self.claim
        return Customer(
            claim.id,
            claim.contact_id,
            claim.conversation_id,
            claim.channel,
            claim.user_name,
            claim.user_phone,
            claim.user_email,
        )


class Toolbox:
    """All tools of this installation."""

    def __init__(self, tools: Sequence[Tool], storage: Storage, metrics: Metrics, clock: Clock) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self.specs: tuple[ToolSpec, ...] = tuple(tool.spec() for tool in tools)
        """In the same order and the same bytes for every call: they stand in the prefix cache."""

    async def run(self, turn: TurnRun, round_: int, calls: Sequence[ToolCall]) -> tuple[ToolOutput, ...]:
        """Answer every call of a journalled round, in order: what reads side by side, what acts one by one.

        Raises:
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the database is away; the journal tells the next try where to go on.
        """
        places = [self._place(turn, round_, position, call) for position, call in enumerate(calls)]
        runs: dict[int, StoredRun] = {
            p: turn.known[round_, p] for p in range(len(calls)) if self._is_settled(turn, round_, p)
        }
        open_ = [place for place in places if place.position not in runs]
        reading = [place for place in open_ if self._acts(place) is Acts.NOWHERE]
        results = list(await asyncio.gather(*(self._attempt(turn, place) for place in reading)))
        acting = [place for place in open_ if place not in reading]
        results += [await self._act(turn, place, places[: place.position]) for place in acting]
        if results:
            for run in await self._keep(results):
                runs[run.position] = run
        for position, call in enumerate(calls):
            turn.done.append((call, runs[position]))
        return tuple(ToolOutput(call.call_id, _shown(runs[n].output)) for n, call in enumerate(calls))

    # --- which, and whether ---

    @staticmethod
    def _place(turn: TurnRun, round_: int, position: int, call: ToolCall) -> ToolPlace:
        claim = turn.claim
        return ToolPlace(claim.id, claim.fence, claim.input_sequence, round_, position, call.name, call.arguments)

    def _is_settled(self, turn: TurnRun, round_: int, position: int) -> bool:
        known = turn.known.get((round_, position))
        return known is not None and known.status != "started"

    def _acts(self, place: ToolPlace) -> Acts:
        """Tell how a call acts; what is not run at all acts nowhere."""
        tool = self._tools.get(place.name)
        return tool.acts if tool is not None and place.position < MAX_CALLS else Acts.NOWHERE

    # --- running one ---

    async def _act(self, turn: TurnRun, place: ToolPlace, before: Sequence[ToolPlace]) -> ToolResult:
        """Run what acts, noting first that it begins where nobody could tell afterwards what it did."""
        if any((other.name, other.arguments) == (place.name, place.arguments) for other in before):
            message = "The same call of this round was made once."
            return self._settle(place, "done", {"error": "duplicate_call", "message": message})
        tool = self._tools[place.name]
        if tool.acts is Acts.ELSEWHERE:
            begun = turn.known.get((place.round, place.position))
            if begun is not None and not tool.resumable:
                message = (
                    "It was interrupted; whether it happened is not known. Tell the customer that a person checks."
                )
                return self._settle(place, "failed", {"error": "unknown_outcome", "message": message})
            await self._keep([ToolResult(place, "started", {}, 0)])
        return await self._attempt(turn, place)

    async def _attempt(self, turn: TurnRun, place: ToolPlace) -> ToolResult:
        started = time.monotonic()
        status, output = await self._output(turn, place)
        return self._settle(place, status, output, round((time.monotonic() - started) * 1000))

    def _settle(self, place: ToolPlace, status: str, output: Mapping[str, Any], duration_ms: int = 0) -> ToolResult:
        """Count how a call ended; a name that is none of ours may be the customer's words."""
        name = place.name if place.name in self._tools else "unknown"
        if status == "failed":
            log.warning("tool_failed", tool=name, error=str(output.get("error")))
        self._metrics.tool_calls.labels(name, status).inc()
        return ToolResult(place, status, output, duration_ms)

    async def _output(self, turn: TurnRun, place: ToolPlace) -> tuple[str, Mapping[str, Any]]:
        """Run a call; whatever becomes of it is words for the model, and nothing of our insides."""
        tool = self._tools.get(place.name)
        if tool is None:
            return "failed", {"error": "unknown_tool", "known": list(self._tools)}
        if place.position >= MAX_CALLS:
            return "done", {"error": "too_many_calls", "message": f"Call at most {MAX_CALLS} tools at once."}
        try:
            arguments = tool.arguments.model_validate_json(place.arguments)
        except ValidationError as error:
            return "failed", {"error": "invalid_arguments", "detail": _complaints(error)}
        try:
            return "done", _fitting(await _said(tool, arguments, self._call(turn, place)))
        except TimeoutError:
            return "failed", {"error": "timeout", "message": "It took too long. Offer that a person gets back."}
        except (Fenced, StorageUnavailable):
            raise
        except Exception:  # a tool of the owner's, too: the turn goes on, and the model hears no more than this
            log.exception("tool_broke", tool=place.name)
            return "failed", {"error": "tool_failed", "message": "It does not work now. Offer that a person gets back."}

    def _call(self, turn: TurnRun, place: ToolPlace) -> Call:
        async def commit(effect: Effect) -> Mapping[str, Any]:
            if self._acts(place) is not Acts.HERE:  # its record would be taken for one of something else
                raise RuntimeError(f"{place.name} commits: it has to say acts = Acts.HERE")
            run = await self._storage.run(RunEffect(place, effect, self._clock()))
            if run is None:
                raise Fenced
            return run.output

        claim = turn.claim
        key = uuid.uuid5(_KEYS, f"{claim.conversation_id}:{claim.input_sequence}:{place.round}:{place.position}")
        return Call(turn.customer, turn.now, str(key), commit)

    async def _keep(self, results: Sequence[ToolResult]) -> tuple[StoredRun, ...]:
        """Keep what the calls gave; a tool that has committed its own record, even after a time-out, is believed."""
        kept = await self._storage.run(KeepToolResults(tuple(results), self._clock()))
        if kept is None:
            raise Fenced
        return kept


async def _said(tool: Tool, arguments: Arguments, call: Call) -> Mapping[str, Any]:
    """Return what a tool gives in its time, or why it refuses."""
    try:
        async with asyncio.timeout(tool.timeout_s):
            given: Mapping[str, Any] = await tool.run(arguments, call)
            return given
    except ToolRefused as refused:
        return {"error": refused.code, "message": refused.message, **refused.facts}


def _fitting(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an output as it is kept: JSON, and not longer than the model can use.

    Raises:
        TypeError, ValueError: JSON cannot hold it.
    """
    text = json.dumps(dict(output), ensure_ascii=False, allow_nan=False)
    return json.loads(text) if len(text) <= MAX_OUTPUT else {"truncated": True, "output": text[: MAX_OUTPUT - 100]}


def _shown(output: Mapping[str, Any]) -> str:
    return json.dumps(output, ensure_ascii=False, separators=(",", ":"))


def _complaints(error: ValidationError) -> list[dict[str, Any]]:
    """Return what is wrong first with the arguments, without the library's links and without repeating them."""
    complaints = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {"at": ".".join(map(str, entry["loc"]))[:MAX_PLACE], "problem": entry["msg"]}
        for entry in complaints[:MAX_COMPLAINTS]
    ]
