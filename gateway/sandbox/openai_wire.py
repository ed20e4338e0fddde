"""The bodies of OpenAI's two APIs: reading a request, writing an answer.

Shapes: openai 3.54 ``types/responses/response.py`` and ``types/chat/chat_completion.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.openai_rules import REASONING_MARK, effort_of
from gateway.sandbox.receptionist import Said

_BYTES_PER_TOKEN = 4  # near enough for counts that nobody pays
_REASONING_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, in words that both APIs share."""

    pieces: tuple[str, ...]
    """The prompt in the order in which a prefix cache sees it."""
    user_texts: tuple[str, ...]
    """The customer's messages behind the last answer."""
    tools: tuple[str, ...]
    tool_outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A request's and its answer's tokens."""

    given: int
    cached: int
    made: int
    reasoning: int


def read_responses(body: Mapping[str, Any]) -> Asked:
    """Read the body of ``POST /v1/responses``."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])
    start = [body.get("instructions") or "", body.get("tools") or []]
    return Asked(
        _pieces([*start, *items]),
        _waiting(items),
        tuple(tool["name"] for tool in body.get("tools") or []),
        tuple(str(item["output"]) for item in items if item.get("type") == "function_call_output"),
    )


def read_chat(body: Mapping[str, Any]) -> Asked:
    """Read the body of ``POST /v1/chat/completions``."""
    messages = list(body.get("messages") or [])
    return Asked(
        _pieces([body.get("tools") or [], *messages]),
        _waiting(messages),
        tuple(tool["function"]["name"] for tool in body.get("tools") or []),
        tuple(str(message["content"]) for message in messages if message["role"] == "tool"),
    )


def count(asked: Asked, body: Mapping[str, Any], said: Said, seen: Sequence[tuple[str, ...]]) -> Counted:
    """Count tokens; cached are those of the longest beginning that an earlier prompt shares, in whole pieces.

    The real API counts a cached prefix from 1024 tokens on; here every piece counts, so that small prompts show it.
    """
    shared = max((_shared(asked.pieces, earlier) for earlier in seen), default=0)
    reasoning = 0 if effort_of(body) in (None, "none") else _REASONING_TOKENS
    words = said.text + "".join(call.name + call.arguments for call in said.calls)
    return Counted(
        given=sum(map(_tokens, asked.pieces)),
        cached=sum(map(_tokens, asked.pieces[:shared])),
        made=_tokens(words) + reasoning,
        reasoning=reasoning,
    )


def write_response(
    body: Mapping[str, Any], said: Said, counted: Counted, now: int, new_id: Callable[[str], str]
) -> dict[str, Any]:
    """Return the answer of ``POST /v1/responses``."""
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now,
        "status": "incomplete" if said.cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": list(_output(body, said, counted, new_id)),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "reasoning": {"effort": effort_of(body), "summary": None},
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, **(body.get("text") or {})},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": counted.given,
            "input_tokens_details": {"cached_tokens": counted.cached, "cache_write_tokens": 0},
            "output_tokens": counted.made,
            "output_tokens_details": {"reasoning_tokens": counted.reasoning},
            "total_tokens": counted.given + counted.made,
        },
    }


def _output(
    body: Mapping[str, Any], said: Said, counted: Counted, new_id: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    if counted.reasoning:
        asked_for = "reasoning.encrypted_content" in (body.get("include") or ())
        sealed = {"encrypted_content": f"{REASONING_MARK}{body['model']}"} if asked_for else {}
        yield {"id": new_id("rs"), "type": "reasoning", "summary": [], **sealed}
    if said.text:
        part = (
            {"type": "refusal", "refusal": said.text}
            if said.refused
            else {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        )
        status = "incomplete" if said.cut else "completed"
        yield {"id": new_id("msg"), "type": "message", "status": status, "role": "assistant", "content": [part]}
    for call in said.calls:
        yield {
            "id": new_id("fc"),
            "type": "function_call",
            "status": "incomplete" if said.cut else "completed",
            "call_id": new_id("call"),
            "name": call.name,
            "arguments": call.arguments,
        }


def write_chat(
    body: Mapping[str, Any], said: Said, counted: Counted, now: int, new_id: Callable[[str], str]
) -> dict[str, Any]:
    """Return the answer of ``POST /v1/chat/completions``."""
    calls = [
        {"id": new_id("call"), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in said.calls
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if said.refused or (calls and not said.text) else said.text,
        "refusal": said.text if said.refused else None,
        "annotations": [],
        **({"tool_calls": calls} if calls else {}),
    }
    ended = "length" if said.cut else "tool_calls" if calls else "stop"
    return {
        "id": new_id("chatcmpl").replace("_", "-"),
        "object": "chat.completion",
        "created": now,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": ended}],
        "usage": {
            "prompt_tokens": counted.given,
            "completion_tokens": counted.made,
            "total_tokens": counted.given + counted.made,
            "prompt_tokens_details": {"cached_tokens": counted.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": counted.reasoning, "audio_tokens": 0},
        },
        "service_tier": "default",
    }


def _waiting(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the user's messages behind the last answer; notes, reasoning and calls do not end them."""
    texts: list[str] = []
    for item in reversed(items):
        if item.get("role") == "user":
            texts.append(_text(item.get("content")))
        elif item.get("role") == "assistant" and not item.get("tool_calls") and texts:
            break
    return tuple(reversed(texts))


def _text(content: object) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(part.get("text") or "[image]" for part in content)


def _pieces(items: Sequence[object]) -> tuple[str, ...]:
    return tuple(json.dumps(item, ensure_ascii=False) for item in items)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
