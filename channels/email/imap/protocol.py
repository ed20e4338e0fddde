"""aioimaplib's protocol, and what it lacks.

aioimaplib 2.0 lets a command wait for ever when its connection ends, and reads whatever comes. Its protocol is used
here without its facade, whose ``asyncio.wait_for`` can swallow a cancellation. It writes all that it reads to its
logger at DEBUG, and some of it at INFO.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any

from aioimaplib.aioimaplib import AUTH, NONAUTH, AioImapException, Command, IdleCommand, IMAP4ClientProtocol, Response

from channels.email.settings import MEGABYTE
from channels.errors import RetryLater

ANSWER_BYTES = 16 * MEGABYTE  # a search that finds a million messages is answered with 8 MB
_LINES_AT_ONCE = 200  # aioimaplib goes one call deeper for each line, and Python 1000 deep
_LOST = "LOST"
_EXISTS = re.compile(rb"\* \d+ EXISTS", re.IGNORECASE)
_BYE = re.compile(rb"\* BYE\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a server may take, in seconds."""

    connect_s: float = 20.0
    silence_s: float = 30.0
    """Without a byte of an answer."""
    answer_s: float = 600.0
    """For a whole answer, which may be a message of many megabytes."""
    goodbye_s: float = 2.0


class Lost(RetryLater):
    """The connection to the mail server is gone."""


class TooLong(Lost):
    """The mail server's answer is longer than it may be."""


class Protocol(IMAP4ClientProtocol):  # type: ignore[misc]  # aioimaplib carries no types
    """One connection, which notices that it ends, and reads no more than was asked for."""

    def __init__(self, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self.limits = limits
        self.greeted: asyncio.Future[bytes] = loop.create_future()
        """The server's first line; empty where it hung up instead."""
        self.stirred = asyncio.Event()
        """Set when the mailbox may have changed, and when the connection ends."""
        self.gone = False
        self._left_bytes = ANSWER_BYTES
        self._silence: asyncio.Timeout | None = None

    # --- what the loop and the library call ---

    def data_received(self, data: bytes) -> None:
        """Read what came; what is too much, or no answer that can be read, ends the connection."""
        self._left_bytes -= len(data)
        if self._silence is not None and not self._silence.expired():
            self._silence.reschedule(self.loop.time() + self.limits.silence_s)
        try:
            if self._left_bytes >= 0:
                for piece in _pieces(data):
                    super().data_received(piece)
                return
        except (AioImapException, ArithmeticError, AttributeError, LookupError, RecursionError, ValueError):
            pass
        self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever waits."""
        self.gone = True
        if not self.greeted.done():
            self.greeted.set_result(b"")
        for command in (self.pending_sync_command, *self.pending_async_commands.values()):
            if command is not None:
                command.close(b"", _LOST)
        self.stirred.set()

    async def welcome(self, command: bytes) -> None:
        """Take the server's first line."""
        if not self.greeted.done():
            self.state = AUTH if command.startswith(b"* PREAUTH") else NONAUTH
            self.greeted.set_result(command)

    def _untagged_response(self, line: bytes) -> Any:
        if _EXISTS.match(line):
            self.stirred.set()
        elif _BYE.match(line):
            self.drop()  # some servers say it and keep the connection
        return super()._untagged_response(line)

    # --- what a session calls ---

    def command(self, name: str, *words: str) -> Coroutine[Any, Any, Any]:
        """Return a command's answer, to be waited for by :meth:`ask`."""
        answer: Coroutine[Any, Any, Any] = self.execute(Command(name, self.new_tag(), *words, loop=self.loop))
        return answer

    async def ask(self, answer: Awaitable[Any], max_bytes: int = ANSWER_BYTES) -> Any:
        """Wait for an answer to a command.

        Raises:
            Lost: there will be none.
            TooLong: it is longer than ``max_bytes``.
        """
        self._left_bytes = max_bytes
        try:
            async with asyncio.timeout(self.limits.answer_s), asyncio.timeout(self.limits.silence_s) as self._silence:
                response = await self._unless_gone(answer)
        except TimeoutError:
            self.drop()
            raise Lost("the mail server is silent") from None
        except (AioImapException, LookupError, ValueError) as error:
            self.drop()
            raise Lost("the mail server says what cannot be understood") from error
        finally:
            self._silence = None
        if isinstance(response, Response) and response.result == _LOST:
            raise TooLong if self._left_bytes < 0 else Lost
        return response

    async def _unless_gone(self, answer: Awaitable[Any]) -> Any:
        if self.gone and isinstance(answer, Coroutine):
            answer.close()
            raise Lost
        return await answer

    async def idle_until_stirred(self, at_most_s: float) -> bool:
        """Listen by IDLE (RFC 2177), and tell whether the server let us.

        Raises:
            Lost: the connection is gone.
        """
        self._left_bytes = ANSWER_BYTES
        command = IdleCommand(self.new_tag(), asyncio.Queue(), loop=self.loop)
        idling = asyncio.create_task(self.execute(command))
        begun = asyncio.create_task(self.wait_for_idle_response())
        idling.add_done_callback(lambda _: self.stirred.set())
        try:
            await asyncio.wait({idling, begun}, timeout=self.limits.silence_s, return_when=asyncio.FIRST_COMPLETED)
            if not (begun.done() or idling.done()):
                raise Lost("the mail server is silent")
            await self.until_stirred(at_most_s)
            if not idling.done():
                self.idle_done()
            response = await self.ask(idling)
        finally:
            idling.cancel()
            begun.cancel()
            await asyncio.gather(idling, begun, return_exceptions=True)
        return bool(response.result == "OK")

    async def until_stirred(self, at_most_s: float) -> None:
        """Return when the mailbox may have changed, the connection ends, or the time is over."""
        try:
            async with asyncio.timeout(at_most_s):
                await self.stirred.wait()
        except TimeoutError:
            pass

    def drop(self) -> None:
        """Hang up."""
        self.gone = True
        self.stirred.set()
        if self.transport is not None:
            self.transport.abort()


def _pieces(data: bytes) -> list[bytes]:
    """Cut what came at once into pieces of not too many lines."""
    if data.count(b"\n") <= _LINES_AT_ONCE:
        return [data]
    lines = data.split(b"\n")
    groups = [lines[begin : begin + _LINES_AT_ONCE] for begin in range(0, len(lines), _LINES_AT_ONCE)]
    return [b"\n".join([*group, b""]) for group in groups[:-1]] + [b"\n".join(groups[-1])]
