"""A conversation at a terminal: what a person types goes out, replies appear as they come."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import threading
from collections.abc import Callable

from gateway.sandbox.customer import Customer, DemoRefused
from gateway.tasks import end

QUIT = "/quit"
PROMPT = "you> "
ERASE_LINE = "\r\x1b[K"  # ECMA-48: carriage return, erase to the end of the line
READ_BYTES = 4096
SETTLE_TIMEOUT_S = 60.0
SETTLE_LOOK_S = 0.2

Write = Callable[[str], None]


class Lines:
    """Lines of a file descriptor, read in a thread that does not hold up the end of the program.

    A reader of the event loop takes no plain file, and would make the terminal non-blocking for everybody else.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="terminal", daemon=True).start()

    async def next(self) -> str | None:
        """Return the next line, or None at the end."""
        return await self._queue.get()

    def _read(self) -> None:
        # os.read holds no lock: a thread that still waits in it when the program ends is simply gone.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        with contextlib.suppress(OSError):
            while data := os.read(self._fd, READ_BYTES):
                *whole, rest = (rest + decoder.decode(data)).split("\n")
                for line in whole:
                    self._deliver(line)
        if rest:
            self._deliver(rest)
        self._deliver(None)

    def _deliver(self, line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line)


async def converse(customer: Customer, name: str, lines: Lines, write: Write) -> None:
    """Talk at a terminal until ``/quit`` or the end of the input.

    Raises:
        NoDemo: the demo has ended.
    """

    async def hear() -> None:
        while True:
            for text in (await customer.listen()).texts:
                write(f"{ERASE_LINE}{name}: {text}\n{PROMPT}")

    hearing = asyncio.create_task(hear())
    try:
        while True:
            write(PROMPT)
            typing = asyncio.create_task(lines.next())
            done, _ = await asyncio.wait((typing, hearing), return_when=asyncio.FIRST_COMPLETED)
            if hearing in done:
                typing.cancel()
                write("\n")
                await hearing  # raises what ended it
            line = typing.result()
            if line is None or line.strip() == QUIT:
                return
            await _say(customer, line, write)
    finally:
        await end((hearing,))


async def recite(customer: Customer, name: str, lines: Lines, write: Write) -> bool:
    """Say the lines of a script one by one, each after the answer to the one before; tells whether all were answered.

    Raises:
        NoDemo: the demo has ended.
    """
    while (line := await lines.next()) is not None and line.strip() != QUIT:
        if not line.strip():
            continue
        write(f"{PROMPT}{line.strip()}\n")
        await _say(customer, line, write)
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await _hear_out(customer, name, write)
        except TimeoutError:
            return False
    return True


async def _hear_out(customer: Customer, name: str, write: Write) -> None:
    while True:
        heard = await customer.listen(SETTLE_LOOK_S)
        for text in heard.texts:
            write(f"{name}: {text}\n")
        if not heard.waits:
            return


async def _say(customer: Customer, line: str, write: Write) -> None:
    if not line.strip():
        return
    try:
        await customer.say(line.strip())
    except DemoRefused as refused:
        write(f"[{refused}]\n")
