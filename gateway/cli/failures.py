"""How a command ends when it does not end well: lines for the person, and a status for the shell."""

from __future__ import annotations

FAILED = 1
MISUSED = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class CommandFailure(Exception):
    """The command could not do what was asked; each of its lines says what to do."""

    status = FAILED

    @property
    def lines(self) -> list[str]:
        """What the person reads."""
        return str(self).splitlines()


class Failed(CommandFailure):
    """The operation failed."""


class Misused(CommandFailure):
    """The command, the configuration or the place does not fit."""

    status = MISUSED
