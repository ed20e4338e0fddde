"""The toolbox: what it makes of the model's calls, in which order it runs them, and what a resumed turn runs again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel, Field
from structlog.testing import capture_logs

from gateway.assistant.model import ToolCall
from gateway.assistant.tools import Acts, Call, Tool, Toolbox, ToolRefused, TurnRun
from gateway.assistant.tools.base import Arguments
from gateway.assistant.tools.toolbox import MAX_CALLS, MAX_OUTPUT
from gateway.metrics import Metrics
from gateway.storage import (
    Claim,
    Fenced,
    KeepToolResults,
    RunEffect,
    Storage,
    StorageUnavailable,
    StoredRun,
    Takeover,
    ToolResult,
)
from tests.conftest import make_database
from tests.test_storage_accept import NOW
from tests.test_storage_effects import Add, counts, turns_of
from tests.test_storage_locks import postgres_writer_dsn, until_blocked
from tests.test_storage_turns import SECOND, claim

FOREVER_S = 5.0


class Words(Arguments):
    """Something to say."""

    text: str = Field(max_length=20)
    times: int = 1


class Read(Tool):
    """Look something up."""

    name = "read"
    arguments = Words

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, arguments: Words, call: Call) -> Mapping[str, Any]:
        self.asked.append(arguments.text)
        return {"said": arguments.text * arguments.times}


class Meet(Tool):
    """End only when two have come."""

    name = "meet"
    arguments = Words
    timeout_s = FOREVER_S

    def __init__(self) -> None:
        self._came: list[str] = []
        self._both = asyncio.Event()

    async def run(self, arguments: Words, call: Call) -> Mapping[str, Any]:
        self._came.append(arguments.text)
        if len(self._came) == 2:
            self._both.set()
        await self._both.wait()
        return {"met": list(self._came)}


class Count(Tool):
    """Change something here."""

    name = "count"
    arguments = Words
    acts = Acts.HERE

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary

    async def run(self, arguments: Words, call: Call) -> Mapping[str, Any]:
        self.diary.append(f"{arguments.text} begins")
        output = await call.commit(Add())
        self.diary.append(f"{arguments.text} ends")
        return output


class Order(Tool):
    """Change something elsewhere."""

    name = "order"
    arguments = Words
    acts = Acts.ELSEWHERE

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.keys: list[str] = []

    async def run(self, arguments: Words, call: Call) -> Mapping[str, Any]:
        self.diary.append(f"{arguments.text} begins")
        self.keys.append(call.key)
        await asyncio.sleep(0)
        self.diary.append(f"{arguments.text} ends")
        return {"ordered": arguments.text}


class OrderAgain(Order):
    """Change something elsewhere that knows it by its key."""

    name = "order_again"
    resumable = True


class Odd(Tool):
    """Do whatever the test says."""

    name = "odd"
    arguments = Words
    timeout_s = 0.02

    def __init__(self, does: Any) -> None:
        self._does = does

    async def run(self, arguments: Words, call: Call) -> Mapping[str, Any]:
        if isinstance(self._does, Exception):
            raise self._does
        if callable(self._does):
            given: Mapping[str, Any] = await self._does(call)
            return given
        return self._does


class OddHere(Odd):
    """Do whatever the test says, here."""

    acts = Acts.HERE


class Box:
    """A toolbox over one customer's turn, and what its tools have noted."""

    def __init__(self, storage: Storage, claimed: Claim, *more: Tool) -> None:
        self.diary: list[str] = []
        self.read, self.count, self.order = Read(), Count(self.diary), Order(self.diary)
        self.order_again = OrderAgain(self.diary)
        tools = (self.read, Meet(), self.count, self.order, self.order_again, *more)
        self.metrics = Metrics()
        self.toolbox = Toolbox(tools, storage, self.metrics, lambda: NOW)
        self.storage = storage
        self.claim = claimed
        self.turn = TurnRun(claimed, NOW)

    async def ask(self, *calls: ToolCall, round_: int = 0) -> list[dict[str, Any]]:
        """Run a round; returns the outputs as the model reads them, in the order of the calls."""
        outputs = await self.toolbox.run(self.turn, round_, calls)
        assert [output.call_id for output in outputs] == [call.call_id for call in calls]
        return [json.loads(output.output) for output in outputs]

    async def resumed(self) -> TurnRun:
        """Return the turn as another worker finds it after this one has died."""
        [claimed] = await claim(self.storage, NOW + 31 * SECOND, owner="other")
        runs = await self.storage.tool_runs(claimed.id, after=0, up_to=claimed.input_sequence)
        return TurnRun(claimed, NOW, (), {(run.input_sequence, run.round, run.position): run for run in runs})

    async def kept(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Return what the journal has: (position, status, output)."""
        runs = await self.storage.tool_runs(self.claim.id, after=0, up_to=self.claim.input_sequence)
        return [(run.position, run.status, run.output) for run in runs]

    def counted(self, tool: str, outcome: str) -> float | None:
        labels = {"tool": tool, "outcome": outcome}
        return self.metrics.registry.get_sample_value("frontdesk_tool_calls_total", labels)


def call(name: str, text: str = "a", call_id: str = "", **more: Any) -> ToolCall:
    """Make a call as the model does."""
    return ToolCall(call_id or f"{name}:{text}", name, json.dumps({"text": text, **more}))


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Give one kind of database: where the two differ is tested beside the storage."""
    return f"sqlite:///{tmp_path}/frontdesk.db"


@pytest.fixture
async def box(storage: Storage) -> Box:
    """Give a toolbox for the turn of a customer who has written."""
    [claimed] = await turns_of(storage, "+1")
    return Box(storage, claimed)


def with_odd(box: Box, does: Any, *, here: bool = False) -> Box:
    """Return a box of the same turn with a tool that does what it is told."""
    return Box(box.storage, box.claim, OddHere(does) if here else Odd(does))


async def test_every_call_is_answered_in_order(box: Box) -> None:
    """Whatever kind each is of, and whether it can be run at all; and all of it is kept and counted."""
    calls = [
        call("count"),
        call("read"),
        call("nonsense"),
        call("order"),
        ToolCall("x", "read", "{"),
        call("read", "b"),
    ]
    outputs = await box.ask(*calls)
    kept = await box.kept()

    assert outputs[0] == {"count": 1}
    assert (outputs[1], outputs[5]) == ({"said": "a"}, {"said": "b"})
    assert outputs[2] == {"error": "unknown_tool", "known": ["read", "meet", "count", "order", "order_again"]}
    assert outputs[3] == {"ordered": "a"}
    assert outputs[4]["error"] == "invalid_arguments"
    assert [status for _, status, _ in kept] == ["done", "done", "failed", "done", "failed", "done"]
    assert [output for _, _, output in kept] == outputs
    assert [called.call_id for _, called, _ in box.turn.done] == [one.call_id for one in calls]
    assert (box.counted("read", "done"), box.counted("read", "failed"), box.counted("unknown", "failed")) == (2, 1, 1)


async def test_output_is_compact_and_keeps_its_letters(box: Box) -> None:
    """The model reads every character, and pays for each."""
    [output] = await box.toolbox.run(box.turn, 0, [call("read", "Größe 🙂")])

    assert output.output == '{"said":"Größe 🙂"}'


@pytest.mark.parametrize(
    ("arguments", "at", "problem"),
    [
        pytest.param('{"text": "a", "colour": "red"}', "colour", "Extra inputs are not permitted", id="unknown key"),
        pytest.param("{}", "text", "Field required", id="missing"),
        pytest.param('{"text": "a", "times": "b"}', "times", "Input should be a valid integer", id="wrong type"),
        pytest.param('{"text": "' + "x" * 21 + '"}', "text", "String should have at most 20 characters", id="too long"),
        pytest.param("[1]", "", "Input should be an object", id="no object"),
        pytest.param('{"text": "a"', "", "Invalid JSON", id="no JSON"),
        pytest.param("", "", "Invalid JSON", id="nothing"),
    ],
)
async def test_invalid_arguments_come_back_so_that_they_can_be_corrected(
    box: Box, arguments: str, at: str, problem: str
) -> None:
    """Where the fault is and what it is; without links, and without the words repeated."""
    [output] = await box.ask(ToolCall("1", "read", arguments))
    [detail] = output["detail"]

    assert output["error"] == "invalid_arguments"
    assert detail["at"] == at
    assert detail["problem"].startswith(problem)
    assert "http" not in json.dumps(output)
    assert "xxx" not in json.dumps(output)
    assert box.read.asked == []


async def test_a_name_that_the_model_invents_is_in_no_log(box: Box) -> None:
    """It may be a customer's words; what fails under a name of ours is logged by it."""
    with capture_logs() as logs:
        await box.ask(call("call +15550100007"), ToolCall("1", "read", "{}"))

    assert [(entry["event"], entry["tool"], entry["error"]) for entry in logs] == [
        ("tool_failed", "unknown", "unknown_tool"),
        ("tool_failed", "read", "invalid_arguments"),
    ]


async def test_too_many_calls_are_answered_and_not_run(box: Box) -> None:
    """The first ones are; the rest is told to come again, and is no failure of its tool."""
    calls = [call("read" if n % 2 else "count", f"{n}") for n in range(MAX_CALLS + 3)]
    outputs = await box.ask(*calls)

    assert [output.get("error") for output in outputs] == [None] * MAX_CALLS + ["too_many_calls"] * 3
    assert len(box.read.asked) + len(box.diary) // 2 == MAX_CALLS
    assert box.turn.failures == 0


# --- order ---


async def test_what_reads_runs_side_by_side(box: Box) -> None:
    """Two that wait for each other both end."""
    async with asyncio.timeout(FOREVER_S):
        outputs = await box.ask(call("meet", "a"), call("meet", "b"))

    assert outputs == [{"met": ["a", "b"]}] * 2


async def test_what_acts_runs_one_after_the_other(box: Box) -> None:
    """In the order of the calls, here and elsewhere alike."""
    await box.ask(call("order", "1"), call("count", "2"), call("read", "x"), call("order", "3"), call("count", "4"))

    assert box.diary == [f"{n} {what}" for n in (1, 2, 3, 4) for what in ("begins", "ends")]
    assert await counts(box.storage) == [2]


@pytest.mark.parametrize("name", ["count", "order"])
async def test_the_same_call_of_a_round_is_made_once(box: Box, name: str) -> None:
    """The others are told so, and are no failure; in another round it is another call."""
    outputs = await box.ask(call(name, "a"), call(name, "b"), call(name, "a", "again"), call(name, "a", "and again"))
    [later] = await box.ask(call(name, "a"), round_=1)

    assert [output.get("error") for output in outputs] == [None, None, "duplicate_call", "duplicate_call"]
    assert "error" not in later
    assert box.diary == [f"{text} {what}" for text in "aba" for what in ("begins", "ends")]
    assert box.turn.failures == 0


async def test_what_reads_may_be_asked_twice(box: Box) -> None:
    """It does no harm, and both get their answer."""
    outputs = await box.ask(call("read", "a"), call("read", "a", "again"))

    assert outputs == [{"said": "a"}] * 2


# --- what goes wrong ---


async def wait_for_ever(_: Call) -> Mapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_a_tool_that_takes_too_long_is_left(box: Box) -> None:
    """The others have their answers, and the model hears what to offer."""
    odd = with_odd(box, wait_for_ever)
    outputs = await odd.ask(call("odd"), call("read"))

    assert (outputs[0]["error"], outputs[1]) == ("timeout", {"said": "a"})
    assert odd.turn.failures == 1


class Foreign(BaseModel):
    """What some other server answers."""

    token: int


async def read_foreign(_: Call) -> Mapping[str, Any]:
    return Foreign.model_validate({"token": "secret-token"}).model_dump()


SECRET = "secret-token"


@pytest.mark.parametrize(
    "does",
    [
        pytest.param(LookupError(f"no row for {SECRET} at 10.0.0.1"), id="an exception"),
        pytest.param(read_foreign, id="another model's validation"),
        pytest.param({"when": date(2026, 12, 1), "x": SECRET}, id="no JSON"),
        pytest.param({"n": float("nan"), "x": SECRET}, id="no number"),
        pytest.param([SECRET], id="no mapping"),
        pytest.param(None, id="nothing"),
        pytest.param(ToolRefused("no", "Not so.", when=date(2026, 12, 1), x=SECRET), id="a refusal that is no JSON"),
    ],
)
async def test_what_breaks_in_a_tool_stays_there(box: Box, does: Any) -> None:
    """Neither the model nor the record gets a word of it; the log has it, and the turn goes on."""
    odd = with_odd(box, does)
    with capture_logs() as logs:
        outputs = await odd.ask(call("odd"), call("read"))
    [(_, status, kept), _] = await odd.kept()

    assert (
        outputs[0]
        == kept
        == {
            "error": "tool_failed",
            "message": "It does not work now. Offer that a person gets back.",
        }
    )
    assert (status, outputs[1]) == ("failed", {"said": "a"})
    assert [entry["event"] for entry in logs] == ["tool_broke", "tool_failed"]


@pytest.mark.parametrize("error", [StorageUnavailable("away"), Fenced()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("here", [False, True])
async def test_what_ends_the_turn_passes_through(box: Box, error: Exception, here: bool) -> None:
    """A database that is away and a turn that was taken away are no tool's failure."""
    with pytest.raises(type(error)):
        await with_odd(box, error, here=here).ask(call("odd"))
    assert await box.kept() == []


@pytest.mark.parametrize("name", ["count", "order", "read"])
async def test_a_turn_that_was_taken_away_stops(box: Box, name: str) -> None:
    """Nothing is changed here or elsewhere, and nothing is kept."""
    await box.storage.run(Takeover(box.claim.conversation_id, "ann", NOW))

    with pytest.raises(Fenced):
        await box.ask(call(name))
    assert "a ends" not in box.diary
    assert await counts(box.storage) == [None]
    assert await box.kept() == []


async def test_a_refusal_is_words_for_the_model(box: Box) -> None:
    """With what it needs to ask differently; it is no failure."""
    odd = with_odd(box, ToolRefused("which_one", "Ask which.", choices=["a", "b"]))
    [output] = await odd.ask(call("odd"))

    assert output == {"error": "which_one", "message": "Ask which.", "choices": ["a", "b"]}
    assert (odd.turn.failures, odd.counted("odd", "done")) == (0, 1)


@pytest.mark.parametrize("refused", [False, True])
async def test_output_that_is_too_long_is_cut_and_says_so(box: Box, refused: bool) -> None:
    """What fits stays as it is; the record has what the model reads."""
    long = {"text": "x" * MAX_OUTPUT}
    odd = with_odd(box, ToolRefused("no", "Not so.", **long) if refused else long)
    [output] = await odd.ask(call("odd"))
    [(_, _, kept)] = await odd.kept()
    [fits] = await odd.ask(call("read", "x" * 20, times=190), round_=1)

    assert output["truncated"] is True
    assert MAX_OUTPUT - 200 < len(output["output"]) < MAX_OUTPUT
    assert kept == output
    assert fits == {"said": "x" * 3800}


async def test_only_what_acts_here_commits(box: Box) -> None:
    """A tool that does not say so would run beside others, or lose what it does to its own note: it breaks loudly."""

    async def commit(called: Call) -> Mapping[str, Any]:
        return await called.commit(Add())

    [output] = await with_odd(box, commit).ask(call("odd"))

    assert output["error"] == "tool_failed"
    assert await counts(box.storage) == [None]


# --- time-outs and what was committed ---


async def test_a_tool_that_times_out_after_its_commit_is_believed(box: Box) -> None:
    """What the record says happened is what the model is told."""

    async def commit_and_wait(called: Call) -> Mapping[str, Any]:
        await called.commit(Add())
        return await wait_for_ever(called)

    odd = with_odd(box, commit_and_wait, here=True)
    outputs = await odd.ask(call("odd"))

    assert outputs == [{"count": 1}]
    assert await odd.kept() == [(0, "done", {"count": 1})]
    assert odd.turn.failures == 0


async def test_a_commit_that_outlives_its_tool_is_believed(postgres_url: str) -> None:
    """Also where the tool is left while its commit still waits for a row that somebody else holds."""
    async with Storage(await make_database(postgres_url)) as storage:
        await storage.migrate()
        [claimed] = await turns_of(storage, "+1")
        left = asyncio.Event()

        async def commit(called: Call) -> Mapping[str, Any]:
            try:
                return await called.commit(Add())
            finally:
                left.set()

        odd = Box(storage, claimed, OddHere(commit))
        other = await asyncpg.connect(postgres_writer_dsn(storage))
        async with other.transaction():
            await other.execute("SELECT 1 FROM chat_conversations FOR UPDATE")
            asking = asyncio.create_task(odd.ask(call("odd")))
            await until_blocked(other)
            await left.wait()
        outputs = await asking
        await other.close()

        assert outputs == [{"count": 1}]
        assert await odd.kept() == [(0, "done", {"count": 1})]


# --- resumed turns ---


async def test_what_is_settled_is_not_run_again(box: Box) -> None:
    """A resumed turn reads what its calls gave, and goes on behind them."""
    calls = [call("count", "1"), call("read", "2"), call("order", "3"), ToolCall("4", "read", "{}")]
    before = await box.ask(*calls)
    again = Box(box.storage, box.claim)
    again.turn = await box.resumed()
    after = await again.ask(*calls)
    [further] = await again.ask(call("count", "5"), round_=1)

    assert after == before
    assert (again.read.asked, again.diary) == ([], ["5 begins", "5 ends"])
    assert further == {"count": 2}
    assert [(called.call_id, run.status) for _, called, run in again.turn.done] == [
        ("count:1", "done"),
        ("read:2", "done"),
        ("order:3", "done"),
        ("4", "failed"),
        ("count:5", "done"),
    ]


async def test_a_resumed_round_goes_on_where_it_was_cut_off(box: Box) -> None:
    """What was settled stays, what was not is run, and a repeated call is still one."""
    calls = [call("count", "1"), call("count", "1", "again"), call("read", "2"), call("count", "3")]
    await box.storage.run(RunEffect(named(box, calls[0], 0), Add(), NOW))
    again = Box(box.storage, box.claim)
    again.turn = await box.resumed()
    outputs = await again.ask(*calls)

    assert outputs[0] == {"count": 1}
    assert outputs[1]["error"] == "duplicate_call"
    assert outputs[2:] == [{"said": "2"}, {"count": 2}]
    assert again.diary == ["3 begins", "3 ends"]


def named(box: Box, one: ToolCall, position: int) -> Any:
    """Name a call of the first round as the toolbox does."""
    return box.toolbox._place(box.turn, box.claim.input_sequence, 0, position, one)


@pytest.mark.parametrize("name", ["order", "order_again"])
async def test_what_was_cut_off_elsewhere_is_run_again_only_if_it_says_so(box: Box, name: str) -> None:
    """Otherwise nobody knows whether it happened: that is said, counted and logged, and stays so."""
    interrupted = ToolResult(named(box, call(name), 0), "started", {}, 0)
    await box.storage.run(KeepToolResults((interrupted,), NOW))
    again = Box(box.storage, box.claim)
    again.turn = await box.resumed()
    with capture_logs() as logs:
        [output] = await again.ask(call(name))
    [(_, status, kept)] = await again.kept()

    if name == "order":
        assert (output["error"], again.diary, status) == ("unknown_outcome", [], "failed")
        assert [(entry["event"], entry["tool"], entry["error"]) for entry in logs] == [
            ("tool_failed", "order", "unknown_outcome")
        ]
    else:
        assert (output, again.diary, status) == ({"ordered": "a"}, ["a begins", "a ends"], "done")
        assert logs == []
    assert kept == output


async def test_what_acts_elsewhere_is_noted_before_it_begins(box: Box) -> None:
    """So that whoever resumes the turn knows that it may have happened."""

    async def look(_: Call) -> Mapping[str, Any]:
        return {"kept": [status for _, status, _ in await box.kept()]}

    class Look(Odd):
        acts = Acts.ELSEWHERE
        timeout_s = FOREVER_S

    [output] = await Box(box.storage, box.claim, Look(look)).ask(call("odd"))

    assert output == {"kept": ["started"]}


async def test_a_call_keeps_its_key(box: Box) -> None:
    """Tried again it is the same one, in whatever round; every other call has another."""
    await box.ask(call("order_again", "1"), call("order_again", "2"))
    await box.ask(call("order_again", "1"), round_=1)
    again = Box(box.storage, box.claim)
    again.turn = await box.resumed()
    again.turn.known = {}
    await again.ask(call("order_again", "1"), call("order_again", "2"))

    first, second, third = box.order_again.keys
    assert first == third != second
    assert again.order_again.keys == box.order_again.keys[:2]


# --- what a turn has seen ---


@pytest.mark.parametrize(
    ("runs", "failures"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([("a", "failed"), ("a", "failed")], 2, id="one tool twice"),
        pytest.param([("a", "failed"), ("b", "failed")], 2, id="two tools"),
        pytest.param([("a", "failed"), ("a", "failed"), ("a", "done")], 0, id="it works again"),
        pytest.param([("a", "failed"), ("b", "done"), ("a", "failed")], 2, id="another one works"),
        pytest.param([("a", "failed"), ("a", "done"), ("a", "failed")], 1, id="it works no more"),
    ],
)
def test_failures_count_until_the_tool_works(runs: list[tuple[str, str]], failures: int) -> None:
    """They tell when a conversation is better off with a person."""
    turn = TurnRun(None, NOW)  # type: ignore[arg-type]
    for n, (name, status) in enumerate(runs):
        turn.note([(call(name), StoredRun(n, 0, status, {}, name))])

    assert turn.failures == failures


def test_failures_of_one_round_count_once() -> None:
    """The model is told what was wrong, and may correct it; calls that were not run say nothing about their tool."""
    turn = TurnRun(None, NOW)  # type: ignore[arg-type]
    not_run = {"error": "too_many_calls"}
    failed = [(call("a", f"{n}"), StoredRun(0, n, "failed", {}, "a")) for n in range(3)]
    turn.note([*failed, (call("a", "9"), StoredRun(0, 9, "done", not_run, "a"))])

    assert turn.failures == 1


async def test_what_fails_elsewhere_may_have_happened(box: Box) -> None:
    """It is not tried again, a person is asked to look, and what comes beside it in the round is done all the same."""

    async def breaks(_: Call) -> Mapping[str, Any]:
        raise RuntimeError("connection lost")

    class Pay(Odd):
        acts = Acts.ELSEWHERE

    other = Box(box.storage, box.claim, Pay(breaks))
    other.turn = box.turn
    paid, counted = await other.ask(call("odd"), call("count"))
    [again] = await other.ask(call("odd"), round_=1)

    assert (paid["error"], counted, again["error"]) == ("unknown_outcome", {"count": 1}, "unknown_outcome")
    assert other.turn.handover is not None
    assert other.turn.handover.source == "rule:unknown_outcome"


def test_the_models_last_wish_for_a_person_counts() -> None:
    """One that was cut short, or not run at all, is none."""
    turn = TurnRun(None, NOW)  # type: ignore[arg-type]
    outputs: list[Mapping[str, Any]] = [
        {"reason": "complaint", "summary": "Too late."},
        {"reason": "emergency", "summary": "Gas."},
        {"truncated": True, "output": "{"},
        {"error": "too_many_calls"},
    ]
    name = "escalate_to_human"
    turn.note([(call(name), StoredRun(0, n, "done", output, name)) for n, output in enumerate(outputs)])

    assert turn.handover is not None
    assert (turn.handover.reason, turn.handover.source, turn.handover.summary) == ("emergency", "model", "Gas.")


async def test_specs_are_the_tools_in_their_order(box: Box) -> None:
    """Every request names them alike: they stand in the prefix that a provider caches."""
    other = Box(box.storage, box.claim)

    assert [spec.name for spec in box.toolbox.specs] == ["read", "meet", "count", "order", "order_again"]
    assert repr(box.toolbox.specs) == repr(other.toolbox.specs)
    assert box.toolbox.specs[0].description == "Look something up."
