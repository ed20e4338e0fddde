"""PostgreSQL's own programs, which know how to copy its databases."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.storage.backups import ASIDE, for_programs

ERROR = " error: "
"""What is in the lines that say what is wrong, between those that quote statements."""


class ProgramMissing(Exception):
    """A program of PostgreSQL is not on the PATH."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not on the PATH; install PostgreSQL's client programs, in at least the server's version"
        )


class ProgramFailed(Exception):
    """A program of PostgreSQL has failed; what it said is the message."""


async def dump(url: str, target: Path) -> None:
    """Copy a PostgreSQL database into a file that ``pg_restore`` reads.

    Raises:
        ProgramMissing: there is no pg_dump.
        ProgramFailed: it failed.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--exclude-schema={ASIDE}*", f"--file={target}"]
    await _run_at(url, "pg_dump", options)


async def check(source: Path) -> None:
    """Return if ``pg_restore`` is there and can read such a copy.

    Raises:
        ProgramMissing: there is no pg_restore.
        ProgramFailed: it cannot: the copy is another program's, or a later version's.
    """
    await _run("pg_restore", ["--list", str(source)], os.environ)


async def load(url: str, source: Path) -> None:
    """Bring such a copy into an empty database, whole or not at all.

    Raises:
        ProgramMissing: there is no pg_restore.
        ProgramFailed: it failed.
    """
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    await _run_at(url, "pg_restore", options, str(source))


async def _run_at(url: str, name: str, options: Sequence[str], *last: str) -> None:
    address, environment = for_programs(url)
    await _run(name, [*options, f"--dbname={address}", *last], environment)


async def _run(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    program = shutil.which(name)
    if program is None:
        raise ProgramMissing(name)
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
        errors = [line for line in lines if ERROR in line] or lines[-2:]
        raise ProgramFailed(f"{name} failed: {'; '.join(errors) or f'status {process.returncode}'}")
