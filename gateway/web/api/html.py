"""The OpenAPI document as one page of HTML: no script, nothing from elsewhere, readable on a phone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.web.api.problems import KINDS

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: light-dark(#0550ae, #79b8ff) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 0 auto; padding: 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
h3 { margin-top: 2rem; overflow-wrap: anywhere } a { color: var(--link) }
code, pre { font: .875em/1.5 ui-monospace, monospace } code { overflow-wrap: anywhere }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: .4rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line) }
nav li { overflow-wrap: anywhere } .kind { opacity: .75 }
"""
_FRAME = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
)
_MODEL = re.compile(r"#/components/schemas/(\w+)")
BEFORE = """\
<p>The commands below run in a shell that knows where this server is, and a key:</p>
<pre>export FRONTDESK=https://chat.example.com KEY=… CONVERSATION=… CONTACT=…</pre>
<p>The same for programs: <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1).</p>"""


def document_page(document: Mapping[str, Any]) -> str:
    """Return the page of a document."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    body = "\n".join(
        (
            f"<h1>{_text(document['info']['title'])} API</h1>",
            _prose(document["info"]["description"]),
            BEFORE,
            "<nav><ul>",
            *(f'<li><a href="#{one["operationId"]}"><code>{m} {_text(p)}</code></a></li>' for m, p, one in operations),
            "</ul></nav>\n<h2>Paths</h2>",
            *(_operation(*one) for one in operations),
            '<h2 id="webhooks">Webhooks</h2>',
            "<p>What is posted to the addresses under <code>webhooks</code> in config.yaml, signed.</p>",
            '<div class="scroll"><table>',
            *(_webhook(name, event["post"]) for name, event in document["webhooks"].items()),
            "</table></div>\n<h2>Models</h2>",
            *(_model(name, schema) for name, schema in sorted(schemas.items())),
        )
    )
    return _page("Frontdesk API", body)


def problems_page() -> str:
    """Return the page that the types of problems lead to."""
    parts = ["<h1>Problems</h1>", '<p>What the <a href="/api/docs">API</a> refuses, and what to do then.</p>']
    for name, kind in KINDS.items():
        parts.append(f'<h2 id="{name}">{_text(kind.title)}</h2>')
        parts.append(f"<p><code>{kind.status} {name}</code></p>{_prose(kind.explanation)}")
    return _page("Problems of the Frontdesk API", "\n".join(parts))


def _page(title: str, body: str) -> str:
    return _FRAME.format(title=_text(title), style=STYLE, body=body)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<h3 id="{operation["operationId"]}"><code>{method} {_text(path)}</code></h3>',
        f"<p><strong>{_text(operation['summary'])}.</strong></p>{_prose(operation['description'])}",
    ]
    if operation["parameters"]:
        rows = (
            (f"{p['name']} <span class=kind>{p['in']}</span>", p["schema"], p["required"], p["description"])
            for p in operation["parameters"]
        )
        parts.append(_table("Parameter", rows))
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append(f"<p>Body: {_kind(schema)}</p>")
    parts += [
        f"<p>{_text(sample['label']).capitalize()}:</p><pre>{_text(sample['source'])}</pre>"
        for sample in operation["x-codeSamples"]
    ]
    parts.append("<ul>")
    for status, answer in operation["responses"].items():
        kinds = " or ".join(_kind(one["schema"]) for one in answer["content"].values()) if int(status) < 400 else ""
        parts.append(f"<li><code>{status}</code> {_inline(answer['description'])} {kinds}</li>")
    return "\n".join((*parts, "</ul>"))


def _webhook(name: str, event: Mapping[str, Any]) -> str:
    schema = event["requestBody"]["content"]["application/json"]["schema"]
    said = _inline(event["summary"])
    return f"<tr><td><code>{_text(name)}</code></td><td>{_kind(schema)}</td><td>{said}</td></tr>"


def _model(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = ((_text(f), one, f in required, one.get("description", "")) for f, one in schema["properties"].items())
    described = _prose(schema.get("description", ""))
    return f'<h3 id="{name}"><code>{name}</code></h3>{described}{_table("Field", rows)}'


def _table(first: str, rows: Iterable[tuple[str, Mapping[str, Any], bool, str]]) -> str:
    lines = [
        f"<tr><td><code>{name}</code>{'' if required else ' <span class=kind>optional</span>'}</td>"
        f"<td>{_kind(schema)}</td><td>{_inline(described)}</td></tr>"
        for name, schema, required, described in rows
    ]
    head = f"<tr><th>{first}</th><th>Kind</th><th></th></tr>"
    return f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'


def _kind(schema: Mapping[str, Any]) -> str:
    """Say what a schema takes, in a few words."""
    if "$ref" in schema:
        match = _MODEL.fullmatch(schema["$ref"])
        assert match is not None
        return f'<a href="#{match[1]}"><code>{match[1]}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " ".join(f"<code>{_text(str(word))}</code>" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    kind = " ".join(filter(None, (str(schema.get("type", "anything")), schema.get("format"))))
    bounds = (("from", "minimum"), ("to", "maximum"), ("default", "default"))
    more = [f"{word} {schema[key]}" for word, key in bounds if schema.get(key) not in (None, "", [])]
    return _text(", ".join((kind, *more)))


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _inline(text: str) -> str:
    """Turn the two marks that our texts use into HTML: `code` and [words](address)."""
    escaped = _text(text)
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', coded)


def _text(text: str) -> str:
    return html.escape(text)
