"""Calendar items as the sandbox keeps them: made, changed and copied, by Exchange's rules.

A native item is a dict: ``id``, ``change`` (the number of its version), ``folder`` (by the name that
``hierarchy`` knows), ``calendar`` (see ``Native``), ``created`` and ``modified`` (UTC), ``modifiedBy``,
``made`` (the number of its first version), ``fields`` by property URI, ``extended`` by the XML of the path,
and ``touched``: the version in which each property was last set, for AutoResolve.
"""

import math
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec

from providers.sandbox.ews import identifiers, timezones
from providers.sandbox.ews.changes import Change, new_value
from providers.sandbox.ews.properties import moment
from providers.sandbox.ews.soap import ResponseError
from providers.sandbox.ews.timezones import text_time
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["add_item", "apply", "copy_item", "move_item", "new_uid", "remove_item", "stamp"]

LONGEST_SUBJECT = 255
EARLIEST, LATEST = 1601, 4500
LONGEST = timedelta(days=5 * 366)


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
            if change.key == "item:ReminderIsSet":
                target[change.key] = False
            continue
        if change.prop is not None and change.prop.kind in ("computed", "absent"):
            continue
        zone_key = "calendar:EndTimeZone" if change.key == "calendar:End" else "calendar:StartTimeZone"
        value = new_value(change, fields.get(zone_key) or zone or "UTC")
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
    _keep(mailbox, native)
    native["made"] = native["change"]
    return native


def _keep(mailbox: SandboxMailbox, native: Native) -> Native:
    calendar = identifiers.folder_id(mailbox.address, native["folder"])
    native.pop("calendar", None)
    if calendar in mailbox.calendars:
        native["calendar"] = calendar
    native["change"] = mailbox.next_serial()
    native["id"] = identifiers.item_id(mailbox.address, native["change"])
    mailbox.events[native["id"]] = native
    return native


def remove_item(mailbox: SandboxMailbox, native: Native) -> None:
    """Take an item out of the mailbox, which is a change of the mailbox like any other."""
    del mailbox.events[native["id"]]
    removed = {"id": native["id"], "folder": native["folder"], "removed": mailbox.next_serial()}
    mailbox.native.setdefault("removed", []).append(removed)


def new_uid() -> str:
    """A UID as Exchange makes them: a Global Object ID in hexadecimal ([MS-OXOCAL] 2.2.1.27)."""
    return f"040000008200E00074C5B7101A82E008{uuid4().hex.upper()}"


def copy_item(mailbox: SandboxMailbox, native: Native, folder: str, now: datetime) -> Native:
    """A copy in a folder of the mailbox, with an id of its own and made now; everything else is alike."""
    copied = _keep(mailbox, _clone(native, folder) | {"created": text_time(now)})
    copied["made"] = copied["change"]
    return copied


def move_item(source: SandboxMailbox, native: Native, mailbox: SandboxMailbox, folder: str) -> Native:
    """Put an item into a folder of a mailbox: it has another id there, and is as old as it was."""
    moved = _keep(mailbox, _clone(native, folder))
    remove_item(source, native)
    return moved


def _clone(native: Native, folder: str) -> Native:
    cloned = msgspec.json.decode(msgspec.json.encode(native), type=Native)
    return cloned | {"folder": folder, "touched": {}}
