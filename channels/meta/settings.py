"""What every channel of Meta needs from ``config.yaml``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

API = "https://graph.facebook.com"
GRAPH_VERSION = "v26.0"  # current since 2026-07-29: developers.facebook.com/docs/graph-api/changelog, read 2026-11

Secret = Annotated[SecretStr, Field(min_length=1)]
ID = 'must be an id of Meta\'s, such as "100000000000001", and no name or telephone number; the app dashboard shows it'
VERSION = f"must be a version of the Graph API such as {GRAPH_VERSION}"


def _looking_like(pattern: str, otherwise: str) -> Callable[[str], str]:
    """Return a check that says how a value looks, and not by which expression it is known."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(otherwise)
        return value

    return check


MetaId = Annotated[str, AfterValidator(_looking_like(r"[0-9A-Za-z_]{1,64}", ID))]
GraphVersion = Annotated[str, AfterValidator(_looking_like(r"v[0-9]{1,3}\.[0-9]", VERSION))]


class MetaSettings(BaseModel):
    """One app's secrets and the Graph API that it calls."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, coerce_numbers_to_str=True)

    app_secret: Secret
    """Signs webhooks; it is the app's, and so the same for all of its pages and numbers."""
    verify_token: Secret
    """What Meta repeats when the webhook's address is saved; a word of our own."""
    graph_version: GraphVersion = GRAPH_VERSION
    api_base: str = API
    appsecret_proof: bool = False
    """Whether calls carry a proof of the app's secret, which apps with "Require app secret" need."""

    @field_validator("api_base")
    @classmethod
    def _be_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"must be an address such as {API}")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be an address without user name, ?query and #fragment")
        return value.rstrip("/")

    def shares_app_with(self, other: MetaSettings) -> bool:
        """Tell whether both are of one app, which posts all its events to one address."""
        return self.app_secret.get_secret_value() == other.app_secret.get_secret_value()
