"""The Calendar API by its own description: which calls there are, and what they may be sent.

The discovery document is the one that Google ships in the google-api-python-client wheel. Its format:
https://developers.google.com/discovery/v1/reference/apis
"""

import json
import re
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

import msgspec

from providers.sandbox.google.errors import ApiError, invalid

__all__ = ["Method", "check_body", "match", "parse_query"]


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the API."""

    id: str
    http_method: str
    pattern: re.Pattern[str]
    parameters: dict[str, dict[str, Any]]
    body: str | None
    """The name of the schema of the request's body."""
    scopes: frozenset[str]


@cache
def _document() -> dict[str, Any]:
    folder = resources.files("googleapiclient.discovery_cache.documents")
    loaded: dict[str, Any] = json.loads(folder.joinpath("calendar.v3.json").read_text())
    return loaded


@cache
def _methods() -> tuple[Method, ...]:
    document = _document()
    return tuple(
        Method(
            id=method["id"].removeprefix("calendar."),
            http_method=method["httpMethod"],
            pattern=re.compile(
                "/" + document["servicePath"] + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", method["path"])
            ),
            parameters=document["parameters"] | method.get("parameters", {}),
            body=method.get("request", {}).get("$ref"),
            scopes=frozenset(method.get("scopes", ())),
        )
        for resource in document["resources"].values()
        for method in resource["methods"].values()
    )


def match(http_method: str, path: str) -> tuple[Method, dict[str, str]]:
    """The call that a request is, with the parameters in its path.

    ``path`` is percent-encoded as on the wire. Raises ``ApiError`` 404 for a path that is no call. Where
    two calls fit (``events/import`` could be an event's id), the one with fewer parameters is it.
    """
    found = [
        (method, matched.groupdict())
        for method in _methods()
        if method.http_method == http_method and (matched := method.pattern.fullmatch(path))
    ]
    if not found:
        raise ApiError(404, "notFound", "Not Found")
    method, parts = min(found, key=lambda item: len(item[1]))
    return method, {name: unquote(value) for name, value in parts.items()}


def parse_query(method: Method, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The query's parameters by name, in their types; repeated ones as lists.

    Raises ``ApiError`` 400 for one that the call does not have, a second value, or a wrong type.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        description = method.parameters.get(name)
        if description is None or description["location"] != "query":
            raise invalid(f'Unknown parameter "{name}".', name)
        value = _parse(name, text, description)
        if description.get("repeated"):
            values.setdefault(name, []).append(value)
        elif name in values:
            raise invalid(f'Parameter "{name}" was given twice.', name)
        else:
            values[name] = value
    missing = [
        name
        for name, description in method.parameters.items()
        if description.get("required") and description["location"] == "query" and name not in values
    ]
    if missing:
        raise ApiError(400, "required", f"Required parameter: {missing[0]}", location=missing[0])
    return values


def _parse(name: str, text: str, description: dict[str, Any]) -> Any:
    if description["type"] == "boolean":
        if text not in ("true", "false"):
            raise invalid(f'Invalid value for boolean parameter "{name}".', name)
        return text == "true"
    if description["type"] == "integer":
        if not re.fullmatch(r"-?\d{1,10}", text):
            raise invalid(f'Invalid value for integer parameter "{name}".', name)
        number = int(text)
        if not int(description.get("minimum", number)) <= number <= int(description.get("maximum", number)):
            raise invalid(f'Value of parameter "{name}" is out of range.', name)
        return number
    if "enum" in description and text not in description["enum"]:
        raise invalid(f'Invalid string value for parameter "{name}".', name)
    if description.get("format") == "date-time":
        return _date_time(text, name)
    return text


def _date_time(text: str, name: str) -> datetime:
    """RFC 3339 with an offset, as the descriptions of timeMin, timeMax and updatedMin demand."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, "badRequest", "Bad Request", location=name) from None
    if value.tzinfo is None or "T" not in text.upper():
        raise ApiError(400, "badRequest", "Bad Request", location=name)
    return value


_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def check_body(schema: str, value: Any) -> list[str]:
    """Raise ``ApiError`` 400 unless the value's types are those of the schema; null fits everywhere.

    Returns the names of fields that the schema does not have: Google ignores them.
    """
    unknown: list[str] = []
    _check(_document()["schemas"][schema], value, "", unknown)
    return unknown


def _check(schema: dict[str, Any], value: Any, path: str, unknown: list[str]) -> None:
    if value is None:
        return
    if "$ref" in schema:
        schema = _document()["schemas"][schema["$ref"]]
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        raise invalid(f"Invalid value at '{path or 'body'}': it has to be of type {kind}.", path, "body")
    if kind == "object":
        properties = schema.get("properties", {})
        for name, item in value.items():
            inner = properties.get(name, schema.get("additionalProperties"))
            if inner is None:
                unknown.append(f"{path}.{name}".lstrip("."))
            else:
                _check(inner, item, f"{path}.{name}".lstrip("."), unknown)
    elif kind == "array":
        for index, item in enumerate(value):
            _check(schema["items"], item, f"{path}[{index}]", unknown)
    elif kind == "string":
        _check_format(schema.get("format"), value, path)


def _check_format(format: str | None, value: str, path: str) -> None:
    try:
        if format == "date":
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
                raise ValueError
            date.fromisoformat(value)
        elif format == "date-time":
            if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", value):
                raise ValueError
            datetime.fromisoformat(value)
    except ValueError:
        raise invalid(f"Invalid value at '{path}': it has to be a {format}.", path, "body") from None
