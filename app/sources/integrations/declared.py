"""What an account of ``http-json`` declares: its resources, and the mapping to the fields of an event."""

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from app.sources.contract import Json
from app.sources.integrations.checks import ZoneSettings
from app.sources.integrations.mapping import Unmappable, all_day, from_epoch, line
from app.timetables.times import is_zone, parse_time

__all__ = [
    "ID",
    "EventMapping",
    "HttpJsonSettings",
    "Pagination",
    "Resource",
    "document",
    "find",
    "is_there",
    "text_of",
]

ID = "{id}"
"""In a path: the request's id."""

Expression = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
"""JMESPath."""

PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
"""The names of members, joined by dots: what JMESPath reads as nothing else."""

MAX_GROWTH = 1_000
"""By which a place may multiply what it finds; what makes sense does by some tens."""

UNITS = {"epoch_seconds": timedelta(seconds=1), "epoch_milliseconds": timedelta(milliseconds=1)}


class Pagination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the pages of a list follow each other.

    ``page``: numbered by ``parameter``, from ``first``, to an empty one. ``cursor``: ``next`` is where the
    answer has the value of ``parameter`` for the next page, or without a parameter its URL. ``link``: by the
    header Link with rel="next" (RFC 8288). ``none``: there is one page.
    """

    by: Literal["none", "page", "cursor", "link"] = "none"
    parameter: str = ""
    first: int = 1
    step: int = 1
    """From page to page; where pages are numbered by their first record, the size of a page."""
    next: Expression = "next"
    size_parameter: str = ""
    size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many records to ask for in a page, by ``size_parameter``."""
    total: Expression | None = None
    """Where the answer says how many records there are in all pages; a read with fewer or more has failed."""

    def __post_init__(self) -> None:
        if self.by == "page" and not self.parameter:
            raise ValueError("pagination by page needs parameter, for example page")
        if bool(self.size_parameter) != (self.size is not None):
            raise ValueError("size and size_parameter go together")
        _check(self.next, self.total)


class EventMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a record has the fields of an event, named as in CONTRACT §5.

    A text may be a number in the record; ``categories`` may be a single text. All-day events have dates, or
    moments that are midnights in the zone.
    """

    uid: Expression
    title: Expression
    start: Expression
    end: Expression
    all_day: Expression | None = None
    time_zone: Expression | None = None
    location: Expression | None = None
    description: Expression | None = None
    categories: Expression | None = None
    url: Expression | None = None
    status: Expression | None = None
    show_as: Expression | None = None

    def __post_init__(self) -> None:
        _check(*msgspec.structs.astuple(self))


class Resource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resource of the API."""

    path: str
    """After the base URL, with ``{id}`` where the request's id goes; may have a query."""
    records: Expression = "@"
    """Where an answer has its records: an array, or for ``get`` an object."""
    error: Expression | None = None
    """Where an answer with status 200 has an error; anything but null, false, 0 or emptiness there is one."""
    id: Expression = "id"
    """Where a record without an event has what names it."""
    username: Expression | None = None
    """Where a record says whose event it is; without it, the request's id does."""
    skip: Expression | None = None
    """Records in which anything but null, false, 0 or emptiness is there are left out."""
    event: EventMapping | None = None
    """Absent: the records are no events, but parents of other resources."""
    times: Literal["rfc3339", "epoch_seconds", "epoch_milliseconds"] = "rfc3339"
    pagination: Pagination = msgspec.field(default_factory=Pagination)

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError("path: has to begin with a slash; the base URL is before it")
        _check(self.records, self.error, self.id, self.username, self.skip)


class HttpJsonSettings(ZoneSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account's ``settings``."""

    resources: dict[str, Resource]
    api_key_header: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,100}$")] = "X-Api-Key"
    api_key_parameter: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~$-]{1,100}$")] | None = None
    """The key goes into the query, under this name, and into no header."""


def find(expression: str, value: Json) -> Json:
    """What is there; None where nothing is, or where the expression does not suit the value."""
    try:
        return jmespath.search(expression, value)
    except JMESPathError:  # a function that was given what it does not take
        return None


def is_there(expression: str, value: Json) -> bool:
    """Whether the value has this place, be it null. A place that is no path of names is if it has a value."""
    if not PATH.fullmatch(expression):
        return find(expression, value) is not None
    for name in expression.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def text_of(expression: str, record: Json, name: str) -> str:
    """The text or number that is there, as a text. Raises Unmappable where there is none."""
    value = _text(find(expression, record))
    if not isinstance(value, str) or not value.strip():
        raise Unmappable(f"{name}: Missing, or neither a text nor a number.")
    return value


def document(record: Mapping[str, Any], mapping: EventMapping, times: str, zone: str) -> dict[str, Any]:
    """The record as a document E of CONTRACT §5; what is not there is None. Raises Unmappable."""
    found = {
        name: find(expression, record)
        for name, expression in msgspec.structs.asdict(mapping).items()
        if expression is not None
    }
    whole_days = bool(found.get("all_day"))
    zone = found.get("time_zone") or zone
    start, end = _span(found["start"], found["end"], whole_days, times, zone)
    categories = found.get("categories")
    return {
        **{name: _text(found.get(name)) for name in ("uid", "description", "url")},
        **{name: _line(found.get(name)) for name in ("title", "location")},
        "start": start,
        "end": end,
        "timeZone": zone,
        "allDay": whole_days,
        "categories": [categories] if isinstance(categories, str) else categories,
        "status": found.get("status"),
        "showAs": found.get("show_as"),
    }


def _span(start: Json, end: Json, whole_days: bool, times: str, zone: Json) -> tuple[Json, Json]:
    """Start and end as an event has them: of whole days, dates. What makes no sense is left as it is."""
    if not isinstance(zone, str) or not is_zone(zone):
        return start, end
    if times != "rfc3339":
        first, last = from_epoch(start, "start", UNITS[times]), from_epoch(end, "end", UNITS[times])
        return all_day(first, last, zone) if whole_days else (first.isoformat(), last.isoformat())
    if whole_days and all(isinstance(given, str) and "T" in given.upper() for given in (start, end)):
        try:
            return all_day(parse_time(start, zone)[0], parse_time(end, zone)[0], zone)
        except ValueError:
            return start, end
    return start, end


def _text(value: Json) -> Json:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _line(value: Json) -> Json:
    value = _text(value)
    return line(value) if isinstance(value, str) else value


def _check(*expressions: str | None) -> None:
    """Raises ValueError, which names the first expression that is no JMESPath, or cannot be evaluated."""
    for expression in expressions:
        try:
            if expression is not None and not _makes_sense(jmespath.compile(expression).parsed):
                raise ValueError(f"no place in JSON: {expression}")
            if expression is not None and _growth(jmespath.compile(expression).parsed) > MAX_GROWTH:
                raise ValueError(f"can make more than {MAX_GROWTH} of one value: {expression[:100]}")
        except (JMESPathError, RecursionError):
            raise ValueError(f"not a JMESPath expression: {expression}") from None


def _makes_sense(node: Json, *, argument: bool = False) -> bool:
    """Whether there is no step of 0, and no reference to an expression but as a function's argument.

    The grammar has both, and the library fails at the first, and gives the second out as if it were a value.
    """
    if not isinstance(node, dict):
        return True
    kind, children = node["type"], node.get("children", [])
    if (kind == "slice" and children[2] == 0) or (kind == "expref" and not argument):
        return False
    return all(_makes_sense(child, argument=kind == "function_expression") for child in children)


def _growth(node: Json) -> int:
    """At most so many times as long as a value is what a place can make of it.

    ``[@, @]`` is twice the value, and ``[@, @][] | [@, @][] | …`` doubles it with each step.
    """
    if not isinstance(node, dict):
        return 1
    grown = [_growth(child) for child in node.get("children", [])]
    together = math.prod(grown)  # one after the other; of a leaf: 1
    if node["type"] in ("multi_select_list", "multi_select_dict", "function_expression"):
        return max(sum(grown), together)
    return together
