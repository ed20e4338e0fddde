"""What all connections of a listener share: whom it is here for, how much it takes at once, and how it closes."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self

import structlog

from channels.base import Request

log = structlog.get_logger(__name__)

SMALL_ONLY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a listener takes."""

    memory_bytes: int
    """Of messages that are being received or stored, all together."""
    network_bytes: int | None = None
    """... and of those from one IP address, or one IPv6 network of 64 bits; None where a mail server stands before
    us."""
    small_only_bytes: int = 0
    """So much of ``memory_bytes`` is for messages of at most ``small_bytes`` only: large ones never shut out the usual
    ones."""
    small_bytes: int = 256 * 1024
    per_address: int | None = None
    """Connections of one IP address, or of one IPv6 network of 64 bits; None where a mail server stands before us."""
    connections: int = 200
    recipients: int = 100  # of one message: RFC 5321, section 4.5.3.1.8
    commands: int = 1000  # of one kind, on one connection
    idle_s: float = 300.0  # RFC 5321, section 4.5.3.2.7
    data_s: float = 900.0
    """For a whole message, however steadily it comes."""
    receive_s: float = 60.0
    linger_s: float = 10.0
    """For a client to take our last words."""
    closing_s: float = 8.0
    """For messages that have begun; the process gives all of its doors 11 s."""

    @classmethod
    def of(cls, max_mail_bytes: int, protocol: str) -> Self:
        """Return the limits that fit the largest message: some of these at once, and many of the usual ones.

        By LMTP comes one mail server, and one recipient at a time: DATA is answered once for each.
        """
        memory_bytes = max(4 * max_mail_bytes, 64 * 1024 * 1024)
        if protocol == "lmtp":
            return cls(memory_bytes, small_only_bytes=SMALL_ONLY_BYTES, recipients=1)
        return cls(memory_bytes, memory_bytes // 2, SMALL_ONLY_BYTES, per_address=20)


class Room:
    """Memory for all messages together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free_bytes = limits.memory_bytes
        self._by_network: Counter[str] = Counter()

    def take(self, network: str, size: int, before: int) -> bool:
        """Take so many bytes for a message that has ``before`` already, and tell whether there were as many."""
        limits = self._limits
        kept_back = 0 if before + size <= limits.small_bytes else limits.small_only_bytes
        is_much = limits.network_bytes is not None and self._by_network[network] + size > limits.network_bytes
        if is_much or size > self._free_bytes - kept_back:
            return False
        self._free_bytes -= size
        self._by_network[network] += size
        return True

    def give_back(self, network: str, size: int) -> None:
        """Take so many bytes back."""
        self._free_bytes += size
        self._by_network[network] -= size
        if not self._by_network[network]:
            del self._by_network[network]


class Share:
    """What one message has of it."""

    def __init__(self, room: Room, network: str) -> None:
        self._room = room
        self._network = network
        self._size = 0

    def grow(self, size: int) -> bool:
        """Take so many bytes more, and tell whether there were as many."""
        if not self._room.take(self._network, size, self._size):
            return False
        self._size += size
        return True

    def free(self) -> None:
        """Give everything back."""
        self._room.give_back(self._network, self._size)
        self._size = 0


class Connection(Protocol):
    """One client's."""

    async def ended(self) -> None:
        """Return when nothing of it runs any more."""

    def ask_to_leave(self) -> None:
        """End it as soon as nothing of it is being received."""

    def cut(self) -> None:
        """End it now."""


class Door:
    """A listener's state."""

    def __init__(
        self,
        own_addresses: frozenset[str],
        max_mail_bytes: int,
        hostname: str,
        require_tls: bool,
        limits: Limits,
        receive: Callable[[Request], Awaitable[None]],
    ) -> None:
        self.own_addresses = own_addresses
        self.max_mail_bytes = max_mail_bytes
        self.hostname = hostname
        self.require_tls = require_tls
        self.limits = limits
        self.is_closing = False
        self._receive = receive
        self._room = Room(limits)
        self._connections: dict[Connection, str] = {}
        self._by_address: Counter[str] = Counter()
        self._storing: set[asyncio.Task[bool]] = set()
        self._is_empty = asyncio.Event()

    # --- connections ---

    def enter(self, connection: Connection, ip: str) -> bool:
        """Tell whether one more connection is taken, and remember it."""
        network, limits = _network(ip), self.limits
        is_many = limits.per_address is not None and self._by_address[network] >= limits.per_address
        if self.is_closing or is_many or len(self._connections) >= limits.connections:
            return False
        self._connections[connection] = network
        self._by_address[network] += 1
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        network = self._connections.pop(connection, None)
        if network is not None:
            self._by_address[network] -= 1
            self._by_address += Counter()  # without the zeros
        if self.is_closing and not self._connections:
            self._is_empty.set()

    async def close(self) -> None:
        """Let what is being received end, for a while, and then close the rest."""
        self.is_closing = True
        connections = tuple(self._connections)
        for connection in connections:
            connection.ask_to_leave()
        if not self._connections:
            self._is_empty.set()
        try:
            async with asyncio.timeout(self.limits.closing_s):
                await self._is_empty.wait()
                await asyncio.gather(*self._storing)
        except TimeoutError:
            log.warning(
                "email_listener_cut", connections_count=len(self._connections), storing_count=len(self._storing)
            )
            for connection in tuple(self._connections):
                connection.cut()
            await asyncio.gather(*self._storing)  # which end by themselves, in receive_s
        for connection in connections:
            await connection.ended()

    # --- messages ---

    def share(self, connection: Connection) -> Share:
        """Return the room of a connection's new message, which is empty."""
        return Share(self._room, self._connections[connection])

    async def store(self, request: Request, share: Share) -> bool:
        """Hand a message over; tell whether it is on disk. Its share is given back.

        The client may hang up meanwhile: what has begun is finished, because nobody could tell how far it is.
        """
        task = asyncio.create_task(self._store(request, share))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return await asyncio.shield(task)

    async def _store(self, request: Request, share: Share) -> bool:
        try:
            async with asyncio.timeout(self.limits.receive_s):
                await self._receive(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client keeps the message and comes again
            log.warning("email_not_stored", error=type(error).__name__)
            return False
        finally:
            share.free()
        return True


def _network(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
