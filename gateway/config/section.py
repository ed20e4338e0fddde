"""What all sections of the configuration have in common."""

from __future__ import annotations

from typing import Annotated, Any, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
PositiveInt = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A frozen group of keys that knows all of its keys."""

    # hide_input_in_errors: a message that nobody has translated still holds no secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _accept_what_the_environment_can_say(cls, value: Any, info: ValidationInfo) -> Any:
        """Split ``a, b`` where a list is wanted; refuse true and false where a number is."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, str) and get_origin(annotation) is tuple:
            return [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError("must not be true or false; write a value")
        return value


def http_url(value: str) -> str:
    """Return an address without its trailing slash.

    Raises:
        ValueError: it is not http or https, or it holds more than host, port and path.
    """
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in value):
        raise ValueError("must be an address such as https://chat.example.com")
    if "?" in value or "#" in value or "@" in parts.netloc:
        raise ValueError("must end with its path; remove user names, ?queries and #fragments")
    return value.rstrip("/")
