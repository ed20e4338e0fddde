"""What is told of a turn's calls, in its answer's record and in the ``actions`` that a caller gets.

A model writes a call's arguments as freely as its answer, and some tools give them back. So they are read as a
stranger's, and like an answer they tell nothing of the prompt: callers show ``actions`` on pages of theirs. The journal
(``tool_runs``) keeps what was really written.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.assistant.safety import Safety
from gateway.assistant.tools import TurnRun

MAX_TOLD = 20_000
"""Characters of one call's arguments, or of what it gave; our own tools take a tenth of that."""
MAX_OPENED = 200
"""Brackets of one call's arguments. Python reads about a thousand inside each other, and SQLite as many."""
WITHHELD = "[withheld]"
_ESCAPED = re.compile(r"\\[nrt]")


def actions(turn: TurnRun, safety: Safety) -> tuple[dict[str, Any], ...]:
    """Return what a turn called, in order."""
    return tuple(
        {
            "name": call.name,
            "call_id": call.call_id,
            "arguments": _told(_read(call.arguments), safety),
            "status": run.status,
            "output": _told(dict(run.output), safety),
        }
        for _, call, run in turn.done
    )


def _read(arguments: str) -> Any:
    """Return a call's arguments, or their text where they are no JSON that every part of the house can hold."""
    if arguments.count("[") + arguments.count("{") > MAX_OPENED:
        return arguments
    try:
        read = json.loads(arguments)
        json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # ... NaN, Infinity and halves of surrogate pairs included
        return arguments
    return read


def _told(value: Any, safety: Safety) -> Any:
    """Return a value, unless it repeats the prompt, or is too long to look for that."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_TOLD or safety.is_prompt_in(_ESCAPED.sub(" ", text)):
        return WITHHELD
    return value
