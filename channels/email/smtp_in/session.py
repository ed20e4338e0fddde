"""One client's dialogue: what aiosmtpd reads, and what we answer in its place.

The library keeps each line of a message as an object of its own, advertises commands that we have not, writes
exceptions into its answers, and never lets others have their turn while a client floods it; so the commands that
matter are ours. SMTP is RFC 5321, its extensions 1870 (SIZE), 2920 (PIPELINING), 3207 (STARTTLS) and 6531 (SMTPUTF8);
LMTP is RFC 2033.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections import defaultdict
from typing import AnyStr, cast

from aiosmtpd.smtp import SMTP, Envelope, syntax

from channels.base import Request
from channels.email.envelope import MAIL_FROM, RAW, RCPT_TO
from channels.email.smtp_in.answers import CLOSING, TOO_LARGE, Answers
from channels.email.smtp_in.data_lines import DataLines
from channels.email.smtp_in.door import Door, Share

_PIECE = 64 * 1024  # bytes
_MAX_COMMAND = 512  # bytes, and of MAIL with its parameters twice as many: RFC 5321, section 4.5.3.1.4; RFC 6531, 3.4
_LATER = "451 4.3.0 cannot be kept now, try again later"
_NO_ROOM = "451 4.3.1 too much mail at once, try again later"
_SILENT = "421 4.4.2 nothing came for too long"
_UNKNOWN = "502 5.5.1 not implemented"


class SmtpSession(SMTP):
    """A connection."""

    ident = "ESMTP"
    scheme = "smtp:"

    def __init__(self, door: Door, tls: ssl.SSLContext | None, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            Answers(door),
            data_size_limit=None,  # told and checked by ours
            enable_SMTPUTF8=True,
            hostname=door.hostname,
            ident=self.ident,
            tls_context=tls,
            timeout=door.limits.idle_s,
            command_call_limit=door.limits.commands,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=loop,
        )
        # The library's own table is one for all connections, and grows with each EHLO.
        self.command_size_limits = defaultdict(lambda: _MAX_COMMAND, MAIL=2 * _MAX_COMMAND, RCPT=2 * _MAX_COMMAND)
        self._door = door
        self._is_inside = False
        self._is_taking = False

    # --- its life ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter, or be turned away; comes again when TLS has begun."""
        peer = transport.get_extra_info("peername")
        if not self._is_inside and not self._door.enter(self, str(peer[0]) if peer else ""):
            outside = cast("asyncio.Transport", transport)
            outside.write(b"421 4.3.2 too many connections, try again later\r\n")
            outside.close()
            return
        self._is_inside = True
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        """End with the client."""
        return super().eof_received() if self._is_inside else False

    def connection_lost(self, error: Exception | None) -> None:
        """Leave."""
        self._door.leave(self)
        if self._is_inside:
            self._is_inside = False
            super().connection_lost(error)

    def ask_to_leave(self) -> None:
        """End it as soon as nothing of it is being received."""
        if not self._is_taking:
            self._say_goodbye(CLOSING)

    def cut(self) -> None:
        """End it now."""
        cast("asyncio.Transport", self._original_transport or self.transport).abort()

    async def ended(self) -> None:
        """Return when nothing of it runs any more."""
        assert self._handler_coroutine is not None
        await asyncio.wait([self._handler_coroutine])

    def _timeout_cb(self) -> None:
        if self._line.is_closing():
            self.cut()  # it does not take our last words
            return
        self._reset_timeout(self._door.limits.linger_s)
        self._say_goodbye(_SILENT)

    @property
    def _line(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self.transport)

    def _say_goodbye(self, reply: str) -> None:
        if self._line.is_closing():
            return
        if self._line.get_write_buffer_size():
            self.cut()  # it does not read what we say: waiting for that would be for ever
            return
        self._line.write(f"{reply}\r\n".encode())
        self._line.close()

    def _give_up(self) -> None:
        """End it in the middle of a message, whose next line must not be read as a command."""
        self._say_goodbye(_SILENT)
        assert self._handler_coroutine is not None
        self._handler_coroutine.cancel()

    async def push(self, status: AnyStr) -> None:
        """Answer, and let others have their turn: a client may have sent thousands of commands at once."""
        await super().push(status)
        await asyncio.sleep(0)

    # --- a message ---

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """Receive a message and have it stored."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 need RCPT command")
            return
        self._is_taking = True
        share = self._door.share(self)
        try:
            reply = await self._take(self.envelope, share)
        except TimeoutError:
            self._give_up()
            return
        finally:
            self._is_taking = False
            self.envelope = self._create_envelope()
        await self.push(reply)
        if self._door.is_closing:
            self._say_goodbye(CLOSING)

    async def _take(self, envelope: Envelope, share: Share) -> str:
        if not share.grow(_PIECE):
            return _NO_ROOM
        share.free()
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            async with asyncio.timeout(self._door.limits.data_s):
                content = await self._read_message(share)
        except BaseException:
            share.free()
            raise
        if isinstance(content, str):
            return content
        self._reset_timeout(self._door.limits.receive_s + self._door.limits.idle_s)
        is_stored = await self._door.store(_request(self.scheme, envelope, content), share)
        self._reset_timeout()
        return "250 2.0.0 stored" if is_stored else _LATER

    async def _read_message(self, share: Share) -> bytes | str:
        """Read to the end of a message, and return it or why it is refused."""
        kept = io.BytesIO()  # grows in place, and gives what it has without copying 50 MB at once
        size, refusal, lines = 0, "", DataLines()
        rest: bytes | None = None
        while rest is None:
            piece, rest = lines.feed(await self._read_piece())
            size += len(piece)
            if size > self._door.max_mail_bytes:
                refusal = TOO_LARGE
            elif not refusal and not share.grow(len(piece)):
                refusal = _NO_ROOM
            if refusal:  # the rest is read all the same: nobody hears us before the end
                kept = io.BytesIO()
                share.free()
            else:
                kept.write(piece)
        # What came after the end is the next command, sent ahead (RFC 2920).
        self._reader._buffer[:0] = rest  # type: ignore[attr-defined]  # noqa: SLF001
        return refusal or kept.getvalue()

    async def _read_piece(self) -> bytes:
        piece = await self._reader.read(_PIECE)
        assert piece, "the library ends us before the stream ends"
        self._reset_timeout()
        return piece

    # --- what nobody has to know ---

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802
        """Tell nobody who is here."""
        await self.push("252 2.5.2 cannot verify, send mail and see")

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: N802
        """Tell nobody who is here."""
        await self.push(_UNKNOWN)

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        """Help nobody."""
        await self.push("214 2.0.0 see RFC 5321")

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Let nobody log in: there is nothing to gain by it."""
        await self.push(_UNKNOWN)


class LmtpSession(SmtpSession):
    """A connection of a mail server that delivers to us.

    LMTP answers DATA once for each recipient; with one recipient of a transaction that is SMTP's one answer.
    """

    ident = "LMTP"
    scheme = "lmtp:"

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:  # noqa: N802
        """Greet."""
        await super().smtp_EHLO(arg)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """Refuse: RFC 2033, section 4.1."""
        await self.push(_UNKNOWN)

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        """Refuse: RFC 2033, section 4.1."""
        await self.push(_UNKNOWN)


def _request(scheme: str, envelope: Envelope, content: bytes) -> Request:
    sender = "" if envelope.mail_from in (None, "<>") else envelope.mail_from
    headers = [("Content-Type", RAW), (MAIL_FROM, str(sender)), *((RCPT_TO, to) for to in envelope.rcpt_tos)]
    return Request("POST", scheme, tuple(headers), content)
