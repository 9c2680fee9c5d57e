"""An ``Event`` and its ``Marker`` as they are written: the calendar item fields that Rooster owns."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from exchangelib.errors import UnknownTimeZone
from exchangelib.ewsdatetime import EWSDateTime, EWSTimeZone
from exchangelib.extended_properties import ExtendedProperty
from exchangelib.fields import (
    BodyField,
    BooleanField,
    CharField,
    CharListField,
    DateTimeField,
    ExtendedPropertyField,
    FieldPath,
    FreeBusyStatusField,
    IntegerField,
    TextField,
    TimeZoneField,
)
from exchangelib.properties import EWSElement
from exchangelib.util import create_element
from exchangelib.version import Version
from lxml import etree

from providers.contract import Event, Marker, Privacy
from providers.marker import (
    ATTEMPT,
    EVENT,
    INSTANCE,
    PROPERTY_SET,
    SYNCHRONIZATION,
    to_strings,
)
from providers.texts import shortened

__all__ = [
    "MARKER_FIELDS",
    "MAX_TEXT",
    "TIMES",
    "AnyOf",
    "OwnedItem",
    "changed_names",
    "cut",
    "event_fields",
    "marker_fields",
    "new_item",
    "privacy_fields",
    "reminder_fields",
]

MAX_TEXT = 255
"""UTF-16 code units of a subject and of a category: [MS-OXWSCORE] 2.2.4.24, "limited to 255 characters"."""


DEFAULT_REMINDER = 15
"""Minutes before the start, where whoever makes an appointment by EWS names no reminder."""


class _MarkerProperty(ExtendedProperty):  # type: ignore[misc]
    property_set_id = str(PROPERTY_SET)
    property_type = "String"


class _Instance(_MarkerProperty):
    property_name = INSTANCE


class _Synchronization(_MarkerProperty):
    property_name = SYNCHRONIZATION


class _Event(_MarkerProperty):
    property_name = EVENT


class _Attempt(_MarkerProperty):
    property_name = ATTEMPT


class _MarkerField(ExtendedPropertyField):  # type: ignore[misc]
    """The same as exchangelib's, with less work for what never changes: it was a third of a create."""

    def clean(self, value: str | None, version: Version | None = None) -> str | None:
        return value

    def field_uri_xml(self) -> etree._Element:
        attributes = {
            "PropertySetId": self.value_cls.property_set_id,
            "PropertyName": self.value_cls.property_name,
            "PropertyType": "String",
        }
        uri: etree._Element = create_element("t:ExtendedFieldURI", attrs=attributes)
        return uri


class OwnedItem(EWSElement):  # type: ignore[misc]
    """A CalendarItem with the fields that Rooster owns, in the order of the schema, and with no others.

    exchangelib's own ``CalendarItem`` fills in what is not given: it would switch the reminder off and
    set sensitivity and importance. Without a reminder of ours it is the person's: a new event gets
    Exchange's, and no update touches it. (That class would also have to be changed, for the whole
    process, to know the marker.)
    """

    ELEMENT_NAME = "CalendarItem"

    subject = CharField(field_uri="item:Subject")
    sensitivity = CharField(field_uri="item:Sensitivity")
    body = BodyField(field_uri="item:Body")
    categories = CharListField(field_uri="item:Categories")
    reminder_is_set = BooleanField(field_uri="item:ReminderIsSet")
    reminder_minutes = IntegerField(field_uri="item:ReminderMinutesBeforeStart")
    instance = _MarkerField(value_cls=_Instance)
    synchronization = _MarkerField(value_cls=_Synchronization)
    event = _MarkerField(value_cls=_Event)
    attempt = _MarkerField(value_cls=_Attempt)
    start = DateTimeField(field_uri="calendar:Start")
    end = DateTimeField(field_uri="calendar:End")
    is_all_day = BooleanField(field_uri="calendar:IsAllDayEvent")
    legacy_free_busy_status = FreeBusyStatusField(field_uri="calendar:LegacyFreeBusyStatus")
    location = TextField(field_uri="calendar:Location")
    start_timezone = TimeZoneField(field_uri="calendar:StartTimeZone")
    end_timezone = TimeZoneField(field_uri="calendar:EndTimeZone")

    __slots__ = ("account", "changekey", "id")

    def __init__(self, **fields: Any) -> None:
        self.account = fields.pop("account", None)
        self.id = fields.pop("id", None)
        self.changekey = fields.pop("changekey", None)
        super().__init__(**fields)


_MARKER_NAMES = {"instance": INSTANCE, "synchronization": SYNCHRONIZATION, "event": EVENT, "attempt": ATTEMPT}
MARKER_FIELDS = [FieldPath(field=OwnedItem.get_field_by_fieldname(name)) for name in _MARKER_NAMES]
"""The marker, as additional properties of a shape."""

_UTC = EWSTimeZone("UTC")
_FREE_BUSY = {"busy": "Busy", "free": "Free", "tentative": "Tentative"}
TIMES = frozenset({"start", "end", "start_timezone", "end_timezone", "is_all_day"})
"""Written together: Exchange reads a start in the zone that it comes with, and shifts what it keeps."""


def new_item(event: Event, marker: Marker) -> OwnedItem:
    """The item to create: what the event says, and the marker."""
    fields = event_fields(event) | marker_fields(marker)
    if event.reminder is not None:
        fields |= reminder_fields(event.reminder)
    if event.privacy is not None:
        fields |= privacy_fields(event.privacy)
    return OwnedItem(**fields)


def reminder_fields(reminder: int | Literal["none"] | None) -> dict[str, Any]:
    """A reminder by field names; of None that which Exchange gives a new event."""
    if reminder == "none":
        return {"reminder_is_set": False}
    minutes = DEFAULT_REMINDER if reminder is None else reminder
    return {"reminder_is_set": True, "reminder_minutes": minutes}


def privacy_fields(privacy: Privacy | None) -> dict[str, Any]:
    """A privacy by field names; of None that which Exchange gives a new event."""
    return {"sensitivity": "Private" if privacy == "private" else "Normal"}


def changed_names(event: Event, previous: Event) -> set[str]:
    """The names of the fields in which the items for the two events differ."""
    fields, before = event_fields(event), event_fields(previous)
    changed = {name for name, value in fields.items() if value != before[name]}
    return changed | TIMES if changed & TIMES else changed


def marker_fields(marker: Marker) -> dict[str, str]:
    """The marker by field names.

    It goes along with any change: some clients drop properties that they do not know.
    """
    strings = to_strings(marker)
    return {field: strings[name] for field, name in _MARKER_NAMES.items()}


def cut(event: Event) -> Event:
    """The event with no more of its title and categories than Exchange takes."""
    title = shortened(event.title, MAX_TEXT)
    categories = tuple(shortened(category, MAX_TEXT) for category in event.categories)
    if (title, categories) == (event.title, event.categories):
        return event
    return msgspec.structs.replace(event, title=title, categories=categories)


def event_fields(event: Event) -> dict[str, Any]:
    """The event by field names, without reminder and privacy; None is the value of a field that is empty."""
    event = cut(event)
    zone = _zone(event.time_zone)
    if event.all_day:
        first, after_last = event.dates
        start, end = (EWSDateTime.combine(day, time(), zone) for day in (first, after_last))
    else:
        start, end = (_moment(moment, zone) for moment in (event.start, event.end))
    return {
        "subject": event.title or None,
        "body": event.body or None,
        "categories": list(event.categories) or None,
        "start": start,
        "end": end,
        "is_all_day": event.all_day,
        "legacy_free_busy_status": _FREE_BUSY[event.show_as],
        "location": event.location or None,
        "start_timezone": zone,
        "end_timezone": zone,
    }


def _zone(name: str) -> EWSTimeZone:
    """The zone as Exchange knows it. Where Windows has none for it: UTC, the same moments."""
    try:
        return EWSTimeZone(name)
    except UnknownTimeZone:
        return _UTC


def _moment(moment: datetime, zone: EWSTimeZone) -> EWSDateTime:
    """The moment with the zone's offset; in UTC where the clock shows the hour a second time.

    exchangelib's datetimes forget ``fold``, which would move it by an hour.
    """
    if moment.astimezone(ZoneInfo(zone.key)).fold:
        zone = _UTC
    return EWSDateTime.from_datetime(moment.astimezone(UTC)).astimezone(zone)


class AnyOf:
    """A restriction: the marker's property ``name`` is one of ``values``; Exchange ignores case in it."""

    def __init__(self, name: str, values: Iterable[str]) -> None:
        self._field = next(path.field for path in MARKER_FIELDS if path.field.value_cls.property_name == name)
        self._values = list(values)

    def to_xml(self, version: Version) -> etree._Element:
        restriction: etree._Element = create_element("m:Restriction")
        parent = restriction
        if len(self._values) > 1:
            parent = create_element("t:Or")
            restriction.append(parent)
        for value in self._values:
            equal = create_element("t:IsEqualTo")
            equal.append(self._field.field_uri_xml())
            constant = create_element("t:FieldURIOrConstant")
            constant.append(create_element("t:Constant", attrs={"Value": value}))
            equal.append(constant)
            parent.append(equal)
        return restriction
