"""One VEVENT, without recurrence or an occurrence of it, to an event: what becomes what."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from app.timetables.times import is_zone, local_midnight
from app.timetables.zones import ZoneNames
from providers.contract import Event, ShowAs, Status

__all__ = ["ZONE_PROPERTY", "Vevent", "text_of", "to_event"]

Vevent: TypeAlias = Any
"""A component of the icalendar library. What its values are depends on the names of the properties."""

ZONE_PROPERTY = "X-ROOSTER-TIMEZONE"
"""The zone of an event that we wrote as dates or in UTC, which have none in iCalendar."""

BUSY_STATUS: dict[str, ShowAs] = {
    "FREE": "free",
    "TENTATIVE": "tentative",
    "BUSY": "busy",
    "OOF": "busy",
    "WORKINGELSEWHERE": "busy",
}
"""X-MICROSOFT-CDO-BUSYSTATUS ([MS-OXCICAL] section 2.1.3.1.1.20.31)."""
STATUSES: dict[str, Status] = {"CONFIRMED": "confirmed", "TENTATIVE": "tentative", "CANCELLED": "cancelled"}


def to_event(component: Vevent, uid: str, default_zone: str, names: ZoneNames) -> Event:
    """The event of a VEVENT without recurrence, or of one occurrence."""
    start = component["DTSTART"]
    all_day = not isinstance(start.dt, datetime)
    end = _end(component)
    named = text_of(component, ZONE_PROPERTY)
    named = named if is_zone(named) else ""
    if all_day:
        zone = named or default_zone
        span = local_midnight(start.dt, zone), local_midnight(end, zone)
    else:
        assert start.dt.tzinfo is not None
        zone = named or names.name(start.dt.tzinfo, start.params.get("TZID"))
        span = start.dt.astimezone(UTC), end.astimezone(UTC)
    status = STATUSES.get(text_of(component, "STATUS").upper(), "confirmed")
    return Event(
        uid=uid,
        title=_one_line(text_of(component, "SUMMARY"), " "),
        start=span[0],
        end=max(span),
        time_zone=zone,
        all_day=all_day,
        location=_one_line(text_of(component, "LOCATION"), ", "),
        description=text_of(component, "DESCRIPTION").replace("\r\n", "\n"),
        categories=_categories(component),
        url=text_of(component, "URL"),
        status=status,
        show_as=_show_as(component, status),
    )


def _end(component: Vevent) -> Any:
    """The end, as RFC 5545 section 3.6.1 says for each way to say it."""
    start = component["DTSTART"].dt
    if "DTEND" in component:
        return component["DTEND"].dt
    if "DURATION" in component:
        duration = component["DURATION"].dt
        if not isinstance(start, datetime):
            return start + duration
        # Days are days on the clock, hours are exact (section 3.3.6).
        days = start + timedelta(days=duration.days)
        return days.astimezone(UTC) + timedelta(seconds=duration.seconds)
    return start if isinstance(start, datetime) else start + timedelta(days=1)


def text_of(component: Vevent, property: str) -> str:
    """The property's text, of the first one where there are several."""
    value = component.get(property)
    if isinstance(value, list):
        value = value[0]
    return "" if value is None else str(value)


def _one_line(text: str, glue: str) -> str:
    """Programs break addresses into lines; no provider has several in this field."""
    return (
        glue.join(line.strip() for line in re.split(r"\r?\n", text) if line.strip()) if "\n" in text else text
    )


def _categories(component: Vevent) -> tuple[str, ...]:
    values = component.get("CATEGORIES", [])
    lists = values if isinstance(values, list) else [values]
    texts = (_one_line(str(category), " ").strip() for given in lists for category in given.cats)
    return tuple(dict.fromkeys(text for text in texts if text))


def _show_as(component: Vevent, status: Status) -> ShowAs:
    busy_status = BUSY_STATUS.get(text_of(component, "X-MICROSOFT-CDO-BUSYSTATUS").upper())
    if busy_status is not None:
        return busy_status
    if text_of(component, "TRANSP").upper() == "TRANSPARENT":
        return "free"
    return "tentative" if status == "tentative" else "busy"
