"""What OpenAI's prompt cache would keep: an exact beginning of tools, instructions and input, in that order.

developers.openai.com/api/docs/guides/prompt-caching and .../cookbook/examples/prompt_caching_201 (read 2026-11): at
least 1,024 tokens. Before GPT-5.6 the longest shared beginning counts, in steps of 128 tokens. From GPT-5.6 on there
are breakpoints instead: unless a request sets its own, one behind its newest user or tool message, and only a beginning
that ends at an earlier one is found again (openai/codex#35300). Tokens are estimated from bytes.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MIN_CACHED_TOKENS = 1024
CACHED_STEP_TOKENS = 128
REMEMBERED_PROMPTS = 256
BYTES_PER_TOKEN = 4  # near enough for counts that nobody pays
_WITH_BREAKPOINTS = re.compile(r"(?:.*/)?gpt-(?:5\.[6-9]|[6-9])")
# "Settings that affect the cached prefix": the same words under other settings are another prompt.
_SETTINGS = ("model", "parallel_tool_calls", "reasoning", "reasoning_effort", "text", "verbosity", "response_format")


@dataclass(slots=True)
class Tally:
    """The tokens of many requests."""

    requests: int = 0
    given: int = 0
    shared: int = 0
    """Of the given ones: in a beginning that an earlier prompt has in common, however short, as the answers say."""
    billed_as_cached: int = 0
    """Of the given ones: what OpenAI would bill as cached."""

    @property
    def cached_share(self) -> float:
        """The part of the given tokens, 0 to 1, that OpenAI would bill as cached."""
        return self.billed_as_cached / self.given if self.given else 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt as the cache sees it."""

    model: str
    settings: str
    pieces: tuple[str, ...]
    breakpoint: int
    """How many pieces stand before the implicit breakpoint."""


class PromptCache:
    """Remembers prompts and counts what later ones share with them."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._seen: deque[Seen] = deque(maxlen=REMEMBERED_PROMPTS)

    def count(self, body: Mapping[str, Any], pieces: tuple[str, ...], breakpoint_: int) -> tuple[int, int]:
        """Count a prompt's tokens and those of them that an earlier one begins with, in whole pieces, and remember it.

        The second figure has no least length, so that small prompts show it too; ``tally`` has the provider's.
        """
        prompt = Seen(str(body.get("model")), _settings(body), pieces, breakpoint_)
        alike = [seen for seen in self._seen if seen.settings == prompt.settings]
        shared = max((_shared(pieces, seen.pieces) for seen in alike), default=0)
        given, cached = tokens_of(pieces), tokens_of(pieces[:shared])
        self.tally.requests += 1
        self.tally.given += given
        self.tally.shared += cached
        self.tally.billed_as_cached += _billed(prompt, alike, cached)
        self._seen.append(prompt)
        return given, cached


def tokens_of(texts: Sequence[str]) -> int:
    """Estimate how many tokens texts take."""
    return sum(-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts)


def _billed(prompt: Seen, alike: Sequence[Seen], shared_tokens: int) -> int:
    if _WITH_BREAKPOINTS.match(prompt.model):
        entries = {seen.pieces[: seen.breakpoint] for seen in alike}
        shared_tokens = max((tokens_of(e) for e in entries if prompt.pieces[: len(e)] == e), default=0)
        return shared_tokens if shared_tokens >= MIN_CACHED_TOKENS else 0
    steps = (shared_tokens - MIN_CACHED_TOKENS) // CACHED_STEP_TOKENS
    return MIN_CACHED_TOKENS + steps * CACHED_STEP_TOKENS if steps >= 0 else 0


def _settings(body: Mapping[str, Any]) -> str:
    return json.dumps([body.get(name) for name in _SETTINGS])


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
