"""A model behind an OpenAI-compatible server: asks, learns what is refused, and never returns an empty text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from gateway.assistant.api import Answer, Api, Ask
from gateway.assistant.breaker import Breaker, judge_completion
from gateway.assistant.failures import RequestRefused
from gateway.assistant.families import fit_effort, lower_effort
from gateway.assistant.guard import Guard
from gateway.assistant.model import (
    Completion,
    ModelEmpty,
    ModelLifetime,
    ModelMisconfigured,
    ModelUnavailable,
    Prompt,
    Round,
)
from gateway.assistant.server import Server
from gateway.printable import without_controls

log = structlog.get_logger(__name__)

MAX_CHANGES = 16  # more than there is to leave out: only a server that contradicts itself gets there


class OpenAIModel:
    """One model on one server, by one of the two APIs; it remembers what they do not take."""

    def __init__(self, server: Server, api: Api, ask: Ask, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._api = api
        self._ask = replace(ask, effort=fit_effort(ask.model, ask.effort) if ask.effort else None)
        self._guard = Guard()
        self._breaker = Breaker(f"{ask.model} at {server.base_url}", judge_completion, monotonic)
        self._monotonic = monotonic

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """The circuits that a call goes through: the model's own, and its server's."""
        return (self._breaker, self._server.breaker)

    async def complete(self, prompt: Prompt) -> Completion:
        """Ask once; retries and the overall deadline are inside.

        Raises:
            ModelError: one of its subclasses; ModelUnavailable at once while a circuit is open.
        """
        with self._breaker.attempt(prompt.user_key):
            return await self._complete(prompt)

    async def lifetime(self) -> ModelLifetime | None:
        """Return when the model will be shut down, or None where its server cannot tell."""
        return await self._server.lifetime(self._ask.model)

    async def close(self) -> None:
        """Give back the connections."""
        await self._server.close()

    async def _complete(self, prompt: Prompt) -> Completion:
        started = self._monotonic()
        deadline_s = self._server.patience.deadline_s
        try:
            async with asyncio.timeout(deadline_s) as limit:
                answer, sent = await self._answer(prompt, limit.when() or 0.0)
        except TimeoutError as error:
            raise ModelUnavailable(f"no answer from the model within {deadline_s:g} s") from error
        effort, verbosity = self._api.sent(sent)
        return Completion(
            text=answer.text,
            calls=answer.calls,
            round=Round(answer.items, self._ask.model),
            usage=answer.usage,
            model=answer.model or self._ask.model,
            reasoning_effort=effort,
            verbosity=verbosity,
            request_id=answer.request_id,
            duration_ms=round((self._monotonic() - started) * 1000),
            refused=answer.refused,
        )

    async def _answer(self, prompt: Prompt, deadline: float) -> tuple[Answer, Mapping[str, Any]]:
        """Ask; where nothing is said, ask once more with less thought and more room.

        Hidden reasoning counts as output: a small cap is used up before the first word, with status 200.
        """
        first, sent = await self._call(prompt, self._ask, deadline)
        if first.text or first.calls:
            return first, sent
        roomier = replace(
            self._ask,
            effort=lower_effort(self._ask.model, self._ask.effort),
            max_output_tokens=self._ask.max_output_tokens * 2,
        )
        log.warning("model_answered_nothing", model=self._ask.model, request_id=first.request_id)
        second, sent = await self._call(prompt, roomier, deadline)
        usage = first.usage + second.usage
        if not (second.text or second.calls):
            raise ModelEmpty(request_id=second.request_id, usage=usage)
        return replace(second, usage=usage), sent

    async def _call(self, prompt: Prompt, ask: Ask, deadline: float) -> tuple[Answer, Mapping[str, Any]]:
        """Ask, and ask again without what the server refuses."""
        for _ in range(MAX_CHANGES):
            sent = self._guard.fit(self._api.request(prompt, ask))
            try:
                answer = await self._server.ask(partial(self._api.send, request=sent), deadline)
            except RequestRefused as refused:
                prompt = self._change(prompt, sent, refused)
                continue
            answer = replace(answer, text=without_controls(answer.text).strip())
            # Some local servers call tools that were not offered or are forbidden.
            return (answer if prompt.tools and not prompt.last_round else replace(answer, calls=())), sent
        raise ModelMisconfigured("the server refuses every form of the request")

    def _change(self, prompt: Prompt, sent: Mapping[str, Any], refused: RequestRefused) -> Prompt:
        """Return the prompt to go on with after a refusal.

        Raises:
            ModelError: there is nothing to change.
        """
        learned = self._guard.learn(refused.refusal, sent)
        if learned:
            log.warning("model_parameters_refused", model=self._ask.model, url=self._server.base_url, names=learned)
            return prompt
        if prompt.has_images and refused.about_images:
            log.warning("model_images_refused", model=self._ask.model, request_id=refused.request_id)
            return prompt.without_images()
        raise refused.final() from refused
