"""Notices on their way to the people who work here: at least once, because one too many is better than none."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import timedelta

import structlog

from channels.abilities import ChecksRecipient
from channels.base import Outbound
from channels.content import Content
from channels.errors import Refused, RetryLater, SendError
from gateway.clock import Clock
from gateway.mail import Mail, MailError, MailLater, MailRefused
from gateway.metrics import Metrics
from gateway.roster import Roster
from gateway.storage import ClaimedNotice, ClaimNotices, SettleNotice, Storage, StorageUnavailable

log = structlog.get_logger(__name__)

AT_ONCE = 8
LEASE = timedelta(seconds=120)
"""Longer than any sending: a mail has 62 s at most, a channel its ``send_timeout_s``."""
MAX_ATTEMPTS = 8
BACKOFF_S = 30.0
BACKOFF_FACTOR = 3.0
BACKOFF_CAP_S = 3600.0
"""Sent again after 30 s, 90 s, 5 min, 14 min, 40 min and then every hour: the eight attempts cover three hours."""
MAX_WAIT_S = 4 * 3600.0  # what a platform may wish


class Unsendable(Exception):
    """No attempt at this notice can succeed."""


class Notices:
    """Sends what is queued, and settles what came back."""

    def __init__(
        self, storage: Storage, roster: Roster, metrics: Metrics, clock: Clock, mail: Mail | None, *, name: str
    ) -> None:
        self._storage = storage
        self._roster = roster
        self._metrics = metrics
        self._clock = clock
        self._mail = mail
        self._name = name
        """Who the mails are from, in words."""

    async def send_due(self) -> int:
        """Send what is due, and return how many notices that was.

        Raises:
            StorageUnavailable: the database is away.
        """
        now = self._clock()
        claimed = await self._storage.run(ClaimNotices(now, now + LEASE, AT_ONCE))
        if claimed:
            async with asyncio.TaskGroup() as group:
                for notice in claimed:
                    group.create_task(self._deliver(notice))
        return len(claimed)

    async def _deliver(self, notice: ClaimedNotice) -> None:
        with structlog.contextvars.bound_contextvars(notice_id=notice.id, kind=notice.kind):
            settled = await self._attempt(notice)
            with contextlib.suppress(StorageUnavailable):  # then it is due again when the lease ends
                await self._storage.run(settled)
            self._metrics.notices.labels(notice.kind, "retry" if settled.status == "queued" else settled.status).inc()

    async def _attempt(self, notice: ClaimedNotice) -> SettleNotice:
        try:
            await (self._by_mail(notice) if notice.kind == "email" else self._by_channel(notice))
        except (Refused, MailRefused, Unsendable) as error:
            return self._failed(notice, error)
        except (SendError, MailLater, TimeoutError) as error:
            return self._again(notice, error)
        except Exception as error:  # whatever it is, it may be mended before the last attempt
            log.exception("notice_broke")
            return self._again(notice, error)
        log.info("notice_sent", attempts=notice.attempts)
        return SettleNotice(notice.id, notice.attempts, "sent", self._clock())

    async def _by_mail(self, notice: ClaimedNotice) -> None:
        if self._mail is None:
            raise Unsendable("there is no mail server")
        await self._mail.send(
            self._mail.message(
                notice.id, notice.target, notice.subject, notice.content, name=self._name, at=notice.created_at
            )
        )

    async def _by_channel(self, notice: ClaimedNotice) -> None:
        channel = self._roster.get(notice.channel_name or "")
        if channel is None:
            raise Unsendable("its channel is not enabled")
        recipient = notice.target
        if isinstance(channel, ChecksRecipient):
            try:
                recipient = channel.check_recipient(recipient)
            except ValueError as error:
                raise Unsendable("the channel reaches no such address") from error
        async with asyncio.timeout(channel.send_timeout_s):
            await channel.send(Outbound(notice.id, recipient, Content(notice.content), attempts=notice.attempts - 1))

    def _again(self, notice: ClaimedNotice, error: Exception) -> SettleNotice:
        if notice.attempts >= MAX_ATTEMPTS:
            return self._failed(notice, error)
        now = self._clock()
        wish_s = error.retry_after_s if isinstance(error, RetryLater) else None
        wait_s = max(self._backoff_s(notice.attempts), min(wish_s or 0.0, MAX_WAIT_S))
        log.warning("notice_delayed", attempts=notice.attempts, error=type(error).__name__, code=_code(error))
        return SettleNotice(
            notice.id,
            notice.attempts,
            "queued",
            now,
            next_attempt_at=now + timedelta(seconds=wait_s),
            error=_told(error),
        )

    def _failed(self, notice: ClaimedNotice, error: Exception) -> SettleNotice:
        log.error("notice_failed", attempts=notice.attempts, error=type(error).__name__, code=_code(error))
        return SettleNotice(notice.id, notice.attempts, "failed", self._clock(), error=_told(error))

    def _backoff_s(self, attempts: int) -> float:
        return min(BACKOFF_CAP_S, BACKOFF_S * BACKOFF_FACTOR ** (attempts - 1)) * random.uniform(0.75, 1.25)


def _code(error: Exception) -> str | int | None:
    return error.code if isinstance(error, SendError | MailError) else None


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
