"""Single-value extended properties: how Graph names them.

learn.microsoft.com/graph/api/resources/extended-properties-overview: ``{type} {guid} Name {name}``,
``{type} {guid} Id {id}`` or ``{type} {proptag}``. Names are case-sensitive, GUIDs are not.
"""

import re
from functools import lru_cache
from typing import Any

from providers.sandbox.graph.errors import GraphError

__all__ = ["canonical", "merged"]

_GUID = r"\{?([0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\}?"
_NAMED = re.compile(rf"(\w+) {_GUID} Name (.+)", re.DOTALL)
_NUMBERED = re.compile(rf"(\w+) {_GUID} Id (0x[0-9A-Fa-f]{{1,8}})")
_TAGGED = re.compile(r"(\w+) (0x[0-9A-Fa-f]{1,8})")
_TYPES = {
    name.casefold(): name
    for name in (
        "Binary",
        "Boolean",
        "CLSID",
        "Currency",
        "Double",
        "Error",
        "Float",
        "Integer",
        "Long",
        "Null",
        "Object",
        "Short",
        "String",
        "SystemTime",
    )
}


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """The one spelling of a property's id, by which two are compared. Raises ``GraphError``."""
    for pattern, form in ((_NAMED, "Name"), (_NUMBERED, "Id")):
        if match := pattern.fullmatch(name):
            kind, guid, rest = match.groups()
            return f"{_type(kind, name)} {{{guid.lower()}}} {form} {rest}"
    if match := _TAGGED.fullmatch(name):
        return f"{_type(match[1], name)} {match[2].lower()}"
    raise _invalid(name)


def merged(stored: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stored properties with the given ones in their places; a PATCH leaves the others alone."""
    values = {item["id"]: item["value"] for item in stored}
    values |= {canonical(item["id"]): item["value"] for item in given}
    return [{"id": id_, "value": value} for id_, value in values.items()]


def _type(kind: str, name: str) -> str:
    if kind.casefold() not in _TYPES:
        raise _invalid(name)
    return _TYPES[kind.casefold()]


def _invalid(name: str) -> GraphError:
    return GraphError(400, "ErrorInvalidExtendedProperty", f"'{name}' is not the id of an extended property.")
