"""One aiohttp server around the door and the health pages, which strangers can neither fill nor hold."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog
from aiohttp import web

from gateway.web.connection import FIRST_REQUEST_S, WRITE_TIMEOUT_S, Connection, name_server
from gateway.web.peers import Peers
from gateway.web.seldom import Seldom

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 10_000
OWN_SHARE = 2  # half of the file descriptors are for the database, the platforms and the files
PEER_SHARE = 10  # one address of the internet may hold a tenth of the connections
SHUTDOWN_S = 5.0  # aiohttp waits for so long twice: for a page to end, and for its answer to be read

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Routes(Protocol):
    """Something that answers HTTP."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Mount itself."""


class Server:
    """Listens; a stop closes the sockets first and lets requests that have begun end."""

    def __init__(
        self,
        pages: Iterable[Routes],
        *,
        host: str,
        port: int,
        max_connections: int | None = None,
        first_request_s: float = FIRST_REQUEST_S,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._pages = list(pages)
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._first_request_s = first_request_s
        self._write_timeout_s = write_timeout_s
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; differs from the configured one where that is 0."""
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        app = web.Application()
        app.on_response_prepare.append(_name_server)
        for page in self._pages:
            page.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        assert self._runner.server is not None
        most = affordable_connections() if self._max_connections is None else self._max_connections
        gate = _Gate(self._runner.server, most, self._first_request_s, self._write_timeout_s)
        await _Site(self._runner, gate, self._host, self._port).start()

    async def stop(self) -> None:
        """Accept no more, finish what has begun."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class _Gate:
    """Turns connections away beyond a number; those it admits have limits of their own.

    Without it, open connections use up the process's file descriptors, and asyncio then spins on accept.
    """

    def __init__(
        self, server: web.Server, max_connections: int, first_request_s: float, write_timeout_s: float
    ) -> None:
        self._server = server
        self._max_connections = max_connections
        self._first_request_s = first_request_s
        self._write_timeout_s = write_timeout_s
        self._peers = Peers(max(1, max_connections // PEER_SHARE))
        self._seldom = Seldom()
        # Around aiohttp's own handler, not a middleware: the header Expect is answered before any of those is asked.
        server.request_handler = _noting(server.request_handler)

    def admit(self) -> asyncio.BaseProtocol:
        """Return who speaks with a new connection."""
        if len(self._server.connections) >= self._max_connections:
            count = self._seldom.count("limit", asyncio.get_running_loop().time())
            if count is not None:
                log.warning("connections_turned_away", limit=self._max_connections, count=count)
            return _TurnedAway()
        connection = Connection(self._server, self._peers, self._seldom, self._write_timeout_s)
        connection.expect_request(self._first_request_s)
        return connection


def _noting(handle: Handler) -> Handler:
    """Return a handler that notes each request at its connection, and refuses what is expected without a word."""

    async def noted(request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.note_request()
        try:
            return await handle(request)
        except web.HTTPExpectationFailed:  # aiohttp's page repeats what was expected
            return web.Response(status=417)

    return noted


async def _name_server(_: web.Request, response: web.StreamResponse) -> None:
    name_server(response)


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.abort()  # type: ignore[attr-defined]  # a socket's transport has it


class _Site(web.BaseSite):
    """A listening socket behind the gate."""

    def __init__(self, runner: web.AppRunner, gate: _Gate, host: str, port: int) -> None:
        super().__init__(runner)
        self._gate = gate
        self._address = (host, port)

    @property
    def name(self) -> str:
        host, port = self._address
        return f"http://{host}:{port}"

    async def start(self) -> None:
        await super().start()
        host, port = self._address
        self._server = await asyncio.get_running_loop().create_server(self._gate.admit, host, port, backlog=1024)


def affordable_connections() -> int:
    """Raise the process's limit of file descriptors as far as we need and may, and return our connections' share."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OWN_SHARE * MAX_CONNECTIONS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid even this
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // OWN_SHARE)
