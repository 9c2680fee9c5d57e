"""How Google's events look to the control API, and what a person does to them in their own client."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from providers.marker import from_strings
from providers.sandbox.google.calendar import Calendar
from providers.sandbox.google.html import shown, typed
from providers.sandbox.google.rules import CALENDAR_ZONE
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["GoogleDialect"]

CATEGORIES = "RoosterCategories"
"""Google has no categories; Rooster keeps them in a private property, as a JSON list."""


class GoogleDialect:
    """``Dialect`` of Google's events."""

    type = "googlecalendar"

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def describe(self, mailbox: SandboxMailbox, native: Native) -> dict[str, Any]:
        private = native.get("extendedProperties", {}).get("private", {})
        overrides = native["reminders"].get("overrides", [])
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
            "reminderMinutes": overrides[0]["minutes"] if overrides else None,
            "marker": _marker(private),
        }

    def create(self, mailbox: SandboxMailbox, common: dict[str, Any]) -> Native:
        return self._calendar(mailbox).insert(_fields(common, {}))

    def change(self, mailbox: SandboxMailbox, native: Native, common: dict[str, Any]) -> None:
        changes = _fields(common, self.describe(mailbox, native))
        self._calendar(mailbox).patch(native["id"], changes, attachments=False)

    def copy(self, mailbox: SandboxMailbox, native: Native) -> Native:
        return self._calendar(mailbox).copy(native["id"])

    def remove(self, mailbox: SandboxMailbox, native: Native) -> None:
        self._calendar(mailbox).delete(native["id"])

    def visible(self, mailbox: SandboxMailbox) -> Iterator[Native]:
        return self._calendar(mailbox).existing()

    def _calendar(self, mailbox: SandboxMailbox) -> Calendar:
        return Calendar(mailbox, self._now())


def _moment(value: dict[str, str]) -> str:
    if "date" in value:
        return value["date"]
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _show_as(native: Native) -> str:
    if native.get("transparency") == "transparent":
        return "free"
    return "tentative" if native["status"] == "tentative" else "busy"


def _marker(private: dict[str, str]) -> dict[str, Any] | None:
    found = from_strings(private)
    if found is None:
        return None
    return {
        "instance": found.instance,
        "synchronization": found.synchronization,
        "event": found.event,
        "attempt": found.attempt.hex,
    }


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
        overrides = None if minutes is None else [{"method": "popup", "minutes": minutes}]
        fields["reminders"] = {"useDefault": minutes is None, "overrides": overrides}
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
