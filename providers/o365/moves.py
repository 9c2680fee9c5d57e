"""Moving an event to another calendar, for which Graph has no way of its own: a copy, and then no original.

The copy holds what the original holds, the person's part included. What a copy cannot take along keeps the
original where it is.
"""

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from providers.contract import Done, Event, Mailbox, Move, Outcome, Refused, Throttled, Unknown
from providers.o365.events import TIMES, calendar_path, event_path, fields_of, properties_of
from providers.o365.messages import Request
from providers.o365.reading import moment

__all__ = ["copy_request", "half_moved", "obstacle", "original_request"]

_KEPT = (
    "subject",
    "body",
    "categories",
    "showAs",
    "sensitivity",
    "importance",
    "isReminderOn",
    "reminderMinutesBeforeStart",
)
"""What a copy has word for word. Times and location are written anew: Graph adds what it does not take."""

_SELECT = ",".join((*_KEPT, *TIMES, "location", "type", "attendees", "hasAttachments", "isOnlineMeeting"))


def original_request(address: str, id: str) -> Request:
    """The event with this id, as it is to be copied."""
    return Request(method="GET", path=f"{event_path(address, id)}?$select={_SELECT}", formatted=True)


def obstacle(item: dict[str, Any]) -> Refused | None:
    """Why an event cannot be copied as it is, or None. Raises KeyError, TypeError or AttributeError.

    A copy of a meeting would invite people, with no way to suppress that, and the end of the original would
    tell them that it is cancelled. Pictures in the text are attachments that Graph does not count.
    """
    if item.get("attendees") or item.get("isOnlineMeeting"):
        what = "it has become a meeting with other people"
    elif item["type"] != "singleInstance":
        what = "it has become a series"
    elif item["hasAttachments"] or "cid:" in item["body"]["content"]:
        what = "it has attachments"
    else:
        return None
    reason = f"Microsoft Graph has no way to move this event: {what}. It stays in the calendar that it is in."
    return Refused(code="not_to_be_copied", reason=reason)


def copy_request(mailbox: Mailbox, move: Move, item: dict[str, Any]) -> Request:
    """What makes the copy of an event in the calendar that it moves to.

    Raises KeyError, TypeError, ValueError or AttributeError if ``item`` is no event as it was asked for.
    """
    all_day = bool(item["isAllDay"])
    start, end = (moment(item[name], all_day=all_day) for name in ("start", "end"))
    if all_day:
        midnight = time(tzinfo=ZoneInfo(move.time_zone))
        start, end = (datetime.combine(one.date(), midnight).astimezone(UTC) for one in (start, end))
    shape = Event(uid="", title="", start=start, end=end, time_zone=move.time_zone, all_day=all_day)
    times = {name: value for name, value in fields_of(shape).items() if name in TIMES}
    location = (item.get("location") or {}).get("displayName") or ""
    body = {name: item[name] for name in _KEPT} | times | {"location": {"displayName": location}}
    body |= properties_of(move.marker) | {"transactionId": str(move.marker.attempt)}
    place = msgspec.structs.replace(mailbox, calendar=move.calendar)
    return Request(method="POST", path=f"{calendar_path(place)}/events", body=body)


def half_moved(outcome: Outcome) -> Unknown:
    """The outcome where there is a copy, and the original could not be taken out: ``outcome`` says why."""
    code = "half_moved" if isinstance(outcome, Done) else outcome.code
    return Unknown(
        code=code,
        reason="The event was copied, and the original is still to go. Rooster looks again.",
        wait=outcome if isinstance(outcome, Throttled) else None,
    )
