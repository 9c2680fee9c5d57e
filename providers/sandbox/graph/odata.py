"""The OData query options that Graph takes for collections, with $expand of extended properties."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from providers.sandbox.graph.errors import bad_uri, invalid_request
from providers.sandbox.graph.filters import Filter, Predicate, literal, value_at
from providers.sandbox.graph.properties import canonical
from providers.sandbox.graph.resources import EVENT, NAVIGATION, Resource
from providers.sandbox.state import Native

__all__ = ["Query", "parse_query"]

OPTIONS = {"$filter", "$expand", "$select", "$orderby", "$top", "$skip", "$count"}
DEFAULT_PAGE = 10
LARGEST_PAGE = 1000


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's query options ask for."""

    matches: Predicate
    select: frozenset[str] | None
    expand: frozenset[str] | None
    order: tuple[tuple[str, bool], ...]
    """Paths to sort by, each with whether descending."""
    top: int
    skip: int
    count: bool

    def sorted(self, events: list[Native]) -> list[Native]:
        """The events in the order that was asked for; else as they were made."""
        for path, descending in reversed(self.order):
            events = sorted(events, key=lambda event: value_at(event, path) or "", reverse=descending)
        return events

    def selected(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Of something with all its properties, those that were asked for."""
        if self.select is not None:
            names = {*self.select, "id", "singleValueExtendedProperties"}
            shown = {name: value for name, value in shown.items() if name in names}
        properties = shown.get("singleValueExtendedProperties", ())
        found = [item for item in properties if self.expand is not None and item["id"] in self.expand]
        shown = {name: value for name, value in shown.items() if name != "singleValueExtendedProperties"}
        return {**shown, "singleValueExtendedProperties": found} if found else shown


def parse_query(options: Mapping[str, str], resource: Resource = EVENT) -> Query:
    """The query options of a request for one of the resource or for many. Raises ``GraphError``."""
    if unknown := sorted(name for name in options if name.startswith("$") and name not in OPTIONS):
        raise bad_uri(f"The query option '{unknown[0]}' is not supported.")
    top = _number(options, "$top", DEFAULT_PAGE)
    if not 1 <= top <= LARGEST_PAGE:
        raise invalid_request(f"$top has to be between 1 and {LARGEST_PAGE}.")
    return Query(
        matches=Filter(options["$filter"], resource).parse() if "$filter" in options else lambda _: True,
        select=_select(options["$select"], resource) if "$select" in options else None,
        expand=_expand(options["$expand"], resource) if "$expand" in options else None,
        order=_order(options["$orderby"], resource) if "$orderby" in options else (),
        top=top,
        skip=_number(options, "$skip", 0),
        count=options.get("$count") == "true",
    )


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text):
        raise bad_uri(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def _select(text: str, resource: Resource) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    if unknown := sorted(names - resource.properties - NAVIGATION):
        raise resource.unknown(unknown[0])
    return names


def _order(text: str, resource: Resource) -> tuple[tuple[str, bool], ...]:
    keys = []
    for part in text.split(","):
        path, _, direction = part.strip().partition(" ")
        if path.split("/")[0] not in resource.properties or direction not in ("", "asc", "desc"):
            raise bad_uri(f"'{part}' is not something to order by.")
        keys.append((path, direction == "desc"))
    return tuple(keys)


def _expand(text: str, resource: Resource) -> frozenset[str]:
    """The ids of the extended properties in ``singleValueExtendedProperties($filter=id eq '…' or …)``."""
    wanted: set[str] = set()
    for name, inner in _split_expand(text):
        if name not in NAVIGATION:
            raise resource.unknown(name)
        if name != "singleValueExtendedProperties":
            continue
        # Each documented example has a $filter; without one, nothing says which properties are meant.
        match = re.fullmatch(r"\$filter=(.+)", inner, re.DOTALL)
        if match is None:
            raise invalid_request("Expanding singleValueExtendedProperties needs a $filter on id.")
        tokens = Filter(match[1], resource).tokens
        for position in range(0, len(tokens), 4):
            part = tokens[position : position + 4]
            if part[:2] != ["id", "eq"] or len(part) < 3 or part[3:] not in ([], ["or"]):
                raise bad_uri("The $filter of an expanded property has to be: id eq '…' or id eq '…'.")
            wanted.add(canonical(literal(part[2])))
    return frozenset(wanted)


def _split_expand(text: str) -> list[tuple[str, str]]:
    """The comma-separated parts with what is in their brackets; quoted text is left alone."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, char in enumerate(text + ","):
        if char == "'":
            quoted = not quoted
        elif not quoted and char in "()":
            depth += 1 if char == "(" else -1
        elif not quoted and char == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    matches = [re.fullmatch(r"(\w+)(?:\((.*)\))?", part, re.DOTALL) for part in parts]
    if depth or quoted or None in matches:
        raise bad_uri("The $expand query option cannot be read.")
    return [(match[1], match[2] or "") for match in matches if match is not None]
