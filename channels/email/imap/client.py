"""A session at an IMAP server: logged in, and reading only."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from typing import Self

from aioimaplib.aioimaplib import AUTH, NONAUTH, SELECTED

from channels.email.imap.protocol import ANSWER_BYTES, Limits, Lost, Protocol
from channels.email.imap.wire import (
    Examined,
    Fetched,
    Line,
    mailbox_name,
    quoted,
    read_examine,
    read_fetch,
    read_search,
    response_code,
    shown,
)
from channels.email.settings import ImapSettings
from channels.errors import CredentialsRejected, Refused, RetryLater, SendError

_TEMPORARY = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})  # RFC 5530, section 3
_BUSY = re.compile(rb"too many|temporar|try again|try later", re.IGNORECASE)  # for servers without such codes
_NO_TLS_SPOKEN = "WRONG_VERSION_NUMBER"


class Session:
    """A connection that is logged in."""

    def __init__(self, protocol: Protocol, settings: ImapSettings) -> None:
        self._protocol = protocol
        self._settings = settings
        self._can_idle = False

    @classmethod
    async def open(cls, settings: ImapSettings, limits: Limits) -> Self:
        """Connect and log in.

        Raises:
            Lost: the server cannot be reached, or is busy.
            Refused: it cannot be used as the settings say.
            CredentialsRejected: the server says so.
        """
        tls = None if settings.security == "none" else await asyncio.to_thread(_trusted, settings)
        session = cls(Protocol(limits), settings)
        try:
            async with asyncio.timeout(limits.connect_s):
                await session._connect(tls)
            await session._log_in()
        except (OSError, TimeoutError) as error:
            session.drop()
            raise _unreachable(error, settings) from error
        except BaseException:
            session.drop()
            raise
        return session

    async def _connect(self, tls: ssl.SSLContext | None) -> None:
        settings, protocol = self._settings, self._protocol
        at_once = tls if settings.security == "tls" else None
        await protocol.loop.create_connection(lambda: protocol, settings.host, settings.port, ssl=at_once)
        greeting = await protocol.greeted
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise Lost(f"the mail server lets nobody in now: {shown(greeting) or 'it hung up'}")
        if settings.security == "starttls":
            await self._start_tls(tls)

    async def _start_tls(self, tls: ssl.SSLContext | None) -> None:
        """Begin TLS (RFC 3501, section 6.2.1), which aioimaplib cannot; what came in the clear counts for nothing."""
        protocol = self._protocol
        if protocol.state != NONAUTH:
            raise Refused("the mail server skips the login, and STARTTLS with it: set imap.security to tls")
        response = await protocol.ask(protocol.command("STARTTLS"))
        if response.result != "OK":
            raise Refused("the mail server has no STARTTLS on this port: set imap.security to tls and imap.port to 993")
        if protocol.incomplete_line:
            raise Lost("the mail server sent something in the clear after STARTTLS")
        host = self._settings.host
        protocol.transport = await protocol.loop.start_tls(protocol.transport, protocol, tls, server_hostname=host)
        protocol.gone |= protocol.transport is None  # asyncio's way to say that the server hung up meanwhile

    async def _log_in(self) -> None:
        settings, protocol = self._settings, self._protocol
        await protocol.ask(protocol.capability())
        if protocol.state == NONAUTH:
            if "LOGINDISABLED" in protocol.capabilities:
                raise Refused("the mail server takes no password here: set imap.security to tls or starttls")
            name, password = settings.username, settings.password.get_secret_value()
            if any(character in name + password for character in "\0\r\n"):
                raise CredentialsRejected("imap.username or imap.password has a line break in it")
            response = await protocol.ask(protocol.login(quoted(name), password))
            if response.result != "OK":
                raise _rejected(response.lines)
            await protocol.ask(protocol.capability())  # more is offered to who is logged in
        self._can_idle = "IDLE" in protocol.capabilities

    async def examine(self, mailbox: str) -> Examined:
        """Open a mailbox for reading only; what changes in it afterwards ends :meth:`wait`.

        Raises:
            Lost: there is no answer.
            Refused: it cannot be opened.
        """
        protocol = self._protocol
        response = await protocol.ask(protocol.command("EXAMINE", mailbox_name(mailbox)))
        if response.result == "OK":
            protocol.state = SELECTED  # aioimaplib thinks so of SELECT only
            protocol.stirred.clear()
            return read_examine(response.lines)
        protocol.state = AUTH
        raise _not_opened(mailbox, response.lines)

    async def search(self, *criteria: str) -> tuple[int, ...]:
        """Return the UIDs of the messages that meet the criteria, in rising order.

        Raises:
            RetryLater: there is no answer, or the server does not search.
        """
        response = await self._protocol.ask(self._protocol.search(*criteria, charset=None, by_uid=True))
        if response.result != "OK":
            raise RetryLater(f"the mail server does not search: {shown(response.lines[-1])}")
        return read_search(response.lines[:-1])

    async def fetch(self, uids: str, items: str, max_bytes: int = ANSWER_BYTES) -> tuple[dict[int, Fetched], bool]:
        """Return what the server tells of messages, by UID, and whether that is all that it has to tell.

        Raises:
            Lost: there is no answer.
            TooLong: it is longer than ``max_bytes``.
        """
        response = await self._protocol.ask(self._protocol.fetch(uids, items, by_uid=True), max_bytes)
        return read_fetch(response.lines[:-1]), response.result == "OK"

    async def wait(self, at_most_s: float) -> None:
        """Return when the mailbox may have changed since it was opened, or after the time.

        A server without IDLE (RFC 2177) tells nothing by itself: then only the connection is watched.

        Raises:
            Lost: the connection is gone.
        """
        protocol = self._protocol
        if self._can_idle and not protocol.stirred.is_set():
            self._can_idle = await protocol.idle_until_stirred(at_most_s)
        else:
            await protocol.until_stirred(at_most_s)
        if protocol.gone:
            raise Lost

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self._protocol.gone

    def stir(self) -> None:
        """End a :meth:`wait`."""
        self._protocol.stirred.set()

    async def close(self) -> None:
        """Log out, where that takes hardly any time, and hang up."""
        try:
            async with asyncio.timeout(self._protocol.limits.goodbye_s):
                await self._protocol.ask(self._protocol.logout())
        except (TimeoutError, Lost):
            pass  # nobody needs the answer
        finally:
            self.drop()

    def drop(self) -> None:
        """Hang up."""
        self._protocol.drop()


def _trusted(settings: ImapSettings) -> ssl.SSLContext:
    """Return whom we believe to be the server; reads files.

    Raises:
        Refused: the owner's own list cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise Refused(f"imap.ca_file cannot be used ({type(error).__name__}): it must hold PEM certificates") from error


def _unreachable(error: OSError, settings: ImapSettings) -> SendError:
    """Say why there is no connection; TimeoutError is an OSError."""
    place = f"{settings.host}:{settings.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        return Refused(f"the certificate of {place} is not trusted ({why}): correct imap.host, or set imap.ca_file")
    if settings.security == "tls" and isinstance(error, ssl.SSLError) and error.reason == _NO_TLS_SPOKEN:
        return Refused(f"{place} does not begin with TLS: set imap.security to starttls, or imap.port to 993")
    return Lost(f"{place} cannot be reached ({type(error).__name__}): check imap.host and imap.port")


def _rejected(lines: Sequence[Line]) -> SendError:
    words = lines[-1]
    code = response_code(words)
    if code in _TEMPORARY or _BUSY.search(words):
        return Lost(f"the mail server takes no login now: {shown(words)}", code=code)
    return CredentialsRejected(f"the mail server rejects imap.username and imap.password: {shown(words)}", code=code)


def _not_opened(mailbox: str, lines: Sequence[Line]) -> SendError:
    words = lines[-1]
    code = response_code(words)
    if code in _TEMPORARY:
        return Lost(f"the mail server cannot open the mailbox now: {shown(words)}", code=code)
    return Refused(
        f"the mail server does not open the mailbox {mailbox}: {shown(words)}. Correct imap.mailbox: its spelling, and "
        "the separator that this server has, such as INBOX/Support or INBOX.Support",
        code=code,
    )
