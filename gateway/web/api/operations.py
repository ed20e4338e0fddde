"""One operation of the OpenAPI document: what it takes, what it answers, and commands that try it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from shlex import quote
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.web.api.problems import CONTENT_TYPE, KINDS, PAGE
from gateway.web.api.repeats import HEADER, REPLAYED
from gateway.web.api.route import Route
from gateway.web.api.streams import EVENTS

REFERENCE = "#/components/schemas/{model}"
EVERYWHERE = (
    "unauthorized",
    "forbidden",
    "not-found",
    "method-not-allowed",
    "unexpected",
    "invalid",
    "rate-limited",
    "failed",
    "unavailable",
)
WITH_BODY = ("malformed", "timeout", "too-large", "unsupported-media-type")
WITH_KEY = ("still-running", "outcome-unknown", "answer-erased", "repeated-differently")


def problem_names(route: Route) -> tuple[str, ...]:
    """Return every problem that a path can answer with."""
    body = WITH_BODY if route.body else ()
    key = WITH_KEY if route.method == "POST" else ()
    return (*EVERYWHERE, *body, *key, *route.problems)


class Schemas:
    """The models of a table, each under one name."""

    def __init__(self, given: Iterable[type[BaseModel]], told: Iterable[type[BaseModel]]) -> None:
        wanted: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in given]
        wanted += [(model, "serialization") for model in told]
        references, made = models_json_schema(wanted, ref_template=REFERENCE)
        self.definitions: dict[str, Any] = made.get("$defs", {})
        self._references = references

    def given(self, model: type[BaseModel]) -> dict[str, Any]:
        """Return the schema of what a request says."""
        return dict(self._references[model, "validation"])

    def told(self, model: type[BaseModel]) -> dict[str, Any]:
        """Return the schema of what an answer, or a webhook, says."""
        return dict(self._references[model, "serialization"])


def operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.summary,
        "description": f"{route.description}\n\nNeeds a key for {route.scope}.".strip(),
        "tags": [route.path.split("/")[1]],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": {str(route.status): _answer(route, schemas), **_problems(route)},
    }
    if route.examples or route.body is None:
        made["x-codeSamples"] = _samples(route)
    if route.body is not None:
        content: dict[str, Any] = {"schema": schemas.given(route.body)}
        content["examples"] = {_word(name): {"summary": name, "value": value} for name, value in route.examples.items()}
        made["requestBody"] = {"required": route.body_required, "content": {"application/json": content}}
    return made


def _name(route: Route) -> str:
    path = re.sub(r"s/\{\w+\}", "", route.path)
    return f"{route.method.lower()}{path.replace('/', '_')}"


def _samples(route: Route) -> list[dict[str, str]]:
    """Write the examples as commands of a shell in which $FRONTDESK is our address, $KEY a key, and so on."""
    return [
        {"lang": "shell", "label": name, "source": _curl(route, example)}
        for name, example in (route.examples or {"as it is": {}}).items()
    ]


def _curl(route: Route, example: Mapping[str, Any]) -> str:
    path = re.sub(r"\{(\w+)_id\}", lambda found: f"${found[1].upper()}", route.full_path)
    query = f"?{urlencode(example)}" if route.query is not None and example else ""
    lines = [f'curl -X {route.method} "$FRONTDESK{path}{query}"', '-H "Authorization: Bearer $KEY"']
    if route.body is not None:
        lines += ['-H "Content-Type: application/json"', f"-d {quote(json.dumps(example))}"]
    return " \\\n  ".join(lines)


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"The {name.removesuffix('_id')}'s public id, percent-encoded where it has to be.",
            "schema": schema,
        }
        for name in route.ids
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": one.get("description", ""),
            "schema": _in_a_query(one),
        }
        for name, one in schema["properties"].items()
    ]


def _in_a_query(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema for a query, in which what is not there is left out and never null."""
    [kind] = [one for one in schema.get("anyOf", [{}]) if one.get("type") != "null"]
    plain = {key: value for key, value in schema.items() if key not in ("title", "description", "anyOf")}
    return {key: value for key, value in {**kind, **plain}.items() if value is not None}


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.method != "POST":
        return []
    schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
    description = "Yours to choose, random and new for each request; a repetition with the same one is answered alike."
    return [{"name": HEADER, "in": "header", "required": False, "description": description, "schema": schema}]


def _answer(route: Route, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": schemas.told(route.told)}}
    if route.streams:
        content[EVENTS] = {"schema": {"type": "string", "description": "The events started, message, done; problem."}}
    made: dict[str, Any] = {"description": HTTPStatus(route.status).phrase, "content": content}
    if route.method == "POST":
        description = "Whether this is the answer to an earlier request with the same Idempotency-Key."
        made["headers"] = {REPLAYED: {"description": description, "schema": {"type": "string", "const": "true"}}}
    return made


def _problems(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for name in problem_names(route):
        by_status.setdefault(KINDS[name].status, []).append(name)
    return {str(status): _problem(names) for status, names in sorted(by_status.items())}


def _problem(names: Sequence[str]) -> dict[str, Any]:
    said = "; ".join(f"[{KINDS[name].title}]({PAGE}#{name})" for name in names)
    return {"description": said, "content": {CONTENT_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}}
