"""One OpenAI-compatible server: its client, its timeouts, and the one retry of a failed call."""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway.assistant.breaker import Breaker, Verdict
from gateway.assistant.failures import Failure, RequestRefused, read_failure
from gateway.assistant.model import ModelLifetime, ModelMisconfigured, ModelUnavailable

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take."""

    timeout_s: float = 45.0
    """One attempt; the SDK's own default is 600."""
    deadline_s: float = 90.0
    """All attempts of one completion."""
    connect_s: float = 5.0
    backoff_s: float = 0.5
    """The wait before the retry, up to doubled at random; openai 3.54 ``INITIAL_RETRY_DELAY``."""


class Server:
    """The address and key of a server, and the one client that talks to it; opened by the first call."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        patience: Patience,
        *,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base_url = base_url
        self.patience = patience
        self.breaker = Breaker(base_url, _judge_reach, monotonic)
        """Open while the server cannot be reached at all, whichever of its models is asked."""
        self._api_key = api_key or "none"  # the SDK refuses an empty key, and local servers have none
        self._jitter = jitter
        self._client: AsyncOpenAI | None = None
        self._opening = asyncio.Lock()

    async def ask(self, call: Callable[[AsyncOpenAI], Awaitable[T]], deadline: float) -> T:
        """Make a call, and make it once more where that can help before the deadline (event loop time).

        Raises:
            RequestRefused: the server blames the request.
            ModelUnavailable: neither attempt was answered, or the server could not be reached a short while ago.
            ModelMisconfigured: the server rejects us.
        """
        client = await self._open()
        with self.breaker.attempt():
            try:
                return await self._ask_twice(call, client, deadline)
            except _Failed as failed:
                raise failed.failure.error from failed

    async def lifetime(self, model: str) -> ModelLifetime | None:
        """Return what the server says about a model's end, or None where it says nothing readable."""
        client = await self._open()
        from openai import OpenAIError

        try:
            async with asyncio.timeout(self.patience.timeout_s):
                found = await client.models.retrieve(model)
            ends = getattr(found, "shutdown_date", None)
            return ModelLifetime(model, date.fromisoformat(ends[:10]) if ends else None)
        except (OpenAIError, TimeoutError, ValueError, TypeError) as error:
            log.info("model_lifetime_unknown", model=model, error=type(error).__name__)
            return None

    async def close(self) -> None:
        """Close the client; an unclosed one leaves its sockets open."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(self) -> AsyncOpenAI:
        async with self._opening:
            if self._client is None:
                # The import takes most of a second: in a thread, so that the event loop goes on answering webhooks.
                for module in ("openai", "openai.resources.responses", "openai.resources.chat"):
                    await asyncio.to_thread(importlib.import_module, module)
                self._client = self._connect()
            return self._client

    def _connect(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAioHttpClient, Timeout

        return AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._api_key,
            http_client=DefaultAioHttpClient(),
            max_retries=0,  # the SDK would sleep up to 120 s inside the call, and retry an exhausted quota
            timeout=Timeout(self.patience.timeout_s, connect=self.patience.connect_s),
        )

    async def _ask_twice(self, call: Callable[[AsyncOpenAI], Awaitable[T]], client: AsyncOpenAI, deadline: float) -> T:
        try:
            return await self._attempt(call, client)
        except _Failed as failed:
            if not await self._wait_to_retry(failed.failure, deadline):
                raise
        return await self._attempt(call, client)

    async def _attempt(self, call: Callable[[AsyncOpenAI], Awaitable[T]], client: AsyncOpenAI) -> T:
        from openai import APIError

        try:
            # The client's own timeout counts from byte to byte: a server that trickles would never hit it.
            async with asyncio.timeout(self.patience.timeout_s):
                return await call(client)
        except APIError as error:
            raise _Failed(read_failure(error), _reach_of(error)) from error
        except ModelUnavailable as error:
            raise _Failed(Failure(error, retry=True)) from error
        except TimeoutError as error:
            late = ModelUnavailable(f"no answer from the model's server within {self.patience.timeout_s:g} s")
            raise _Failed(Failure(late, retry=True), Verdict.NEITHER) from error
        except ValueError as error:  # the SDK lets the JSON decoder's error through
            broken = ModelMisconfigured("the server's answer is not JSON: check assistant.base_url")
            raise _Failed(Failure(broken)) from error

    async def _wait_to_retry(self, failure: Failure, deadline: float) -> bool:
        """Wait as long as a retry should; tell at once where there is to be none."""
        wait_s = failure.retry_after_s
        if wait_s is None:
            wait_s = self.patience.backoff_s * (1 + self._jitter())
        if not failure.retry or asyncio.get_running_loop().time() + wait_s >= deadline:
            return False
        error = failure.error
        kind = type(error).__name__
        log.info("model_call_retried", error=kind, code=error.code, request_id=error.request_id, wait_s=wait_s)
        await asyncio.sleep(wait_s)
        return True


class _Failed(Exception):
    """An attempt failed; between an attempt and the one that decides what follows."""

    def __init__(self, failure: Failure, reach: Verdict = Verdict.ANSWERED) -> None:
        super().__init__(str(failure.error))
        self.failure = failure
        self.reach = reach
        """What the failure says about the way to the server; one that answers with an error can be reached."""


def _reach_of(error: APIError) -> Verdict:
    import httpx2  # the SDK's own transport
    from openai import APIConnectionError

    if not isinstance(error, APIConnectionError):
        return Verdict.ANSWERED
    # The aiohttp transport of openai 3.54 calls a refused, an unresolved and a dropped connection a ConnectTimeout. A
    # connection that stays silent may be one slow model's, and so says nothing about the others on the server.
    unreached = isinstance(error.__cause__, httpx2.ConnectTimeout | httpx2.ConnectError)
    return Verdict.FAILED if unreached else Verdict.NEITHER


def _judge_reach(error: Exception) -> Verdict:
    if isinstance(error.__cause__, _Failed):
        return error.__cause__.reach
    return Verdict.ANSWERED if isinstance(error, RequestRefused) else Verdict.NEITHER
