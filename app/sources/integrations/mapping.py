"""From what a source says to events: by the rules of the API's own PUT, or to an error in a sentence."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.errors import Invalid, Problem
from app.sources.contract import Context
from app.timetables.document import Reader
from app.timetables.event import EPOCH
from app.timetables.publish import describe
from app.timetables.times import local_midnight
from providers.contract import Event

__all__ = ["Unmappable", "all_day", "from_epoch", "line", "names", "paragraphs", "reader", "text", "to_event"]


class Unmappable(Exception):
    """A record that is no event. The message says why, for people, and holds nothing of the record."""


def reader(context: Context, zone: str | None) -> Reader:
    """Reads events by the configured limits, with times without a zone in ``zone``, or the configured one."""
    return Reader(context.timetables, zone or context.zone)


def to_event(document: Mapping[str, Any], reader: Reader) -> Event:
    """The event that a document E of CONTRACT §5 describes. Raises Unmappable with all that is wrong with it.

    What is None is absent.
    """
    given = {name: value for name, value in document.items() if value is not None}
    try:
        (event,) = reader.timetable(msgspec.json.encode({"events": [given]}))
    except Invalid as error:
        unnamed = tuple(Problem(detail=problem.detail, field=problem.field) for problem in error.problems)
        raise Unmappable(describe(Invalid(error.code, error.message, unnamed))) from error
    except UnicodeEncodeError:
        raise Unmappable("It holds a lone surrogate; remove it.") from None
    return event


def from_epoch(value: Any, field: str, unit: timedelta = timedelta(milliseconds=1)) -> datetime:
    """The moment so many ``unit`` after 1970, aware and in UTC, to the second. Raises Unmappable."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unmappable(f"{field}: Missing, or not a number.")
    try:
        return (EPOCH + value * unit).replace(microsecond=0)
    except (OverflowError, ValueError):
        raise Unmappable(f"{field}: Not a moment that makes sense.") from None


def all_day(start: datetime, end: datetime, zone: str) -> tuple[str, str]:
    """The first day and the day after the last, of an all-day event that is given by two moments.

    Raises Unmappable if it does not begin at a midnight in the zone: then it is another zone's midnight, and
    every such event would be a day off. An end in the middle of a day includes that day.
    """
    try:
        first, after = (moment.astimezone(ZoneInfo(zone)).date() for moment in (start, end))
        if local_midnight(first, zone) != start.astimezone(UTC):
            raise Unmappable(f"allDay: It does not begin at midnight in {zone}; check the account's zone.")
        if local_midnight(after, zone) != end.astimezone(UTC):
            after += timedelta(days=1)
    except OverflowError:  # at the ends of what a date can be, such as the year 9999 for "for ever"
        raise Unmappable("allDay: It begins or ends on no day that makes sense.") from None
    return first.isoformat(), after.isoformat()


def line(value: Any) -> str:
    """A text as a single line; nothing for what is no text."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def text(value: Any) -> str:
    """A text of several lines, without what surrounds it; nothing for what is no text."""
    return value.strip() if isinstance(value, str) else ""


def names(value: Any) -> list[str]:
    """The names in a list of texts, or of objects with a ``name``; none for what is no list."""
    items = value if isinstance(value, list) else []
    return [name for item in items if (name := line(item.get("name") if isinstance(item, dict) else item))]


def paragraphs(parts: Iterable[str]) -> str | None:
    """The parts that there are, each a paragraph; None without any."""
    return "\n\n".join(part for part in parts if part) or None
