"""The OData $filter that Graph takes: the part of OData 4.01 (URL conventions, 5.1.1) that it documents."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from providers.sandbox.graph import store, zones
from providers.sandbox.graph.errors import bad_uri
from providers.sandbox.graph.properties import canonical
from providers.sandbox.graph.resources import Resource
from providers.sandbox.state import Native

__all__ = ["Filter", "Predicate", "literal", "value_at"]

Predicate = Callable[[Native], bool]

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_@][\w./@-]*)|(-?\d[\w:.+-]*)|([():,=;]))")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and a > b,
    "ge": lambda a, b: a is not None and a >= b,
    "lt": lambda a, b: a is not None and a < b,
    "le": lambda a, b: a is not None and a <= b,
}


class Filter:
    """A recursive descent over ``or``, ``and``, ``not``, comparisons and lambda ``Any``."""

    def __init__(self, text: str, resource: Resource) -> None:
        self._resource = resource
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
        if path.split("/")[0] not in self._resource.properties:
            raise self._resource.unknown(path)
        compare = self._operator()
        wanted = _comparable(path, _parsed(self._take()))
        return lambda event: compare(_comparable(path, value_at(event, path)), wanted)

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
        id_ = canonical(literal(self._take()))
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
            wanted = literal(self._take()).casefold()
            self._expect(")")
            return {
                "contains": lambda value: wanted in value,
                "startswith": lambda value: value.startswith(wanted),
            }[function]
        operator = self._take() if function == path else None
        if operator not in ("eq", "ne"):
            raise bad_uri(f"'{path}' has to be compared by eq, ne, contains or startswith.")
        compare, given = COMPARE[operator], _parsed(self._take())
        wanted_or_null = given.casefold() if isinstance(given, str) else None
        return lambda value: compare(value, wanted_or_null)

    def _text_function(self, name: str) -> Predicate:
        self._expect("(")
        path = self._take()
        self._expect(",")
        wanted = literal(self._take()).casefold()
        self._expect(")")

        def matches(event: Native) -> bool:
            text = str(value_at(event, path) or "").casefold()
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


def literal(token: str) -> str:
    """The text in the quotes, in which a quote is doubled. Raises ``GraphError``."""
    if not token.startswith("'"):
        raise bad_uri(f"A quoted string was expected, not '{token}'.")
    return token[1:-1].replace("''", "'")


def _parsed(token: str) -> Any:
    if token.startswith("'"):
        return literal(token)
    if token in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[token]
    return int(token) if re.fullmatch(r"-?\d+", token) else token


def value_at(event: Native, path: str) -> Any:
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
