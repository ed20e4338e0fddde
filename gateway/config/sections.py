"""One class for each section of ``config.yaml`` but ``business``, with the defaults that hold without it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gateway.config.section import Positive, PositiveInt, Secret, Section, Text, http_url

_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")  # whether it exists, only a mail server knows
SECRET_PREFIX = "whsec_"  # noqa: S105 - it is what secrets begin with
LEAST_SECRET_BYTES = 24  # Standard Webhooks 1.0.0, "Signature scheme": at least 192 bits
LEAST_KEY_CHARACTERS = 16
"""A shorter key of the API may be guessed: whoever guesses right is let in at once. Doctor warns of it."""
_URL_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}")  # RFC 3986, section 2.3: what stands in an address as it is

EVENTS = (
    "conversation.escalated",
    "conversation.taken_over",
    "conversation.closed",
    "message.received",
    "message.sent",
    "delivery.failed",
    "lead.created",
    "lead.updated",
    "appointment.booked",
    "appointment.moved",
    "appointment.cancelled",
)
"""What receivers of webhooks can be told."""


class ServerConfig(Section):
    """Where the process listens, and under which address the world reaches it."""

    host: Text = "0.0.0.0"  # noqa: S104 - platforms have to reach it
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0 lets the system choose."""
    public_url: Annotated[str, AfterValidator(http_url)]
    """Signatures are computed over it: it has to be what the platforms were given. No trailing slash."""
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 8

    @property
    def is_exposed(self) -> bool:
        """True where webhooks cross a network unencrypted."""
        parts = urlsplit(self.public_url)
        return parts.scheme == "http" and not _is_local(parts.hostname or "")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _database_url(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest not in {"/", "/:memory:"}:
        return value
    if scheme == "postgresql" and rest and _has_readable_port(value):
        return value
    raise ValueError(
        "must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, with @ : / ? # % in a password percent-encoded"
    )


def _has_readable_port(value: str) -> bool:
    """Tell whether what follows the host is a port; an @ or : in a password puts it in the wrong place."""
    try:
        parts = urlsplit(value)
        return parts.port != 0 and parts.netloc.count("@") <= 1
    except ValueError:
        return False


class DatabaseConfig(Section):
    """Where the truth is kept."""

    url: Annotated[str, AfterValidator(_database_url)] = Field(default="sqlite:///frontdesk.db", repr=False)


def _redis_url(value: str) -> str:
    # redis 8.1 source, ConnectionPool.from_url: the schemes that it takes
    if value.startswith(("redis://", "rediss://", "unix://")) and _has_readable_port(value):
        return value
    raise ValueError("must be redis://HOST:6379/0, rediss://… with TLS, unix://…, or null")


class RedisConfig(Section):
    """Wake-ups and memory across processes; None keeps both inside the process."""

    url: Annotated[str, AfterValidator(_redis_url)] | None = Field(default=None, repr=False)


class DataConfig(Section):
    """Files beside the database: media and the spool."""

    dir: Path = Path("data")
    spool_max_mb: Annotated[int, Field(ge=0)] = 1024
    """0 turns the spool off: while the database is away, webhooks are then answered with 503."""
    retention_days: Annotated[int, Field(ge=1)] | None = None
    """After so many days without activity a conversation is erased, and so are past visits and leads; None: never."""


class TurnsConfig(Section):
    """How answers are worked out."""

    concurrency: Annotated[int, Field(ge=1, le=4096)] = 64
    max_attempts: PositiveInt = 3
    max_age_h: Positive = 24


class OutboxConfig(Section):
    """How answers are delivered."""

    max_attempts: PositiveInt = 8
    max_age_h: Positive = 24
    confirm_wait_s: Positive = 60


class AssistantConfig(Section):
    """The model, and the business's own words to it."""

    api_key: Secret
    base_url: Annotated[str, AfterValidator(http_url)] = "https://api.openai.com/v1"
    api: Literal["auto", "responses", "chat"] = "auto"
    model: Text = "gpt-6-luna"
    fallback_model: Text | None = None
    # The words that openai 3.54 knows (types/shared/reasoning_effort.py); None leaves the parameter out.
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = "low"
    verbosity: Literal["low", "medium", "high"] | None = "low"
    max_output_tokens: Annotated[int, Field(ge=16)] = 2048  # the Responses API takes no fewer
    timeout_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 45  # openai 3.54 itself gives up after 600
    max_rounds: PositiveInt = 5
    history_messages: Annotated[int, Field(ge=0)] = 10
    history_tokens: Annotated[int, Field(ge=500)] = 6000
    """What earlier messages and their summary may take of a prompt, estimated."""
    tools: tuple[Text, ...] | None = None
    """None offers all that there are."""
    allowed_links: tuple[Text, ...] = ()
    """Hosts, or beginnings of addresses, that an answer may name beside those in the owner's own texts."""
    instructions: str | None = None


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value) or not _fits_a_header(value):
        raise ValueError("must be one bare e-mail address, such as owner@example.com")
    return value


def _fits_a_header(value: str) -> bool:
    try:
        Address(addr_spec=value)
    except (ValueError, IndexError, MessageError):  # what Python 3.11's parser raises, as it comes upon them
        return False
    return True


class NoticeConfig(Section):
    """Who is told that a customer waits for a person: an e-mail address, or a number through one of the channels."""

    email: Annotated[str, AfterValidator(_email)] | None = None
    sms: Text | None = None
    channel: Text | None = None
    """The channel that sends the text message; only with ``sms``."""

    @model_validator(mode="after")
    def _be_one_of_two(self) -> Self:
        by_email = self.email is not None and self.sms is None and self.channel is None
        by_sms = self.email is None and self.sms is not None and self.channel is not None
        if not by_email and not by_sms:
            raise ValueError("must be {email: …}, or {sms: …, channel: …}")
        return self


class SmtpConfig(Section):
    """The mail server that takes what people who work here are told by e-mail."""

    host: Text
    port: Annotated[int, Field(ge=1, le=65535)] = 587  # submission: RFC 6409, section 3.1; 465 is for tls: RFC 8314
    username: Text | None = None
    password: Secret | None = None
    security: Literal["none", "starttls", "tls"] = "starttls"
    ca_file: Path | None = None
    """Whose certificates are trusted, in place of the system's list."""
    sender: Annotated[str, AfterValidator(_email)] = Field(alias="from")

    @model_validator(mode="after")
    def _log_in_with_both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("must have both username and password, or neither")
        return self


class HandoffConfig(Section):
    """What happens between the bot and a person."""

    while_waiting: Literal["answer", "silent"] = "answer"
    return_to_bot_after_h: Positive = 24
    notify: tuple[NoticeConfig, ...] = ()
    remind_after_min: Positive = 15
    smtp: SmtpConfig | None = None


def _url_token(value: SecretStr) -> SecretStr:
    if not _URL_TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("must be at least 16 letters and digits, as this makes them: openssl rand -hex 24")
    return value


def _origin(value: str) -> str:
    """Check an origin as browsers write it (RFC 6454, section 6.2): no path, no default port, no capital letters."""
    parts = urlsplit(http_url(value))
    default = {"http": 80, "https": 443}[parts.scheme]
    written = f"{parts.scheme}://{parts.netloc.lower()}"
    if value != written or parts.port == default:
        raise ValueError("must be an origin such as https://www.example.com: no path, no capitals, no usual port")
    return value


class ApiConfig(Section):
    """Who may use the REST API; without a key here or from ``frontdesk keys add``, nobody."""

    keys: tuple[Secret, ...] = ()
    """Each may do everything."""
    rate_per_s: Positive = 50
    """How often each key may ask."""
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    """Whose pages may use the API in their visitors' browsers, with a key that they then know."""
    calendar_token: Annotated[Secret, AfterValidator(_url_token)] | None = None
    """Opens the calendar feed, and nothing else; None: there is none."""


def _webhook_url(value: str) -> str:
    """Check an address whose query may be the receiver's own business."""
    http_url(value.partition("?")[0])
    if "#" in value:
        raise ValueError("must not hold a #fragment; remove it")
    return value


def _event(value: str) -> str:
    if value != "*" and value not in EVENTS:
        raise ValueError(f'must be "*" for all, or one of {", ".join(EVENTS)}')
    return value


MAKE_SECRET = 'echo "whsec_$(openssl rand -base64 32)"'  # noqa: S105 - it is how to make one


def _webhook_secret(value: SecretStr) -> SecretStr:
    """Check that what says that it is base64 is: Standard Webhooks 1.0.0, "Signature scheme"."""
    encoded = value.get_secret_value().removeprefix(SECRET_PREFIX)
    if encoded == value.get_secret_value():
        key = encoded.encode("utf-8", "surrogatepass")  # it is the key itself
    else:
        try:
            key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            raise ValueError(f"must be base64 behind {SECRET_PREFIX}, as this makes it: {MAKE_SECRET}") from None
    if not key:
        raise ValueError(f"must be base64 behind {SECRET_PREFIX}, as this makes it: {MAKE_SECRET}")
    return value


class WebhookConfig(Section):
    """One address that is told what happens here."""

    url: Annotated[str, AfterValidator(_webhook_url)]
    secret: Annotated[Secret, AfterValidator(_webhook_secret)]
    events: tuple[Annotated[str, AfterValidator(_event)], ...] = ("*",)
    allow_private: bool = False


class ChannelConfig(Section):
    """One account on one platform, as far as the core knows about it."""

    name: str
    type: Text
    enabled: bool = True
    coalesce_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """None takes the channel's own default."""
    rate_per_s: Positive | None = None
    """None takes the channel's own default."""
    settings: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    """The other keys, which the type's adapter reads; empty where the channel is not enabled."""
