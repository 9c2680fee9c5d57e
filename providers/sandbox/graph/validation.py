"""What Graph accepts as an event: the metadata's types and Exchange's rules on top of them.

Property names and types are those of v1.0's metadata (``microsoft.graph.event``). Where Microsoft does
not document what it answers to something that is not allowed, the sandbox refuses it.
"""

from typing import Any

import msgspec

from providers.sandbox.graph import zones
from providers.sandbox.graph.errors import GraphError, invalid_request, request_body_read
from providers.sandbox.graph.properties import canonical

__all__ = ["READ_ONLY", "check_times", "checked"]

ENUMS: dict[str, tuple[str, ...]] = {
    "showAs": ("unknown", "free", "tentative", "busy", "oof", "workingElsewhere"),
    "sensitivity": ("normal", "personal", "private", "confidential"),
    "importance": ("low", "normal", "high"),
    "onlineMeetingProvider": ("unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness"),
}
BODY_TYPES = ("text", "html")
READ_ONLY = frozenset(
    {
        "bodyPreview",
        "cancelledOccurrences",
        "changeKey",
        "createdDateTime",
        "hasAttachments",
        "iCalUId",
        "id",
        "isCancelled",
        "isDraft",
        "isOrganizer",
        "lastModifiedDateTime",
        "onlineMeeting",
        "onlineMeetingUrl",
        "originalEndTimeZone",
        "originalStart",
        "originalStartTimeZone",
        "organizer",
        "responseStatus",
        "seriesMasterId",
        "type",
        "webLink",
    }
)


class _Type(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Body(_Type):
    contentType: str | None = None  # noqa: N815 - Graph's name
    content: str | None = None


class _DateTimeTimeZone(_Type):
    dateTime: str  # noqa: N815
    timeZone: str | None = None  # noqa: N815


class _EmailAddress(_Type):
    name: str | None = None
    address: str | None = None


class _Attendee(_Type):
    emailAddress: _EmailAddress | None = None  # noqa: N815
    type: str | None = None
    status: dict[str, Any] | None = None
    proposedNewTime: dict[str, Any] | None = None  # noqa: N815


class _Location(_Type):
    displayName: str | None = None  # noqa: N815
    address: dict[str, Any] | None = None
    coordinates: dict[str, Any] | None = None
    locationEmailAddress: str | None = None  # noqa: N815
    locationType: str | None = None  # noqa: N815
    locationUri: str | None = None  # noqa: N815
    uniqueId: str | None = None  # noqa: N815
    uniqueIdType: str | None = None  # noqa: N815


class _Recurrence(_Type):
    pattern: dict[str, Any] | None = None
    range: dict[str, Any] | None = None


class _Property(_Type):
    id: str
    value: str


class _Properties(_Type):
    id: str
    value: list[str]


class _Event(_Type):
    """The properties that a client may set."""

    allowNewTimeProposals: bool | None = None  # noqa: N815
    attendees: list[_Attendee] = []
    body: _Body | None = None
    categories: list[str] = []
    end: _DateTimeTimeZone | None = None
    hideAttendees: bool | None = None  # noqa: N815
    importance: str | None = None
    isAllDay: bool | None = None  # noqa: N815
    isOnlineMeeting: bool | None = None  # noqa: N815
    isReminderOn: bool | None = None  # noqa: N815
    location: _Location | None = None
    locations: list[_Location] = []
    multiValueExtendedProperties: list[_Properties] = []  # noqa: N815
    onlineMeetingProvider: str | None = None  # noqa: N815
    recurrence: _Recurrence | None = None
    reminderMinutesBeforeStart: int | None = None  # noqa: N815
    responseRequested: bool | None = None  # noqa: N815
    sensitivity: str | None = None
    showAs: str | None = None  # noqa: N815
    singleValueExtendedProperties: list[_Property] = []  # noqa: N815
    start: _DateTimeTimeZone | None = None
    subject: str | None = None
    transactionId: str | None = None  # noqa: N815


def checked(body: object, *, creating: bool) -> dict[str, Any]:
    """The event's given properties in their canonical spelling. Raises ``GraphError``.

    Annotations (``@odata.type``) are left out. Times are checked by ``check_times``, as a PATCH may
    give only one of them.
    """
    if not isinstance(body, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    # The documentation's own example of an update sends read-only properties (learn.microsoft.com/graph/api/
    # event-update): they are let through and have no effect.
    given = {name: value for name, value in _without_annotations(body).items() if name not in READ_ONLY}
    try:
        msgspec.convert(given, _Event)
    except msgspec.ValidationError as error:
        raise request_body_read(
            f"The request does not fit the type 'microsoft.graph.event': {error}. Make sure to only use "
            "property names that are defined by the type."
        ) from error
    if not creating and "transactionId" in given:
        # "You can't change transactionId in a subsequent update": the event resource's page.
        raise GraphError(400, "ErrorInvalidPropertySet", "Set action is invalid for property transactionId.")
    for name, members in ENUMS.items():
        if given.get(name) is not None:
            given[name] = _member(given[name], members)
    if given.get("body") is not None:
        content_type = _member(given["body"].get("contentType") or "text", BODY_TYPES)
        given["body"] = {"contentType": content_type, "content": given["body"].get("content") or ""}
    for item in [
        *given.get("singleValueExtendedProperties", []),
        *given.get("multiValueExtendedProperties", []),
    ]:
        canonical(item["id"])
    _check_recurrence(given.get("recurrence"))
    if creating and (given.get("start") is None or given.get("end") is None):
        raise invalid_request("An event needs a start and an end.")
    return given


def check_times(event: dict[str, Any]) -> None:
    """Start, end and isAllDay of a whole event fit each other. Raises ``GraphError``.

    "If true, regardless of whether it's a single-day or multi-day event, start, and end time must be set
    to midnight and be in the same time zone": isAllDay at the event resource's page.
    """
    for field in ("start", "end"):
        if event.get(field) is None:
            raise invalid_request(f"An event needs its {field}.")
    start, end = zones.moment(event["start"], "start"), zones.moment(event["end"], "end")
    if end < start:
        raise GraphError(
            400, "ErrorCalendarEndDateIsEarlierThanStartDate", "The end date is earlier than the start date."
        )
    if event.get("isAllDay"):
        midnight = all(moment.time().isoformat() == "00:00:00" for moment in (start, end))
        if not midnight or start.tzinfo != end.tzinfo:
            raise invalid_request(
                "The Event.Start and Event.End properties of an all-day event must be set to midnight, "
                "in the same time zone."
            )
        if end.date() <= start.date():
            raise invalid_request("The duration of an event marked as All day must be at least 24 hours.")


def _without_annotations(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_annotations(item) for name, item in value.items() if "@odata." not in name}
    if isinstance(value, list):
        return [_without_annotations(item) for item in value]
    return value


def _member(value: str, members: tuple[str, ...]) -> str:
    """The member's own spelling: the documentation's examples send ``HTML`` and are answered ``html``."""
    found = next((member for member in members if member.casefold() == value.casefold()), None)
    if found is None:
        raise request_body_read(f"Requested value '{value}' was not found.")
    return found


def _check_recurrence(recurrence: dict[str, Any] | None) -> None:
    if recurrence is None:
        return
    pattern, range_ = recurrence.get("pattern"), recurrence.get("range")
    if not pattern or not range_ or "type" not in pattern or not {"type", "startDate"} <= range_.keys():
        raise GraphError(
            400, "ErrorInvalidRecurrence", "A recurrence needs a pattern and a range, each with its type."
        )
