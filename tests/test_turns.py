"""Turns in a running process: leases, fences, resumes and give-ups, with a model that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway import turns
from gateway.assistant.model import Completion, ModelUnavailable, Prompt, Round, ToolCall, Usage
from gateway.assistant.parts import build_assistant
from gateway.assistant.phrases import fallback
from gateway.assistant.summary import Summaries
from gateway.bus import open_bus
from gateway.cache import open_memory
from gateway.clock import utc_now
from gateway.config import AssistantConfig, BusinessConfig, Config, ServerConfig, TurnsConfig
from gateway.media import Media, MediaStore
from gateway.metrics import Metrics
from gateway.roster import Roster
from gateway.storage import ClaimTurns, ReleaseTurn, Storage, StorageUnavailable, Takeover
from gateway.turns import Turns
from tests.loopback import LoopbackChannel, roster_of
from tests.test_storage_accept import accept, sms

SECOND = timedelta(seconds=1)


class HeldModel:
    """A model whose answers the test gives, one by one; each prompt waits for its answer."""

    def __init__(self) -> None:
        self.prompts: asyncio.Queue[tuple[Prompt, asyncio.Future[Any]]] = asyncio.Queue()

    async def complete(self, prompt: Prompt) -> Completion:
        """Wait for the test."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.prompts.put_nowait((prompt, answer))
        said = await answer
        if isinstance(said, Exception):
            raise said
        calls = (ToolCall("call_1", "unknown_tool", "{}"),) if said == "CALL" else ()
        text = "" if calls else said
        return Completion(text, calls, Round(({"type": "message"},)), Usage(10, 0, 5, 0), "m-1", "low", "low", "r", 3)

    async def lifetime(self) -> None:
        """Nobody knows."""

    async def close(self) -> None:
        """Nothing to close."""


class House:
    """The workers around one database, without a door."""

    def __init__(self, storage: Storage, turns: Turns, model: HeldModel, roster: Roster) -> None:
        self.storage = storage
        self.turns = turns
        self.model = model
        self.roster = roster

    async def asked(self) -> tuple[list[str], asyncio.Future[Any]]:
        """Return what the model is asked next, and where to put the answer."""
        prompt, answer = await asyncio.wait_for(self.model.prompts.get(), 10)
        return [f"{line.role}: {line.text}" for line in prompt.lines], answer

    async def transcript(self, count: int) -> list[str]:
        """Wait for a transcript of so many messages and return it."""
        async with asyncio.timeout(10):
            while True:
                [conversation] = await self.storage.conversations()
                if conversation.total_messages >= count and conversation.lease_owner is None:
                    break
                await asyncio.sleep(0.01)
        messages = await self.storage.messages(conversation.id or 0)
        return [f"{message.role}: {message.content}" for message in messages]


@asynccontextmanager
async def house(storage: Storage, tmp_path: Path, **settings: Any) -> AsyncIterator[House]:
    """Run the turns of one process."""
    roster = roster_of(LoopbackChannel("sms"))
    bus = open_bus(None)
    model = HeldModel()
    config = Config(
        server=ServerConfig(public_url="https://chat.example.com"),
        assistant=AssistantConfig(api_key="x"),
        channels={},
    )
    from channels.http import Http

    async with Http() as http:
        media = Media(storage, roster, MediaStore(tmp_path / "media"), http, utc_now)
        metrics = Metrics()
        summaries = Summaries(storage, model, metrics, utc_now)
        assistant = build_assistant(storage, open_memory(None), media, model, summaries, metrics, utc_now, config)
        turns = Turns(
            storage,
            roster,
            assistant,
            bus,
            metrics,
            utc_now,
            TurnsConfig(**settings),
            owner="serve:test",
            answer_while_waiting=True,
        )
        running = asyncio.create_task(turns.run())
        try:
            yield House(storage, turns, model, roster)
        finally:
            await turns.stop(0.1)
            await running
            await summaries.close()


async def test_messages_are_answered_in_order(storage: Storage, tmp_path: Path) -> None:
    """Without coalescing every message has its own turn; the next prompt holds the answer before it."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "one"), sms("+1555", "SM2", "two"), at=utc_now())
        first, answer = await h.asked()
        assert h.model.prompts.empty()
        answer.set_result("to one")
        second, answer = await h.asked()
        answer.set_result("to two")
        transcript = await h.transcript(4)

        assert first == ["user: one"]
        assert second == ["user: one", "assistant: to one", "user: two"]
        assert transcript == ["user: one", "user: two", "assistant: to one", "assistant: to two"]


async def test_conversations_do_not_wait_for_each_other(storage: Storage, tmp_path: Path) -> None:
    """While one conversation's turn hangs, another's is answered."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1slow", "SM1", "slow"), at=utc_now())
        _, slow = await h.asked()
        await accept(storage, sms("+1fast", "SM2", "fast"), at=utc_now())
        _, fast = await h.asked()
        fast.set_result("quick answer")
        async with asyncio.timeout(5):
            while not await storage.deliveries():
                await asyncio.sleep(0.01)
        [delivery] = await storage.deliveries()
        slow.set_result("slow answer")

        assert delivery.content == "quick answer"


async def test_message_during_a_turn_gets_the_next_one(storage: Storage, tmp_path: Path) -> None:
    """What arrives while the model thinks is answered by the next turn, behind the answer that was in the making."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "one", coalesce_s=0.05), at=utc_now())
        _, answer = await h.asked()
        await accept(storage, sms("+1555", "SM2", "two", coalesce_s=0.05), at=utc_now())
        answer.set_result("to one")
        second, answer = await h.asked()
        answer.set_result("to two")
        await h.transcript(4)

        assert second == ["user: one", "assistant: to one", "user: two"]


async def test_takeover_while_the_model_thinks(storage: Storage, tmp_path: Path) -> None:
    """An answer that was in the making when a person took over is never written and never sent."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "one"), at=utc_now())
        _, answer = await h.asked()
        [conversation] = await storage.conversations()
        await storage.run(Takeover(conversation.conversation_id, "ann", utc_now()))
        answer.set_result("too late")
        transcript = await h.transcript(1)

        assert transcript == ["user: one"]
        assert await storage.deliveries() == []


async def test_resumed_turn_keeps_its_input(storage: Storage, tmp_path: Path) -> None:
    """A turn of a dead worker is resumed with exactly its messages; what arrived since is answered after it."""
    await accept(storage, sms("+1555", "SM1", "one", coalesce_s=0.01), at=utc_now())
    await asyncio.sleep(0.02)
    past = utc_now() - 60 * SECOND
    [lost] = await storage.run(ClaimTurns("serve:dead", utc_now(), past + 61 * SECOND, 1, ("sms",)))
    await accept(storage, sms("+1555", "SM2", "two", coalesce_s=0.01), at=utc_now())
    async with house(storage, tmp_path) as h:
        first, answer = await h.asked()
        answer.set_result("to one")
        second, answer = await h.asked()
        answer.set_result("to two")
        await h.transcript(4)

        assert lost.messages[0].content == "one"
        assert first == ["user: one"]
        assert second == ["user: one", "assistant: to one", "user: two"]


async def test_failed_model_gives_the_fallback_once(storage: Storage, tmp_path: Path) -> None:
    """A failed model: the fallback text, then silence for ten minutes, and a mark for a person; then life goes on."""
    async with house(storage, tmp_path) as h:
        for n in (1, 2):
            await accept(storage, sms("+1555", f"SM{n}", f"m{n}"), at=utc_now())
            _, answer = await h.asked()
            answer.set_exception(ModelUnavailable("down"))
            await h.transcript(n + 1)
        await accept(storage, sms("+1555", "SM3", "m3"), at=utc_now())
        _, answer = await h.asked()
        answer.set_result("back again")
        transcript = await h.transcript(5)
        [conversation] = await storage.conversations()

        assert transcript == [
            "user: m1",
            f"assistant: {fallback(BusinessConfig(), None)}",
            "user: m2",
            "user: m3",
            "assistant: back again",
        ]
        assert (conversation.mode, conversation.escalated) == ("waiting", True)
        assert conversation.answered_sequence == 4


async def test_turn_that_keeps_breaking_is_given_up(storage: Storage, tmp_path: Path) -> None:
    """A fault of ours is tried again, and after the last attempt the fallback text ends the turn."""
    async with house(storage, tmp_path, max_attempts=1) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        _, answer = await h.asked()
        answer.set_exception(RuntimeError("a bug"))
        transcript = await h.transcript(2)

        assert transcript[1] == f"assistant: {fallback(BusinessConfig(), None)}"


class AwayStorage:
    """A storage whose transcript cannot be read, and whose turns cannot be given back, so many times."""

    def __init__(self, storage: Storage, times: int) -> None:
        self._storage = storage
        self._left = {"read": times, "release": times}

    async def newest_messages(self, *arguments: Any, **more: Any) -> Any:
        """Read, where the test lets it."""
        self._fail("read")
        return await self._storage.newest_messages(*arguments, **more)

    async def run(self, operation: Any) -> Any:
        """Commit, where the test lets it."""
        if isinstance(operation, ReleaseTurn):
            self._fail("release")
        return await self._storage.run(operation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def _fail(self, what: str) -> None:
        if self._left[what]:
            self._left[what] -= 1
            raise StorageUnavailable("away")


async def test_database_away_in_a_turn_is_not_the_turns_fault(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn for which the database was away waits for it: no attempt is counted, no traceback, no fallback text."""
    monkeypatch.setattr(turns, "RETRY_S", 0.01)
    monkeypatch.setattr(turns, "POLL_S", 0.05)
    await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now() - 2 * SECOND)
    await accept(storage, sms("+1555", "SM2", "m2"), at=utc_now() - 2 * SECOND)
    away = cast("Storage", AwayStorage(storage, 3))
    with capture_logs() as logs:
        async with house(away, tmp_path, max_attempts=1) as h:
            for text in ("to m1", "to m2"):
                _, answer = await h.asked()
                answer.set_result(text)
            transcript = await h.transcript(4)
            put_off = h.turns._metrics.turns.labels("put_off")._value.get()

    assert transcript == ["user: m1", "user: m2", "assistant: to m1", "assistant: to m2"]
    assert put_off == 3
    assert {line["event"] for line in logs if line["log_level"] in ("warning", "error")} == {"turn_put_off"}


async def test_old_message_gets_the_fallback(storage: Storage, tmp_path: Path) -> None:
    """A message older than max_age_h is not answered as if it had just come."""
    await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now() - timedelta(hours=30))
    async with house(storage, tmp_path) as h:
        transcript = await h.transcript(2)

        assert transcript[1] == f"assistant: {fallback(BusinessConfig(), None)}"


async def test_round_with_calls_is_journalled_and_not_asked_again(storage: Storage, tmp_path: Path) -> None:
    """A round that was journalled before a crash is replayed: the model is asked for the next one only."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        prompt, answer = await asyncio.wait_for(h.model.prompts.get(), 10)
        answer.set_result("CALL")
        second, answer = await asyncio.wait_for(h.model.prompts.get(), 10)
        [conversation] = await storage.conversations()
        journalled = await storage.rounds(conversation.id or 0, after=0, up_to=1)
        answer.set_exception(RuntimeError("the process dies here"))
        resumed, answer = await asyncio.wait_for(h.model.prompts.get(), 15)
        answer.set_result("done")
        transcript = await h.transcript(2)

        assert (len(prompt.rounds), len(second.rounds), len(resumed.rounds)) == (0, 1, 1)
        assert len(journalled) == 1
        assert resumed.rounds == second.rounds
        assert transcript == ["user: m1", "assistant: done"]


async def test_stop_gives_turns_back(storage: Storage, tmp_path: Path) -> None:
    """A shutdown releases what runs: it is due at once for another process, and no attempt is used up."""
    async with house(storage, tmp_path) as h:
        await accept(storage, sms("+1555", "SM1", "m1"), at=utc_now())
        await h.asked()
    claims = await storage.run(ClaimTurns("serve:next", utc_now(), utc_now() + SECOND, 1, ("sms",)))

    assert [(claim.attempts, claim.messages[0].content) for claim in claims] == [(1, "m1")]
