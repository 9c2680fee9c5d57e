"""What the path of a request names: which of a user's calendars, and what in it."""

from typing import Literal
from urllib.parse import unquote

import msgspec

from providers.sandbox.graph.errors import GraphError

__all__ = ["Target", "resource_of", "target_of"]

Kind = Literal["calendar", "calendars", "category", "categories", "delta", "event", "events", "view"]
RESOURCES: dict[Kind, str] = {
    "calendar": "calendar",
    "calendars": "calendar",
    "category": "category",
    "categories": "category",
}
"""What is not among these is about events."""
DELTA = ("delta", "delta()", "microsoft.graph.delta", "microsoft.graph.delta()")
"""The function by its short and its full name, as the SDKs spell them."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a path names. ``calendar`` is None for the default one, and for an event named by itself."""

    kind: Kind
    calendar: str | None = None
    id: str | None = None
    """Of the event or category."""
    anywhere: bool = False
    """An event in any calendar of the user's."""


def target_of(path: str) -> Target:
    """What the path under ``/v1.0`` names. Raises ``GraphError`` (400)."""
    segments = [unquote(segment) for segment in path.split("/")]
    if segments[:2] == ["", "me"]:
        raise GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    if segments[:2] != ["", "users"] or len(segments) < 3:
        raise _unknown(path)
    match segments[3:]:
        case ["outlook", "masterCategories"]:
            return Target(kind="categories")
        case ["outlook", "masterCategories", id_]:
            return Target(kind="category", id=id_)
        case ["calendars"]:
            return Target(kind="calendars")
        case ["calendars", calendar, *rest]:
            return _within(path, calendar, rest)
        case ["calendar", *rest]:
            return _within(path, None, rest)
        case ["events", id_]:
            return Target(kind="event", id=id_, anywhere=True)
        case ["events" | "calendarView", *_] as rest:
            return _within(path, None, rest)
        case _:
            raise _unknown(path)


def resource_of(path: str) -> str:
    """What kind of thing the path is about: ``event``, ``calendar`` or ``category``."""
    try:
        return RESOURCES.get(target_of(path).kind, "event")
    except GraphError:
        return "event"


def _within(path: str, calendar: str | None, rest: list[str]) -> Target:
    match rest:
        case []:
            return Target(kind="calendar", calendar=calendar)
        case ["events"]:
            return Target(kind="events", calendar=calendar)
        case ["events", id_]:
            return Target(kind="event", calendar=calendar, id=id_)
        case ["calendarView"]:
            return Target(kind="view", calendar=calendar)
        case ["calendarView", function] if function in DELTA:
            return Target(kind="delta", calendar=calendar)
        case _:
            raise _unknown(path)


def _unknown(path: str) -> GraphError:
    return GraphError(400, "BadRequest", f"Resource not found for the segment in '{path}'.")
