"""What the Calendar API accepts as an event, beyond the types in its discovery document.

Reference of the Events resource: https://developers.google.com/workspace/calendar/api/v3/reference/events;
extended properties: https://developers.google.com/workspace/calendar/api/guides/extended-properties
"""

import re
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from providers.sandbox.google.errors import ApiError, invalid

__all__ = [
    "CALENDAR_ZONE",
    "check_event",
    "check_id",
    "instant",
    "normalise_properties",
    "normalise_time",
    "zones",
]

CALENDAR_ZONE = "Europe/Amsterdam"
"""The time zone of every calendar in the sandbox."""

_ENUMS = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "colorId": tuple(str(number) for number in range(1, 12)),
}
_MAX_KEY, _MAX_VALUE, _MAX_PROPERTIES, _MAX_PROPERTIES_SIZE = 44, 1024, 300, 32 * 1024
_MAX_REMINDERS, _MAX_REMINDER_MINUTES = 5, 40320


@cache
def zones() -> set[str]:
    """The names of the time zones that the API takes."""
    return available_timezones()


def check_id(id: str) -> None:
    """Raise ``ApiError`` 400 unless a client may choose this id: base32hex, 5 to 1024 characters."""
    if not re.fullmatch(r"[a-v0-9]{5,1024}", id):
        raise invalid("Invalid resource id value.", "resource.id", "other")


def normalise_time(name: str, value: dict[str, Any] | None) -> dict[str, Any]:
    """``start`` or ``end`` as the API gives it back: date-times with the offset of the calendar's zone.

    Raises ``ApiError`` 400 unless it is a date or else a date-time, with an offset or an IANA zone.
    """
    if not value:
        raise ApiError(400, "required", f"Missing {name} time.")
    zone = value.get("timeZone")
    if zone is not None and zone not in zones():
        raise invalid(f"Invalid time zone definition for {name} time.")
    if ("date" in value) == ("dateTime" in value):
        raise invalid(f"Invalid {name} time.")
    if "date" in value:
        return {"date": value["date"]}
    moment = datetime.fromisoformat(value["dateTime"])
    if moment.tzinfo is None:
        if zone is None:
            raise ApiError(400, "required", f"Missing time zone definition for {name} time.")
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    local = moment.astimezone(ZoneInfo(CALENDAR_ZONE)).replace(microsecond=0)
    return {"dateTime": _rfc3339(local), "timeZone": zone or CALENDAR_ZONE}


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def instant(value: dict[str, Any]) -> datetime:
    """The moment of a normalised ``start`` or ``end``, in UTC; of a date, its midnight in the calendar."""
    if "date" in value:
        midnight = datetime.fromisoformat(value["date"]).replace(tzinfo=ZoneInfo(CALENDAR_ZONE))
        return midnight.astimezone(UTC)
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)


def check_event(event: dict[str, Any]) -> None:
    """Raise ``ApiError`` 400 unless this is an event that the API keeps; its times are normalised."""
    start, end = event["start"], event["end"]
    if ("date" in start) != ("date" in end):
        raise invalid("Invalid start time.")
    empty = (
        date.fromisoformat(end["date"]) <= date.fromisoformat(start["date"])
        if "date" in start
        else instant(end) < instant(start)
    )
    if empty:
        raise ApiError(400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar")
    for name, allowed in _ENUMS.items():
        if name in event and event[name] not in allowed:
            raise invalid(f"Invalid value for: {name}", name, "body")
    _check_reminders(event.get("reminders", {}))
    _check_source(event.get("source", {}))
    for attendee in event.get("attendees", ()):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", attendee.get("email", "")):
            raise invalid("Invalid attendee email.", "attendees", "body")
    for rule in event.get("recurrence", ()):
        if not re.match(r"(RRULE|EXRULE|RDATE|EXDATE)[:;]", rule):
            raise invalid("Invalid recurrence rule.", "recurrence", "body")


def _check_reminders(reminders: dict[str, Any]) -> None:
    overrides = reminders.get("overrides", [])
    if overrides and reminders.get("useDefault"):
        raise ApiError(
            400,
            "cannotUseDefaultRemindersAndSpecifyOverride",
            "Cannot specify both default reminders and overrides at the same time.",
            domain="calendar",
        )
    if len(overrides) > _MAX_REMINDERS:
        raise invalid("Too many override reminders.", "reminders.overrides", "body")
    for reminder in overrides:
        if reminder.get("method") not in ("email", "popup"):
            raise invalid("Invalid reminder method.", "reminders.overrides", "body")
        if not 0 <= reminder.get("minutes", -1) <= _MAX_REMINDER_MINUTES:
            raise invalid("Invalid reminder time.", "reminders.overrides", "body")


def _check_source(source: dict[str, Any]) -> None:
    if not source:
        return
    parts = urlsplit(source.get("url", ""))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise invalid("Invalid event source URL.", "source.url", "body")


def normalise_properties(event: dict[str, Any]) -> list[str]:
    """Do to the extended properties what the API does: drop long keys, cut long values off, silently.

    Raises ``ApiError`` 400 for too many. Returns what was lost, for the sandbox to report.
    """
    lost: list[str] = []
    for side, properties in event.get("extendedProperties", {}).items():
        for key in [key for key in properties if len(key) > _MAX_KEY]:
            lost.append(f"extendedProperties.{side}: a key of {len(key)} characters was dropped")
            del properties[key]
        for key, value in properties.items():
            if len(value) > _MAX_VALUE:
                lost.append(f"extendedProperties.{side}.{key}: {len(value)} characters were cut off")
                properties[key] = value[:_MAX_VALUE]
        size = sum(len((key + value).encode()) for key, value in properties.items())
        if len(properties) > _MAX_PROPERTIES or size > _MAX_PROPERTIES_SIZE:
            raise invalid("Extended properties limit exceeded.", f"extendedProperties.{side}", "body")
    return lost
