"""The Chat Completions API: how a prompt is asked and an answer read; for compatible servers and older models.

Types: openai 3.54 ``types/chat``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from gateway.assistant.api import Answer, Ask, arguments_text, call_name, data_url, read_answer, tokens
from gateway.assistant.families import chat_effort, family_of
from gateway.assistant.model import Line, ModelMisconfigured, Prompt, ToolCall, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
    from openai.types.completion_usage import CompletionUsage

# Local servers without a reasoning parser leave the model's thoughts in the text; an unclosed one was cut off.
_THOUGHTS = re.compile(r"\A\s*<think>.*?(</think>|\Z)", re.DOTALL)
# What a message says beside what the next request may repeat.
_NOT_REPLAYED = {"annotations", "audio", "function_call", "refusal"}


class ChatApi:
    """Asks ``POST /chat/completions``."""

    def __init__(self, *, openai_hosted: bool = False) -> None:
        self._openai_hosted = openai_hosted

    def request(self, prompt: Prompt, ask: Ask) -> dict[str, Any]:
        """Return the arguments of ``chat.completions.create``.

        No metadata: OpenAI takes it here only together with ``store`` (spiceai/spiceai#5231).
        """
        request: dict[str, Any] = {
            "model": ask.model,
            "messages": list(self._messages(prompt)),
            self._cap_name(ask.model): ask.max_output_tokens,
            "store": False,
            "reasoning_effort": chat_effort(ask.model, ask.effort, with_tools=bool(prompt.tools)),
            "verbosity": ask.verbosity,
            "prompt_cache_key": prompt.cache_key,
            "safety_identifier": prompt.user_key,
        }
        if prompt.tools:
            request["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                        "strict": tool.strict,
                    },
                }
                for tool in prompt.tools
            ]
            request["tool_choice"] = "none" if prompt.last_round else "auto"
            request["parallel_tool_calls"] = True
        return {key: value for key, value in request.items() if value is not None}

    async def send(self, client: AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        """Call and read the answer."""
        from openai.types.chat import ChatCompletion

        # The tools are in the wire's shape already; as an argument they would be walked through (see responses.py).
        fields = {name: value for name, value in request.items() if name != "tools"}
        body = {"tools": request["tools"]} if "tools" in request else None
        completion: object = await client.chat.completions.create(**fields, extra_body=body)
        if not isinstance(completion, ChatCompletion):
            raise ModelMisconfigured("the server does not answer as Chat Completions does: check assistant.base_url")
        return read_answer(_read, completion)

    def sent(self, request: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Return the effort and the verbosity that a request carries."""
        return request.get("reasoning_effort"), request.get("verbosity")

    def _cap_name(self, model: str) -> str:
        """OpenAI's reasoning models refuse ``max_tokens``; many local servers know no other name."""
        return "max_completion_tokens" if self._openai_hosted or family_of(model) else "max_tokens"

    def _messages(self, prompt: Prompt) -> Iterator[Mapping[str, Any]]:
        # Behind the transcript the notes leave the prefix cache whole; but other servers' templates want one system
        # message, in front (Mistral, Gemma).
        behind = self._openai_hosted
        in_front = [prompt.instructions, *filter(None, () if behind else (prompt.summary, prompt.notes))]
        yield {"role": "system", "content": "\n\n".join(in_front)}
        if prompt.summary and behind:
            yield {"role": "developer", "content": prompt.summary}
        numbers = count(1)
        for line in prompt.lines:
            yield from _past_calls(line, numbers)
            yield {"role": "user" if line.role == "user" else "assistant", "content": _content(line)}
        if prompt.notes and behind:
            yield {"role": "developer", "content": prompt.notes}
        for past, outputs in prompt.rounds:
            yield from past.items
            for output in outputs:
                yield {"role": "tool", "tool_call_id": output.call_id, "content": output.output}


def _past_calls(line: Line, numbers: Iterator[int]) -> Iterator[Mapping[str, Any]]:
    calls = [(f"past_{number}", call) for call, number in zip(line.calls, numbers, strict=False)]
    if not calls:
        return
    called = [
        {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call_id, call in calls
    ]
    yield {"role": "assistant", "content": None, "tool_calls": called}
    for call_id, call in calls:
        yield {"role": "tool", "tool_call_id": call_id, "content": call.output}


def _content(line: Line) -> str | list[dict[str, Any]]:
    if not line.images:
        return line.shown_text
    images = [{"type": "image_url", "image_url": {"url": data_url(image), "detail": "auto"}} for image in line.images]
    return [{"type": "text", "text": line.shown_text}, *images] if line.text else images


def _read(completion: ChatCompletion) -> Answer:
    text, refused, calls, items = "", False, [], []
    for choice in (completion.choices or [])[:1]:
        message = choice.message
        text = _THOUGHTS.sub("", _said(message.content)).strip()
        refused = bool(message.refusal) and not text
        text = text or (message.refusal or "").strip()
        calls = [call for call in message.tool_calls or [] if call.type == "function"]
        if choice.finish_reason == "length" and calls:  # a call that was cut off cannot be made
            text, calls = "", []
        items = [_kept(message)]
    return Answer(
        text=text,
        calls=tuple(
            ToolCall(call.id, call_name(call.function.name), arguments_text(call.function.arguments)) for call in calls
        ),
        items=tuple(items),
        usage=_usage(completion.usage),
        model=completion.model,
        request_id=getattr(completion, "_request_id", None),
        refused=refused,
    )


def _said(content: object) -> str:
    """Return a message's words; some servers write them in parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _kept(message: ChatCompletionMessage) -> dict[str, Any]:
    """Return a message as it is sent back with the outputs of its round."""
    # Pydantic's warnings quote what it finds odd in an answer.
    kept = message.model_dump(mode="json", exclude_none=True, exclude=_NOT_REPLAYED, warnings=False)
    for call in kept.get("tool_calls", ()):
        if call["type"] == "function":
            function = call["function"]
            function["name"] = call_name(function["name"])
            function["arguments"] = arguments_text(function.get("arguments"))
    return kept


def _usage(usage: CompletionUsage | None) -> Usage:
    if usage is None:
        return Usage()
    given, made = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=tokens(usage.prompt_tokens),
        cached_tokens=tokens(given.cached_tokens if given else None),
        output_tokens=tokens(usage.completion_tokens),
        reasoning_tokens=tokens(made.reasoning_tokens if made else None),
    )
