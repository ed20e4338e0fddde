"""A conversation at a terminal: what a person types goes out, replies appear as they come."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import shutil
import threading
from collections.abc import Callable

from gateway.printable import printable
from gateway.sandbox.customer import Customer, DemoRefused
from gateway.tasks import end

QUIT = "/quit"
PROMPT = "you> "
# ECMA-48 and DEC's VT100 (vt100.net/docs/vt510-rm, read 2026-11): a line beneath is made sure of (IND, up), the place
# kept (DECSC), and a new line put before the present one (IL), which goes down with all that has been typed in it.
ROOM_ABOVE = "\x1bD\x1b[A\x1b7\r\x1b[L"
BACK_BELOW = "\x1b8\x1b[B"
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
                write(above(printable(f"{name}: {text}"), shutil.get_terminal_size().columns))

    hearing = asyncio.create_task(hear())
    line: str | None = None
    try:
        while True:
            write(PROMPT)
            typing = asyncio.create_task(lines.next())
            done, _ = await asyncio.wait((typing, hearing), return_when=asyncio.FIRST_COMPLETED)
            if hearing in done:
                typing.cancel()
                await hearing  # raises what ended it
            line = typing.result()
            if line is None or line.strip() == QUIT:
                return
            await _say(customer, line, write)
    finally:
        if line is None or line.strip() != QUIT:  # the cursor stands behind the prompt
            write("\n")
        await end((hearing,))


def above(text: str, columns: int) -> str:
    """Return what shows a text above the line in which somebody is typing, who may be in the middle of a word."""
    from rich.console import Console  # which knows how wide a character is
    from rich.text import Text

    rows = Text(text).wrap(Console(width=columns), columns)
    return "".join(f"{ROOM_ABOVE}{row.plain.rstrip()}{BACK_BELOW}" for row in rows)


async def recite(customer: Customer, name: str, lines: Lines, write: Write) -> bool:
    """Say the lines of a script one by one, each after what comes back to the one before.

    Tells whether anything came back at all, of a script that says anything, and nothing was refused or still waits.

    Raises:
        NoDemo: the demo has ended.
    """
    said, heard, taken = 0, 0, True
    while (line := await lines.next()) is not None and line.strip() != QUIT:
        if not line.strip():
            continue
        write(f"{PROMPT}{line.strip()}\n")
        said += 1
        taken = await _say(customer, line, write) and taken
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                heard += await _hear_out(customer, name, write)
        except TimeoutError:
            return False
    return taken and (heard > 0 or not said)


async def _hear_out(customer: Customer, name: str, write: Write) -> int:
    """Show what comes until nothing more is on its way, and count it."""
    count = 0
    while True:
        heard = await customer.listen(SETTLE_LOOK_S)
        for text in heard.texts:
            write(printable(f"{name}: {text}\n"))
        count += len(heard.texts)
        if not heard.waits:
            return count


async def _say(customer: Customer, line: str, write: Write) -> bool:
    """Say a line that is not empty, or show why the demo does not take it; tells whether it does."""
    try:
        if line.strip():
            await customer.say(line.strip())
    except DemoRefused as refused:
        write(printable(f"[{refused}]\n"))
        return False
    return True
