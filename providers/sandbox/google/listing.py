"""The ``list`` call: filters, order, pages and incremental synchronization.

https://developers.google.com/workspace/calendar/api/v3/reference/events/list and
https://developers.google.com/workspace/calendar/api/guides/sync
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from providers.sandbox.google.calendar import Calendar, resource, serial_of
from providers.sandbox.google.errors import ApiError, invalid
from providers.sandbox.google.rules import instant
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["full_sync_required", "list_events"]

DEFAULT_PAGE, LARGEST_PAGE = 250, 2500
_NOT_WITH_SYNC_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)


def list_events(book: Calendar, query: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """One page of a calendar's events; ``entry`` is the calendar in the person's list.

    Raises ``ApiError`` 400 for parameters that do not go together, and 410 for a synchronization token
    that is not valid any more.
    """
    _check_bounds(query)
    mailbox = book.mailbox
    wanted = {side: _constraints(query, side) for side in ("private", "shared")}
    since = _since(mailbox, query, entry["id"])
    found = [event for event in book.events() if _matches(event, query, wanted, since)]
    if query.get("singleEvents") and any("recurrence" in event for event in found):
        raise ApiError(501, "notImplemented", "The sandbox does not expand recurring events.")
    found = _ordered(found, query)
    serial, start = mailbox.serial, 0
    if "pageToken" in query:
        serial, start = _position(found if "orderBy" in query else book.events(), found, query["pageToken"])
    size = min(query.get("maxResults", DEFAULT_PAGE), LARGEST_PAGE)
    page = found[start : start + size]
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"p{mailbox.serial:015d}"',
        "summary": entry["summary"],
        "description": entry.get("description", ""),
        "updated": max((event["updated"] for event in found), default="1970-01-01T00:00:00.000Z"),
        "timeZone": entry["timeZone"],
        "accessRole": entry["accessRole"],
        "defaultReminders": entry["defaultReminders"],
        "items": [resource(event) for event in page],
    }
    if start + size < len(found):
        answer["nextPageToken"] = _encode(f"{serial} {page[-1]['id']}")
    elif not any(name in query for name in _NOT_WITH_SYNC_TOKEN):
        # From when the first page was asked for: what changed on pages that had been given is told next time.
        answer["nextSyncToken"] = _encode(f"serial {serial} {entry['id']}")
    return answer


def full_sync_required() -> ApiError:
    """410: the synchronization token is not valid any more."""
    return ApiError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location="syncToken",
    )


def _encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


def _decode(token: str) -> str:
    return urlsafe_b64decode(token.encode()).decode()


def _since(mailbox: SandboxMailbox, query: dict[str, Any], calendar: str) -> int | None:
    """The serial that an incremental synchronization starts from."""
    if "syncToken" not in query:
        return None
    for name in _NOT_WITH_SYNC_TOKEN:
        if name in query:
            raise invalid(f"Sync token cannot be used together with {name}.", "syncToken")
    try:
        word, serial, of = _decode(query["syncToken"]).split(" ")
        if (word, of) == ("serial", calendar) and int(serial) <= mailbox.serial:
            return int(serial)
    except ValueError:
        pass
    raise full_sync_required()


def _position(order: Iterable[Native], found: list[Native], token: str) -> tuple[int, int]:
    """The serial at the first page, and where in ``found`` the next one starts.

    That is after an event, not at a number: deletions between two pages hide nothing. ``order`` holds that
    event, and those that are found in their order.
    """
    try:
        serial, _, after = _decode(token).partition(" ")
        first_serial = int(serial)
    except ValueError:
        raise invalid("Invalid page token value.", "pageToken") from None
    given: set[str] = set()
    for event in order:
        given.add(event["id"])
        if event["id"] == after:
            return first_serial, sum(event["id"] in given for event in found)
    raise invalid("Invalid page token value.", "pageToken")


def _ordered(found: list[Native], query: dict[str, Any]) -> list[Native]:
    order = query.get("orderBy")
    if order == "startTime":
        if not query.get("singleEvents"):
            raise ApiError(
                400, "badRequest", "The requested ordering is not available for the particular query."
            )
        return sorted(found, key=lambda event: instant(event["start"]))
    if order == "updated":
        return sorted(found, key=lambda event: str(event["updated"]))
    return found


def _check_bounds(query: dict[str, Any]) -> None:
    if "timeMin" in query and "timeMax" in query and query["timeMin"] >= query["timeMax"]:
        raise ApiError(
            400,
            "timeRangeEmpty",
            "The specified time range is empty.",
            domain="calendar",
            location="timeMax",
        )


def _constraints(query: dict[str, Any], side: str) -> set[tuple[str, str]]:
    """The values that extended properties have to have, all of them."""
    wanted: set[tuple[str, str]] = set()
    for constraint in query.get(f"{side}ExtendedProperty", ()):
        name, equals, value = constraint.partition("=")
        if not name or not equals:
            raise invalid("Invalid extended property constraint.", f"{side}ExtendedProperty")
        wanted.add((name, value))
    return wanted


def _matches(
    event: Native, query: dict[str, Any], wanted: dict[str, set[tuple[str, str]]], since: int | None
) -> bool:
    if since is not None:
        return serial_of(event) > since
    properties = event.get("extendedProperties", {})
    with_deleted = query.get("showDeleted") or "updatedMin" in query
    if event["status"] == "cancelled" and not with_deleted:
        return False
    return (
        all(wanted[side] <= set(properties.get(side, {}).items()) for side in wanted)
        and ("iCalUID" not in query or event["iCalUID"] == query["iCalUID"])
        and ("eventTypes" not in query or event["eventType"] in query["eventTypes"])
        and ("timeMin" not in query or instant(event["end"]) > query["timeMin"])
        and ("timeMax" not in query or instant(event["start"]) < query["timeMax"])
        and ("updatedMin" not in query or event["updated"] >= _stamp(query["updatedMin"]))
        and ("q" not in query or _mentions(event, query["q"]))
    )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _mentions(event: Native, text: str) -> bool:
    words = " ".join(str(event.get(name, "")) for name in ("summary", "description", "location"))
    return text.casefold() in words.casefold()
