"""Events and markers as Microsoft Graph writes them.

The resource: https://learn.microsoft.com/graph/api/resources/event
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from tzlocal.windows_tz import tz_win

from providers.contract import Create, Delete, Event, Marker, Operation, RemoteEvent, Update
from providers.marker import ATTEMPT, INSTANCE, NAMES, PROPERTY_SET, from_strings, to_strings
from providers.o365.messages import Request

__all__ = ["calendar_path", "created", "find_request", "list_request", "remote_event", "request_of"]

PAGE = 250
"""Events a page of ``list``. Graph's default is 10, its most 1,000."""

_PREFIX = f"String {{{PROPERTY_SET}}} Name "
_TIMES = ("start", "end", "isAllDay")


def calendar_path(address: str) -> str:
    """The mailbox's default calendar, with what ``probe`` needs to know of it."""
    return f"{_user(address)}/calendar?$select=id,canEdit"


def request_of(address: str, operation: Operation) -> Request | None:
    """What carries out the operation; None if there is nothing to change.

    No request names attendees or an organizer: attendees mean invitations and cancellations, with no
    way to suppress them. An event without attendees is deleted silently.
    """
    match operation:
        case Create(event=event, marker=marker):
            body = _fields(event) | _properties(marker)
            # Graph drops a POST that repeats a transactionId; see GraphAdapter.idempotent_create.
            body["transactionId"] = str(marker.attempt)
            return Request(method="POST", path=f"{_user(address)}/events", body=body)
        case Update(id=id, event=event, marker=marker):
            changed = _changed(event, operation.previous)
            if not changed:
                return None
            # With the marker, as an adopted event gets a new synchronization, and as some clients
            # drop properties that they do not know.
            return Request(method="PATCH", path=_event(address, id), body=changed | _properties(marker))
        case Delete(id=id):
            return Request(method="DELETE", path=_event(address, id))


def find_request(address: str, attempt: UUID) -> Request:
    """All events in the mailbox whose marker names the attempt."""
    return _search(address, ATTEMPT, attempt.hex)


def list_request(address: str, instance: str) -> Request:
    """All events in the mailbox whose marker names the instance, in any spelling of case."""
    return _search(address, INSTANCE, instance)


def remote_event(item: dict[str, Any]) -> RemoteEvent | None:
    """An event of an answer to a search; None if it has no complete marker.

    Raises KeyError or TypeError if it is no event at all.
    """
    values: dict[str, str] = {}
    for entry in item.get("singleValueExtendedProperties", ()):
        # Graph may spell the GUID in another case than we do; names are case-sensitive.
        prefix, name = entry["id"][: len(_PREFIX)], entry["id"][len(_PREFIX) :]
        if prefix.casefold() == _PREFIX.casefold():
            values[name] = entry["value"]
    marker = from_strings(values)
    id, version = item["id"], item.get("changeKey")
    return RemoteEvent(id=id, version=version, marker=marker) if marker is not None else None


def created(item: dict[str, Any]) -> str:
    """When the event was made, as text that sorts by time: Graph gives all in UTC and one format."""
    return str(item.get("createdDateTime", ""))


def _user(address: str) -> str:
    return f"/users/{quote(address, safe='@')}"


def _event(address: str, id: str) -> str:
    return f"{_user(address)}/events/{quote(id, safe='')}"


def _search(address: str, name: str, value: str) -> Request:
    """The search by one extended property that Graph documents; several in one filter it does not.

    https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get: values are matched
    without case, and the properties come back only if expanded.
    """
    literal = value.replace("'", "''")
    matches = f"ep/id eq '{_PREFIX}{name}' and ep/value eq '{literal}'"
    wanted = " or ".join(f"id eq '{_PREFIX}{each}'" for each in NAMES)
    options = {
        "$filter": f"singleValueExtendedProperties/Any(ep: {matches})",
        "$expand": f"singleValueExtendedProperties($filter={wanted})",
        "$select": "id,changeKey,createdDateTime",
        "$top": str(PAGE),
    }
    query = "&".join(f"{option}={quote(text, safe='')}" for option, text in options.items())
    return Request(method="GET", path=f"{_user(address)}/events?{query}")


def _fields(event: Event) -> dict[str, Any]:
    """The fields we own, empty ones too, so that a PATCH empties them.

    Not among them: the reminder, which is the person's own or Graph's default.
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


def _changed(event: Event, previous: Event | None) -> dict[str, Any]:
    """The fields to patch: all if ``previous`` is None, else those that differ."""
    fields = _fields(event)
    if previous is None:
        return fields
    before = _fields(previous)
    changed = {name: value for name, value in fields.items() if value != before[name]}
    if not changed.keys().isdisjoint(_TIMES):
        # Graph checks them against each other: an all-day event has to run from midnight to midnight.
        changed |= {name: fields[name] for name in _TIMES}
    return changed


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
        first, after_last = event.dates
        # A date alone lasts for that day (RFC 5545 section 3.6.1); Graph wants to hear of it.
        after_last = max(after_last, first + timedelta(days=1))
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


def _properties(marker: Marker) -> dict[str, Any]:
    return {
        "singleValueExtendedProperties": [
            {"id": _PREFIX + name, "value": value} for name, value in to_strings(marker).items()
        ]
    }
