"""Reads what callers send about sources into structs, and names the place of everything that is wrong."""

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime
from typing import TypeVar

import json_merge_patch
import msgspec

from app.errors import Invalid, Problem
from app.provisioning.text import is_text
from app.sources.contract import Json

__all__ = [
    "READ_ONLY",
    "check_depth",
    "check_text",
    "convert",
    "encode",
    "explained",
    "merge_patch",
    "refuse",
    "storable",
    "stored_args",
    "utc",
    "within",
]

Struct = TypeVar("Struct", bound=msgspec.Struct)

READ_ONLY = frozenset({"id", "created_at", "updated_at"})
"""Members that we give out and do not take in: they are ignored, so that what was read can be sent back."""

MAX_PROBLEMS = 100
MAX_DEPTH = 50
MAX_STORED = 1_000

TYPES = {
    "array": "an array",
    "bool": "true or false",
    "float": "a number",
    "int": "an integer",
    "object": "an object",
    "str": "a string",
}
"""What msgspec calls the types of JSON, and what people do."""

_encoder = msgspec.json.Encoder(order="deterministic")


def encode(value: Json) -> str:
    """The canonical JSON that the database keeps: equal values are equal texts."""
    return _encoder.encode(value).decode()


def convert(value: Json, type: type[Struct], field: str = "") -> Struct:
    """The value as a struct. Raises Invalid, with the place below ``field``."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`")
        if missing := re.search(r"(?:missing required|contains unknown) field `(.*)`$", message, re.DOTALL):
            message = "Missing." if "missing required" in message else "There is no such field."
            place += f".{missing[1]}"
        else:
            message = explained(message, place, type)
        place = place.replace("`.", ".").lstrip("." if not field else "")
        raise refuse([Problem(field=f"{field}{place}"[:200], detail=message)]) from None


def explained(message: str, place: str, type: type[msgspec.Struct]) -> str:
    """What msgspec says is wrong at a place in a struct: in the words of JSON, with the values there are."""
    if message.startswith("Invalid enum value"):
        values = ", ".join(_values(msgspec.json.schema(type), place.rpartition(".")[2]))
        return f"{message}: expected one of {values}."
    named = re.sub(r"`([a-z |]+)`", lambda found: _named(found[1]), message)
    return named if named.endswith(".") else f"{named}."


def _named(types: str) -> str:
    return " or ".join(TYPES.get(type, type) for type in types.split(" | "))


def _values(schema: Json, name: str) -> Sequence[str]:
    """The values of the member with this name, wherever in the schema it is described."""
    if not isinstance(schema, dict):
        return ()
    own = schema.get(name)
    if isinstance(own, dict) and "enum" in own:
        return [str(value) for value in own["enum"]]
    return next((found for inner in schema.values() if (found := _values(inner, name))), ())


def check_depth(value: Json, depth: int = MAX_DEPTH) -> None:
    """Raise Invalid for JSON that is nested more deeply than anything sensible is."""
    if depth == 0:
        raise refuse([Problem(detail=f"Nested more than {MAX_DEPTH} levels deep.")])
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            check_depth(inner, depth - 1)


def merge_patch(target: Json, patch: Json) -> Json:
    """The target as a JSON Merge Patch changes it (RFC 7396); the target itself is not touched."""
    return json_merge_patch.merge(deepcopy(target), patch)


def refuse(problems: Iterable[Problem]) -> Invalid:
    """The error that lists these problems."""
    found = tuple(problems)[:MAX_PROBLEMS]
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    where = f"{first.field}: " if first.field else ""
    return Invalid("invalid_source", f"Nothing was changed. {where}{first.detail}{more}", found)


def within(prefix: str, problems: Sequence[Problem]) -> list[Problem]:
    """The problems of a part, with the place of the part before theirs."""
    return [
        msgspec.structs.replace(problem, field=f"{prefix}.{problem.field}" if problem.field else prefix)
        for problem in problems
    ]


def check_text(field: str, text: str | None, limit: int) -> list[Problem]:
    """What is wrong with a name or another text of one line."""
    if text is None or (text != "" and is_text(text, limit)):
        return []
    return [Problem(field=field, detail=f"Expected 1 to {limit} characters, none of them a control one.")]


def storable(text: str) -> str:
    """A text from elsewhere as PostgreSQL and JSON can hold it, of at most 1,000 characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:MAX_STORED]


def stored_args(text: str) -> dict[str, Json] | None:
    """Arguments as the database keeps them; None where this version would not have stored such."""
    try:
        return msgspec.json.decode(text, type=dict[str, Json])
    except (msgspec.DecodeError, RecursionError):
        return None


def utc(moment: datetime) -> str:
    """A moment as a source is told of it: RFC 3339, in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
