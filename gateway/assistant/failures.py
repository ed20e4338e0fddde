"""What a failed call of an OpenAI-compatible server means for the next one.

Error classes and retryable statuses: openai 3.54 ``_exceptions.py`` and ``_base_client.py`` (``_should_retry``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.assistant.guard import CODES, Refusal
from gateway.assistant.model import ModelError, ModelMisconfigured, ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    from openai import APIError, APIStatusError

_BLAMES_THE_REQUEST = frozenset({400, 413, 415, 422})
_LATER = frozenset({408, 409, 429})
# Both are a 429 or 403 that no waiting heals: platform.openai.com/docs/guides/error-codes.
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# A server without vision refuses pictures with 400 (vLLM, Ollama) or 500 (llama.cpp); OpenAI refuses broken ones.
_ABOUT_IMAGES = re.compile(r"image|multimodal|vision", re.IGNORECASE)
_ABOUT_OUR_SETUP = re.compile(r"/v1/responses|responses api", re.IGNORECASE)
# Parameters that carry the customer's words; what is wrong with any other is the operator's to change.
_PROMPT = ("input", "messages", "prompt")
_MAX_DETAIL = 300


class RequestRefused(Exception):
    """The server blames the request; a changed one may pass."""

    def __init__(self, refusal: Refusal, request_id: str | None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.request_id = request_id

    @property
    def about_images(self) -> bool:
        """Tell whether the request may pass without its pictures."""
        return bool(_ABOUT_IMAGES.search(f"{self.refusal.code} {self.refusal.message}"))

    def final(self) -> ModelError:
        """Return the error for a request that cannot be changed any further.

        The server's words stay out of it where they may quote the customer's.
        """
        code, param = self.refusal.code or self.refusal.param or "no code", self.refusal.param or "messages"
        ours = code in CODES or not param.startswith(_PROMPT)
        if ours or _ABOUT_OUR_SETUP.search(self.refusal.message):
            return ModelMisconfigured(f"{code}: {self.refusal.message[:_MAX_DETAIL]}", request_id=self.request_id)
        return ModelRefused(f"the model's server refused the prompt ({code})", request_id=self.request_id)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt."""

    error: ModelError
    retry: bool = False
    retry_after_s: float | None = None
    """The server's own wish."""


def read_failure(error: APIError) -> Failure:
    """Return what a failed attempt means.

    Raises:
        RequestRefused: where the request is to blame.
    """
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        return _read_status(error)
    if isinstance(error, APIConnectionError):
        return Failure(ModelUnavailable(f"no answer from the model's server ({type(error).__name__})"), retry=True)
    return Failure(ModelMisconfigured("the server does not answer as the API does: check assistant.base_url"))


def _read_status(error: APIStatusError) -> Failure:
    status, detail = error.status_code, f"{error.status_code} {error.code or error.type or ''}".strip()
    if status in _BLAMES_THE_REQUEST or (status >= 500 and _ABOUT_IMAGES.search(_words(error))):
        raise RequestRefused(Refusal(_words(error), error.code, error.param), error.request_id) from error
    no_money = error.code in _NO_MONEY or error.type in _NO_MONEY
    if (status in _LATER or status >= 500) and not no_money:
        return Failure(
            ModelUnavailable(f"the model's server answered {detail}", request_id=error.request_id),
            retry=error.response.headers.get("x-should-retry") != "false",
            retry_after_s=_retry_after_s(error),
        )
    return Failure(ModelMisconfigured(f"{detail}: {_words(error)[:_MAX_DETAIL]}", request_id=error.request_id))


def _words(error: APIStatusError) -> str:
    """Return the server's own words; where they are not where OpenAI puts them, its whole answer."""
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) else str(error.body)


def _retry_after_s(error: APIStatusError) -> float | None:
    headers = error.response.headers
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name])) * unit_s
        except (KeyError, ValueError):  # absent, or an HTTP date, which no model server is known to send
            continue
    return None
