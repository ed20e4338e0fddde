"""Events become durable, once: in the database, or, while that is away, in the spool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from channels.abilities import Polled
from channels.base import Channel, Event, Parsed, Reply, Request
from channels.errors import PayloadError
from gateway.bus import Bus
from gateway.clock import Clock
from gateway.contents import Contents
from gateway.metrics import Metrics
from gateway.reader import ReadersBusy
from gateway.roster import Roster
from gateway.segment import Arrival, remove_body
from gateway.spool import Batch, Spool, SpoolUnavailable
from gateway.storage import Accept, Accepted, Checkpoint, Incoming, NoteDraining, Rejected, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

ACCEPT_TIMEOUT_S = 5.0
"""A database that answers later than this is away: Twilio gives a webhook and its retries 15 s in all
(www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides, read 2026-11)."""
DRAIN_BATCH = 200
DRAIN_RETRY_S = (0.2, 5.0)
ADOPT_EVERY_S = 30.0
NAMED = 1_000
"""How many kinds of ignored things are named in the log; the names are a stranger's words."""
NEVER = datetime.max.replace(tzinfo=UTC)

Found = tuple[Arrival | None, Accept]
"""What a poll has found: a request, or, without one, an event; and what it tells."""

ACK = Reply(200)
"""The answer to a body that we cannot read: taken, and nothing that any platform would show to a customer."""


class Inbox:
    """Accepts what the door has let in."""

    def __init__(
        self,
        storage: Storage,
        spool: Spool,
        roster: Roster,
        bus: Bus,
        metrics: Metrics,
        clock: Clock,
        contents: Contents,
        *,
        answer_while_waiting: bool,
    ) -> None:
        self._storage = storage
        self._spool = spool
        self._roster = roster
        self._bus = bus
        self._metrics = metrics
        self._clock = clock
        self._contents = contents
        self._answer_while_waiting = answer_while_waiting
        self._named: set[str] = set()
        self.calm_since = clock()
        """Since when the store has been up and the spool empty: a callback cannot be waiting in it."""

    async def receive(self, channel: Channel, request: Request) -> Reply:
        """Verify, read and keep one webhook; when this returns, what it told is on disk.

        Raises:
            SignatureError: it is forged.
            SendError: its proof cannot be checked now.
            SpoolUnavailable: it could not be kept anywhere.
        """
        try:
            await channel.verify(request)
        except BaseException:
            await _discard(request)
            raise
        return await self.take(channel, request)

    async def take(self, channel: Channel, request: Request) -> Reply:
        """Read and keep what has come by a way that needs no proof of its own; a file of its body is used up.

        Raises:
            SpoolUnavailable: it could not be kept anywhere.
        """
        arrival = Arrival(channel.name, request.without_proofs(), self._clock())
        in_spool = False
        try:
            operation, reply = await self._read(channel, arrival)
            in_spool = operation is not None and await self._keep(arrival, operation)
        finally:
            if not in_spool:
                await _discard(request)
        return reply

    async def accept_polled(self, channel: Channel, polled: Polled, before: Mapping[str, Any] | None) -> int:
        """Commit what a poll from the checkpoint ``before`` found, with where the next starts; counts new messages.

        Raises:
            StorageUnavailable: the poll is repeated from the old checkpoint.
            SpoolUnavailable: so it is where the disk does not take a file, or nobody can read it now.
        """
        now = self._clock()
        incoming = [entry for event in polled.events if (entry := self._route(channel, event)) is not None]
        found: list[Found] = [(None, Accept((entry,), now, self._answer_while_waiting)) for entry in incoming]
        for arrival in (Arrival(channel.name, request, now) for request in polled.requests):
            operation, _ = await self._read(channel, arrival)
            if operation is not None:
                found.append((arrival, await self._unload(operation)))
        checkpoint = Checkpoint(channel.name, before, dict(polled.checkpoint))
        events = tuple(entry for _, operation in found for entry in operation.events)
        rejected = tuple(row for _, operation in found for row in operation.rejected)
        whole = Accept(events, now, self._answer_while_waiting, rejected, poll=checkpoint)
        try:
            accepted = [await self._storage.run(whole)]
        except StorageUnavailable:
            raise
        except Exception:
            log.exception("poll_refused_by_database", channel=channel.name)
            accepted = await self._accept_singly(found, Accept((), now, poll=checkpoint))
        for one in accepted:
            self._announce(one)
        return sum(one.messages for one in accepted)

    async def _accept_singly(self, found: Sequence[Found], checkpoint: Accept) -> list[Accepted]:
        """Commit what a poll found one by one: what the database refuses holds up neither the rest nor the next poll.

        Raises:
            StorageUnavailable: the poll is repeated; what of it is committed falls to the unique constraints.
        """
        accepted: list[Accepted] = []
        for arrival, operation in found:
            try:
                accepted.append(await (self._commit(arrival, operation) if arrival else self._storage.run(operation)))
            except StorageUnavailable:
                raise
            except Exception as error:
                if arrival is not None:
                    await self._set_aside(arrival, error)
                else:  # there is no request that could be kept
                    log.exception("event_refused_by_database", error=type(error).__name__)
        return [*accepted, await self._storage.run(checkpoint)]

    async def accept_told(self, channel: Channel, event: Event) -> None:
        """Commit what a look-up, or the platform's answer to a send, told beside what was asked.

        Raises:
            StorageUnavailable: nothing was committed.
        """
        incoming = (Incoming(channel.name, channel.kind, event),)
        self._announce(await self._storage.run(Accept(incoming, self._clock(), self._answer_while_waiting)))

    async def replay(self, channel: Channel, request: Request, came_at: datetime) -> str | None:
        """Read a webhook that was kept once more and commit what it tells; returns why it still cannot be, or None.

        It was verified when it came, and counts as stored now; consent counts from when it came.

        Raises:
            StorageUnavailable: nothing was committed.
            SpoolUnavailable: the disk does not take a file.
        """
        operation, _ = await self._read(channel, Arrival(channel.name, request, self._clock()))
        if operation is None:
            return None
        if operation.rejected:
            return operation.rejected[0].reason
        operation = await self._unload(operation)
        try:
            accepted = await self._storage.run(replace(operation, said_at=came_at))
        except StorageUnavailable:
            raise
        except Exception as error:
            log.exception("events_refused_by_database", channel=channel.name)
            return f"the database refused it: {type(error).__name__}"
        self._announce(accepted)
        return None

    # --- reading ---

    async def _read(self, channel: Channel, arrival: Arrival) -> tuple[Accept | None, Reply]:
        """Return what a webhook tells as an operation, or None where that is nothing, and its answer.

        Asked again, the platform would send the same bytes, and a drain would read the same record: what breaks the
        parser is kept like what the parser refuses.
        """
        try:
            parsed = await self._contents.parse(channel, arrival.request)
            entries = [(event, self._route(channel, event)) for event in parsed.events]
        except ReadersBusy as error:
            raise SpoolUnavailable("every process that reads it is busy") from error
        except PayloadError as error:
            log.warning("webhook_unreadable", channel=channel.name, reason=str(error))
            return self._unreadable(arrival, str(error)), ACK
        except Exception as error:  # a fault of ours, to be mended before a replay
            log.exception("webhook_broke_its_reader", channel=channel.name, error=type(error).__name__)
            return self._unreadable(arrival, f"reading it failed: {type(error).__name__}"), ACK
        return self._told(channel, arrival, parsed, entries), parsed.reply

    def _unreadable(self, arrival: Arrival, reason: str) -> Accept:
        self._metrics.rejected.labels(arrival.channel_name, "unreadable").inc()
        return self._operation(arrival, (), reason)

    def _told(
        self, channel: Channel, arrival: Arrival, parsed: Parsed, entries: Sequence[tuple[Event, Incoming | None]]
    ) -> Accept | None:
        for name in parsed.ignored:
            self._ignore(channel.name, name)
        reason = parsed.unreadable
        if reason is not None:
            self._metrics.rejected.labels(channel.name, "unreadable").inc()
            log.warning("webhook_unreadable", channel=channel.name, reason=reason)
        for account in dict.fromkeys(event.account for event, entry in entries if entry is None):
            reason = reason or "no configured channel has this account"
            self._metrics.rejected.labels(channel.name, "unrouted").inc()
            log.warning("event_for_no_channel", channel=channel.name, account_id=account)
        incoming = tuple(entry for _, entry in entries if entry is not None)
        return self._operation(arrival, incoming, reason) if incoming or reason is not None else None

    def _route(self, channel: Channel, event: Event) -> Incoming | None:
        owner = self._roster.owner_of(channel, event)
        if owner is None:
            return None
        return Incoming(owner.name, owner.kind, event, self._roster.coalesce_s(owner.name))

    def _operation(self, arrival: Arrival, incoming: tuple[Incoming, ...], reason: str | None) -> Accept:
        rejected: tuple[Rejected, ...] = ()
        if reason is not None:
            rejected = (Rejected(arrival.channel_name, arrival.request, reason, arrival.received_at),)
        return Accept(incoming, arrival.received_at, self._answer_while_waiting, rejected)

    def _ignore(self, channel_name: str, event_name: str) -> None:
        self._metrics.ignored.labels(channel_name).inc()
        if event_name not in self._named and len(self._named) < NAMED:
            self._named.add(event_name)
            log.info("event_ignored", channel=channel_name, event_name=event_name)

    # --- keeping ---

    async def _keep(self, arrival: Arrival, operation: Accept) -> bool:
        """Commit or spool what has come; tells whether it is in the spool."""
        if self._spool.active:
            await self._spool_it(arrival)
            return True
        operation = await self._unload(operation)
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT_S):
                accepted = await self._commit(arrival, operation)
        except (StorageUnavailable, TimeoutError) as error:
            log.warning("database_away", error=type(error).__name__)
            await self._spool_it(arrival)
            return True
        except Exception as error:  # noqa: BLE001  it was logged where it was refused
            await self._set_aside(arrival, error)
        else:
            self._announce(accepted)
        return False

    async def _unload(self, operation: Accept) -> Accept:
        """Put an operation's files on the disk.

        Raises:
            SpoolUnavailable: it does not take them.
        """
        try:
            return await self._contents.keep(operation)
        except OSError as error:
            raise SpoolUnavailable(f"the disk of data.dir: {error.strerror}") from error

    async def _commit(self, arrival: Arrival, operation: Accept) -> Accepted:
        """Commit an operation; one that the database refuses for its content is kept whole instead."""
        try:
            return await self._storage.run(operation)
        except StorageUnavailable:
            raise
        except Exception as error:
            log.exception("events_refused_by_database", channel=arrival.channel_name)
            self._metrics.rejected.labels(arrival.channel_name, "refused").inc()
            kept = self._operation(arrival, (), f"the database refused it: {type(error).__name__}")
            return await self._storage.run(await self._unload(kept))

    async def _set_aside(self, arrival: Arrival, error: BaseException) -> None:
        """Take what the database refuses in every form out of the way of what is behind it."""
        path = await self._spool.set_aside(arrival)
        log.error("webhook_set_aside", channel=arrival.channel_name, error=type(error).__name__, path=str(path))

    async def _spool_it(self, arrival: Arrival) -> None:
        self.calm_since = NEVER
        try:
            await self._spool.append(arrival)
        except SpoolUnavailable:
            if not self._spool.active:  # nothing will be drained that could end this
                self._become_calm()
            raise
        self._metrics.spooled.inc()

    def _announce(self, accepted: Accepted) -> None:
        self._metrics.accepted.inc(accepted.messages)
        self._metrics.duplicates.inc(accepted.duplicates)
        self._metrics.unknown_statuses.inc(accepted.unknown_statuses)
        self._metrics.changes.labels("known").inc(accepted.changes)
        self._metrics.changes.labels("unknown").inc(accepted.unknown_changes)
        if accepted.due_at is not None:
            self._bus.publish("turns", {"due_at": accepted.due_at.timestamp()})
        if accepted.deliveries_released:
            self._bus.publish("outbox", {})

    # --- draining ---

    async def drain_forever(self) -> None:
        """Bring what was spooled into the database, oldest first, as soon as that is back."""
        delay_s = DRAIN_RETRY_S[0]
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ADOPT_EVERY_S):
                    await self._spool.changed.wait()
            if not self._spool.changed.is_set():
                await self._spool.adopt()
                continue
            batch = await self._spool.read(DRAIN_BATCH)
            if batch is None:
                self._become_calm()
                continue
            try:
                await self._drain(batch)
            except (StorageUnavailable, SpoolUnavailable, TimeoutError):
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, DRAIN_RETRY_S[1])
            else:
                delay_s = DRAIN_RETRY_S[0]
                if not self._spool.active:
                    self._become_calm()

    async def _drain(self, batch: Batch) -> None:
        await self._storage.run(NoteDraining(self._roster.names, self._clock()))
        work: list[tuple[Arrival, Accept]] = []
        for arrival in batch.arrivals:
            channel = self._roster.get(arrival.channel_name)
            if channel is None:  # it has been taken out of the configuration since: keep it for a replay
                operation: Accept | None = self._operation(arrival, (), "no such channel is configured")
            else:
                operation, _ = await self._read(channel, arrival)
            if operation is not None:
                work.append((arrival, replace(await self._unload(operation), said_at=arrival.received_at)))
        async with asyncio.timeout(2 * ACCEPT_TIMEOUT_S):
            results = await asyncio.gather(*(self._commit(*one) for one in work), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not _is_refusal(result):
                raise result  # the batch comes again: what of it is committed falls to the unique constraints
        for (arrival, _), result in zip(work, results, strict=True):
            if isinstance(result, BaseException):
                await self._set_aside(arrival, result)
        await self._spool.drained(batch)
        for result in results:
            if isinstance(result, Accepted):
                self._announce(result)
        log.info("spool_drained", count=len(batch.arrivals))

    def _become_calm(self) -> None:
        self.calm_since = self._clock()


async def _discard(request: Request) -> None:
    """Remove the file of a body that has been used up."""
    if request.file is not None:
        await asyncio.to_thread(remove_body, request.file)


def _is_refusal(error: BaseException) -> bool:
    """Tell whether the database was there and would not take it: it would not the next time either."""
    return isinstance(error, Exception) and not isinstance(error, StorageUnavailable | TimeoutError)
