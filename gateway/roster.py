"""The configured, enabled channels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from channels.abilities import Closes, Paced
from channels.base import Channel, ChannelContext, Event, Status
from channels.http import Http
from channels.registry import CHANNELS
from gateway.config import ChannelConfig, Config, ConfigError, Problem
from gateway.config.errors import problems_of

Build = Callable[[Mapping[str, Any], ChannelContext], Channel]

RATE_PER_S = 10.0
"""How fast a channel sends that says nothing about its platform's pace."""


class Roster:
    """Who is there: channels by name, with what the configuration says about each beside its adapter's settings."""

    def __init__(self, entries: Iterable[tuple[Channel, ChannelConfig]]) -> None:
        self._entries = {channel.name: (channel, config) for channel, config in entries}
        self.names: tuple[str, ...] = tuple(self._entries)

    def __iter__(self) -> Iterator[Channel]:
        return (channel for channel, _ in self._entries.values())

    def __getitem__(self, name: str) -> Channel:
        return self._entries[name][0]

    def get(self, name: str) -> Channel | None:
        """Return the channel of that name, or None where none is enabled."""
        entry = self._entries.get(name)
        return None if entry is None else entry[0]

    async def close(self) -> None:
        """Close what channels keep open beside the pooled HTTP client."""
        for channel in self:
            if isinstance(channel, Closes):
                await channel.close()

    def coalesce_s(self, name: str) -> float:
        """Return for how many seconds after a message its conversation waits for another."""
        channel, config = self._entries[name]
        return channel.default_coalesce_s if config.coalesce_s is None else config.coalesce_s

    def rate_per_s(self, name: str) -> float:
        """Return how many deliveries a second the channel may begin."""
        channel, config = self._entries[name]
        if config.rate_per_s is not None:
            return config.rate_per_s
        return channel.default_rate_per_s if isinstance(channel, Paced) else RATE_PER_S

    def owner_of(self, channel: Channel, event: Event) -> Channel | None:
        """Return the channel that an event at ``channel``'s webhook belongs to, or None where it is nobody's.

        One platform app may post the events of all its accounts to one address, and an account of one channel may lie
        within another's (a number in a pool): the answer is the same whatever address or poll told the event. A
        report comes to the address that its delivery's channel named, where it named one.
        """
        if isinstance(event, Status) and channel.owns(event):
            return channel
        family = [other for other in self if other is channel or _same_app(channel, other)]
        exact = (other for other in family if other.account == event.account)
        owners = (other for other in (channel, *family) if other.owns(event))
        return next(exact, None) or next(owners, None)


def _same_app(channel: Channel, other: Channel) -> bool:
    return type(other) is type(channel) and channel.shares_app_with(other)


def _secret_of(config: Config) -> str:
    """Return a secret of this installation: made of what it has to keep secret anyway."""
    kept = (config.database.url, config.assistant.api_key.get_secret_value())
    return hashlib.sha256("\0".join(kept).encode()).hexdigest()


def build_roster(config: Config, http: Http, registry: Mapping[str, Build] = CHANNELS) -> Roster:
    """Build every enabled channel; ``registry`` knows the types, which every channel has to have.

    Raises:
        ConfigError: a type is unknown, or an adapter refuses its settings; all channels' problems are told together.
    """
    entries: list[tuple[Channel, ChannelConfig]] = []
    accounts: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for name, section in config.channels.items():
        build = registry.get(section.type)
        if build is None:  # a disabled channel's too: it would be found out on the day that it is needed
            known = ", ".join(sorted(registry))
            problems.append(Problem(f"channels.{name}.type", f"unknown type; use one of: {known}"))
            continue
        if not section.enabled:
            continue
        try:
            context = ChannelContext(name, config.webhook_url(name), http, _secret_of(config))
            channel = build(section.settings, context)
        except ValidationError as error:
            problems += problems_of(error, ("channels", name))
        else:
            first = accounts.setdefault((section.type, channel.account), name)
            if first != name:  # each would answer every message
                problems.append(Problem(f"channels.{name}", f"the same account as channels.{first}; remove one"))
            entries.append((channel, section))
    if problems:
        raise ConfigError(problems)
    return Roster(entries)
