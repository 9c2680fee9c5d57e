"""A person's calendars: the calendars and calendarList resources.

https://developers.google.com/workspace/calendar/api/v3/reference/calendars and
https://developers.google.com/workspace/calendar/api/v3/reference/calendarList
"""

from secrets import token_hex
from typing import Any

from providers.sandbox.google.errors import ApiError, invalid, not_found
from providers.sandbox.google.rules import CALENDAR_ZONE, zones
from providers.sandbox.state import SandboxCalendar, SandboxMailbox

__all__ = [
    "PRIMARY",
    "PRIMARY_REMINDERS",
    "entries",
    "entry",
    "find",
    "make",
    "page",
    "remove",
    "resource",
]

PRIMARY = "primary"
"""The name of a person's own calendar; whose, the access token says."""
PRIMARY_REMINDERS: list[dict[str, Any]] = [{"method": "popup", "minutes": 10}]
"""Of events that use the default; a secondary calendar starts without any."""

DEFAULT_PAGE, LARGEST_PAGE = 100, 250
_WRITABLE = ("description", "location", "timeZone")
_ROLES = ("freeBusyReader", "reader", "writer", "owner")


def find(mailbox: SandboxMailbox, id: str) -> SandboxCalendar | None:
    """The calendar of this id, or None for the primary one. Raises ``ApiError`` 404 if it is neither."""
    if id.casefold() in (PRIMARY, mailbox.address.casefold(), *mailbox.aliases):
        return None
    try:
        return mailbox.calendars[id]
    except KeyError:
        raise not_found() from None


def make(mailbox: SandboxMailbox, body: dict[str, Any], *, by_app: bool) -> SandboxCalendar:
    """Make a secondary calendar; ``by_app`` says that the API's client did, and not the person.

    Two calendars may have one name. Raises ``ApiError`` 400 without a name, or for an unknown zone.
    """
    id = f"c_{token_hex(32)}@group.calendar.google.com"
    calendar = SandboxCalendar(id=id, name="", native={"byApp": by_app})
    replace(mailbox, calendar, body)
    mailbox.calendars[calendar.id] = calendar
    return calendar


def replace(mailbox: SandboxMailbox, calendar: SandboxCalendar, body: dict[str, Any]) -> None:
    """Set all that a client may write; what the body leaves out is empty. Raises ``ApiError`` 400."""
    patch(mailbox, calendar, dict.fromkeys(("summary", *_WRITABLE)) | body)


def patch(mailbox: SandboxMailbox, calendar: SandboxCalendar, body: dict[str, Any]) -> None:
    """Set what the body names; null removes it. Raises ``ApiError`` 400."""
    name = body.get("summary", calendar.name) or ""
    if not name.strip():
        raise ApiError(400, "required", "Missing title.")
    zone = body.get("timeZone")
    if zone is not None and zone not in zones():
        raise invalid("Invalid time zone.", "timeZone", "body")
    calendar.name = name
    calendar.native |= {field: body[field] for field in _WRITABLE if field in body}
    calendar.native["etag"] = f'"{mailbox.next_serial():016d}"'


def remove(mailbox: SandboxMailbox, calendar: SandboxCalendar | None) -> None:
    """Delete a secondary calendar with all that is in it. Raises ``ApiError`` 403 for the primary one."""
    if calendar is None:
        raise ApiError(403, "forbidden", "Forbidden")
    for key in [key for key, event in mailbox.events.items() if event.get("calendar") == calendar.id]:
        del mailbox.events[key]
    del mailbox.calendars[calendar.id]
    mailbox.next_serial()


def resource(mailbox: SandboxMailbox, calendar: SandboxCalendar | None) -> dict[str, Any]:
    """The calendar as the calendars resource shows it."""
    if calendar is None:
        return {
            "kind": "calendar#calendar",
            "etag": '"calendar"',
            "id": mailbox.address,
            "summary": mailbox.address,
            "timeZone": CALENDAR_ZONE,
        }
    fields = {name: value for name in _WRITABLE if (value := calendar.native.get(name))}
    return {
        "kind": "calendar#calendar",
        "etag": calendar.native["etag"],
        "id": calendar.id,
        "summary": calendar.name,
        "timeZone": "UTC",
        "dataOwner": mailbox.address,
    } | fields


def entry(mailbox: SandboxMailbox, calendar: SandboxCalendar | None) -> dict[str, Any]:
    """The calendar as an entry of the person's list."""
    is_primary = calendar is None
    return (
        resource(mailbox, calendar)
        | {
            "kind": "calendar#calendarListEntry",
            "accessRole": "owner",
            "selected": True,
            "defaultReminders": PRIMARY_REMINDERS if is_primary else [],
        }
        | ({"primary": True} if is_primary else {})
    )


def entries(mailbox: SandboxMailbox) -> list[dict[str, Any]]:
    """The person's list. Calendars that others share with them are not in the sandbox."""
    return [entry(mailbox, calendar) for calendar in (None, *mailbox.calendars.values())]


def page(mailbox: SandboxMailbox, query: dict[str, Any]) -> dict[str, Any]:
    """One page of ``calendarList.list``. Raises ``ApiError``."""
    if "syncToken" in query:
        raise ApiError(501, "notImplemented", "The sandbox has no sync tokens of the list of calendars.")
    least = _ROLES.index(query.get("minAccessRole", _ROLES[0]))
    found = [one for one in entries(mailbox) if _ROLES.index(one["accessRole"]) >= least]
    ids = [one["id"] for one in found]
    after = query.get("pageToken")
    if after is not None and after not in ids:
        raise invalid("Invalid page token value.", "pageToken")
    start = 0 if after is None else ids.index(after) + 1
    size = min(query.get("maxResults", DEFAULT_PAGE), LARGEST_PAGE)
    answer: dict[str, Any] = {
        "kind": "calendar#calendarList",
        "etag": f'"p{mailbox.serial:015d}"',
        "items": found[start : start + size],
    }
    if start + size < len(found):
        answer["nextPageToken"] = found[start + size - 1]["id"]
    return answer
