"""Exchange's calendar items in the shape that the control API uses for all providers."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from providers.marker import NAMES, PROPERTY_SET
from providers.sandbox.ews import configurations, hierarchy, identifiers, items, timezones
from providers.sandbox.ews.bodies import as_text
from providers.sandbox.ews.paths import extended_path
from providers.sandbox.ews.properties import moment
from providers.sandbox.ews.soap import ResponseError
from providers.sandbox.fields import shown_marker
from providers.sandbox.state import Native, SandboxCalendar, SandboxMailbox

__all__ = ["EwsDialect"]

_MARKER = {
    name: extended_path({"PropertySetId": str(PROPERTY_SET), "PropertyName": name, "PropertyType": "String"})
    for name in NAMES
}
_SHOW_AS = {"Free": "free", "WorkingElsewhere": "free", "Tentative": "tentative"}


class EwsDialect:
    """The ``Dialect`` of EWS. Of a Windows time zone the IANA name is CLDR's, one of several alike."""

    type = "ews"

    def describe(self, mailbox: SandboxMailbox, native: Native) -> dict[str, Any]:
        fields = native["fields"]
        zone = ZoneInfo(timezones.iana(fields["calendar:StartTimeZone"]))
        all_day = fields["calendar:IsAllDayEvent"]
        body = fields.get("item:Body")
        reminds = fields["item:ReminderIsSet"]
        times = {}
        for name in ("Start", "End"):
            at = moment(fields[f"calendar:{name}"])
            times[name] = at.astimezone(zone).date().isoformat() if all_day else timezones.text_time(at)
        return {
            "id": native["id"],
            "version": identifiers.change_key(native["id"], native["change"]),
            "title": fields.get("item:Subject", ""),
            "start": times["Start"],
            "end": times["End"],
            "timeZone": zone.key,
            "allDay": all_day,
            "location": fields.get("calendar:Location", ""),
            "description": as_text(body) if body else "",
            "categories": list(fields.get("item:Categories", [])),
            "showAs": _SHOW_AS.get(fields["calendar:LegacyFreeBusyStatus"], "busy"),
            "reminderMinutes": fields["item:ReminderMinutesBeforeStart"] if reminds else None,
            "privacy": "normal" if fields["item:Sensitivity"] == "Normal" else "private",
            "colour": _colour(mailbox, fields),
            "calendar": native.get("calendar"),
            "marker": _marker(native),
        }

    def create(self, mailbox: SandboxMailbox, common: dict[str, Any]) -> Native:
        folder = _folder(common.get("calendar"))
        native = items.add_item(mailbox, folder, [], zone=None, by=mailbox.address, now=_now())
        self.change(mailbox, native, common)
        return native

    def change(self, mailbox: SandboxMailbox, native: Native, common: dict[str, Any]) -> None:
        before = self.describe(mailbox, native)
        fields = dict(native["fields"])
        plain = {"title": "item:Subject", "location": "calendar:Location", "allDay": "calendar:IsAllDayEvent"}
        for name, uri in plain.items():
            if name in common:
                fields[uri] = common[name]
        if "description" in common:
            fields["item:Body"] = {"type": "Text", "text": common["description"]}
        if "categories" in common:
            fields["item:Categories"] = list(common["categories"])
        if "showAs" in common:
            fields["calendar:LegacyFreeBusyStatus"] = str(common["showAs"]).capitalize()
        if "privacy" in common:
            fields["item:Sensitivity"] = str(common["privacy"]).capitalize()
        if "reminderMinutes" in common:
            minutes = common["reminderMinutes"]
            fields["item:ReminderIsSet"] = minutes is not None
            fields["item:ReminderMinutesBeforeStart"] = 15 if minutes is None else minutes
        if common.keys() & {"start", "end", "timeZone", "allDay"}:
            _set_times(fields, before | common)
        changed = {uri for uri, value in fields.items() if native["fields"].get(uri) != value}
        native["fields"] = fields
        items.stamp(mailbox, native, mailbox.address, _now())
        native["touched"] |= dict.fromkeys(changed, native["change"])

    def copy(self, mailbox: SandboxMailbox, native: Native) -> Native:
        copied = items.copy_item(mailbox, native, native["folder"], _now())
        copied["fields"]["calendar:UID"] = items.new_uid()
        return copied

    def remove(self, mailbox: SandboxMailbox, native: Native) -> None:
        items.remove_item(mailbox, native)

    def visible(self, mailbox: SandboxMailbox) -> Iterator[Native]:
        return (
            native
            for native in mailbox.events.values()
            if native["folder"] == "calendar" or "calendar" in native
        )

    def move(self, mailbox: SandboxMailbox, native: Native, calendar: str | None) -> Native:
        """Exchange gives what is moved another id."""
        return items.move_item(mailbox, native, mailbox, _folder(calendar))

    def make_calendar(self, mailbox: SandboxMailbox, name: str) -> SandboxCalendar:
        """Below the default calendar, as Outlook does. Raises ValueError if there is one of this name."""
        try:
            return hierarchy.add_calendar(mailbox, name)
        except ResponseError as error:
            raise ValueError(error.message) from error


def _marker(native: Native) -> dict[str, Any] | None:
    values = {name: value for name, path in _MARKER.items() if (value := native["extended"].get(path))}
    return shown_marker(values)


def _folder(calendar: str | None) -> str:
    return "calendar" if calendar is None else identifiers.read_folder_id(calendar)[1]


def _colour(mailbox: SandboxMailbox, fields: Native) -> str | None:
    colours = configurations.colours(mailbox)
    found = (colours.get(one.casefold()) for one in fields.get("item:Categories", []))
    return next((colour for colour in found if colour), None)


def _now() -> datetime:
    return datetime.now(UTC)


def _set_times(fields: Native, wanted: dict[str, Any]) -> None:
    """Start, end and zone of the common shape as Exchange keeps them."""
    windows_id = timezones.windows(wanted["timeZone"])
    rules = timezones.zone(windows_id)
    start, end = (_moment(wanted[name], rules) for name in ("start", "end"))
    if wanted["allDay"] and end <= start:
        end = (start.astimezone(rules).replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=rules)
    if end < start:
        raise ValueError("The end is before the start.")
    fields["calendar:StartTimeZone"] = fields["calendar:EndTimeZone"] = windows_id
    fields["calendar:Start"], fields["calendar:End"] = timezones.text_time(start), timezones.text_time(end)


def _moment(text: str, rules: ZoneInfo) -> datetime:
    """A date as its local midnight, or an RFC 3339 moment."""
    if len(text) == len("2026-01-01"):
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), rules)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=rules)).astimezone(UTC)
