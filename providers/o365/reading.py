"""Events as Microsoft Graph shows them: searched by their marker, or read by their id."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from providers.contract import Content, Mailbox, Marker, RemoteEvent, ShowAs
from providers.marker import ATTEMPT, INSTANCE, NAMES, from_strings
from providers.o365.events import PROPERTY_PREFIX, calendar_path, event_path, user_path
from providers.o365.messages import Request

__all__ = [
    "Held",
    "content",
    "created",
    "event_request",
    "find_request",
    "get",
    "held_in",
    "list_request",
    "moment",
    "probe_request",
    "properties_in",
    "remote_event",
]

PAGE = 1000
"""Events a page of ``list``: the most that Graph gives; its default is 10."""

_SELECT = (
    "id,changeKey,createdDateTime,subject,start,end,isAllDay,location,body,categories,showAs,sensitivity"
)
_SHOW_AS: dict[str, ShowAs] = {"free": "free", "workingElsewhere": "free", "tentative": "tentative"}
"""What is not among these keeps people from asking for the time: busy."""
_PRIVATE = ("private", "confidential")
"""What others do not see. "personal" is a label that hides nothing."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What an event holds now. ``marker`` is None if a client has dropped it."""

    version: str | None
    content: Content
    marker: Marker | None


def probe_request(address: str) -> Request:
    """The mailbox's default calendar, with what ``probe`` needs to know of it."""
    return Request(method="GET", path=f"{user_path(address)}/calendar?$select=id,canEdit")


def find_request(mailbox: Mailbox, attempt: UUID) -> Request:
    """All events in the calendar whose marker names the attempt."""
    return _search(mailbox, ATTEMPT, attempt.hex)


def list_request(mailbox: Mailbox, instance: str) -> Request:
    """All events in the calendar whose marker names the instance, in any spelling of case."""
    return _search(mailbox, INSTANCE, instance)


def event_request(address: str, id: str) -> Request:
    """The event with this id."""
    return get(event_path(address, id), _SELECT, NAMES)


def held_in(item: dict[str, Any]) -> Held:
    """What an event of an answer holds.

    Raises KeyError, TypeError, ValueError or AttributeError if it is no event as it was asked for.
    """
    return Held(version=item.get("changeKey"), content=content(item), marker=_marker(item))


def remote_event(item: dict[str, Any]) -> RemoteEvent | None:
    """An event of an answer to a search; None if it has no complete marker. Raises as ``held_in``."""
    marker = _marker(item)
    id = item["id"]
    if marker is None:
        return None
    return RemoteEvent(id=id, version=item.get("changeKey"), marker=marker, content=content(item))


def content(item: dict[str, Any]) -> Content:
    """The fields that we own of an event. Raises as ``held_in``."""
    body = item.get("body") or {"contentType": "text", "content": ""}
    if body["contentType"] != "text":
        raise ValueError("the body is not the plain text that was asked for")
    all_day = bool(item["isAllDay"])
    return Content(
        title=item["subject"] or "",
        start=moment(item["start"], all_day=all_day),
        end=moment(item["end"], all_day=all_day),
        all_day=all_day,
        location=(item.get("location") or {}).get("displayName") or "",
        body=body["content"],
        categories=tuple(item["categories"]),
        show_as=_SHOW_AS.get(item["showAs"], "busy"),
        privacy="private" if item["sensitivity"] in _PRIVATE else "normal",
    )


def created(item: dict[str, Any]) -> str:
    """When the event was made, as text that sorts by time: Graph gives all in UTC and one format."""
    return str(item.get("createdDateTime", ""))


def properties_in(item: dict[str, Any]) -> dict[str, str]:
    """The values of those of our named properties that the answer shows, by their names."""
    values: dict[str, str] = {}
    for entry in item.get("singleValueExtendedProperties", ()):
        # Graph may spell the GUID in another case than we do; names are case-sensitive.
        prefix, name = entry["id"][: len(PROPERTY_PREFIX)], entry["id"][len(PROPERTY_PREFIX) :]
        if prefix.casefold() == PROPERTY_PREFIX.casefold():
            values[name] = entry["value"]
    return values


def _marker(item: dict[str, Any]) -> Marker | None:
    return from_strings(properties_in(item))


def moment(value: dict[str, str], *, all_day: bool) -> datetime:
    """In UTC, as was asked for. All-day events have their days' midnights, whatever the zone."""
    found = datetime.fromisoformat(value["dateTime"])
    if not all_day and value["timeZone"] != "UTC":
        raise ValueError("the time is not in UTC, as was asked for")
    return found.replace(tzinfo=UTC)


def get(
    path: str, select: str, properties: Sequence[str], options: Mapping[str, str] | None = None
) -> Request:
    """A read with our named properties in it, which come back only if expanded."""
    named = " or ".join(f"id eq '{PROPERTY_PREFIX}{name}'" for name in properties)
    expand = {"$expand": f"singleValueExtendedProperties($filter={named})", "$select": select}
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in {**(options or {}), **expand}.items())
    return Request(method="GET", path=f"{path}?{query}")


def _search(mailbox: Mailbox, name: str, value: str) -> Request:
    """The search by one extended property that Graph documents; several in one filter it does not.

    https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get: values are matched
    without case.
    """
    literal = value.replace("'", "''")
    matches = f"ep/id eq '{PROPERTY_PREFIX}{name}' and ep/value eq '{literal}'"
    return get(
        f"{calendar_path(mailbox)}/events",
        _SELECT,
        NAMES,
        {"$filter": f"singleValueExtendedProperties/Any(ep: {matches})", "$top": str(PAGE)},
    )
