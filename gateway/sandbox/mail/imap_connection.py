"""One client's dialogue with the stand-in for a mail server (RFC 3501)."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from gateway.sandbox.faults import FINE
from gateway.sandbox.mail.imap_mailbox import Mailbox, Stored, fetched, found

if TYPE_CHECKING:
    from gateway.sandbox.mail.imap import ImapServer

IDLE = "IDLE"
STEPS = (
    *("greeting", "starttls", "capability", "login", "examine", "search", "fetch", "body"),
    *("idle", "listening", "done", "noop", "logout"),
)
"""Where something can go wrong: ``body`` is in the middle of a mail's bytes, ``listening`` once IDLE has begun."""


class HangUp(Exception):
    """The connection is to end now."""


class Connection:
    """One client."""

    def __init__(self, server: ImapServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._mailbox: Mailbox | None = None
        self._is_in = False
        self._needs_tls = server.starttls is not None
        self._plain: asyncio.StreamWriter | None = None
        self._told = 0
        self.is_idle = False

    def tell(self, mailbox: Mailbox) -> None:
        """Say how many mails there are, where this client has just that mailbox open and listens."""
        if self.is_idle and mailbox is self._mailbox:
            self._tell_number()

    def abort(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Greet, and answer command after command."""
        await self._meet("greeting")
        self.say("* OK a mail server stands in here")
        while line := await self._line():
            tag, _, rest = line.partition(" ")
            name, _, words = rest.partition(" ")
            await self._answer(tag, name.upper(), words)
            await self._writer.drain()

    def say(self, line: str | bytes) -> None:
        """Say a line, asked or not."""
        self._writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    async def _line(self) -> str:
        return (await self._reader.readline()).decode("utf-8", "surrogateescape").rstrip("\r\n")

    async def _meet(self, step: str) -> str | None:
        """Do what is planned for a step; an answer that is planned is returned."""
        return await self._suffer(self._server.faults[step].draw())

    async def _suffer(self, fault: str) -> str | None:
        if fault == FINE:
            return None
        if fault.startswith(("NO", "BAD")):
            return fault
        if fault not in {"drop", "hang", "bye", "bye_hang", "garble"}:
            raise ValueError(f"there is no fault named {fault}")
        if fault.startswith("bye"):
            self.say("* BYE the server has had enough")
        if fault == "garble":
            self.say(b"\xff\x00{9}\r\nthis is no IMAP (at all")
            self.say(b"A0 OK an answer to nothing")
        if fault in ("drop", "bye"):
            await self._writer.drain()
            raise HangUp
        while await self._reader.read(65536):
            pass  # nothing is said until the client has gone
        raise HangUp

    async def _answer(self, tag: str, name: str, words: str) -> None:
        if name == "UID":
            name, _, words = words.partition(" ")
            name = name.upper()
        self._server.commands.append(name if name == "LOGIN" else f"{name} {words}".strip())
        self._server.note()
        answers: Mapping[str, Callable[[str], Awaitable[str]]] = {
            "CAPABILITY": self._capability,
            "STARTTLS": self._starttls,
            "LOGIN": self._login,
            "EXAMINE": self._examine,
            "SEARCH": self._search,
            "FETCH": self._fetch,
            "IDLE": self._idle,
            "NOOP": self._noop,
            "LOGOUT": self._logout,
        }
        planned = await self._meet(name.lower()) if name in answers else None
        if planned is None:
            answer = answers.get(name)
            planned = "BAD there is no such command here" if answer is None else await answer(words)
        if self._mailbox is not None and self._told != len(self._mailbox.mails):
            self._tell_number()
        self.say(f"{tag} {planned}")
        if name == "LOGOUT":
            await self._writer.drain()
            raise HangUp
        if name == "STARTTLS" and planned.startswith("OK"):
            await self._begin_tls()

    async def _begin_tls(self) -> None:
        """Encrypt; ``StreamWriter.start_tls`` breaks where the client hangs up meanwhile (Python 3.11)."""
        await self._writer.drain()
        loop, plain = asyncio.get_running_loop(), self._writer.transport
        protocol = plain.get_protocol()
        if self._server.starttls is None or not isinstance(protocol, asyncio.StreamReaderProtocol):
            raise HangUp
        encrypted = await loop.start_tls(plain, protocol, self._server.starttls, server_side=True)
        if encrypted is None:
            raise HangUp
        self._plain = self._writer  # it closes what it writes to when nobody holds it any more
        self._writer = asyncio.StreamWriter(encrypted, protocol, self._reader, loop)
        self._needs_tls = False

    def _tell_number(self) -> None:
        if self._mailbox is not None:
            self._told = len(self._mailbox.mails)
            self.say(f"* {self._told} EXISTS")

    async def _capability(self, _: str) -> str:
        offered = ["IMAP4rev1", *(self._server.capabilities if self._is_in else ())]
        if self._needs_tls:
            offered += ["STARTTLS", "LOGINDISABLED"]
        self.say(f"* CAPABILITY {' '.join(offered)}")
        return "OK that is all"

    async def _starttls(self, _: str) -> str:
        return "OK begin" if self._needs_tls else "BAD there is no TLS to begin with"

    async def _login(self, words: str) -> str:
        if self._needs_tls:
            return "NO [PRIVACYREQUIRED] not without TLS"
        if shlex.split(words) != [self._server.username, self._server.password]:
            return "NO [AUTHENTICATIONFAILED] these are wrong"
        self._is_in = True
        return "OK welcome"

    async def _examine(self, words: str) -> str:
        self._mailbox = self._server.mailboxes.get(shlex.split(words)[0]) if self._is_in else None
        if self._mailbox is None:
            return "NO [NONEXISTENT] there is no such mailbox"
        self._tell_number()
        self.say(r"* FLAGS (\Answered \Seen \Deleted)")
        if self._mailbox.uidvalidity is not None:
            self.say(f"* OK [UIDVALIDITY {self._mailbox.uidvalidity}] as long as this stays")
        if self._mailbox.tells_next:
            self.say(f"* OK [UIDNEXT {self._mailbox.next_uid}] the next")
        return "OK [READ-ONLY] opened"

    async def _search(self, words: str) -> str:
        if self._mailbox is None:
            return "BAD no mailbox is open"
        self.say(" ".join(("* SEARCH", *map(str, found(self._mailbox, words)))))
        return "OK searched"

    async def _fetch(self, words: str) -> str:
        if self._mailbox is None:
            return "BAD no mailbox is open"
        uids, _, items = words.partition(" ")
        for number, mail in self._mailbox.numbered(uids):
            if "BODY" in items:
                planned = await self._stumble(number, mail, items)
                if planned is not None:
                    return planned
            self.say(fetched(number, mail, items))
            await self._writer.drain()
        return "OK fetched"

    async def _stumble(self, number: int, mail: Stored, items: str) -> str | None:
        """Fail in the middle of a mail, where that is planned."""
        bad = self._server.bad_headers if "[HEADER]" in items else self._server.bad_uids
        fault = bad.get(mail.uid) or self._server.faults["body"].draw()
        if fault in ("drop", "hang"):
            answer = fetched(number, mail, items)
            self._writer.write(answer[: len(answer) // 2])
            await self._writer.drain()
        return await self._suffer(fault)

    async def _idle(self, _: str) -> str:
        if IDLE not in self._server.capabilities:
            return "BAD there is no such command here"
        self.say("+ listening")
        await self._writer.drain()
        self.is_idle = True
        self._server.note()
        if self._mailbox is not None and self._told != len(self._mailbox.mails):
            self._tell_number()
        try:
            planned = await self._meet("listening")
            if planned is None and (await self._line()).upper() != "DONE":
                planned = "BAD that is not DONE"
        finally:
            self.is_idle = False
        return planned or await self._meet("done") or "OK done"

    async def _noop(self, _: str) -> str:
        return "OK nothing"

    async def _logout(self, _: str) -> str:
        self.say("* BYE so long")
        return "OK bye"
