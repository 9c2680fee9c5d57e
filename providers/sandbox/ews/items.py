"""Calendar items as the sandbox keeps them: made, changed and read, by Exchange's rules.

A native item is a dict: ``id``, ``change`` (the number of its version), ``folder``, ``created`` and
``modified`` (UTC), ``modifiedBy``, ``fields`` by property URI, ``extended`` by the XML of the path,
and ``touched``: the version in which each property was last set, for AutoResolve.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import uuid4

import msgspec
from lxml import etree

from providers.sandbox.ews import identifiers, timezones
from providers.sandbox.ews.properties import BY_ELEMENT, Property, moment
from providers.sandbox.ews.soap import TYPES, ResponseError, attribute, local
from providers.sandbox.state import Native, SandboxMailbox

__all__ = [
    "Change",
    "add_item",
    "apply",
    "copy_item",
    "extended_path",
    "is_number",
    "is_number_text",
    "new_uid",
    "path_of",
    "read_changes",
    "read_item",
    "remove_item",
    "stamp",
    "text_time",
]

_T = f"{{{TYPES}}}"
LONGEST_SUBJECT = 255
EARLIEST, LATEST = 1601, 4500
LONGEST = timedelta(days=5 * 366)


class Change(msgspec.Struct, kw_only=True):
    """One property to set, delete or append to. ``key`` is its URI or the XML of its extended path."""

    key: str
    prop: Property | None
    """None for an extended property."""
    action: str
    element: etree._Element | None = None


def text_time(value: datetime) -> str:
    """A moment as Exchange writes it: UTC, whole seconds, Z."""
    return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def extended_path(attributes: Mapping[str, str]) -> str:
    """The canonical XML of an extended property's path.

    Raises ``ResponseError`` ErrorInvalidExtendedProperty unless the attributes are one of the allowed
    combinations ([MS-OXWSXPROP] 2.1.5): a tag; or a set with a name or an id.
    """
    return _extended_path(tuple(attributes.items()))


@lru_cache(maxsize=1000)
def _extended_path(attributes: tuple[tuple[str, str], ...]) -> str:
    given = {name: value for name, value in attributes if not name.startswith("{")}
    sets = [name for name in ("DistinguishedPropertySetId", "PropertySetId") if name in given]
    names = [name for name in ("PropertyName", "PropertyId") if name in given]
    tag = "PropertyTag" in given
    if (tag and (sets or names)) or (not tag and (len(sets) != 1 or len(names) != 1)):
        raise ResponseError(
            "ErrorInvalidExtendedProperty",
            "An extended property is named by a PropertyTag, or by a property set with a name or an id.",
        )
    if "PropertySetId" in given:
        given["PropertySetId"] = given["PropertySetId"].lower()
    if tag:
        text = given["PropertyTag"]
        given["PropertyTag"] = hex(int(text, 16 if text[:2].lower() == "0x" else 10))
    order = (
        "DistinguishedPropertySetId", "PropertySetId", "PropertyTag", "PropertyName", "PropertyId",
        "PropertyType",
    )  # fmt: skip
    text = " ".join(f"{name}={attribute(given[name])}" for name in order if name in given)
    return f"<t:ExtendedFieldURI {text}/>"


def is_number(path: str) -> bool:
    """Whether an extended property, by the XML of its path, holds numbers."""
    return any(f'PropertyType="{kind}' in path for kind in ("Integer", "Long", "Short", "Float", "Double"))


def is_number_text(text: str) -> bool:
    """Whether a value can be one of such a property."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def path_of(element: etree._Element) -> str:
    """The key of a path element: the URI, or the XML of an extended path."""
    if element.tag == f"{_T}ExtendedFieldURI":
        return extended_path({str(name): str(value) for name, value in element.attrib.items()})
    if element.tag == f"{_T}IndexedFieldURI":
        return f"{element.get('FieldURI')}[{element.get('FieldIndex')}]"
    return str(element.get("FieldURI"))


def read_item(element: etree._Element) -> list[Change]:
    """What a CalendarItem element of CreateItem sets.

    Raises ``ResponseError`` ErrorInvalidPropertySet for a property that only the server sets.
    """
    if element.tag != f"{_T}CalendarItem":
        raise ResponseError(
            "ErrorCannotCreateCalendarItemInNonCalendarFolder"
            if element.tag == f"{_T}Task"
            else "ErrorInvalidOperation",
            "The sandbox keeps calendar items and nothing else.",
        )
    changes = [_set(child) for child in element]
    for change in changes:
        _refuse_read_only(change)
    return changes


def _set(element: etree._Element) -> Change:
    name = local(element)
    if name == "ExtendedProperty":
        return Change(key=path_of(element[0]), prop=None, action="set", element=element[1])
    prop = BY_ELEMENT[name]
    return Change(key=prop.uri, prop=prop, action="set", element=element)


def _refuse_read_only(change: Change) -> None:
    prop = change.prop
    if prop is not None and (not prop.writable or (prop.kind == "absent" and prop.element == "Recurrence")):
        code = "ErrorInvalidPropertySet" if prop.element != "Recurrence" else "ErrorUnsupportedRecurrence"
        raise ResponseError(
            code, "Set action is invalid for property.", xml=f'<t:FieldURI FieldURI="{prop.uri}"/>'
        )


def read_changes(updates: etree._Element) -> list[Change]:
    """What an Updates element asks for, in its order. Raises ``ResponseError``."""
    changes = []
    for update in updates:
        action = local(update)
        key = path_of(update[0])
        extended = update[0].tag == f"{_T}ExtendedFieldURI"
        prop = None if extended else BY_ELEMENT.get(key.partition(":")[2])
        if not extended and (prop is None or prop.uri != key):
            raise ResponseError("ErrorInvalidPropertyRequest", "Property is not valid for this object type.")
        if action == "DeleteItemField":
            change = Change(key=key, prop=prop, action="delete")
            if prop is not None and (prop.required or not prop.writable):
                raise ResponseError("ErrorInvalidPropertyDelete", "Property cannot be deleted.")
        else:
            item = update[1]
            if item.tag not in (f"{_T}CalendarItem", f"{_T}Item") or len(item) != 1:
                raise ResponseError(
                    "ErrorUpdatePropertyMismatch" if len(item) else "ErrorIncorrectUpdatePropertyCount",
                    "A change holds exactly the one property that its path names.",
                )
            change = _set(item[0])
            if change.key != key:
                raise ResponseError(
                    "ErrorUpdatePropertyMismatch", "The property that is set is not the one of the path."
                )
            _refuse_read_only(change)
            if action == "AppendToItemField":
                change.action = "append"
                if prop is None or prop.kind not in ("body", "attendees"):
                    raise ResponseError("ErrorInvalidPropertyAppend", "Append is invalid for property.")
        changes.append(change)
    return changes


def _value(change: Change, default_zone: str) -> object:
    """The stored form of what a change sets. ``default_zone`` is for times without an offset."""
    element, prop = change.element, change.prop
    assert element is not None
    text = element.text or ""
    if prop is None:
        values = [text] if local(element) == "Value" else [one.text or "" for one in element]
        if is_number(change.key) and not all(map(is_number_text, values)):
            raise ResponseError(
                "ErrorInvalidExtendedPropertyValue", "The value is not of the property's type."
            )
        return text if local(element) == "Value" else values
    match prop.kind:
        case "boolean":
            return text.strip() in ("true", "1")
        case "integer":
            return int(text)
        case "datetime":
            return text_time(timezones.to_utc(text, default_zone))
        case "strings":
            return [one.text or "" for one in element]
        case "body":
            return {"type": element.get("BodyType"), "text": text}
        case "zone":
            windows_id = element.get("Id") or ""
            timezones.zone(windows_id)
            return windows_id
        case "attendees":
            return [_attendee(one) for one in element]
    return text


def _attendee(element: etree._Element) -> dict[str, str]:
    email = element.findtext(f"{_T}Mailbox/{_T}EmailAddress") or ""
    return {"name": element.findtext(f"{_T}Mailbox/{_T}Name") or email, "email": email}


def stamp(mailbox: SandboxMailbox, native: Native, by: str, now: datetime) -> None:
    """The item was changed ``now``: new version, new time of modification."""
    native["change"] = mailbox.next_serial()
    native["modified"] = text_time(now)
    native["modifiedBy"] = by


def apply(native: Native, changes: list[Change], zone: str | None, now: datetime) -> None:
    """Carry out all changes, or none: a ``ResponseError`` leaves the item as it was.

    ``zone`` (a Windows id) is that of the request's TimeZoneContext, for times without an offset.
    """
    fields, extended = dict(native["fields"]), dict(native["extended"])
    touched = set()
    for change in sorted(changes, key=lambda one: one.prop is None or one.prop.kind != "zone"):
        touched.add(change.key)
        target = extended if change.prop is None else fields
        if change.action == "delete":
            target.pop(change.key, None)
            continue
        if change.prop is not None and change.prop.kind in ("computed", "absent"):
            continue
        zone_key = "calendar:EndTimeZone" if change.key == "calendar:End" else "calendar:StartTimeZone"
        value = _value(change, fields.get(zone_key) or zone or "UTC")
        if change.action == "append":
            value = _appended(target.get(change.key), value)
        target[change.key] = value
    _settle(fields, zone or "UTC", now)
    native["fields"], native["extended"] = fields, extended
    native["touched"] |= dict.fromkeys(touched, native["change"] + 1)


def _appended(old: object, new: object) -> object:
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return {"type": old["type"], "text": old["text"] + new["text"]}
    return new


_DEFAULTS = {
    "item:ItemClass": "IPM.Appointment",
    "item:Sensitivity": "Normal",
    "item:Importance": "Normal",
    "item:Culture": "en-US",
    "item:ReminderIsSet": True,
    "item:ReminderMinutesBeforeStart": 15,
    "calendar:IsAllDayEvent": False,
    "calendar:LegacyFreeBusyStatus": "Busy",
    "calendar:IsResponseRequested": True,
}


def _settle(fields: Native, zone: str, now: datetime) -> None:
    """Fill in what every item has, and check what Exchange checks. Raises ``ResponseError``."""
    for uri, default in _DEFAULTS.items():
        fields.setdefault(uri, default)
    if "calendar:StartTimeZone" not in fields:
        fields["calendar:StartTimeZone"] = fields.get("calendar:EndTimeZone", zone)
    fields.setdefault("calendar:EndTimeZone", fields["calendar:StartTimeZone"])
    if "calendar:Start" not in fields:
        fields["calendar:Start"] = text_time(now.replace(minute=30, second=0))
    start = moment(fields["calendar:Start"])
    if "calendar:End" not in fields:
        fields["calendar:End"] = text_time(start + timedelta(minutes=30))
    end = moment(fields["calendar:End"])
    if not (start.year >= EARLIEST and end.year <= LATEST):
        raise ResponseError("ErrorCalendarOutOfRange", "A calendar holds the years 1601 to 4500.")
    if end < start:
        raise ResponseError("ErrorCalendarEndDateIsEarlierThanStartDate", "EndDate is earlier than StartDate")
    if end - start > LONGEST:
        raise ResponseError("ErrorCalendarDurationIsTooLong", "The item lasts for more than five years.")
    if len(fields.get("item:Subject", "")) > LONGEST_SUBJECT:
        raise ResponseError(
            "ErrorInvalidPropertySet", "The subject has more than 255 characters.",
            xml='<t:FieldURI FieldURI="item:Subject"/>',
        )  # fmt: skip
    if not 0 <= fields["item:ReminderMinutesBeforeStart"] <= 2629800:
        raise ResponseError("ErrorInvalidPropertySet", "The reminder is out of range.")
    if fields["calendar:IsAllDayEvent"]:
        first, last = _whole_days(start, end, fields)
        fields["calendar:Start"], fields["calendar:End"] = text_time(first), text_time(last)


def _whole_days(start: datetime, end: datetime, fields: Native) -> tuple[datetime, datetime]:
    """An all-day event runs from midnight to midnight in its zone, one day at least ([MS-OXOCAL] 2.2.1.9)."""
    first_zone = timezones.zone(fields["calendar:StartTimeZone"])
    last_zone = timezones.zone(fields["calendar:EndTimeZone"])
    first = start.astimezone(first_zone).replace(hour=0, minute=0, second=0, tzinfo=None)
    until = end.astimezone(last_zone).replace(tzinfo=None)
    days = max(1, math.ceil((until - first) / timedelta(days=1)))
    last = first + timedelta(days=days)
    return first.replace(tzinfo=first_zone), last.replace(tzinfo=last_zone)


def add_item(
    mailbox: SandboxMailbox,
    folder: str,
    changes: list[Change],
    *,
    zone: str | None,
    by: str,
    now: datetime,
) -> Native:
    """Make a new item in a folder of the mailbox. Raises ``ResponseError`` and leaves nothing behind.

    ``zone`` is that of the request's TimeZoneContext; ``by`` is noted as the one who made it.
    """
    native: Native = {
        "id": "",
        "change": 0,
        "folder": folder,
        "created": text_time(now),
        "modified": text_time(now),
        "modifiedBy": by,
        "fields": {},
        "extended": {},
        "touched": {},
    }
    apply(native, changes, zone, now)
    native["fields"].setdefault("calendar:UID", new_uid())
    native["touched"] = {}
    return _keep(mailbox, native)


def _keep(mailbox: SandboxMailbox, native: Native) -> Native:
    native["change"] = native["made"] = mailbox.next_serial()
    native["id"] = identifiers.item_id(mailbox.address, native["change"])
    mailbox.events[native["id"]] = native
    return native


def remove_item(mailbox: SandboxMailbox, native: Native) -> None:
    """Take an item out of the mailbox, which is a change of the mailbox like any other."""
    del mailbox.events[native["id"]]
    mailbox.next_serial()


def new_uid() -> str:
    """A UID as Exchange makes them: a Global Object ID in hexadecimal ([MS-OXOCAL] 2.2.1.27)."""
    return f"040000008200E00074C5B7101A82E008{uuid4().hex.upper()}"


def copy_item(mailbox: SandboxMailbox, native: Native, folder: str) -> Native:
    """A copy with an id of its own in a folder of the mailbox, everything else alike."""
    copied = msgspec.json.decode(msgspec.json.encode(native), type=Native)
    copied["folder"] = folder
    copied["touched"] = {}
    return _keep(mailbox, copied)
