"""What Rooster sends to Google: an event's fields in the Calendar API's own form.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from providers.additions import merged_categories
from providers.contract import Create, Event, Marker, Update
from providers.googlecalendar import descriptions, presentation
from providers.googlecalendar.resources import CATEGORIES, EventResource
from providers.marker import to_strings

__all__ = ["conditional", "insertion", "mending", "patch", "patch_of"]

MAX_PROPERTY_VALUE = 1024
"""Google cuts longer values off without a word (guide "Extended properties")."""


def insertion(event: Event, marker: Marker) -> dict[str, Any]:
    """The body of an ``insert``. The event's id is the attempt's: 32 hexadecimal digits are base32hex.

    Attendees are never in a body: guests would be invited.
    """
    private = to_strings(marker) | {CATEGORIES: _categories(event.categories)}
    fields = _owned(event) | presentation.initial(event) | {"extendedProperties": {"private": private}}
    return {"id": marker.attempt.hex} | _without_nulls(fields)


def patch(update: Update) -> dict[str, Any]:
    """The body of a ``patch`` of an event of which it is known what we wrote: what differs from that.

    Empty if nothing does. Patch merges objects key by key, so private properties of others stay; null
    removes a field. The marker goes with every patch: the event may have been adopted by another
    synchronization. Raises ``ValueError`` if it is not known.
    """
    if update.previous is None:
        raise ValueError("what the mailbox holds is not known: read the event first")
    changed = _changed(update.previous, update.event) | presentation.changed(update.possible, update.event)
    private: dict[str, str | None] = {}
    if update.event.categories != update.previous.categories:
        private[CATEGORIES] = _categories(update.event.categories)
    if not changed and not private:
        return {}
    return changed | {"extendedProperties": {"private": to_strings(update.marker) | private}}


def patch_of(seen: EventResource, update: Update) -> dict[str, Any]:
    """The body of a ``patch`` of an event that was read: what is to be changed of ``seen``.

    Our text is replaced within theirs, and our categories among theirs. If it is known what we wrote, the
    fields in which ``event`` is the same as that stay as they are.
    """
    previous, event = update.previous, update.event
    ours = update.possible
    if previous is None:
        return _completed(seen, event, update.marker, ours)
    changed = _changed(previous, event) | presentation.changed(ours, event)
    if "description" in changed:
        del changed["description"]
        changed |= _description(seen, event, ours)
    private: dict[str, str | None] = {}
    if event.categories != previous.categories:
        private = _merged_categories(seen, event, ours)
    return _with_marker(changed, private, seen, update.marker)


def mending(seen: EventResource, create: Create) -> dict[str, Any]:
    """The body of a ``patch`` that makes of an event of ours without a marker what was to be created."""
    return _completed(seen, create.event, create.marker, (create.event,))


def conditional(body: dict[str, Any]) -> bool:
    """Whether a patch is good for one version of the event alone.

    The text and the categories may hold additions of the person's, and a status would bring an event
    back that they have deleted.
    """
    return not body.keys().isdisjoint({"description", "status"}) or CATEGORIES in body.get(
        "extendedProperties", {}
    ).get("private", {})


def _changed(previous: Event, event: Event) -> dict[str, Any]:
    old = _owned(previous)
    changed = {name: value for name, value in _owned(event).items() if value != old[name]}
    if event.privacy != previous.privacy:
        changed["visibility"] = presentation.visibility(event.privacy)
    return changed


def _completed(seen: EventResource, event: Event, marker: Marker, ours: Sequence[Event]) -> dict[str, Any]:
    """Everything in which the event that was read is not yet what it should be."""
    owned = _owned(event)
    start, end = owned.pop("start"), owned.pop("end")
    owned.pop("description")
    held = {
        "summary": seen.summary,
        "location": seen.location or None,
        "status": seen.status,
        "transparency": seen.transparency,
        "source": seen.source,
    }
    changed = {name: value for name, value in owned.items() if value != held[name]}
    if not (seen.start and seen.end and seen.start.is_(start) and seen.end.is_(end)):
        changed |= {"start": start, "end": end}
    changed |= _description(seen, event, ours) | _visibility(seen, event, ours)
    changed |= presentation.changed(ours, event)
    return _with_marker(changed, _merged_categories(seen, event, ours), seen, marker)


def _description(seen: EventResource, event: Event, ours: Sequence[Event]) -> dict[str, str | None]:
    """The description with our new text in it; null for none."""
    description = descriptions.merged(seen.description, ours, event)
    return {"description": description or None} if description != seen.description else {}


def _visibility(seen: EventResource, event: Event, ours: Sequence[Event]) -> dict[str, str]:
    """A privacy of ours, or the default in the place of one that was; else it is the person's own."""
    is_ours = event.privacy is not None or any(one.privacy is not None for one in ours)
    if not is_ours or presentation.of_visibility(seen.visibility) == (event.privacy or "normal"):
        return {}
    return {"visibility": presentation.visibility(event.privacy)}


def _merged_categories(seen: EventResource, event: Event, ours: Sequence[Event]) -> dict[str, str | None]:
    """The property of our categories and those that the person added, unless it is that already."""
    merged = merged_categories(seen.categories, ours, event)
    return {CATEGORIES: _categories(merged)} if {*_fitting(merged)} != {*seen.categories} else {}


def _with_marker(
    changed: dict[str, Any], private: dict[str, str | None], seen: EventResource, marker: Marker
) -> dict[str, Any]:
    if not changed and not private and seen.marker == marker:
        return {}
    return changed | {"extendedProperties": {"private": to_strings(marker) | private}}


def _owned(event: Event) -> dict[str, Any]:
    start, end = _times(event)
    return {
        "summary": event.title,
        "location": event.location or None,
        "description": descriptions.written(event.body) or None,
        "start": start,
        "end": end,
        # Google has no tentative among its free/busy values: a tentative event is what it shows as such.
        "status": "tentative" if event.show_as == "tentative" else "confirmed",
        "transparency": "transparent" if event.show_as == "free" else "opaque",
        "source": _source(event.url),
    }


def _times(event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """``start`` and ``end``. The nulls undo the other kind when an all-day event gets hours, or back."""
    if event.all_day:
        first, after = event.dates
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


def _categories(categories: Sequence[str]) -> str | None:
    """The value of the property; null for none."""
    kept = _fitting(categories)
    return _json(kept) if kept else None


def _fitting(categories: Sequence[str]) -> list[str]:
    """As many categories, from the first one on, as the property holds."""
    kept = list(categories)
    while len(_json(kept)) > MAX_PROPERTY_VALUE:
        kept.pop()
    return kept


def _json(categories: Sequence[str]) -> str:
    return json.dumps(categories, ensure_ascii=False)


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(item) if isinstance(item, dict) else item
        for name, item in value.items()
        if item is not None
    }
