"""``frontdesk send`` and ``frontdesk conversations``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_roster, open_storage

if TYPE_CHECKING:
    from channels.base import Channel
    from gateway.config import Config
    from gateway.roster import Roster

ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel's name in the configuration.")]
Recipient = Annotated[str, typer.Argument(metavar="RECIPIENT", help="An address on that channel: +15550100123.")]
Text = Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the latest first.")]
Wanted = Annotated[str | None, typer.Option("--channel", help="Only this channel's name or kind.")]
Mode = Annotated[str | None, typer.Option(help="Only this mode: bot, waiting or human.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(send)
    app.command()(conversations)


def send(channel: ChannelName, recipient: Recipient, text: Text, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Begin a message to a customer; a running serve delivers it."""
    complete(_send(load_config(config), channel, recipient.strip(), text.strip()))


async def _send(config: Config, channel_name: str, recipient: str, text: str) -> None:
    if not recipient or not text:
        raise Misused("RECIPIENT and TEXT must not be empty")
    from gateway.clock import utc_now
    from gateway.storage import Answer, Compose

    async with open_roster(config) as roster:
        channel = _channel(roster, channel_name)
        answer = Answer(text, parts=tuple(channel.split(text)))
        async with open_storage(config) as storage:
            composed = await storage.run(Compose(channel.name, channel.kind, recipient, answer, utc_now()))
    if composed.refused is not None:
        raise Failed(f"not sent: {recipient} has opted out of messages on {channel_name}; only their START lifts that")
    parts = len(composed.delivery_ids)
    print(f"queued in {parts} part{'' if parts == 1 else 's'}; a running frontdesk serve delivers it")
    print(f"conversation {composed.conversation_id}")
    for delivery_id in composed.delivery_ids:
        print(f"delivery {delivery_id}")


def _channel(roster: Roster, name: str) -> Channel:
    channel = roster.get(name)
    if channel is None:
        configured = ", ".join(roster.names) or "none"
        raise Misused(f"no enabled channel is named {name}; there are: {configured}")
    return channel


def conversations(
    limit: Limit = 50, channel: Wanted = None, mode: Mode = None, config: ConfigPath = DEFAULT_CONFIG
) -> None:
    """Show the conversations with the latest activity."""
    complete(_conversations(config, limit, channel, mode))


async def _conversations(path: Path, limit: int, channel: str | None, mode: str | None) -> None:
    from gateway.cli.tables import age, show_table
    from gateway.clock import utc_now

    if mode not in (None, "bot", "waiting", "human"):
        raise Misused(f"there is no mode {mode}; modes are bot, waiting and human")
    async with open_storage(load_config(path)) as storage:
        rows = await storage.conversations(limit=limit, channel=channel, mode=mode)
    if not rows:
        print("no conversations")
        return
    now = utc_now()
    show_table(
        ("conversation_id", "channel", "customer", "mode", "messages", "active"),
        [
            (
                row.conversation_id,
                row.channel_name or row.channel,
                row.address or "-",
                row.mode if row.is_active else "closed",
                str(row.total_messages),
                f"{age(row.last_activity_at, now)} ago",
            )
            for row in rows
        ],
    )
