"""The documentation as a page of its own: no script, no style and no picture from anywhere else."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

__all__ = ["DocumentationPage", "YamlDocument"]

Json = dict[str, Any]

METHODS = ("get", "put", "post", "patch", "delete")

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: #06c }
@media (prefers-color-scheme: dark) { :root { --link: #6af } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
a { color: var(--link) }
code, pre { font: 0.9em ui-monospace, monospace; background: var(--soft); border-radius: 3px }
code { padding: 0.1em 0.3em } pre { padding: 0.6rem; overflow-x: auto; margin: 0.3rem 0 }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; padding: 0 0.8rem }
summary { cursor: pointer; padding: 0.5rem 0 } details[open] { padding-bottom: 0.8rem }
summary b { display: inline-block; min-width: 4.2rem } summary span { float: right; max-width: 55% }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem 0.3rem 0 }
tr { border-bottom: 1px solid var(--line) } h4 { margin: 0.8rem 0 0.2rem }
"""

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head><body>
"""


class DocumentationPage(OpenAPIRenderPlugin):
    """Renders the OpenAPI document for people."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        """The page."""
        document = msgspec.json.decode(self.render_json(request, openapi_schema))
        return "".join(_page(document)).encode()


class YamlDocument(OpenAPIRenderPlugin):
    """The OpenAPI document as YAML that every parser reads: Litestar's own holds Python's tuples."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:
        """The document."""
        return msgspec.yaml.encode(msgspec.json.decode(self.render_json(request, openapi_schema)))


def _page(document: Json) -> Iterator[str]:
    info = document["info"]
    yield HEAD.format(title=escape(info["title"]), style=STYLE)
    yield f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
    yield _text(info.get("description", ""))
    yield '<p>For programs: <a href="/schema/openapi.json">JSON</a>,'
    yield ' <a href="/schema/openapi.yaml">YAML</a>.</p>'
    yield "<h2>Authentication</h2><ul>"
    for name, scheme in document["components"]["securitySchemes"].items():
        how = "Authorization: Bearer TOKEN" if scheme["type"] == "http" else f"{scheme['name']}: TOKEN"
        yield f"<li><b>{escape(name)}</b> <code>{how}</code> {_inline(scheme.get('description', ''))}</li>"
    yield "</ul>"
    for tag, operations in _by_tag(document).items():
        yield f"<h2>{escape(tag)}</h2>"
        for method, path, operation in operations:
            yield from _operation(method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3>'
        yield _text(schema.get("description", ""))
        yield from _fields(schema)
    yield "</body></html>"


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["Other"])[0]
                found.setdefault(tag, []).append((method, path, item[method]))
    return found


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><b>{method.upper()}</b> '
    yield f"<code>{escape(path)}</code> <span>{escape(operation['summary'])}</span></summary>"
    yield _text(operation.get("description", ""))
    if operation.get("parameters"):
        yield "<h4>Parameters</h4><table>"
        for parameter in operation["parameters"]:
            required = " required" if parameter.get("required") else ""
            yield f"<tr><td><code>{escape(parameter['name'])}</code><td>{parameter['in']}{required}"
            yield f"<td>{_type(parameter['schema'])}<td>{_inline(parameter.get('description', ''))}"
            default = parameter["schema"].get("default")
            yield "</tr>" if default is None else f" Default: <code>{escape(str(default))}</code>.</tr>"
        yield "</table>"
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        optional = "" if operation["requestBody"].get("required") else ", optional"
        yield f"<h4>Body{optional}</h4>"
        shown: Json | None = None
        for media_type, body in content.items():
            yield f"<p><code>{escape(media_type)}</code> {_reference(body.get('schema', {}))}</p>"
            if body != shown:
                yield from _fields(body.get("schema", {}))
                yield from _examples(body)
            shown = body
    yield "<h4>Answers</h4><table>"
    for status, response in sorted(operation["responses"].items()):
        yield f"<tr><td><b>{status}</b><td>{_inline(response['description'])}"
        for name, header in response.get("headers", {}).items():
            yield f"<br><code>{escape(name)}</code>: {_inline(header.get('description', ''))}"
        for media_type, body in response.get("content", {}).items():
            yield f"<br><code>{escape(media_type)}</code> {_reference(body.get('schema', {}))}"
            yield from _examples(body)
        yield "</tr>"
    yield "</table></details>"


def _fields(schema: Json) -> Iterator[str]:
    if not schema.get("properties"):
        return
    required = schema.get("required", [])
    yield "<table>"
    for name, field in schema["properties"].items():
        mark = "required" if name in required else ""
        yield f"<tr><td><code>{escape(name)}</code><td>{_type(field)}<td>{mark}"
        yield f"<td>{_inline(field.get('description', ''))}</tr>"
    yield "</table>"


def _examples(body: Json) -> Iterator[str]:
    for example in (body.get("examples") or {}).values():
        if "value" in example:
            value = example["value"]
            shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield f"<pre>{escape(shown)}</pre>"


def _type(schema: Json) -> str:
    """The type in a few words, with a link where it has a name of its own."""
    if "$ref" in schema:
        return _reference(schema)
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    name = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return escape(f"{name} ({schema['format']})" if "format" in schema else name)


def _reference(schema: Json) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else ""


def _text(text: str) -> str:
    """Paragraphs, with code between backticks."""
    return "".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip())


def _inline(text: str) -> str:
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))
