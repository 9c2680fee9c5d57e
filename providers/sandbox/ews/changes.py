"""What CreateItem and UpdateItem ask for, read from their elements: properties to set and to delete."""

import msgspec
from lxml import etree

from providers.sandbox.ews import timezones
from providers.sandbox.ews.paths import is_number, is_number_text, path_of
from providers.sandbox.ews.properties import BY_ELEMENT, Property
from providers.sandbox.ews.soap import TYPES, ResponseError, local

__all__ = ["Change", "new_value", "read_changes", "read_item"]

_T = f"{{{TYPES}}}"


class Change(msgspec.Struct, kw_only=True):
    """One property to set, delete or append to. ``key`` is its URI or the XML of its extended path."""

    key: str
    prop: Property | None
    """None for an extended property."""
    action: str
    element: etree._Element | None = None


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


def new_value(change: Change, default_zone: str) -> object:
    """The stored form of what a change sets. Raises ``ResponseError``.

    ``default_zone`` (a Windows id) is for times without an offset.
    """
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
            return timezones.text_time(timezones.to_utc(text, default_zone))
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
