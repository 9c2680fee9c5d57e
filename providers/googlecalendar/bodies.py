"""What Rooster sends to Google: an event's fields in the Calendar API's own form.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from providers.contract import Event, Marker, Update
from providers.marker import to_strings

__all__ = ["CATEGORIES", "full", "insertion", "patch", "touches_status"]

CATEGORIES = "RoosterCategories"
"""Google has no categories. They are kept, as a JSON list, in a private property of this name."""

MAX_PROPERTY_VALUE = 1024
"""Google cuts longer values off without a word (guide "Extended properties")."""


def insertion(event: Event, marker: Marker) -> dict[str, Any]:
    """The body of an ``insert``. The event's id is the attempt's: 32 hexadecimal digits are base32hex."""
    return {"id": marker.attempt.hex} | _without_nulls(full(event, marker))


def full(event: Event, marker: Marker) -> dict[str, Any]:
    """All owned fields and the marker; null where the event has no such field.

    Attendees and reminders are never among them: guests would be invited, and reminders are the
    person's own.
    """
    private = to_strings(marker) | {CATEGORIES: _categories(event)}
    return _owned(event) | {"extendedProperties": {"private": private}}


def patch(update: Update) -> dict[str, Any]:
    """The body of a ``patch``: the fields that changed, and the marker; empty if nothing did.

    Patch merges objects key by key, so private properties of others stay; null removes a field.
    The marker goes with every patch: the event may have been adopted by another synchronization.
    """
    if update.previous is None:
        return full(update.event, update.marker)
    old = _owned(update.previous)
    changed = {name: value for name, value in _owned(update.event).items() if value != old[name]}
    private: dict[str, str | None] = {**to_strings(update.marker)}
    categories = _categories(update.event)
    if categories != _categories(update.previous):
        private[CATEGORIES] = categories
    elif not changed:
        return {}
    return changed | {"extendedProperties": {"private": private}}


def touches_status(update: Update) -> bool:
    """Whether the patch sets the status. If the person has deleted the event, that would bring it back."""
    return "status" in patch(update)


def _owned(event: Event) -> dict[str, Any]:
    start, end = _times(event)
    return {
        "summary": event.title,
        "location": event.location or None,
        "description": event.body or None,
        "start": start,
        "end": end,
        "status": _status(event),
        "transparency": "transparent" if event.show_as == "free" else "opaque",
        "source": _source(event.url),
    }


def _status(event: Event) -> str:
    """Google has no tentative among its free/busy values; a tentative event is what it shows as such."""
    return "tentative" if "tentative" in (event.status, event.show_as) else "confirmed"


def _times(event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """``start`` and ``end``. The nulls undo the other kind when an all-day event gets hours, or back."""
    if event.all_day:
        first, after = event.dates
        # RFC 5545 §3.6.1: a date alone lasts that day; Google refuses an end that is not after the start.
        after = max(after, first + timedelta(days=1))
        return _all_day(first.isoformat()), _all_day(after.isoformat())
    return _timed(event.local_start, event.time_zone), _timed(event.local_end, event.time_zone)


def _all_day(date: str) -> dict[str, Any]:
    return {"date": date, "dateTime": None, "timeZone": None}


def _timed(local: datetime, zone: str) -> dict[str, Any]:
    return {"dateTime": local.isoformat(), "timeZone": zone, "date": None}


def _source(url: str) -> dict[str, str] | None:
    """The link that Google shows with the event; it takes http and https only."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return {"url": url, "title": parts.hostname}


def _categories(event: Event) -> str | None:
    """As many categories, from the first one on, as the property holds; null for none."""
    kept = list(event.categories)
    while kept and len(text := json.dumps(kept, ensure_ascii=False)) > MAX_PROPERTY_VALUE:
        kept.pop()
    return text if kept else None


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(item) if isinstance(item, dict) else item
        for name, item in value.items()
        if item is not None
    }
