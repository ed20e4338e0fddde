"""Values that several commands take, read in one way."""

from __future__ import annotations

from pathlib import Path


def a_path(text: str | Path) -> Path:
    """Return a path as it was typed.

    Raises:
        ValueError: it is empty, as an unset variable of the shell is; Path would make the present folder of it.
    """
    if not str(text).strip():
        raise ValueError("is empty; name a path")
    return Path(text)
