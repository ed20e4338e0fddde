"""From the configuration's ``assistant`` section to a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

import structlog

from gateway.assistant.api import Api, Ask
from gateway.assistant.breaker import CIRCUIT_OPEN, Breaker
from gateway.assistant.chat import ChatApi
from gateway.assistant.model import Completion, ModelError, ModelLifetime, Prompt
from gateway.assistant.openai_model import OpenAIModel
from gateway.assistant.responses import ResponsesApi
from gateway.assistant.server import Patience, Server
from gateway.config import AssistantConfig

log = structlog.get_logger(__name__)


def build_model(
    config: AssistantConfig, patience: Patience | None = None, *, monotonic: Callable[[], float] = time.monotonic
) -> OpenAIModel | FallbackModel:
    """Return the configured model; nothing is opened before its first call.

    Its deadline is two attempts long unless ``patience`` says otherwise.
    """
    patience = patience or Patience(timeout_s=config.timeout_s, deadline_s=2 * config.timeout_s)
    server = Server(config.base_url, config.api_key.get_secret_value(), patience, monotonic=monotonic)
    api = choose_api(config.api, config.base_url)

    def model_named(name: str) -> OpenAIModel:
        ask = Ask(name, config.reasoning_effort, config.verbosity, config.max_output_tokens)
        return OpenAIModel(server, api, ask, monotonic=monotonic)

    first = model_named(config.model)
    if config.fallback_model is None:
        return first
    return FallbackModel(first, model_named(config.fallback_model))


def choose_api(wanted: Literal["auto", "responses", "chat"], base_url: str) -> Api:
    """Return the API to ask: the Responses API where OpenAI's own models answer, chat elsewhere."""
    host = urlsplit(base_url).hostname or ""
    # The third is what the SDK's data residency uses: eu.api.openai.com.
    hosted = host == "api.openai.com" or host.endswith((".openai.azure.com", ".api.openai.com"))
    if wanted == "responses" or (wanted == "auto" and hosted):
        return ResponsesApi()
    return ChatApi(openai_hosted=hosted)


class FallbackModel:
    """Asks the first model, and the second where the first gives no answer, or is not to be asked now."""

    def __init__(self, first: OpenAIModel, second: OpenAIModel) -> None:
        self._first = first
        self._second = second

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """The circuits of both, each once: they share their server's."""
        return tuple(dict.fromkeys((*self._first.breakers, *self._second.breakers)))

    async def complete(self, prompt: Prompt) -> Completion:
        """Ask the first that answers.

        Raises:
            ModelError: the first model's, where neither answers.
        """
        try:
            return await self._first.complete(prompt)
        except ModelError as error:
            if error.code != CIRCUIT_OPEN:  # told once, when it opened
                kind = type(error).__name__
                log.warning("model_fallback", error=kind, code=error.code, request_id=error.request_id)
            try:
                completion = await self._second.complete(prompt)
            except ModelError as second:
                error.usage += second.usage
                raise error from second
            return replace(completion, usage=error.usage + completion.usage)

    async def lifetime(self) -> ModelLifetime | None:
        """Return the end of the model that ends first, or None where their server cannot tell."""
        known = [end for end in (await self._first.lifetime(), await self._second.lifetime()) if end]
        return min(known, key=lambda end: end.shutdown_on or date.max, default=None)

    async def close(self) -> None:
        """Give back the connections."""
        await self._first.close()
        await self._second.close()
