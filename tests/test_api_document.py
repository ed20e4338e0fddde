"""The OpenAPI document is valid and true: a program that knows nothing else drives every path by it."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import itertools
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.hooks import WEBHOOKS
from gateway.web.api.openapi import document
from gateway.web.api.problems import KINDS
from gateway.web.api.table import TABLE
from tests.conftest import DATABASES, make_database
from tests.test_api import KEY, Client, served
from tests.world import world

DOCUMENT = document(TABLE)
# What no schema can say is refused, too: an address that is none, a key that was another request's.
SENT = {"Authorization": f"Bearer {KEY}"}
schema = schemathesis.openapi.from_dict(DOCUMENT)


# --- driven by the document ---


@contextmanager
def serving(folder: Path, database: str) -> Iterator[str]:
    """Serve the API from a thread of its own: what drives it here knows no event loop."""
    started: Any = threading.Event()
    there: dict[str, Any] = {}

    async def serve() -> None:
        there["stop"], there["loop"] = asyncio.Event(), asyncio.get_running_loop()
        # Each look at the clock is long after the last: nothing is too often.
        monotonic = itertools.count(step=1000).__next__
        async with world() as around, served(folder, database, monotonic=monotonic, **around.addresses) as client:
            there["url"] = f"http://127.0.0.1:{client.port}"
            started.set()
            await there["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(30)
        yield there["url"]
    finally:
        there["loop"].call_soon_threadsafe(there["stop"].set)
        thread.join()


@pytest.fixture(scope="module", params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the API over each database."""
    folder = tmp_path_factory.mktemp(request.param)
    database = f"sqlite:///{folder}/frontdesk.db"
    if request.param == "postgresql":
        database = asyncio.run(make_database(request.getfixturevalue("postgres_url")))
    with serving(folder, database) as address:
        yield address


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_request_that_the_document_allows_or_forbids_finds_a_fault(case: schemathesis.Case, url: str) -> None:
    """Never a 5xx; every status, header and body is one that the document has."""
    case.call_and_validate(base_url=url, headers=SENT, excluded_checks=[positive_data_acceptance])


# --- what it says ---


def test_the_document_is_valid() -> None:
    """By the metaschema of OpenAPI 3.1; a document without its answers would not be."""
    broken = copy.deepcopy(DOCUMENT)
    broken["paths"]["/api/v1/leads"]["get"]["responses"] = "none"

    assert DOCUMENT["openapi"] == "3.1.0"
    schema.validate()
    with pytest.raises(Exception, match="responses"):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_path_is_described() -> None:
    """With a name of its own, its scope, and every answer that it has."""
    operations = {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    names = [operation["operationId"] for operation in operations.values()]

    assert set(operations) == {(route.method, route.full_path) for route in TABLE}
    assert len(set(names)) == len(names)
    for route in TABLE:
        operation = operations[route.method, route.full_path]
        statuses = {int(status) for status in operation["responses"]}
        assert f"Needs a key for {route.scope}" in operation["description"]
        assert {route.status, 401, 403, 404, 405, 422, 429, 500, 503} <= statuses
        assert ({400, 408, 413, 415} & statuses != set()) == (route.body is not None)
        assert (route.body is not None) == ("requestBody" in operation)


def test_every_webhook_is_described() -> None:
    """With the model of its body."""
    told = {
        name: event["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for name, event in DOCUMENT["webhooks"].items()
    }

    assert told == {**{name: model.__name__ for name, model in WEBHOOKS.items()}, "webhook.test": "WebhookTest"}
    assert set(told.values()) <= set(DOCUMENT["components"]["schemas"])


def test_every_column_of_the_contract_is_told() -> None:
    """Under its own name."""
    told = {name: set(model["properties"]) for name, model in DOCUMENT["components"]["schemas"].items()}
    contract = {
        "ConversationTold": "id conversation_id channel channel_name contact_id lead_id customer_id user_id user_name "
        "user_email user_phone is_active mode assigned_to platform_metadata created_at last_activity_at "
        "total_messages user_messages bot_messages escalated escalated_at escalation_reason converted_to_lead "
        "converted_to_appointment answered_sequence",
        "MessageTold": "id conversation_id role content sequence_number timestamp has_attachments attachment_urls "
        "metadata channel_name external_id model_used reasoning_effort verbosity tokens_used processing_time_ms "
        "tool_calls",
        "DeliveryTold": "id message_id conversation_id part channel_name recipient content status attempts "
        "next_attempt_at external_id error_code error_message created_at sent_at",
        "LeadTold": "id name phone email address source notes status conversation_id contact_id created_at",
        "AppointmentTold": "id customer_name phone address scheduled_date scheduled_time starts_at service type status "
        "conversation_id contact_id created_at",
        "ChatTold": "conversation_id message actions needs_human_escalation timestamp model database_conversation_id "
        "message_count tokens_used",
    }

    assert {name: set(columns.split()) - told[name] for name, columns in contract.items()} == {
        name: set() for name in contract
    }


# --- its pages ---


class Page(HTMLParser):
    """What a page has: its ids, where it leads, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        named = dict(attributes)
        self.ids += [str(value) for name, value in attributes if name == "id"]
        if tag == "a":
            self.links.append(str(named["href"]))
        elif tag in {"script", "link", "img", "iframe", "object"} or "src" in named or "onclick" in named:
            self.loads.append(tag)


async def fetch(client: Client, path: str) -> tuple[aiohttp.ClientResponse, str]:
    """Ask for a page without a key."""
    async with client.session.get(f"http://127.0.0.1:{client.port}{path}") as response:
        return response, await response.text()


async def test_the_pages_are_open_and_load_nothing(tmp_path: Path) -> None:
    """Whoever has no key yet reads them; no script, and nothing from another host or from here."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as client:
        told, text = await fetch(client, "/api/openapi.json")
        answers = [await fetch(client, path) for path in ("/api/docs", "/api/docs/problems")]

    assert (told.status, told.content_type, json.loads(text)) == (200, "application/json", DOCUMENT)
    for response, body in answers:
        page = Page(body)
        assert (response.status, response.content_type, page.loads) == (200, "text/html", [])
        assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/=]{44}';.*", policy_of(response))
        assert not [link for link in page.links if not link.startswith(("#", "/api/"))]
        assert '<meta name="viewport"' in body


def policy_of(response: aiohttp.ClientResponse) -> str:
    return response.headers["Content-Security-Policy"]


async def test_the_style_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    """Or browsers would show the page without it."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as client:
        response, body = await fetch(client, "/api/docs")
    [style] = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"'sha256-{digest}'" in policy_of(response)


async def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    """To a path, a model or a problem that is explained; and every path, model and problem has its place."""
    async with served(tmp_path, f"sqlite:///{tmp_path}/frontdesk.db") as client:
        docs, problems = [Page((await fetch(client, path))[1]) for path in ("/api/docs", "/api/docs/problems")]
    here = {f"#{id_}" for id_ in docs.ids}
    explained = {f"/api/docs/problems#{id_}" for id_ in problems.ids}
    known = here | explained | {"/api/openapi.json", "/api/docs", "/api/docs/problems"}

    assert {*docs.links, *problems.links} <= known
    assert set(problems.ids) == set(KINDS)
    assert len(set(docs.ids)) == len(docs.ids) == 1 + len(TABLE) + len(DOCUMENT["components"]["schemas"])


# --- its commands ---

SAMPLES = [
    (f"{method} {path} {sample['label']}", sample["source"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for sample in operation["x-codeSamples"]
]


@pytest.mark.skipif(
    "CI" not in os.environ and shutil.which("curl") is None,  # where it has to pass, a missing curl is a failure
    reason="the documentation's commands need curl",
)
async def test_every_command_of_the_documentation_runs(tmp_path: Path) -> None:
    """As it stands, in a shell that knows the server, a key and a conversation."""
    database = f"sqlite:///{tmp_path}/frontdesk.db"
    done = {}
    async with world() as around, served(tmp_path, database, **around.addresses) as client:
        url = f"http://127.0.0.1:{client.port}"
        for number, (name, command) in enumerate(SAMPLES):
            conversation = await client.write_to(f"+1555010{number:04}")
            if "/rating" in name:
                await client.ask("POST", f"/conversations/{conversation}/close")
            process = await asyncio.create_subprocess_shell(
                f"{command} -s -o /dev/null -w '%{{http_code}}'",
                env={
                    "PATH": os.environ["PATH"],
                    "FRONTDESK": url,
                    "KEY": KEY,
                    "CONVERSATION": conversation,
                    "CONTACT": await client.contact_of(conversation),
                },
                stdout=asyncio.subprocess.PIPE,
            )
            done[name] = (await process.communicate())[0].decode()

    assert {name: status for name, status in done.items() if status not in ("200", "202")} == {}
    assert len(done) == len(SAMPLES) >= len(TABLE)
