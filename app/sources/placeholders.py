"""Placeholders in a resource's ``id`` and ``query``.

There are ``{{args.x}}``, ``{{resources.NAME.field}}`` and ``{{previous_run_date}}``. A value that is one
placeholder and nothing else becomes what that stands for, with its type; within a longer text a string
stands as it is, and anything else as JSON.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from app.sources.contract import Json

__all__ = [
    "PREVIOUS_RUN_DATE",
    "Place",
    "Unresolved",
    "Values",
    "dotted",
    "fill",
    "find",
    "has_placeholder",
    "resource_of",
]

PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
BRACES = re.compile(r"\{\{|\}\}")
PREVIOUS_RUN_DATE = "previous_run_date"


class Unresolved(Exception):
    """A placeholder stands for nothing here; ``expression`` is what is between its braces."""

    def __init__(self, expression: str) -> None:
        super().__init__(expression)
        self.expression = expression


class Place(NamedTuple):
    """Where a placeholder stands."""

    field: str
    """``query.filter.user``"""
    expression: str
    """What is between the braces, or the whole text where the braces do not match."""
    whole: bool
    """It is all that the value holds."""
    broken: bool = False
    """The braces do not match."""


def find(value: Json, field: str) -> Iterator[Place]:
    """All placeholders in a value that stands at ``field``; names of members hold none."""
    match value:
        case str():
            for found in PLACEHOLDER.finditer(value):
                yield Place(field, found[1].strip(), found[0] == value.strip())
            if BRACES.search(PLACEHOLDER.sub("", value)):
                yield Place(field, value, whole=False, broken=True)
        case dict():
            for name, inner in value.items():
                yield from find(inner, f"{field}.{name}")
        case list():
            for position, inner in enumerate(value):
                yield from find(inner, f"{field}[{position}]")


def has_placeholder(value: Json) -> bool:
    """Whether there is one in it, so that it may become anything."""
    return any(find(value, ""))


def fill(value: Json, resolve: Callable[[str], Json]) -> Json:
    """The value with everything in place of its placeholders. Raises what ``resolve`` raises."""
    match value:
        case str():
            if (only := PLACEHOLDER.fullmatch(value.strip())) and only[1].count("{{") == 0:
                return resolve(only[1].strip())
            return PLACEHOLDER.sub(lambda found: _text(resolve(found[1].strip())), value)
        case dict():
            return {name: fill(inner, resolve) for name, inner in value.items()}
        case list():
            return [fill(inner, resolve) for inner in value]
        case _:
            return value


def dotted(resource: str) -> str:
    """How a resource is called in placeholders: ``ticketing/users`` is ``ticketing.users``."""
    return resource.replace("/", ".")


def resource_of(expression: str, resources: Iterator[str] | Mapping[str, Json]) -> tuple[str, str] | None:
    """Which of the resources ``resources.NAME.field`` names, and the field; None: none of them."""
    rest = expression.removeprefix("resources.")
    for resource in sorted(resources, key=len, reverse=True):
        name = f"{dotted(resource)}."
        if rest.startswith(name) and len(rest) > len(name):
            return resource, rest.removeprefix(name)
    return None


class Values(NamedTuple):
    """What placeholders stand for in one request."""

    args: Mapping[str, Json]
    previous_run_date: str
    records: Mapping[str, Mapping[str, Json]]
    """By resource: the record of each that this request depends on."""

    def resolve(self, expression: str) -> Json:
        """What the expression stands for; an argument that was not given is None. Raises Unresolved."""
        if expression == PREVIOUS_RUN_DATE:
            return self.previous_run_date
        if expression.startswith("args."):
            try:
                return _look_up(self.args, expression.removeprefix("args."))
            except LookupError:
                return None
        found = resource_of(expression, self.records)
        if found is None:
            raise Unresolved(expression)
        resource, field = found
        try:
            return _look_up(self.records[resource], field)
        except LookupError:
            raise Unresolved(expression) from None


def _look_up(value: Json, path: str) -> Json:
    """The value at a path of names and positions, joined by dots. Raises LookupError."""
    for part in path.split("."):
        match value:
            case Mapping():
                value = value[part]
            case list() if part.isascii() and part.isdigit():
                value = value[int(part)]
            case _:
                raise LookupError(part)
    return value


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
