"""Something that the process works without for a while: told once when it goes, and once when it is back."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)


class Away:
    """Turns one look after the other into two lines of the log, however long the thing stays away."""

    def __init__(self, what: str, meanwhile: str) -> None:
        self._what = what
        self._meanwhile = meanwhile
        self._is_away = False

    def note(self, *, away: bool, error: BaseException | None = None) -> None:
        """Take in how a look ended; ``error`` says how it failed."""
        gone, back = f"{self._what}_away", f"{self._what}_back"
        if away and not self._is_away:
            log.warning(gone, error=type(error).__name__, reason=self._meanwhile)
        if self._is_away and not away:
            log.warning(back)
        self._is_away = away
