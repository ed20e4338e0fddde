"""The Responses API: how a prompt is asked and an answer read.

developers.openai.com/api/docs/guides/migrate-to-responses; types: openai 3.54 ``types/responses``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from gateway.assistant.api import Answer, Ask, arguments_text, call_name, data_url, read_answer, tokens
from gateway.assistant.failures import RequestRefused
from gateway.assistant.guard import Refusal
from gateway.assistant.model import Line, ModelMisconfigured, ModelUnavailable, Prompt, Round, ToolCall, Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.responses import Response, ResponseOutputItem, ResponseOutputMessage, ResponseUsage

_IN_SHAPE = ("input", "tools")
_TRY_AGAIN = frozenset({"server_error", "rate_limit_exceeded"})  # openai 3.54 types/responses/response_error.py


class ResponsesApi:
    """Asks ``POST /responses``; the state stays with us."""

    def request(self, prompt: Prompt, ask: Ask) -> dict[str, Any]:
        """Return the arguments of ``responses.create``."""
        request: dict[str, Any] = {
            "model": ask.model,
            "instructions": prompt.instructions,
            "input": list(_input(prompt, ask.model)),
            "max_output_tokens": ask.max_output_tokens,
            "store": False,  # the default keeps customers' words at the provider for 30 days
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": ask.effort} if ask.effort else None,
            "text": {"verbosity": ask.verbosity} if ask.verbosity else None,
            "prompt_cache_key": prompt.cache_key,
            "safety_identifier": prompt.user_key,
            "metadata": dict(prompt.metadata) or None,
        }
        if prompt.tools:
            request["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": tool.strict,
                }
                for tool in prompt.tools
            ]
            request["tool_choice"] = "none" if prompt.last_round else "auto"
            request["parallel_tool_calls"] = True
        return {key: value for key, value in request.items() if value is not None}

    async def send(self, client: AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        """Call and read the answer."""
        from openai.types.responses import Response

        # The conversation and the tools are in the wire's shape already. As arguments, every piece of them would be
        # walked through for nothing to change, which took a quarter of a turn's time for a conversation, and more than
        # half of it for our tools (py-spy and cProfile, 2026-11, openai 3.57).
        fields = {name: value for name, value in request.items() if name not in _IN_SHAPE}
        body = {name: request[name] for name in _IN_SHAPE if name in request}
        response: object = await client.responses.create(**fields, extra_body=body)
        if not isinstance(response, Response):
            raise ModelMisconfigured("the server does not answer as the Responses API does: check assistant.base_url")
        return read_answer(_read, response)

    def sent(self, request: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Return the effort and the verbosity that a request carries."""
        return request.get("reasoning", {}).get("effort"), request.get("text", {}).get("verbosity")


def _input(prompt: Prompt, model: str) -> Iterator[Mapping[str, Any]]:
    if prompt.summary:
        yield {"role": "developer", "content": prompt.summary}
    numbers = count(1)
    for line in prompt.lines:
        yield from _past_calls(line, numbers)
        yield {"role": "user" if line.role == "user" else "assistant", "content": _content(line)}
    if prompt.notes:
        yield {"role": "developer", "content": prompt.notes}
    for past, outputs in prompt.rounds:
        yield from _replayed(past, model)
        for output in outputs:
            yield {"type": "function_call_output", "call_id": output.call_id, "output": output.output}


def _past_calls(line: Line, numbers: Iterator[int]) -> Iterator[Mapping[str, Any]]:
    """Tell what earlier turns called; by ids of ours, as the provider keeps nothing and refuses ids that it lacks."""
    for call, number in zip(line.calls, numbers, strict=False):
        call_id = f"past_{number}"
        yield {"type": "function_call", "call_id": call_id, "name": call.name, "arguments": call.arguments}
        yield {"type": "function_call_output", "call_id": call_id, "output": call.output}


def _content(line: Line) -> str | list[dict[str, Any]]:
    if not line.images:
        return line.shown_text
    images = [{"type": "input_image", "image_url": data_url(image), "detail": "auto"} for image in line.images]
    return [{"type": "input_text", "text": line.shown_text}, *images] if line.text else images


def _replayed(past: Round, model: str) -> Iterator[Mapping[str, Any]]:
    if past.model in (None, model):
        yield from past.items
        return
    # Another model cannot decrypt the reasoning, and an item that keeps its id is refused without its reasoning.
    for item in past.items:
        if item.get("type") != "reasoning":
            yield {key: value for key, value in item.items() if key != "id"}


def _read(response: Response) -> Answer:
    request_id: str | None = getattr(response, "_request_id", None)
    if response.status == "failed" or response.error is not None:
        _raise_failed(response, request_id)
    output = response.output or []
    calls = [item for item in output if item.type == "function_call"]
    text, refused = _text([item for item in output if item.type == "message"])
    if response.status == "incomplete" and calls:  # a call that was cut off cannot be made, its preamble is no answer
        text, calls = "", []
    return Answer(
        text=text,
        calls=tuple(ToolCall(call.call_id, call_name(call.name), arguments_text(call.arguments)) for call in calls),
        items=tuple(map(_kept, output)),
        usage=_usage(response.usage),
        model=str(response.model),
        request_id=request_id,
        refused=refused,
    )


def _kept(item: ResponseOutputItem) -> dict[str, Any]:
    """Return an item as it is sent back with the outputs of its round."""
    kept = item.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude={"status", "parsed_arguments"},
        warnings=False,  # Pydantic's warnings quote what it finds odd in an answer
    )
    if item.type != "function_call":
        return kept
    return {**kept, "name": call_name(item.name), "arguments": arguments_text(item.arguments)}


def _text(messages: Sequence[ResponseOutputMessage]) -> tuple[str, bool]:
    """Return the words for the customer, and whether they are a refusal."""
    final = [message for message in messages if message.phase != "commentary"] or messages
    parts = [part for message in final for part in message.content]
    said = "\n\n".join(part.text for part in parts if part.type == "output_text").strip()
    refusal = "\n\n".join(part.refusal for part in parts if part.type == "refusal").strip()
    return said or refusal, bool(refusal) and not said


def _usage(usage: ResponseUsage | None) -> Usage:
    if usage is None:
        return Usage()
    # Compatible servers leave the details out, whatever the SDK's types say.
    given, made = getattr(usage, "input_tokens_details", None), getattr(usage, "output_tokens_details", None)
    return Usage(
        input_tokens=tokens(usage.input_tokens),
        cached_tokens=tokens(getattr(given, "cached_tokens", None)),
        output_tokens=tokens(usage.output_tokens),
        reasoning_tokens=tokens(getattr(made, "reasoning_tokens", None)),
    )


def _raise_failed(response: Response, request_id: str | None) -> None:
    code = response.error.code if response.error else "server_error"
    if code in _TRY_AGAIN:
        raise ModelUnavailable(f"the model failed: {code}", code=code, request_id=request_id)
    message = response.error.message if response.error else ""
    raise RequestRefused(Refusal(message, code), request_id)
