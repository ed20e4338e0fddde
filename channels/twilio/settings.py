"""What a Twilio channel needs from ``config.yaml``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channels.window import FallbackTemplate

API = "https://api.twilio.com"

ACCOUNT_SID = "must begin with AC and have 34 characters, as in Twilio's console, Account Info; SK… is an API key"
SERVICE_SID = "must begin with MG and have 34 characters, as in Twilio's console, Messaging, Services"
SENDER = 'must be a number such as "+15550100001", a short code such as "22345", or "whatsapp:+15550100001", in quotes'


def _looking_like(pattern: str, otherwise: str) -> Callable[[str], str]:
    """Return a check that says how a value looks, and not by which expression it is known."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(otherwise)
        return value

    return check


AccountSid = Annotated[str, AfterValidator(_looking_like(r"AC[0-9a-zA-Z]{1,64}", ACCOUNT_SID))]
ServiceSid = Annotated[str, AfterValidator(_looking_like(r"MG[0-9a-zA-Z]{1,64}", SERVICE_SID))]
# E.164, a short code, or a number on WhatsApp: senders that customers can answer.
Sender = Annotated[str, AfterValidator(_looking_like(r"(whatsapp:)?\+[1-9][0-9]{6,14}|[0-9]{3,8}", SENDER))]
Secret = Annotated[SecretStr, Field(min_length=1)]


class TwilioSettings(BaseModel):
    """One account's number or Messaging Service."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    account_sid: AccountSid
    auth_token: Secret
    auth_token_secondary: Secret | None = None
    """The other token while one is being rotated; webhooks signed with either are let in."""
    sender: Sender | None = Field(default=None, alias="from")
    messaging_service_sid: ServiceSid | None = None
    fallback_template: FallbackTemplate | None = None
    """WhatsApp only: the approved content (HX…) that stands in for an answer that comes too late."""
    api_base: str = API

    @field_validator("auth_token_secondary", "sender", "messaging_service_sid", mode="before")
    @classmethod
    def _read_blank_as_none(cls, value: Any) -> Any:
        return None if value == "" else value  # what ${NAME:-} leaves

    @field_validator("api_base")
    @classmethod
    def _be_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"must be an address such as {API}")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be an address without user name, ?query and #fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _have_a_sender(self) -> Self:
        if self.sender is None and self.messaging_service_sid is None:
            raise ValueError("set `from` (the number) or `messaging_service_sid`, or both")
        if self.fallback_template is not None and not self.is_whatsapp:
            raise ValueError("`fallback_template` is for `from: whatsapp:+…`; SMS has no window")
        return self

    @property
    def account(self) -> str:
        """What customers write to: the number, or the Messaging Service that picks one."""
        return self.sender or self.messaging_service_sid or ""

    @property
    def is_whatsapp(self) -> bool:
        """Whether customers see this channel as WhatsApp."""
        return (self.sender or "").startswith("whatsapp:")

    @property
    def is_short_code(self) -> bool:
        """Whether the sender is a short code, which Twilio keeps apart from its numbers."""
        return (self.sender or "").isdigit()

    @property
    def tokens(self) -> tuple[str, ...]:
        """What webhooks may be signed with."""
        secrets = (self.auth_token, self.auth_token_secondary)
        return tuple(secret.get_secret_value() for secret in secrets if secret is not None)

    @property
    def authorization(self) -> str:
        """The Authorization header of Twilio's REST API and of its media (Basic, RFC 7617)."""
        user_and_password = f"{self.account_sid}:{self.auth_token.get_secret_value()}"
        return "Basic " + base64.b64encode(user_and_password.encode()).decode("ascii")
