"""The toolbox: checks the model's calls, runs them in the right order, and keeps what they gave in the journal."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from gateway.assistant.model import ToolCall, ToolOutput, ToolSpec
from gateway.assistant.tools.base import Acts, Arguments, Call, Tool, ToolRefused
from gateway.assistant.tools.turn_run import UNCONFIRMED, UNKNOWN, TurnRun, canonical
from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.storage import (
    Effect,
    Fenced,
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
NOBODY_KNOWS = {
    "error": UNKNOWN,
    "message": "It was interrupted: nobody knows whether it happened. Say that a person will check. Do not try again.",
}
CONFIRM = (
    "Nothing was done: it is not proven that the customer wrote this message. A person of the business will look at it "
    "and confirm it. Tell the customer so, and do not try again."
)
_KEYS = uuid.UUID("5f0a2a52-9c55-4a6d-8a57-5f3f7a0c1d0e")


class Toolbox:
    """All tools of this installation."""

    def __init__(self, tools: Sequence[Tool], storage: Storage, metrics: Metrics, clock: Clock) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._storage = storage
        self._metrics = metrics
        self._clock = clock
        self.specs: tuple[ToolSpec, ...] = tuple(tool.spec() for tool in tools)
        """In the same order and the same bytes for every call: they stand in the prefix cache."""

    async def run(
        self, turn: TurnRun, round_: int, calls: Sequence[ToolCall], *, input_sequence: int | None = None
    ) -> tuple[ToolOutput, ...]:
        """Answer every call of a journalled round, in order: what reads side by side, what acts one by one.

        ``input_sequence`` is the one that the round was journalled under, where that is not the turn's own.

        Raises:
            Fenced: the turn was taken away meanwhile.
            StorageUnavailable: the database is away; the journal tells the next try where to go on.
        """
        of = turn.claim.input_sequence if input_sequence is None else input_sequence
        places = [self._place(turn, of, round_, position, call) for position, call in enumerate(calls)]
        runs = {place.position: run for place in places if (run := self._settled(turn, place)) is not None}
        open_ = [place for place in places if place.position not in runs]
        reading = [place for place in open_ if not place.acts]
        results = await self._side_by_side(turn, reading)
        for run in await self._keep(results) if results else ():
            runs[run.position] = run
        for place in open_:
            if place.acts:  # kept at once: what a later call meets must not cast doubt on this one
                [runs[place.position]] = await self._keep([await self._act(turn, place, places[: place.position])])
        turn.note([(call, runs[position]) for position, call in enumerate(calls)])
        return tuple(ToolOutput(call.call_id, _shown(runs[n].output)) for n, call in enumerate(calls))

    # --- which, and whether ---

    def _place(self, turn: TurnRun, of: int, round_: int, position: int, call: ToolCall) -> ToolPlace:
        tool = self._tools.get(call.name)
        acts = tool is not None and tool.acts is not Acts.NOWHERE and position < MAX_CALLS
        return ToolPlace(turn.claim.id, turn.claim.fence, of, round_, position, call.name, call.arguments, acts)

    @staticmethod
    def _settled(turn: TurnRun, place: ToolPlace) -> StoredRun | None:
        known = _known(turn, place)
        return known if known is not None and known.status != "started" else None

    # --- running one ---

    async def _side_by_side(self, turn: TurnRun, places: Sequence[ToolPlace]) -> list[ToolResult]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._attempt(turn, place)) for place in places]
        except ExceptionGroup as failed:  # the database is away: for all of them alike
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _act(self, turn: TurnRun, place: ToolPlace, before: Sequence[ToolPlace]) -> ToolResult:
        """Run what acts, noting first that it begins where nobody could tell afterwards what it did."""
        if any((other.name, other.arguments) == (place.name, place.arguments) for other in before):
            message = "The same call of this round was made once."
            return self._settle(place, "done", {"error": "duplicate_call", "message": message})
        tool = self._tools[place.name]
        if tool.acts is Acts.HERE:
            return await self._attempt(turn, place)
        begun = _known(turn, place) is not None or turn.is_unknown(place.name, place.arguments)
        if begun and not tool.resumable:
            return self._settle(place, "failed", NOBODY_KNOWS)
        await self._keep([ToolResult(place, "started", {}, 0)])
        result = await self._attempt(turn, place)
        is_unknown = result.output.get("error") in ("timeout", "tool_failed")  # it may have happened all the same
        return ToolResult(place, "failed", NOBODY_KNOWS, result.duration_ms) if is_unknown else result

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
        if _needs_confirmation(tool, turn.trust):
            return "done", {"error": UNCONFIRMED, "message": CONFIRM}
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
            if self._tools[place.name].acts is not Acts.HERE:  # its record would be taken for one of something else
                raise RuntimeError(f"{place.name} commits: it has to say acts = Acts.HERE")
            run = await self._storage.run(RunEffect(place, effect, self._clock()))
            if run is None:
                raise Fenced
            return run.output

        # By what is asked and since when, not by the round: a call that is tried again stands in another one.
        claim, asked = turn.claim, canonical(place.arguments)
        key = uuid.uuid5(_KEYS, f"{claim.conversation_id}:{claim.answered_sequence}:{place.name}:{asked}")
        return Call(turn.customer, turn.now, str(key), commit)

    async def _keep(self, results: Sequence[ToolResult]) -> tuple[StoredRun, ...]:
        """Keep what the calls gave; a tool that has committed its own record, even after a time-out, is believed."""
        kept = await self._storage.run(KeepToolResults(tuple(results), self._clock()))
        if kept is None:
            raise Fenced
        return kept


def _needs_confirmation(tool: Tool, trust: str | None) -> bool:
    """Tell whether a person has to say yes first: somebody may be writing in the customer's name."""
    if tool.acts is Acts.NOWHERE:
        return False
    return trust == "failed" or (trust == "unverified" and tool.changes_what_is)


def _known(turn: TurnRun, place: ToolPlace) -> StoredRun | None:
    return turn.known.get((place.input_sequence, place.round, place.position))


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
