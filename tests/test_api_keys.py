"""Who may use the API: keys of both kinds, how often they may ask, and whose pages may."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.config import ConfigError
from gateway.storage import AddKey, NoteKeyUses, RevokeKey, Storage, StorageUnavailable
from gateway.tasks import end
from gateway.web.api import api, limits
from gateway.web.api.keys import FAILURES, Keys
from gateway.web.api.limits import Buckets, network_of
from gateway.web.api.problems import Problem
from gateway.web.api.route import Scope
from tests.gateways import config, gateway
from tests.test_api import KEY, NOW, Client, served

SITE = "https://www.example.com"


class Clocks:
    """Both clocks of the API, moved by the test."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s


@pytest.fixture
def clocks() -> Clocks:
    """Give the clocks."""
    return Clocks()


@pytest.fixture
async def client(tmp_path: Path, database_url: str, clocks: Clocks) -> AsyncIterator[Client]:
    """Serve the API over each database, to whoever asks ten times a second at most."""
    settings = {"rate_per_s": 10, "keys": [KEY, "another key of it"]}
    async with served(tmp_path, database_url, api=settings, clock=clocks.now, monotonic=clocks.monotonic) as opened:
        yield opened


async def last_uses(client: Client) -> list[datetime | None]:
    return [key.last_used_at for key in await client.storage.api_keys.all()]


# --- keys ---


@pytest.mark.parametrize("key", [KEY, "another key of it"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_a_key_of_the_configuration_may_do_everything(client: Client, key: str, scheme: str) -> None:
    """Each of them, whatever case the scheme is written in."""
    reply = await client.ask("POST", "/conversations/x/block", key=None, Authorization=f"{scheme} {key}")

    assert (reply.status, reply.problem) == (404, "not-found")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer x{KEY}",
        "Bearer é",
    ],
)
async def test_anything_else_is_nobodys(client: Client, authorization: str) -> None:
    """And what is shown is not repeated."""
    reply = await client.ask("GET", "/leads", key=None, Authorization=authorization)

    assert (reply.status, reply.problem) == (401, "unauthorized")
    assert KEY not in reply.text


async def test_keys_that_were_made_here_have_scopes(client: Client) -> None:
    """What each may do includes what the smaller ones may."""
    asked = [("GET", "/leads"), ("POST", "/conversations/x/resume"), ("POST", "/conversations/x/block")]
    found = {}
    for scope in Scope:
        key = await client.make_key(scope)
        found[scope] = [(await client.ask(method, path, key=key)).status for method, path in asked]

    assert found == {"read": [200, 403, 403], "write": [200, 404, 403], "admin": [200, 404, 404]}


async def test_a_key_that_was_revoked_is_as_unknown_as_one_that_never_was(client: Client) -> None:
    """From the next request on."""
    key = await client.make_key("admin")
    before = await client.ask("GET", "/leads", key=key)
    [row] = await client.storage.api_keys.all()
    revoked = [await client.storage.run(RevokeKey(row.id or 0, NOW)) for _ in range(2)]
    after, unknown = [await client.ask("GET", "/leads", key=shown) for shown in (key, "fdk_" + "x" * 43)]

    assert (before.status, revoked) == (200, [True, False])
    assert (after.status, after.text) == (401, unknown.text)


async def test_the_last_use_is_noted_off_the_requests_way(client: Client, clocks: Clocks) -> None:
    """Once for all requests since the last time; a time that another process noted later stays."""
    key = await client.make_key("read")
    for _ in range(3):
        clocks.passed_s += 1
        await client.ask("GET", "/leads", key=key)
    before = await last_uses(client)
    await client.api.keys.note_uses()
    noted = await last_uses(client)
    await client.storage.run(NoteKeyUses(((1, NOW), (1, NOW + timedelta(seconds=1)))))
    after = await last_uses(client)

    assert (before, noted, after) == ([None], [NOW + timedelta(seconds=3)], [NOW + timedelta(seconds=3)])


async def test_what_was_used_last_is_noted_when_the_server_stops(tmp_path: Path) -> None:
    """A restart within the minute hides no use."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    key = "fdk_" + "B" * 43
    async with Storage(database) as storage:
        await storage.migrate()
        digest = hashlib.sha256(key.encode()).hexdigest()
        await storage.run(AddKey("crm", key[:12], digest, "read", NOW))
        async with gateway(tmp_path, database) as serving, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{serving.port}/api/v1/leads"
            async with session.get(url, headers={"Authorization": f"Bearer {key}"}) as response:
                status = response.status
        [row] = await storage.api_keys.all()

    assert status == 200
    assert row.last_used_at is not None


async def test_of_two_who_choose_one_name_at_once_one_gets_it(storage: Storage, database_url: str) -> None:
    """Whatever processes they are in; a name whose key was revoked is free again."""
    async with Storage(database_url) as other:
        adding = [AddKey("crm", "fdk_", str(n), "read", NOW) for n in range(6)]
        made = await asyncio.gather(*((other if n % 2 else storage).run(one) for n, one in enumerate(adding)))
    [row] = await storage.api_keys.all()
    await storage.run(RevokeKey(row.id or 0, NOW))

    assert sorted(made) == [False] * 5 + [True]
    assert await storage.run(AddKey("crm", "fdk_", "anew", "read", NOW))


async def test_the_loop_notes_by_itself(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever serves the API keeps it running."""
    monkeypatch.setattr(api, "NOTE_EVERY_S", 0.001)
    key = await client.make_key("read")
    noting = asyncio.create_task(client.api.note_forever())
    await client.ask("GET", "/leads", key=key)
    async with asyncio.timeout(5):
        while await last_uses(client) == [None]:
            await asyncio.sleep(0.005)
    await end([noting])

    assert await last_uses(client) == [NOW]


async def test_what_cannot_be_noted_is_noted_later(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database away loses no use."""
    key = await client.make_key("read")
    await client.ask("GET", "/leads", key=key)

    async def away(_: object) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(client.storage, "run", away)
        with pytest.raises(StorageUnavailable):
            await client.api.keys.note_uses()
    await client.api.keys.note_uses()

    assert await last_uses(client) == [NOW]


async def test_no_key_is_ever_logged(tmp_path: Path) -> None:
    """Neither a good one nor a wrong one, nor what is asked for."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    with capture_logs() as lines:
        async with served(tmp_path, database) as client:
            await client.ask("GET", "/leads")
            await client.ask("GET", "/leads", key="fdk_" + "s" * 43)
            await client.ask("GET", "/conversations/customer%40example.com")

    assert not any(word in str(lines) for word in (KEY, "sss", "customer"))


async def test_a_gateway_serves_the_api_where_it_has_a_door(tmp_path: Path) -> None:
    """With the keys of its configuration, the rate and the origins."""
    more = f"\napi: {{keys: ['{KEY}'], rate_per_s: 0.5, cors_origins: ['{SITE}']}}"
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with gateway(tmp_path, database, more_channels=more) as opened, aiohttp.ClientSession() as session:
        client = Client(session, opened.parts, opened.api, opened.port)
        good = await client.ask("GET", "/leads", Origin=SITE)
        many = await client.ask("GET", "/leads")

    assert (good.status, good.headers["Access-Control-Allow-Origin"]) == (200, SITE)
    assert (many.status, many.problem) == (429, "rate-limited")


# --- how often ---


async def test_whoever_asks_too_often_is_told_when_to_come_back(client: Client, clocks: Clocks) -> None:
    """Two seconds' worth at once, then the rate; each key by itself."""
    replies = [await client.ask("GET", "/leads") for _ in range(21)]
    other = await client.ask("GET", "/leads", key="another key of it")
    clocks.passed_s += 0.1
    later = [(await client.ask("GET", "/leads")).status for _ in range(2)]

    assert [reply.status for reply in replies] == [200] * 20 + [429]
    assert (replies[-1].problem, replies[-1].headers["Retry-After"]) == ("rate-limited", "1")
    assert (other.status, later) == (200, [200, 429])


async def test_whoever_guesses_keys_is_slowed_down_and_nobody_else(client: Client, clocks: Clocks) -> None:
    """Right keys are let in from the same address, also those that nobody has used yet: it may be a proxy's."""
    known = await client.make_key("read", "known")
    unused = await client.make_key("read", "unused", "B")
    await client.ask("GET", "/leads", key=known)
    guesses = [(await client.ask("GET", "/leads", key=f"wrong {number}")) for number in range(FAILURES + 1)]
    looks = [await client.ask("GET", "/leads", key=key) for key in (known, KEY, unused, "fdk_" + "x" * 43)]
    clocks.passed_s += 1
    again = [(await client.ask("GET", "/leads", key=key)).status for key in (unused, "wrong", "wrong")]

    assert [reply.status for reply in guesses] == [401] * FAILURES + [429]
    assert guesses[-1].headers["Retry-After"] == "1"
    assert [reply.status for reply in looks] == [200, 200, 200, 429]
    assert again == [200, 401, 429]


async def test_a_flood_of_guesses_asks_the_database_seldom(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who come between two looks share the next one, and so does a key that was just made."""
    looks = []
    look = client.storage.api_keys.hashes

    async def count() -> frozenset[str]:
        looks.append(1)
        return await look()

    monkeypatch.setattr(client.storage.api_keys, "hashes", count)
    first = await client.ask("GET", "/leads", key="fdk_" + "x" * 43)
    new = await client.make_key("read")
    keys = [new, *(f"fdk_{number:043}" for number in range(60))]
    replies = await asyncio.gather(*(client.ask("GET", "/leads", key=key) for key in keys))

    assert first.status == 401
    assert [reply.status for reply in replies] == [200] + [401] * 60
    assert len(looks) <= 4


async def test_whoever_guesses_one_after_the_other_waits_for_each(storage: Storage) -> None:
    """A look begins no sooner than the pause after the last one is over; a key that is known waits for none."""
    key = "fdk_" + "A" * 43
    await storage.run(AddKey("crm", key[:12], hashlib.sha256(key.encode()).hexdigest(), "read", NOW))
    keys = Keys(storage, [], lambda: NOW, lambda: 0.0, look_every_s=0.1)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(4):
        with pytest.raises(Problem):
            await keys.identify(f"Bearer fdk_{number:043}", "203.0.113.1")
    took_s = loop.time() - began_s
    holders = [(await keys.identify(f"Bearer {key}", "203.0.113.1")).name for _ in range(100)]

    assert took_s >= 0.29
    assert set(holders) == {"crm"}


def test_a_bucket_fills_with_time_and_never_beyond_its_burst() -> None:
    """Nothing is saved up over a night."""
    clocks = Clocks()
    buckets = Buckets(rate_per_s=2, burst=3, monotonic=clocks.monotonic)
    first = [buckets.take("a") for _ in range(4)]
    clocks.passed_s += 0.5
    second = [buckets.take("a") for _ in range(2)]
    clocks.passed_s += 3600
    third = [buckets.take("a") for _ in range(4)]

    assert (first, second, third) == ([None, None, None, 1], [None, 1], [None, None, None, 1])
    assert (buckets.wait_s("a"), buckets.wait_s("b"), buckets.wait_s("b")) == (1, None, None)


def test_strangers_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number, whoever has been silent for longest is forgotten."""
    monkeypatch.setattr(limits, "MAX_BUCKETS", 2)
    buckets = Buckets(rate_per_s=1, burst=1, monotonic=lambda: 0.0)
    for who in "abc":
        buckets.take(who)

    assert ([buckets.wait_s(who) for who in "cb"], len(buckets._buckets)) == ([1, 1], 2)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "no address", True),
    ],
)
def test_a_network_of_ipv6_is_one_customer(one: str, other: str, same: bool) -> None:
    """Whoever has 2^64 addresses does not have as many tries."""
    assert (network_of(one) == network_of(other)) is same


# --- whose pages ---


async def test_without_origins_no_page_may(client: Client) -> None:
    """A browser is told nothing, and its question before the question needs a key like everything."""
    reply = await client.ask("GET", "/leads", Origin=SITE)
    preflight = await client.ask("OPTIONS", "/leads", key=None, Origin=SITE, Access_Control_Request_Method="GET")

    assert not any(name.startswith("Access-Control") for name in (*reply.headers, *preflight.headers))
    assert (reply.status, preflight.status) == (200, 401)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(SITE, True), ("https://www.example.com.evil.example", False), ("http://www.example.com", False), ("null", False)],
)
async def test_only_the_named_origins_may(tmp_path: Path, origin: str, allowed: bool) -> None:
    """To the letter; refusals are readable there, too, and caches keep them apart."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    async with served(tmp_path, database, api={"cors_origins": [SITE]}) as client:
        replies = [
            await client.ask("GET", "/leads", Origin=origin),
            await client.ask("GET", "/leads", key=None, Origin=origin),
            await client.ask("OPTIONS", "/leads", key=None, Origin=origin, Access_Control_Request_Method="GET"),
        ]

    assert [reply.headers.get("Access-Control-Allow-Origin") for reply in replies] == [origin if allowed else None] * 3
    assert [reply.status for reply in replies] == [200, 401, 204 if allowed else 401]
    assert {reply.headers["Vary"] for reply in replies} == {"Origin"}


async def test_a_browser_that_asks_first_learns_what_it_may_send(tmp_path: Path) -> None:
    """The path's methods and our headers."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    headers = {"Origin": SITE, "Access_Control_Request_Method": "DELETE"}
    async with served(tmp_path, database, api={"cors_origins": [SITE]}) as client:
        reply = await client.ask("OPTIONS", "/conversations/x/block", key=None, **headers)

    assert reply.headers["Access-Control-Allow-Methods"] == "DELETE, POST"
    assert reply.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, Idempotency-Key"


@pytest.mark.parametrize(
    "origin", ["*", "https://www.example.com/", "https://WWW.example.com", "https://a.example:443", "x"]
)
def test_what_is_no_origin_is_refused(tmp_path: Path, origin: str) -> None:
    """What no browser would ever write would allow nobody, silently."""
    with pytest.raises(ConfigError, match=r"api\.cors_origins\.0: must be"):
        config(tmp_path, "sqlite:////x.db", more_channels=f"\napi: {{cors_origins: ['{origin}']}}")
