"""How long a mail server is left in peace after a failure."""

from __future__ import annotations

from collections.abc import Callable

from channels.errors import CredentialsRejected, RetryLater, SendError

FIRST_S = 5.0
LONGEST_S = 300.0
REJECTED_S = 60.0
"""The first after wrong credentials: servers lock out whoever tries them often."""


class Pause:
    """A time in which nothing is tried, longer after each failure, and never the same for two processes."""

    def __init__(self, clock: Callable[[], float], roll: Callable[[], float]) -> None:
        """``clock`` counts seconds, ``roll`` gives a number from 0 to 1."""
        self._clock = clock
        self._roll = roll
        self._failures = 0
        self._error: SendError | None = None
        self._until = 0.0

    def check(self) -> None:
        """Return when something may be tried.

        Raises:
            SendError: like the one that began the pause.
        """
        left_s = self._until - self._clock()
        if self._error is None or left_s <= 0:
            return
        if isinstance(self._error, RetryLater):
            raise RetryLater(str(self._error), code=self._error.code, retry_after_s=left_s)
        raise type(self._error)(str(self._error), code=self._error.code)

    def begin(self, error: SendError) -> None:
        """Begin one because of a failure."""
        first_s = REJECTED_S if isinstance(error, CredentialsRejected) else FIRST_S
        longest_s = min(LONGEST_S, first_s * 2 ** min(self._failures, 10))
        self._failures += 1
        self._error = error
        self._until = self._clock() + longest_s * (1 + self._roll()) / 2

    def end(self) -> None:
        """Forget the failures."""
        self._failures = 0
        self._error = None
