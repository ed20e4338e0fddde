"""A word now and then about what strangers can repeat as often as they like."""

from __future__ import annotations

EVERY_S = 60.0


class Seldom:
    """Counts what happens and says when a line in the log is due: at the first time, then at most once a minute.

    Without it, whoever can be refused a thousand times a second fills the disk with lines that say so.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._told_at_s: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def count(self, what: str, now_s: float) -> int | None:
        """Count once; returns how often it happened since the last line where one is due now, or None.

        ``what`` is one of a few words of ours, never a stranger's; ``now_s`` is a clock that only goes forward.
        """
        self._untold[what] = self._untold.get(what, 0) + 1
        told_at_s = self._told_at_s.get(what)
        if told_at_s is not None and now_s - told_at_s < self._every_s:
            return None
        self._told_at_s[what] = now_s
        return self._untold.pop(what)
