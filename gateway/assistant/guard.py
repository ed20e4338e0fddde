"""What one model on one server does not take, learned from its refusals.

Servers that call themselves OpenAI-compatible differ mostly in the optional parameters: one ignores what it does not
know, the next refuses it. A refused parameter that we can do without is left out (or renamed) from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 4xx answer that blames the request."""

    message: str
    code: str | None = None
    param: str | None = None


# Our argument -> how servers name it in a refusal. The last forms are Ollama's words for an effort that the model
# does not know (ollama#12561, openclaude#1371) and OpenAI's for a model without reasoning (pydantic-ai#2865).
_OPTIONAL = {
    "reasoning": re.compile(r"reasoning[._ ]effort|\breasoning\b|\bthink(ing)?\b", re.IGNORECASE),
    "reasoning_effort": re.compile(r"reasoning[._ ]effort|\bthink(ing)?\b", re.IGNORECASE),
    "text": re.compile(r"\bverbosity\b", re.IGNORECASE),
    "verbosity": re.compile(r"\bverbosity\b", re.IGNORECASE),
    "include": re.compile(r"\binclude\b['\"`]|encrypted.content is not supported", re.IGNORECASE),
    "parallel_tool_calls": re.compile(r"\bparallel_tool_calls\b"),
    "prompt_cache_key": re.compile(r"\bprompt_cache_key\b"),
    "safety_identifier": re.compile(r"\bsafety_identifier\b"),
    "metadata": re.compile(r"['\"`]metadata['\"`]"),
    "store": re.compile(r"['\"`]store['\"`]"),
}
_RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
# A refusal without such a code, as most servers but OpenAI's send it, has to say so in words.
_WORDS = re.compile(
    r"not support|unsupported|unknown|unrecognized|unexpected|extra_forbidden|not permitted|not allowed", re.IGNORECASE
)
# "Function tools with reasoning_effort are not supported for gpt-5.6-luna in /v1/chat/completions. To use function
# tools, use /v1/responses or set reasoning_effort to 'none'.": leaving it out is refused as well.
_EFFORT_NONE = re.compile(r"set reasoning_effort to 'none'", re.IGNORECASE)


@dataclass(slots=True)
class Guard:
    """The memory of what is not sent any more; one for each server and model."""

    dropped: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)

    def fit(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request as this server takes it."""
        named = {self.renamed.get(key, key): value for key, value in request.items() if key not in self.dropped}
        return named | {key: value for key, value in self.fixed.items() if key not in self.dropped}

    def learn(self, refusal: Refusal, sent: Mapping[str, Any]) -> tuple[str, ...]:
        """Remember what the refused request must not carry; an empty answer says that there was nothing to learn."""
        if refusal.code not in CODES and not _WORDS.search(refusal.message):
            return ()
        if "messages" in sent and _EFFORT_NONE.search(refusal.message):
            return self._fix_effort(sent)
        return self._rename(refusal, sent) or self._drop(refusal, sent)

    def _fix_effort(self, sent: Mapping[str, Any]) -> tuple[str, ...]:
        if sent.get("reasoning_effort") == "none":
            return ()
        self.fixed["reasoning_effort"] = "none"
        self.dropped.discard("reasoning_effort")
        return ("reasoning_effort",)

    def _rename(self, refusal: Refusal, sent: Mapping[str, Any]) -> tuple[str, ...]:
        for name, other in _RENAMED.items():
            blamed = refusal.param == name or (refusal.param is None and re.search(rf"\b{name}\b", refusal.message))
            if name in sent and blamed and other not in self.renamed:
                self.renamed[name] = other
                return (name,)
        return ()

    def _drop(self, refusal: Refusal, sent: Mapping[str, Any]) -> tuple[str, ...]:
        # OpenAI names the culprit; where nobody is named, the message is searched.
        where = refusal.param or refusal.message
        culprits = tuple(
            name for name, words in _OPTIONAL.items() if name in sent and (name == where or words.search(where))
        )
        self.dropped.update(culprits)
        return culprits
