"""``frontdesk``: the commands put together, and every error made one line that says what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from gateway.cli import dead_letters, demo, doctor, messages, replay, running
from gateway.cli.failures import FAILED, INTERRUPTED, CommandFailure
from gateway.tracebacks import headline

NAME = "frontdesk"
DEBUG_VARIABLE = "FRONTDESK_DEBUG"

app = typer.Typer(
    name=NAME,
    help="Frontdesk: a self-hosted messaging gateway. Start with: frontdesk demo",
    add_completion=False,
    rich_markup_mode=None,  # plain help: the styled one takes a third of a second to import
)
for family in (demo, running, doctor, messages, dead_letters, replay):
    family.add_to(app)


def main() -> None:
    """Run the command that the shell names, and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0, 1 for a failed operation, 2 for bad usage or configuration."""
    try:
        return app(list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False) or 0
    except typer.TyperException as error:
        said = error.format_message().replace("Value error, ", "")  # pydantic's, which typer asks
        return _tell([f"{said} See: {_help_of(error)}"], error.exit_code)
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
        print(f"{NAME}: {line}", file=sys.stderr)
    return status


def _help_of(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else NAME} --help"
