"""A timetable as iCalendar (RFC 5545), for people's own programs and for reading it in again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, vDDDTypes, vUri
from icalendar import Event as Vevent

from app.timetables.vevent import ZONE_PROPERTY
from providers.contract import Event

__all__ = ["to_icalendar"]

MICROSOFT_BUSY = {"busy": "BUSY", "free": "FREE", "tentative": "TENTATIVE"}


def to_icalendar(events: Sequence[Event], default_zone: str) -> bytes:
    """The events as a calendar with the definitions of its time zones.

    ``app.timetables.icalendar`` reads the same events from it. DTSTAMP is the event's start, so that the
    same timetable is the same text.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Rooster//Timetables//EN")
    calendar.add("version", "2.0")
    for event in events:
        calendar.add_component(_vevent(event, default_zone))
    if events:
        calendar.add_missing_timezones(
            first_date=(min(event.start for event in events) - timedelta(days=366)).date(),
            last_date=(max(event.end for event in events) + timedelta(days=366)).date(),
        )
    return bytes(calendar.to_ical())


def _vevent(event: Event, default_zone: str) -> Vevent:
    component = Vevent()
    component.add("uid", event.uid)
    component.add("dtstamp", event.start.astimezone(UTC))
    component.add("summary", event.title)
    named = not event.all_day and not _in_utc(event.start, event)
    if not named and event.time_zone != default_zone:
        component.add(ZONE_PROPERTY, event.time_zone)
    if event.all_day:
        first, end = event.dates
        component.add("dtstart", first)
        component.add("dtend", end)
    else:
        component["DTSTART"] = _local(event.start, event)
        component["DTEND"] = _local(event.end, event)
    if event.location:
        component.add("location", event.location)
    if event.description:
        component.add("description", event.description)
    if event.categories:
        component.add("categories", list(event.categories))
    if event.url:
        component["URL"] = vUri(event.url)
    component.add("status", event.status.upper())
    component.add("transp", "TRANSPARENT" if event.show_as == "free" else "OPAQUE")
    component.add("x-microsoft-cdo-busystatus", MICROSOFT_BUSY[event.show_as])
    return component


def _in_utc(moment: datetime, event: Event) -> bool:
    """Whether a time can be written in UTC only: where the clock shows it twice, and it is the second."""
    return event.time_zone == "UTC" or bool(moment.astimezone(ZoneInfo(event.time_zone)).fold)


def _local(moment: datetime, event: Event) -> vDDDTypes:
    """A time with its zone's name, or in UTC."""
    if _in_utc(moment, event):
        return vDDDTypes(moment.astimezone(UTC))
    value = vDDDTypes(moment.astimezone(ZoneInfo(event.time_zone)).replace(tzinfo=None))
    value.params["TZID"] = event.time_zone
    return value
