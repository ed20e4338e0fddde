"""One aiohttp server around the door and the health pages, which strangers can neither fill nor hold."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

FIRST_REQUEST_S = 10.0
"""A connection that has not sent a whole request head by then is dropped."""
KEEPALIVE_S = 75.0  # longer than the 60 s after which common proxies let an idle connection go
MAX_CONNECTIONS = 10_000
FULL_LOG_EVERY_S = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
    ) -> None:
        self._pages = list(pages)
        self._host = host
        self._port = port
        self._max_connections = _affordable_connections() if max_connections is None else max_connections
        self._first_request_s = first_request_s
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
        gate = _Gate(self._max_connections, self._first_request_s)
        app = web.Application(middlewares=[gate.note_request])
        for page in self._pages:
            page.add_routes(app.router)
        # Signatures are over the bytes as they arrived; unpacking a stranger's body is a way to be bombed besides.
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=10, keepalive_timeout=KEEPALIVE_S
        )
        await self._runner.setup()
        await _Site(self._runner, gate, self._host, self._port).start()

    async def stop(self) -> None:
        """Accept no more, finish what has begun."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class _Gate:
    """Turns connections away beyond a number, and those that say nothing.

    Without it, open connections use up the process's file descriptors, and asyncio then spins on accept.
    """

    def __init__(self, max_connections: int, first_request_s: float) -> None:
        self._max_connections = max_connections
        self._first_request_s = first_request_s
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
        self._told_at_s = -FULL_LOG_EVERY_S

    def admit(self, server: web.Server) -> asyncio.BaseProtocol:
        """Return who speaks with a new connection."""
        loop = asyncio.get_running_loop()
        if len(server.connections) >= self._max_connections:
            if loop.time() - self._told_at_s >= FULL_LOG_EVERY_S:
                self._told_at_s = loop.time()
                log.warning("connections_turned_away", limit=self._max_connections)
            return _TurnedAway()
        protocol: web.RequestHandler = server()
        self._silent[protocol] = loop.call_later(self._first_request_s, self._drop, protocol)
        return protocol

    @web.middleware
    async def note_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a connection has sent a request; from then on aiohttp's keep-alive limits it."""
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await handler(request)

    def _drop(self, protocol: web.RequestHandler) -> None:
        del self._silent[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()


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
        server = self._runner.server
        assert server is not None
        host, port = self._address
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._gate.admit(server), host, port, backlog=1024
        )


def _affordable_connections() -> int:
    """Leave half of the file descriptors to the database, the platforms and the files."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if descriptors == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, descriptors // 2)
