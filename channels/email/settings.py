"""What an e-mail channel needs from ``config.yaml``."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

MEGABYTE = 1024 * 1024
_ADDRESS = re.compile(r"[a-z0-9.!#$%&'*/=?^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")


def _address(value: str) -> str:
    value = value.strip().lower()
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be one bare e-mail address without a +, such as help@example.com")
    return value


def _domain(value: str) -> str:
    value = value.strip().lower()
    if not _DOMAIN.fullmatch(value):
        raise ValueError("must be a domain such as example.com")
    return value


def _topic(value: str) -> str:
    if not _TOPIC_ARN.fullmatch(value):
        raise ValueError("must be a topic's ARN, such as arn:aws:sns:us-east-1:123456789012:inbound-mail")
    return value


def _file(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("there is no such file")
    return value


OwnAddress = Annotated[str, AfterValidator(_address)]
Domain = Annotated[str, AfterValidator(_domain)]
TopicArn = Annotated[str, AfterValidator(_topic)]
ReadableFile = Annotated[Path, AfterValidator(_file)]
Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _read_blank_as_none(cls, values: Any) -> Any:
        """Take what ``${NAME:-}`` leaves for not given."""
        return {k: v for k, v in values.items() if v not in ("", None)} if isinstance(values, dict) else values


class _Login(_Section):
    """A user name and its password."""

    username: Text | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _log_in_with_both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("must have both username and password, or neither")
        return self


# --- in ---


class SendGridInbound(_Login):
    """SendGrid's Inbound Parse: signed by its security policy, or behind a user name and password in the URL."""

    provider: Literal["sendgrid"]
    public_key: Text | None = None
    """The security policy's public key, base64 of its DER form."""

    @field_validator("public_key")
    @classmethod
    def _be_a_key(cls, value: str | None) -> str | None:
        if value is not None:
            from channels.email.transports.keys import read_public_key  # cryptography, where it is needed only

            read_public_key(value)
        return value

    @model_validator(mode="after")
    def _be_guarded(self) -> Self:
        if self.public_key is None and self.username is None:
            raise ValueError("needs public_key, or username and password: without either anybody could post mail")
        return self


class MailgunInbound(_Section):
    """Mailgun's Routes: a signed token and timestamp."""

    provider: Literal["mailgun"]
    signing_key: Secret
    """The HTTP webhook signing key, which is not the API key."""


class PostmarkInbound(_Section):
    """Postmark's inbound stream: a user name and password in the URL."""

    provider: Literal["postmark"]
    username: Text
    password: Secret


class SesInbound(_Section):
    """Amazon SES through SNS: signed by SNS, for topics of ours only."""

    provider: Literal["ses"]
    topic_arns: Annotated[tuple[TopicArn, ...], Field(min_length=1)]
    api_base: str | None = None
    """Where SNS's certificates and confirmations are, in place of Amazon's own hosts."""

    @field_validator("api_base")
    @classmethod
    def _be_an_origin(cls, value: str | None) -> str | None:
        return None if value is None else an_origin(value)


class RawInbound(_Section):
    """Whole messages, posted by something of the owner's own and signed with a shared secret."""

    provider: Literal["raw"]
    secret: Secret


Inbound = Annotated[
    SendGridInbound | MailgunInbound | PostmarkInbound | SesInbound | RawInbound, Field(discriminator="provider")
]


class ImapSettings(_Section):
    """A mailbox that is read, and otherwise left alone."""

    host: Text
    port: Port = 993  # RFC 8314, section 3.2
    username: Text
    password: Secret
    mailbox: Text = "INBOX"
    security: Literal["none", "starttls", "tls"] = "tls"
    ca_file: ReadableFile | None = None
    """Whose certificates are trusted, in place of the system's list."""


class ListenSettings(_Section):
    """A port on which another mail server hands mail over."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]
    protocol: Literal["lmtp", "smtp"] = "lmtp"
    certificate: ReadableFile | None = None
    key: ReadableFile | None = None
    require_tls: bool = False

    @property
    def is_for_anybody(self) -> bool:
        """Whether strangers can hand mail over: they speak SMTP, and LMTP only a mail server of ours does."""
        return self.protocol == "smtp" and not _is_loopback(self.host)

    @model_validator(mode="after")
    def _have_both_files(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("must have both certificate and key, or neither")
        if self.require_tls and self.certificate is None:
            raise ValueError("require_tls needs certificate and key")
        return self


# --- out ---


class SmtpSettings(_Login):
    """The mail server that takes what we send."""

    host: Text
    port: Port = 587  # submission: RFC 6409, section 3.1; 465 is for tls: RFC 8314
    security: Literal["none", "starttls", "tls"] = "starttls"
    ca_file: ReadableFile | None = None


class DkimSettings(_Section):
    """A signature of ours on what we send (RFC 6376); most mail servers make their own."""

    domain: Domain
    selector: Text
    private_key: Secret
    """PEM of an RSA or base64 of an Ed25519 key."""

    @model_validator(mode="after")
    def _have_a_key(self) -> Self:
        from channels.email.dkim_sign import key_of  # the cryptography behind it, which few need

        key_of(self)
        return self


class TrustSettings(_Section):
    """Whom we believe about a sender."""

    authserv_id: Text | None = None
    """The name that our own border host gives itself in Authentication-Results (RFC 8601); others' are ignored.

    It has to take out what others have written under its name (section 5).
    """
    dkim: bool = False
    """Whether DKIM signatures are checked here, which asks the DNS."""


class EmailSettings(_Section):
    """One address, and how its mail comes and goes."""

    address: OwnAddress
    name: Text | None = None
    """What customers see beside the address."""
    aliases: tuple[OwnAddress, ...] = ()
    """Other addresses of ours whose mail comes here."""
    inbound: Inbound | None = None
    imap: ImapSettings | None = None
    listen: ListenSettings | None = None
    smtp: SmtpSettings
    dkim: DkimSettings | None = None
    trust: TrustSettings = TrustSettings()
    max_mail_mb: Annotated[int, Field(ge=1, le=150)] = 50
    plus_addressing: bool = True
    """Whether answers come back to ``help+…@``, which tells their thread; off where the mail server refuses that."""
    token_secret: Secret | None = None
    """Signs our references; without one it is made of the passwords above, and changes with them."""

    @field_validator("name")
    @classmethod
    def _fit_a_header(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("must be plain text on one line")
        return value

    @model_validator(mode="after")
    def _have_a_way_in(self) -> Self:
        if self.inbound is None and self.imap is None and self.listen is None:
            raise ValueError("needs inbound, imap or listen: no mail could come in")
        return self

    @model_validator(mode="after")
    def _believe_no_stranger(self) -> Self:
        if self.trust.authserv_id is not None and self.listen is not None and self.listen.is_for_anybody:
            raise ValueError(
                "trust.authserv_id cannot stand beside listen.protocol smtp on an address that others reach: whoever "
                "writes there could add your border host's verdict to their own mail. Let the border host deliver by "
                "lmtp, or listen on 127.0.0.1, or leave trust.authserv_id out and set trust.dkim"
            )
        return self

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address whose mail is ours, in lower case."""
        return frozenset((self.address, *self.aliases))

    @property
    def max_mail_bytes(self) -> int:
        """The largest message that is kept whole."""
        return self.max_mail_mb * MEGABYTE

    @property
    def signing_key(self) -> bytes:
        """What our references are signed with: the same in every process, and known to nobody else."""
        if self.token_secret is not None:
            return hashlib.sha256(self.token_secret.get_secret_value().encode()).digest()
        found = sorted(_secrets_in((self.inbound, self.imap, self.smtp)))
        return hashlib.sha256("\0".join((self.address, *found)).encode()).digest()

    def with_secret(self, secret: str) -> EmailSettings:
        """Return the same with a secret to sign with, where nothing in the section is one."""
        if self.token_secret is not None or _secrets_in((self.inbound, self.imap, self.smtp)):
            return self
        return self.model_copy(update={"token_secret": SecretStr(secret)})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _secrets_in(sections: tuple[BaseModel | None, ...]) -> list[str]:
    return [
        value.get_secret_value()
        for section in sections
        if section is not None
        for _, value in section
        if isinstance(value, SecretStr)
    ]


def an_origin(value: str) -> str:
    """Return the scheme, host and port of an address.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://sns.us-east-1.amazonaws.com")
    return f"{parts.scheme}://{parts.netloc}"
