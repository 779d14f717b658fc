"""The page at /docs: OpenAPI as plain HTML. No script and nothing from elsewhere: it works offline and under a closed policy."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1d21;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem;border-top:1px solid #d5d9de;padding-top:1rem}"
    "code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:#f4f5f7;padding:.75rem;overflow-x:auto;border-radius:4px}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #e6e8eb}.method{display:inline-block;min-width:3.2rem;font-weight:600}nav a{display:block}"
    "@media(prefers-color-scheme:dark){body{color:#e4e6e9;background:#16181b}pre{background:#22252a}td,th,h2{border-color:#33373d}a{color:#7db3ff}}"
)
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; base-uri 'none'"
)
"""Content-Security-Policy of the page: its own style and nothing else."""


def docs_page(openapi: Mapping[str, Any]) -> str:
    """The page for an OpenAPI description."""
    info = openapi["info"]
    schemas = openapi.get("components", {}).get("schemas", {})
    routes = [(path, method, operation) for path, methods in openapi["paths"].items() for method, operation in methods.items()]
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>',
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p><nav>',
        *(
            f'<a href="#{_anchor(path, method)}"><span class="method">{method.upper()}</span> {escape(path)}</a>'
            for path, method, _ in routes
        ),
        "</nav>",
    ]
    for path, method, operation in routes:
        parts += _route(path, method, operation, schemas)
    parts += _parts(schemas)
    return "".join([*parts, "</body></html>\n"])


def _route(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{_anchor(path, method)}"><span class="method">{method.upper()}</span> {escape(path)}</h2>'
    yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
    body = _schema(operation.get("requestBody", {}), schemas)
    if body:
        yield "<h3>Body</h3>" + _fields(body, schemas)
        yield _pre(_curl(path, _json(body.get("example", {}))))
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<h3>Parameters</h3><table>"
        for each in parameters:
            yield _row(each["name"], each["schema"], each.get("description", ""), schemas, required=each.get("required", False))
        yield "</table>"
    problems = [status for status in operation["responses"] if status.startswith(("4", "5"))]
    for status, answer in operation["responses"].items():
        schema = _schema(answer, schemas)
        if status not in problems:
            yield f"<h3>{escape(status)} {escape(answer.get('description', ''))}</h3>{_fields(schema, schemas)}"
            if "example" in schema:
                yield _pre(_json(schema["example"]))
    if problems:
        yield f"<p>Or a problem document: {escape(', '.join(problems))}.</p>"


def _parts(schemas: Mapping[str, Any]) -> Iterator[str]:
    """What bodies are made of."""
    yield "<h2>What bodies are made of</h2>"
    for name, schema in schemas.items():
        if "properties" in schema:
            yield f"<h3>{escape(name)}</h3><p>{escape(schema.get('description', ''))}</p>{_fields(schema, schemas)}"


def _curl(path: str, example: str) -> str:
    return f"curl http://127.0.0.1:8000{path} -H 'Content-Type: application/json' -d '{example}'"


def _schema(holder: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    for content in holder.get("content", {}).values():
        found: Mapping[str, Any] = _resolved(content.get("schema", {}), schemas)
        return found
    return {}


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schemas.get(schema["$ref"].rpartition("/")[2], {}) if "$ref" in schema else schema
    return found


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        _row(name, each, each.get("description", ""), schemas, required=name in required)
        for name, each in schema.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _row(name: str, schema: Mapping[str, Any], text: str, schemas: Mapping[str, Any], *, required: bool) -> str:
    mark = "" if required else " (optional)"
    resolved = _resolved(schema, schemas)
    words = text or resolved.get("description", "")
    return f"<tr><td><code>{escape(name)}</code>{mark}</td><td>{escape(_type(schema, schemas))}</td><td>{escape(words)}</td></tr>"


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """In a few words: ``number, > 0, ≤ 1000000000000``."""
    if "anyOf" in schema:
        return " or ".join(_type(each, schemas) for each in schema["anyOf"])
    if "$ref" in schema:
        resolved = _resolved(schema, schemas)
        return _type(resolved, schemas) if "enum" in resolved else schema["$ref"].rpartition("/")[2]
    if "enum" in schema or "const" in schema:
        return ", ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    words = [str(schema.get("type", "anything"))]
    if "items" in schema:
        words[0] += f" of {_type(schema['items'], schemas)}"
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    words += [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return ", ".join([*words, *([f"default {schema['default']}"] if schema.get("default") not in (None, "") else [])])


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _anchor(path: str, method: str) -> str:
    return escape(f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""), quote=True)
