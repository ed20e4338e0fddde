"""The processes that read hostile bodies: what one does wrong is told, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import pytest

from channels.base import Request
from channels.errors import PayloadError
from gateway import reader
from gateway.reader import Readers, ReadersBusy

WAIT_S = 20.0


def length(request: Request) -> int:
    """Say how much came."""
    return len(request.content())


def who(_: Request) -> int:
    """Say which process it is."""
    return os.getpid()


def refuse(_: Request) -> None:
    """Refuse what came."""
    raise PayloadError("no date")


def break_down(request: Request) -> None:
    """Fail on the customer's own words."""
    raise ValueError(request.body.decode())


def hang(_: Request) -> None:
    """Never end."""
    while True:
        time.sleep(0.01)


def die(_: Request) -> None:
    """Take the process along."""
    os.kill(os.getpid(), signal.SIGKILL)


def swallow(_: Request) -> int:
    """Ask for more memory than there is for one message."""
    return len(bytearray(4 * 1024**3))


def chatter(_: Request) -> str:
    """Print something into the middle of everything."""
    sys.stdout.write("noise")
    sys.stdout.flush()
    return "fine"


def asked(body: bytes = b"") -> Request:
    """Build a request."""
    return Request("POST", "/webhooks/mail", (), body)


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    """One process at a time."""
    made = Readers(at_once=1)
    yield made
    await made.close()


async def test_a_process_answers_call_after_call(readers: Readers) -> None:
    """It is started once; a large body goes there and back whole."""
    first = await readers.run(who, asked(), timeout_s=WAIT_S)
    size = await readers.run(length, asked(bytes(3_000_000)), timeout_s=WAIT_S)
    second = await readers.run(who, asked(), timeout_s=WAIT_S)

    assert size == 3_000_000
    assert first == second != os.getpid()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (refuse, "no date"),
        (break_down, "reading it failed: ValueError at test_reader.py:"),
        (die, "reading it broke its process twice"),
        (swallow, "reading it took too much memory"),
    ],
)
async def test_what_goes_wrong_is_told_without_the_customers_words(
    readers: Readers, function: object, reason: str
) -> None:
    """The next message is read all the same."""
    with pytest.raises(PayloadError) as told:
        await readers.run(function, asked(b"my secret"), timeout_s=WAIT_S)  # type: ignore[arg-type]
    after = await readers.run(length, asked(b"next"), timeout_s=WAIT_S)

    assert str(told.value).startswith(reason)
    assert "secret" not in str(told.value)
    assert after == 4


async def test_one_that_hangs_is_killed_while_the_loop_runs_on(readers: Readers) -> None:
    """Only its own message is given up, after its time."""
    before = await readers.run(who, asked(), timeout_s=WAIT_S)
    hanging = asyncio.create_task(readers.run(hang, asked(), timeout_s=0.3))
    ticks = 0
    while not hanging.done():
        await asyncio.sleep(0.01)
        ticks += 1
    with pytest.raises(PayloadError, match=r"longer than 0\.3 s"):
        await hanging
    after = await readers.run(who, asked(), timeout_s=WAIT_S)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)

    assert ticks > 5
    assert after != before


async def test_one_that_was_killed_while_idle_is_replaced(readers: Readers) -> None:
    """The kernel may have taken it for its memory."""
    before = await readers.run(who, asked(), timeout_s=WAIT_S)
    os.kill(before, signal.SIGKILL)
    await asyncio.sleep(0.2)
    after = await readers.run(who, asked(), timeout_s=WAIT_S)

    assert after != before


async def test_a_caller_that_gives_up_leaves_no_process_in_the_middle(readers: Readers) -> None:
    """The next caller does not get the answer that was meant for it."""
    waiting = asyncio.create_task(readers.run(hang, asked(), timeout_s=WAIT_S))
    await asyncio.sleep(0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    after = await readers.run(chatter, asked(), timeout_s=WAIT_S)

    assert after == "fine"


async def test_nobody_waits_in_a_queue_without_an_end(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot be served soon comes again: nothing of theirs is taken."""
    monkeypatch.setattr(reader, "WAIT_S", 0.2)
    waiting = asyncio.create_task(readers.run(hang, asked(), timeout_s=3.0))
    await asyncio.sleep(0.1)
    with pytest.raises(ReadersBusy):
        await readers.run(length, asked(), timeout_s=WAIT_S)
    is_busy = readers.is_busy
    waiting.cancel()
    await asyncio.wait((waiting,))

    assert is_busy
    assert not readers.is_busy


async def test_a_process_finishes_what_it_reads_when_the_service_is_ended(readers: Readers) -> None:
    """systemd and a terminal send the signal to every process at once."""
    before = await readers.run(who, asked(), timeout_s=WAIT_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(before, number)
    after = await readers.run(who, asked(), timeout_s=WAIT_S)

    assert after == before
    assert os.getpgid(before) != os.getpgid(0)
