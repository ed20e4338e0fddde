"""Where the demo runs: one small file that ``frontdesk chat`` in another terminal finds."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def place() -> Path:
    """Return the file's path: one for each user of this machine."""
    return Path(tempfile.gettempdir()) / f"frontdesk-demo-{os.getuid()}.json"


@contextmanager
def announced(url: str, path: Path) -> Iterator[None]:
    """Tell where the demo is while the body runs; of two demos, the later one is found."""
    mine = {"url": url, "pid": os.getpid()}
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # then chat needs --url
        draft.write_text(json.dumps(mine), encoding="utf-8")
        draft.replace(path)
    try:
        yield
    finally:
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def find(path: Path) -> str | None:
    """Return the address of the demo that this user has running, or None."""
    with contextlib.suppress(OSError):
        if path.stat().st_uid != os.getuid():
            return None  # somebody else put it there
    found = _read(path)
    return str(found["url"]) if found is not None else None


def _read(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "url" in found else None
