"""Events in a mailbox as Graph keeps them, and as it shows them.

A native event is Graph's own JSON: the properties that were set, as they were set, times in the zone
they were given in. What was never set is ``DEFAULTS``; a campus of events has to fit into memory.
"""

import html
import re
from base64 import urlsafe_b64encode
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from providers.sandbox.graph import zones
from providers.sandbox.graph.properties import merged
from providers.sandbox.graph.validation import check_times
from providers.sandbox.state import Native, SandboxMailbox

__all__ = [
    "SETTABLE",
    "Shape",
    "as_text",
    "change",
    "change_key",
    "create",
    "etag",
    "forgotten_until",
    "full",
    "move",
    "own_id",
    "removals",
    "remove",
    "remove_calendar",
    "show",
    "shown_id",
]

IMMUTABLE = "AAkA"
MUTABLE = "AAMk"
UID_PREFIX = "040000008200E00074C5B7101A82E008"
"""How Exchange's own global object ids start ([MS-OXOCAL] section 2.2.1.27)."""

NO_LOCATION = {"displayName": ""}
LOCATION_TYPES = {"locationType": "default", "uniqueIdType": "unknown"}
NO_BODY = {"contentType": "text", "content": ""}
DEFAULTS: Native = {
    "subject": "",
    "body": NO_BODY,
    "isAllDay": False,
    "location": NO_LOCATION,
    "locations": [],
    "categories": [],
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
    "responseRequested": True,
    "allowNewTimeProposals": True,
    "hideAttendees": False,
    "isOnlineMeeting": False,
    "hasAttachments": False,
    "attendees": [],
    "recurrence": None,
    "transactionId": None,
    "singleValueExtendedProperties": [],
    "multiValueExtendedProperties": [],
}
SETTABLE = DEFAULTS.keys() | {"start", "end"}
"""What a create may set."""
OUR_OWN = ("calendar", "serial")
"""Keys of a native event that are no properties of Graph's: where it is, and the number of its change."""
REMEMBERED = 10_000
"""Removals that a mailbox remembers for change tracking; it starts over for who asks for older ones."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How the client prefers to see events (``Prefer``) and which properties it asked for."""

    immutable_id: bool = False
    time_zone: str = "UTC"
    text_body: bool = False
    select: frozenset[str] | None = None
    expand: frozenset[str] | None = None
    """Ids of the single-value extended properties to show; they are never shown unasked."""


def create(
    mailbox: SandboxMailbox, given: dict[str, Any], now: datetime, calendar: str | None = None
) -> Native:
    """Put a new event with the checked properties into the calendar. Raises ``GraphError``."""
    event: Native = {} if calendar is None else {"calendar": calendar}
    _set(event, given)
    check_times(event)
    serial = mailbox.next_serial()
    event["id"] = _new_id(mailbox, serial)
    event["originalStartTimeZone"] = event["start"].get("timeZone") or "UTC"
    event["originalEndTimeZone"] = event["end"].get("timeZone") or "UTC"
    _stamp(mailbox, event, serial, now)
    event["createdDateTime"] = event["lastModifiedDateTime"]
    mailbox.events[event["id"]] = event
    return event


def change(mailbox: SandboxMailbox, event: Native, given: dict[str, Any], now: datetime) -> None:
    """Set the given checked properties of the event and leave the others. Raises ``GraphError``."""
    candidate = {**event}
    _set(candidate, given)
    check_times(candidate)
    _stamp(mailbox, candidate, mailbox.next_serial(), now)
    event.update(candidate)


def move(mailbox: SandboxMailbox, event: Native, calendar: str | None, now: datetime) -> None:
    """Put the event into another calendar; it keeps its immutable id."""
    _note_removal(mailbox, event)
    event.pop("calendar", None)
    event |= {} if calendar is None else {"calendar": calendar}
    _stamp(mailbox, event, mailbox.next_serial(), now)


def remove(mailbox: SandboxMailbox, event: Native) -> None:
    """Take the event out of the mailbox."""
    del mailbox.events[event["id"]]
    _note_removal(mailbox, event)


def remove_calendar(mailbox: SandboxMailbox, calendar: str) -> None:
    """Take the calendar out of the mailbox, with all that is in it."""
    for event in [event for event in mailbox.events.values() if event.get("calendar") == calendar]:
        remove(mailbox, event)
    del mailbox.calendars[calendar]
    mailbox.next_serial()


def removals(mailbox: SandboxMailbox) -> list[tuple[int, str, str | None]]:
    """What was taken out of calendars: serial, id and calendar, the earliest first."""
    return [(serial, id_, calendar) for serial, id_, calendar in mailbox.native.get("removed", ())]


def forgotten_until(mailbox: SandboxMailbox) -> int:
    """The serial of the last removal that is not remembered any more."""
    return int(mailbox.native.get("forgotten", 0))


def full(event: Native) -> Native:
    """The event with the defaults of what was never set. Not to be changed."""
    return {**DEFAULTS, **event}


def own_id(id_: str) -> str | None:
    """The id under which an event is kept, from either kind of id; None if it is neither."""
    if re.fullmatch(r"AA(kA|Mk)[A-Za-z0-9_=-]+", id_) is None:
        return None
    return IMMUTABLE + id_[len(IMMUTABLE) :]


def shown_id(id_: str, shape: Shape) -> str:
    """The id of an event as the client prefers it."""
    return id_ if shape.immutable_id else MUTABLE + id_[len(IMMUTABLE) :]


def etag(event: Native) -> str:
    """The event's version, as ``@odata.etag`` and If-Match spell it."""
    return f'W/"{event["changeKey"]}"'


def show(mailbox: SandboxMailbox, event: Native, shape: Shape) -> dict[str, Any]:
    """The event as an answer's JSON."""
    event = full(event)
    recurring = event["recurrence"] is not None
    # "The start/end of an all-day event": midnight of the day itself, whatever zone is preferred.
    floating = event["isAllDay"]
    kept = (name for name in event if name not in OUR_OWN and not name.endswith("ExtendedProperties"))
    shown = {name: event[name] for name in kept} | {
        "id": shown_id(event["id"], shape),
        "start": _floating(event["start"]) if floating else _shown_time(event, "start", shape),
        "end": _floating(event["end"]) if floating else _shown_time(event, "end", shape),
        "body": _shown_body(event["body"], plain=shape.text_body),
        "bodyPreview": as_text(event["body"])[:255],
        "location": {**LOCATION_TYPES, **event["location"]},
        "locations": [{**LOCATION_TYPES, **location} for location in event["locations"]],
        "iCalUId": UID_PREFIX + sha256(event["id"].encode()).hexdigest().upper(),
        "organizer": {"emailAddress": {"name": mailbox.address, "address": mailbox.address}},
        "isOrganizer": True,
        "isCancelled": False,
        "isDraft": False,
        "type": "seriesMaster" if recurring else "singleInstance",
        "seriesMasterId": None,
        "onlineMeeting": None,
        "onlineMeetingUrl": None,
        "onlineMeetingProvider": event.get("onlineMeetingProvider") or "unknown",
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "webLink": f"https://outlook.office365.com/owa/?itemid={event['id']}&exvsurl=1&path=/calendar/item",
    }
    if shape.select is not None:
        shown = {name: value for name, value in shown.items() if name in shape.select or name == "id"}
    if shape.expand is not None:
        found = [item for item in event["singleValueExtendedProperties"] if item["id"] in shape.expand]
        if found:
            shown["singleValueExtendedProperties"] = found
    return {"@odata.etag": etag(event), **shown}


def _set(event: Native, given: dict[str, Any]) -> None:
    values = {**given}
    for name in ("singleValueExtendedProperties", "multiValueExtendedProperties"):
        if name in values:
            values[name] = merged(event.get(name, []), values[name])
    for name, empty in (("location", NO_LOCATION), ("body", NO_BODY)):
        if name in values and values[name] is None:
            values[name] = empty
    # "The location and locations properties always correspond with each other": the event resource's page.
    if "location" in values:
        values["location"] = {
            **values["location"],
            "displayName": values["location"].get("displayName") or "",
        }
        values["locations"] = [values["location"]] if values["location"]["displayName"] else []
    elif "locations" in values:
        values["location"] = {**NO_LOCATION, **values["locations"][0]} if values["locations"] else NO_LOCATION
    event.update(values)


def change_key(mailbox: SandboxMailbox, serial: int) -> str:
    """The version that a change made: another one for each."""
    digest = sha256(f"{mailbox.address}:{serial}".encode()).digest()
    return urlsafe_b64encode(digest[:18]).decode()


def _note_removal(mailbox: SandboxMailbox, event: Native) -> None:
    removed: list[Any] = mailbox.native.setdefault("removed", [])
    removed.append([mailbox.next_serial(), event["id"], event.get("calendar")])
    if len(removed) > REMEMBERED:
        mailbox.native["forgotten"] = removed.pop(0)[0]


def _stamp(mailbox: SandboxMailbox, event: Native, serial: int, now: datetime) -> None:
    event["serial"] = serial
    event["changeKey"] = change_key(mailbox, serial)
    event["lastModifiedDateTime"] = _timestamp(now)


def _new_id(mailbox: SandboxMailbox, serial: int) -> str:
    """Opaque and case-sensitive, as long as Graph's."""
    digest = sha256(f"{mailbox.address}:event:{serial}".encode()).digest()
    return f"{IMMUTABLE}LgAAAAAAHYQDEapmEc2byACqAC-EWg0A{urlsafe_b64encode(digest + digest[:13]).decode()}"


def _timestamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _shown_time(event: Native, field: str, shape: Shape) -> dict[str, str]:
    return zones.present(zones.moment(event[field], field), shape.time_zone)


def _floating(value: dict[str, Any]) -> dict[str, str]:
    return {"dateTime": f"{value['dateTime'][:10]}T00:00:00.0000000", "timeZone": "UTC"}


def _shown_body(body: dict[str, str], *, plain: bool) -> dict[str, str]:
    """HTML, unless the client prefers text: ``outlook.body-content-type`` at "Get event"."""
    if plain:
        return {"contentType": "text", "content": as_text(body)}
    if body["contentType"] == "html":
        content = body["content"]
        if "<html" not in content.casefold():
            content = f"<html><head></head><body>{content}</body></html>"
        return {"contentType": "html", "content": content}
    lines = "<br>\r\n".join(html.escape(line, quote=False) for line in body["content"].splitlines())
    return {
        "contentType": "html",
        "content": '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        '<meta name="Generator" content="Microsoft Exchange Server">\r\n<!-- converted from text -->\r\n'
        "</head>\r\n<body>\r\n"
        f'<font size="2"><span style="font-size:11pt;"><div class="PlainText">{lines}</div></span></font>'
        "\r\n</body>\r\n</html>\r\n",
    }


def as_text(body: dict[str, str]) -> str:
    """The body without its markup."""
    if body["contentType"] == "text":
        return body["content"]
    text = re.sub(r"(?is)<(head|style|script).*?</\1>", "", body["content"])
    text = re.sub(r"(?i)<br\s*/?>|</p>|</div>", "\n", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip()
