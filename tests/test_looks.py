"""The daily look: what it finds is seen in every process, and a look that fails is a finding itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from channels.abilities import Finding
from gateway import looks
from gateway.clock import utc_now
from gateway.looks import AGAIN, UNANSWERED, UNANSWERED_FIX, Looker
from gateway.storage import OpenChannels, SaveFindings, Storage
from tests.gateways import caller, gateway
from tests.loopback import LoopbackChannel, roster_of

Answers = Callable[[], Sequence[Finding]]


class DiagnosedChannel(LoopbackChannel):
    """Finds what the test has decided; without a decision it never answers."""

    answers: Answers | None = None

    async def diagnose(self) -> Sequence[Finding]:
        """Answer, or not."""
        if self.answers is None:
            await asyncio.Event().wait()
            return ()
        return self.answers()


def _breaks() -> Sequence[Finding]:
    raise KeyError("data")


@pytest.mark.parametrize("answers", [None, _breaks], ids=["silent", "breaks"])
async def test_a_look_without_an_answer_is_a_finding(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, answers: Answers | None
) -> None:
    """What was found before says nothing about now; an hour later it is looked at again."""
    monkeypatch.setattr(looks, "TIMEOUT_S", 0.01)
    now = utc_now()
    channel = DiagnosedChannel("sms")
    channel.answers = answers
    await storage.run(OpenChannels(("sms",)))
    await Looker(storage, roster_of(channel), lambda: now)._look(channel)
    [state] = await storage.channel_states()

    assert state.findings == [{"detail": UNANSWERED, "fix": UNANSWERED_FIX}]
    assert state.look_due_at == now + AGAIN


async def test_what_is_well_is_looked_at_a_day_later(storage: Storage) -> None:
    """And there is nothing to tell."""
    now = utc_now()
    channel = DiagnosedChannel("sms")
    channel.answers = lambda: [Finding("channels.sms", True, "all is well")]
    await storage.run(OpenChannels(("sms",)))
    await Looker(storage, roster_of(channel), lambda: now)._look(channel)
    [state] = await storage.channel_states()

    assert (state.findings, state.look_due_at) == ([], now + timedelta(days=1))


async def test_every_process_shows_what_one_found(database_url: str, tmp_path: Path) -> None:
    """The number is the database's: this process has not looked; a channel that nobody looked at has none."""
    found = ({"detail": "not subscribed", "fix": "subscribe"}, {"detail": "the token ends", "fix": None})
    async with Storage(database_url) as storage:
        await storage.migrate()
        async with gateway(tmp_path, database_url, role="web") as opened, caller(opened.port) as calls:
            async with asyncio.timeout(10):
                while not await storage.channel_states():  # it forgets what was found before its start
                    await asyncio.sleep(0.02)
            await storage.run(OpenChannels(("page",)))
            await storage.run(SaveFindings("sms", found, utc_now() + AGAIN))
            opened.health._last = None
            _, numbers = await calls.get("/metrics")
            await storage.run(SaveFindings("sms", (), utc_now() + AGAIN))
            opened.health._last = None
            _, mended = await calls.get("/metrics")

    assert 'frontdesk_channel_findings{channel="sms"} 2.0' in numbers
    assert 'frontdesk_channel_findings{channel="page"}' not in numbers
    assert 'frontdesk_channel_findings{channel="sms"} 0.0' in mended
