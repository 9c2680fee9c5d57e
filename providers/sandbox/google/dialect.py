"""How Google's events look to the control API, and what a person does to them in their own client."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from providers.sandbox.fields import shown_marker
from providers.sandbox.google import calendars
from providers.sandbox.google.calendar import Calendar
from providers.sandbox.google.html import shown, typed
from providers.sandbox.google.rules import CALENDAR_ZONE
from providers.sandbox.state import Native, SandboxCalendar, SandboxMailbox

__all__ = ["GoogleDialect"]

CATEGORIES = "RoosterCategories"
"""Google has no categories; Rooster keeps them in a private property, as a JSON list."""

_COLOURS = {
    "3": "purple",
    "4": "cranberry",
    "5": "yellow",
    "6": "orange",
    "7": "teal",
    "8": "grey",
    "9": "blue",
    "10": "green",
    "11": "red",
}
"""By ``colorId``: Grape, Flamingo, Banana, Tangerine, Peacock, Graphite, Blueberry, Basil and Tomato. The
other two, Lavender and Sage, are between colours that all providers have."""


class GoogleDialect:
    """``Dialect`` of Google's events."""

    type = "googlecalendar"

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def describe(self, mailbox: SandboxMailbox, native: Native) -> dict[str, Any]:
        private = native.get("extendedProperties", {}).get("private", {})
        return {
            "id": native["id"],
            "version": native["etag"],
            "title": native.get("summary", ""),
            "start": _moment(native["start"]),
            "end": _moment(native["end"]),
            "timeZone": native["start"].get("timeZone", CALENDAR_ZONE),
            "allDay": "date" in native["start"],
            "location": native.get("location", ""),
            "description": shown(native.get("description", "")),
            "categories": json.loads(private.get(CATEGORIES, "[]")),
            "showAs": _show_as(native),
            "reminderMinutes": _reminder(native),
            "privacy": "private" if native.get("visibility") in ("private", "confidential") else "normal",
            "colour": _COLOURS.get(native.get("colorId", "")),
            "calendar": native.get("calendar"),
            "marker": shown_marker(private),
        }

    def create(self, mailbox: SandboxMailbox, common: dict[str, Any]) -> Native:
        return self._calendar(mailbox, common.get("calendar")).insert(_fields(common, {}))

    def change(self, mailbox: SandboxMailbox, native: Native, common: dict[str, Any]) -> None:
        changes = _fields(common, self.describe(mailbox, native))
        self._calendar_of(mailbox, native).patch(native["id"], changes, attachments=False)

    def copy(self, mailbox: SandboxMailbox, native: Native) -> Native:
        return self._calendar_of(mailbox, native).copy(native["id"])

    def remove(self, mailbox: SandboxMailbox, native: Native) -> None:
        self._calendar_of(mailbox, native).delete(native["id"])

    def visible(self, mailbox: SandboxMailbox) -> Iterator[Native]:
        return (event for event in mailbox.events.values() if event["status"] != "cancelled")

    def move(self, mailbox: SandboxMailbox, native: Native, calendar: str | None) -> Native:
        return self._calendar_of(mailbox, native).move(native["id"], self._calendar(mailbox, calendar))

    def make_calendar(self, mailbox: SandboxMailbox, name: str) -> SandboxCalendar:
        return calendars.make(mailbox, {"summary": name, "timeZone": CALENDAR_ZONE}, by_app=False)

    def _calendar_of(self, mailbox: SandboxMailbox, native: Native) -> Calendar:
        return self._calendar(mailbox, native.get("calendar"))

    def _calendar(self, mailbox: SandboxMailbox, id: str | None) -> Calendar:
        return Calendar(mailbox, self._now(), None if id is None else mailbox.calendars[id])


def _moment(value: dict[str, str]) -> str:
    if "date" in value:
        return value["date"]
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _reminder(native: Native) -> int | None:
    """Minutes before the start; the first reminder, where there are several."""
    calendar_has = calendars.PRIMARY_REMINDERS if native.get("calendar") is None else []
    reminders = native["reminders"]
    found = calendar_has if reminders.get("useDefault") else reminders.get("overrides", [])
    return int(found[0]["minutes"]) if found else None


def _show_as(native: Native) -> str:
    if native.get("transparency") == "transparent":
        return "free"
    return "tentative" if native["status"] == "tentative" else "busy"


def _fields(common: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """The event's own fields for those given in the common shape, to be merged into it."""
    fields: dict[str, Any] = {}
    names = {"title": "summary", "location": "location"}
    fields |= {native: common[name] for name, native in names.items() if name in common}
    if "description" in common:
        fields["description"] = typed(common["description"])
    if common.keys() & {"start", "end", "timeZone", "allDay"}:
        times = described | common
        zone = times.get("timeZone", CALENDAR_ZONE)
        fields |= {name: _time(times[name], zone, times.get("allDay", False)) for name in ("start", "end")}
    if "showAs" in common:
        fields["transparency"] = "transparent" if common["showAs"] == "free" else "opaque"
        fields["status"] = "tentative" if common["showAs"] == "tentative" else "confirmed"
    if "reminderMinutes" in common:
        minutes = common["reminderMinutes"]
        overrides = [] if minutes is None else [{"method": "popup", "minutes": minutes}]
        fields["reminders"] = {"useDefault": False, "overrides": overrides}
    if "privacy" in common:
        fields["visibility"] = "private" if common["privacy"] == "private" else "default"
    private: dict[str, Any] = {}
    if "categories" in common:
        private[CATEGORIES] = json.dumps(list(common["categories"])) if common["categories"] else None
    return fields | ({"extendedProperties": {"private": private}} if private else {})


def _time(text: str, zone: str, all_day: bool) -> dict[str, Any]:
    if all_day:
        return {"date": text[:10], "dateTime": None, "timeZone": None}
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return {"dateTime": moment.isoformat(), "timeZone": zone, "date": None}
