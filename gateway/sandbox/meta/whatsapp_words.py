"""How a message of WhatsApp's reads on a telephone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def words_of(body: Mapping[str, Any]) -> str:
    """Return what a customer reads: a text, a caption or a file's address, and what there is to pick in brackets."""
    kind = body.get("type", "text")
    return "\n".join(filter(None, _lines(kind, body[kind])))


def _lines(kind: str, content: Any) -> Iterator[str]:
    match kind:
        case "text":
            yield content["body"]
        case "location":
            where = f"{content['latitude']}, {content['longitude']}"
            yield ", ".join(filter(None, (content.get("name"), content.get("address"), where)))
        case "contacts":
            for contact in content:
                yield contact["name"]["formatted_name"]
        case "reaction":
            yield content["emoji"]
        case "template":
            yield f"template {content['name']}"
            yield from _parameters(content)
        case "interactive":
            yield from _interactive(content)
        case _:
            yield content.get("caption") or _file(kind, content)


def _parameters(template: Mapping[str, Any]) -> Iterator[str]:
    for component in template.get("components", ()):
        for parameter in component.get("parameters", ()):
            if "text" in parameter:
                yield str(parameter["text"])


def _interactive(content: Mapping[str, Any]) -> Iterator[str]:
    for part in ("header", "body", "footer"):
        said = content.get(part, {})
        kind = said.get("type", "text")
        yield said.get("text", "") if kind == "text" else _file(kind, said[kind])
    titles = _titles(content["type"], content["action"])
    yield " ".join(f"[{title}]" for title in titles)


def _titles(kind: str, action: Mapping[str, Any]) -> Iterator[str]:
    match kind:
        case "button":
            yield from (button["reply"]["title"] for button in action["buttons"])
        case "list":
            yield from (row["title"] for section in action["sections"] for row in section["rows"])
        case "cta_url":
            yield f"{action['parameters']['display_text']}: {action['parameters']['url']}"


def _file(kind: str, content: Mapping[str, Any]) -> str:
    return str(content.get("link") or f"{kind} {content['id']}")
