"""``frontdesk doctor``: is everything that the configuration names there, ours and ready?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_roster
from gateway.printable import printable

if TYPE_CHECKING:
    from channels.abilities import Finding
    from gateway.config import Config

STYLES = {"ok": "green", "warn": "yellow", "problem": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Check everything that the configuration names.

    Changes nothing; each channel is asked at its platform. Exits with 1 where something is wrong, and with 2 where the
    configuration does not load.
    """
    if complete(_examine(config, load_config(config))):
        raise typer.Exit(1)


async def _examine(path: Path, config: Config) -> int:
    """Show every finding as it comes, and count the problems."""
    problems = 0
    async with aclosing(_findings(path, config)) as found:
        async for findings in found:
            for finding in findings:
                _show(finding)
                problems += not finding.ok
    print(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "everything is as it should be")
    return problems


async def _findings(path: Path, config: Config) -> AsyncGenerator[Sequence[Finding], None]:
    from channels.abilities import Finding
    from gateway.cli import checks, examples, webhook_checks
    from gateway.clock import utc_now

    async with open_roster(config) as roster:
        names = ", ".join(roster.names)
        fix = None if names else "add a channel to it"
        yield [Finding("configuration", bool(names), f"{path}: {names or 'no channel is enabled'}", fix)]
        yield examples.check_examples(config)
        yield examples.check_without_effect(config)
        yield [checks.check_public_url(config)]
        yield checks.check_data(config)
        yield await checks.check_database(config)
        yield await checks.check_redis(config)
        yield await checks.check_models(config, utc_now().date())
        yield [checks.check_tools(config)]
        yield await checks.check_handoff(config, roster)
        yield await webhook_checks.check_webhooks(config)
        yield webhook_checks.check_api_keys(config)
        for channel in roster:
            yield await checks.check_channel(channel, config.webhook_url(channel.name))


def _show(finding: Finding) -> None:
    """Print a finding; what is well and still has something to do is a warning."""
    from rich.console import Console
    from rich.text import Text

    state = "problem" if not finding.ok else "warn" if finding.fix else "ok"
    # Platforms and models are quoted here.
    line = Text.assemble((f"{state:<8}", STYLES[state]), printable(f"{finding.subject}: {finding.detail}"))
    console = Console()
    console.print(line, soft_wrap=True)
    if finding.fix:
        console.print(Text(printable(f"        fix: {finding.fix}")), soft_wrap=True)
