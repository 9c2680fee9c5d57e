"""Timetables in JSON: ``{"events": [E, …]}`` and its relatives (CONTRACT §5), read into events.

The usual, correct document is decoded straight into typed structs, which is quick. Only where that fails
is it read again with patience, value by value, so that every problem can be named.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from app.config import TimetableSettings
from app.errors import Invalid
from app.provisioning.text import is_username
from app.timetables.event import EPOCH, LINE, Problems, check_events, event_name
from app.timetables.times import is_zone, parse_date, parse_time
from providers.contract import Event, ShowAs, Status

__all__ = [
    "EventDocument",
    "LineDocument",
    "PatchDocument",
    "Reader",
    "StoredDocument",
    "TimetableDocument",
    "to_document",
]


class EventDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event as a frontend writes it. An optional field may also be null.

    ``start`` and ``end`` are RFC 3339 with an offset, or local times without one, read in ``timeZone``
    (IANA; default: the configured one); for ``allDay`` they are dates, the end exclusive. A fraction of a
    second is dropped. ``showAs`` is by default ``tentative`` for a tentative event, else ``busy``.
    """

    uid: Annotated[str, Meta(description="Opaque, unique in the timetable, the same in every publication.")]
    title: str
    start: Annotated[str, Meta(examples=["2026-11-23T09:00:00+01:00", "2026-11-23T09:00:00", "2026-11-23"])]
    end: Annotated[str, Meta(examples=["2026-11-23T10:45:00+01:00", "2026-11-23T10:45:00", "2026-11-24"])]
    time_zone: Annotated[str | None, Meta(description="IANA name.", examples=["Europe/Amsterdam"])] = None
    all_day: bool | None = None
    location: str | None = None
    description: Annotated[str | None, Meta(description="Plain text; may have several lines.")] = None
    categories: tuple[str, ...] | None = None
    url: Annotated[str | None, Meta(description="http or https.")] = None
    status: Status | None = None
    show_as: ShowAs | None = None


class TimetableDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A whole timetable."""

    events: tuple[EventDocument, ...]


class StoredDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A timetable as it is given out. Revision 0: none was published yet."""

    revision: int
    events: list[EventDocument]


class PatchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to a timetable. A uid in ``delete`` that is not there is already deleted."""

    upsert: tuple[EventDocument, ...] = ()
    delete: tuple[str, ...] = ()


class LineDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``POST /timetables``: a user's whole timetable."""

    username: str
    events: tuple[EventDocument, ...]


Document = TypeVar("Document", TimetableDocument, PatchDocument, LineDocument)

EXPECTED: dict[str, str] = {
    "uid": "a string",
    "title": "a string",
    "start": "a string",
    "end": "a string",
    "timeZone": "a string, the IANA name of a time zone",
    "allDay": "true or false",
    "location": "a string",
    "description": "a string",
    "categories": "a list of strings",
    "url": "a string",
    "status": "confirmed, tentative or cancelled",
    "showAs": "busy, free or tentative",
}


class Reader:
    """Reads JSON documents by the configured limits and default time zone. Holds no state."""

    def __init__(self, limits: TimetableSettings, zone: str) -> None:
        self.limits = limits
        self.zone = zone

    def timetable(self, data: bytes) -> list[Event]:
        """The events of a whole timetable. Raises Invalid with every problem."""
        problems = Problems()
        events = self._events(self._decode(data, TimetableDocument, problems).events, problems)
        problems.raise_any()
        return events

    def patch(self, data: bytes) -> tuple[list[Event], list[str]]:
        """What to put in and the uids to take out. Raises Invalid with every problem."""
        problems = Problems()
        document = self._decode(data, PatchDocument, problems)
        events = self._events(document.upsert, problems)
        for uid in sorted({event.uid for event in events}.intersection(document.delete)):
            problems.add("Both in upsert and in delete; say which.", uid, "delete")
        if any(LINE.search(uid) for uid in document.delete):
            problems.add("Holds a control character, a lone surrogate or a noncharacter.", field="delete")
        problems.raise_any()
        return events, list(document.delete)

    def line(self, data: bytes) -> tuple[str | None, list[Event] | Invalid]:
        """The username of a line, where it says one, and its events or what is wrong with it."""
        problems = Problems()
        username = None
        try:
            document = self._decode(data, LineDocument, problems)
            if is_username(document.username):
                username = document.username
            else:
                problems.add(
                    "Missing, no string, too long, or with a control character in it.", field="username"
                )
            events = self._events(document.events, problems)
            problems.raise_any()
        except Invalid as error:
            return username, error
        return username, events

    def _decode(self, data: bytes, type: type[Document], problems: Problems) -> Document:
        try:
            return msgspec.json.decode(data, type=type)
        except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
            return _read_patiently(data, type, problems, self.limits)

    def _events(self, documents: Sequence[EventDocument], problems: Problems) -> list[Event]:
        _check_count(documents, self.limits)
        named = [self._event(document, position, problems) for position, document in enumerate(documents, 1)]
        return check_events(named, self.limits, problems)

    def _event(self, document: EventDocument, position: int, problems: Problems) -> tuple[str, Event]:
        """The event with its name in problems. Where a problem was noted, the event is not to be used."""
        name = event_name(document.uid, position)
        zone = document.time_zone or self.zone
        if not is_zone(zone):
            problems.add("Not the IANA name of a time zone, for example Europe/Amsterdam.", name, "timeZone")
            zone = self.zone
        all_day = bool(document.all_day)
        start, end = _span(document, zone, all_day, name, problems)
        status = document.status or "confirmed"
        return name, Event(
            uid=document.uid,
            title=document.title,
            start=start,
            end=end,
            time_zone=zone,
            all_day=all_day,
            location=document.location or "",
            description=(document.description or "").replace("\r\n", "\n"),
            categories=_categories(document.categories or ()),
            url=document.url or "",
            status=status,
            show_as=document.show_as or ("tentative" if status == "tentative" else "busy"),
        )


def _categories(given: Iterable[str]) -> tuple[str, ...]:
    """Each once; a blank one is none."""
    return tuple(dict.fromkeys(category for category in given if category.strip()))


def to_document(event: Event) -> EventDocument:
    """The event as a frontend would write it, in local times with their offset."""
    if event.all_day:
        start, end = (day.isoformat() for day in event.dates)
    else:
        start, end = event.local_start.isoformat(), event.local_end.isoformat()
    return EventDocument(
        uid=event.uid,
        title=event.title,
        start=start,
        end=end,
        time_zone=event.time_zone,
        all_day=event.all_day,
        location=event.location or None,
        description=event.description or None,
        categories=event.categories or None,
        url=event.url or None,
        status=event.status,
        show_as=event.show_as,
    )


def _span(
    document: EventDocument, zone: str, all_day: bool, name: str, problems: Problems
) -> tuple[datetime, datetime]:
    """Start and end in UTC; anything where a problem was noted."""
    moments: list[datetime] = []
    locals: list[datetime | None] = []
    for field, text in (("start", document.start), ("end", document.end)):
        try:
            moment, local = (parse_date(text, zone), None) if all_day else parse_time(text, zone)
        except ValueError as error:
            problems.add(f"{error}.", name, field)
            return EPOCH, EPOCH
        moments.append(moment)
        locals.append(local)
    start, end = moments
    if all_day and end <= start:
        problems.add("Not after the start; the end of an all-day event is exclusive.", name, "end")
    elif end < start:
        if locals[0] and locals[1] and locals[1] >= locals[0]:
            # In order on the clock, but the start was skipped by the change to summer time.
            return start, start
        problems.add("Before the start.", name, "end")
    return start, end


def _check_count(events: Sequence[object], limits: TimetableSettings) -> None:
    if len(events) > limits.max_events:
        raise Invalid("too_many_events", f"More than {limits.max_events} events in one timetable.")


def _read_patiently(
    data: bytes, type: type[Document], problems: Problems, limits: TimetableSettings
) -> Document:
    """Read a document that is not as it should be, noting what is wrong with its types.

    A wrong value is noted and left out, so that everything else can still be checked. A byte order mark
    is no part of it (RFC 8259 section 8.1): some programs put one in front of every file.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Invalid("invalid_json", "Not UTF-8.") from None
    except RecursionError:
        raise Invalid("invalid_json", "JSON that is nested far too deeply.") from None
    except ValueError:
        raise Invalid("invalid_json", "Not JSON; it may have been cut off.") from None
    if not isinstance(value, dict):
        raise Invalid("invalid_json", "Not a JSON object.")
    parts: dict[str, Any] = {}
    if type is PatchDocument:
        parts["delete"] = _field(value, "delete", tuple[str, ...], "a list of strings", (), problems)
        parts["upsert"] = _events(value.get("upsert", []), "upsert", problems, limits)
    else:
        parts["events"] = _events(value.get("events"), "events", problems, limits)
    if type is LineDocument:
        username = value.get("username")  # Reader.line says what is wrong with it
        parts["username"] = username if isinstance(username, str) else ""
    return type(**parts)


def _events(
    value: Any, field: str, problems: Problems, limits: TimetableSettings
) -> tuple[EventDocument, ...]:
    if not isinstance(value, list):
        problems.add("Missing, or not a list of events.", field=field)
        return ()
    _check_count(value, limits)
    return tuple(_event_document(item, position, problems) for position, item in enumerate(value, 1))


def _event_document(value: Any, position: int, problems: Problems) -> EventDocument:
    if not isinstance(value, dict):
        problems.add("Not a JSON object.", f"#{position}")
        value = dict.fromkeys(("uid", "title", "start", "end"), "")
    name = event_name(value.get("uid"), position)
    fields = {
        field.name: _field(
            value,
            field.encode_name,
            field.type,
            EXPECTED[field.encode_name],
            "" if field.required else None,
            problems,
            name,
            field.required,
        )
        for field in msgspec.structs.fields(EventDocument)
    }
    return EventDocument(**fields)


def _field(
    value: dict[str, Any],
    key: str,
    type: Any,
    expected: str,
    default: Any,
    problems: Problems,
    event: str | None = None,
    required: bool = False,
) -> Any:
    """A field of a JSON object by its type, or the default with a problem noted."""
    if key not in value:
        if required:
            problems.add("Missing.", event, key)
        return default
    try:
        return msgspec.convert(value[key], type)
    except msgspec.ValidationError:
        problems.add(f"Not {expected}.", event, key)
        return default
