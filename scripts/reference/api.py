"""The API's reference, from the application's OpenAPI description."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from madang.core.settings import Settings
from madang.server.api.app import create_app, declared_routes
from madang.server.context import ServerContext
from scripts.reference.markdown import code, one_line, page, prose, table

Json = dict[str, Any]
VERBS = ("get", "post", "put", "patch", "delete")


def build_app() -> FastAPI:
    """The application as the server makes it, over a state folder that is never written."""
    with tempfile.TemporaryDirectory() as folder:
        context = ServerContext.from_settings(Settings(state_dir=Path(folder)))
        app = create_app(context)
        asyncio.run(context.close())
    return app


def api_page() -> str:
    app = build_app()
    description = app.openapi()
    parts = [
        "# API",
        "Requests carry `Authorization: Bearer TOKEN`. Times are ISO 8601 in UTC. Lists are "
        "pages: `items` and `next_cursor`, which the next request gives back as `cursor`. Errors "
        "are `application/problem+json` with a `code`: see [errors](errors.md). A running "
        "platform shows this description at `/docs` and as JSON at `/openapi.json`.",
    ]
    by_tag: dict[str, list[str]] = {}
    for path, verbs in description["paths"].items():
        for verb in VERBS:
            if verb in verbs:
                operation = verbs[verb]
                tag = (operation.get("tags") or ["other"])[0]
                section = "\n\n".join(filter(None, _operation(verb, path, operation)))
                by_tag.setdefault(tag, []).append(section)
    for tag, sections in by_tag.items():
        parts.extend([f"## {tag}", *sections])
    parts.append("## Routes of other protocols")
    parts.append(
        "What the MLflow client uses (the same below `/projects/PROJECT`), and what the "
        "platform's processes say to each other below `/internal`."
    )
    parts.append(table(("method", "path", "permission"), list(_other_routes())))
    schemas = description.get("components", {}).get("schemas", {})
    parts.append("## Types")
    for name, schema in schemas.items():
        parts.extend(_schema(name, schema))
    return page(*parts)


def _other_routes() -> Iterator[tuple[str, str, str]]:
    for declared in declared_routes():
        repeated = declared.path.startswith("/projects/{project}/")
        if not declared.route.include_in_schema and not repeated:
            methods = ", ".join(sorted(declared.route.methods or ()))
            yield methods, code(declared.path), code(declared.permission or "")


def _operation(verb: str, path: str, operation: Json) -> Iterator[str]:
    yield f"### {verb.upper()} {path}"
    yield prose(operation.get("description") or operation.get("summary", ""))
    if "x-permission" in operation:
        yield f"Permission: {code(operation['x-permission'])}"
    parameters = operation.get("parameters", [])
    if parameters:
        yield table(
            ("parameter", "in", "type", ""),
            [
                (
                    code(each["name"]),
                    each["in"],
                    _type(each.get("schema", {})),
                    one_line(each.get("description", "")),
                )
                for each in parameters
            ],
        )
    if "requestBody" in operation:
        yield f"Body: {_content(operation['requestBody'])}"
    for status, answer in operation.get("responses", {}).items():
        if status.startswith("2"):
            yield f"Answer: {status}{', ' if answer.get('content') else ''}{_content(answer)}"


def _content(part: Json) -> str:
    return " or ".join(
        f"{_type(content.get('schema', {}))} ({code(media_type)})"
        for media_type, content in part.get("content", {}).items()
    )


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name} {{ #{_anchor(name)} }}"
    yield prose(schema.get("description", ""))
    if "enum" in schema:
        yield "One of " + ", ".join(code(value) for value in schema["enum"]) + "."
    required = schema.get("required", [])
    rows = [
        (
            code(field),
            _type(details),
            "yes" if field in required else "",
            _limits(details),
            one_line(details.get("description", "")),
        )
        for field, details in schema.get("properties", {}).items()
    ]
    if rows:
        yield table(("field", "type", "required", "limits", ""), rows)


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    return str(schema.get("format") or schema.get("type") or "any")


def _limits(schema: Json) -> str:
    names = {
        "minimum": "≥",
        "maximum": "≤",
        "exclusiveMinimum": ">",
        "exclusiveMaximum": "<",
        "minLength": "length ≥",
        "maxLength": "length ≤",
        "pattern": "matches",
    }
    found = [f"{word} {code(schema[key])}" for key, word in names.items() if key in schema]
    if schema.get("default") not in (None, "", [], {}):
        found.append(f"default {code(schema['default'])}")
    return ", ".join(found)


def _anchor(name: str) -> str:
    return "type-" + "".join(letter if letter.isalnum() else "-" for letter in name.lower())
