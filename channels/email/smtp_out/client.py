"""SMTP: hands one mail to one recipient, over a few connections that are kept.

DATA is spoken here, and not by the library: what fails before the final dot has been written was certainly not taken,
and what fails after it may have been.

Importing this module imports aiosmtplib.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from channels.email.settings import SmtpSettings
from channels.email.smtp_out.codes import Step, said, smtp_error
from channels.email.wire import on_the_wire
from channels.errors import CredentialsRejected, OutcomeUnknown, Refused, RetryLater, SendError

PLACE_TIMEOUT_S = 4.0
"""For one of the connections' places."""
TIMEOUT_S = 10.0
"""With a place, for everything up to the final dot: a connection, the envelope and the mail itself."""
ANSWER_TIMEOUT_S = 13.0
"""For the answer to it. RFC 5321, section 4.5.3.2.6, would wait ten minutes; whoever calls cannot."""
SEND_TIMEOUT_S = PLACE_TIMEOUT_S + TIMEOUT_S + ANSWER_TIMEOUT_S + 1.0
"""Longer than any ``send``."""
CONNECTIONS = 4
BUSY_S = 1.0  # until a place is free again, perhaps; the first mail that gets through ends the wait
IDLE_S = 60.0  # a server waits five minutes for the next command (RFC 5321, section 4.5.3.2.7), a busy one less
REUSE_S = 5.0  # for a kept connection to show that it still works
GOODBYE_S = 2.0

_BROKEN = (SMTPException, OSError, TimeoutError)


class Smtp:
    """One mail server; ``domain`` is what we greet it as.

    ``send`` and ``check`` raise SendError: one of its subclasses, each of which says what to do next.
    """

    def __init__(
        self,
        settings: SmtpSettings,
        domain: str,
        *,
        place_timeout_s: float = PLACE_TIMEOUT_S,
        timeout_s: float = TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        idle_s: float = IDLE_S,
        connections: int = CONNECTIONS,
    ) -> None:
        self._settings = settings
        self._domain = domain
        self._place_timeout_s = place_timeout_s
        self._timeout_s = timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._idle_s = idle_s
        self._places = asyncio.Semaphore(connections)
        self._idle: list[tuple[_Connection, asyncio.TimerHandle]] = []
        self._trusted: ssl.SSLContext | None = None
        self._closed = False

    async def send(self, mail_from: str, recipient: str, raw: bytes) -> str:
        """Hand a mail over, and return what the server says of it; ``mail_from`` may be empty (RFC 5321, 4.5.5).

        ``raw`` has CRLF at the end of each line.
        """
        letter = _Letter(mail_from, on_the_wire(recipient), raw)
        async with self._place() as ends_at:
            with _nothing_sent(channel_wide=True):
                async with asyncio.timeout_at(ends_at):
                    connection = await self._addressed(letter)
            with _nothing_sent(channel_wide=False), self._lent(connection):
                async with asyncio.timeout_at(ends_at):
                    await connection.name_recipient(letter)
                    await connection.write(letter)
            with self._lent(connection):
                answer = await connection.finish(self._answer_timeout_s)
            self._keep(connection)
            return answer

    async def check(self) -> None:
        """Greet the server, encrypt and log in as for a mail."""
        async with self._place() as ends_at:
            with _nothing_sent(channel_wide=True):
                async with asyncio.timeout_at(ends_at):
                    connection = await self._open()
            self._keep(connection)

    async def close(self) -> None:
        """Say goodbye on every connection that is not in use; the others are closed when they are done."""
        self._closed = True
        idle = [self._from_idle() for _ in list(self._idle)]
        await asyncio.gather(*(connection.quit() for connection in idle))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[float]:
        """Take one of the connections' places, and give until when the final dot must be written.

        Without one, no mail could be sent now: said of the whole channel, that costs this one none of its attempts.
        """
        try:
            async with asyncio.timeout(self._place_timeout_s):
                await self._places.acquire()
        except TimeoutError as error:
            busy = "every connection to the mail server is busy"
            raise RetryLater(busy, code="busy", retry_after_s=BUSY_S) from error
        try:
            yield asyncio.get_running_loop().time() + self._timeout_s
        finally:
            self._places.release()

    # --- connections ---

    async def _addressed(self, letter: _Letter) -> _Connection:
        """Return a connection on which the server has taken our address: a kept one, or a new one."""
        while self._idle:
            connection = self._from_idle()
            if await self._still_works(connection, letter):
                return connection
        connection = await self._open()
        with self._lent(connection):
            await connection.name_sender(letter)
        return connection

    async def _still_works(self, connection: _Connection, letter: _Letter) -> bool:
        """Give the server our address, or return False where it has left this connection meanwhile."""
        try:
            with self._lent(connection):
                async with asyncio.timeout(REUSE_S):
                    await connection.start_again()
                    await connection.name_sender(letter)
        except _BROKEN:
            return False
        except SendError:
            if connection.is_open:
                raise
            return False  # 421 ends a connection that has carried too many mails, too
        return True

    async def _open(self) -> _Connection:
        settings = self._settings
        if self._trusted is None and settings.security != "none":
            # It reads files. A CA of the owner's own stands in the system's place.
            try:
                self._trusted = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca_file)
            except OSError as error:  # ssl.SSLError is one
                raise RetryLater(
                    "smtp.ca_file cannot be used: it must hold PEM certificates", code="ca_file"
                ) from error
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=None if settings.password is None else settings.password.get_secret_value(),
            local_hostname=self._domain,
            timeout=self._timeout_s,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._trusted,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:  # a login has greeted already
                await client.ehlo()
            return _Connection(client)
        except BaseException as error:
            client.close()
            meant = _opening_error(error)
            if meant is not None:
                raise meant from error
            raise

    @contextmanager
    def _lent(self, connection: _Connection) -> Iterator[None]:
        """Keep a connection on which the server has refused something, and close one that broke."""
        try:
            yield
        except SendError:
            self._keep(connection)
            raise
        except BaseException:
            connection.close()
            raise

    def _keep(self, connection: _Connection) -> None:
        if self._closed:
            connection.leave()
        elif connection.is_open:
            self._idle.append((connection, asyncio.get_running_loop().call_later(self._idle_s, self._expire)))

    def _expire(self) -> None:
        connection, _ = self._idle.pop(0)  # all wait equally long, so it is the first one's time
        connection.leave()

    def _from_idle(self) -> _Connection:
        connection, expiry = self._idle.pop()  # the one that was used last: it is the surest to be still there
        expiry.cancel()
        return connection


@dataclass(frozen=True, slots=True)
class _Letter:
    mail_from: str
    recipient: str
    raw: bytes


class _Connection:
    """A connection that has been greeted, encrypted and logged in as configured."""

    def __init__(self, client: SMTP) -> None:
        if client.protocol is None:
            raise ConnectionResetError("the mail server hung up")
        self._client = client
        self._protocol = client.protocol
        transport = cast("asyncio.Transport", client.transport)
        # So that drain() returns when all is written. Not 0: asyncio's TLS would pause on an empty buffer, for ever.
        transport.set_write_buffer_limits(high=1, low=0)
        self._writer = asyncio.StreamWriter(transport, self._protocol, None, asyncio.get_running_loop())

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def start_again(self) -> None:
        """Make sure that nothing is left of an earlier mail (RFC 5321, section 4.1.1.5)."""
        reply = await self._client.execute_command(b"RSET")
        if reply.code >= 300:
            raise SMTPServerDisconnected(f"unexpected reply {reply.code}")

    async def name_sender(self, letter: _Letter) -> None:
        options = []
        if self._client.supports_extension("size"):
            options.append(f"SIZE={len(letter.raw)}")
        if not (letter.mail_from + letter.recipient).isascii():
            if not self._client.supports_extension("smtputf8"):
                raise Refused("the mail server takes no address with letters outside ASCII", code="5.6.7")
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        command = " ".join((f"FROM:<{letter.mail_from}>", *options))
        self._expect(Step.SENDER, await self._client.execute_command(b"MAIL", command.encode()))

    async def name_recipient(self, letter: _Letter) -> None:
        command = f"TO:<{letter.recipient}>"
        self._expect(Step.RECIPIENT, await self._client.execute_command(b"RCPT", command.encode()))

    async def write(self, letter: _Letter) -> None:
        """Write the whole mail. The dot comes last, when everything else is on its way, and nothing waits after it."""
        self._expect(Step.CONTENT, await self._client.execute_command(b"DATA"), 354)
        stuffed = letter.raw.replace(b"\r\n.", b"\r\n..")  # RFC 5321, section 4.5.2
        self._writer.write(b"." + stuffed if stuffed.startswith(b".") else stuffed)
        if not stuffed.endswith(b"\r\n"):
            self._writer.write(b"\r\n")
        await self._writer.drain()
        self._protocol.write(b".\r\n")

    async def finish(self, timeout_s: float) -> str:
        """Return what the server answers to the mail."""
        try:
            reply = await self._protocol.read_response(timeout=timeout_s)
            self._expect(Step.CONTENT, reply)
        except _BROKEN as error:
            self.close()
            raise OutcomeUnknown(f"no answer to the mail: {said(str(error))}") from error
        return said(reply.message)

    def _expect(self, step: Step, reply: SMTPResponse, code: int | None = None) -> None:
        if reply.code >= 400:
            raise smtp_error(step, reply.code, reply.message)
        if reply.code != code if code else reply.code // 100 != 2:
            raise SMTPResponseException(reply.code, f"unexpected reply {reply.code}")

    async def quit(self) -> None:
        """Say goodbye and wait a moment for the answer."""
        with contextlib.suppress(*_BROKEN):
            async with asyncio.timeout(GOODBYE_S):
                await self._client.quit()
        self.close()

    def leave(self) -> None:
        """Say goodbye without waiting."""
        with contextlib.suppress(*_BROKEN):
            self._protocol.write(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        self._client.close()


def _opening_error(error: BaseException) -> SendError | None:
    """Say what a server's answer before any mail means; None where it was no answer."""
    if isinstance(error, SMTPResponseException) and error.code >= 400:
        step = Step.LOGIN if isinstance(error, SMTPAuthenticationError) else Step.OPENING
        return smtp_error(step, error.code, error.message)
    if type(error) is SMTPException:  # what the configuration asks for, the server does not offer
        return CredentialsRejected(said(error.message), code="unsupported")
    return None


@contextmanager
def _nothing_sent(*, channel_wide: bool) -> Iterator[None]:
    """Say of whatever breaks that the mail can be sent again."""
    try:
        yield
    except _BROKEN as error:
        raise RetryLater(said(str(error)) or "the mail server did not answer", channel_wide=channel_wide) from error
