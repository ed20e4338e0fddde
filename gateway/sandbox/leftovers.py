"""What demos leave in the temporary folder when they are killed, and who is still alive to need it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.lock import AlreadyServed, OwnerLock

PREFIX = "frontdesk-demo-"
"""Begins the name of a demo's folder; the number of its process and a random part follow."""


@contextmanager
def temporary_folder(database: str) -> Iterator[Path]:
    """Give a demo a folder that goes with it, and take away those of demos that were killed.

    ``database`` is the name that a demo's database has in its folder.
    """
    sweep(Path(tempfile.gettempdir()), database)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


def sweep(place: Path, database: str) -> None:
    """Remove this user's demo folders whose process is gone and whose database nobody serves."""
    for folder in place.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and folder.is_dir() and is_ours(folder) and not lives(int(pid)):
            _remove(folder, database)


def _remove(folder: Path, database: str) -> None:
    # A process in another container may share this folder, and have a number that nobody has here.
    lock = OwnerLock(folder / database)
    with contextlib.suppress(AlreadyServed, OSError):
        lock.acquire()
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()


def is_ours(path: Path) -> bool:
    """Tell whether this user has put it there, and it is no link to somewhere else."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode)


def lives(pid: int) -> bool:
    """Tell whether a process of this user has that number."""
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):  # nobody has it, or somebody else's has
        return False
    return pid > 0
