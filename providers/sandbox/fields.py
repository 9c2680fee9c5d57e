"""The fields of an event as the control API takes them: the common shape, checked."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from providers.marker import from_strings

__all__ = ["BadFields", "check_times", "event_fields", "is_texts", "listed", "shown_marker"]

TEXTS = ("title", "location", "description")
CHOICES = {"showAs": ("busy", "free", "tentative"), "privacy": ("normal", "private")}
EVENT_FIELDS = {
    *TEXTS,
    *CHOICES,
    "start",
    "end",
    "timeZone",
    "allDay",
    "categories",
    "reminderMinutes",
    "calendar",
}
"""What a person can set of an event; its colour comes with a category, or is read-only."""


class BadFields(ValueError):
    """These cannot be the fields of an event; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def event_fields(body: dict[str, Any]) -> dict[str, Any]:
    """The event's fields in the common shape, each checked by itself. Raises ``BadFields``."""
    if unknown := body.keys() - EVENT_FIELDS:
        raise BadFields("unknown_field", f"An event has no {listed(unknown)}; it has {listed(EVENT_FIELDS)}.")
    checks = {
        **{f"{name} has to be a string": isinstance(body.get(name, ""), str) for name in TEXTS},
        **{f"{name} has to be a time": _is_time(body.get(name, "2000-01-01")) for name in ("start", "end")},
        "timeZone has to be an IANA name": _is_zone(body.get("timeZone", "UTC")),
        "allDay has to be true or false": isinstance(body.get("allDay", False), bool),
        "categories has to be a list of strings": is_texts(body.get("categories", [])),
        **{
            f"{name} has to be one of {listed(choices)}": body.get(name, choices[0]) in choices
            for name, choices in CHOICES.items()
        },
        "reminderMinutes has to be a number or null": isinstance(body.get("reminderMinutes"), int | None),
        "calendar has to be a calendar's id or null": isinstance(body.get("calendar"), str | None),
    }
    if problems := [problem for problem, is_good in checks.items() if not is_good]:
        raise BadFields("bad_event", "; ".join(problems) + ".")
    return body


def check_times(event: dict[str, Any]) -> None:
    """Start and end of a whole event are there and fit each other and ``allDay``. Raises ``BadFields``."""
    if not {"start", "end"} <= event.keys():
        raise BadFields("missing_field", "An event needs a start and an end.")
    start, end = (datetime.fromisoformat(event[field]) for field in ("start", "end"))
    if event["allDay"] and any(len(event[field]) != len("2000-01-01") for field in ("start", "end")):
        raise BadFields("bad_event", "start and end of an all-day event have to be dates, the end exclusive.")
    zone = ZoneInfo(event["timeZone"])
    start, end = (time if time.tzinfo else time.replace(tzinfo=zone) for time in (start, end))
    if end < start or (event["allDay"] and end == start):
        raise BadFields("bad_event", "The end has to be after the start.")


def is_texts(value: object) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def listed(names: object) -> str:
    """Names in a sentence, sorted."""
    return ", ".join(sorted(names))  # type: ignore[call-overload]


def _is_time(value: object) -> bool:
    try:
        datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _is_zone(value: object) -> bool:
    try:
        ZoneInfo(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OSError, KeyError):
        return False
    return True


def shown_marker(values: dict[str, str]) -> dict[str, Any] | None:
    """The marker in these named values as the control API shows it, or None if they hold no complete one."""
    found = from_strings(values)
    return None if found is None else msgspec.structs.asdict(found) | {"attempt": found.attempt.hex}
