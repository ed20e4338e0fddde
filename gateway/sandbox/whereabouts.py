"""Where demos run: a small file for each, by which ``frontdesk chat`` in another terminal finds the newest."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.sandbox.leftovers import is_ours, lives

# The folder is everybody's: what already stands there, a link above all, is never written to or followed.
FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
MAX_BYTES = 4096


def place() -> Path:
    """Return the folder of the files."""
    return Path(tempfile.gettempdir())


@contextmanager
def announced(url: str, folder: Path, pid: int | None = None) -> Iterator[None]:
    """Tell where the demo of a process, this one by default, is while the body runs; what dead ones told goes."""
    pid = pid or os.getpid()
    _forget_the_dead(folder)
    path = folder / f"{_prefix()}{pid}.json"
    with contextlib.suppress(OSError):  # then chat needs --url
        _write(path, {"url": url, "pid": pid})
    try:
        yield
    finally:
        if is_ours(path):
            path.unlink(missing_ok=True)


def find(folder: Path) -> str | None:
    """Return the address of the newest demo that this user has running, or None."""
    living = [found for path in _files(folder) if (found := _read(path)) is not None and lives(found["pid"])]
    return str(max(living, key=lambda found: found["at_ns"])["url"]) if living else None


def _prefix() -> str:
    return f"frontdesk-demo-at-{os.getuid()}-"


def _files(folder: Path) -> list[Path]:
    """List what this user put there."""
    with contextlib.suppress(OSError):
        return [path for path in folder.glob(f"{_prefix()}*.json") if is_ours(path)]
    return []


def _forget_the_dead(folder: Path) -> None:
    for path in _files(folder):
        found = _read(path)
        if found is None or not lives(found["pid"]):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _write(path: Path, told: dict[str, object]) -> None:
    """Write a file that nobody sees half of."""
    draft = path.with_suffix(".draft")
    if is_ours(draft):  # of a process that had our number and died over it
        draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, FRESH, 0o600), "w", encoding="utf-8") as stream:
        json.dump(told, stream)
    draft.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file tells, and since when; None where it is none of ours."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            at_ns = os.fstat(stream.fileno()).st_mtime_ns
            found = json.loads(stream.read(MAX_BYTES))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and isinstance(found.get("url"), str) and isinstance(found.get("pid"), int)
    return {**found, "at_ns": at_ns} if whole else None
