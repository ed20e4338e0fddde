"""``frontdesk send``, ``frontdesk conversations`` and ``frontdesk resume``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failed, Misused
from gateway.cli.opening import DEFAULT_CONFIG, ConfigPath, complete, load_config, open_roster, open_storage

if TYPE_CHECKING:
    from channels.base import Channel
    from channels.content import Content, Link, Location
    from gateway.config import Config
    from gateway.roster import Roster

ChannelName = Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel's name in the configuration.")]
Recipient = Annotated[str, typer.Argument(metavar="RECIPIENT", help="An address on that channel: +15550100123.")]
Text = Annotated[
    str,
    typer.Argument(
        metavar="TEXT",
        help="What to say; may be empty beside a file or a template. Before one that begins with a dash, write --",
    ),
]
Files = Annotated[list[str] | None, typer.Option("--file", metavar="URL", help="A file to send; repeat for more.")]
Choices = Annotated[
    list[str] | None, typer.Option("--choice", metavar="TITLE", help="An answer to pick; repeat for more.")
]
Links = Annotated[list[str] | None, typer.Option("--link", metavar="TITLE=URL", help="A page to open.")]
Place = Annotated[str | None, typer.Option("--location", metavar="LAT,LONG", help="A place, in degrees.")]
Subject = Annotated[str | None, typer.Option(metavar="TEXT", help="What an e-mail is about.")]
TemplateName = Annotated[
    str | None, typer.Option("--template", metavar="NAME", help="An approved message, where the platform has them.")
]
Language = Annotated[str, typer.Option(help="The template's language.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="TEXT", help="What the template leaves open, in order.")
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the latest first.")]
Wanted = Annotated[str | None, typer.Option("--channel", help="Only this channel's name or kind.")]
KINDS = ("sms", "whatsapp", "facebook_messenger", "email", "website_chat")
ConversationId = Annotated[
    str, typer.Argument(metavar="CONVERSATION", help="Which; see: frontdesk conversations --mode human")
]
Mode = Annotated[str | None, typer.Option(help="Only this mode: bot, waiting or human.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(send)
    app.command()(conversations)
    app.command()(resume)


def send(
    channel: ChannelName,
    recipient: Recipient,
    text: Text = "",
    files: Files = None,
    choices: Choices = None,
    links: Links = None,
    location: Place = None,
    subject: Subject = None,
    template: TemplateName = None,
    language: Language = "en_US",
    parameters: Parameters = None,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Begin a message to a customer; a running serve delivers it."""
    from channels.content import Choice, Content, Template

    content = Content(
        text=text.strip(),
        attachment_urls=tuple(files or ()),
        choices=tuple(Choice(title, title) for title in choices or ()),
        links=tuple(map(_link, links or ())),
        location=None if location is None else _location(location),
        subject=subject,
        template=None if template is None else Template(template, language, tuple(parameters or ())),
    )
    if not recipient.strip() or content.is_empty:
        raise Misused("RECIPIENT and TEXT must not be empty")
    complete(_send(load_config(config), channel, recipient.strip(), content))


def _link(written: str) -> Link:
    from channels.content import Link

    title, _, url = written.partition("=")
    if not title or not url.startswith(("http://", "https://")):
        raise Misused(f"--link {written} is no TITLE=URL")
    return Link(title, url)


def _location(written: str) -> Location:
    from channels.content import Location

    try:
        latitude, longitude = map(float, written.split(","))
    except ValueError as error:
        raise Misused(f"--location {written} is no LAT,LONG in degrees, such as 42.36,-83.10") from error
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise Misused(f"--location {written} is not on Earth: LAT is -90 to 90, LONG is -180 to 180")
    return Location(latitude, longitude)


async def _send(config: Config, channel_name: str, recipient: str, content: Content) -> None:
    from channels.rendering import CannotShow, parts_of
    from gateway.clock import utc_now
    from gateway.storage import Answer, Compose

    async with open_roster(config) as roster:
        channel = _channel(roster, channel_name)
        recipient = _checked(channel, recipient)
        try:
            answer = Answer(content, parts_of(content, channel.shows))
        except CannotShow as error:
            raise Misused(str(error)) from error
        async with open_storage(config) as storage:
            composed = await storage.run(Compose(channel.name, channel.kind, recipient, answer, utc_now()))
    if composed.refused is not None:
        raise Failed(f"not sent: {recipient} has opted out of messages on {channel_name}; only their START lifts that")
    parts = len(composed.delivery_ids)
    print(f"queued in {parts} part{'' if parts == 1 else 's'}; a running frontdesk serve delivers it")
    print(f"conversation {composed.conversation_id}")
    for delivery_id in composed.delivery_ids:
        print(f"delivery {delivery_id}")


def _checked(channel: Channel, recipient: str) -> str:
    """Return the recipient as the channel writes it: what is queued for an address that is none fails much later.

    Raises:
        Misused: it is none on this channel.
    """
    from channels.abilities import ChecksRecipient

    if not isinstance(channel, ChecksRecipient):
        return recipient
    try:
        return channel.check_recipient(recipient)
    except ValueError as error:
        raise Misused(f"RECIPIENT {error}") from error


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
    config = load_config(path)
    async with open_storage(config) as storage:
        rows = await storage.conversations(limit=limit, channel=channel, mode=mode)
    if not rows:
        print(f"no conversations{_hint(config, channel)}")
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


def _hint(config: Config, wanted: str | None) -> str:
    """Say that a channel is nowhere, where it is: a typing error looks like silence otherwise."""
    if wanted is None or wanted in config.channels or wanted in KINDS:
        return ""
    names = ", ".join(config.channels) or "none"
    return f"; no channel is named {wanted}, there are: {names} (kinds: {', '.join(KINDS)})"


def resume(conversation: ConversationId, config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Give a conversation back to the bot, which answers what no person has answered."""
    complete(_resume(config, conversation.strip()))


async def _resume(path: Path, conversation_id: str) -> None:
    from gateway.clock import utc_now
    from gateway.storage import Resume

    async with open_storage(load_config(path)) as storage:
        speaker = await storage.run(Resume(conversation_id, utc_now()))
    if speaker is None:
        raise Failed(f"there is no conversation {conversation_id}; see: frontdesk conversations")
    if not speaker.changed:
        print("the bot has this conversation already")
        return
    waits = "a message waits; a running frontdesk serve answers it" if speaker.due_at else "nothing waits for an answer"
    print(f"the bot speaks again; {waits}")
