"""The stand-in for OpenAI's API: its wire format, its refusals and its receptionist."""

from __future__ import annotations

import pytest
from aiohttp import ClientError, ClientSession

from gateway.config import BusinessConfig
from gateway.sandbox.openai import API_KEY, OpenAIStandIn
from gateway.sandbox.openai_rules import Refused
from gateway.sandbox.receptionist import Called, Receptionist, Said

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


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello!", "Hello, this is Lakeside Plumbing. How can I help you?"),
        (
            "When are you open?",
            (
                "We are open Monday to Wednesday 09:00-17:00, Saturday 10:00-12:00."
                " We are closed Thursday to Friday, Sunday."
            ),
        ),
        ("Are you open on Saturday?", "On Saturday we are open 10:00-12:00."),
        ("are you closed sun?", "On Sunday we are closed."),
        ("What services do you offer?", "We offer Inspection (60 minutes), Repair (120 minutes)."),
        ("How long is a repair?", "Repair takes 120 minutes."),
        ("Do you work on gas boilers too?", "Yes, all gas boilers up to 50 kW."),
        ("Open on holidays?", "We are also closed on 2026-12-25."),
        ("What is your phone number?", "Our phone number is +15550100001."),
        ("I want to talk to a human", "A person of Lakeside Plumbing will take over."),
        ("Can I book something?", "For an appointment, tell me the service, the day and the time"),
        ("Thanks, bye", "You are welcome. Goodbye!"),
        ("The kitchen tap drips", 'You wrote "The kitchen tap drips".'),
        ("Hi, the kitchen tap drips", 'You wrote "Hi, the kitchen tap drips".'),
    ],
)
def test_the_receptionist_answers_from_the_business(text, answer):
    """Each kind of question gets its answer from the business's own facts."""
    said = Receptionist(BUSINESS).respond([text])

    assert answer in said.text
    assert said.calls == ()


def test_the_receptionist_answers_all_waiting_messages():
    """Messages that wait together get one answer, in order, each thing once."""
    said = Receptionist(BUSINESS).respond(["Hi", "How long is a repair?", "a REPAIR I mean"])

    assert said.text == "Hello, this is Lakeside Plumbing. How can I help you? Repair takes 120 minutes."


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


TOOL = {"type": "function", "name": "book", "description": "", "parameters": {"type": "object"}}
CHAT_TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}


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
    """Effort none is the escape that those families leave."""
    tools, effort = (
        (TOOL, {"reasoning": {"effort": "none"}}) if api == "responses" else (CHAT_TOOL, {"reasoning_effort": "none"})
    )
    status, _ = await post(api, model=model, tools=[tools], temperature=0.2, **effort)

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
