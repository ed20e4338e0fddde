"""Processes that read hostile bodies: one that hangs or eats memory is killed, and the event loop never waits.

``python -m gateway.reader`` is such a process. It gets calls over a pipe, one at a time, and answers each; when the
pipe ends, so does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import resource
import signal
import struct
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

from channels.errors import PayloadError

T = TypeVar("T")

AT_ONCE = 2
WAIT_S = 5.0
"""For a free process; who waits longer is told to come again, which costs less than a queue without an end."""
MAX_MEMORY = 1536 * 1024 * 1024
"""A message of 50 MB that comes as base64 in JSON is in memory several times over while it is read."""
CALLS = 500
"""After how many a process makes room for a new one: what leaks in the libraries behind it leaks no further."""
INLINE = 256 * 1024
"""What is larger is pickled in a thread."""
_LENGTH = struct.Struct(">Q")


class ReadersBusy(Exception):
    """No process could read it now, through no fault of its own."""


class Readers:
    """A few such processes, started when the first is needed."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._idle: list[_Child] = []
        self._closed = False

    async def run(self, function: Callable[..., T], *arguments: Any, timeout_s: float) -> T:
        """Call a function, which has to be importable by name or a picklable object, in one of them.

        Raises:
            PayloadError: the function raised it, took longer than ``timeout_s``, broke, or took two processes along.
            ReadersBusy: there was no process for it.
        """
        call = await _dumps((function, arguments))
        try:
            async with asyncio.timeout(WAIT_S):
                await self._room.acquire()
        except TimeoutError:
            raise ReadersBusy from None
        try:
            word, found = await self._ask(call, timeout_s)
        finally:
            self._room.release()
        if word == "done":
            return found  # type: ignore[no-any-return]  # what the function returns
        raise PayloadError(found)

    @property
    def is_busy(self) -> bool:
        """Whether somebody who comes now has to wait."""
        return self._room.locked()

    async def warm(self) -> None:
        """Start a process, which blocks the loop for a moment: before there is anybody to wait."""
        self._idle.append(await _Child.start())

    async def _ask(self, call: bytes, timeout_s: float) -> tuple[str, Any]:
        """Ask a process; one that dies may have been killed by anybody, so that a second is asked."""
        for child in (self._take(), None):
            try:
                asked = child or await _Child.start()
            except OSError as error:  # no memory, no file descriptors: the message is not to blame
                raise ReadersBusy from error
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await asked.ask(call)
            except TimeoutError:
                await asked.kill()
                raise PayloadError(f"reading it took longer than {timeout_s:g} s") from None
            except (EOFError, ConnectionError):
                await asked.kill()
            except BaseException:
                await asked.kill()
                raise
            else:
                await self._give_back(asked)
                return answer
        raise PayloadError("reading it broke its process twice")

    async def close(self) -> None:
        """End all processes; one that is reading ends with its call."""
        self._closed = True
        while self._idle:
            await self._idle.pop().kill()

    def _take(self) -> _Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
        return None

    async def _give_back(self, child: _Child) -> None:
        if child.calls < CALLS and not self._closed:
            self._idle.append(child)
        else:
            await child.kill()


class _Child:
    """One process, as the loop sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.calls = 0

    @classmethod
    async def start(cls) -> _Child:
        command = (sys.executable, "-m", "gateway.reader")
        # In a session of its own: who ends the gateway by a signal to its group lets it finish what it is reading.
        pipes: dict[str, Any] = {"stdin": PIPE, "stdout": PIPE, "limit": 1024 * 1024}
        return cls(await asyncio.create_subprocess_exec(*command, **pipes, start_new_session=True))

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, call: bytes) -> tuple[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.calls += 1
        self._process.stdin.write(_LENGTH.pack(len(call)))
        self._process.stdin.write(call)
        await self._process.stdin.drain()
        [length] = _LENGTH.unpack(await self._process.stdout.readexactly(_LENGTH.size))
        answer = await self._process.stdout.readexactly(length)
        word, found = pickle.loads(answer) if length < INLINE else await asyncio.to_thread(pickle.loads, answer)  # noqa: S301 - our own process wrote it
        return word, found

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()  # reaps it, and closes its pipes


async def _dumps(call: tuple[Callable[..., Any], tuple[Any, ...]]) -> bytes:
    is_large = any(len(getattr(argument, "body", b"")) > INLINE for argument in call[1])
    return await asyncio.to_thread(pickle.dumps, call) if is_large else pickle.dumps(call)


# --- the process itself ---


def serve(calls: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls until there are no more."""
    while head := calls.read(_LENGTH.size):
        [length] = _LENGTH.unpack(head)
        answer = pickle.dumps(_answer(calls.read(length)))
        answers.write(_LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()


def _answer(call: bytes) -> tuple[str, Any]:
    try:
        function, arguments = pickle.loads(call)  # noqa: S301 - our own process wrote it
        return "done", function(*arguments)
    except PayloadError as error:
        return "refused", str(error)
    except MemoryError:
        return "refused", "reading it took too much memory"
    except Exception as error:  # noqa: BLE001 - told to whoever asked, without the words that it may quote
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 - a label
        return "refused", f"reading it failed: {type(error).__name__} at {where}"


def main() -> None:
    """Be such a process: what is printed by accident goes to the log, not into an answer."""
    with contextlib.suppress(OSError, ValueError):  # not on every system
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    for number in (signal.SIGTERM, signal.SIGINT):  # systemd sends them to every process of the service
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
