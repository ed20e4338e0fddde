"""Putting the house together: which parts run in which role, in what order they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import structlog

from channels.abilities import ParsesInWorker
from gateway.assistant.parts import Parts, fit_database, open_parts
from gateway.assistant.tools.availability import Diary
from gateway.away import Away
from gateway.clock import Clock, utc_now
from gateway.config import Config
from gateway.contents import Contents
from gateway.handoffs import Handoffs
from gateway.hooks import Hooks
from gateway.inbox import Inbox
from gateway.listeners import Listeners
from gateway.lock import OwnerLock
from gateway.looks import Looker
from gateway.outbox import Outbox
from gateway.polls import Poller
from gateway.privacy import Retention
from gateway.reader import Readers
from gateway.spool import Spool
from gateway.storage import OpenChannels, SchemaMismatch, StorageUnavailable, TakeLeases
from gateway.tasks import end
from gateway.turns import Turns
from gateway.web.api import Api
from gateway.web.api.route import Desk
from gateway.web.calendar import CalendarFeed
from gateway.web.door import Door
from gateway.web.health import Health
from gateway.web.server import Routes, Server

log = structlog.get_logger(__name__)

Role = Literal["all", "web", "worker"]
DOOR_GRACE_S = 11.0
"""For what is being received: the server takes 10 s at most. With the graces below, under the promised 30 s in all."""
TURN_GRACE_S = 12.0
SEND_GRACE_S = 12.0
RESTART_S = 1.0
LOOK_S = 5.0
LOOK_TIMEOUT_S = 5.0
NOTE_TIMEOUT_S = 2.0
MEANWHILE = "webhooks are spooled, turns and deliveries wait; see: frontdesk doctor"


class Gateway:
    """One running process."""

    def __init__(self, parts: Parts, spool: Spool, role: Role, clock: Clock, *, owner: str) -> None:
        config = parts.config
        answers = config.handoff.while_waiting == "answer"
        self.parts = parts
        self.role = role
        self._clock = clock
        bus = parts.bus
        self._owner = owner
        self._spool = spool
        self.readers, self.vouchers = Readers(), Readers()
        contents = Contents(self.readers, parts.media.store, self.vouchers)
        self.inbox = Inbox(
            parts.storage, spool, parts.roster, bus, parts.metrics, clock, contents, answer_while_waiting=answers
        )
        self.turns = Turns(
            parts.storage,
            parts.roster,
            parts.assistant,
            bus,
            parts.metrics,
            clock,
            config.turns,
            owner=self._owner,
            answer_while_waiting=answers,
        )
        self.outbox = Outbox(
            parts.storage, parts.roster, self.inbox, bus, parts.metrics, clock, config.outbox, owner=self._owner
        )
        self.poller = Poller(parts.storage, parts.roster, self.inbox, clock, owner=self._owner)
        self.listeners = Listeners(parts.roster, self.inbox, parts.metrics)
        self.looker = Looker(parts.storage, parts.roster, clock)
        self.handoffs = Handoffs(parts.storage, parts.roster, parts.metrics, clock, config)
        self.hooks = Hooks(parts.storage, parts.http, clock, config.webhooks)
        self.retention = Retention(parts.storage, config.data.dir, clock, config.data.retention_days)
        self.health = Health(parts.storage, spool, parts.metrics, clock)
        max_body_bytes = config.server.max_body_mb * 1024 * 1024
        door = Door(self.inbox, parts.roster, parts.metrics, max_body_bytes=max_body_bytes, folder=spool.bodies)
        calendar = CalendarFeed(parts.storage, clock, config.api.calendar_token, name=config.business.name)
        diary = Diary(parts.storage, config.business)
        desk = Desk(parts.storage, parts.memory, config.data.dir, parts.service, parts.roster, bus, diary, clock)
        self.api = Api(desk, config.api, max_body_bytes=max_body_bytes)
        pages: list[Routes] = [self.health] if role == "worker" else [door, self.health, calendar, self.api]
        self.server = Server(pages, host=config.server.host, port=config.server.port)
        self._loops: list[asyncio.Task[None]] = []
        self.unfit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises SchemaMismatch where a database that was away at start turns out not to fit."""

    @property
    def port(self) -> int:
        """The port that the process listens on."""
        return self.server.port

    async def start(self) -> None:
        """Open the door first, so that inbound can be kept while everything else gets ready.

        Raises:
            OSError: the address is taken or not ours.
        """
        if any(isinstance(channel, ParsesInWorker) for channel in self.parts.roster):
            await self.readers.warm()
        await self.server.start()
        if self.role != "worker":
            await self.listeners.start()
        self._loops = [
            self._keep(self.inbox.drain_forever),
            self._keep(self._work),
            self._keep(self._watch_database),
            self._keep(self.api.note_forever),
        ]
        log.info("serving", port=self.port, role=self.role, channels=len(self.parts.roster.names))

    async def stop(self) -> None:
        """Accept no more, finish or release what runs, lose nothing; also after a start that failed."""
        self.health.stopping = True
        await self._close_doors()
        with contextlib.suppress(StorageUnavailable, TimeoutError):
            async with asyncio.timeout(NOTE_TIMEOUT_S):
                await self.api.note()
        await asyncio.gather(
            self.turns.stop(TURN_GRACE_S), self.outbox.stop(SEND_GRACE_S), self.hooks.stop(SEND_GRACE_S)
        )
        await end(self._loops)
        await self.readers.close()
        await self.vouchers.close()
        log.info("stopped")

    async def _close_doors(self) -> None:
        """Close all of them at once; who does not end what they have begun was never told that we have it."""
        try:
            async with asyncio.timeout(DOOR_GRACE_S):
                await asyncio.gather(self.listeners.stop(), self.server.stop())
        except TimeoutError:
            log.warning("doors_closed_on_somebody")

    async def _work(self) -> None:
        """Make ready what needs the database, then run the workers of this role."""
        await self._prepare()
        if self.role == "web":
            await asyncio.Event().wait()
        workers = [
            self.turns.run,
            self.outbox.run,
            self.poller.run,
            self.looker.run,
            self.handoffs.run,
            self.hooks.run,
            self.retention.run,
            self.parts.media.fetch_pending_forever,
        ]
        loops = [self._keep(worker) for worker in workers]
        try:
            await asyncio.gather(*loops)
        finally:
            await end(loops)

    async def _prepare(self) -> None:
        storage = self.parts.storage
        while True:
            try:
                await fit_database(storage, self.parts.config.business, self._clock)
                await storage.run(OpenChannels(self.parts.roster.names))
                await self.hooks.open()
                if storage.is_sqlite:
                    await storage.run(TakeLeases(self._clock(), self._owner))
            except StorageUnavailable:
                await asyncio.sleep(RESTART_S)
            except SchemaMismatch as error:
                self.unfit.set_exception(error)
                await asyncio.Event().wait()
            else:
                return

    async def _watch_database(self) -> None:
        """Say that the database is away, and that it is back: the workers only wait, each for itself."""
        database = Away("database", MEANWHILE)
        while True:
            try:
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    await self.parts.storage.ping()
            except (StorageUnavailable, TimeoutError) as error:
                database.note(away=True, error=error)
            else:
                database.note(away=False)
            await asyncio.sleep(LOOK_S)

    def _keep(self, worker: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run a worker's loop, again after a fault of ours: one bad moment does not silence a process."""

        async def forever() -> None:
            while True:
                try:
                    await worker()
                    return
                except Exception as error:  # the top of a loop
                    if not isinstance(error, StorageUnavailable):
                        log.exception("worker_failed", worker=getattr(worker, "__qualname__", "worker"))
                    await asyncio.sleep(RESTART_S)

        return asyncio.create_task(forever())


@asynccontextmanager
async def open_gateway(config: Config, role: Role = "all", clock: Clock = utc_now) -> AsyncIterator[Gateway]:
    """Start a process's whole house and stop it in reverse order.

    Raises:
        ConfigError: a channel's settings do not hold.
        AlreadyServed: another process serves this SQLite file.
        SchemaMismatch: PostgreSQL needs ``frontdesk migrate``.
        OSError: the address is taken or not ours.
    """
    async with AsyncExitStack() as stack:
        owner = f"serve:{uuid.uuid4()}"
        parts = await stack.enter_async_context(open_parts(config, clock, owner=owner))
        await _own_database(parts, clock, stack)
        spool = Spool(config.data.dir / "spool", config.data.spool_max_mb * 1024 * 1024)
        await spool.open()
        stack.push_async_callback(spool.close)
        gateway = Gateway(parts, spool, role, clock, owner=owner)
        with contextlib.suppress(StorageUnavailable):  # then as soon as it is back
            await gateway.hooks.open()  # before the door: the first message may be what a new receiver waits for
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield gateway


async def _own_database(parts: Parts, clock: Clock, stack: AsyncExitStack) -> None:
    """Make the database fit; one that is away is waited for behind the open door."""
    if parts.storage.path is not None:
        lock = OwnerLock(parts.storage.path)
        lock.acquire()
        stack.callback(lock.release)
    with contextlib.suppress(StorageUnavailable):
        await fit_database(parts.storage, parts.config.business, clock)


async def serve(config: Config, role: Role = "all") -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SchemaMismatch: PostgreSQL needs ``frontdesk migrate``; what arrived meanwhile is in the spool.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_gateway(config, role) as gateway:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, gateway.unfit), return_when=asyncio.FIRST_COMPLETED)
        await end((stopping,))
        if gateway.unfit.done():
            gateway.unfit.result()
