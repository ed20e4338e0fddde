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
# Answers about the key and the model's name: nothing that they can quote is the customer's.
_ABOUT_NO_PROMPT = frozenset({401, 404})
_MAX_WORDS = 300
_CODE = re.compile(r"[\w.\[\]-]{1,60}")


class RequestRefused(Exception):
    """The server blames the request; a changed one may pass."""

    def __init__(self, refusal: Refusal, request_id: str | None) -> None:
        super().__init__("the model's server blames the request")
        self.refusal = refusal
        self.request_id = request_id

    @property
    def about_images(self) -> bool:
        """Tell whether the request may pass without its pictures."""
        return bool(_ABOUT_IMAGES.search(f"{self.refusal.code} {self.refusal.message}"))

    def final(self) -> ModelError:
        """Return the error for a request that cannot be changed any further; the server's words may be the customer's.

        Which are about our setup is asked only where they are not about the prompt: a customer may have written them.
        """
        code, param = safe_code(self.refusal.code), self.refusal.param
        about_prompt = (param or "").startswith(_PROMPT)
        ours = code in CODES or bool(param and not about_prompt)
        what = " ".join(filter(None, (code, safe_code(param)))) or "no code"
        if not about_prompt and _ABOUT_OUR_SETUP.search(self.refusal.message):
            said = f"the model wants the Responses API, set assistant.api to responses ({what})"
            return ModelMisconfigured(said, code=what, request_id=self.request_id)
        if ours:
            said = f"the model's server does not take a parameter ({what})"
            return ModelMisconfigured(said, code=what, request_id=self.request_id)
        return ModelRefused(f"the model's server refused the prompt ({what})", code=what, request_id=self.request_id)


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
        kind = type(error).__name__
        return Failure(ModelUnavailable(f"no answer from the model's server ({kind})", code=kind), retry=True)
    return Failure(ModelMisconfigured("the server does not answer as the API does: check assistant.base_url"))


def _read_status(error: APIStatusError) -> Failure:
    status = error.status_code
    if status in _BLAMES_THE_REQUEST or (status >= 500 and _ABOUT_IMAGES.search(_said(error))):
        raise RequestRefused(Refusal(_said(error), error.code, error.param), error.request_id) from error
    code = f"{status} {safe_code(error.code) or safe_code(error.type) or ''}".strip()
    no_money = error.code in _NO_MONEY or error.type in _NO_MONEY
    if (status in _LATER or status >= 500) and not no_money:
        return Failure(
            ModelUnavailable(f"the model's server answered {code}", code=code, request_id=error.request_id),
            retry=error.response.headers.get("x-should-retry") != "false",
            retry_after_s=_retry_after_s(error),
        )
    words = _message(error) if status in _ABOUT_NO_PROMPT else None
    return Failure(
        ModelMisconfigured(
            f"the model's server rejects us: {code}",
            code=code,
            words=words and words[:_MAX_WORDS],
            request_id=error.request_id,
        )
    )


def safe_code(code: str | None) -> str | None:
    """Return a server's code where it is one: a word, and no sentence that might quote somebody."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _message(error: APIStatusError) -> str | None:
    """Return the server's words where they are where OpenAI puts them."""
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) else None


def _said(error: APIStatusError) -> str:
    """Return what to look into for a reason, and never to show: other servers put their words elsewhere."""
    return _message(error) or str(error.body)


def _retry_after_s(error: APIStatusError) -> float | None:
    headers = error.response.headers
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name])) * unit_s
        except (KeyError, ValueError):  # absent, or an HTTP date, which no model server is known to send
            continue
    return None
