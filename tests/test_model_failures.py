"""What becomes of calls that fail, say nothing, or ask a server that is not OpenAI's."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.assistant.model import (
    ModelEmpty,
    ModelError,
    ModelMisconfigured,
    ModelRefused,
    ModelUnavailable,
    Usage,
)
from gateway.assistant.models import build_model
from gateway.assistant.server import Patience
from gateway.config import AssistantConfig
from gateway.sandbox.openai_rules import Refused
from gateway.sandbox.receptionist import Said
from tests.asking import APIS, FAST, HELLO, PROMPT, cap, effort, models, serve
from tests.frontdesk import environment


@pytest.fixture(params=APIS)
def api(request):
    return request.param


@pytest.fixture
async def standin(aiohttp_server):
    return await serve(aiohttp_server)


@pytest.fixture
async def make(standin, api):
    async with models(standin, api) as build:
        yield build


# --- failures ---


@pytest.mark.parametrize("fault", ["status:500", "status:503", "status:429", "status:408", "status:409", "drop"])
async def test_one_failure_is_retried(make, standin, fault):
    """A failed call is made once more."""
    standin.faults.next.append(fault)
    completion = await make().complete(PROMPT)

    assert completion.text == HELLO
    assert len(standin.requests) == 2


@pytest.mark.parametrize("fault", ["status:500", "status:429", "drop"])
async def test_two_failures_are_enough(make, standin, fault):
    """There is one retry, not more: then the caller decides."""
    standin.faults.next.extend([fault, fault])
    with pytest.raises(ModelUnavailable):
        await make().complete(PROMPT)

    assert len(standin.requests) == 2


async def test_nobody_listens(make):
    """A server that refuses connections is unavailable, not misconfigured."""
    with pytest.raises(ModelUnavailable):
        await make(base_url="http://127.0.0.1:9/v1").complete(PROMPT)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_an_operator_must_heal_is_not_retried(make, standin, status):
    """A rejected key or an unknown model is told at once."""
    standin.faults.next.append(f"status:{status}")
    with pytest.raises(ModelMisconfigured, match=str(status)):
        await make().complete(PROMPT)

    assert len(standin.requests) == 1


async def test_a_wrong_key_is_told_without_the_key(make, standin):
    """The real answer to a wrong key becomes an error that may be logged."""
    with pytest.raises(ModelMisconfigured, match="invalid_api_key") as caught:
        await make(api_key="sk-quite-secret").complete(PROMPT)

    assert "secret" not in str(caught.value)
    assert caught.value.request_id.startswith("req_")


async def test_an_unknown_model_is_told_by_name(make):
    """A model that was shut down is the operator's to replace: the server's words are there for them, not for a log."""
    with pytest.raises(ModelMisconfigured, match="404 model_not_found") as caught:
        await make(model="gpt-7000").complete(PROMPT)

    assert "gpt-7000" in caught.value.words
    assert "gpt-7000" not in str(caught.value)


async def test_an_exhausted_quota_is_not_retried(make, standin):
    """A 429 for want of money looks like one for haste, but no waiting heals it."""
    message = "You exceeded your current quota, please check your plan and billing details."
    standin.script.append(Refused(message, "insufficient_quota", status=429, type="insufficient_quota"))
    with pytest.raises(ModelMisconfigured, match="insufficient_quota"):
        await make().complete(PROMPT)

    assert len(standin.requests) == 1


async def test_a_refused_prompt_is_not_retried_or_quoted(make, standin):
    """A prompt that the server refuses is not sent again, and its words stay out of the error."""
    standin.script.append(Refused("Your prompt 'my card is 4111' was flagged.", "invalid_prompt"))
    with pytest.raises(ModelRefused, match="invalid_prompt") as caught:
        await make().complete(PROMPT)

    assert "4111" not in str(caught.value)
    assert len(standin.requests) == 1


QUOTING = "You wrote 'my card is 4111, see /v1/responses' there"


@pytest.mark.parametrize(
    ("refused", "error", "code"),
    [
        (Refused(QUOTING, "invalid_value", "messages[0].content"), ModelRefused, "invalid_value messages[0].content"),
        (Refused(QUOTING, "invalid_value", "input[0]"), ModelRefused, "invalid_value input[0]"),
        (Refused(QUOTING, "invalid_value", "max_tools"), ModelMisconfigured, "invalid_value max_tools"),
        (Refused(QUOTING, "my card is 4111"), ModelMisconfigured, "no code"),
        (Refused(QUOTING, "blocked", status=403), ModelMisconfigured, "403 blocked"),
        (Refused(QUOTING, "my card is 4111", status=403), ModelMisconfigured, "403 invalid_request_error"),
        (Refused({"input": QUOTING}, "gone", status=404), ModelMisconfigured, "404 gone"),
    ],
)
async def test_what_a_server_quotes_is_in_no_error(make, standin, refused, error, code):
    """Whatever a server says of a request, the error's text and code are fit for a log, and it keeps no other words."""
    standin.script.append(refused)
    with pytest.raises(error) as caught:
        await make().complete(PROMPT)

    assert type(caught.value) is error
    assert caught.value.code == code
    assert caught.value.words is None
    assert "4111" not in str(caught.value)


async def test_a_fallback_is_logged_without_the_servers_words(make, standin):
    """The line says what was wrong in a word, and which request to ask the provider about."""
    standin.script.append(Refused(QUOTING, "invalid_prompt", "messages"))
    with capture_logs() as logs:
        await make(fallback_model="gpt-4o").complete(PROMPT)
    [line] = [line for line in logs if line["event"] == "model_fallback"]

    assert (line["error"], line["code"]) == ("ModelRefused", "invalid_prompt messages")
    assert line["request_id"].startswith("req_")
    assert "4111" not in str(logs)


async def test_a_retry_is_logged_by_its_code(make, standin):
    """So is a call that is made once more."""
    standin.faults.next.append("status:503")
    with capture_logs() as logs:
        await make().complete(PROMPT)
    [line] = [line for line in logs if line["event"] == "model_call_retried"]

    assert line["error"] == "ModelUnavailable"
    assert line["code"].startswith("503")


async def test_a_short_retry_after_is_honoured(make, standin):
    """The server's own wait is kept where the deadline leaves room for it."""
    standin.faults.next.append("status:429")
    standin.faults.retry_after_s = 0.05
    started = asyncio.get_running_loop().time()
    completion = await make().complete(PROMPT)

    assert completion.text == HELLO
    assert asyncio.get_running_loop().time() - started >= 0.05


async def test_a_long_retry_after_fails_at_once(make, standin):
    """A wait beyond the deadline is the caller's to arrange."""
    standin.faults.next.append("status:429")
    standin.faults.retry_after_s = 30
    async with asyncio.timeout(5):
        with pytest.raises(ModelUnavailable):
            await make().complete(PROMPT)

    assert len(standin.requests) == 1


async def test_a_server_that_hangs_is_left(make, standin):
    """Each attempt ends at its timeout, and the second gets its chance."""
    standin.faults.next.append("hang")
    completion = await make(Patience(timeout_s=0.3, deadline_s=10, backoff_s=0.001)).complete(PROMPT)

    assert completion.text == HELLO
    assert len(standin.requests) == 2


async def test_the_deadline_is_over_everything(make, standin):
    """Attempts, retries and second tries share one deadline."""
    standin.faults.next.extend(["hang"] * 4)
    async with asyncio.timeout(5):
        with pytest.raises(ModelUnavailable, match=r"within 0\.3 s"):
            await make(Patience(timeout_s=10, deadline_s=0.3)).complete(PROMPT)


# --- nothing said ---


@pytest.mark.parametrize("nothing", [Said(cut=True), Said(""), Said(" \n")])
async def test_an_empty_answer_gets_one_more_try(make, standin, nothing):
    """Reasoning that eats the whole cap is asked again with less effort and double the room; both are counted."""
    standin.script.append(nothing)
    completion = await make(reasoning_effort="high").complete(PROMPT)

    first, second = standin.requests[0].body, standin.requests[1].body
    assert completion.text == HELLO
    assert (effort(first), cap(first)) == ("high", 2048)
    assert (effort(second), cap(second)) == ("medium", 4096)
    assert completion.reasoning_effort == "medium"
    assert completion.usage.reasoning_tokens == 2 * 64


async def test_an_empty_string_is_never_an_answer(make, standin):
    """A model that twice says nothing is an error that says what it cost."""
    standin.script.extend([Said(cut=True), Said("")])
    with pytest.raises(ModelEmpty) as caught:
        await make().complete(PROMPT)

    assert len(standin.requests) == 2
    assert caught.value.usage.total > 0


# --- servers that are not OpenAI's ---


def answering(body, content_type="application/json"):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    return app


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("<html>Welcome</html>", "text/html"), ('{"id": "resp_1", ', "application/json"), ("[]", "application/json")],
)
async def test_a_website_is_not_a_model(make, aiohttp_server, body, content_type):
    """An address that answers 200 with something else is the operator's to correct."""
    server = await aiohttp_server(answering(body, content_type))
    with pytest.raises((ModelMisconfigured, ModelEmpty)):
        await make(base_url=str(server.make_url("/v1"))).complete(PROMPT)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "assistant", "content": "<think>They greet.</think>\n\nHello!"}, "Hello!"),
        ({"role": "assistant", "content": "Hello!", "reasoning_content": "They greet."}, "Hello!"),
    ],
)
@pytest.mark.parametrize("api", ["chat"], indirect=True)
async def test_a_local_models_thoughts_are_not_said(make, aiohttp_server, message, text):
    """A bare answer of a local server is enough, and its thoughts are not for the customer."""
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    server = await aiohttp_server(answering(json.dumps({**body, "choices": [{"index": 0, "message": message}]})))
    completion = await make(base_url=str(server.make_url("/v1"))).complete(PROMPT)

    assert (completion.text, completion.usage) == (text, Usage())


@pytest.mark.parametrize("api", ["responses"], indirect=True)
@pytest.mark.parametrize(("code", "error"), [("server_error", ModelUnavailable), ("invalid_prompt", ModelRefused)])
async def test_a_failed_response_is_a_failure(make, aiohttp_server, code, error):
    """A 200 whose status is failed says in its code whether another try can help."""
    body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "failed", "output": []}
    server = await aiohttp_server(answering(json.dumps({**body, "error": {"code": code, "message": "no"}})))
    with pytest.raises(error):
        await make(base_url=str(server.make_url("/v1"))).complete(PROMPT)


@pytest.mark.parametrize("api", ["responses"], indirect=True)
async def test_commentary_is_not_the_answer(make, aiohttp_server):
    """Where a model says what it is about to do, only its final words are the answer."""

    def message(text, phase):
        part = {"type": "output_text", "text": text, "annotations": []}
        return {"id": "msg_1", "type": "message", "role": "assistant", "content": [part], "phase": phase}

    body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    output = [message("Let me look.", "commentary"), message("We are open.", "final_answer")]
    server = await aiohttp_server(answering(json.dumps({**body, "output": output})))
    completion = await make(base_url=str(server.make_url("/v1"))).complete(PROMPT)

    assert completion.text == "We are open."


ODD_ANSWER = """
import asyncio, sys
from aiohttp import web
from gateway import logs
from gateway.assistant.model import Line, Prompt, ToolSpec
from gateway.assistant.models import build_model
from gateway.config import AssistantConfig

CALL = {"phone": "+15550109999", "name": "Zelda"}
CHAT = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {
    "role": "assistant", "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "book", "arguments": CALL}}]}}]}
RESPONSE = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [
    {"type": "function_call", "id": "f", "call_id": "c", "name": "book", "arguments": CALL}]}
BOOK = ToolSpec("book", "Book.", {"type": "object", "properties": {}, "required": [], "additionalProperties": False})

async def answer(request):
    return web.json_response(RESPONSE if request.path.endswith("responses") else CHAT)

async def main(api):
    logs.configure()
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = AssistantConfig(api_key="k", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", api=api, model="m")
    model = build_model(config)
    completion = await model.complete(Prompt("Be kind.", (Line("user", "Hi"),), tools=(BOOK,)))
    print(completion.calls[0].name)
    await model.close()
    await runner.cleanup()

asyncio.run(main(sys.argv[1]))
"""


def test_an_odd_answer_is_not_told_on_stderr(api):
    """A model whose call carries an object in place of a text makes nobody print the customer's data."""
    ended = subprocess.run(
        [sys.executable, "-c", ODD_ANSWER, api], env=environment(), capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "book\n")
    assert ended.stderr == ""


SHAPELESS = [
    {"output": [{"type": "message", "role": "assistant", "content": None}]},
    {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ["a"]}]}]},
    {"output": [{"type": "function_call", "call_id": "c", "name": None, "arguments": "{}"}]},
    {"output": [{"type": "function_call", "call_id": None, "name": "book", "arguments": "{}"}]},
    {"output": [], "error": "broken"},
    {"choices": [{"index": 0, "finish_reason": "stop", "message": None}]},
    {"choices": [{"index": 0, "finish_reason": "stop", "message": {"tool_calls": [{"id": "c"}]}}]},
    {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": None, "refusal": [1]}}]},
]


@pytest.mark.parametrize("answer", SHAPELESS, ids=range(len(SHAPELESS)))
async def test_an_answer_without_a_shape_is_a_failed_model(aiohttp_server, api, answer):
    """Whatever JSON a server calls an answer, the turn hears that the model failed, and nothing else breaks."""

    async def respond(_):
        return web.json_response({"id": "r", "object": "o", "model": "m", "created": 0, "created_at": 0, **answer})

    app = web.Application()
    app.router.add_post("/{path:.*}", respond)
    server = await aiohttp_server(app)
    config = AssistantConfig(api_key="k", base_url=str(server.make_url("/v1")), api=api, model="m")
    model = build_model(config, FAST)
    try:
        with pytest.raises(ModelError):
            await model.complete(PROMPT)
    finally:
        await model.close()
