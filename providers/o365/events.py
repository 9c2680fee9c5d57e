"""Events and markers in Microsoft Graph's form, and the requests that create and delete them.

The resource: https://learn.microsoft.com/graph/api/resources/event
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote

from tzlocal.windows_tz import tz_win

from providers.contract import Create, Delete, Event, Mailbox, Marker
from providers.marker import PROPERTY_SET, to_strings
from providers.o365.messages import Request
from providers.o365.presentation import presentation_of

__all__ = [
    "PROPERTY_PREFIX",
    "TIMES",
    "calendar_path",
    "create_request",
    "delete_request",
    "event_path",
    "fields_of",
    "last_day_after",
    "properties_of",
    "user_path",
]

PROPERTY_PREFIX = f"String {{{PROPERTY_SET}}} Name "
"""What the id of each of the marker's properties starts with."""

TIMES = ("start", "end", "isAllDay")
"""The fields that only go together."""


def user_path(address: str) -> str:
    """The person whose mailbox it is."""
    return f"/users/{quote(address, safe='@')}"


def event_path(address: str, id: str) -> str:
    """One event of theirs."""
    return f"{user_path(address)}/events/{quote(id, safe='')}"


def calendar_path(mailbox: Mailbox) -> str:
    """The calendar that is meant."""
    if mailbox.calendar is None:
        return f"{user_path(mailbox.address)}/calendar"
    return f"{user_path(mailbox.address)}/calendars/{quote(mailbox.calendar, safe='')}"


def create_request(mailbox: Mailbox, operation: Create) -> Request:
    """What makes the event, in the calendar that is meant.

    No request names attendees or an organizer: attendees mean invitations and cancellations, with no
    way to suppress them. An event without attendees is deleted silently.
    """
    event = operation.event
    body = fields_of(event) | presentation_of(event) | properties_of(operation.marker)
    # Graph drops a POST that repeats a transactionId; see GraphAdapter.idempotent_create.
    body["transactionId"] = str(operation.marker.attempt)
    place = user_path(mailbox.address) if mailbox.calendar is None else calendar_path(mailbox)
    return Request(method="POST", path=f"{place}/events", body=body)


def delete_request(address: str, operation: Delete) -> Request:
    """What removes the event, whatever has become of it."""
    return Request(method="DELETE", path=event_path(address, operation.id))


def fields_of(event: Event) -> dict[str, Any]:
    """The fields we own, empty ones too, so that a PATCH empties them.

    Not among them: reminder and sensitivity, which are ours only where the event says so.
    """
    start, end = _times(event)
    return {
        "subject": event.title,
        "start": start,
        "end": end,
        "isAllDay": event.all_day,
        "location": {"displayName": event.location},
        "body": {"contentType": "text", "content": event.body},
        "categories": list(event.categories),
        "showAs": event.show_as,
    }


def last_day_after(event: Event) -> date:
    """The day after an all-day event's last.

    A date alone lasts for that day (RFC 5545 section 3.6.1); Graph wants to hear of it.
    """
    first, after_last = event.dates
    return max(after_last, first + timedelta(days=1))


def _times(event: Event) -> tuple[dict[str, str], dict[str, str]]:
    """Start and end on the event's own wall clock, so that clients show and move them by it.

    Graph takes all Windows zone names and only some of IANA's
    (https://learn.microsoft.com/graph/api/resources/datetimetimezone). A zone without a Windows name
    goes in UTC, and so does a time that the wall clock shows twice when clocks go back: without an
    offset it could be either.
    """
    zone = tz_win.get(event.time_zone, "UTC")
    if event.all_day:
        # Midnight by the calendar, also where clocks change at midnight and there is none by the clock.
        first, after_last = event.dates[0], last_day_after(event)
        return _date_time(_midnight(first), zone), _date_time(_midnight(after_last), zone)
    start, end = event.local_start, event.local_end
    if event.time_zone not in tz_win or _ambiguous(start) or _ambiguous(end):
        zone, start, end = "UTC", event.start.astimezone(UTC), event.end.astimezone(UTC)
    return _date_time(start, zone), _date_time(end, zone)


def _date_time(local: datetime, zone: str) -> dict[str, str]:
    return {"dateTime": local.replace(tzinfo=None, fold=0).isoformat(), "timeZone": zone}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def _ambiguous(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def properties_of(marker: Marker) -> dict[str, Any]:
    """The marker, as extended properties."""
    return {
        "singleValueExtendedProperties": [
            {"id": PROPERTY_PREFIX + name, "value": value} for name, value in to_strings(marker).items()
        ]
    }
