"""The HTTP client, against real servers on this machine."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import ClientConnectorError, web
from aiohttp.test_utils import TestServer, unused_port

from channels.errors import ChannelError, MediaLater, MediaRefused, OutcomeUnknown, Refused, RetryLater
from channels.http import MAX_REDIRECTS, Http, HttpResponse, _PublicResolver

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers that answer everything with one handler; returns each one's origin."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return str(servers[-1].make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


async def echo(request: web.Request) -> web.Response:
    """Answer with what arrived."""
    body = (await request.read()).decode()
    headers = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response({"method": request.method, "target": request.raw_path, "headers": headers, "body": body})


async def hang_up(request: web.Request) -> web.Response:
    """Close the connection instead of answering."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def cut_off(request: web.Request) -> web.StreamResponse:
    """Promise more than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"only this")
    return await hang_up(request)


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Handler:
    """Make a handler that always says the same."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return handler


def seen(response: HttpResponse) -> dict[str, Any]:
    """Return what ``echo`` saw."""
    arrived: dict[str, Any] = json.loads(response.body)
    return arrived


# --- request ---


async def test_a_form_arrives_as_it_was_given(http: Http, serve: Serve) -> None:
    """Fields keep their order, their repetitions, their plus signs and their script; half a character is replaced."""
    url = await serve(echo)
    pairs = [("To", "+15550100001"), ("MediaUrl", "a b"), ("MediaUrl", "c&d"), ("Body", "日\ud800")]

    response = await http.request("POST", f"{url}/x?q=%2B1", data=pairs)

    arrived = seen(response)
    assert response.status == 200
    assert arrived["target"] == "/x?q=%2B1"
    assert arrived["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert arrived["body"] == "To=%2B15550100001&MediaUrl=a+b&MediaUrl=c%26d&Body=%E6%97%A5%3F"


async def test_bytes_and_json_arrive_as_they_are(http: Http, serve: Serve) -> None:
    """A body of bytes gets no form's content type, and ``json`` is dumped."""
    url = await serve(echo)

    raw = seen(await http.request("PUT", url, data=b"raw", headers={"content-type": "text/x"}))
    dumped = seen(await http.request("POST", url, json={"a": 1}))

    assert (raw["body"], raw["headers"]["content-type"]) == ("raw", "text/x")
    assert (dumped["body"], dumped["headers"]["content-type"]) == ('{"a": 1}', "application/json")


async def test_an_answer_of_any_status_is_returned(http: Http, serve: Serve) -> None:
    """A status is the caller's business; header names are found in any case; a redirect is not followed."""
    url = await serve(answer(302, b"moved", {"Location": "/elsewhere", "X-Word": "yes"}))

    response = await http.request("GET", url)

    assert (response.status, response.body, response.headers["x-wORD"]) == (302, b"moved", "yes")


async def test_no_connection_means_nothing_was_asked(http: Http) -> None:
    """A refused connection is RetryLater, chained to its cause."""
    with pytest.raises(RetryLater) as caught:
        await http.request("POST", f"http://127.0.0.1:{unused_port()}")

    assert isinstance(caught.value.__cause__, ClientConnectorError)


async def test_waiting_in_vain_for_the_pool_means_nothing_was_asked(serve: Serve) -> None:
    """A request that never got a connection is RetryLater."""
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> web.Response:
        arrived.set()
        await let_go.wait()
        return web.Response()

    url = await serve(hold)
    async with Http(limit=1) as http:
        first = asyncio.create_task(http.request("GET", url))
        await asyncio.wait_for(arrived.wait(), 5)
        with pytest.raises(RetryLater, match="ConnectionTimeoutError"):
            await http.request("POST", url, timeout_s=0.1)
        let_go.set()

        assert (await first).status == 200


@pytest.mark.parametrize("handler", [hang_up, cut_off, answer(body=b"x" * 11)])
async def test_a_broken_answer_means_that_nobody_knows(http: Http, serve: Serve, handler: Handler) -> None:
    """Hanging up, cutting off or never ending after the request left is OutcomeUnknown."""
    url = await serve(handler)

    with pytest.raises(OutcomeUnknown):
        await http.request("POST", url, data=b"", max_bytes=10)


async def test_a_late_answer_means_that_nobody_knows(http: Http, serve: Serve) -> None:
    """A timeout after the request left is OutcomeUnknown."""
    over = asyncio.Event()

    async def late(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    url = await serve(late)
    with pytest.raises(OutcomeUnknown, match="TimeoutError") as caught:
        await http.request("POST", url, timeout_s=0.1)
    over.set()

    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("url", ["http://", "not an address", "ftp://example.com/"])
async def test_an_address_that_is_none_is_refused(http: Http, url: str) -> None:
    """Nothing can be asked at something that is no HTTP address."""
    with pytest.raises(Refused):
        await http.request("GET", url)


async def test_a_client_opens_and_closes_when_told(serve: Serve) -> None:
    """It is made without a loop, refuses to work while closed, and may be opened again."""
    url = await serve(answer(204))
    http = await asyncio.to_thread(Http)
    with pytest.raises(RuntimeError, match="not open"):
        await http.request("GET", url)
    await http.close()
    async with http, asyncio.timeout(5):
        assert (await http.request("GET", url)).status == 204
    async with http:
        assert (await http.request("GET", url)).status == 204


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 -0000", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 0.0),
    ],
)
def test_a_wish_to_wait_is_read(headers: dict[str, str], expected: float | None) -> None:
    """Retry-After is seconds or a date, and anything else says nothing."""

    assert HttpResponse(429, headers, b"").retry_after_s == expected


# --- fetch ---


async def fetch(http: Http, url: str, **options: Any) -> HttpResponse:
    defaults: dict[str, Any] = {"headers": {}, "credentials_origins": (), "max_bytes": 10, "timeout_s": 5.0}
    return await http.fetch(url, **(defaults | options))


async def test_a_file_at_an_allowed_origin_is_fetched(serve: Serve) -> None:
    """The configuration's own origins may be private and without TLS."""
    url = await serve(answer(body=b"file", headers={"Content-Type": "image/png"}))
    async with Http(allowed_origins=[f"{url}/some/path"]) as http:
        response = await fetch(http, f"{url}/a.png")

    assert (response.body, response.headers["content-type"]) == (b"file", "image/png")


async def test_credentials_go_to_their_origins_only(http: Http, serve: Serve) -> None:
    """A redirect to another origin is followed without the credentials, even though it is allowed."""
    storage = await serve(echo)
    platform = await serve(answer(307, headers={"Location": f"{storage}/signed"}))
    for origin in (storage, platform):
        http.allow_origin(origin)
    secret = {"Authorization": "Basic c2VjcmV0"}

    away = await fetch(http, platform, headers=secret, credentials_origins=[platform], max_bytes=1000)
    home = await fetch(http, storage, headers=secret, credentials_origins=[storage], max_bytes=1000)

    assert "authorization" not in seen(away)["headers"]
    assert seen(home)["headers"]["authorization"] == "Basic c2VjcmV0"


async def test_redirects_are_relative_and_end(http: Http, serve: Serve) -> None:
    """Up to five redirects are followed, and a loop is refused."""

    async def count_down(request: web.Request) -> web.Response:
        left = int(request.path[1:])
        return web.Response(status=302, headers={"Location": str(left - 1)}) if left else web.Response(body=b"end")

    url = await serve(count_down)
    http.allow_origin(url)

    assert (await fetch(http, f"{url}/{MAX_REDIRECTS}")).body == b"end"
    with pytest.raises(MediaRefused, match="too often"):
        await fetch(http, f"{url}/{MAX_REDIRECTS + 1}")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (answer(404), MediaLater),
        (answer(429), MediaLater),
        (answer(503), MediaLater),
        (hang_up, MediaLater),
        (cut_off, MediaLater),
        (answer(401), MediaRefused),
        (answer(410), MediaRefused),
        (answer(304), MediaRefused),
        (answer(302), MediaRefused),
        (answer(302, headers={"Location": "http://["}), MediaRefused),
        (answer(302, headers={"Location": "file:///etc/passwd"}), MediaRefused),
        (answer(302, headers={"Location": "https://localhost/"}), MediaRefused),
        (answer(302, headers={"Location": "https://[::ffff:127.0.0.1]/"}), MediaRefused),
        (answer(body=b"x" * 11), MediaRefused),
        (answer(body=gzip.compress(b"x" * 5), headers={"Content-Encoding": "gzip"}), MediaRefused),
    ],
)
async def test_a_failing_file_says_whether_to_ask_again(
    http: Http, serve: Serve, handler: Handler, error: type[ChannelError]
) -> None:
    """What may be there later is MediaLater; what is too long, forbidden or leads inside is MediaRefused."""
    url = await serve(handler)
    http.allow_origin(url)

    with pytest.raises(error):
        await fetch(http, url, max_bytes=10 if handler is not cut_off else 1000)


async def test_a_file_without_a_length_is_cut_at_the_cap(http: Http, serve: Serve) -> None:
    """A stream that announces no length is refused as soon as it is too long."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x")
        return response

    url = await serve(endless)
    http.allow_origin(url)

    with pytest.raises(MediaRefused, match="larger than 10 bytes"):
        await fetch(http, url)


async def test_a_slow_file_is_asked_for_again(http: Http, serve: Serve) -> None:
    """A fetch ends after its timeout."""
    over = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    url = await serve(slow)
    http.allow_origin(url)
    with pytest.raises(MediaLater, match="TimeoutError"):
        await fetch(http, url, timeout_s=0.1)
    over.set()


async def test_a_file_behind_a_closed_port_is_asked_for_again(http: Http) -> None:
    """A refused connection is MediaLater."""
    url = f"http://127.0.0.1:{unused_port()}"
    http.allow_origin(url)

    with pytest.raises(MediaLater, match="no connection"):
        await fetch(http, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://localhost/",
        "https://169.254.169.254/latest/meta-data",
        "http://93.184.215.14/",
        "ftp://example.com/",
        "data:text/plain,x",
        "/relative",
        "https://",
        "https://\ud800/",
        "",
    ],
)
async def test_an_address_that_we_do_not_visit_is_refused(http: Http, url: str) -> None:
    """Private addresses, literal or by name, plain HTTP and what is no address are refused."""
    with pytest.raises(MediaRefused):
        await fetch(http, url)


async def test_an_allowed_origin_allows_no_other_port(http: Http, serve: Serve) -> None:
    """An origin is scheme, host and port."""
    url = await serve(answer(body=b"file"))
    http.allow_origin("http://127.0.0.1:1")

    with pytest.raises(MediaRefused):
        await fetch(http, url)


def test_an_allowed_origin_is_an_absolute_address() -> None:
    """A mistake in the configuration is told at once."""
    with pytest.raises(ValueError, match="absolute"):
        Http().allow_origin("/just/a/path")


async def test_the_guarded_resolver_lets_public_addresses_through() -> None:
    """What the connection gets is what was checked."""
    found = await _PublicResolver().resolve("93.184.215.14", 443)

    assert [address["host"] for address in found] == ["93.184.215.14"]
