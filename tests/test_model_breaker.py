"""The circuit breaker: what a model or a server that fails again and again costs the ones behind."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest
from structlog.testing import capture_logs

from gateway.assistant.breaker import CIRCUIT_OPEN, MAX_OPEN_S, OPEN_S, Breaker, judge_completion
from gateway.assistant.model import ModelEmpty, ModelError, ModelMisconfigured, ModelRefused, ModelUnavailable
from gateway.assistant.models import build_model
from gateway.assistant.server import Patience, Server
from gateway.config import AssistantConfig
from gateway.sandbox.openai import API_KEY
from gateway.sandbox.openai_rules import Refused
from gateway.sandbox.receptionist import Said
from tests.asking import APIS, FAST, HELLO, LUNA, PROMPT, serve

TERRA = "gpt-6.1-terra"
NOWHERE = "http://127.0.0.1:9/v1"


class Hands:
    """A clock that is turned by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def breaker(clock):
    return Breaker("gpt-6-luna", judge_completion, clock)


# --- the class by itself ---


def call(breaker, error=None, customer=None):
    """Make one call; return what came of it: ``answered``, ``skipped`` or the error's kind."""
    try:
        with breaker.attempt(customer):
            if error is not None:
                raise error
    except ModelError as raised:
        return "skipped" if raised.code == CIRCUIT_OPEN else type(raised).__name__
    return "answered"


def fail(breaker, times=5):
    for _ in range(times):
        assert call(breaker, ModelUnavailable()) == "ModelUnavailable"


@pytest.mark.parametrize(
    ("customers", "opens"),
    [(["a"] * 20, False), (["a"] * 4 + ["b"], True), (["a", "b", "a", "b", "a"], True), (["a"] * 4 + [None], True)],
)
def test_one_customer_alone_opens_nothing(breaker, customers, opens):
    """What their words do to a model says nothing about the words of others."""
    for customer in customers:
        call(breaker, ModelUnavailable(), customer)

    assert breaker.is_open is opens


DOWN = ModelUnavailable("down")
FLAGGED = ModelMisconfigured(code="403 flagged")


@pytest.mark.parametrize(
    ("ends", "is_open"),
    [
        ([DOWN] * 4, False),
        ([DOWN] * 5, True),
        ([DOWN] * 4 + [None] + [DOWN] * 4, False),
        ([DOWN] * 4 + [ModelRefused()], False),
        ([DOWN] * 4 + [ModelEmpty(), ModelRefused(), DOWN], True),
        ([ModelRefused(), ModelEmpty()] * 5, False),
        ([ModelUnavailable(code=CIRCUIT_OPEN)] * 5, False),
        ([ModelMisconfigured(code="401 invalid_api_key")], True),
        ([ModelMisconfigured(code="402")], True),
        ([ModelMisconfigured(code="404 model_not_found")], True),
        ([ModelMisconfigured(code="429 insufficient_quota")], True),
        ([FLAGGED] * 4, False),
        ([FLAGGED] * 5, True),
        ([ModelMisconfigured("the server's answer is not JSON")] * 4, False),
        ([ModelMisconfigured(code="unsupported_value max_tokens")] * 4, False),
    ],
)
def test_what_opens_a_circuit(breaker, ends, is_open):
    """Five failures in a row do, and one that any prompt would meet; what is the prompt's own counts neither way."""
    for error in ends:
        call(breaker, error)

    assert breaker.is_open is is_open
    assert call(breaker) == ("skipped" if is_open else "answered")


def test_an_open_circuit_names_its_time(breaker, clock):
    """Until the time is up every call is skipped; then one is made."""
    before = breaker.open_until
    fail(breaker)
    until = breaker.open_until
    clock.now = until - 0.001
    early = call(breaker)
    clock.now = until

    assert (before, until, early) == (None, 1000.0 + OPEN_S, "skipped")
    assert call(breaker) == "answered"
    assert (breaker.is_open, breaker.open_until) == (False, None)


def test_one_probe_at_a_time(breaker, clock):
    """While the probe is under way, the others go on being skipped; its success lets all of them in."""
    fail(breaker)
    clock.now += OPEN_S
    with breaker.attempt():
        meanwhile = [call(breaker) for _ in range(3)]

    assert meanwhile == ["skipped"] * 3
    assert [call(breaker) for _ in range(3)] == ["answered"] * 3


def test_each_failed_probe_doubles_the_time(breaker, clock):
    """The time grows to five minutes and no further; after an answer it starts small again."""
    fail(breaker)
    times = []
    for _ in range(6):
        times.append(breaker.open_until - clock.now)
        clock.now = breaker.open_until
        fail(breaker, 1)
    clock.now = breaker.open_until
    call(breaker)
    fail(breaker)

    assert times == [30, 60, 120, 240, MAX_OPEN_S, MAX_OPEN_S]
    assert breaker.open_until - clock.now == OPEN_S


@pytest.mark.parametrize("error", [ModelRefused(), ModelEmpty(), asyncio.CancelledError(), KeyError("bug")])
def test_a_probe_that_says_nothing_gives_its_place_back(breaker, clock, error):
    """A probe that is cancelled, or refused for its prompt, leaves the question to the next call."""
    fail(breaker)
    clock.now += OPEN_S
    with pytest.raises(type(error)):
        call_raising(breaker, error)
    still_open, until = breaker.is_open, breaker.open_until

    assert (still_open, until) == (True, clock.now)
    assert call(breaker) == "answered"


def call_raising(breaker, error):
    with breaker.attempt():
        raise error


def test_a_cancelled_call_counts_neither_way(breaker):
    """People who leave are no failures, and no answers."""
    fail(breaker, 4)
    with pytest.raises(asyncio.CancelledError):
        call_raising(breaker, asyncio.CancelledError())
    before = breaker.is_open
    fail(breaker, 1)

    assert not before
    assert breaker.is_open


def test_late_failures_are_old_news(breaker, clock):
    """Calls that began before the circuit opened neither prolong it nor open it anew when they fail at last."""
    late = [breaker.attempt() for _ in range(12)]
    for attempt in late:
        attempt.__enter__()
    end_badly(late[:7])
    until, open_s = breaker.open_until, breaker.open_until - clock.now
    clock.now += OPEN_S
    call(breaker)
    end_badly(late[7:])

    assert (until, open_s) == (1000.0 + OPEN_S, OPEN_S)
    assert not breaker.is_open


def end_badly(attempts):
    for attempt in attempts:
        error = ModelUnavailable()
        assert not attempt.__exit__(ModelUnavailable, error, error.__traceback__)


def test_a_late_answer_closes_the_circuit(breaker, clock):
    """Whoever answers is there, and a probe that was forgotten over it does not stand in the next one's way."""
    early, probe = breaker.attempt(), breaker.attempt()
    early.__enter__()
    fail(breaker)
    clock.now += OPEN_S
    probe.__enter__()
    early.__exit__(None, None, None)
    closed = not breaker.is_open
    fail(breaker)
    clock.now += OPEN_S
    with breaker.attempt():
        end_badly([probe])
        meanwhile = call(breaker)

    assert closed
    assert meanwhile == "skipped"


def test_opening_and_closing_are_told_once(breaker, clock):
    """A log names the circuit, the kind of failure and the request, and no line is written for what is skipped."""
    with capture_logs() as logs:
        for _ in range(5):
            call(breaker, ModelUnavailable("words", code="503 overloaded", words="secret", request_id="req_1"))
        call(breaker)
        clock.now += OPEN_S
        fail(breaker, 1)
        clock.now += 2 * OPEN_S
        call(breaker)
        call(breaker)

    what = {"circuit": "gpt-6-luna", "error": "ModelUnavailable", "code": "503 overloaded", "request_id": "req_1"}
    assert logs == [
        {"event": "model_circuit_opened", "log_level": "error", **what},
        {"event": "model_circuit_closed", "log_level": "warning", "circuit": "gpt-6-luna"},
    ]


# --- the whole way to the stand-in ---


@pytest.fixture(params=APIS)
def api(request):
    return request.param


@pytest.fixture
async def standin(aiohttp_server):
    return await serve(aiohttp_server)


@pytest.fixture
async def make(standin, api, clock):
    async with timed(standin, api, clock) as build:
        yield build


@asynccontextmanager
async def timed(standin, api, clock):
    """Give a function that builds models whose circuits go by the hand-turned clock, and close them all."""
    built = []

    def build(patience=FAST, **settings):
        given = {"base_url": standin.url, "api": api, "api_key": API_KEY, "model": LUNA}
        built.append(build_model(AssistantConfig(**given | settings), patience, monotonic=clock))
        return built[-1]

    yield build
    for model in built:
        await model.close()


async def ask(model, times=1):
    """Ask in turn; return the codes of the errors, and the texts of the answers."""
    said = []
    for _ in range(times):
        try:
            said.append((await model.complete(PROMPT)).text)
        except ModelError as error:
            said.append(error.code)
    return said


def asked_models(standin):
    return [request.body["model"] for request in standin.requests]


async def open_circuit(model, standin):
    """Let five completions fail, each with its retry."""
    standin.faults.next.extend(["status:503"] * 10)
    await ask(model, 5)
    standin.requests.clear()


async def test_after_five_failures_nobody_asks(make, standin, clock):
    """No request reaches the server until the time is up, and the next one is answered."""
    model = make()
    standin.faults.next.extend(["status:503"] * 10)
    failed = await ask(model, 5)
    sent = len(standin.requests)
    clock.now += OPEN_S - 0.001
    skipped = await ask(model, 20)
    sent_then = len(standin.requests)
    clock.now += 0.001
    answered = await ask(model, 2)

    assert (set(failed), sent) == ({"503"}, 10)
    assert (set(skipped), sent_then) == ({CIRCUIT_OPEN}, 10)
    assert answered == [HELLO, HELLO]


async def test_a_skipped_call_does_not_wait(make, standin):
    """Where a server hangs, the sixth customer waits for nothing."""
    model = make(Patience(timeout_s=0.05, deadline_s=0.1))
    standin.faults.next.extend(["hang"] * 10)
    await asyncio.gather(*(ask(model) for _ in range(5)))
    standin.faults.next.clear()
    started = asyncio.get_running_loop().time()
    said = await ask(model, 100)

    assert set(said) == {CIRCUIT_OPEN}
    assert asyncio.get_running_loop().time() - started < 1


async def test_many_callers_send_one_probe(make, standin, clock):
    """Of 64 customers who write when the time is up, one is asked for, and the others hear at once."""
    model = make()
    await open_circuit(model, standin)
    clock.now += OPEN_S
    standin.faults.latency_s = 0.05
    said = [text for [text] in await asyncio.gather(*(ask(model) for _ in range(64)))]
    sent = len(standin.requests)
    standin.faults.latency_s = 0.0

    assert sorted(said) == sorted([HELLO] + [CIRCUIT_OPEN] * 63)
    assert sent == 1
    assert await ask(model, 3) == [HELLO] * 3


async def test_a_cancelled_probe_lets_the_next_one_go(make, standin, clock):
    """A process that gives up the probing turn does not leave the circuit open for good."""
    model = make()
    await open_circuit(model, standin)
    clock.now += OPEN_S
    standin.faults.next.append("hang")
    probe = asyncio.create_task(model.complete(PROMPT))
    async with asyncio.timeout(5):
        while not standin.requests:
            await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe

    assert await ask(model) == [HELLO]


async def test_a_wrong_key_is_tried_once(make, standin, clock):
    """Until the operator has acted, one call in a while finds out that it is still wrong."""
    model = make(api_key="sk-wrong")
    said = await ask(model, 5)
    clock.now += OPEN_S
    said += await ask(model, 5)

    assert said == ["401 invalid_api_key", *[CIRCUIT_OPEN] * 4] * 2
    assert len(standin.requests) == 2


@pytest.mark.parametrize("answer", [Refused("No.", "invalid_prompt"), Said("")])
async def test_one_customers_prompts_do_not_stop_the_others(make, standin, answer):
    """However many prompts are refused, or answered with nothing, the next customer is answered."""
    model = make()
    standin.script.extend([answer] * 12)
    await ask(model, 6)
    standin.script.clear()

    assert await ask(model) == [HELLO]


# --- two models, one server ---


async def test_an_open_first_model_is_not_waited_for(make, standin):
    """The second model is asked straight away, and its own circuit is not touched by the first one's."""
    model = make(fallback_model=TERRA)
    for _ in range(5):
        standin.faults.next.extend(["status:503", "status:503", "ok"])
        await ask(model)
    standin.requests.clear()
    with capture_logs() as logs:
        said = await ask(model, 3)

    assert said == [HELLO] * 3
    assert asked_models(standin) == [TERRA] * 3
    assert logs == []


async def test_both_circuits_open_is_the_first_ones_error(make, standin):
    """Where neither may be asked, it is said at once, and nothing is sent."""
    model = make(fallback_model=TERRA, api_key="sk-wrong")
    await ask(model)
    standin.requests.clear()
    with pytest.raises(ModelUnavailable, match=LUNA) as caught:
        await model.complete(PROMPT)

    assert caught.value.code == CIRCUIT_OPEN
    assert TERRA in str(caught.value.__cause__)
    assert not standin.requests


async def test_an_unreachable_server_is_all_its_models(make, clock):
    """Nobody finds out anew for each model that no connection can be made."""
    model = make(fallback_model=TERRA, base_url=NOWHERE)
    await ask(model, 3)
    first, server, second = model.breakers

    assert (server.name, server.is_open) == (NOWHERE, True)
    assert not first.is_open
    assert not second.is_open
    assert await ask(model, 20) == [CIRCUIT_OPEN] * 20
    assert not first.is_open


@pytest.mark.parametrize(
    ("faults", "is_open"),
    [
        (["drop"] * 10, True),
        (["drop"] * 8 + ["status:503"] * 2, False),
        (["drop"] * 8 + ["status:400"] + ["drop"] * 2, False),
        (["drop"] * 8 + ["status:401"] + ["drop"] * 2, False),
        (["status:503"] * 10, False),
        (["hang"] * 10, False),
    ],
)
async def test_what_tells_that_a_server_is_gone(make, standin, clock, faults, is_open):
    """Five calls in a row without a connection do; whoever answers anything is there, and who is silent may be busy."""
    model = make(Patience(timeout_s=0.05, deadline_s=5, backoff_s=0.001))
    standin.faults.next.extend(faults)
    while standin.faults.next:
        await ask(model)
        clock.now += MAX_OPEN_S  # the model's own circuit lets each of them through
    _, server = model.breakers

    assert server.is_open is is_open


REQUEST = httpx2.Request("POST", "http://127.0.0.1:9/v1/responses")


def timed_out(cause):
    """Return the SDK's error over its transport's."""
    error = openai.APITimeoutError(REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("between", "is_open"),
    [
        (timed_out(httpx2.ConnectTimeout("")), True),
        (timed_out(httpx2.ConnectError("")), True),
        (timed_out(httpx2.ReadTimeout("")), False),
        (TimeoutError(), False),
        (KeyError("bug"), False),
        (ValueError("no JSON"), None),
        (ModelUnavailable(code="server_error"), None),
        (openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), None), None),
        (None, None),
    ],
)
async def test_what_a_call_says_of_the_way_to_a_server(clock, between, is_open):
    """A connection that fails is one more failure, a silent one is none, and any answer starts the count anew."""
    server = Server(NOWHERE, "key", FAST, monotonic=clock)
    unreached = timed_out(httpx2.ConnectTimeout(""))
    for error in [unreached] * 4 + [between]:
        await ask_server(server, error)
    opened = server.breaker.is_open
    await ask_server(server, unreached)
    opened_then = server.breaker.is_open
    await server.close()

    assert opened is bool(is_open)
    assert opened_then is (is_open is not None)


async def ask_server(server, error):
    """Let a call end in an error, or in an answer where there is none."""

    async def send(_):
        if error is not None:
            raise error

    with contextlib.suppress(ModelError, KeyError):
        await server.ask(send, deadline=0)  # too late for a retry


async def test_a_server_that_comes_back_is_asked_again(make, standin, clock):
    """Both circuits have opened together; one probe closes both."""
    model = make()
    standin.faults.next.extend(["drop"] * 10)
    await ask(model, 5)
    were_open = [breaker.is_open for breaker in model.breakers]
    clock.now += OPEN_S
    said = await ask(model, 3)

    assert were_open == [True, True]
    assert said == [HELLO] * 3
    assert not any(breaker.is_open for breaker in model.breakers)
