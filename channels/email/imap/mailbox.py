"""Mail that is fetched from a mailbox by IMAP."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from channels.abilities import Polled
from channels.email.imap.checkpoint import key_of
from channels.email.imap.client import Session
from channels.email.imap.fetching import Reader, lasting
from channels.email.imap.pause import Pause
from channels.email.imap.protocol import Limits, Lost
from channels.email.settings import ImapSettings
from channels.errors import RetryLater, SendError

IDLE_S = 240.0  # some servers hang up after 300 s (lefcha/imapfilter#311); RFC 2177 would allow 29 minutes


class ImapMailbox:
    """A mailbox that is read and otherwise left alone: nothing is marked, moved or deleted in it.

    What has been read is told by UIDs (:class:`channels.email.imap.checkpoint.Checkpoint`), never by flags: people
    open the mailbox, too. One connection is kept between calls. After a failure there is a pause, in which every poll
    fails at once in the same way.
    """

    def __init__(
        self,
        settings: ImapSettings,
        max_mail_bytes: int,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """``max_mail_bytes``: a larger mail's headers are fetched. ``clock`` counts seconds, ``roll`` gives 0 to 1."""
        self._settings = settings
        self._limits = limits or Limits()
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._pause = Pause(clock, roll)
        self._reader = Reader(settings.mailbox, key_of(settings), max_mail_bytes, clock)

    async def poll(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Return the mails that came since the checkpoint, oldest first; None means from now on.

        Raises:
            RetryLater: the server is away, or does not answer as it should.
            Refused: it cannot be used as the settings say.
            CredentialsRejected: it says so.
        """
        self._end_waiting()
        async with self._lock:
            self._pause.check()
            try:
                polled = await self._read(checkpoint, now)
            except SendError as error:
                self._pause.begin(error)
                raise
            if self._session is None:
                self._pause.begin(Lost())  # some mails were fetched before
            else:
                self._pause.end()
            return polled

    async def _read(self, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        if self._session is not None:
            try:
                return await self._read_over(self._session, checkpoint, now)
            except Lost:
                pass  # it may have been dead for long: only a new connection tells
        self._session = await Session.open(self._settings, self._limits)
        return await self._read_over(self._session, checkpoint, now)

    async def _read_over(self, session: Session, checkpoint: Mapping[str, Any] | None, now: datetime) -> Polled:
        """Read over a connection, and keep it if it can still be used afterwards."""
        usable = False
        try:
            polled = await self._reader.read(session, checkpoint, now)
            usable = not session.gone
        except SendError:
            usable = not session.gone
            raise
        finally:
            if not usable:
                self._drop(session)
        return polled

    async def wait_for_news(self, at_most_s: float) -> None:
        """Return when a poll may find something, or after the time; a poll in the meantime ends it, too.

        From a server that has no IDLE nothing is heard: then this returns after the time, or when the connection ends.

        Raises:
            RetryLater: there is no connection, which only a poll opens.
            SendError: like the one that began the pause.
        """
        async with self._lock:
            self._pause.check()
            session = self._session
            if session is None:
                raise RetryLater("there is no connection to the mail server: the next poll connects")
            try:
                await session.wait(min(at_most_s, IDLE_S))
            except BaseException as error:
                self._drop(session)
                if isinstance(error, SendError):
                    self._pause.begin(error)
                raise

    async def check(self) -> None:
        """Log in and open the mailbox, over a connection of its own.

        Raises:
            SendError: it cannot be done; the message says what to do.
        """
        session = await Session.open(self._settings, self._limits)
        try:
            lasting(await session.examine(self._settings.mailbox))
        finally:
            await session.close()

    async def close(self) -> None:
        """Log out."""
        self._end_waiting()
        async with self._lock:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    def _end_waiting(self) -> None:
        if self._session is not None:
            self._session.stir()

    def _drop(self, session: Session) -> None:
        session.drop()
        self._session = None
