"""A stand-in for the mail server that takes what we send: it keeps it, or dies at any step of the dialogue."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from typing import Any, AnyStr, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.sandbox.faults import FINE, Script

HOST = "127.0.0.1"
NAME = "mail.sandbox.example.com"
MAX_MAIL_BYTES = 30_000_000
STEPS = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "answered", "quit")
"""Where something can go wrong: ``content`` is after the final dot, and ``answered`` after the answer to it."""

_AFTER = "_after"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends a reset in place of an end


@dataclass(frozen=True)
class TakenMail:
    """A mail that the server has taken."""

    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes
    login: str | None = None
    """Who had logged in."""
    encrypted: bool = False
    options: tuple[str, ...] = ()
    """What MAIL said beside the address, such as ``SIZE=1200``."""

    @cached_property
    def message(self) -> EmailMessage:
        """The mail as a mail program reads it."""
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def message_id(self) -> str:
        """Its Message-ID, without angle brackets."""
        return str(self.message["Message-ID"] or "").strip(" <>")

    @property
    def subject(self) -> str:
        """Its subject, decoded."""
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        """What a reader sees, the quote beneath it too."""
        part = self.message.get_body(("plain",))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


@dataclass(kw_only=True)
class MailServer:
    """What a mail server has taken, and what is to go wrong.

    The words of its scripts, one script a step: ``ok``; ``status:451 4.7.1 come back`` or any other reply, of which 421
    ends the connection; ``drop`` (the connection is reset); ``close`` (it is closed without an answer); ``hang`` (no
    answer until the caller hangs up). At ``content`` each of them may have ``_after`` behind its name (``drop_after``,
    ``status_after:…``): the mail is kept first, what the caller cannot know.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    """Names and passwords; without any, everybody may send."""
    unknown: Collection[str] = ()
    """Addresses, in lower case, that have no mailbox."""
    latency_s: float = 0.0
    """For how long each command waits."""
    international: bool = True
    """Whether it takes addresses outside ASCII (RFC 6531)."""
    faults: Mapping[str, Script] = field(default_factory=lambda: {step: Script() for step in STEPS})
    mails: list[TakenMail] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    """What connections have come to, in their order."""
    connections: int = 0
    """How many there have been."""
    port: int = 0
    _open: dict[SMTP, asyncio.BaseTransport] = field(default_factory=dict)
    _waiting: list[tuple[Callable[[MailServer], bool], asyncio.Future[None]]] = field(default_factory=list)

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return len(self._open)

    def mails_to(self, address: str) -> list[TakenMail]:
        """Return what has been taken for an address, oldest first."""
        return [mail for mail in self.mails if address.lower() in (to.lower() for to in mail.recipients)]

    async def until(self, holds: Callable[[MailServer], bool]) -> None:
        """Wait until something is true of the server: of its mails, or of its connections."""
        if holds(self):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((holds, waiter))
        await waiter

    @asynccontextmanager
    async def serving(
        self, *, port: int = 0, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
    ) -> AsyncIterator[MailServer]:
        """Listen on this machine; ``tls`` encrypts from the start, ``starttls`` where the client asks."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Dialogue(self, starttls), HOST, port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for transport in list(self._open.values()):
                _abort(transport)
            await self.until(lambda here: not here.open_connections)

    def came(self, dialogue: SMTP, transport: asyncio.BaseTransport) -> None:
        """Note a connection, or what encrypts it from now on."""
        self.connections += dialogue not in self._open
        self._open[dialogue] = transport

    def went(self, dialogue: SMTP) -> None:
        """Note that a connection is gone."""
        self._open.pop(dialogue, None)
        self._tell()

    def take(self, mail: TakenMail) -> None:
        """Keep a mail."""
        self.mails.append(mail)
        self._tell()

    def _tell(self) -> None:
        met = [(holds, waiter) for holds, waiter in self._waiting if waiter.done() or holds(self)]
        for entry in met:
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)


class _Dialogue(SMTP):
    """One connection."""

    def __init__(self, server: MailServer, starttls: ssl.SSLContext | None) -> None:
        super().__init__(
            _Mailbox(server, self),
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=server.international,
            hostname=NAME,
            ident="sandbox",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=False,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )
        self._server = server
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.came(self, transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._server.went(self)

    async def push(self, status: AnyStr) -> None:
        """Send a reply; the first one greets, and 421 ends the connection."""
        said = status if isinstance(status, str) else status.decode("utf-8", "replace")
        if not self._greeted:
            self._greeted = True
            said = await self.suffer("connect") or said
        await super().push(said)
        if said.startswith("421") and self.transport is not None:
            self.transport.close()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 - aiosmtpd finds its commands by these names
        if await self._goes_on("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if await self._goes_on("starttls"):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if await self._goes_on("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if self._server.users and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 log in first")
        elif await self._goes_on("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if await self._goes_on("rcpt"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if await self._goes_on("data"):
            await super().smtp_DATA(arg)
            await self._goes_on("answered")

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        if await self._goes_on("quit"):
            await super().smtp_QUIT(arg)

    async def suffer(self, step: str, word: str | None = None) -> str | None:
        """Let happen what the script says; return the reply that it wants, or None where all is well."""
        self._server.steps.append(step)
        if self._server.latency_s:
            await asyncio.sleep(self._server.latency_s)
        kind, _, detail = (word or self._server.faults[step].draw()).replace(_AFTER, "").partition(":")
        if kind == "status":
            return detail
        if kind in {"drop", "close"} and self.transport is not None:
            if kind == "drop":
                _reset(self.transport)
            self.transport.close()
        if kind in {"drop", "close", "hang"}:
            await asyncio.Event().wait()  # until the connection's end cancels this dialogue
        if kind != FINE:
            raise ValueError(f"there is no fault named {kind}")
        return None

    async def _goes_on(self, step: str) -> bool:
        reply = await self.suffer(step)
        if reply is not None:
            await self.push(reply)
        return reply is None

    def _authenticate(self, *given: Any) -> AuthResult:
        """Let in who knows a password; the last argument is what was given."""
        login = given[-1]
        known = isinstance(login, LoginPassword) and (
            self._server.users.get(login.login.decode("utf-8", "replace")) == login.password.decode("utf-8", "replace")
        )
        return AuthResult(success=known, handled=False, auth_data=login)


class _Mailbox:
    """What aiosmtpd asks."""

    def __init__(self, server: MailServer, dialogue: _Dialogue) -> None:
        self._server = server
        self._dialogue = dialogue

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.lower() in self._server.unknown:
            return f"550 5.1.1 <{address}>: there is no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 known"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        word = self._server.faults["content"].draw()
        if word == FINE or _AFTER in word:
            self._server.take(_taken(session, envelope, self._dialogue.transport))
        return await self._dialogue.suffer("content", word) or f"250 2.0.0 kept as {len(self._server.mails)}"


def _taken(session: Session, envelope: Envelope, transport: asyncio.BaseTransport | None) -> TakenMail:
    login = session.auth_data
    return TakenMail(
        mail_from=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        raw=bytes(envelope.original_content or b""),
        login=login.login.decode() if isinstance(login, LoginPassword) else None,
        encrypted=transport is not None and transport.get_extra_info("sslcontext") is not None,
        options=tuple(envelope.mail_options),
    )


def _reset(transport: asyncio.BaseTransport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    _abort(transport)


def _abort(transport: asyncio.BaseTransport) -> None:
    cast("asyncio.Transport", transport).abort()
