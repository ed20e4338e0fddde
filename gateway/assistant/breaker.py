"""The circuit breaker: what has failed again and again is left alone for a while, so that nobody waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import Enum, auto

import structlog

from gateway.assistant.model import ModelEmpty, ModelError, ModelMisconfigured, ModelRefused, ModelUnavailable

log = structlog.get_logger(__name__)

FAILURES = 5
"""Failures in a row that open a circuit."""
OPEN_S = 30.0
"""How long a circuit is open at first; each probe that fails doubles it."""
MAX_OPEN_S = 300.0
CIRCUIT_OPEN = "circuit_open"
"""The ``code`` of the error that an open circuit raises."""

# Of what an operator must heal, the statuses that any prompt would get: a wrong key, no money, an unknown model, and
# the 429 that is no haste. A 403 may be about one customer's words ("your input was flagged",
# https://openrouter.ai/docs/api/reference/errors-and-debugging, read 2026-11), who must not switch the model off for
# everybody else: it counts as one failure.
_SAME_FOR_ALL = frozenset({"401", "402", "404", "429"})


class Verdict(Enum):
    """What the end of a call says about whom it asked."""

    ANSWERED = auto()
    FAILED = auto()
    HOPELESS = auto()
    """The next call will fail as well: no second one is needed to know."""
    NEITHER = auto()


def judge_completion(error: Exception) -> Verdict:
    """Say what a failed completion tells about its model; a refused prompt or a wordless answer is the prompt's."""
    if isinstance(error, ModelRefused | ModelEmpty) or not isinstance(error, ModelError):
        return Verdict.NEITHER
    if error.code == CIRCUIT_OPEN:  # the server's circuit: nobody was asked
        return Verdict.NEITHER
    status = (error.code or "").partition(" ")[0]
    hopeless = isinstance(error, ModelMisconfigured) and status in _SAME_FOR_ALL
    return Verdict.HOPELESS if hopeless else Verdict.FAILED


class Breaker:
    """Opens after failures in a row; when the time is up one call is let through as a probe, and decides.

    It exists for the ones behind the probe: without it each of them would wait for a timeout before it hears the
    fallback. It lives in one event loop.
    """

    def __init__(self, name: str, judge: Callable[[Exception], Verdict], monotonic: Callable[[], float]) -> None:
        self.name = name
        self._judge = judge
        self._monotonic = monotonic
        self._failed: list[str | None] = []
        """Whose calls failed in a row; None where nobody says."""
        self._open_until: float | None = None
        self._open_s = OPEN_S
        self._probing = False
        # Counts openings and closings: a call that began before the last of them says nothing about the time since.
        self._era = 0

    @property
    def is_open(self) -> bool:
        """True from the opening until a call is answered: also when the time is up and nobody has probed yet."""
        return self._open_until is not None

    @property
    def open_until(self) -> float | None:
        """When the next probe may go, by the breaker's clock in seconds; None while the circuit is closed."""
        return self._open_until

    @contextlib.contextmanager
    def attempt(self, customer: str | None = None) -> Iterator[None]:
        """Make the body's call where one may be made now, and learn from its end; a cancelled one teaches nothing.

        ``customer`` stands for whose words are in it: what one customer's prompts meet says nothing about others'.

        Raises:
            ModelUnavailable: the circuit is open; its code is ``circuit_open``.
        """
        era = self._enter()
        try:
            yield
        except Exception as error:
            self._learn(error, era, customer)
            raise
        else:
            self._close()
        finally:
            if era == self._era:  # in an open era only the probe got in; also a cancelled one gives its place back
                self._probing = False

    def _enter(self) -> int:
        if self._open_until is not None:
            left_s = self._open_until - self._monotonic()
            if left_s > 0 or self._probing:
                raise ModelUnavailable(f"not asked: {self.name} failed a short while ago", code=CIRCUIT_OPEN)
            self._probing = True
        return self._era

    def _learn(self, error: Exception, era: int, customer: str | None) -> None:
        verdict = self._judge(error)
        if verdict is Verdict.ANSWERED:
            self._close()
        elif verdict is not Verdict.NEITHER and era == self._era:
            self._failed.append(customer)
            if self.is_open or verdict is Verdict.HOPELESS or self._concerns_everybody():
                self._open(error)

    def _concerns_everybody(self) -> bool:
        """Tell whether so many calls in a row have failed, and not those of one customer alone."""
        return len(self._failed) >= FAILURES and (None in self._failed or len(set(self._failed)) > 1)

    def _open(self, error: Exception) -> None:
        if self.is_open:
            self._open_s = min(2 * self._open_s, MAX_OPEN_S)
        else:
            kind, code = type(error).__name__, getattr(error, "code", None)
            request_id = getattr(error, "request_id", None)
            log.error("model_circuit_opened", circuit=self.name, error=kind, code=code, request_id=request_id)
        self._open_until = self._monotonic() + self._open_s
        self._turn_over()

    def _close(self) -> None:
        self._failed.clear()
        if self.is_open:
            log.warning("model_circuit_closed", circuit=self.name)
            self._open_until, self._open_s = None, OPEN_S
            self._turn_over()

    def _turn_over(self) -> None:
        self._era += 1
        self._probing = False
