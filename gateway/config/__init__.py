"""``config.yaml``: read once at the start, strictly; everything else is given its values from here."""

from gateway.config.business import BusinessConfig, FaqConfig, ServiceConfig
from gateway.config.config import Config, load
from gateway.config.errors import ConfigError, Problem
from gateway.config.hours import Interval
from gateway.config.sections import (
    EVENTS,
    SECRET_PREFIX,
    ApiConfig,
    AssistantConfig,
    ChannelConfig,
    DatabaseConfig,
    DataConfig,
    HandoffConfig,
    NoticeConfig,
    OutboxConfig,
    RedisConfig,
    ServerConfig,
    SmtpConfig,
    TurnsConfig,
    WebhookConfig,
)

__all__ = [
    "EVENTS",
    "SECRET_PREFIX",
    "ApiConfig",
    "AssistantConfig",
    "BusinessConfig",
    "ChannelConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "DatabaseConfig",
    "FaqConfig",
    "HandoffConfig",
    "Interval",
    "NoticeConfig",
    "OutboxConfig",
    "Problem",
    "RedisConfig",
    "ServerConfig",
    "ServiceConfig",
    "SmtpConfig",
    "TurnsConfig",
    "WebhookConfig",
    "load",
]
