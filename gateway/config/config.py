"""The whole configuration, and the one function that reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, field_validator

from gateway.config import document
from gateway.config.business import BusinessConfig
from gateway.config.errors import ConfigError, Problem, problems_of
from gateway.config.references import References
from gateway.config.section import Section
from gateway.config.sections import (
    ApiConfig,
    AssistantConfig,
    ChannelConfig,
    DatabaseConfig,
    DataConfig,
    HandoffConfig,
    OutboxConfig,
    RedisConfig,
    ServerConfig,
    SmtpConfig,
    TurnsConfig,
    WebhookConfig,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OWN_KEYS = frozenset({"type", "enabled", "coalesce_s", "rate_per_s"})
_SWITCH = TypeAdapter(bool)
EMAIL = "email"
"""The type of channels that have a mail server."""


def _channel_name(value: str) -> str:
    if not _NAME.fullmatch(value):  # it stands in the webhook's address
        raise ValueError("is no channel name; use small letters, digits, - and _, at most 64, no sign in front")
    return value


class Config(Section):
    """Everything that ``config.yaml`` says."""

    server: ServerConfig
    database: DatabaseConfig = DatabaseConfig()
    redis: RedisConfig = RedisConfig()
    data: DataConfig = DataConfig()
    turns: TurnsConfig = TurnsConfig()
    outbox: OutboxConfig = OutboxConfig()
    assistant: AssistantConfig
    business: BusinessConfig = BusinessConfig()
    handoff: HandoffConfig = HandoffConfig()
    api: ApiConfig = ApiConfig()
    webhooks: tuple[WebhookConfig, ...] = ()
    channels: Mapping[Annotated[str, AfterValidator(_channel_name)], ChannelConfig] = Field(default_factory=dict)

    @field_validator("channels", mode="before")
    @classmethod
    def _part_channels(cls, value: Any) -> Any:
        """Part each channel's keys into ours and its adapter's."""
        if not isinstance(value, Mapping):
            return value
        return {name: _part(name, keys) for name, keys in value.items()}

    @property
    def notice_smtp(self) -> SmtpConfig | None:
        """The mail server that takes notices: the one of ``handoff.smtp``, or else the first e-mail channel's."""
        if self.handoff.smtp is not None:
            return self.handoff.smtp
        sections = (c.settings for c in self.channels.values() if c.type == EMAIL and c.enabled)
        return next((found for settings in sections if (found := _smtp_of(settings)) is not None), None)

    def webhook_url(self, channel_name: str) -> str:
        """Return the public address that the channel's platform posts to."""
        return f"{self.server.public_url}/webhooks/{channel_name}"


def _smtp_of(settings: Mapping[str, Any]) -> SmtpConfig | None:
    """Return an e-mail channel's mail server; None where the channel will refuse its section anyway."""
    try:
        return SmtpConfig.model_validate({**settings.get("smtp", {}), "from": settings.get("address")})
    except (TypeError, ValidationError):
        return None


def load(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration; relative paths in it start at the working directory.

    Raises:
        ConfigError: it cannot be read or does not hold; all problems of one kind are told together.
    """
    path = Path(path)
    references = References(environ)
    raw = document.read(_text(path), str(path), references)
    if not isinstance(raw, dict):
        raise ConfigError([Problem(str(path), "holds no configuration; copy the example and fill it in")])
    problems: list[Problem] = []
    values = document.expand(_without_disabled(raw, references), (), references, problems)
    if problems:
        raise ConfigError(problems)
    try:
        # A section of which every key is commented out reads as null.
        config = Config.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(problems_of(error)) from None
    if problems := list(_dangling(config)):
        raise ConfigError(problems)
    return config


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except IsADirectoryError:
        reason = f"is a folder; name the file in it: --config {path / 'config.yaml'}"
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); make it, or name another with --config"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text; save it as UTF-8"
    raise ConfigError([Problem(str(path), reason)])


def _part(name: str, keys: Any) -> Any:
    if not isinstance(keys, Mapping):
        return keys
    own = {key: value for key, value in keys.items() if key in _OWN_KEYS}
    settings = {key: value for key, value in keys.items() if key not in _OWN_KEYS}
    return {"name": name, **own, "settings": settings}


def _without_disabled(raw: dict[str, Any], references: References) -> dict[str, Any]:
    """Leave of each disabled channel its type: its account may not exist yet, and nothing of it is used."""
    channels = raw.get("channels")
    if not isinstance(channels, dict):
        return raw
    return {**raw, "channels": {name: _if_enabled(keys, references) for name, keys in channels.items()}}


def _if_enabled(keys: Any, references: References) -> Any:
    if not isinstance(keys, dict) or "enabled" not in keys:
        return keys
    try:
        enabled = _SWITCH.validate_python(document.expand(keys["enabled"], (), references, []))
    except ValidationError:
        return keys  # whatever is wrong with it is told with everything else
    return keys if enabled else {key: value for key, value in keys.items() if key in {"type", "enabled"}}


def _dangling(config: Config) -> Iterator[Problem]:
    """Find notices that nothing could send: by e-mail without a mail server, through channels that do not exist."""
    for index, notice in enumerate(config.handoff.notify):
        if notice.channel is not None and notice.channel not in config.channels:
            names = ", ".join(config.channels) or "none yet"
            yield Problem(f"handoff.notify.{index}.channel", f"names no channel of yours; use one of: {names}")
        if notice.email is not None and config.notice_smtp is None:
            reason = "has no mail server to go through; add handoff.smtp, or an e-mail channel"
            yield Problem(f"handoff.notify.{index}.email", reason)
