"""PostgreSQL's own programs, which know how to copy its databases."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from gateway.storage.backups import for_programs


class ProgramMissing(Exception):
    """A program of PostgreSQL is not on the PATH."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(
            f"{name} is not on the PATH; install PostgreSQL's client programs, or run elsewhere: {command}"
        )


class ProgramFailed(Exception):
    """A program of PostgreSQL has failed; what it said is the message."""


async def dump(url: str, target: Path) -> None:
    """Copy a PostgreSQL database into a file that ``pg_restore`` reads.

    Raises:
        ProgramMissing: there is no pg_dump.
        ProgramFailed: it failed.
    """
    await _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])


async def load(url: str, source: Path) -> None:
    """Bring such a copy into an empty database, whole or not at all.

    Raises:
        ProgramMissing: there is no pg_restore.
        ProgramFailed: it failed.
    """
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    await _run("pg_restore", url, options, str(source))


async def _run(name: str, url: str, options: Sequence[str], *last: str) -> None:
    address, environment = for_programs(url)
    arguments = [*options, f"--dbname={address}", *last]
    program = shutil.which(name)
    if program is None:
        raise ProgramMissing(name, " ".join([name, *arguments]))
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise ProgramFailed(f"{name} failed: {'; '.join(lines[-2:]) or f'status {process.returncode}'}")
