"""``frontdesk``: the commands put together, and every error made one line that says what to do."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gateway.cli import backups, dead_letters, demo, doctor, keys, messages, privacy, replay, running, webhooks
from gateway.cli.failures import FAILED, INTERRUPTED, CommandFailure
from gateway.printable import printable
from gateway.tracebacks import headline

NAME = "frontdesk"
DISTRIBUTION = "frontdesk-gateway"
DEBUG_VARIABLE = "FRONTDESK_DEBUG"

app = typer.Typer(
    name=NAME,
    help="Frontdesk: a self-hosted messaging gateway. Start with: frontdesk demo",
    add_completion=False,
    rich_markup_mode=None,  # plain help: the styled one takes a third of a second to import
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {_version()}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
]


@app.callback()
def frontdesk(_version: Version = False) -> None:
    """Frontdesk: a self-hosted messaging gateway. Start with: frontdesk demo"""


for family in (demo, running, doctor, messages, dead_letters, keys, replay, privacy, backups, webhooks):
    family.add_to(app)


def main() -> None:
    """Run the command that the shell names, and exit with its status."""
    os.umask(0o077)  # whatever a command makes, such as the database, the spool or a log, is its user's alone
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0, 1 for a failed operation, 2 for bad usage or configuration."""
    try:
        return app(list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False) or 0
    except typer.TyperException as error:
        return _tell([f"{_said(error)}; see: {_help_of(error, arguments)} --help"], error.exit_code)
    except CommandFailure as failure:
        return _tell(failure.lines, failure.status)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # the top of the program: a person gets a line, never a traceback
        if os.environ.get(DEBUG_VARIABLE):
            raise
        # Not the exception's own words: they may quote a password or a customer.
        return _tell([f"unexpected {headline(error)} ({DEBUG_VARIABLE}=1 shows where)"], FAILED)


def _tell(lines: Sequence[str], status: int) -> int:
    for line in lines:
        print(f"{NAME}: {printable(line)}", file=sys.stderr)
    return status


def _said(error: typer.TyperException) -> str:
    """Return what typer says, as the first half of a sentence."""
    said = error.format_message().replace("Value error, ", "")  # pydantic's, which typer asks
    return re.sub(r"\. Did you mean (.+)\?$", r" (did you mean \1?)", said).rstrip(". ")


def _help_of(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Name the command whose help helps; typer does not know it where an option lacks its value."""
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    path: list[str] = [NAME]
    command: object = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        path.append(word)
    return " ".join(path)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # started from its source, and installed nowhere
        return "(not installed)"
