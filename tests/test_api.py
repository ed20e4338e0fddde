"""Every path of the API with a good and a wrong request, without a key and with one that may too little."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from structlog.testing import capture_logs

from channels.content import Content
from gateway.assistant.parts import Parts, open_parts
from gateway.assistant.tools.availability import Diary
from gateway.clock import Clock
from gateway.storage import AddKey, Answer, Compose, Storage
from gateway.web.api import Api, people, reading
from gateway.web.api.operations import problem_names
from gateway.web.api.problems import KINDS
from gateway.web.api.route import Desk, Route, Scope
from gateway.web.api.table import TABLE
from gateway.web.server import Server
from tests.gateways import config
from tests.world import world

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = "a key of the configuration"
CUSTOMER = "+15550109999"
SCHEDULE = {
    "name": "Corner Garage",
    "timezone": "America/Detroit",
    "hours": {"mon": "09:00-17:00", "tue": "09:00-17:00"},
    "services": [{"name": "Inspection", "minutes": 60}, {"name": "Repair", "minutes": 120}],
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def told(self) -> Any:
        """The JSON of its body."""
        return json.loads(self.text)

    @property
    def problem(self) -> str:
        """The name of the problem that it is, after checking that it is a whole one."""
        assert self.headers["Content-Type"].startswith("application/problem+json")
        told = self.told
        page, _, name = told["type"].partition("#")
        assert page == "/api/docs/problems"
        assert (told["status"], told["title"]) == (self.status, KINDS[name].title)
        assert told["detail"]
        assert told["instance"].startswith("/api/")
        return str(name)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks a served API."""

    session: aiohttp.ClientSession
    parts: Parts
    api: Api
    port: int

    @property
    def storage(self) -> Storage:
        """The database behind it."""
        return self.parts.storage

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = KEY,
        data: bytes | None = None,
        **headers: str,
    ) -> Reply:
        """Ask for a path below /api/v1; headers are named with _ for -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        if body is not None:
            data = json.dumps(body).encode()
        sending = None if data is None else BytesIO(data)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        address = f"http://127.0.0.1:{self.port}/api/v1{path}"
        async with self.session.request(method, address, data=sending, headers=sent) as response:
            return Reply(response.status, response.headers, await response.text())

    async def make_key(self, scope: str, name: str | None = None, letter: str = "A") -> str:
        """Make a key of this scope and return it."""
        key = f"fdk_{scope}_".ljust(47, letter)
        digest = hashlib.sha256(key.encode()).hexdigest()
        assert await self.storage.run(AddKey(name or scope, key[:12], digest, scope, NOW))
        return key

    async def write_to(self, customer: str = CUSTOMER, text: str = "Hello") -> str:
        """Begin a conversation on the channel and return its public id."""
        content = Content(text)
        composed = await self.storage.run(Compose("sms", "sms", customer, Answer(content, (content,)), NOW))
        assert composed.conversation_id is not None
        return composed.conversation_id

    async def contact_of(self, conversation_id: str) -> str:
        """Return the public id of whom a conversation is with."""
        known = await self.storage.pages.conversation(conversation_id)
        assert known is not None
        assert known.contact is not None
        return known.contact


@asynccontextmanager
async def served(
    folder: Path,
    database: str,
    *,
    api: Mapping[str, Any] | None = None,
    clock: Clock = lambda: NOW,
    monotonic: Any = None,
    migrate: bool = True,
    **settings: Any,
) -> AsyncIterator[Client]:
    """Serve the API by itself: nothing works the conversations off behind its back."""
    given = {"keys": [KEY], "rate_per_s": 10_000, **(api or {})}
    more = f"\napi: {json.dumps(given)}\n".replace("{", "{{").replace("}", "}}").format()
    settings.setdefault("business", json.dumps(SCHEDULE))
    loaded = config(folder, database, **{**settings, "more_channels": settings.get("more_channels", "") + more})
    async with open_parts(loaded, clock) as parts:
        if migrate:
            await parts.storage.migrate()
        diary = Diary(parts.storage, loaded.business)
        folder = loaded.data.dir
        desk = Desk(parts.storage, parts.memory, folder, parts.service, parts.roster, parts.bus, diary, clock)
        timer = {} if monotonic is None else {"monotonic": monotonic}
        page = Api(desk, loaded.api, max_body_bytes=loaded.server.max_body_mb * 1024 * 1024, **timer)
        server = Server([page], host="127.0.0.1", port=0)
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                yield Client(session, parts, page, server.port)
        finally:
            await server.stop()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Serve the API over SQLite, with a model that repeats what it hears."""
    async with world() as around, served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", **around.addresses) as opened:
        yield opened


def path_of(route: Route, conversation_id: str = "nobody", contact_id: str = "nobody") -> str:
    """Return a route's path for a conversation, or for a contact."""
    ids = {"conversation_id": quote(conversation_id, safe=""), "contact_id": quote(contact_id, safe="")}
    return route.path.format(**ids)


def body_of(route: Route) -> Any:
    """Return a body that works, or None for a path that takes none."""
    return next(iter(route.examples.values()), {}) if route.body is not None else None


def named(route: Route) -> str:
    """Name a route in the list of tests."""
    return f"{route.method} {route.path}"


EXAMPLES = [(route, name) for route in TABLE for name in (route.examples or {"": {}})]


# --- every path ---


@pytest.mark.parametrize(("route", "name"), EXAMPLES, ids=[f"{named(route)} {name}" for route, name in EXAMPLES])
async def test_every_example_is_accepted(client: Client, route: Route, name: str) -> None:
    """What the documentation shows works as it stands, and is answered as its model says."""
    conversation_id = await client.write_to()
    if "rating" in route.path:
        assert (await client.ask("POST", f"/conversations/{conversation_id}/close")).status == 200
    example = route.examples.get(name, {})
    path = path_of(route, conversation_id, await client.contact_of(conversation_id))
    if route.query is not None and example:
        path += "?" + "&".join(f"{field}={quote(str(value))}" for field, value in example.items())
    reply = await client.ask(route.method, path, example if route.body is not None else None)

    assert reply.status == route.status, reply.text
    assert reply.headers["Content-Type"] == "application/json"
    assert set(reply.told) == set(route.told.model_json_schema(mode="serialization")["properties"])


@pytest.mark.parametrize("route", TABLE, ids=named)
async def test_without_a_key_every_path_is_closed(client: Client, route: Route) -> None:
    """A stranger is told what to send, whether the rest of the request would hold or not."""
    nothing = await client.ask(route.method, path_of(route), key=None)
    wrong = await client.ask(route.method, path_of(route), {"x": 1}, key="wrong")

    assert (nothing.status, nothing.problem) == (wrong.status, wrong.problem) == (401, "unauthorized")
    assert nothing.headers["WWW-Authenticate"] == 'Bearer realm="frontdesk"'


@pytest.mark.parametrize("route", [route for route in TABLE if route.scope is not Scope.READ], ids=named)
async def test_a_key_that_may_too_little_is_refused(client: Client, route: Route) -> None:
    """The next smaller scope does not reach the path, and is told which one does."""
    smaller = list(Scope)[list(Scope).index(route.scope) - 1]
    key = await client.make_key(smaller)
    reply = await client.ask(route.method, path_of(route), key=key)

    assert (reply.status, reply.problem) == (403, "forbidden")
    assert f"needs one for {route.scope}" in reply.told["detail"]


@pytest.mark.parametrize("route", TABLE, ids=named)
async def test_what_does_not_hold_is_named_by_its_place(client: Client, route: Route) -> None:
    """A name that nobody knows is refused, in the query and in the body."""
    conversation_id = await client.write_to()
    example = body_of(route)
    replies = [await client.ask(route.method, f"{path_of(route, conversation_id)}?nonsense=1", example)]
    if route.body is not None:
        replies.append(await client.ask(route.method, path_of(route, conversation_id), {**example, "nonsense": 1}))

    assert {(reply.status, reply.problem) for reply in replies} == {(422, "invalid")}
    assert [reply.told["errors"][-1]["at"] for reply in replies] == ["query.nonsense", "body.nonsense"][: len(replies)]


@pytest.mark.parametrize("route", [route for route in TABLE if route.ids], ids=named)
async def test_what_is_none_is_not_found(client: Client, route: Route) -> None:
    """Nor is one whose id no database could keep."""
    example = body_of(route)
    for unknown in ("nobody", "a/b", "%00", "%ff", "{x}"):
        ids = dict.fromkeys(route.ids, quote(unknown, safe="%"))
        reply = await client.ask(route.method, route.path.format(**ids), example)
        assert (reply.status, reply.problem) == (404, "not-found"), unknown


@pytest.mark.parametrize("path", sorted({route.path for route in TABLE}))
async def test_other_methods_are_told_which_there_are(client: Client, path: str) -> None:
    """Only whoever has a key learns it."""
    methods = {route.method for route in TABLE if route.path == path}
    asked = path.format(conversation_id="x", contact_id="x")
    reply = await client.ask("PATCH", asked)
    stranger = await client.ask("PATCH", asked, key=None)

    assert (reply.status, reply.problem) == (405, "method-not-allowed")
    assert set(reply.headers["Allow"].split(", ")) - {"HEAD"} == methods
    assert stranger.status == 401


@pytest.mark.parametrize("route", TABLE, ids=named)
def test_every_problem_of_a_path_is_explained(route: Route) -> None:
    """The page that a type leads to knows all of them."""
    assert set(problem_names(route)) <= set(KINDS)


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/conversations/", "/conversations/x/nothing", "/chat/x"])
async def test_an_unknown_path_is_told_to_holders_of_a_key_only(client: Client, path: str) -> None:
    """A stranger learns nothing of which paths there are."""
    reply, stranger = await client.ask("GET", path), await client.ask("GET", path, key=None)

    assert (reply.status, reply.problem) == (404, "not-found")
    assert (stranger.status, stranger.problem) == (401, "unauthorized")


async def test_head_is_a_get_without_its_body(client: Client) -> None:
    """Whoever only looks whether something is there pays nothing for what it says."""
    conversation_id = await client.write_to()
    got, head = [await client.ask(method, f"/conversations/{conversation_id}") for method in ("GET", "HEAD")]

    assert (head.status, head.text) == (200, "")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_a_body_that_no_path_asks_for_is_not_read(client: Client) -> None:
    """However large it is: what the document does not have for a path does not happen on it."""
    await client.ask("POST", "/chat", {"conversation_id": "c", "message": "Hello"})
    reply = await client.ask("POST", "/conversations/c/resume", data=b"x" * 2_000_000)

    assert (reply.status, reply.told["mode"]) == (200, "bot")


NOWHERE = [
    ("GET", "/api", 404, "not-found"),
    ("POST", "/api/", 404, "not-found"),
    ("GET", "/api/v2/leads", 404, "not-found"),
    ("DELETE", "/api/v1x", 404, "not-found"),
    ("POST", "/api/openapi.json", 405, "method-not-allowed"),
    ("DELETE", "/api/docs", 405, "method-not-allowed"),
    ("PUT", "/api/docs/problems", 405, "method-not-allowed"),
]


@pytest.mark.parametrize(("method", "path", "status", "name"), NOWHERE)
async def test_whatever_lies_beside_the_paths_is_a_problem_too(
    client: Client, method: str, path: str, status: int, name: str
) -> None:
    """Every refusal below ``/api`` is one that a program can read."""
    told = {"Authorization": f"Bearer {KEY}"}
    async with client.session.request(method, f"http://127.0.0.1:{client.port}{path}", headers=told) as response:
        problem = await response.json(content_type="application/problem+json")

    assert (response.status, problem["type"], problem["instance"]) == (status, f"/api/docs/problems#{name}", path)
    assert status != 405 or response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/leads", "/nowhere", "/../docs", "/../openapi.json"])
async def test_what_nobody_knows_how_to_expect_is_a_problem(client: Client, path: str) -> None:
    """The answer names the header, and repeats nothing of it."""
    reply = await client.ask("GET", path, Expect="<script>")

    assert (reply.status, reply.problem) == (417, "unexpected")
    assert "script" not in reply.text


async def test_a_body_that_waits_to_be_asked_for_is_asked_for(client: Client) -> None:
    """As curl sends large ones."""
    reply = await client.ask("POST", "/chat", {"conversation_id": "c", "message": "Hello"}, Expect="100-continue")

    assert (reply.status, reply.told["message"]) == (200, "re: Hello")


async def test_without_any_key_the_api_is_closed(tmp_path: Path) -> None:
    """An owner who configures nothing has no open door."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db", api={"keys": []}) as client:
        replies = [await client.ask("GET", "/leads", key=key) for key in (None, KEY, "fdk_" + "A" * 43, "")]

    assert [reply.status for reply in replies] == [401] * 4


# --- bodies ---

CHAT = {"conversation_id": "c", "message": "Hello"}
BODIES: Mapping[str, tuple[int, str, bytes, Mapping[str, str]]] = {
    "no JSON": (400, "malformed", b"{", {}),
    "no UTF-8": (400, "malformed", b'{"conversation_id": "\xff", "message": "x"}', {}),
    "half of a pair": (400, "malformed", b'{"conversation_id": "\\ud800", "message": "x"}', {}),
    "too deep": (400, "malformed", b'{"conversation_id": "c", "message": "x", "metadata": {"a": ' + b"[" * 5000, {}),
    "nothing": (422, "invalid", b"", {}),
    "a list": (422, "invalid", b"[]", {}),
    "a number for a text": (422, "invalid", b'{"conversation_id": 1, "message": "x"}', {}),
    "a text for a number": (422, "invalid", b'{"conversation_id": "c", "message": "x", "lead_id": "1"}', {}),
    "a number too large": (
        422,
        "invalid",
        b'{"conversation_id": "c", "message": "x", "lead_id": 9223372036854775808}',
        {},
    ),
    "infinity": (422, "invalid", b'{"conversation_id": "c", "message": "x", "metadata": {"a": 1e999}}', {}),
    "NUL": (422, "invalid", b'{"conversation_id": "\\u0000", "message": "x"}', {}),
    "an unknown channel": (422, "invalid", b'{"conversation_id": "c", "message": "x", "channel": "fax"}', {}),
    "no message": (422, "invalid", b'{"conversation_id": "c", "message": " "}', {}),
    "too long an id": (422, "invalid", json.dumps({**CHAT, "conversation_id": "c" * 513}).encode(), {}),
    "a form": (415, "unsupported-media-type", b"a=b", {"Content_Type": "application/x-www-form-urlencoded"}),
    "another charset": (415, "unsupported-media-type", b"{}", {"Content_Type": "application/json; charset=utf-16"}),
    "compressed": (415, "unsupported-media-type", b"{}", {"Content_Encoding": "gzip"}),
    "too large": (413, "too-large", b" " * (1024 * 1024 + 1), {}),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_wrong_body_is_refused_by_what_is_wrong_with_it(client: Client, name: str) -> None:
    """Each kind has a status of its own; nothing was stored, and the answer repeats nothing of it."""
    status, problem, body, headers = BODIES[name]
    reply = await client.ask("POST", "/chat", data=body, **headers)

    assert (reply.status, reply.problem) == (status, problem), reply.text
    assert await client.storage.conversations() == []


async def test_a_body_without_an_announced_length_is_limited_too(client: Client) -> None:
    """Chunks are counted as they come."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield bytes(64 * 1024)

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    address = f"http://127.0.0.1:{client.port}/api/v1/chat"
    async with client.session.post(address, data=chunks(), headers=headers) as response:
        status, closes = response.status, response.headers.get("Connection")

    assert (status, closes) == (413, "close")


async def test_a_body_that_dribbles_in_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever announces more than comes holds no connection for long."""
    monkeypatch.setattr(reading, "READ_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
    writer.write(f"Authorization: Bearer {KEY}\r\n\r\n{{".encode())
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"problems#timeout")
    writer.close()

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"\r\nConnection: close\r\n" in answer


async def test_several_faults_are_told_together(client: Client) -> None:
    """Each has its place; the whole is mended at once."""
    reply = await client.ask("POST", "/messages", {"channel": "sms", "links": [{"title": "x", "url": "ftp://x"}]})

    assert [error["at"] for error in reply.told["errors"]] == ["body.recipient", "body.links.0.url"]
    assert reply.told["detail"] == "body.recipient: is missing (and 1 more)"


# --- faults of ours, and the database away ---


async def test_a_fault_of_ours_is_logged_and_not_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of an exception leaves: it may quote a customer."""

    async def fail(*_: Any) -> Any:
        raise RuntimeError("a customer's secret")

    monkeypatch.setattr(client.parts.service.people, "resume", fail)
    with capture_logs() as lines:
        reply = await client.ask("POST", "/conversations/x/resume")

    assert (reply.status, reply.problem) == (500, "failed")
    assert "secret" not in reply.text
    assert [line["event"] for line in lines] == ["api_failed"]


AWAY = {(503, "unavailable", "5")}


async def test_while_the_database_is_away_every_path_asks_to_come_back(tmp_path: Path) -> None:
    """503 with Retry-After, never an empty list and never an exception's text."""
    async with served(tmp_path, "postgresql://u:p@127.0.0.1:9/x", migrate=False) as client:
        asking = [
            client.ask(
                route.method,
                path_of(route) + ("?date=2026-12-01" if route.path == "/availability" else ""),
                body_of(route),
                **({"Idempotency_Key": "k"} if route.path == "/chat" else {}),
            )
            for route in TABLE
        ]
        replies = await asyncio.gather(*asking, client.ask("GET", "/leads", key="fdk_" + "A" * 43))

    assert {(reply.status, reply.problem, reply.headers["Retry-After"]) for reply in replies} == AWAY
    assert "Postgre" not in "".join(reply.text for reply in replies)


async def test_a_database_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    """It is away, too, before whoever asks gives up by themselves."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x"
        async with served(tmp_path, url, migrate=False) as client:
            replies = await asyncio.gather(
                client.ask("GET", "/leads"),
                client.ask("GET", "/leads", key="fdk_" + "A" * 43),
                client.ask("POST", "/conversations/x/resume", Idempotency_Key="k"),
            )

    assert {(reply.status, reply.problem, reply.headers["Retry-After"]) for reply in replies} == AWAY


def test_a_comment_needs_a_rating() -> None:
    """What would be lost silently is refused."""
    with pytest.raises(ValueError, match="a comment needs a rating"):
        people.Closing(comment="Nice")
