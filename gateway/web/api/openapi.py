"""The OpenAPI document: the table of paths and their models, as other programs read them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.hooks import WEBHOOKS, Payload, WebhookTest
from gateway.web.api.operations import Schemas, operation
from gateway.web.api.route import Route

VERSION = "1.0.0"
TOLD: Mapping[str, type[Payload]] = {**WEBHOOKS, "webhook.test": WebhookTest}
"""Everything that an address may be posted."""
SIGNED = {
    "webhook-id": "The same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "The signature by Standard Webhooks 1.0.0.",
}
ABOUT = """\
Everything that Frontdesk knows and does, for programs. Lists come a page at a time: give `next_cursor` as `cursor` \
to read on. Times are written with their offset. What is refused is a problem (RFC 9457) whose `type` leads to \
[its explanation](/api/docs/problems).

Send an `Idempotency-Key` with every POST: whatever happens to the connection, the request can be repeated with the \
same key for 24 hours, is done once, and is answered as the first time."""


def document(table: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a table."""
    schemas = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.full_path, {})[route.method.lower()] = operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Frontdesk", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "webhooks": {name: {"post": _webhook(name, model, schemas)} for name, model in TOLD.items()},
        "components": {
            "schemas": {**schemas.definitions, "Problem": PROBLEM},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of api.keys, or one that `frontdesk keys add` made.",
                }
            },
        },
    }


PROBLEM = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to its explanation."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do next."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "errors": {
            "type": "array",
            "description": "What does not hold, place by place.",
            "items": {
                "type": "object",
                "required": ["at", "problem"],
                "properties": {"at": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}


def _schemas(table: Sequence[Route]) -> Schemas:
    given = [route.body for route in table if route.body is not None]
    told = [*(route.told for route in table), *TOLD.values()]
    return Schemas(dict.fromkeys(given), dict.fromkeys(told))


def _webhook(name: str, model: type[Payload], schemas: Schemas) -> dict[str, Any]:
    """Describe what we post to the addresses of ``webhooks``, and what we take for an answer."""
    return {
        "operationId": name.replace(".", "_"),
        "summary": inspect.cleandoc(model.__doc__ or ""),
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
            for header, said in SIGNED.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.told(model)}}},
        "responses": {"2XX": {"description": "It has arrived. Anything else is tried again, 410 is not."}},
    }
