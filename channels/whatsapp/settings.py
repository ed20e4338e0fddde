"""What a WhatsApp channel needs from ``config.yaml``."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from channels.meta.settings import MetaId, MetaSettings, Secret
from channels.window import FallbackTemplate


class WhatsAppSettings(MetaSettings):
    """One business phone number, and the app that answers for it."""

    phone_number_id: MetaId
    """Meta's id of the number, not the number itself."""
    access_token: Secret
    """Best a system user's, which never expires."""
    business_account_id: MetaId | None = None
    """The WhatsApp Business Account that has the number; with it ``doctor`` sees whether the account posts to us."""
    fallback_template: FallbackTemplate | None = None
    """Stands in for an answer that comes after WhatsApp's 24 hours."""

    @field_validator("business_account_id", mode="before")
    @classmethod
    def _read_blank_as_none(cls, value: Any) -> Any:
        return None if value == "" else value  # what ${NAME:-} leaves
