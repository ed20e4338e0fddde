"""What a tool does and the record of it are one commit, under its turn's fence; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from gateway.storage import (
    Claim,
    Close,
    Effect,
    Effected,
    KeepToolResults,
    RunEffect,
    Storage,
    StoredRun,
    Takeover,
    ToolPlace,
    ToolResult,
)
from gateway.storage.sql import Steps, statement
from tests.test_storage_accept import NOW, accept, sms
from tests.test_storage_locks import make_large_database, others_may_take, postgres_writer_dsn, until_blocked
from tests.test_storage_turns import SECOND, claim, finish

ADD_ONE = statement(
    """
    UPDATE chat_conversations AS c SET customer_id = COALESCE(c.customer_id, 0) + r.by FROM {r} WHERE c.id = r.id
    RETURNING customer_id
    """,
    id="int",
    by="int",
)


@dataclass(frozen=True)
class Add:
    """Count in a column that nothing else touches, so that doing it twice shows."""

    by: int = 1
    happened: bool = True

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        [row] = yield ADD_ONE, [{"id": conversation["id"], "by": self.by if self.happened else 0}]
        return Effected({"count": row["customer_id"]}, self.happened)


@dataclass(frozen=True)
class Break:
    """Change something, and then fail."""

    def steps(self, conversation: Mapping[str, Any]) -> Steps[Effected]:
        yield ADD_ONE, [{"id": conversation["id"], "by": 100}]
        raise LookupError("broken")


async def turns_of(storage: Storage, *senders: str) -> list[Claim]:
    """Let customers write, and claim their turns, in the order in which they are given."""
    for sender in senders:
        await accept(storage, sms(sender, f"SM{sender}"))
    claims = {turn.address: turn for turn in await claim(storage, limit=100)}
    return [claims[sender] for sender in senders]


def place(turn: Claim, position: int = 0, *, round_: int = 0, name: str = "add") -> ToolPlace:
    """Name a call of a turn."""
    return ToolPlace(turn.id, turn.fence, turn.input_sequence, round_, position, name, "{}")


async def act(storage: Storage, turn: Claim, effect: Effect, position: int = 0, *, round_: int = 0) -> StoredRun | None:
    """Let a call of a turn do something."""
    return await storage.run(RunEffect(place(turn, position, round_=round_), effect, NOW))


async def keep(storage: Storage, turn: Claim, status: str, output: Mapping[str, Any]) -> tuple[StoredRun, ...] | None:
    """Keep what a turn's first call gave."""
    return await storage.run(KeepToolResults((ToolResult(place(turn), status, output, 5),), NOW))


async def rows(storage: Storage, query: str) -> list[tuple[Any, ...]]:
    """Read rows past the storage's own questions."""
    async with storage._readers.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def change(storage: Storage, command: str, **values: Any) -> None:
    """Change rows past the storage's own operations."""
    async with storage._engine.begin() as connection:
        await connection.execute(text(command), values)


async def counts(storage: Storage) -> list[int | None]:
    """Return how far each conversation has counted."""
    return [row[0] for row in await rows(storage, "SELECT customer_id FROM chat_conversations ORDER BY id")]


def outputs(runs: Iterable[StoredRun | None]) -> list[Mapping[str, Any] | None]:
    return [run and run.output for run in runs]


async def test_an_effect_and_its_record_commit_together(storage: Storage) -> None:
    """The call's place in the journal keeps what it gave, for whoever resumes the turn."""
    [turn] = await turns_of(storage, "+1")
    run = await act(storage, turn, Add(), 2, round_=1)
    kept = await storage.tool_runs(turn.id, after=0, up_to=turn.input_sequence)

    assert run == StoredRun(1, 2, "done", {"count": 1}, "add")
    assert kept == (run,)
    assert await counts(storage) == [1]


@pytest.mark.parametrize("how", ["one after the other", "at once", "in two processes at once"])
async def test_the_same_call_happens_once(storage: Storage, database_url: str, how: str) -> None:
    """Whoever tries it again gets the first output, and nothing more is done."""
    [turn] = await turns_of(storage, "+1")
    if how == "one after the other":
        runs = [await act(storage, turn, Add(by)) for by in range(1, 9)]
    elif how == "at once":
        runs = await asyncio.gather(*(act(storage, turn, Add(by)) for by in range(1, 9)))
    else:
        async with Storage(database_url) as other:
            calls = (act(where, turn, Add(by)) for by in range(1, 5) for where in (storage, other))
            runs = await asyncio.gather(*calls)
    [count] = await counts(storage)

    assert outputs(runs) == [{"count": count}] * 8
    assert count in range(1, 5)


async def test_calls_of_one_turn_are_told_apart(storage: Storage) -> None:
    """The same call in another place of the journal is another call."""
    [turn] = await turns_of(storage, "+1")
    runs = [await act(storage, turn, Add(), n % 2, round_=n // 2) for n in range(4)]

    assert outputs(runs) == [{"count": n} for n in (1, 2, 3, 4)]


async def test_a_resumed_turn_finds_what_it_has_done(storage: Storage) -> None:
    """The next claim of the same messages has another fence and the same journal."""
    [lost] = await turns_of(storage, "+1")
    first = await act(storage, lost, Add())
    [turn] = await claim(storage, NOW + 31 * SECOND, owner="other")
    again = await act(storage, turn, Add(5))

    assert turn.fence > lost.fence
    assert again == first
    assert await counts(storage) == [1]


@pytest.mark.parametrize("why", ["takeover", "close", "another worker", "finished"])
async def test_a_turn_that_was_taken_away_does_nothing(storage: Storage, why: str) -> None:
    """An effect and a record that come after the fence was raised change nothing and say so."""
    [turn] = await turns_of(storage, "+1")
    if why == "takeover":
        await storage.run(Takeover(turn.conversation_id, "ann", NOW))
    elif why == "close":
        await storage.run(Close(turn.conversation_id, NOW))
    elif why == "another worker":
        await claim(storage, NOW + 31 * SECOND, owner="other")
    else:
        await finish(storage, turn)
    run = await act(storage, turn, Add())
    kept = await keep(storage, turn, "done", {"x": 1})

    assert (run, kept) == (None, None)
    assert await counts(storage) == [None]
    assert await rows(storage, "SELECT * FROM tool_runs") == []


async def test_what_did_not_happen_is_not_recorded(storage: Storage) -> None:
    """It may happen when it is tried again."""
    [turn] = await turns_of(storage, "+1")
    before = await act(storage, turn, Add(happened=False))
    kept = await storage.tool_runs(turn.id, after=0, up_to=turn.input_sequence)
    after = await act(storage, turn, Add())

    assert outputs([before, after]) == [{"count": 0}, {"count": 1}]
    assert kept == ()


async def test_an_effect_that_fails_fails_alone(storage: Storage) -> None:
    """What it had changed is undone, and those beside it are committed."""
    turns = await turns_of(storage, *(f"+{n}" for n in range(1, 6)))
    effects: list[Effect] = [Add(), Add(), Break(), Add(), Add()]
    calls = (act(storage, turn, effect) for turn, effect in zip(turns, effects, strict=True))
    runs = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(run).__name__ for run in runs] == [
        "StoredRun",
        "StoredRun",
        "LookupError",
        "StoredRun",
        "StoredRun",
    ]
    assert await counts(storage) == [1, 1, None, 1, 1]


# --- records of what did nothing here ---


async def test_a_committed_effect_is_believed(storage: Storage) -> None:
    """A call that timed out after its effect was committed is kept as what it did."""
    [turn] = await turns_of(storage, "+1")
    await act(storage, turn, Add())
    kept = await keep(storage, turn, "failed", {"error": "timeout"})

    assert kept == (StoredRun(0, 0, "done", {"count": 1}, "add"),)


async def test_an_effect_that_comes_after_its_failure_does_nothing(storage: Storage) -> None:
    """What the model was told stays true."""
    [turn] = await turns_of(storage, "+1")
    kept = await keep(storage, turn, "failed", {"error": "timeout"})
    run = await act(storage, turn, Add())

    assert kept == (run,)
    assert run == StoredRun(0, 0, "failed", {"error": "timeout"}, "add")
    assert await counts(storage) == [None]


async def test_an_effect_and_its_time_out_agree(storage: Storage) -> None:
    """Submitted at once, whichever is first: the record says what has happened."""
    turns = await turns_of(storage, *(f"+{n}" for n in range(1, 21)))
    pairs = [(act(storage, turn, Add()), keep(storage, turn, "failed", {"error": "timeout"})) for turn in turns]
    done = await asyncio.gather(*(call for pair in pairs for call in pair))
    told = [(done[n], done[n + 1][0]) for n in range(0, len(done), 2)]

    assert [run for run, _ in told] == [kept for _, kept in told]
    assert await counts(storage) == [1 if run.status == "done" else None for run, _ in told]


async def test_what_was_begun_is_settled_once(storage: Storage) -> None:
    """A call that acts elsewhere is noted before and settled afterwards; what is settled stays so."""
    [turn] = await turns_of(storage, "+1")
    states = [
        await keep(storage, turn, status, output)
        for status, output in [("started", {}), ("done", {"n": 1}), ("failed", {"n": 2}), ("started", {})]
    ]

    assert [(kept[0].status, kept[0].output) for kept in states if kept] == [
        ("started", {}),
        ("done", {"n": 1}),
        ("done", {"n": 1}),
        ("done", {"n": 1}),
    ]


async def test_records_of_many_turns_share_a_commit(storage: Storage) -> None:
    """Each turn gets its own back, in its own order, and a fenced one gets none."""
    turns = await turns_of(storage, *(f"+{n}" for n in range(1, 9)))
    await storage.run(Takeover(turns[3].conversation_id, "ann", NOW))
    writes = [
        KeepToolResults(tuple(ToolResult(place(t, p), "done", {"t": n, "p": p}, 1) for p in (2, 0, 1)), NOW)
        for n, t in enumerate(turns)
    ]
    kept = await asyncio.gather(*(storage.run(write) for write in writes))
    told = [None if runs is None else [(run.output["t"], run.output["p"]) for run in runs] for runs in kept]

    assert told == [None if n == 3 else [(n, 2), (n, 0), (n, 1)] for n in range(8)]


async def test_an_effect_waits_for_the_rows_of_its_batch_in_their_order(postgres_url: str) -> None:
    """Effects lock conversations in the order of their ids, as the door does, whatever order they come in.

    Otherwise each would hold what the other waits for.
    """
    async with Storage(await make_large_database(postgres_url)) as storage:
        await storage.migrate()
        first, second = await turns_of(storage, "+1", "+2")
        dsn = postgres_writer_dsn(storage)
        door = await asyncpg.connect(dsn)
        async with door.transaction():
            await door.execute("SELECT 1 FROM chat_conversations WHERE id = $1 FOR UPDATE", first.id)
            waiting = [asyncio.create_task(act(storage, turn, Add())) for turn in (second, first)]
            await until_blocked(door)
            is_free = await others_may_take(dsn, second.id)
        await asyncio.gather(*waiting)
        await door.close()

        assert is_free
        assert await counts(storage) == [1, 1]
