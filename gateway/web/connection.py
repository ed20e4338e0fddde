"""One connection of the server, and what a stranger at its other end may hold, take and read."""

from __future__ import annotations

import asyncio
from typing import cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.web.peers import Peers
from gateway.web.seldom import Seldom

log = structlog.get_logger(__name__)

FIRST_REQUEST_S = 10.0
"""A connection that has not sent a whole request head by then is dropped."""
KEEPALIVE_S = 75.0  # longer than the 60 s after which common proxies let an idle connection go
WRITE_TIMEOUT_S = 20.0
"""A peer that takes nothing of an answer for so long is dropped."""
LEAST_TAKEN_BYTES = 16 * 1024
"""Who takes so much of it within that time is slow, not hostile: a large file goes on, and so does a stream."""


class Connection(web.RequestHandler):
    """Speaks HTTP with one peer.

    aiohttp waits without an end for a peer that does not read: before the next answer, and, once it has closed, for
    the rest of the last one. Here the time is limited wherever the kernel takes no more bytes, whoever wrote them.
    """

    __slots__ = ("_address", "_left_bytes", "_line", "_peers", "_seldom", "_silent", "_unread", "_write_timeout_s")

    def __init__(self, server: web.Server, peers: Peers, seldom: Seldom, write_timeout_s: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is what switches it off
            # Signatures are over the bytes as they arrived; unpacking a stranger's body is a way to be bombed besides.
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
        )
        self._peers = peers
        self._seldom = seldom
        self._write_timeout_s = write_timeout_s
        self._line: asyncio.Transport | None = None
        self._address: str | None = None
        self._silent: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._left_bytes = 0

    # --- the peer that says nothing, and the one that comes too often ---

    def expect_request(self, within_s: float) -> None:
        """Hang up unless a request has come by then."""
        self._silent = asyncio.get_running_loop().call_later(within_s, self.abort)

    def note_request(self) -> None:
        """Note that a request has come; from then on aiohttp's keep-alive limits the connection."""
        if self._silent is not None:
            self._silent.cancel()
            self._silent = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up on a peer that has as many connections as it may."""
        self._line = cast("asyncio.Transport", transport)
        address = str((self._line.get_extra_info("peername") or ("",))[0])
        if not self._peers.enter(address):
            self._tell("one address")
            self.force_close()
            self.abort()
            return
        self._address = address
        self._line.set_write_buffer_limits(high=0)  # any byte that the kernel does not take is noticed
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of everything that waits."""
        self.note_request()
        self._stop_waiting()
        self._line = None
        if self._address is not None:
            self._peers.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def abort(self) -> None:
        """Hang up, whatever is still to be written."""
        if self._line is not None:
            self._line.abort()

    # --- the peer that does not read ---

    def pause_writing(self) -> None:
        """Give the peer a while to take what the kernel does not."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Note that the peer has taken everything."""
        self._stop_waiting()
        super().resume_writing()

    def _wait(self) -> None:
        if self._line is not None:
            self._left_bytes = self._line.get_write_buffer_size()
            self._unread = asyncio.get_running_loop().call_later(self._write_timeout_s, self._look)

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look(self) -> None:
        left_bytes = 0 if self._line is None else self._line.get_write_buffer_size()
        if self._left_bytes - left_bytes >= LEAST_TAKEN_BYTES:
            self._wait()
        else:
            self._tell("answer not read")
            self.abort()

    # --- the peer that speaks no HTTP ---

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and what a page failed at, without a word: aiohttp repeats the stranger's own.

        Raises:
            ConnectionError: there is nobody to answer, or half an answer has left.
        """
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, HttpProcessingError):
            self._tell("malformed request")
        else:
            log.error("page_failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError
        response = web.Response(status=status)
        response.force_close()
        name_server(response)
        return response

    def log_exception(self, *_: object, exc_info: BaseException | None = None) -> None:
        """Log a fault that aiohttp meets outside of our pages, now and then: a stranger may know how to cause it."""
        count = self._due("fault")
        if count is not None:
            log.error("connection_failed", exc_info=exc_info, count=count)

    def _tell(self, reason: str) -> None:
        """Log why connections are dropped, now and then."""
        count = self._due(reason)
        if count is not None:
            log.warning("connections_dropped", reason=reason, count=count)

    def _due(self, what: str) -> int | None:
        return self._seldom.count(what, asyncio.get_running_loop().time())


def name_server(response: web.StreamResponse) -> None:
    """Say who answers; aiohttp would add its version and Python's, and so which holes to try."""
    response.headers["Server"] = "Frontdesk"
