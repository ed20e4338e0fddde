"""Reading JSON in which any field may be absent or of another type."""

from __future__ import annotations

import json
from typing import Any

from channels.base import Request


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_json_body(request: Request) -> Any:
    """Return what the JSON in a request says; None where it is none."""
    if request.file is None:
        return read_json(request.body)
    # Its bytes are gone before the text is read: a large one stands in memory once less.
    return read_json(request.file.read_text("utf-8", errors="replace"))


def a_map(value: Any) -> dict[str, Any]:
    """Return a JSON object, an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> list[Any]:
    """Return a JSON list, an empty one where it is none."""
    return value if isinstance(value, list) else []


def a_text(value: Any) -> str:
    """Return a text, an empty one where it is none."""
    return value if isinstance(value, str) else ""
