"""Which model takes what: the table of families, and the guard that learns the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import web

from gateway.assistant.families import chat_effort, family_of, fit_effort, lower_effort
from gateway.assistant.guard import Guard, Refusal
from gateway.assistant.model import (
    Image,
    Line,
    ModelMisconfigured,
)
from gateway.sandbox.openai_rules import Refused
from tests.asking import APIS, BOOK, HELLO, PROMPT, effort, items, models, sent, serve


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


# --- which model takes what ---

FAMILY_MODELS = [
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.4-mini",
    "gpt-5.5",
    "gpt-5.6-terra",
    "gpt-6-luna",
    "gpt-6-sol",
    "gpt-6.1-terra",
    "gpt-6.1-sol",
    "gpt-6.2-astra",
]


@pytest.mark.parametrize("wanted", ["none", "minimal", "low", "max"])
@pytest.mark.parametrize("model", FAMILY_MODELS)
async def test_every_family_answers_at_the_first_call(make, standin, model, wanted):
    """Whatever effort is configured, the request that leaves is one that the model takes."""
    completion = await make(model=model, reasoning_effort=wanted).complete(PROMPT)

    assert completion.text == HELLO
    assert len(standin.requests) == 1
    assert completion.reasoning_effort == effort(sent(standin)) == fit_effort(model, wanted)


@pytest.mark.parametrize("model", FAMILY_MODELS)
async def test_every_family_takes_tools_or_says_where(make, standin, api, model):
    """With tools, too, the first request passes; a model that takes none in chat is the operator's to change."""
    asked = make(model=model).complete(replace(PROMPT, tools=(BOOK,)))
    if api == "chat" and model in {"gpt-5.5", "gpt-6.1-terra", "gpt-6.1-sol", "gpt-6.2-astra"}:
        with pytest.raises(ModelMisconfigured, match="Responses API"):
            await asked
        return

    assert (await asked).text == HELLO
    assert len(standin.requests) == 1


@pytest.mark.parametrize(
    ("model", "effort", "fitting", "lower", "beside_chat_tools"),
    [
        ("gpt-5", "none", "minimal", "none", "minimal"),
        ("gpt-5-nano-2025-08-07", "low", "low", "minimal", "low"),
        ("gpt-5.2", "max", "xhigh", "xhigh", None),
        ("gpt-5.6-luna", "minimal", "none", "none", "none"),
        ("openai/gpt-6-luna", "low", "low", "none", "none"),
        ("gpt-6.1-sol", "none", "low", "none", "low"),
        ("gpt-6.1-sol", "high", "high", "medium", "high"),
        ("llama4", "low", "low", "none", "low"),
        ("gpt-50", "extreme", "extreme", "extreme", "extreme"),
    ],
)
def test_efforts_fit_the_model(model, effort, fitting, lower, beside_chat_tools):
    """An effort becomes the nearest that the model takes; an unknown model gets what is configured."""
    assert fit_effort(model, effort) == fitting
    assert lower_effort(model, effort) == lower
    assert chat_effort(model, fitting, with_tools=True) == beside_chat_tools
    assert chat_effort(model, fitting, with_tools=False) == fitting


def test_a_family_is_not_its_longer_neighbour():
    """``gpt-5`` is not ``gpt-5.1``, and a name that merely begins alike is unknown."""
    assert [family_of(name) and family_of(name).prefix for name in ("gpt-5-mini", "gpt-5.1", "gpt-50", "gpt-4o")] == [
        "gpt-5",
        "gpt-5.1",
        None,
        None,
    ]


# --- the guard ---


async def test_refused_parameters_are_left_out_from_then_on(make, standin, api):
    """A server that lacks parameters is asked again without them, and never again with them."""
    standin.unknown_parameters = frozenset({"prompt_cache_key", "safety_identifier", "parallel_tool_calls"})
    model = make(model="llama4")
    prompt = replace(PROMPT, tools=(BOOK,), cache_key="a", user_key="b")
    first = await model.complete(prompt)
    asked = len(standin.requests)
    second = await model.complete(prompt)

    assert (first.text, second.text) == (HELLO, HELLO)
    assert asked == 4
    assert len(standin.requests) == 5
    assert not standin.unknown_parameters & set(sent(standin))


async def test_refusals_of_every_shape_are_read(make, aiohttp_server):
    """A server made with pydantic answers 422 and lists what it does not know under ``detail``."""

    async def answer(request: web.Request) -> web.Response:
        unknown = sorted(set(await request.json()) & {"prompt_cache_key", "safety_identifier", "store"})
        if unknown:
            detail = [{"type": "extra_forbidden", "loc": ["body", name]} for name in unknown]
            return web.json_response({"object": "error", "message": {"detail": detail}}, status=422)
        message = {"role": "assistant", "content": "Hello!", "type": "message"}
        part = {"type": "output_text", "text": "Hello!", "annotations": []}
        output = [{"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}]
        known = {"id": "1", "model": "m", "created": 1, "created_at": 1, "status": "completed", "object": "x"}
        return web.json_response({**known, "choices": [{"index": 0, "message": message}], "output": output})

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    server = await aiohttp_server(app)
    model = make(base_url=str(server.make_url("/v1")), model="mistral-small")
    completion = await model.complete(replace(PROMPT, cache_key="a", user_key="b"))

    assert completion.text == "Hello!"


async def test_a_server_that_contradicts_itself_ends(make, standin, api):
    """Refusals that take turns do not go on for ever."""
    standin.script.extend(
        [Refused(EFFORT_NONE), Refused("Unsupported value: 'reasoning_effort'", "unsupported_value")] * 20
    )
    with pytest.raises(ModelMisconfigured):
        await make(model="llama4").complete(PROMPT)

    assert len(standin.requests) <= 16


async def test_a_refused_effort_is_reported_as_none_sent(make, standin, api):
    """What is stored with the answer is what was sent, not what was configured."""
    standin.unknown_parameters = frozenset({"reasoning", "reasoning_effort", "text", "verbosity"})
    completion = await make(model="gpt-4o").complete(PROMPT)

    assert (completion.text, completion.reasoning_effort, completion.verbosity) == (HELLO, None, None)


async def test_one_model_does_not_learn_for_another(make, standin):
    """What one model refuses, another is still asked with."""
    standin.unknown_parameters = frozenset({"prompt_cache_key"})
    await make(model="llama4").complete(replace(PROMPT, cache_key="a"))
    standin.unknown_parameters = frozenset()
    await make().complete(replace(PROMPT, cache_key="a"))

    assert sent(standin)["prompt_cache_key"] == "a"


RENAME = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
EFFORT_NONE = (
    "Function tools with reasoning_effort are not supported for x in /v1/chat/completions."
    " To use function tools, use /v1/responses or set reasoning_effort to 'none'."
)
RENAMED = {"max_completion_tokens": 9, "reasoning_effort": "low"}


@pytest.mark.parametrize(
    ("refusal", "fitted"),
    [
        (Refusal(RENAME, "unsupported_parameter", "max_tokens"), RENAMED),
        (Refusal(RENAME), RENAMED),
        (Refusal(EFFORT_NONE, None, "reasoning_effort"), {"max_tokens": 9, "reasoning_effort": "none"}),
        (Refusal('"llama3.1:8b" does not support thinking'), {"max_tokens": 9}),
        (Refusal('think value "low" is not supported for this model'), {"max_tokens": 9}),
        (Refusal("{'detail': [{'type': 'extra_forbidden', 'loc': ['body', 'reasoning_effort']}]}"), {"max_tokens": 9}),
        (Refusal("Unsupported value: 'low'", "unsupported_value", "reasoning_effort"), {"max_tokens": 9}),
    ],
)
def test_the_guard_understands_other_servers_words(refusal, fitted):
    """OpenAI, Ollama and pydantic-made servers each say in their own way what they do not take."""
    guard = Guard()
    request = {"messages": [], "max_tokens": 9, "reasoning_effort": "low"}

    assert guard.learn(refusal, request)
    assert guard.fit(request) == {"messages": [], **fitted}
    assert not guard.learn(refusal, guard.fit(request))


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("max_tokens is too large: 9. This model supports at most 8 tokens", "invalid_value", "max_tokens"),
        Refusal("Invalid 'input': the store said that thinking is over", "invalid_prompt"),
        Refusal("Unsupported parameter: 'tools'", "unsupported_parameter", "tools"),
    ],
)
def test_the_guard_learns_nothing_from_other_refusals(refusal):
    """A refusal about something else leaves the request as it is."""
    guard = Guard()
    request = {"max_tokens": 9, "reasoning_effort": "low", "store": False, "tools": []}

    assert guard.learn(refusal, request) == ()
    assert guard.fit(request) == request


async def test_a_model_without_reasoning_is_not_asked_for_it(make, standin, api):
    """OpenAI's older models refuse encrypted reasoning without a code; the guard reads the parameter's name."""
    standin.script.append(Refused("Encrypted content is not supported with this model.", param="include"))
    asked = make(model="gpt-4o").complete(PROMPT)
    if api == "chat":
        with pytest.raises(ModelMisconfigured):
            await asked
        return

    assert (await asked).text == HELLO
    assert "include" not in sent(standin)


@pytest.mark.parametrize(
    "words",
    [
        Refused("Invalid image data.", "invalid_image"),
        Refused("At most 0 image(s) may be provided in one request."),
        Refused("image input is not supported - hint: you may need to provide the mmproj", status=500),
    ],
)
async def test_refused_pictures_are_left_out(make, standin, words):
    """A broken picture, or a server without eyes, does not cost the customer the answer."""
    standin.script.append(words)
    line = Line("user", "Hi", (Image(b"\x00", "image/png"),))
    completion = await make().complete(replace(PROMPT, lines=(line,)))

    assert completion.text.startswith("Hello")
    assert items(sent(standin)) == [{"role": "user", "content": "Hi\n[attachment: an image that could not be read]"}]
