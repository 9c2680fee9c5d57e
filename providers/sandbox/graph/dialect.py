"""Graph's events as the control API shows and changes them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from providers import marker
from providers.sandbox.fields import shown_marker
from providers.sandbox.graph import calendars, store, zones
from providers.sandbox.graph.categories import colour_of
from providers.sandbox.graph.messages import TYPE
from providers.sandbox.graph.properties import canonical
from providers.sandbox.graph.validation import checked
from providers.sandbox.state import Native, SandboxCalendar, SandboxMailbox

__all__ = ["GraphDialect"]

PROPERTIES = {canonical(f"String {{{marker.PROPERTY_SET}}} Name {name}"): name for name in marker.NAMES}
SHOWN_AS = {"free": "free", "workingElsewhere": "free", "tentative": "tentative"}
PRIVATE = ("private", "confidential")
"""What others do not see; "personal" is a label that hides nothing."""


class GraphDialect:
    """See ``providers.sandbox.state.Dialect``. The person uses Outlook; nothing of Graph is checked twice."""

    type = TYPE

    def describe(self, mailbox: SandboxMailbox, native: Native) -> dict[str, Any]:
        native = store.full(native)
        start, end = (zones.moment(native[field], field) for field in ("start", "end"))
        all_day = native["isAllDay"]
        return {
            "id": native["id"],
            "version": native["changeKey"],
            "title": native["subject"] or "",
            "start": start.date().isoformat() if all_day else _utc(start),
            "end": end.date().isoformat() if all_day else _utc(end),
            "timeZone": zones.iana_name(native["start"].get("timeZone") or "UTC"),
            "allDay": all_day,
            "location": native["location"]["displayName"],
            "description": store.as_text(native["body"]),
            "categories": native["categories"],
            "showAs": SHOWN_AS.get(native["showAs"], "busy"),
            "reminderMinutes": native["reminderMinutesBeforeStart"] if native["isReminderOn"] else None,
            "privacy": "private" if native["sensitivity"] in PRIVATE else "normal",
            "colour": colour_of(mailbox, native["categories"]),
            "calendar": native.get("calendar"),
            "marker": _marker(native),
        }

    def create(self, mailbox: SandboxMailbox, common: dict[str, Any]) -> Native:
        defaults = {"title": "", "timeZone": "UTC", "allDay": False}
        given = checked(_given({**defaults, **common}), creating=True)
        return store.create(mailbox, given, _now(), common.get("calendar"))

    def change(self, mailbox: SandboxMailbox, native: Native, common: dict[str, Any]) -> None:
        times = {"start", "end", "timeZone", "allDay"}
        if common.keys() & times:
            shown = self.describe(mailbox, native)
            common = {**{name: shown[name] for name in times}, **common}
        store.change(mailbox, native, checked(_given(common), creating=False), _now())

    def copy(self, mailbox: SandboxMailbox, native: Native) -> Native:
        """Outlook's copy keeps every property, the named ones included, but for Graph's transactionId."""
        skipped = {"transactionId", "hasAttachments", "recurrence", "attendees"}
        given = {name: value for name, value in native.items() if name in store.SETTABLE - skipped}
        copied = store.create(mailbox, given, _now(), native.get("calendar"))
        copied["originalStartTimeZone"] = native["originalStartTimeZone"]
        copied["originalEndTimeZone"] = native["originalEndTimeZone"]
        return copied

    def remove(self, mailbox: SandboxMailbox, native: Native) -> None:
        store.remove(mailbox, native)

    def visible(self, mailbox: SandboxMailbox) -> Iterator[Native]:
        return iter(mailbox.events.values())

    def move(self, mailbox: SandboxMailbox, native: Native, calendar: str | None) -> Native:
        store.move(mailbox, native, calendar, _now())
        return native

    def make_calendar(self, mailbox: SandboxMailbox, name: str) -> SandboxCalendar:
        return calendars.make(mailbox, name)


def _marker(native: Native) -> dict[str, Any] | None:
    values = {
        PROPERTIES[item["id"]]: item["value"]
        for item in native.get("singleValueExtendedProperties", ())
        if item["id"] in PROPERTIES
    }
    return shown_marker(values)


def _given(common: dict[str, Any]) -> dict[str, Any]:
    """The common fields as properties of Graph's event."""
    given: dict[str, Any] = {}
    names = {"title": "subject", "categories": "categories", "showAs": "showAs", "allDay": "isAllDay"}
    given |= {names[name]: common[name] for name in names if name in common}
    if "location" in common:
        given["location"] = {"displayName": common["location"]}
    if "description" in common:
        given["body"] = {"contentType": "text", "content": common["description"]}
    if "privacy" in common:
        given["sensitivity"] = common["privacy"]
    if "reminderMinutes" in common:
        given["isReminderOn"] = common["reminderMinutes"] is not None
        given["reminderMinutesBeforeStart"] = common["reminderMinutes"] or 0
    for field in ("start", "end"):
        if field in common:
            given[field] = _time(common[field], common["timeZone"], all_day=common["allDay"])
    return given


def _time(text: str, time_zone: str, *, all_day: bool) -> dict[str, str]:
    name = zones.of_iana(time_zone)
    if all_day:
        return {"dateTime": f"{date.fromisoformat(text[:10]).isoformat()}T00:00:00", "timeZone": name}
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(ZoneInfo(zones.iana_name(name) or "UTC")).replace(tzinfo=None)
    return {"dateTime": moment.isoformat(), "timeZone": name}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _now() -> datetime:
    return datetime.now(UTC)
