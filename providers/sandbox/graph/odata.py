"""The OData query options that Graph takes for events: $filter, $expand, $select, $orderby, $top, $skip.

The grammar is the part of OData 4.01 (URL conventions, section 5.1.1) that the calendar API documents.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from providers.sandbox.graph import store, zones
from providers.sandbox.graph.errors import bad_uri, invalid_request
from providers.sandbox.graph.properties import canonical
from providers.sandbox.graph.validation import READ_ONLY
from providers.sandbox.state import Native

__all__ = ["Query", "parse_query"]

Predicate = Callable[[Native], bool]

EVENT_PROPERTIES = READ_ONLY | {
    "allowNewTimeProposals",
    "attendees",
    "body",
    "categories",
    "end",
    "hideAttendees",
    "importance",
    "isAllDay",
    "isOnlineMeeting",
    "isReminderOn",
    "location",
    "locations",
    "onlineMeetingProvider",
    "recurrence",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "sensitivity",
    "showAs",
    "start",
    "subject",
    "transactionId",
}
NAVIGATION = {"singleValueExtendedProperties", "multiValueExtendedProperties", "attachments", "extensions"}
OPTIONS = {"$filter", "$expand", "$select", "$orderby", "$top", "$skip", "$count"}
DEFAULT_PAGE = 10
LARGEST_PAGE = 1000

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_@][\w./@-]*)|(-?\d[\w:.+-]*)|([():,=;]))")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and a > b,
    "ge": lambda a, b: a is not None and a >= b,
    "lt": lambda a, b: a is not None and a < b,
    "le": lambda a, b: a is not None and a <= b,
}


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
            events = sorted(events, key=lambda event: _value(event, path) or "", reverse=descending)
        return events


def parse_query(options: Mapping[str, str]) -> Query:
    """The query options of a request for one event or for many. Raises ``GraphError``."""
    if unknown := sorted(name for name in options if name.startswith("$") and name not in OPTIONS):
        raise bad_uri(f"The query option '{unknown[0]}' is not supported.")
    top = _number(options, "$top", DEFAULT_PAGE)
    if not 1 <= top <= LARGEST_PAGE:
        raise invalid_request(f"$top has to be between 1 and {LARGEST_PAGE}.")
    return Query(
        matches=_Filter(options["$filter"]).parse() if "$filter" in options else lambda _: True,
        select=_select(options["$select"]) if "$select" in options else None,
        expand=_expand(options["$expand"]) if "$expand" in options else None,
        order=_order(options["$orderby"]) if "$orderby" in options else (),
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


def _select(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(","))
    if unknown := sorted(names - EVENT_PROPERTIES - NAVIGATION):
        raise bad_uri(f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.event'.")
    return names


def _order(text: str) -> tuple[tuple[str, bool], ...]:
    keys = []
    for part in text.split(","):
        path, _, direction = part.strip().partition(" ")
        if path.split("/")[0] not in EVENT_PROPERTIES or direction not in ("", "asc", "desc"):
            raise bad_uri(f"'{part}' is not something to order events by.")
        keys.append((path, direction == "desc"))
    return tuple(keys)


def _expand(text: str) -> frozenset[str]:
    """The ids of the extended properties in ``singleValueExtendedProperties($filter=id eq '…' or …)``."""
    wanted: set[str] = set()
    for name, inner in _split_expand(text):
        if name not in NAVIGATION:
            raise bad_uri(f"Could not find a property named '{name}' on type 'microsoft.graph.event'.")
        if name != "singleValueExtendedProperties":
            continue
        # Each documented example has a $filter; without one, nothing says which properties are meant.
        match = re.fullmatch(r"\$filter=(.+)", inner, re.DOTALL)
        if match is None:
            raise invalid_request("Expanding singleValueExtendedProperties needs a $filter on id.")
        tokens = _Filter(match[1]).tokens
        for position in range(0, len(tokens), 4):
            part = tokens[position : position + 4]
            if part[:2] != ["id", "eq"] or len(part) < 3 or part[3:] not in ([], ["or"]):
                raise bad_uri("The $filter of an expanded property has to be: id eq '…' or id eq '…'.")
            wanted.add(canonical(_literal(part[2])))
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


class _Filter:
    """A recursive descent over ``or``, ``and``, ``not``, comparisons and lambda ``Any``."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self._at = 0
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None:
                raise bad_uri(f"Syntax error at position {position} in '{text}'.")
            self.tokens.append(match[0].strip())
            position = match.end()

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._at != len(self.tokens):
            raise bad_uri(f"Syntax error: unexpected '{self.tokens[self._at]}' in the $filter.")
        return predicate

    def _or(self) -> Predicate:
        parts = [self._and()]
        while self._next_is("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda event: any(part(event) for part in parts)

    def _and(self) -> Predicate:
        parts = [self._one()]
        while self._next_is("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda event: all(part(event) for part in parts)

    def _one(self) -> Predicate:
        if self._next_is("not"):
            inner = self._one()
            return lambda event: not inner(event)
        if self._next_is("("):
            inner = self._or()
            self._expect(")")
            return inner
        path = self._take()
        if path.casefold() in ("singlevalueextendedproperties/any", "singlevalueextendedproperties/any()"):
            return self._any()
        if path in ("startswith", "contains", "endswith"):
            return self._text_function(path)
        if path.split("/")[0] not in EVENT_PROPERTIES:
            raise bad_uri(f"Could not find a property named '{path}' on type 'microsoft.graph.event'.")
        compare = self._operator()
        wanted = _comparable(path, _parsed(self._take()))
        return lambda event: compare(_comparable(path, _value(event, path)), wanted)

    def _any(self) -> Predicate:
        """``Any(ep: ep/id eq '…' and ep/value eq '…')``, the comparison of the value being one of several.

        "Filtering the string name in the id is case-sensitive. Filtering the value property is
        case-insensitive": learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get. Of the
        documented operators, those for strings are here: eq, ne, contains and startswith.
        """
        self._expect("(")
        variable = self._take()
        self._expect(":")
        for token in (f"{variable}/id", "eq"):
            self._expect(token)
        id_ = canonical(_literal(self._take()))
        self._expect("and")
        fits = self._value_test(f"{variable}/value")
        self._expect(")")
        return lambda event: any(
            item["id"] == id_ and fits(item["value"].casefold())
            for item in event.get("singleValueExtendedProperties", ())
        )

    def _value_test(self, path: str) -> Callable[[str], bool]:
        function = self._take()
        if function in ("contains", "startswith"):
            for expected in ("(", path, ","):
                self._expect(expected)
            wanted = _literal(self._take()).casefold()
            self._expect(")")
            return {
                "contains": lambda value: wanted in value,
                "startswith": lambda value: value.startswith(wanted),
            }[function]
        operator = self._take() if function == path else None
        if operator not in ("eq", "ne"):
            raise bad_uri(f"'{path}' has to be compared by eq, ne, contains or startswith.")
        compare, literal = COMPARE[operator], _parsed(self._take())
        wanted_or_null = literal.casefold() if isinstance(literal, str) else None
        return lambda value: compare(value, wanted_or_null)

    def _text_function(self, name: str) -> Predicate:
        self._expect("(")
        path = self._take()
        self._expect(",")
        wanted = _literal(self._take()).casefold()
        self._expect(")")

        def matches(event: Native) -> bool:
            text = str(_value(event, path) or "").casefold()
            if name == "contains":
                return wanted in text
            return text.startswith(wanted) if name == "startswith" else text.endswith(wanted)

        return matches

    def _operator(self) -> Callable[[Any, Any], bool]:
        name = self._take()
        if name not in COMPARE:
            raise bad_uri(f"'{name}' is not an operator.")
        return COMPARE[name]

    def _take(self) -> str:
        if self._at >= len(self.tokens):
            raise bad_uri("Syntax error: the $filter ends too early.")
        self._at += 1
        return self.tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        taken = self._take()
        if taken != token:
            raise bad_uri(f"Syntax error: '{token}' expected in the $filter, not '{taken}'.")

    def _next_is(self, token: str) -> bool:
        if self._at < len(self.tokens) and self.tokens[self._at] == token:
            self._at += 1
            return True
        return False


def _literal(token: str) -> str:
    if not token.startswith("'"):
        raise bad_uri(f"A quoted string was expected, not '{token}'.")
    return token[1:-1].replace("''", "'")


def _parsed(token: str) -> Any:
    if token.startswith("'"):
        return _literal(token)
    if token in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[token]
    return int(token) if re.fullmatch(r"-?\d+", token) else token


def _value(event: Native, path: str) -> Any:
    """The property at the path; moments in UTC for ``start`` and ``end``."""
    name, _, rest = path.partition("/")
    if name in ("start", "end") and rest == "dateTime":
        return zones.moment(event[name], name).astimezone(UTC).isoformat()
    value: Any = store.full(event).get(name)
    for step in filter(None, rest.split("/")):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _comparable(path: str, value: Any) -> Any:
    """Times as moments (read in UTC where they name no offset), texts without case."""
    if path.endswith("ateTime") and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
        except ValueError as error:
            raise bad_uri(f"'{value}' is no date and time.") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value.casefold() if isinstance(value, str) else value
