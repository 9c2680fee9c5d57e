"""The properties of a calendar item, in the order of the schema, and how each is written into an answer.

The order is that of ItemType ([MS-OXWSCORE] 2.2.4.24) followed by CalendarItemType ([MS-OXWSMTGS]
2.2.4.6): elements in any other order are refused by Exchange, and so are they here.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from providers.sandbox.ews import identifiers, timezones
from providers.sandbox.ews.bodies import as_html, as_text
from providers.sandbox.ews.soap import attribute, escape
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["BY_ELEMENT", "BY_URI", "PROPERTIES", "Property", "View", "moment", "render_item"]

FIND_LENGTH = 255
"""FindItem returns no more characters of a string property."""


class View(msgspec.Struct, kw_only=True):
    """What is written of each item of an answer."""

    properties: list["Property"]
    mailbox: SandboxMailbox
    extended: list[str] = []
    """Paths of the extended properties that were asked for."""
    body_type: str = "Best"
    find: bool = False


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property: its name in paths, its element, and what may be done with it.

    ``kind`` says how a stored value looks: text, boolean, integer, datetime, strings, body, zone,
    attendees. ``computed`` ones come from the item as a whole. ``absent`` ones are never there: where they
    are writable, the sandbox accepts and forgets them.
    """

    uri: str
    element: str
    kind: str
    writable: bool
    find: bool
    """Whether FindItem returns it and can search by it."""
    default: bool
    """Whether it is in the shape Default."""
    required: bool
    choices: tuple[str, ...] = ()


def moment(value: str) -> datetime:
    """A stored date and time, aware, in UTC."""
    return datetime.fromisoformat(value)


# name, kind, flags: w writable, d in the shape Default, x not with FindItem, r cannot be deleted
_ITEM = """
MimeContent absent x | ItemId computed d | ParentFolderId computed | ItemClass text w | Subject text wd
Sensitivity text:Normal,Personal,Private,Confidential w | Body body wx | Attachments absent x
DateTimeReceived computed | Size computed | Categories strings w | Importance text:Low,Normal,High w
InReplyTo absent w | IsSubmitted computed | IsDraft computed | IsFromMe computed | IsResend computed
IsUnmodified computed | InternetMessageHeaders absent x | DateTimeSent computed | DateTimeCreated computed
ResponseObjects absent x | ReminderDueBy computed w | ReminderIsSet boolean w | ReminderNextTime absent w
ReminderMinutesBeforeStart integer w | DisplayCc computed | DisplayTo computed | HasAttachments computed d
ExtendedProperty extended w | Culture text w | EffectiveRights computed x | LastModifiedName computed
LastModifiedTime computed | IsAssociated computed | WebClientReadFormQueryString absent
WebClientEditFormQueryString absent | ConversationId absent | UniqueBody absent x | Flag absent w
StoreEntryId absent | InstanceKey absent | NormalizedBody absent x | EntityExtractionResult absent x
PolicyTag absent w | ArchiveTag absent w | RetentionDate absent | Preview absent
RightsManagementLicenseData absent x | PredictedActionReasons absent x | IsClutter absent w
NextPredictedAction absent x | GroupingAction absent x | BlockStatus absent | HasBlockedImages absent
TextBody computed x | IconIndex absent | MimeContentUTF8 absent x | SearchKey absent | SortKey absent
Hashtags absent | Mentions absent x | MentionedMe absent | PendingSocialActivityTagIds absent x
"""
_CALENDAR = """
UID text w | RecurrenceId absent | DateTimeStamp computed | Start datetime wdr | End datetime wdr
OriginalStart absent | IsAllDayEvent boolean w
LegacyFreeBusyStatus text:Free,Tentative,Busy,OOF,WorkingElsewhere,NoData wd | Location text wd | When text w
IsMeeting computed | IsCancelled computed | IsRecurring computed | MeetingRequestWasSent computed
IsResponseRequested boolean w | CalendarItemType computed d | MyResponseType computed | Organizer computed dx
RequiredAttendees attendees wx | OptionalAttendees attendees wx | Resources attendees wx
ConflictingMeetingCount absent x | AdjacentMeetingCount absent x | ConflictingMeetings absent x
AdjacentMeetings absent x | Duration computed | TimeZone computed | AppointmentReplyTime absent
AppointmentSequenceNumber computed | AppointmentState computed | Recurrence absent wx
FirstOccurrence absent x | LastOccurrence absent x | ModifiedOccurrences absent x
DeletedOccurrences absent x
MeetingTimeZone absent wx | StartTimeZone zone w | EndTimeZone zone w | ConferenceType integer w
AllowNewTimeProposal boolean w | IsOnlineMeeting computed | MeetingWorkspaceUrl text w | NetShowUrl text w
EnhancedLocation absent wx | StartWallClock computed x | EndWallClock computed x | StartTimeZoneId computed x
EndTimeZoneId computed x | IntendedFreeBusyStatus absent | JoinOnlineMeetingUrl absent
OnlineMeetingSettings absent x | IsOrganizer computed | InboxReminders absent wx
"""


def _table() -> list[Property]:
    table = []
    for prefix, rows in (("item", _ITEM), ("calendar", _CALENDAR)):
        for row in re.split(r"\s*[|\n]\s*", rows.strip()):
            name, kind, flags = [*row.split(), ""][:3]
            kind, _, choices = kind.partition(":")
            table.append(
                Property(
                    uri=f"{prefix}:{name}",
                    element=name,
                    kind=kind,
                    writable="w" in flags,
                    find="x" not in flags,
                    default="d" in flags,
                    required="r" in flags,
                    choices=tuple(choices.split(",")) if choices else (),
                )
            )
    return table


PROPERTIES = _table()
BY_ELEMENT = {p.element: p for p in PROPERTIES}
BY_URI = {p.uri: p for p in PROPERTIES if p.kind != "extended"}


def _body(body: Native, wanted: str) -> str:
    kind = body["type"] if wanted == "Best" else wanted
    text = as_html(body) if kind == "HTML" else as_text(body)
    return f'<t:Body BodyType="{kind}">{escape(text)}</t:Body>'


def _mailbox_xml(name: str, address: str) -> str:
    return (
        f"<t:Mailbox><t:Name>{escape(name)}</t:Name><t:EmailAddress>{escape(address)}</t:EmailAddress>"
        "<t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


def _attendees(value: list[Native]) -> str:
    return "".join(
        f"<t:Attendee>{_mailbox_xml(one['name'], one['email'])}<t:ResponseType>Unknown</t:ResponseType>"
        "</t:Attendee>"
        for one in value
    )


_STORED: dict[str, Callable[[str, object, View], str]] = {
    "text": lambda name, value, view: (
        f"<t:{name}>{escape(str(value)[:FIND_LENGTH] if view.find else str(value))}</t:{name}>"
    ),
    "boolean": lambda name, value, view: f"<t:{name}>{'true' if value else 'false'}</t:{name}>",
    "integer": lambda name, value, view: f"<t:{name}>{value}</t:{name}>",
    "datetime": lambda name, value, view: f"<t:{name}>{value}</t:{name}>",
    "strings": lambda name, value, view: (
        f"<t:{name}>{''.join(f'<t:String>{escape(one)}</t:String>' for one in value)}</t:{name}>"  # type: ignore[attr-defined]
    ),
    "body": lambda name, value, view: _body(value, view.body_type),  # type: ignore[arg-type]
    "zone": lambda name, value, view: (
        f"<t:{name} Id={attribute(str(value))} Name={attribute(timezones.display_name(str(value)))}/>"
    ),
    "attendees": lambda name, value, view: f"<t:{name}>{_attendees(value)}</t:{name}>",  # type: ignore[arg-type]
}


def _duration(native: Native) -> str:
    minutes = int(
        (
            moment(native["fields"]["calendar:End"]) - moment(native["fields"]["calendar:Start"])
        ).total_seconds()
        // 60
    )
    return f"PT{minutes}M"


def _due(native: Native) -> str | None:
    fields = native["fields"]
    if not fields.get("item:ReminderIsSet"):
        return None
    before = timedelta(minutes=fields.get("item:ReminderMinutesBeforeStart", 0))
    return (moment(fields["calendar:Start"]) - before).strftime("%Y-%m-%dT%H:%M:%SZ")


def _wall_clock(native: Native, name: str) -> str:
    rules = timezones.zone(native["fields"][f"calendar:{name}TimeZone"])
    return moment(native["fields"][f"calendar:{name}"]).astimezone(rules).isoformat()


def _names(native: Native, uri: str) -> str:
    return "; ".join(one["name"] for one in native["fields"].get(uri, []))


def _is_meeting(native: Native) -> bool:
    return any(
        native["fields"].get(f"calendar:{name}")
        for name in ("RequiredAttendees", "OptionalAttendees", "Resources")
    )


def _size(native: Native) -> int:
    return (
        1024
        + len(native["fields"].get("item:Subject", ""))
        + len(native["fields"].get("item:Body", {"text": ""})["text"])
    )


_COMPUTED: dict[str, Callable[[Native, SandboxMailbox], str | bool | int | None]] = {
    "DateTimeReceived": lambda n, m: str(n["created"]),
    "Size": lambda n, m: _size(n),
    "IsSubmitted": lambda n, m: False,
    "IsDraft": lambda n, m: False,
    "IsFromMe": lambda n, m: False,
    "IsResend": lambda n, m: False,
    "IsUnmodified": lambda n, m: False,
    "DateTimeSent": lambda n, m: str(n["created"]),
    "DateTimeCreated": lambda n, m: str(n["created"]),
    "ReminderDueBy": lambda n, m: _due(n),
    "DisplayCc": lambda n, m: escape(_names(n, "calendar:OptionalAttendees")),
    "DisplayTo": lambda n, m: escape(_names(n, "calendar:RequiredAttendees")),
    "HasAttachments": lambda n, m: False,
    "LastModifiedName": lambda n, m: escape(n["modifiedBy"]),
    "LastModifiedTime": lambda n, m: str(n["modified"]),
    "IsAssociated": lambda n, m: False,
    "DateTimeStamp": lambda n, m: str(n["modified"]),
    "IsMeeting": lambda n, m: _is_meeting(n),
    "IsCancelled": lambda n, m: False,
    "IsRecurring": lambda n, m: False,
    "MeetingRequestWasSent": lambda n, m: bool(n.get("sent")),
    "CalendarItemType": lambda n, m: "Single",
    "MyResponseType": lambda n, m: "Organizer",
    "Duration": lambda n, m: _duration(n),
    "TimeZone": lambda n, m: escape(timezones.display_name(n["fields"]["calendar:StartTimeZone"])),
    "AppointmentSequenceNumber": lambda n, m: 0,
    "AppointmentState": lambda n, m: int(_is_meeting(n)),
    "IsOnlineMeeting": lambda n, m: False,
    "StartWallClock": lambda n, m: _wall_clock(n, "Start"),
    "EndWallClock": lambda n, m: _wall_clock(n, "End"),
    "StartTimeZoneId": lambda n, m: escape(n["fields"]["calendar:StartTimeZone"]),
    "EndTimeZoneId": lambda n, m: escape(n["fields"]["calendar:EndTimeZone"]),
    "IsOrganizer": lambda n, m: True,
}

_RIGHTS = "".join(
    f"<t:{name}>{value}</t:{name}>"
    for name, value in (
        ("CreateAssociated", "false"),
        ("CreateContents", "false"),
        ("CreateHierarchy", "false"),
        ("Delete", "true"),
        ("Modify", "true"),
        ("Read", "true"),
        ("ViewPrivateItems", "true"),
    )
)


def value_of(prop: Property, native: Native, mailbox: SandboxMailbox) -> str | bool | int | list[str] | None:
    """The plain value of a property for searching and sorting; None where the item has none."""
    if prop.kind == "computed":
        compute = _COMPUTED.get(prop.element)
        return None if compute is None else compute(native, mailbox)
    value = native["fields"].get(prop.uri)
    return value if isinstance(value, str | bool | int | list) else None


def _computed(prop: Property, native: Native, view: View) -> str:
    name, mailbox = prop.element, view.mailbox
    if name == "ItemId":
        key = identifiers.change_key(native["id"], native["change"])
        return f'<t:ItemId Id="{native["id"]}" ChangeKey="{key}"/>'
    if name == "ParentFolderId":
        identifier = identifiers.folder_id(mailbox.address, native["folder"])
        return f'<t:ParentFolderId Id="{identifier}" ChangeKey="{identifiers.change_key(identifier, 1)}"/>'
    if name == "EffectiveRights":
        return f"<t:EffectiveRights>{_RIGHTS}</t:EffectiveRights>"
    if name == "Organizer":
        return (
            f"<t:Organizer>{_mailbox_xml(mailbox.address.partition('@')[0], mailbox.address)}</t:Organizer>"
        )
    if name == "TextBody":
        body = native["fields"].get("item:Body")
        return f'<t:TextBody BodyType="Text">{escape(as_text(body))}</t:TextBody>' if body else ""
    value = _COMPUTED[name](native, mailbox)
    if value is None:
        return ""
    text = ("true" if value else "false") if isinstance(value, bool) else value
    return f"<t:{name}>{text}</t:{name}>"


def _extended(native: Native, view: View) -> str:
    parts = []
    for path in view.extended:
        value = native["extended"].get(path)
        if isinstance(value, str):
            text = escape(value[:FIND_LENGTH] if view.find else value)
            parts.append(f"<t:ExtendedProperty>{path}<t:Value>{text}</t:Value></t:ExtendedProperty>")
        elif value is not None:
            values = "".join(f"<t:Value>{escape(one)}</t:Value>" for one in value)
            parts.append(f"<t:ExtendedProperty>{path}<t:Values>{values}</t:Values></t:ExtendedProperty>")
    return "".join(parts)


def render_item(native: Native, view: View) -> str:
    """The CalendarItem element with what ``view`` asks for, in the order of the schema."""
    fields = native["fields"]
    parts = []
    for prop in view.properties:
        kind = prop.kind
        if kind == "computed":
            parts.append(_computed(prop, native, view))
        elif kind == "extended":
            parts.append(_extended(native, view))
        elif (value := fields.get(prop.uri)) is not None:
            parts.append(_STORED[kind](prop.element, value, view))
    return f"<t:CalendarItem>{''.join(parts)}</t:CalendarItem>"
