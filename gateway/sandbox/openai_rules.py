"""What OpenAI's API refuses, in its own words.

The texts about temperature, max_tokens and tools beside an effort are quoted from reports of live calls
(livekit/agents#7169, bolna-ai/bolna#1019, BerriAI/litellm#34569); metadata: spiceai/spiceai#5231; unverifiable
reasoning: openai/codex#8132; outputs without calls: continuedev/continue#10092 and run-llama/llama_index#10493;
repeated ids: vercel/ai#13307, NousResearch/hermes-agent#111443 and agno-agi/agno#5116; schemas that are not strict:
kevinwatt/mysql-mcp#5 and lastmile-ai/openai-agents-mcp#2; a tool_choice without tools: writer/writer-framework#1013.
What a model takes is read from the table that the assistant uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.assistant.families import ChatTools, Family, Temperature, family_of

REASONING_MARK = "gAAAA-"
_REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."

# openai 3.54 types/responses/response_create_params.py and types/chat/completion_create_params.py
_BOTH = "metadata model moderation parallel_tool_calls prompt_cache_key prompt_cache_options safety_identifier"
_BOTH += " service_tier store stream stream_options temperature tool_choice tools top_logprobs top_p user"
KNOWN = {
    "responses": frozenset(
        f"{_BOTH} background context_management conversation include input instructions max_output_tokens"
        " max_tool_calls previous_response_id prompt reasoning text truncation".split()
    ),
    "chat": frozenset(
        f"{_BOTH} audio frequency_penalty logit_bias logprobs max_completion_tokens max_tokens messages modalities n"
        " prediction presence_penalty reasoning_effort response_format seed stop verbosity web_search_options".split()
    ),
}


@dataclass(frozen=True, slots=True)
class Refused:
    """An error answer."""

    message: str
    code: str | None = None
    param: str | None = None
    status: int = 400
    type: str = "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def refusal(api: str, body: Mapping[str, Any], unknown: frozenset[str] = frozenset()) -> Refused | None:
    """Return the first reason to refuse a request, or None; ``unknown`` names parameters that this server lacks."""
    reasons = [
        *_parameters(api, body, unknown),
        *(_responses_items(body) if api == "responses" else _chat_messages(body)),
        *_tools(api, body),
        *_family(api, body),
    ]
    return reasons[0] if reasons else None


def _parameters(api: str, body: Mapping[str, Any], unknown: frozenset[str]) -> Iterator[Refused]:
    for name in ("model", "input" if api == "responses" else "messages"):
        if not body.get(name):
            yield Refused(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    for name in sorted((set(body) - KNOWN[api]) | (set(body) & unknown)):
        yield Refused(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    if api == "chat" and body.get("metadata") and not body.get("store"):
        yield Refused("The 'metadata' parameter is only allowed when 'store' is enabled.")


def _family(api: str, body: Mapping[str, Any]) -> Iterator[Refused]:
    family = family_of(str(body.get("model")))
    if family is None:
        return
    effort = effort_of(body)
    if effort is not None and effort not in family.efforts:
        yield _unknown_effort(api, body, family, effort)
    if "max_tokens" in body:
        yield Refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model."
            " Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
            "max_tokens",
        )
    if body.get("temperature", 1) != 1 and not (family.temperature is Temperature.EFFORT_NONE and effort == "none"):
        yield Refused(
            f"Unsupported value: 'temperature' does not support {body['temperature']} with this model."
            " Only the default (1) value is supported.",
            "unsupported_value",
            "temperature",
        )
    if api == "chat" and body.get("tools"):
        yield from _chat_tools(str(body["model"]), family, effort)


def effort_of(body: Mapping[str, Any]) -> str | None:
    """Return the effort that a request of either API carries."""
    effort: str | None = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort")
    return effort


def _unknown_effort(api: str, body: Mapping[str, Any], family: Family, effort: str) -> Refused:
    names = [f"'{name}'" for name in family.efforts]
    return Refused(
        f"Unsupported value: '{effort}' is not supported with the '{body['model']}' model."
        f" Supported values are: {', '.join(names[:-1])}, and {names[-1]}.",
        "unsupported_value",
        "reasoning_effort" if api == "chat" else "reasoning.effort",
    )


def _chat_tools(model: str, family: Family, effort: str | None) -> Iterator[Refused]:
    if family.chat_tools is ChatTools.NEVER:
        yield Refused("Tool calling requires the Responses API", param="tools")
    allowed = {ChatTools.OMIT_EFFORT: (None, "none"), ChatTools.EFFORT_NONE: ("none",)}.get(family.chat_tools)
    if allowed is not None and effort not in allowed:
        yield Refused(
            f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions."
            " To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
            param="reasoning_effort",
        )


def _responses_items(body: Mapping[str, Any]) -> Iterator[Refused]:
    items = body.get("input")
    items = items if isinstance(items, list) else []
    yield from _pairs(items)
    for item_id in _repeated([item["id"] for item in items if item.get("id")]):
        yield Refused(
            f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again.",
            param="input",
        )
    for item in items:
        if item.get("type") == "reasoning" and item.get("encrypted_content") != f"{REASONING_MARK}{body.get('model')}":
            yield Refused(
                "The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted"
                " or parsed.",
                "invalid_encrypted_content",
            )


def _pairs(items: Sequence[Mapping[str, Any]]) -> Iterator[Refused]:
    """Refuse calls and outputs that do not belong together one to one, the call first."""
    called = [item.get("call_id") for item in items if item.get("type") == "function_call"]
    answered = [item.get("call_id") for item in items if item.get("type") == "function_call_output"]
    for call_id in called:
        if call_id not in answered:
            yield Refused(f"No tool output found for function call {call_id}.", param="input")
    seen: set[object] = set()
    for item in items:
        if item.get("type") == "function_call":
            seen.add(item.get("call_id"))
        elif item.get("type") == "function_call_output" and item.get("call_id") not in seen:
            message = f"No tool call found for function call output with call_id {item.get('call_id')}."
            yield Refused(message, param="input")
    for kind, ids in (("function_call", called), ("function_call_output", answered)):
        for call_id in _repeated(ids):
            yield Refused(f"Duplicate {kind} for call_id {call_id}.", param="input")


def _chat_messages(body: Mapping[str, Any]) -> Iterator[Refused]:
    messages: Sequence[Mapping[str, Any]] = body.get("messages") or []
    open_: list[str] = []
    answered: dict[str, int] = {}
    end: Mapping[str, Any] = {}  # nothing may be open behind the last message either
    for place, message in enumerate([*messages, end]):
        if message.get("role") == "tool":
            call_id = message.get("tool_call_id", "")
            yield from _tool_message(place, call_id, call_id in open_, answered.get(call_id))
            answered[call_id] = place
            open_ = [other for other in open_ if other != call_id]
            continue
        if open_:
            yield Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
                f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_)}",
                param="messages",
            )
        open_ = [call["id"] for call in message.get("tool_calls") or []]


def _tool_message(place: int, call_id: str, is_called: bool, before: int | None) -> Iterator[Refused]:
    if before is not None:
        yield Refused(
            f"Invalid parameter: Duplicate value for 'tool_call_id' of '{call_id}', in messages[{before}] and"
            f" messages[{place}].",
            param=f"messages.[{place}].tool_call_id",
        )
    elif not is_called:
        yield Refused(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
            " 'tool_calls'.",
            param=f"messages.[{place}].role",
        )


def _tools(api: str, body: Mapping[str, Any]) -> Iterator[Refused]:
    """Refuse schemas that say to be strict and are not, and a choice among tools that are not there."""
    functions = [tool.get("function", tool) for tool in body.get("tools") or []]
    for place, function in enumerate(functions):
        for context, problem in _loose(function.get("parameters") or {}, ()) if function.get("strict") else ():
            yield Refused(
                f"Invalid schema for function '{function['name']}': In context={context}, {problem}",
                "invalid_function_parameters",
                f"tools[{place}].function.parameters" if api == "chat" else f"tools[{place}].parameters",
            )
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        name = choice.get("function", choice).get("name")
        if name not in [function["name"] for function in functions]:
            yield Refused(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    for name in ("tool_choice", "parallel_tool_calls") if api == "chat" and not functions else ():
        if name in body:
            message = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            yield Refused(message, param=name)


def _loose(schema: Any, context: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Find objects that leave properties optional or allow unnamed ones, with the way to each."""
    if isinstance(schema, list):
        for place, entry in enumerate(schema):
            yield from _loose(entry, (*context, str(place)))
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties") or {}
    if schema.get("type") == "object":
        missing = [name for name in properties if name not in (schema.get("required") or ())]
        if schema.get("additionalProperties") is not False:
            yield context, "'additionalProperties' is required to be supplied and to be false."
        if missing:
            yield context, f"{_REQUIRED} Missing '{missing[0]}'."
    for group in ("properties", "$defs"):
        for name, entry in (schema.get(group) or {}).items():
            yield from _loose(entry, (*context, group, name))
    for name in ("items", "anyOf"):
        yield from _loose(schema.get(name), (*context, name))


def _repeated(ids: Sequence[Any]) -> list[Any]:
    return [known for place, known in enumerate(ids) if known in ids[:place]]
