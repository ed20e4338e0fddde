"""The bodies of OpenAI's two APIs: reading a request, writing an answer.

Shapes: openai 3.54 ``types/responses/response.py`` and ``types/chat/chat_completion.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.openai_cache import tokens_of
from gateway.sandbox.openai_rules import REASONING_MARK, effort_of
from gateway.sandbox.receptionist_talk import Done, Heard, Line, Said

_REASONING_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, in words that both APIs share."""

    pieces: tuple[str, ...]
    """The prompt in the order in which a prefix cache sees it."""
    breakpoint: int
    """How many pieces end with the newest user or tool message: there a prompt is put into the cache."""
    heard: Heard


@dataclass(frozen=True, slots=True)
class Counted:
    """A request's and its answer's tokens."""

    given: int
    cached: int
    made: int
    reasoning: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One thing of a conversation, whichever API it came by."""

    kind: str
    """``user``, ``assistant``, ``developer``, ``call``, ``output``, or another that says nothing to the mind."""
    text: str = ""
    """What is said, a call's arguments, or what it gave."""
    call_id: str = ""
    name: str = ""


def read_responses(body: Mapping[str, Any]) -> Asked:
    """Read the body of ``POST /v1/responses``."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])
    tools = body.get("tools") or []
    entries = [_item(item) for item in items]
    start = [tools, body.get("instructions") or ""]
    last = max((at for at, entry in enumerate(entries, 1) if entry.kind in ("user", "output")), default=0)
    return Asked(_pieces([*start, *items]), len(start) + last, _heard(entries, tools, body.get("tool_choice")))


def read_chat(body: Mapping[str, Any]) -> Asked:
    """Read the body of ``POST /v1/chat/completions``."""
    messages = list(body.get("messages") or [])
    tools = [tool["function"] for tool in body.get("tools") or []]
    entries = [entry for message in messages for entry in _message(message)]
    last = max((at for at, message in enumerate(messages, 1) if message["role"] in ("user", "tool")), default=0)
    return Asked(_pieces([tools, *messages]), 1 + last, _heard(entries, tools, body.get("tool_choice")))


def count(tokens: tuple[int, int], body: Mapping[str, Any], said: Said) -> Counted:
    """Add an answer's tokens to those of its prompt: the given ones, and how many of them an earlier prompt shares."""
    reasoning = 0 if effort_of(body) in (None, "none") else _REASONING_TOKENS
    words = said.text + "".join(call.name + call.arguments for call in said.calls)
    return Counted(*tokens, made=tokens_of([words]) + reasoning, reasoning=reasoning)


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


def _item(item: Mapping[str, Any]) -> _Entry:
    """Read an item of the Responses API's input."""
    kind = item.get("type") or "message"
    if kind == "function_call":
        return _Entry("call", str(item["arguments"]), item["call_id"], item["name"])
    if kind == "function_call_output":
        return _Entry("output", _text(item["output"]), item["call_id"])
    return _Entry(_role(item) if kind == "message" else kind, _text(item.get("content")))


def _message(message: Mapping[str, Any]) -> list[_Entry]:
    """Read a message of Chat Completions; words beside calls are no answer yet."""
    if message["role"] == "tool":
        return [_Entry("output", _text(message["content"]), message["tool_call_id"])]
    calls = message.get("tool_calls") or []
    if calls:
        return [_Entry("call", c["function"]["arguments"], c["id"], c["function"]["name"]) for c in calls]
    return [_Entry(_role(message), _text(message.get("content")))]


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role"))
    return "developer" if role == "system" else role


def _heard(entries: Sequence[_Entry], tools: Sequence[Mapping[str, Any]], choice: object) -> Heard:
    """Tell the newest messages from what was said before, and this turn's calls from those of earlier ones."""
    newest = max((at for at, entry in enumerate(entries) if entry.kind == "user"), default=-1)
    answered = max((at for at, entry in enumerate(entries[: newest + 1]) if entry.kind == "assistant"), default=-1)
    outputs = {entry.call_id: entry.text for entry in entries if entry.kind == "output"}
    calls = [entry for entry in entries[newest + 1 :] if entry.kind == "call"]
    return Heard(
        waiting=tuple(entry.text for entry in entries[answered + 1 :] if entry.kind == "user"),
        earlier=tuple(_lines(entries[: answered + 1])),
        tools={tool["name"]: tuple((tool.get("parameters") or {}).get("properties") or {}) for tool in tools},
        may_call=choice != "none",
        done=tuple(Done(c.name, _object(c.text), _object(outputs.get(c.call_id, ""))) for c in calls),
        outputs=tuple(outputs[call.call_id] for call in calls if call.call_id in outputs),
        notes=next((entry.text for entry in reversed(entries) if entry.kind == "developer"), ""),
    )


def _lines(entries: Sequence[_Entry]) -> Iterator[Line]:
    for entry in entries:
        if entry.kind == "user":
            yield Line("user", entry.text)
        elif entry.kind == "assistant":
            yield Line("assistant", entry.text)


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _text(content: object) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(part.get("text") or part.get("refusal") or "[image]" for part in content)


def _pieces(items: Sequence[object]) -> tuple[str, ...]:
    return tuple(json.dumps(item, ensure_ascii=False) for item in items)
