"""A server that speaks SMTP word by word, and answers what a test tells it to."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from channels.email.settings import SmtpSettings
from channels.email.smtp_out.client import Smtp

GREETING, END = "greeting", "end"
"""The step before any command, and the one after the final dot."""
REPLIES = {
    GREETING: "220 mail.example.com",
    "EHLO": "250-mail.example.com\r\n250-SIZE 100000\r\n250-AUTH PLAIN\r\n250 SMTPUTF8",
    "AUTH": "235 2.7.0 welcome",
    "DATA": "354 go on",
    END: "250 2.0.0 kept",
    "QUIT": "221 bye",
}


@dataclass
class SmtpServer:
    """Answers each step with what is planned for it, then with what is usual; None hangs up."""

    planned: dict[str, deque[str | None]] = field(default_factory=lambda: defaultdict(deque))
    lines: list[str] = field(default_factory=list)
    """Every command that came."""
    mails: list[bytes] = field(default_factory=list)
    """Every mail, with the dots as they came."""
    received: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    """One entry for each mail."""
    connections: int = 0
    gone: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    """One entry for each connection that has ended."""
    pause: asyncio.Event = field(default_factory=asyncio.Event)
    """Every mail waits for it before it is answered."""
    port: int = 0

    def plan(self, step: str, *replies: str | None) -> None:
        """Answer a step so, once each."""
        self.planned[step].extend(replies)

    @asynccontextmanager
    async def serving(self, **given: float) -> AsyncIterator[Smtp]:
        """Serve, and give a client."""
        self.pause.set()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        smtp = Smtp(self.settings(), "example.com", **{"timeout_s": 2.0, "answer_timeout_s": 2.0} | given)  # type: ignore[arg-type]
        async with server:
            yield smtp
            await smtp.close()
            for _ in range(self.connections):
                await self.gone.get()

    def settings(self, **changes: object) -> SmtpSettings:
        """Make the section of the configuration that leads here."""
        return SmtpSettings.model_validate({"host": "127.0.0.1", "port": self.port, "security": "none"} | changes)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            goes_on = await self._answer(GREETING, writer)
            while goes_on and (line := (await reader.readline()).decode().rstrip("\r\n")):
                self.lines.append(line)
                goes_on = await self._answer(line[:4].upper(), writer)
                if goes_on and line == "DATA" and goes_on.startswith("354"):
                    self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                    self.received.put_nowait(None)
                    await self.pause.wait()
                    goes_on = await self._answer(END, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.gone.put_nowait(None)

    async def _answer(self, step: str, writer: asyncio.StreamWriter) -> str | None:
        planned = self.planned[step]
        reply = planned.popleft() if planned else REPLIES.get(step, "250 2.0.0 ok")
        if reply is not None:
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
        return reply
