"""The stand-in for OpenAI's API: its wire format, its refusals and its receptionist."""

from __future__ import annotations

import json

import pytest
from aiohttp import ClientError, ClientSession

from gateway.config import BusinessConfig
from gateway.sandbox.openai import API_KEY, OpenAIStandIn
from gateway.sandbox.openai_rules import Refused
from gateway.sandbox.receptionist import Called, Said

BUSINESS = BusinessConfig(
    name="Lakeside Plumbing",
    phone="+15550100001",
    timezone="America/Detroit",
    hours={"mon": "09:00-17:00", "tue": "09:00-17:00", "wed": "09:00-17:00", "sat": "10:00-12:00"},
    holidays=["2026-12-25"],
    services=[{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
    faq=[{"question": "Do you work on gas boilers?", "answer": "Yes, all gas boilers up to 50 kW."}],
    languages=["en"],
)
WHERE = {"responses": "/v1/responses", "chat": "/v1/chat/completions"}


@pytest.fixture
async def standin(aiohttp_server):
    stand_in = OpenAIStandIn(BUSINESS, clock=lambda: 1_790_000_000.0)
    server = await aiohttp_server(stand_in.app())
    stand_in.url = str(server.make_url("")).rstrip("/")
    return stand_in


@pytest.fixture
async def post(standin):
    async with ClientSession() as session:

        async def send(api, key=API_KEY, **body):
            items = body.pop("items", [{"role": "user", "content": "Hi"}])
            given = {"input": items} if api == "responses" else {"messages": items}
            headers = {"Authorization": f"Bearer {key}"}
            body = {"model": "gpt-6-luna", **given, **body}
            async with session.post(standin.url + WHERE[api], json=body, headers=headers) as response:
                return response.status, await response.json()

        yield send


async def test_responses_have_the_real_shape(post):
    """An answer of the Responses API carries ids, items, status and usage as OpenAI's does."""
    status, body = await post("responses", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])

    reasoning, message = body["output"]
    assert (status, body["object"], body["status"], body["model"]) == (200, "response", "completed", "gpt-6-luna")
    assert body["id"].startswith("resp_")
    assert reasoning["type"] == "reasoning"
    assert reasoning["encrypted_content"]
    assert message["id"].startswith("msg_")
    assert message["content"][0]["type"] == "output_text"
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert body["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


async def test_chat_completions_have_the_real_shape(post):
    """An answer of Chat Completions carries id, choice and usage as OpenAI's does."""
    status, body = await post("chat", reasoning_effort="none")

    choice = body["choices"][0]
    assert (status, body["object"], choice["finish_reason"]) == (200, "chat.completion", "stop")
    assert body["id"].startswith("chatcmpl-")
    assert choice["message"]["content"] == "Hello, this is Lakeside Plumbing. How can I help you?"
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize("api", WHERE)
async def test_only_what_waits_is_answered(post, api):
    """What stands before the last answer was answered there; notes and pictures do not confuse it."""
    picture = (
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
        if api == "responses"
        else {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    )
    _, body = await post(
        api,
        items=[
            {"role": "user", "content": "When are you open?"},
            {"role": "assistant", "content": "We are open."},
            {"role": "user", "content": "How long is an inspection?"},
            {"role": "user", "content": [{"type": "text", "text": "What is your phone number?"}, picture]},
            {"role": "developer", "content": "It is Tuesday."},
        ],
    )

    text = body["output"][0]["content"][0]["text"] if api == "responses" else body["choices"][0]["message"]["content"]
    assert text == "Inspection takes 60 minutes. Our phone number is +15550100001."


@pytest.mark.parametrize("api", WHERE)
async def test_a_shared_beginning_counts_as_cached(post, api):
    """The second prompt with the same beginning reports that beginning as cached, the first reports nothing."""
    start = [{"role": "user", "content": "Hello, this is the beginning."}, {"role": "assistant", "content": "Yes?"}]
    name, details = (
        ("input_tokens", "input_tokens_details")
        if api == "responses"
        else (
            "prompt_tokens",
            "prompt_tokens_details",
        )
    )
    _, first = await post(api, items=[*start, {"role": "user", "content": "One"}])
    _, second = await post(api, items=[*start, {"role": "user", "content": "Another"}])

    assert first["usage"][details]["cached_tokens"] == 0
    assert 0 < second["usage"][details]["cached_tokens"] < second["usage"][name]


# --- tools ---


def function(name, *properties, **more):
    """Return a strict function whose arguments are texts or null."""
    text = {"type": ["string", "null"]}
    schema = {"type": "object", "properties": dict.fromkeys(properties, text), "required": list(properties)}
    return {
        "name": name,
        "description": "",
        "strict": True,
        "parameters": {**schema, "additionalProperties": False},
    } | more


def offered(api, *functions):
    """Return tools as an API takes them."""
    if api == "responses":
        return [{"type": "function", **entry} for entry in functions]
    return [{"type": "function", "function": entry} for entry in functions]


def spoken(api, body):
    """Return an answer's text and its calls, each with its id, name and arguments."""
    if api == "responses":
        texts = [item["content"][0]["text"] for item in body["output"] if item["type"] == "message"]
        calls = [item for item in body["output"] if item["type"] == "function_call"]
        return "".join(texts), [(call["call_id"], call["name"], json.loads(call["arguments"])) for call in calls]
    message = body["choices"][0]["message"]
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or []]
    return message["content"] or "", [(i, made["name"], json.loads(made["arguments"])) for i, made in calls]


def call_items(api, call_id, name="book", arguments="{}"):
    """Return a call as a request repeats it."""
    if api == "responses":
        return [{"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}]
    function_ = {"name": name, "arguments": arguments}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function_}],
        }
    ]


def output_items(api, call_id, output="{}"):
    """Return what a call gave, as a request tells it."""
    if api == "responses":
        return [{"type": "function_call_output", "call_id": call_id, "output": output}]
    return [{"role": "tool", "tool_call_id": call_id, "content": output}]


def again(api, body):
    """Return an answer's own items for the next request."""
    return body["output"] if api == "responses" else [body["choices"][0]["message"]]


CHECK = function("check_availability", "date", "time", "service")
BOOK = function("schedule_appointment", "date", "time", "service", "name")
NOW = {"role": "developer", "content": "Now it is Wednesday, 25 November 2026, 14:05 (America/Detroit)."}
FREE = json.dumps({"date": "2026-11-27", "open": "09:00-17:00", "free": ["09:00", "10:00"], "asked": None})
BOOKED = json.dumps({"status": "booked", "date": "2026-11-27", "time": "10:00", "service": "Repair"})
EFFORT_NONE = {"responses": {"reasoning": {"effort": "none"}}, "chat": {"reasoning_effort": "none"}}


@pytest.mark.parametrize("api", WHERE)
async def test_a_booking_goes_through_the_wire(post, api):
    """Two turns with their tools: times are looked up and offered, the chosen one is booked from what was said."""
    tools = offered(api, CHECK, BOOK)
    lines = [{"role": "user", "content": "Are you free on Friday for a repair?"}]
    _, first = await post(api, tools=tools, items=[*lines, NOW], **EFFORT_NONE[api])
    _, [(first_id, first_name, first_given)] = spoken(api, first)
    outcome = [*again(api, first), *output_items(api, first_id, FREE)]
    _, offer = await post(api, tools=tools, items=[*lines, NOW, *outcome], **EFFORT_NONE[api])
    answer, _ = spoken(api, offer)
    past = [*call_items(api, "past_1", first_name, json.dumps(first_given)), *output_items(api, "past_1", FREE)]
    lines += [*past, {"role": "assistant", "content": answer}, {"role": "user", "content": "10:00 please"}]
    _, second = await post(api, tools=tools, items=[*lines, NOW], **EFFORT_NONE[api])
    _, [(second_id, second_name, second_given)] = spoken(api, second)
    outcome = [*again(api, second), *output_items(api, second_id, BOOKED)]
    _, booked = await post(api, tools=tools, items=[*lines, NOW, *outcome], **EFFORT_NONE[api])

    assert (first_name, first_given) == (
        "check_availability",
        {"date": "2026-11-27", "time": None, "service": "Repair"},
    )
    assert answer == (
        "For Repair these times are free: Friday, 27 November 2026, at 09:00 or 10:00. Which one shall I book?"
    )
    assert (second_name, second_given) == (
        "schedule_appointment",
        {"date": "2026-11-27", "time": "10:00", "service": "Repair", "name": None},
    )
    assert spoken(api, booked) == ("Your appointment is booked: Friday, 27 November 2026, at 10:00 (Repair).", [])


@pytest.mark.parametrize("api", WHERE)
async def test_calls_can_be_forbidden(post, api):
    """With a tool_choice of none the answer is text."""
    items = [{"role": "user", "content": "Are you free on Friday?"}, NOW]
    _, body = await post(api, tools=offered(api, CHECK, BOOK), tool_choice="none", items=items, **EFFORT_NONE[api])

    text, calls = spoken(api, body)
    assert text
    assert calls == []


async def test_notes_in_front_are_heard_too(post):
    """Where a server takes one system message only, today's date stands in it."""
    system = {"role": "system", "content": f"You are the assistant.\n\n{NOW['content']}"}
    items = [system, {"role": "user", "content": "Are you free tomorrow?"}]
    _, body = await post("chat", tools=offered("chat", CHECK, BOOK), items=items, **EFFORT_NONE["chat"])

    assert spoken("chat", body)[1][0][2]["date"] == "2026-11-26"


class Parrot:
    """A mind that says what it is told."""

    def respond(self, heard):
        """Say everything."""
        return Said(f"{list(heard.waiting)} {list(heard.tools)} {list(heard.outputs)}")


@pytest.mark.parametrize("api", WHERE)
async def test_another_mind_hears_the_newest_words(aiohttp_server, api):
    """A test's own mind gets the waiting messages, the tools' names, and this turn's outputs without earlier ones."""
    server = await aiohttp_server(OpenAIStandIn(BUSINESS, mind=Parrot()).app())
    past = [*call_items(api, "past_1"), *output_items(api, "past_1", "old")]
    lines = [{"role": "user", "content": "One"}, *past, {"role": "assistant", "content": "Yes?"}]
    turn = [{"role": "user", "content": "Two"}, *call_items(api, "call_1"), *output_items(api, "call_1", "new")]
    given = {"input" if api == "responses" else "messages": [*lines, *turn]}
    body = {"model": "gpt-6-luna", "tools": offered(api, BOOK), **given, **EFFORT_NONE[api]}
    async with ClientSession() as session:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with session.post(server.make_url(WHERE[api]), json=body, headers=headers) as response:
            answer = await response.json()

    assert spoken(api, answer)[0] == "['Two'] ['schedule_appointment'] ['new']"


# --- what the cache keeps ---

LONG = "We repair every boiler in town, day and night. " * 120
OTHER_TOOL = function("create_lead", "name")


@pytest.mark.parametrize(
    ("model", "changes", "cached"),
    [
        ("gpt-5", {}, True),
        ("gpt-6-luna", {}, True),
        ("gpt-5", {"tools": (CHECK,)}, False),
        ("gpt-6-luna", {"tools": (CHECK, OTHER_TOOL)}, False),
        ("gpt-5", {"instructions": "Another beginning. "}, False),
        ("gpt-5", {"model": "gpt-5-mini"}, False),
        ("gpt-6-luna", {"reasoning": {"effort": "low"}}, False),
    ],
)
async def test_a_growing_conversation_is_read_from_the_cache(standin, post, model, changes, cached):
    """Tools, instructions and input are one beginning: it is billed as cached while no byte of it changes."""
    tools = (CHECK, BOOK)
    start = {"model": model, "instructions": LONG}
    first, answer, second = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Bye"},
    )
    await post("responses", items=[first, NOW], tools=offered("responses", *tools), **start)
    later = start | changes | {"tools": offered("responses", *changes.get("tools", tools))}
    later["instructions"] = changes.get("instructions", "") + LONG
    await post("responses", items=[first, answer, second, NOW], **later)

    tally = standin.tally
    assert tally.requests == 2
    assert (tally.billed_as_cached > 1024) is cached
    assert (tally.cached_share > 0.4) is cached
    assert tally.billed_as_cached <= tally.shared <= tally.given


@pytest.mark.parametrize(("model", "cached"), [("gpt-5", True), ("gpt-6-luna", False)])
async def test_only_older_models_share_a_beginning_across_conversations(standin, post, model, cached):
    """From GPT-5.6 on only what ends at an earlier breakpoint is found, which is behind the newest user message."""
    for text in ("Hi", "Good morning"):
        await post("responses", model=model, instructions=LONG, items=[{"role": "user", "content": text}, NOW])

    assert (standin.tally.billed_as_cached > 0) is cached
    assert standin.tally.billed_as_cached % 128 == 0


@pytest.mark.parametrize("model", ["gpt-5", "gpt-6-luna"])
async def test_short_prompts_are_not_billed_as_cached(standin, post, model):
    """Under 1,024 tokens nothing is cached, though the answers tell what is shared."""
    for _ in range(2):
        await post("chat", model=model, items=[{"role": "user", "content": "Hello! " * 400}])

    assert standin.tally.shared > 0
    assert standin.tally.billed_as_cached == 0
    assert standin.tally.cached_share == 0


# --- what is refused ---

CHAT_TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "Hi"}
LOOSE = {
    "type": "object",
    "properties": {"when": {"anyOf": [{"type": "object", "properties": {}}]}},
    "required": ["when"],
}


@pytest.mark.parametrize(
    ("api", "sent", "code", "param", "message"),
    [
        (
            "chat",
            {"temperature": 0.7},
            "unsupported_value",
            "temperature",
            (
                "Unsupported value: 'temperature' does not support 0.7 with this model."
                " Only the default (1) value is supported."
            ),
        ),
        (
            "chat",
            {"max_tokens": 500},
            "unsupported_parameter",
            "max_tokens",
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model."
                " Use 'max_completion_tokens' instead."
            ),
        ),
        (
            "chat",
            {"model": "gpt-5.6-luna", "tools": [CHAT_TOOL], "reasoning_effort": "low"},
            None,
            "reasoning_effort",
            (
                "Function tools with reasoning_effort are not supported for gpt-5.6-luna in /v1/chat/completions."
                " To use function tools, use /v1/responses or set reasoning_effort to 'none'."
            ),
        ),
        (
            "chat",
            {"model": "gpt-6.1-terra", "tools": [CHAT_TOOL]},
            None,
            "tools",
            "Tool calling requires the Responses API",
        ),
        (
            "chat",
            {"metadata": {"a": "b"}},
            None,
            None,
            "The 'metadata' parameter is only allowed when 'store' is enabled.",
        ),
        (
            "responses",
            {"model": "gpt-5", "reasoning": {"effort": "none"}},
            "unsupported_value",
            "reasoning.effort",
            (
                "Unsupported value: 'none' is not supported with the 'gpt-5' model."
                " Supported values are: 'minimal', 'low', 'medium', and 'high'."
            ),
        ),
        ("responses", {"messages": []}, "unknown_parameter", "messages", "Unknown parameter: 'messages'."),
        (
            "responses",
            {"items": [{"type": "function_call", "call_id": "call_1", "name": "book", "arguments": "{}"}]},
            None,
            "input",
            "No tool output found for function call call_1.",
        ),
        (
            "responses",
            {"items": [*output_items("responses", "call_1"), *call_items("responses", "call_1")]},
            None,
            "input",
            "No tool call found for function call output with call_id call_1.",
        ),
        (
            "responses",
            {"items": [USER, *(call_items("responses", "call_1") + output_items("responses", "call_1")) * 2]},
            None,
            "input",
            "Duplicate function_call for call_id call_1.",
        ),
        (
            "responses",
            {"items": [*call_items("responses", "call_1"), *output_items("responses", "call_1") * 2]},
            None,
            "input",
            "Duplicate function_call_output for call_id call_1.",
        ),
        (
            "responses",
            {"items": [USER | {"id": "msg_1"}] * 2},
            None,
            "input",
            "Duplicate item found with id msg_1. Remove duplicate items from your input and try again.",
        ),
        (
            "chat",
            {"items": [USER, *call_items("chat", "call_1"), USER, *output_items("chat", "call_1")]},
            None,
            "messages",
            (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
                " 'tool_call_id'. The following tool_call_ids did not have response messages: call_1"
            ),
        ),
        (
            "chat",
            {"items": [USER, *call_items("chat", "call_1")]},
            None,
            "messages",
            (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
                " 'tool_call_id'. The following tool_call_ids did not have response messages: call_1"
            ),
        ),
        (
            "chat",
            {"items": [USER, *output_items("chat", "call_1")]},
            None,
            "messages.[1].role",
            (
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
                " 'tool_calls'."
            ),
        ),
        (
            "chat",
            {"items": [USER, *call_items("chat", "call_1"), *output_items("chat", "call_1") * 2]},
            None,
            "messages.[3].tool_call_id",
            "Invalid parameter: Duplicate value for 'tool_call_id' of 'call_1', in messages[2] and messages[3].",
        ),
        (
            "responses",
            {"tools": offered("responses", BOOK), "tool_choice": {"type": "function", "name": "cancel"}},
            None,
            "tool_choice",
            "Tool choice 'cancel' not found in 'tools' parameter.",
        ),
        (
            "chat",
            {
                "tools": offered("chat", BOOK),
                "tool_choice": {"type": "function", "function": {"name": "cancel"}},
                "reasoning_effort": "none",
            },
            None,
            "tool_choice",
            "Tool choice 'cancel' not found in 'tools' parameter.",
        ),
        (
            "chat",
            {"tool_choice": "auto"},
            None,
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            "responses",
            {"tools": offered("responses", BOOK, function("move", parameters=LOOSE))},
            "invalid_function_parameters",
            "tools[1].parameters",
            (
                "Invalid schema for function 'move': In context=(), 'additionalProperties' is required to be supplied"
                " and to be false."
            ),
        ),
        (
            "responses",
            {"tools": offered("responses", function("move", parameters=LOOSE | {"additionalProperties": False}))},
            "invalid_function_parameters",
            "tools[0].parameters",
            (
                "Invalid schema for function 'move': In context=('properties', 'when', 'anyOf', '0'),"
                " 'additionalProperties' is required to be supplied and to be false."
            ),
        ),
        (
            "chat",
            {
                "tools": offered(
                    "chat", function("move", parameters=BOOK["parameters"] | {"required": ["date", "time"]})
                ),
                "reasoning_effort": "none",
            },
            "invalid_function_parameters",
            "tools[0].function.parameters",
            (
                "Invalid schema for function 'move': In context=(), 'required' is required to be supplied and to be an"
                " array including every key in properties. Missing 'service'."
            ),
        ),
    ],
)
async def test_what_openai_refuses_is_refused(post, api, sent, code, param, message):
    """A parameter that OpenAI refuses is refused in the same words."""
    status, body = await post(api, **sent)

    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert (status, body) == (400, {"error": error})


@pytest.mark.parametrize("api", WHERE)
@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-5.6-luna"])
async def test_tools_and_temperature_pass_with_effort_none(post, api, model):
    """Effort none is the escape that those families leave; a schema that does not say to be strict may be loose."""
    loose = function("book", parameters=LOOSE, strict=False)
    status, _ = await post(api, model=model, tools=offered(api, loose), temperature=0.2, **EFFORT_NONE[api])

    assert status == 200


@pytest.mark.parametrize("api", WHERE)
async def test_a_wrong_key_and_an_unknown_model_are_refused(post, api):
    """The key and the model's name are checked, and no more of the key is repeated than OpenAI does."""
    wrong_key, no_key = await post(api, key="sk-wrong-secret")
    wrong_model, no_model = await post(api, model="gpt-7000")

    assert (wrong_key, no_key["error"]["code"]) == (401, "invalid_api_key")
    assert "secret" not in no_key["error"]["message"]
    assert (wrong_model, no_model["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("api", WHERE)
async def test_a_script_comes_before_the_receptionist(standin, post, api):
    """Tests say what the model says next: a call, an answer that was cut off, an error."""
    standin.script.extend([Said(calls=(Called("book", "{}"),)), Said(cut=True), Refused("no", "bad", status=429)])
    _, called = await post(api)
    _, cut = await post(api)
    status, _ = await post(api)

    if api == "responses":
        assert called["output"][0]["call_id"].startswith("call_")
        assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    else:
        assert called["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "book", "arguments": "{}"}
        assert (called["choices"][0]["finish_reason"], cut["choices"][0]["finish_reason"]) == ("tool_calls", "length")
    assert status == 429
    assert len(standin.requests) == 3


@pytest.mark.parametrize("api", WHERE)
async def test_a_body_that_is_not_json_is_refused(standin, api):
    """A broken request gets an error, not a broken server."""
    async with ClientSession() as session, session.post(standin.url + WHERE[api], data=b"{") as response:
        body = await response.json()

    assert response.status == 400
    assert body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("api", WHERE)
async def test_scripted_faults_are_used_up_in_order(standin, post, api):
    """Each request takes the next fault; a closed connection is seen as one, and then all is well again."""
    standin.faults.next.extend(["status:503", "drop", "ok"])
    status, _ = await post(api)
    with pytest.raises(ClientError):
        await post(api)
    after, _ = await post(api)

    assert (status, after) == (503, 200)


async def test_a_model_tells_its_end(standin):
    """``GET /v1/models/{id}`` carries the shutdown date, and refuses a wrong key."""
    async with ClientSession() as session:
        right = {"Authorization": f"Bearer {API_KEY}"}
        async with session.get(f"{standin.url}/v1/models/gpt-5", headers=right) as response:
            known = await response.json()
        async with session.get(f"{standin.url}/v1/models/gpt-5") as response:
            status = response.status

    assert known["shutdown_date"] == "2026-12-11"
    assert status == 401
