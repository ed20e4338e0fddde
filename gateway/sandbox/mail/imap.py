"""A stand-in for a mail server that is read by IMAP (RFC 3501) with IDLE (RFC 2177), as far as a reader needs it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.sandbox.faults import Script
from gateway.sandbox.mail.imap_connection import IDLE, STEPS, Connection, HangUp
from gateway.sandbox.mail.imap_mailbox import Mailbox

HOST = "127.0.0.1"


@dataclass(slots=True)
class ImapServer:
    """The server: one user's mailboxes, and what goes wrong.

    The words of its faults: ``ok``; ``drop`` (the connection is closed); ``hang`` (nothing more is said); ``bye`` (BYE
    is said, then it is closed); ``bye_hang`` (BYE is said, and it stays); ``garble`` (what is said is no IMAP); and
    ``NO …`` or ``BAD …``, which is the answer.
    """

    username: str = "help@example.com"
    password: str = "the password of the mailbox"  # noqa: S105 - of a stand-in
    capabilities: tuple[str, ...] = (IDLE,)
    mailboxes: dict[str, Mailbox] = field(default_factory=lambda: {"INBOX": Mailbox()})
    bad_uids: dict[int, str] = field(default_factory=dict)
    """The fault that is met whenever a mail is fetched whole, by its UID."""
    bad_headers: dict[int, str] = field(default_factory=dict)
    """... and whenever its headers are."""
    faults: Mapping[str, Script] = field(default_factory=lambda: {step: Script() for step in STEPS})
    port: int = 0
    commands: list[str] = field(default_factory=list)
    """What was asked, without the words of LOGIN."""
    connections: int = 0
    """How many there have been."""
    starttls: ssl.SSLContext | None = None
    """What begins with STARTTLS; nobody logs in before it then."""
    _open: dict[asyncio.Task[None], Connection] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def deliver(self, raw: bytes, received_at: datetime | None = None, mailbox: str = "INBOX") -> int:
        """Put a mail into a mailbox, tell whoever listens, and return its UID."""
        uid = self.mailboxes[mailbox].add(raw, received_at or datetime.now(UTC))
        for connection in self._open.values():
            connection.tell(self.mailboxes[mailbox])
        return uid

    @property
    def listeners(self) -> int:
        """How many connections listen by IDLE."""
        return sum(connection.is_idle for connection in self._open.values())

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return len(self._open)

    async def until(self, holds: Callable[[ImapServer], bool]) -> None:
        """Wait until something is true of the server: of its listeners, its connections or what it was asked."""
        while not holds(self):
            self._changed.clear()
            await self._changed.wait()

    def note(self) -> None:
        """Let those look who wait until something is true."""
        self._changed.set()

    def say(self, line: str) -> None:
        """Say something to every connection that nobody asked for."""
        for connection in self._open.values():
            connection.say(line)

    def hang_up(self) -> None:
        """End every connection, as a restart does."""
        for connection in self._open.values():
            connection.abort()

    @asynccontextmanager
    async def serving(
        self, *, port: int = 0, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
    ) -> AsyncIterator[ImapServer]:
        """Listen on this machine; ``tls`` encrypts from the start, ``starttls`` where the client asks."""
        self.starttls = starttls
        server = await asyncio.start_server(self._serve, HOST, port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            tasks = tuple(self._open)
            self.hang_up()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # a server's callback is a task
            raise RuntimeError
        self.connections += 1
        connection = Connection(self, reader, writer)
        self._open[task] = connection
        try:
            with suppress(OSError, HangUp, asyncio.IncompleteReadError, ssl.SSLError):
                await connection.serve()
        finally:
            del self._open[task]
            connection.abort()
            self.note()
