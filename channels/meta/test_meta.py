"""What Messenger and WhatsApp share: signatures, handshakes, wild JSON, and calls of the Graph API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from aiohttp.web_request import FileField
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.base import Reply, Request
from channels.errors import (
    CredentialsRejected,
    OutcomeUnknown,
    PayloadError,
    Refused,
    RetryLater,
    SendError,
    SignatureError,
)
from channels.http import Http, Upload
from channels.meta.graph import USAGE, Graph, GraphFailure
from channels.meta.media import upload_of
from channels.meta.settings import MetaSettings
from channels.meta.webhooks import HEADER, a_list, a_map, a_text, a_time, handshake, read_body, sign, verify

SECRET, WORD, TOKEN = "the-apps-secret", "our-wörd", "the-token"
SETTINGS = MetaSettings.model_validate({"app_secret": SECRET, "verify_token": WORD})
BODY = b'{"object":"page","entry":[{"id":"1"}]}'
SIGNED = sign(BODY, SECRET)


def post(body: bytes = BODY, *headers: tuple[str, str]) -> Request:
    return Request("POST", "/webhooks/messenger", headers, body)


def asked(query: str) -> Request:
    return Request("GET", f"/webhooks/messenger?{query}", (), b"")


# --- signatures ---


def test_a_signature_is_an_hmac_of_the_raw_bytes() -> None:
    """In lowercase hexadecimal, behind the name of the hash."""

    assert "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest() == SIGNED


@pytest.mark.parametrize("name", [HEADER, HEADER.lower(), HEADER.upper()])
def test_a_signed_post_is_believed(name: str) -> None:
    """Whatever the case of the header's name."""
    verify(post(BODY, ("Content-Type", "application/json"), (name, SIGNED)), SETTINGS)


FORGED: list[tuple[bytes, tuple[tuple[str, str], ...]]] = [
    (BODY, ()),
    (BODY, ((HEADER, ""),)),
    (BODY, ((HEADER, sign(BODY, "another app's secret")),)),
    (BODY, ((HEADER, SIGNED.upper()),)),
    (BODY, ((HEADER, SIGNED.removeprefix("sha256=")),)),
    (BODY, ((HEADER, SIGNED + "0"),)),
    (BODY, ((HEADER, "sha256=é\ud800"),)),
    (BODY, (("X-Hub-Signature", "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()),)),
    (json.dumps(json.loads(BODY)).encode(), ((HEADER, SIGNED),)),
    (b"", ((HEADER, SIGNED),)),
]


@pytest.mark.parametrize(("body", "headers"), FORGED)
def test_a_forged_post_is_not_believed(body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    """Nor one of another app, nor the SHA-1 of old, nor the same JSON in other bytes."""
    with pytest.raises(SignatureError):
        verify(post(body, *headers), SETTINGS)


@given(st.text(max_size=80))
def test_no_guess_matches_or_breaks(signature: str) -> None:
    """Whatever stands in the header, the answer is no."""
    with pytest.raises(SignatureError):
        verify(post(BODY, (HEADER, signature)), SETTINGS)


@pytest.mark.parametrize("method", ["PUT", "HEAD", "DELETE", "post"])
def test_another_method_is_not_believed(method: str) -> None:
    """Meta posts and gets."""
    with pytest.raises(SignatureError):
        verify(Request(method, "/", ((HEADER, SIGNED),), BODY), SETTINGS)


# --- the handshake ---

KNOWN = "hub.mode=subscribe&hub.verify_token=our-w%C3%B6rd"


def test_a_handshake_is_answered_with_its_challenge() -> None:
    """As plain text, exactly."""
    request = asked(f"{KNOWN}&hub.challenge=1158201444")
    verify(request, SETTINGS)

    assert handshake(request) == Reply(200, "1158201444", "text/plain")
    assert handshake(post()) is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.mode=subscribe",
        "hub.mode=subscribe&hub.verify_token=",
        "hub.mode=subscribe&hub.verify_token=guess&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=%FF%00&hub.challenge=1",
        "hub.mode=unsubscribe&hub.verify_token=our-w%C3%B6rd&hub.challenge=1",
        "hub.verify_token=our-w%C3%B6rd&hub.challenge=1",
        "&".join(f"{KNOWN}&a{n}=1" for n in range(20)),
    ],
)
def test_a_strangers_handshake_is_not_believed(query: str) -> None:
    """Without our word there is no answer, however long the query."""
    with pytest.raises(SignatureError):
        verify(asked(query), SETTINGS)


@pytest.mark.parametrize("challenge", ["", "%3Cscript%3E", "a%20b", "a%0Ab", "%C3%A4", "x" * 129])
def test_a_challenge_that_meta_would_not_make_is_refused(challenge: str) -> None:
    """It would be sent back: no mark-up, no other lines, nothing long."""
    with pytest.raises(PayloadError):
        handshake(asked(f"{KNOWN}&hub.challenge={challenge}"))


def test_an_endless_query_has_no_challenge() -> None:
    """It is not read at all."""
    with pytest.raises(PayloadError):
        handshake(asked("&".join(f"a{n}=1" for n in range(50))))


# --- reading ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"null",
        b'{"object": "instagram", "entry": []}',
        b'{"object": "page"}',
        b'{"object": "page", "entry": {}}',
        b'{"object": "page", "entry": [1]}',
        b'{"object": ["page"], "entry": []}',
        b"[" * 100_000,
        b'{"object": "page", "entry": [{"time": NaN}]}',
        b'{"object": "page", "entry": [{"time": -Infinity}]}',
        b'{"object": "page", "entry": [{"time": 1e999}]}',
        b'{"object": "page", "entry": [{"time": ' + b"1" * 5000 + b"}]}",
    ],
)
def test_what_is_no_webhook_of_that_kind_is_refused(body: bytes) -> None:
    """A list of entries for one kind of object is needed, without numbers that no database takes."""
    with pytest.raises(PayloadError):
        list(read_body(body, "page"))


def test_entries_are_read_in_order() -> None:
    """With whatever is in them."""
    body = b'{"object":"page","entry":[{"id":"1","at":1.5e3},{}]}'

    assert list(read_body(body, "page")) == [{"id": "1", "at": 1500.0}, {}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.binary(max_size=50)
    | json_values.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps({"object": "page", "entry": value}).encode())
)
def test_any_bytes_are_entries_or_a_payload_error(body: bytes) -> None:
    """Nothing else comes of them."""
    try:
        entries = list(read_body(body, "page"))
    except PayloadError:
        return

    assert all(isinstance(entry, dict) for entry in entries)


@given(json_values)
def test_any_value_can_be_asked_for_anything(value: Any) -> None:
    """A field of another type is an empty one."""

    assert isinstance(a_map(value), dict)
    assert all(isinstance(item, dict) for item in a_list(value))
    assert "\0" not in a_text(value)
    assert getattr(a_time(value), "tzinfo", UTC) is UTC


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\0b", "ab"), (17, "17"), (True, ""), (1.5, ""), (None, ""), (["a"], ""), ("", "")],
)
def test_texts_are_read(value: Any, text: str) -> None:
    """A number counts as its digits; what a database cannot store is left out."""

    assert a_text(value) == text


AT = datetime(2025, 11, 22, 8, 26, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1763800000, AT),
        ("1763800000", AT),
        (1763800000000, AT),
        ("1763800000123", AT.replace(microsecond=123000)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (99_999_999_999, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (100_000_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (999_999_999_999_999, None),
        (10**15, None),
        (-1, None),
        (True, None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_seconds_and_milliseconds_are_told_apart(value: Any, expected: datetime | None) -> None:
    """By their size; what is no time that there is, is none."""

    assert a_time(value) == expected


# --- settings ---


@pytest.mark.parametrize(
    "changes",
    [
        {"app_secret": ""},
        {"verify_token": ""},
        {"graph_version": "26.0"},
        {"graph_version": "v26.0/x"},
        {"api_base": "graph.facebook.com"},
        {"api_base": "https://graph.facebook.com?x=1"},
        {"api_base": "https://user@graph.facebook.com"},
        {"api_base": "https://"},
        {"api_version": "v26.0"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    """At the start, and without telling the secret."""
    with pytest.raises(ValidationError) as caught:
        MetaSettings.model_validate({"app_secret": SECRET, "verify_token": WORD} | changes)

    assert SECRET not in str(caught.value)


def test_one_secret_is_one_app() -> None:
    """All its pages and numbers are posted to one address."""
    same, other = (
        MetaSettings.model_validate({"app_secret": secret, "verify_token": "x"}) for secret in (SECRET, "other")
    )

    assert SETTINGS.shares_app_with(same)
    assert not SETTINGS.shares_app_with(other)
    assert SECRET not in repr(SETTINGS)


# --- files ---


def test_a_data_url_becomes_an_upload() -> None:
    """With its type, and a name that ends as the type's do."""
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()

    assert upload_of(url, "filedata") == Upload("filedata", "file.png", "image/png", b"\x89PNG")
    assert upload_of("https://a.example/1.png", "filedata") is None


@pytest.mark.parametrize(
    "url", ["data:", "data:,", "data:image/png,abc", "data:image/png;base64,", "data:image/png;base64,a!b", "data:;x"]
)
def test_a_data_url_that_cannot_be_read_is_refused(url: str) -> None:
    """For good: the next attempt would read the same."""
    with pytest.raises(Refused) as caught:
        upload_of(url, "file")

    assert caught.value.code == "unreadable_file"


# --- the Graph API ---


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class MetaServer:
    """Answers everything with what it was told, and keeps what it was asked."""

    calls: list[Call] = field(default_factory=list)
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False

    def says(self, body: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON, or with bytes as they are."""
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.Response:
        if request.content_type.startswith("multipart/"):
            body: Any = {name: _read(value) for name, value in (await request.post()).items()}
        else:
            body = await request.read()
        self.calls.append(Call(request.method, request.path, dict(request.query), request.headers.copy(), body))
        if self.hangs_up:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=self.status, body=self.body, headers=self.headers)


def _read(value: Any) -> Any:
    return (value.filename, value.content_type, value.file.read()) if isinstance(value, FileField) else value


class Failed(SendError):
    """Meta refused; the test looks at how."""

    def __init__(self, failure: GraphFailure) -> None:
        super().__init__("refused")
        self.failure = failure


@pytest.fixture
async def meta() -> AsyncIterator[MetaServer]:
    """A stand-in for the Graph API."""
    async with MetaServer() as server:
        yield server


def graph_of(http: Http, api_base: str, **changes: Any) -> Graph:
    settings = {"app_secret": SECRET, "verify_token": WORD, "api_base": api_base} | changes
    return Graph(http, MetaSettings.model_validate(settings), TOKEN, Failed)


@pytest.fixture
def graph(http: Http, meta: MetaServer) -> Graph:
    """The API with one token."""
    return graph_of(http, meta.url + "/")


async def failure_of(graph: Graph) -> GraphFailure:
    with pytest.raises(Failed) as caught:
        await graph.post("me/messages", {})
    return caught.value.failure


async def test_calls_carry_the_token_in_a_header(graph: Graph, meta: MetaServer) -> None:
    """Never in the address, which servers log; the version is the configured one."""
    meta.says({"name": "Lakeside"})
    answers = [
        await graph.get("PAGE", fields="id,name"),
        await graph.post("PAGE/messages", {"text": "Grüße"}),
        await graph.get("app", token="APP|SECRET"),
    ]
    read, written, other = meta.calls

    assert answers == [{"name": "Lakeside"}] * 3
    assert [call.headers["Authorization"] for call in meta.calls] == [f"Bearer {TOKEN}"] * 2 + ["Bearer APP|SECRET"]
    assert (read.method, read.path, read.query) == ("GET", "/v26.0/PAGE", {"fields": "id,name"})
    assert (written.method, written.path, written.query) == ("POST", "/v26.0/PAGE/messages", {})
    assert json.loads(written.body) == {"text": "Grüße"}
    assert other.query == {}


async def test_a_token_is_looked_up_in_the_name_of_its_app(graph: Graph, meta: MetaServer) -> None:
    """Meta tells about a token to whoever shows the app's own."""
    meta.says({"data": {"is_valid": True}})
    await graph.debug_token("APP|SECRET")
    [call] = meta.calls

    assert (call.path, call.query) == ("/v26.0/debug_token", {"input_token": TOKEN})
    assert call.headers["Authorization"] == "Bearer APP|SECRET"


async def test_calls_prove_that_they_know_the_secret_where_that_is_configured(http: Http, meta: MetaServer) -> None:
    """With an HMAC of the token, and not of another one that is used for once."""
    graph = graph_of(http, meta.url, appsecret_proof=True, graph_version="v27.0")
    await graph.post("me/messages", {})
    await graph.get("me", fields="id")
    await graph.upload("me/media", {}, Upload("file", "a", "text/plain", b"x"))
    await graph.get("app", token="APP|SECRET")
    proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()

    assert [call.query.get("appsecret_proof") for call in meta.calls] == [proof, proof, proof, None]
    assert meta.calls[1].query["fields"] == "id"
    assert meta.calls[0].path == "/v27.0/me/messages"


async def test_a_file_is_uploaded_in_a_form(graph: Graph, meta: MetaServer) -> None:
    """Beside its fields, with its name and type."""
    meta.says({"id": "9"})
    answer = await graph.upload(
        "NUMBER/media", {"messaging_product": "whatsapp"}, Upload("file", "a.png", "image/png", b"\x89PNG\x00")
    )
    [call] = meta.calls

    assert answer == {"id": "9"}
    assert call.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert call.headers["Authorization"] == f"Bearer {TOKEN}"
    assert call.body == {"messaging_product": "whatsapp", "file": ("a.png", "image/png", b"\x89PNG\x00")}


FAILURES: list[tuple[int, Any, tuple[int | None, int | None, str, bool], str]] = [
    (
        400,
        {"error": {"message": "(#10) Outside", "code": 10, "error_subcode": 2018278, "fbtrace_id": "A"}},
        (10, 2018278, "(#10) Outside (fbtrace_id A)", False),
        "10/2018278",
    ),
    (
        400,
        {"error": {"message": "(#131047) Again", "code": 131047, "error_data": {"details": "24 hours"}}},
        (131047, None, "(#131047) Again: 24 hours", False),
        "131047",
    ),
    (
        500,
        {"error": {"message": "Same", "code": 1, "is_transient": True, "error_data": {"details": "Same"}}},
        (1, None, "Same", True),
        "1",
    ),
    (400, {"error": {"message": "Text", "code": "100", "error_subcode": 0}}, (100, 0, "Text", False), "100"),
    (400, {"error": {"message": "Odd", "code": 100, "error_data": "text"}}, (100, None, "Odd", False), "100"),
    (200, {"error": {"message": "Hidden", "code": 190}}, (190, None, "Hidden", False), "190"),
    (502, b"<html><h1>Bad Gateway</h1></html>", (None, None, "HTTP 502", False), "502"),
    (503, b"", (None, None, "HTTP 503", False), "503"),
    (500, [], (None, None, "HTTP 500", False), "500"),
    (400, {"error": "text"}, (None, None, "HTTP 400", False), "400"),
    (400, {"error": {"code": True, "message": 7}}, (None, None, "7", False), "400"),
    (404, b"[" * 100_000, (None, None, "HTTP 404", False), "404"),
    (302, {}, (None, None, "HTTP 302", False), "302"),
]


@pytest.mark.parametrize(("status", "body", "expected", "name"), FAILURES)
async def test_a_refusal_is_read(
    graph: Graph, meta: MetaServer, status: int, body: Any, expected: tuple[Any, ...], name: str
) -> None:
    """The envelope's code and subcode decide; a page of a server before the API has none."""
    meta.says(body, status)
    failure = await failure_of(graph)

    assert (failure.code, failure.subcode, failure.message, failure.transient) == expected
    assert (failure.status, failure.name, failure.retry_after_s) == (status, name, None)
    assert len(meta.calls) == 1


def usage(*minutes: Any) -> str:
    return json.dumps({"102": [{"type": "messages", "estimated_time_to_regain_access": each} for each in minutes]})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({USAGE: usage(0, 3)}, 180.0),
        ({USAGE: usage("2")}, 120.0),
        ({USAGE: usage(0)}, None),
        ({USAGE: usage(None)}, None),
        ({USAGE: usage(3), "Retry-After": "7"}, 7.0),
        ({USAGE: "{"}, None),
        ({USAGE: "[]"}, None),
        ({USAGE: '{"102": {"a": 1}}'}, None),
        ({}, None),
    ],
)
async def test_metas_wish_to_wait_is_read(
    graph: Graph, meta: MetaServer, headers: dict[str, str], expected: float | None
) -> None:
    """In seconds, or in the minutes of the usage header; the first goes first."""
    meta.says({"error": {"code": 80007}}, 400)
    meta.headers = headers

    assert (await failure_of(graph)).retry_after_s == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b"\xff"])
async def test_a_success_that_cannot_be_read_is_an_outcome_that_nobody_knows(
    graph: Graph, meta: MetaServer, body: bytes
) -> None:
    """The message may have been sent."""
    meta.says(body)

    with pytest.raises(OutcomeUnknown):
        await graph.post("me/messages", {})


async def test_a_connection_that_breaks_is_an_outcome_that_nobody_knows(graph: Graph, meta: MetaServer) -> None:
    """The request had left, and it is not repeated here."""
    meta.hangs_up = True

    with pytest.raises(OutcomeUnknown):
        await graph.post("me/messages", {})
    assert len(meta.calls) == 1


async def test_no_connection_is_no_call(http: Http) -> None:
    """Nothing was asked: it can be asked again."""
    with pytest.raises(RetryLater):
        await graph_of(http, f"http://127.0.0.1:{unused_port()}").post("me/messages", {})


async def test_the_channel_says_what_a_refusal_means(http: Http, meta: MetaServer) -> None:
    """Codes are each platform's own."""
    settings = MetaSettings.model_validate({"app_secret": SECRET, "verify_token": WORD, "api_base": meta.url})
    meta.says({"error": {"message": "no", "code": 190}}, 401)
    graph = Graph(http, settings, TOKEN, lambda failure: CredentialsRejected(failure.message, code=failure.name))

    with pytest.raises(CredentialsRejected) as caught:
        await graph.get("me")
    assert (str(caught.value), caught.value.code) == ("no", "190")
